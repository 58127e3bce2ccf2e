/* fsmsg.h - the bytes in which vfs/remote.h asks and vfs/serve.h answers. Internal to vfs/.
 *
 * Request: u16 handles that are closed, u32 each; u8 operation; its arguments. Answer: u16 enum ferr; when OK the results.
 * Text is u16 size, bytes. Little-endian. Handles: 1..FS_SAVED_MAX stand in the image of the process (vfs/fdtable.h);
 * from FS_FIRST_NEW on they are given out by OPEN; FS_ROOT | mount is a mount's root.
 *
 *	READ         u32 handle, u64 offset, u32 size           -> version, bytes to the end
 *	WRITE        u32 handle, u64 offset, u32 flags, bytes   -> u32 done, u64 end, version before, version after
 *	STAT         u32 handle                                 -> stat
 *	SET_SIZE     u32 handle, u64 size                       -> version
 *	ALLOCATE     u32 handle, u64 offset, u64 size           -> version
 *	SET_TIMES    u32 handle, times                          -> version
 *	SYNC         u32 handle, u8 data only
 *	READDIR      u32 handle, u64 cookie                     -> u8 ended, entries: u64 next, u64 ino, u8 type, text
 *	OPEN         u32 folder, u32 flags, text path           -> u32 handle, stat
 *	STAT_AT      u32 folder, u8 follow, text path           -> stat
 *	SET_TIMES_AT u32 folder, u8 follow, times, text path
 *	MKDIR, MKFIFO, RMDIR, UNLINK   u32 folder, text path
 *	SYMLINK      u32 folder, text target, text path
 *	READLINK     u32 folder, u16 room, text path            -> bytes to the end
 *	LINK         u32 folder, u8 follow, u32 folder, text path, text path
 *	RENAME       u32 folder, u32 folder, text path, text path
 *	REOPEN       u32 mount, u32 flags, u64 dev, u64 ino, u8 type, text path -> u32 handle
 *	NOTHING      (closes handles)
 *	SET_MODE     u32 handle, u16 mode
 *	SET_MODE_AT  u32 folder, u8 follow, u16 mode, text path
 * stat: u64 dev, ino, nlink, size, atime, mtime, ctime; u8 type; u16 mode (0xffff: it has none).   version: u64 dev, ino, size, mtime, ctime.
 * times: u8 atime how, u8 mtime how, u64 atime, u64 mtime.
 */
#pragma once

#include "base/bytes.h"
#include "vfs/vfs.h"

enum fsop {
#define FSOP(number, NAME, name) FSOP_##NAME = number,
#include "vfs/fsops.def"
#undef FSOP
	FSOP_COUNT
};

enum {
	FS_SAVED_MAX = 4096,
	FS_FIRST_NEW = 0x10000,
	FS_HANDLES_MAX = 8192, /* open at once for one process */
	FS_ROOT = (int)0x80000000u,
	FS_READ_MAX = 384 << 10, /* bytes of one READ or WRITE */
	FS_LISTING_MAX = 64 << 10,
	FS_CLOSED_MAX = 1024,
};

/* What changes when a file's contents do. */
struct fs_version {
	uint64_t dev, ino, size_bytes, mtime_ns, ctime_ns;
};

static inline struct fs_version fs_version_of(const struct vfs_stat *st)
{
	return (struct fs_version){st->dev, st->ino, st->size_bytes, st->mtime_ns, st->ctime_ns};
}

void fs_put_text(struct wr *out, const char *text);
void fs_put_stat(struct wr *out, const struct vfs_stat *st);
void fs_put_version(struct wr *out, const struct fs_version *v);
void fs_put_times(struct wr *out, const struct vfs_times *t);

/* All refuse what does not fit: ERR_MALFORMED. */
enum err fs_get_text(struct rd *in, char buf[VFS_PATH_MAX]);
enum err fs_get_flag(struct rd *in, bool *out);
enum err fs_get_stat(struct rd *in, struct vfs_stat *st);
enum err fs_get_version(struct rd *in, struct fs_version *v);
enum err fs_get_times(struct rd *in, struct vfs_times *t);
