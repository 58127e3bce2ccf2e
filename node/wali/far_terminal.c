/* far_terminal.c - a terminal between the parts of a family (far_terminal.h). */
#include "node/wali/far_terminal.h"

#include "node/wali/kinship.h"
#include "node/wali/wali_state.h"
#include "vfs/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 4, TERMINAL_SIZE = 49, HERE = UINT8_MAX };

struct far_stream {
	struct family *family; /* NULL: not known yet */
	unsigned stream;
	bool is_terminal;
};

/* ---- writing ---- */

static enum ferr write_far(struct family *f, unsigned stream, const void *bytes, size_t size,
                           size_t *done)
{
	struct wr w = {0};
	size_t n = size < FAR_BYTES_MAX ? size : FAR_BYTES_MAX;
	if (!f || !f->terminal_at)
		return FE_IO;
	wr_u8(&w, FAR_OUTPUT);
	wr_u8(&w, (uint8_t)stream);
	wr_u16(&w, (uint16_t)n);
	wr_bytes(&w, bytes, n);
	bool ok = kinship_send(f->terminal_at, &w);
	wr_free(&w);
	*done = ok ? n : 0;
	return ok || !n ? FE_OK : FE_AGAIN;
}

/* To the terminal, wherever it is. */
static enum ferr show(struct wali *k, unsigned stream, const uint8_t *bytes, size_t size,
                      size_t *done)
{
	if (k->family->terminal_at)
		return write_far(k->family, stream, bytes, size, done);
	if (!k->host.tty_write)
		return FE_IO;
	return k->host.tty_write(k->host.ctx, stream, bytes, size, done);
}

/* ---- reading ---- */

static void want_input(struct family *f)
{
	if (!f->input.wanted) {
		f->input.wanted = true;
		f->input.asked = false;
		f->has_untold = true;
	}
}

static enum ferr read_far(struct family *f, void *buf, size_t size, size_t *done)
{
	struct far_input *in = f ? &f->input : NULL;
	if (!f || !f->terminal_at)
		return FE_OK;
	if (in->size) {
		*done = size < in->size ? size : in->size;
		memcpy(buf, in->bytes, *done);
		in->size = (uint16_t)(in->size - *done);
		memmove(in->bytes, in->bytes + *done, in->size);
		return FE_OK;
	}
	if (in->ended) {
		in->ended = false;
		return FE_OK;
	}
	want_input(f);
	return FE_AGAIN;
}

/* From the terminal, wherever it is. */
static enum ferr type(struct wali *k, uint8_t *buf, size_t size, size_t *done)
{
	if (k->family->terminal_at)
		return read_far(k->family, buf, size, done);
	if (!k->host.tty_read)
		return FE_OK;
	return k->host.tty_read(k->host.ctx, buf, size, done);
}

/* ---- a far stream ---- */

static enum ferr stream_read(void *ctx, void *buf, size_t size, size_t *done)
{
	struct far_stream *s = ctx;
	return read_far(s->family, buf, size, done);
}

static enum ferr stream_write(void *ctx, const void *buf, size_t size, size_t *done)
{
	struct far_stream *s = ctx;
	return write_far(s->family, s->stream ? s->stream : 1, buf, size, done);
}

static unsigned stream_ready(void *ctx)
{
	struct far_stream *s = ctx;
	struct family *f = s->family;
	if (!f || !f->terminal_at)
		return VFS_READABLE | VFS_WRITABLE | VFS_HANGUP;
	unsigned ready = kinship_takes(f->terminal_at, HEAD + 1) ? VFS_WRITABLE : 0;
	return f->input.size || f->input.ended ? ready | VFS_READABLE : ready;
}

/* Who looks whether there is input waits for some. */
static os_handle stream_wait(void *ctx, unsigned events)
{
	struct far_stream *s = ctx;
	struct family *f = s->family;
	if (f && f->terminal_at && events & VFS_READABLE && !f->input.size)
		want_input(f);
	return OS_NO_HANDLE;
}

static bool stream_is_tty(void *ctx)
{
	return ((struct far_stream *)ctx)->is_terminal;
}

static size_t stream_pending(void *ctx)
{
	const struct far_stream *s = ctx;
	return s->family ? s->family->input.size : 0;
}

static void stream_close(void *ctx)
{
	free(ctx);
}

static const struct vfs_stream_ops stream_ops = {
    .read = stream_read,
    .write = stream_write,
    .ready = stream_ready,
    .wait_handle = stream_wait,
    .is_tty = stream_is_tty,
    .pending = stream_pending,
    .close = stream_close,
};

struct vfs_obj *far_stream_new(struct family *f, unsigned stream, bool is_terminal)
{
	struct far_stream *s = malloc(sizeof *s);
	if (!s)
		return NULL;
	*s = (struct far_stream){.family = f, .stream = stream, .is_terminal = is_terminal};
	struct vfs_obj *o = vfs_stream_new(&stream_ops, s);
	if (!o)
		free(s);
	return o;
}

void far_stream_name(unsigned stream, bool is_terminal, char out[16])
{
	snprintf(out, 16, "far %u%s", stream % 3, is_terminal ? "t" : "");
}

struct vfs_obj *far_stream_named(const char *name)
{
	bool is = name[4] >= '0' && name[4] <= '2' && (!name[5] || !strcmp(name + 5, "t"));
	return is ? far_stream_new(NULL, (unsigned)(name[4] - '0'), name[5]) : NULL;
}

void far_stream_attach(struct family *f, struct vfs_obj *o)
{
	struct far_stream *s = vfs_stream_ctx(o, &stream_ops);
	if (s)
		s->family = f;
}

/* ---- telling ---- */

void far_terminal_changed(struct family *f, const struct family_terminal *t)
{
	if (t != &f->terminal)
		return;
	for (struct kinship *c = f->kinships; c; c = kinship_next(c))
		kinship_user(c)->untold = f->has_untold = true;
}

static bool tell_terminal(const struct family *f, struct kinship *c)
{
	const struct family_terminal *t = &f->terminal;
	struct wr w = {0};
	wr_u8(&w, FAR_TERMINAL);
	family_terminal_save(t, &w);
	wr_u32(&w, t->session);
	wr_u32(&w, t->foreground);
	wr_u16(&w, t->cols);
	wr_u16(&w, t->rows);
	bool ok = kinship_send(c, &w);
	wr_free(&w);
	return ok;
}

static bool ask(struct family *f)
{
	struct wr w = {0};
	wr_u8(&w, FAR_READ);
	bool ok = kinship_send(f->terminal_at, &w);
	wr_free(&w);
	return ok;
}

bool far_terminal_tell(struct family *f)
{
	bool left = false;
	for (struct kinship *c = f->kinships; c; c = kinship_next(c)) {
		struct far_user *u = kinship_user(c);
		u->untold = u->untold && !tell_terminal(f, c);
		left |= u->untold;
	}
	struct far_input *in = &f->input;
	if (f->terminal_at && in->wanted && !in->asked)
		in->asked = ask(f);
	return left || (f->terminal_at && in->wanted && !in->asked);
}

/* ---- input for other parts ---- */

/* Somebody of that part is in the foreground. */
static bool may_type(const struct family *f, const struct kinship *c)
{
	for (const struct task *t = f->tasks; t; t = t->next)
		if (t->away == c && t->state != TASK_ZOMBIE &&
		    (t->group == f->terminal.foreground || !f->terminal.foreground))
			return true;
	return false;
}

static void serve_one(struct wali *k, struct kinship *c)
{
	uint8_t bytes[FAR_BYTES_MAX];
	size_t size = 0;
	struct wr w = {0};
	if (!kinship_takes(c, HEAD + sizeof bytes) || type(k, bytes, sizeof bytes, &size) != FE_OK)
		return;
	wr_u8(&w, FAR_INPUT);
	wr_u8(&w, size == 0);
	wr_u16(&w, (uint16_t)size);
	wr_bytes(&w, bytes, size);
	kinship_user(c)->reads = !kinship_send(c, &w);
	wr_free(&w);
}

void far_terminal_serve(struct wali *k)
{
	for (struct kinship *c = k->family->kinships; c; c = kinship_next(c))
		if (kinship_user(c)->reads && may_type(k->family, c))
			serve_one(k, c);
}

/* ---- hearing ---- */

uint32_t far_message_size(const uint8_t *bytes, size_t size)
{
	switch (bytes[0]) {
	case FAR_READ: return 1;
	case FAR_TERMINAL: return TERMINAL_SIZE;
	case FAR_OUTPUT:
	case FAR_INPUT:
		if (size < HEAD)
			return 0;
		return HEAD + ((uint32_t)bytes[2] | (uint32_t)bytes[3] << 8);
	default: return UINT32_MAX;
	}
}

static enum err take_output(struct wali *k, struct kinship *c, struct rd *in)
{
	struct far_user *u = kinship_user(c);
	uint8_t stream;
	uint16_t size;
	const uint8_t *bytes;
	TRY(rd_u8(in, &stream));
	TRY(rd_u16(in, &size));
	TRY(rd_bytes(in, size, &bytes));
	if (stream > 2 || size > FAR_BYTES_MAX)
		return ERR_MALFORMED;
	while (u->shown < size) {
		size_t done = 0;
		enum ferr e = show(k, stream, bytes + u->shown, size - u->shown, &done);
		if (e == FE_AGAIN)
			return ERR_AGAIN;
		if (e != FE_OK || !done)
			break; /* nobody will ever see it */
		u->shown = (uint16_t)(u->shown + done);
	}
	u->shown = 0;
	return ERR_OK;
}

static enum err take_input(struct family *f, const struct kinship *c, struct rd *in)
{
	uint8_t end;
	uint16_t size;
	const uint8_t *bytes;
	TRY(rd_u8(in, &end));
	TRY(rd_u16(in, &size));
	TRY(rd_bytes(in, size, &bytes));
	struct far_input *to = &f->input;
	if (end > 1 || size > FAR_BYTES_MAX)
		return ERR_MALFORMED;
	if (c != f->terminal_at || !to->wanted || to->size)
		return ERR_OK;
	memcpy(to->bytes, bytes, size);
	to->size = size;
	to->ended = end;
	to->wanted = to->asked = false;
	return ERR_OK;
}

static enum err take_terminal(struct wali *k, struct kinship *c, struct rd *in)
{
	struct family *f = k->family;
	struct family_terminal t = f->terminal;
	TRY(family_terminal_load(&t, in));
	TRY(rd_u32(in, &t.session));
	TRY(rd_u32(in, &t.foreground));
	TRY(rd_u16(in, &t.cols));
	TRY(rd_u16(in, &t.rows));
	if (!f->terminal_at) {
		t.cols = f->terminal.cols;
		t.rows = f->terminal.rows;
	}
	f->terminal = t;
	far_terminal_changed(f, &f->terminal);
	kinship_user(c)->untold = false;
	if (!f->terminal_at && k->host.tty_set)
		k->host.tty_set(k->host.ctx, &f->terminal);
	return ERR_OK;
}

enum err far_terminal_take(struct wali *k, struct kinship *c, struct rd *in)
{
	uint8_t kind;
	TRY(rd_u8(in, &kind));
	switch (kind) {
	case FAR_OUTPUT: return take_output(k, c, in);
	case FAR_INPUT: return take_input(k->family, c, in);
	case FAR_READ: kinship_user(c)->reads = true; return ERR_OK;
	case FAR_TERMINAL: return take_terminal(k, c, in);
	default: return ERR_MALFORMED;
	}
}

/* ---- in an image: u8 the kinship that leads to the terminal or 255; u8 flags (1 the end of input, 2 it is wanted, 4 asked for), u16 size,
 * input; of each kinship in order: u8 flags (1 not told of the terminal, 2 it reads), u16 bytes shown ---- */

void far_terminal_save(const struct family *f, struct wr *out)
{
	const struct far_input *in = &f->input;
	wr_u8(out, f->terminal_at ? (uint8_t)kinship_index(f->terminal_at) : HERE);
	wr_u8(out, (uint8_t)((in->ended ? 1 : 0) | (in->wanted ? 2 : 0) | (in->asked ? 4 : 0)));
	wr_u16(out, in->size);
	wr_bytes(out, in->bytes, in->size);
	for (struct kinship *c = f->kinships; c; c = kinship_next(c)) {
		const struct far_user *u = kinship_user(c);
		wr_u8(out, (uint8_t)((u->untold ? 1 : 0) | (u->reads ? 2 : 0)));
		wr_u16(out, u->shown);
	}
}

static enum err load_users(struct family *f, struct rd *in)
{
	for (struct kinship *c = f->kinships; c; c = kinship_next(c)) {
		struct far_user *u = kinship_user(c);
		uint8_t flags;
		TRY(rd_u8(in, &flags));
		TRY(rd_u16(in, &u->shown));
		if (flags > 3 || u->shown > FAR_BYTES_MAX)
			return ERR_MALFORMED;
		u->untold = flags & 1;
		u->reads = flags & 2;
		f->has_untold |= u->untold;
	}
	return ERR_OK;
}

enum err far_terminal_load(struct family *f, struct rd *in)
{
	uint8_t at, flags;
	const uint8_t *bytes;
	struct far_input *to = &f->input;
	TRY(rd_u8(in, &at));
	TRY(rd_u8(in, &flags));
	TRY(rd_u16(in, &to->size));
	TRY(rd_bytes(in, to->size, &bytes));
	f->terminal_at = at == HERE ? NULL : kinship_at(f, at);
	if ((at != HERE && !f->terminal_at) || flags > 7 || to->size > FAR_BYTES_MAX) {
		to->size = 0;
		return ERR_MALFORMED;
	}
	memcpy(to->bytes, bytes, to->size);
	to->ended = flags & 1;
	to->wanted = flags & 2;
	to->asked = flags & 4;
	f->has_untold |= f->terminal_at && to->wanted && !to->asked;
	return load_users(f, in);
}
