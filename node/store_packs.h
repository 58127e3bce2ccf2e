/* store_packs.h - the files that the store's chunks lie in: <store>/packs/00000001.pack and so on, written at their end only.
 *
 * A pack is records one after the other (docs/formats/store.md): each says its length, its chunk's address and a checksum. Which of them count
 * is said by the store's index (node/store.c), which names nothing that was not synced before. Numbers are never used again while the store is open.
 *
 *	TRY(packs_open(dir, &packs, msg));
 *	TRY(packs_write(packs, 3, at, records, size, msg));
 *	TRY(packs_sync(packs, 3, msg));                     // now the index may point there
 *	TRY(packs_read(packs, 3, at, buf, size, msg));
 *
 * Any thread may read; one at a time writes; nothing is read of a pack that is being removed. All calls block on the disk.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "migrate/chunk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PACK_RECORD_ADDR = 24, /* where a record's address begins */
	PACK_RECORD_HEAD = PACK_RECORD_ADDR + CHUNK_ADDR_SIZE,
	PACK_PAYLOAD_MAX = CHUNK_MAX + 64,
};

struct packs;

enum err packs_open(const char *store, struct packs **out, struct errmsg *msg);
/* NULL is fine. */
void packs_close(struct packs *p);
/* Each pack in the folder and its size. */
void packs_each(struct packs *p, void (*fn)(void *ctx, uint32_t number, uint64_t size), void *ctx);
/* A pack is made by writing to it. FULL, IO. */
enum err packs_write(struct packs *p, uint32_t number, uint64_t offset, const void *bytes,
                     size_t size, struct errmsg *msg);
/* What was written of it, and its name, are on the disk when it returns ERR_OK. */
enum err packs_sync(struct packs *p, uint32_t number, struct errmsg *msg);
/* What is behind size goes; that it cannot is no harm. */
void packs_cut(struct packs *p, uint32_t number, uint64_t size);
/* What is there takes no room any more, where the system can do that. Nothing is read meanwhile. */
void packs_punch(struct packs *p, uint32_t number, uint64_t offset, uint64_t size);
enum err packs_read(struct packs *p, uint32_t number, uint64_t offset, void *buf, size_t size,
                    struct errmsg *msg);
void packs_remove(struct packs *p, uint32_t number);

/* ---- records ---- */

/* Begins a record at the end of w: its payload is appended next. Returns where it began. */
size_t pack_record_begin(struct wr *w, const struct chunk_addr *addr);
/* All of the payload is in w: length and checksum are put in their places. */
void pack_record_end(struct wr *w, size_t begin);
/* Whether it begins as the record of this chunk; whether its payload is right the chunk's own hash tells who unpacks it. */
bool pack_record_is(const uint8_t *record, size_t size, const struct chunk_addr *addr);
/* The address of a record, as it says. */
struct chunk_addr pack_record_addr(const uint8_t *record);
/* For who does not unpack it: whether all of it is as it was written. */
bool pack_record_is_whole(const uint8_t *record, size_t size);
