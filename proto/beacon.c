/* beacon.c - salt, tag, and the sealed rest. */
#include "proto/beacon.h"

#include <assert.h>
#include <string.h>

static const char tag_label[] = "WasmOS beacon tag 1", sign_label[] = "WasmOS beacon 1",
                  pair_label[] = "WasmOS beacon pair 1";

enum { SEALED_AT = BEACON_SALT + BEACON_TAG, BODY = BEACON_SAID + CRYPTO_SIGN_SIZE };

struct keys {
	uint8_t tag[BEACON_TAG];
	uint8_t seal[CRYPTO_KEY_SIZE];
};

static uint8_t *put(uint8_t *p, uint64_t v, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		*p++ = (uint8_t)(v >> 8 * i);
	return p;
}

static void derive(const uint8_t secret[CRYPTO_KEY_SIZE], uint64_t window, const uint8_t *salt,
                   struct keys *out)
{
	uint8_t in[sizeof tag_label + 8 + BEACON_SALT];
	memcpy(in, tag_label, sizeof tag_label);
	uint8_t *p = put(in + sizeof tag_label, window, 8);
	memcpy(p, salt, BEACON_SALT);
	crypto_blake2b_keyed((uint8_t *)out, sizeof *out, secret, CRYPTO_KEY_SIZE, in, sizeof in);
}

static void write_said(const struct beacon *b, uint8_t out[BEACON_SAID])
{
	assert(b->address_size == 4 || b->address_size == 16);
	uint8_t *p = put(out, BEACON_VERSION, 1);
	p = put(p, b->address_size, 1);
	memset(p, 0, 16);
	memcpy(p, b->address, b->address_size);
	p = put(p + 16, b->port, 2);
	p = put(p, b->time_ms, 8);
	memcpy(p, b->device, CRYPTO_HASH_SIZE);
}

enum { SIGNED_SIZE = sizeof sign_label + BEACON_SALT + BEACON_SAID };

static void write_signed(const struct beacon *b, const uint8_t *salt, uint8_t out[SIGNED_SIZE])
{
	memcpy(out, sign_label, sizeof sign_label);
	memcpy(out + sizeof sign_label, salt, BEACON_SALT);
	write_said(b, out + sizeof sign_label + BEACON_SALT);
}

void beacon_seal(const uint8_t group_secret[CRYPTO_KEY_SIZE],
                 const uint8_t device_secret[CRYPTO_KEY_SIZE], const uint8_t salt[BEACON_SALT],
                 const struct beacon *b, uint8_t out[BEACON_SIZE])
{
	uint8_t body[BODY], text[SIGNED_SIZE];
	struct keys k;
	derive(group_secret, b->time_ms / BEACON_WINDOW_MS, salt, &k);
	write_said(b, body);
	write_signed(b, salt, text);
	crypto_xed_sign(body + BEACON_SAID, device_secret, text, sizeof text);
	memcpy(out, salt, BEACON_SALT);
	memcpy(out + BEACON_SALT, k.tag, BEACON_TAG);
	crypto_seal(out + SEALED_AT, k.seal, 0, out, SEALED_AT, body, sizeof body);
	crypto_zero(&k, sizeof k);
}

enum err beacon_pair_secret(const uint8_t device_secret[CRYPTO_KEY_SIZE],
                            const uint8_t their_key[CRYPTO_KEY_SIZE], uint8_t out[CRYPTO_KEY_SIZE])
{
	uint8_t shared[CRYPTO_KEY_SIZE];
	enum err e = crypto_x25519(shared, device_secret, their_key);
	crypto_blake2b_keyed(out, CRYPTO_KEY_SIZE, shared, sizeof shared, pair_label,
	                     sizeof pair_label);
	crypto_zero(shared, sizeof shared);
	return e;
}

static enum err read_body(const uint8_t *body, struct beacon *out)
{
	struct rd r = rd_of(body, BODY);
	const uint8_t *address, *device, *proof;
	uint8_t version;
	static const uint8_t none[16];
	TRY(rd_u8(&r, &version));
	TRY(rd_u8(&r, &out->address_size));
	if (version != BEACON_VERSION || (out->address_size != 4 && out->address_size != 16))
		return ERR_MALFORMED;
	TRY(rd_bytes(&r, 16, &address));
	TRY(rd_u16(&r, &out->port));
	TRY(rd_u64(&r, &out->time_ms));
	TRY(rd_bytes(&r, CRYPTO_HASH_SIZE, &device));
	TRY(rd_bytes(&r, CRYPTO_SIGN_SIZE, &proof));
	memcpy(out->address, address, 16);
	memcpy(out->device, device, CRYPTO_HASH_SIZE);
	memcpy(out->proof, proof, CRYPTO_SIGN_SIZE);
	unsigned rest = 16u - out->address_size;
	bool padded = memcmp(out->address + out->address_size, none, rest) == 0;
	return out->port && padded ? ERR_OK : ERR_MALFORMED;
}

static enum err open_in(const uint8_t *secret, uint64_t window, const uint8_t *bytes,
                        struct beacon *out)
{
	struct keys k;
	uint8_t body[BODY];
	derive(secret, window, bytes, &k);
	enum err e = crypto_equal(k.tag, bytes + BEACON_SALT, BEACON_TAG) ? ERR_OK : ERR_AUTH;
	if (e == ERR_OK)
		e = crypto_open(body, k.seal, 0, bytes, SEALED_AT, bytes + SEALED_AT,
		                BEACON_SIZE - SEALED_AT);
	if (e == ERR_OK)
		e = read_body(body, out);
	if (e == ERR_OK && out->time_ms / BEACON_WINDOW_MS != window)
		e = ERR_MALFORMED;
	memcpy(out->salt, bytes, BEACON_SALT);
	crypto_zero(&k, sizeof k);
	return e;
}

/* The windows around that of now, the likeliest first: 0, -1, 1, -2, 2. */
static uint64_t window_near(uint64_t now, unsigned i)
{
	uint64_t apart = (i + 1) / 2;
	return i % 2 ? now - apart : now + apart;
}

enum err beacon_open(const uint8_t group_secret[CRYPTO_KEY_SIZE], uint64_t now_ms,
                     const void *bytes, size_t size, struct beacon *out)
{
	enum err e = size == BEACON_SIZE ? ERR_AUTH : ERR_MALFORMED;
	memset(out, 0, sizeof *out);
	for (unsigned i = 0; e == ERR_AUTH && i < 2 * BEACON_WINDOWS + 1; i++)
		e = open_in(group_secret, window_near(now_ms / BEACON_WINDOW_MS, i), bytes, out);
	if (e != ERR_OK)
		memset(out, 0, sizeof *out);
	return e;
}

bool beacon_is_by(const struct beacon *b, const uint8_t sign_key[CRYPTO_KEY_SIZE])
{
	uint8_t text[SIGNED_SIZE];
	write_signed(b, b->salt, text);
	return crypto_xed_verify(b->proof, sign_key, text, sizeof text) == ERR_OK;
}
