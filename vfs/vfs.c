/* vfs.c - references, and the operations of a table with its NULL pointers answered.
 *
 * What a backend leaves out is answered here once, as POSIX would: a folder is not read, a stream has no size.
 */
#include "vfs/vfs.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void vfs_obj_init(struct vfs_obj *o, const struct vfs_ops *ops, enum vfs_type type)
{
	o->ops = ops;
	o->type = (uint8_t)type;
	atomic_init(&o->refs, 1);
}

struct vfs_obj *vfs_ref(struct vfs_obj *o)
{
	atomic_fetch_add(&o->refs, 1);
	return o;
}

void vfs_unref(struct vfs_obj *o)
{
	if (!o)
		return;
	uint32_t before = atomic_fetch_sub(&o->refs, 1);
	assert(before > 0);
	if (before == 1)
		o->ops->close(o);
}

bool vfs_has_offset(const struct vfs_obj *o)
{
	return o->ops->set_size && (o->type == VFS_TYPE_FILE || o->type == VFS_TYPE_BLOCK);
}

/* Why an operation on contents is missing. */
static enum ferr not_a_file(const struct vfs_obj *o)
{
	return o->type == VFS_TYPE_DIR ? FE_ISDIR : FE_INVAL;
}

enum ferr vfs_read(struct vfs_obj *o, uint64_t offset, const struct vfs_iov *iov, size_t n,
                   size_t *done)
{
	*done = 0;
	if (o->type == VFS_TYPE_DIR)
		return FE_ISDIR;
	if (!o->ops->read)
		return FE_BADF;
	return o->ops->read(o, offset, iov, n, done);
}

enum ferr vfs_write(struct vfs_obj *o, uint64_t offset, unsigned flags, const struct vfs_iov *iov,
                    size_t n, size_t *done, uint64_t *end)
{
	*done = 0;
	*end = offset;
	if (o->type == VFS_TYPE_DIR)
		return FE_ISDIR;
	if (!o->ops->write)
		return FE_BADF;
	return o->ops->write(o, offset, flags, iov, n, done, end);
}

enum ferr vfs_stat(struct vfs_obj *o, struct vfs_stat *out)
{
	*out = (struct vfs_stat){.type = o->type, .nlink = 1};
	return o->ops->stat ? o->ops->stat(o, out) : FE_OK;
}

enum ferr vfs_set_size(struct vfs_obj *o, uint64_t size_bytes)
{
	if (size_bytes > INT64_MAX)
		return FE_INVAL;
	return o->ops->set_size && o->type == VFS_TYPE_FILE ? o->ops->set_size(o, size_bytes)
	                                                    : not_a_file(o);
}

enum ferr vfs_allocate(struct vfs_obj *o, uint64_t offset, uint64_t size_bytes)
{
	if (size_bytes == 0 || size_bytes > INT64_MAX || offset > INT64_MAX - size_bytes)
		return size_bytes ? FE_FBIG : FE_INVAL;
	if (o->type != VFS_TYPE_FILE)
		return o->type == VFS_TYPE_DIR ? FE_ISDIR : FE_SPIPE;
	return o->ops->allocate ? o->ops->allocate(o, offset, size_bytes) : FE_NOTSUP;
}

enum ferr vfs_set_times(struct vfs_obj *o, const struct vfs_times *t)
{
	return o->ops->set_times ? o->ops->set_times(o, t) : FE_NOTSUP;
}

enum ferr vfs_set_mode(struct vfs_obj *o, unsigned mode)
{
	return o->ops->set_mode ? o->ops->set_mode(o, mode & 07777) : FE_NOTSUP;
}

enum ferr vfs_sync(struct vfs_obj *o, bool data_only)
{
	return o->ops->sync ? o->ops->sync(o, data_only) : FE_INVAL;
}

enum ferr vfs_flush(struct vfs_obj *o)
{
	return o->ops->flush ? o->ops->flush(o) : FE_OK;
}

enum ferr vfs_readdir(struct vfs_obj *dir, uint64_t cookie, vfs_dirent_fn emit, void *ctx)
{
	if (dir->type != VFS_TYPE_DIR || !dir->ops->readdir)
		return FE_NOTDIR;
	return dir->ops->readdir(dir, cookie, emit, ctx);
}

enum ferr vfs_space_of(struct vfs_obj *o, struct vfs_space *out)
{
	*out = (struct vfs_space){0};
	return o->ops->space ? o->ops->space(o, out) : FE_NOTSUP;
}

unsigned vfs_ready(struct vfs_obj *o, unsigned events)
{
	return o->ops->ready ? o->ops->ready(o, events) : events & (VFS_READABLE | VFS_WRITABLE);
}

os_handle vfs_wait_handle(struct vfs_obj *o, unsigned events)
{
	return o->ops->wait_handle ? o->ops->wait_handle(o, events) : OS_NO_HANDLE;
}

enum ferr vfs_path_check(const char *path)
{
	if (!*path)
		return FE_NOENT;
	if (*path == '/')
		return FE_NOTCAPABLE;
	size_t name = 0;
	const char *p = path;
	for (; *p; p++) {
		name = *p == '/' ? 0 : name + 1;
		if (name > VFS_NAME_MAX)
			return FE_NAMETOOLONG;
	}
	return p - path < VFS_PATH_MAX ? FE_OK : FE_NAMETOOLONG;
}

static enum ferr check_at(const struct vfs_obj *dir, const char *path, bool has_op)
{
	if (dir->type != VFS_TYPE_DIR)
		return FE_NOTDIR;
	FTRY(vfs_path_check(path));
	return has_op ? FE_OK : FE_NOTSUP;
}

enum ferr vfs_open(struct vfs_obj *dir, const char *path, unsigned flags, struct vfs_obj **out)
{
	FTRY(check_at(dir, path, dir->ops->open));
	if (flags & VFS_CREATE && flags & VFS_DIRECTORY)
		return FE_INVAL;
	return dir->ops->open(dir, path, flags, out);
}

enum ferr vfs_stat_at(struct vfs_obj *dir, const char *path, bool follow, struct vfs_stat *out)
{
	FTRY(check_at(dir, path, dir->ops->stat_at));
	*out = (struct vfs_stat){0};
	return dir->ops->stat_at(dir, path, follow, out);
}

enum ferr vfs_set_times_at(struct vfs_obj *dir, const char *path, bool follow,
                           const struct vfs_times *t)
{
	FTRY(check_at(dir, path, dir->ops->set_times_at));
	return dir->ops->set_times_at(dir, path, follow, t);
}

enum ferr vfs_set_mode_at(struct vfs_obj *dir, const char *path, bool follow, unsigned mode)
{
	FTRY(check_at(dir, path, dir->ops->set_mode_at));
	return dir->ops->set_mode_at(dir, path, follow, mode & 07777);
}

enum ferr vfs_mkdir(struct vfs_obj *dir, const char *path)
{
	FTRY(check_at(dir, path, dir->ops->mkdir));
	return dir->ops->mkdir(dir, path);
}

enum ferr vfs_mkfifo(struct vfs_obj *dir, const char *path)
{
	FTRY(check_at(dir, path, dir->ops->mkfifo));
	return dir->ops->mkfifo(dir, path);
}

enum ferr vfs_rmdir(struct vfs_obj *dir, const char *path)
{
	FTRY(check_at(dir, path, dir->ops->rmdir));
	return dir->ops->rmdir(dir, path);
}

enum ferr vfs_unlink(struct vfs_obj *dir, const char *path)
{
	FTRY(check_at(dir, path, dir->ops->unlink));
	return dir->ops->unlink(dir, path);
}

static enum ferr make_link(struct vfs_obj *dir, const char *target, const char *path)
{
	if (!*target)
		return FE_NOENT;
	if (strnlen(target, VFS_PATH_MAX) == VFS_PATH_MAX)
		return FE_NAMETOOLONG;
	return dir->ops->symlink(dir, target, path);
}

/* An absolute target could never be followed: it is refused when it is made, as node and wasmtime do. */
enum ferr vfs_symlink(struct vfs_obj *dir, const char *target, const char *path)
{
	FTRY(check_at(dir, path, dir->ops->symlink));
	return *target == '/' ? FE_NOTCAPABLE : make_link(dir, target, path);
}

/* ---- absolute links of guests ---- */

enum { MARK_SIZE = VFS_NAME_MAX + 1 };

static void put_mark(char mark[MARK_SIZE])
{
	static const char text[] = "@absolute-in-the-tree-of-a-program-of-WasmOS";
	memset(mark, '_', MARK_SIZE);
	memcpy(mark, text, sizeof text - 1);
}

enum ferr vfs_symlink_guest(struct vfs_obj *dir, const char *target, const char *path)
{
	char marked[VFS_PATH_MAX];
	FTRY(check_at(dir, path, dir->ops->symlink));
	if (*target != '/' || dir->ops->keeps_absolute)
		return make_link(dir, target, path);
	size_t size = strlen(target);
	if (MARK_SIZE + size >= sizeof marked)
		return FE_NAMETOOLONG;
	put_mark(marked);
	memcpy(marked + MARK_SIZE, target, size + 1);
	return make_link(dir, marked, path);
}

enum ferr vfs_readlink(struct vfs_obj *dir, const char *path, char *buf, size_t *size)
{
	char text[VFS_PATH_MAX], mark[MARK_SIZE];
	size_t n = sizeof text, skip = 0;
	FTRY(check_at(dir, path, dir->ops->readlink));
	FTRY(dir->ops->readlink(dir, path, text, &n));
	put_mark(mark);
	if (n > MARK_SIZE && !memcmp(text, mark, MARK_SIZE) && text[MARK_SIZE] == '/')
		skip = MARK_SIZE;
	*size = n - skip < *size ? n - skip : *size;
	memcpy(buf, text + skip, *size);
	return FE_OK;
}

static enum ferr check_pair(const struct vfs_obj *from, const char *from_path,
                            const struct vfs_obj *to, const char *to_path, bool has_op)
{
	FTRY(check_at(from, from_path, true));
	FTRY(check_at(to, to_path, true));
	if (from->ops != to->ops)
		return FE_XDEV;
	return has_op ? FE_OK : FE_NOTSUP;
}

enum ferr vfs_link(struct vfs_obj *from, const char *from_path, bool follow, struct vfs_obj *to,
                   const char *to_path)
{
	FTRY(check_pair(from, from_path, to, to_path, from->ops->link));
	return from->ops->link(from, from_path, follow, to, to_path);
}

enum ferr vfs_rename(struct vfs_obj *from, const char *from_path, struct vfs_obj *to,
                     const char *to_path)
{
	FTRY(check_pair(from, from_path, to, to_path, from->ops->rename));
	return from->ops->rename(from, from_path, to, to_path);
}

enum ferr vfs_reopen(struct vfs_obj *root, const struct vfs_saved *s, struct vfs_obj **out)
{
	FTRY(check_at(root, s->path, root->ops->reopen));
	return root->ops->reopen(root, s, out);
}

enum ferr vfs_identity(struct vfs_obj *o, uint64_t *dev, uint64_t *ino)
{
	struct vfs_stat st;
	*dev = *ino = 0;
	if (o->ops->identity) {
		o->ops->identity(o, dev, ino);
		return FE_OK;
	}
	FTRY(vfs_stat(o, &st));
	*dev = st.dev;
	*ino = st.ino;
	return FE_OK;
}

uint32_t vfs_handle_of(struct vfs_obj *o)
{
	return o->ops->handle_of ? o->ops->handle_of(o) : 0;
}

enum ferr vfs_path_of(struct vfs_obj *o, struct vfs_obj *root, char *buf, size_t size)
{
	return o->ops->path_of ? o->ops->path_of(o, root, buf, size) : FE_NOTSUP;
}

void vfs_path_form(struct vfs_obj *root, const char *path, bool stays, char buf[VFS_PATH_MAX])
{
	if (!root->ops->path_form || root->ops->path_form(root, path, stays, buf) != FE_OK)
		snprintf(buf, VFS_PATH_MAX, "%s", path);
}
