/* state.c - the section "drivers" of an image: a process's screen, keys and speaker as bytes.
 *
 *	u16 version (1)
 *	u8  flags: 1 display, 2 sound, 4 frame hash, 8 last frame, 16 the guest asked for input,
 *	    32 its terminal shows it
 *	display: u32 width, height, format, aspect_x, aspect_y; u8 grab; u8 title size; title;
 *	         when indexed: 256 times u8 red, green, blue
 *	sound:   u32 rate, channels
 *	u64 frames of sound written, u64 frames of picture presented
 *	frame hash: 32 bytes
 *	32 bytes of keys down (bit 0 of byte 0 is usage 0), u32 buttons down
 *	u32 count of waiting events; each u16 type, u16 mods, u32 code, i32 value, x, y, dx, dy
 *	last frame: rows without gaps, top first
 *
 * All little-endian, nothing after the end. Queued sound is not there: it is too old when the process
 * runs again.
 */
#include "node/drivers/guest.h"

#include "base/os.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	STATE_VERSION = 1,
	/* A frame larger than this is not worth the pause: the screen stays dark until the next one. */
	STATE_FRAME_MAX = 32 << 20,
};

enum state_flags {
	HAS_DISPLAY = 1,
	HAS_SOUND = 2,
	HAS_HASH = 4,
	HAS_FRAME = 8,
	HAS_ASKED_INPUT = 16,
	HAS_TERMINAL = 32,
	STATE_FLAGS = 63,
};

/* ---- to bytes ---- */

static void save_display(const struct drivers *d, struct wr *out)
{
	uint8_t title_size = (uint8_t)strlen(d->mode.title);

	wr_u32(out, d->mode.width);
	wr_u32(out, d->mode.height);
	wr_u32(out, d->mode.format);
	wr_u32(out, d->mode.aspect_x);
	wr_u32(out, d->mode.aspect_y);
	wr_u8(out, d->mode.grab);
	wr_u8(out, title_size);
	wr_bytes(out, d->mode.title, title_size);
	for (int i = 0; d->mode.format == WASMOS_INDEXED8 && i < 256; i++) {
		wr_u8(out, (uint8_t)(d->palette[i] >> 16));
		wr_u8(out, (uint8_t)(d->palette[i] >> 8));
		wr_u8(out, (uint8_t)d->palette[i]);
	}
}

static enum err save_events(struct drivers *d, struct wr *out)
{
	struct wasmos_event *events = calloc(PANEL_EVENTS_MAX, sizeof(*events));

	if (events == NULL)
		return ERR_NOMEM;
	uint32_t count = panel_peek_events(d->panel, events);
	wr_u32(out, count);
	for (const struct wasmos_event *e = events; e < events + count; e++) {
		wr_u16(out, e->type);
		wr_u16(out, e->mods);
		wr_u32(out, e->code);
		wr_u32(out, (uint32_t)e->value);
		wr_u32(out, (uint32_t)e->x);
		wr_u32(out, (uint32_t)e->y);
		wr_u32(out, (uint32_t)e->dx);
		wr_u32(out, (uint32_t)e->dy);
	}
	free(events);
	return ERR_OK;
}

/* The last frame, unless the guest will draw the next one by itself at once: then seq stays 0. */
static void needed_frame(const struct drivers *d, struct panel_frame *f)
{
	if (os_monotonic_ns() - d->presented_ns >= DRIVERS_REDRAW_NS)
		panel_frame(d->panel, f);
	if (f->size_bytes > STATE_FRAME_MAX)
		f->seq = 0;
}

static bool in_terminal(struct drivers *d)
{
	pthread_mutex_lock(&d->lock);
	bool in = d->was_terminal ||
	          (d->view != NULL && strcmp(view_host_name(d->view), host_terminal.name) == 0);
	pthread_mutex_unlock(&d->lock);
	return in;
}

enum err drivers_save(struct drivers *d, struct wr *out)
{
	struct panel_frame f = {0};

	drivers_check(d);
	needed_frame(d, &f);
	bool with_frame = f.seq != 0;
	wr_u16(out, STATE_VERSION);
	wr_u8(out, (uint8_t)((d->mode.format ? HAS_DISPLAY : 0) | (d->mode.rate ? HAS_SOUND : 0) |
	                     (d->hashing ? HAS_HASH : 0) | (with_frame ? HAS_FRAME : 0) |
	                     (d->asked_input ? HAS_ASKED_INPUT : 0) |
	                     (in_terminal(d) ? HAS_TERMINAL : 0)));
	if (d->mode.format != 0)
		save_display(d, out);
	if (d->mode.rate != 0) {
		wr_u32(out, d->mode.rate);
		wr_u32(out, d->mode.channels);
	}
	wr_u64(out, d->written);
	wr_u64(out, d->frames);
	if (d->hashing)
		wr_bytes(out, d->hash, sizeof(d->hash));
	wr_bytes(out, d->keys, sizeof(d->keys));
	wr_u32(out, d->buttons);
	enum err e = save_events(d, out);
	if (with_frame)
		wr_bytes(out, f.pixels, f.size_bytes);
	panel_frame_free(&f);
	return e != ERR_OK ? e : wr_ok(out) ? ERR_OK : ERR_NOMEM;
}

/* ---- from bytes: all of them hostile ---- */

static enum err malformed(struct errmsg *msg, const char *what)
{
	return err_set(msg, ERR_MALFORMED, "section drivers: %s", what);
}

static enum err load_title(struct drivers *d, struct rd *in, struct errmsg *msg)
{
	const uint8_t *title;
	uint8_t size;

	TRY(rd_u8(in, &size));
	TRY(rd_bytes(in, size, &title));
	if (!panel_title_is_good(title, size))
		return malformed(msg, "the title is no text");
	memcpy(d->mode.title, title, size);
	return ERR_OK;
}

static enum err load_palette(struct drivers *d, struct rd *in)
{
	const uint8_t *rgb;

	TRY(rd_bytes(in, 256 * 3, &rgb));
	for (int i = 0; i < 256; i++, rgb += 3)
		d->palette[i] = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
	return ERR_OK;
}

static bool display_is_good(const struct panel_mode *m)
{
	return m->width >= 1 && m->width <= PANEL_SIDE_MAX && m->height >= 1 &&
	       m->height <= PANEL_SIDE_MAX &&
	       (m->format == WASMOS_INDEXED8 || m->format == WASMOS_XRGB8888) &&
	       m->aspect_x <= PANEL_ASPECT_MAX && m->aspect_y <= PANEL_ASPECT_MAX &&
	       (m->aspect_x == 0) == (m->aspect_y == 0);
}

static enum err load_display(struct drivers *d, struct rd *in, struct errmsg *msg)
{
	struct panel_mode *m = &d->mode;
	uint8_t grab;

	TRY(rd_u32(in, &m->width));
	TRY(rd_u32(in, &m->height));
	TRY(rd_u32(in, &m->format));
	TRY(rd_u32(in, &m->aspect_x));
	TRY(rd_u32(in, &m->aspect_y));
	TRY(rd_u8(in, &grab));
	if (!display_is_good(m) || grab > 1)
		return malformed(msg, "a display that cannot be");
	m->grab = grab;
	TRY(load_title(d, in, msg));
	return m->format == WASMOS_INDEXED8 ? load_palette(d, in) : ERR_OK;
}

static enum err load_sound(struct drivers *d, struct rd *in, struct errmsg *msg)
{
	TRY(rd_u32(in, &d->mode.rate));
	TRY(rd_u32(in, &d->mode.channels));
	if (d->mode.rate < PANEL_RATE_MIN || d->mode.rate > PANEL_RATE_MAX ||
	    d->mode.channels < 1 || d->mode.channels > 2)
		return malformed(msg, "sound that cannot be");
	return ERR_OK;
}

static bool event_is_good(const struct wasmos_event *e)
{
	if (e->type == WASMOS_KEY)
		return e->code < PANEL_KEYS && e->value >= WASMOS_UP && e->value <= WASMOS_REPEAT;
	if (e->type == WASMOS_BUTTON)
		return e->code < 32 && e->value >= WASMOS_UP && e->value <= WASMOS_DOWN;
	return e->type >= WASMOS_KEY && e->type <= WASMOS_QUIT;
}

static enum err load_event(struct rd *in, struct wasmos_event *e)
{
	uint32_t value, x, y, dx, dy;

	TRY(rd_u16(in, &e->type));
	TRY(rd_u16(in, &e->mods));
	TRY(rd_u32(in, &e->code));
	TRY(rd_u32(in, &value));
	TRY(rd_u32(in, &x));
	TRY(rd_u32(in, &y));
	TRY(rd_u32(in, &dx));
	TRY(rd_u32(in, &dy));
	e->value = (int32_t)value;
	e->x = (int32_t)x;
	e->y = (int32_t)y;
	e->dx = (int32_t)dx;
	e->dy = (int32_t)dy;
	return ERR_OK;
}

/* Waiting events go on waiting, and behind them every key that is then down comes up. */
static enum err load_events(struct drivers *d, struct rd *in, struct errmsg *msg)
{
	struct wasmos_event e;
	uint32_t count;

	TRY(rd_u32(in, &count));
	if (count > PANEL_EVENTS_MAX)
		return malformed(msg, "too many waiting events");
	panel_hold(d->panel, d->keys, d->buttons);
	for (uint32_t i = 0; i < count; i++) {
		TRY(load_event(in, &e));
		if (!event_is_good(&e))
			return malformed(msg, "an event that cannot be");
		panel_event(d->panel, &e);
	}
	panel_release_keys(d->panel);
	return ERR_OK;
}

static enum err load_frame(struct drivers *d, struct rd *in)
{
	size_t row = (size_t)d->mode.width * (d->mode.format == WASMOS_INDEXED8 ? 1 : 4);
	const uint8_t *pixels;

	TRY(rd_bytes(in, row * d->mode.height, &pixels));
	panel_present(d->panel, pixels, (uint32_t)row, d->palette, os_monotonic_ns());
	return ERR_OK;
}

static enum err load_head(struct drivers *d, struct rd *in, uint8_t *flags, struct errmsg *msg)
{
	uint16_t version;

	TRY(rd_u16(in, &version));
	if (version != STATE_VERSION)
		return err_set(msg, ERR_UNSUPPORTED, "section drivers: version %u, known is %u",
		               version, STATE_VERSION);
	TRY(rd_u8(in, flags));
	if ((*flags & ~STATE_FLAGS) != 0 || ((*flags & HAS_FRAME) && !(*flags & HAS_DISPLAY)))
		return malformed(msg, "flags that cannot be");
	if (*flags & HAS_DISPLAY)
		TRY(load_display(d, in, msg));
	if (*flags & HAS_SOUND)
		TRY(load_sound(d, in, msg));
	d->hashing = *flags & HAS_HASH;
	d->asked_input = *flags & HAS_ASKED_INPUT;
	d->was_terminal = *flags & HAS_TERMINAL;
	return ERR_OK;
}

static enum err load_all(struct drivers *d, struct rd *in, struct errmsg *msg)
{
	const uint8_t *bytes;
	uint8_t flags = 0;

	TRY(load_head(d, in, &flags, msg));
	TRY(rd_u64(in, &d->written));
	TRY(rd_u64(in, &d->frames));
	if (d->hashing) {
		TRY(rd_bytes(in, sizeof(d->hash), &bytes));
		memcpy(d->hash, bytes, sizeof(d->hash));
	}
	TRY(rd_bytes(in, sizeof(d->keys), &bytes));
	memcpy(d->keys, bytes, sizeof(d->keys));
	TRY(rd_u32(in, &d->buttons));
	TRY(panel_set_mode(d->panel, &d->mode));
	TRY(load_events(d, in, msg));
	if (flags & HAS_FRAME)
		TRY(load_frame(d, in));
	if (rd_left(in) != 0)
		return malformed(msg, "bytes after its end");
	return ERR_OK;
}

enum err drivers_load(struct rd *in, const struct drivers_config *cfg, struct drivers **out,
                      struct errmsg *msg)
{
	struct errmsg why = {0};
	struct drivers *d;

	if (drivers_new(cfg, &d) != ERR_OK)
		return err_set(msg, ERR_NOMEM, "out of memory for the drivers");
	enum err e = load_all(d, in, &why);
	if (e != ERR_OK) {
		/* Half a mode is none. */
		d->mode = (struct panel_mode){0};
		drivers_free(d);
		if (why.text[0] == '\0')
			return err_set(msg, e, "section drivers: %s at byte %zu", err_text(e),
			               rd_offset(in));
		return err_set(msg, e, "%s", why.text);
	}
	if (cfg->hosts != NULL && d->mode.format != 0)
		hosts_warm(cfg->hosts, cfg->screen);
	*out = d;
	return ERR_OK;
}
