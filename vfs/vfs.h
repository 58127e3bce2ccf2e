/* vfs.h - what a backend of files is: one table of operations on open objects.
 *
 * An object (struct vfs_obj) is something open: a file, a folder, one end of a pipe, a stream. Its
 * table (struct vfs_ops) is all that the rest of the system knows of it. Backends: vfs/host.h (a
 * folder of the host), vfs/memory.h (files in memory that move along), vfs/pipe.h, vfs/stream.h
 * (terminals, byte streams, null) and vfs/remote.h (a folder of another device, reached by
 * messages).
 *
 * Names: a path is relative to an open folder and never leads out of it: not by "..", by a symbolic
 * link (relative or absolute, dangling or not, also when it creates), by a hard link or a rename,
 * nor by a race with somebody who swaps folders. A path that would leave is FE_NOTCAPABLE. Mounts
 * (vfs/mount.h) never lead into each other.
 *
 * Blocking: nothing here waits for a person or another process: FE_AGAIN says that it would,
 * vfs_ready() asks, and the object's owner pokes the process's waker when it becomes ready. Disk
 * I/O and a remote device's answer are waited for.
 *
 * Threads: an object is used by one thread at a time, but for pipes and streams, which lock
 * themselves. References are atomic.
 */
#pragma once

#include "base/bytes.h"
#include "base/os.h"
#include "vfs/ferr.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	VFS_PATH_MAX = 4096, /* bytes of a path, with its end */
	VFS_NAME_MAX = 255,  /* bytes of one name */
	VFS_SYMLINKS_MAX = 40,
	VFS_IOVS_MAX = 1024,
};

/* The numbers are WASI's filetype. */
enum vfs_type {
	VFS_TYPE_UNKNOWN,
	VFS_TYPE_BLOCK,
	VFS_TYPE_CHAR,
	VFS_TYPE_DIR,
	VFS_TYPE_FILE,
	VFS_TYPE_DGRAM,
	VFS_TYPE_STREAM, /* sockets and pipes */
	VFS_TYPE_SYMLINK,
};

struct vfs_stat {
	uint64_t dev, ino; /* together they name the file on its device */
	uint64_t nlink, size_bytes;
	uint64_t atime_ns, mtime_ns, ctime_ns; /* since 1970 */
	uint8_t type;                          /* enum vfs_type */
	bool has_mode;                         /* the backend keeps modes */
	uint16_t mode; /* Linux's permission bits, the owner's as they are for this device's user */
};

/* How large what the file lies in is. */
struct vfs_space {
	uint64_t total_bytes, free_bytes, files, free_files;
};

struct vfs_iov {
	void *p;
	size_t size;
};

enum { VFS_TIME_KEEP, VFS_TIME_SET, VFS_TIME_NOW };

struct vfs_times {
	uint8_t atime_how, mtime_how;
	uint64_t atime_ns, mtime_ns;
};

enum vfs_open_flags {
	VFS_READ = 1,
	VFS_WRITE = 2,
	VFS_CREATE = 4,
	VFS_EXCLUSIVE = 8,
	VFS_TRUNCATE = 16,
	VFS_DIRECTORY = 32, /* fails with NOTDIR on anything else */
	VFS_NOFOLLOW = 64,  /* the last name may not be a symbolic link: LOOP */
	VFS_APPEND = 128,
	VFS_NONBLOCK = 256,
	VFS_DSYNC = 512,
	VFS_SYNC = 1024,
	VFS_RSYNC = 2048,
	/* With VFS_CREATE: the permission bits of a new file, by VFS_MODE(); without, it gets the backend's own. */
	VFS_MODE_MASK = 0x1fff << 16,
};
#define VFS_MODE(mode) ((unsigned)((mode) & 07777 | 010000) << 16)
/* The bits in flags, or what is usual. */
static inline unsigned vfs_mode_of(unsigned flags, unsigned usual)
{
	return flags & VFS_MODE_MASK ? flags >> 16 & 07777 : usual;
}

/* Of sockets: ERROR waits to be told, END: the other end writes no more. */
enum vfs_events { VFS_READABLE = 1, VFS_WRITABLE = 2, VFS_HANGUP = 4, VFS_ERROR = 8, VFS_END = 16 };

struct vfs_dirent {
	uint64_t next; /* cookie that continues after this entry; never 0 */
	uint64_t ino;
	uint8_t type;
	const char *name; /* borrowed until the callback returns */
	size_t name_size;
};

/* Returns false to end the listing (the entry was not taken). */
typedef bool (*vfs_dirent_fn)(void *ctx, const struct vfs_dirent *e);

struct vfs_obj;

/* How an image names a file that was open. */
struct vfs_saved {
	uint32_t handle;   /* its home's number for it, see vfs/serve.h; 0: none */
	const char *path;  /* in its mount, when the image was written */
	unsigned flags;    /* VFS_READ, VFS_WRITE */
	uint64_t dev, ino; /* what stands at path must be this file */
	uint8_t type;
};

/* Any pointer but close may be NULL: the call then answers what POSIX would (NOTDIR, ISDIR, SPIPE,
 * NOTSUP). path is NUL-terminated, relative, not empty, without a NUL or a component longer than
 * VFS_NAME_MAX. Two-path operations get two folders of the same backend and mount. */
struct vfs_ops {
	const char *name;                 /* "host", "memory", "remote", "pipe", "stream" */
	void (*close)(struct vfs_obj *o); /* the last reference is gone: frees o */

	/* At an offset; streams ignore it. *done bytes happened (0 at the end); it may be fewer
	 * than asked. */
	enum ferr (*read)(struct vfs_obj *o, uint64_t offset, const struct vfs_iov *iov, size_t n,
	                  size_t *done);
	/* flags: VFS_APPEND (offset ignored, *end says where the file ended afterwards), VFS_*SYNC.
	 */
	enum ferr (*write)(struct vfs_obj *o, uint64_t offset, unsigned flags,
	                   const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end);
	enum ferr (*stat)(struct vfs_obj *o, struct vfs_stat *out);
	enum ferr (*set_size)(struct vfs_obj *o, uint64_t size_bytes);
	enum ferr (*allocate)(struct vfs_obj *o, uint64_t offset, uint64_t size_bytes);
	enum ferr (*set_times)(struct vfs_obj *o, const struct vfs_times *t);
	enum ferr (*set_mode)(struct vfs_obj *o, unsigned mode);
	enum ferr (*sync)(struct vfs_obj *o, bool data_only);
	/* A descriptor of it is closed: what was written and waits here goes to where it belongs; what goes wrong is close's answer.
	 * NULL: nothing waits. */
	enum ferr (*flush)(struct vfs_obj *o);
	enum ferr (*space)(struct vfs_obj *o, struct vfs_space *out);
	/* Entries after cookie (0: from the start), "." and ".." included. */
	enum ferr (*readdir)(struct vfs_obj *dir, uint64_t cookie, vfs_dirent_fn emit, void *ctx);

	/* Streams and pipes: which of events are there now; files are always ready. */
	unsigned (*ready)(struct vfs_obj *o, unsigned events);
	/* What to wait for with os_wait(), or OS_NO_HANDLE: its owner pokes the waker. */
	os_handle (*wait_handle)(struct vfs_obj *o, unsigned events);

	enum ferr (*open)(struct vfs_obj *dir, const char *path, unsigned flags,
	                  struct vfs_obj **out);
	enum ferr (*stat_at)(struct vfs_obj *dir, const char *path, bool follow,
	                     struct vfs_stat *out);
	enum ferr (*set_times_at)(struct vfs_obj *dir, const char *path, bool follow,
	                          const struct vfs_times *t);
	enum ferr (*set_mode_at)(struct vfs_obj *dir, const char *path, bool follow, unsigned mode);
	enum ferr (*mkdir)(struct vfs_obj *dir, const char *path);
	/* A named pipe: a name of VFS_TYPE_STREAM that nobody opens here. */
	enum ferr (*mkfifo)(struct vfs_obj *dir, const char *path);
	enum ferr (*rmdir)(struct vfs_obj *dir, const char *path);
	enum ferr (*unlink)(struct vfs_obj *dir, const char *path);
	enum ferr (*symlink)(struct vfs_obj *dir, const char *target, const char *path);
	/* *size: in room, out bytes written (cut off when longer; not terminated). */
	enum ferr (*readlink)(struct vfs_obj *dir, const char *path, char *buf, size_t *size);
	enum ferr (*link)(struct vfs_obj *from, const char *from_path, bool follow,
	                  struct vfs_obj *to, const char *to_path);
	enum ferr (*rename)(struct vfs_obj *from, const char *from_path, struct vfs_obj *to,
	                    const char *to_path);

	/* For an image: opens again what was open when it was written. STALE: it is not there any more. root is the mount's. */
	enum ferr (*reopen)(struct vfs_obj *root, const struct vfs_saved *s, struct vfs_obj **out);
	/* The number its home device knows an object of another device by. NULL: it is of this one. */
	uint32_t (*handle_of)(struct vfs_obj *o);
	/* dev and ino without asking anybody; NULL: stat. */
	void (*identity)(struct vfs_obj *o, uint64_t *dev, uint64_t *ino);
	/* For an image: where the object is now, as a path in the mount whose root is given; NOENT
	 * when it has no name any more (unlinked). NULL: the path it was opened by stands. */
	enum ferr (*path_of)(struct vfs_obj *o, struct vfs_obj *root, char *buf, size_t size);
	/* Of a mount's root, whose folders people may call otherwise tomorrow: a path in it by names that stay (path_of() has
	 * those, and open() takes both), or as people call it now. buf holds VFS_PATH_MAX. NULL: both are the same. */
	enum ferr (*path_form)(struct vfs_obj *root, const char *path, bool stays, char *buf);
	/* For an image, of what no mount has: a number for its kind, and its bytes, which fdtable_loader.load_object() reads again
	 * by that number. NULL: the image names it otherwise. */
	uint8_t saved_as;
	/* A symbolic link's text may be absolute: nobody but guests sees it. Else vfs_symlink_guest() keeps such a link in another form. */
	bool keeps_absolute;
	enum err (*save)(struct vfs_obj *o, struct wr *out);
};

/* A backend's object begins with this. */
struct vfs_obj {
	const struct vfs_ops *ops;
	_Atomic uint32_t refs;
	uint8_t type; /* enum vfs_type */
};

void vfs_obj_init(struct vfs_obj *o, const struct vfs_ops *ops, enum vfs_type type);
struct vfs_obj *vfs_ref(struct vfs_obj *o);
/* NULL is allowed. */
void vfs_unref(struct vfs_obj *o);

/* The table's operations with NULL pointers answered. */
enum ferr vfs_read(struct vfs_obj *o, uint64_t offset, const struct vfs_iov *iov, size_t n,
                   size_t *done);
enum ferr vfs_write(struct vfs_obj *o, uint64_t offset, unsigned flags, const struct vfs_iov *iov,
                    size_t n, size_t *done, uint64_t *end);
enum ferr vfs_stat(struct vfs_obj *o, struct vfs_stat *out);
enum ferr vfs_set_size(struct vfs_obj *o, uint64_t size_bytes);
enum ferr vfs_allocate(struct vfs_obj *o, uint64_t offset, uint64_t size_bytes);
enum ferr vfs_set_times(struct vfs_obj *o, const struct vfs_times *t);
/* Permission bits. NOTSUP: they are not kept here. */
enum ferr vfs_set_mode(struct vfs_obj *o, unsigned mode);
enum ferr vfs_sync(struct vfs_obj *o, bool data_only);
enum ferr vfs_flush(struct vfs_obj *o);
enum ferr vfs_readdir(struct vfs_obj *dir, uint64_t cookie, vfs_dirent_fn emit, void *ctx);
/* NOTSUP: not known. */
enum ferr vfs_space_of(struct vfs_obj *o, struct vfs_space *out);
unsigned vfs_ready(struct vfs_obj *o, unsigned events);
os_handle vfs_wait_handle(struct vfs_obj *o, unsigned events);
/* True for files, which have an offset and a size; false for folders and streams. */
bool vfs_has_offset(const struct vfs_obj *o);
/* By name: dir must be a folder (NOTDIR), path is checked (vfs_path_check). */
enum ferr vfs_open(struct vfs_obj *dir, const char *path, unsigned flags, struct vfs_obj **out);
enum ferr vfs_stat_at(struct vfs_obj *dir, const char *path, bool follow, struct vfs_stat *out);
enum ferr vfs_set_times_at(struct vfs_obj *dir, const char *path, bool follow,
                           const struct vfs_times *t);
enum ferr vfs_set_mode_at(struct vfs_obj *dir, const char *path, bool follow, unsigned mode);
enum ferr vfs_mkdir(struct vfs_obj *dir, const char *path);
enum ferr vfs_mkfifo(struct vfs_obj *dir, const char *path);
enum ferr vfs_rmdir(struct vfs_obj *dir, const char *path);
enum ferr vfs_unlink(struct vfs_obj *dir, const char *path);
/* NOTCAPABLE: target is absolute. */
enum ferr vfs_symlink(struct vfs_obj *dir, const char *target, const char *path);
/* An absolute target is one of the guest's tree, whoever resolves it. A folder of a host holds it as a relative link whose first name is
 * longer than any file's can be, so that nobody there can follow it; it reads back as it was given. Following it is NAMETOOLONG. */
enum ferr vfs_symlink_guest(struct vfs_obj *dir, const char *target, const char *path);
enum ferr vfs_readlink(struct vfs_obj *dir, const char *path, char *buf, size_t *size);
enum ferr vfs_link(struct vfs_obj *from, const char *from_path, bool follow, struct vfs_obj *to,
                   const char *to_path);
enum ferr vfs_rename(struct vfs_obj *from, const char *from_path, struct vfs_obj *to,
                     const char *to_path);

enum ferr vfs_reopen(struct vfs_obj *root, const struct vfs_saved *s, struct vfs_obj **out);
/* What an image says of a file: never waits for another device. */
enum ferr vfs_identity(struct vfs_obj *o, uint64_t *dev, uint64_t *ino);
/* 0: an object of this device. */
uint32_t vfs_handle_of(struct vfs_obj *o);
/* NOENT: it has no name any more. NOTSUP: the backend does not know; the path it was opened by stands. */
enum ferr vfs_path_of(struct vfs_obj *o, struct vfs_obj *root, char *buf, size_t size);
/* path itself when its root has no other form of it. */
void vfs_path_form(struct vfs_obj *root, const char *path, bool stays, char buf[VFS_PATH_MAX]);

/* NOENT when empty, NOTCAPABLE when absolute, NAMETOOLONG when a name or the whole is too long. */
enum ferr vfs_path_check(const char *path);
