/* files.c - calls on open files: reading, writing, offsets, descriptors, listings, what stat says. */
#include "node/wali/proc.h"

#include "node/sockets/socket.h"
#include "vfs/pipe.h"
#include "vfs/stream.h"

#include <stdio.h>
#include <string.h>

enum ferr wali_fd(struct wali *k, uint64_t fd, struct fd_entry **out)
{
	return fdtable_use(k->w->fds, arg32(fd), 0, out);
}

bool wali_is_terminal(const struct vfs_obj *o)
{
	return vfs_is_terminal(o);
}

/* ---- reading and writing ---- */

enum ferr wali_io_of(struct wali *k, uint64_t at, uint64_t count, bool into_guest,
                     struct wali_io *io)
{
	if (arg32(count) > VFS_IOVS_MAX)
		return FE_INVAL;
	const uint8_t *list = wali_in(k, at, (uint64_t)arg32(count) * 8);
	if (!list)
		return FE_FAULT;
	io->count = arg32(count);
	io->total = 0;
	for (uint32_t i = 0; i < io->count; i++) {
		uint32_t p = wasi_get_u32(list + 8 * i), size = wasi_get_u32(list + 8 * i + 4);
		const uint8_t *host = into_guest ? wali_out(k, p, size) : wali_in(k, p, size);
		io->total += size;
		if (io->total > INT32_MAX)
			return FE_INVAL;
		if (!host && size)
			return FE_FAULT;
		io->v[i] = (struct vfs_iov){.p = (void *)(uintptr_t)host, .size = size};
	}
	return FE_OK;
}

enum ferr wali_io_one(struct wali *k, uint64_t addr, uint64_t size, bool into_guest,
                      struct wali_io *io)
{
	uint32_t n = arg32(size) < INT32_MAX ? arg32(size) : INT32_MAX;
	const uint8_t *host = into_guest ? wali_out(k, addr, n) : wali_in(k, addr, n);
	if (!host && n)
		return FE_FAULT;
	io->v[0] = (struct vfs_iov){.p = (void *)(uintptr_t)host, .size = n};
	io->count = 1;
	io->total = n;
	return FE_OK;
}

void wali_io_skip(struct wali_io *io, uint64_t n)
{
	for (uint32_t i = 0; i < io->count && n; i++) {
		size_t now = io->v[i].size < n ? io->v[i].size : (size_t)n;
		io->v[i].p = (uint8_t *)io->v[i].p + now;
		io->v[i].size -= now;
		n -= now;
	}
}

/* /dev/null and its like begin everywhere. */
static bool is_everywhere(struct vfs_obj *o)
{
	return o->type == VFS_TYPE_CHAR && wali_device(o);
}

static int64_t read_file(struct wali *k, struct vfs_file *f, struct wali_io *io, const uint64_t *at)
{
	size_t done = 0;
	if (!(f->flags & VFS_READ))
		return NO(BADF);
	if (f->obj->type == VFS_TYPE_DIR)
		return NO(ISDIR);
	if (at && !vfs_has_offset(f->obj) && !is_everywhere(f->obj))
		return NO(SPIPE);
	if (!io->total && f->obj->type == VFS_TYPE_STREAM && !wali_device(f->obj))
		return 0;
	bool empty = false;
	f->reads++;
	int64_t r = wali_is_terminal(f->obj) ? wali_terminal_may_read(k, f, io->total, &empty) : 0;
	if (r || empty)
		return r;
	enum ferr e = vfs_read(f->obj, at ? *at : f->offset, io->v, io->count, &done);
	if (e == FE_AGAIN)
		return f->flags & VFS_NONBLOCK ? NO(AGAIN) : wali_block_on(k, f->obj, VFS_READABLE);
	WTRY(e);
	wali_was_read(k, f->obj);
	if (!at && vfs_has_offset(f->obj))
		f->offset += done;
	return (int64_t)done;
}

/* What was written before the call blocked is part of what it says. */
int64_t wali_write_blocked(struct wali *k, struct vfs_file *f, uint64_t before, bool may_wait)
{
	if (!may_wait)
		return before ? (int64_t)before : NO(AGAIN);
	struct wali_slot *s = wali_slot(k);
	if (!s)
		return before ? (int64_t)before : NO(AGAIN);
	s->progress = before;
	int64_t r = wali_block_on(k, f->obj, VFS_WRITABLE);
	return r == WALI_BLOCK || !before ? r : (int64_t)before;
}

static void io_cut(struct wali_io *io, uint64_t room)
{
	for (uint32_t i = 0; i < io->count; i++) {
		io->v[i].size = io->v[i].size < room ? io->v[i].size : (size_t)room;
		room -= io->v[i].size;
	}
}

/* No file grows beyond RLIMIT_FSIZE. */
static enum ferr keep_to_limit(struct wali *k, const struct vfs_file *f, struct wali_io *io,
                               const uint64_t *at)
{
	struct vfs_stat st;
	uint64_t offset = at ? *at : f->offset;
	if (k->rlimits[LIMIT_FSIZE][0] == UINT64_MAX || !vfs_has_offset(f->obj) || !io->total)
		return FE_OK;
	if (f->flags & VFS_APPEND) {
		FTRY(vfs_stat(f->obj, &st));
		offset = st.size_bytes;
	}
	uint64_t room = wali_file_room(k, offset, io->total);
	io_cut(io, room);
	return room ? FE_OK : FE_FBIG;
}

static int64_t write_file(struct wali *k, struct vfs_file *f, struct wali_io *io,
                          const uint64_t *at)
{
	size_t done = 0;
	uint64_t end = 0;
	if (!(f->flags & VFS_WRITE))
		return NO(BADF);
	if (f->mount && f->mount->read_only)
		return NO(ROFS);
	if (at && !vfs_has_offset(f->obj) && !is_everywhere(f->obj))
		return NO(SPIPE);
	if (!io->total && vfs_is_pipe(f->obj))
		return 0;
	struct device *d = wali_device(f->obj);
	if (d && d->kind == DEVICE_CTL)
		return io->count ? wali_proc_control(k, d, io->v[0].p, io->v[0].size) : 0;
	f->writes++;
	int64_t r = wali_is_terminal(f->obj) ? wali_terminal_may_write(k, f->obj) : 0;
	if (r)
		return r;
	uint64_t before = wali_progress(k);
	wali_io_skip(io, before);
	WTRY(keep_to_limit(k, f, io, at));
	unsigned flags = f->flags & (VFS_DSYNC | VFS_SYNC | VFS_APPEND); /* also of pwrite */
	enum ferr e = vfs_write(f->obj, at ? *at : f->offset, flags, io->v, io->count, &done, &end);
	if (e == FE_AGAIN)
		return wali_write_blocked(k, f, before, !(f->flags & VFS_NONBLOCK));
	if (e == FE_PIPE && k->task)
		family_raise(k->family, k->task, LINUX_SIGPIPE);
	if (e != FE_OK && before)
		return (int64_t)before;
	WTRY(e);
	if (vfs_has_offset(f->obj)) {
		if (!at)
			f->offset = end;
		return (int64_t)done;
	}
	before += done;
	return before < io->total ? wali_write_blocked(k, f, before, !(f->flags & VFS_NONBLOCK))
	                          : (int64_t)before;
}

static enum ferr fd_for(struct wali *k, uint64_t fd, unsigned access, struct fd_entry **out)
{
	FTRY(wali_fd(k, fd, out));
	return (*out)->file->flags & access ? FE_OK : FE_BADF;
}

int64_t wali_read(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	struct wali_io io;
	WTRY(fd_for(k, a[0], VFS_READ, &e));
	WTRY(wali_io_one(k, a[1], a[2], true, &io));
	return read_file(k, e->file, &io, NULL);
}

int64_t wali_write(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	struct wali_io io;
	WTRY(fd_for(k, a[0], VFS_WRITE, &e));
	WTRY(wali_io_one(k, a[1], a[2], false, &io));
	return write_file(k, e->file, &io, NULL);
}

int64_t wali_readv(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	struct wali_io io;
	WTRY(fd_for(k, a[0], VFS_READ, &e));
	WTRY(wali_io_of(k, a[1], a[2], true, &io));
	return read_file(k, e->file, &io, NULL);
}

int64_t wali_writev(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	struct wali_io io;
	WTRY(fd_for(k, a[0], VFS_WRITE, &e));
	WTRY(wali_io_of(k, a[1], a[2], false, &io));
	return write_file(k, e->file, &io, NULL);
}

int64_t wali_pread64(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	struct wali_io io;
	if ((int64_t)a[3] < 0)
		return NO(INVAL);
	WTRY(wali_fd(k, a[0], &e));
	WTRY(wali_io_one(k, a[1], a[2], true, &io));
	return read_file(k, e->file, &io, &a[3]);
}

int64_t wali_pwrite64(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	struct wali_io io;
	if ((int64_t)a[3] < 0)
		return NO(INVAL);
	WTRY(wali_fd(k, a[0], &e));
	WTRY(wali_io_one(k, a[1], a[2], false, &io));
	return write_file(k, e->file, &io, &a[3]);
}

int64_t wali_lseek(struct wali *k, const uint64_t *a)
{
	enum { SET, CUR, END, DATA, HOLE };
	struct fd_entry *e;
	struct vfs_stat st;
	int64_t base = 0, at;
	WTRY(wali_fd(k, a[0], &e));
	struct vfs_obj *o = e->file->obj;
	if (is_everywhere(o))
		return 0;
	if (!vfs_has_offset(o) && o->type != VFS_TYPE_DIR)
		return NO(SPIPE);
	switch (arg32(a[2])) {
	case SET: break;
	case CUR: base = (int64_t)e->file->offset; break;
	case END:
		WTRY(vfs_stat(e->file->obj, &st));
		base = (int64_t)st.size_bytes;
		break;
	case DATA: /* a file is data from its start to its end */
	case HOLE:
		WTRY(vfs_stat(o, &st));
		if (!vfs_has_offset(o))
			return NO(INVAL);
		if ((int64_t)a[1] < 0 || a[1] >= st.size_bytes)
			return NO(NXIO);
		base = arg32(a[2]) == HOLE ? (int64_t)(st.size_bytes - a[1]) : 0;
		break;
	default: return NO(INVAL);
	}
	if (__builtin_add_overflow(base, (int64_t)a[1], &at) || at < 0)
		return NO(INVAL);
	e->file->offset = (uint64_t)at;
	return at;
}

/* ---- descriptors ---- */

enum {
	O_ACCMODE_ = 3,
	O_APPEND_ = 02000,
	O_NONBLOCK_ = 04000,
	O_DSYNC_ = 010000,
	O_CLOEXEC_ = 02000000,
	O_SYNC_ = 04010000,
};

int64_t wali_add_file(struct wali *k, struct vfs_file *f, uint32_t linux_flags)
{
	struct fd_entry *e;
	uint32_t fd;
	uint64_t rights = rights_of_type((enum vfs_type)f->obj->type);
	uint64_t below = rights_of_type(VFS_TYPE_DIR) | rights_of_type(VFS_TYPE_FILE);
	if (!wali_charge_file(k, f, 0)) {
		vfs_file_unref(f);
		return NO(NFILE);
	}
	WTRY(fdtable_add(k->w->fds, f, rights, f->obj->type == VFS_TYPE_DIR ? below : 0, &fd));
	WTRY(wali_fd(k, fd, &e));
	e->cloexec = linux_flags & O_CLOEXEC_;
	return fd;
}

struct vfs_file *wali_stream_file(struct vfs_obj *o, const char *kind, uint32_t number,
                                  unsigned flags)
{
	struct vfs_file *f = vfs_file_new(o, NULL, NULL, flags);
	if (f)
		snprintf(f->stream, sizeof f->stream, "%s%u", kind, number % 100000);
	return f;
}

int64_t wali_close(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	WTRY(wali_fd(k, a[0], &e));
	wali_closing(k, e->file);
	WTRY(fdtable_close(k->w->fds, arg32(a[0])));
	return 0;
}

int64_t wali_dup(struct wali *k, const uint64_t *a)
{
	uint32_t fd;
	WTRY(fdtable_dup(k->w->fds, arg32(a[0]), 0, &fd));
	return fd;
}

static int64_t dup_to(struct wali *k, uint64_t from, uint64_t to, bool cloexec)
{
	struct fd_entry *e;
	WTRY(wali_fd(k, from, &e));
	if (arg32(to) >= k->rlimits[LIMIT_NOFILE][0])
		return NO(BADF);
	if (arg32(from) != arg32(to)) {
		uint64_t rights = e->rights, inheriting = e->inheriting;
		struct vfs_file *f = e->file;
		if (wali_fd(k, to, &e) == FE_OK)
			wali_closing(k, e->file);
		f->refs++;
		WTRY(fdtable_add_at(k->w->fds, arg32(to), f, rights, inheriting));
		WTRY(wali_fd(k, to, &e));
		e->cloexec = cloexec;
	}
	return arg32(to);
}

int64_t wali_dup2(struct wali *k, const uint64_t *a)
{
	return dup_to(k, a[0], a[1], false);
}

int64_t wali_dup3(struct wali *k, const uint64_t *a)
{
	if (arg32(a[0]) == arg32(a[1]) || arg32(a[2]) & ~(uint32_t)O_CLOEXEC_)
		return NO(INVAL);
	return dup_to(k, a[0], a[1], arg32(a[2]) & O_CLOEXEC_);
}

static uint32_t status_flags(const struct vfs_file *f)
{
	enum { O_PATH_ = 010000000 };
	uint32_t v = f->flags & VFS_WRITE ? (f->flags & VFS_READ ? 2 : 1) : 0;
	v |= f->flags & (VFS_READ | VFS_WRITE) ? 0 : O_PATH_;
	v |= f->flags & VFS_APPEND ? O_APPEND_ : 0;
	v |= f->flags & VFS_NONBLOCK ? O_NONBLOCK_ : 0;
	v |= f->flags & VFS_SYNC ? O_SYNC_ : 0;
	return v | (f->flags & VFS_DSYNC ? O_DSYNC_ : 0);
}

static int64_t dup_from(struct wali *k, uint64_t from, uint64_t least, bool cloexec)
{
	struct fd_entry *e;
	uint32_t fd;
	if (arg32(least) >= FDTABLE_MAX)
		return NO(INVAL);
	WTRY(fdtable_dup(k->w->fds, arg32(from), arg32(least), &fd));
	WTRY(wali_fd(k, fd, &e));
	e->cloexec = cloexec;
	return fd;
}

static int64_t pipe_size(struct wali *k, struct vfs_obj *o, bool set, uint32_t bytes)
{
	if (!vfs_is_pipe(o))
		return NO(BADF);
	if (set && bytes > INT32_MAX)
		return NO(INVAL);
	if (set)
		WTRY(vfs_pipe_set_room(o, bytes));
	return (int64_t)vfs_pipe_room(o);
}

static int64_t put_nobody(struct wali *k, uint64_t out)
{
	uint8_t *p = wali_out(k, out, 8);
	if (!p)
		return NO(FAULT);
	wasi_put_u64(p, 0);
	return 0;
}

int64_t wali_fcntl(struct wali *k, const uint64_t *a)
{
	enum {
		DUPFD,
		GETFD,
		SETFD,
		GETFL,
		SETFL,
		GETLK,
		SETLK,
		SETLKW,
		OFD_GETLK = 36,
		OFD_SETLK,
		OFD_SETLKW,
		GETOWN = 9,
		GETSIG = 11,
		GETOWN_EX = 16,
		GETLEASE = 1025,
		DUPFD_CLOEXEC = 1030,
		SETPIPE_SZ,
		GETPIPE_SZ
	};
	struct fd_entry *e;
	WTRY(wali_fd(k, a[0], &e));
	switch (arg32(a[1])) {
	case DUPFD: return dup_from(k, a[0], a[2], false);
	case DUPFD_CLOEXEC: return dup_from(k, a[0], a[2], true);
	case GETFD: return e->cloexec;
	case SETFD: e->cloexec = arg32(a[2]) & 1; return 0;
	case GETFL: return status_flags(e->file);
	case SETFL:
		e->file->flags &= ~(unsigned)(VFS_APPEND | VFS_NONBLOCK);
		e->file->flags |= arg32(a[2]) & O_APPEND_ ? VFS_APPEND : 0;
		e->file->flags |= arg32(a[2]) & O_NONBLOCK_ ? VFS_NONBLOCK : 0;
		return 0;
	case GETLK:
	case SETLK:
	case SETLKW: return wali_fcntl_lock(k, e->file, arg32(a[1]) - GETLK, false, a[2]);
	case OFD_GETLK:
	case OFD_SETLK:
	case OFD_SETLKW: return wali_fcntl_lock(k, e->file, arg32(a[1]) - OFD_GETLK, true, a[2]);
	case GETOWN: /* nobody is told by a signal */
	case GETSIG: return 0;
	case GETOWN_EX: return put_nobody(k, a[2]);
	case GETLEASE: return 2; /* F_UNLCK */
	case SETPIPE_SZ: return pipe_size(k, e->file->obj, true, arg32(a[2]));
	case GETPIPE_SZ: return pipe_size(k, e->file->obj, false, 0);
	default: return NO(INVAL);
	}
}

static int64_t make_pipe(struct wali *k, uint64_t out, uint32_t flags)
{
	uint8_t *p = wali_out(k, out, 8);
	struct vfs_obj *ends[2];
	struct vfs_wake wake = {family_wake_pipe, k->family, true};
	if (!p)
		return NO(FAULT);
	if (flags & ~(uint32_t)(O_CLOEXEC_ | O_NONBLOCK_))
		return NO(INVAL);
	WTRY(vfs_pipe_new(&ends[0], &ends[1]));
	unsigned more = flags & O_NONBLOCK_ ? VFS_NONBLOCK : 0;
	struct vfs_file *f[2];
	for (int i = 0; i < 2; i++) {
		vfs_pipe_set_wake(ends[i], wake);
		f[i] = vfs_file_new(ends[i], NULL, NULL, (i ? VFS_WRITE : VFS_READ) | more);
	}
	int64_t r = f[0] ? wali_add_file(k, f[0], flags) : NO(NOMEM);
	int64_t w = r >= 0 && f[1] ? wali_add_file(k, f[1], flags) : NO(NOMEM);
	if (r < 0)
		vfs_file_unref(f[1]);
	else if (w < 0)
		fdtable_close(k->w->fds, (uint32_t)r);
	if (r < 0 || w < 0)
		return r < 0 ? r : w;
	wasi_put_u32(p, (uint32_t)r);
	wasi_put_u32(p + 4, (uint32_t)w);
	return 0;
}

int64_t wali_pipe(struct wali *k, const uint64_t *a)
{
	return make_pipe(k, a[0], 0);
}

int64_t wali_pipe2(struct wali *k, const uint64_t *a)
{
	return make_pipe(k, a[0], arg32(a[1]));
}

/* ---- what a file is ---- */

/* Where modes are not kept everything may be done with a file. */
static uint32_t usual_mode(uint8_t type)
{
	switch (type) {
	case VFS_TYPE_SYMLINK: return 0777;
	case VFS_TYPE_CHAR: return 0666;
	case VFS_TYPE_STREAM:
	case VFS_TYPE_DGRAM: return 0600;
	default: return 0755;
	}
}

uint32_t wali_mode(const struct vfs_stat *st, bool read_only)
{
	static const uint32_t types[] = {
	    [VFS_TYPE_UNKNOWN] = 0100000, [VFS_TYPE_BLOCK] = 0060000,  [VFS_TYPE_CHAR] = 0020000,
	    [VFS_TYPE_DIR] = 0040000,     [VFS_TYPE_FILE] = 0100000,   [VFS_TYPE_DGRAM] = 0140000,
	    [VFS_TYPE_STREAM] = 0010000,  [VFS_TYPE_SYMLINK] = 0120000};
	bool told = st->has_mode && st->type != VFS_TYPE_SYMLINK;
	uint32_t access = told ? st->mode & 07777u : usual_mode(st->type);
	return types[st->type <= VFS_TYPE_SYMLINK ? st->type : 0] |
	       (read_only && !told ? access & ~0222u : access);
}

static void put_time(uint8_t *p, uint64_t ns)
{
	wasi_put_u64(p, ns / 1000000000);
	wasi_put_u64(p + 8, ns % 1000000000);
}

enum { BLOCK_SIZE = 4096 };

void wali_put_stat(struct wali *k, uint8_t *p, const struct vfs_stat *st, bool read_only)
{
	memset(p, 0, WALI_STAT_SIZE);
	wasi_put_u64(p, st->dev);
	wasi_put_u64(p + 8, st->ino);
	wasi_put_u64(p + 16, st->nlink || st->has_mode ? st->nlink : 1);
	wasi_put_u32(p + 24, wali_mode(st, read_only));
	wasi_put_u32(p + 28, WALI_UID);
	wasi_put_u32(p + 32, WALI_UID);
	wasi_put_u64(p + 40, st->type == VFS_TYPE_CHAR ? 0x8800 | (st->ino & 0xff) : 0);
	wasi_put_u64(p + 48, st->size_bytes);
	wasi_put_u64(p + 56, BLOCK_SIZE);
	wasi_put_u64(p + 64, (st->size_bytes + 511) / 512);
	put_time(p + 72, st->atime_ns);
	put_time(p + 88, st->mtime_ns);
	put_time(p + 104, st->ctime_ns);
}

static void put_statx_time(uint8_t *p, uint64_t ns)
{
	wasi_put_u64(p, ns / 1000000000);
	wasi_put_u32(p + 8, (uint32_t)(ns % 1000000000));
}

void wali_put_statx(uint8_t *p, const struct vfs_stat *st, bool read_only)
{
	enum { BASIC = 0x7ff };
	memset(p, 0, WALI_STATX_SIZE);
	wasi_put_u32(p, BASIC);
	wasi_put_u32(p + 4, BLOCK_SIZE);
	wasi_put_u32(p + 16, (uint32_t)(st->nlink || st->has_mode ? st->nlink : 1));
	wasi_put_u32(p + 20, WALI_UID);
	wasi_put_u32(p + 24, WALI_UID);
	wasi_put_u16(p + 28, (uint16_t)wali_mode(st, read_only));
	wasi_put_u64(p + 32, st->ino);
	wasi_put_u64(p + 40, st->size_bytes);
	wasi_put_u64(p + 48, (st->size_bytes + 511) / 512);
	put_statx_time(p + 64, st->atime_ns);
	put_statx_time(p + 96, st->ctime_ns);
	put_statx_time(p + 112, st->mtime_ns);
	wasi_put_u32(p + 136, (uint32_t)(st->dev >> 8));
	wasi_put_u32(p + 140, (uint32_t)(st->dev & 0xff));
}

enum ferr wali_stat_fd(const struct fd_entry *e, struct vfs_stat *st, bool *read_only)
{
	*read_only = e->file->mount && e->file->mount->read_only;
	enum ferr r = vfs_stat(e->file->obj, st);
	if (r == FE_NOTSUP || (r != FE_OK && !e->file->mount)) {
		*st = (struct vfs_stat){.type = e->file->obj->type, .nlink = 1, .ino = 1};
		return FE_OK;
	}
	st->type = vfs_is_socket(e->file->obj) ? VFS_TYPE_DGRAM : e->file->obj->type;
	return r;
}

int64_t wali_fstat(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	struct vfs_stat st = {0};
	bool read_only;
	WTRY(wali_fd(k, a[0], &e));
	uint8_t *p = wali_out(k, a[1], WALI_STAT_SIZE);
	if (!p)
		return NO(FAULT);
	WTRY(wali_stat_fd(e, &st, &read_only));
	wali_put_stat(k, p, &st, read_only);
	return 0;
}

/* ---- listings ---- */

struct listing {
	uint8_t *out;
	uint32_t size, used;
	uint64_t next;
	bool full;
};

static bool list_entry(void *ctx, const struct vfs_dirent *d)
{
	static const uint8_t types[] = {0, 6, 2, 4, 8, 12, 1, 10};
	struct listing *l = ctx;
	uint32_t size = (uint32_t)(19 + d->name_size + 1 + 7) & ~7u;
	if (size > l->size - l->used) {
		l->full = true;
		return false;
	}
	uint8_t *p = l->out + l->used;
	memset(p, 0, size);
	wasi_put_u64(p, d->ino ? d->ino : 1);
	wasi_put_u64(p + 8, d->next);
	wasi_put_u16(p + 16, (uint16_t)size);
	p[18] = d->type < sizeof types ? types[d->type] : 0;
	memcpy(p + 19, d->name, d->name_size);
	l->used += size;
	l->next = d->next;
	return true;
}

int64_t wali_getdents64(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	WTRY(wali_fd(k, a[0], &e));
	struct listing l = {.out = wali_out(k, a[1], arg32(a[2])), .size = arg32(a[2])};
	if (!(e->file->flags & VFS_READ))
		return NO(BADF);
	if (e->file->obj->type != VFS_TYPE_DIR)
		return NO(NOTDIR);
	if (!l.out)
		return NO(FAULT);
	WTRY(vfs_readdir(e->file->obj, e->file->offset, list_entry, &l));
	if (!l.used && l.full)
		return NO(INVAL);
	if (l.used)
		e->file->offset = l.next;
	return l.used;
}

/* ---- sizes and the disk ---- */

int64_t wali_ftruncate(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	WTRY(wali_fd(k, a[0], &e));
	if ((int64_t)a[1] < 0 || !(e->file->flags & VFS_WRITE) || !vfs_has_offset(e->file->obj))
		return NO(INVAL);
	WTRY(wasi_may_change(e));
	if (wali_file_room(k, 0, a[1]) < a[1])
		return NO(FBIG);
	WTRY(vfs_set_size(e->file->obj, a[1]));
	return 0;
}

static int64_t sync_fd(struct wali *k, uint64_t fd, bool data_only)
{
	struct fd_entry *e;
	WTRY(wali_fd(k, fd, &e));
	enum ferr r = vfs_sync(e->file->obj, data_only);
	if (r == FE_NOTSUP)
		return NO(INVAL);
	WTRY(r);
	return 0;
}

int64_t wali_fsync(struct wali *k, const uint64_t *a)
{
	return sync_fd(k, a[0], false);
}

int64_t wali_fdatasync(struct wali *k, const uint64_t *a)
{
	return sync_fd(k, a[0], true);
}

int64_t wali_sync(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	for (uint32_t fd = 0; fd < fdtable_size(k->w->fds); fd++)
		if (wali_fd(k, fd, &e) == FE_OK && e->file->mount && e->file->flags & VFS_WRITE)
			vfs_sync(e->file->obj, false);
	return 0;
}

int64_t wali_fadvise(struct wali *k, const uint64_t *a)
{
	enum { LAST_ADVICE = 5 };
	struct fd_entry *e;
	WTRY(wali_fd(k, a[0], &e));
	if (!vfs_has_offset(e->file->obj))
		return NO(SPIPE);
	return (int64_t)a[2] < 0 || arg32(a[3]) > LAST_ADVICE ? NO(INVAL) : 0;
}
