/* terminal.c - ioctl: a terminal's settings, size, foreground and session, and the few calls of other files; how a read of keys waits.
 *
 * A family has one terminal of its own and any number of ptys (pty.h). In a node keys come as they are typed and become lines by the
 * settings (node/terminal/tty_line.h); of a solo run that is no terminal's the host makes lines. Output of the own terminal is as it is: a new
 * line is the business of who shows it.
 */
#include "node/wali/pty.h"
#include "node/wali/wali_state.h"

#include "base/os.h"
#include "node/sockets/socket.h"
#include "vfs/pipe.h"
#include "vfs/stream.h"

#include <string.h>

enum {
	TCGETS = 0x5401,
	TCSETS = 0x5402,
	TCSETSW = 0x5403,
	TCSETSF = 0x5404,
	TCSBRK = 0x5409,
	TCXONC = 0x540a,
	TCION = 3,
	TCFLSH = 0x540b,
	TIOCSCTTY = 0x540e,
	TIOCGPGRP = 0x540f,
	TIOCSPGRP = 0x5410,
	TIOCOUTQ = 0x5411,
	TIOCGWINSZ = 0x5413,
	TIOCSWINSZ = 0x5414,
	FIONREAD = 0x541b,
	FIONBIO = 0x5421,
	TIOCNOTTY = 0x5422,
	TIOCGSID = 0x5429,
	TIOCGPTN = 0x80045430,
	TIOCSPTLCK = 0x40045431,
	TIOCGPTPEER = 0x5441,
	FIONCLEX = 0x5450,
	FIOCLEX = 0x5451,
};
enum { TERMIOS_SIZE = 36 };
enum { ICANON = 2, TOSTOP = 0x100, VTIME = 5, VMIN = 6 };

/* ---- which terminal ---- */

/* NULL: of a pty that is no more. */
static struct family_terminal *terminal_of(struct wali *k, const struct vfs_obj *o)
{
	if (!pty_is_end(o))
		return &k->family->terminal;
	struct pty *p = pty_of(o);
	return p ? pty_terminal(p) : NULL;
}

/* ---- background: another group than the foreground's, of a process whose controlling terminal this is ---- */

static bool in_background(const struct wali *k, const struct family_terminal *t)
{
	return k->task && t->session && t->session == k->task->session &&
	       t->foreground != k->task->group;
}

static bool takes_signal(const struct wali *k, int signal)
{
	return !(k->me->blocked >> (signal - 1) & 1) && k->actions[signal].handler != SIG_IGNORE;
}

/* The whole group stops, and makes the call again in the foreground. */
static int64_t stop_group(struct wali *k, int signal)
{
	family_kill(k->family, k->task, -(int64_t)k->task->group, signal);
	return wali_block(k, true);
}

/* A change from the background stops its group first, unless the program has said that it does not mind. 0: go on. */
static int64_t may_change(struct wali *k, const struct family_terminal *t)
{
	if (!in_background(k, t) || !takes_signal(k, LINUX_SIGTTOU))
		return 0;
	return family_is_orphaned(k->family, k->task->group) ? NO(IO)
	                                                     : stop_group(k, LINUX_SIGTTOU);
}

int64_t wali_terminal_may_write(struct wali *k, const struct vfs_obj *o)
{
	const struct family_terminal *t = pty_is_master(o) ? NULL : terminal_of(k, o);
	return t && t->lflag & TOSTOP ? may_change(k, t) : 0;
}

/* ---- reading keys ---- */

/* Where the bytes that are there are counted: the slot of the call remembers how many, and until when more are waited for. */
static int64_t wait_for_keys(struct wali *k, struct vfs_obj *o, uint64_t least, uint8_t tenths)
{
	size_t there = vfs_pending(o);
	struct wali_slot *s = wali_slot(k);
	if (!s || there >= (least ? least : 1) || vfs_ready(o, VFS_READABLE) & VFS_HANGUP)
		return 0;
	bool timed = tenths && (there || !least);
	if (timed && (!s->has_until || s->progress != there)) {
		s->has_until = true;
		s->until_ns = wasi_clock_ns(k->w) + tenths * UINT64_C(100000000);
	}
	s->progress = there;
	if (timed && wasi_clock_ns(k->w) >= s->until_ns)
		return 0;
	int64_t r = there ? wali_block(k, true) : wali_block_on(k, o, VFS_READABLE);
	if (r == WALI_BLOCK && timed)
		wait_until(k->w->wait, wasi_host_time(k->w, s->until_ns));
	return r;
}

/* Without lines a read waits for VMIN bytes; with VTIME until none has come for so long. */
static int64_t raw_read(struct wali *k, struct vfs_file *f, const struct family_terminal *t,
                        uint64_t room, bool *empty)
{
	uint64_t least = t->cc[VMIN] < room ? t->cc[VMIN] : room;
	if (!t->is_pty && !k->host.tty_set)
		return 0; /* the host's terminal has settings of its own */
	if (!least && !t->cc[VTIME])
		*empty = !vfs_pending(f->obj);
	if (f->flags & VFS_NONBLOCK || (!least && !t->cc[VTIME]) || (least == 1 && !t->cc[VTIME]))
		return 0;
	int64_t r = wait_for_keys(k, f->obj, least, t->cc[VTIME]);
	if (!r)
		*empty = !vfs_pending(f->obj);
	return r;
}

int64_t wali_terminal_may_read(struct wali *k, struct vfs_file *f, uint64_t room, bool *empty)
{
	const struct family_terminal *t = pty_is_master(f->obj) ? NULL : terminal_of(k, f->obj);
	*empty = false;
	if (!t)
		return 0;
	if (in_background(k, t)) {
		if (!takes_signal(k, LINUX_SIGTTIN) ||
		    family_is_orphaned(k->family, k->task->group))
			return NO(IO);
		return stop_group(k, LINUX_SIGTTIN);
	}
	return t->lflag & ICANON ? 0 : raw_read(k, f, t, room, empty);
}

/* ---- settings ---- */

static int64_t get_settings(struct wali *k, const struct family_terminal *t, uint64_t out)
{
	uint8_t *p = wali_out(k, out, TERMIOS_SIZE);
	if (!p)
		return NO(FAULT);
	wasi_put_u32(p, t->iflag);
	wasi_put_u32(p + 4, t->oflag);
	wasi_put_u32(p + 8, t->cflag);
	wasi_put_u32(p + 12, t->lflag);
	p[16] = t->line;
	memcpy(p + 17, t->cc, sizeof t->cc);
	return 0;
}

static void settings_changed(struct wali *k, struct family_terminal *t)
{
	struct pty *p = pty_of_terminal(t);
	far_terminal_changed(k->family, t);
	if (p)
		pty_settings_changed(p);
	else if (k->host.tty_set && !k->family->terminal_at)
		k->host.tty_set(k->host.ctx, t);
}

static int64_t set_settings(struct wali *k, struct family_terminal *t, uint64_t in, bool flush)
{
	const uint8_t *p = wali_in(k, in, TERMIOS_SIZE);
	if (!p)
		return NO(FAULT);
	int64_t r = may_change(k, t);
	if (r)
		return r;
	if (flush && pty_of_terminal(t))
		pty_flush(pty_of_terminal(t), true, false);
	t->iflag = wasi_get_u32(p);
	t->oflag = wasi_get_u32(p + 4);
	t->cflag = wasi_get_u32(p + 8);
	t->lflag = wasi_get_u32(p + 12);
	t->line = p[16];
	memcpy(t->cc, p + 17, sizeof t->cc);
	settings_changed(k, t);
	return 0;
}

static int64_t get_size(struct wali *k, const struct family_terminal *t, uint64_t out)
{
	uint8_t *p = wali_out(k, out, 8);
	bool known = t->is_pty || (k->family->terminal_at && t->cols);
	uint16_t cols = known ? t->cols : 80, rows = known ? t->rows : 24;
	if (!p)
		return NO(FAULT);
	if (!t->is_pty && !k->family->terminal_at && k->host.tty_size)
		k->host.tty_size(k->host.ctx, &cols, &rows);
	memset(p, 0, 8);
	wasi_put_u16(p, rows);
	wasi_put_u16(p + 2, cols);
	return 0;
}

/* The own terminal has the size of who looks at it. */
static int64_t set_size(struct wali *k, struct family_terminal *t, uint64_t in)
{
	const uint8_t *p = wali_in(k, in, 8);
	if (!p)
		return NO(FAULT);
	uint16_t rows = (uint16_t)wasi_get_u32(p), cols = (uint16_t)(wasi_get_u32(p) >> 16);
	if (!t->is_pty || (t->rows == rows && t->cols == cols))
		return 0;
	t->rows = rows;
	t->cols = cols;
	if (t->foreground)
		family_kill(k->family, NULL, -(int64_t)t->foreground, LINUX_SIGWINCH);
	return 0;
}

/* TCIFLUSH 0, TCOFLUSH 1, TCIOFLUSH 2. */
static int64_t flush(struct family_terminal *t, uint64_t which)
{
	if (arg32(which) > 2)
		return NO(INVAL);
	if (pty_of_terminal(t))
		pty_flush(pty_of_terminal(t), arg32(which) != 1, arg32(which) != 0);
	return 0;
}

static int64_t put_number(struct wali *k, uint64_t out, uint32_t v)
{
	uint8_t *p = wali_out(k, out, 4);
	if (!p)
		return NO(FAULT);
	wasi_put_u32(p, v);
	return 0;
}

/* Whether there is such a group, in the caller's session. */
static int64_t check_group(const struct wali *k, uint32_t group)
{
	bool any = false;
	if ((int32_t)group < 0)
		return NO(INVAL);
	for (const struct task *t = k->family->tasks; t; t = t->next) {
		if (t->group == group && t->session == k->task->session)
			return 0;
		any |= t->group == group;
	}
	return any ? NO(PERM) : NO(SRCH);
}

/* ---- foreground and session ---- */

static int64_t set_foreground(struct wali *k, struct family_terminal *t, uint64_t in)
{
	const uint8_t *p = wali_in(k, in, 4);
	if (!p)
		return NO(FAULT);
	if (t->session != k->task->session)
		return NO(NOTTY);
	int64_t r = may_change(k, t);
	if (!r)
		r = check_group(k, wasi_get_u32(p));
	if (!r) {
		t->foreground = wasi_get_u32(p);
		far_terminal_changed(k->family, t);
	}
	return r;
}

static int64_t take_terminal(struct wali *k, struct family_terminal *t)
{
	if (t->session && t->session == k->task->session)
		return 0;
	if (t->session || k->task->session != k->task->pid ||
	    family_terminal_of(k->family, k->task->session))
		return NO(PERM);
	t->session = k->task->session;
	t->foreground = k->task->group;
	far_terminal_changed(k->family, t);
	return 0;
}

/* The leader's going away hangs up on its foreground. */
static int64_t give_up_terminal(struct wali *k, struct family_terminal *t)
{
	if (!t->session || t->session != k->task->session)
		return NO(NOTTY);
	if (k->task->session != k->task->pid)
		return 0;
	if (t->foreground) {
		family_kill(k->family, NULL, -(int64_t)t->foreground, LINUX_SIGHUP);
		family_kill(k->family, NULL, -(int64_t)t->foreground, LINUX_SIGCONT);
	}
	t->session = t->foreground = 0;
	far_terminal_changed(k->family, t);
	return 0;
}

void wali_terminal_opened(struct wali *k, const struct vfs_obj *o)
{
	struct family_terminal *t = pty_is_master(o) ? NULL : terminal_of(k, o);
	if (t && !t->session && k->task)
		take_terminal(k, t);
}

/* ---- ptys ---- */

static int64_t set_lock(struct wali *k, struct pty *p, uint64_t in)
{
	const uint8_t *locked = wali_in(k, in, 4);
	if (!locked)
		return NO(FAULT);
	pty_lock(p, wasi_get_u32(locked) != 0);
	return 0;
}

static int64_t open_peer(struct wali *k, struct pty *p, uint64_t flags)
{
	enum { NOCTTY = 0400 };
	struct vfs_obj *o;
	if (!fdtable_has_room(k->w->fds))
		return NO(MFILE);
	WTRY(pty_open(p, &o));
	struct vfs_file *f = wali_stream_file(o, "pts ", pty_number(p), VFS_READ | VFS_WRITE);
	if (f && !(arg32(flags) & NOCTTY))
		wali_terminal_opened(k, o);
	return f ? wali_add_file(k, f, arg32(flags)) : NO(NOMEM);
}

static int64_t master_call(struct wali *k, struct pty *p, uint32_t call, uint64_t arg)
{
	switch (call) {
	case TIOCGPTN: return put_number(k, arg, pty_number(p));
	case TIOCSPTLCK: return set_lock(k, p, arg);
	case TIOCGPTPEER: return open_peer(k, p, arg);
	default: return NO(NOTTY);
	}
}

/* ---- ioctl ---- */

static int64_t terminal_call(struct wali *k, struct vfs_obj *o, uint32_t call, uint64_t arg)
{
	struct family_terminal *t = terminal_of(k, o);
	if (!t)
		return NO(IO);
	switch (call) {
	case TCGETS: return get_settings(k, t, arg);
	case TCSETS:
	case TCSETSW:
	case TCSETSF: return set_settings(k, t, arg, call == TCSETSF);
	case TIOCGWINSZ: return get_size(k, t, arg);
	case TIOCSWINSZ: return set_size(k, t, arg);
	case TIOCSCTTY: return take_terminal(k, t);
	case TIOCNOTTY: return give_up_terminal(k, t);
	case TIOCGPGRP:
		if (t->session != k->task->session && !pty_is_master(o))
			return NO(NOTTY);
		return put_number(k, arg, t->foreground);
	case TIOCSPGRP: return set_foreground(k, t, arg);
	case TIOCGSID: return t->session ? put_number(k, arg, t->session) : NO(NOTTY);
	case TIOCOUTQ:
		return put_number(k, arg, t->is_pty ? (uint32_t)pty_unread(pty_of_terminal(t)) : 0);
	case TCFLSH: return flush(t, arg);
	case TCSBRK: return 0;
	case TCXONC: return arg32(arg) > TCION ? NO(INVAL) : 0;
	default: return pty_is_master(o) ? master_call(k, pty_of(o), call, arg) : NO(NOTTY);
	}
}

/* Bytes that can be read at once: of a file what is left of it, of a pipe what it holds. */
static int64_t readable(struct wali *k, const struct fd_entry *e, uint64_t out)
{
	struct vfs_stat st = {0};
	const struct vfs_file *f = e->file;
	if (vfs_is_socket(f->obj))
		st.size_bytes = socket_waiting_bytes(f->obj);
	else if (wali_is_terminal(f->obj))
		st.size_bytes = vfs_pending(f->obj);
	else if (vfs_stat(f->obj, &st) != FE_OK)
		return NO(IO);
	if (vfs_has_offset(f->obj))
		st.size_bytes -= f->offset < st.size_bytes ? f->offset : st.size_bytes;
	return put_number(k, out, st.size_bytes < INT32_MAX ? (uint32_t)st.size_bytes : INT32_MAX);
}

static int64_t set_nonblock(struct wali *k, struct fd_entry *e, uint64_t in)
{
	const uint8_t *p = wali_in(k, in, 4);
	if (!p)
		return NO(FAULT);
	e->file->flags &= ~(unsigned)VFS_NONBLOCK;
	e->file->flags |= wasi_get_u32(p) ? VFS_NONBLOCK : 0;
	return 0;
}

int64_t wali_ioctl(struct wali *k, const uint64_t *a)
{
	struct fd_entry *e;
	WTRY(wali_fd(k, a[0], &e));
	switch (arg32(a[1])) {
	case FIONREAD: return readable(k, e, a[2]);
	case FIONBIO: return set_nonblock(k, e, a[2]);
	case FIONCLEX:
	case FIOCLEX: e->cloexec = arg32(a[1]) == FIOCLEX; return 0;
	default: break;
	}
	return wali_is_terminal(e->file->obj) ? terminal_call(k, e->file->obj, arg32(a[1]), a[2])
	                                      : NO(NOTTY);
}
