/* arena.c - blocks in a list; small pieces are cut from the newest shared block, large ones stand
 * alone. */
#include "base/arena.h"

#include "base/os.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_ALIGN 16
#define ARENA_BLOCK_BYTES (16 << 10)
#define ARENA_LARGE_BYTES (4 << 10)
#define ARENA_HUGE_BYTES (1 << 20)

struct arena_block {
	struct arena_block *next;
	size_t mapped; /* its size when it came from the system; 0: from the C library */
	_Alignas(ARENA_ALIGN) uint8_t bytes[];
};

/* Pages that nobody has touched: the C library may have to clear what was used before. */
static struct arena_block *map_block(size_t total, size_t *mapped)
{
	size_t page = os_page_size();
	if (total > SIZE_MAX - page)
		return NULL;
	total = (total + page - 1) & ~(page - 1);
	struct arena_block *b = os_reserve(total);
	if (b && os_commit(b, total) != ERR_OK) {
		os_release(b, total);
		return NULL;
	}
	*mapped = total;
	return b;
}

static struct arena_block *block_new(struct arena *a, size_t size)
{
	size_t total = sizeof(struct arena_block) + size;
	if (total < size)
		return NULL;
	if (a->limit_bytes && total > a->limit_bytes - a->used_bytes)
		return NULL;
	size_t mapped = 0;
	struct arena_block *b =
	    total < ARENA_HUGE_BYTES ? calloc(1, total) : map_block(total, &mapped);
	if (!b)
		return NULL;
	b->mapped = mapped;
	b->next = a->blocks;
	a->blocks = b;
	a->used_bytes += total;
	return b;
}

static size_t round_up(size_t size)
{
	return (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - ARENA_ALIGN)
		return NULL;
	bytes = round_up(bytes ? bytes : 1);
	if (bytes >= ARENA_LARGE_BYTES) {
		struct arena_block *b = block_new(a, bytes);
		return b ? b->bytes : NULL;
	}
	if ((size_t)(a->end - a->p) < bytes) {
		struct arena_block *b = block_new(a, ARENA_BLOCK_BYTES);
		if (!b)
			return NULL;
		a->p = b->bytes;
		a->end = b->bytes + ARENA_BLOCK_BYTES;
	}
	void *p = a->p;
	a->p += bytes;
	return p;
}

void *arena_copy(struct arena *a, const void *bytes, size_t size)
{
	if (size == SIZE_MAX)
		return NULL;
	char *p = arena_alloc(a, size + 1, 1);
	if (p && size)
		memcpy(p, bytes, size);
	return p;
}

void arena_free(struct arena *a)
{
	for (struct arena_block *b = a->blocks, *next; b; b = next) {
		next = b->next;
		if (b->mapped)
			os_release(b, b->mapped);
		else
			free(b);
	}
	*a = (struct arena){.limit_bytes = a->limit_bytes};
}
