/* keeper.c - suspends what runs in the background when the node goes down, resumes it when it is up again. */
#include "node/keeper.h"

#include "node/checkpoint.h"
#include "node/disk.h"
#include "node/moves.h"
#include "node/node.h"
#include "node/session_client.h"
#include "node/store.h"

#include <stdlib.h>
#include <string.h>

enum { STOP_MAX_MS = 20000 };

static const char key[] = "awake";

struct keeper {
	struct node *node;
	uv_timer_t limit;
	uint32_t pending; /* suspends or resumes under way */
	bool stopping, end;
	struct wr uids; /* suspended by us, or to be resumed */
};

/* One process on its way. */
struct keeping {
	struct keeper *keeper;
	uint8_t uid[PROCESS_UID_SIZE];
};

static void write_uids(struct keeper *k)
{
	struct errmsg msg = {0};
	struct depot_batch *b = depot_batch_new(node_depot(k->node));
	enum err e = b ? ERR_OK : ERR_NOMEM;
	if (b && k->uids.size)
		depot_put(b, DEPOT_SETTINGS, key, sizeof key, k->uids.data, k->uids.size);
	else if (b)
		depot_del(b, DEPOT_SETTINGS, key, sizeof key);
	if (e == ERR_OK)
		e = depot_write(b, &msg);
	depot_batch_free(b);
	if (e != ERR_OK)
		node_log(k->node, LOG_WARN, "keeper",
		         "what shall be awake after a restart is not known: %s", msg.text);
}

/* ---- down ---- */

static void suspended(void *ctx, enum err e, const struct errmsg *msg,
                      const struct checkpoint_report *r)
{
	struct keeping *g = ctx;
	struct keeper *k = g->keeper;
	struct process *p;
	if (e == ERR_OK) {
		wr_bytes(&k->uids, g->uid, sizeof g->uid);
	} else if ((p = process_find_uid(k->node, g->uid))) {
		node_log(k->node, LOG_WARN, "keeper", "%u (%s) cannot be kept: %s", p->pid, p->name,
		         msg->text);
		process_kill(p, 137);
	}
	free(g);
	if (!--k->pending)
		write_uids(k);
	uv_async_send(&k->node->mailbox.async);
}

static bool shall_be_kept(const struct process *p)
{
	if (p->state != PROCESS_RUNNING || p->hold != HOLD_NONE)
		return false;
	for (const struct session *s = p->sessions; s; s = s->next)
		if (s->flags & SESSION_OWNS)
			return false;
	return true;
}

static void suspend(struct keeper *k, struct process *p)
{
	struct keeping *g = malloc(sizeof *g);
	if (!g) {
		process_kill(p, 137);
		return;
	}
	g->keeper = k;
	memcpy(g->uid, p->uid, sizeof g->uid);
	k->pending++;
	checkpoint_suspend(p, suspended, g);
}

static void took_too_long(uv_timer_t *t)
{
	struct keeper *k = t->data;
	node_log(k->node, LOG_WARN, "keeper", "going down takes too long: what is left is ended");
	process_kill_all(k->node);
}

static void stop_all(struct keeper *k)
{
	for (struct process *p = process_first(k->node); p; p = p->next) {
		if (!process_alive(p))
			continue;
		if (!k->end && shall_be_kept(p))
			suspend(k, p);
		else
			process_kill(p, 137);
	}
	if (!k->pending)
		write_uids(k);
	uv_async_send(&k->node->mailbox.async);
}

void keeper_stop(struct node *n, bool end)
{
	struct keeper *k = n->keeper;
	k->stopping = true;
	k->end = end;
	uv_timer_start(&k->limit, took_too_long, STOP_MAX_MS, 0);
	if (!k->pending)
		stop_all(
		    k); /* else when the last one is resumed: half resumed it can neither be kept nor ended */
}

bool keeper_busy(struct node *n)
{
	return n->keeper && (n->keeper->pending || !n->keeper->stopping);
}

/* ---- up ---- */

static void resumed(void *ctx, enum err e, const struct errmsg *msg,
                    const struct checkpoint_report *r)
{
	struct keeping *g = ctx;
	struct keeper *k = g->keeper;
	if (e != ERR_OK && k->stopping)
		wr_bytes(&k->uids, g->uid, sizeof g->uid); /* next time */
	else if (e != ERR_OK)
		node_log(k->node, LOG_WARN, "keeper", "a program stays asleep: %s", msg->text);
	free(g);
	if (--k->pending)
		return;
	if (k->stopping)
		stop_all(k); /* up and down again at once */
	else
		write_uids(k); /* none is left to be resumed */
}

static void resume(struct keeper *k, const uint8_t uid[PROCESS_UID_SIZE])
{
	const struct owner *o = moves_record(k->node, uid);
	struct keeping *g = o && o->state == OWNER_SUSPENDED ? malloc(sizeof *g) : NULL;
	if (!g)
		return;
	g->keeper = k;
	memcpy(g->uid, uid, sizeof g->uid);
	k->pending++;
	checkpoint_resume(k->node, o, resumed, g);
}

static void resume_all(struct keeper *k)
{
	struct wr uids = {0};
	if (depot_get(node_depot(k->node), DEPOT_SETTINGS, key, sizeof key, &uids) == ERR_OK)
		for (size_t at = 0; at + PROCESS_UID_SIZE <= uids.size; at += PROCESS_UID_SIZE)
			resume(k, uids.data + at);
	wr_free(&uids);
}

enum err keeper_open(struct node *n, struct errmsg *msg)
{
	struct keeper *k = calloc(1, sizeof *k);
	if (!k)
		return err_set(msg, ERR_NOMEM, "keeper: out of memory");
	k->node = n;
	k->limit.data = k;
	uv_timer_init(&n->loop, &k->limit);
	n->keeper = k;
	resume_all(k);
	return ERR_OK;
}

static void closed(uv_handle_t *h)
{
	struct keeper *k = h->data;
	wr_free(&k->uids);
	free(k);
}

void keeper_close(struct node *n)
{
	uv_close((uv_handle_t *)&n->keeper->limit, closed);
	n->keeper = NULL;
}
