/* net_cache.h - what was read of other devices' shares, kept on this device's disk for when they are away.
 *
 * Records are found by a key: a hash of the device, the share and what is asked (vfs/remote.h says what: a block of one version of a
 * file, what stands at a path, the list of a folder). Each has the time when its device last said so. They are appended to segments in
 * HOME/net-cache; when all of them reach the limit, the oldest segment goes, but for what was used lately. It is a cache: nothing in it is the
 * only copy, a record that was not written whole is none, and nothing waits for the disk.
 *
 * Any thread: locks itself. The folder is read when something is asked for the first time.
 *
 *	net_cache_new(home, 256 << 20, &c);
 *	net_cache_key(key, device, share, name, name_size);
 *	net_cache_put(c, key, bytes, size, false);
 *	if (net_cache_get(c, key, &bytes, &seen_ms)) ...
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "node/links/device.h"

#include <stdbool.h>
#include <stdint.h>

enum { NET_CACHE_KEY = 16, NET_CACHE_RECORD_MAX = 1 << 20, NET_CACHE_MIB = 256 };

struct net_cache;

/* limit_bytes 0: nothing is kept, and what was is removed. home is copied. NULL: no memory. */
struct net_cache *net_cache_new(const char *home, uint64_t limit_bytes);
void net_cache_free(struct net_cache *c);

void net_cache_key(uint8_t key[NET_CACHE_KEY], const uint8_t device[DEVICE_ID_SIZE], uint32_t share,
                   const uint8_t *name, size_t size);
/* lasting: the bytes of this key never change. Else what is there is written anew, at most once a minute when it is the same. */
void net_cache_put(struct net_cache *c, const uint8_t key[NET_CACHE_KEY], const uint8_t *bytes,
                   size_t size, bool lasting);
/* Appends the bytes. seen_ms: of 1970, when the device last said so. False: there is none. */
bool net_cache_get(struct net_cache *c, const uint8_t key[NET_CACHE_KEY], struct wr *bytes,
                   uint64_t *seen_ms);

struct net_cache_state {
	uint64_t limit_bytes, bytes, records, oldest_ms; /* oldest_ms 0: nothing is kept */
};
void net_cache_state(struct net_cache *c, struct net_cache_state *out);
void net_cache_clear(struct net_cache *c);
