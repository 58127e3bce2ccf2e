/* solo_screen.c - drivers for one program in the caller's own process and terminal. */
#include "node/solo_screen.h"

#include "base/os.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

struct solo_screen {
	struct hosts *hosts;
	struct drivers *drivers;
	struct os_wake *wake;
	uint64_t (*clock_ns)(void *ctx); /* the guest's monotonic clock now */
	void *ctx;
	bool frame_hash;
	/* while the display is drawn in the terminal: */
	bool raw;
	struct termios before;
	pthread_t keys;
	int end[2]; /* a pipe whose closing ends the thread */
};

static void on_poke(void *ctx)
{
	struct solo_screen *s = ctx;

	os_wake_post(s->wake);
}

static uint64_t host_time(void *ctx, uint64_t guest_ns)
{
	struct solo_screen *s = ctx;
	uint64_t now_ns = os_monotonic_ns(), guest_now_ns = s->clock_ns(s->ctx);

	if (guest_ns <= guest_now_ns)
		return now_ns;
	guest_ns -= guest_now_ns;
	return guest_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + guest_ns;
}

/* ---- the terminal ---- */

/* What is typed goes to the display until the pipe closes. */
static void *keys_thread(void *arg)
{
	struct solo_screen *s = arg;
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
	                        {.fd = s->end[0], .events = POLLIN}};
	uint8_t bytes[256];
	ssize_t got;

	while (poll(fds, 2, -1) >= 0 && fds[1].revents == 0) {
		if ((got = read(STDIN_FILENO, bytes, sizeof(bytes))) <= 0)
			break;
		drivers_tty_input(s->drivers, bytes, (size_t)got);
	}
	return NULL;
}

static void raw_on(struct solo_screen *s)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &s->before) != 0 || pipe(s->end) != 0)
		return;
	t = s->before;
	cfmakeraw(&t);
	t.c_oflag = s->before.c_oflag;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
	s->raw = pthread_create(&s->keys, NULL, keys_thread, s) == 0;
	if (!s->raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &s->before);
}

static void raw_off(struct solo_screen *s)
{
	close(s->end[1]);
	pthread_join(s->keys, NULL);
	close(s->end[0]);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &s->before);
	s->raw = false;
}

static void set_raw(void *ctx, bool raw)
{
	struct solo_screen *s = ctx;

	if (raw && !s->raw)
		raw_on(s);
	else if (!raw && s->raw)
		raw_off(s);
}

static size_t write_out(void *ctx, const uint8_t *bytes, size_t size)
{
	ssize_t n = write(STDOUT_FILENO, bytes, size);

	return n > 0 ? (size_t)n : 0;
}

static bool get_size(void *ctx, uint16_t *columns, uint16_t *rows)
{
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0) {
		*columns = w.ws_col;
		*rows = w.ws_row;
	}
	return true;
}

/* ^C twice: as the terminal would have done, had it been asked. */
static void interrupted(void *ctx)
{
	struct solo_screen *s = ctx;
	static const char leave[] = "\x1b[0m\x1b[<u\x1b[?1006l\x1b[?1000l\x1b[?25h\x1b[?1049l";

	(void)!write(STDOUT_FILENO, leave, sizeof(leave) - 1);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &s->before);
	_exit(130);
}

/* ---- life ---- */

static enum err configure(struct solo_screen *s, const struct process_config *cfg,
                          struct wait *wait, struct errmsg *msg)
{
	struct drivers_config d = {
	    .hosts = s->hosts,
	    .name = cfg->name != NULL ? cfg->name : cfg->argv[0],
	    .wait = wait,
	    .poke = on_poke,
	    .host_time_ns = host_time,
	    .ctx = s,
	    .frame_hash = cfg->display.frame_hash,
	    .unpaced = cfg->display.unpaced,
	};

	if (!screen_kind_parse(cfg->display.display, &d.screen))
		return err_set(msg, ERR_INVALID, "there is no display called \"%s\"",
		               cfg->display.display);
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		d.tty = (struct host_tty){.write = write_out,
		                          .size = get_size,
		                          .set_raw = set_raw,
		                          .interrupt = interrupted,
		                          .ctx = s};
	return drivers_new(&d, &s->drivers);
}

enum err solo_screen_new(const struct process_config *cfg, struct wait *wait, struct os_wake *wake,
                         uint64_t (*clock_ns)(void *ctx), void *ctx, struct solo_screen **out,
                         struct errmsg *msg)
{
	struct solo_screen *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ERR_NOMEM;
	*s = (struct solo_screen){
	    .wake = wake, .clock_ns = clock_ns, .ctx = ctx, .frame_hash = cfg->display.frame_hash};
	enum err e = hosts_new(&(struct hosts_config){0}, &s->hosts);
	if (e == ERR_OK)
		e = configure(s, cfg, wait, msg);
	if (e != ERR_OK) {
		hosts_free(s->hosts);
		free(s);
		return e;
	}
	*out = s;
	return ERR_OK;
}

static void tell_frames(struct solo_screen *s)
{
	struct drivers_stats st;

	drivers_stats(s->drivers, &st);
	fprintf(stderr, "wasmos: %llu frames, hash ", (unsigned long long)st.frames);
	for (size_t i = 0; i < sizeof(st.hash); i++)
		fprintf(stderr, "%02x", st.hash[i]);
	fprintf(stderr, "\n");
}

void solo_screen_free(struct solo_screen *s)
{
	if (s == NULL)
		return;
	if (s->frame_hash)
		tell_frames(s);
	drivers_free(s->drivers);
	hosts_free(s->hosts);
	free(s);
}

struct drivers *solo_screen_drivers(struct solo_screen *s)
{
	return s->drivers;
}
