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
	/* While a person asks for it the stop may still be refused: nothing is ended before all is kept. */
	keeper_decided_fn decided;
	void *decided_ctx;
	uint32_t failed; /* that could not be kept */
	struct errmsg why;
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

static void not_kept(struct keeper *k, const struct process *p, const char *why)
{
	node_log(k->node, LOG_WARN, "keeper", "%u (%s) cannot be kept: %s", p->pid, p->name, why);
	if (!k->failed++)
		err_set(&k->why, ERR_STATE, "%u (%s) cannot be kept: %s", p->pid, p->name, why);
}

/* why: NULL when the stop goes on. */
static void tell_end(struct keeper *k, const struct errmsg *why)
{
	if (k->decided)
		k->decided(k->decided_ctx, why);
	k->decided = NULL;
}

static void end_what_is_left(struct keeper *k)
{
	tell_end(k, NULL);
	process_kill_all(k->node);
	write_uids(k);
	uv_async_send(&k->node->mailbox.async);
}

static void resume(struct keeper *k, const uint8_t uid[PROCESS_UID_SIZE]);

/* Not everything can be kept: the node stays up, and what sleeps already goes on. */
static void stay_up(struct keeper *k)
{
	struct wr uids = k->uids;
	k->uids = (struct wr){0};
	k->stopping = k->node->stopping = false;
	node_log(k->node, LOG_INFO, "node", "stays up");
	tell_end(k, &k->why);
	for (size_t at = 0; at + PROCESS_UID_SIZE <= uids.size; at += PROCESS_UID_SIZE)
		resume(k, uids.data + at);
	wr_free(&uids);
}

static void all_suspended(struct keeper *k)
{
	if (k->decided && k->failed)
		stay_up(k);
	else
		end_what_is_left(k);
}

static void suspended(void *ctx, enum err e, const struct errmsg *msg,
                      const struct checkpoint_report *r)
{
	struct keeping *g = ctx;
	struct keeper *k = g->keeper;
	struct process *p;
	if (e == ERR_OK)
		wr_bytes(&k->uids, g->uid, sizeof g->uid);
	else if ((p = process_find_uid(k->node, g->uid)) && process_alive(p))
		not_kept(k, p, msg->text);
	free(g);
	if (!--k->pending)
		all_suspended(k);
}

static bool is_waited_for(const struct process *p)
{
	for (const struct session *s = p->sessions; s; s = s->next)
		if (s->flags & SESSION_OWNS)
			return true;
	return false;
}

/* On its way to the disk or to another device by another request. */
static bool is_under_way(const struct process *p)
{
	return p->hold == HOLD_MOVING || p->hold == HOLD_SUSPENDED;
}

static void suspend(struct keeper *k, struct process *p)
{
	struct keeping *g = malloc(sizeof *g);
	if (!g) {
		not_kept(k, p, "out of memory");
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

static void suspend_all(struct keeper *k)
{
	k->node->stopping = true;
	k->failed = 0;
	k->pending++; /* so that none is the last before all are asked */
	for (struct process *p = process_first(k->node); p && !k->end; p = p->next) {
		if (p->state == PROCESS_RUNNING && p->hold == HOLD_NONE && !is_waited_for(p))
			suspend(k, p);
		else if (process_alive(p) && is_under_way(p) && k->decided)
			not_kept(k, p, process_state_text(p));
	}
	if (!--k->pending)
		all_suspended(k);
}

void keeper_stop(struct node *n, bool end, keeper_decided_fn decided, void *ctx)
{
	struct keeper *k = n->keeper;
	k->stopping = true;
	k->end = end;
	k->decided = decided;
	k->decided_ctx = ctx;
	if (!decided)
		uv_timer_start(&k->limit, took_too_long, STOP_MAX_MS, 0);
	if (!k->pending)
		suspend_all(
		    k); /* else when the last one is resumed: half resumed it can neither be kept nor ended */
}

void keeper_insist(struct node *n)
{
	struct keeper *k = n->keeper;
	tell_end(k, NULL);
	uv_timer_start(&k->limit, took_too_long, STOP_MAX_MS, 0);
}

bool keeper_is_stopping(struct node *n)
{
	return n->keeper->stopping;
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
	if (e != ERR_OK && k->stopping && !k->end)
		wr_bytes(&k->uids, g->uid, sizeof g->uid); /* next time */
	else if (e != ERR_OK)
		node_log(k->node, LOG_WARN, "keeper", "a program stays asleep: %s", msg->text);
	free(g);
	if (--k->pending)
		return;
	if (k->stopping)
		suspend_all(k); /* up and down again at once */
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
