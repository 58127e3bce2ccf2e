/* pipe.c - a pipe: a ring of bytes with two ends that may live in different threads. */
#include "vfs/pipe.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct pipe;

struct pipe_end {
	struct vfs_obj base;
	struct pipe *pipe;
	struct vfs_wake wake; /* guarded by the pipe's lock */
	bool writes;
};

/* The lock guards everything. Freed when both ends are gone. */
struct pipe {
	pthread_mutex_t lock;
	struct pipe_end *reader, *writer; /* NULL: closed */
	bool reader_waits, writer_waits;  /* somebody found that there is nothing, or no room */
	size_t start, size, room;         /* room: how many bytes it takes */
	uint8_t bytes[VFS_PIPE_BYTES];
};

static const struct vfs_ops pipe_ops;

static struct pipe_end *end_of(struct vfs_obj *o)
{
	return (struct pipe_end *)o;
}

bool vfs_is_pipe(const struct vfs_obj *o)
{
	return o->ops == &pipe_ops;
}

bool vfs_pipe_writes(const struct vfs_obj *o)
{
	return ((const struct pipe_end *)o)->writes;
}

const void *vfs_pipe_identity(const struct vfs_obj *o)
{
	return ((const struct pipe_end *)o)->pipe;
}

/* Called with the lock held; wake functions only poke. */
static void wake(struct pipe_end *e)
{
	if (e && e->wake.wake)
		e->wake.wake(e->wake.ctx, e->pipe);
}

enum ferr vfs_pipe_new(struct vfs_obj **read_end, struct vfs_obj **write_end)
{
	struct pipe *p = calloc(1, sizeof *p);
	struct pipe_end *r = calloc(1, sizeof *r), *w = calloc(1, sizeof *w);
	if (!p || !r || !w || pthread_mutex_init(&p->lock, NULL)) {
		free(p);
		free(r);
		free(w);
		return FE_NOMEM;
	}
	vfs_obj_init(&r->base, &pipe_ops, VFS_TYPE_STREAM);
	vfs_obj_init(&w->base, &pipe_ops, VFS_TYPE_STREAM);
	r->pipe = w->pipe = p;
	p->room = VFS_PIPE_BYTES;
	w->writes = true;
	p->reader = r;
	p->writer = w;
	*read_end = &r->base;
	*write_end = &w->base;
	return FE_OK;
}

void vfs_pipe_set_wake(struct vfs_obj *end, struct vfs_wake w)
{
	struct pipe_end *e = end_of(end);
	pthread_mutex_lock(&e->pipe->lock);
	e->wake = w;
	pthread_mutex_unlock(&e->pipe->lock);
}

static void pipe_close(struct vfs_obj *o)
{
	struct pipe_end *e = end_of(o);
	struct pipe *p = e->pipe;
	pthread_mutex_lock(&p->lock);
	if (e->writes)
		p->writer = NULL;
	else
		p->reader = NULL;
	wake(e->writes ? p->reader : p->writer);
	bool last = !p->reader && !p->writer;
	pthread_mutex_unlock(&p->lock);
	if (last) {
		pthread_mutex_destroy(&p->lock);
		free(p);
	}
	free(e);
}

static size_t take(struct pipe *p, uint8_t *to, size_t size)
{
	size_t n = 0;
	while (n < size && p->size) {
		size_t run = VFS_PIPE_BYTES - p->start;
		run = run < p->size ? run : p->size;
		run = run < size - n ? run : size - n;
		memcpy(to + n, p->bytes + p->start, run);
		p->start = (p->start + run) % VFS_PIPE_BYTES;
		p->size -= run;
		n += run;
	}
	return n;
}

static size_t put(struct pipe *p, const uint8_t *from, size_t size)
{
	size_t n = 0;
	while (n < size && p->size < p->room) {
		size_t at = (p->start + p->size) % VFS_PIPE_BYTES;
		size_t run = at < p->start ? p->start - at : VFS_PIPE_BYTES - at;
		run = run < p->room - p->size ? run : p->room - p->size;
		run = run < size - n ? run : size - n;
		memcpy(p->bytes + at, from + n, run);
		p->size += run;
		n += run;
	}
	return n;
}

/* A writer that is woken for each byte that goes would be switched to for each byte. */
static void room_made(struct pipe *p)
{
	if (!p->writer_waits || (p->writer && p->writer->wake.late && p->size > p->room / 2))
		return;
	p->writer_waits = false;
	wake(p->writer);
}

static void bytes_came(struct pipe *p)
{
	if (!p->reader_waits)
		return;
	p->reader_waits = false;
	wake(p->reader);
}

bool vfs_pipe_owes(struct vfs_obj *end)
{
	struct pipe *p = end_of(end)->pipe;
	pthread_mutex_lock(&p->lock);
	bool owes = p->writer_waits && p->writer && p->size < p->room;
	pthread_mutex_unlock(&p->lock);
	return owes;
}

static enum ferr pipe_read(struct vfs_obj *o, uint64_t offset, const struct vfs_iov *iov, size_t n,
                           size_t *done)
{
	struct pipe_end *e = end_of(o);
	struct pipe *p = e->pipe;
	if (e->writes)
		return FE_BADF;
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < n; i++)
		*done += take(p, iov[i].p, iov[i].size);
	enum ferr r = *done || !p->writer ? FE_OK : FE_AGAIN;
	if (r == FE_AGAIN)
		p->reader_waits = true;
	if (*done)
		room_made(p);
	pthread_mutex_unlock(&p->lock);
	return r;
}

static enum ferr pipe_write(struct vfs_obj *o, uint64_t offset, unsigned flags,
                            const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end)
{
	struct pipe_end *e = end_of(o);
	struct pipe *p = e->pipe;
	size_t asked = 0;
	if (!e->writes)
		return FE_BADF;
	pthread_mutex_lock(&p->lock);
	enum ferr r = p->reader ? FE_OK : FE_PIPE;
	for (size_t i = 0; i < n; i++)
		asked += iov[i].size;
	if (r == FE_OK && asked <= VFS_PIPE_ATOMIC && asked > p->room - p->size)
		r = FE_AGAIN;
	for (size_t i = 0; i < n && r == FE_OK; i++)
		*done += put(p, iov[i].p, iov[i].size);
	if (r == FE_OK && asked && *done == 0)
		r = FE_AGAIN;
	p->writer_waits = r == FE_AGAIN || (r == FE_OK && *done < asked);
	if (*done)
		bytes_came(p);
	pthread_mutex_unlock(&p->lock);
	return r;
}

static unsigned pipe_ready(struct vfs_obj *o, unsigned events)
{
	struct pipe_end *e = end_of(o);
	struct pipe *p = e->pipe;
	unsigned got = 0;
	pthread_mutex_lock(&p->lock);
	bool alone = e->writes ? !p->reader : !p->writer;
	if (alone)
		got |= VFS_HANGUP;
	if (!e->writes && (p->size || alone))
		got |= VFS_READABLE;
	if (e->writes && (p->room - p->size >= VFS_PIPE_ATOMIC || alone))
		got |= VFS_WRITABLE;
	if (e->writes && events & VFS_WRITABLE && !(got & VFS_WRITABLE))
		p->writer_waits = true;
	if (!e->writes && events & VFS_READABLE && !(got & VFS_READABLE))
		p->reader_waits = true;
	pthread_mutex_unlock(&p->lock);
	return got & (events | VFS_HANGUP);
}

static enum ferr pipe_stat(struct vfs_obj *o, struct vfs_stat *out)
{
	struct pipe *p = end_of(o)->pipe;
	pthread_mutex_lock(&p->lock);
	out->size_bytes = p->size;
	pthread_mutex_unlock(&p->lock);
	return FE_OK;
}

static const struct vfs_ops pipe_ops = {
    .name = "pipe",
    .close = pipe_close,
    .read = pipe_read,
    .write = pipe_write,
    .stat = pipe_stat,
    .ready = pipe_ready,
};

size_t vfs_pipe_room(struct vfs_obj *end)
{
	struct pipe *p = end_of(end)->pipe;
	pthread_mutex_lock(&p->lock);
	size_t room = p->room;
	pthread_mutex_unlock(&p->lock);
	return room;
}

enum ferr vfs_pipe_set_room(struct vfs_obj *end, size_t bytes)
{
	struct pipe *p = end_of(end)->pipe;
	size_t room = VFS_PIPE_ATOMIC;
	while (room < bytes && room < VFS_PIPE_BYTES)
		room *= 2;
	if (bytes > room)
		return FE_PERM;
	pthread_mutex_lock(&p->lock);
	enum ferr e = p->size > room ? FE_BUSY : FE_OK;
	bool more = e == FE_OK && room > p->room;
	if (e == FE_OK)
		p->room = room;
	if (more)
		room_made(p);
	pthread_mutex_unlock(&p->lock);
	return e;
}

size_t vfs_pipe_peek(struct vfs_obj *end, uint8_t bytes[VFS_PIPE_BYTES], bool *other_open)
{
	struct pipe_end *e = end_of(end);
	struct pipe *p = e->pipe;
	pthread_mutex_lock(&p->lock);
	size_t start = p->start, size = p->size;
	size_t n = take(p, bytes, VFS_PIPE_BYTES);
	p->start = start;
	p->size = size;
	*other_open = e->writes ? p->reader != NULL : p->writer != NULL;
	pthread_mutex_unlock(&p->lock);
	return n;
}
