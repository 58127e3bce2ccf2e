/* test_pieces.c - lists of a file's chunks, short and long: what is put is read again, and an edit changes little of it. */
#include "folder/pieces.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { STORED = 4096 };

struct store {
	struct {
		struct chunk_addr addr;
		uint8_t *bytes;
		size_t size;
	} at[STORED];
	unsigned count;
	size_t fresh; /* bytes that were not there */
	bool full;
};

static enum err put_chunk(void *ctx, const struct chunk_addr *addr, const void *bytes, size_t size)
{
	struct store *s = ctx;
	for (unsigned i = 0; i < s->count; i++)
		if (chunk_addr_equal(&s->at[i].addr, addr))
			return ERR_OK;
	if (s->full)
		return ERR_FULL;
	cr_assert(s->count < STORED);
	s->at[s->count].addr = *addr;
	s->at[s->count].bytes = malloc(size);
	memcpy(s->at[s->count].bytes, bytes, size);
	s->at[s->count++].size = size;
	s->fresh += size;
	return ERR_OK;
}

static void free_store(struct store *s)
{
	for (unsigned i = 0; i < s->count; i++)
		free(s->at[i].bytes);
	free(s);
}

static struct chunk_addr addr_of(uint32_t n)
{
	return chunk_addr_of(&n, sizeof n);
}

/* count pieces; from `shifted` on others than without. */
static struct content list_of(struct store *s, uint32_t count, uint32_t shifted)
{
	struct pieces p = {.put = put_chunk, .ctx = s};
	struct content c = {.mode = 0644};
	for (uint32_t i = 0; i < count; i++) {
		struct chunk_addr a = addr_of(i == shifted ? 0xffffffff : i);
		cr_assert_eq(pieces_add(&p, &a, 1000 + i % 7), ERR_OK);
	}
	cr_assert_eq(pieces_end(&p, &c), ERR_OK);
	return c;
}

static uint32_t check_pieces(const struct store *s, const struct piece *at, uint32_t count,
                             unsigned depth, uint32_t first)
{
	for (uint32_t i = 0; i < count; i++) {
		if (!depth) {
			struct chunk_addr a = addr_of(first++);
			cr_assert(chunk_addr_equal(&a, &at[i].addr));
			continue;
		}
		unsigned k = 0;
		while (k < s->count && !chunk_addr_equal(&s->at[k].addr, &at[i].addr))
			k++;
		cr_assert(k < s->count);
		struct piece *below;
		uint32_t below_count;
		cr_assert_eq(pieces_read(s->at[k].bytes, s->at[k].size, depth - 1, at[i].size,
		                         &below, &below_count),
		             ERR_OK);
		first = check_pieces(s, below, below_count, depth - 1, first);
		free(below);
	}
	return first;
}

Test(pieces, a_list_of_any_length_is_read_as_it_was_put)
{
	static const uint32_t counts[] = {0, 1, 128, 129, 600, 5000, 100000};
	for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
		struct store *s = calloc(1, sizeof *s);
		struct content c = list_of(s, counts[i], UINT32_MAX);
		cr_assert(c.piece_count <= ENTRY_PIECES_MAX);
		cr_assert_eq(c.depth > 0, counts[i] > ENTRY_PIECES_MAX);
		cr_assert_eq(check_pieces(s, c.pieces, c.piece_count, c.depth, 0), counts[i]);
		content_free(&c);
		free_store(s);
	}
}

Test(pieces, one_changed_chunk_changes_one_part_of_each_depth)
{
	struct store *s = calloc(1, sizeof *s);
	struct content a = list_of(s, 16384, UINT32_MAX); /* a file of 1 GiB */
	s->fresh = 0;
	struct content b = list_of(s, 16384, 8000);
	cr_assert(s->fresh < 100000, "%zu bytes of lists are new", s->fresh);
	content_free(&a);
	content_free(&b);
	free_store(s);
}

Test(pieces, an_error_of_the_store_is_given_and_leaves_nothing)
{
	struct store *s = calloc(1, sizeof *s);
	struct pieces p = {.put = put_chunk, .ctx = s};
	struct content c = {.mode = 0644};
	s->full = true;
	for (uint32_t i = 0; i < 200; i++) {
		struct chunk_addr a = addr_of(i);
		enum err e = pieces_add(&p, &a, 10);
		cr_assert(e == ERR_OK || e == ERR_FULL);
	}
	cr_assert_eq(pieces_end(&p, &c), ERR_FULL);
	cr_assert_null(c.pieces);
	free_store(s);
}

Test(pieces, a_list_that_does_not_make_up_its_size_is_refused)
{
	struct wr w = {0};
	struct chunk_addr a = addr_of(1);
	struct piece *out;
	uint32_t count;
	chunk_addr_write(&w, &a);
	wr_u64(&w, 100);
	cr_assert_eq(pieces_read(w.data, w.size, 0, 99, &out, &count), ERR_MALFORMED);
	cr_assert_eq(pieces_read(w.data, w.size, 0, 101, &out, &count), ERR_MALFORMED);
	cr_assert_eq(pieces_read(w.data, w.size - 1, 0, 100, &out, &count), ERR_MALFORMED);
	cr_assert_eq(pieces_read(w.data, w.size, 0, 100, &out, &count), ERR_OK);
	free(out);
	wr_free(&w);
}
