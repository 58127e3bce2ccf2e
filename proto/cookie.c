/* cookie.c - the macs and cookies of datagrams. */
#include "proto/cookie.h"

#include <string.h>

static void key_for(uint8_t out[CRYPTO_KEY_SIZE], const char *label, const uint8_t *public_key)
{
	struct crypto_hash h;
	crypto_hash_init(&h, CRYPTO_KEY_SIZE, NULL, 0);
	crypto_hash_add(&h, label, strlen(label));
	crypto_hash_add(&h, public_key, CRYPTO_KEY_SIZE);
	crypto_hash_end(&h, out);
}

void cookie_keys(struct cookie_keys *k, const uint8_t public_key[CRYPTO_KEY_SIZE])
{
	key_for(k->mac1, "WasmOS datagram mac1", public_key);
	key_for(k->seal, "WasmOS datagram cookie", public_key);
}

void cookie_write_macs(const struct cookie_keys *k, const uint8_t cookie[COOKIE_SIZE],
                       uint8_t *message, size_t size)
{
	uint8_t *mac1 = message + size, *mac2 = mac1 + COOKIE_MAC_SIZE;
	crypto_blake2b_keyed(mac1, COOKIE_MAC_SIZE, k->mac1, sizeof k->mac1, message, size);
	memset(mac2, 0, COOKIE_MAC_SIZE);
	if (cookie)
		crypto_blake2b_keyed(mac2, COOKIE_MAC_SIZE, cookie, COOKIE_SIZE, message,
		                     size + COOKIE_MAC_SIZE);
}

const uint8_t *cookie_mac1_of(const uint8_t *message, size_t size)
{
	return message + size - COOKIE_MACS_SIZE;
}

bool cookie_mac1_is_right(const struct cookie_keys *k, const uint8_t *message, size_t size)
{
	uint8_t mac[COOKIE_MAC_SIZE];
	crypto_blake2b_keyed(mac, sizeof mac, k->mac1, sizeof k->mac1, message,
	                     size - COOKIE_MACS_SIZE);
	return crypto_equal(mac, cookie_mac1_of(message, size), sizeof mac);
}

bool cookie_mac2_is_right(const uint8_t cookie[COOKIE_SIZE], const uint8_t *message, size_t size)
{
	uint8_t mac[COOKIE_MAC_SIZE];
	crypto_blake2b_keyed(mac, sizeof mac, cookie, COOKIE_SIZE, message, size - COOKIE_MAC_SIZE);
	return crypto_equal(mac, message + size - COOKIE_MAC_SIZE, sizeof mac);
}

void cookie_make(uint8_t cookie[COOKIE_SIZE], const uint8_t secret[CRYPTO_KEY_SIZE],
                 const void *address, size_t size)
{
	crypto_blake2b_keyed(cookie, COOKIE_SIZE, secret, CRYPTO_KEY_SIZE, address, size);
}

static void one_time_key(const struct cookie_keys *k, const uint8_t *nonce,
                         uint8_t key[CRYPTO_KEY_SIZE])
{
	crypto_blake2b_keyed(key, CRYPTO_KEY_SIZE, k->seal, sizeof k->seal, nonce,
	                     COOKIE_NONCE_SIZE);
}

void cookie_seal(const struct cookie_keys *k, const uint8_t nonce[COOKIE_NONCE_SIZE],
                 const uint8_t cookie[COOKIE_SIZE], const uint8_t mac1[COOKIE_MAC_SIZE],
                 uint8_t out[COOKIE_SEALED_SIZE])
{
	uint8_t key[CRYPTO_KEY_SIZE];
	one_time_key(k, nonce, key);
	crypto_seal(out, key, 0, mac1, COOKIE_MAC_SIZE, cookie, COOKIE_SIZE);
}

enum err cookie_open(const struct cookie_keys *k, const uint8_t nonce[COOKIE_NONCE_SIZE],
                     const uint8_t sealed[COOKIE_SEALED_SIZE], const uint8_t mac1[COOKIE_MAC_SIZE],
                     uint8_t cookie[COOKIE_SIZE])
{
	uint8_t key[CRYPTO_KEY_SIZE];
	one_time_key(k, nonce, key);
	return crypto_open(cookie, key, 0, mac1, COOKIE_MAC_SIZE, sealed, COOKIE_SEALED_SIZE);
}
