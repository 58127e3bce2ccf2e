/* beacon.h - the datagram by which a device tells the others of its system on the same network where it is. No I/O.
 *
 * All of it looks random to who has not the system's key (group_key.h), and no two are alike: each has its own salt, and from key, salt
 * and the time (windows of five minutes) come a tag, by which a receiver knows that it is of its system, and the key of the rest. So
 * who listens on a network learns that a WasmOS node is there (by the port and the size), and neither whose it is, nor which others go
 * with it, nor that it is the one that was on another network before. Clocks may be two windows apart.
 *
 * Inside stand device, address and time, signed by the device: the system's key alone is not enough to speak for another device, so
 * who was removed cannot, nor who repeats a beacon from another address. Hearing one is a reason to call the
 * device at that address, and to no more: the call itself proves who is there. A stranger's costs a few hashes. Bytes:
 * docs/formats/wire.md.
 *
 *	beacon_seal(key->secret, device->secret, salt, &b, out);                       // sender
 *	if (beacon_open(key->secret, now_ms, bytes, size, &b) == ERR_OK &&              // receiver
 *	    beacon_is_by(&b, row_of(b.device)->sign_key)) ...
 */
#pragma once

#include "base/bytes.h"
#include "base/crypto.h"

enum {
	BEACON_SALT = 16,
	BEACON_TAG = 16,
	BEACON_SAID = 1 + 1 + 16 + 2 + 8 + CRYPTO_HASH_SIZE, /* what is signed */
	BEACON_SIZE = BEACON_SALT + BEACON_TAG + BEACON_SAID + CRYPTO_SIGN_SIZE + CRYPTO_TAG_SIZE,
	BEACON_VERSION = 1,
	BEACON_WINDOW_MS = 300000,
	BEACON_WINDOWS = 2, /* a receiver's clock may be so many apart */
};

struct beacon {
	uint8_t device[CRYPTO_HASH_SIZE];
	uint8_t address[16];  /* where it is, and where it is sent from; IPv4: zeros behind */
	uint8_t address_size; /* 4 or 16 */
	uint16_t port;        /* where it takes links */
	uint64_t time_ms;     /* 1970 */
	/* Set by beacon_open(). */
	uint8_t salt[BEACON_SALT], proof[CRYPTO_SIGN_SIZE];
};

/* salt is random and used once. device_secret: the one the device signs with. */
void beacon_seal(const uint8_t group_secret[CRYPTO_KEY_SIZE],
                 const uint8_t device_secret[CRYPTO_KEY_SIZE], const uint8_t salt[BEACON_SALT],
                 const struct beacon *b, uint8_t out[BEACON_SIZE]);
/* In place of the system's key: what two devices alone share, by their keys. A device that has not the other's epoch of the system's key, or has
 * another, is found by that. AUTH: their_key is no fit key. */
enum err beacon_pair_secret(const uint8_t device_secret[CRYPTO_KEY_SIZE],
                            const uint8_t their_key[CRYPTO_KEY_SIZE], uint8_t out[CRYPTO_KEY_SIZE]);
/* Hostile. AUTH: not under this key, or not of now; MALFORMED: who made it has the key and broke the rules. out is zeroed on error. */
enum err beacon_open(const uint8_t group_secret[CRYPTO_KEY_SIZE], uint64_t now_ms,
                     const void *bytes, size_t size, struct beacon *out);
/* Signed by the key (its Edwards form). */
bool beacon_is_by(const struct beacon *b, const uint8_t sign_key[CRYPTO_KEY_SIZE]);
