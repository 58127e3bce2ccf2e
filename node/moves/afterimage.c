/* afterimage.c - views that outlive their process for the moment of a move.
 *
 * SHOWN and the moment when the process is forgotten here race: who comes first leaves an entry, and the other
 * takes it. An entry with a view is a window that waits for SHOWN; one without, a SHOWN that waits for the view.
 */
#include "node/moves/afterimage.h"

#include "node/drivers/drivers.h"
#include "node/links/link.h"
#include "node/node.h"

#include <stdlib.h>
#include <string.h>

struct entry {
	uint8_t uid[PROCESS_UID_SIZE];
	struct view *view; /* NULL: it was shown elsewhere before it was forgotten here */
	uint64_t until_ms; /* the loop's time */
	struct entry *next;
};

enum { ENTRIES_MAX = 64 };

struct afterimages {
	struct node *node;
	uv_timer_t *timer; /* of its own life: it closes after the part */
	struct entry *first;
	unsigned count;
};

static void drop(struct afterimages *a, struct entry **at)
{
	struct entry *e = *at;
	*at = e->next;
	a->count--;
	view_close(e->view);
	free(e);
}

static struct entry **find(struct afterimages *a, const uint8_t uid[PROCESS_UID_SIZE])
{
	struct entry **at = &a->first;
	while (*at && memcmp((*at)->uid, uid, PROCESS_UID_SIZE) != 0)
		at = &(*at)->next;
	return at;
}

static void on_time(uv_timer_t *t)
{
	struct afterimages *a = t->data;
	struct entry **at = &a->first;
	uint64_t now_ms = uv_now(&a->node->loop);
	while (*at) {
		if ((*at)->until_ms <= now_ms)
			drop(a, at);
		else
			at = &(*at)->next;
	}
	if (!a->first)
		uv_timer_stop(t);
}

/* Takes the view, also when there is no memory for it. */
static void add(struct afterimages *a, const uint8_t uid[PROCESS_UID_SIZE], struct view *view)
{
	struct entry *e = a->count < ENTRIES_MAX ? calloc(1, sizeof *e) : NULL;
	if (!e) {
		view_close(view);
		return;
	}
	memcpy(e->uid, uid, PROCESS_UID_SIZE);
	e->view = view;
	e->until_ms = uv_now(&a->node->loop) + AFTERIMAGE_MS;
	e->next = a->first;
	a->first = e;
	a->count++;
	if (!uv_is_active((uv_handle_t *)a->timer))
		uv_timer_start(a->timer, on_time, AFTERIMAGE_MS, AFTERIMAGE_MS / 4);
}

void afterimage_keep(struct process *p)
{
	struct afterimages *a = p->node->afterimages;
	struct view *view = p->drivers ? drivers_take_view(p->drivers) : NULL;
	struct entry **at = find(a, p->uid);
	bool shown = *at && !(*at)->view;
	if (*at)
		drop(a, at);
	if (view && shown)
		view_close(view);
	else if (view)
		add(a, p->uid, view);
}

/* ---- who shows it now ---- */

static void on_process(void *ctx, struct process *p, enum process_event ev)
{
	struct afterimages *a = ctx;
	struct msg_screen_shown m;
	if (ev != PROCESS_EVENT_SHOWN)
		return;
	memset(&m, 0, sizeof m);
	memcpy(m.uid, p->uid, sizeof m.uid);
	struct entry **own = find(a, p->uid);
	if (*own)
		drop(a, own);
	/* A peer that is down has no window of it, or closes it in time. */
	for (struct peer *peer = peer_first(a->node); peer; peer = peer_next(peer))
		if (peer_is_up(peer))
			link_send(peer, MSG_SCREEN_SHOWN, &m, LINK_FAST, NULL);
}

/* A process that runs here has no afterimage, whatever a peer says. */
static enum err on_message(void *ctx, struct peer *peer, enum msg type, const union msg_any *any,
                           struct errmsg *msg)
{
	struct afterimages *a = ctx;
	struct entry **at = find(a, any->screen_shown.uid);
	struct process *p = process_find_uid(a->node, any->screen_shown.uid);
	if (*at)
		drop(a, at);
	else if (p && p->state == PROCESS_FROZEN)
		add(a, p->uid, NULL);
	return ERR_OK;
}

/* ---- the part ---- */

static void timer_closed(uv_handle_t *h)
{
	free(h);
}

enum err afterimages_open(struct node *n, struct errmsg *msg)
{
	struct afterimages *a = calloc(1, sizeof *a);
	uv_timer_t *timer = calloc(1, sizeof *timer);
	enum err e = a && timer ? link_subscribe(n, MSG_GROUP_SCREEN, on_message, a) : ERR_NOMEM;
	if (e == ERR_OK)
		e = process_subscribe(n, on_process, a);
	if (e != ERR_OK || uv_timer_init(&n->loop, timer) != 0) {
		free(a);
		free(timer);
		return err_set(msg, e != ERR_OK ? e : ERR_NOMEM, "afterimages: %s", err_text(e));
	}
	timer->data = a;
	a->node = n;
	a->timer = timer;
	n->afterimages = a;
	return ERR_OK;
}

void afterimages_close(struct node *n)
{
	struct afterimages *a = n->afterimages;
	while (a->first)
		drop(a, &a->first);
	uv_close((uv_handle_t *)a->timer, timer_closed);
	free(a);
	n->afterimages = NULL;
}
