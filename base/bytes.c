/* bytes.c - bounded cursor and growing buffer. */
#include "base/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct rd rd_of(const void *bytes, size_t size)
{
	const uint8_t *p = bytes;
	return (struct rd){.start = p, .p = p, .end = size ? p + size : p};
}

enum err rd_bytes(struct rd *r, size_t size, const uint8_t **out)
{
	if (size > rd_left(r))
		return ERR_MALFORMED;
	*out = r->p;
	r->p += size;
	return ERR_OK;
}

enum err rd_sub(struct rd *r, size_t size, struct rd *out)
{
	const uint8_t *p;
	TRY(rd_bytes(r, size, &p));
	*out = rd_of(p, size);
	return ERR_OK;
}

static enum err rd_le(struct rd *r, unsigned size, uint64_t *out)
{
	const uint8_t *p;
	TRY(rd_bytes(r, size, &p));
	uint64_t v = 0;
	for (unsigned i = size; i-- > 0;)
		v = v << 8 | p[i];
	*out = v;
	return ERR_OK;
}

enum err rd_u8(struct rd *r, uint8_t *out)
{
	if (r->p == r->end)
		return ERR_MALFORMED;
	*out = *r->p++;
	return ERR_OK;
}

enum err rd_u16(struct rd *r, uint16_t *out)
{
	uint64_t v;
	TRY(rd_le(r, 2, &v));
	*out = (uint16_t)v;
	return ERR_OK;
}

enum err rd_u32(struct rd *r, uint32_t *out)
{
	uint64_t v;
	TRY(rd_le(r, 4, &v));
	*out = (uint32_t)v;
	return ERR_OK;
}

enum err rd_u64(struct rd *r, uint64_t *out)
{
	return rd_le(r, 8, out);
}

/* Unsigned LEB128 of at most bits bits (spec 5.2.2: at most ceil(bits/7) bytes, unused bits zero). */
static enum err rd_uleb(struct rd *r, unsigned bits, uint64_t *out)
{
	const uint8_t *p = r->p;
	uint64_t v = 0;
	for (unsigned shift = 0; shift < bits; shift += 7) {
		if (p == r->end)
			return ERR_MALFORMED;
		uint8_t b = *p++;
		if (bits - shift < 7 && (b & 0x7f) >> (bits - shift))
			return ERR_MALFORMED;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			r->p = p;
			*out = v;
			return ERR_OK;
		}
	}
	return ERR_MALFORMED;
}

/* Signed LEB128 of at most bits bits; the last byte's unused bits must repeat the sign. */
static enum err rd_sleb(struct rd *r, unsigned bits, int64_t *out)
{
	const uint8_t *p = r->p;
	uint64_t v = 0;
	for (unsigned shift = 0; shift < bits; shift += 7) {
		if (p == r->end)
			return ERR_MALFORMED;
		uint8_t b = *p++;
		unsigned left = bits - shift;
		if (left < 7) {
			int8_t top = (int8_t)(uint8_t)(b << 1) >> left;
			if (top != 0 && top != -1)
				return ERR_MALFORMED;
		}
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			unsigned used = shift + 7 < 64 ? shift + 7 : 64;
			if (used < 64 && b & 0x40)
				v |= ~(uint64_t)0 << used;
			r->p = p;
			*out = (int64_t)v;
			return ERR_OK;
		}
	}
	return ERR_MALFORMED;
}

enum err rd_leb_u32(struct rd *r, uint32_t *out)
{
	uint64_t v;
	TRY(rd_uleb(r, 32, &v));
	*out = (uint32_t)v;
	return ERR_OK;
}

enum err rd_leb_s32(struct rd *r, int32_t *out)
{
	int64_t v;
	TRY(rd_sleb(r, 32, &v));
	*out = (int32_t)v;
	return ERR_OK;
}

enum err rd_leb_s33(struct rd *r, int64_t *out)
{
	return rd_sleb(r, 33, out);
}

enum err rd_leb_u64(struct rd *r, uint64_t *out)
{
	return rd_uleb(r, 64, out);
}

enum err rd_leb_s64(struct rd *r, int64_t *out)
{
	return rd_sleb(r, 64, out);
}

void wr_free(struct wr *w)
{
	free(w->data);
	*w = (struct wr){0};
}

void wr_clear(struct wr *w)
{
	w->size = 0;
	w->failed = false;
}

uint8_t *wr_take(struct wr *w, size_t *size)
{
	uint8_t *data = w->data;
	*size = w->size;
	*w = (struct wr){0};
	return data;
}

bool wr_ok(const struct wr *w)
{
	return !w->failed;
}

static bool wr_grow(struct wr *w, size_t size)
{
	if (w->failed || size > SIZE_MAX / 4 || w->size > SIZE_MAX / 4) {
		w->failed = true;
		return false;
	}
	size_t need = w->size + size;
	if (need <= w->cap)
		return true;
	size_t cap = w->cap ? w->cap : 64;
	while (cap < need)
		cap *= 2;
	uint8_t *data = realloc(w->data, cap);
	if (!data) {
		w->failed = true;
		return false;
	}
	w->data = data;
	w->cap = cap;
	return true;
}

uint8_t *wr_space(struct wr *w, size_t size)
{
	if (!wr_grow(w, size ? size : 1))
		return NULL;
	uint8_t *p = w->data + w->size;
	memset(p, 0, size);
	w->size += size;
	return p;
}

void wr_bytes(struct wr *w, const void *bytes, size_t size)
{
	if (!size || !wr_grow(w, size))
		return;
	memcpy(w->data + w->size, bytes, size);
	w->size += size;
}

static void wr_le(struct wr *w, uint64_t v, unsigned size)
{
	uint8_t b[8];
	for (unsigned i = 0; i < size; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	wr_bytes(w, b, size);
}

void wr_u8(struct wr *w, uint8_t v)
{
	wr_le(w, v, 1);
}

void wr_u16(struct wr *w, uint16_t v)
{
	wr_le(w, v, 2);
}

void wr_u32(struct wr *w, uint32_t v)
{
	wr_le(w, v, 4);
}

void wr_u64(struct wr *w, uint64_t v)
{
	wr_le(w, v, 8);
}

void wr_leb_u64(struct wr *w, uint64_t v)
{
	do {
		uint8_t b = v & 0x7f;
		v >>= 7;
		wr_u8(w, v ? b | 0x80 : b);
	} while (v);
}

void wr_leb_u32(struct wr *w, uint32_t v)
{
	wr_leb_u64(w, v);
}

void wr_leb_s64(struct wr *w, int64_t v)
{
	for (;;) {
		uint8_t b = v & 0x7f;
		v >>= 7;
		bool done = (v == 0 && !(b & 0x40)) || (v == -1 && b & 0x40);
		wr_u8(w, done ? b : b | 0x80);
		if (done)
			return;
	}
}

void wr_leb_s32(struct wr *w, int32_t v)
{
	wr_leb_s64(w, v);
}

void wr_patch_u32(struct wr *w, size_t offset, uint32_t v)
{
	if (w->failed)
		return;
	assert(offset + 4 <= w->size);
	for (unsigned i = 0; i < 4; i++)
		w->data[offset + i] = (uint8_t)(v >> (8 * i));
}
