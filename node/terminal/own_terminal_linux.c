/* own_terminal_linux.c - own_terminal.h on Linux and Android: termios, a thread that reads keys, and one for signals. */
#include "node/terminal/own_terminal.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

struct own_terminal {
	void (*on_keys)(void *ctx, const uint8_t *bytes, size_t size);
	void *ctx;
	atomic_bool raw;
	struct termios before; /* while raw */
	pthread_t keys, signals;
	int end[2];       /* a pipe whose closing ends the thread of keys */
	int over[2];      /* the same of the thread of signals */
	sigset_t blocked; /* before */
	int signal_fd;
	bool has_signals;
};

bool own_terminal_is_there(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

/* ---- signals ---- */

static void leave_screen(void)
{
	static const char off[] = OWN_TERMINAL_OFF;

	if (write(STDOUT_FILENO, off, sizeof(off) - 1) < 0)
		return; /* nobody looks at it any more */
}

static void make_raw(struct own_terminal *t)
{
	struct termios raw = t->before;

	cfmakeraw(&raw);
	raw.c_oflag = t->before.c_oflag;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

/* Ends this program as the signal would have done. */
static void end_by(struct own_terminal *t, int number)
{
	sigset_t one;

	if (atomic_load(&t->raw)) {
		leave_screen();
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &t->before);
	}
	signal(number, SIG_DFL);
	sigemptyset(&one);
	sigaddset(&one, number);
	kill(getpid(), number);
	pthread_sigmask(SIG_UNBLOCK, &one, NULL);
}

static void *signals_thread(void *arg)
{
	struct own_terminal *t = arg;
	struct pollfd fds[2] = {{.fd = t->signal_fd, .events = POLLIN},
	                        {.fd = t->over[0], .events = POLLIN}};
	struct signalfd_siginfo info;

	while (poll(fds, 2, -1) >= 0 && fds[1].revents == 0) {
		if (read(t->signal_fd, &info, sizeof(info)) != sizeof(info))
			break;
		if (info.ssi_signo != SIGCONT)
			end_by(t, (int)info.ssi_signo);
		else if (atomic_load(&t->raw)) /* whoever went on with us has set the terminal */
			make_raw(t);
	}
	return NULL;
}

static void watch_signals(struct own_terminal *t)
{
	static const int numbers[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGCONT};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		sigaddset(&set, numbers[i]);
	if (pipe(t->over) != 0)
		return;
	pthread_sigmask(SIG_BLOCK, &set, &t->blocked);
	t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	t->has_signals =
	    t->signal_fd >= 0 && pthread_create(&t->signals, NULL, signals_thread, t) == 0;
	if (!t->has_signals)
		pthread_sigmask(SIG_SETMASK, &t->blocked, NULL);
}

static void unwatch_signals(struct own_terminal *t)
{
	if (!t->has_signals)
		return;
	close(t->over[1]);
	pthread_join(t->signals, NULL);
	close(t->over[0]);
	close(t->signal_fd);
	t->has_signals = false;
	pthread_sigmask(SIG_SETMASK, &t->blocked, NULL);
}

/* ---- life, keys ---- */

struct own_terminal *own_terminal_new(void (*on_keys)(void *ctx, const uint8_t *bytes, size_t size),
                                      void *ctx)
{
	struct own_terminal *t = calloc(1, sizeof(*t));

	if (t != NULL) {
		t->on_keys = on_keys;
		t->ctx = ctx;
	}
	return t;
}

void own_terminal_free(struct own_terminal *t)
{
	if (t != NULL)
		own_terminal_raw(t, false);
	free(t);
}

static void *keys_thread(void *arg)
{
	struct own_terminal *t = arg;
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
	                        {.fd = t->end[0], .events = POLLIN}};
	uint8_t bytes[256];
	ssize_t got;

	while (poll(fds, 2, -1) >= 0 && fds[1].revents == 0) {
		if ((got = read(STDIN_FILENO, bytes, sizeof(bytes))) <= 0)
			break;
		t->on_keys(t->ctx, bytes, (size_t)got);
	}
	return NULL;
}

static void raw_on(struct own_terminal *t)
{
	if (tcgetattr(STDIN_FILENO, &t->before) != 0 || pipe(t->end) != 0)
		return;
	watch_signals(t);
	atomic_store(&t->raw, true);
	make_raw(t);
	if (pthread_create(&t->keys, NULL, keys_thread, t) == 0)
		return;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &t->before);
	atomic_store(&t->raw, false);
	unwatch_signals(t);
}

static void raw_off(struct own_terminal *t)
{
	close(t->end[1]);
	pthread_join(t->keys, NULL);
	close(t->end[0]);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &t->before);
	atomic_store(&t->raw, false);
	unwatch_signals(t);
}

void own_terminal_raw(struct own_terminal *t, bool raw)
{
	if (raw && !atomic_load(&t->raw))
		raw_on(t);
	else if (!raw && atomic_load(&t->raw))
		raw_off(t);
}

size_t own_terminal_write(struct own_terminal *t, const void *bytes, size_t size)
{
	ssize_t n = write(STDOUT_FILENO, bytes, size);

	return n > 0 ? (size_t)n : 0;
}

void own_terminal_size(struct own_terminal *t, uint16_t *columns, uint16_t *rows)
{
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0) {
		*columns = w.ws_col;
		*rows = w.ws_row;
	}
}

void own_terminal_exit(struct own_terminal *t, int status)
{
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &t->before);
	_exit(status);
}
