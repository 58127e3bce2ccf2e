/* host.h - host halves: the devices on which a process's panel is seen and heard.
 *
 * One table, struct host_ops, one file each: host_sdl2.c (a window), host_terminal.c (half blocks),
 * host_client.c (a connected client), host_headless.c (nothing). A node has one struct hosts; it starts a host half's service (a thread,
 * a library) when it is first needed. A view is one panel shown by one host half; it holds a
 * reference on its panel, so that a window can outlive its process for the moment of a move.
 *
 * All functions here may be called from any thread and do not wait for a screen.
 *
 *	struct hosts *hosts;
 *	TRY(hosts_new(&(struct hosts_config){.device = "laptop"}, &hosts));
 *	TRY(view_open(hosts, SCREEN_AUTO, NULL, panel, &view, &msg));
 */
#pragma once

#include "base/err.h"
#include "node/drivers/panel.h"

enum screen_kind {
	SCREEN_AUTO, /* a window when there is a display server, else the terminal, else headless */
	SCREEN_SDL2,
	SCREEN_TERMINAL,
	SCREEN_HEADLESS,
};

/* "auto", "sdl" or "sdl2", "terminal", "headless"; NULL is auto. False for other names. */
bool screen_kind_parse(const char *name, enum screen_kind *out);

/* A terminal that someone looks at, as a byte stream. The functions are called on the host half's
 * thread and must not block for long; ctx outlives the view. */
struct host_tty {
	/* Returns how many bytes found room; the rest is offered again a few ms later, and frames that
	 * come meanwhile are skipped. */
	size_t (*write)(void *ctx, const uint8_t *bytes, size_t size);
	/* Cells; 0 when unknown (then 80 x 24). False: nobody looks now; all is drawn anew when someone
	 * does. */
	bool (*size)(void *ctx, uint16_t *columns, uint16_t *rows);
	/* Keys are to arrive as they are typed (or, false, as before). May be NULL. */
	void (*set_raw)(void *ctx, bool raw);
	/* The person insists on leaving: ^C twice. May be NULL. */
	void (*interrupt)(void *ctx);
	void *ctx;
	bool colours_256; /* no 24-bit colour */
};

struct hosts_config {
	const char *device; /* shown in titles: "DOOM - laptop". Copied */
};

struct hosts;
enum err hosts_new(const struct hosts_config *cfg, struct hosts **out);
/* All views are closed. Joins the services' threads. */
void hosts_free(struct hosts *h);

/* Could a window be shown here? */
bool hosts_have_window(void);
/* Starts the service of windows ahead of need, on a thread of its own, when there is a display: a process is about to
 * arrive. Again is nothing. */
void hosts_warm(struct hosts *h, enum screen_kind kind);

struct view;
/* Shows the panel; takes its own reference on it. tty is needed for SCREEN_TERMINAL and looked at
 * by SCREEN_AUTO; copied. When the wanted host half cannot be had, SCREEN_AUTO tries the next one;
 * others give ERR_NOTFOUND and say why. */
enum err view_open(struct hosts *h, enum screen_kind kind, const struct host_tty *tty,
                   struct panel *panel, struct view **out, struct errmsg *msg);
/* The same on a connected client (host_client.h). */
struct screen_client;
enum err view_open_client(struct screen_client *client, struct panel *panel, struct view **out,
                          struct errmsg *msg);
/* Events no longer reach the panel and nothing new is drawn; the last frame stays. A terminal is not
 * touched any more, also not by view_close(): whoever draws there next, or terminal_give_back(). */
void view_freeze(struct view *v);
/* Gone from the screen. NULL is fine. */
void view_close(struct view *v);
const char *view_host_name(const struct view *v);
/* Keys of the terminal. False when the view is no terminal. */
bool view_tty_input(struct view *v, const uint8_t *bytes, size_t size);

/* What a terminal needs to be a terminal again, after a process was drawn in it elsewhere. */
void terminal_give_back(const struct host_tty *tty);

/* ---- what a host half is ---- */

struct host_ops {
	const char *name;
	/* Whether there is a display, as far as one can tell without trying. NULL where that is no question. */
	bool (*has_display)(void);
	/* Starts the service; NULL service is allowed. ERR_NOTFOUND: cannot be had here. */
	enum err (*start)(const char *device, void **service, struct errmsg *msg);
	void (*stop)(void *service);
	enum err (*open)(void *service, const struct host_tty *tty, struct panel *panel,
	                 void **state, struct errmsg *msg);
	void (*freeze)(void *state);
	void (*close)(void *state);
	bool (*tty_input)(void *state, const uint8_t *bytes, size_t size); /* NULL: no terminal */
};

extern const struct host_ops host_sdl2, host_terminal, host_headless, host_client;
