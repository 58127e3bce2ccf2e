/* mount_fuse.c - the tree of all devices by FUSE: each call of a host program becomes one or two of vfs/vfs.h (mount_inodes.h says in which order).
 *
 * The kernel believes a name for a second, a folder's for five, and attributes never; pages are dropped when a file is opened. So what was written elsewhere is seen by who
 * opens the file after that. An open file knows its own attributes for a second, unless something was changed in its lane.
 * Locks are the kernel's: among the programs of this host.
 */
#include "shell/mount.h"

#include "base/file.h"
#include "shell/internal.h"
#include "shell/system.h"
#include "shell/mount_inodes.h"
#include "shell/tree.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FRESH_NS = 1000000000 };

/* ---- attributes ---- */

static mode_t type_bits(uint8_t type)
{
	switch (type) {
	case VFS_TYPE_DIR: return S_IFDIR;
	case VFS_TYPE_FILE: return S_IFREG;
	case VFS_TYPE_SYMLINK: return S_IFLNK;
	case VFS_TYPE_STREAM: return S_IFIFO;
	case VFS_TYPE_CHAR: return S_IFCHR;
	case VFS_TYPE_BLOCK: return S_IFBLK;
	default: return S_IFSOCK;
	}
}

static mode_t mode_bits(const struct vfs_stat *st)
{
	mode_t usual = st->type == VFS_TYPE_DIR ? 0755 : st->type == VFS_TYPE_SYMLINK ? 0777 : 0644;
	return type_bits(st->type) | (st->has_mode ? st->mode & 07777 : usual);
}

static struct timespec time_of(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / 1000000000),
	                         .tv_nsec = (long)(ns % 1000000000)};
}

/* One number for the file on all devices. */
static ino_t ino_of(const struct lane *l, uint64_t dev, uint64_t ino)
{
	uint64_t h = (l->hash ^ dev) * 0x9e3779b97f4a7c15u;
	h = (h ^ h >> 29) + ino;
	return h > 1 ? h : 2;
}

static void put_stat(const struct mounted *m, const struct lane *l, const struct vfs_stat *st,
                     struct stat *out)
{
	*out = (struct stat){.st_ino = ino_of(l, st->dev, st->ino),
	                     .st_mode = mode_bits(st),
	                     .st_nlink = st->nlink,
	                     .st_uid = m->uid,
	                     .st_gid = m->gid,
	                     .st_size = (off_t)st->size_bytes,
	                     .st_blksize = 131072,
	                     .st_blocks = (blkcnt_t)((st->size_bytes + 511) / 512),
	                     .st_atim = time_of(st->atime_ns),
	                     .st_mtim = time_of(st->mtime_ns),
	                     .st_ctim = time_of(st->ctime_ns)};
}

static struct handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

static enum ferr handle_stat(struct handle *h)
{
	uint64_t now = os_monotonic_ns();
	if (h->known_ns && now - h->known_ns < FRESH_NS && h->known_changes == h->lane->changes)
		return FE_OK;
	FTRY(vfs_stat(h->obj, &h->st));
	h->known_ns = now;
	h->known_changes = h->lane->changes;
	return FE_OK;
}

/* Whoever has it open knows: its attributes, for the kernel. */
static int stat_open(struct mounted *m, struct handle *h, struct stat *out)
{
	pthread_mutex_lock(&h->lane->lock);
	enum ferr e = handle_stat(h);
	if (e == FE_OK)
		put_stat(m, h->lane, &h->st, out);
	pthread_mutex_unlock(&h->lane->lock);
	return mount_errno(e);
}

static enum ferr stat_at(struct at *at, struct vfs_stat *st)
{
	return at->open ? vfs_stat(at->open, st) : vfs_stat_at(at->root, at->path, false, st);
}

static int stat_named(fuse_req_t req, fuse_ino_t ino, struct stat *out)
{
	struct at at;
	struct vfs_stat st;
	int failed = mount_begin(req, ino, NULL, &at);
	if (failed)
		return failed;
	enum ferr e = stat_at(&at, &st);
	if (e == FE_OK)
		put_stat(at.m, at.lane, &st, out);
	bool other =
	    e == FE_OK && ino != FUSE_ROOT_ID && out->st_ino != mount_inode(at.m, ino)->key;
	failed = mount_end(&at, e);
	return other ? ESTALE : failed;
}

static void reply_attributes(fuse_req_t req, int failed, const struct stat *st)
{
	if (failed)
		fuse_reply_err(req, failed);
	else
		fuse_reply_attr(req, st, 0);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;
	int failed = fi ? stat_open(mount_of(req), handle_of(fi), &st) : stat_named(req, ino, &st);
	reply_attributes(req, failed, &st);
}

static void set_time(const struct timespec *t, bool set, bool now, uint8_t *how, uint64_t *ns)
{
	*how = now ? VFS_TIME_NOW : set ? VFS_TIME_SET : VFS_TIME_KEEP;
	*ns = *how == VFS_TIME_SET ? (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec : 0;
}

static enum ferr set_size(struct at *at, uint64_t size)
{
	struct vfs_obj *o;
	if (at->open)
		return vfs_set_size(at->open, size);
	FTRY(vfs_open(at->root, at->path, VFS_WRITE | VFS_NOFOLLOW, &o));
	enum ferr e = vfs_set_size(o, size);
	vfs_unref(o);
	return e;
}

static enum ferr set_times(struct at *at, const struct stat *a, int what)
{
	struct vfs_times t;
	set_time(&a->st_atim, what & FUSE_SET_ATTR_ATIME, what & FUSE_SET_ATTR_ATIME_NOW,
	         &t.atime_how, &t.atime_ns);
	set_time(&a->st_mtim, what & FUSE_SET_ATTR_MTIME, what & FUSE_SET_ATTR_MTIME_NOW,
	         &t.mtime_how, &t.mtime_ns);
	return at->open ? vfs_set_times(at->open, &t)
	                : vfs_set_times_at(at->root, at->path, false, &t);
}

enum {
	ANY_TIME = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW |
	           FUSE_SET_ATTR_MTIME_NOW
};

static enum ferr set_attributes(struct at *at, const struct stat *a, int what)
{
	/* Everything belongs to who mounted it. */
	if ((what & FUSE_SET_ATTR_UID && a->st_uid != at->m->uid) ||
	    (what & FUSE_SET_ATTR_GID && a->st_gid != at->m->gid))
		return FE_PERM;
	if (what & FUSE_SET_ATTR_SIZE)
		FTRY(set_size(at, (uint64_t)a->st_size));
	if (what & FUSE_SET_ATTR_MODE)
		FTRY(at->open ? vfs_set_mode(at->open, a->st_mode & 07777)
		              : vfs_set_mode_at(at->root, at->path, false, a->st_mode & 07777));
	return what & ANY_TIME ? set_times(at, a, what) : FE_OK;
}

static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *a, int what,
                       struct fuse_file_info *fi)
{
	struct at at;
	struct stat st;
	int failed = 0;
	if (fi) {
		struct handle *h = handle_of(fi);
		at = (struct at){.m = mount_of(req), .lane = h->lane, .open = vfs_ref(h->obj)};
		pthread_mutex_lock(&h->lane->lock);
	} else {
		failed = mount_begin(req, ino, NULL, &at);
	}
	/* truncate() of another name of it: what is open may be open to be read only, so the kernel looks that name up. */
	bool is_lost = !failed && !fi && at.open && what & FUSE_SET_ATTR_SIZE;
	if (!failed)
		failed = mount_end_change(&at, is_lost ? FE_STALE : set_attributes(&at, a, what));
	if (!failed)
		failed =
		    fi ? stat_open(mount_of(req), handle_of(fi), &st) : stat_named(req, ino, &st);
	reply_attributes(req, failed, &st);
}

/* The sizes of what the shares lie in are not known: programs that look for room first find a TiB, and ENOSPC tells when there is none. */
static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	enum { BLOCKS = 1 << 28, FILES = 1 << 30 };
	struct statvfs out = {.f_bsize = 4096,
	                      .f_frsize = 4096,
	                      .f_blocks = BLOCKS,
	                      .f_bfree = BLOCKS,
	                      .f_bavail = BLOCKS,
	                      .f_files = FILES,
	                      .f_ffree = FILES,
	                      .f_favail = FILES,
	                      .f_namemax = VFS_NAME_MAX};
	fuse_reply_statfs(req, &out);
}

/* ---- names ---- */

/* What stands at at->path now, as an inode the kernel has once more. In the lane. */
static enum ferr enter(struct at *at, struct fuse_entry_param *out, struct inode **inode)
{
	struct vfs_stat st;
	FTRY(vfs_stat_at(at->root, at->path, false, &st));
	*out = (struct fuse_entry_param){.entry_timeout = st.type == VFS_TYPE_DIR ? 5 : 1};
	put_stat(at->m, at->lane, &st, &out->attr);
	pthread_mutex_lock(&at->m->lock);
	*inode = mount_look_up(at->m, out->attr.st_ino, at->path);
	pthread_mutex_unlock(&at->m->lock);
	out->ino = (uintptr_t)*inode;
	return *inode ? FE_OK : FE_NOMEM;
}

static void reply_entry(fuse_req_t req, int failed, const struct fuse_entry_param *p)
{
	if (failed)
		fuse_reply_err(req, failed);
	else
		fuse_reply_entry(req, p);
}

/* The end of what made a name. */
static void end_made(fuse_req_t req, struct at *at, enum ferr e)
{
	struct fuse_entry_param p;
	struct inode *i;
	if (e == FE_OK)
		e = enter(at, &p, &i);
	reply_entry(req, mount_end_change(at, e), &p);
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct at at;
	struct fuse_entry_param p;
	struct inode *i;
	int failed = mount_begin(req, parent, name, &at);
	if (!failed)
		failed = mount_end(&at, enter(&at, &p, &i));
	reply_entry(req, failed, &p);
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	struct mounted *m = mount_of(req);
	pthread_mutex_lock(&m->lock);
	mount_forget(m, mount_inode(m, ino), lookups);
	pthread_mutex_unlock(&m->lock);
	fuse_reply_none(req);
}

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct at at;
	char text[VFS_PATH_MAX];
	size_t n = sizeof text - 1;
	int failed = mount_begin(req, ino, NULL, &at);
	if (!failed)
		failed =
		    mount_end(&at, at.open ? FE_STALE : vfs_readlink(at.root, at.path, text, &n));
	text[failed ? 0 : n] = 0;
	if (failed)
		fuse_reply_err(req, failed);
	else
		fuse_reply_readlink(req, text);
}

static void on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct at at;
	int failed = mount_begin(req, parent, name, &at);
	if (failed) {
		fuse_reply_err(req, failed);
		return;
	}
	enum ferr e = vfs_mkdir(at.root, at.path);
	if (e == FE_OK)
		vfs_set_mode_at(at.root, at.path, false, mode & 07777);
	end_made(req, &at, e);
}

static enum ferr make_node(struct at *at, mode_t mode)
{
	struct vfs_obj *o;
	unsigned how = VFS_WRITE | VFS_CREATE | VFS_EXCLUSIVE | VFS_MODE(mode & 07777);
	if (S_ISFIFO(mode))
		return vfs_mkfifo(at->root, at->path);
	if (!S_ISREG(mode))
		return FE_PERM;
	FTRY(vfs_open(at->root, at->path, how, &o));
	vfs_unref(o);
	return FE_OK;
}

static void on_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	struct at at;
	int failed = mount_begin(req, parent, name, &at);
	if (failed)
		fuse_reply_err(req, failed);
	else
		end_made(req, &at, make_node(&at, mode));
}

static void on_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct at at;
	int failed = mount_begin(req, parent, name, &at);
	if (failed)
		fuse_reply_err(req, failed);
	else
		end_made(req, &at, vfs_symlink_guest(at.root, target, at.path));
}

static void remove_name(fuse_req_t req, fuse_ino_t parent, const char *name,
                        enum ferr (*op)(struct vfs_obj *, const char *))
{
	struct at at;
	int failed = mount_begin(req, parent, name, &at);
	if (!failed) {
		enum ferr e = op(at.root, at.path);
		pthread_mutex_lock(&at.m->lock);
		if (e == FE_OK)
			mount_name_gone(at.m, at.path);
		pthread_mutex_unlock(&at.m->lock);
		failed = mount_end_change(&at, e);
	}
	fuse_reply_err(req, failed);
}

static void on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, vfs_unlink);
}

static void on_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, vfs_rmdir);
}

/* Two names in one lane; XDEV when they are in two. The kernel renames one thing at a time: the second path stays. */
static int begin_two(fuse_req_t req, fuse_ino_t ino, const char *name, fuse_ino_t parent,
                     const char *new_name, struct at *at, char other[VFS_PATH_MAX])
{
	struct mounted *m = mount_of(req);
	pthread_mutex_lock(&m->lock);
	int failed = mount_path(mount_inode(m, parent), new_name, other);
	pthread_mutex_unlock(&m->lock);
	if (failed)
		return failed;
	const struct lane *l = mount_lane(m, other);
	failed = mount_begin(req, ino, name, at);
	if (failed)
		return failed;
	return at->lane == l && !at->open ? 0 : mount_end(at, at->open ? FE_STALE : FE_XDEV);
}

/* The name must be free, and the devices know no such rename: a second name, and away with the first. A folder has only one. */
static enum ferr rename_to_new(struct vfs_obj *root, const char *from, const char *to)
{
	struct vfs_stat st;
	FTRY(vfs_stat_at(root, from, false, &st));
	if (st.type == VFS_TYPE_DIR)
		return vfs_stat_at(root, to, false, &st) == FE_OK ? FE_EXIST : FE_INVAL;
	FTRY(vfs_link(root, from, false, root, to));
	return vfs_unlink(root, from);
}

static bool is_same_file(struct vfs_obj *root, const char *a, const char *b)
{
	struct vfs_stat x, y;
	return vfs_stat_at(root, a, false, &x) == FE_OK &&
	       vfs_stat_at(root, b, false, &y) == FE_OK && x.dev == y.dev && x.ino == y.ino;
}

static enum ferr rename_it(struct at *at, const char *other, unsigned flags)
{
	if (flags & ~(unsigned)RENAME_NOREPLACE)
		return FE_INVAL;
	if (!flags && is_same_file(at->root, at->path, other))
		return vfs_rename(at->root, at->path, at->root, other); /* both names stay */
	FTRY(flags ? rename_to_new(at->root, at->path, other)
	           : vfs_rename(at->root, at->path, at->root, other));
	pthread_mutex_lock(&at->m->lock);
	mount_name_now(at->m, at->path, other);
	pthread_mutex_unlock(&at->m->lock);
	return FE_OK;
}

static void on_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                      const char *new_name, unsigned flags)
{
	struct at at;
	char other[VFS_PATH_MAX];
	int failed = begin_two(req, parent, name, new_parent, new_name, &at, other);
	if (!failed)
		failed = mount_end_change(&at, rename_it(&at, other, flags));
	fuse_reply_err(req, failed);
}

static void on_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct at at;
	char other[VFS_PATH_MAX];
	int failed = begin_two(req, ino, NULL, parent, name, &at, other);
	if (failed) {
		fuse_reply_err(req, failed);
		return;
	}
	enum ferr e = vfs_link(at.root, at.path, false, at.root, other);
	strcpy(at.path, other);
	end_made(req, &at, e);
}

/* ---- open files ---- */

static unsigned flags_of(int flags)
{
	int access = flags & O_ACCMODE;
	unsigned out = access == O_RDONLY   ? VFS_READ
	               : access == O_WRONLY ? VFS_WRITE
	                                    : VFS_READ | VFS_WRITE;
	if (flags & O_TRUNC)
		out |= VFS_TRUNCATE;
	if (flags & O_APPEND)
		out |= VFS_APPEND;
	if ((flags & O_SYNC) == O_SYNC)
		out |= VFS_SYNC;
	else if (flags & O_DSYNC)
		out |= VFS_DSYNC;
	return out;
}

static void keep_open(struct at *at, struct handle *h, struct inode *i)
{
	pthread_mutex_lock(&at->m->lock);
	h->inode = i;
	h->next = i->open;
	i->open = h;
	pthread_mutex_unlock(&at->m->lock);
}

/* In the lane. What is open is not opened again by a name that it has lost. */
static enum ferr open_at(struct at *at, unsigned flags, struct handle **out)
{
	struct handle *h = calloc(1, sizeof *h);
	if (!h || at->open) {
		free(h);
		return at->open ? FE_STALE : FE_NOMEM;
	}
	h->lane = at->lane;
	h->flags = flags;
	enum ferr e = vfs_open(at->root, at->path, flags, &h->obj);
	*out = h;
	if (e != FE_OK)
		free(h);
	return e;
}

static int open_inode(fuse_req_t req, fuse_ino_t ino, unsigned flags, struct fuse_file_info *fi)
{
	struct at at;
	struct handle *h = NULL;
	int failed = mount_begin(req, ino, NULL, &at);
	if (failed)
		return failed;
	enum ferr e = open_at(&at, flags | VFS_NOFOLLOW, &h);
	if (e == FE_OK) {
		keep_open(&at, h, mount_inode(at.m, ino));
		fi->fh = (uintptr_t)h;
	}
	return flags & VFS_TRUNCATE ? mount_end_change(&at, e) : mount_end(&at, e);
}

static void reply_open(fuse_req_t req, int failed, const struct fuse_file_info *fi)
{
	if (failed)
		fuse_reply_err(req, failed);
	else
		fuse_reply_open(req, fi);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	reply_open(req, open_inode(req, ino, flags_of(fi->flags), fi), fi);
}

static void on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *fi)
{
	struct at at;
	struct fuse_entry_param p;
	struct inode *i;
	struct handle *h = NULL;
	unsigned flags = flags_of(fi->flags) | VFS_CREATE | VFS_NOFOLLOW | VFS_MODE(mode & 07777) |
	                 (fi->flags & O_EXCL ? VFS_EXCLUSIVE : 0);
	int failed = mount_begin(req, parent, name, &at);
	if (failed) {
		fuse_reply_err(req, failed);
		return;
	}
	enum ferr e = open_at(&at, flags, &h);
	if (e == FE_OK && (e = enter(&at, &p, &i)) != FE_OK) {
		vfs_unref(h->obj);
		free(h);
	}
	if (e == FE_OK) {
		keep_open(&at, h, i);
		fi->fh = (uintptr_t)h;
	}
	failed = mount_end_change(&at, e);
	if (failed)
		fuse_reply_err(req, failed);
	else
		fuse_reply_create(req, &p, fi);
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mounted *m = mount_of(req);
	struct handle *h = handle_of(fi);
	struct vfs_stat st;
	pthread_mutex_lock(&m->lock);
	struct handle **at = &h->inode->open;
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	mount_forget(m, h->inode, 0);
	pthread_mutex_unlock(&m->lock);
	pthread_mutex_lock(&h->lane->lock);
	vfs_unref(h->obj);
	if (h->flags &
	    VFS_WRITE) /* the next question tells the node; storage of the web waits for it */
		vfs_stat(tree_root(h->lane->tree), &st);
	pthread_mutex_unlock(&h->lane->lock);
	free(h);
	fuse_reply_err(req, 0);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);
	char *buf = malloc(size);
	struct vfs_iov iov = {.p = buf, .size = size};
	size_t done = 0;
	enum ferr e = FE_NOMEM;
	if (buf) {
		pthread_mutex_lock(&h->lane->lock);
		e = vfs_read(h->obj, (uint64_t)offset, &iov, 1, &done);
		pthread_mutex_unlock(&h->lane->lock);
	}
	if (e == FE_OK)
		fuse_reply_buf(req, buf, done);
	else
		fuse_reply_err(req, mount_errno(e));
	free(buf);
}

static enum ferr write_all(struct handle *h, unsigned flags, const char *buf, size_t size,
                           uint64_t offset, size_t *all)
{
	while (*all < size) {
		uint64_t file_end;
		size_t done = 0;
		struct vfs_iov iov = {.p = (char *)(uintptr_t)buf + *all, .size = size - *all};
		FTRY(vfs_write(h->obj, offset + *all, flags, &iov, 1, &done, &file_end));
		*all += done;
		if (!done)
			return FE_NOSPC;
	}
	return FE_OK;
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset,
                     struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);
	/* Pages of a mapping come by whichever handle can write, and go where they belong. */
	unsigned flags = h->flags & (VFS_SYNC | VFS_DSYNC | (fi->writepage ? 0u : VFS_APPEND));
	size_t all = 0;
	pthread_mutex_lock(&h->lane->lock);
	enum ferr e = write_all(h, flags, buf, size, (uint64_t)offset, &all);
	h->lane->changes++;
	pthread_mutex_unlock(&h->lane->lock);
	if (e == FE_OK || all)
		fuse_reply_write(req, all);
	else
		fuse_reply_err(req, mount_errno(e));
}

static int sync_it(struct handle *h, bool data_only)
{
	pthread_mutex_lock(&h->lane->lock);
	enum ferr e = vfs_sync(h->obj, data_only);
	pthread_mutex_unlock(&h->lane->lock);
	return mount_errno(e);
}

static void on_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	fuse_reply_err(req, sync_it(handle_of(fi), data_only));
}

static void on_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t size,
                         struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);
	if (mode) {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	pthread_mutex_lock(&h->lane->lock);
	enum ferr e = vfs_allocate(h->obj, (uint64_t)offset, (uint64_t)size);
	h->lane->changes++;
	pthread_mutex_unlock(&h->lane->lock);
	fuse_reply_err(req, mount_errno(e));
}

/* ---- folders ---- */

static void on_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	reply_open(req, open_inode(req, ino, VFS_READ | VFS_DIRECTORY, fi), fi);
}

struct filling {
	fuse_req_t req;
	const struct lane *lane;
	char *buf;
	size_t size, used;
};

/* False: the buffer is full. */
static bool give_name(void *ctx, const struct vfs_dirent *e)
{
	struct filling *f = ctx;
	char name[VFS_NAME_MAX + 1];
	struct stat st = {.st_ino = ino_of(f->lane, 0, e->ino), .st_mode = type_bits(e->type)};
	memcpy(name, e->name, e->name_size);
	name[e->name_size] = 0;
	size_t n = fuse_add_direntry(f->req, f->buf + f->used, f->size - f->used, name, &st,
	                             (off_t)e->next);
	if (n > f->size - f->used)
		return false;
	f->used += n;
	return true;
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);
	struct filling f = {.req = req, .lane = h->lane, .buf = malloc(size), .size = size};
	enum ferr e = FE_NOMEM;
	if (f.buf) {
		pthread_mutex_lock(&h->lane->lock);
		e = vfs_readdir(h->obj, (uint64_t)offset, give_name, &f);
		pthread_mutex_unlock(&h->lane->lock);
	}
	if (e == FE_OK)
		fuse_reply_buf(req, f.buf, f.used);
	else
		fuse_reply_err(req, mount_errno(e));
	free(f.buf);
}

/* Not every backend can bring a folder to the disk. */
static void on_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	int e = sync_it(handle_of(fi), data_only);
	fuse_reply_err(req, e == ENOTSUP || e == EBADF || e == EISDIR || e == EINVAL ? 0 : e);
}

/* ---- the mount ---- */

static const struct fuse_lowlevel_ops operations = {
    .lookup = on_lookup,
    .forget = on_forget,
    .getattr = on_getattr,
    .setattr = on_setattr,
    .readlink = on_readlink,
    .mknod = on_mknod,
    .mkdir = on_mkdir,
    .unlink = on_unlink,
    .rmdir = on_rmdir,
    .symlink = on_symlink,
    .rename = on_rename,
    .link = on_link,
    .open = on_open,
    .create = on_create,
    .read = on_read,
    .write = on_write,
    .statfs = on_statfs,
    .release = on_release,
    .fsync = on_fsync,
    .opendir = on_opendir,
    .readdir = on_readdir,
    .releasedir = on_release,
    .fsyncdir = on_fsyncdir,
    .fallocate = on_fallocate,
};

struct wish {
	const char *dir; /* absolute */
	bool foreground;
};

/* Until it is unmounted, or somebody ends this process. */
static int serve(struct mounted *m, const struct wish *w, struct fuse_session *se)
{
	enum { IDLE_THREADS = 10 };
	struct fuse_loop_config loop = {.max_idle_threads = IDLE_THREADS};
	int done = 0;
	if (fuse_session_mount(se, w->dir) != 0)
		return shell_fail(m->shell, "%s cannot be mounted on", w->dir);
	fuse_set_signal_handlers(se);
	if (!w->foreground)
		system_tell(m->shell, shell_home(m->shell), true, &done, sizeof done);
	int e = fuse_session_loop_mt(se, &loop);
	fuse_remove_signal_handlers(se);
	fuse_session_unmount(se);
	return e < 0 ? 1 : 0;
}

static int run(struct shell *sh, void *ctx)
{
	const struct wish *w = ctx;
	char *argv[] = {"wasmos", "-ofsname=wasmos,subtype=wasmos,default_permissions", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(2, argv);
	struct mounted *m = mount_new(sh);
	if (!m)
		return 1;
	struct fuse_session *se = fuse_session_new(&args, &operations, sizeof operations, m);
	int status = se ? serve(m, w, se) : shell_fail(sh, "FUSE does not work here");
	if (se)
		fuse_session_destroy(se);
	fuse_opt_free_args(&args);
	mount_free(m);
	return status;
}

int mount_tree(struct shell *sh, const char *dir, bool foreground)
{
	struct wish w = {.dir = path_resolve(dir), .foreground = foreground};
	int verdict, status;
	if (!w.dir)
		return shell_fail(sh, "there is no folder \"%s\"", dir);
	if (foreground)
		status = run(sh, &w);
	else
		status = system_background(sh, run, &w, &verdict, sizeof verdict) ? 0 : 1;
	free((char *)w.dir);
	return status;
}

/* fusermount3 may do it for who mounted it; without it only root can. */
int mount_leave(struct shell *sh, const char *dir, bool lazy)
{
	char *path = path_absolute(dir);
	int status = 0;
	if (!path)
		return shell_fail(sh, "out of memory");
	int failed = umount2(path, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) ? errno : 0;
	if (failed && failed != EPERM) {
		status =
		    shell_fail(sh, "%s: %s", dir,
		               failed == EINVAL ? "nothing is mounted there" : strerror(failed));
	} else if (failed) {
		pid_t pid = fork();
		if (pid == 0) {
			execlp("fusermount3", "fusermount3", lazy ? "-uz" : "-u", path,
			       (char *)NULL);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
			status = shell_fail(sh, "%s cannot be unmounted", dir);
	}
	free(path);
	return status;
}
