/* wasi_poll.c - poll_oneoff: waiting for clocks and descriptors.
 *
 * A poll that finds nothing blocks: the thread stays before the call and makes it again when something may have
 * happened, here or on another machine. So that a relative timeout does not start over, the guest's time of the first try is kept
 * (w->poll_pending, poll_start_ns) until the poll ends; it is part of an image.
 */
#include "node/wasi/wasi_state.h"

#include "base/os.h"

#include <string.h>

enum { EVENT_CLOCK, EVENT_READ, EVENT_WRITE };
enum { CLOCK_REAL, CLOCK_MONO };
enum { CLOCK_ABSTIME = 1, FLAG_HANGUP = 1 };
enum { SUBSCRIPTION_SIZE = 48, EVENT_SIZE = 32 };

struct event {
	enum ferr error;
	uint64_t nbytes;
	uint16_t flags;
};

struct poll {
	struct wasi *w;
	struct wait wait; /* what to wait for when nothing is there */
	uint64_t now_ns, wall_ns;
};

/* Past the end of time stays there. */
static uint64_t add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* True: the time has come (or the subscription is wrong). */
static bool poll_clock(struct poll *p, const uint8_t *s, struct event *ev)
{
	uint32_t clock = wasi_get_u32(s + 16);
	uint64_t timeout = wasi_get_u64(s + 24);
	uint32_t flags = wasi_get_u32(s + 40) & 0xffff;
	if (clock > CLOCK_MONO || flags > CLOCK_ABSTIME) {
		ev->error = clock > 3 || flags > CLOCK_ABSTIME ? FE_INVAL : FE_NOTSUP;
		return true;
	}
	if (clock == CLOCK_REAL && flags & CLOCK_ABSTIME) {
		if (timeout <= p->wall_ns)
			return true;
		wait_until(&p->wait, add(os_monotonic_ns(), timeout - p->wall_ns));
		return false;
	}
	uint64_t at = flags & CLOCK_ABSTIME ? timeout : add(p->w->poll_start_ns, timeout);
	if (at <= p->now_ns)
		return true;
	wait_until(&p->wait, wasi_host_time(p->w, at));
	return false;
}

static uint64_t bytes_there(const struct vfs_file *f)
{
	struct vfs_stat st;
	if (!vfs_has_offset(f->obj))
		return 1; /* at least */
	if (vfs_stat(f->obj, &st) != FE_OK || st.size_bytes < f->offset)
		return 0;
	return st.size_bytes - f->offset;
}

static bool poll_fd(struct poll *p, const uint8_t *s, bool reads, struct event *ev)
{
	struct fd_entry *e;
	unsigned events = reads ? VFS_READABLE : VFS_WRITABLE;
	ev->error = fdtable_use(p->w->fds, wasi_get_u32(s + 16), RIGHT_POLL_FD_READWRITE, &e);
	if (ev->error != FE_OK)
		return true;
	unsigned ready = vfs_ready(e->file->obj, events);
	if (ready & events || ready & VFS_HANGUP) {
		ev->nbytes = reads && ready & VFS_READABLE ? bytes_there(e->file) : 0;
		ev->flags = ready & VFS_HANGUP ? FLAG_HANGUP : 0;
		return true;
	}
	struct wait *mine = p->w->wait;
	p->w->wait = &p->wait;
	wasi_block_on(p->w, e->file->obj, events);
	p->w->wait = mine;
	return false;
}

static bool poll_one(struct poll *p, const uint8_t *s, struct event *ev)
{
	*ev = (struct event){.error = FE_OK};
	switch (s[8]) {
	case EVENT_CLOCK: return poll_clock(p, s, ev);
	case EVENT_READ: return poll_fd(p, s, true, ev);
	case EVENT_WRITE: return poll_fd(p, s, false, ev);
	default: ev->error = FE_INVAL; return true;
	}
}

static void put_event(uint8_t *out, const uint8_t *s, const struct event *ev)
{
	uint8_t tag = s[8];
	uint64_t userdata = wasi_get_u64(s);
	memset(out, 0, EVENT_SIZE);
	wasi_put_u64(out, userdata);
	wasi_put_u16(out + 8, (uint16_t)ev->error);
	out[10] = tag;
	wasi_put_u64(out + 16, ev->nbytes);
	wasi_put_u16(out + 24, ev->flags);
}

static void copy_wait(struct wasi *w, const struct wait *from)
{
	wait_until(w->wait, from->deadline_ns);
	for (uint32_t i = 0; i < from->count; i++)
		wait_on(w->wait, from->on[i].handle, from->on[i].want_read, from->on[i].want_write,
		        os_monotonic_ns());
}

int wasi_poll_oneoff(struct wasi *w, struct thread *t, const uint64_t *a)
{
	uint32_t count = arg32(a[2]), found = 0;
	if (count == 0 || count > WASI_POLL_MAX)
		return FE_INVAL;
	const uint8_t *in = thread_mem_read(t, arg32(a[0]), (uint64_t)count * SUBSCRIPTION_SIZE);
	uint8_t *out = thread_mem_write(t, arg32(a[1]), (uint64_t)count * EVENT_SIZE);
	uint8_t *nevents = thread_mem_write(t, arg32(a[3]), 4);
	if (!in || !out || !nevents)
		return FE_FAULT;
	struct poll p = {.w = w, .now_ns = wasi_clock_ns(w), .wall_ns = os_wall_ns()};
	wait_clear(&p.wait);
	if (!w->poll_pending)
		w->poll_start_ns = p.now_ns;
	for (uint32_t i = 0; i < count; i++) {
		struct event ev;
		uint8_t s[SUBSCRIPTION_SIZE]; /* events may overlap the subscriptions */
		memcpy(s, in + (size_t)i * SUBSCRIPTION_SIZE, sizeof s);
		if (poll_one(&p, s, &ev))
			put_event(out + (size_t)found++ * EVENT_SIZE, s, &ev);
	}
	w->poll_pending = found == 0;
	if (found == 0) {
		copy_wait(w, &p.wait);
		return WASI_BLOCK;
	}
	wasi_put_u32(nevents, found);
	return FE_OK;
}
