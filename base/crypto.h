/* crypto.h - the cryptography WasmOS stands on, and the only door to libsodium.
 *
 * Hashes, key agreement, sealing, a prime-order group, constant-time comparison and zeroing. All
 * functions are pure but crypto_random(): randomness is passed in as bytes everywhere else, so that
 * proto/ and migrate/ stay deterministic. Nothing allocates or blocks; any thread. Sizes are bytes.
 * Followed: RFC 7693 (BLAKE2b), RFC 7748 (X25519), RFC 8439 (ChaCha20-Poly1305), RFC 9496
 * (ristretto255), RFC 2104 (HMAC), Signal's XEdDSA revision 1 with RFC 8032's verification, the Noise specification revision 34 sections 4, 5.1 and 12.
 *
 *	uint8_t id[CRYPTO_HASH_SIZE];
 *	crypto_blake2b(id, bytes, size);
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CRYPTO_HASH_SIZE = 32,        /* BLAKE2b-256: what names chunks, modules and devices */
	CRYPTO_HASH_LONG_SIZE = 64,   /* BLAKE2b-512 and SHA-512 */
	CRYPTO_HASH_STATE_SIZE = 384, /* room for a hash under way */
	CRYPTO_SHA256_STATE_SIZE = 104,
	CRYPTO_KEY_SIZE = 32, /* X25519 keys, sealing keys */
	CRYPTO_XNONCE_SIZE = 24,
	CRYPTO_TAG_SIZE = 16,   /* what sealing adds */
	CRYPTO_POINT_SIZE = 32, /* an encoded ristretto255 element */
	CRYPTO_SCALAR_SIZE = 32,
	CRYPTO_SIGN_SIZE = 64, /* a signature */
	CRYPTO_WIDE_SIZE = 64, /* uniform bytes from which a scalar or an element is made */
};

/* --- hashes --- */

/* BLAKE2b-256 of size bytes. in may be NULL when size is 0. */
void crypto_blake2b(uint8_t out[CRYPTO_HASH_SIZE], const void *in, size_t size);
/* BLAKE2b with an output of out_size (16..64) and a key of key_size (0..64; key may be NULL). */
void crypto_blake2b_keyed(uint8_t *out, size_t out_size, const void *key, size_t key_size,
                          const void *in, size_t size);

/* A BLAKE2b under way. A value: may be copied to fork the hash; crypto_zero() it if keyed. */
struct crypto_hash {
	_Alignas(64) uint8_t state[CRYPTO_HASH_STATE_SIZE];
	size_t out_size;
};

/* key may be NULL (key_size 0). out_size is 16..64 and must be given to nothing else again. */
void crypto_hash_init(struct crypto_hash *h, size_t out_size, const void *key, size_t key_size);
void crypto_hash_add(struct crypto_hash *h, const void *in, size_t size);
/* Writes out_size bytes; h is spent. */
void crypto_hash_end(struct crypto_hash *h, uint8_t *out);

/* SHA-256, whole or piece by piece, and HMAC-SHA-256 (RFC 4231): for what others have fixed, as the signatures of S3. */
void crypto_sha256(uint8_t out[CRYPTO_HASH_SIZE], const void *in, size_t size);
struct crypto_sha256 {
	_Alignas(8) uint8_t state[CRYPTO_SHA256_STATE_SIZE];
};
void crypto_sha256_init(struct crypto_sha256 *h);
void crypto_sha256_add(struct crypto_sha256 *h, const void *in, size_t size);
void crypto_sha256_end(struct crypto_sha256 *h, uint8_t out[CRYPTO_HASH_SIZE]);
void crypto_hmac_sha256(uint8_t out[CRYPTO_HASH_SIZE], const void *key, size_t key_size,
                        const void *in, size_t size);

void crypto_sha512(uint8_t out[CRYPTO_HASH_LONG_SIZE], const void *in, size_t size);
/* HMAC-SHA-512 (RFC 4231). */
void crypto_hmac_sha512(uint8_t out[CRYPTO_HASH_LONG_SIZE], const void *key, size_t key_size,
                        const void *in, size_t size);
/* HMAC with BLAKE2b-512 as the hash (not BLAKE2b's own keyed mode): Noise section 4.3. */
void crypto_hmac_blake2b(uint8_t out[CRYPTO_HASH_LONG_SIZE], const void *key, size_t key_size,
                         const void *in, size_t size);
/* Noise's HKDF with HMAC-BLAKE2b; chain is 64 bytes. count is 2 or 3; out[0..count) are 64 bytes
 * each and may not overlap chain. */
void crypto_hkdf(uint8_t out[][CRYPTO_HASH_LONG_SIZE], unsigned count,
                 const uint8_t chain[CRYPTO_HASH_LONG_SIZE], const void *in, size_t size);

/* --- X25519 --- */

/* The public key of a secret one (any 32 bytes; clamped inside). */
void crypto_x25519_public(uint8_t public_key[CRYPTO_KEY_SIZE],
                          const uint8_t secret_key[CRYPTO_KEY_SIZE]);
/* The shared secret. ERR_AUTH when the result is all zero (a low-order public key); out is zeroed.
 */
enum err crypto_x25519(uint8_t out[CRYPTO_KEY_SIZE], const uint8_t secret_key[CRYPTO_KEY_SIZE],
                       const uint8_t public_key[CRYPTO_KEY_SIZE]);

/* --- signatures by X25519 keys (XEdDSA): made with the secret key, verified as Ed25519 (RFC 8032) ---
 *
 * The Edwards form of a public key, its sign bit 0, is what signatures are verified with; it names the X25519 key. Nothing
 * random is needed: the nonce is a hash of secret key and message. */

/* The public key for verifying, of a secret one. */
void crypto_xed_public(uint8_t edwards[CRYPTO_KEY_SIZE], const uint8_t secret_key[CRYPTO_KEY_SIZE]);
/* The X25519 public key that belongs to it. ERR_AUTH: no fit key, or its sign bit is set. */
enum err crypto_xed_x25519(uint8_t public_key[CRYPTO_KEY_SIZE],
                           const uint8_t edwards[CRYPTO_KEY_SIZE]);
void crypto_xed_sign(uint8_t signature[CRYPTO_SIGN_SIZE], const uint8_t secret_key[CRYPTO_KEY_SIZE],
                     const void *in, size_t size);
/* ERR_AUTH: not signed by that key. */
enum err crypto_xed_verify(const uint8_t signature[CRYPTO_SIGN_SIZE],
                           const uint8_t edwards[CRYPTO_KEY_SIZE], const void *in, size_t size);

/* --- ChaCha20-Poly1305 (IETF), nonce = 4 zero bytes and the counter little-endian, as in Noise ---
 */

/* Writes size + CRYPTO_TAG_SIZE bytes. out may be in. A (key, counter) pair is used once. */
void crypto_seal(uint8_t *out, const uint8_t key[CRYPTO_KEY_SIZE], uint64_t counter, const void *ad,
                 size_t ad_size, const void *in, size_t size);
/* Takes size bytes with the tag, writes size - CRYPTO_TAG_SIZE. out may be in. ERR_AUTH when the
 * tag does not verify or size is too small: nothing readable is in out then. */
enum err crypto_open(uint8_t *out, const uint8_t key[CRYPTO_KEY_SIZE], uint64_t counter,
                     const void *ad, size_t ad_size, const void *in, size_t size);

/* --- XChaCha20-Poly1305: the same with a nonce so long that a random one, or a hash, is never used twice --- */

void crypto_xseal(uint8_t *out, const uint8_t key[CRYPTO_KEY_SIZE],
                  const uint8_t nonce[CRYPTO_XNONCE_SIZE], const void *ad, size_t ad_size,
                  const void *in, size_t size);
enum err crypto_xopen(uint8_t *out, const uint8_t key[CRYPTO_KEY_SIZE],
                      const uint8_t nonce[CRYPTO_XNONCE_SIZE], const void *ad, size_t ad_size,
                      const void *in, size_t size);

/* --- ristretto255 --- */

/* An element from 64 uniform bytes (RFC 9496 section 4.3.4). */
void crypto_ristretto_map(uint8_t point[CRYPTO_POINT_SIZE], const uint8_t wide[CRYPTO_WIDE_SIZE]);
/* A scalar from 64 uniform bytes, reduced modulo the group order. */
void crypto_ristretto_scalar(uint8_t scalar[CRYPTO_SCALAR_SIZE],
                             const uint8_t wide[CRYPTO_WIDE_SIZE]);
/* out = scalar * point. ERR_AUTH when point is no canonical encoding or the result is the identity:
 * out is zeroed then. The scalar is below the group order. */
enum err crypto_ristretto_mul(uint8_t out[CRYPTO_POINT_SIZE],
                              const uint8_t scalar[CRYPTO_SCALAR_SIZE],
                              const uint8_t point[CRYPTO_POINT_SIZE]);

/* --- the rest --- */

/* Constant time in the contents. */
bool crypto_equal(const void *a, const void *b, size_t size);
bool crypto_is_zero(const void *a, size_t size);
/* Is not optimised away. */
void crypto_zero(void *bytes, size_t size);
/* Randomness of the operating system. Called by node/, shell/ and tests, never by proto/. */
void crypto_random(void *out, size_t size);
