/* wasi_path.c - WASI's functions on names. The walk itself, which never leaves the folder, is vfs/'s. */
#include "node/wasi/wasi_state.h"

#include <string.h>

/* A path of the guest, relative to an open folder. */
struct at {
	struct fd_entry *e;
	struct vfs_obj *dir;
	char path[VFS_PATH_MAX];
};

static enum ferr text_of(struct thread *t, uint64_t p, uint64_t size, char *out)
{
	if (arg32(size) >= VFS_PATH_MAX)
		return FE_NAMETOOLONG;
	const uint8_t *text = thread_mem_read(t, arg32(p), arg32(size));
	if (!text)
		return FE_FAULT;
	if (memchr(text, 0, arg32(size)))
		return FE_INVAL;
	memcpy(out, text, arg32(size));
	out[arg32(size)] = 0;
	return FE_OK;
}

static enum ferr at_of(struct wasi *w, struct thread *t, uint64_t fd, uint64_t right, uint64_t p,
                       uint64_t size, struct at *out)
{
	FTRY(fdtable_use(w->fds, arg32(fd), right, &out->e));
	FTRY(text_of(t, p, size, out->path));
	out->dir = out->e->file->obj;
	return out->dir->type == VFS_TYPE_DIR ? vfs_path_check(out->path) : FE_NOTDIR;
}

/* The same for an operation that changes the folder's mount. */
static enum ferr change_at(struct wasi *w, struct thread *t, uint64_t fd, uint64_t right,
                           uint64_t p, uint64_t size, struct at *out)
{
	FTRY(at_of(w, t, fd, right, p, size, out));
	return wasi_may_change(out->e);
}

/* ---- opening ---- */

enum { OFLAG_CREAT = 1, OFLAG_DIRECTORY = 2, OFLAG_EXCL = 4, OFLAG_TRUNC = 8 };
enum { LOOKUP_FOLLOW = 1 };

static enum ferr open_flags(const uint64_t *a, unsigned *flags)
{
	uint32_t oflags = arg32(a[4]);
	uint64_t rights = a[5];
	if (oflags > 15)
		return FE_INVAL;
	FTRY(wasi_fdflags(arg32(a[7]), flags));
	*flags |= oflags & OFLAG_CREAT ? VFS_CREATE : 0;
	*flags |= oflags & OFLAG_EXCL ? VFS_EXCLUSIVE : 0;
	*flags |= oflags & OFLAG_TRUNC ? VFS_TRUNCATE : 0;
	*flags |= oflags & OFLAG_DIRECTORY ? VFS_DIRECTORY : 0;
	*flags |= arg32(a[1]) & LOOKUP_FOLLOW ? 0 : VFS_NOFOLLOW;
	bool writes = rights & (RIGHT_FD_WRITE | RIGHT_FD_ALLOCATE | RIGHT_FD_FILESTAT_SET_SIZE) ||
	              oflags & OFLAG_TRUNC;
	if (writes && !(oflags & OFLAG_DIRECTORY))
		*flags |= VFS_WRITE;
	if (rights & (RIGHT_FD_READ | RIGHT_FD_READDIR) || !(*flags & VFS_WRITE))
		*flags |= VFS_READ;
	return FE_OK;
}

/* What the folder's descriptor must allow. */
static enum ferr check_rights(const struct fd_entry *e, const uint64_t *a, unsigned flags)
{
	uint64_t needs = RIGHT_PATH_OPEN;
	uint64_t inherits = a[5] | a[6];
	needs |= flags & VFS_CREATE ? RIGHT_PATH_CREATE_FILE : 0;
	needs |= flags & VFS_TRUNCATE ? RIGHT_PATH_FILESTAT_SET_SIZE : 0;
	inherits |= flags & (VFS_SYNC | VFS_RSYNC) ? RIGHT_FD_SYNC : 0;
	inherits |= flags & VFS_DSYNC ? RIGHT_FD_DATASYNC : 0;
	return needs & ~e->rights || inherits & ~e->inheriting ? FE_NOTCAPABLE : FE_OK;
}

/* Without the right to write, asking for size changes means: if it can be had. */
static enum ferr open_object(const struct at *at, const uint64_t *a, unsigned *flags,
                             struct vfs_obj **out)
{
	bool read_only = wasi_may_change(at->e) != FE_OK;
	bool must_write = a[5] & RIGHT_FD_WRITE || *flags & VFS_TRUNCATE;
	if (read_only && *flags & VFS_WRITE && !must_write)
		*flags &= ~(unsigned)VFS_WRITE;
	if (read_only && *flags & VFS_WRITE) {
		struct vfs_stat st;
		enum ferr e = vfs_stat_at(at->dir, at->path, !(*flags & VFS_NOFOLLOW), &st);
		if (e == FE_NOENT && *flags & VFS_CREATE)
			return FE_ROFS;
		FTRY(e);
		return st.type == VFS_TYPE_DIR ? FE_ISDIR : FE_ROFS;
	}
	unsigned try = read_only ? *flags & ~(unsigned)(VFS_CREATE | VFS_EXCLUSIVE) : *flags;
	enum ferr e = vfs_open(at->dir, at->path, try, out);
	if (e == FE_ISDIR && *flags & VFS_WRITE && !must_write && !(*flags & VFS_CREATE)) {
		*flags = (*flags & ~(unsigned)VFS_WRITE) | VFS_READ;
		e = vfs_open(at->dir, at->path, *flags, out);
	}
	if (!read_only || !(*flags & VFS_CREATE))
		return e;
	if (e == FE_OK && *flags & VFS_EXCLUSIVE) {
		vfs_unref(*out);
		return FE_EXIST;
	}
	return e == FE_NOENT ? FE_ROFS : e;
}

/* The path in the mount, for an image: where the folder was opened, and on from there. */
static void join(const char *dir, const char *path, char out[VFS_PATH_MAX])
{
	size_t n = strcmp(dir, ".") ? strlen(dir) : 0, size = strlen(path);
	if (n + size + 2 > VFS_PATH_MAX) {
		strcpy(out, "."); /* found again by what the backend knows, or not at all */
		return;
	}
	memcpy(out, dir, n);
	if (n)
		out[n++] = '/';
	memcpy(out + n, path, size + 1);
}

static enum ferr add_opened(struct wasi *w, const struct at *at, struct vfs_obj *obj,
                            unsigned flags, const uint64_t *a, uint32_t *fd)
{
	char path[VFS_PATH_MAX];
	enum {
		KEPT = VFS_READ | VFS_WRITE | VFS_APPEND | VFS_NONBLOCK | VFS_DSYNC | VFS_SYNC |
		       VFS_RSYNC
	};
	uint64_t most = rights_of_type((enum vfs_type)obj->type);
	join(at->e->file->path, at->path, path);
	struct vfs_file *f = vfs_file_new(obj, at->e->file->mount, path, flags & KEPT);
	/* Nothing is opened beneath a file. */
	return fdtable_add(w->fds, f, a[5] & most, obj->type == VFS_TYPE_DIR ? a[6] : 0, fd);
}

int wasi_path_open(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct at at;
	struct vfs_obj *obj;
	unsigned flags;
	uint32_t fd;
	FTRY(at_of(w, t, a[0], RIGHT_PATH_OPEN, a[2], a[3], &at));
	uint8_t *out = thread_mem_write(t, arg32(a[8]), 4);
	if (!out)
		return FE_FAULT;
	FTRY(open_flags(a, &flags));
	FTRY(check_rights(at.e, a, flags));
	if (!fdtable_has_room(w->fds))
		return FE_MFILE;
	FTRY(open_object(&at, a, &flags, &obj));
	FTRY(add_opened(w, &at, obj, flags, a, &fd));
	wasi_put_u32(out, fd);
	return FE_OK;
}

/* ---- asking and setting ---- */

int wasi_path_filestat_get(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct at at;
	struct vfs_stat st;
	FTRY(at_of(w, t, a[0], RIGHT_PATH_FILESTAT_GET, a[2], a[3], &at));
	uint8_t *out = thread_mem_write(t, arg32(a[4]), 64);
	if (!out)
		return FE_FAULT;
	FTRY(vfs_stat_at(at.dir, at.path, arg32(a[1]) & LOOKUP_FOLLOW, &st));
	wasi_put_filestat(out, &st);
	return FE_OK;
}

int wasi_path_filestat_set_times(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct at at;
	struct vfs_times times;
	FTRY(change_at(w, t, a[0], RIGHT_PATH_FILESTAT_SET_TIMES, a[2], a[3], &at));
	FTRY(wasi_times(a[4], a[5], arg32(a[6]), &times));
	return vfs_set_times_at(at.dir, at.path, arg32(a[1]) & LOOKUP_FOLLOW, &times);
}

int wasi_path_readlink(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct at at;
	FTRY(at_of(w, t, a[0], RIGHT_PATH_READLINK, a[1], a[2], &at));
	size_t size = arg32(a[4]);
	uint8_t *out = thread_mem_write(t, arg32(a[3]), size);
	uint8_t *used = thread_mem_write(t, arg32(a[5]), 4);
	if (!out || !used)
		return FE_FAULT;
	if (size == 0)
		return FE_INVAL;
	FTRY(vfs_readlink(at.dir, at.path, (char *)out, &size));
	wasi_put_u32(used, (uint32_t)size);
	return FE_OK;
}

/* ---- making and removing ---- */

int wasi_path_create_directory(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct at at;
	FTRY(change_at(w, t, a[0], RIGHT_PATH_CREATE_DIRECTORY, a[1], a[2], &at));
	return vfs_mkdir(at.dir, at.path);
}

int wasi_path_remove_directory(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct at at;
	FTRY(change_at(w, t, a[0], RIGHT_PATH_REMOVE_DIRECTORY, a[1], a[2], &at));
	return vfs_rmdir(at.dir, at.path);
}

int wasi_path_unlink_file(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct at at;
	FTRY(change_at(w, t, a[0], RIGHT_PATH_UNLINK_FILE, a[1], a[2], &at));
	return vfs_unlink(at.dir, at.path);
}

int wasi_path_symlink(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct at at;
	char target[VFS_PATH_MAX];
	FTRY(text_of(t, a[0], a[1], target));
	FTRY(change_at(w, t, a[2], RIGHT_PATH_SYMLINK, a[3], a[4], &at));
	return vfs_symlink(at.dir, target, at.path);
}

/* Both ends in one mount that may be changed; and a file must not gain rights by being reached through another
 * folder's descriptor. */
static enum ferr check_both(const struct at *from, const struct at *to)
{
	if (from->e->file->mount != to->e->file->mount)
		return FE_XDEV;
	return to->e->inheriting & ~from->e->inheriting ? FE_NOTCAPABLE : FE_OK;
}

int wasi_path_link(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct at from, to;
	FTRY(at_of(w, t, a[0], RIGHT_PATH_LINK_SOURCE, a[2], a[3], &from));
	FTRY(change_at(w, t, a[4], RIGHT_PATH_LINK_TARGET, a[5], a[6], &to));
	FTRY(check_both(&from, &to));
	return vfs_link(from.dir, from.path, arg32(a[1]) & LOOKUP_FOLLOW, to.dir, to.path);
}

int wasi_path_rename(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct at from, to;
	FTRY(change_at(w, t, a[0], RIGHT_PATH_RENAME_SOURCE, a[1], a[2], &from));
	FTRY(change_at(w, t, a[3], RIGHT_PATH_RENAME_TARGET, a[4], a[5], &to));
	FTRY(check_both(&from, &to));
	return vfs_rename(from.dir, from.path, to.dir, to.path);
}
