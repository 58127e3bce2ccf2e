/* tty.c - input ring, output queue and recent output of one process, under one mutex.
 *
 * Truths: input.size <= TTY_INPUT_SIZE; queue is empty while nobody is attached; the queue holds runs,
 * each a 4-byte head (stream, size) and its bytes, and only tty_draw() takes it past TTY_OUTPUT_SIZE;
 * total counts every byte the guest wrote, recent holds the last min(total, TTY_RECENT_SIZE) of them. */
#include "node/terminal/tty.h"

#include "base/pack.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
	TTY_VERSION = 1,
	TTY_FIELDS = 12,
	TTY_DRAW_MAX = 16 << 20,
	RUN_MAX = 32 * 1024,
	RUN_HEAD = 4
};

struct ring {
	uint8_t *bytes; /* taken when first needed */
	size_t cap, start, size;
};

struct tty {
	_Atomic uint32_t refs; /* the process's, and each stream's */
	pthread_mutex_t lock, hook_lock;
	struct tty_hooks hooks; /* under hook_lock; none once the process is gone */
	bool is_terminal[TTY_STREAMS];
	uint16_t cols, rows;
	bool raw, eof, attached, closed;
	bool newcomer; /* tty_watched() owes one false */
	struct ring input, recent;
	uint64_t total;
	struct wr queue;
	size_t queue_start;    /* of the first run not taken */
	struct tty_line *line; /* NULL: lines are made elsewhere */
	struct tty_line_out line_out;
};

/* ---- rings ---- */

static bool ring_ready(struct ring *r)
{
	if (!r->bytes)
		r->bytes = malloc(r->cap);
	return r->bytes;
}

static void ring_put(struct ring *r, const uint8_t *p, size_t size)
{
	size_t at = (r->start + r->size) % r->cap;
	size_t first = size < r->cap - at ? size : r->cap - at;
	memcpy(r->bytes + at, p, first);
	memcpy(r->bytes, p + first, size - first);
	r->size += size;
}

/* Appends; the oldest bytes make room. */
static void ring_push(struct ring *r, const uint8_t *p, size_t size)
{
	if (size > r->cap) {
		p += size - r->cap;
		size = r->cap;
	}
	if (r->size + size > r->cap) {
		size_t drop = r->size + size - r->cap;
		r->start = (r->start + drop) % r->cap;
		r->size -= drop;
	}
	ring_put(r, p, size);
}

static void ring_peek(const struct ring *r, size_t skip, uint8_t *out, size_t size)
{
	size_t at = (r->start + skip) % r->cap;
	size_t first = size < r->cap - at ? size : r->cap - at;
	memcpy(out, r->bytes + at, first);
	memcpy(out + first, r->bytes, size - first);
}

static void ring_drop(struct ring *r, size_t size)
{
	r->start = (r->start + size) % r->cap;
	r->size -= size;
}

/* ---- life ---- */

enum err tty_new(const struct tty_config *cfg, const struct tty_hooks *hooks, struct tty **out)
{
	struct tty *t = calloc(1, sizeof *t);
	if (!t)
		return ERR_NOMEM;
	t->refs = 1;
	pthread_mutex_init(&t->lock, NULL);
	pthread_mutex_init(&t->hook_lock, NULL);
	t->hooks = *hooks;
	memcpy(t->is_terminal, cfg->is_terminal, sizeof t->is_terminal);
	t->cols = cfg->cols ? cfg->cols : 80;
	t->rows = cfg->rows ? cfg->rows : 24;
	t->attached = cfg->attached;
	t->input.cap = TTY_INPUT_SIZE;
	t->recent.cap = TTY_RECENT_SIZE;
	*out = t;
	return ERR_OK;
}

struct tty *tty_ref(struct tty *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

void tty_unref(struct tty *t)
{
	if (atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->hook_lock);
	free(t->input.bytes);
	free(t->recent.bytes);
	free(t->line);
	wr_free(&t->queue);
	free(t);
}

static void wake_guest(struct tty *t)
{
	pthread_mutex_lock(&t->hook_lock);
	if (t->hooks.wake_guest)
		t->hooks.wake_guest(t->hooks.ctx);
	pthread_mutex_unlock(&t->hook_lock);
}

static void wake_client(struct tty *t)
{
	pthread_mutex_lock(&t->hook_lock);
	if (t->hooks.wake_client)
		t->hooks.wake_client(t->hooks.ctx);
	pthread_mutex_unlock(&t->hook_lock);
}

void tty_free(struct tty *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->hook_lock);
	t->hooks = (struct tty_hooks){0};
	pthread_mutex_unlock(&t->hook_lock);
	tty_close(t);
	tty_unref(t);
}

void tty_set_hooks(struct tty *t, const struct tty_hooks *hooks)
{
	pthread_mutex_lock(&t->hook_lock);
	t->hooks = *hooks;
	pthread_mutex_unlock(&t->hook_lock);
}

/* ---- the guest's side ---- */

bool tty_is_terminal(const struct tty *t, enum tty_stream s)
{
	return t->is_terminal[s];
}

/* With the lock held: up to the end of the first line, where lines are made here. */
static size_t first_line(struct tty *t, uint8_t *buf, size_t size)
{
	ring_peek(&t->input, 0, buf, size);
	if (!t->line || !tty_line_edits(&t->line->set))
		return size;
	const uint8_t *end = memchr(buf, '\n', size);
	return end ? (size_t)(end - buf) + 1 : size;
}

enum err tty_read(struct tty *t, void *buf, size_t size, size_t *got)
{
	enum err e = ERR_OK;
	*got = 0;
	pthread_mutex_lock(&t->lock);
	if (t->input.size) {
		*got = size < t->input.size ? size : t->input.size;
		*got = first_line(t, buf, *got);
		ring_drop(&t->input, *got);
	} else if (!t->eof) {
		e = size ? ERR_AGAIN : ERR_OK;
	} else if (t->is_terminal[TTY_IN]) {
		t->eof = false; /* ^D at a terminal ends one read */
	}
	pthread_mutex_unlock(&t->lock);
	if (*got)
		wake_client(t);
	return e;
}

static size_t queued(const struct tty *t)
{
	return t->queue.size - t->queue_start;
}

/* With the lock held. */
static bool enqueue(struct tty *t, enum tty_stream s, const uint8_t *p, size_t size)
{
	if (t->queue_start && t->queue_start == t->queue.size) {
		wr_clear(&t->queue);
		t->queue_start = 0;
	}
	while (size) {
		size_t run = size < RUN_MAX ? size : RUN_MAX;
		wr_u8(&t->queue, (uint8_t)s);
		wr_u8(&t->queue, 0);
		wr_u16(&t->queue, (uint16_t)run);
		wr_bytes(&t->queue, p, run);
		p += run;
		size -= run;
	}
	if (wr_ok(&t->queue))
		return true;
	wr_free(&t->queue);
	t->queue_start = 0;
	return false;
}

static size_t room(const struct tty *t)
{
	if (!t->attached)
		return SIZE_MAX;
	return queued(t) < TTY_OUTPUT_SIZE ? TTY_OUTPUT_SIZE - queued(t) : 0;
}

enum err tty_write(struct tty *t, enum tty_stream s, const void *bytes, size_t size, size_t *done)
{
	enum err e = ERR_OK;
	bool wake = false;
	*done = 0;
	if (!size)
		return ERR_OK;
	pthread_mutex_lock(&t->lock);
	size_t n = size < room(t) ? size : room(t);
	if (t->closed) {
		e = ERR_CLOSED;
	} else if (!n) {
		e = ERR_AGAIN;
	} else if (!ring_ready(&t->recent) || (t->attached && !enqueue(t, s, bytes, n))) {
		e = ERR_NOMEM;
	} else {
		ring_push(&t->recent, bytes, n);
		t->total += n;
		*done = n;
		wake = true;
	}
	pthread_mutex_unlock(&t->lock);
	if (wake)
		wake_client(t);
	return e;
}

void tty_draw(struct tty *t, const void *bytes, size_t size)
{
	pthread_mutex_lock(&t->lock);
	bool wake =
	    t->attached && queued(t) + size <= TTY_DRAW_MAX && enqueue(t, TTY_OUT, bytes, size);
	t->raw = true; /* a screen wants every key */
	pthread_mutex_unlock(&t->lock);
	if (wake)
		wake_client(t);
}

size_t tty_queued(struct tty *t)
{
	pthread_mutex_lock(&t->lock);
	size_t n = queued(t);
	pthread_mutex_unlock(&t->lock);
	return n;
}

bool tty_can_write(struct tty *t)
{
	pthread_mutex_lock(&t->lock);
	bool can = t->closed || room(t) > 0;
	pthread_mutex_unlock(&t->lock);
	return can;
}

size_t tty_readable_size(struct tty *t, bool *hangup)
{
	pthread_mutex_lock(&t->lock);
	size_t n = t->input.size;
	*hangup = t->eof;
	pthread_mutex_unlock(&t->lock);
	return n;
}

bool tty_can_read(struct tty *t)
{
	bool hangup;
	return tty_readable_size(t, &hangup) || hangup;
}

void tty_size(struct tty *t, uint16_t *cols, uint16_t *rows)
{
	pthread_mutex_lock(&t->lock);
	*cols = t->cols;
	*rows = t->rows;
	pthread_mutex_unlock(&t->lock);
}

void tty_set_raw(struct tty *t, bool raw)
{
	pthread_mutex_lock(&t->lock);
	bool changed = t->raw != raw;
	t->raw = raw;
	pthread_mutex_unlock(&t->lock);
	if (changed)
		wake_client(t);
}

/* ---- the client's side ---- */

bool tty_raw(struct tty *t)
{
	pthread_mutex_lock(&t->lock);
	bool raw = t->raw;
	pthread_mutex_unlock(&t->lock);
	return raw;
}

/* With the lock held. Who types ahead loses nothing when lines end: what there is of one is input. feed_line() keeps room for it; an
 * image may not have. */
static void take_typed(struct tty *t)
{
	size_t room = t->input.cap - t->input.size;
	if (t->line->size && t->line->size <= room && ring_ready(&t->input))
		ring_put(&t->input, t->line->bytes, t->line->size);
	t->line->size = 0;
}

void tty_set_line(struct tty *t, const struct tty_line_settings *s)
{
	pthread_mutex_lock(&t->lock);
	if (!t->line)
		t->line = calloc(1, sizeof *t->line);
	if (t->line)
		t->line->set = *s;
	if (t->line && !tty_line_edits(s))
		take_typed(t);
	pthread_mutex_unlock(&t->lock);
	tty_set_raw(t, true);
	wake_guest(t);
}

size_t tty_typed(struct tty *t, uint8_t *bytes)
{
	pthread_mutex_lock(&t->lock);
	size_t size = t->line ? t->line->size : 0;
	if (size)
		memcpy(bytes, t->line->bytes, size);
	pthread_mutex_unlock(&t->lock);
	return size;
}

void tty_set_typed(struct tty *t, const uint8_t *bytes, size_t size)
{
	pthread_mutex_lock(&t->lock);
	if (t->line && size && size < TTY_LINE_MAX) {
		memcpy(t->line->bytes, bytes, size);
		t->line->size = (uint16_t)size;
	}
	pthread_mutex_unlock(&t->lock);
}

/* With the lock held. One key becomes input, echo, a signal. */
static int take_key(struct tty *t, uint8_t key)
{
	struct tty_line_out *out = &t->line_out;
	tty_line_key(t->line, key, out);
	if (out->flush)
		ring_drop(&t->input, t->input.size);
	if (out->input)
		ring_put(&t->input, out->input_bytes, out->input);
	t->eof |= out->eof;
	if (out->echo && ring_ready(&t->recent)) {
		if (t->attached)
			enqueue(t, TTY_OUT, out->echo_bytes, out->echo);
		ring_push(&t->recent, out->echo_bytes, out->echo);
		t->total += out->echo;
	}
	return out->signal;
}

static void tell_signal(struct tty *t, int signal)
{
	pthread_mutex_lock(&t->hook_lock);
	if (t->hooks.signal)
		t->hooks.signal(t->hooks.ctx, signal);
	pthread_mutex_unlock(&t->hook_lock);
}

/* Room for what a line that ends now makes is kept. */
static size_t feed_line(struct tty *t, const uint8_t *bytes, size_t size)
{
	size_t n = 0;
	while (n < size) {
		pthread_mutex_lock(&t->lock);
		bool fits = t->input.cap - t->input.size > TTY_LINE_MAX && ring_ready(&t->input);
		int signal = fits ? take_key(t, bytes[n]) : 0;
		pthread_mutex_unlock(&t->lock);
		if (!fits)
			break;
		n++;
		if (signal)
			tell_signal(t, signal);
	}
	return n;
}

void tty_feed(struct tty *t, const void *bytes, size_t size, size_t *took)
{
	pthread_mutex_lock(&t->lock);
	bool lines = t->line;
	pthread_mutex_unlock(&t->lock);
	if (lines) {
		*took = feed_line(t, bytes, size);
		if (*took) {
			wake_guest(t);
			wake_client(t);
		}
		return;
	}
	pthread_mutex_lock(&t->lock);
	size_t free_size = t->input.cap - t->input.size;
	size_t n = size < free_size ? size : free_size;
	if (n && ring_ready(&t->input))
		ring_put(&t->input, bytes, n);
	else
		n = 0;
	pthread_mutex_unlock(&t->lock);
	*took = n;
	if (n)
		wake_guest(t);
}

size_t tty_input_room(struct tty *t)
{
	pthread_mutex_lock(&t->lock);
	size_t n = t->input.cap - t->input.size;
	if (t->line)
		n = n > TTY_LINE_MAX ? n - TTY_LINE_MAX : 0;
	pthread_mutex_unlock(&t->lock);
	return n;
}

void tty_feed_eof(struct tty *t)
{
	pthread_mutex_lock(&t->lock);
	t->eof = true;
	pthread_mutex_unlock(&t->lock);
	wake_guest(t);
}

void tty_set_size(struct tty *t, uint16_t cols, uint16_t rows)
{
	if (!cols || !rows)
		return;
	pthread_mutex_lock(&t->lock);
	t->cols = cols;
	t->rows = rows;
	pthread_mutex_unlock(&t->lock);
	wake_guest(t);
}

bool tty_attached(struct tty *t)
{
	pthread_mutex_lock(&t->lock);
	bool attached = t->attached;
	pthread_mutex_unlock(&t->lock);
	return attached;
}

bool tty_watched(struct tty *t)
{
	pthread_mutex_lock(&t->lock);
	bool watched = t->attached && !t->newcomer;
	t->newcomer = false;
	pthread_mutex_unlock(&t->lock);
	return watched;
}

void tty_set_attached(struct tty *t, bool attached)
{
	pthread_mutex_lock(&t->lock);
	t->attached = t->newcomer = attached;
	if (!attached) {
		wr_free(&t->queue);
		t->queue_start = 0;
	}
	pthread_mutex_unlock(&t->lock);
	wake_guest(t);
}

/* With the lock held: the first run, or what fits of it; the rest becomes a run of its own in place. */
static size_t take_run(struct tty *t, enum tty_stream *s, uint8_t *buf, size_t size)
{
	uint8_t *head = t->queue.data + t->queue_start;
	size_t run = (size_t)head[2] | (size_t)head[3] << 8;
	size_t n = run < size ? run : size;
	*s = head[0];
	memcpy(buf, head + RUN_HEAD, n);
	t->queue_start += n;
	if (n == run) {
		t->queue_start += RUN_HEAD;
		return n;
	}
	uint8_t *rest = t->queue.data + t->queue_start;
	rest[0] = (uint8_t)*s;
	rest[2] = (uint8_t)(run - n);
	rest[3] = (uint8_t)((run - n) >> 8);
	return n;
}

size_t tty_take_output(struct tty *t, enum tty_stream *s, void *buf, size_t size)
{
	size_t n = 0;
	pthread_mutex_lock(&t->lock);
	bool was_full = !room(t);
	enum tty_stream one;
	while (n < size && queued(t)) {
		if (n && t->queue.data[t->queue_start] != *s)
			break;
		n += take_run(t, &one, (uint8_t *)buf + n, size - n);
		*s = one;
	}
	/* Taken runs are forgotten when they are half of the memory. */
	if (t->queue_start > t->queue.size / 2 && t->queue_start > TTY_OUTPUT_SIZE) {
		memmove(t->queue.data, t->queue.data + t->queue_start, queued(t));
		t->queue.size = queued(t);
		t->queue_start = 0;
	}
	bool wake = was_full && room(t);
	pthread_mutex_unlock(&t->lock);
	if (wake)
		wake_guest(t);
	return n;
}

/* With the lock held. */
static size_t queued_payload(const struct tty *t)
{
	size_t n = 0;
	for (size_t at = t->queue_start; at < t->queue.size;) {
		size_t run = (size_t)t->queue.data[at + 2] | (size_t)t->queue.data[at + 3] << 8;
		n += run;
		at += RUN_HEAD + run;
	}
	return n;
}

size_t tty_recent(struct tty *t, void *buf, size_t size, size_t *waiting)
{
	pthread_mutex_lock(&t->lock);
	size_t n = t->recent.size < size ? t->recent.size : size;
	if (n)
		ring_peek(&t->recent, t->recent.size - n, buf, n);
	if (waiting)
		*waiting = queued_payload(t);
	pthread_mutex_unlock(&t->lock);
	return n;
}

void tty_close(struct tty *t)
{
	pthread_mutex_lock(&t->lock);
	t->closed = true;
	pthread_mutex_unlock(&t->lock);
	wake_guest(t);
}

/* ---- state ---- */

static void save_ring(const struct ring *r, struct wr *out)
{
	uint8_t *copy = malloc(r->size ? r->size : 1);
	if (!copy) {
		out->failed = true;
		return;
	}
	if (r->size)
		ring_peek(r, 0, copy, r->size);
	pack_bin(out, copy, r->size);
	free(copy);
}

enum err tty_save(struct tty *t, struct wr *out)
{
	pthread_mutex_lock(&t->lock);
	pack_array(out, TTY_FIELDS);
	pack_u64(out, TTY_VERSION);
	for (int s = 0; s < TTY_STREAMS; s++)
		pack_bool(out, t->is_terminal[s]);
	pack_u64(out, t->cols);
	pack_u64(out, t->rows);
	pack_bool(out, t->raw);
	pack_bool(out, t->eof);
	pack_bool(out, t->attached);
	save_ring(&t->input, out);
	save_ring(&t->recent, out);
	pack_u64(out, t->total);
	pthread_mutex_unlock(&t->lock);
	return wr_ok(out) ? ERR_OK : ERR_NOMEM;
}

static enum err load_ring(struct rd *in, struct ring *r)
{
	const uint8_t *p;
	size_t size;
	TRY(unpack_bin(in, r->cap, &p, &size));
	if (size && !ring_ready(r))
		return ERR_NOMEM;
	if (size)
		ring_put(r, p, size);
	return ERR_OK;
}

static enum err load_fields(struct rd *in, struct tty *t)
{
	uint32_t count, version;
	TRY(unpack_array(in, TTY_FIELDS, &count));
	TRY(unpack_u32(in, &version));
	if (count != TTY_FIELDS || version != TTY_VERSION)
		return ERR_UNSUPPORTED;
	for (int s = 0; s < TTY_STREAMS; s++)
		TRY(unpack_bool(in, &t->is_terminal[s]));
	TRY(unpack_u16(in, &t->cols));
	TRY(unpack_u16(in, &t->rows));
	TRY(unpack_bool(in, &t->raw));
	TRY(unpack_bool(in, &t->eof));
	TRY(unpack_bool(in, &t->attached));
	TRY(load_ring(in, &t->input));
	TRY(load_ring(in, &t->recent));
	TRY(unpack_u64(in, &t->total));
	return t->cols && t->rows && t->total >= t->recent.size ? ERR_OK : ERR_INVALID;
}

enum err tty_load(struct rd *in, const struct tty_hooks *hooks, struct tty **out,
                  struct errmsg *msg)
{
	struct tty *t;
	TRY(tty_new(&(struct tty_config){0}, hooks, &t));
	enum err e = load_fields(in, t);
	if (e != ERR_OK) {
		tty_free(t);
		return err_set(msg, e, "terminal at byte %zu: %s", rd_offset(in), err_text(e));
	}
	*out = t;
	return ERR_OK;
}
