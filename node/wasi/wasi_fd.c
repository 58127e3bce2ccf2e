/* wasi_fd.c - WASI's functions on open descriptors. */
#include "node/wasi/wasi_state.h"

#include "node/wali/family.h"
#include "vfs/pipe.h"

#include <stdlib.h>
#include <string.h>

/* ---- flags ---- */

enum {
	FDFLAG_APPEND = 1,
	FDFLAG_DSYNC = 2,
	FDFLAG_NONBLOCK = 4,
	FDFLAG_RSYNC = 8,
	FDFLAG_SYNC = 16
};

static const struct {
	uint16_t wasi;
	unsigned vfs;
} fdflags[] = {
    {FDFLAG_APPEND, VFS_APPEND}, {FDFLAG_DSYNC, VFS_DSYNC}, {FDFLAG_NONBLOCK, VFS_NONBLOCK},
    {FDFLAG_RSYNC, VFS_RSYNC},   {FDFLAG_SYNC, VFS_SYNC},
};
enum { FDFLAGS = sizeof fdflags / sizeof *fdflags };

enum ferr wasi_fdflags(uint32_t flags, unsigned *out)
{
	*out = 0;
	if (flags >= 32)
		return FE_INVAL;
	for (size_t i = 0; i < FDFLAGS; i++)
		if (flags & fdflags[i].wasi)
			*out |= fdflags[i].vfs;
	return FE_OK;
}

static uint16_t fdflags_of(unsigned flags)
{
	uint16_t out = 0;
	for (size_t i = 0; i < FDFLAGS; i++)
		if (flags & fdflags[i].vfs)
			out |= fdflags[i].wasi;
	return out;
}

enum ferr wasi_may_change(const struct fd_entry *e)
{
	return e->file->mount && e->file->mount->read_only ? FE_ROFS : FE_OK;
}

/* ---- reading and writing ---- */

/* The guest's list of buffers as host memory. */
struct iovs {
	struct vfs_iov v[VFS_IOVS_MAX];
	uint32_t count;
};

static enum ferr iovs_of(struct thread *t, uint32_t at, uint32_t count, bool for_write_into,
                         struct iovs *out)
{
	uint64_t total = 0;
	if (count > VFS_IOVS_MAX)
		return FE_INVAL;
	const uint8_t *list = thread_mem_read(t, at, (uint64_t)count * 8);
	if (!list)
		return FE_FAULT;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t p = wasi_get_u32(list + 8 * i), size = wasi_get_u32(list + 8 * i + 4);
		total += size;
		if (total > INT32_MAX)
			return FE_INVAL;
		const uint8_t *host =
		    for_write_into ? thread_mem_write(t, p, size) : thread_mem_read(t, p, size);
		if (!host && size)
			return FE_FAULT;
		out->v[i] = (struct vfs_iov){.p = (void *)(uintptr_t)host, .size = size};
	}
	out->count = count;
	return FE_OK;
}

static int blocked(struct wasi *w, const struct vfs_file *f, unsigned events)
{
	return f->flags & VFS_NONBLOCK ? FE_AGAIN : wasi_block_on(w, f->obj, events);
}

/* at: NULL reads at the descriptor's offset and moves it. */
static int read_fd(struct wasi *w, struct thread *t, uint64_t fd, const uint64_t *a,
                   const uint64_t *at, uint32_t result)
{
	struct fd_entry *e;
	struct iovs iovs;
	size_t done;
	FTRY(fdtable_use(w->fds, arg32(fd), RIGHT_FD_READ | (at ? RIGHT_FD_SEEK : 0), &e));
	FTRY(iovs_of(t, arg32(a[1]), arg32(a[2]), true, &iovs));
	uint8_t *out = thread_mem_write(t, result, 4);
	struct vfs_file *f = e->file;
	if (!out)
		return FE_FAULT;
	if (!(f->flags & VFS_READ))
		return FE_BADF;
	if (at && !vfs_has_offset(f->obj))
		return f->obj->type == VFS_TYPE_DIR ? FE_ISDIR : FE_SPIPE;
	enum ferr r = vfs_read(f->obj, at ? *at : f->offset, iovs.v, iovs.count, &done);
	if (r == FE_AGAIN)
		return blocked(w, f, VFS_READABLE);
	FTRY(r);
	if (w->family && vfs_is_pipe(f->obj) && vfs_pipe_owes(f->obj))
		family_wake_pipe(w->family, vfs_pipe_identity(f->obj));
	if (!at && vfs_has_offset(f->obj))
		f->offset += done;
	wasi_put_u32(out, (uint32_t)done);
	return FE_OK;
}

static int write_fd(struct wasi *w, struct thread *t, uint64_t fd, const uint64_t *a,
                    const uint64_t *at, uint32_t result)
{
	struct fd_entry *e;
	struct iovs iovs;
	size_t done;
	uint64_t end;
	FTRY(fdtable_use(w->fds, arg32(fd), RIGHT_FD_WRITE | (at ? RIGHT_FD_SEEK : 0), &e));
	FTRY(iovs_of(t, arg32(a[1]), arg32(a[2]), false, &iovs));
	uint8_t *out = thread_mem_write(t, result, 4);
	struct vfs_file *f = e->file;
	if (!out)
		return FE_FAULT;
	if (!(f->flags & VFS_WRITE))
		return FE_BADF;
	FTRY(wasi_may_change(e));
	if (at && !vfs_has_offset(f->obj))
		return FE_SPIPE;
	unsigned flags = f->flags & (VFS_DSYNC | VFS_SYNC | (at ? 0 : VFS_APPEND));
	enum ferr r =
	    vfs_write(f->obj, at ? *at : f->offset, flags, iovs.v, iovs.count, &done, &end);
	if (r == FE_AGAIN)
		return blocked(w, f, VFS_WRITABLE);
	FTRY(r);
	if (!at && vfs_has_offset(f->obj))
		f->offset = end;
	wasi_put_u32(out, (uint32_t)done);
	return FE_OK;
}

int wasi_fd_read(struct wasi *w, struct thread *t, const uint64_t *a)
{
	return read_fd(w, t, a[0], a, NULL, arg32(a[3]));
}

int wasi_fd_pread(struct wasi *w, struct thread *t, const uint64_t *a)
{
	return read_fd(w, t, a[0], a, &a[3], arg32(a[4]));
}

int wasi_fd_write(struct wasi *w, struct thread *t, const uint64_t *a)
{
	return write_fd(w, t, a[0], a, NULL, arg32(a[3]));
}

int wasi_fd_pwrite(struct wasi *w, struct thread *t, const uint64_t *a)
{
	return write_fd(w, t, a[0], a, &a[3], arg32(a[4]));
}

/* ---- offsets ---- */

enum { WHENCE_SET, WHENCE_CUR, WHENCE_END };

static enum ferr seek_base(const struct vfs_file *f, uint32_t whence, uint64_t *base)
{
	struct vfs_stat st;
	switch (whence) {
	case WHENCE_SET: *base = 0; return FE_OK;
	case WHENCE_CUR: *base = f->offset; return FE_OK;
	case WHENCE_END:
		FTRY(vfs_stat(f->obj, &st));
		*base = st.size_bytes;
		return FE_OK;
	default: return FE_INVAL;
	}
}

int wasi_fd_seek(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct fd_entry *e;
	uint64_t base;
	int64_t delta = (int64_t)a[1], at;
	bool tells = delta == 0 && arg32(a[2]) == WHENCE_CUR;
	FTRY(fdtable_use(w->fds, arg32(a[0]), tells ? RIGHT_FD_TELL : RIGHT_FD_SEEK, &e));
	uint8_t *out = thread_mem_write(t, arg32(a[3]), 8);
	if (!out)
		return FE_FAULT;
	if (!vfs_has_offset(e->file->obj))
		return FE_SPIPE;
	FTRY(seek_base(e->file, arg32(a[2]), &base));
	if (__builtin_add_overflow((int64_t)base, delta, &at) || at < 0)
		return FE_INVAL;
	e->file->offset = (uint64_t)at;
	wasi_put_u64(out, (uint64_t)at);
	return FE_OK;
}

int wasi_fd_tell(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct fd_entry *e;
	FTRY(fdtable_use(w->fds, arg32(a[0]), RIGHT_FD_TELL, &e));
	uint8_t *out = thread_mem_write(t, arg32(a[1]), 8);
	if (!out)
		return FE_FAULT;
	if (!vfs_has_offset(e->file->obj))
		return FE_SPIPE;
	wasi_put_u64(out, e->file->offset);
	return FE_OK;
}

/* ---- what a descriptor is ---- */

int wasi_fd_fdstat_get(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct fd_entry *e;
	FTRY(fdtable_use(w->fds, arg32(a[0]), 0, &e));
	uint8_t *out = thread_mem_write(t, arg32(a[1]), 24);
	if (!out)
		return FE_FAULT;
	memset(out, 0, 24);
	out[0] = e->file->obj->type;
	wasi_put_u16(out + 2, fdflags_of(e->file->flags));
	wasi_put_u64(out + 8, e->rights);
	wasi_put_u64(out + 16, e->inheriting);
	return FE_OK;
}

int wasi_fd_fdstat_set_flags(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct fd_entry *e;
	unsigned flags;
	FTRY(fdtable_use(w->fds, arg32(a[0]), RIGHT_FD_FDSTAT_SET_FLAGS, &e));
	FTRY(wasi_fdflags(arg32(a[1]), &flags));
	e->file->flags = (e->file->flags & (VFS_READ | VFS_WRITE)) | flags;
	return FE_OK;
}

int wasi_fd_fdstat_set_rights(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct fd_entry *e;
	FTRY(fdtable_use(w->fds, arg32(a[0]), 0, &e));
	if (a[1] & ~e->rights || a[2] & ~e->inheriting)
		return FE_NOTCAPABLE;
	e->rights = a[1];
	e->inheriting = a[2];
	return FE_OK;
}

void wasi_put_filestat(uint8_t *p, const struct vfs_stat *st)
{
	memset(p, 0, 64);
	wasi_put_u64(p, st->dev);
	wasi_put_u64(p + 8, st->ino);
	p[16] = st->type;
	wasi_put_u64(p + 24, st->nlink);
	wasi_put_u64(p + 32, st->size_bytes);
	wasi_put_u64(p + 40, st->atime_ns);
	wasi_put_u64(p + 48, st->mtime_ns);
	wasi_put_u64(p + 56, st->ctime_ns);
}

int wasi_fd_filestat_get(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct fd_entry *e;
	struct vfs_stat st;
	FTRY(fdtable_use(w->fds, arg32(a[0]), RIGHT_FD_FILESTAT_GET, &e));
	uint8_t *out = thread_mem_write(t, arg32(a[1]), 64);
	if (!out)
		return FE_FAULT;
	FTRY(vfs_stat(e->file->obj, &st));
	wasi_put_filestat(out, &st);
	return FE_OK;
}

/* ---- changing a file ---- */

/* The file must be open for writing: rights alone are a guest's own claim. */
static enum ferr use_for_change(struct wasi *w, uint64_t fd, uint64_t rights, struct fd_entry **e)
{
	FTRY(fdtable_use(w->fds, arg32(fd), rights, e));
	FTRY(wasi_may_change(*e));
	return (*e)->file->flags & VFS_WRITE ? FE_OK : FE_INVAL;
}

int wasi_fd_filestat_set_size(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct fd_entry *e;
	FTRY(use_for_change(w, a[0], RIGHT_FD_FILESTAT_SET_SIZE, &e));
	return vfs_set_size(e->file->obj, a[1]);
}

int wasi_fd_allocate(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct fd_entry *e;
	FTRY(use_for_change(w, a[0], RIGHT_FD_ALLOCATE, &e));
	return vfs_allocate(e->file->obj, a[1], a[2]);
}

enum ferr wasi_times(uint64_t atime_ns, uint64_t mtime_ns, uint32_t flags, struct vfs_times *out)
{
	enum { ATIM = 1, ATIM_NOW = 2, MTIM = 4, MTIM_NOW = 8 };
	if (flags > 15 || (flags & ATIM && flags & ATIM_NOW) || (flags & MTIM && flags & MTIM_NOW))
		return FE_INVAL;
	*out = (struct vfs_times){
	    .atime_how = flags & ATIM       ? VFS_TIME_SET
	                 : flags & ATIM_NOW ? VFS_TIME_NOW
	                                    : VFS_TIME_KEEP,
	    .mtime_how = flags & MTIM       ? VFS_TIME_SET
	                 : flags & MTIM_NOW ? VFS_TIME_NOW
	                                    : VFS_TIME_KEEP,
	    .atime_ns = atime_ns,
	    .mtime_ns = mtime_ns,
	};
	return FE_OK;
}

int wasi_fd_filestat_set_times(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct fd_entry *e;
	struct vfs_times times;
	FTRY(fdtable_use(w->fds, arg32(a[0]), RIGHT_FD_FILESTAT_SET_TIMES, &e));
	FTRY(wasi_may_change(e));
	FTRY(wasi_times(a[1], a[2], arg32(a[3]), &times));
	return vfs_set_times(e->file->obj, &times);
}

int wasi_fd_sync(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct fd_entry *e;
	FTRY(fdtable_use(w->fds, arg32(a[0]), RIGHT_FD_SYNC, &e));
	return vfs_sync(e->file->obj, false);
}

int wasi_fd_datasync(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct fd_entry *e;
	FTRY(fdtable_use(w->fds, arg32(a[0]), RIGHT_FD_DATASYNC, &e));
	return vfs_sync(e->file->obj, true);
}

int wasi_fd_advise(struct wasi *w, struct thread *t, const uint64_t *a)
{
	enum { ADVICES = 6 };
	struct fd_entry *e;
	FTRY(fdtable_use(w->fds, arg32(a[0]), RIGHT_FD_ADVISE, &e));
	if (arg32(a[3]) >= ADVICES || a[1] > INT64_MAX || a[2] > INT64_MAX)
		return FE_INVAL;
	return e->file->obj->type == VFS_TYPE_DIR ? FE_BADF : FE_OK;
}

/* ---- the table ---- */

int wasi_fd_close(struct wasi *w, struct thread *t, const uint64_t *a)
{
	return fdtable_close(w->fds, arg32(a[0]));
}

int wasi_fd_renumber(struct wasi *w, struct thread *t, const uint64_t *a)
{
	return fdtable_renumber(w->fds, arg32(a[0]), arg32(a[1]));
}

static enum ferr use_preopen(struct wasi *w, uint64_t fd, const char **name)
{
	struct fd_entry *e;
	FTRY(fdtable_use(w->fds, arg32(fd), 0, &e));
	if (!e->preopen)
		return FE_BADF; /* how a C library learns where the list ends */
	*name = e->file->mount->guest;
	return FE_OK;
}

int wasi_fd_prestat_get(struct wasi *w, struct thread *t, const uint64_t *a)
{
	const char *name;
	FTRY(use_preopen(w, a[0], &name));
	uint8_t *out = thread_mem_write(t, arg32(a[1]), 8);
	if (!out)
		return FE_FAULT;
	wasi_put_u32(out, 0); /* a folder */
	wasi_put_u32(out + 4, (uint32_t)strlen(name));
	return FE_OK;
}

int wasi_fd_prestat_dir_name(struct wasi *w, struct thread *t, const uint64_t *a)
{
	const char *name;
	FTRY(use_preopen(w, a[0], &name));
	size_t size = strlen(name);
	if (size > arg32(a[2]))
		return FE_NAMETOOLONG;
	uint8_t *out = thread_mem_write(t, arg32(a[1]), size);
	if (!out)
		return FE_FAULT;
	memcpy(out, name, size);
	return FE_OK;
}

/* ---- listing ---- */

struct listing {
	uint8_t *out;
	uint32_t size, used;
};

static void put_part(struct listing *l, const void *bytes, size_t size)
{
	uint32_t room = l->size - l->used;
	uint32_t n = size < room ? (uint32_t)size : room;
	memcpy(l->out + l->used, bytes, n);
	l->used += n;
}

/* The last entry is cut off when it does not fit: a full buffer tells the guest to go on from the one before. */
static bool list_entry(void *ctx, const struct vfs_dirent *d)
{
	struct listing *l = ctx;
	uint8_t head[24] = {0};
	wasi_put_u64(head, d->next);
	wasi_put_u64(head + 8, d->ino);
	wasi_put_u32(head + 16, (uint32_t)d->name_size);
	head[20] = d->type;
	put_part(l, head, sizeof head);
	put_part(l, d->name, d->name_size);
	return l->used < l->size;
}

int wasi_fd_readdir(struct wasi *w, struct thread *t, const uint64_t *a)
{
	struct fd_entry *e;
	FTRY(fdtable_use(w->fds, arg32(a[0]), RIGHT_FD_READDIR, &e));
	struct listing l = {.out = thread_mem_write(t, arg32(a[1]), arg32(a[2])),
	                    .size = arg32(a[2])};
	uint8_t *used = thread_mem_write(t, arg32(a[4]), 4);
	if (!l.out || !used)
		return FE_FAULT;
	if (l.size)
		FTRY(vfs_readdir(e->file->obj, a[3], list_entry, &l));
	wasi_put_u32(used, l.used);
	return FE_OK;
}
