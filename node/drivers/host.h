/* host.h - host halves: the devices on which a process's panel is seen and heard.
 *
 * One table, struct host_ops, one file each: host_sdl2.c (a window), host_terminal.c (half blocks),
 * host_headless.c (nothing). A node has one struct hosts; it starts a host half's service (a
 * thread, a library) when it is first needed. A view is one panel shown by one host half; a view
 * holds a reference on its panel, so that a window can outlive its process for the moment of a
 * move.
 *
 * All functions here may be called from any thread and do not wait for a screen.
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

/* "auto", "sdl2", "terminal", "headless"; false for other names. */
bool screen_kind_parse(const char *name, enum screen_kind *out);

/* A terminal that someone looks at, as a byte stream. The functions are called on the host half's
 * thread and must not block for long; ctx outlives the view. */
struct host_tty {
	/* Takes all bytes (the stream buffers them). */
	void (*write)(void *ctx, const uint8_t *bytes, size_t size);
	/* Bytes taken and not yet gone to the person: the view skips frames when they pile up. */
	size_t (*pending)(void *ctx);
	/* Cells. False when unknown (then 80 x 24). */
	bool (*size)(void *ctx, uint16_t *columns, uint16_t *rows);
	void *ctx;
	bool truecolor; /* else 256 colours */
};

struct hosts_config {
	const char *device; /* shown in titles: "DOOM - laptop". Copied */
};

struct hosts;
enum err hosts_new(const struct hosts_config *cfg, struct hosts **out);
/* All views are closed. Joins the services' threads. */
void hosts_free(struct hosts *h);

struct view;
/* Shows the panel; takes its own reference on it. tty is needed for SCREEN_TERMINAL and looked at
 * by SCREEN_AUTO; copied. When the wanted host half cannot be had, SCREEN_AUTO tries the next one;
 * others give ERR_NOTFOUND and say why. */
enum err view_open(struct hosts *h, enum screen_kind kind, const struct host_tty *tty,
                   struct panel *panel, struct view **out, struct errmsg *msg);
/* Events no longer reach the panel; the last frame stays (a terminal is given back). */
void view_freeze(struct view *v);
/* Gone from the screen. NULL is fine. */
void view_close(struct view *v);
const char *view_host_name(const struct view *v);
/* Keys of the terminal. False when the view is no terminal. */
bool view_tty_input(struct view *v, const uint8_t *bytes, size_t size);

/* ---- what a host half is ---- */

struct host_ops {
	const char *name;
	/* Starts the service; NULL service is allowed. ERR_NOTFOUND: cannot be had here. */
	enum err (*start)(const char *device, void **service, struct errmsg *msg);
	void (*stop)(void *service);
	enum err (*open)(void *service, const struct host_tty *tty, struct panel *panel,
	                 void **state, struct errmsg *msg);
	void (*freeze)(void *state);
	void (*close)(void *state);
	bool (*tty_input)(void *state, const uint8_t *bytes, size_t size); /* NULL: no terminal */
};

extern const struct host_ops host_sdl2, host_terminal, host_headless;
