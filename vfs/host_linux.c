/* host_linux.c - a folder of the host, on Linux and Android.
 *
 * Every path is resolved beneath the folder it is relative to, in one of two ways. openat2(RESOLVE_BENEATH) leaves
 * the whole walk to the kernel. Where it is missing (or a race made it give up), vfs/walk.h enters one folder after
 * another with O_NOFOLLOW. Operations that have no openat2 form (unlink, mkdir, link, ...) resolve the parent folder so, and then act on one name
 * in it, which none of them follows. Opening does so too, as the folder is looked at: a node's home is for no guest.
 */
#include "vfs/host.h"
#include "vfs/host_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

struct host_obj {
	struct vfs_obj base;
	int fd;
	bool use_openat2;
	dev_t dev;  /* of the file system that it is known not to be procfs */
	int fd_end; /* guests get no descriptor of the host from this one on: they are the node's */
};

static const struct vfs_ops host_ops;

bool vfs_is_host(const struct vfs_obj *o)
{
	return o->ops == &host_ops;
}

static struct host_obj *host_of(struct vfs_obj *o)
{
	return (struct host_obj *)o;
}

/* ---- errors, times, types ---- */

static enum ferr ferr_of(int host_errno)
{
	enum { EOK = 0, ENOTCAPABLE = 100000 };
	switch (host_errno) {
#define FERR(number, name, text) \
	case E##name: return FE_##name;
#include "vfs/ferr.def"
#undef FERR
	default: return FE_IO;
	}
}

static enum ferr result(long r)
{
	return r < 0 ? ferr_of(errno) : FE_OK;
}

static uint64_t ns_of(struct timespec t)
{
	return t.tv_sec < 0 ? 0 : (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static enum vfs_type type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFBLK: return VFS_TYPE_BLOCK;
	case S_IFCHR: return VFS_TYPE_CHAR;
	case S_IFDIR: return VFS_TYPE_DIR;
	case S_IFREG: return VFS_TYPE_FILE;
	case S_IFLNK: return VFS_TYPE_SYMLINK;
	case S_IFIFO: return VFS_TYPE_STREAM;
	case S_IFSOCK: return VFS_TYPE_DGRAM;
	default: return VFS_TYPE_UNKNOWN;
	}
}

/* ---- modes ----
 *
 * A guest's file takes over the nine bits of rwx; never set-uid and the like, which mean something to the host. A file that only its
 * owner may read would look like a node's key (see "homes"): it gets a bit of others that lets nobody do anything, and that guests
 * do not see. */

enum { MODE_OWNER_ONLY = 01 };

static mode_t mode_for_host(unsigned mode, bool is_file)
{
	mode &= 0777;
	return is_file && !(mode & 077) ? mode | MODE_OWNER_ONLY : mode;
}

/* Where the file is somebody else's, the bits that are meant for us stand in place of the owner's. */
static uint16_t mode_of_host(const struct stat *st)
{
	unsigned mode = st->st_mode & 0777;
	uid_t me = geteuid();
	if (S_ISREG(st->st_mode) && (mode & 077) == MODE_OWNER_ONLY)
		mode &= ~(unsigned)MODE_OWNER_ONLY;
	if (me && st->st_uid != me)
		mode =
		    (mode & 077) | (st->st_gid == getegid() ? mode << 3 & 0700 : mode << 6 & 0700);
	return (uint16_t)mode;
}

static void stat_of(const struct stat *st, struct vfs_stat *out)
{
	*out = (struct vfs_stat){
	    .dev = st->st_dev,
	    .ino = st->st_ino,
	    .nlink = st->st_nlink,
	    .size_bytes = st->st_size < 0 ? 0 : (uint64_t)st->st_size,
	    .atime_ns = ns_of(st->st_atim),
	    .mtime_ns = ns_of(st->st_mtim),
	    .ctime_ns = ns_of(st->st_ctim),
	    .type = (uint8_t)type_of(st->st_mode),
	    .has_mode = true,
	    .mode = mode_of_host(st),
	};
}

static struct timespec timespec_of(uint8_t how, uint64_t ns)
{
	if (how == VFS_TIME_SET)
		return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
		                         .tv_nsec = (long)(ns % 1000000000u)};
	return (struct timespec){.tv_nsec = how == VFS_TIME_NOW ? UTIME_NOW : UTIME_OMIT};
}

static void timespecs_of(const struct vfs_times *t, struct timespec out[2])
{
	out[0] = timespec_of(t->atime_how, t->atime_ns);
	out[1] = timespec_of(t->mtime_how, t->mtime_ns);
}

/* ---- homes ---- */

/* The key is for its user alone, else no node takes it: so a guest, whose files others can read, makes no folder a home. */
static bool has_key(int dir, const char *key, const char *lock)
{
	struct stat st;
	return fstatat(dir, key, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       !(st.st_mode & 077) && fstatat(dir, lock, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* It is the home of a node, or a folder in one: what a node keeps lies no deeper. Told by what is in it, as a home may be
 * mounted at many places; a guest that cannot enter it cannot change that. */
static bool is_home(int dir)
{
	return has_key(dir, HOST_HOME_KEY, HOST_HOME_LOCK) ||
	       has_key(dir, "../" HOST_HOME_KEY, "../" HOST_HOME_LOCK);
}

/* ---- the walk ---- */

static enum ferr walk_enter(void *ctx, uintptr_t dir, const char *name, uintptr_t *out)
{
	int fd = openat((int)dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd < 0)
		return ferr_of(errno);
	enum ferr e = result(fstat(fd, &st));
	if (e == FE_OK && S_ISLNK(st.st_mode))
		e = FE_LOOP;
	else if (e == FE_OK && !S_ISDIR(st.st_mode))
		e = FE_NOTDIR;
	if (e != FE_OK) {
		close(fd);
		return e;
	}
	*out = (uintptr_t)fd;
	return FE_OK;
}

static enum ferr walk_readlink(void *ctx, uintptr_t dir, const char *name, char *buf, size_t *size)
{
	ssize_t n = readlinkat((int)dir, name, buf, *size);
	if (n < 0)
		return ferr_of(errno);
	*size = (size_t)n;
	return FE_OK;
}

static void walk_leave(void *ctx, uintptr_t dir)
{
	close((int)dir);
}

static const struct walk_ops host_walk = {walk_enter, walk_readlink, walk_leave};

/* NOSYS: not to be had here. AGAIN: a race; the caller walks by itself. */
static enum ferr open_beneath(const struct host_obj *dir, const char *path, int flags, int *fd)
{
	struct open_how how = {
	    .flags = (uint64_t)(flags | O_CLOEXEC),
	    .mode = flags & O_CREAT ? 0666 : 0,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	for (int tries = 0; tries < 4; tries++) {
		long r = syscall(SYS_openat2, dir->fd, path, &how, sizeof how);
		if (r >= 0) {
			*fd = (int)r;
			return FE_OK;
		}
		if (errno != EAGAIN && errno != EINTR)
			break;
	}
	return errno == EXDEV ? FE_NOTCAPABLE : ferr_of(errno);
}

/* Splits "a/b/c//" into "a/b/" and "c". False when the last name is "." or "..": the walk knows those. */
static bool split_last(struct walk *at, const char *path, char *parent)
{
	size_t end = strlen(path);
	at->slash = end && path[end - 1] == '/';
	while (end && path[end - 1] == '/')
		end--;
	size_t start = end;
	while (start && path[start - 1] != '/')
		start--;
	size_t size = end - start;
	memcpy(at->name, path + start, size);
	at->name[size] = 0;
	memcpy(parent, path, start);
	parent[start] = 0;
	return strcmp(at->name, ".") && strcmp(at->name, "..");
}

/* The folder of the last name, by the kernel's walk: as if it had been entered in one step. */
static enum ferr find_beneath(struct walk *at, const struct host_obj *dir, const char *path)
{
	char parent[VFS_PATH_MAX];
	int fd;
	if (!split_last(at, path, parent))
		return FE_NOSYS;
	FTRY(open_beneath(dir, parent[0] ? parent : ".", O_PATH | O_DIRECTORY, &fd));
	at->ops = &host_walk;
	at->dirs[0] = (uintptr_t)fd;
	at->depth = 1;
	return FE_OK;
}

static bool ends_in_slash(const char *path)
{
	size_t size = strlen(path);
	return size && path[size - 1] == '/';
}

static enum ferr find(struct walk *at, const struct host_obj *d, const char *path,
                      enum walk_follow follow)
{
	if (follow == WALK_FOLLOW_SLASH && !ends_in_slash(path))
		follow = WALK_NOFOLLOW;
	/* One name alone is found without a system call. */
	if (d->use_openat2 && follow == WALK_NOFOLLOW && strchr(path, '/')) {
		enum ferr e = find_beneath(at, d, path);
		if (e != FE_NOSYS && e != FE_AGAIN)
			return e;
	}
	enum ferr e = walk_parent(at, &host_walk, NULL, (uintptr_t)d->fd, path, follow);
	if (e != FE_OK)
		walk_end(at);
	return e;
}

static int dir_of(const struct walk *at)
{
	return (int)walk_dir(at);
}

/* To root the kernel refuses nothing; a guest is not root, wherever its node runs. */
static bool owner_may(const struct walk *at, mode_t bits)
{
	struct stat st;
	return geteuid() || fstat(dir_of(at), &st) < 0 || (st.st_mode & bits) == bits;
}

static bool may_search(const struct walk *at)
{
	return host_is_dot(at) || owner_may(at, S_IXUSR);
}

enum ferr host_find(struct walk *at, struct vfs_obj *dir, const char *path, enum walk_follow follow)
{
	FTRY(find(at, host_of(dir), path, follow));
	if (!is_home(dir_of(at)) && may_search(at))
		return FE_OK;
	walk_end(at);
	return FE_ACCES;
}

enum ferr sys_check_home(const struct walk *at)
{
	uintptr_t dir;
	if (walk_enter(NULL, walk_dir(at), at->name, &dir) != FE_OK)
		return FE_OK;
	bool home = is_home((int)dir);
	walk_leave(NULL, dir);
	return home ? FE_ACCES : FE_OK;
}

enum ferr sys_check_change(const struct walk *at)
{
	return owner_may(at, S_IWUSR | S_IXUSR) ? FE_OK : FE_ACCES;
}

/* The kernel is never given a trailing slash, as it would follow a link. */
enum ferr sys_check_folder(const struct walk *at)
{
	struct stat st;
	if (fstatat(dir_of(at), at->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return ferr_of(errno);
	return S_ISDIR(st.st_mode) ? FE_OK : FE_NOTDIR;
}

/* ---- opening ---- */

/* /proc shows the node's own memory as a file (self/mem): who can open that is out of the sandbox. It may lie below any
 * folder, "/" above all. */
static bool is_procfs(int fd)
{
	struct statfs fs;
	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* dev: of its folder; NULL: nothing is known. */
static enum ferr obj_of_fd(int fd, bool use_openat2, const dev_t *dev, struct vfs_obj **out)
{
	struct stat st;
	struct host_obj *o = NULL;
	enum ferr e = result(fstat(fd, &st));
	if (e == FE_OK && (!dev || *dev != st.st_dev) && is_procfs(fd))
		e = FE_ACCES;
	if (e == FE_OK && S_ISDIR(st.st_mode) && is_home(fd))
		e = FE_PERM;
	if (e == FE_OK && !(o = calloc(1, sizeof *o)))
		e = FE_NOMEM;
	if (e != FE_OK) {
		close(fd);
		return e;
	}
	vfs_obj_init(&o->base, &host_ops, type_of(st.st_mode));
	o->fd = fd;
	o->use_openat2 = use_openat2;
	o->dev = st.st_dev;
	*out = &o->base;
	return FE_OK;
}

static bool has_openat2(int fd)
{
	struct host_obj o = {.fd = fd};
	int got;
	if (open_beneath(&o, ".", O_PATH, &got) != FE_OK)
		return false;
	close(got);
	return true;
}

/* What guests have open must not keep the node from its links and its store. Descriptors are the lowest free numbers. */
static int end_for_guests(uint32_t max)
{
	enum { NODE_FILES = 256 };
	uint32_t kept = max / 4 < NODE_FILES ? max / 4 : NODE_FILES;
	return max - kept < INT_MAX ? (int)(max - kept) : INT_MAX;
}

enum err vfs_host_new(const char *host_path, enum vfs_host_walk walk, struct vfs_obj **root,
                      struct errmsg *msg)
{
	int fd = open(host_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		enum err e = errno == ENOENT    ? ERR_NOTFOUND
		             : errno == ENOTDIR ? ERR_INVALID
		             : errno == EACCES  ? ERR_DENIED
		                                : ERR_IO;
		return err_set(msg, e, "folder %s: %s", host_path, strerror(errno));
	}
	switch (obj_of_fd(fd, walk == VFS_WALK_BEST && has_openat2(fd), NULL, root)) {
	case FE_OK: host_of(*root)->fd_end = end_for_guests(os_files_max()); return ERR_OK;
	case FE_ACCES:
		return err_set(
		    msg, ERR_DENIED,
		    "folder %s: it shows the memory of all processes, and is not for programs",
		    host_path);
	case FE_PERM: return err_set(msg, ERR_DENIED, "folder %s: " HOST_HOME_TEXT, host_path);
	default: return err_set(msg, ERR_NOMEM, "folder %s: out of memory", host_path);
	}
}

/* O_NONBLOCK: opening a fifo or a device does not wait. Appending and syncing are flags of each write. */
static int host_flags(unsigned flags)
{
	int f = O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	f |= flags & VFS_WRITE ? (flags & VFS_READ ? O_RDWR : O_WRONLY) : O_RDONLY;
	f |= flags & VFS_CREATE ? O_CREAT : 0;
	f |= flags & VFS_EXCLUSIVE ? O_EXCL : 0;
	f |= flags & VFS_TRUNCATE ? O_TRUNC : 0;
	f |= flags & VFS_DIRECTORY ? O_DIRECTORY : 0;
	f |= flags & VFS_NOFOLLOW ? O_NOFOLLOW : 0;
	return f;
}

/* The node's own umask is not the guest's: a file that has just been made gets the bits that were asked for. Where modes are not kept
 * it stays as it is. */
static void give_mode(int fd, unsigned mode)
{
	struct stat st;
	mode_t wanted = mode_for_host(mode, true);
	if (fstat(fd, &st) == 0 && (st.st_mode & 0777) != wanted)
		fchmod(fd, wanted);
}

static enum ferr make_new(const struct walk *at, int f, unsigned mode, int *fd)
{
	FTRY(sys_check_change(at));
	*fd = openat(dir_of(at), at->name, f | O_CREAT | O_EXCL, mode_for_host(mode, true));
	FTRY(result(*fd));
	give_mode(*fd, mode);
	return FE_OK;
}

/* Who opens what may be there must know whether he made it, so he tries to make it first. */
static enum ferr make_file(const struct walk *at, int f, unsigned mode, int *fd)
{
	struct stat st;
	enum ferr e = FE_NOENT;
	for (int tries = 0; tries < 4 && e == FE_NOENT; tries++) {
		e = make_new(at, f, mode, fd);
		if (e != FE_EXIST &&
		    (e != FE_ACCES || fstatat(dir_of(at), at->name, &st, AT_SYMLINK_NOFOLLOW) < 0))
			return e;
		if (f & O_EXCL)
			return FE_EXIST;
		*fd = openat(dir_of(at), at->name, f & ~O_CREAT);
		e = result(*fd);
	}
	return e;
}

/* A link as the last name is followed by the walk, or not at all: LOOP (NOTDIR when it was to be a folder). */
static enum ferr open_once(struct vfs_obj *dir, const char *path, unsigned flags,
                           enum walk_follow follow, int *fd)
{
	struct walk at;
	FTRY(host_find(&at, dir, path, follow));
	enum ferr e = FE_OK;
	int f = host_flags(flags) | O_NOFOLLOW;
	if (at.slash && flags & VFS_CREATE)
		e = FE_ISDIR;
	else if (at.slash)
		f |= O_DIRECTORY;
	if (e == FE_OK && f & O_CREAT && flags & VFS_MODE_MASK) {
		e = make_file(&at, f, vfs_mode_of(flags, 0666), fd);
	} else if (e == FE_OK) {
		*fd = openat(dir_of(&at), at.name, f, mode_for_host(0666, true));
		e = result(*fd);
	}
	walk_end(&at);
	return e;
}

/* First as if there were no link, which the kernel walks in one step; LOOP with follow: a link appeared after it was looked for. */
static enum ferr open_fd(struct vfs_obj *dir, const char *path, unsigned flags, int *fd)
{
	bool exclusive = flags & VFS_CREATE && flags & VFS_EXCLUSIVE;
	bool nofollow = flags & VFS_NOFOLLOW || exclusive;
	enum ferr e = FE_LOOP;
	if (nofollow || host_of(dir)->use_openat2)
		e = open_once(dir, path, flags, WALK_FOLLOW_SLASH, fd);
	if (nofollow || (e != FE_LOOP && e != FE_NOTDIR))
		return e;
	for (int tries = 0; tries < 4; tries++) {
		e = open_once(dir, path, flags, WALK_FOLLOW, fd);
		if (e != FE_LOOP)
			break;
	}
	return e;
}

static enum ferr host_open(struct vfs_obj *dir, const char *path, unsigned flags,
                           struct vfs_obj **out)
{
	const struct host_obj *d = host_of(dir);
	int fd = -1;
	FTRY(open_fd(dir, path, flags, &fd));
	if (fd >= d->fd_end) {
		close(fd);
		return FE_NFILE;
	}
	enum ferr e = obj_of_fd(fd, d->use_openat2, &d->dev, out);
	if (e == FE_OK)
		host_of(*out)->fd_end = d->fd_end;
	return e == FE_PERM ? FE_ACCES : e;
}

static void host_close(struct vfs_obj *o)
{
	close(host_of(o)->fd);
	free(o);
}

/* ---- contents ---- */

static int iovs_of(const struct vfs_iov *iov, size_t n, struct iovec *out)
{
	size_t count = n < VFS_IOVS_MAX ? n : VFS_IOVS_MAX;
	for (size_t i = 0; i < count; i++)
		out[i] = (struct iovec){.iov_base = iov[i].p, .iov_len = iov[i].size};
	return (int)count;
}

static bool has_offset(const struct vfs_obj *o)
{
	return o->type == VFS_TYPE_FILE || o->type == VFS_TYPE_BLOCK;
}

static enum ferr host_read(struct vfs_obj *o, uint64_t offset, const struct vfs_iov *iov, size_t n,
                           size_t *done)
{
	struct iovec v[VFS_IOVS_MAX];
	int count = iovs_of(iov, n, v);
	int fd = host_of(o)->fd;
	ssize_t r;
	if (offset > INT64_MAX)
		return FE_INVAL;
	do
		r = has_offset(o) ? preadv(fd, v, count, (off_t)offset) : readv(fd, v, count);
	while (r < 0 && errno == EINTR);
	FTRY(result(r));
	*done = (size_t)r;
	return FE_OK;
}

/* The kernel's RWF_*, for which not every libc has names. */
enum { WRITE_DSYNC = 0x2, WRITE_SYNC = 0x4, WRITE_APPEND = 0x10 };

/* pwritev2() without its one call, which Android's filter may refuse: in steps, so that an append of another
 * writer may come between. */
static ssize_t write_in_steps(int fd, const struct iovec *v, int count, off_t offset, int how)
{
	ssize_t r;

	if (how & WRITE_APPEND)
		r = lseek(fd, 0, SEEK_END) < 0 ? -1 : writev(fd, v, count);
	else
		r = pwritev(fd, v, count, offset);
	if (r >= 0 && how & WRITE_SYNC && fsync(fd) != 0)
		return -1;
	if (r >= 0 && how & WRITE_DSYNC && fdatasync(fd) != 0)
		return -1;
	return r;
}

/* To the end of the file (its position is then behind what was written), or to offset. */
static ssize_t write_at(int fd, const struct iovec *v, int count, off_t offset, int how)
{
	ssize_t r;

	if (how == 0)
		return pwritev(fd, v, count, offset);
	r = syscall(SYS_pwritev2, fd, v, count, how & WRITE_APPEND ? -1L : (long)offset, 0L, how);
	return r < 0 && errno == ENOSYS ? write_in_steps(fd, v, count, offset, how) : r;
}

static enum ferr host_write(struct vfs_obj *o, uint64_t offset, unsigned flags,
                            const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end)
{
	struct iovec v[VFS_IOVS_MAX];
	int count = iovs_of(iov, n, v);
	int fd = host_of(o)->fd;
	bool append = flags & VFS_APPEND && has_offset(o);
	int how = (append ? WRITE_APPEND : 0) | (flags & VFS_SYNC ? WRITE_SYNC : 0) |
	          (flags & VFS_DSYNC ? WRITE_DSYNC : 0);
	ssize_t r;
	if (offset > INT64_MAX)
		return FE_FBIG;
	do
		r = has_offset(o) ? write_at(fd, v, count, (off_t)offset, how)
		                  : writev(fd, v, count);
	while (r < 0 && errno == EINTR);
	FTRY(result(r));
	*done = (size_t)r;
	off_t at = append ? lseek(fd, 0, SEEK_CUR) : (off_t)(offset + (size_t)r);
	*end = at < 0 ? offset : (uint64_t)at;
	return FE_OK;
}

static enum ferr host_stat(struct vfs_obj *o, struct vfs_stat *out)
{
	struct stat st;
	FTRY(result(fstat(host_of(o)->fd, &st)));
	stat_of(&st, out);
	return FE_OK;
}

static enum ferr host_set_size(struct vfs_obj *o, uint64_t size_bytes)
{
	return result(ftruncate(host_of(o)->fd, (off_t)size_bytes));
}

static enum ferr host_allocate(struct vfs_obj *o, uint64_t offset, uint64_t size_bytes)
{
	int e = posix_fallocate(host_of(o)->fd, (off_t)offset, (off_t)size_bytes);
	return ferr_of(e);
}

static enum ferr host_set_times(struct vfs_obj *o, const struct vfs_times *t)
{
	struct timespec ts[2];
	timespecs_of(t, ts);
	return result(futimens(host_of(o)->fd, ts));
}

static enum ferr host_set_mode(struct vfs_obj *o, unsigned mode)
{
	if (o->type != VFS_TYPE_FILE && o->type != VFS_TYPE_DIR)
		return FE_NOTSUP;
	return result(fchmod(host_of(o)->fd, mode_for_host(mode, o->type == VFS_TYPE_FILE)));
}

static enum ferr host_sync(struct vfs_obj *o, bool data_only)
{
	int fd = host_of(o)->fd;
	return result(data_only ? fdatasync(fd) : fsync(fd));
}

static enum ferr host_space(struct vfs_obj *o, struct vfs_space *out)
{
	struct statvfs s;
	FTRY(result(fstatvfs(host_of(o)->fd, &s)));
	*out = (struct vfs_space){.total_bytes = (uint64_t)s.f_blocks * s.f_frsize,
	                          .free_bytes = (uint64_t)s.f_bavail * s.f_frsize,
	                          .files = s.f_files,
	                          .free_files = s.f_favail};
	return FE_OK;
}

/* ---- listing ---- */

struct kernel_dirent {
	uint64_t ino;
	int64_t next;
	uint16_t size;
	uint8_t type;
	char name[];
};

static enum ferr emit_one(const struct kernel_dirent *k, struct host_obj *dir, vfs_dirent_fn emit,
                          void *ctx, bool *more)
{
	struct vfs_dirent e = {
	    .next = (uint64_t)k->next,
	    .ino = k->ino,
	    .type = (uint8_t)type_of(DTTOIF(k->type)),
	    .name = k->name,
	    .name_size = strlen(k->name),
	};
	struct stat st;
	/* What lies above a mount is nobody's business. */
	const char *asked = strcmp(k->name, "..") ? k->name : ".";
	if (asked != k->name || e.type == VFS_TYPE_UNKNOWN) {
		if (fstatat(dir->fd, asked, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT ? FE_OK : ferr_of(errno);
		e.type = (uint8_t)type_of(st.st_mode);
		e.ino = st.st_ino;
	}
	*more = emit(ctx, &e);
	return FE_OK;
}

static enum ferr host_readdir(struct vfs_obj *o, uint64_t cookie, vfs_dirent_fn emit, void *ctx)
{
	struct host_obj *dir = host_of(o);
	_Alignas(8) char buf[16384];
	bool more = true;
	if (lseek(dir->fd, (off_t)cookie, SEEK_SET) < 0)
		return ferr_of(errno);
	while (more) {
		long n = syscall(SYS_getdents64, dir->fd, buf, sizeof buf);
		if (n <= 0)
			return result(n);
		for (long at = 0; at < n && more;) {
			const struct kernel_dirent *k = (const void *)(buf + at);
			FTRY(emit_one(k, dir, emit, ctx, &more));
			at += k->size;
		}
	}
	return FE_OK;
}

/* ---- by name ---- */

static enum ferr stat_once(struct vfs_obj *dir, const char *path, enum walk_follow follow,
                           struct stat *st)
{
	struct walk at;
	FTRY(host_find(&at, dir, path, follow));
	enum ferr e = host_check_slash(&at);
	if (e == FE_OK)
		e = result(fstatat(dir_of(&at), at.name, st, AT_SYMLINK_NOFOLLOW));
	walk_end(&at);
	return e;
}

static enum ferr host_stat_at(struct vfs_obj *dir, const char *path, bool follow,
                              struct vfs_stat *out)
{
	struct stat st;
	enum ferr e = stat_once(dir, path, WALK_FOLLOW_SLASH, &st);
	if (follow && (e == FE_NOTDIR || (e == FE_OK && S_ISLNK(st.st_mode))))
		e = stat_once(dir, path, WALK_FOLLOW, &st);
	if (e == FE_OK)
		stat_of(&st, out);
	return e;
}

enum ferr sys_set_times(const struct walk *at, const struct vfs_times *t)
{
	struct timespec ts[2];
	timespecs_of(t, ts);
	return result(utimensat(dir_of(at), at->name, ts, AT_SYMLINK_NOFOLLOW));
}

/* By a descriptor that is no link's: chmod() follows them. */
enum ferr sys_set_mode(const struct walk *at, unsigned mode)
{
	char name[40];
	struct stat st;
	int fd = openat(dir_of(at), at->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	FTRY(result(fd));
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	enum ferr e = result(fstat(fd, &st));
	bool is_file = e == FE_OK && S_ISREG(st.st_mode);
	if (e == FE_OK && !is_file && !S_ISDIR(st.st_mode) && !S_ISFIFO(st.st_mode))
		e = FE_NOTSUP;
	if (e == FE_OK)
		e = result(chmod(name, mode_for_host(mode, is_file)));
	close(fd);
	return e;
}

enum ferr sys_mkdir(const struct walk *at)
{
	return result(mkdirat(dir_of(at), at->name, 0777));
}

enum ferr sys_mkfifo(const struct walk *at)
{
	return result(mkfifoat(dir_of(at), at->name, 0666));
}

enum ferr sys_remove(const struct walk *at, bool folder)
{
	return result(unlinkat(dir_of(at), at->name, folder ? AT_REMOVEDIR : 0));
}

enum ferr sys_symlink(const struct walk *at, struct vfs_obj *dir, const char *path,
                      const char *target)
{
	return result(symlinkat(target, dir_of(at), at->name));
}

enum ferr sys_readlink(const struct walk *at, char *buf, size_t *size)
{
	return walk_readlink(NULL, walk_dir(at), at->name, buf, size);
}

enum ferr sys_link(const struct walk *from, const struct walk *to)
{
	return result(linkat(dir_of(from), from->name, dir_of(to), to->name, 0));
}

enum ferr sys_rename(const struct walk *from, const struct walk *to)
{
	return result(renameat(dir_of(from), from->name, dir_of(to), to->name));
}

/* ---- waiting (fifos and devices in the folder) ---- */

static unsigned host_ready(struct vfs_obj *o, unsigned events)
{
	if (has_offset(o) || o->type == VFS_TYPE_DIR)
		return events & (VFS_READABLE | VFS_WRITABLE);
	struct pollfd p = {.fd = host_of(o)->fd};
	p.events =
	    (short)((events & VFS_READABLE ? POLLIN : 0) | (events & VFS_WRITABLE ? POLLOUT : 0));
	if (poll(&p, 1, 0) <= 0)
		return 0;
	return (p.revents & POLLIN ? VFS_READABLE : 0u) |
	       (p.revents & POLLOUT ? VFS_WRITABLE : 0u) |
	       (p.revents & (POLLHUP | POLLERR) ? VFS_HANGUP : 0u);
}

static os_handle host_wait_handle(struct vfs_obj *o, unsigned events)
{
	return host_of(o)->fd;
}

/* ---- where it is now ---- */

static enum ferr fd_path(int fd, char *buf, size_t size)
{
	char link[40];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, buf, size);
	FTRY(result(n));
	if ((size_t)n >= size)
		return FE_NAMETOOLONG;
	buf[n] = 0;
	return FE_OK;
}

static enum ferr host_path_of(struct vfs_obj *o, struct vfs_obj *root, char *buf, size_t size)
{
	char base[VFS_PATH_MAX], path[VFS_PATH_MAX];
	struct stat st;
	FTRY(result(fstat(host_of(o)->fd, &st)));
	if (st.st_nlink == 0)
		return FE_NOENT;
	FTRY(fd_path(host_of(root)->fd, base, sizeof base));
	FTRY(fd_path(host_of(o)->fd, path, sizeof path));
	return host_below(base, path, buf, size);
}

static const struct vfs_ops host_ops = {
    .name = "host",
    .close = host_close,
    .read = host_read,
    .write = host_write,
    .stat = host_stat,
    .set_size = host_set_size,
    .allocate = host_allocate,
    .set_times = host_set_times,
    .set_mode = host_set_mode,
    .sync = host_sync,
    .space = host_space,
    .readdir = host_readdir,
    .ready = host_ready,
    .wait_handle = host_wait_handle,
    .open = host_open,
    .stat_at = host_stat_at,
    .set_times_at = names_set_times,
    .set_mode_at = names_set_mode,
    .mkdir = names_mkdir,
    .mkfifo = names_mkfifo,
    .rmdir = names_rmdir,
    .unlink = names_unlink,
    .symlink = names_symlink,
    .readlink = names_readlink,
    .link = names_link,
    .rename = names_rename,
    .reopen = host_reopen,
    .path_of = host_path_of,
};
