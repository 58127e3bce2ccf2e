/* remote_impl.h - what the parts of vfs/remote.h share: remote.c (asking, names), remote_data.c (reading and writing) and remote_kept.c (what is
 * left when the home is away). Internal to vfs/. */
#pragma once

#include "vfs/fsmsg.h"
#include "vfs/remote.h"
#include "vfs/remote_cache.h"

/* A file some object stands for: what we know of its contents. known: version is. */
struct rfile {
	struct rfile *next;
	uint32_t refs;
	bool known;
	bool was_read;
	struct behind *behind; /* what is written and not there yet; NULL: nothing ever was */
	bool in_doubt;         /* the home was away since: the next version it tells is compared */
	struct fs_version version; /* dev and ino are always right */
	uint64_t next_index;       /* the block a sequential reader asks for next */
	uint32_t window;           /* blocks of one request */
};

struct vfs_remote {
	_Atomic uint32_t refs;
	struct vfs_remote_config cfg;
	struct cache *cache;
	struct behind_pool *pool; /* NULL: each write waits */
	struct rfile *files;
	struct robj *objects; /* all that are open */
	uint32_t closed[FS_CLOSED_MAX];
	uint32_t nclosed;
	bool abandoned;
	struct wr request, answer;
	bool overwrites;             /* may replace what was read before */
	bool may_repeat;             /* asking twice does the same as asking once */
	size_t handle_at, second_at; /* where the numbers stand in request; second_at 0: none */
	struct vfs_remote_stats stats;
};

struct robj {
	struct vfs_obj base;
	struct vfs_remote *r;
	struct robj *next; /* of r->objects */
	bool removed;      /* by this process: it has no name any more */
	uint32_t err_seq;  /* the last error of its file\'s writes that it was told */
	bool stale; /* the file was changed while its home was away: nothing is written here */
	uint32_t handle, mount_id;
	unsigned flags;     /* VFS_READ, VFS_WRITE */
	char *path;         /* in the mount */
	struct rfile *file; /* NULL for folders */
	uint64_t dev, ino;
	struct wr all;        /* all entries so far, to be kept */
	struct wr list;       /* the last entries we were given */
	uint64_t list_cookie; /* what they follow */
	bool list_ended;
};

static inline struct robj *robj_of(struct vfs_obj *o)
{
	return (struct robj *)o;
}

/* A result that does not parse. */
#define GET(expr)                     \
	do {                          \
		if ((expr) != ERR_OK) \
			return FE_IO; \
	} while (0)

/* ---- remote.c ---- */

/* The beginning of a request about o, in o->r->request: its number comes first. */
struct wr *remote_begin_at(struct robj *o, enum fsop op);
/* Sends it. IO: no answer, or none that can be understood. *results is valid until the next request. */
enum ferr remote_ask(struct robj *o, struct rd *results);
bool remote_same_version(const struct fs_version *a, const struct fs_version *b);
void remote_drop_all(struct vfs_remote *r, const struct rfile *f);
/* Before a change: STALE when somebody else wrote while the home was away. */
enum ferr remote_may_change(struct robj *o);
/* A version at the beginning of results is that of o's file now. */
enum ferr remote_get_version(struct robj *o, struct rd *results);
enum ferr remote_stat(struct vfs_obj *b, struct vfs_stat *out);

/* ---- remote_data.c ---- */

enum ferr remote_read(struct vfs_obj *b, uint64_t offset, const struct vfs_iov *iov, size_t n,
                      size_t *done);
enum ferr remote_write(struct vfs_obj *b, uint64_t offset, unsigned flags,
                       const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end);
enum ferr remote_set_size(struct vfs_obj *b, uint64_t size_bytes);
enum ferr remote_allocate(struct vfs_obj *b, uint64_t offset, uint64_t size_bytes);
enum ferr remote_sync(struct vfs_obj *b, bool data_only);

/* ---- remote_behind.c: INPROGRESS, as vfs_remote_config.call ---- */

struct behind_pool *behind_pool_new(const struct vfs_remote_config *c);
/* Nothing more is sent. NULL is fine. */
void behind_pool_end(struct behind_pool *p);
enum ferr behind_write(struct robj *o, uint64_t offset, const struct vfs_iov *iov, size_t n,
                       size_t *done, uint64_t *end);
/* All that was written to o's file has been answered. */
enum ferr behind_settle(struct robj *o);
/* The same, until that is so or will never be. */
enum ferr behind_settle_whole(struct robj *o);
/* Of all files that are open. */
enum ferr behind_settle_all(struct vfs_remote *r);
bool behind_pending(const struct rfile *file);
/* An error that o was not told yet; it is then. */
enum ferr behind_error(struct robj *o);
bool behind_has_error(const struct robj *o);
/* Errors from before are not o's. */
void behind_opened(struct robj *o);
/* o ends: what it wrote goes on its way. */
void behind_closing(struct robj *o);
void behind_forget(struct rfile *file);

/* ---- remote_kept.c: names are paths in the mount; without a place to keep things all of it does nothing ---- */

/* st NULL: nothing stands there (any more). */
void kept_put_stat(struct vfs_remote *r, uint32_t mount_id, const char *path, bool follow,
                   const struct vfs_stat *st);
/* HOSTDOWN: nothing is known. The time of the last access is when the home last said so. */
enum ferr kept_stat(struct vfs_remote *r, uint32_t mount_id, const char *path, bool follow,
                    struct vfs_stat *out);
/* text NULL: it is no link. */
void kept_put_link(struct vfs_remote *r, uint32_t mount_id, const char *path, const uint8_t *text,
                   size_t size);
enum ferr kept_link(struct vfs_remote *r, uint32_t mount_id, const char *path, char *buf,
                    size_t *size);
/* The whole list of a folder, as READDIR answers. */
void kept_put_list(const struct robj *o, const struct wr *list);
enum ferr kept_list(const struct robj *o, struct wr *list);
/* A block of the version that the file has. */
void kept_put_block(const struct robj *o, uint64_t index, const uint8_t *bytes, uint32_t size);
enum ferr kept_block(const struct robj *o, uint64_t index, struct wr *bytes);
/* The name is gone. */
void kept_forget(struct vfs_remote *r, uint32_t mount_id, const char *path);
