/* tty_stream.c - the three streams of a terminal as files of the guest: vfs stream operations over tty.h. */
#include "node/terminal/tty.h"

#include "vfs/stream.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[TTY_STREAMS] = {"stdin", "stdout", "stderr"};

/* What a vfs stream gets as its ctx. */
struct stream {
	struct tty *tty; /* a reference */
	enum tty_stream which;
};

enum ferr tty_ferr(enum err e)
{
	switch (e) {
	case ERR_OK: return FE_OK;
	case ERR_AGAIN: return FE_AGAIN;
	case ERR_CLOSED: return FE_PIPE;
	default: return FE_IO;
	}
}

static enum ferr stream_read(void *ctx, void *buf, size_t size, size_t *done)
{
	struct stream *s = ctx;
	return tty_ferr(tty_read(s->tty, buf, size, done));
}

static enum ferr stream_write(void *ctx, const void *buf, size_t size, size_t *done)
{
	struct stream *s = ctx;
	return tty_ferr(
	    tty_write(s->tty, s->which == TTY_IN ? TTY_OUT : s->which, buf, size, done));
}

/* Reading from the output of a terminal reads its input, as on a real one. */
static unsigned stream_ready(void *ctx)
{
	struct stream *s = ctx;
	bool hangup;
	unsigned ready = 0;
	if (tty_readable_size(s->tty, &hangup))
		ready |= VFS_READABLE;
	if (hangup)
		ready |= VFS_READABLE | VFS_HANGUP;
	if (tty_can_write(s->tty))
		ready |= VFS_WRITABLE;
	return ready;
}

static bool stream_is_tty(void *ctx)
{
	struct stream *s = ctx;
	return tty_is_terminal(s->tty, s->which);
}

static size_t stream_pending(void *ctx)
{
	struct stream *s = ctx;
	bool hangup;
	return tty_readable_size(s->tty, &hangup);
}

static void stream_close(void *ctx)
{
	struct stream *s = ctx;
	tty_unref(s->tty);
	free(s);
}

static const struct vfs_stream_ops stream_ops = {
    .read = stream_read,
    .write = stream_write,
    .ready = stream_ready,
    .is_tty = stream_is_tty,
    .pending = stream_pending,
    .close = stream_close,
};

struct vfs_obj *tty_stream_new(struct tty *t, enum tty_stream which)
{
	struct stream *s = malloc(sizeof *s);
	if (!s)
		return NULL;
	*s = (struct stream){.tty = t, .which = which};
	tty_ref(t);
	struct vfs_obj *o = vfs_stream_new(&stream_ops, s);
	if (!o)
		stream_close(s);
	return o;
}

const char *tty_stream_name(enum tty_stream s)
{
	return names[s];
}

enum err tty_stream_find(const char *name, enum tty_stream *out)
{
	for (int s = 0; s < TTY_STREAMS; s++)
		if (!strcmp(name, names[s])) {
			*out = (enum tty_stream)s;
			return ERR_OK;
		}
	return ERR_NOTFOUND;
}
