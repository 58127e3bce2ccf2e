/* pack.h - msgpack, strictly: one value has one encoding.
 *
 * Writers append to a struct wr (its failure is asked for once, by wr_ok()). Readers take one value
 * from a struct rd and either give it whole or return an error and move nothing: ERR_MALFORMED when
 * the bytes end early, are of another type, or are not in the shortest form (so what decodes also
 * encodes back to the same bytes); ERR_LIMIT when a length is above the caller's maximum. Nothing
 * allocates while reading; strings and binaries point into the reader's bytes. Floats are doubles;
 * extension types are refused. One thread at a time per reader or writer.
 * Followed: the msgpack specification (2013 edition: str and bin differ).
 *
 *	pack_array(&w, 2);
 *	pack_u64(&w, pid);
 *	pack_text(&w, "doom");
 *	...
 *	TRY(unpack_array(&r, 2, &count));
 *	TRY(unpack_u32(&r, &pid));
 *	TRY(unpack_str(&r, 64, &name, &name_size));
 *	TRY(unpack_end(&r));
 */
#pragma once

#include "base/bytes.h"

enum { PACK_MAX_DEPTH = 16 }; /* nesting that unpack_skip() follows */

enum pack_type {
	PACK_NIL,
	PACK_BOOL,
	PACK_INT, /* both signs */
	PACK_DOUBLE,
	PACK_STR,
	PACK_BIN,
	PACK_ARRAY,
	PACK_MAP,
	PACK_END,  /* no bytes left */
	PACK_OTHER /* never valid here */
};

void pack_nil(struct wr *w);
void pack_bool(struct wr *w, bool v);
void pack_u64(struct wr *w, uint64_t v);
void pack_i64(struct wr *w, int64_t v); /* v >= 0 is written as pack_u64() does */
void pack_double(struct wr *w, double v);
/* size is below 2^32; more makes the writer fail. */
void pack_str(struct wr *w, const char *bytes, size_t size);
void pack_text(struct wr *w, const char *zero_terminated);
void pack_bin(struct wr *w, const void *bytes, size_t size);
/* The header only: count values (map: count keys and values in turn) follow. */
void pack_array(struct wr *w, uint32_t count);
void pack_map(struct wr *w, uint32_t count);

/* What comes next; never fails, moves nothing. */
enum pack_type unpack_peek(const struct rd *r);
enum err unpack_nil(struct rd *r);
enum err unpack_bool(struct rd *r, bool *out);
enum err unpack_u64(struct rd *r, uint64_t *out);
/* ERR_MALFORMED when the value does not fit the type. */
enum err unpack_u32(struct rd *r, uint32_t *out);
enum err unpack_u16(struct rd *r, uint16_t *out);
enum err unpack_u8(struct rd *r, uint8_t *out);
enum err unpack_i64(struct rd *r, int64_t *out);
enum err unpack_i32(struct rd *r, int32_t *out);
enum err unpack_double(struct rd *r, double *out);
/* *out is borrowed from the reader's bytes, not zero-terminated. max is in bytes. */
enum err unpack_str(struct rd *r, size_t max, const char **out, size_t *size);
enum err unpack_bin(struct rd *r, size_t max, const uint8_t **out, size_t *size);
/* Copies into buf with a zero at the end; ERR_LIMIT when cap is too small, ERR_MALFORMED when the
 * string holds a zero byte. */
enum err unpack_text(struct rd *r, char *buf, size_t cap);
/* A binary of exactly size bytes, copied. */
enum err unpack_fixed(struct rd *r, void *buf, size_t size);
/* max counts elements (pairs for a map). A count that the bytes left cannot hold is malformed, so
 * room for *count elements may be allocated. */
enum err unpack_array(struct rd *r, uint32_t max, uint32_t *count);
enum err unpack_map(struct rd *r, uint32_t max, uint32_t *count);
/* Checks and passes over one whole value, nested at most PACK_MAX_DEPTH deep (else ERR_LIMIT). */
enum err unpack_skip(struct rd *r);
/* ERR_MALFORMED when bytes are left. */
enum err unpack_end(const struct rd *r);
