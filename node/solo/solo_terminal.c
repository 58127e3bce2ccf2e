/* solo_terminal.c - the host's terminal for Linux programs without a node (solo_terminal.h). */
#include "node/solo/solo_terminal.h"

#include "base/os.h"
#include "base/os_thread.h"
#include "node/terminal/own_terminal.h"
#include "node/terminal/tty.h"
#include "node/wali/family.h"
#include "vfs/fdtable.h"
#include "vfs/stream.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { STACK = 256 << 10, PIECE = 4096, FULL_NS = 5000000, FULL_TRIES = 200 };
#define LOOK_NS UINT64_C(250000000) /* how often for another size */

struct solo_terminal {
	struct own_terminal *own;
	struct tty *tty;
	void (*news)(void *ctx);
	void (*signal)(void *ctx, int signal);
	void *ctx;
	atomic_bool quiet, ends;
	struct os_wake wake;
	pthread_t writer;
	bool has_wake, has_writer;
};

/* ---- from the keyboard ---- */

static void on_keys(void *ctx, const uint8_t *bytes, size_t size)
{
	struct solo_terminal *t = ctx;
	for (int tries = 0; size && tries < FULL_TRIES; tries++) {
		size_t took = 0;
		tty_feed(t->tty, bytes, size, &took);
		bytes += took;
		size -= took;
		if (size)
			os_sleep_ns(FULL_NS);
	}
}

static void on_guest(void *ctx)
{
	struct solo_terminal *t = ctx;
	if (!atomic_load(&t->quiet))
		t->news(t->ctx);
}

static void on_client(void *ctx)
{
	struct solo_terminal *t = ctx;
	os_wake_post(&t->wake);
}

static void on_signal(void *ctx, int signal)
{
	struct solo_terminal *t = ctx;
	if (!atomic_load(&t->quiet))
		t->signal(t->ctx, signal);
}

/* ---- to the screen ---- */

static void show(struct solo_terminal *t)
{
	uint8_t bytes[PIECE];
	enum tty_stream s;
	size_t size;
	while ((size = tty_take_output(t->tty, &s, bytes, sizeof bytes)))
		for (size_t done = 0, n = 1; done < size && n; done += n)
			n = own_terminal_write(t->own, bytes + done, size - done);
}

static void look_at_size(struct solo_terminal *t)
{
	uint16_t cols = 80, rows = 24, had_cols, had_rows;
	tty_size(t->tty, &had_cols, &had_rows);
	own_terminal_size(t->own, &cols, &rows);
	if (cols != had_cols || rows != had_rows)
		tty_set_size(t->tty, cols, rows);
}

static void *writer_main(void *arg)
{
	struct solo_terminal *t = arg;
	while (!atomic_load(&t->ends)) {
		show(t);
		look_at_size(t);
		os_wait(&t->wake, NULL, 0, os_monotonic_ns() + LOOK_NS);
	}
	show(t);
	return NULL;
}

/* ---- life ---- */

static bool start(struct solo_terminal *t)
{
	struct tty_config c = {.is_terminal = {true, true, true}, .attached = true};
	struct tty_hooks hooks = {
	    .wake_guest = on_guest, .wake_client = on_client, .signal = on_signal, .ctx = t};
	t->has_wake = os_wake_init(&t->wake) == ERR_OK;
	t->own = own_terminal_new(on_keys, t);
	if (!t->has_wake || !t->own)
		return false;
	own_terminal_size(t->own, &c.cols, &c.rows);
	if (tty_new(&c, &hooks, &t->tty) != ERR_OK)
		return false;
	t->has_writer = os_thread_start(&t->writer, STACK, writer_main, t);
	if (t->has_writer)
		own_terminal_raw(t->own, true);
	return t->has_writer;
}

struct solo_terminal *solo_terminal_new(void (*news)(void *ctx),
                                        void (*signal)(void *ctx, int signal), void *ctx)
{
	struct solo_terminal *t =
	    own_terminal_is_there() ? calloc(1, sizeof(struct solo_terminal)) : NULL;
	if (!t)
		return NULL;
	t->news = news;
	t->signal = signal;
	t->ctx = ctx;
	if (start(t))
		return t;
	solo_terminal_free(t);
	return NULL;
}

void solo_terminal_quiet(struct solo_terminal *t)
{
	atomic_store(&t->quiet, true);
	own_terminal_raw(t->own, false);
}

void solo_terminal_free(struct solo_terminal *t)
{
	if (!t)
		return;
	if (t->has_writer) {
		atomic_store(&t->ends, true);
		os_wake_post(&t->wake);
		pthread_join(t->writer, NULL);
	}
	own_terminal_free(t->own);
	tty_free(t->tty);
	if (t->has_wake)
		os_wake_free(&t->wake);
	free(t);
}

/* ---- use ---- */

void solo_terminal_use(struct solo_terminal *t, struct fdtable *fds)
{
	struct fd_entry *e;
	for (uint32_t fd = 0; fd < TTY_STREAMS; fd++) {
		if (fdtable_use(fds, fd, 0, &e) == FE_BADF || !vfs_is_terminal(e->file->obj))
			continue;
		struct vfs_obj *o = tty_stream_new(t->tty, (enum tty_stream)fd);
		if (!o)
			continue;
		vfs_unref(e->file->obj);
		e->file->obj = o;
	}
}

struct vfs_obj *solo_terminal_open(struct solo_terminal *t, const char **name)
{
	*name = tty_stream_name(TTY_IN);
	return tty_stream_new(t->tty, TTY_IN);
}

void solo_terminal_set(struct solo_terminal *t, const struct family_terminal *settings)
{
	struct tty_line_settings s = {.iflag = settings->iflag, .lflag = settings->lflag};
	memcpy(s.cc, settings->cc, sizeof s.cc);
	tty_set_line(t->tty, &s);
}

void solo_terminal_size(struct solo_terminal *t, uint16_t *cols, uint16_t *rows)
{
	tty_size(t->tty, cols, rows);
}
