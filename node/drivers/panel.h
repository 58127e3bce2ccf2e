/* panel.h - where the guest half and the host half of a process's drivers meet.
 *
 * A panel holds what is on the screen now (last frame, palette, title), the events that wait for the
 * guest, the sound that waits for the speaker, and the screen's clock. One side is the guest half on
 * the worker's thread (drivers.c), the other a host half on threads of its own; every function locks
 * inside and none blocks. Counted: the last panel_unref() frees.
 *
 * The screen's clock: a frame may be taken when now >= panel_slot(); taking it moves the slot to the
 * next refresh. The host half sets period and phase (panel_refresh); without one it is 60 Hz.
 *
 *	guest half                        panel                     host half
 *	display_present  -> panel_present ->  frame, seq  -> panel_frame()  -> window
 *	input_poll       <- panel_events  <-  ring        <- panel_event()  <- keyboard
 *	audio_write      -> panel_sound   ->  ring        -> panel_pull()   -> speaker
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "sdk/include/wasmos.h"

enum {
	PANEL_SIDE_MAX = 4096,
	PANEL_TITLE_MAX = 255,
	PANEL_EVENTS_MAX = 1024,
	PANEL_KEYS = 256, /* USB HID usages of page 7 */
	PANEL_ASPECT_MAX = 65535,
	PANEL_RATE_MIN = 8000,
	PANEL_RATE_MAX = 192000,
};

struct panel;

/* What the panel tells its process, on any thread; neither may block or call back. Both may be NULL. */
struct panel_hooks {
	void (*poke)(void *ctx);  /* an event arrived: the guest may be waiting for it */
	void (*shown)(void *ctx); /* the first frame is on the screen; once */
	void *ctx;
};

enum err panel_new(const struct panel_hooks *hooks, struct panel **out);
struct panel *panel_ref(struct panel *p);
void panel_unref(struct panel *p);
/* The process is gone: the hooks are not called any more. */
void panel_orphan(struct panel *p);

/* ---- guest half ---- */

/* What is on the screen, without its pixels. */
struct panel_mode {
	uint32_t width, height;
	uint32_t format;             /* enum wasmos_format; 0: no display is open */
	uint32_t aspect_x, aspect_y; /* 0: square pixels */
	bool grab;
	uint32_t rate, channels; /* sound; rate 0: none */
	char title[PANEL_TITLE_MAX + 1];
};

/* UTF-8 without control characters, of at most PANEL_TITLE_MAX bytes. */
bool panel_title_is_good(const uint8_t *text, size_t size);
/* Copies the mode and tells the view. A change of size or format forgets the frame, one of rate or
 * channels the queued sound. */
enum err panel_set_mode(struct panel *p, const struct panel_mode *mode);
void panel_mode(struct panel *p, struct panel_mode *out);
/* When the next frame may be presented, in host monotonic ns. */
uint64_t panel_slot(struct panel *p);
/* Copies a frame of the mode's size (palette: 256 entries, for indexed frames only) and takes the
 * slot. */
void panel_present(struct panel *p, const uint8_t *pixels, uint32_t pitch_bytes,
                   const uint32_t *palette, uint64_t now_ns);
/* Takes up to count waiting events. */
uint32_t panel_events(struct panel *p, struct wasmos_event *out, uint32_t count);
/* The waiting events, left where they are. out has room for PANEL_EVENTS_MAX; NULL only counts. */
uint32_t panel_peek_events(struct panel *p, struct wasmos_event *out);
/* As if these keys (a bit a usage) and buttons were held now: what another device's person held. */
void panel_hold(struct panel *p, const uint8_t keys[PANEL_KEYS / 8], uint32_t buttons);
/* Queues up to count frames of sound; returns how many found room. */
uint32_t panel_sound(struct panel *p, const int16_t *frames, uint32_t count, uint64_t now_ns);
/* Frames queued and not yet played, and how many would find room. */
uint32_t panel_sound_queued(struct panel *p, uint64_t now_ns, uint32_t *space);

/* ---- host half ---- */

/* The view is told of a new frame, mode or title. Called on the worker, without the lock held; must
 * not block. One at a time: the last one that asked. */
void panel_watch(struct panel *p, void (*changed)(void *ctx), void *ctx);
/* The watch of ctx ends, if it is still the one; after that returned it is not called any more. */
void panel_unwatch(struct panel *p, const void *ctx);
/* Refreshes every period_ns; one happened at phase_ns. */
void panel_refresh(struct panel *p, uint64_t period_ns, uint64_t phase_ns);

/* No frame is skipped for who: while it says so, the next frame may be presented only when the last one was shown. False
 * ends it for who, and for nobody else. */
void panel_every(struct panel *p, const void *who, bool every);

/* A copy of the screen that the host half keeps and brings up to date. Zero it first. */
struct panel_frame {
	uint64_t seq; /* of the frame; 0: none yet */
	uint64_t mode_seq;
	struct panel_mode mode;
	uint32_t palette[256];
	uint8_t *pixels; /* rows without gaps; owned: panel_frame_free() */
	size_t size_bytes, cap_bytes;
};
/* Brings f up to date; false when nothing changed since. On ERR_NOMEM inside, keeps the old. */
bool panel_frame(struct panel *p, struct panel_frame *f);
void panel_frame_free(struct panel_frame *f);
/* Row y of f as width pixels 0x00RRGGBB. */
void panel_frame_row(const struct panel_frame *f, uint32_t y, uint32_t *xrgb);

/* Frame seq is on the screen. */
void panel_shown(struct panel *p, uint64_t seq);

/* An event from the person. Keys that are down twice become repeats, ups without downs are dropped.
 */
void panel_event(struct panel *p, const struct wasmos_event *e);
/* Ups for all keys and buttons that are down: focus lost. */
void panel_release_keys(struct panel *p);

/* The speaker pulls: writes count frames (silence where the queue has none). From the first pull on
 * sound is paced by the puller; panel_pull_stop() gives it back to the clock. */
void panel_pull(struct panel *p, int16_t *out, uint32_t count, uint32_t channels);
void panel_pull_stop(struct panel *p);
