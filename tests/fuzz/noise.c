/* noise.c - fuzzes Noise handshakes: the first byte chooses pattern and message, the rest is what comes
 * instead of it. Nothing but the true message gets through, and after an error the handshake is dead. */
#include "proto/noise.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool truth)
{
	if (!truth)
		abort();
}

static const char *const protocols[] = {NOISE_IK, NOISE_XXPSK3, "Noise_NN" NOISE_SUITE,
                                        "Noise_KKpsk0+psk2" NOISE_SUITE, "Noise_N" NOISE_SUITE};
static const unsigned psks_of[] = {0, 1, 0, 2, 0};

static void start(struct noise n[2], unsigned which)
{
	static const uint8_t secrets[2][32] = {{8}, {16}}, psks[2][32] = {{1}, {2}};
	uint8_t keys[2][32];
	for (int i = 0; i < 2; i++)
		crypto_x25519_public(keys[i], secrets[i]);
	for (int i = 0; i < 2; i++) {
		struct noise_config cfg = {.protocol = protocols[which],
		                           .initiator = !i,
		                           .secret = secrets[i],
		                           .remote = which == 1 ? NULL : keys[!i],
		                           .psks = psks,
		                           .psk_count = psks_of[which]};
		check(noise_init(&n[i], &cfg, NULL) == ERR_OK);
	}
}

static void forged(struct noise *n, const uint8_t *data, size_t size, const struct wr *good)
{
	struct wr payload = {0};
	bool same = size == good->size && (!size || memcmp(good->data, data, size) == 0);
	bool first = !n->has_key; /* a message without a tag may be anything */
	enum err e = noise_read(n, data, size, &payload);
	check(e != ERR_OK || same || first);
	check(e == ERR_OK || (n->dead && !payload.size));
	wr_free(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct noise n[2];
	struct wr out = {0}, payload = {0};
	if (size < 1)
		return 0;
	unsigned at = data[0] >> 4;
	start(n, data[0] % 5);
	for (unsigned i = 0; !noise_is_done(&n[0]) || !noise_is_done(&n[1]); i++) {
		unsigned from = noise_is_my_turn(&n[0]) ? 0 : 1;
		uint8_t eph[32] = {(uint8_t)(24 + 8 * i)};
		wr_clear(&out);
		wr_clear(&payload);
		check(noise_write(&n[from], eph, "hi", 2, &out) == ERR_OK);
		if (i == at) {
			forged(&n[!from], data + 1, size - 1, &out);
			break;
		}
		check(noise_read(&n[!from], out.data, out.size, &payload) == ERR_OK);
	}
	wr_free(&out);
	wr_free(&payload);
	return 0;
}
