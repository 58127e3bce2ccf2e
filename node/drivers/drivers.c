/* drivers.c - the life of a process's drivers, and the host half that is attached to them. */
#include "node/drivers/guest.h"

#include "base/os.h"
#include "node/drivers/frame_png.h"
#include "node/drivers/host_client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void drivers_check(const struct drivers *d)
{
	assert(d->panel != NULL);
	assert(d->mode.width <= PANEL_SIDE_MAX && d->mode.height <= PANEL_SIDE_MAX);
	assert((d->mode.format == 0) == (d->mode.width == 0));
	assert((d->mode.rate == 0) == (d->mode.channels == 0));
}

enum err drivers_new(const struct drivers_config *cfg, struct drivers **out)
{
	struct panel_hooks hooks = {.poke = cfg->poke, .shown = cfg->shown, .ctx = cfg->ctx};
	struct drivers *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return ERR_NOMEM;
	if (panel_new(&hooks, &d->panel) != ERR_OK) {
		free(d);
		return ERR_NOMEM;
	}
	pthread_mutex_init(&d->lock, NULL);
	d->cfg = *cfg;
	d->hashing = cfg->frame_hash;
	/* Cut between characters: a byte 10xxxxxx continues one. */
	size_t size = cfg->name != NULL ? strlen(cfg->name) : 0;
	if (size > PANEL_TITLE_MAX)
		for (size = PANEL_TITLE_MAX; size > 0 && (cfg->name[size] & 0xc0) == 0x80;)
			size--;
	if (size)
		memcpy(d->name, cfg->name, size);
	d->cfg.name = d->name;
	*out = d;
	return ERR_OK;
}

void drivers_free(struct drivers *d)
{
	if (d == NULL)
		return;
	drivers_check(d);
	panel_orphan(d->panel);
	view_close(drivers_take_view(d));
	screen_client_unref(d->client);
	panel_unref(d->panel);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

struct host_resolver drivers_resolver(struct drivers *d)
{
	return (struct host_resolver){.resolve = calls_resolve, .ctx = d};
}

void drivers_told(struct drivers *d, const struct wasmos_event *events, uint32_t count)
{
	for (const struct wasmos_event *e = events; e < events + count; e++) {
		bool down = e->value != WASMOS_UP;
		if (e->type == WASMOS_KEY && e->code < PANEL_KEYS) {
			uint8_t bit = (uint8_t)(1u << (e->code & 7));
			d->keys[e->code >> 3] =
			    (uint8_t)((d->keys[e->code >> 3] & ~bit) | (down ? bit : 0));
		} else if (e->type == WASMOS_BUTTON && e->code < 32) {
			uint32_t bit = UINT32_C(1) << e->code;
			d->buttons = (d->buttons & ~bit) | (down ? bit : 0);
		}
	}
}

/* ---- the view ---- */

/* Takes the view out and puts another (or none) in; the caller closes the old one. */
static struct view *swap_view(struct drivers *d, struct view *v)
{
	pthread_mutex_lock(&d->lock);
	struct view *old = d->view;
	d->view = v;
	pthread_mutex_unlock(&d->lock);
	return old;
}

static bool has_view(struct drivers *d)
{
	pthread_mutex_lock(&d->lock);
	bool has = d->view != NULL;
	pthread_mutex_unlock(&d->lock);
	return has;
}

/* Where the process came from it was drawn in its terminal; here it is not. */
static void leave_terminal(struct drivers *d, const struct view *v)
{
	if (d->was_terminal && d->cfg.tty.write != NULL &&
	    strcmp(view_host_name(v), host_terminal.name) != 0)
		terminal_give_back(&d->cfg.tty);
	pthread_mutex_lock(&d->lock);
	d->was_terminal = false;
	pthread_mutex_unlock(&d->lock);
}

/* Who watched it in a terminal goes on watching it there: the terminal stays attached. */
static enum screen_kind wanted_screen(const struct drivers *d)
{
	if (d->cfg.screen == SCREEN_AUTO && d->was_terminal && d->cfg.tty.write != NULL)
		return SCREEN_TERMINAL;
	return d->cfg.screen;
}

/* A client before the device's own screen. */
static enum err open_wanted(struct drivers *d, struct view **out)
{
	pthread_mutex_lock(&d->lock);
	struct screen_client *client = d->client != NULL ? screen_client_ref(d->client) : NULL;
	pthread_mutex_unlock(&d->lock);
	if (client == NULL)
		return view_open(d->cfg.hosts, wanted_screen(d), &d->cfg.tty, d->panel, out, NULL);
	enum err e = view_open_client(client, d->panel, out, NULL);
	screen_client_unref(client);
	return e;
}

/* A guest without a screen runs on: what cannot be shown is not shown. */
void drivers_follow(struct drivers *d)
{
	bool wanted = d->started && (d->mode.format != 0 || d->mode.rate != 0);
	struct view *v;

	if (d->cfg.hosts == NULL || wanted == has_view(d))
		return;
	if (!wanted) {
		view_close(swap_view(d, NULL));
	} else if (open_wanted(d, &v) == ERR_OK) {
		leave_terminal(d, v);
		view_close(swap_view(d, v));
	}
}

void drivers_start(struct drivers *d)
{
	if (d->started)
		return;
	d->started = true;
	drivers_follow(d);
}

void drivers_end(struct drivers *d)
{
	d->started = false;
	view_close(swap_view(d, NULL));
}

struct view *drivers_take_view(struct drivers *d)
{
	struct view *v = swap_view(d, NULL);

	if (v != NULL)
		view_freeze(v);
	return v;
}

enum err drivers_attach(struct drivers *d, enum screen_kind screen, const struct host_tty *tty,
                        struct errmsg *msg)
{
	struct view *v;

	if (d->cfg.hosts == NULL)
		return err_set(msg, ERR_UNSUPPORTED, "this node shows nothing");
	view_close(drivers_take_view(d));
	TRY(view_open(d->cfg.hosts, screen, tty != NULL ? tty : &d->cfg.tty, d->panel, &v, msg));
	view_close(swap_view(d, v));
	return ERR_OK;
}

/* Puts another client (or none) in the place of the wanted one; the caller drops the old one. */
static struct screen_client *swap_client(struct drivers *d, struct screen_client *client)
{
	pthread_mutex_lock(&d->lock);
	struct screen_client *old = d->client;
	d->client = client;
	pthread_mutex_unlock(&d->lock);
	return old;
}

enum err drivers_attach_client(struct drivers *d, struct screen_client *client, struct errmsg *msg)
{
	struct view *v;

	if (d->cfg.hosts == NULL)
		return err_set(msg, ERR_UNSUPPORTED, "this node shows nothing");
	TRY(view_open_client(client, d->panel, &v, msg));
	screen_client_unref(swap_client(d, screen_client_ref(client)));
	view_close(swap_view(d, v));
	return ERR_OK;
}

static bool take_client(struct drivers *d, struct screen_client *client)
{
	pthread_mutex_lock(&d->lock);
	bool is_it = d->client == client;
	if (is_it)
		d->client = NULL;
	pthread_mutex_unlock(&d->lock);
	return is_it;
}

void drivers_detach_client(struct drivers *d, struct screen_client *client)
{
	if (!take_client(d, client))
		return;
	screen_client_unref(client);
	if (has_view(d))
		drivers_attach(d, wanted_screen(d), NULL, NULL);
}

bool drivers_tty_input(struct drivers *d, const uint8_t *bytes, size_t size)
{
	pthread_mutex_lock(&d->lock);
	bool taken = d->view != NULL && view_tty_input(d->view, bytes, size);
	pthread_mutex_unlock(&d->lock);
	return taken;
}

/* ---- what the node shows ---- */

void drivers_stats(struct drivers *d, struct drivers_stats *out)
{
	struct panel_mode mode;

	memset(out, 0, sizeof(*out));
	panel_mode(d->panel, &mode);
	out->display = mode.format != 0;
	out->audio = mode.rate != 0;
	out->width = mode.width;
	out->height = mode.height;
	pthread_mutex_lock(&d->lock);
	out->input = d->asked_input;
	out->frames = d->frames;
	out->frame_hash = d->hashing;
	memcpy(out->hash, d->hash, sizeof(out->hash));
	out->host = d->view != NULL ? view_host_name(d->view) : "none";
	pthread_mutex_unlock(&d->lock);
}

enum err drivers_screenshot(struct drivers *d, struct wr *out, struct errmsg *msg)
{
	struct panel_frame f = {0};
	enum err e;

	panel_frame(d->panel, &f);
	if (f.seq == 0)
		e = err_set(msg, ERR_NOTFOUND, "the process has shown no frame yet");
	else
		e = png_write(&f, out, msg);
	panel_frame_free(&f);
	return e;
}
