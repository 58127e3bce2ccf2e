/* fdtable.c - descriptors and open file descriptions. */
#include "vfs/fdtable.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct fdtable {
	struct fd_entry *entries;
	uint32_t size; /* one past the highest in use */
	uint32_t cap;
	uint32_t limit;
};

/* ---- rights ---- */

static const uint64_t dir_rights =
    UINT64_C(1) << RIGHT_FD_FDSTAT_SET_FLAGS_BIT | UINT64_C(1) << RIGHT_FD_SYNC_BIT |
    UINT64_C(1) << RIGHT_FD_ADVISE_BIT | UINT64_C(1) << RIGHT_PATH_CREATE_DIRECTORY_BIT |
    UINT64_C(1) << RIGHT_PATH_CREATE_FILE_BIT | UINT64_C(1) << RIGHT_PATH_LINK_SOURCE_BIT |
    UINT64_C(1) << RIGHT_PATH_LINK_TARGET_BIT | UINT64_C(1) << RIGHT_PATH_OPEN_BIT |
    UINT64_C(1) << RIGHT_FD_READDIR_BIT | UINT64_C(1) << RIGHT_PATH_READLINK_BIT |
    UINT64_C(1) << RIGHT_PATH_RENAME_SOURCE_BIT | UINT64_C(1) << RIGHT_PATH_RENAME_TARGET_BIT |
    UINT64_C(1) << RIGHT_PATH_FILESTAT_GET_BIT | UINT64_C(1) << RIGHT_PATH_FILESTAT_SET_SIZE_BIT |
    UINT64_C(1) << RIGHT_PATH_FILESTAT_SET_TIMES_BIT | UINT64_C(1) << RIGHT_FD_FILESTAT_GET_BIT |
    UINT64_C(1) << RIGHT_FD_FILESTAT_SET_TIMES_BIT | UINT64_C(1) << RIGHT_PATH_SYMLINK_BIT |
    UINT64_C(1) << RIGHT_PATH_UNLINK_FILE_BIT | UINT64_C(1) << RIGHT_PATH_REMOVE_DIRECTORY_BIT |
    UINT64_C(1) << RIGHT_POLL_FD_READWRITE_BIT;

static const uint64_t file_rights =
    UINT64_C(1) << RIGHT_FD_DATASYNC_BIT | UINT64_C(1) << RIGHT_FD_READ_BIT |
    UINT64_C(1) << RIGHT_FD_SEEK_BIT | UINT64_C(1) << RIGHT_FD_FDSTAT_SET_FLAGS_BIT |
    UINT64_C(1) << RIGHT_FD_SYNC_BIT | UINT64_C(1) << RIGHT_FD_TELL_BIT |
    UINT64_C(1) << RIGHT_FD_WRITE_BIT | UINT64_C(1) << RIGHT_FD_ADVISE_BIT |
    UINT64_C(1) << RIGHT_FD_ALLOCATE_BIT | UINT64_C(1) << RIGHT_FD_FILESTAT_GET_BIT |
    UINT64_C(1) << RIGHT_FD_FILESTAT_SET_SIZE_BIT | UINT64_C(1) << RIGHT_FD_FILESTAT_SET_TIMES_BIT |
    UINT64_C(1) << RIGHT_POLL_FD_READWRITE_BIT;

/* No seek and no tell: that is how a C library knows that it may be a terminal. */
static const uint64_t stream_rights =
    UINT64_C(1) << RIGHT_FD_READ_BIT | UINT64_C(1) << RIGHT_FD_FDSTAT_SET_FLAGS_BIT |
    UINT64_C(1) << RIGHT_FD_WRITE_BIT | UINT64_C(1) << RIGHT_FD_FILESTAT_GET_BIT |
    UINT64_C(1) << RIGHT_POLL_FD_READWRITE_BIT | UINT64_C(1) << RIGHT_SOCK_SHUTDOWN_BIT;

uint64_t rights_of_type(enum vfs_type type)
{
	switch (type) {
	case VFS_TYPE_DIR: return dir_rights;
	case VFS_TYPE_FILE: return file_rights;
	default: return stream_rights;
	}
}

/* ---- descriptions ---- */

struct vfs_file *vfs_file_new(struct vfs_obj *obj, struct vfs_mount *mount, const char *path,
                              unsigned flags)
{
	struct vfs_file *f = calloc(1, sizeof *f);
	char *copy = path ? strdup(path) : NULL;
	if (!f || (path && !copy)) {
		free(f);
		free(copy);
		vfs_unref(obj);
		return NULL;
	}
	f->refs = 1;
	f->obj = obj;
	f->mount = mount ? vfs_mount_ref(mount) : NULL;
	f->path = copy;
	f->flags = flags;
	return f;
}

void vfs_file_unref(struct vfs_file *f)
{
	if (!f)
		return;
	assert(f->refs > 0);
	if (--f->refs)
		return;
	if (f->released)
		f->released(f->released_ctx, f);
	vfs_unref(f->obj);
	vfs_mount_unref(f->mount);
	if (f->budget)
		vfs_budget_give(f->budget, f->paid_bytes, f->paid_host_files);
	vfs_budget_unref(f->budget);
	free(f->path);
	free(f);
}

bool vfs_file_charge(struct vfs_file *f, struct vfs_budget *b, uint64_t bytes, uint32_t host_files)
{
	struct vfs_budget *payer = f->budget ? f->budget : b;
	if (!vfs_budget_take(payer, bytes, host_files))
		return false;
	if (!f->budget)
		f->budget = vfs_budget_ref(b);
	f->paid_bytes += bytes;
	f->paid_host_files += host_files;
	return true;
}

/* ---- the table ---- */

enum err fdtable_new(struct fdtable **out)
{
	*out = calloc(1, sizeof **out);
	if (*out)
		(*out)->limit = FDTABLE_MAX;
	return *out ? ERR_OK : ERR_NOMEM;
}

void fdtable_free(struct fdtable *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->size; i++)
		vfs_file_unref(t->entries[i].file);
	free(t->entries);
	free(t);
}

void fdtable_set_limit(struct fdtable *t, uint32_t limit)
{
	t->limit = limit < FDTABLE_MAX ? limit : FDTABLE_MAX;
}

uint32_t fdtable_size(const struct fdtable *t)
{
	return t->size;
}

static enum ferr reserve(struct fdtable *t, uint32_t fd)
{
	if (fd >= t->limit)
		return FE_MFILE;
	if (fd < t->cap)
		return FE_OK;
	uint32_t cap = t->cap ? t->cap : 16;
	while (cap <= fd)
		cap *= 2;
	struct fd_entry *p = realloc(t->entries, cap * sizeof *p);
	if (!p)
		return FE_NOMEM;
	memset(p + t->cap, 0, (cap - t->cap) * sizeof *p);
	t->entries = p;
	t->cap = cap;
	return FE_OK;
}

static uint32_t lowest_free(const struct fdtable *t, uint32_t at_least)
{
	uint32_t fd = at_least;
	while (fd < t->size && t->entries[fd].file)
		fd++;
	return fd;
}

bool fdtable_has_room(const struct fdtable *t)
{
	return lowest_free(t, 0) < t->limit;
}

enum ferr fdtable_add_at(struct fdtable *t, uint32_t fd, struct vfs_file *f, uint64_t rights,
                         uint64_t inheriting)
{
	enum ferr e = f ? reserve(t, fd) : FE_NOMEM;
	if (e != FE_OK) {
		vfs_file_unref(f);
		return e;
	}
	vfs_file_unref(t->entries[fd].file);
	t->entries[fd] = (struct fd_entry){.file = f, .rights = rights, .inheriting = inheriting};
	if (fd >= t->size)
		t->size = fd + 1;
	return FE_OK;
}

enum ferr fdtable_add(struct fdtable *t, struct vfs_file *f, uint64_t rights, uint64_t inheriting,
                      uint32_t *fd)
{
	*fd = lowest_free(t, 0);
	return fdtable_add_at(t, *fd, f, rights, inheriting);
}

enum ferr fdtable_use(struct fdtable *t, uint32_t fd, uint64_t rights, struct fd_entry **out)
{
	if (fd >= t->size || !t->entries[fd].file)
		return FE_BADF;
	*out = &t->entries[fd];
	return rights & ~t->entries[fd].rights ? FE_NOTCAPABLE : FE_OK;
}

static void forget(struct fdtable *t, uint32_t fd)
{
	t->entries[fd] = (struct fd_entry){0};
	while (t->size && !t->entries[t->size - 1].file)
		t->size--;
}

enum ferr fdtable_close(struct fdtable *t, uint32_t fd)
{
	struct fd_entry *e;
	FTRY(fdtable_use(t, fd, 0, &e));
	struct vfs_file *f = e->file;
	enum ferr flushed = f->flags & VFS_WRITE ? vfs_flush(f->obj) : FE_OK;
	if (flushed == FE_INPROGRESS) /* nothing has happened: the call is made again */
		return flushed;
	forget(t, fd);
	vfs_file_unref(f);
	return flushed;
}

enum ferr fdtable_renumber(struct fdtable *t, uint32_t from, uint32_t to)
{
	struct fd_entry *a, *b;
	FTRY(fdtable_use(t, from, 0, &a));
	FTRY(fdtable_use(t, to, 0, &b));
	if (a == b)
		return FE_OK;
	vfs_file_unref(b->file);
	*b = *a;
	forget(t, from);
	return FE_OK;
}

enum ferr fdtable_dup(struct fdtable *t, uint32_t fd, uint32_t at_least, uint32_t *out)
{
	struct fd_entry *e;
	FTRY(fdtable_use(t, fd, 0, &e));
	struct fd_entry copy = *e;
	copy.file->refs++;
	*out = lowest_free(t, at_least);
	return fdtable_add_at(t, *out, copy.file, copy.rights, copy.inheriting);
}

enum err fdtable_copy(const struct fdtable *t, struct fdtable **out)
{
	struct fdtable *c;
	TRY(fdtable_new(&c));
	if (t->size && reserve(c, t->size - 1) != FE_OK) {
		fdtable_free(c);
		return ERR_NOMEM;
	}
	for (uint32_t fd = 0; fd < t->size; fd++) {
		c->entries[fd] = t->entries[fd];
		if (c->entries[fd].file)
			c->entries[fd].file->refs++;
	}
	c->size = t->size;
	c->limit = t->limit;
	*out = c;
	return ERR_OK;
}

enum ferr fdtable_preopen(struct fdtable *t, struct vfs_mount *m, uint32_t *fd)
{
	struct vfs_file *f = vfs_file_new(vfs_ref(m->root), m, ".", VFS_READ);
	FTRY(fdtable_add(t, f, rights_of_type(VFS_TYPE_DIR), dir_rights | file_rights, fd));
	t->entries[*fd].preopen = true;
	return FE_OK;
}
