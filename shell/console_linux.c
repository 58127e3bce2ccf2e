/* console_linux.c - console.h on Linux and Android: termios, signalfd, poll.
 *
 * Line mode is the terminal's own (echo, erase, ^D, ^C as a signal); only ^P and ^Q are made line ends. */
#include "shell/console.h"

#include "node/control/door.h"
#include "node/terminal/own_terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

enum { KEY_P = 'P' & 31, KEY_Q = 'Q' & 31 };

struct console {
	int signal_fd;
	bool types, raw;
	struct termios before;
};

static const char screen_off[] = OWN_TERMINAL_OFF;

bool console_is_terminal(int stream)
{
	return isatty(stream);
}

bool console_size(uint16_t *cols, uint16_t *rows)
{
	struct winsize w;
	for (int fd = 0; fd < 3; fd++)
		if (ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col && w.ws_row) {
			*cols = w.ws_col;
			*rows = w.ws_row;
			return true;
		}
	return false;
}

void console_write(int stream, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(stream, bytes, size);
		if (n < 0 && errno == EAGAIN)
			poll(&(struct pollfd){.fd = stream, .events = POLLOUT}, 1, -1);
		else if (n < 0 && errno != EINTR)
			return;
		else if (n > 0) {
			bytes += n;
			size -= (size_t)n;
		}
	}
}

void console_show(struct console *c, int stream, const char *bytes, size_t size)
{
	console_write(stream, bytes, size);
}

void console_set_raw(struct console *c, bool raw)
{
	struct termios t = c->before;
	if (!c->types)
		return;
	if (raw) {
		cfmakeraw(&t);
		t.c_oflag = c->before.c_oflag; /* the guest writes \n and means a new line */
	} else {
		t.c_iflag &= ~(tcflag_t)IXON;
		t.c_cc[VEOL] = KEY_P;
		t.c_cc[VEOL2] = KEY_Q;
	}
	tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
	c->raw = raw;
}

static int watch_signals(bool joins)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGCONT);
	if (joins)
		sigaddset(&set, SIGTSTP);
	if (joins) {
		sigaddset(&set, SIGINT);
		sigaddset(&set, SIGTERM);
		sigaddset(&set, SIGHUP);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

struct console *console_open(bool joins)
{
	struct console *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->signal_fd = watch_signals(joins);
	c->types = joins && isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &c->before) == 0 &&
	           tcgetpgrp(STDIN_FILENO) == getpgrp();
	console_set_raw(c, false);
	return c;
}

void console_close(struct console *c)
{
	if (c->raw && isatty(STDOUT_FILENO))
		console_write(STDOUT_FILENO, screen_off, sizeof screen_off - 1);
	if (c->types)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &c->before);
	close(c->signal_fd);
	free(c);
}

bool console_types(const struct console *c)
{
	return c->types;
}

unsigned console_wait(struct console *c, const struct wire *node, bool reads)
{
	struct pollfd fds[3] = {{.fd = node ? (int)wire_waitable(node) : -1, .events = POLLIN},
	                        {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN},
	                        {.fd = c->signal_fd, .events = POLLIN}};
	if (poll(fds, 3, -1) < 0)
		return errno == EINTR ? 0 : CONSOLE_BROKEN;
	return (fds[0].revents ? CONSOLE_NODE : 0u) | (fds[1].revents ? CONSOLE_INPUT : 0u) |
	       (fds[2].revents ? CONSOLE_EVENT : 0u);
}

long console_read(struct console *c, void *buf, size_t size)
{
	ssize_t n = read(STDIN_FILENO, buf, size);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? CONSOLE_NOTHING : CONSOLE_GONE;
	return n;
}

/* ^Z: the shell gets its terminal back as it was. What runs goes on; SIGCONT follows. */
static void stand_still(struct console *c)
{
	if (c->types)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &c->before);
	raise(SIGSTOP);
}

int console_event(struct console *c)
{
	struct signalfd_siginfo info;
	if (read(c->signal_fd, &info, sizeof info) != sizeof info)
		return 0;
	switch (info.ssi_signo) {
	case SIGTSTP: stand_still(c); return 0;
	case SIGCONT: console_set_raw(c, c->raw); return CONSOLE_RESIZED;
	case SIGWINCH: return CONSOLE_RESIZED;
	case SIGHUP: return CONSOLE_HANGUP;
	case SIGINT: return CONSOLE_INTERRUPT;
	default: return CONSOLE_TERMINATE;
	}
}
