/* datagram.c - fuzzes sealed datagrams: two sides talk, and in between any bytes come to one of them, or what the other sent, changed.
 * Only what a side sent is ever heard, each piece once.
 *
 * Input: u8 what (bits 0-1: 0 says, 1 bytes come, 2 the other's last datagram comes changed, 3 time passes), u8 n, then for 1 n bytes,
 * for 2 u8 where and u8 how. */
#include "base/bytes.h"
#include "proto/datagram.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS = 40 };

static void check(bool truth)
{
	if (!truth)
		abort();
}

struct world {
	struct datagrams *side[2];
	unsigned peer[2];
	uint8_t last[2][DATAGRAM_MAX]; /* of each side */
	size_t last_size[2];
	uint32_t said[2], heard[2]; /* numbers; the newest */
	uint64_t now;
};

static const struct datagram_address places[2] = {{4, {1}}, {4, {2}}};

static void open_world(struct world *w)
{
	uint8_t secrets[2][32] = {{8}, {16}}, key[32];
	memset(w, 0, sizeof *w);
	w->now = 1000;
	for (unsigned i = 0; i < 2; i++)
		check(datagrams_new(secrets[i], secrets[!i], &w->side[i]) == ERR_OK);
	for (unsigned i = 0; i < 2; i++) {
		crypto_x25519_public(key, secrets[!i]);
		check(datagrams_add(w->side[i], key, &w->peer[i]) == ERR_OK);
		datagrams_place(w->side[i], w->peer[i], &places[!i]);
	}
}

static void comes(struct world *w, unsigned to, const uint8_t *bytes, size_t size)
{
	struct datagram_got got;
	if (datagrams_receive(w->side[to], &places[!to], bytes, size, w->now, &got)) {
		uint32_t number;
		check(got.peer == w->peer[to] && got.size == sizeof number);
		memcpy(&number, got.bytes, sizeof number);
		check(number <= w->said[!to] && number > w->heard[to]);
		w->heard[to] = number;
	}
	datagrams_answer(w->side[to], w->now);
}

static void flow(struct world *w)
{
	struct datagram_out out;
	for (unsigned rounds = 0; rounds < 8; rounds++)
		for (unsigned i = 0; i < 2; i++)
			while (datagrams_next(w->side[i], &out)) {
				check(out.size <= DATAGRAM_MAX);
				memcpy(w->last[i], out.bytes, out.size);
				w->last_size[i] = out.size;
				comes(w, !i, w->last[i], out.size);
			}
}

static void step(struct world *w, uint8_t what, uint8_t n, struct rd *r)
{
	unsigned side = what >> 2 & 1;
	const uint8_t *bytes;
	uint8_t where = 0, how = 0;
	switch (what & 3) {
	case 0:
		w->said[side]++;
		datagrams_send(w->side[side], w->peer[side], &w->said[side], 4, w->now, w->now);
		break;
	case 1:
		if (rd_bytes(r, n < rd_left(r) ? n : rd_left(r), &bytes) == ERR_OK)
			comes(w, side, bytes, (size_t)(r->p - bytes));
		break;
	case 2:
		if (rd_u8(r, &where) == ERR_OK && rd_u8(r, &how) == ERR_OK && w->last_size[!side])
			w->last[!side][where % w->last_size[!side]] ^= how;
		comes(w, side, w->last[!side],
		      w->last_size[!side] - (n & 7u) % (w->last_size[!side] + 1));
		break;
	default:
		w->now += n * 200u;
		datagrams_tick(w->side[0], w->now);
		datagrams_tick(w->side[1], w->now);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_of(data, size);
	struct world w;
	uint8_t what, n;
	open_world(&w);
	for (unsigned i = 0; i < STEPS && rd_u8(&r, &what) == ERR_OK && rd_u8(&r, &n) == ERR_OK;
	     i++) {
		step(&w, what, n, &r);
		if (what < 128)
			flow(&w);
	}
	flow(&w);
	datagrams_free(w.side[0]);
	datagrams_free(w.side[1]);
	return 0;
}
