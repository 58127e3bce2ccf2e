/* poll.c - waiting for several files: poll, select and epoll, and eventfd.
 *
 * A call that finds nothing blocks on every file it was given, and is made again when one may be ready; its deadline is kept in its
 * frame's slot. An epoll is a list of watches; edge-triggered ones are told when
 * something is there that was not when they were asked last, or was, and has been read (written) since: that may have been all, and this is new.
 */
#include "node/wali/device.h"

#include "base/os.h"
#include "vfs/pipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	IN = 1,
	PRI = 2,
	OUT = 4,
	ERR = 8,
	HUP = 16,
	NVAL = 32,
	RDNORM = 64,
	WRNORM = 256,
	RDHUP = 0x2000,
};

static unsigned vfs_events(uint32_t events)
{
	return (events & (IN | RDNORM) ? VFS_READABLE : 0u) |
	       (events & (OUT | WRNORM) ? VFS_WRITABLE : 0u);
}

/* A pipe whose end has come: only that is told, not that it may be read. */
static bool is_drained(struct vfs_obj *o)
{
	struct vfs_stat st = {0};
	return !vfs_pipe_writes(o) && vfs_stat(o, &st) == FE_OK && !st.size_bytes;
}

/* Which of events are there, with those that are always told. */
static uint32_t ready_now(struct vfs_obj *o, uint32_t events)
{
	unsigned ready = vfs_ready(o, VFS_READABLE | VFS_WRITABLE);
	uint32_t out =
	    (ready & VFS_READABLE ? IN | RDNORM : 0u) | (ready & VFS_WRITABLE ? OUT | WRNORM : 0u);
	out |= ready & VFS_END ? RDHUP : 0u;
	out &= events;
	out |= ready & VFS_ERROR ? ERR : 0u;
	if (ready & VFS_HANGUP)
		out |= vfs_is_pipe(o) && vfs_pipe_writes(o) ? ERR : HUP;
	struct device *d = wali_device(o);
	if (d && d->kind == DEVICE_EVENT)
		out &= ~(uint32_t)(RDNORM | WRNORM);
	if (ready & VFS_HANGUP && vfs_is_pipe(o) && is_drained(o))
		out &= ~(uint32_t)(IN | RDNORM);
	return out;
}

/* The mask of signals while the call waits; put back when it is over. */
static int64_t use_mask(struct wali *k, uint64_t addr)
{
	struct wali_slot *s;
	if (!arg32(addr))
		return 0;
	const uint8_t *p = wali_in(k, addr, 8);
	if (!p)
		return NO(FAULT);
	uint64_t mask = wasi_get_u64(p);
	s = wali_slot(k);
	if (!s)
		return NO(NOMEM);
	if (!s->has_mask)
		s->mask = k->me->blocked;
	s->has_mask = true;
	k->me->blocked = mask & WALI_BLOCKABLE;
	return 0;
}

/* Nothing was there. */
static int64_t wait_more(struct wali *k, uint64_t relative_ns)
{
	uint64_t until = wali_deadline(k, relative_ns);
	int64_t r = wali_block(k, false);
	if (r != WALI_BLOCK)
		return r;
	if (wali_has_signal(
	        k)) { /* that the call's mask lets through: also when it does not wait */
		family_poke(k->task);
		return r;
	}
	if (!relative_ns || wasi_clock_ns(k->w) >= until)
		return 0;
	if (r == WALI_BLOCK && until != WAIT_FOREVER)
		wait_until(k->w->wait, wasi_host_time(k->w, until));
	return r;
}

/* ---- poll ---- */

static uint32_t poll_one(struct wali *k, uint32_t fd, uint32_t events)
{
	struct fd_entry *e;
	if ((int32_t)fd < 0)
		return 0;
	return wali_fd(k, fd, &e) != FE_OK ? NVAL : ready_now(e->file->obj, events);
}

static void wait_for(struct wali *k, uint32_t fd, unsigned events)
{
	struct fd_entry *e;
	if ((int32_t)fd >= 0 && wali_fd(k, fd, &e) == FE_OK && events)
		wasi_block_on(k->w, e->file->obj, events);
}

static int64_t poll_fds(struct wali *k, uint64_t addr, uint64_t count, uint64_t relative_ns)
{
	int64_t found = 0;
	if (count > FDTABLE_MAX)
		return NO(INVAL);
	uint8_t *p = wali_out(k, addr, count * 8);
	if (!p && count)
		return NO(FAULT);
	for (uint64_t i = 0; i < count; i++) {
		uint8_t *one = p + i * 8;
		uint32_t events = wasi_get_u32(one + 4) & 0xffff;
		uint32_t got = poll_one(k, wasi_get_u32(one), events);
		wasi_put_u16(one + 6, (uint16_t)got);
		found += got != 0;
	}
	if (found)
		return found;
	int64_t r = wait_more(k, relative_ns);
	for (uint64_t i = 0; r == WALI_BLOCK && i < count; i++)
		wait_for(k, wasi_get_u32(p + i * 8), vfs_events(wasi_get_u32(p + i * 8 + 4)));
	return r;
}

static uint64_t ms_to_ns(uint64_t ms)
{
	return (int32_t)arg32(ms) < 0 ? WAIT_FOREVER : (uint64_t)arg32(ms) * 1000000;
}

int64_t wali_poll(struct wali *k, const uint64_t *a)
{
	return poll_fds(k, a[0], a[1], ms_to_ns(a[2]));
}

int64_t wali_ppoll(struct wali *k, const uint64_t *a)
{
	uint64_t ns = WAIT_FOREVER;
	if (arg32(a[2]))
		WTRY(wali_timespec(k, a[2], &ns));
	int64_t r = use_mask(k, a[3]);
	return r ? r : poll_fds(k, a[0], a[1], ns);
}

/* ---- select: three sets of bits, of 64 each ---- */

struct sets {
	uint8_t *p[3]; /* NULL: not given */
	uint64_t in[3][FDTABLE_MAX / 64];
	uint32_t count, words;
};

static bool wants(const struct sets *s, int which, uint32_t fd)
{
	return s->p[which] && s->in[which][fd / 64] >> (fd % 64) & 1;
}

static enum ferr read_sets(struct wali *k, const uint64_t *a, struct sets *s)
{
	s->count = arg32(a[0]);
	if ((int32_t)s->count < 0)
		return FE_INVAL;
	if (s->count > FDTABLE_MAX)
		s->count = FDTABLE_MAX;
	s->words = (s->count + 63) / 64;
	for (int i = 0; i < 3; i++) {
		s->p[i] = arg32(a[1 + i]) && s->words ? wali_out(k, a[1 + i], s->words * 8) : NULL;
		if (arg32(a[1 + i]) && s->words && !s->p[i])
			return FE_FAULT;
		for (uint32_t w = 0; s->p[i] && w < s->words; w++)
			s->in[i][w] = wasi_get_u64(s->p[i] + w * 8);
	}
	return FE_OK;
}

static uint32_t events_of(const struct sets *s, uint32_t fd)
{
	return (wants(s, 0, fd) ? IN : 0) | (wants(s, 1, fd) ? OUT : 0) |
	       (wants(s, 2, fd) ? PRI : 0);
}

/* What is there goes to found; -1: a descriptor is not open. */
static int64_t look(struct wali *k, const struct sets *s, uint64_t found[3][FDTABLE_MAX / 64])
{
	int64_t n = 0;
	for (uint32_t fd = 0; fd < s->count; fd++) {
		uint32_t events = events_of(s, fd);
		uint32_t got = events ? poll_one(k, fd, events) : 0;
		if (got & NVAL)
			return -1;
		bool readable = got & (IN | HUP | ERR), writable = got & (OUT | ERR);
		if (readable && events & IN) {
			found[0][fd / 64] |= UINT64_C(1) << fd % 64;
			n++;
		}
		if (writable && events & OUT) {
			found[1][fd / 64] |= UINT64_C(1) << fd % 64;
			n++;
		}
	}
	return n;
}

static int64_t select_fds(struct wali *k, const uint64_t *a, uint64_t relative_ns)
{
	struct sets s;
	uint64_t found[3][FDTABLE_MAX / 64] = {0};
	WTRY(read_sets(k, a, &s));
	int64_t n = look(k, &s, found);
	if (n < 0)
		return NO(BADF);
	if (!n)
		n = wait_more(k, relative_ns);
	if (n == WALI_BLOCK) {
		for (uint32_t fd = 0; fd < s.count; fd++)
			wait_for(k, fd, vfs_events(events_of(&s, fd)));
		return n;
	}
	for (int i = 0; n >= 0 && i < 3; i++)
		for (uint32_t w = 0; s.p[i] && w < s.words; w++)
			wasi_put_u64(s.p[i] + w * 8, found[i][w]);
	return n;
}

int64_t wali_select(struct wali *k, const uint64_t *a)
{
	uint64_t ns = WAIT_FOREVER;
	if (arg32(a[4])) {
		const uint8_t *p = wali_in(k, a[4], 16);
		if (!p)
			return NO(FAULT);
		uint64_t s = wasi_get_u64(p), us = wasi_get_u64(p + 8);
		if (s > INT64_MAX || us > INT64_MAX)
			return NO(INVAL);
		if (s < INT64_MAX / 2000000000 && us < INT64_MAX / 2000)
			ns = s * 1000000000 + us * 1000;
	}
	return select_fds(k, a, ns);
}

/* The last argument: {mask's address, size}, 4 or 8 bytes each; the address comes first. */
int64_t wali_pselect6(struct wali *k, const uint64_t *a)
{
	uint64_t ns = WAIT_FOREVER, mask = 0;
	if (arg32(a[4]))
		WTRY(wali_timespec(k, a[4], &ns));
	if (arg32(a[5])) {
		const uint8_t *p = wali_in(k, a[5], 8);
		if (!p)
			return NO(FAULT);
		mask = wasi_get_u32(p);
	}
	int64_t r = use_mask(k, mask);
	return r ? r : select_fds(k, a, ns);
}

/* ---- files of this personality ---- */

static uint32_t free_number(struct wali *k, const char *kind)
{
	struct fd_entry *e;
	uint32_t n = 1, at;
	for (uint32_t fd = 0; fd < fdtable_size(k->w->fds); fd++)
		if (wali_fd(k, fd, &e) == FE_OK && !strncmp(e->file->stream, kind, strlen(kind))) {
			at = (uint32_t)strtoul(e->file->stream + strlen(kind), NULL, 10);
			n = at >= n ? at + 1 : n;
		}
	return n;
}

static int64_t add_device(struct wali *k, struct device *d, const char *kind, uint32_t flags)
{
	enum { NONBLOCK = 04000 };
	if (!d)
		return NO(NOMEM);
	d->wake = family_wake;
	d->wake_ctx = k->family;
	struct vfs_file *f =
	    wali_stream_file(&d->base, kind, free_number(k, kind),
	                     VFS_READ | VFS_WRITE | (flags & NONBLOCK ? VFS_NONBLOCK : 0));
	return f ? wali_add_file(k, f, flags) : NO(NOMEM);
}

int64_t wali_eventfd2(struct wali *k, const uint64_t *a)
{
	enum { SEMAPHORE = 1, KNOWN = 02004001 };
	if (arg32(a[1]) & ~(uint32_t)KNOWN)
		return NO(INVAL);
	struct device *d = wali_device_alloc(DEVICE_EVENT);
	if (d) {
		d->count = arg32(a[0]);
		d->semaphore = arg32(a[1]) & SEMAPHORE;
	}
	return add_device(k, d, "eventfd ", arg32(a[1]));
}

int64_t wali_eventfd(struct wali *k, const uint64_t *a)
{
	return wali_eventfd2(k, (const uint64_t[]){a[0], 0});
}

/* ---- epoll ---- */

enum { ET = 1u << 31, ONESHOT = 1u << 30, EVENT_SIZE = 12 };

static bool stands(struct wali *k, const struct watch *w, struct fd_entry **e)
{
	return wali_fd(k, w->fd, e) == FE_OK && (*e)->file == w->file;
}

/* Who has read may have read all there was, and what is there now came since; likewise who has written. */
uint32_t wali_watch_told(const struct watch *w, const struct vfs_file *file)
{
	uint32_t told = w->last;
	if (file->reads != w->reads)
		told &= ~(uint32_t)(IN | RDNORM);
	if (file->writes != w->writes)
		told &= ~(uint32_t)(OUT | WRNORM);
	return told;
}

/* What is to be told of a watch: of an edge-triggered one all or nothing. */
static uint32_t watched(struct wali *k, const struct watch *w)
{
	struct fd_entry *e;
	if (!w->events || !stands(k, w, &e))
		return 0;
	uint32_t now = ready_now(e->file->obj, w->events);
	return w->events & ET && !(now & ~wali_watch_told(w, e->file)) ? 0 : now;
}

static bool any_watched(struct wali *k, const struct device *d)
{
	for (uint32_t i = 0; i < d->nwatches; i++)
		if (watched(k, &d->watches[i]))
			return true;
	return false;
}

/* Of an image's epolls, which epoll_ctl() did not make, more than two may watch each other, in a circle perhaps. */
static bool any_ready(const struct device *d)
{
	enum { NESTED_MAX = 2 };
	struct family *f = d->owner ? d->owner->family : NULL;
	if (!f || f->asked_epolls == NESTED_MAX)
		return false;
	f->asked_epolls++;
	bool any = any_watched(d->owner, d);
	f->asked_epolls--;
	return any;
}

void wali_own_epoll(struct wali *k, struct device *d)
{
	wali_disown_epoll(d);
	d->owner = k;
	d->any_ready = any_ready;
	d->next_owned = k->epolls;
	k->epolls = d;
}

void wali_disown_epoll(struct device *d)
{
	if (!d->owner)
		return;
	struct device **at = &d->owner->epolls;
	while (*at != d)
		at = &(*at)->next_owned;
	*at = d->next_owned;
	d->owner = NULL;
}

void wali_disown_epolls(struct wali *k)
{
	while (k->epolls)
		wali_disown_epoll(k->epolls);
}

int64_t wali_epoll_create1(struct wali *k, const uint64_t *a)
{
	enum { CLOEXEC = 02000000 };
	if (arg32(a[0]) & ~(uint32_t)CLOEXEC)
		return NO(INVAL);
	struct device *d = wali_device_alloc(DEVICE_EPOLL);
	if (d)
		wali_own_epoll(k, d);
	return add_device(k, d, "epoll ", arg32(a[0]));
}

static struct watch *find_watch(struct wali *k, struct device *d, uint32_t fd)
{
	struct fd_entry *e;
	for (uint32_t i = 0; i < d->nwatches;) {
		if (d->watches[i].fd == fd && stands(k, &d->watches[i], &e))
			return &d->watches[i];
		if (d->watches[i].fd == fd) /* of a file that was closed */
			d->watches[i] = d->watches[--d->nwatches];
		else
			i++;
	}
	return NULL;
}

static struct watch *add_watch(struct device *d)
{
	struct watch *p = realloc(d->watches, (d->nwatches + 1) * sizeof *p);
	if (!p)
		return NULL;
	d->watches = p;
	return &p[d->nwatches++];
}

static int64_t epoll_of(struct wali *k, uint64_t fd, struct device **out)
{
	struct fd_entry *e;
	WTRY(wali_fd(k, fd, &e));
	*out = wali_device(e->file->obj);
	return *out && (*out)->kind == DEVICE_EPOLL ? 0 : NO(INVAL);
}

/* An epoll may watch another one, but no deeper (Linux: five deep): then it is noted. */
static bool may_nest(struct device *d, struct device *inner)
{
	if (!inner || inner->kind != DEVICE_EPOLL)
		return true;
	if (d->is_watched || inner->is_nested)
		return false;
	return d->is_nested = inner->is_watched = true;
}

int64_t wali_epoll_ctl(struct wali *k, const uint64_t *a)
{
	enum { ADD = 1, DEL, MOD };
	struct device *d;
	struct fd_entry *e;
	struct fd_entry *own;
	int64_t r = epoll_of(k, a[0], &d);
	if (r)
		return r;
	WTRY(wali_fd(k, a[0], &own));
	uint32_t op = arg32(a[1]), fd = arg32(a[2]);
	const uint8_t *p = op == DEL ? NULL : wali_in(k, a[3], EVENT_SIZE);
	WTRY(wali_fd(k, fd, &e));
	if (op < ADD || op > MOD || wali_device(e->file->obj) == d)
		return NO(INVAL);
	if (op != DEL && !p)
		return NO(FAULT);
	struct device *watched = wali_device(e->file->obj);
	if (e->file->mount || (watched && watched->kind < DEVICE_RANDOM))
		return NO(PERM); /* such a file is always ready */
	if (op == ADD && !may_nest(d, wali_device(e->file->obj)))
		return NO(LOOP);
	struct watch *w = find_watch(k, d, fd);
	if (op == ADD ? w != NULL : !w)
		return op == ADD ? NO(EXIST) : NO(NOENT);
	if (op == DEL) {
		*w = d->watches[--d->nwatches];
		return 0;
	}
	if (!w && !wali_charge_file(k, own->file, sizeof *w))
		return NO(NOSPC);
	if (!w && !(w = add_watch(d)))
		return NO(NOMEM);
	*w = (struct watch){
	    .fd = fd, .events = wasi_get_u32(p), .data = wasi_get_u64(p + 4), .file = e->file};
	family_wake(k->family);
	return 0;
}

static void note_told(struct watch *w, const struct vfs_file *file)
{
	w->last = ready_now(file->obj, w->events);
	w->reads = file->reads;
	w->writes = file->writes;
}

static uint32_t take_events(struct wali *k, struct device *d, uint8_t *out, uint32_t max)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < d->nwatches && n < max; i++) {
		struct watch *w = &d->watches[i];
		struct fd_entry *e;
		uint32_t got = watched(k, w);
		if (w->events & ET && stands(k, w, &e))
			note_told(w, e->file);
		if (!got)
			continue;
		wasi_put_u32(out + n * EVENT_SIZE, got);
		wasi_put_u64(out + n * EVENT_SIZE + 4, w->data);
		if (w->events & ONESHOT)
			w->events = 0;
		n++;
	}
	return n;
}

int64_t wali_epoll_pwait(struct wali *k, const uint64_t *a)
{
	struct device *d;
	int64_t r = epoll_of(k, a[0], &d);
	if (r)
		return r;
	uint32_t max = arg32(a[2]);
	if ((int32_t)max <= 0 || max > FDTABLE_MAX)
		return NO(INVAL);
	uint8_t *out = wali_out(k, a[1], (uint64_t)max * EVENT_SIZE);
	if (!out)
		return NO(FAULT);
	r = use_mask(k, a[4]);
	if (r)
		return r;
	uint32_t n = take_events(k, d, out, max);
	if (n)
		return n;
	if (!arg32(a[3])) /* unlike poll, not even for a signal of the mask */
		return 0;
	r = wait_more(k, ms_to_ns(a[3]));
	for (uint32_t i = 0; r == WALI_BLOCK && i < d->nwatches; i++)
		wait_for(k, d->watches[i].fd, vfs_events(d->watches[i].events));
	return r;
}
