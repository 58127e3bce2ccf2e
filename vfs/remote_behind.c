/* remote_behind.c - writes that are not waited for.
 *
 * Of each file that is written here: what was gathered and not sent yet (one stretch), and requests under way (flights). The first write goes at once; what comes
 * while one is under way is gathered and goes when it is back, or when there is much of it. Who reads the file, asks for its size, locks,
 * syncs or closes it waits until nothing is left (behind_settle()); no two flights of a file meet, so their order does not matter.
 *
 * A flight that got lost with the link is sent once more by who waits, when the home answers within ten seconds; else the error is told once to each
 * descriptor that had the file open (as Linux's errseq_t does). A flight's answer comes on any thread, all else is on the process's: the lock of the
 * pool guards what both use. The pool and what flies outlive the remote.
 */
#include "vfs/remote_impl.h"

#include "base/os.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	FLIGHTS_MAX = 6,          /* of a file */
	POOL_BYTES = 32 << 20,    /* of a remote: above it writes wait */
	HEAD = 2 + 1 + 4 + 8 + 4, /* of a request, before its bytes */
	LOST_NS = 1000000000,     /* ten of them: how long a home may be away */
};

struct behind_pool {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	uint32_t refs; /* the remote, and each file */
	uint64_t bytes;
	bool closed; /* the remote is gone: nothing more is sent */
	void *ctx;
	enum err (*post)(void *ctx, const uint8_t *request, size_t size, vfs_remote_done done,
	                 void *arg);
};

struct flight {
	struct flight *next;
	struct behind *b;
	uint64_t offset;
	uint32_t size;
	bool lost;
	struct wr request;
};

struct behind {
	struct behind_pool *pool;
	struct robj *writer; /* who wrote what is pending; NULL: it was closed */
	bool forgotten;      /* the file is: it ends with its last flight */
	uint64_t start;      /* of gathered */
	struct wr gathered;
	struct flight *flights;
	uint32_t count, flying;
	enum ferr err;
	uint32_t err_seq;
	uint64_t lost_ns; /* since when the home does not answer; 0: it does */
	uint64_t chain;   /* of versions before and after each write: see absorb() */
	uint32_t answered;
	struct fs_version last;
};

/* ---- life; all with the lock held, but for the new ones ---- */

struct behind_pool *behind_pool_new(const struct vfs_remote_config *c)
{
	struct behind_pool *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->refs = 1;
	p->ctx = c->ctx;
	p->post = c->post;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->moved, NULL);
	return p;
}

/* Gives the lock back. */
static void pool_let(struct behind_pool *p)
{
	bool last = --p->refs == 0;
	pthread_mutex_unlock(&p->lock);
	if (!last)
		return;
	pthread_cond_destroy(&p->moved);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void behind_pool_end(struct behind_pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->closed = true;
	pool_let(p);
}

static void drop_flight(struct behind *b, struct flight *f)
{
	struct flight **at = &b->flights;
	while (*at && *at != f)
		at = &(*at)->next;
	if (*at)
		*at = f->next;
	b->count--;
	b->pool->bytes -= f->size;
	wr_free(&f->request);
	free(f);
}

/* Gives the lock back. */
static void behind_end(struct behind *b)
{
	struct behind_pool *p = b->pool;
	while (b->flights)
		drop_flight(b, b->flights);
	p->bytes -= b->gathered.size;
	wr_free(&b->gathered);
	free(b);
	pool_let(p);
}

static struct behind *behind_new(struct behind_pool *p)
{
	struct behind *b = calloc(1, sizeof *b);
	if (!b)
		return NULL;
	b->pool = p;
	pthread_mutex_lock(&p->lock);
	p->refs++;
	pthread_mutex_unlock(&p->lock);
	return b;
}

/* ---- flights; with the lock held ---- */

static void fail(struct behind *b, enum ferr e)
{
	b->err = e;
	b->err_seq++;
}

static uint64_t mix(const struct fs_version *v)
{
	uint64_t h = v->size_bytes * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ v->mtime_ns ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	return (h ^ v->ctime_ns ^ h >> 32) * UINT64_C(0x94d049bb133111eb);
}

static bool is_later(const struct fs_version *a, const struct fs_version *b)
{
	return a->ctime_ns != b->ctime_ns ? a->ctime_ns > b->ctime_ns
	                                  : a->size_bytes > b->size_bytes;
}

static void count_answer(struct behind *b, const struct fs_version *before,
                         const struct fs_version *after)
{
	b->chain ^= mix(before) ^ mix(after);
	if (!b->answered++ || is_later(after, &b->last))
		b->last = *after;
}

/* Whether the flight is over: what got lost is not. */
static bool take_answer(struct flight *f, const uint8_t *answer, size_t size)
{
	struct rd in = rd_of(answer, size);
	struct fs_version before, after;
	uint16_t code;
	uint32_t written;
	uint64_t end;
	if (rd_u16(&in, &code) != ERR_OK || code >= FE_COUNT) {
		fail(f->b, FE_IO);
		return true;
	}
	if (code == FE_HOSTDOWN || code == FE_BADF)
		return false;
	if (code != FE_OK) {
		fail(f->b, (enum ferr)code);
		return true;
	}
	if (rd_u32(&in, &written) != ERR_OK || rd_u64(&in, &end) != ERR_OK ||
	    fs_get_version(&in, &before) != ERR_OK || fs_get_version(&in, &after) != ERR_OK) {
		fail(f->b, FE_IO);
		return true;
	}
	count_answer(f->b, &before, &after);
	return written == f->size; /* of the rest the home says why when it is sent again */
}

static void send_gathered(struct behind *b);

static void on_answer(void *arg, enum err e, const uint8_t *answer, size_t size)
{
	struct flight *f = arg;
	struct behind *b = f->b;
	struct behind_pool *p = b->pool;
	pthread_mutex_lock(&p->lock);
	b->flying--;
	f->lost = e != ERR_OK || !take_answer(f, answer, size);
	if (!f->lost)
		drop_flight(b, f);
	if (!b->count && b->gathered.size)
		send_gathered(b);
	pthread_cond_broadcast(&p->moved);
	if (b->forgotten && !b->flying)
		behind_end(b);
	else
		pthread_mutex_unlock(&p->lock);
}

static struct flight *new_flight(struct behind *b, uint32_t handle)
{
	struct flight *f = calloc(1, sizeof *f);
	if (!f)
		return NULL;
	f->b = b;
	f->offset = b->start;
	f->size = (uint32_t)b->gathered.size;
	wr_u16(&f->request, 0);
	wr_u8(&f->request, FSOP_WRITE);
	wr_u32(&f->request, handle);
	wr_u64(&f->request, f->offset);
	wr_u32(&f->request, 0);
	wr_bytes(&f->request, b->gathered.data, f->size);
	if (wr_ok(&f->request))
		return f;
	wr_free(&f->request);
	free(f);
	return NULL;
}

static void send_gathered(struct behind *b)
{
	struct behind_pool *p = b->pool;
	if (!b->gathered.size || p->closed || !b->writer)
		return;
	struct flight *f = new_flight(b, b->writer->handle);
	if (!f) {
		fail(b, FE_NOMEM);
		p->bytes -= b->gathered.size;
		wr_clear(&b->gathered);
		return;
	}
	wr_clear(&b->gathered);
	struct flight **at = &b->flights;
	while (*at)
		at = &(*at)->next;
	*at = f;
	b->count++;
	f->lost = p->post(p->ctx, f->request.data, f->request.size, on_answer, f) != ERR_OK;
	b->flying += !f->lost;
}

/* ---- the process's side ---- */

void behind_forget(struct rfile *file)
{
	struct behind *b = file->behind;
	if (!b)
		return;
	file->behind = NULL;
	pthread_mutex_lock(&b->pool->lock);
	b->forgotten = true;
	b->writer = NULL;
	if (b->flying)
		pthread_mutex_unlock(&b->pool->lock);
	else
		behind_end(b);
}

void behind_closing(struct robj *o)
{
	struct behind *b = o->file ? o->file->behind : NULL;
	if (!b)
		return;
	pthread_mutex_lock(&b->pool->lock);
	if (b->writer == o) {
		send_gathered(b);
		b->writer = NULL;
	}
	pthread_mutex_unlock(&b->pool->lock);
}

bool behind_pending(const struct rfile *file)
{
	const struct behind *b = file ? file->behind : NULL;
	if (!b)
		return false;
	pthread_mutex_lock(&b->pool->lock);
	bool some = b->count || b->gathered.size || b->answered;
	pthread_mutex_unlock(&b->pool->lock);
	return some;
}

/* Once to each descriptor. */
enum ferr behind_error(struct robj *o)
{
	struct behind *b = o->file ? o->file->behind : NULL;
	if (!b)
		return FE_OK;
	pthread_mutex_lock(&b->pool->lock);
	enum ferr e = o->err_seq != b->err_seq ? b->err : FE_OK;
	o->err_seq = b->err_seq;
	pthread_mutex_unlock(&b->pool->lock);
	return e;
}

bool behind_has_error(const struct robj *o)
{
	const struct behind *b = o->file ? o->file->behind : NULL;
	if (!b)
		return false;
	pthread_mutex_lock(&b->pool->lock);
	bool has = o->err_seq != b->err_seq;
	pthread_mutex_unlock(&b->pool->lock);
	return has;
}

void behind_opened(struct robj *o)
{
	if (o->file && o->file->behind)
		(void)behind_error(o);
}

/* Nothing is under way. When what was written is all that happened to the file (each version before a write is one after another, and the first
 * is what we knew), the rest of its cache is still right. */
static void absorb(struct robj *o)
{
	struct rfile *f = o->file;
	struct behind *b = f->behind;
	if (!b->answered)
		return;
	uint64_t dev = f->version.dev, ino = f->version.ino;
	if (!f->known || b->chain != (mix(&f->version) ^ mix(&b->last)))
		remote_drop_all(o->r, f);
	f->version = b->last;
	f->version.dev = dev;
	f->version.ino = ino;
	f->known = true;
	f->in_doubt = false;
	b->answered = 0;
	b->chain = 0;
}

/* By who waits. HOSTDOWN: not yet. */
static enum ferr send_again(struct robj *writer, struct flight *f)
{
	struct rd results;
	struct fs_version before, after;
	uint32_t written;
	uint64_t end;
	for (uint32_t at = 0; at < f->size; at += written) {
		struct wr *q = remote_begin_at(writer, FSOP_WRITE);
		wr_u64(q, f->offset + at);
		wr_u32(q, 0);
		wr_bytes(q, f->request.data + HEAD + at, f->size - at);
		writer->r->overwrites = false;
		FTRY(remote_ask(writer, &results));
		GET(rd_u32(&results, &written));
		GET(rd_u64(&results, &end));
		GET(fs_get_version(&results, &before));
		GET(fs_get_version(&results, &after));
		if (!written || written > f->size - at)
			return FE_IO;
		count_answer(f->b, &before, &after);
	}
	return FE_OK;
}

static bool is_over(struct behind *b)
{
	uint64_t now_ns = os_monotonic_ns();
	if (!b->lost_ns)
		b->lost_ns = now_ns;
	return now_ns - b->lost_ns > 10 * (uint64_t)LOST_NS;
}

/* What got lost; nothing flies. Without the lock, as nobody else looks at it then. */
static enum ferr recover(struct behind *b)
{
	while (b->flights) {
		enum ferr e = b->writer ? send_again(b->writer, b->flights) : FE_HOSTDOWN;
		if (e == FE_INPROGRESS || (e == FE_HOSTDOWN && b->writer && !is_over(b)))
			return FE_INPROGRESS;
		pthread_mutex_lock(&b->pool->lock);
		if (e != FE_OK)
			fail(b, e);
		drop_flight(b, b->flights);
		pthread_mutex_unlock(&b->pool->lock);
	}
	b->lost_ns = 0;
	return FE_OK;
}

enum ferr behind_settle(struct robj *o)
{
	struct behind *b = o->file ? o->file->behind : NULL;
	if (!b)
		return FE_OK;
	pthread_mutex_lock(&b->pool->lock);
	send_gathered(b);
	while (b->flying)
		pthread_cond_wait(&b->pool->moved, &b->pool->lock);
	pthread_mutex_unlock(&b->pool->lock);
	FTRY(recover(b));
	absorb(o);
	return FE_OK;
}

enum ferr behind_settle_whole(struct robj *o)
{
	enum { PAUSE_NS = 50000000 };
	enum ferr e;
	while ((e = behind_settle(o)) == FE_INPROGRESS) {
		uint64_t at_ns = os_wall_ns() + PAUSE_NS;
		struct timespec t = {.tv_sec = (time_t)(at_ns / 1000000000),
		                     .tv_nsec = (long)(at_ns % 1000000000)};
		pthread_mutex_lock(&o->r->pool->lock);
		pthread_cond_timedwait(&o->r->pool->moved, &o->r->pool->lock, &t);
		pthread_mutex_unlock(&o->r->pool->lock);
	}
	return e;
}

enum ferr behind_settle_all(struct vfs_remote *r)
{
	for (struct robj *o = r->pool ? r->objects : NULL; o; o = o->next)
		if (behind_pending(o->file))
			FTRY(behind_settle(o));
	return FE_OK;
}

/* ---- writing ---- */

static bool meets_flight(const struct behind *b, uint64_t offset, size_t size)
{
	for (const struct flight *f = b->flights; f; f = f->next)
		if (offset < f->offset + f->size && f->offset < offset + size)
			return true;
	return false;
}

static bool goes_on(const struct behind *b, uint64_t offset, size_t size)
{
	return !b->gathered.size ||
	       (offset == b->start + b->gathered.size && b->gathered.size + size <= FS_READ_MAX);
}

/* With the lock held. False: what is pending must be settled first. */
static bool make_room(struct robj *o, struct behind *b, uint64_t offset, size_t size)
{
	if (b->writer && b->writer != o && (b->count || b->gathered.size))
		return false;
	if (meets_flight(b, offset, size) || b->pool->bytes + size > POOL_BYTES)
		return false;
	if (goes_on(b, offset, size))
		return true;
	if (b->gathered.size && offset < b->start + b->gathered.size && b->start < offset + size)
		return false;
	while (b->flying >= FLIGHTS_MAX)
		pthread_cond_wait(&b->pool->moved, &b->pool->lock);
	send_gathered(b);
	return b->count == b->flying; /* else something got lost */
}

static size_t gather(struct behind *b, uint64_t offset, const struct vfs_iov *iov, size_t n,
                     size_t size)
{
	size_t done = 0;
	if (!b->gathered.size)
		b->start = offset;
	for (size_t i = 0; i < n && done < size; i++) {
		size_t part = iov[i].size < size - done ? iov[i].size : size - done;
		if (part)
			wr_bytes(&b->gathered, iov[i].p, part);
		done += part;
	}
	b->pool->bytes += done;
	return done;
}

static void forget_cached(struct robj *o, uint64_t start, uint64_t end)
{
	const struct fs_version *v = &o->file->version;
	uint64_t first = start / CACHE_BLOCK;
	if (o->file->known && end > v->size_bytes && v->size_bytes / CACHE_BLOCK < first)
		first = v->size_bytes / CACHE_BLOCK;
	cache_drop(o->r->cache, v->dev, v->ino, first, end / CACHE_BLOCK);
}

enum ferr behind_write(struct robj *o, uint64_t offset, const struct vfs_iov *iov, size_t n,
                       size_t *done, uint64_t *end)
{
	struct rfile *f = o->file;
	size_t size = 0;
	for (size_t i = 0; i < n && size < FS_READ_MAX; i++)
		size += iov[i].size < FS_READ_MAX - size ? iov[i].size : FS_READ_MAX - size;
	if (offset > INT64_MAX - FS_READ_MAX)
		return FE_FBIG;
	if (!f->behind && !(f->behind = behind_new(o->r->pool)))
		return FE_NOMEM;
	struct behind *b = f->behind;
	FTRY(behind_error(o));
	pthread_mutex_lock(&b->pool->lock);
	bool room = make_room(o, b, offset, size);
	pthread_mutex_unlock(&b->pool->lock);
	if (!room) {
		FTRY(behind_settle(o));
		FTRY(behind_error(o));
	}
	forget_cached(o, offset, offset + size);
	pthread_mutex_lock(&b->pool->lock);
	b->writer = o;
	*done = gather(b, offset, iov, n, size);
	if (!b->count || (b->gathered.size == FS_READ_MAX && b->flying < FLIGHTS_MAX))
		send_gathered(b);
	bool ok = wr_ok(&b->gathered);
	pthread_mutex_unlock(&b->pool->lock);
	*end = offset + *done;
	o->r->stats.bytes_written += *done;
	return ok ? FE_OK : FE_NOMEM;
}
