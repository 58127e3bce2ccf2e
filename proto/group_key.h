/* group_key.h - the key that all devices of a system share, by which they know each other's beacons (beacon.h). No I/O.
 *
 * A key belongs to a set of *cuts*: the removals and the changes of key that the log of devices holds (device_log_cuts()). It is random, made by
 * a device whose log holds those cuts, and told over links only, to who is a member by a log that holds them. So a device that a
 * log removes never gets the key that goes with that log. A cut more makes another key due; its epoch is the number of cuts, and one.
 *
 * Two devices may make a key for the same cuts at once: the one that is smaller, byte by byte, holds. And two may cut
 * at once without knowing of each other: each key goes with half of the cuts, so when the logs meet neither holds and a third one is made. So all
 * who have the same log come to the same key, whatever came first.
 *
 * Keys that were replaced are kept a while, three at most, to understand those who have not heard of the new one; nothing is
 * sent under them. The caller serialises. Bytes on disk: docs/formats/store.md.
 *
 *	if (!group_keys_current(&keys, cuts)) group_keys_take(&keys, cuts, epoch, random, now_ms);
 */
#pragma once

#include "base/bytes.h"
#include "base/crypto.h"

enum {
	GROUP_KEYS_MAX = 4, /* the newest first */
	GROUP_KEY_FORMAT = 1,
	GROUP_KEY_ROW = CRYPTO_HASH_SIZE + CRYPTO_KEY_SIZE + 4 + 8,
	GROUP_KEYS_BYTES = 2 + GROUP_KEYS_MAX * GROUP_KEY_ROW,
};

#define GROUP_KEY_OLD_MS (UINT64_C(3600) * 1000) /* so long after it was replaced */

struct group_key {
	uint8_t cuts[CRYPTO_HASH_SIZE];
	uint8_t secret[CRYPTO_KEY_SIZE];
	uint32_t epoch;    /* for people */
	uint64_t since_ms; /* 1970: when it came here */
};

/* Zeroed: none. crypto_zero() it in the end. */
struct group_keys {
	struct group_key at[GROUP_KEYS_MAX];
	unsigned count;
};

/* The key that holds for these cuts; NULL: none yet. */
const struct group_key *group_keys_current(const struct group_keys *k,
                                           const uint8_t cuts[CRYPTO_HASH_SIZE]);
/* A key for these cuts was made or told: true when it holds from now on; false: the one that is there does. */
bool group_keys_take(struct group_keys *k, const uint8_t cuts[CRYPTO_HASH_SIZE], uint32_t epoch,
                     const uint8_t secret[CRYPTO_KEY_SIZE], uint64_t now_ms);
/* Forgets those whose time is over; true when there were such. */
bool group_keys_expire(struct group_keys *k, uint64_t now_ms);

/* As it is kept; returns the size. */
size_t group_keys_write(const struct group_keys *k, uint8_t out[GROUP_KEYS_BYTES]);
/* *out is zeroed on error. MALFORMED, UNSUPPORTED. */
enum err group_keys_read(const void *bytes, size_t size, struct group_keys *out);
