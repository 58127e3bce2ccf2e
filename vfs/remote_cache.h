/* remote_cache.h - blocks of remote files. Internal to vfs/remote.c.
 *
 * Blocks are found by (dev, ino, index). The file's version is kept by the caller, which drops a file's
 * blocks when it changes. The least recently used block goes first. Bytes past a block's size are not known.
 */
#pragma once

#include "vfs/vfs.h"

enum { CACHE_BLOCK = 128 << 10 };

struct cache;

struct cache *cache_new(uint64_t bytes);
void cache_free(struct cache *c);
/* NULL when it is not there. Borrowed until the next call. */
const uint8_t *cache_get(struct cache *c, uint64_t dev, uint64_t ino, uint64_t index,
                         uint32_t *size);
/* Copies. Without memory nothing is kept. */
void cache_put(struct cache *c, uint64_t dev, uint64_t ino, uint64_t index, const uint8_t *bytes,
               uint32_t size);
/* Drops blocks first..last of a file. */
void cache_drop(struct cache *c, uint64_t dev, uint64_t ino, uint64_t first, uint64_t last);
