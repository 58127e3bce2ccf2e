/* keeper.c - suspends what runs in the background when the node goes down, resumes it when it is up again. */
#include "node/moves/keeper.h"

#include "base/os.h"
#include "node/control/awake.h"
#include "node/moves/checkpoint.h"
#include "node/disk.h"
#include "node/links/devices.h"
#include "node/moves/moves.h"
#include "node/node.h"
#include "node/moves/saver.h"
#include "node/terminal/session_client.h"
#include "node/store.h"
#include "node/service/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	STOP_MAX_MS = 60000,  /* service managers wait for 90 s */
	SETTLE_MAX_MS = 5000, /* for what stands, moves or is just being woken */
	SETTLE_STEP_MS = 20,
};

static const char key[] = "awake";

struct keeper {
	struct node *node;
	uv_timer_t limit, settle;
	uint32_t handles; /* open timers; the last one frees */
	uint64_t settle_until_ms;
	uint32_t pending; /* suspends or resumes under way */
	bool stopping, end;
	struct wr uids;           /* suspended by us, or to be resumed */
	struct failure *failures; /* of this stop */
	/* While a person asks for it the stop may still be refused: nothing is ended before all is kept. */
	keeper_decided_fn decided;
	void *decided_ctx;
	struct errmsg why; /* of the first that could not be kept */
};

struct failure {
	uint8_t uid[PROCESS_UID_SIZE];
	struct errmsg why;
	struct failure *next;
};

/* One process on its way. */
struct keeping {
	struct keeper *keeper;
	uint8_t uid[PROCESS_UID_SIZE];
};

static bool write_list(struct keeper *k, const struct wr *uids)
{
	struct errmsg msg = {0};
	enum err e = depot_keep_setting(node_depot(k->node), key, uids->data, uids->size, &msg);
	if (e != ERR_OK)
		node_log(k->node, LOG_WARN, "keeper",
		         "what shall be awake after a restart is not known: %s", msg.text);
	return e == ERR_OK;
}

/* ---- down ---- */

static void not_kept(struct keeper *k, const struct process *p, const char *why)
{
	node_log_about(
	    k->node, LOG_WARN, "keeper",
	    &(struct log_about){.event = LOG_EVENT_program_lost, .pid = p->pid, .program = p->name},
	    "%u (%s) cannot be kept: %s", p->pid, p->name, why);
	if (!k->failures)
		err_set(&k->why, ERR_STATE, "%u (%s) cannot be kept: %s", p->pid, p->name, why);
	struct failure *f = calloc(1, sizeof *f);
	if (!f)
		abort();
	memcpy(f->uid, p->uid, sizeof f->uid);
	err_set(&f->why, ERR_STATE, "%s", why);
	f->next = k->failures;
	k->failures = f;
}

static void forget_failures(struct keeper *k)
{
	while (k->failures) {
		struct failure *f = k->failures;
		k->failures = f->next;
		free(f);
	}
}

/* why: NULL when the stop goes on. */
static void tell_end(struct keeper *k, const struct errmsg *why)
{
	if (k->decided)
		k->decided(k->decided_ctx, why);
	k->decided = NULL;
}

static bool is_waited_for(const struct process *p)
{
	for (const struct session *s = p->sessions; s; s = s->next)
		if (s->flags & SESSION_OWNS)
			return true;
	return false;
}

/* It should have been kept: what its last checkpoint has is what is left of it. */
static void cut_off(struct keeper *k, struct process *p, const char *why)
{
	struct saver_status st;
	char age[64] = "";
	if (!moves_cut_off(p)) {
		node_log_about(
		    k->node, LOG_ERROR, "keeper",
		    &(struct log_about){
		        .event = LOG_EVENT_program_lost, .pid = p->pid, .program = p->name},
		    "%u (%s) is lost: %s, and there is no checkpoint of it", p->pid, p->name, why);
		return;
	}
	if (saver_status(k->node, p, &st) && st.count)
		snprintf(age, sizeof age, ", made %lld s ago",
		         (long long)(os_wall_ns() / 1000000 - (uint64_t)st.last_unix_ms) / 1000);
	node_log_about(
	    k->node, LOG_ERROR, "keeper",
	    &(struct log_about){.event = LOG_EVENT_program_lost, .pid = p->pid, .program = p->name},
	    "%u (%s) is ended: %s; it goes on from its last checkpoint%s, when the node is up "
	    "again",
	    p->pid, p->name, why, age);
}

static void cut_off_all(struct keeper *k, const char *why)
{
	for (struct process *p = process_first(k->node); p; p = p->next) {
		const struct failure *f = k->failures;
		while (f && memcmp(f->uid, p->uid, sizeof f->uid) != 0)
			f = f->next;
		if (p->leads && process_alive(p) && !p->forgotten && !p->cut_off &&
		    !is_waited_for(p) && p->hold != HOLD_ARRIVING && p->hold != HOLD_IN_FLIGHT)
			cut_off(k, p, f ? f->why.text : why ? why : process_state_text(p));
	}
}

static void end_what_is_left(struct keeper *k)
{
	tell_end(k, NULL);
	if (!k->end)
		cut_off_all(k, NULL);
	forget_failures(k);
	process_kill_all(k->node);
	write_list(k, &k->uids);
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
	if (!k->pending)
		write_list(k, &k->uids);
	wr_free(&uids);
	forget_failures(k);
}

static void all_suspended(struct keeper *k)
{
	if (k->decided && k->failures)
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
	if (!k->end)
		cut_off_all(k, "going down took too long");
	process_kill_all(k->node);
}

static bool can_sleep(const struct process *p)
{
	return p->leads && p->state == PROCESS_RUNNING &&
	       (p->hold == HOLD_NONE || p->hold == HOLD_EXEC);
}

static bool to_be_kept(const struct process *p)
{
	return can_sleep(p) && !is_waited_for(p);
}

static void rested(void *ctx, enum err e, const struct errmsg *msg,
                   const struct checkpoint_report *r)
{
	node_log_about(
	    ctx, e == ERR_OK ? LOG_INFO : LOG_WARN, "keeper",
	    &(struct log_about){.event = LOG_EVENT_program_slept, .pid = r->pid, .error = e},
	    "%u: this device is \"files only\": %s", r->pid, e == ERR_OK ? "it sleeps" : msg->text);
}

void keeper_rest(struct node *n)
{
	for (struct process *p = process_first(n); p && !n->keeper->stopping; p = p->next)
		if (can_sleep(p))
			checkpoint_suspend(p, rested, n);
}

/* Before the first of them sleeps: a system that does not wait for the end finds awake again what slept already. */
static void announce(struct keeper *k)
{
	struct wr uids = {0};
	for (const struct process *p = process_first(k->node); p; p = p->next)
		if (to_be_kept(p))
			wr_bytes(&uids, p->uid, sizeof p->uid);
	wr_bytes(&uids, k->uids.data, k->uids.size);
	if (wr_ok(&uids) && uids.size)
		write_list(k, &uids);
	wr_free(&uids);
}

static void suspend_all(struct keeper *k)
{
	k->node->stopping = true;
	service_stopping(k->node);
	forget_failures(k);
	if (!k->end)
		announce(k);
	k->pending++; /* so that none is the last before all are asked */
	for (struct process *p = process_first(k->node); p && !k->end; p = p->next) {
		if (to_be_kept(p))
			suspend(k, p);
		else if (p->leads && process_alive(p) && is_under_way(p) && k->decided)
			not_kept(k, p, process_state_text(p));
	}
	if (!--k->pending)
		all_suspended(k);
}

/* Can neither be kept nor, without loss, be ended now, but in a moment. */
static bool is_unsettled(const struct process *p)
{
	return process_alive(p) && !is_waited_for(p) &&
	       (is_under_way(p) ||
	        (p->state != PROCESS_RUNNING && p->hold == HOLD_NONE && !p->forgotten));
}

static bool all_settled(struct keeper *k)
{
	if (awake_any(k->node))
		return false; /* it could be neither kept nor ended */
	for (const struct process *p = process_first(k->node); p && !k->end; p = p->next)
		if (is_unsettled(p))
			return false;
	return true;
}

static void settle(uv_timer_t *t)
{
	struct keeper *k = t->data;
	if (uv_now(&k->node->loop) < k->settle_until_ms && !all_settled(k))
		uv_timer_start(&k->settle, settle, SETTLE_STEP_MS, 0);
	else
		suspend_all(k);
}

static void begin_stop(struct keeper *k)
{
	k->settle_until_ms = uv_now(&k->node->loop) + SETTLE_MAX_MS;
	settle(&k->settle);
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
		begin_stop(
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
		begin_stop(k); /* up and down again at once */
	else
		write_list(k, &k->uids); /* none is left to be resumed */
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
	if (!devices_may_run(k->node, NULL))
		return;
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
	k->limit.data = k->settle.data = k;
	uv_timer_init(&n->loop, &k->limit);
	uv_timer_init(&n->loop, &k->settle);
	k->handles = 2;
	n->keeper = k;
	resume_all(k);
	return ERR_OK;
}

static void closed(uv_handle_t *h)
{
	struct keeper *k = h->data;
	if (--k->handles)
		return;
	forget_failures(k);
	wr_free(&k->uids);
	free(k);
}

void keeper_close(struct node *n)
{
	uv_close((uv_handle_t *)&n->keeper->limit, closed);
	uv_close((uv_handle_t *)&n->keeper->settle, closed);
	n->keeper = NULL;
}
