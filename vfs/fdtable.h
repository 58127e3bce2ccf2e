/* fdtable.h - the open files of one process.
 *
 * A descriptor is a number with rights; it stands for an open file description (struct vfs_file):
 * an object, an offset and flags, which dup'ed descriptors share. Descriptors are the lowest free
 * number. Used by the thread that runs the process, or by the node while it stands.
 *
 * Rights are WASI preview 1's: what may be done with a descriptor, and (inheriting) what
 * descriptors opened beneath it may have.
 *
 *	struct fd_entry *e;
 *	FTRY(fdtable_use(t, fd, RIGHT_FD_READ, &e));     // BADF, NOTCAPABLE
 *	FTRY(vfs_read(e->file->obj, e->file->offset, iov, n, &done));
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "vfs/budget.h"
#include "vfs/mount.h"
#include "vfs/vfs.h"

enum { FDTABLE_MAX = 4096 };

enum {
#define RIGHT(bit, name) RIGHT_##name##_BIT = bit,
#include "vfs/rights.def"
#undef RIGHT
	RIGHT_COUNT
};
#define RIGHT(bit, name) static const uint64_t RIGHT_##name = UINT64_C(1) << bit;
#include "vfs/rights.def"
#undef RIGHT
#define RIGHTS_ALL ((UINT64_C(1) << RIGHT_COUNT) - 1)

/* The rights that make sense for a type of file: what open gives at most. */
uint64_t rights_of_type(enum vfs_type type);

/* An open file description. */
struct vfs_file {
	uint32_t refs;
	struct vfs_obj *obj;     /* owned reference */
	struct vfs_mount *mount; /* owned reference; NULL for streams and pipes */
	char *path; /* in the mount, as it was opened ("." for its root); NULL with no mount */
	uint64_t offset;
	uint32_t reads,
	    writes; /* calls, tried ones too: behind one an edge is new to who waits for edges */
	unsigned flags;  /* VFS_READ, VFS_WRITE, VFS_APPEND, VFS_NONBLOCK, VFS_*SYNC */
	char stream[16]; /* what a stream is called in an image ("stdin"); the node finds it by this
	                  */
	void (*released)(void *ctx,
	                 const struct vfs_file *f); /* the last reference goes; NULL: nobody asks */
	void *released_ctx;
	struct vfs_budget *budget; /* who has paid for it: a reference. NULL: nobody */
	uint64_t paid_bytes;
	uint32_t paid_host_files;
};

struct fd_entry {
	struct vfs_file *file; /* NULL: free */
	uint64_t rights, inheriting;
	bool preopen; /* WASI prestat: path is the mount's guest path */
	bool cloexec; /* Linux: closed when another program takes the process over */
};

struct fdtable;

enum err fdtable_new(struct fdtable **out);
void fdtable_free(struct fdtable *t);
uint32_t fdtable_size(const struct fdtable *t); /* one past the highest descriptor in use */
/* New descriptors are below it: at most FDTABLE_MAX, which it is at first. MFILE else. A copy has the same. */
void fdtable_set_limit(struct fdtable *t, uint32_t limit);

/* Takes the reference to obj, also on failure (NULL). path is copied; mount is referenced. */
struct vfs_file *vfs_file_new(struct vfs_obj *obj, struct vfs_mount *mount, const char *path,
                              unsigned flags);
void vfs_file_unref(struct vfs_file *f);
/* It costs so much, or so much more, until it is gone: false when the budget (the first one it was charged to) has no more. */
bool vfs_file_charge(struct vfs_file *f, struct vfs_budget *b, uint64_t bytes, uint32_t host_files);

/* Takes the reference to f, also on failure. MFILE. */
enum ferr fdtable_add(struct fdtable *t, struct vfs_file *f, uint64_t rights, uint64_t inheriting,
                      uint32_t *fd);
enum ferr fdtable_add_at(struct fdtable *t, uint32_t fd, struct vfs_file *f, uint64_t rights,
                         uint64_t inheriting);
bool fdtable_has_room(const struct fdtable *t);
/* Borrowed until the table changes. BADF; NOTCAPABLE when the descriptor lacks one of rights. */
enum ferr fdtable_use(struct fdtable *t, uint32_t fd, uint64_t rights, struct fd_entry **out);
/* BADF. Of vfs_flush(): what was written did not get to where it belongs. The descriptor is closed all the same. */
enum ferr fdtable_close(struct fdtable *t, uint32_t fd);
/* WASI: from becomes to, what to was is closed; both must be open. */
enum ferr fdtable_renumber(struct fdtable *t, uint32_t from, uint32_t to);
/* POSIX dup: the lowest free descriptor >= at_least, same description. */
enum ferr fdtable_dup(struct fdtable *t, uint32_t fd, uint32_t at_least, uint32_t *out);
/* fork: another table of the same descriptions, with their descriptors' rights and flags. Both are then used under one lock. */
enum err fdtable_copy(const struct fdtable *t, struct fdtable **out);
/* Opens a mount's root as a preopened descriptor, at the lowest free number. */
enum ferr fdtable_preopen(struct fdtable *t, struct vfs_mount *m, uint32_t *fd);

/* ---- as part of an image: docs/formats/wasi.md ---- */

/* Writes mounts, descriptions, descriptors, memory files, pipe bytes. A file of this device that has no name any more
 * is carried by its contents when it is not larger than FDTABLE_CARRY_MAX. UNSUPPORTED names what cannot move. */
enum { FDTABLE_CARRY_MAX = 32 << 20 };
enum err fdtable_save(struct fdtable *t, struct vfs_ns *ns, struct wr *out, struct errmsg *msg);

/* ---- tables of relatives, which share descriptions ----
 *
 *	fdset_new(&s); fdset_add(s, a); fdset_add(s, b);          // each description once, in this order
 *	fdset_save(s, ns, &shared, &msg);                         // mounts and descriptions
 *	fdtable_save_in(a, s, &of_a); fdtable_save_in(b, s, &of_b);
 *
 *	fdset_load(&shared, &loader, &s, &msg);
 *	fdtable_load_in(&of_a, s, &a, &msg); ...
 *	fdset_check(s, &msg);                                     // nothing is left over
 */
struct fdset;
enum err fdset_new(struct fdset **out);
void fdset_free(struct fdset *s);
/* LIMIT: more than 65,535 descriptions. */
enum err fdset_add(struct fdset *s, struct fdtable *t);
/* In the order in which they are written: the handle of the i-th in an image is i + 1 (vfs/serve.h). NULL past the last. */
struct vfs_file *fdset_file(const struct fdset *s, uint32_t i);
/* UINT32_MAX: not in the set. */
uint32_t fdset_index(const struct fdset *s, const struct vfs_file *f);
/* Of one that was loaded: its mounts, borrowed. */
struct vfs_ns *fdset_ns(const struct fdset *s);
enum err fdset_save(const struct fdset *s, struct vfs_ns *ns, struct wr *out, struct errmsg *msg);
/* Every description of t is in the set. */
enum err fdtable_save_in(struct fdtable *t, const struct fdset *s, struct wr *out);

/* What the node does for a table that is loaded. */
struct fdtable_loader {
	/* The root of a mount that is not in memory: vfs_host_new() when this device is its home, else
	 * vfs_remote_mount(). c->host may be replaced by a text that stays. */
	enum err (*open_mount)(void *ctx, struct vfs_mount_config *c, struct vfs_obj **root,
	                       struct errmsg *msg);
	/* "stdin", ... of the process's terminal. */
	enum err (*open_stream)(void *ctx, const char *name, struct vfs_obj **out,
	                        struct errmsg *msg);
	/* May be NULL. A file that this device kept open for the process while it was elsewhere, under
	 * this handle: a reference, or NULL when it is not there (then it is opened again by its path). */
	struct vfs_obj *(*held)(void *ctx, uint32_t mount_id, uint32_t handle, unsigned flags);
	/* May be NULL. What vfs_ops.save of an object saved_as kind wrote, all of in: hostile. */
	enum err (*load_object)(void *ctx, uint8_t kind, struct rd *in, struct vfs_obj **out,
	                        struct errmsg *msg);
	void *ctx;
};
enum { FDTABLE_OBJECT_MAX = 1 << 20 /* bytes of one such object */ };
/* Hostile bytes. A file that is not there any more becomes vfs_gone_new(). */
enum err fdtable_load(struct rd *in, const struct fdtable_loader *l, struct fdtable **t,
                      struct vfs_ns **ns, struct errmsg *msg);
enum err fdset_load(struct rd *in, const struct fdtable_loader *l, struct fdset **out,
                    struct errmsg *msg);
enum err fdtable_load_in(struct rd *in, struct fdset *s, struct fdtable **t, struct errmsg *msg);
/* When all tables are loaded: each description has a descriptor. */
enum err fdset_check(const struct fdset *s, struct errmsg *msg);
