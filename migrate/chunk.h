/* chunk.h - content-addressed chunks: their addresses, and their packed form.
 *
 * A chunk is 0..CHUNK_MAX bytes. Its address is one byte naming the hash algorithm and the hash
 * (BLAKE2b-256 is algorithm 1). Equal bytes have equal addresses, so a chunk is sent and stored
 * once. The all-zero page has no address on a wire or disk: the null address (algorithm 0) stands
 * for it. The packed form (chunk_pack) is what a depot or a snapshot file holds. Pure functions; any
 * thread.
 *
 *	struct chunk_addr a = chunk_addr_of(bytes, size);
 *	TRY(chunk_check(&a, bytes, size, &msg));
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CHUNK_PAGE = 4096, /* bytes of a page of linear memory or of a section */
	CHUNK_MAX =
	    1 << 20, /* greatest chunk: the manifest of a 4 GiB memory is about half of it */
	CHUNK_PIECE = 64 << 10, /* a module is cut into pieces of this size */
	CHUNK_ADDR_SIZE = 33,
	CHUNK_HASH_NONE = 0,    /* the null address: a page of zeros, or no chunk */
	CHUNK_HASH_BLAKE2B = 1, /* BLAKE2b-256, RFC 7693 */
};

struct chunk_addr {
	uint8_t
	    bytes[CHUNK_ADDR_SIZE]; /* algorithm, then the hash; all zero for the null address */
};

struct chunk_addr chunk_addr_of(const void *bytes, size_t size);
/* Of a whole page of CHUNK_PAGE: the null address when it is all zero. */
struct chunk_addr chunk_addr_of_page(const uint8_t *page);
bool chunk_addr_equal(const struct chunk_addr *a, const struct chunk_addr *b);
bool chunk_addr_is_null(const struct chunk_addr *a);
/* ERR_MALFORMED when too short; ERR_UNSUPPORTED for an unknown algorithm; a null address must be
 * all zero. */
enum err chunk_addr_read(struct rd *r, struct chunk_addr *out);
void chunk_addr_write(struct wr *w, const struct chunk_addr *a);
/* The first 16 hex digits of the hash, for people. */
void chunk_addr_text(const struct chunk_addr *a, char out[17]);
/* ERR_INVALID when bytes are not the chunk the address names. */
enum err chunk_check(const struct chunk_addr *a, const void *bytes, size_t size,
                     struct errmsg *msg);
/* True when all of size bytes are zero. */
bool bytes_are_zero(const void *bytes, size_t size);

/* The compressor's memory, kept between chunks: packing without it makes and drops it each time. One thread at a time. */
struct chunk_packer;
struct chunk_packer *chunk_packer_new(void); /* NULL when memory ran out */
void chunk_packer_free(struct chunk_packer *p);

/* Packed: 1 byte form (0 as is, 1 zstd), u32 size, then the bytes. Appends to w. size <= CHUNK_MAX.
 */
void chunk_pack(struct chunk_packer *p, struct wr *w, const void *bytes, size_t size);
/* Appends the chunk to w. Hostile input: what does not unpack to exactly the size it states, or is
 * larger than CHUNK_MAX, gives ERR_MALFORMED or ERR_LIMIT. The whole of packed is one chunk. Does
 * not check the hash. */
enum err chunk_unpack(const void *packed, size_t packed_size, struct wr *w, struct errmsg *msg);
