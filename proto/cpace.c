/* cpace.c - CPace over ristretto255 and SHA-512.
 *
 * Strings that are hashed are built in fixed buffers; every part has its length in LEB128 before it
 * (lv_cat of the draft). The generator's string pads the password to a whole block of SHA-512, so
 * that the time does not depend on its length.
 */
#include "proto/cpace.h"

#include <assert.h>
#include <string.h>

enum {
	BLOCK_SIZE = 128, /* of SHA-512's input */
	TEXT_MAX = 5 * (CPACE_INPUT_MAX + 2) + 2 * BLOCK_SIZE,
};

static const char dsi[] = "CPaceRistretto255";
static const char dsi_isk[] = "CPaceRistretto255_ISK";
static const char mac_label[] = "CPaceMac";

/* A string under construction; the sizes are bounded by CPACE_INPUT_MAX. */
struct text {
	uint8_t bytes[TEXT_MAX];
	size_t size;
};

static void text_add(struct text *t, const void *p, size_t size)
{
	assert(t->size + size <= sizeof t->bytes);
	if (size)
		memcpy(t->bytes + t->size, p, size);
	t->size += size;
}

static size_t length_size(size_t size)
{
	return size < 128 ? 1 : 2;
}

/* prepend_len() of the draft. */
static void text_part(struct text *t, const void *p, size_t size)
{
	uint8_t leb[2] = {(uint8_t)(size & 0x7f), (uint8_t)(size >> 7)};
	assert(size <= CPACE_INPUT_MAX);
	if (size >= 128)
		leb[0] |= 0x80;
	text_add(t, leb, length_size(size));
	text_add(t, p, size);
}

static void text_message(struct text *t, const struct cpace_message *m)
{
	text_part(t, m->share, CPACE_SHARE_SIZE);
	text_part(t, m->data, m->data_size);
}

void cpace_generator(uint8_t out[CRYPTO_POINT_SIZE], const struct cpace_input *in)
{
	static const uint8_t zeros[BLOCK_SIZE];
	struct text t = {.size = 0};
	uint8_t hash[CRYPTO_HASH_LONG_SIZE];
	size_t used = 1 + length_size(in->password_size) + in->password_size + 1 + sizeof dsi - 1;
	text_part(&t, dsi, sizeof dsi - 1);
	text_part(&t, in->password, in->password_size);
	text_part(&t, zeros, used < BLOCK_SIZE ? BLOCK_SIZE - used : 0);
	text_part(&t, in->channel, in->channel_size);
	text_part(&t, in->session, in->session_size);
	crypto_sha512(hash, t.bytes, t.size);
	crypto_ristretto_map(out, hash);
	crypto_zero(&t, sizeof t);
	crypto_zero(hash, sizeof hash);
}

enum err cpace_start(struct cpace *c, const struct cpace_input *in,
                     const uint8_t random[CRYPTO_WIDE_SIZE])
{
	uint8_t generator[CRYPTO_POINT_SIZE];
	cpace_generator(generator, in);
	crypto_ristretto_scalar(c->scalar, random);
	enum err e = crypto_ristretto_mul(c->share, c->scalar, generator);
	crypto_zero(generator, sizeof generator);
	return e;
}

enum err cpace_finish(const struct cpace *c, const struct cpace_input *in,
                      const struct cpace_message *a, const struct cpace_message *b,
                      const struct cpace_message *theirs, uint8_t key[CPACE_KEY_SIZE])
{
	struct text t = {.size = 0};
	uint8_t point[CRYPTO_POINT_SIZE];
	memset(key, 0, CPACE_KEY_SIZE);
	TRY(crypto_ristretto_mul(point, c->scalar, theirs->share));
	text_part(&t, dsi_isk, sizeof dsi_isk - 1);
	text_part(&t, in->session, in->session_size);
	text_part(&t, point, sizeof point);
	text_message(&t, a);
	text_message(&t, b);
	crypto_sha512(key, t.bytes, t.size);
	crypto_zero(&t, sizeof t);
	crypto_zero(point, sizeof point);
	return ERR_OK;
}

void cpace_tag(uint8_t tag[CPACE_TAG_SIZE], const uint8_t key[CPACE_KEY_SIZE],
               const struct cpace_input *in, const struct cpace_message *m)
{
	struct text t = {.size = 0};
	uint8_t mac_key[CRYPTO_HASH_LONG_SIZE];
	text_add(&t, mac_label, sizeof mac_label - 1);
	text_add(&t, in->session, in->session_size);
	text_add(&t, key, CPACE_KEY_SIZE);
	crypto_sha512(mac_key, t.bytes, t.size);
	t.size = 0;
	text_message(&t, m);
	crypto_hmac_sha512(tag, mac_key, sizeof mac_key, t.bytes, t.size);
	crypto_zero(&t, sizeof t);
	crypto_zero(mac_key, sizeof mac_key);
}

void cpace_end(struct cpace *c)
{
	crypto_zero(c, sizeof *c);
}
