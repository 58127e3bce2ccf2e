/* bytes.h - bounded reading of bytes from outside, and growing buffers to write bytes into.
 *
 * A reader never passes its end: a read that would returns ERR_MALFORMED and moves nothing. Integers
 * are little-endian; LEB128 follows the wasm core spec 5.2.2 (length and unused bits are checked).
 * A writer remembers that memory ran out; wr_ok() is asked once, at the end. One thread at a time.
 *
 *	struct rd r = rd_of(bytes, size);
 *	uint32_t count;
 *	TRY(rd_leb_u32(&r, &count));
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rd {
	const uint8_t *start; /* borrowed: lives at least as long as the reader */
	const uint8_t *p;
	const uint8_t *end;
};

struct rd rd_of(const void *bytes, size_t size);

static inline size_t rd_left(const struct rd *r)
{
	return (size_t)(r->end - r->p);
}

static inline size_t rd_offset(const struct rd *r)
{
	return (size_t)(r->p - r->start);
}

enum err rd_u8(struct rd *r, uint8_t *out);
enum err rd_u16(struct rd *r, uint16_t *out);
enum err rd_u32(struct rd *r, uint32_t *out);
enum err rd_u64(struct rd *r, uint64_t *out);
enum err rd_leb_u32(struct rd *r, uint32_t *out);
enum err rd_leb_s32(struct rd *r, int32_t *out);
enum err rd_leb_s33(struct rd *r, int64_t *out);
enum err rd_leb_u64(struct rd *r, uint64_t *out);
enum err rd_leb_s64(struct rd *r, int64_t *out);
/* *out points into the reader's bytes (borrowed). */
enum err rd_bytes(struct rd *r, size_t size, const uint8_t **out);
/* A reader over the next size bytes, which r skips. */
enum err rd_sub(struct rd *r, size_t size, struct rd *out);

struct wr {
	uint8_t *data; /* owned by the writer; wr_free() or wr_take() */
	size_t size;
	size_t cap;
	bool failed; /* memory ran out: contents are incomplete */
};

void wr_free(struct wr *w);
/* Keeps the memory, forgets the contents. */
void wr_clear(struct wr *w);
/* Gives the bytes to the caller (free()); the writer is empty afterwards. */
uint8_t *wr_take(struct wr *w, size_t *size);
bool wr_ok(const struct wr *w);
/* Room for size more bytes, counted as written; NULL when memory ran out. Contents are zeroed. */
uint8_t *wr_space(struct wr *w, size_t size);
void wr_bytes(struct wr *w, const void *bytes, size_t size);
void wr_u8(struct wr *w, uint8_t v);
void wr_u16(struct wr *w, uint16_t v);
void wr_u32(struct wr *w, uint32_t v);
void wr_u64(struct wr *w, uint64_t v);
void wr_leb_u32(struct wr *w, uint32_t v);
void wr_leb_u64(struct wr *w, uint64_t v);
void wr_leb_s32(struct wr *w, int32_t v);
void wr_leb_s64(struct wr *w, int64_t v);
/* Overwrites 4 bytes written before, at offset. */
void wr_patch_u32(struct wr *w, size_t offset, uint32_t v);
