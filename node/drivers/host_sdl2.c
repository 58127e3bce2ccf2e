/* host_sdl2.c - the host half that shows a panel in a window and plays its sound, with SDL2.
 *
 * One service a node: a thread that alone talks to SDL's video, and owns all windows. Other threads leave
 * a window's wishes (open, frame came, freeze, close) under the service's lock and wake it; they never call SDL, whose
 * own way of being woken would talk to the display server on their behalf. A window
 * appears with its first frame, so that one that has just moved here does not show an empty one. Sound
 * is pulled from the panel by SDL's own thread, at the guest's rate: SDL converts.
 *
 * Pictures are scaled here, into the window's surface: it starts at once, needs no GL, and costs less than
 * a twentieth of a core at 35 frames a second.
 */
#include "node/drivers/host.h"

#include "base/os.h"
#include "base/os_thread.h"
#include "node/drivers/sdl2.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	HID_USAGES = 232,    /* SDL's scancodes below are USB HID usages */
	SCREEN_PART_NUM = 3, /* a new window takes at most 3/4 of the screen */
	SCREEN_PART_DEN = 4,
	POLL_MS =
	    5, /* between looks at events while a window is open; wishes are granted at once */
	SOUND_SAMPLES = 512,
};

struct window {
	struct window *next;
	struct service *service;
	struct panel *panel; /* our own reference */
	/* under the service's lock */
	bool changed, frozen, closing;
	/* the service thread's own */
	SDL_Window *sdl;
	uint32_t id;
	struct panel_frame frame;
	uint64_t shown_seq;
	bool grabbed, focused;
	SDL_AudioDeviceID sound;
	uint32_t sound_rate, sound_channels;
	SDL_Rect picture; /* where in the window */
	uint32_t *row;    /* of the frame, as xrgb */
	uint32_t *across; /* the frame's column of each column of the picture */
};

struct service {
	struct sdl2 sdl;
	char device[64];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct window *windows;
	unsigned open; /* windows that are on the screen */
	bool stopping, started, failed, poked;
	bool dead;    /* the display server went away; SDL's video is not called any more */
	bool guarded; /* we are told before Xlib ends the program */
	struct errmsg why;
	bool has_sound;
};

/* ---- pictures ---- */

static void shape_of(const struct panel_mode *m, int *x, int *y)
{
	*x = (int)(m->aspect_x ? m->aspect_x : m->width);
	*y = (int)(m->aspect_y ? m->aspect_y : m->height);
}

/* The largest rectangle of the frame's shape in w x h, in the middle. */
static SDL_Rect fit(const struct panel_mode *m, int w, int h)
{
	SDL_Rect r = {.w = w, .h = h};
	int x, y;

	shape_of(m, &x, &y);
	if ((int64_t)w * y > (int64_t)h * x)
		r.w = (int)((int64_t)h * x / y);
	else
		r.h = (int)((int64_t)w * y / x);
	r.w = r.w > 0 ? r.w : 1;
	r.h = r.h > 0 ? r.h : 1;
	r.x = (w - r.w) / 2;
	r.y = (h - r.h) / 2;
	return r;
}

/* How large a new window is: the frame in its shape, as often as it goes into most of the screen. */
static void first_size(struct window *w, int *width, int *height)
{
	const struct panel_mode *m = &w->frame.mode;
	SDL_Rect screen = {.w = 1024, .h = 768};
	int x, y, times;

	w->service->sdl.SDL_GetDisplayUsableBounds(0, &screen);
	shape_of(m, &x, &y);
	*width = (int)m->width;
	*height = *width * y / x;
	if (*height < (int)m->height) {
		*height = (int)m->height;
		*width = *height * x / y;
	}
	times = screen.w * SCREEN_PART_NUM / SCREEN_PART_DEN / (*width > 0 ? *width : 1);
	if (times > screen.h * SCREEN_PART_NUM / SCREEN_PART_DEN / *height)
		times = screen.h * SCREEN_PART_NUM / SCREEN_PART_DEN / *height;
	*width *= times > 1 ? times : 1;
	*height *= times > 1 ? times : 1;
}

static bool plan_columns(struct window *w, int width)
{
	uint32_t source = w->frame.mode.width;

	free(w->across);
	w->across = malloc(((size_t)width + 1) * sizeof(*w->across));
	for (int x = 0; w->across != NULL && x < width; x++)
		w->across[x] = (uint32_t)((uint64_t)x * source / (uint64_t)width);
	return w->across != NULL;
}

/* Copies the frame into the surface, each pixel as often as needed. */
static void scale(struct window *w, SDL_Surface *to)
{
	SDL_Rect r = w->picture;
	uint32_t last = UINT32_MAX;

	for (int y = 0; y < r.h; y++) {
		uint32_t source = (uint32_t)((uint64_t)y * w->frame.mode.height / (uint64_t)r.h);
		uint32_t *out =
		    (uint32_t *)((uint8_t *)to->pixels + (size_t)(r.y + y) * (size_t)to->pitch) +
		    r.x;
		if (source == last) {
			memcpy(out, (uint8_t *)out - to->pitch, (size_t)r.w * 4);
			continue;
		}
		last = source;
		panel_frame_row(&w->frame, source, w->row);
		for (int x = 0; x < r.w; x++)
			out[x] = w->row[w->across[x]];
	}
}

static void draw(struct window *w)
{
	struct sdl2 *sdl = &w->service->sdl;
	SDL_Surface *to = sdl->SDL_GetWindowSurface(w->sdl);
	SDL_Rect r;

	if (to == NULL || to->format->BytesPerPixel != 4 || w->frame.seq == 0)
		return;
	r = fit(&w->frame.mode, to->w, to->h);
	if (memcmp(&r, &w->picture, sizeof(r)) != 0 || w->across == NULL) {
		w->picture = r;
		if (!plan_columns(w, r.w))
			return;
		sdl->SDL_FillRect(to, NULL, 0);
	}
	if (sdl->SDL_LockSurface(to) != 0)
		return;
	scale(w, to);
	sdl->SDL_UnlockSurface(to);
	sdl->SDL_UpdateWindowSurface(w->sdl);
	panel_shown(w->panel, w->frame.seq);
}

/* ---- the display server may go away ----
 * Xlib then ends the program. It is asked to call us instead, and we do not come back: the thread goes on, from
 * where it stands inside of Xlib, to give windows back when they are closed. Their processes run on, unseen. */

static void live_on(struct service *s);

static void display_lost(void *ctx)
{
	struct service *s = ctx;

	fprintf(stderr, "wasmos: the display is gone; programs with windows run on without\n");
	pthread_mutex_lock(&s->lock);
	s->dead = true;
	pthread_mutex_unlock(&s->lock);
	live_on(s);
	pthread_exit(NULL);
}

static void guard_display(struct window *w)
{
	struct service *s = w->service;

	if (!s->guarded)
		s->guarded = sdl2_guard(&s->sdl, w->sdl, display_lost, s);
}

/* ---- windows, on the service's thread ---- */

static void set_title(struct window *w)
{
	char title[PANEL_TITLE_MAX + 80];
	const char *device = w->service->device;

	snprintf(title, sizeof(title), "%s%s%s", w->frame.mode.title,
	         w->frame.mode.title[0] && device[0] ? " - " : "", device);
	w->service->sdl.SDL_SetWindowTitle(w->sdl, title);
}

/* The screen's refresh is the panel's. */
static void set_refresh(struct window *w)
{
	struct sdl2 *sdl = &w->service->sdl;
	SDL_DisplayMode mode = {0};
	int display = sdl->SDL_GetWindowDisplayIndex(w->sdl);

	if (sdl->SDL_GetCurrentDisplayMode(display < 0 ? 0 : display, &mode) == 0 &&
	    mode.refresh_rate >= 20 && mode.refresh_rate <= 500)
		panel_refresh(w->panel, UINT64_C(1000000000) / (uint64_t)mode.refresh_rate, 0);
	else
		panel_refresh(w->panel, 0, 0);
}

static void count_open(struct service *s, int change)
{
	pthread_mutex_lock(&s->lock);
	s->open += (unsigned)change;
	pthread_mutex_unlock(&s->lock);
}

static void open_window(struct window *w)
{
	struct sdl2 *sdl = &w->service->sdl;
	int width, height;

	first_size(w, &width, &height);
	w->sdl =
	    sdl->SDL_CreateWindow("", (int)SDL_WINDOWPOS_UNDEFINED, (int)SDL_WINDOWPOS_UNDEFINED,
	                          width, height, SDL_WINDOW_RESIZABLE);
	if (w->sdl == NULL) {
		fprintf(stderr, "wasmos: a window cannot be opened: %s\n", sdl->SDL_GetError());
		return;
	}
	count_open(w->service, 1);
	guard_display(w);
	w->id = sdl->SDL_GetWindowID(w->sdl);
	w->focused = (sdl->SDL_GetWindowFlags(w->sdl) & SDL_WINDOW_INPUT_FOCUS) != 0;
	sdl->SDL_StartTextInput();
	set_refresh(w);
}

static void close_window(struct window *w)
{
	bool alive = !w->service->dead;

	if (w->grabbed && alive)
		w->service->sdl.SDL_SetRelativeMouseMode(SDL_FALSE);
	w->grabbed = false;
	if (w->sdl != NULL) {
		count_open(w->service, -1);
		if (alive)
			w->service->sdl.SDL_DestroyWindow(w->sdl);
	}
	w->sdl = NULL;
	free(w->row);
	free(w->across);
	w->row = w->across = NULL;
	w->picture = (SDL_Rect){0};
}

static void update_grab(struct window *w, bool frozen)
{
	bool wanted = w->frame.mode.grab && w->focused && !frozen;

	if (wanted == w->grabbed)
		return;
	w->service->sdl.SDL_SetRelativeMouseMode(wanted ? SDL_TRUE : SDL_FALSE);
	w->grabbed = wanted;
}

static void SDLCALL pull(void *ctx, Uint8 *out, int size)
{
	struct window *w = ctx;
	uint32_t channels = w->sound_channels;

	panel_pull(w->panel, (int16_t *)(void *)out, (uint32_t)size / (2 * channels), channels);
}

static void close_sound(struct window *w)
{
	if (w->sound != 0)
		w->service->sdl.SDL_CloseAudioDevice(w->sound);
	if (w->sound != 0)
		panel_pull_stop(w->panel);
	w->sound = 0;
	w->sound_rate = w->sound_channels = 0;
}

/* No speaker: the clock goes on playing. */
static void update_sound(struct window *w)
{
	struct service *s = w->service;
	const struct panel_mode *m = &w->frame.mode;
	SDL_AudioSpec spec = {.freq = (int)m->rate,
	                      .format = AUDIO_S16SYS,
	                      .samples = SOUND_SAMPLES,
	                      .channels = (Uint8)m->channels,
	                      .callback = pull,
	                      .userdata = w};

	if (m->rate == w->sound_rate && m->channels == w->sound_channels)
		return;
	close_sound(w);
	w->sound_rate = m->rate;
	w->sound_channels = m->channels;
	if (m->rate == 0)
		return;
	s->has_sound = s->has_sound || s->sdl.SDL_InitSubSystem(SDL_INIT_AUDIO) == 0;
	if (s->has_sound)
		w->sound = s->sdl.SDL_OpenAudioDevice(NULL, 0, &spec, NULL, 0);
	if (w->sound != 0)
		s->sdl.SDL_PauseAudioDevice(w->sound, 0);
}

/* Brings the window up to date with its panel. */
static void update(struct window *w, bool frozen)
{
	uint64_t mode_seq = w->frame.mode_seq;

	if (!panel_frame(w->panel, &w->frame))
		return;
	if (mode_seq != w->frame.mode_seq) {
		update_sound(w);
		if (w->frame.mode.format == 0)
			close_window(w);
		free(w->row);
		w->row = calloc(w->frame.mode.width + 1, sizeof(*w->row));
		w->picture = (SDL_Rect){0};
	}
	if (w->frame.seq == 0 || w->frame.mode.format == 0 || w->row == NULL)
		return;
	if (w->sdl == NULL) {
		open_window(w);
		mode_seq = 0;
	}
	if (w->sdl == NULL)
		return;
	if (mode_seq != w->frame.mode_seq)
		set_title(w);
	update_grab(w, frozen);
	draw(w);
}

/* ---- events ---- */

static uint16_t mods_of(unsigned sdl)
{
	return (uint16_t)((sdl & KMOD_SHIFT ? WASMOS_SHIFT : 0) |
	                  (sdl & KMOD_CTRL ? WASMOS_CTRL : 0) | (sdl & KMOD_ALT ? WASMOS_ALT : 0) |
	                  (sdl & KMOD_GUI ? WASMOS_META : 0));
}

static void toggle_fullscreen(struct window *w)
{
	struct sdl2 *sdl = &w->service->sdl;
	bool is_full = sdl->SDL_GetWindowFlags(w->sdl) & SDL_WINDOW_FULLSCREEN_DESKTOP;

	sdl->SDL_SetWindowFullscreen(w->sdl, is_full ? 0 : SDL_WINDOW_FULLSCREEN_DESKTOP);
}

static void on_key(struct window *w, const SDL_KeyboardEvent *k)
{
	struct wasmos_event e = {
	    .type = WASMOS_KEY,
	    .code = (uint32_t)k->keysym.scancode,
	    .value = k->type == SDL_KEYUP ? WASMOS_UP : WASMOS_DOWN,
	    .mods = mods_of(k->keysym.mod),
	};

	if (k->type == SDL_KEYDOWN && k->keysym.scancode == SDL_SCANCODE_RETURN &&
	    (k->keysym.mod & KMOD_ALT)) {
		if (!k->repeat)
			toggle_fullscreen(w);
	} else if (e.code < HID_USAGES) {
		panel_event(w->panel, &e);
	}
}

static void on_text(struct window *w, const char *text)
{
	const uint8_t *p = (const uint8_t *)text;

	while (*p != 0) {
		int more = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
		uint32_t scalar = more == 0 ? *p : *p & (0x3fu >> more);
		for (p++; more > 0 && (*p & 0xc0) == 0x80; more--, p++)
			scalar = scalar << 6 | (*p & 0x3f);
		if (more == 0)
			panel_event(w->panel,
			            &(struct wasmos_event){.type = WASMOS_TEXT, .code = scalar});
	}
}

/* A place in the window as one in the frame. */
static void place(const struct window *w, int x, int y, struct wasmos_event *e)
{
	const SDL_Rect *r = &w->picture;

	if (r->w > 0 && r->h > 0) {
		e->x = (int32_t)((int64_t)(x - r->x) * w->frame.mode.width / r->w);
		e->y = (int32_t)((int64_t)(y - r->y) * w->frame.mode.height / r->h);
	}
}

static void on_motion(struct window *w, const SDL_MouseMotionEvent *m)
{
	struct wasmos_event e = {.type = WASMOS_POINTER, .dx = m->xrel, .dy = m->yrel};

	place(w, m->x, m->y, &e);
	panel_event(w->panel, &e);
}

static void on_button(struct window *w, const SDL_MouseButtonEvent *b)
{
	static const uint8_t codes[] = {0, 1, 2, 3, 4, 5};
	struct wasmos_event e = {.type = WASMOS_BUTTON,
	                         .value = b->type == SDL_MOUSEBUTTONDOWN,
	                         .mods = mods_of((unsigned)w->service->sdl.SDL_GetModState())};

	if (b->button == 0 || b->button >= sizeof(codes))
		return;
	e.code = codes[b->button];
	place(w, b->x, b->y, &e);
	panel_event(w->panel, &e);
}

static void on_focus(struct window *w, bool focused)
{
	w->focused = focused;
	if (!focused)
		panel_release_keys(w->panel);
	panel_event(w->panel, &(struct wasmos_event){.type = WASMOS_FOCUS, .value = focused});
	update_grab(w, false);
}

static void on_window(struct window *w, const SDL_WindowEvent *e)
{
	switch (e->event) {
	case SDL_WINDOWEVENT_CLOSE:
		panel_event(w->panel, &(struct wasmos_event){.type = WASMOS_QUIT});
		break;
	case SDL_WINDOWEVENT_FOCUS_GAINED: on_focus(w, true); break;
	case SDL_WINDOWEVENT_FOCUS_LOST: on_focus(w, false); break;
	case SDL_WINDOWEVENT_DISPLAY_CHANGED: set_refresh(w); break;
	default: break;
	}
}

static struct window *find_window(struct service *s, uint32_t id)
{
	pthread_mutex_lock(&s->lock);
	struct window *w = s->windows;
	while (w != NULL && (w->sdl == NULL || w->id != id))
		w = w->next;
	pthread_mutex_unlock(&s->lock);
	return w;
}

static bool is_frozen(struct window *w)
{
	pthread_mutex_lock(&w->service->lock);
	bool frozen = w->frozen;
	pthread_mutex_unlock(&w->service->lock);
	return frozen;
}

static void on_event_of(struct window *w, const SDL_Event *e)
{
	switch (e->type) {
	case SDL_KEYDOWN:
	case SDL_KEYUP: on_key(w, &e->key); break;
	case SDL_TEXTINPUT: on_text(w, e->text.text); break;
	case SDL_MOUSEMOTION: on_motion(w, &e->motion); break;
	case SDL_MOUSEBUTTONDOWN:
	case SDL_MOUSEBUTTONUP: on_button(w, &e->button); break;
	case SDL_MOUSEWHEEL:
		panel_event(w->panel, &(struct wasmos_event){.type = WASMOS_WHEEL,
		                                             .dx = e->wheel.x,
		                                             .dy = e->wheel.y});
		break;
	case SDL_WINDOWEVENT: on_window(w, &e->window); break;
	default: break;
	}
}

static bool repaints(const SDL_Event *e)
{
	return e->type == SDL_WINDOWEVENT && (e->window.event == SDL_WINDOWEVENT_EXPOSED ||
	                                      e->window.event == SDL_WINDOWEVENT_SIZE_CHANGED);
}

static void on_event(struct service *s, const SDL_Event *e)
{
	/* All events that are about a window have its id in the same place. */
	struct window *w = e->type >= SDL_WINDOWEVENT && e->type < SDL_CLIPBOARDUPDATE
	                       ? find_window(s, e->window.windowID)
	                       : NULL;

	if (w == NULL)
		return;
	if (repaints(e)) {
		w->picture = (SDL_Rect){0};
		draw(w);
	}
	if (!is_frozen(w))
		on_event_of(w, e);
}

/* ---- the service's thread ---- */

static enum err start_sdl(struct service *s, struct errmsg *msg)
{
	TRY(sdl2_load(&s->sdl, msg));
	s->sdl.SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
	s->sdl.SDL_SetHint(SDL_HINT_QUIT_ON_LAST_WINDOW_CLOSE, "0");
	s->sdl.SDL_SetHint(SDL_HINT_APP_NAME, "WasmOS");
	s->sdl.SDL_SetHint(SDL_HINT_FRAMEBUFFER_ACCELERATION, "0");
	if (s->sdl.SDL_InitSubSystem(SDL_INIT_VIDEO) != 0)
		return err_set(msg, ERR_NOTFOUND, "no display: %s", s->sdl.SDL_GetError());
	s->sdl.SDL_EnableScreenSaver();
	return ERR_OK;
}

/* Takes the next window with a wish out of the list's turn: its wish is cleared. */
static struct window *next_wish(struct service *s, bool *closing, bool *frozen)
{
	struct window **at = &s->windows;

	while (*at != NULL && !(*at)->changed && !(*at)->closing)
		at = &(*at)->next;
	struct window *w = *at;
	if (w == NULL)
		return NULL;
	*closing = w->closing;
	*frozen = w->frozen;
	w->changed = false;
	if (w->closing)
		*at = w->next;
	return w;
}

static void free_window(struct window *w)
{
	close_sound(w);
	close_window(w);
	panel_frame_free(&w->frame);
	panel_unref(w->panel);
	free(w);
}

static void grant_wishes(struct service *s)
{
	bool closing, frozen;
	struct window *w;

	pthread_mutex_lock(&s->lock);
	while ((w = next_wish(s, &closing, &frozen)) != NULL) {
		pthread_mutex_unlock(&s->lock);
		if (closing)
			free_window(w);
		else if (!s->dead)
			update(w, frozen);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
}

/* With the lock held: the service ends when it was told to and the last window is closed. */
static bool goes_on(const struct service *s)
{
	return !s->stopping || s->windows != NULL;
}

/* Sleeps until there is a wish, or, while a window is open, until it is time to look for events. False when
 * the service ends. */
static bool wait_for_work(struct service *s)
{
	uint64_t until_ns = os_monotonic_ns() + POLL_MS * UINT64_C(1000000);

	pthread_mutex_lock(&s->lock);
	while (!s->poked && goes_on(s)) {
		if (s->open == 0 || s->dead)
			pthread_cond_wait(&s->wake, &s->lock);
		else if (!os_cond_wait(&s->wake, &s->lock, until_ns))
			break;
	}
	s->poked = false;
	bool more = goes_on(s);
	pthread_mutex_unlock(&s->lock);
	return more;
}

static void take_events(struct service *s)
{
	SDL_Event e;

	while (s->open > 0 && s->sdl.SDL_PollEvent(&e))
		on_event(s, &e);
}

/* The rest of a service's life without a display. */
static void live_on(struct service *s)
{
	do
		grant_wishes(s);
	while (wait_for_work(s));
}

static void *service_thread(void *arg)
{
	struct service *s = arg;
	enum err e = start_sdl(s, &s->why);

	pthread_mutex_lock(&s->lock);
	s->started = true;
	s->failed = e != ERR_OK;
	pthread_cond_broadcast(&s->wake);
	pthread_mutex_unlock(&s->lock);
	if (e != ERR_OK)
		return NULL;
	do {
		grant_wishes(s);
		take_events(s);
	} while (wait_for_work(s));
	s->sdl.SDL_Quit();
	return NULL;
}

/* With the lock held: the thread looks at its wishes soon. */
static void poke(struct service *s)
{
	s->poked = true;
	pthread_cond_signal(&s->wake);
}

/* ---- host_ops ---- */

static enum err sdl2_start(const char *device, void **service, struct errmsg *msg)
{
	struct service *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return err_set(msg, ERR_NOMEM, "out of memory for SDL2");
	strncpy(s->device, device, sizeof(s->device) - 1);
	pthread_mutex_init(&s->lock, NULL);
	os_cond_init(&s->wake);
	if (pthread_create(&s->thread, NULL, service_thread, s) != 0) {
		free(s);
		return err_set(msg, ERR_LIMIT, "no thread for SDL2");
	}
	pthread_mutex_lock(&s->lock);
	while (!s->started)
		pthread_cond_wait(&s->wake, &s->lock);
	pthread_mutex_unlock(&s->lock);
	if (s->failed) {
		pthread_join(s->thread, NULL);
		err_set(msg, ERR_NOTFOUND, "%s", s->why.text);
		free(s);
		return ERR_NOTFOUND;
	}
	*service = s;
	return ERR_OK;
}

static void sdl2_stop(void *service)
{
	struct service *s = service;

	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	poke(s);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->wake);
	free(s);
}

static void window_changed(void *ctx)
{
	struct window *w = ctx;

	pthread_mutex_lock(&w->service->lock);
	w->changed = true;
	poke(w->service);
	pthread_mutex_unlock(&w->service->lock);
}

static enum err sdl2_open(void *service, const struct host_tty *tty, struct panel *panel,
                          void **state, struct errmsg *msg)
{
	struct service *s = service;
	struct window *w;

	pthread_mutex_lock(&s->lock);
	bool dead = s->dead;
	pthread_mutex_unlock(&s->lock);
	if (dead)
		return err_set(msg, ERR_NOTFOUND, "the display is gone");
	if ((w = calloc(1, sizeof(*w))) == NULL)
		return err_set(msg, ERR_NOMEM, "out of memory for a window");
	w->service = s;
	w->panel = panel_ref(panel);
	pthread_mutex_lock(&s->lock);
	w->next = s->windows;
	s->windows = w;
	pthread_mutex_unlock(&s->lock);
	panel_watch(panel, window_changed, w);
	window_changed(w);
	*state = w;
	return ERR_OK;
}

static void sdl2_freeze(void *state)
{
	struct window *w = state;

	panel_unwatch(w->panel, w);
	pthread_mutex_lock(&w->service->lock);
	w->frozen = true;
	w->changed = true;
	poke(w->service);
	pthread_mutex_unlock(&w->service->lock);
}

/* The window is the thread's to free; the caller has forgotten it. */
static void sdl2_close(void *state)
{
	struct window *w = state;
	struct service *s = w->service;

	panel_unwatch(w->panel, w);
	pthread_mutex_lock(&s->lock);
	w->closing = true;
	poke(s);
	pthread_mutex_unlock(&s->lock);
}

const struct host_ops host_sdl2 = {
    .name = "sdl2",
    .has_display = sdl2_has_display,
    .start = sdl2_start,
    .stop = sdl2_stop,
    .open = sdl2_open,
    .freeze = sdl2_freeze,
    .close = sdl2_close,
};
