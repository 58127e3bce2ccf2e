/* pieces.c - lists of pieces: cut by their addresses, and read with limits. */
#include "folder/pieces.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = CHUNK_ADDR_SIZE + 8 };

static enum err add_at(struct pieces *p, unsigned depth, const struct piece *piece);

static void level_free(struct pieces_level *l)
{
	free(l->at);
	*l = (struct pieces_level){0};
}

void pieces_drop(struct pieces *p)
{
	for (unsigned i = 0; i <= ENTRY_DEPTH_MAX; i++)
		level_free(&p->level[i]);
	p->size = 0;
}

static enum err put_list(struct pieces *p, const struct pieces_level *l, struct piece *out)
{
	struct wr w = {0};
	*out = (struct piece){.size = 0};
	for (uint32_t i = 0; i < l->count; i++) {
		chunk_addr_write(&w, &l->at[i].addr);
		wr_u64(&w, l->at[i].size);
		out->size += l->at[i].size;
	}
	enum err e = wr_ok(&w) ? ERR_OK : ERR_NOMEM;
	if (e == ERR_OK) {
		out->addr = chunk_addr_of(w.data, w.size);
		e = p->put(p->ctx, &out->addr, w.data, w.size);
	}
	wr_free(&w);
	return e;
}

/* What is in a level becomes a chunk, and that a piece of the level above. */
static enum err end_part(struct pieces *p, unsigned depth)
{
	struct piece part;
	struct pieces_level *l = &p->level[depth];
	if (depth == ENTRY_DEPTH_MAX)
		return ERR_LIMIT;
	TRY(put_list(p, l, &part));
	l->count = 0;
	l->used = true;
	return add_at(p, depth + 1, &part);
}

static bool ends_part(const struct pieces_level *l, const struct piece *last)
{
	return l->count >= PIECES_PART_MAX ||
	       (l->count > ENTRY_PIECES_MAX &&
	        last->addr.bytes[CHUNK_ADDR_SIZE - 1] % PIECES_PART_AVG == 0);
}

static enum err add_at(struct pieces *p, unsigned depth, const struct piece *piece)
{
	struct pieces_level *l = &p->level[depth];
	if (l->count == l->cap) {
		uint32_t cap = l->cap ? 2 * l->cap : 64;
		struct piece *at = realloc(l->at, cap * sizeof *at);
		if (!at)
			return ERR_NOMEM;
		l->at = at;
		l->cap = cap;
	}
	l->at[l->count++] = *piece;
	return depth < ENTRY_DEPTH_MAX && ends_part(l, piece) ? end_part(p, depth) : ERR_OK;
}

enum err pieces_add(struct pieces *p, const struct chunk_addr *addr, uint64_t size)
{
	struct piece piece = {.addr = *addr, .size = size};
	if (!size || size > CHUNK_MAX)
		return ERR_INVALID;
	p->size += size;
	return add_at(p, 0, &piece);
}

static bool is_used_above(const struct pieces *p, unsigned depth)
{
	for (unsigned i = depth + 1; i <= ENTRY_DEPTH_MAX; i++)
		if (p->level[i].count || p->level[i].used)
			return true;
	return false;
}

static enum err end_levels(struct pieces *p, unsigned *depth)
{
	for (*depth = 0;; ++*depth) {
		struct pieces_level *l = &p->level[*depth];
		if (!is_used_above(p, *depth) && l->count <= ENTRY_PIECES_MAX)
			return ERR_OK;
		if (l->count)
			TRY(end_part(p, *depth));
	}
}

enum err pieces_end(struct pieces *p, struct content *out)
{
	unsigned depth;
	enum err e = end_levels(p, &depth);
	if (e == ERR_OK) {
		struct pieces_level *l = &p->level[depth];
		out->size = p->size;
		out->depth = (uint8_t)depth;
		out->piece_count = (uint16_t)l->count;
		out->pieces = l->count ? l->at : NULL;
		if (l->count)
			*l = (struct pieces_level){0};
	}
	pieces_drop(p);
	return e;
}

static enum err read_piece(struct rd *r, unsigned depth, uint64_t *left, struct piece *out)
{
	TRY(chunk_addr_read(r, &out->addr));
	TRY(rd_u64(r, &out->size));
	if (chunk_addr_is_null(&out->addr) || !out->size || out->size > *left ||
	    (!depth && out->size > CHUNK_MAX))
		return ERR_MALFORMED;
	*left -= out->size;
	return ERR_OK;
}

enum err pieces_read(const void *bytes, size_t bytes_size, unsigned depth, uint64_t size,
                     struct piece **out, uint32_t *count)
{
	struct rd r = rd_of(bytes, bytes_size);
	if (!bytes_size || bytes_size % PIECE_BYTES || bytes_size / PIECE_BYTES > PIECES_PART_MAX)
		return ERR_MALFORMED;
	uint32_t n = (uint32_t)(bytes_size / PIECE_BYTES);
	struct piece *at = calloc(n, sizeof *at);
	if (!at)
		return ERR_NOMEM;
	enum err e = ERR_OK;
	for (uint32_t i = 0; e == ERR_OK && i < n; i++)
		e = read_piece(&r, depth, &size, &at[i]);
	if (e == ERR_OK && size)
		e = ERR_MALFORMED;
	if (e != ERR_OK) {
		free(at);
		return e;
	}
	*out = at;
	*count = n;
	return ERR_OK;
}
