/* delta.c - batches of pages, XORed with what the peer has and compressed. */
#include "migrate/delta.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { DELTA_VERSION = 1, FORM_WHOLE = 0, FORM_XOR = 1, DELTA_LEVEL = 1 };

struct entry {
	uint8_t space, form;
	uint32_t page;
};

struct delta {
	uint32_t count;
	struct entry entries[DELTA_PAGES_MAX];
	ZSTD_CCtx *enc;
	ZSTD_DCtx *dec;
	uint8_t raw[DELTA_PAGES_MAX * CHUNK_PAGE];
};

struct delta *delta_new(void)
{
	struct delta *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->enc = ZSTD_createCCtx();
	d->dec = ZSTD_createDCtx();
	if (d->enc && d->dec)
		return d;
	delta_free(d);
	return NULL;
}

void delta_free(struct delta *d)
{
	if (!d)
		return;
	ZSTD_freeCCtx(d->enc);
	ZSTD_freeDCtx(d->dec);
	free(d);
}

static void xor_page(uint8_t *to, const uint8_t *a, const uint8_t *b)
{
	for (size_t i = 0; i < CHUNK_PAGE; i += 8) {
		uint64_t x, y;
		memcpy(&x, a + i, 8);
		memcpy(&y, b + i, 8);
		x ^= y;
		memcpy(to + i, &x, 8);
	}
}

uint32_t delta_count(const struct delta *d)
{
	return d->count;
}

void delta_add(struct delta *d, struct image *has, uint32_t space, uint64_t page,
               const uint8_t *bytes)
{
	assert(d->count < DELTA_PAGES_MAX);
	const uint8_t *base = image_page(has, space, page);
	struct entry *en = &d->entries[d->count];
	*en = (struct entry){.space = (uint8_t)space, .page = (uint32_t)page};
	en->form = bytes_are_zero(base, CHUNK_PAGE) ? FORM_WHOLE : FORM_XOR;
	uint8_t *raw = d->raw + (size_t)d->count * CHUNK_PAGE;
	/* The guest may write the page while it is read: copy once, and use the copy for both. */
	uint8_t copy[CHUNK_PAGE];
	memcpy(copy, bytes, CHUNK_PAGE);
	/* The compiler believes that nobody else writes bytes, and would read them again instead of the copy. */
	__asm__ volatile("" : : "r"(copy) : "memory");
	if (en->form == FORM_XOR)
		xor_page(raw, copy, base);
	else
		memcpy(raw, copy, CHUNK_PAGE);
	image_write_page(has, space, page, copy);
	d->count++;
}

static void write_head(const struct delta *d, struct wr *out)
{
	wr_u8(out, DELTA_VERSION);
	wr_u8(out, (uint8_t)d->count);
	for (uint32_t i = 0; i < d->count; i++) {
		wr_u8(out, d->entries[i].space);
		wr_u8(out, d->entries[i].form);
		wr_leb_u32(out, d->entries[i].page);
	}
}

enum err delta_end(struct delta *d, struct wr *out)
{
	if (d->count == 0)
		return ERR_OK;
	size_t size = (size_t)d->count * CHUNK_PAGE, bound = ZSTD_compressBound(size);
	write_head(d, out);
	d->count = 0;
	size_t at = out->size;
	wr_u32(out, 0);
	uint8_t *room = wr_space(out, bound);
	if (!room)
		return ERR_NOMEM;
	size_t n = ZSTD_compressCCtx(d->enc, room, bound, d->raw, size, DELTA_LEVEL);
	if (ZSTD_isError(n))
		return ERR_NOMEM;
	out->size = at + 4 + n;
	wr_patch_u32(out, at, (uint32_t)n);
	return ERR_OK;
}

static enum err read_entry(struct rd *r, const struct image *im, struct entry *en,
                           struct errmsg *msg)
{
	TRY(rd_u8(r, &en->space));
	TRY(rd_u8(r, &en->form));
	TRY(rd_leb_u32(r, &en->page));
	if (en->form > FORM_XOR)
		return err_set(msg, ERR_MALFORMED, "pages: form %u", en->form);
	if (en->space >= image_space_count(im) || en->page >= image_pages(im, en->space))
		return err_set(msg, ERR_INVALID, "pages: page %u of space %u, which is not there",
		               en->page, en->space);
	return ERR_OK;
}

static enum err read_body(struct delta *d, struct rd *r, uint32_t count, struct errmsg *msg)
{
	uint32_t size;
	size_t want = (size_t)count * CHUNK_PAGE;
	TRY(rd_u32(r, &size));
	if (size != rd_left(r))
		return err_set(msg, ERR_MALFORMED, "pages: %zu bytes where %u were said",
		               rd_left(r), size);
	size_t n = ZSTD_decompressDCtx(d->dec, d->raw, want, r->p, size);
	if (ZSTD_isError(n))
		return err_set(msg, ERR_MALFORMED, "pages: zstd: %s", ZSTD_getErrorName(n));
	if (n != want)
		return err_set(msg, ERR_MALFORMED, "pages: %zu bytes for %u pages", n, count);
	return ERR_OK;
}

static enum err read_batch(struct delta *d, const struct image *im, struct rd *r, uint8_t *count,
                           struct errmsg *msg)
{
	uint8_t version;
	TRY(rd_u8(r, &version));
	TRY(rd_u8(r, count));
	if (version != DELTA_VERSION || *count == 0 || *count > DELTA_PAGES_MAX)
		return err_set(msg, ERR_MALFORMED, "pages: version %u, %u pages", version, *count);
	for (uint32_t i = 0; i < *count; i++)
		TRY(read_entry(r, im, &d->entries[i], msg));
	return read_body(d, r, *count, msg);
}

enum err delta_apply(struct delta *d, struct image *im, const void *bytes, size_t size,
                     uint32_t *pages, struct errmsg *msg)
{
	struct rd r = rd_of(bytes, size);
	uint8_t count = 0;
	assert(d->count == 0);
	if (msg)
		msg->text[0] = 0;
	enum err e = read_batch(d, im, &r, &count, msg);
	if (e != ERR_OK) {
		if (msg && !msg->text[0])
			err_set(msg, e, "pages: broken at byte %zu of %zu", rd_offset(&r), size);
		return e;
	}
	for (uint32_t i = 0; i < count; i++) {
		const struct entry *en = &d->entries[i];
		uint8_t *raw = d->raw + (size_t)i * CHUNK_PAGE;
		if (en->form == FORM_XOR)
			xor_page(raw, raw, image_page(im, en->space, en->page));
		image_write_page(im, en->space, en->page, raw);
	}
	if (pages)
		*pages = count;
	return ERR_OK;
}
