/* crypto.c - libsodium behind our names; the only file that includes sodium.h.
 *
 * libsodium picks its fast implementations when it is initialised, and its random generator needs
 * it; that happens once, before main(), so that no caller can forget it. Everything that libsodium
 * lacks for Noise (HMAC and HKDF with BLAKE2b-512) is built here from its hash.
 */
#include "base/crypto.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(crypto_generichash_state) == CRYPTO_HASH_STATE_SIZE, "hash state size");
_Static_assert(sizeof(crypto_hash_sha256_state) == CRYPTO_SHA256_STATE_SIZE, "hash state size");
_Static_assert(CRYPTO_XNONCE_SIZE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce size");
_Static_assert(CRYPTO_TAG_SIZE == crypto_aead_chacha20poly1305_ietf_ABYTES, "tag size");
_Static_assert(CRYPTO_POINT_SIZE == crypto_core_ristretto255_BYTES, "point size");

enum { BLAKE2B_BLOCK_SIZE = 128 };

__attribute__((constructor)) static void crypto_start(void)
{
	if (sodium_init() < 0)
		abort(); /* no randomness: nothing here may run */
}

void crypto_blake2b(uint8_t out[CRYPTO_HASH_SIZE], const void *in, size_t size)
{
	crypto_blake2b_keyed(out, CRYPTO_HASH_SIZE, NULL, 0, in, size);
}

void crypto_blake2b_keyed(uint8_t *out, size_t out_size, const void *key, size_t key_size,
                          const void *in, size_t size)
{
	assert(out_size >= 16 && out_size <= 64 && key_size <= 64);
	int e = crypto_generichash_blake2b(out, out_size, in, size, key, key_size);
	assert(e == 0);
	(void)e;
}

void crypto_hash_init(struct crypto_hash *h, size_t out_size, const void *key, size_t key_size)
{
	assert(out_size >= 16 && out_size <= 64 && key_size <= 64);
	h->out_size = out_size;
	int e = crypto_generichash_blake2b_init((void *)h->state, key, key_size, out_size);
	assert(e == 0);
	(void)e;
}

void crypto_hash_add(struct crypto_hash *h, const void *in, size_t size)
{
	if (size)
		crypto_generichash_blake2b_update((void *)h->state, in, size);
}

void crypto_hash_end(struct crypto_hash *h, uint8_t *out)
{
	int e = crypto_generichash_blake2b_final((void *)h->state, out, h->out_size);
	assert(e == 0);
	(void)e;
}

void crypto_sha256(uint8_t out[CRYPTO_HASH_SIZE], const void *in, size_t size)
{
	crypto_hash_sha256(out, in, size);
}

void crypto_sha256_init(struct crypto_sha256 *h)
{
	crypto_hash_sha256_init((void *)h->state);
}

void crypto_sha256_add(struct crypto_sha256 *h, const void *in, size_t size)
{
	if (size)
		crypto_hash_sha256_update((void *)h->state, in, size);
}

void crypto_sha256_end(struct crypto_sha256 *h, uint8_t out[CRYPTO_HASH_SIZE])
{
	crypto_hash_sha256_final((void *)h->state, out);
}

void crypto_hmac_sha256(uint8_t out[CRYPTO_HASH_SIZE], const void *key, size_t key_size,
                        const void *in, size_t size)
{
	crypto_auth_hmacsha256_state st;
	crypto_auth_hmacsha256_init(&st, key, key_size);
	crypto_auth_hmacsha256_update(&st, in, size);
	crypto_auth_hmacsha256_final(&st, out);
	crypto_zero(&st, sizeof st);
}

void crypto_sha512(uint8_t out[CRYPTO_HASH_LONG_SIZE], const void *in, size_t size)
{
	crypto_hash_sha512(out, in, size);
}

void crypto_hmac_sha512(uint8_t out[CRYPTO_HASH_LONG_SIZE], const void *key, size_t key_size,
                        const void *in, size_t size)
{
	crypto_auth_hmacsha512_state st;
	crypto_auth_hmacsha512_init(&st, key, key_size);
	crypto_auth_hmacsha512_update(&st, in, size);
	crypto_auth_hmacsha512_final(&st, out);
	crypto_zero(&st, sizeof st);
}

/* One pass of HMAC: hash of (key xor pad) and the parts. */
static void hmac_pass(uint8_t out[CRYPTO_HASH_LONG_SIZE], const uint8_t block[BLAKE2B_BLOCK_SIZE],
                      uint8_t pad, const void *in, size_t size)
{
	uint8_t padded[BLAKE2B_BLOCK_SIZE];
	struct crypto_hash h;
	for (unsigned i = 0; i < sizeof padded; i++)
		padded[i] = block[i] ^ pad;
	crypto_hash_init(&h, CRYPTO_HASH_LONG_SIZE, NULL, 0);
	crypto_hash_add(&h, padded, sizeof padded);
	crypto_hash_add(&h, in, size);
	crypto_hash_end(&h, out);
	crypto_zero(padded, sizeof padded);
	crypto_zero(&h, sizeof h);
}

void crypto_hmac_blake2b(uint8_t out[CRYPTO_HASH_LONG_SIZE], const void *key, size_t key_size,
                         const void *in, size_t size)
{
	uint8_t block[BLAKE2B_BLOCK_SIZE] = {0};
	uint8_t inner[CRYPTO_HASH_LONG_SIZE];
	if (key_size > sizeof block)
		crypto_blake2b_keyed(block, CRYPTO_HASH_LONG_SIZE, NULL, 0, key, key_size);
	else if (key_size)
		memcpy(block, key, key_size);
	hmac_pass(inner, block, 0x36, in, size);
	hmac_pass(out, block, 0x5c, inner, sizeof inner);
	crypto_zero(block, sizeof block);
	crypto_zero(inner, sizeof inner);
}

void crypto_hkdf(uint8_t out[][CRYPTO_HASH_LONG_SIZE], unsigned count,
                 const uint8_t chain[CRYPTO_HASH_LONG_SIZE], const void *in, size_t size)
{
	uint8_t temp[CRYPTO_HASH_LONG_SIZE];
	uint8_t step[CRYPTO_HASH_LONG_SIZE + 1];
	assert(count == 2 || count == 3);
	crypto_hmac_blake2b(temp, chain, CRYPTO_HASH_LONG_SIZE, in, size);
	for (unsigned i = 0; i < count; i++) {
		size_t n = 0;
		if (i) {
			memcpy(step, out[i - 1], CRYPTO_HASH_LONG_SIZE);
			n = CRYPTO_HASH_LONG_SIZE;
		}
		step[n++] = (uint8_t)(i + 1);
		crypto_hmac_blake2b(out[i], temp, sizeof temp, step, n);
	}
	crypto_zero(temp, sizeof temp);
	crypto_zero(step, sizeof step);
}

void crypto_x25519_public(uint8_t public_key[CRYPTO_KEY_SIZE],
                          const uint8_t secret_key[CRYPTO_KEY_SIZE])
{
	crypto_scalarmult_curve25519_base(public_key, secret_key);
}

enum err crypto_x25519(uint8_t out[CRYPTO_KEY_SIZE], const uint8_t secret_key[CRYPTO_KEY_SIZE],
                       const uint8_t public_key[CRYPTO_KEY_SIZE])
{
	if (crypto_scalarmult_curve25519(out, secret_key, public_key) != 0) {
		crypto_zero(out, CRYPTO_KEY_SIZE);
		return ERR_AUTH;
	}
	return ERR_OK;
}

static void nonce_of(uint8_t nonce[12], uint64_t counter)
{
	memset(nonce, 0, 4);
	for (unsigned i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(counter >> (8 * i));
}

/* The scalar of a secret key, and the Edwards point of which it is the logarithm, with sign bit 0: XEdDSA's
 * calculate_key_pair. */
static void sign_pair(uint8_t scalar[32], uint8_t edwards[CRYPTO_KEY_SIZE],
                      const uint8_t secret_key[CRYPTO_KEY_SIZE])
{
	uint8_t wide[64] = {0}, negative[32];
	memcpy(wide, secret_key, 32);
	wide[0] &= 248;
	wide[31] &= 127;
	wide[31] |= 64;
	crypto_core_ed25519_scalar_reduce(scalar, wide);
	int e = crypto_scalarmult_ed25519_base_noclamp(edwards, scalar);
	assert(e == 0); /* a clamped scalar is no multiple of the order */
	(void)e;
	if (edwards[31] & 128) {
		crypto_core_ed25519_scalar_negate(negative, scalar);
		memcpy(scalar, negative, 32);
		edwards[31] &= 127;
	}
	sodium_memzero(wide, sizeof wide);
	sodium_memzero(negative, sizeof negative);
}

void crypto_xed_public(uint8_t edwards[CRYPTO_KEY_SIZE], const uint8_t secret_key[CRYPTO_KEY_SIZE])
{
	uint8_t scalar[32];
	sign_pair(scalar, edwards, secret_key);
	sodium_memzero(scalar, sizeof scalar);
}

enum err crypto_xed_x25519(uint8_t public_key[CRYPTO_KEY_SIZE],
                           const uint8_t edwards[CRYPTO_KEY_SIZE])
{
	if (!(edwards[31] & 128) && crypto_sign_ed25519_pk_to_curve25519(public_key, edwards) == 0)
		return ERR_OK;
	memset(public_key, 0, CRYPTO_KEY_SIZE);
	return ERR_AUTH;
}

/* A scalar from the hash of a, b and in. */
static void sign_hash(uint8_t scalar[32], const void *a, size_t a_size, const uint8_t b[32],
                      const void *in, size_t size)
{
	crypto_hash_sha512_state h;
	uint8_t wide[64];
	crypto_hash_sha512_init(&h);
	crypto_hash_sha512_update(&h, a, a_size);
	crypto_hash_sha512_update(&h, b, 32);
	crypto_hash_sha512_update(&h, in, size);
	crypto_hash_sha512_final(&h, wide);
	crypto_core_ed25519_scalar_reduce(scalar, wide);
	sodium_memzero(wide, sizeof wide);
	sodium_memzero(&h, sizeof h);
}

void crypto_xed_sign(uint8_t signature[CRYPTO_SIGN_SIZE], const uint8_t secret_key[CRYPTO_KEY_SIZE],
                     const void *in, size_t size)
{
	uint8_t scalar[32], edwards[32], nonce[32], h[32], product[32], prefix[32];
	sign_pair(scalar, edwards, secret_key);
	memset(prefix, 0xff, sizeof prefix);
	prefix[0] = 0xfe; /* XEdDSA's hash1: no hash of an encoded point begins so */
	sign_hash(nonce, prefix, sizeof prefix, scalar, in, size);
	int e = crypto_scalarmult_ed25519_base_noclamp(signature, nonce);
	assert(e == 0);
	(void)e;
	sign_hash(h, signature, 32, edwards, in, size);
	crypto_core_ed25519_scalar_mul(product, h, scalar);
	crypto_core_ed25519_scalar_add(signature + 32, nonce, product);
	sodium_memzero(scalar, sizeof scalar);
	sodium_memzero(nonce, sizeof nonce);
	sodium_memzero(product, sizeof product);
}

enum err crypto_xed_verify(const uint8_t signature[CRYPTO_SIGN_SIZE],
                           const uint8_t edwards[CRYPTO_KEY_SIZE], const void *in, size_t size)
{
	return crypto_sign_verify_detached(signature, in, size, edwards) == 0 ? ERR_OK : ERR_AUTH;
}

void crypto_seal(uint8_t *out, const uint8_t key[CRYPTO_KEY_SIZE], uint64_t counter, const void *ad,
                 size_t ad_size, const void *in, size_t size)
{
	uint8_t nonce[12];
	nonce_of(nonce, counter);
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, size, ad, ad_size, NULL, nonce,
	                                          key);
}

enum err crypto_open(uint8_t *out, const uint8_t key[CRYPTO_KEY_SIZE], uint64_t counter,
                     const void *ad, size_t ad_size, const void *in, size_t size)
{
	uint8_t nonce[12];
	nonce_of(nonce, counter);
	if (size < CRYPTO_TAG_SIZE)
		return ERR_AUTH;
	if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, size, ad, ad_size, nonce,
	                                              key) != 0)
		return ERR_AUTH;
	return ERR_OK;
}

void crypto_xseal(uint8_t *out, const uint8_t key[CRYPTO_KEY_SIZE],
                  const uint8_t nonce[CRYPTO_XNONCE_SIZE], const void *ad, size_t ad_size,
                  const void *in, size_t size)
{
	crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, in, size, ad, ad_size, NULL, nonce,
	                                           key);
}

enum err crypto_xopen(uint8_t *out, const uint8_t key[CRYPTO_KEY_SIZE],
                      const uint8_t nonce[CRYPTO_XNONCE_SIZE], const void *ad, size_t ad_size,
                      const void *in, size_t size)
{
	if (size < CRYPTO_TAG_SIZE || crypto_aead_xchacha20poly1305_ietf_decrypt(
	                                  out, NULL, NULL, in, size, ad, ad_size, nonce, key) != 0)
		return ERR_AUTH;
	return ERR_OK;
}

void crypto_ristretto_map(uint8_t point[CRYPTO_POINT_SIZE], const uint8_t wide[CRYPTO_WIDE_SIZE])
{
	crypto_core_ristretto255_from_hash(point, wide);
}

void crypto_ristretto_scalar(uint8_t scalar[CRYPTO_SCALAR_SIZE],
                             const uint8_t wide[CRYPTO_WIDE_SIZE])
{
	crypto_core_ristretto255_scalar_reduce(scalar, wide);
}

enum err crypto_ristretto_mul(uint8_t out[CRYPTO_POINT_SIZE],
                              const uint8_t scalar[CRYPTO_SCALAR_SIZE],
                              const uint8_t point[CRYPTO_POINT_SIZE])
{
	if (!crypto_core_ristretto255_is_valid_point(point) ||
	    crypto_scalarmult_ristretto255(out, scalar, point) != 0) {
		crypto_zero(out, CRYPTO_POINT_SIZE);
		return ERR_AUTH;
	}
	return ERR_OK;
}

bool crypto_equal(const void *a, const void *b, size_t size)
{
	return sodium_memcmp(a, b, size) == 0;
}

bool crypto_is_zero(const void *a, size_t size)
{
	return sodium_is_zero(a, size) != 0;
}

void crypto_zero(void *bytes, size_t size)
{
	sodium_memzero(bytes, size);
}

void crypto_random(void *out, size_t size)
{
	randombytes_buf(out, size);
}
