/* frame.c - fuzzes the secure stream: bytes of any kind, in pieces of any size, before, in and after the
 * handshake. Nothing that was not sealed by the peer comes out, and a dead stream stays dead. */
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
			check(e != ERR_OK || event != SECURE_DATA);
			at += used;
			if (e != ERR_OK || !used)
				break;
		}
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct secure a, b;
	if (size < 2)
		return 0;
	size_t step = data[1] + 1u;
	switch (data[0] % 3) {
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
