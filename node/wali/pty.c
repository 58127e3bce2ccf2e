/* pty.c - pseudo terminals (pty.h): keys of the master become input of the slave, output of the slave goes to the master.
 *
 * Truths: input.size <= PTY_INPUT_SIZE, and each byte has a mark: MARK_END when a read of a line ends with it, MARK_EOF when it is no
 * byte but the end of a file (^D on an empty line). lines counts both. Whether lines are kept apart is the reader's settings' business,
 * so switching ICANON off and on loses nothing.
 */
#include "node/wali/pty.h"

#include "node/terminal/tty_line.h"
#include "vfs/stream.h"

#include <stdlib.h>
#include <string.h>

enum { OPOST = 1, ONLCR = 4, OCRNL = 8, ONLRET = 32 };
enum { MARK_END = 1, MARK_EOF = 2 };
enum { IXON = 0x400, VSTART = 8, VSTOP = 9 };

struct input {
	uint8_t bytes[PTY_INPUT_SIZE], marks[PTY_INPUT_SIZE];
	uint32_t start, size, lines;
};

struct output {
	uint8_t bytes[PTY_OUTPUT_SIZE];
	uint32_t start, size;
};

struct pty {
	struct family_terminal t; /* the first: pty_of_terminal() */
	struct family *family;
	struct pty *next;
	uint32_t number, masters, slaves;
	bool locked;
	bool was_opened; /* a slave was open: that there is none is told to the master */
	bool stopped;    /* ^S was typed: output waits */
	struct tty_line line;
	struct tty_line_out out;
	struct input in;
	struct output shown;
};

struct end {
	struct pty *pty; /* NULL: it is no more */
	uint32_t number;
	bool master;
};

/* ---- queues ---- */

static void put_input(struct pty *p, uint8_t byte, uint8_t mark)
{
	struct input *in = &p->in;
	if (in->size == PTY_INPUT_SIZE)
		return;
	uint32_t at = (in->start + in->size++) % PTY_INPUT_SIZE;
	in->bytes[at] = byte;
	in->marks[at] = mark;
	in->lines += mark != 0;
}

/* Its mark. */
static uint8_t take_input(struct pty *p, uint8_t *byte)
{
	struct input *in = &p->in;
	uint8_t mark = in->marks[in->start];
	*byte = in->bytes[in->start];
	in->start = (in->start + 1) % PTY_INPUT_SIZE;
	in->size--;
	in->lines -= mark != 0;
	return mark;
}

static void forget_input(struct pty *p)
{
	p->in.start = p->in.size = p->in.lines = 0;
}

static uint32_t output_room(const struct pty *p)
{
	return PTY_OUTPUT_SIZE - p->shown.size;
}

static void put_output(struct pty *p, uint8_t byte)
{
	p->shown.bytes[(p->shown.start + p->shown.size++) % PTY_OUTPUT_SIZE] = byte;
}

/* One byte as the settings of output have it. False: no room. */
static bool show(struct pty *p, uint8_t byte)
{
	bool post = p->t.oflag & OPOST;
	bool two = post && byte == '\n' && p->t.oflag & ONLCR;
	if (output_room(p) < (two ? 2u : 1u))
		return false;
	if (two)
		put_output(p, '\r');
	if (post && byte == '\r' && p->t.oflag & OCRNL)
		byte = '\n';
	put_output(p, byte);
	return true;
}

/* ---- typing ---- */

static void take_settings(struct pty *p)
{
	p->line.set.iflag = p->t.iflag;
	p->line.set.lflag = p->t.lflag;
	memcpy(p->line.set.cc, p->t.cc, sizeof p->line.set.cc);
}

/* Of a line that has ended the last byte is marked; without lines each byte stands alone. */
static void take_line(struct pty *p, const struct tty_line_out *out)
{
	bool lines = tty_line_edits(&p->line.set);
	for (size_t i = 0; i < out->input; i++)
		put_input(p, out->input_bytes[i], lines && i + 1 == out->input ? MARK_END : 0);
	if (out->eof)
		put_input(p, 0, MARK_END | MARK_EOF);
}

/* ^S and ^Q, where they mean something. */
static bool stops_output(struct pty *p, uint8_t key)
{
	const uint8_t *cc = p->t.cc;
	if (!(p->t.iflag & IXON) || !key || (key != cc[VSTOP] && key != cc[VSTART]))
		return false;
	p->stopped = key == cc[VSTOP];
	return true;
}

static void type(struct pty *p, uint8_t key)
{
	if (stops_output(p, key))
		return;
	tty_line_key(&p->line, key, &p->out);
	if (p->out.flush)
		forget_input(p);
	take_line(p, &p->out);
	for (size_t i = 0; i < p->out.echo; i++)
		show(p, p->out.echo_bytes[i]);
	if (p->out.signal && p->t.foreground)
		family_kill(p->family, NULL, -(int64_t)p->t.foreground, p->out.signal);
}

/* A key may end the longest line. */
static bool can_type(const struct pty *p)
{
	return PTY_INPUT_SIZE - p->in.size > TTY_LINE_MAX;
}

static bool can_read(const struct pty *p)
{
	return tty_line_edits(&p->line.set) ? p->in.lines : p->in.size;
}

/* ---- the slave's end ---- */

static size_t take_one_line(struct pty *p, uint8_t *to, size_t size)
{
	size_t n = 0;
	uint8_t mark = 0, byte;
	while (n < size && p->in.size && !mark) {
		mark = take_input(p, &byte);
		if (!(mark & MARK_EOF))
			to[n++] = byte;
	}
	return n;
}

static size_t take_bytes(struct pty *p, uint8_t *to, size_t size)
{
	size_t n = 0;
	uint8_t byte;
	while (n < size && p->in.size)
		if (!(take_input(p, &byte) & MARK_EOF))
			to[n++] = byte;
	return n;
}

static enum ferr read_slave(struct pty *p, void *buf, size_t size, size_t *done)
{
	if (!p->masters)
		return FE_OK;
	if (!can_read(p))
		return FE_AGAIN;
	*done =
	    tty_line_edits(&p->line.set) ? take_one_line(p, buf, size) : take_bytes(p, buf, size);
	family_wake(p->family);
	return FE_OK;
}

static enum ferr write_slave(struct pty *p, const uint8_t *bytes, size_t size, size_t *done)
{
	if (!p->masters)
		return FE_IO;
	while (*done < size && !p->stopped && show(p, bytes[*done]))
		++*done;
	if (size && !*done)
		return FE_AGAIN;
	family_wake(p->family);
	return FE_OK;
}

/* ---- the master's end ---- */

static enum ferr read_master(struct pty *p, uint8_t *to, size_t size, size_t *done)
{
	struct output *o = &p->shown;
	if (!o->size)
		return p->was_opened && !p->slaves ? FE_IO : FE_AGAIN;
	for (; *done < size && o->size; o->size--) {
		to[(*done)++] = o->bytes[o->start];
		o->start = (o->start + 1) % PTY_OUTPUT_SIZE;
	}
	family_wake(p->family);
	return FE_OK;
}

static enum ferr write_master(struct pty *p, const uint8_t *bytes, size_t size, size_t *done)
{
	while (*done < size && can_type(p))
		type(p, bytes[(*done)++]);
	if (size && !*done)
		return FE_AGAIN;
	family_wake(p->family);
	return FE_OK;
}

/* ---- both as files ---- */

static enum ferr end_read(void *ctx, void *buf, size_t size, size_t *done)
{
	struct end *e = ctx;
	if (!e->pty)
		return e->master ? FE_IO : FE_OK;
	return e->master ? read_master(e->pty, buf, size, done)
	                 : read_slave(e->pty, buf, size, done);
}

static enum ferr end_write(void *ctx, const void *buf, size_t size, size_t *done)
{
	struct end *e = ctx;
	if (!e->pty)
		return FE_IO;
	return e->master ? write_master(e->pty, buf, size, done)
	                 : write_slave(e->pty, buf, size, done);
}

static unsigned ready_master(const struct pty *p)
{
	bool alone = p->was_opened && !p->slaves;
	return (p->shown.size || alone ? VFS_READABLE : 0u) | (can_type(p) ? VFS_WRITABLE : 0u) |
	       (alone ? VFS_HANGUP : 0u);
}

static unsigned ready_slave(const struct pty *p)
{
	if (!p->masters)
		return VFS_READABLE | VFS_WRITABLE | VFS_HANGUP;
	return (can_read(p) ? VFS_READABLE : 0u) |
	       (output_room(p) > 1 && !p->stopped ? VFS_WRITABLE : 0u);
}

static unsigned end_ready(void *ctx)
{
	const struct end *e = ctx;
	if (!e->pty)
		return VFS_READABLE | VFS_WRITABLE | VFS_HANGUP;
	return e->master ? ready_master(e->pty) : ready_slave(e->pty);
}

static bool end_is_tty(void *ctx)
{
	return true;
}

/* With lines what one read gives. */
static size_t pending_line(const struct pty *p)
{
	size_t n = 0;
	for (; n < p->in.size; n++) {
		uint8_t mark = p->in.marks[(p->in.start + n) % PTY_INPUT_SIZE];
		if (mark)
			return n + !(mark & MARK_EOF);
	}
	return 0;
}

static size_t end_pending(void *ctx)
{
	const struct end *e = ctx;
	if (!e->pty)
		return 0;
	if (e->master)
		return e->pty->shown.size;
	return tty_line_edits(&e->pty->line.set) ? pending_line(e->pty) : e->pty->in.size;
}

static void end_stat(void *ctx, struct vfs_stat *out)
{
	const struct end *e = ctx;
	out->dev = e->master ? 5 : 6;
	out->ino = e->master ? 2 : PTY_INO | e->number;
}

/* ---- life ---- */

static void pty_free(struct pty *p)
{
	for (struct pty **at = &p->family->ptys; *at; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	free(p);
}

static void hang_up(struct pty *p)
{
	struct family_terminal *t = &p->t;
	struct task *leader = family_find(p->family, t->session);
	if (leader) {
		family_raise(p->family, leader, LINUX_SIGHUP);
		family_raise(p->family, leader, LINUX_SIGCONT);
	}
	if (t->foreground) {
		family_kill(p->family, NULL, -(int64_t)t->foreground, LINUX_SIGHUP);
		family_kill(p->family, NULL, -(int64_t)t->foreground, LINUX_SIGCONT);
	}
	t->session = t->foreground = 0;
}

static void settle(struct pty *p)
{
	if (!p->masters && !p->slaves)
		pty_free(p);
}

static void end_close(void *ctx)
{
	struct end *e = ctx;
	struct pty *p = e->pty;
	if (p) {
		uint32_t left = e->master ? --p->masters : --p->slaves;
		if (!left && e->master)
			hang_up(p);
		if (!left)
			family_wake(p->family);
		settle(p);
	}
	free(e);
}

static const struct vfs_stream_ops end_ops = {
    .read = end_read,
    .write = end_write,
    .ready = end_ready,
    .is_tty = end_is_tty,
    .pending = end_pending,
    .stat = end_stat,
    .close = end_close,
};

struct vfs_obj *pty_end_new(bool master, uint32_t number)
{
	struct end *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->master = master;
	e->number = number;
	struct vfs_obj *o = vfs_stream_new(&end_ops, e);
	if (!o)
		free(e);
	return o;
}

static struct end *end_of(const struct vfs_obj *o)
{
	return vfs_stream_ctx(o, &end_ops);
}

static void attach(struct pty *p, struct end *e)
{
	e->pty = p;
	if (e->master)
		p->masters++;
	else
		p->slaves++;
	p->was_opened |= !e->master;
}

static uint32_t free_number(const struct family *f)
{
	uint32_t n = 0;
	for (const struct pty *p = f->ptys; p;) {
		if (p->number == n) {
			n++;
			p = f->ptys;
		} else {
			p = p->next;
		}
	}
	return n;
}

static struct pty *pty_alloc(struct family *f, uint32_t number)
{
	struct pty *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	family_terminal_reset(&p->t);
	p->t.is_pty = true;
	p->family = f;
	p->number = number;
	take_settings(p);
	struct pty **at = &f->ptys;
	while (*at)
		at = &(*at)->next;
	*at = p;
	return p;
}

enum ferr pty_new(struct family *f, uint32_t *number, struct vfs_obj **master)
{
	*number = free_number(f);
	if (*number >= PTYS_MAX)
		return FE_NOSPC;
	struct pty *p = pty_alloc(f, *number);
	if (!p)
		return FE_NOMEM;
	p->locked = true;
	*master = pty_end_new(true, *number);
	if (*master)
		attach(p, end_of(*master));
	settle(p);
	return *master ? FE_OK : FE_NOMEM;
}

struct pty *pty_find(struct family *f, uint32_t number)
{
	struct pty *p = f->ptys;
	while (p && p->number != number)
		p = p->next;
	return p && p->masters ? p : NULL;
}

enum ferr pty_open(struct pty *p, struct vfs_obj **slave)
{
	if (p->locked)
		return FE_IO;
	*slave = pty_end_new(false, p->number);
	if (*slave)
		attach(p, end_of(*slave));
	return *slave ? FE_OK : FE_NOMEM;
}

/* ---- asking ---- */

bool pty_is_end(const struct vfs_obj *o)
{
	return end_of(o);
}

struct pty *pty_of(const struct vfs_obj *o)
{
	const struct end *e = end_of(o);
	return e ? e->pty : NULL;
}

bool pty_is_master(const struct vfs_obj *o)
{
	const struct end *e = end_of(o);
	return e && e->master;
}

struct family_terminal *pty_terminal(struct pty *p)
{
	return &p->t;
}

struct pty *pty_of_terminal(struct family_terminal *t)
{
	return t->is_pty ? (struct pty *)t : NULL;
}

uint32_t pty_number(const struct pty *p)
{
	return p->number;
}

struct pty *pty_next(struct family *f, struct pty *p)
{
	return p ? p->next : f->ptys;
}

size_t pty_unread(const struct pty *p)
{
	return p->shown.size;
}

/* ---- changing ---- */

void pty_lock(struct pty *p, bool locked)
{
	p->locked = locked;
}

/* What was typed of a line is input when lines end. */
void pty_settings_changed(struct pty *p)
{
	take_settings(p);
	if (!tty_line_edits(&p->line.set)) {
		for (uint16_t i = 0; i < p->line.size; i++)
			put_input(p, p->line.bytes[i], 0);
		p->line.size = 0;
	}
	p->stopped &= (p->t.iflag & IXON) != 0;
	family_wake(p->family);
}

void pty_flush(struct pty *p, bool input, bool output)
{
	if (input) {
		forget_input(p);
		p->line.size = 0;
	}
	if (output)
		p->shown.start = p->shown.size = 0;
	family_wake(p->family);
}

/* ---- as part of an image ---- */

enum { FLAG_LOCKED = 1, FLAG_OPENED = 2, FLAG_STOPPED = 4 };

static void save_queues(const struct pty *p, struct wr *out)
{
	wr_u16(out, p->line.size);
	wr_bytes(out, p->line.bytes, p->line.size);
	wr_u32(out, p->in.size);
	for (uint32_t i = 0; i < p->in.size; i++) {
		uint32_t at = (p->in.start + i) % PTY_INPUT_SIZE;
		wr_u8(out, p->in.bytes[at]);
		wr_u8(out, p->in.marks[at]);
	}
	wr_u32(out, p->shown.size);
	for (uint32_t i = 0; i < p->shown.size; i++)
		wr_u8(out, p->shown.bytes[(p->shown.start + i) % PTY_OUTPUT_SIZE]);
}

void ptys_save(struct family *f, struct wr *out)
{
	uint16_t count = 0;
	for (const struct pty *p = f->ptys; p; p = p->next)
		count++;
	wr_u16(out, count);
	for (const struct pty *p = f->ptys; p; p = p->next) {
		wr_u32(out, p->number);
		wr_u8(out,
		      (uint8_t)((p->locked ? FLAG_LOCKED : 0) | (p->was_opened ? FLAG_OPENED : 0) |
		                (p->stopped ? FLAG_STOPPED : 0)));
		wr_u32(out, p->t.session);
		wr_u32(out, p->t.foreground);
		wr_u16(out, p->t.cols);
		wr_u16(out, p->t.rows);
		family_terminal_save(&p->t, out);
		save_queues(p, out);
	}
}

static enum err load_queues(struct pty *p, struct rd *in)
{
	const uint8_t *bytes;
	uint32_t size;
	TRY(rd_u16(in, &p->line.size));
	TRY(rd_bytes(in, p->line.size, &bytes));
	if (p->line.size >= TTY_LINE_MAX)
		return ERR_MALFORMED;
	memcpy(p->line.bytes, bytes, p->line.size);
	TRY(rd_u32(in, &size));
	if (size > PTY_INPUT_SIZE)
		return ERR_MALFORMED;
	TRY(rd_bytes(in, 2 * (size_t)size, &bytes));
	for (uint32_t i = 0; i < size; i++) {
		if (bytes[2 * i + 1] > (MARK_END | MARK_EOF))
			return ERR_MALFORMED;
		put_input(p, bytes[2 * i], bytes[2 * i + 1]);
	}
	TRY(rd_u32(in, &size));
	if (size > PTY_OUTPUT_SIZE)
		return ERR_MALFORMED;
	TRY(rd_bytes(in, size, &bytes));
	for (uint32_t i = 0; i < size; i++)
		put_output(p, bytes[i]);
	return ERR_OK;
}

static enum err load_pty(struct pty *p, struct rd *in)
{
	uint8_t flags;
	TRY(rd_u8(in, &flags));
	TRY(rd_u32(in, &p->t.session));
	TRY(rd_u32(in, &p->t.foreground));
	TRY(rd_u16(in, &p->t.cols));
	TRY(rd_u16(in, &p->t.rows));
	TRY(family_terminal_load(&p->t, in));
	TRY(load_queues(p, in));
	if (flags > (FLAG_LOCKED | FLAG_OPENED | FLAG_STOPPED))
		return ERR_MALFORMED;
	p->locked = flags & FLAG_LOCKED;
	p->was_opened = flags & FLAG_OPENED;
	p->stopped = flags & FLAG_STOPPED;
	take_settings(p);
	return ERR_OK;
}

enum err ptys_load(struct family *f, struct rd *in, uint32_t (*number_of)(void *ctx, uint32_t pid),
                   void *ctx)
{
	uint16_t count;
	uint32_t number;
	TRY(rd_u16(in, &count));
	for (; count; count--) {
		TRY(rd_u32(in, &number));
		for (const struct pty *p = f->ptys; p; p = p->next)
			if (p->number == number)
				return ERR_MALFORMED;
		struct pty *p = number < PTYS_MAX ? pty_alloc(f, number) : NULL;
		if (!p)
			return number < PTYS_MAX ? ERR_NOMEM : ERR_MALFORMED;
		TRY(load_pty(p, in));
		p->t.session = p->t.session ? number_of(ctx, p->t.session) : 0;
		p->t.foreground = p->t.session ? number_of(ctx, p->t.foreground) : 0;
	}
	return ERR_OK;
}

void ptys_attach(struct family *f, struct vfs_obj *o)
{
	struct end *e = end_of(o);
	for (struct pty *p = f->ptys; p && e && !e->pty; p = p->next)
		if (p->number == e->number)
			attach(p, e);
}

void ptys_settle(struct family *f)
{
	for (struct pty *p = f->ptys, *next; p; p = next) {
		next = p->next;
		settle(p);
	}
}
