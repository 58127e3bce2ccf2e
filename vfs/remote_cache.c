/* remote_cache.c - a few hundred blocks, found by looking through them. */
#include "vfs/remote_cache.h"

#include <stdlib.h>
#include <string.h>

struct block {
	uint64_t dev, ino, index;
	uint64_t used; /* when; 0: free */
	uint32_t size;
	uint8_t *bytes;
};

struct cache {
	uint64_t clock;
	uint32_t count;
	struct block blocks[];
};

struct cache *cache_new(uint64_t bytes)
{
	uint64_t count = bytes / CACHE_BLOCK;
	count = count < 4 ? 4 : count > 4096 ? 4096 : count;
	struct cache *c = calloc(1, sizeof *c + count * sizeof c->blocks[0]);
	if (c)
		c->count = (uint32_t)count;
	return c;
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < c->count; i++)
		free(c->blocks[i].bytes);
	free(c);
}

static struct block *find(struct cache *c, uint64_t dev, uint64_t ino, uint64_t index)
{
	for (uint32_t i = 0; i < c->count; i++) {
		struct block *b = &c->blocks[i];
		if (b->used && b->index == index && b->ino == ino && b->dev == dev)
			return b;
	}
	return NULL;
}

const uint8_t *cache_get(struct cache *c, uint64_t dev, uint64_t ino, uint64_t index,
                         uint32_t *size)
{
	struct block *b = find(c, dev, ino, index);
	if (!b)
		return NULL;
	b->used = ++c->clock;
	*size = b->size;
	return b->bytes;
}

static struct block *oldest(struct cache *c)
{
	struct block *b = &c->blocks[0];
	for (uint32_t i = 1; i < c->count && b->used; i++)
		if (c->blocks[i].used < b->used)
			b = &c->blocks[i];
	return b;
}

void cache_put(struct cache *c, uint64_t dev, uint64_t ino, uint64_t index, const uint8_t *bytes,
               uint32_t size)
{
	struct block *b = find(c, dev, ino, index);
	if (!b)
		b = oldest(c);
	b->used = 0;
	if (!b->bytes)
		b->bytes = malloc(CACHE_BLOCK);
	if (!b->bytes || size > CACHE_BLOCK)
		return;
	memcpy(b->bytes, bytes, size);
	b->dev = dev;
	b->ino = ino;
	b->index = index;
	b->size = size;
	b->used = ++c->clock;
}

void cache_drop(struct cache *c, uint64_t dev, uint64_t ino, uint64_t first, uint64_t last)
{
	for (uint32_t i = 0; i < c->count; i++) {
		struct block *b = &c->blocks[i];
		if (b->dev == dev && b->ino == ino && b->index >= first && b->index <= last)
			b->used = 0;
	}
}
