/* terminal.c - one poll loop over the node, standard input and signals.
 *
 * Line mode is the local terminal's own (echo, erase, ^D, ^C as a signal); only ^P and ^Q are made line ends, so
 * that the detach keys arrive at once. Raw mode passes every key. At most WINDOW bytes of input are under way. */
#include "shell/terminal.h"

#include "shell/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

enum { WINDOW = 64 * 1024, KEY_P = 'P' & 31, KEY_Q = 'Q' & 31 };

struct session {
	struct shell *shell;
	struct client *client;
	unsigned flags;
	int signal_fd;
	bool is_terminal; /* standard input is one, and it is ours to change */
	bool input_over;  /* nothing more will be read */
	bool held_p;      /* ^P was typed and not passed on yet */
	bool detached, raw, interrupted;
	size_t under_way; /* input bytes the guest has not taken */
	uint64_t pid;
	struct termios before;
	int status;
};

/* Colours, keyboard and mouse reports off, cursor on, the screen from before (xterm's control sequences). */
static const char screen_off[] = "\x1b[0m\x1b[<u\x1b[?1006l\x1b[?1000l\x1b[?25h\x1b[?1049l";

static void write_all(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);
		if (n < 0 && errno == EAGAIN)
			poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
		else if (n < 0 && errno != EINTR)
			return;
		else if (n > 0) {
			bytes += n;
			size -= (size_t)n;
		}
	}
}

/* ---- the local terminal ---- */

static void set_mode(struct session *s, bool raw)
{
	struct termios t = s->before;
	if (!s->is_terminal)
		return;
	if (raw) {
		cfmakeraw(&t);
		t.c_oflag = s->before.c_oflag; /* the guest writes \n and means a new line */
	} else {
		t.c_iflag &= ~(tcflag_t)IXON;
		t.c_cc[VEOL] = KEY_P;
		t.c_cc[VEOL2] = KEY_Q;
	}
	tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
	s->raw = raw;
}

static void open_terminal(struct session *s)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGCONT);
	if (!(s->flags & TERMINAL_FOLLOW)) {
		sigaddset(&set, SIGINT);
		sigaddset(&set, SIGTERM);
		sigaddset(&set, SIGHUP);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->is_terminal = !(s->flags & TERMINAL_FOLLOW) && isatty(STDIN_FILENO) &&
	                 tcgetattr(STDIN_FILENO, &s->before) == 0 &&
	                 tcgetpgrp(STDIN_FILENO) == getpgrp();
	set_mode(s, false);
}

static void close_terminal(struct session *s)
{
	/* A screen that was drawn here is left behind when we leave first. */
	if (s->raw && isatty(STDOUT_FILENO))
		write_all(STDOUT_FILENO, screen_off, sizeof screen_off - 1);
	if (s->is_terminal)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &s->before);
	close(s->signal_fd);
}

static bool window_size(struct winsize *w)
{
	for (int fd = 0; fd < 3; fd++)
		if (ioctl(fd, TIOCGWINSZ, w) == 0 && w->ws_col && w->ws_row)
			return true;
	return false;
}

void terminal_put_size(struct client *c)
{
	struct winsize w;
	if (!window_size(&w))
		return;
	client_put_u64(c, "cols", w.ws_col);
	client_put_u64(c, "rows", w.ws_row);
}

/* ---- to the guest ---- */

static void input(struct session *s, const char *name)
{
	control_map_text(&s->client->request, "input", name);
}

static bool send_input(struct session *s)
{
	return client_encode(s->client) == 0 && client_flush(s->client) == 0;
}

static bool send_bytes(struct session *s, const char *bytes, size_t size)
{
	if (!size)
		return true;
	input(s, "bytes");
	client_put_bytes(s->client, "data", bytes, size);
	s->under_way += size;
	return send_input(s);
}

/* Takes the detach keys out of what was typed. Room for one byte more than size. */
static size_t look_for_detach(struct session *s, const char *in, size_t size, char *out)
{
	size_t n = 0;
	for (size_t i = 0; i < size && !s->detached; i++) {
		if (s->held_p && in[i] == KEY_Q) {
			s->detached = true;
			continue;
		}
		if (s->held_p)
			out[n++] = KEY_P;
		s->held_p = in[i] == KEY_P;
		if (!s->held_p)
			out[n++] = in[i];
	}
	return n;
}

static bool read_input(struct session *s)
{
	char buf[32768], out[32768 + 1];
	size_t room = WINDOW - s->under_way;
	ssize_t n = read(STDIN_FILENO, buf, room < sizeof buf ? room : sizeof buf);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0) {
		/* ^D at a terminal is one end of file; a pipe's is for good. */
		s->input_over = !s->is_terminal || n < 0;
		input(s, "eof");
		return send_input(s);
	}
	if (!s->is_terminal)
		return send_bytes(s, buf, (size_t)n);
	size_t size = look_for_detach(s, buf, (size_t)n, out);
	if (!send_bytes(s, out, size))
		return false;
	if (!s->detached)
		return true;
	input(s, "detach");
	return send_input(s);
}

static bool on_signal(struct session *s, int signum)
{
	struct winsize w;
	if (signum == SIGWINCH || signum == SIGCONT) {
		if (signum == SIGCONT)
			set_mode(s, s->raw);
		if (!window_size(&w))
			return true;
		input(s, "size");
		terminal_put_size(s->client);
		return send_input(s);
	}
	if (s->flags & TERMINAL_ATTACHED && signum != SIGINT) {
		input(s, "detach");
		return send_input(s);
	}
	if (s->interrupted) { /* the node does not answer */
		s->status = 128 + signum;
		return false;
	}
	s->interrupted = true;
	input(s, "signal");
	client_put_u64(s->client, "signal", (uint64_t)signum);
	return send_input(s);
}

static bool read_signals(struct session *s)
{
	struct signalfd_siginfo info;
	while (read(s->signal_fd, &info, sizeof info) == sizeof info)
		if (!on_signal(s, (int)info.ssi_signo))
			return false;
	return true;
}

/* ---- from the guest ---- */

static void on_exit_row(struct session *s, uint64_t status)
{
	const char *state = row_str(s->client, "state"), *text = row_str(s->client, "text");
	s->status = (int)status;
	if (s->flags & TERMINAL_FOLLOW) {
		s->status = 0;
		return;
	}
	if (state && !strcmp(state, "trapped"))
		shell_fail(s->shell, "the program trapped: %s", text ? text : "");
	else if (state && !strcmp(state, "failed"))
		shell_fail(s->shell, "%s", text ? text : "the program failed");
	else if (state && !strcmp(state, "killed") && status == 137)
		shell_fail(s->shell, "process %llu was killed", (unsigned long long)s->pid);
}

static void on_row(struct session *s)
{
	size_t size;
	uint64_t n;
	const char *bytes = row_bytes(s->client, "out", &size);
	if (bytes)
		write_all(STDOUT_FILENO, bytes, size);
	bytes = row_bytes(s->client, "err", &size);
	if (bytes)
		write_all(STDERR_FILENO, bytes, size);
	if (row_u64(s->client, "took", &n))
		s->under_way -= n < s->under_way ? n : s->under_way;
	if (control_values_find(&s->client->row, "raw"))
		set_mode(s, row_flag(s->client, "raw"));
	if (row_u64(s->client, "pid", &n))
		s->pid = n;
	if (row_u64(s->client, "exit", &n))
		on_exit_row(s, n);
	if (row_flag(s->client, "detached"))
		s->detached = true;
}

/* False: it is over. */
static bool read_rows(struct session *s)
{
	if (!client_read(s->client)) {
		s->status = shell_fail(s->shell, "the node in %s went away; %s/log may say why",
		                       s->shell->home, s->shell->home);
		return false;
	}
	for (;;) {
		int n = client_take(s->client), end;
		if (n == 0)
			return true;
		if (n > 0 && !client_is_end(s->client, &end)) {
			on_row(s);
			continue;
		}
		if (n < 0 || end)
			s->status = n < 0 ? 1 : end;
		return false;
	}
}

static bool poll_once(struct session *s)
{
	bool reads = !s->input_over && !s->detached && !(s->flags & TERMINAL_FOLLOW) &&
	             s->under_way < WINDOW;
	struct pollfd fds[3] = {{.fd = s->client->fd, .events = POLLIN},
	                        {.fd = s->signal_fd, .events = POLLIN},
	                        {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN}};
	if (poll(fds, 3, -1) < 0)
		return errno == EINTR;
	if (fds[0].revents && !read_rows(s))
		return false;
	if (fds[1].revents && !read_signals(s))
		return false;
	/* A write that fails means that the node is gone; reading says so, and has what it said last. */
	if (fds[2].revents && !read_input(s))
		s->input_over = true;
	return true;
}

int terminal_session(struct shell *sh, struct client *c, unsigned flags)
{
	struct session s = {.shell = sh, .client = c, .flags = flags, .signal_fd = -1};
	if (client_encode(c) != 0 || client_flush(c) != 0) {
		client_close(c);
		return 1;
	}
	open_terminal(&s);
	while (poll_once(&s))
		;
	close_terminal(&s);
	if (s.detached && !s.status && isatty(STDERR_FILENO))
		fprintf(stderr, "\r\n[detached; `wasmos attach %llu` comes back]\n",
		        (unsigned long long)s.pid);
	client_close(c);
	return s.status;
}
