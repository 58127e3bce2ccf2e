/* host_client.c - the host half of a connected client: a panel, found through a value that outlives views.
 *
 * Truths (under the lock):
 *	panel is of the view that was opened last; it is kept after that view was closed, for its last frame
 *	live: that view is open and not frozen; only then events and sound go through
 *	views of the client are opened and closed in any order: a view's own state says which panel was its
 */
#include "node/drivers/host_client.h"

#include "node/drivers/host.h"

#include <pthread.h>
#include <stdlib.h>

struct screen_client {
	pthread_mutex_t lock;
	unsigned refs;
	struct panel *panel;
	bool live, every;
	void (*wake)(void *ctx); /* NULL: nobody listens any more */
	void *ctx;
};

/* A view's state. */
struct showing {
	struct screen_client *client;
	struct panel *panel; /* the view's reference holds it */
};

enum err screen_client_new(bool every, void (*wake)(void *ctx), void *ctx,
                           struct screen_client **out)
{
	struct screen_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return ERR_NOMEM;
	pthread_mutex_init(&c->lock, NULL);
	c->refs = 1;
	c->every = every;
	c->wake = wake;
	c->ctx = ctx;
	*out = c;
	return ERR_OK;
}

struct screen_client *screen_client_ref(struct screen_client *c)
{
	pthread_mutex_lock(&c->lock);
	c->refs++;
	pthread_mutex_unlock(&c->lock);
	return c;
}

void screen_client_unref(struct screen_client *c)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	bool last = --c->refs == 0;
	pthread_mutex_unlock(&c->lock);
	if (!last)
		return;
	panel_unref(c->panel);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void screen_client_leave(struct screen_client *c)
{
	pthread_mutex_lock(&c->lock);
	c->wake = NULL;
	pthread_mutex_unlock(&c->lock);
}

/* ---- the client's side ---- */

/* A reference on the panel; NULL: there is none, or none that is live. */
static struct panel *hold_panel(struct screen_client *c, bool live)
{
	pthread_mutex_lock(&c->lock);
	struct panel *p = c->panel != NULL && (c->live || !live) ? panel_ref(c->panel) : NULL;
	pthread_mutex_unlock(&c->lock);
	return p;
}

bool screen_client_frame(struct screen_client *c, struct panel_frame *f)
{
	struct panel *p = hold_panel(c, false);
	bool is_new = p != NULL && panel_frame(p, f);

	panel_unref(p);
	return is_new;
}

void screen_client_shown(struct screen_client *c, uint64_t seq)
{
	struct panel *p = hold_panel(c, true);

	if (p != NULL)
		panel_shown(p, seq);
	panel_unref(p);
}

void screen_client_event(struct screen_client *c, const struct wasmos_event *e)
{
	struct panel *p = hold_panel(c, true);

	if (p != NULL)
		panel_event(p, e);
	panel_unref(p);
}

void screen_client_release_keys(struct screen_client *c)
{
	struct panel *p = hold_panel(c, true);

	if (p != NULL)
		panel_release_keys(p);
	panel_unref(p);
}

void screen_client_pull(struct screen_client *c, int16_t *out, uint32_t count, uint32_t channels)
{
	struct panel *p = hold_panel(c, true);

	for (size_t i = 0; p == NULL && i < (size_t)count * channels; i++)
		out[i] = 0;
	if (p != NULL)
		panel_pull(p, out, count, channels);
	panel_unref(p);
}

void screen_client_pull_stop(struct screen_client *c)
{
	struct panel *p = hold_panel(c, false);

	if (p != NULL)
		panel_pull_stop(p);
	panel_unref(p);
}

/* ---- the panel's side ---- */

static void changed(void *ctx)
{
	struct screen_client *c = ((struct showing *)ctx)->client;

	pthread_mutex_lock(&c->lock);
	if (c->wake != NULL)
		c->wake(c->ctx);
	pthread_mutex_unlock(&c->lock);
}

/* The service is the client. */
static enum err client_open(void *service, const struct host_tty *tty, struct panel *panel,
                            void **state, struct errmsg *msg)
{
	struct showing *s = malloc(sizeof(*s));

	if (s == NULL)
		return err_set(msg, ERR_NOMEM, "out of memory for a view");
	*s = (struct showing){.client = screen_client_ref(service), .panel = panel};
	pthread_mutex_lock(&s->client->lock);
	struct panel *old = s->client->panel;
	s->client->panel = panel_ref(panel);
	s->client->live = true;
	pthread_mutex_unlock(&s->client->lock);
	panel_unref(old);
	panel_refresh(panel, 0, 0);
	panel_watch(panel, changed, s);
	panel_every(panel, s, s->client->every);
	changed(s);
	*state = s;
	return ERR_OK;
}

/* Events stop; who played the sound is no longer there. */
static void client_freeze(void *state)
{
	struct showing *s = state;

	panel_unwatch(s->panel, s);
	panel_every(s->panel, s, false);
	pthread_mutex_lock(&s->client->lock);
	if (s->client->panel == s->panel)
		s->client->live = false;
	pthread_mutex_unlock(&s->client->lock);
	panel_pull_stop(s->panel);
}

static void client_close(void *state)
{
	struct showing *s = state;

	client_freeze(s);
	screen_client_unref(s->client);
	free(s);
}

const struct host_ops host_client = {
    .name = "client",
    .open = client_open,
    .freeze = client_freeze,
    .close = client_close,
};
