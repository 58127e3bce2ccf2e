/* arena.h - memory that is taken in many pieces and given back all at once.
 *
 * A zeroed struct arena is an empty one. Pieces are zeroed, 16-byte aligned, never moved, and live
 * until arena_free(). Large pieces get a block of their own, straight from the C library or the system, so that an
 * array of which only the start is written costs only that. One thread at a time.
 *
 *	struct arena a = {.limit_bytes = 64 << 20};
 *	struct func *f = ARENA_NEW(&a, struct func, count);
 *	if (!f)
 *		return ERR_NOMEM;
 *	...
 *	arena_free(&a);
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	uint8_t *p, *end;           /* what is left of the block that small pieces are cut from */
	size_t used_bytes;          /* of all blocks, their heads included */
	size_t limit_bytes;         /* 0: none */
};

/* count pieces of size bytes each, in a row. NULL when memory ran out, the product does not fit, or
 * the limit would be passed. count or size 0 gives a valid pointer to nothing. */
void *arena_alloc(struct arena *a, size_t count, size_t size);
/* A copy of size bytes, and a zero byte behind it. */
void *arena_copy(struct arena *a, const void *bytes, size_t size);
/* Gives back everything; the arena is empty and may be used again. */
void arena_free(struct arena *a);

#define ARENA_NEW(a, type, count) ((type *)arena_alloc((a), (count), sizeof(type)))
