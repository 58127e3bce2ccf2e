/* locks.c - fcntl's locks of a process and of an open file description, and flock: calls over commons.h. */
#include "node/wali/fifo.h"
#include "node/wali/wali_state.h"

#include <string.h>

enum { RDLCK, WRLCK, UNLCK, FLOCK_SIZE = 32 };
enum { CUR = 1, END = 2 };
enum { AGAIN_NS = 200000000 };

/* ---- which file ---- */

static uint64_t where_of(const struct vfs_mount *m)
{
	uint64_t where;
	if (m->kind == VFS_MOUNT_MEMORY)
		return (uintptr_t)m->root;
	memcpy(&where, m->home, sizeof where);
	return where;
}

struct file_id wali_file_id(const struct wali_at *at)
{
	return (struct file_id){.where = where_of(at->mount), .dev = at->st.dev, .ino = at->st.ino};
}

static struct file_id id_of(const struct vfs_file *f)
{
	struct file_id id = {.where = f->mount ? where_of(f->mount) : (uintptr_t)f->obj};
	(void)vfs_identity(f->obj, &id.dev, &id.ino); /* zeros: files that cannot be told apart */
	return id;
}

static struct commons *commons_of(const struct wali *k)
{
	return k->family->commons;
}

/* ---- the end of locks ---- */

void wali_closing(struct wali *k, const struct vfs_file *f)
{
	if (!k->has_locks || !f->mount)
		return;
	struct file_id id = id_of(f);
	locks_drop(commons_of(k), LOCK_PROCESS, k, &id);
}

void wali_locks_end(struct wali *k)
{
	commons_wait_end(commons_of(k), &k->waiter);
	fifo_forget(commons_of(k), &k->waiter);
	if (k->has_locks)
		locks_drop(commons_of(k), LOCK_PROCESS, k, NULL);
	k->has_locks = false;
}

/* The last descriptor of a description is gone. */
static void description_gone(void *ctx, const struct vfs_file *f)
{
	locks_drop(ctx, LOCK_DESCRIPTION, f, NULL);
	locks_drop(ctx, LOCK_WHOLE, f, NULL);
}

/* ---- taking ---- */

struct commons_waiter *wali_waiter(struct wali *k)
{
	k->waiter.waker = k->task->waker;
	k->waiting = k->me;
	return &k->waiter;
}

int64_t wali_block_in_commons(struct wali *k)
{
	int64_t r = wali_block(k, true);
	if (r == WALI_BLOCK)
		wait_until(k->w->wait, os_monotonic_ns() + AGAIN_NS);
	return r;
}

static void watch_owner(struct wali *k, struct vfs_file *f, enum lock_kind kind)
{
	if (kind == LOCK_PROCESS) {
		k->has_locks = true;
		return;
	}
	f->released = description_gone;
	f->released_ctx = commons_of(k);
}

/* An open file on which ranges are locked costs as much as they may be. */
static bool pay(struct wali *k, struct vfs_file *f, enum lock_kind kind)
{
	enum { LOCK_BYTES = 80, ALL = LOCK_BYTES * LOCKS_OWNER_MAX };
	return kind == LOCK_WHOLE || f->paid_bytes >= ALL || wali_charge_file(k, f, ALL);
}

static int64_t take(struct wali *k, struct vfs_file *f, const struct lock_wish *w, bool waits)
{
	if (!pay(k, f, w->kind))
		return NO(NOLCK);
	watch_owner(k, f, w->kind);
	enum ferr e = locks_set(commons_of(k), w, waits ? wali_waiter(k) : NULL);
	if (e != FE_AGAIN || !waits)
		return e == FE_OK ? 0 : wali_error(k, e);
	return wali_block_in_commons(k);
}

/* ---- fcntl ---- */

static enum ferr base_of(const struct vfs_file *f, uint32_t whence, int64_t *base)
{
	struct vfs_stat st;
	*base = whence == CUR ? (int64_t)f->offset : 0;
	if (whence == END) {
		FTRY(vfs_stat(f->obj, &st));
		*base = (int64_t)st.size_bytes;
	}
	return whence <= END ? FE_OK : FE_INVAL;
}

/* l_len 0: to the end, wherever that will be; below 0: what stands before. */
static enum ferr range_of(const struct vfs_file *f, const uint8_t *p, struct lock_wish *w)
{
	int64_t base, start, length = (int64_t)wasi_get_u64(p + 16), last;
	FTRY(base_of(f, wasi_get_u32(p) >> 16, &base));
	if (__builtin_add_overflow(base, (int64_t)wasi_get_u64(p + 8), &start))
		return FE_OVERFLOW;
	if (length < 0) {
		last = start - 1;
		if (__builtin_add_overflow(start, length, &start))
			return FE_INVAL;
	} else if (!length) {
		last = INT64_MAX;
	} else if (__builtin_add_overflow(start, length - 1, &last)) {
		return FE_OVERFLOW;
	}
	w->start = (uint64_t)start;
	w->end = last == INT64_MAX ? UINT64_MAX : (uint64_t)last;
	return start < 0 ? FE_INVAL : FE_OK;
}

static int64_t say_lock(struct wali *k, uint8_t *p, const struct lock_wish *w)
{
	struct lock_wish other;
	if (!locks_find(commons_of(k), w, &other)) {
		wasi_put_u16(p, UNLCK);
		return 0;
	}
	wasi_put_u16(p, other.exclusive ? WRLCK : RDLCK);
	wasi_put_u16(p + 2, 0);
	wasi_put_u64(p + 8, other.start);
	wasi_put_u64(p + 16, other.end == UINT64_MAX ? 0 : other.end - other.start + 1);
	wasi_put_u32(p + 24, other.kind == LOCK_PROCESS ? other.pid : UINT32_MAX);
	return 0;
}

int64_t wali_fcntl_lock(struct wali *k, struct vfs_file *f, enum lock_call call, bool description,
                        uint64_t addr)
{
	uint8_t *p = wali_out(k, addr, FLOCK_SIZE);
	if (!p)
		return NO(FAULT);
	uint32_t type = wasi_get_u32(p) & 0xffff;
	struct lock_wish w = {.file = id_of(f),
	                      .kind = description ? LOCK_DESCRIPTION : LOCK_PROCESS,
	                      .owner = description ? (void *)f : (void *)k,
	                      .pid = k->task->pid,
	                      .exclusive = type == WRLCK};
	if (type > UNLCK || (description && wasi_get_u32(p + 24)) || !vfs_has_offset(f->obj))
		return NO(INVAL);
	WTRY(range_of(f, p, &w));
	if (call == LOCK_ASK)
		return type == UNLCK ? NO(INVAL) : say_lock(k, p, &w);
	if (type == UNLCK) {
		locks_clear(commons_of(k), &w);
		return 0;
	}
	if (!(f->flags & (type == WRLCK ? VFS_WRITE : VFS_READ)))
		return NO(BADF);
	return take(k, f, &w, call == LOCK_WAIT);
}

/* ---- flock ---- */

int64_t wali_flock(struct wali *k, const uint64_t *a)
{
	enum { SHARED = 1, EXCLUSIVE = 2, NOT_BLOCKING = 4, UNLOCK = 8 };
	struct fd_entry *e;
	WTRY(wali_fd(k, a[0], &e));
	uint32_t op = arg32(a[1]) & ~(uint32_t)NOT_BLOCKING;
	struct lock_wish w = {.file = id_of(e->file),
	                      .kind = LOCK_WHOLE,
	                      .owner = e->file,
	                      .exclusive = op == EXCLUSIVE,
	                      .end = UINT64_MAX};
	if (op == UNLOCK) {
		locks_clear(commons_of(k), &w);
		return 0;
	}
	if (op != SHARED && op != EXCLUSIVE)
		return NO(INVAL);
	return take(k, e->file, &w, !(arg32(a[1]) & NOT_BLOCKING));
}

/* ---- as part of an image: u16 locks, each: u8 kind, u32 descriptor, u8 exclusive, u64 start, u64 end ---- */

enum { SAVED_SIZE = 22 };

static void save_of(struct wali *k, const void *owner, uint32_t fd_hint, struct wr *out,
                    uint16_t *n)
{
	struct lock_wish w;
	struct fd_entry *e;
	for (uint32_t i = 0; *n < UINT16_MAX && locks_at(commons_of(k), owner, i, &w); i++)
		for (uint32_t fd = fd_hint; fd < fdtable_size(k->w->fds); fd++) {
			struct file_id id = {0};
			if (wali_fd(k, fd, &e) == FE_OK && e->file->mount)
				id = id_of(e->file);
			if (memcmp(&id, &w.file, sizeof id))
				continue;
			wr_u8(out, (uint8_t)w.kind);
			wr_u32(out, fd);
			wr_u8(out, w.exclusive);
			wr_u64(out, w.start);
			wr_u64(out, w.end);
			++*n;
			break;
		}
}

void wali_locks_save(struct wali *k, struct wr *out)
{
	struct fd_entry *e;
	uint16_t n = 0;
	size_t at = out->size;
	wr_u16(out, 0);
	if (k->has_locks)
		save_of(k, k, 0, out, &n);
	for (uint32_t fd = 0; fd < fdtable_size(k->w->fds); fd++)
		if (wali_fd(k, fd, &e) == FE_OK && e->file->released == description_gone &&
		    wali_first_fd(k, e->file) == fd)
			save_of(k, e->file, fd, out, &n);
	if (wr_ok(out))
		wasi_put_u16(out->data + at, n);
}

/* Somebody here may have the file locked already: then this one's lock is lost, as when a disk that others use goes away for a moment. */
static enum err load_one(struct wali *k, struct rd *in)
{
	uint8_t kind, exclusive;
	uint32_t fd;
	struct fd_entry *e;
	struct lock_wish w = {.pid = k->task->pid};
	TRY(rd_u8(in, &kind));
	TRY(rd_u32(in, &fd));
	TRY(rd_u8(in, &exclusive));
	TRY(rd_u64(in, &w.start));
	TRY(rd_u64(in, &w.end));
	if (kind > LOCK_WHOLE || exclusive > 1 || w.start > w.end || wali_fd(k, fd, &e) != FE_OK)
		return ERR_MALFORMED;
	w.kind = (enum lock_kind)kind;
	w.exclusive = exclusive;
	w.owner = kind == LOCK_PROCESS ? (void *)k : (void *)e->file;
	w.file = id_of(e->file);
	watch_owner(k, e->file, w.kind);
	enum ferr f = locks_set(commons_of(k), &w, NULL);
	return f == FE_NOMEM ? ERR_NOMEM : ERR_OK;
}

enum err wali_locks_load(struct wali *k, struct rd *in)
{
	uint16_t n;
	TRY(rd_u16(in, &n));
	if (rd_left(in) < (size_t)n * SAVED_SIZE)
		return ERR_MALFORMED;
	for (; n; n--)
		TRY(load_one(k, in));
	return ERR_OK;
}
