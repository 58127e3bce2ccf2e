/* test_image.c - images, manifests, deltas and module pieces: what is written comes back, and nothing else does. */
#include "base/crypto.h"
#include "migrate/delta.h"
#include "migrate/image.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* A chunk heap: what image_store() gave, found again by address. */
struct heap {
	struct {
		struct chunk_addr addr;
		uint8_t *bytes;
		size_t size;
	} items[4096];
	size_t count;
};

static void heap_put(void *ctx, const struct chunk_addr *addr, const void *bytes, size_t size)
{
	struct heap *h = ctx;
	cr_assert_eq(chunk_check(addr, bytes, size, NULL), ERR_OK);
	cr_assert(h->count < 4096);
	h->items[h->count].addr = *addr;
	h->items[h->count].bytes = malloc(size ? size : 1);
	h->items[h->count].size = size;
	memcpy(h->items[h->count++].bytes, bytes, size);
}

static enum err heap_get(void *ctx, const struct chunk_addr *addr, struct wr *out,
                         struct errmsg *msg)
{
	struct heap *h = ctx;
	for (size_t i = 0; i < h->count; i++) {
		if (!chunk_addr_equal(&h->items[i].addr, addr))
			continue;
		wr_bytes(out, h->items[i].bytes, h->items[i].size);
		return ERR_OK;
	}
	return err_set(msg, ERR_NOTFOUND, "not here");
}

static void heap_free(struct heap *h)
{
	for (size_t i = 0; i < h->count; i++)
		free(h->items[i].bytes);
	free(h);
}

static uint64_t rnd(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static struct image *sample(uint64_t seed)
{
	struct image *im = image_new();
	uint8_t bytes[10000], page[CHUNK_PAGE];
	uint32_t mem;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)rnd(&seed);
	cr_assert_eq(image_put_section(im, "wasi", 2, bytes, 9000), ERR_OK);
	cr_assert_eq(image_put_section(im, "engine", 1, bytes, 10000), ERR_OK);
	cr_assert_eq(image_put_section(im, "empty", 1, bytes, 0), ERR_OK);
	cr_assert_eq(image_put_space(im, SPACE_MEMORY, "00", 0, 40 * 65536, &mem), ERR_OK);
	for (int i = 0; i < 30; i++) {
		memset(page, 0, sizeof page);
		page[rnd(&seed) % CHUNK_PAGE] = 1 + (uint8_t)i;
		image_write_page(im, mem, rnd(&seed) % 640, page);
	}
	struct code_ref code = {.size = 7};
	code.hash[0] = 9;
	code.list = chunk_addr_of("x", 1);
	cr_assert_eq(image_put_module(im, &code), ERR_OK);
	return im;
}

static struct image *reload(struct image *im, struct heap *h)
{
	struct wr w = {0};
	struct image *back = NULL;
	struct errmsg msg = {0};
	struct chunk_source from = {heap_get, h};
	cr_assert_eq(image_store(im, heap_put, h), ERR_OK);
	cr_assert_eq(image_manifest(im, &w), ERR_OK);
	cr_assert_eq(image_load(w.data, w.size, &from, &back, &msg), ERR_OK, "%s", msg.text);
	wr_free(&w);
	return back;
}

static bool same(struct image *a, struct image *b)
{
	struct chunk_addr x, y;
	cr_assert_eq(image_id(a, &x), ERR_OK);
	cr_assert_eq(image_id(b, &y), ERR_OK);
	image_check(a);
	image_check(b);
	return chunk_addr_equal(&x, &y);
}

Test(image, comes_back_from_its_manifest_and_chunks)
{
	struct heap *h = calloc(1, sizeof *h);
	struct image *im = sample(42), *back = reload(im, h);
	struct rd r;
	uint32_t version;
	cr_assert(same(im, back));
	cr_assert_eq(image_section(back, "wasi", &version, &r), ERR_OK);
	cr_assert_eq(version, 2);
	cr_assert_eq(rd_left(&r), 9000);
	cr_assert_eq(image_section(back, "nothing", NULL, &r), ERR_NOTFOUND);
	image_free(im);
	image_free(back);
	heap_free(h);
}

Test(image, a_zero_memory_costs_one_manifest)
{
	struct heap *h = calloc(1, sizeof *h);
	struct image *im = image_new();
	struct wr w = {0};
	cr_assert_eq(image_put_space(im, SPACE_MEMORY, "00", 0, 256 << 20, NULL), ERR_OK);
	cr_assert_eq(image_store(im, heap_put, h), ERR_OK);
	cr_assert_eq(h->count, 1);
	image_free(im);
	heap_free(h);
	wr_free(&w);
}

Test(image, only_what_changed_is_stored_again)
{
	struct heap *h = calloc(1, sizeof *h);
	struct image *im = sample(7);
	uint8_t page[CHUNK_PAGE] = {1, 2, 3};
	uint32_t mem;
	cr_assert_eq(image_find(im, SPACE_MEMORY, "00", &mem), ERR_OK);
	cr_assert_eq(image_store(im, heap_put, h), ERR_OK);
	size_t before = h->count;
	cr_assert_eq(image_store(im, heap_put, h), ERR_OK);
	cr_assert_eq(h->count, before, "nothing changed");
	cr_assert(image_write_page(im, mem, 3, page));
	cr_assert_not(image_write_page(im, mem, 3, page), "the same bytes are no change");
	cr_assert_eq(image_store(im, heap_put, h), ERR_OK);
	cr_assert_eq(h->count, before + 3, "a page, its group, the manifest");
	image_free(im);
	heap_free(h);
}

Test(image, keeps_its_contents_when_a_memory_grows_or_a_section_shrinks)
{
	struct image *im = sample(9);
	uint8_t bytes[6000];
	memset(bytes, 7, sizeof bytes);
	image_hash(im);
	cr_assert_eq(image_put_space(im, SPACE_MEMORY, "00", 0, 47 * 65536, NULL), ERR_OK);
	cr_assert_eq(image_put_section(im, "wasi", 2, bytes, 100), ERR_OK);
	image_hash(im);
	image_check(im);
	cr_assert_eq(image_put_section(im, "wasi", 2, bytes, 6000), ERR_OK);
	cr_assert_eq(image_put_section(im, "wasi", 2, bytes, 5000), ERR_OK);
	image_hash(im);
	image_check(im);
	struct image *copy = image_copy(im);
	cr_assert(same(im, copy));
	image_free(copy);
	image_free(im);
}

Test(image, every_cut_and_every_flipped_bit_of_a_manifest_is_refused_or_another_image)
{
	struct heap *h = calloc(1, sizeof *h);
	struct image *im = sample(3), *back;
	struct wr w = {0};
	struct chunk_source from = {heap_get, h};
	cr_assert_eq(image_store(im, heap_put, h), ERR_OK);
	cr_assert_eq(image_manifest(im, &w), ERR_OK);
	for (size_t n = 0; n < w.size; n++) {
		struct errmsg msg = {0};
		cr_assert_neq(image_load(w.data, n, &from, &back, &msg), ERR_OK);
		cr_assert(msg.text[0]);
	}
	for (size_t bit = 0; bit < w.size * 8; bit++) {
		struct errmsg msg = {0};
		w.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		enum err e = image_load(w.data, w.size, &from, &back, &msg);
		if (e == ERR_OK) {
			cr_assert_not(same(im, back));
			image_free(back);
		} else {
			cr_assert(msg.text[0]);
		}
		w.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	image_free(im);
	heap_free(h);
	wr_free(&w);
}

Test(chunk, unpacks_to_what_was_packed_and_refuses_cuts)
{
	uint8_t bytes[5000];
	for (size_t n = 0; n < sizeof bytes; n = n * 3 + 1) {
		struct wr w = {0}, out = {0};
		memset(bytes, 'a', n);
		chunk_pack(NULL, &w, bytes, n);
		cr_assert_eq(chunk_unpack(w.data, w.size, &out, NULL), ERR_OK);
		cr_assert(out.size == n && (n == 0 || memcmp(out.data, bytes, n) == 0));
		for (size_t cut = 0; cut < w.size; cut++) {
			struct errmsg msg = {0};
			cr_assert_neq(chunk_unpack(w.data, cut, &out, &msg), ERR_OK);
			cr_assert(msg.text[0]);
			cr_assert_eq(out.size, n);
		}
		wr_free(&w);
		wr_free(&out);
	}
}

Test(delta, carries_changes_to_an_equal_image_in_few_bytes)
{
	struct image *now = sample(5), *has = sample(5), *peer = sample(5);
	struct delta *enc = delta_new(), *dec = delta_new();
	struct wr w = {0};
	struct errmsg msg = {0};
	uint64_t seed = 77;
	uint32_t mem, pages = 0;
	cr_assert_eq(image_find(now, SPACE_MEMORY, "00", &mem), ERR_OK);
	for (uint64_t p = 100; p < 140; p++) {
		uint8_t page[CHUNK_PAGE];
		memcpy(page, image_page(now, mem, p), CHUNK_PAGE);
		page[rnd(&seed) % CHUNK_PAGE] ^= 0x55;
		image_write_page(now, mem, p, page);
		delta_add(enc, has, mem, p, page);
	}
	cr_assert_eq(delta_end(enc, &w), ERR_OK);
	cr_assert_lt(w.size, 1000);
	cr_assert_eq(delta_apply(dec, peer, w.data, w.size, &pages, &msg), ERR_OK, "%s", msg.text);
	cr_assert_eq(pages, 40);
	cr_assert(same(now, has));
	cr_assert(same(now, peer));
	delta_free(enc);
	delta_free(dec);
	image_free(now);
	image_free(has);
	image_free(peer);
	wr_free(&w);
}

Test(delta, a_damaged_batch_changes_nothing_or_gives_another_image)
{
	struct image *has = sample(5), *peer = sample(5), *whole = sample(5);
	struct delta *enc = delta_new(), *dec = delta_new();
	struct wr w = {0};
	uint8_t page[CHUNK_PAGE];
	memset(page, 3, sizeof page);
	uint32_t mem;
	cr_assert_eq(image_find(has, SPACE_MEMORY, "00", &mem), ERR_OK);
	for (uint64_t p = 0; p < 5; p++) {
		page[p] = 99;
		delta_add(enc, has, mem, p * 70, page);
	}
	cr_assert_eq(delta_end(enc, &w), ERR_OK);
	for (size_t n = 0; n < w.size; n++) {
		struct errmsg msg = {0};
		cr_assert_neq(delta_apply(dec, peer, w.data, n, NULL, &msg), ERR_OK);
		cr_assert(msg.text[0]);
		cr_assert(same(peer, whole));
	}
	for (size_t bit = 0; bit < w.size * 8; bit++) {
		w.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		struct image *im = image_copy(peer);
		struct errmsg msg = {0};
		if (delta_apply(dec, im, w.data, w.size, NULL, &msg) != ERR_OK)
			cr_assert(same(im, whole) && msg.text[0]);
		image_free(im);
		w.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	delta_free(enc);
	delta_free(dec);
	image_free(has);
	image_free(peer);
	image_free(whole);
	wr_free(&w);
}

Test(module, comes_back_from_its_pieces_and_a_wrong_one_is_refused)
{
	struct heap *h = calloc(1, sizeof *h);
	size_t size = 200000;
	uint8_t *bytes = malloc(size), hash[32];
	uint64_t seed = 1;
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)rnd(&seed);
	crypto_blake2b(hash, bytes, size);
	struct code_ref ref;
	struct chunk_source from = {heap_get, h};
	struct wr out = {0};
	struct errmsg msg = {0};
	cr_assert_eq(module_cut(hash, bytes, size, heap_put, h, &ref), ERR_OK);
	cr_assert_eq(h->count, 5, "four pieces and the list");
	cr_assert_eq(module_join(&ref, &from, &out, &msg), ERR_OK, "%s", msg.text);
	cr_assert(out.size == size && memcmp(out.data, bytes, size) == 0);
	ref.hash[3] ^= 1;
	cr_assert_eq(module_join(&ref, &from, &out, &msg), ERR_INVALID);
	cr_assert_eq(out.size, size);
	ref.size++;
	cr_assert_neq(module_join(&ref, &from, &out, &msg), ERR_OK);
	wr_free(&out);
	free(bytes);
	heap_free(h);
}
