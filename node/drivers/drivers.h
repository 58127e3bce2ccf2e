/* drivers.h - the guest halves of a process's screen, keyboard and speaker: the module "wasmos".
 *
 * A struct drivers belongs to one process. It answers the host calls of sdk/abi/wasmos.def, knows no
 * device, and can be written to bytes and rebuilt on another node. What is seen and heard goes through
 * its struct panel (panel.h) to a host half (host.h): a window, a terminal, or nothing. The host half
 * is attached when the guest opens a display or a queue of sound, or when a process that has one
 * starts to run here; it can be taken away and replaced while the program runs.
 *
 * Threads: the process's worker makes the host calls; new, load, save and free are for whoever owns
 * the stopped process. Functions marked "any thread" lock inside.
 *
 * A blocked call (display_present, input_wait) has done nothing. It says in the process's struct wait
 * when it is worth trying again; events poke the worker before that.
 *
 *	struct drivers_config cfg = {.hosts = hosts, .screen = SCREEN_AUTO, .wait = &p->wait, ...};
 *	struct drivers *d;
 *	TRY(drivers_new(&cfg, &d));
 *	struct host_resolver r = drivers_resolver(d);
 *	drivers_start(d);
 *	... run ...
 *	drivers_save(d, &w);                      // the worker stands; bytes of section "drivers"
 *	struct view *last = drivers_take_view(d);
 *	drivers_free(d);
 *	... the target has shown its first frame:
 *	view_close(last);
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "engine/engine.h"
#include "node/drivers/host.h"

struct drivers;

struct drivers_config {
	/* Host halves of this node. Borrowed, outlives the drivers. NULL: nothing is ever shown, and
	 * time passes as for a headless screen. */
	struct hosts *hosts;
	enum screen_kind screen;
	/* The process's terminal, for the host half of kind terminal; .write is NULL when it has none. */
	struct host_tty tty;
	/* What the title says before the guest names its display. Copied. */
	const char *name;

	/* Where a call that blocks says what it waits for. Borrowed. */
	struct wait *wait;
	/* Wakes the worker: an event came. Any thread; must not block or call back. May be NULL. */
	void (*poke)(void *ctx);
	/* The first frame since drivers_load() is on the screen: the node we came from may close its
	 * window. Called once, on any thread; must not block or call back. May be NULL. */
	void (*shown)(void *ctx);
	/* Host monotonic time (ns) of an instant of the guest's monotonic clock. May be NULL: no
	 * difference. Called on the worker. */
	uint64_t (*host_time_ns)(void *ctx, uint64_t guest_ns);
	void *ctx;

	bool frame_hash; /* keep the chain of hashes over all frames (drivers_stats) */
	bool unpaced;    /* present never waits: tests and benchmarks */
};

/* The config's pointers are borrowed, its strings copied. Errors: NOMEM. */
enum err drivers_new(const struct drivers_config *cfg, struct drivers **out);
/* The process runs here from now on: a display or sound that it has open appears. After new or load, when the
 * process is ours; again is nothing. On the worker, or while it stands. */
void drivers_start(struct drivers *d);
/* The guest has ended: its window closes, its terminal is given back. On the worker. */
void drivers_end(struct drivers *d);
/* Closes the view. The guest must not run any more. NULL is fine. */
void drivers_free(struct drivers *d);

/* Answers imports of the module "wasmos". */
struct host_resolver drivers_resolver(struct drivers *d);

/* ---- section "drivers": docs/formats/image.md ---- */

/* The guest stands. Same state, same bytes. The last frame is part of them only when it is older than
 * DRIVERS_REDRAW_NS: a guest that draws all the time will draw the next one at once, and the old window
 * shows the last one until then. */
enum err drivers_save(struct drivers *d, struct wr *out);
#define DRIVERS_REDRAW_NS UINT64_C(250000000)
/* From hostile bytes. frame_hash and unpaced are the image's or cfg's. Held keys are released towards the
 * guest, queued sound is gone, waiting events are kept. Nothing is shown before drivers_start().
 * Errors: MALFORMED, LIMIT, NOMEM; nothing is kept then. */
enum err drivers_load(struct rd *in, const struct drivers_config *cfg, struct drivers **out,
                      struct errmsg *msg);

/* ---- for the node ---- */

struct drivers_stats {
	bool display, audio, input; /* open now; input: the guest ever asked for events */
	uint32_t width, height;
	uint64_t frames;  /* presented over the process's life */
	bool frame_hash;  /* hash is kept */
	uint8_t hash[32]; /* chain after the last frame: sdk/abi, docs/ABI.md "Frame hash" */
	const char
	    *host; /* name of the host half: "sdl2", "terminal", "client", "headless", "none" */
};
/* Any thread. */
void drivers_stats(struct drivers *d, struct drivers_stats *out);

/* A PNG of the last frame, as the guest drew it (palette applied, square pixels). ERR_NOTFOUND when
 * there is none. Any thread. */
enum err drivers_screenshot(struct drivers *d, struct wr *out, struct errmsg *msg);

/* Takes the host half off: it goes on showing the last frame (a terminal stops drawing), no event
 * reaches the guest any more. The caller closes it with view_close(). NULL when there is none. */
struct view *drivers_take_view(struct drivers *d);

/* Puts another host half on, replacing the present one. Any thread. */
enum err drivers_attach(struct drivers *d, enum screen_kind screen, const struct host_tty *tty,
                        struct errmsg *msg);

/* From now on the client (host_client.h) is the screen, whatever the guest opens and closes, until another one is or it
 * is detached. Takes a reference. Any thread. */
enum err drivers_attach_client(struct drivers *d, struct screen_client *client, struct errmsg *msg);
/* The client is gone: the device's own screen is used again. Nothing when another one is attached by now. Any thread. */
void drivers_detach_client(struct drivers *d, struct screen_client *client);

/* Bytes the process's terminal received while the display is drawn in it: keys. Any thread. False
 * when the display is not in the terminal: the bytes are the guest's stdin. */
bool drivers_tty_input(struct drivers *d, const uint8_t *bytes, size_t size);
