/* frame.c - fuzzes the secure stream: bytes of any kind, in pieces of any size, before, in and after the
 * handshake. Nothing that was not sealed by the peer comes out, and a dead stream stays dead. And what a peer seals that means ill: any
 * plaintext, while keys are made anew. */
#include "proto/secure.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret_a[32] = {8}, secret_b[32] = {16}, random_a[32] = {24},
                     random_b[32] = {32};

static void check(bool truth)
{
	if (!truth)
		abort();
}

static void open_both(struct secure *a, struct secure *b)
{
	struct wr out = {0};
	uint8_t key[32], *p;
	size_t used, n;
	enum secure_event event;
	crypto_x25519_public(key, secret_b);
	secure_listen(b, secret_b);
	check(secure_dial(a, secret_a, key, random_a, &out) == ERR_OK);
	check(secure_next(b, out.data, out.size, &used, &event, &p, &n) == ERR_OK);
	wr_clear(&out);
	check(secure_accept(b, random_b, &out) == ERR_OK);
	check(secure_next(a, out.data, out.size, &used, &event, &p, &n) == ERR_OK);
	check(event == SECURE_OPEN);
	wr_free(&out);
}

/* Feeds all bytes as a receive buffer would hold them: step more bytes at a time. */
static void feed(struct secure *s, const uint8_t *data, size_t size, size_t step)
{
	uint8_t *copy = malloc(size ? size : 1);
	size_t at = 0, have = 0;
	if (!copy)
		return;
	if (size)
		memcpy(copy, data, size);
	while (have < size) {
		have = have + step < size ? have + step : size;
		for (;;) {
			size_t used = 0, n = 0;
			uint8_t *p = NULL;
			enum secure_event event = SECURE_MORE;
			enum err e = secure_next(s, copy + at, have - at, &used, &event, &p, &n);
			check(used <= have - at);
			check(e == ERR_OK || s->state == SECURE_DEAD || s->state == SECURE_DECIDE);
			check(e != ERR_OK || event == SECURE_MORE || event == SECURE_CALLER);
			at += used;
			if (e != ERR_OK || !used)
				break;
		}
	}
	free(copy);
}

/* One frame of whatever plaintext, as from would seal it, and what to makes of it. */
static void tell(struct secure *from, struct secure *to, const uint8_t *plain, size_t size,
                 const uint8_t *expected)
{
	uint8_t frame[SECURE_HEAD_SIZE + 256 + CRYPTO_TAG_SIZE], *p = NULL;
	size_t used, n = 0;
	enum secure_event event;
	struct wr out = {0};
	frame[0] = (uint8_t)(size + CRYPTO_TAG_SIZE);
	frame[1] = (uint8_t)((size + CRYPTO_TAG_SIZE) >> 8);
	if (to->state != SECURE_RUNS ||
	    noise_seal(&from->send, plain, size, frame + SECURE_HEAD_SIZE) != ERR_OK)
		return;
	enum err e = secure_next(to, frame, SECURE_HEAD_SIZE + size + CRYPTO_TAG_SIZE, &used,
	                         &event, &p, &n);
	check(e == ERR_OK || to->state == SECURE_DEAD);
	if (e == ERR_OK && event == SECURE_RENEW)
		check(secure_answer(to, secret_b, expected, random_b, p, n, &out) != ERR_OK ||
		      to->turning);
	if (e == ERR_OK && event == SECURE_TURN)
		check(secure_turn(to, &out) == ERR_OK);
	wr_free(&out);
}

/* Bytes: to the dialer or the listener, which may be renewing; then sizes and plaintexts. */
static void feed_sealed(const uint8_t *data, size_t size)
{
	struct secure a, b;
	uint8_t key_a[32], key_b[32];
	struct wr out = {0};
	open_both(&a, &b);
	crypto_x25519_public(key_a, secret_a);
	crypto_x25519_public(key_b, secret_b);
	bool to_dialer = data[0] & 1;
	if (data[0] & 2)
		check(secure_renew(&a, secret_a, key_b, random_a, &out) == ERR_OK);
	for (size_t at = 1; at < size;) {
		size_t n = data[at++];
		n = n < size - at ? n : size - at;
		tell(to_dialer ? &b : &a, to_dialer ? &a : &b, data + at, n, key_a);
		at += n;
	}
	wr_free(&out);
	secure_end(&a);
	secure_end(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct secure a, b;
	if (size < 2)
		return 0;
	size_t step = data[1] + 1u;
	if (data[0] % 4 == 3) {
		feed_sealed(data + 1, size - 1);
		return 0;
	}
	switch (data[0] % 4) {
	case 0: secure_listen(&b, secret_b); break;
	case 1: {
		uint8_t key[32];
		struct wr out = {0};
		crypto_x25519_public(key, secret_a);
		check(secure_dial(&b, secret_b, key, random_b, &out) == ERR_OK);
		wr_free(&out);
		break;
	}
	default: open_both(&a, &b); break;
	}
	feed(&b, data + 2, size - 2, step);
	secure_end(&b);
	return 0;
}
