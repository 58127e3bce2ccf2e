/* panel.c - a panel's three queues under one lock: the frame, the events, the sound.
 *
 * Truths of a panel (panel_check):
 *	pixels hold a frame of the mode's size, or seq is 0
 *	nevents <= PANEL_EVENTS_MAX; the oldest is events[first]
 *	nsound <= sound_cap frames; the oldest is at sound_first
 */
#include "node/drivers/panel.h"

#include "base/os.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)
#define DEFAULT_PERIOD_NS (SECOND_NS / 60)

struct panel {
	_Atomic uint32_t refs;
	pthread_mutex_t lock;
	struct panel_hooks hooks;
	bool told_shown;

	struct panel_mode mode;
	uint64_t mode_seq;
	uint64_t seq; /* of the frame; 0: none */
	uint8_t *pixels;
	size_t pixels_size, pixels_cap;
	uint32_t palette[256];
	uint64_t period_ns, phase_ns, slot_ns;
	uint64_t shown_seq;
	const void *every; /* who wants each frame; NULL: nobody */

	struct wasmos_event events[PANEL_EVENTS_MAX];
	uint32_t first, nevents;
	bool keys[PANEL_KEYS]; /* down, as the person holds them */
	uint32_t buttons;      /* likewise, one bit a button */

	int16_t *sound;
	uint32_t sound_cap, sound_first, nsound; /* frames */
	uint64_t sound_ns;                       /* played up to here, when the clock plays it */
	bool pulled;

	pthread_mutex_t watch_lock; /* held while changed() runs; taken without the other */
	void (*changed)(void *ctx);
	void *changed_ctx;
};

static void panel_check(const struct panel *p)
{
	assert(p->seq == 0 || p->pixels_size == (size_t)p->mode.width * p->mode.height *
	                                            (p->mode.format == WASMOS_INDEXED8 ? 1 : 4));
	assert(p->nevents <= PANEL_EVENTS_MAX && p->first < PANEL_EVENTS_MAX);
	assert(p->nsound <= p->sound_cap);
}

enum err panel_new(const struct panel_hooks *hooks, struct panel **out)
{
	struct panel *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return ERR_NOMEM;
	atomic_init(&p->refs, 1);
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->watch_lock, NULL);
	p->hooks = *hooks;
	p->period_ns = DEFAULT_PERIOD_NS;
	p->mode_seq = 1;
	*out = p;
	return ERR_OK;
}

struct panel *panel_ref(struct panel *p)
{
	atomic_fetch_add(&p->refs, 1);
	return p;
}

void panel_unref(struct panel *p)
{
	if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1)
		return;
	panel_check(p);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->watch_lock);
	free(p->pixels);
	free(p->sound);
	free(p);
}

static void lock(struct panel *p)
{
	pthread_mutex_lock(&p->lock);
}

static void unlock(struct panel *p)
{
	pthread_mutex_unlock(&p->lock);
}

void panel_orphan(struct panel *p)
{
	lock(p);
	p->hooks = (struct panel_hooks){0};
	unlock(p);
}

void panel_watch(struct panel *p, void (*changed)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&p->watch_lock);
	p->changed = changed;
	p->changed_ctx = ctx;
	pthread_mutex_unlock(&p->watch_lock);
}

void panel_unwatch(struct panel *p, const void *ctx)
{
	pthread_mutex_lock(&p->watch_lock);
	if (p->changed_ctx == ctx) {
		p->changed = NULL;
		p->changed_ctx = NULL;
	}
	pthread_mutex_unlock(&p->watch_lock);
}

static void tell_view(struct panel *p)
{
	pthread_mutex_lock(&p->watch_lock);
	if (p->changed != NULL)
		p->changed(p->changed_ctx);
	pthread_mutex_unlock(&p->watch_lock);
}

/* ---- the mode ---- */

/* The size of the UTF-8 sequence at p, at most left bytes, or 0. Control characters are refused. */
static size_t character_size(const uint8_t *p, size_t left)
{
	static const uint32_t least[] = {0, 0x20, 0xa0, 0x800, 0x10000};
	size_t size = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t scalar = size == 1 ? p[0] : p[0] & (0x7fu >> size);

	if (size > left || p[0] > 0xf4 || p[0] == 0x7f)
		return 0;
	for (size_t i = 1; i < size; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		scalar = scalar << 6 | (p[i] & 0x3f);
	}
	if (scalar < least[size] || scalar > 0x10ffff || (scalar >= 0xd800 && scalar < 0xe000))
		return 0;
	return size;
}

bool panel_title_is_good(const uint8_t *text, size_t size)
{
	size_t at = 0, n = 1;

	while (at < size && n > 0)
		at += n = character_size(text + at, size - at);
	return size <= PANEL_TITLE_MAX && at == size;
}

/* ---- the frame ---- */

static size_t frame_size(const struct panel_mode *mode)
{
	return (size_t)mode->width * mode->height * (mode->format == WASMOS_INDEXED8 ? 1 : 4);
}

static bool same_frames(const struct panel_mode *a, const struct panel_mode *b)
{
	return a->width == b->width && a->height == b->height && a->format == b->format;
}

static enum err grow(void **memory, size_t *cap, size_t size)
{
	void *bigger;

	if (size <= *cap)
		return ERR_OK;
	bigger = realloc(*memory, size);
	if (bigger == NULL)
		return ERR_NOMEM;
	*memory = bigger;
	*cap = size;
	return ERR_OK;
}

/* The queue holds half a second. */
static enum err set_sound(struct panel *p, const struct panel_mode *mode)
{
	int16_t *sound = NULL;
	uint32_t cap = mode->rate / 2;

	if (mode->rate == p->mode.rate && mode->channels == p->mode.channels)
		return ERR_OK;
	if (cap > 0 && (sound = calloc(cap, mode->channels * sizeof(*sound))) == NULL)
		return ERR_NOMEM;
	free(p->sound);
	p->sound = sound;
	p->sound_cap = cap;
	p->sound_first = p->nsound = 0;
	p->sound_ns = os_monotonic_ns();
	p->pulled = false;
	return ERR_OK;
}

static enum err set_mode(struct panel *p, const struct panel_mode *mode)
{
	TRY(grow((void **)&p->pixels, &p->pixels_cap, mode->format ? frame_size(mode) : 0));
	TRY(set_sound(p, mode));
	if (!same_frames(&p->mode, mode)) {
		p->seq = p->shown_seq = 0;
		p->pixels_size = mode->format ? frame_size(mode) : 0;
	}
	p->mode = *mode;
	p->mode_seq++;
	return ERR_OK;
}

enum err panel_set_mode(struct panel *p, const struct panel_mode *mode)
{
	lock(p);
	enum err e = set_mode(p, mode);
	unlock(p);
	tell_view(p);
	return e;
}

void panel_mode(struct panel *p, struct panel_mode *out)
{
	lock(p);
	*out = p->mode;
	unlock(p);
}

uint64_t panel_slot(struct panel *p)
{
	lock(p);
	/* Who waits for that is poked when the frame was shown. */
	uint64_t slot_ns =
	    p->every != NULL && p->seq > p->shown_seq ? p->slot_ns + SECOND_NS * 10 : p->slot_ns;
	unlock(p);
	return slot_ns;
}

static void poke(struct panel *p)
{
	if (p->hooks.poke != NULL)
		p->hooks.poke(p->hooks.ctx);
}

void panel_every(struct panel *p, const void *who, bool every)
{
	lock(p);
	if (every) {
		p->every = who;
	} else if (p->every == who) {
		p->every = NULL;
		poke(p);
	}
	unlock(p);
}

/* The first refresh after now. */
static uint64_t next_refresh(const struct panel *p, uint64_t now_ns)
{
	if (now_ns < p->phase_ns)
		return p->phase_ns - (p->phase_ns - now_ns - 1) / p->period_ns * p->period_ns;
	return p->phase_ns + ((now_ns - p->phase_ns) / p->period_ns + 1) * p->period_ns;
}

void panel_refresh(struct panel *p, uint64_t period_ns, uint64_t phase_ns)
{
	lock(p);
	p->period_ns = period_ns > 0 ? period_ns : DEFAULT_PERIOD_NS;
	p->phase_ns = phase_ns;
	unlock(p);
}

static void copy_rows(struct panel *p, const uint8_t *pixels, uint32_t pitch_bytes)
{
	size_t row = p->pixels_size / p->mode.height;

	for (uint32_t y = 0; y < p->mode.height; y++)
		memcpy(p->pixels + y * row, pixels + (size_t)y * pitch_bytes, row);
}

void panel_present(struct panel *p, const uint8_t *pixels, uint32_t pitch_bytes,
                   const uint32_t *palette, uint64_t now_ns)
{
	lock(p);
	assert(p->mode.format != 0);
	copy_rows(p, pixels, pitch_bytes);
	if (p->mode.format == WASMOS_INDEXED8)
		memcpy(p->palette, palette, sizeof(p->palette));
	p->seq++;
	p->slot_ns = next_refresh(p, now_ns);
	unlock(p);
	tell_view(p);
}

bool panel_frame(struct panel *p, struct panel_frame *f)
{
	bool is_new;

	lock(p);
	is_new = (f->seq != p->seq || f->mode_seq != p->mode_seq) &&
	         grow((void **)&f->pixels, &f->cap_bytes, p->pixels_size) == ERR_OK;
	if (is_new && p->seq != 0) {
		memcpy(f->pixels, p->pixels, p->pixels_size);
		memcpy(f->palette, p->palette, sizeof(f->palette));
	}
	if (is_new) {
		f->size_bytes = p->pixels_size;
		f->seq = p->seq;
		f->mode_seq = p->mode_seq;
		f->mode = p->mode;
	}
	unlock(p);
	return is_new;
}

void panel_frame_free(struct panel_frame *f)
{
	free(f->pixels);
	*f = (struct panel_frame){0};
}

void panel_frame_row(const struct panel_frame *f, uint32_t y, uint32_t *xrgb)
{
	uint32_t width = f->mode.width;

	if (f->mode.format == WASMOS_XRGB8888) {
		memcpy(xrgb, f->pixels + (size_t)y * width * 4, (size_t)width * 4);
		return;
	}
	for (uint32_t x = 0; x < width; x++)
		xrgb[x] = f->palette[f->pixels[(size_t)y * width + x]];
}

void panel_shown(struct panel *p, uint64_t seq)
{
	lock(p);
	if (seq <= p->seq && seq > p->shown_seq) {
		p->shown_seq = seq;
		if (p->every != NULL)
			poke(p);
	}
	if (seq != 0 && p->seq != 0 && !p->told_shown) {
		p->told_shown = true;
		if (p->hooks.shown != NULL)
			p->hooks.shown(p->hooks.ctx);
	}
	unlock(p);
}

/* ---- events ---- */

static struct wasmos_event *event_at(struct panel *p, uint32_t i)
{
	return &p->events[(p->first + i) % PANEL_EVENTS_MAX];
}

static bool is_release(const struct wasmos_event *e)
{
	return (e->type == WASMOS_KEY || e->type == WASMOS_BUTTON) && e->value == WASMOS_UP;
}

/* The oldest that is no release goes; a guest that never looks loses the oldest release at last. */
static void drop_oldest(struct panel *p)
{
	uint32_t i = 0;

	while (i < p->nevents && is_release(event_at(p, i)))
		i++;
	for (i = i < p->nevents ? i : 0; i > 0; i--)
		*event_at(p, i) = *event_at(p, i - 1);
	p->first = (p->first + 1) % PANEL_EVENTS_MAX;
	p->nevents--;
}

/* Movement that nobody saw yet is one movement. */
static bool merge(struct panel *p, const struct wasmos_event *e)
{
	struct wasmos_event *last = p->nevents > 0 ? event_at(p, p->nevents - 1) : NULL;

	if (last == NULL || e->type != WASMOS_POINTER || last->type != WASMOS_POINTER)
		return false;
	last->x = e->x;
	last->y = e->y;
	last->dx = (int32_t)((uint32_t)last->dx + (uint32_t)e->dx);
	last->dy = (int32_t)((uint32_t)last->dy + (uint32_t)e->dy);
	last->mods = e->mods;
	return true;
}

static void push(struct panel *p, const struct wasmos_event *e)
{
	if (merge(p, e))
		return;
	if (p->nevents == PANEL_EVENTS_MAX)
		drop_oldest(p);
	p->nevents++;
	*event_at(p, p->nevents - 1) = *e;
}

/* Notes what is held; false when the event says nothing new. */
static bool note_key(struct panel *p, struct wasmos_event *e)
{
	if (e->code >= PANEL_KEYS || (e->value == WASMOS_UP && !p->keys[e->code]))
		return false;
	if (e->value != WASMOS_UP)
		e->value = p->keys[e->code] ? WASMOS_REPEAT : WASMOS_DOWN;
	p->keys[e->code] = e->value != WASMOS_UP;
	return true;
}

static bool note_button(struct panel *p, const struct wasmos_event *e)
{
	uint32_t bit = e->code < 32 ? UINT32_C(1) << e->code : 0;

	if (bit == 0 || (p->buttons & bit ? WASMOS_DOWN : WASMOS_UP) == e->value)
		return false;
	p->buttons ^= bit;
	return true;
}

static void add_event(struct panel *p, struct wasmos_event e)
{
	if (e.type == WASMOS_KEY && !note_key(p, &e))
		return;
	if (e.type == WASMOS_BUTTON && !note_button(p, &e))
		return;
	push(p, &e);
	poke(p);
}

void panel_event(struct panel *p, const struct wasmos_event *e)
{
	lock(p);
	add_event(p, *e);
	unlock(p);
}

void panel_release_keys(struct panel *p)
{
	lock(p);
	for (uint32_t i = 0; i < PANEL_KEYS; i++)
		if (p->keys[i])
			add_event(p, (struct wasmos_event){.type = WASMOS_KEY, .code = i});
	for (uint32_t i = 0; i < 32; i++)
		if (p->buttons >> i & 1)
			add_event(p, (struct wasmos_event){.type = WASMOS_BUTTON, .code = i});
	unlock(p);
}

void panel_hold(struct panel *p, const uint8_t keys[PANEL_KEYS / 8], uint32_t buttons)
{
	lock(p);
	for (uint32_t i = 0; i < PANEL_KEYS; i++)
		p->keys[i] = keys[i >> 3] >> (i & 7) & 1;
	p->buttons = buttons;
	unlock(p);
}

uint32_t panel_events(struct panel *p, struct wasmos_event *out, uint32_t count)
{
	uint32_t n = 0;

	lock(p);
	for (; n < count && p->nevents > 0; n++, p->nevents--) {
		out[n] = *event_at(p, 0);
		p->first = (p->first + 1) % PANEL_EVENTS_MAX;
	}
	panel_check(p);
	unlock(p);
	return n;
}

uint32_t panel_peek_events(struct panel *p, struct wasmos_event *out)
{
	lock(p);
	uint32_t n = p->nevents;
	for (uint32_t i = 0; out != NULL && i < n; i++)
		out[i] = *event_at(p, i);
	unlock(p);
	return n;
}

/* ---- sound ---- */

/* What a speaker would have played by now, when there is none. */
static void play_by_clock(struct panel *p, uint64_t now_ns)
{
	uint64_t due;

	if (p->pulled || p->mode.rate == 0 || now_ns < p->sound_ns)
		return;
	due = (now_ns - p->sound_ns) / 1000 * p->mode.rate / (SECOND_NS / 1000);
	if (due >= p->nsound) {
		p->sound_ns = now_ns;
		p->nsound = 0;
		return;
	}
	p->sound_ns += due * SECOND_NS / p->mode.rate;
	p->sound_first = (uint32_t)((p->sound_first + due) % p->sound_cap);
	p->nsound -= (uint32_t)due;
}

/* Copies count frames between the ring, from its frame at on, and flat memory. */
static void ring_copy(struct panel *p, uint32_t at, int16_t *flat, uint32_t count, bool in)
{
	uint32_t channels = p->mode.channels;

	while (count > 0) {
		uint32_t place = at % p->sound_cap;
		uint32_t run = p->sound_cap - place < count ? p->sound_cap - place : count;
		int16_t *ring = p->sound + (size_t)place * channels;
		size_t size = (size_t)run * channels * sizeof(*ring);
		memcpy(in ? ring : flat, in ? flat : ring, size);
		flat += (size_t)run * channels;
		at += run;
		count -= run;
	}
}

uint32_t panel_sound(struct panel *p, const int16_t *frames, uint32_t count, uint64_t now_ns)
{
	lock(p);
	play_by_clock(p, now_ns);
	if (count > p->sound_cap - p->nsound)
		count = p->sound_cap - p->nsound;
	/* Only read, as in is true. */
	ring_copy(p, p->sound_first + p->nsound, (int16_t *)(uintptr_t)frames, count, true);
	p->nsound += count;
	unlock(p);
	return count;
}

uint32_t panel_sound_queued(struct panel *p, uint64_t now_ns, uint32_t *space)
{
	lock(p);
	play_by_clock(p, now_ns);
	uint32_t queued = p->nsound;
	*space = p->sound_cap - p->nsound;
	unlock(p);
	return queued;
}

void panel_pull(struct panel *p, int16_t *out, uint32_t count, uint32_t channels)
{
	uint32_t n = 0;

	lock(p);
	p->pulled = true;
	if (channels == p->mode.channels) {
		n = count < p->nsound ? count : p->nsound;
		ring_copy(p, p->sound_first, out, n, false);
		p->sound_first = p->sound_cap ? (p->sound_first + n) % p->sound_cap : 0;
		p->nsound -= n;
	}
	unlock(p);
	memset(out + (size_t)n * channels, 0, (size_t)(count - n) * channels * sizeof(*out));
}

void panel_pull_stop(struct panel *p)
{
	lock(p);
	if (p->pulled)
		p->sound_ns = os_monotonic_ns();
	p->pulled = false;
	unlock(p);
}
