/* cookie.h - keeping strangers' handshakes cheap: mac1, and under load a cookie that only who receives at its address can have.
 *
 * mac1 is keyed by the responder's public key: who does not know whom it talks to is not answered at all. A cookie is a MAC of the
 * caller's address under a secret that changes every two minutes; it is sent sealed, so that only who sent the INITIATION (and
 * so knows its mac1) can read it. mac2 is keyed by the cookie. All of it costs a few BLAKE2b; nothing is remembered of anybody.
 *
 *	message: bytes ... | mac1 16 | mac2 16 (zero without a cookie)
 *	COOKIE:  u8 4, u32 index of the INITIATION's sender, 16 nonce, 32 sealed cookie (key BLAKE2b(nonce) keyed by H(label, key); ad: mac1)
 */
#pragma once

#include "base/crypto.h"

enum {
	COOKIE_MAC_SIZE = 16,
	COOKIE_MACS_SIZE = 32,
	COOKIE_SIZE = 16,
	COOKIE_NONCE_SIZE = 16,
	COOKIE_SEALED_SIZE = COOKIE_SIZE + CRYPTO_TAG_SIZE,
};

/* What a responder's public key gives: made once. */
struct cookie_keys {
	uint8_t mac1[CRYPTO_KEY_SIZE], seal[CRYPTO_KEY_SIZE];
};
void cookie_keys(struct cookie_keys *k, const uint8_t public_key[CRYPTO_KEY_SIZE]);

/* Writes both macs behind size bytes of message. cookie may be NULL. */
void cookie_write_macs(const struct cookie_keys *k, const uint8_t cookie[COOKIE_SIZE],
                       uint8_t *message, size_t size);
/* size is with both macs, at least COOKIE_MACS_SIZE. */
bool cookie_mac1_is_right(const struct cookie_keys *k, const uint8_t *message, size_t size);
bool cookie_mac2_is_right(const uint8_t cookie[COOKIE_SIZE], const uint8_t *message, size_t size);
const uint8_t *cookie_mac1_of(const uint8_t *message, size_t size);

void cookie_make(uint8_t cookie[COOKIE_SIZE], const uint8_t secret[CRYPTO_KEY_SIZE],
                 const void *address, size_t size);
void cookie_seal(const struct cookie_keys *k, const uint8_t nonce[COOKIE_NONCE_SIZE],
                 const uint8_t cookie[COOKIE_SIZE], const uint8_t mac1[COOKIE_MAC_SIZE],
                 uint8_t out[COOKIE_SEALED_SIZE]);
/* AUTH: it does not answer the message with that mac1. */
enum err cookie_open(const struct cookie_keys *k, const uint8_t nonce[COOKIE_NONCE_SIZE],
                     const uint8_t sealed[COOKIE_SEALED_SIZE], const uint8_t mac1[COOKIE_MAC_SIZE],
                     uint8_t cookie[COOKIE_SIZE]);
