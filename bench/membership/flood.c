/* flood.c - what handshakes of datagrams cost, and a flood of them by somebody who is no peer: processor time of this thread.
 *
 *	ninja -C build bench/flood && build/bench/flood
 *
 * 10,000 INITIATIONs a second come from 5,000 addresses, first with a right mac1 (who sends them knows our public key), then with a
 * wrong one; meanwhile a peer with a session sends 1,000 datagrams a second and hears nothing back; 95 % must arrive. */
#include "proto/cookie.h"
#include "proto/datagram.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { RATE = 10000, SECONDS = 5, PEER_RATE = 1000, HANDSHAKES = 400, FORGED_SIZE = 160 };

struct side {
	struct datagrams *d;
	uint8_t secret[32], key[32];
	struct datagram_address address;
	unsigned peer, heard;
};

static double cpu_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void open_sides(struct side s[2])
{
	for (unsigned i = 0; i < 2; i++) {
		uint8_t seed[32] = {(uint8_t)(i + 1)};
		s[i] = (struct side){.secret = {(uint8_t)(8 * (i + 1))},
		                     .address = {6, {10, 0, 0, (uint8_t)i}}};
		crypto_x25519_public(s[i].key, s[i].secret);
		datagrams_new(s[i].secret, seed, &s[i].d);
	}
	for (unsigned i = 0; i < 2; i++) {
		datagrams_add(s[i].d, s[!i].key, &s[i].peer);
		datagrams_place(s[i].d, s[i].peer, &s[!i].address);
	}
}

static void comes(struct side *s, const struct datagram_address *from, const void *bytes,
                  size_t size, uint64_t now_ms)
{
	struct datagram_got got;
	s->heard += datagrams_receive(s->d, from, bytes, size, now_ms, &got);
	datagrams_answer(s->d, now_ms);
}

static void flow(struct side s[2], uint64_t now_ms)
{
	struct datagram_out out;
	for (unsigned rounds = 0; rounds < 3; rounds++)
		for (unsigned i = 0; i < 2; i++)
			while (datagrams_next(s[i].d, &out))
				comes(&s[!i], &s[i].address, out.bytes, out.size, now_ms);
}

static void forge(uint8_t out[FORGED_SIZE], unsigned number, const struct cookie_keys *keys,
                  bool right)
{
	memset(out, 0, FORGED_SIZE);
	out[0] = 1;
	memcpy(out + 1, &number, 4);
	out[5] = 9;
	cookie_write_macs(keys, NULL, out, FORGED_SIZE - COOKIE_MACS_SIZE);
	out[FORGED_SIZE - COOKIE_MACS_SIZE] ^= right ? 0 : 1;
}

/* Milliseconds of processor time a second that the flooded side needs; what the peers' own datagrams need is in it. */
static double flood(struct side s[2], bool right, uint64_t *now_ms)
{
	static uint8_t forged[RATE][FORGED_SIZE];
	struct cookie_keys keys;
	struct datagram_out out;
	cookie_keys(&keys, s[1].key);
	for (unsigned i = 0; i < RATE; i++)
		forge(forged[i], i, &keys, right);
	double began = cpu_ms();
	for (unsigned i = 0; i < RATE * SECONDS; i++) {
		struct datagram_address from = {
		    6, {172, 16, (uint8_t)(i % 5000 >> 8), (uint8_t)(i % 5000)}};
		*now_ms += i % (RATE / 1000) == 0;
		comes(&s[1], &from, forged[i % RATE], FORGED_SIZE, *now_ms);
		while (datagrams_next(s[1].d, &out))
			;
		if (i % (RATE / PEER_RATE) == 0) {
			datagrams_send(s[0].d, s[0].peer, "x", 1, *now_ms, *now_ms * 1000000);
			flow(s, *now_ms);
		}
	}
	return (cpu_ms() - began) / SECONDS;
}

static void floods(struct side s[2], bool right, uint64_t *now_ms)
{
	unsigned heard = s[1].heard;
	double ms = flood(s, right, now_ms);
	printf("%u initiations/s with a %s mac1: %.1f ms of processor a second; a peer's datagrams "
	       "that came: %u of %u\n",
	       RATE, right ? "right" : "wrong", ms, s[1].heard - heard, PEER_RATE * SECONDS);
}

int main(void)
{
	static struct side s[2];
	uint64_t now_ms = 1000;
	open_sides(s);
	double began = cpu_ms();
	for (unsigned i = 0; i < HANDSHAKES; i++) {
		now_ms += 2ull * DATAGRAM_REJECT_MS;
		datagrams_tick(s[0].d, now_ms);
		datagrams_tick(s[1].d, now_ms);
		datagrams_send(s[0].d, s[0].peer, "x", 1, now_ms, now_ms * 1000000);
		flow(s, now_ms);
	}
	printf("a handshake: %.2f ms of processor for both sides together (%u of %u)\n",
	       (cpu_ms() - began) / HANDSHAKES, s[1].heard, HANDSHAKES);
	floods(s, true, &now_ms);
	floods(s, false, &now_ms);
	datagrams_free(s[0].d);
	datagrams_free(s[1].d);
	return s[1].heard >= HANDSHAKES + 2 * PEER_RATE * SECONDS * 95 / 100 ? 0 : 1;
}
