/* store.h - what a node keeps on disk: chunks, images, ownership, checkpoints, peers. store*.c are the only door
 * to LMDB.
 *
 * One LMDB environment in <home>/store, opened once by the node, and beside it packs, files of chunks (store_packs.h). Writing goes through a batch: puts
 * and deletes are collected in memory (any thread, no lock held) and depot_write() performs them in
 * one transaction: all or none, on disk when it returns (kill -9 and power cuts lose nothing that
 * was acknowledged, and nothing half-written is ever seen). Batches that wait for the disk go there together. Reading and writing may be done from any
 * thread; writers take turns. Everything here may block on the disk for milliseconds: not on the
 * loop thread, but for single small reads. (The engine's `struct store` is another thing; hence
 * `depot`.) Byte layouts: docs/formats/store.md.
 *
 *	struct depot *d;          depot_open("/home/u/.wasmos/store", &d, &msg);
 *	struct depot_batch *b = depot_batch_new(d);
 *	depot_put(b, DEPOT_PEERS, id, 32, bytes, size);
 *	enum err e = depot_write(b, &msg);       // durable when ERR_OK
 *	depot_batch_free(b);
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "migrate/chunk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct depot;
struct depot_batch;

/* DEPOT(name, what its keys and values are): small tables of bytes by key. */
#define DEPOT_TABLES(DEPOT)                                                                     \
	DEPOT(PEERS, "device id (32 bytes) -> what proto keeps about a paired device")          \
	DEPOT(OWNERS, "process uid (16 bytes) -> struct owner record (migrate/owner.h)")        \
	DEPOT(DEVICES, "number (4 bytes, big-endian) -> an entry of the log of devices "        \
	               "(node/links/devices.c)")                                                \
	DEPOT(SETTINGS, "name -> bytes")                                                        \
	DEPOT(GRANTS, "process uid (16 bytes) -> folders given to it (node/links/fs_remote.h)") \
	DEPOT(FOLDERS, "folder id (16 bytes), kind (1), key (32) -> a record of a replicated "  \
	               "folder (docs/formats/folder.md)")

enum depot_table {
#define DEPOT(name, what) DEPOT_##name,
	DEPOT_TABLES(DEPOT)
#undef DEPOT
	    DEPOT_TABLE_COUNT
};

enum {
	DEPOT_KEY_MAX = 256,        /* bytes of a key; at least 1 */
	DEPOT_VALUE_MAX = 16 << 20, /* bytes of a value */
};

/* Creates dir (0700) when missing. Once in a process, and never before a fork (LMDB's rules).
 * ERR_MALFORMED: of a newer version, damaged, cut short, or empty though it was used before; the message says which. */
enum err depot_open(const char *dir, struct depot **out, struct errmsg *msg);
/* No pack grows beyond so many bytes (at first 16 MiB), but for a batch that is larger. */
void depot_pack_size(struct depot *d, uint32_t bytes);
/* No batch, hold or reader may be left. NULL is fine. */
void depot_close(struct depot *d);

/* ---- small tables ---- */

/* Appends the value to out. ERR_NOTFOUND when there is none. */
enum err depot_get(struct depot *d, enum depot_table t, const void *key, size_t key_size,
                   struct wr *out);
/* Calls fn for each row in key order until it returns false. The rows are a snapshot: fn may write.
 */
enum err depot_each(struct depot *d, enum depot_table t,
                    bool (*fn)(void *ctx, const uint8_t *key, size_t key_size, const uint8_t *value,
                               size_t size),
                    void *ctx);

/* ---- writing ---- */

/* NULL when memory ran out. A batch is used by one thread at a time. */
struct depot_batch *depot_batch_new(struct depot *d);
void depot_batch_free(struct depot_batch *b);
/* Key and value are copied. Memory running out is remembered and reported by depot_write(). */
void depot_put(struct depot_batch *b, enum depot_table t, const void *key, size_t key_size,
               const void *value, size_t size);
void depot_del(struct depot_batch *b, enum depot_table t, const void *key, size_t key_size);
/* Compresses the chunk here (so: on a worker) unless the depot has it already. addr must be the
 * chunk's address (asserted in tests only: the caller has just hashed it). */
void depot_put_chunk(struct depot_batch *b, const struct chunk_addr *addr, const void *bytes,
                     size_t size);
/* Bytes collected so far. */
size_t depot_batch_size(const struct depot_batch *b);
/* One transaction; durable when it returns ERR_OK, nothing written otherwise. The batch is empty
 * afterwards either way. Errors: FULL, IO, NOMEM, LIMIT. */
enum err depot_write(struct depot_batch *b, struct errmsg *msg);
/* A transaction of one setting: value is kept under the name, size 0 removes it. Errors as depot_write(). */
enum err depot_keep_setting(struct depot *d, const char *name, const void *value, size_t size,
                            struct errmsg *msg);

/* ---- chunks ---- */

bool depot_has_chunk(struct depot *d, const struct chunk_addr *addr);
/* Sets bit i of have (LSB first, (count + 7) / 8 bytes, cleared first) for each chunk that is here.
 */
enum err depot_has_chunks(struct depot *d, const struct chunk_addr *addrs, size_t count,
                          uint8_t *have);
/* Appends the chunk to out after checking its hash. ERR_NOTFOUND; ERR_MALFORMED when the bytes on
 * disk are damaged. */
enum err depot_get_chunk(struct depot *d, const struct chunk_addr *addr, struct wr *out,
                         struct errmsg *msg);

/* How many chunks there are. Quick. */
uint64_t depot_chunk_count(struct depot *d);

/* While any hold is out depot_gc() does nothing (ERR_BUSY), and one that runs stops: chunks of an
 * image that is still being collected are named by nobody yet. So: hold, put chunks, write the
 * ownership record that names the image, release. Counted. */
void depot_hold(struct depot *d);
void depot_release(struct depot *d);

/* Something beside the ownership records that names chunks which are to stay: its function calls mark for each (also for some that are not here), from any thread, while
 * depot_gc() runs. Registered before the first depot_gc(); at most 8 (asserted). name is static. */
typedef void (*depot_mark_fn)(void *gc, const struct chunk_addr *addr);
typedef enum err (*depot_keeper_fn)(void *ctx, depot_mark_fn mark, void *gc, struct errmsg *msg);
void depot_keeper(struct depot *d, const char *name, depot_keeper_fn fn, void *ctx);

struct depot_gc_result {
	uint64_t kept, removed; /* chunks */
	uint64_t removed_bytes; /* as stored */
	uint64_t packs_removed, moved_bytes;
	uint64_t longest_ns; /* that writers had to wait for one of its steps */
};
/* Removes the chunks that no ownership record's image names (image -> groups, sections -> pages), nor a keeper, but for the newest
 * ones up to spare_bytes: programs come back, and then they need not be sent again. Works in short transactions. A chunk that cannot be read keeps what it might name: then nothing
 * is removed and the error is returned. */
enum err depot_gc(struct depot *d, uint64_t spare_bytes, struct depot_gc_result *out,
                  struct errmsg *msg);

/* ---- whether it is sound, and what takes the room ---- */

struct depot_scrub {
	uint64_t chunks, bytes, damaged; /* bytes of chunks */
};
/* Reads chunks in the order of their addresses from *from on (at first all zero) until it has max_bytes of them, moves it on and adds to *sum. *end: there
 * are no more. Those that are damaged are remembered. */
enum err depot_scrub(struct depot *d, struct chunk_addr *from, uint64_t max_bytes,
                     struct depot_scrub *sum, bool *end, struct errmsg *msg);
/* Chunks that were found damaged since the store was opened, by whatever reads, and were not put again: up to max of them into out; how many. */
uint32_t depot_damaged(struct depot *d, struct chunk_addr *out, uint32_t max);

struct depot_soundness {
	uint64_t images,
	    broken_images; /* of ownership records; of which a chunk is missing or damaged */
	uint64_t lost;     /* chunks whose address or whose row is gone */
	uint64_t short_packs,
	    wrong_packs; /* files that are cut short or gone; rows that count wrong */
	char first[160]; /* what is wrong first; "" */
};
/* Everything but the chunks' own bytes. repair: rows of packs are put right, lost chunks go. */
enum err depot_check(struct depot *d, bool repair, struct depot_soundness *out, struct errmsg *msg);

struct owner;
struct depot_use {
	const struct owner *owner; /* NULL: a keeper, or what nothing names */
	const char *name;          /* the program's, the keeper's; NULL: what nothing names */
	uint64_t chunks, bytes;    /* as stored */
	uint64_t own_bytes;        /* that nothing else names */
	bool broken;               /* not all that it names is here */
};
/* Calls fn for each image of an ownership record, each keeper, and the rest. */
enum err depot_uses(struct depot *d, void (*fn)(void *ctx, const struct depot_use *u), void *ctx,
                    struct errmsg *msg);

struct depot_stats {
	uint64_t chunks, chunk_bytes, raw_bytes; /* stored bytes, and what they stand for */
	uint64_t map_bytes, used_bytes;          /* of the LMDB map; of that and the packs */
	uint64_t packs, pack_bytes, dead_bytes;  /* pack files; of their bytes those of no chunk */
};
enum err depot_stats(struct depot *d, struct depot_stats *out);
/* used_bytes alone. Quick. */
uint64_t depot_used_bytes(struct depot *d);
