/* solo_screen.c - drivers for one program in the caller's own process and terminal. */
#include "node/solo/solo_screen.h"

#include "base/os.h"
#include "node/terminal/own_terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct solo_screen {
	struct hosts *hosts;
	struct drivers *drivers;
	struct os_wake *wake;
	uint64_t (*clock_ns)(void *ctx); /* the guest's monotonic clock now */
	void *ctx;
	bool frame_hash;
	struct own_terminal *terminal; /* NULL: there is none */
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

/* What is typed goes to the display. */
static void on_keys(void *ctx, const uint8_t *bytes, size_t size)
{
	struct solo_screen *s = ctx;

	drivers_tty_input(s->drivers, bytes, size);
}

static void set_raw(void *ctx, bool raw)
{
	struct solo_screen *s = ctx;

	own_terminal_raw(s->terminal, raw);
}

static size_t write_out(void *ctx, const uint8_t *bytes, size_t size)
{
	struct solo_screen *s = ctx;

	return own_terminal_write(s->terminal, bytes, size);
}

static bool get_size(void *ctx, uint16_t *columns, uint16_t *rows)
{
	struct solo_screen *s = ctx;

	own_terminal_size(s->terminal, columns, rows);
	return true;
}

/* ^C twice: as the terminal would have done, had it been asked. */
static void interrupted(void *ctx)
{
	struct solo_screen *s = ctx;
	static const char leave[] = "\x1b[0m\x1b[<u\x1b[?1006l\x1b[?1000l\x1b[?25h\x1b[?1049l";

	own_terminal_write(s->terminal, leave, sizeof(leave) - 1);
	own_terminal_exit(s->terminal, 130);
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
	if (own_terminal_is_there() && !(s->terminal = own_terminal_new(on_keys, s)))
		return err_set(msg, ERR_NOMEM, "out of memory");
	if (s->terminal != NULL)
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
		own_terminal_free(s->terminal);
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
	own_terminal_free(s->terminal);
	hosts_free(s->hosts);
	free(s);
}

struct drivers *solo_screen_drivers(struct solo_screen *s)
{
	return s->drivers;
}
