/* names.c - calls on names: open, stat, make, remove, rename, links, the current folder. Where a name leads is path.c's. */
#include "node/wali/fifo.h"
#include "node/wali/device.h"

#include "base/os.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CWD = AT_FDCWD_ };
enum { AT_NOFOLLOW = 0x100, AT_REMOVEDIR = 0x200, AT_FOLLOW = 0x400, AT_EMPTY = 0x1000 };
enum { AT_NO_AUTOMOUNT = 0x800, AT_SYNC = 0x6000 };

static const uint64_t cwd = (uint32_t)CWD;

/* ---- open ---- */

static unsigned open_flags(uint32_t flags)
{
	static const struct {
		uint32_t linux_flag;
		unsigned vfs;
	} table[] = {{0100, VFS_CREATE},   {0200, VFS_EXCLUSIVE},    {01000, VFS_TRUNCATE},
	             {02000, VFS_APPEND},  {04000, VFS_NONBLOCK},    {010000, VFS_DSYNC},
	             {04000000, VFS_SYNC}, {0200000, VFS_DIRECTORY}, {0400000, VFS_NOFOLLOW}};
	static const unsigned access[] = {VFS_READ, VFS_WRITE, VFS_READ | VFS_WRITE,
	                                  VFS_READ | VFS_WRITE};
	unsigned out = access[flags & 3];
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		out |= flags & table[i].linux_flag ? table[i].vfs : 0;
	return out;
}

/* A file of the host's is never opened for it: what goes through a named pipe is the node's. */
static int64_t open_fifo(struct wali *k, struct wali_at *at, uint32_t flags)
{
	struct vfs_obj *o;
	struct file_id id = wali_file_id(at);
	unsigned how = open_flags(flags);
	if (how & VFS_DIRECTORY || (how & VFS_CREATE && how & VFS_EXCLUSIVE))
		return how & VFS_DIRECTORY ? NO(NOTDIR) : NO(EXIST);
	how &= VFS_READ | VFS_WRITE | VFS_NONBLOCK;
	WTRY(wali_may_open(at, how));
	enum ferr e = fifo_open(k->family->commons, &id, how, k->family, wali_waiter(k), &o);
	if (e == FE_AGAIN)
		return wali_block_in_commons(k);
	WTRY(e);
	struct vfs_file *f = wali_stream_file(o, "fifo ", 0, how);
	return f ? wali_add_file(k, f, flags) : NO(NOMEM);
}

/* O_PATH: only what it stands for is of interest, so nothing is read and nobody is waited for. */
static enum ferr open_path(struct wali *k, struct wali_at *at, unsigned flags,
                           struct vfs_file **out)
{
	flags &= VFS_DIRECTORY | VFS_NOFOLLOW;
	if (!at->mount || !at->has_stat || at->st.type != VFS_TYPE_STREAM)
		return wali_open_at(k, at, flags, out);
	if (flags & VFS_DIRECTORY || at->wants_dir)
		return FE_NOTDIR;
	struct vfs_obj *o = fifo_hung_up();
	*out = o ? wali_stream_file(o, "fifo ", 0, 0) : NULL;
	return *out ? FE_OK : FE_NOMEM;
}

/* A folder of a mount: NOENT, NOTDIR, ACCES. */
static enum ferr is_kept_folder(struct wali *k, uint64_t dirfd, const char *path)
{
	struct wali_at at;
	FTRY(wali_at_text(k, dirfd, path, WALI_FOLLOW, &at));
	bool made_up = at.dev;
	enum vfs_type type = made_up ? at.dev->type : at.st.type;
	wali_at_end(&at);
	if (!made_up && !at.has_stat)
		return at.seen != FE_OK ? at.seen : FE_NOENT;
	return type != VFS_TYPE_DIR ? FE_NOTDIR : made_up ? FE_ACCES : FE_OK;
}

static enum ferr make_nameless(struct wali *k, uint64_t dirfd, const char *path, unsigned flags,
                               struct vfs_file **out)
{
	struct wali_at at;
	FTRY(wali_at_text(k, dirfd, path, WALI_NAME, &at));
	enum ferr e = wali_open_at(k, &at, flags, out);
	if (e == FE_OK && vfs_unlink(at.dir, at.path) != FE_OK) {
		vfs_file_unref(*out);
		vfs_unlink(at.dir, at.path); /* where what is open keeps its name */
		e = FE_NOTSUP;
	}
	wali_at_end(&at);
	return e;
}

/* O_TMPFILE: a file in that folder whose name is gone before the call is over. */
static int64_t open_nameless(struct wali *k, uint64_t dirfd, uint64_t folder, uint32_t mode,
                             uint32_t flags)
{
	enum { DIRECTORY = 0200000 };
	char in[VFS_PATH_MAX], path[VFS_PATH_MAX];
	struct vfs_file *f;
	uint64_t number;
	unsigned how = open_flags(flags & ~(uint32_t)DIRECTORY) | VFS_CREATE | VFS_EXCLUSIVE;
	os_random(&number, sizeof number);
	WTRY(wali_text(k, folder, in, sizeof in));
	WTRY(is_kept_folder(k, dirfd, in));
	int n = snprintf(path, sizeof path, "%s/.nameless-%016" PRIx64, in, number);
	if ((size_t)n >= sizeof path)
		return NO(NAMETOOLONG);
	WTRY(make_nameless(k, dirfd, path, how | VFS_MODE(mode & ~k->umask), &f));
	return wali_add_file(k, f, flags);
}

static int64_t open_name(struct wali *k, uint64_t dirfd, uint64_t path, uint32_t flags,
                         uint64_t mode)
{
	enum { NOFOLLOW = 0400000, EXCL_CREAT = 0300, TMPFILE = 020000000, NOCTTY = 0400 };
	enum { CREAT = 0100, DIRECTORY = 0200000, CREAT_DIRECTORY = 0200100, PATH = 010000000 };
	struct wali_at at;
	struct vfs_file *f;
	bool follow = !(flags & NOFOLLOW) && (flags & EXCL_CREAT) != EXCL_CREAT;
	bool nameless = flags & TMPFILE && !(flags & PATH);
	if (nameless && !((flags & (DIRECTORY | CREAT)) == DIRECTORY && flags & 3))
		return NO(INVAL);
	if (!(flags & PATH) && (flags & CREAT_DIRECTORY) == CREAT_DIRECTORY)
		return NO(INVAL);
	if (flags & PATH)
		follow = !(flags & NOFOLLOW);
	if (!fdtable_has_room(k->w->fds))
		return NO(MFILE);
	if (nameless)
		return open_nameless(k, dirfd, path, arg32(mode), flags);
	enum ferr e = wali_at(k, dirfd, path, follow, &at);
	if (e == FE_OK && !(flags & PATH) && at.mount && at.has_stat && !at.wants_dir &&
	    at.st.type == VFS_TYPE_STREAM)
		return open_fifo(k, &at, flags);
	if (e == FE_OK && !(flags & PATH) && at.has_stat && wali_is_socket_name(k, &at.st))
		e = FE_NXIO;
	if (e == FE_OK && flags & PATH)
		e = open_path(k, &at, open_flags(flags & ~3u), &f);
	else if (e == FE_OK)
		e = wali_open_at(k, &at, open_flags(flags) | VFS_MODE(arg32(mode) & ~k->umask), &f);
	wali_at_end(&at);
	WTRY(e);
	if (!(flags & NOCTTY) && wali_is_terminal(f->obj))
		wali_terminal_opened(k, f->obj);
	return wali_add_file(k, f, flags);
}

int64_t wali_open(struct wali *k, const uint64_t *a)
{
	return open_name(k, cwd, a[0], arg32(a[1]), a[2]);
}

int64_t wali_openat(struct wali *k, const uint64_t *a)
{
	return open_name(k, a[0], a[1], arg32(a[2]), a[3]);
}

/* ---- stat ---- */

static bool is_empty(struct wali *k, uint64_t path)
{
	const uint8_t *p = wali_in(k, path, 1);
	return p && !*p;
}

/* A host may hold an absolute link in a longer form than it is read. */
static uint64_t link_size(const struct wali_at *at, uint64_t held)
{
	char text[VFS_PATH_MAX];
	size_t size = sizeof text;
	bool longer = held > VFS_NAME_MAX && vfs_readlink(at->dir, at->path, text, &size) == FE_OK;
	return longer ? size : held;
}

static enum ferr stat_name(struct wali *k, uint64_t dirfd, uint64_t path, uint32_t flags,
                           struct vfs_stat *st, bool *read_only)
{
	struct wali_at at;
	struct fd_entry *e;
	*st = (struct vfs_stat){0};
	bool itself = flags & AT_EMPTY && is_empty(k, path);
	if (itself && (int32_t)arg32(dirfd) != CWD) {
		FTRY(wali_fd(k, dirfd, &e));
		return wali_stat_fd(e, st, read_only);
	}
	enum ferr r = itself ? wali_at_text(k, dirfd, ".", true, &at)
	                     : wali_at(k, dirfd, path, !(flags & AT_NOFOLLOW), &at);
	*read_only = r == FE_OK && at.mount && at.mount->read_only;
	if (r == FE_OK && at.dev) {
		if (vfs_stat(at.dev, st) != FE_OK)
			*st = (struct vfs_stat){.nlink = 1, .ino = 1};
		st->type = at.dev->type;
	} else if (r == FE_OK) {
		r = vfs_stat_at(at.dir, at.path, !(flags & AT_NOFOLLOW) || at.wants_dir, st);
		if (r == FE_OK && st->type == VFS_TYPE_SYMLINK)
			st->size_bytes = link_size(&at, st->size_bytes);
		if (r == FE_OK && at.wants_dir && st->type != VFS_TYPE_DIR)
			r = FE_NOTDIR;
	}
	wali_at_end(&at);
	if (r == FE_OK && wali_is_socket_name(k, st))
		st->type = VFS_TYPE_DGRAM;
	return r;
}

static int64_t stat_to(struct wali *k, uint64_t dirfd, uint64_t path, uint64_t out, uint32_t flags)
{
	struct vfs_stat st;
	bool read_only;
	uint8_t *p = wali_out(k, out, WALI_STAT_SIZE);
	if (!p)
		return NO(FAULT);
	WTRY(stat_name(k, dirfd, path, flags, &st, &read_only));
	wali_put_stat(k, p, &st, read_only);
	return 0;
}

int64_t wali_stat(struct wali *k, const uint64_t *a)
{
	return stat_to(k, cwd, a[0], a[1], 0);
}

int64_t wali_lstat(struct wali *k, const uint64_t *a)
{
	return stat_to(k, cwd, a[0], a[1], AT_NOFOLLOW);
}

int64_t wali_newfstatat(struct wali *k, const uint64_t *a)
{
	if (arg32(a[3]) & ~(uint32_t)(AT_NOFOLLOW | AT_EMPTY | AT_NO_AUTOMOUNT))
		return NO(INVAL);
	return stat_to(k, a[0], a[1], a[2], arg32(a[3]));
}

int64_t wali_statx(struct wali *k, const uint64_t *a)
{
	struct vfs_stat st;
	bool read_only;
	if (arg32(a[2]) & ~(uint32_t)(AT_NOFOLLOW | AT_EMPTY | AT_NO_AUTOMOUNT | AT_SYNC))
		return NO(INVAL);
	uint8_t *p = wali_out(k, a[4], WALI_STATX_SIZE);
	if (!p)
		return NO(FAULT);
	WTRY(stat_name(k, a[0], a[1], arg32(a[2]), &st, &read_only));
	wali_put_statx(p, &st, read_only);
	return 0;
}

static int64_t may_access(struct wali *k, uint64_t dirfd, uint64_t path, uint32_t mode,
                          uint32_t flags)
{
	struct vfs_stat st;
	bool read_only;
	if (mode > 7)
		return NO(INVAL);
	WTRY(stat_name(k, dirfd, path, flags, &st, &read_only));
	if (mode & 2 && read_only)
		return NO(ROFS);
	return (mode & ~(wali_mode(&st, read_only) >> 6) & 7) ? NO(ACCES) : 0;
}

int64_t wali_access(struct wali *k, const uint64_t *a)
{
	return may_access(k, cwd, a[0], arg32(a[1]), 0);
}

int64_t wali_faccessat(struct wali *k, const uint64_t *a)
{
	return may_access(k, a[0], a[1], arg32(a[2]), 0);
}

int64_t wali_faccessat2(struct wali *k, const uint64_t *a)
{
	if (arg32(a[3]) & ~(uint32_t)(AT_NOFOLLOW | AT_REMOVEDIR | AT_EMPTY)) /* AT_EACCESS */
		return NO(INVAL);
	return may_access(k, a[0], a[1], arg32(a[2]), arg32(a[3]) & ~(uint32_t)AT_REMOVEDIR);
}

/* Of another device's folder, and of what no mount has, the size is made up. */
static int64_t put_statfs(struct wali *k, struct vfs_obj *o, uint64_t out)
{
	enum { SIZE = 120, BLOCK = 4096 };
	const struct vfs_space unknown = {.total_bytes = 1ull << 36,
	                                  .free_bytes = 1ull << 36,
	                                  .files = 1 << 24,
	                                  .free_files = 1 << 24};
	struct vfs_space s;
	uint8_t *p = wali_out(k, out, SIZE);
	if (!p)
		return NO(FAULT);
	if (!o || vfs_space_of(o, &s) != FE_OK)
		s = unknown;
	memset(p, 0, SIZE);
	wasi_put_u64(p, 0x57534d46); /* a type of its own: "FMSW" */
	wasi_put_u64(p + 8, BLOCK);
	wasi_put_u64(p + 16, s.total_bytes / BLOCK);
	wasi_put_u64(p + 24, s.free_bytes / BLOCK);
	wasi_put_u64(p + 32, s.free_bytes / BLOCK);
	wasi_put_u64(p + 40, s.files);
	wasi_put_u64(p + 48, s.free_files);
	wasi_put_u64(p + 64, VFS_NAME_MAX);
	wasi_put_u64(p + 72, BLOCK);
	return 0;
}

int64_t wali_statfs(struct wali *k, const uint64_t *a)
{
	struct wali_at at;
	enum ferr e = wali_at(k, cwd, a[0], true, &at);
	if (e == FE_OK && !at.dev && !at.has_stat)
		e = vfs_stat_at(at.dir, at.path, true, &at.st);
	struct vfs_obj *o = e == FE_OK && !at.dev ? at.mount->root : NULL;
	wali_at_end(&at);
	WTRY(e);
	return put_statfs(k, o, a[1]);
}

int64_t wali_fstatfs(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	WTRY(wali_fd(k, a[0], &e));
	return put_statfs(k, e->file->mount ? e->file->obj : NULL, a[1]);
}

/* ---- making and removing: one name, whose mount may be changed ---- */

typedef enum ferr (*name_fn)(struct vfs_obj *dir, const char *path);

static enum ferr changeable(const struct wali_at *at)
{
	if (at->dev)
		return FE_ROFS;
	return at->mount->read_only ? FE_ROFS : FE_OK;
}

/* Whether the folder is there that the name is, or would be, in. */
static enum ferr parent_of(const struct wali_at *at)
{
	char path[VFS_PATH_MAX];
	struct vfs_stat st;
	if (at->dev || at->has_stat || at->last != AT_NAME)
		return at->dev ? FE_OK : at->seen;
	strcpy(path, at->path);
	char *slash = strrchr(path, '/');
	if (slash)
		*slash = 0;
	FTRY(vfs_stat_at(at->dir, slash ? path : ".", true, &st));
	return st.type == VFS_TYPE_DIR ? FE_OK : FE_NOTDIR;
}

/* Also "." and what is a folder already; only a folder's name may end in a slash. */
static enum ferr may_make(const struct wali_at *at, bool folder)
{
	if (at->dev || at->has_stat)
		return FE_EXIST;
	if (at->seen != FE_NOENT)
		return at->seen;
	if (at->last != AT_NAME || (at->wants_dir && !folder))
		return FE_NOENT;
	return changeable(at);
}

static enum ferr may_remove(const struct wali_at *at, bool folder)
{
	static const enum ferr ends[] = {FE_OK, FE_INVAL, FE_NOTEMPTY, FE_BUSY};
	if (at->last != AT_NAME)
		return at->dev || at->has_stat ? (folder ? ends[at->last] : FE_ISDIR) : at->seen;
	FTRY(changeable(at));
	if (!strcmp(at->path, "."))
		return FE_BUSY;
	if (folder || !at->wants_dir)
		return FE_OK;
	return !at->has_stat ? at->seen : at->st.type == VFS_TYPE_DIR ? FE_ISDIR : FE_NOTDIR;
}

enum change { MAKE_FOLDER, MAKE_OTHER, REMOVE_FOLDER, REMOVE_OTHER };

static enum ferr change_name(struct wali *k, uint64_t dirfd, uint64_t path, name_fn fn,
                             enum change what)
{
	struct wali_at at;
	bool folder = what == MAKE_FOLDER || what == REMOVE_FOLDER;
	enum ferr e = wali_at(k, dirfd, path, WALI_NAME, &at);
	if (e == FE_OK)
		e = what <= MAKE_OTHER ? may_make(&at, folder) : may_remove(&at, folder);
	if (e == FE_OK)
		e = fn(at.dir, at.path);
	wali_at_end(&at);
	return e;
}

/* A folder that its maker could not use has no meaning before it is made: the mode comes after. */
static int64_t make_folder(struct wali *k, uint64_t dirfd, uint64_t path, uint64_t mode)
{
	struct wali_at at;
	uint32_t bits = arg32(mode) & ~k->umask & 01777;
	WTRY(change_name(k, dirfd, path, vfs_mkdir, MAKE_FOLDER));
	enum ferr e = wali_at(k, dirfd, path, false, &at);
	if (e == FE_OK && !at.dev && at.has_stat && at.st.has_mode && at.st.mode != bits)
		vfs_set_mode_at(at.dir, at.path, false, bits);
	wali_at_end(&at);
	return 0;
}

int64_t wali_mkdir(struct wali *k, const uint64_t *a)
{
	return make_folder(k, cwd, a[0], a[1]);
}

int64_t wali_mkdirat(struct wali *k, const uint64_t *a)
{
	return make_folder(k, a[0], a[1], a[2]);
}

static enum ferr nothing(struct vfs_obj *dir, const char *path)
{
	return FE_OK;
}

/* Named pipes and files; devices are root's. */
int64_t wali_mknodat(struct wali *k, const uint64_t *a)
{
	enum { TYPE = 0170000, FIFO = 0010000, FILE = 0100000, CREATES = 0301 };
	enum { CHAR = 0020000, DIR = 0040000, BLOCK = 0060000, SOCKET = 0140000 };
	struct wali_at at;
	uint32_t type = arg32(a[2]) & TYPE, mode = arg32(a[2]) & ~k->umask & 0777;
	if (type == FILE || !type) {
		WTRY(change_name(k, a[0], a[1], nothing, MAKE_OTHER));
		int64_t fd = open_name(k, a[0], a[1], CREATES, arg32(a[2]));
		return fd < 0 ? fd : wali_close(k, &(uint64_t){(uint64_t)fd});
	}
	if (type != FIFO && type != CHAR && type != DIR && type != BLOCK && type != SOCKET)
		return NO(INVAL);
	if (type != FIFO)
		return NO(PERM);
	enum ferr e = change_name(k, a[0], a[1], vfs_mkfifo, MAKE_OTHER);
	if (e == FE_NOTSUP)
		return NO(PERM);
	WTRY(e);
	if (wali_at(k, a[0], a[1], false, &at) == FE_OK && !at.dev)
		vfs_set_mode_at(at.dir, at.path, false, mode);
	wali_at_end(&at);
	return 0;
}

int64_t wali_mknod(struct wali *k, const uint64_t *a)
{
	return wali_mknodat(k, (const uint64_t[]){cwd, a[0], a[1], a[2]});
}

int64_t wali_rmdir(struct wali *k, const uint64_t *a)
{
	WTRY(change_name(k, cwd, a[0], vfs_rmdir, REMOVE_FOLDER));
	return 0;
}

int64_t wali_unlink(struct wali *k, const uint64_t *a)
{
	WTRY(change_name(k, cwd, a[0], vfs_unlink, REMOVE_OTHER));
	return 0;
}

int64_t wali_unlinkat(struct wali *k, const uint64_t *a)
{
	bool dir = arg32(a[2]) & AT_REMOVEDIR;
	if (arg32(a[2]) & ~(uint32_t)AT_REMOVEDIR)
		return NO(INVAL);
	WTRY(change_name(k, a[0], a[1], dir ? vfs_rmdir : vfs_unlink,
	                 dir ? REMOVE_FOLDER : REMOVE_OTHER));
	return 0;
}

static int64_t make_link(struct wali *k, uint64_t text, uint64_t dirfd, uint64_t path)
{
	char target[VFS_PATH_MAX];
	struct wali_at at;
	WTRY(wali_text(k, text, target, sizeof target));
	if (!target[0])
		return NO(NOENT);
	enum ferr e = wali_at(k, dirfd, path, WALI_NAME, &at);
	if (e == FE_OK)
		e = may_make(&at, false);
	if (e == FE_OK)
		e = vfs_symlink_guest(at.dir, target, at.path);
	wali_at_end(&at);
	WTRY(e);
	return 0;
}

int64_t wali_symlink(struct wali *k, const uint64_t *a)
{
	return make_link(k, a[0], cwd, a[1]);
}

int64_t wali_symlinkat(struct wali *k, const uint64_t *a)
{
	return make_link(k, a[0], a[1], a[2]);
}

/* What is there; a path with a slash at its end means a folder. */
static enum ferr as_named(const struct wali_at *at)
{
	if (at->dev || !at->wants_dir)
		return FE_OK;
	return !at->has_stat ? at->seen : at->st.type == VFS_TYPE_DIR ? FE_OK : FE_NOTDIR;
}

static int64_t read_link(struct wali *k, uint64_t dirfd, uint64_t path, uint64_t out, uint64_t room)
{
	struct wali_at at;
	size_t size = arg32(room);
	if ((int32_t)arg32(room) <= 0)
		return NO(INVAL);
	enum ferr e = wali_at(k, dirfd, path, false, &at);
	if (e == FE_OK && at.wants_dir)
		e = as_named(&at);
	if (e == FE_OK && at.has_stat && at.st.type != VFS_TYPE_SYMLINK)
		e = FE_INVAL;
	uint8_t *p = wali_out(k, out, size);
	if (e == FE_OK && !p)
		e = FE_FAULT;
	if (e == FE_OK && at.dev)
		e = wali_device_link(at.dev, p, &size);
	else if (e == FE_OK)
		e = !strcmp(at.path, ".") ? FE_INVAL
		                          : vfs_readlink(at.dir, at.path, (char *)p, &size);
	wali_at_end(&at);
	WTRY(e);
	return (int64_t)size;
}

int64_t wali_readlink(struct wali *k, const uint64_t *a)
{
	return read_link(k, cwd, a[0], a[1], a[2]);
}

int64_t wali_readlinkat(struct wali *k, const uint64_t *a)
{
	return read_link(k, a[0], a[1], a[2], a[3]);
}

/* ---- two names, in one mount ---- */

/* Who is renamed must be there, and both must be names; only a folder's may end in a slash. */
static enum ferr may_rename(struct wali_at at[2], bool noreplace)
{
	const struct wali_at *from = &at[0], *to = &at[1];
	if (from->last != AT_NAME)
		return FE_BUSY;
	if (to->last != AT_NAME)
		return noreplace ? FE_EXIST : FE_BUSY;
	FTRY(changeable(from));
	FTRY(changeable(to));
	if (from->mount != to->mount)
		return FE_XDEV;
	if (!from->has_stat)
		return from->seen;
	if (noreplace && to->has_stat)
		return FE_EXIST;
	if (from->st.type != VFS_TYPE_DIR && (from->wants_dir || to->wants_dir))
		return FE_NOTDIR;
	return FE_OK;
}

static bool are_same(const struct wali_at at[2])
{
	const struct vfs_stat *a = &at[0].st, *b = &at[1].st;
	return at[1].has_stat && a->ino && a->dev == b->dev && a->ino == b->ino;
}

static bool is_above(const struct wali_at *top, const struct wali_at *below)
{
	size_t n = strlen(top->whole);
	return !strncmp(top->whole, below->whole, n) && below->whole[n] == '/';
}

static enum ferr rename_at(struct wali *k, const uint64_t *a, bool noreplace, struct wali_at at[2])
{
	FTRY(wali_at(k, a[0], a[1], WALI_NAME, &at[0]));
	FTRY(parent_of(&at[0]));
	FTRY(wali_at(k, a[2], a[3], WALI_NAME, &at[1]));
	FTRY(parent_of(&at[1]));
	FTRY(may_rename(at, noreplace));
	if (are_same(at))
		return FE_OK;
	if (is_above(&at[1], &at[0]))
		return FE_NOTEMPTY;
	return vfs_rename(at[0].dir, at[0].path, at[1].dir, at[1].path);
}

static int64_t rename_names(struct wali *k, const uint64_t *a, uint32_t flags)
{
	enum { NOREPLACE = 1 };
	if (flags & ~(uint32_t)NOREPLACE)
		return NO(INVAL);
	struct wali_at *at = malloc(2 * sizeof *at);
	if (!at)
		return NO(NOMEM);
	at[0].dev = at[1].dev = NULL;
	enum ferr e = rename_at(k, a, flags & NOREPLACE, at);
	wali_at_end(&at[0]);
	wali_at_end(&at[1]);
	free(at);
	WTRY(e);
	return 0;
}

int64_t wali_rename(struct wali *k, const uint64_t *a)
{
	return rename_names(k, (const uint64_t[]){cwd, a[0], cwd, a[1]}, 0);
}

int64_t wali_renameat2(struct wali *k, const uint64_t *a)
{
	return rename_names(k, a, arg32(a[4]));
}

static enum ferr link_at(struct wali *k, const uint64_t *a, bool follow, struct wali_at at[2])
{
	FTRY(wali_at(k, a[0], a[1], follow, &at[0]));
	if (!at[0].dev && !at[0].has_stat)
		return at[0].seen;
	if (at[0].wants_dir && !at[0].dev && at[0].st.type != VFS_TYPE_DIR)
		return FE_NOTDIR;
	FTRY(wali_at(k, a[2], a[3], WALI_NAME, &at[1]));
	FTRY(parent_of(&at[1]));
	if (at[1].dev || at[1].has_stat)
		return FE_EXIST;
	if ((at[0].dev ? at[0].dev->type : at[0].st.type) == VFS_TYPE_DIR)
		return at[1].wants_dir ? FE_NOENT : FE_PERM;
	FTRY(may_make(&at[1], false));
	if (at[0].mount != at[1].mount)
		return FE_XDEV;
	return vfs_link(at[0].dir, at[0].path, follow, at[1].dir, at[1].path);
}

static int64_t link_names(struct wali *k, const uint64_t *a, bool follow)
{
	struct wali_at *at = malloc(2 * sizeof *at);
	if (!at)
		return NO(NOMEM);
	at[0].dev = at[1].dev = NULL;
	enum ferr e = link_at(k, a, follow, at);
	wali_at_end(&at[0]);
	wali_at_end(&at[1]);
	free(at);
	WTRY(e);
	return 0;
}

int64_t wali_link(struct wali *k, const uint64_t *a)
{
	return link_names(k, (const uint64_t[]){cwd, a[0], cwd, a[1]}, false);
}

int64_t wali_linkat(struct wali *k, const uint64_t *a)
{
	if (arg32(a[4]) & ~(uint32_t)(AT_FOLLOW | AT_EMPTY))
		return NO(INVAL);
	return link_names(k, a, arg32(a[4]) & AT_FOLLOW);
}

/* ---- times ---- */

static enum ferr one_time(const uint8_t *p, uint8_t *how, uint64_t *ns)
{
	enum { NOW = 0x3fffffff, OMIT = 0x3ffffffe };
	uint64_t part = wasi_get_u64(p + 8);
	*how = part == NOW ? VFS_TIME_NOW : part == OMIT ? VFS_TIME_KEEP : VFS_TIME_SET;
	if (*how != VFS_TIME_SET)
		return FE_OK;
	*ns = wasi_get_u64(p) * 1000000000 + part;
	return part < 1000000000 && wasi_get_u64(p) < INT64_MAX / 1000000000 ? FE_OK : FE_INVAL;
}

static enum ferr times_of(struct wali *k, uint64_t addr, struct vfs_times *t)
{
	*t = (struct vfs_times){.atime_how = VFS_TIME_NOW, .mtime_how = VFS_TIME_NOW};
	if (!arg32(addr))
		return FE_OK;
	const uint8_t *p = wali_in(k, addr, 32);
	if (!p)
		return FE_FAULT;
	FTRY(one_time(p, &t->atime_how, &t->atime_ns));
	return one_time(p + 16, &t->mtime_how, &t->mtime_ns);
}

/* utimensat(fd, NULL, ...) is futimens(fd, ...). */
int64_t wali_utimensat(struct wali *k, const uint64_t *a)
{
	struct vfs_times t;
	struct wali_at at;
	struct fd_entry *e;
	WTRY(times_of(k, a[2], &t));
	if (arg32(a[3]) & ~(uint32_t)(AT_NOFOLLOW | AT_EMPTY))
		return NO(INVAL);
	if (t.atime_how == VFS_TIME_KEEP && t.mtime_how == VFS_TIME_KEEP)
		return 0;
	if (!arg32(a[1])) {
		WTRY(wali_fd(k, a[0], &e));
		WTRY(wasi_may_change(e));
		WTRY(vfs_set_times(e->file->obj, &t));
		return 0;
	}
	bool follow = !(arg32(a[3]) & AT_NOFOLLOW);
	enum ferr r = wali_at(k, a[0], a[1], follow, &at);
	if (r == FE_OK)
		r = as_named(&at);
	if (r == FE_OK && !at.dev)
		r = changeable(&at);
	if (r == FE_OK && !at.dev)
		r = vfs_set_times_at(at.dir, at.path, follow || at.wants_dir, &t);
	wali_at_end(&at);
	WTRY(r);
	return 0;
}

/* ---- modes and owners: every file is its only user's ---- */

/* Where modes are not kept, every one is taken. */
static enum ferr kept_or_not(enum ferr e)
{
	return e == FE_NOTSUP ? FE_OK : e;
}

static int64_t change_mode(struct wali *k, uint64_t dirfd, uint64_t path, uint64_t mode)
{
	struct wali_at at;
	enum ferr e = wali_at(k, dirfd, path, true, &at);
	if (e == FE_OK)
		e = as_named(&at);
	if (e == FE_OK && !at.dev)
		e = changeable(&at);
	if (e == FE_OK && !at.dev)
		e = kept_or_not(vfs_set_mode_at(at.dir, at.path, true, arg32(mode) & 07777));
	wali_at_end(&at);
	WTRY(e);
	return 0;
}

static int64_t is_there(struct wali *k, uint64_t dirfd, uint64_t path, uint32_t flags)
{
	struct vfs_stat st;
	bool read_only;
	WTRY(stat_name(k, dirfd, path, flags, &st, &read_only));
	return read_only ? NO(ROFS) : 0;
}

static int64_t is_open(struct wali *k, uint64_t fd)
{
	struct fd_entry *e;
	WTRY(wali_fd(k, fd, &e));
	WTRY(wasi_may_change(e));
	return 0;
}

static bool is_mine(uint64_t uid, uint64_t gid)
{
	return (arg32(uid) == WALI_UID || arg32(uid) == UINT32_MAX) &&
	       (arg32(gid) == WALI_UID || arg32(gid) == UINT32_MAX);
}

int64_t wali_chmod(struct wali *k, const uint64_t *a)
{
	return change_mode(k, cwd, a[0], a[1]);
}

int64_t wali_fchmod(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	WTRY(wali_fd(k, a[0], &e));
	WTRY(wasi_may_change(e));
	WTRY(kept_or_not(vfs_set_mode(e->file->obj, arg32(a[1]) & 07777)));
	return 0;
}

int64_t wali_fchmodat(struct wali *k, const uint64_t *a)
{
	return change_mode(k, a[0], a[1], a[2]);
}

int64_t wali_chown(struct wali *k, const uint64_t *a)
{
	int64_t r = is_there(k, cwd, a[0], 0);
	return r ? r : is_mine(a[1], a[2]) ? 0 : NO(PERM);
}

int64_t wali_fchown(struct wali *k, const uint64_t *a)
{
	int64_t r = is_open(k, a[0]);
	return r ? r : is_mine(a[1], a[2]) ? 0 : NO(PERM);
}

int64_t wali_fchownat(struct wali *k, const uint64_t *a)
{
	if (arg32(a[4]) & ~(uint32_t)(AT_NOFOLLOW | AT_EMPTY))
		return NO(INVAL);
	int64_t r = is_there(k, a[0], a[1], arg32(a[4]));
	return r ? r : is_mine(a[2], a[3]) ? 0 : NO(PERM);
}

int64_t wali_umask(struct wali *k, const uint64_t *a)
{
	uint32_t old = k->umask;
	k->umask = arg32(a[0]) & 0777;
	return old;
}

/* ---- the current folder ---- */

int64_t wali_getcwd(struct wali *k, const uint64_t *a)
{
	char shown[VFS_PATH_MAX];
	struct wali_at at = {0};
	vfs_ns_path_form(k->w->ns, k->cwd, false, shown);
	size_t size = strlen(shown) + 1;
	enum ferr e = wali_at_text(k, cwd, ".", true, &at);
	if (e == FE_OK && !at.dev && at.seen == FE_NOENT)
		e = FE_NOENT;
	wali_at_end(&at);
	if (e == FE_NOENT)
		return NO(NOENT);
	if (arg32(a[1]) < size)
		return NO(RANGE);
	uint8_t *p = wali_out(k, a[0], size);
	if (!p)
		return NO(FAULT);
	memcpy(p, shown, size);
	return (int64_t)size;
}

/* A folder that can be opened: its path without links becomes the current one. */
static int64_t go_to(struct wali *k, struct wali_at *at)
{
	struct vfs_file *f;
	char stays[VFS_PATH_MAX];
	enum ferr e = wali_open_at(k, at, VFS_READ | VFS_DIRECTORY, &f);
	vfs_ns_path_form(k->w->ns, at->whole, true, stays);
	char *copy = e == FE_OK ? strdup(stays) : NULL;
	if (e == FE_OK)
		vfs_file_unref(f);
	WTRY(e);
	if (!copy)
		return NO(NOMEM);
	free(k->cwd);
	k->cwd = copy;
	return 0;
}

int64_t wali_chdir(struct wali *k, const uint64_t *a)
{
	char path[VFS_PATH_MAX];
	struct wali_at at = {0};
	WTRY(wali_text(k, a[0], path, sizeof path));
	enum ferr e = wali_at_text(k, cwd, path, true, &at);
	if (e == FE_OK)
		e = wali_real(k, &at);
	int64_t r = e == FE_OK ? go_to(k, &at) : wali_error(k, e);
	wali_at_end(&at);
	return r;
}

int64_t wali_fchdir(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	struct wali_at at = {0};
	WTRY(wali_fd(k, a[0], &e));
	if (e->file->obj->type != VFS_TYPE_DIR)
		return NO(NOTDIR);
	enum ferr r = wali_at_text(k, a[0], ".", true, &at);
	int64_t n = r == FE_OK ? go_to(k, &at) : wali_error(k, r);
	wali_at_end(&at);
	return n;
}

int64_t wali_chroot(struct wali *k, const uint64_t *a)
{
	int64_t r = is_there(k, cwd, a[0], 0);
	return r ? r : NO(PERM);
}
