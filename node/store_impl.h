/* store_impl.h - what the files of the store share (store*.c): the open depot, its transactions, and where a chunk lies. Internal to node/store*.
 *
 * P1  The row of a pack in `packs` says how much of it counts; index and data name nothing behind that, and it was synced before.
 * P2  A pack's file is removed after the transaction that removed its row, with `gate` alone: no reader that began before is left.
 */
#pragma once

#include "node/store.h"
#include "node/store_packs.h"

#include <lmdb.h>
#include <stdatomic.h>
#include <uv.h>

enum { DEPOT_KEEPERS_MAX = 8, DEPOT_ROTTEN_MAX = 4096 };

struct turn;

struct depot {
	MDB_env *env;
	MDB_dbi meta, index, data, pack_rows;
	MDB_dbi tables[DEPOT_TABLE_COUNT];
	struct packs *packs;
	uv_rwlock_t gate;   /* S3, P2 */
	uv_mutex_t writing; /* one transaction at a time; guards next, holds, tail */
	uint64_t next;
	uint64_t holds_ever; /* gc begun before the last hold must not remove anything */
	unsigned holds;
	uint32_t tail;               /* the pack that is written to */
	uint64_t tail_bytes;         /* of it that count */
	uint32_t pack_max;           /* no write that makes the tail larger */
	_Atomic uint64_t pack_bytes; /* of all packs */
	struct wr records;           /* of the writes that are being performed */

	uv_mutex_t queue; /* guards first, last, leading */
	uv_cond_t turned;
	struct turn *first, *last;
	bool leading;

	uv_mutex_t rot; /* guards rotten */
	struct chunk_addr *rotten;
	_Atomic uint32_t rotten_count;

	struct {
		depot_keeper_fn fn;
		void *ctx;
		const char *name;
	} keepers[DEPOT_KEEPERS_MAX];
	unsigned keeper_count;
};

/* A row of `data`. */
struct place {
	bool in_pack;
	uint32_t pack, offset;
	uint32_t size;        /* of the packed chunk */
	uint32_t raw;         /* of the chunk */
	const uint8_t *bytes; /* of one that is not in a pack */
};

static inline MDB_val depot_val(const void *p, size_t size)
{
	return (MDB_val){.mv_size = size, .mv_data = (void *)p};
}

enum err depot_err(int rc, struct errmsg *msg, const char *doing);
enum err depot_read_begin(struct depot *d, MDB_txn **txn);
void depot_read_end(struct depot *d, MDB_txn *txn);
int depot_find_number(struct depot *d, MDB_txn *txn, const struct chunk_addr *addr, uint64_t *n);

bool place_read(const MDB_val *row, struct place *p);
int depot_find_place(struct depot *d, MDB_txn *txn, uint64_t n, struct place *p);
/* The row of number n becomes the place in the pack. */
int depot_put_place(struct depot *d, MDB_txn *txn, uint64_t n, const struct place *p,
                    unsigned flags);
/* Appends the packed chunk to out; MALFORMED when its record is not whole. With a reader open (P2). */
enum err depot_read_place(struct depot *d, const struct chunk_addr *addr, const struct place *p,
                          struct wr *out, struct errmsg *msg);

struct pack_row {
	uint64_t bytes, dead; /* that count, and of these what no row of data names */
};
bool pack_row_read(const MDB_val *value, struct pack_row *row);
int depot_sum_packs(struct depot *d, MDB_txn *txn, struct depot_stats *s);
int depot_pack_row(struct depot *d, MDB_txn *txn, uint32_t pack, struct pack_row *row);
int depot_put_pack_row(struct depot *d, MDB_txn *txn, uint32_t pack, const struct pack_row *row);
/* What lies there is named no more. */
int depot_place_dies(struct depot *d, MDB_txn *txn, const struct place *p);

/* Appends d->records to the tail, or to a new one, and syncs. With `writing`. *pack and *offset: where. The tail grows by depot_records_count(),
 * once the transaction that names them is on disk, and loses them again by depot_records_drop(). */
enum err depot_records_write(struct depot *d, uint32_t *pack, uint64_t *offset, struct errmsg *msg);
int depot_records_account(struct depot *d, MDB_txn *txn, uint32_t pack, uint64_t offset,
                          uint64_t dead);
void depot_records_count(struct depot *d, uint32_t pack, uint64_t offset);
void depot_records_drop(struct depot *d, uint32_t pack, uint64_t offset);
/* The map doubles, or grows by what is needed. */
int depot_grow_map(struct depot *d, size_t need);

bool depot_is_rotten(struct depot *d, const struct chunk_addr *addr);
void depot_rotten(struct depot *d, const struct chunk_addr *addr);
void depot_healed(struct depot *d, const struct chunk_addr *addr);

/* ---- which chunks are named (store_marks.c) ---- */

/* One bit a chunk number. */
struct marks {
	uint8_t *bits;
	uint64_t count; /* numbers below it are known */
};

struct marking {
	struct depot *depot;
	struct marks marks;
	struct wr owners; /* images to look at, 33 bytes each */
	struct errmsg *msg;
	enum err kept_err; /* of what a keeper names */
};

bool marks_has(const struct marks *marks, uint64_t n);
/* What the image names, itself too. NOTFOUND, MALFORMED: it is not whole. */
enum err marking_image(struct marking *m, const struct chunk_addr *id);
enum err marking_keeper(struct marking *m, unsigned i);
/* What all records and keepers name. */
enum err marking_all(struct marking *m);
