/* tty.h - a process's standard input, output and error, and its terminal's modes.
 *
 * One struct tty per process; it lives with the process and moves with it (section "process"). The
 * guest side is used by the process's worker (through vfs stream operations), the client side by the
 * loop; a mutex inside joins them, no call blocks. Input: a ring of TTY_INPUT_SIZE bytes plus an
 * end-of-file flag. Output: while a client is attached it waits in a queue of TTY_OUTPUT_SIZE bytes
 * and a full queue makes the guest's write return ERR_AGAIN (back-pressure); with no client attached
 * it is only remembered. The last TTY_RECENT_SIZE bytes of output are always kept, for `logs`, for a
 * newly attached terminal, and for the next device.
 *
 *	tty_feed(t, "hi\n", 3, &took);           loop: a client typed
 *	tty_read(t, buf, sizeof buf, &got);      worker: ERR_AGAIN = would block; got 0 = end of file
 *	tty_write(t, TTY_OUT, "hi\n", 3, &done); worker
 *	tty_take_output(t, &stream, buf, sizeof buf)   loop: for the attached clients
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "node/terminal/tty_line.h"
#include "vfs/ferr.h"

struct tty;
struct vfs_obj;

enum tty_stream { TTY_IN, TTY_OUT, TTY_ERR, TTY_STREAMS };

enum {
	TTY_INPUT_SIZE = 64 * 1024,
	TTY_OUTPUT_SIZE = 64 * 1024,
	TTY_RECENT_SIZE = 64 * 1024,
};

struct tty_config {
	bool is_terminal[TTY_STREAMS]; /* what the guest's isatty(0), (1), (2) shall say */
	uint16_t cols, rows;           /* 0: 80 x 24 */
	bool attached; /* a client is about to attach: output waits for it from the start */
};

/* Called (on any thread; it must not call tty functions) when the other side has something to do. */
struct tty_hooks {
	void (*wake_guest)(
	    void *ctx); /* input came, output drained, size changed: poke the worker */
	void (*wake_client)(
	    void *ctx); /* output came, input drained, raw flag changed: poke the loop */
	/* A key that is a signal was typed, by Linux's numbers. From tty_feed(). */
	void (*signal)(void *ctx, int signal);
	void *ctx;
};

enum err tty_new(const struct tty_config *cfg, const struct tty_hooks *hooks, struct tty **out);
/* The process is gone: nobody is poked any more, and its streams, which relatives may have open still, are closed. */
void tty_free(struct tty *t);
/* Whom it tells from now on: a relative has taken the terminal over. */
void tty_set_hooks(struct tty *t, const struct tty_hooks *hooks);
/* Another one who uses it: a stream. */
struct tty *tty_ref(struct tty *t);
void tty_unref(struct tty *t);

/* ---- the guest's side (worker thread) ---- */

bool tty_is_terminal(const struct tty *t, enum tty_stream s);
/* ERR_AGAIN: nothing there yet. *got == 0 with ERR_OK: end of file (once for a terminal, for ever
 * for a pipe). */
enum err tty_read(struct tty *t, void *buf, size_t size, size_t *got);
/* Takes at least one byte (*done) or returns ERR_AGAIN. ERR_CLOSED: the reader is gone for good
 * (EPIPE). */
enum err tty_write(struct tty *t, enum tty_stream s, const void *bytes, size_t size, size_t *done);
bool tty_can_read(struct tty *t);
bool tty_can_write(struct tty *t);
/* Bytes that could be read now; *hangup: end of file comes after them. */
size_t tty_readable_size(struct tty *t, bool *hangup);
void tty_size(struct tty *t, uint16_t *cols, uint16_t *rows);
/* A screen drawn in the terminal: takes all of it, is not remembered, and is dropped when no client is attached.
 * Whoever draws looks at tty_queued() and skips frames. Any thread. */
void tty_draw(struct tty *t, const void *bytes, size_t size);
/* Output bytes that no client has taken yet. */
size_t tty_queued(struct tty *t);
bool tty_attached(struct tty *t);
/* For whoever draws a screen: whether someone looks; false once more after each new client, who has seen nothing. */
bool tty_watched(struct tty *t);
/* Raw: every key arrives as typed, ^C too. Else the client's terminal does line editing and ^C ends
 * the guest. */
void tty_set_raw(struct tty *t, bool raw);

/* From now on keys come as typed and become lines here, by these settings (Linux programs); a read gives one line at most. */
void tty_set_line(struct tty *t, const struct tty_line_settings *s);
/* The line that is being typed: up to TTY_LINE_MAX bytes; its size. */
size_t tty_typed(struct tty *t, uint8_t *bytes);
void tty_set_typed(struct tty *t, const uint8_t *bytes, size_t size);

/* Stream s as a file of the guest (vfs/stream.h). NULL: out of memory. */
struct vfs_obj *tty_stream_new(struct tty *t, enum tty_stream s);
/* What tty_read() and tty_write() say, as a file says it. */
enum ferr tty_ferr(enum err e);
/* "stdin", "stdout", "stderr": what the streams are called in an image. */
const char *tty_stream_name(enum tty_stream s);
/* ERR_NOTFOUND for another name. */
enum err tty_stream_find(const char *name, enum tty_stream *out);

/* ---- the client's side (loop thread) ---- */

bool tty_raw(struct tty *t);
/* Takes what there is room for. */
void tty_feed(struct tty *t, const void *bytes, size_t size, size_t *took);
/* Room in the input ring. */
size_t tty_input_room(struct tty *t);
void tty_feed_eof(struct tty *t);
void tty_set_size(struct tty *t, uint16_t cols, uint16_t rows);
/* With no client attached output is remembered only. Detaching drops what was queued (it was
 * remembered too). */
void tty_set_attached(struct tty *t, bool attached);
/* Nobody will read the output any more: writes are ERR_CLOSED from now on (EPIPE). */
void tty_close(struct tty *t);
/* The next queued output, all of one stream; 0 when there is none. */
size_t tty_take_output(struct tty *t, enum tty_stream *s, void *buf, size_t size);
/* The recent output, oldest first: up to TTY_RECENT_SIZE bytes. Returns the count. *waiting (may be NULL) are the output bytes
 * that wait in the queue at the same moment: a new client that got the recent output skips so many. */
size_t tty_recent(struct tty *t, void *buf, size_t size, size_t *waiting);

/* ---- state: part of section "process" ---- */

/* Input not read yet, end of file, modes, size, recent output, and whether clients were attached: then output waits
 * for them after tty_load() too. Queued output is not part of it: the side that has the clients delivers that. */
enum err tty_save(struct tty *t, struct wr *out);
enum err tty_load(struct rd *in, const struct tty_hooks *hooks, struct tty **out,
                  struct errmsg *msg);
