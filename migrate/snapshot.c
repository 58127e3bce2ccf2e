/* snapshot.c - writing and reading snapshot files. */
#include "migrate/snapshot.h"

#include "base/crypto.h"

#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, REC_END = 0, REC_CHUNK = 1, TAIL = 33, HEAD = 12 };

static const uint8_t magic[4] = {'W', 'O', 'S', 'N'};

/* ---- writing ---- */

struct writer {
	struct wr *w;
	struct chunk_packer *packer;
};

static void put_chunk(void *ctx, const struct chunk_addr *addr, const void *bytes, size_t size)
{
	struct writer *wt = ctx;
	struct wr *w = wt->w;
	wr_u8(w, REC_CHUNK);
	chunk_addr_write(w, addr);
	size_t at = w->size;
	wr_u32(w, 0);
	chunk_pack(wt->packer, w, bytes, size);
	if (wr_ok(w))
		wr_patch_u32(w, at, (uint32_t)(w->size - at - 4));
}

static enum err put_modules(struct image *image, const struct snapshot_code *codes,
                            struct writer *wt)
{
	struct code_ref ref;
	for (uint32_t i = 0; i < image_module_count(image); i++)
		TRY(module_cut(image_module(image, i)->hash, codes[i].bytes, codes[i].size,
		               put_chunk, wt, &ref));
	return ERR_OK;
}

enum err snapshot_write(struct image *image, const struct snapshot_code *codes, struct wr *w)
{
	size_t start = w->size;
	if (!image_module_count(image))
		return ERR_INVALID;
	wr_bytes(w, magic, sizeof magic);
	wr_u16(w, VERSION);
	wr_u16(w, 0);
	size_t at = w->size;
	wr_u32(w, 0);
	TRY(image_manifest(image, w));
	wr_patch_u32(w, at, (uint32_t)(w->size - at - 4));
	struct writer wt = {w, chunk_packer_new()};
	enum err e = put_modules(image, codes, &wt);
	image_forget_stored(image);
	if (e == ERR_OK)
		e = image_store(image, put_chunk, &wt);
	image_forget_stored(image);
	chunk_packer_free(wt.packer);
	if (e != ERR_OK)
		return e;
	wr_u8(w, REC_END);
	if (!wr_ok(w))
		return ERR_NOMEM;
	uint8_t hash[CRYPTO_HASH_SIZE];
	crypto_blake2b(hash, w->data + start, w->size - start);
	wr_bytes(w, hash, sizeof hash);
	return wr_ok(w) ? ERR_OK : ERR_NOMEM;
}

/* ---- reading ---- */

struct entry {
	struct chunk_addr addr;
	const uint8_t *packed;
	uint32_t size;
};

struct index {
	struct entry *at;
	size_t count, cap;
};

static int by_addr(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	return memcmp(x->addr.bytes, y->addr.bytes, CHUNK_ADDR_SIZE);
}

static enum err get_chunk(void *ctx, const struct chunk_addr *addr, struct wr *out,
                          struct errmsg *msg)
{
	struct index *ix = ctx;
	struct entry key = {.addr = *addr}, *e = NULL;
	size_t before = out->size;
	if (ix->count)
		e = bsearch(&key, ix->at, ix->count, sizeof key, by_addr);
	if (!e)
		return err_set(msg, ERR_NOTFOUND, "a chunk that the image names is missing");
	TRY(chunk_unpack(e->packed, e->size, out, msg));
	enum err err = chunk_check(addr, out->data + before, out->size - before, msg);
	if (err != ERR_OK)
		out->size = before;
	return err;
}

static enum err add_entry(struct index *ix, const struct entry *e)
{
	if (ix->count == SNAPSHOT_CHUNKS_MAX)
		return ERR_LIMIT;
	if (ix->count == ix->cap) {
		size_t cap = ix->cap ? 2 * ix->cap : 256;
		struct entry *at = realloc(ix->at, cap * sizeof *at);
		if (!at)
			return ERR_NOMEM;
		ix->at = at;
		ix->cap = cap;
	}
	ix->at[ix->count++] = *e;
	return ERR_OK;
}

static enum err read_chunks(struct rd *r, struct index *ix)
{
	for (;;) {
		struct entry e;
		uint8_t kind;
		TRY(rd_u8(r, &kind));
		if (kind == REC_END)
			return rd_left(r) == 0 ? ERR_OK : ERR_MALFORMED;
		if (kind != REC_CHUNK)
			return ERR_MALFORMED;
		TRY(chunk_addr_read(r, &e.addr));
		TRY(rd_u32(r, &e.size));
		TRY(rd_bytes(r, e.size, &e.packed));
		TRY(add_entry(ix, &e));
	}
}

static enum err read_head(struct rd *r, const uint8_t **manifest, uint32_t *size,
                          struct errmsg *msg)
{
	const uint8_t *p;
	uint16_t version, zero;
	if (rd_bytes(r, 4, &p) != ERR_OK || memcmp(p, magic, 4) != 0)
		return err_set(msg, ERR_MALFORMED, "not a snapshot: it does not begin with WOSN");
	TRY(rd_u16(r, &version));
	TRY(rd_u16(r, &zero));
	if (version != VERSION)
		return err_set(msg, ERR_UNSUPPORTED, "snapshot of version %u, this build reads %d",
		               version, VERSION);
	TRY(rd_u32(r, size));
	return zero ? ERR_MALFORMED : rd_bytes(r, *size, manifest);
}

static enum err check_tail(const uint8_t *bytes, size_t size, struct errmsg *msg)
{
	uint8_t hash[CRYPTO_HASH_SIZE];
	if (size < HEAD + TAIL)
		return err_set(msg, ERR_MALFORMED, "%zu bytes are too few for a snapshot", size);
	crypto_blake2b(hash, bytes, size - CRYPTO_HASH_SIZE);
	if (memcmp(hash, bytes + size - CRYPTO_HASH_SIZE, CRYPTO_HASH_SIZE) != 0)
		return err_set(msg, ERR_INVALID, "the snapshot is damaged or cut off");
	return ERR_OK;
}

/* On failure all are empty again. */
static enum err join_modules(const struct image *image, const struct chunk_source *from,
                             struct wr *modules, struct errmsg *msg)
{
	uint32_t n = image_module_count(image);
	uint64_t sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += image_module(image, i)->size;
	enum err e = n ? ERR_OK : err_set(msg, ERR_INVALID, "a snapshot without a module");
	if (sum > IMAGE_MODULE_MAX)
		e = err_set(msg, ERR_LIMIT, "a snapshot with %llu bytes of modules",
		            (unsigned long long)sum);
	for (uint32_t i = 0; e == ERR_OK && i < n; i++)
		e = module_join(image_module(image, i), from, &modules[i], msg);
	for (uint32_t i = 0; e != ERR_OK && i < n; i++)
		wr_free(&modules[i]);
	return e;
}

static enum err read_image(struct rd *r, struct index *ix, struct image **image, struct wr *modules,
                           struct errmsg *msg)
{
	const uint8_t *manifest;
	uint32_t size;
	struct chunk_source from = {get_chunk, ix};
	TRY(read_head(r, &manifest, &size, msg));
	TRY(read_chunks(r, ix));
	if (ix->count)
		qsort(ix->at, ix->count, sizeof *ix->at, by_addr);
	TRY(image_load(manifest, size, &from, image, msg));
	enum err e = join_modules(*image, &from, modules, msg);
	if (e != ERR_OK) {
		image_free(*image);
		*image = NULL;
	}
	return e;
}

enum err snapshot_read(const void *bytes, size_t size, struct image **image,
                       struct wr modules[IMAGE_MODULES_MAX], struct errmsg *msg)
{
	struct index ix = {0};
	*image = NULL;
	if (msg)
		msg->text[0] = 0;
	TRY(check_tail(bytes, size, msg));
	struct rd r = rd_of(bytes, size - CRYPTO_HASH_SIZE);
	enum err e = read_image(&r, &ix, image, modules, msg);
	if (e != ERR_OK && msg && !msg->text[0])
		err_set(msg, e, "the snapshot is broken at byte %zu of %zu", rd_offset(&r), size);
	free(ix.at);
	return e;
}
