/* save.c - section "linux" of an image: what a Linux program has beside WASI's state (wasi_save.c) and the engine's.
 *
 * Little-endian; text is u16 size, bytes. In this order:
 *
 *	u32 version 5 (4: without stacks for handlers; 3: also without locks; 2: also of one thread; 1: also without ptys)
 *	text current folder, u32 umask, u32 brk start, u32 brk end
 *	u16 maps, by address, each: u32 start, u32 end, u8 flags (1 shared, 2 writable, 4 of a file), with 4: u32 descriptor, u64 offset
 *	u64 waiting signals
 *	64 actions, each: u32 handler, u32 restorer, u64 flags, u64 mask
 *	u64 alarm, u64 its period
 *	u32 number of the next thread, u16 threads, in the engine's order, each:
 *	    u32 number, u32 address to clear, u64 blocked signals, u64 waiting signals, u32 stack for handlers, u32 its size (0: none)
 *	    u16 handlers that have not returned, each: u64 mask of before, u32 its ucontext_t
 *	    u16 slots, by depth, each: u32 depth, u8 flags (1 until, 2 result, 4 mask, 8 interrupted), u64 until, u64 progress, i64 result, u64 mask
 *	16 limits, each: u64, u64
 *	u32 input, output, control, local flags of the terminal, u8 line, 19 keys; u8 it is the process's own; u16 size, what is typed
 *	u16 descriptors that exec closes, each: u32
 *	u16 eventfds and epolls, each: u32 descriptor, u8 kind; an eventfd: u64 count, u8 semaphore; an epoll: u16 watches, each: u32
 *	    descriptor, u32 events, u32 last, u64 data
 *	u32 the process's number; u16 ptys, as pty.c writes them; u16 locks, as locks.c does
 *
 * Versions 1 and 2, which are read, know one thread: u64 blocked signals before the waiting ones, u16 handlers (u64 mask each) before the alarm,
 * and slots behind it.
 *
 * Of one of several relatives (bit 31 of the version is set) this leaves out what section "family" has (family_save.c): terminals, eventfds, epolls
 * and its number. Behind its threads it has for each u8 (1 it stands before a call that has blocked, 2 which a handler interrupts in any case);
 * then text the program's file (/proc/self/exe).
 */
#include "node/wali/save.h"

#include "node/text.h"
#include "node/wali/pty.h"
#include "vfs/pipe.h"

#include <stdlib.h>
#include <string.h>

enum {
	FORMAT_VERSION = 5,
	VERSION_WITHOUT_STACKS = 4,
	VERSION_WITHOUT_LOCKS = 3,
	VERSION_WITHOUT_THREADS = 2,
	VERSION_WITHOUT_PTYS = 1
};
/* Set in the version of one of several relatives. */
static const uint32_t related_bit = UINT32_C(1) << 31;
enum { CALL_WAITS = 1, CALL_NO_RESTART = 2 };
enum { MAP_SHARED_FLAG = 1, MAP_WRITABLE_FLAG = 2, MAP_FILE_FLAG = 4 };
enum { SLOT_UNTIL = 1, SLOT_RESULT = 2, SLOT_MASK = 4, SLOT_INTERRUPTED = 8 };

/* ---- writing ---- */

uint32_t wali_first_fd(struct wali *k, const struct vfs_file *f)
{
	struct fd_entry *e;
	for (uint32_t fd = 0; fd < fdtable_size(k->w->fds); fd++)
		if (wali_fd(k, fd, &e) == FE_OK && e->file == f)
			return fd;
	return UINT32_MAX;
}

static enum err save_maps(struct wali *k, struct wr *out, struct errmsg *msg)
{
	wr_u16(out, (uint16_t)k->nmaps);
	for (uint32_t i = 0; i < k->nmaps; i++) {
		const struct wali_map *m = &k->maps[i];
		wr_u32(out, m->start);
		wr_u32(out, m->end);
		wr_u8(out, (uint8_t)((m->shared ? MAP_SHARED_FLAG : 0) |
		                     (m->writable ? MAP_WRITABLE_FLAG : 0) |
		                     (m->file ? MAP_FILE_FLAG : 0)));
		if (!m->file)
			continue;
		uint32_t fd = wali_first_fd(k, m->file);
		if (fd == UINT32_MAX)
			return err_set(msg, ERR_UNSUPPORTED,
			               "a file is mapped that is not open any more");
		wr_u32(out, fd);
		wr_u64(out, m->offset);
	}
	return ERR_OK;
}

static void save_signals(struct wali *k, struct wr *out)
{
	wr_u64(out, k->task ? k->task->pending : 0);
	for (int s = 1; s <= LINUX_SIGNALS; s++) {
		const struct wali_action *act = &k->actions[s];
		wr_u32(out, act->handler);
		wr_u32(out, act->restorer);
		wr_u64(out, act->flags);
		wr_u64(out, act->mask);
	}
	wr_u64(out, k->alarm.at_ns);
	wr_u64(out, k->alarm.every_ns);
}

static void save_slots(const struct wali_thread *th, struct wr *out)
{
	wr_u16(out, (uint16_t)th->nslots);
	for (uint32_t i = 0; i < th->nslots; i++) {
		const struct wali_slot *s = &th->slots[i];
		wr_u32(out, s->depth);
		wr_u8(out,
		      (uint8_t)((s->has_until ? SLOT_UNTIL : 0) |
		                (s->has_result ? SLOT_RESULT : 0) | (s->has_mask ? SLOT_MASK : 0) |
		                (s->interrupted ? SLOT_INTERRUPTED : 0)));
		wr_u64(out, s->until_ns);
		wr_u64(out, s->progress);
		wr_u64(out, (uint64_t)s->result);
		wr_u64(out, s->mask);
	}
}

static void save_threads(struct wali *k, struct wr *out)
{
	wr_u32(out, k->next_tid);
	wr_u16(out, (uint16_t)k->nthreads);
	for (uint32_t i = 0; i < k->nthreads; i++) {
		const struct wali_thread *th = k->threads[i];
		wr_u32(out, th->tid);
		wr_u32(out, th->clear_tid);
		wr_u64(out, th->blocked);
		wr_u64(out, th->pending);
		wr_u32(out, th->stack);
		wr_u32(out, th->stack_size);
		wr_u16(out, (uint16_t)th->nhandlers);
		for (uint32_t h = 0; h < th->nhandlers; h++) {
			wr_u64(out, th->handlers[h].mask);
			wr_u32(out, th->handlers[h].context);
		}
		save_slots(th, out);
	}
}

static void save_limits(struct wali *k, struct wr *out)
{
	for (int i = 0; i < 16; i++) {
		wr_u64(out, k->rlimits[i][0]);
		wr_u64(out, k->rlimits[i][1]);
	}
}

void terminal_save_typed(struct wali *k, struct wr *out)
{
	uint8_t typed[WALI_TYPED_MAX];
	size_t size = k->host.tty_typed ? k->host.tty_typed(k->host.ctx, typed) : 0;
	wr_u16(out, (uint16_t)size);
	wr_bytes(out, typed, size);
}

static void save_terminal(struct wali *k, struct wr *out)
{
	const struct family_terminal *t = &k->family->terminal;
	family_terminal_save(t, out);
	wr_u8(out, k->task && t->session == k->task->session);
	terminal_save_typed(k, out);
}

static void patch_u16(struct wr *out, size_t at, uint16_t v)
{
	if (wr_ok(out))
		wasi_put_u16(out->data + at, v);
}

static void save_cloexec(struct wali *k, struct wr *out)
{
	struct fd_entry *e;
	size_t at = out->size;
	uint16_t n = 0;
	wr_u16(out, 0);
	for (uint32_t fd = 0; fd < fdtable_size(k->w->fds); fd++)
		if (wali_fd(k, fd, &e) == FE_OK && e->cloexec) {
			wr_u32(out, fd);
			n++;
		}
	patch_u16(out, at, n);
}

static uint32_t told(const struct device *d, const struct watch *w)
{
	struct fd_entry *e;
	bool stands = d->owner && wali_fd(d->owner, w->fd, &e) == FE_OK && e->file == w->file;
	return stands ? wali_watch_told(w, e->file) : w->last;
}

static void save_device(const struct device *d, uint32_t fd, struct wr *out)
{
	wr_u32(out, fd);
	wr_u8(out, (uint8_t)d->kind);
	if (d->kind == DEVICE_EVENT) {
		wr_u64(out, d->count);
		wr_u8(out, d->semaphore);
		return;
	}
	wr_u16(out, (uint16_t)d->nwatches);
	for (uint32_t i = 0; i < d->nwatches; i++) {
		wr_u32(out, d->watches[i].fd);
		wr_u32(out, d->watches[i].events);
		wr_u32(out, told(d, &d->watches[i]));
		wr_u64(out, d->watches[i].data);
	}
}

static void save_devices(struct wali *k, struct wr *out)
{
	struct fd_entry *e;
	size_t at = out->size;
	uint16_t n = 0;
	wr_u16(out, 0);
	for (uint32_t fd = 0; fd < fdtable_size(k->w->fds); fd++) {
		const struct device *d =
		    wali_fd(k, fd, &e) == FE_OK ? wali_device(e->file->obj) : NULL;
		if (!d || (d->kind != DEVICE_EVENT && d->kind != DEVICE_EPOLL) ||
		    wali_first_fd(k, e->file) != fd)
			continue;
		save_device(d, fd, out);
		n++;
	}
	patch_u16(out, at, n);
}

/* What a process without relatives does not have in its image. */
static void save_calls(struct wali *k, struct wr *out)
{
	size_t size = k->exe ? strlen(k->exe) : 0;
	for (uint32_t i = 0; i < k->nthreads; i++)
		wr_u8(out, (uint8_t)((k->threads[i]->call_waits ? CALL_WAITS : 0) |
		                     (k->threads[i]->no_restart ? CALL_NO_RESTART : 0)));
	wr_u16(out, (uint16_t)size);
	if (size)
		wr_bytes(out, k->exe, size);
}

static enum err save_all(struct wali *k, bool related, struct wr *out, struct errmsg *msg)
{
	if (!k->task)
		return err_set(msg, ERR_CLOSED, "the process was ended meanwhile");
	wr_u32(out, related ? FORMAT_VERSION | related_bit : FORMAT_VERSION);
	wr_u16(out, (uint16_t)strlen(k->cwd));
	wr_bytes(out, k->cwd, strlen(k->cwd));
	wr_u32(out, k->umask);
	wr_u32(out, k->brk_start);
	wr_u32(out, k->brk_end);
	TRY(save_maps(k, out, msg));
	save_signals(k, out);
	save_threads(k, out);
	if (related)
		save_calls(k, out);
	save_limits(k, out);
	if (!related)
		save_terminal(k, out);
	save_cloexec(k, out);
	if (!related) {
		save_devices(k, out);
		wr_u32(out, k->task->pid);
		ptys_save(k->family, out);
	}
	wali_locks_save(k, out);
	return wr_ok(out) ? ERR_OK : ERR_NOMEM;
}

static enum err save(struct wali *k, bool related, struct wr *out, struct errmsg *msg)
{
	family_lock(k->family);
	enum err e = save_all(k, related, out, msg);
	family_unlock(k->family);
	return e;
}

enum err wali_save(struct wali *k, struct wr *out, struct errmsg *msg)
{
	return save(k, false, out, msg);
}

enum err wali_save_in(struct wali *k, struct wr *out, struct errmsg *msg)
{
	return save(k, true, out, msg);
}

/* ---- reading ---- */

static enum err load_cwd(struct rd *in, struct wali *k)
{
	uint16_t size;
	const uint8_t *p;
	TRY(rd_u16(in, &size));
	TRY(rd_bytes(in, size, &p));
	if (!size || size >= VFS_PATH_MAX || p[0] != '/' || memchr(p, 0, size))
		return ERR_MALFORMED;
	free(k->cwd);
	k->cwd = text_copy(p, size);
	return k->cwd ? ERR_OK : ERR_NOMEM;
}

static enum err load_map(struct rd *in, struct wali *k, struct wali_map *m)
{
	uint8_t flags;
	uint32_t fd;
	struct fd_entry *e;
	TRY(rd_u32(in, &m->start));
	TRY(rd_u32(in, &m->end));
	TRY(rd_u8(in, &flags));
	const struct wali_map *before = k->nmaps ? &k->maps[k->nmaps - 1] : NULL;
	if (flags > 7 || m->start >= m->end || m->start % WALI_PAGE || m->end % WALI_PAGE ||
	    m->start < (before ? before->end : k->brk_end))
		return ERR_MALFORMED;
	m->shared = flags & MAP_SHARED_FLAG;
	m->writable = flags & MAP_WRITABLE_FLAG;
	if (!(flags & MAP_FILE_FLAG))
		return ERR_OK;
	TRY(rd_u32(in, &fd));
	TRY(rd_u64(in, &m->offset));
	if (wali_fd(k, fd, &e) != FE_OK || m->offset > INT64_MAX)
		return ERR_MALFORMED;
	m->file = e->file;
	m->file->refs++;
	return ERR_OK;
}

static enum err load_memory(struct rd *in, struct wali *k)
{
	uint16_t n;
	TRY(rd_u32(in, &k->umask));
	TRY(rd_u32(in, &k->brk_start));
	TRY(rd_u32(in, &k->brk_end));
	TRY(rd_u16(in, &n));
	if (k->umask > 0777 || k->brk_end < k->brk_start || n > WALI_MAPS_MAX)
		return ERR_MALFORMED;
	k->maps = calloc(n + 1u, sizeof *k->maps);
	if (!k->maps)
		return ERR_NOMEM;
	for (; n; n--) {
		TRY(load_map(in, k, &k->maps[k->nmaps]));
		k->nmaps++;
	}
	return ERR_OK;
}

static enum err load_handlers(struct rd *in, struct wali_thread *th, uint32_t version)
{
	uint16_t n;
	TRY(rd_u16(in, &n));
	if (n > WALI_SLOTS_MAX)
		return ERR_MALFORMED;
	th->handlers = calloc(n + 1u, sizeof *th->handlers);
	if (!th->handlers)
		return ERR_NOMEM;
	for (; th->nhandlers < n; th->nhandlers++) {
		TRY(rd_u64(in, &th->handlers[th->nhandlers].mask));
		th->handlers[th->nhandlers].mask &= WALI_BLOCKABLE;
		if (version > VERSION_WITHOUT_THREADS)
			TRY(rd_u32(in, &th->handlers[th->nhandlers].context));
	}
	return ERR_OK;
}

static enum err load_blocked(struct rd *in, struct wali_thread *th)
{
	TRY(rd_u64(in, &th->blocked));
	return th->blocked & ~WALI_BLOCKABLE ? ERR_MALFORMED : ERR_OK;
}

static enum err load_signals(struct rd *in, struct wali *k, uint32_t version, uint64_t *pending)
{
	if (version <= VERSION_WITHOUT_THREADS)
		TRY(load_blocked(in, k->me));
	TRY(rd_u64(in, pending));
	for (int s = 1; s <= LINUX_SIGNALS; s++) {
		struct wali_action *act = &k->actions[s];
		TRY(rd_u32(in, &act->handler));
		TRY(rd_u32(in, &act->restorer));
		TRY(rd_u64(in, &act->flags));
		TRY(rd_u64(in, &act->mask));
	}
	if (k->actions[LINUX_SIGKILL].handler || k->actions[LINUX_SIGSTOP].handler)
		return ERR_MALFORMED;
	if (version <= VERSION_WITHOUT_THREADS)
		TRY(load_handlers(in, k->me, version));
	TRY(rd_u64(in, &k->alarm.at_ns));
	TRY(rd_u64(in, &k->alarm.every_ns));
	return k->alarm.at_ns > INT64_MAX || k->alarm.every_ns > INT64_MAX ? ERR_MALFORMED : ERR_OK;
}

static enum err load_slot(struct rd *in, struct wali_thread *th)
{
	if (!wali_slots_grow(th))
		return ERR_NOMEM;
	struct wali_slot *s = &th->slots[th->nslots];
	uint8_t flags;
	uint64_t result;
	TRY(rd_u32(in, &s->depth));
	TRY(rd_u8(in, &flags));
	TRY(rd_u64(in, &s->until_ns));
	TRY(rd_u64(in, &s->progress));
	TRY(rd_u64(in, &result));
	TRY(rd_u64(in, &s->mask));
	if (flags > 15 || !s->depth || (th->nslots && s[-1].depth >= s->depth) ||
	    s->progress > INT32_MAX)
		return ERR_MALFORMED;
	s->result = (int64_t)result;
	s->mask &= WALI_BLOCKABLE;
	s->has_until = flags & SLOT_UNTIL;
	s->has_result = flags & SLOT_RESULT;
	s->has_mask = flags & SLOT_MASK;
	s->interrupted = flags & SLOT_INTERRUPTED;
	th->nslots++;
	return ERR_OK;
}

static enum err load_slots(struct rd *in, struct wali_thread *th)
{
	uint16_t n;
	TRY(rd_u16(in, &n));
	if (n > WALI_SLOTS_MAX)
		return ERR_MALFORMED;
	for (; n; n--)
		TRY(load_slot(in, th));
	return ERR_OK;
}

static enum err load_thread(struct rd *in, struct wali *k, uint32_t version)
{
	uint32_t tid;
	TRY(rd_u32(in, &tid));
	if (!tid || tid > WALI_TID_LAST)
		return ERR_MALFORMED;
	struct wali_thread *th = wali_thread_add(k, tid);
	if (!th)
		return ERR_NOMEM;
	TRY(rd_u32(in, &th->clear_tid));
	TRY(load_blocked(in, th));
	TRY(rd_u64(in, &th->pending));
	if (version > VERSION_WITHOUT_STACKS) {
		TRY(rd_u32(in, &th->stack));
		TRY(rd_u32(in, &th->stack_size));
	}
	TRY(load_handlers(in, th, version));
	return load_slots(in, th);
}

/* They take the place of the one that was made with k. */
static enum err load_threads(struct rd *in, struct wali *k, uint32_t version)
{
	uint16_t n;
	TRY(rd_u32(in, &k->next_tid));
	TRY(rd_u16(in, &n));
	if (!n || n > STORE_THREADS_MAX || k->next_tid < WALI_TID_FIRST ||
	    k->next_tid > WALI_TID_LAST)
		return ERR_MALFORMED;
	wali_threads_free(k);
	for (; n; n--)
		TRY(load_thread(in, k, version));
	return ERR_OK;
}

static enum err load_limits(struct rd *in, struct wali *k)
{
	for (int i = 0; i < 16; i++) {
		TRY(rd_u64(in, &k->rlimits[i][0]));
		TRY(rd_u64(in, &k->rlimits[i][1]));
	}
	wali_limits_set(k);
	return ERR_OK;
}

enum err terminal_load_typed(struct rd *in, const uint8_t **typed, uint16_t *size)
{
	TRY(rd_u16(in, size));
	TRY(rd_bytes(in, *size, typed));
	return *size > WALI_TYPED_MAX ? ERR_MALFORMED : ERR_OK;
}

void terminal_use(struct wali *k, const uint8_t *typed, uint16_t size)
{
	if (k->host.tty_set)
		k->host.tty_set(k->host.ctx, &k->family->terminal);
	if (size && k->host.tty_set_typed)
		k->host.tty_set_typed(k->host.ctx, typed, size);
}

static enum err load_terminal(struct rd *in, struct wali *k)
{
	const uint8_t *typed;
	uint16_t size;
	uint8_t own;
	struct family_terminal *t = &k->family->terminal;
	TRY(family_terminal_load(t, in));
	TRY(rd_u8(in, &own));
	if (!own)
		t->session = t->foreground = 0;
	if (own > 1)
		return ERR_MALFORMED;
	TRY(terminal_load_typed(in, &typed, &size));
	terminal_use(k, typed, size);
	return ERR_OK;
}

static enum err load_exe(struct rd *in, struct wali *k)
{
	uint16_t size;
	const uint8_t *p;
	TRY(rd_u16(in, &size));
	TRY(rd_bytes(in, size, &p));
	if (size >= VFS_PATH_MAX || memchr(p, 0, size))
		return ERR_MALFORMED;
	k->exe = size ? text_copy(p, size) : NULL;
	return k->exe || !size ? ERR_OK : ERR_NOMEM;
}

static enum err load_calls(struct rd *in, struct wali *k)
{
	for (uint32_t i = 0; i < k->nthreads; i++) {
		uint8_t flags;
		TRY(rd_u8(in, &flags));
		if (flags > (CALL_WAITS | CALL_NO_RESTART))
			return ERR_MALFORMED;
		k->threads[i]->call_waits = flags & CALL_WAITS;
		k->threads[i]->no_restart = flags & CALL_NO_RESTART;
	}
	return load_exe(in, k);
}

static enum err load_cloexec(struct rd *in, struct wali *k)
{
	uint16_t n;
	uint32_t fd;
	struct fd_entry *e;
	TRY(rd_u16(in, &n));
	for (; n; n--) {
		TRY(rd_u32(in, &fd));
		if (wali_fd(k, fd, &e) != FE_OK)
			return ERR_MALFORMED;
		e->cloexec = true;
	}
	return ERR_OK;
}

static enum err load_watches(struct rd *in, struct wali *k, struct device *d)
{
	uint16_t n;
	struct fd_entry *e;
	TRY(rd_u16(in, &n));
	if (n > WATCHES_MAX || d->watches)
		return ERR_MALFORMED;
	wali_own_epoll(k, d);
	d->watches = calloc(n + 1u, sizeof *d->watches);
	if (!d->watches)
		return ERR_NOMEM;
	for (; d->nwatches < n; d->nwatches++) {
		struct watch *w = &d->watches[d->nwatches];
		TRY(rd_u32(in, &w->fd));
		TRY(rd_u32(in, &w->events));
		TRY(rd_u32(in, &w->last));
		TRY(rd_u64(in, &w->data));
		w->file = wali_fd(k, w->fd, &e) == FE_OK ? e->file : NULL;
		if (w->file && wali_device(w->file->obj) == d)
			return ERR_MALFORMED;
	}
	return ERR_OK;
}

static enum err load_device(struct rd *in, struct wali *k)
{
	uint32_t fd;
	uint8_t kind, flag = 0;
	struct fd_entry *e;
	TRY(rd_u32(in, &fd));
	TRY(rd_u8(in, &kind));
	struct device *d = wali_fd(k, fd, &e) == FE_OK ? wali_device(e->file->obj) : NULL;
	if (!d || d->kind != kind || (kind != DEVICE_EVENT && kind != DEVICE_EPOLL))
		return ERR_MALFORMED;
	d->wake = family_wake;
	d->wake_ctx = k->family;
	if (kind == DEVICE_EPOLL)
		return load_watches(in, k, d);
	TRY(rd_u64(in, &d->count));
	TRY(rd_u8(in, &flag));
	d->semaphore = flag;
	return flag <= 1 && d->count < UINT64_MAX ? ERR_OK : ERR_MALFORMED;
}

static enum err load_devices(struct rd *in, struct wali *k)
{
	uint16_t n;
	TRY(rd_u16(in, &n));
	for (; n; n--)
		TRY(load_device(in, k));
	return ERR_OK;
}

struct renamed {
	uint32_t before, now;
};

static uint32_t number_of(void *ctx, uint32_t pid)
{
	const struct renamed *r = ctx;
	return pid == r->before ? r->now : 0;
}

static enum err load_ptys(struct rd *in, struct wali *k)
{
	struct renamed r = {.now = k->task->pid};
	struct fd_entry *e;
	TRY(rd_u32(in, &r.before));
	TRY(ptys_load(k->family, in, number_of, &r));
	for (uint32_t fd = 0; fd < fdtable_size(k->w->fds); fd++)
		if (wali_fd(k, fd, &e) == FE_OK)
			ptys_attach(k->family, e->file->obj);
	ptys_settle(k->family);
	return ERR_OK;
}

static void own_pipes(struct wali *k)
{
	struct fd_entry *e;
	struct vfs_wake wake = {family_wake_pipe, k->family, true};
	for (uint32_t fd = 0; fd < fdtable_size(k->w->fds); fd++)
		if (wali_fd(k, fd, &e) == FE_OK && vfs_is_pipe(e->file->obj))
			vfs_pipe_set_wake(e->file->obj, wake);
}

static enum err load_all(struct rd *in, struct wali *k, bool related, uint64_t *pending)
{
	uint32_t version;
	TRY(rd_u32(in, &version));
	if (related != (version >> 31))
		return ERR_UNSUPPORTED;
	version &= ~related_bit;
	if (!version || version > FORMAT_VERSION || (related && version < VERSION_WITHOUT_STACKS))
		return ERR_UNSUPPORTED;
	TRY(load_cwd(in, k));
	TRY(load_memory(in, k));
	TRY(load_signals(in, k, version, pending));
	TRY(version <= VERSION_WITHOUT_THREADS ? load_slots(in, k->me)
	                                       : load_threads(in, k, version));
	if (related)
		TRY(load_calls(in, k));
	TRY(load_limits(in, k));
	if (!related)
		TRY(load_terminal(in, k));
	TRY(load_cloexec(in, k));
	if (!related)
		TRY(load_devices(in, k));
	if (!related && version > VERSION_WITHOUT_PTYS)
		TRY(load_ptys(in, k));
	return version > VERSION_WITHOUT_LOCKS ? wali_locks_load(k, in) : ERR_OK;
}

enum err wali_load(struct rd *in, const struct wali_config *c, struct wali **out,
                   struct errmsg *msg)
{
	struct wali *k;
	uint64_t pending = 0;
	size_t start = rd_offset(in);
	struct wali_config with = *c;
	if (c->image)
		with.family = family_image_family(c->image);
	TRY(wali_alloc(&with, &k));
	k->task = c->image ? family_image_take(c->image, c)
	                   : family_add(k->family, c->pid, NULL, c->waker);
	enum err e = k->task    ? load_all(in, k, c->image, &pending)
	             : c->image ? ERR_MALFORMED
	                        : ERR_NOMEM;
	if (e == ERR_OK && c->image)
		family_image_joined(c->image, k);
	if (e != ERR_OK) {
		wali_free(k);
		return err_set(msg, e, "section linux: byte %zu: %s", rd_offset(in) - start,
		               err_text(e));
	}
	k->task->pending = pending;
	if (c->image)
		k->task->wali = k;
	else
		wali_set_first(k);
	k->w->family = k->family;
	own_pipes(k);
	e = wali_own_sockets(k, c->is_copy);
	if (e != ERR_OK) {
		wali_free(k);
		return err_set(msg, e, "section linux: sockets: %s", err_text(e));
	}
	*out = k;
	return ERR_OK;
}

static bool thread_fits(const struct wali_thread *th)
{
	return th->nhandlers <= thread_interrupts(th->t) &&
	       (!th->nslots || th->slots[th->nslots - 1].depth <= thread_depth(th->t));
}

bool wali_fits(struct wali *k, struct store *s)
{
	uint64_t size = 0;
	uint32_t end = k->nmaps ? k->maps[k->nmaps - 1].end : k->brk_end;
	instance_memory(store_instance(s, 0), &size);
	if (end > size || !wali_threads_join(k, s))
		return false;
	for (uint32_t i = 0; i < k->nthreads; i++)
		if (!thread_fits(k->threads[i]))
			return false;
	return true;
}

void wali_start_clock(struct wali *k)
{
	family_lock(k->family);
	wali_set_alarm(k);
	wali_go_sockets(k);
	family_unlock(k->family);
}
