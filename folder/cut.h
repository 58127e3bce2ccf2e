/* cut.h - where a file is cut into chunks: by its content, so that an insertion changes the chunks around it and no others.
 *
 * FastCDC with normalised chunking (Xia et al., "FastCDC: a Fast and Efficient Content-Defined Chunking Approach for Data
 * Deduplication", USENIX ATC 2016), level 2: a gear hash rolls over the bytes; a chunk ends where the hash's upper bits are zero:
 * 18 of them before CUT_AVG bytes, 14 after it, never before CUT_MIN, always at CUT_MAX. The gear table comes from a key by BLAKE2b;
 * which chunks a file has depends on the key and the file alone: not on the machine, nor on how the bytes were fed.
 * A key that others do not know keeps them from telling by the sizes of sealed chunks which file it is.
 *
 * A cutter is a value; nothing allocates; one thread at a time.
 *
 *	struct cutter c;
 *	cutter_init(&c, NULL);
 *	while (size) {
 *		size_t n = cutter_feed(&c, bytes, size, &ended);     // n bytes belong to the chunk under way
 *		...                                                  // ended: and it ends behind them
 *	}
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CUT_MIN = 16 << 10,
	CUT_AVG = 64 << 10,
	CUT_MAX = 256 << 10,
	CUT_KEY_SIZE = 32,
};

struct cutter {
	uint64_t gear[256];
	uint64_t hash;
	size_t size; /* of the chunk under way, so far; below CUT_MAX */
};

/* key: CUT_KEY_SIZE bytes; NULL is the key of zeros, which everybody knows. */
void cutter_init(struct cutter *c, const uint8_t *key);
/* How many of the bytes belong to the chunk under way: all of them, or fewer or as many with *ended. The last chunk of a file ends with
 * the file: cutter_reset() then. size is above 0, and so is the answer. */
size_t cutter_feed(struct cutter *c, const void *bytes, size_t size, bool *ended);
/* The next byte begins a chunk. */
void cutter_reset(struct cutter *c);
