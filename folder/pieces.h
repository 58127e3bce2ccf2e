/* pieces.h - the list of a file's chunks, and lists of lists where it is long.
 *
 * An entry has room for ENTRY_PIECES_MAX pieces. A longer list is cut into chunks of its own, where an address happens to end in zeros, so that an edit
 * changes the part around it and no others; their list is cut again, until it fits. Bytes: docs/formats/folder.md. A builder holds at most a part of each
 * depth; finished parts go to `put`, which stores them. One thread at a time.
 *
 *	struct pieces p = {.put = put_chunk, .ctx = store};
 *	for each chunk: TRY(pieces_add(&p, &addr, size));
 *	TRY(pieces_end(&p, &content));          // sets size, depth, pieces; the content's to free
 */
#pragma once

#include "folder/entry.h"

enum {
	PIECES_PART_AVG =
	    256, /* pieces of a list that is a chunk, about: an address in so many ends a part */
	PIECES_PART_MAX = 4096,
};

struct pieces_level {
	struct piece *at;
	uint32_t count, cap;
	bool used; /* a part of it was put */
};

struct pieces {
	enum err (*put)(void *ctx, const struct chunk_addr *addr, const void *bytes, size_t size);
	void *ctx;
	uint64_t size; /* of the file so far */
	struct pieces_level level[ENTRY_DEPTH_MAX + 1];
};

/* size: 1..CHUNK_MAX. ERR_LIMIT: longer than ENTRY_DEPTH_MAX allows. Errors of put. */
enum err pieces_add(struct pieces *p, const struct chunk_addr *addr, uint64_t size);
/* Ends the file; p is as new, also after an error. out has no pieces before. */
enum err pieces_end(struct pieces *p, struct content *out);
/* Gives up a file. */
void pieces_drop(struct pieces *p);
/* The pieces of a list that is a chunk; *out is the caller's to free(). size: bytes of the file that the list stands for. ERR_MALFORMED when they
 * do not make it up; depth is that of the list itself. */
enum err pieces_read(const void *bytes, size_t bytes_size, unsigned depth, uint64_t size,
                     struct piece **out, uint32_t *count);
