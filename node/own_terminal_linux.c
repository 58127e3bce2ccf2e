/* own_terminal_linux.c - own_terminal.h on Linux and Android: termios, and a thread that reads keys. */
#include "node/own_terminal.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

struct own_terminal {
	void (*on_keys)(void *ctx, const uint8_t *bytes, size_t size);
	void *ctx;
	bool raw;
	struct termios before; /* while raw */
	pthread_t keys;
	int end[2]; /* a pipe whose closing ends the thread */
};

bool own_terminal_is_there(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

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
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &t->before) != 0 || pipe(t->end) != 0)
		return;
	raw = t->before;
	cfmakeraw(&raw);
	raw.c_oflag = t->before.c_oflag;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	t->raw = pthread_create(&t->keys, NULL, keys_thread, t) == 0;
	if (!t->raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &t->before);
}

static void raw_off(struct own_terminal *t)
{
	close(t->end[1]);
	pthread_join(t->keys, NULL);
	close(t->end[0]);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &t->before);
	t->raw = false;
}

void own_terminal_raw(struct own_terminal *t, bool raw)
{
	if (raw && !t->raw)
		raw_on(t);
	else if (!raw && t->raw)
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
