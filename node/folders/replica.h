/* replica.h - one replicated folder of this device: folder/ with a disk under it, and what is open in it.
 *
 * Its records are rows of the store's table FOLDERS, its files' bytes chunks of the same store, which a keeper of the part marks. A change is
 * acknowledged when its records and chunks are on disk: replica_begin(), chunks and folder_*(), replica_end(), which writes all of it or
 * takes all of it back. What a program writes into a file goes into a work file of the node's home first; it becomes
 * the file's next content when a descriptor of it is closed, or by fsync.
 *
 *	replica_lock(r);
 *	struct depot_batch *b;
 *	TRY(replica_begin(r, &b));
 *	e = folder_remove(r->f, &id, now_ms, &msg);
 *	e = replica_end(r, b, e, &msg);
 *	replica_unlock(r);
 *
 * Any thread; all but references with the lock held, which may be held while the disk is waited for.
 */
#pragma once

/* First: on Windows it makes `stat` a macro, and the operation in vfs.h must be called the same everywhere. */
#include <uv.h>

#include "folder/folder.h"
#include "node/store.h"
#include "vfs/vfs.h"

enum { REPLICA_NAME_MAX = 63 };

struct talk;
struct work;

struct replica {
	struct replica *next; /* of the part's. Loop */
	_Atomic uint32_t refs;
	struct depot *depot;
	char name[REPLICA_NAME_MAX + 1];
	struct entry_id id;
	uv_mutex_t lock;
	struct folder *f;
	struct vfs_obj *desk; /* the folder of work files */
	struct work *works;
	uint64_t work_number;
	bool closed;                /* it is not this device's any more, or the node goes down */
	bool reloaded;              /* f is another one: whoever talked about it begins again */
	struct folder *former;      /* which they refer to until then */
	void (*changed)(void *ctx); /* there are news: any thread */
	void *ctx;
	/* talk.c: */
	struct talk *talks;
	uint32_t session, next_origin, scans;
	uint64_t scanned; /* folder_changes() when missing chunks were looked for; 0: to be done */
	uint32_t missing; /* chunks then */
	bool busy, again; /* a job is on the pool; one more is to follow. Loop */
};

/* From the records on disk; writer: of a new one, whose first records are written. desk is referred to. */
enum err replica_open(struct depot *d, const char *name, const struct entry_id *id,
                      struct vfs_obj *desk, struct replica **out, struct errmsg *msg);
enum err replica_make(struct depot *d, const char *name, const struct entry_id *id,
                      const uint8_t *device, struct vfs_obj *desk, struct replica **out,
                      struct errmsg *msg);
struct replica *replica_ref(struct replica *r);
void replica_unref(struct replica *r);
void replica_lock(struct replica *r);
void replica_unlock(struct replica *r);
/* Nothing more happens in it. drop: its records go from disk. */
enum err replica_close(struct replica *r, bool drop, struct errmsg *msg);

/* ERR_CLOSED; ERR_NOMEM. No chunk is collected as garbage until the end. */
enum err replica_begin(struct replica *r, struct depot_batch **out);
/* e: of the change so far. Not ERR_OK in the end: the folder is as it was before. */
enum err replica_end(struct replica *r, struct depot_batch *b, enum err e, struct errmsg *msg);
uint64_t replica_now_ms(void);
/* Calls fn for each chunk that is named, lists too, and those in them as far as they are here. */
enum err replica_each_chunk(struct replica *r, void (*fn)(void *ctx, const struct chunk_addr *addr),
                            void *ctx);

/* ---- open files (work.c) ---- */

/* A file while it is open, for all who have it open: a reference. */
enum ferr work_open(struct replica *r, const struct entry_id *id, struct work **out);
/* What was written is acknowledged first, as far as that goes. */
void work_close(struct replica *r, struct work *w);
enum ferr work_read(struct replica *r, struct work *w, uint64_t offset, const struct vfs_iov *iov,
                    size_t n, size_t *done);
enum ferr work_write(struct replica *r, struct work *w, uint64_t offset, unsigned flags,
                     const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end);
enum ferr work_set_size(struct replica *r, struct work *w, uint64_t size);
/* Durable when FE_OK. */
enum ferr work_commit(struct replica *r, struct work *w);
/* Of an open file that was written: its size and time so far. */
bool work_state(struct replica *r, const struct entry_id *id, uint64_t *size, int64_t *mtime_ns);
/* Its time is this from here on, if it is being written. */
void work_set_mtime(struct replica *r, const struct entry_id *id, int64_t mtime_ns);
/* Its content `before` was replaced by one of the same bytes. */
void work_touched(struct replica *r, const struct entry_id *id, const struct dot *before);
enum ferr replica_ferr(enum err e);

/* ---- the folder as a backend (tree.c) ---- */

enum ferr replica_root(struct replica *r, struct vfs_obj **out);
