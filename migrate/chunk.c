/* chunk.c - chunk addresses, and packing with zstd behind explicit bounds. */
#include "migrate/chunk.h"

#include "base/crypto.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum {
	FORM_PLAIN = 0,
	FORM_ZSTD = 1,
	PACK_LEVEL = 1,
	PACK_MIN = 64, /* smaller chunks are never worth a zstd frame */
};

struct chunk_addr chunk_addr_of(const void *bytes, size_t size)
{
	struct chunk_addr a;
	a.bytes[0] = CHUNK_HASH_BLAKE2B;
	crypto_blake2b(a.bytes + 1, bytes, size);
	return a;
}

bool bytes_are_zero(const void *bytes, size_t size)
{
	const uint8_t *p = bytes;
	return size == 0 || (p[0] == 0 && memcmp(p, p + 1, size - 1) == 0);
}

struct chunk_addr chunk_addr_of_page(const uint8_t *page)
{
	if (bytes_are_zero(page, CHUNK_PAGE))
		return (struct chunk_addr){0};
	return chunk_addr_of(page, CHUNK_PAGE);
}

bool chunk_addr_equal(const struct chunk_addr *a, const struct chunk_addr *b)
{
	return memcmp(a->bytes, b->bytes, CHUNK_ADDR_SIZE) == 0;
}

bool chunk_addr_is_null(const struct chunk_addr *a)
{
	return a->bytes[0] == CHUNK_HASH_NONE;
}

enum err chunk_addr_read(struct rd *r, struct chunk_addr *out)
{
	const uint8_t *p;
	TRY(rd_bytes(r, CHUNK_ADDR_SIZE, &p));
	memcpy(out->bytes, p, CHUNK_ADDR_SIZE);
	if (p[0] == CHUNK_HASH_BLAKE2B)
		return ERR_OK;
	if (p[0] == CHUNK_HASH_NONE)
		return bytes_are_zero(p, CHUNK_ADDR_SIZE) ? ERR_OK : ERR_MALFORMED;
	return ERR_UNSUPPORTED;
}

void chunk_addr_write(struct wr *w, const struct chunk_addr *a)
{
	wr_bytes(w, a->bytes, CHUNK_ADDR_SIZE);
}

void chunk_addr_text(const struct chunk_addr *a, char out[17])
{
	static const char digits[] = "0123456789abcdef";
	for (unsigned i = 0; i < 8; i++) {
		out[2 * i] = digits[a->bytes[1 + i] >> 4];
		out[2 * i + 1] = digits[a->bytes[1 + i] & 15];
	}
	out[16] = 0;
}

enum err chunk_check(const struct chunk_addr *a, const void *bytes, size_t size, struct errmsg *msg)
{
	struct chunk_addr is = chunk_addr_of(bytes, size);
	if (chunk_addr_equal(a, &is))
		return ERR_OK;
	char want[17], got[17];
	chunk_addr_text(a, want);
	chunk_addr_text(&is, got);
	return err_set(msg, ERR_INVALID, "chunk %s: its %zu bytes have the hash %s", want, size,
	               got);
}

struct chunk_packer {
	ZSTD_CCtx *zstd;
};

struct chunk_packer *chunk_packer_new(void)
{
	struct chunk_packer *p = calloc(1, sizeof *p);
	if (p)
		p->zstd = ZSTD_createCCtx();
	if (p && p->zstd)
		return p;
	free(p);
	return NULL;
}

void chunk_packer_free(struct chunk_packer *p)
{
	if (!p)
		return;
	ZSTD_freeCCtx(p->zstd);
	free(p);
}

void chunk_pack(struct chunk_packer *p, struct wr *w, const void *bytes, size_t size)
{
	assert(size <= CHUNK_MAX);
	size_t start = w->size;
	wr_u8(w, FORM_ZSTD);
	wr_u32(w, (uint32_t)size);
	size_t bound = ZSTD_compressBound(size);
	uint8_t *room = size < PACK_MIN ? NULL : wr_space(w, bound);
	if (room) {
		size_t n = p ? ZSTD_compressCCtx(p->zstd, room, bound, bytes, size, PACK_LEVEL)
		             : ZSTD_compress(room, bound, bytes, size, PACK_LEVEL);
		if (!ZSTD_isError(n) && n < size) {
			w->size = start + 5 + n;
			return;
		}
	}
	if (!wr_ok(w))
		return;
	w->size = start + 5;
	w->data[start] = FORM_PLAIN;
	wr_bytes(w, bytes, size);
}

static enum err unpack_zstd(const uint8_t *p, size_t n, uint8_t *room, uint32_t size,
                            struct errmsg *msg)
{
	unsigned long long says = ZSTD_getFrameContentSize(p, n);
	if (says != size)
		return err_set(msg, ERR_MALFORMED, "chunk: the zstd frame does not hold %u bytes",
		               size);
	size_t got = ZSTD_decompress(room, size, p, n);
	if (ZSTD_isError(got))
		return err_set(msg, ERR_MALFORMED, "chunk: zstd: %s", ZSTD_getErrorName(got));
	if (got != size)
		return err_set(msg, ERR_MALFORMED, "chunk: unpacks to %zu of %u bytes", got, size);
	return ERR_OK;
}

enum err chunk_unpack(const void *packed, size_t packed_size, struct wr *w, struct errmsg *msg)
{
	struct rd r = rd_of(packed, packed_size);
	uint8_t form;
	uint32_t size;
	if (rd_u8(&r, &form) != ERR_OK || rd_u32(&r, &size) != ERR_OK)
		return err_set(msg, ERR_MALFORMED, "chunk: %zu bytes are too few for its head",
		               packed_size);
	if (size > CHUNK_MAX)
		return err_set(msg, ERR_LIMIT, "chunk: %u bytes, at most %d are allowed", size,
		               CHUNK_MAX);
	if (form > FORM_ZSTD || (form == FORM_PLAIN && rd_left(&r) != size))
		return err_set(msg, ERR_MALFORMED, "chunk: form %u with %zu bytes for %u", form,
		               rd_left(&r), size);
	if (form == FORM_PLAIN) {
		wr_bytes(w, r.p, size);
		return wr_ok(w) ? ERR_OK : err_set(msg, ERR_NOMEM, "chunk: %u bytes", size);
	}
	size_t start = w->size;
	uint8_t *room = wr_space(w, size);
	if (!room)
		return err_set(msg, ERR_NOMEM, "chunk: %u bytes", size);
	enum err e = unpack_zstd(r.p, rd_left(&r), room, size, msg);
	if (e != ERR_OK)
		w->size = start;
	return e;
}
