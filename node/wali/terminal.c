/* terminal.c - ioctl: the terminal's settings, size and foreground, and the few calls of other files.
 *
 * A family has one terminal. In a node keys come as they are typed and become lines by these settings (node/tty_line.h); of a solo
 * run the host's terminal makes lines, whatever the settings are. Output is as it is: a new line is the terminal's business.
 */
#include "node/wali/wali_state.h"

#include "vfs/pipe.h"

#include <string.h>

enum {
	TCGETS = 0x5401,
	TCSETS = 0x5402,
	TCSETSW = 0x5403,
	TCSETSF = 0x5404,
	TCSBRK = 0x5409,
	TCXONC = 0x540a,
	TCFLSH = 0x540b,
	TIOCSCTTY = 0x540e,
	TIOCGPGRP = 0x540f,
	TIOCSPGRP = 0x5410,
	TIOCGWINSZ = 0x5413,
	TIOCSWINSZ = 0x5414,
	FIONREAD = 0x541b,
	FIONBIO = 0x5421,
	TIOCNOTTY = 0x5422,
	TIOCGSID = 0x5429,
	FIONCLEX = 0x5450,
	FIOCLEX = 0x5451,
};
enum { TERMIOS_SIZE = 36 };

static int64_t get_settings(struct wali *k, uint64_t out)
{
	const struct family_terminal *t = &k->family->terminal;
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

static int64_t set_settings(struct wali *k, uint64_t in)
{
	struct family_terminal *t = &k->family->terminal;
	const uint8_t *p = wali_in(k, in, TERMIOS_SIZE);
	if (!p)
		return NO(FAULT);
	t->iflag = wasi_get_u32(p);
	t->oflag = wasi_get_u32(p + 4);
	t->cflag = wasi_get_u32(p + 8);
	t->lflag = wasi_get_u32(p + 12);
	t->line = p[16];
	memcpy(t->cc, p + 17, sizeof t->cc);
	if (k->host.tty_set)
		k->host.tty_set(k->host.ctx, t);
	return 0;
}

static int64_t get_size(struct wali *k, uint64_t out)
{
	uint8_t *p = wali_out(k, out, 8);
	uint16_t cols = 80, rows = 24;
	if (!p)
		return NO(FAULT);
	if (k->host.tty_size)
		k->host.tty_size(k->host.ctx, &cols, &rows);
	memset(p, 0, 8);
	wasi_put_u16(p, rows);
	wasi_put_u16(p + 2, cols);
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

static bool has_group(const struct wali *k, uint32_t group)
{
	for (const struct task *t = k->family->tasks; t; t = t->next)
		if (t->group == group && t->session == k->task->session)
			return true;
	return false;
}

/* Of the background it is stopped first, unless it ignores or blocks that. */
static int64_t set_foreground(struct wali *k, uint64_t in)
{
	struct family_terminal *t = &k->family->terminal;
	const uint8_t *p = wali_in(k, in, 4);
	uint64_t bit = UINT64_C(1) << (LINUX_SIGTTOU - 1);
	if (!p)
		return NO(FAULT);
	if (t->session != k->task->session)
		return NO(NOTTY);
	if (!has_group(k, wasi_get_u32(p)))
		return NO(PERM);
	if (t->foreground != k->task->group && !(k->blocked & bit) &&
	    k->actions[LINUX_SIGTTOU].handler != SIG_IGNORE) {
		family_kill(k->family, k->task, -(int64_t)k->task->group, LINUX_SIGTTOU);
		return wali_block(k, true);
	}
	t->foreground = wasi_get_u32(p);
	return 0;
}

static int64_t take_terminal(struct wali *k)
{
	struct family_terminal *t = &k->family->terminal;
	if (t->session == k->task->session)
		return 0;
	if (t->session || k->task->session != k->task->pid)
		return NO(PERM);
	t->session = k->task->session;
	t->foreground = k->task->group;
	return 0;
}

static int64_t give_up_terminal(struct wali *k)
{
	struct family_terminal *t = &k->family->terminal;
	if (t->session != k->task->session)
		return NO(NOTTY);
	if (k->task->session == k->task->pid)
		t->session = t->foreground = 0;
	return 0;
}

static int64_t terminal_call(struct wali *k, uint32_t call, uint64_t arg)
{
	const struct family_terminal *t = &k->family->terminal;
	switch (call) {
	case TCGETS: return get_settings(k, arg);
	case TCSETS:
	case TCSETSW:
	case TCSETSF: return set_settings(k, arg);
	case TIOCGWINSZ: return get_size(k, arg);
	case TIOCSCTTY: return take_terminal(k);
	case TIOCNOTTY: return give_up_terminal(k);
	case TIOCGPGRP:
		if (t->session != k->task->session)
			return NO(NOTTY);
		return put_number(k, arg, t->foreground);
	case TIOCSPGRP: return set_foreground(k, arg);
	case TIOCGSID: return put_number(k, arg, t->session);
	case TIOCSWINSZ:
	case TCSBRK:
	case TCXONC:
	case TCFLSH: return 0;
	default: return NO(INVAL);
	}
}

/* Bytes that can be read at once: of a file what is left of it, of a pipe what it holds. */
static int64_t readable(struct wali *k, const struct fd_entry *e, uint64_t out)
{
	struct vfs_stat st = {0};
	const struct vfs_file *f = e->file;
	if (vfs_stat(f->obj, &st) != FE_OK)
		st.size_bytes = vfs_ready(f->obj, VFS_READABLE) & VFS_READABLE ? 1 : 0;
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
	return wali_is_terminal(e->file->obj) ? terminal_call(k, arg32(a[1]), a[2]) : NO(NOTTY);
}
