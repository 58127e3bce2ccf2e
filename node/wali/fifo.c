/* fifo.c - named pipes (fifo.h).
 *
 * Truths, under the commons' lock: a fifo is in the list while readers + writers + waiting > 0; waiting counts waiters that name it.
 * A waiter whose other side came is granted: it counts as its side until its call is made again, though the other may have gone by then.
 */
#include "node/wali/fifo.h"

#include "node/wali/family.h"
#include "vfs/pipe.h"
#include "vfs/stream.h"

#include <stdlib.h>
#include <string.h>

struct fifo {
	struct fifo *next;
	struct file_id id;
	uint32_t readers, writers; /* open, or granted */
	uint32_t waiting;          /* waiters of either side, granted ones too */
	struct fifo_end *ends;     /* open ones, to wake their families */
	uint32_t start, size;
	uint8_t bytes[FIFO_BYTES];
};

struct fifo_end {
	struct fifo_end *next;
	struct commons *commons; /* a reference; NULL: hung up */
	struct fifo *fifo;
	struct family *family;
	bool reads, writes;
};

/* ---- with the lock held ---- */

static struct fifo *find(struct commons *c, const struct file_id *id)
{
	struct fifo **list = commons_fifos(c), *f = *list;
	while (f && memcmp(&f->id, id, sizeof *id))
		f = f->next;
	if (f || !(f = calloc(1, sizeof *f)))
		return f;
	f->id = *id;
	f->next = *list;
	*list = f;
	return f;
}

static void drop_unused(struct commons *c, struct fifo *f)
{
	if (f->readers || f->writers || f->waiting)
		return;
	for (struct fifo **at = commons_fifos(c); *at; at = &(*at)->next)
		if (*at == f) {
			*at = f->next;
			break;
		}
	free(f);
}

static void wake(const struct fifo *f)
{
	for (const struct fifo_end *e = f->ends; e; e = e->next)
		family_wake_all(e->family);
}

/* Those who wait for the side that has come count from now on. */
static void grant(struct commons *c, struct fifo *f, bool writers)
{
	for (struct commons_waiter *w = commons_waiters(c); w; w = w->next)
		if (w->fifo == f && !w->granted && w->writes == writers) {
			w->granted = true;
			*(writers ? &f->writers : &f->readers) += 1;
		}
	commons_wake(c);
}

/* The waiter's call is made again, or never will be. True: it counts already. */
static bool leave_wait(struct commons *c, struct commons_waiter *w, const struct fifo *f)
{
	struct fifo *had = w->fifo;
	bool granted = had && w->granted;
	if (!had)
		return false;
	had->waiting--;
	if (granted)
		*(w->writes ? &had->writers : &had->readers) -= 1; /* who opens is counted again */
	w->fifo = NULL;
	w->granted = false;
	if (had != f)
		drop_unused(c, had);
	return granted && had == f;
}

static void start_wait(struct commons *c, struct commons_waiter *w, struct fifo *f, bool writes)
{
	w->fifo = f;
	w->writes = writes;
	w->granted = false;
	w->owner = w->other = NULL;
	f->waiting++;
	commons_list(c, w);
}

static bool other_waits(struct commons *c, const struct fifo *f, bool writers)
{
	for (const struct commons_waiter *w = commons_waiters(c); w; w = w->next)
		if (w->fifo == f && w->writes == writers)
			return true;
	return false;
}

/* Whether the other side is there. */
static enum ferr may_open(struct commons *c, struct fifo *f, unsigned flags)
{
	bool reads = flags & VFS_READ, writes = flags & VFS_WRITE;
	if (reads && writes)
		return FE_OK;
	if (writes ? f->readers || other_waits(c, f, false)
	           : f->writers || other_waits(c, f, true) || flags & VFS_NONBLOCK)
		return FE_OK;
	return flags & VFS_NONBLOCK ? FE_NXIO : FE_AGAIN;
}

static void join_in(struct commons *c, struct fifo *f, struct fifo_end *e)
{
	f->readers += e->reads;
	f->writers += e->writes;
	e->fifo = f;
	e->next = f->ends;
	f->ends = e;
	if (e->reads)
		grant(c, f, true);
	if (e->writes)
		grant(c, f, false);
	wake(f);
}

/* ---- an end as a file ---- */

static uint32_t move_bytes(uint8_t *to, const uint8_t *from, uint32_t size)
{
	memcpy(to, from, size);
	return size;
}

static size_t take(struct fifo *f, uint8_t *to, size_t size)
{
	size_t n = 0;
	while (n < size && f->size) {
		uint32_t run = FIFO_BYTES - f->start < f->size ? FIFO_BYTES - f->start : f->size;
		run = run < size - n ? run : (uint32_t)(size - n);
		n += move_bytes(to + n, f->bytes + f->start, run);
		f->start = (f->start + run) % FIFO_BYTES;
		f->size -= run;
	}
	return n;
}

static size_t put(struct fifo *f, const uint8_t *from, size_t size)
{
	size_t n = 0;
	while (n < size && f->size < FIFO_BYTES) {
		uint32_t at = (f->start + f->size) % FIFO_BYTES, room = FIFO_BYTES - f->size;
		uint32_t run = FIFO_BYTES - at < room ? FIFO_BYTES - at : room;
		run = run < size - n ? run : (uint32_t)(size - n);
		n += move_bytes(f->bytes + at, from + n, run);
		f->size += run;
	}
	return n;
}

static enum ferr end_read(void *ctx, void *buf, size_t size, size_t *done)
{
	struct fifo_end *e = ctx;
	if (!e->commons)
		return FE_OK;
	commons_lock(e->commons);
	*done = take(e->fifo, buf, size);
	enum ferr r = *done || !e->fifo->writers ? FE_OK : FE_AGAIN;
	if (*done)
		wake(e->fifo);
	commons_unlock(e->commons);
	return r;
}

static enum ferr end_write(void *ctx, const void *buf, size_t size, size_t *done)
{
	struct fifo_end *e = ctx;
	if (!e->commons)
		return FE_PIPE;
	commons_lock(e->commons);
	enum ferr r = e->fifo->readers ? FE_OK : FE_PIPE;
	if (r == FE_OK && size <= VFS_PIPE_ATOMIC && size > FIFO_BYTES - e->fifo->size)
		r = FE_AGAIN;
	if (r == FE_OK)
		*done = put(e->fifo, buf, size);
	if (r == FE_OK && size && !*done)
		r = FE_AGAIN;
	if (*done)
		wake(e->fifo);
	commons_unlock(e->commons);
	return r;
}

static unsigned end_ready(void *ctx)
{
	const struct fifo_end *e = ctx;
	unsigned ready = 0;
	if (!e->commons)
		return VFS_READABLE | VFS_WRITABLE | VFS_HANGUP;
	commons_lock(e->commons);
	const struct fifo *f = e->fifo;
	if (e->reads && (f->size || !f->writers))
		ready |= VFS_READABLE;
	if (e->writes && (FIFO_BYTES - f->size >= VFS_PIPE_ATOMIC || !f->readers))
		ready |= VFS_WRITABLE;
	if ((e->reads && !f->writers) || (e->writes && !f->readers))
		ready |= VFS_HANGUP;
	commons_unlock(e->commons);
	return ready;
}

static size_t end_pending(void *ctx)
{
	const struct fifo_end *e = ctx;
	return e->commons ? e->fifo->size : 0;
}

static void end_stat(void *ctx, struct vfs_stat *out)
{
	const struct fifo_end *e = ctx;
	if (!e->commons)
		return;
	out->dev = e->fifo->id.dev;
	out->ino = e->fifo->id.ino;
}

static void end_close(void *ctx)
{
	struct fifo_end *e = ctx;
	struct commons *c = e->commons;
	if (c) {
		commons_lock(c);
		for (struct fifo_end **at = &e->fifo->ends; *at; at = &(*at)->next)
			if (*at == e) {
				*at = e->next;
				break;
			}
		e->fifo->readers -= e->reads;
		e->fifo->writers -= e->writes;
		wake(e->fifo);
		drop_unused(c, e->fifo);
		commons_unlock(c);
		commons_unref(c);
	}
	free(e);
}

static const struct vfs_stream_ops end_ops = {
    .read = end_read,
    .write = end_write,
    .ready = end_ready,
    .pending = end_pending,
    .stat = end_stat,
    .close = end_close,
};

static struct vfs_obj *end_new(unsigned flags, struct family *family, struct fifo_end **out)
{
	struct fifo_end *e = calloc(1, sizeof *e);
	struct vfs_obj *o = e ? vfs_stream_new(&end_ops, e) : NULL;
	if (!o) {
		free(e);
		return NULL;
	}
	e->family = family;
	e->reads = flags & VFS_READ;
	e->writes = flags & VFS_WRITE;
	*out = e;
	return o;
}

bool fifo_is_end(const struct vfs_obj *o)
{
	return vfs_stream_ctx(o, &end_ops) != NULL;
}

/* ---- opening ---- */

struct vfs_obj *fifo_hung_up(void)
{
	struct fifo_end *e;
	return end_new(0, NULL, &e);
}

enum ferr fifo_open(struct commons *c, const struct file_id *id, unsigned flags,
                    struct family *family, struct commons_waiter *w, struct vfs_obj **out)
{
	struct fifo_end *e;
	struct vfs_obj *o = end_new(flags, family, &e);
	if (!o)
		return FE_NOMEM;
	commons_lock(c);
	struct fifo *f = find(c, id);
	bool granted = f && leave_wait(c, w, f);
	enum ferr r = !f ? FE_NOMEM : granted ? FE_OK : may_open(c, f, flags);
	if (r == FE_OK) {
		e->commons = commons_ref(c);
		join_in(c, f, e);
	} else if (r == FE_AGAIN) {
		start_wait(c, w, f, flags & VFS_WRITE);
	}
	if (f && r != FE_OK)
		drop_unused(c, f);
	commons_unlock(c);
	if (r == FE_OK)
		*out = o;
	else
		vfs_unref(o);
	return r;
}

void fifo_forget(struct commons *c, struct commons_waiter *w)
{
	commons_lock(c);
	struct fifo *f = w->fifo;
	if (f) {
		leave_wait(c, w, f);
		wake(f);
		drop_unused(c, f);
	}
	commons_unlock(c);
}
