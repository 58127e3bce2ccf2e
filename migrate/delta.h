/* delta.h - pages on their way between two devices: batches of up to 64 pages in one zstd frame.
 *
 * A page is sent whole, or XORed with the page that the peer has in the same place, which the
 * sender knows: pages of a running program change in few bytes, so most of the XOR is zeros and the
 * frame small. The receiver applies a batch to its image. Both sides' images of "what the target
 * has" are equal at every batch border; the manifest at the end proves it. Byte layout of a batch:
 *
 *	u8 version=1, u8 count (1..64), count x { u8 space, u8 form (0 whole, 1 xor), leb128 page },
 *	u32 size of the frame, zstd frame of exactly count * 4096 bytes
 *
 * One thread at a time. Input of delta_apply() is hostile.
 *
 *	delta_add(enc, image, space, page, bytes, true);    // as many as fit
 *	TRY(delta_end(enc, &w));                           // one batch
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "migrate/image.h"

enum { DELTA_PAGES_MAX = 64 };

struct delta; /* one direction's scratch memory and zstd contexts */

struct delta *delta_new(void); /* NULL when memory ran out */
void delta_free(struct delta *d);

/* Adds a page to the batch under way. has is the image the peer has now: when the page in it is not
 * zero the XOR is sent. Then writes bytes (CHUNK_PAGE) into has. At most DELTA_PAGES_MAX a batch
 * (asserted). */
void delta_add(struct delta *d, struct image *has, uint32_t space, uint64_t page,
               const uint8_t *bytes);
uint32_t delta_count(const struct delta *d);
/* Appends the batch and starts the next. Nothing when it is empty. ERR_NOMEM. */
enum err delta_end(struct delta *d, struct wr *out);

/* Applies one batch (all of bytes) to the image; nothing is changed unless all of it is
 * well-formed. *pages: how many it held. */
enum err delta_apply(struct delta *d, struct image *im, const void *bytes, size_t size,
                     uint32_t *pages, struct errmsg *msg);
