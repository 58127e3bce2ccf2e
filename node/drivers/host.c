/* host.c - which host half shows a panel, and the life of views. */
#include "node/drivers/host.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const struct host_ops *const all_hosts[] = {
    [SCREEN_SDL2] = &host_sdl2,
    [SCREEN_TERMINAL] = &host_terminal,
    [SCREEN_HEADLESS] = &host_headless,
};

enum { KINDS = sizeof(all_hosts) / sizeof(all_hosts[0]) };

struct hosts {
	char device[64];
	pthread_mutex_t lock; /* held while a service starts */
	void *services[KINDS];
	bool started[KINDS];
	atomic_bool warming; /* the thread below was started */
	pthread_t warmer;
};

struct view {
	const struct host_ops *ops;
	void *state;
	struct panel *panel;
	bool frozen;
};

bool screen_kind_parse(const char *name, enum screen_kind *out)
{
	static const struct {
		const char *name;
		enum screen_kind kind;
	} names[] = {
	    {"auto", SCREEN_AUTO},         {"sdl", SCREEN_SDL2},          {"sdl2", SCREEN_SDL2},
	    {"terminal", SCREEN_TERMINAL}, {"headless", SCREEN_HEADLESS},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (name == NULL || strcmp(name, names[i].name) == 0) {
			*out = names[i].kind;
			return true;
		}
	}
	return false;
}

enum err hosts_new(const struct hosts_config *cfg, struct hosts **out)
{
	struct hosts *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return ERR_NOMEM;
	pthread_mutex_init(&h->lock, NULL);
	strncpy(h->device, cfg->device != NULL ? cfg->device : "", sizeof(h->device) - 1);
	*out = h;
	return ERR_OK;
}

void hosts_free(struct hosts *h)
{
	if (h == NULL)
		return;
	if (atomic_load(&h->warming))
		pthread_join(h->warmer, NULL);
	for (int i = 0; i < KINDS; i++)
		if (h->started[i] && all_hosts[i]->stop != NULL)
			all_hosts[i]->stop(h->services[i]);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* A service that could not be started is asked for again the next time: a display may appear. */
static enum err start(struct hosts *h, enum screen_kind kind, struct errmsg *msg)
{
	const struct host_ops *ops = all_hosts[kind];
	enum err e = ERR_OK;

	pthread_mutex_lock(&h->lock);
	if (!h->started[kind] && ops->start != NULL)
		e = ops->start(h->device, &h->services[kind], msg);
	h->started[kind] |= e == ERR_OK;
	pthread_mutex_unlock(&h->lock);
	return e;
}

bool hosts_have_window(void)
{
	return host_sdl2.has_display();
}

static bool is_candidate(enum screen_kind kind, const struct host_tty *tty)
{
	switch (kind) {
	case SCREEN_SDL2: return hosts_have_window();
	case SCREEN_TERMINAL: return tty != NULL && tty->write != NULL;
	default: return kind == SCREEN_HEADLESS;
	}
}

static void *warm(void *arg)
{
	start(arg, SCREEN_SDL2, NULL);
	return NULL;
}

void hosts_warm(struct hosts *h, enum screen_kind kind)
{
	bool wanted = kind == SCREEN_SDL2 || kind == SCREEN_AUTO;

	if (!wanted || !host_sdl2.has_display() || atomic_exchange(&h->warming, true))
		return;
	if (pthread_create(&h->warmer, NULL, warm, h) != 0)
		atomic_store(&h->warming, false);
}

static enum err open_kind(struct hosts *h, enum screen_kind kind, const struct host_tty *tty,
                          struct view *v, struct errmsg *msg)
{
	TRY(start(h, kind, msg));
	v->ops = all_hosts[kind];
	return v->ops->open(h->services[kind], tty, v->panel, &v->state, msg);
}

static enum err open_any(struct hosts *h, enum screen_kind kind, const struct host_tty *tty,
                         struct view *v, struct errmsg *msg)
{
	if (kind != SCREEN_AUTO)
		return open_kind(h, kind, tty, v, msg);
	for (enum screen_kind k = SCREEN_SDL2; k < SCREEN_HEADLESS; k++)
		if (is_candidate(k, tty) && open_kind(h, k, tty, v, msg) == ERR_OK)
			return ERR_OK;
	return open_kind(h, SCREEN_HEADLESS, tty, v, msg);
}

static enum err view_new(struct panel *panel, struct view **out, struct errmsg *msg)
{
	struct view *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return err_set(msg, ERR_NOMEM, "out of memory for a view");
	v->panel = panel_ref(panel);
	*out = v;
	return ERR_OK;
}

/* e: whether the host half took the panel; when not, the view never was. */
static enum err view_ready(struct view *v, enum err e, struct view **out)
{
	if (e == ERR_OK) {
		*out = v;
		return e;
	}
	panel_unref(v->panel);
	free(v);
	return e;
}

enum err view_open(struct hosts *h, enum screen_kind kind, const struct host_tty *tty,
                   struct panel *panel, struct view **out, struct errmsg *msg)
{
	struct view *v;

	TRY(view_new(panel, &v, msg));
	return view_ready(v, open_any(h, kind, tty, v, msg), out);
}

enum err view_open_client(struct screen_client *client, struct panel *panel, struct view **out,
                          struct errmsg *msg)
{
	struct view *v;

	TRY(view_new(panel, &v, msg));
	v->ops = &host_client;
	return view_ready(v, v->ops->open(client, NULL, panel, &v->state, msg), out);
}

void view_freeze(struct view *v)
{
	if (!v->frozen)
		v->ops->freeze(v->state);
	v->frozen = true;
}

void view_close(struct view *v)
{
	if (v == NULL)
		return;
	v->ops->close(v->state);
	panel_unref(v->panel);
	free(v);
}

const char *view_host_name(const struct view *v)
{
	return v->ops->name;
}

bool view_tty_input(struct view *v, const uint8_t *bytes, size_t size)
{
	if (v->frozen || v->ops->tty_input == NULL)
		return false;
	return v->ops->tty_input(v->state, bytes, size);
}
