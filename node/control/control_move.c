/* control_move.c - requests that move processes: migrate, suspend, resume, snapshot, restore. */
#include "base/file.h"
#include "base/os.h"
#include "node/moves/asleep.h"
#include "node/links/ask.h"
#include "node/control/awake.h"
#include "node/moves/checkpoint.h"
#include "node/control/control.h"
#include "node/drivers/drivers.h"
#include "node/links/devices.h"
#include "node/process/kin.h"
#include "node/process/kin_split.h"
#include "node/links/link.h"
#include "node/links/members.h"
#include "node/moves/moves.h"
#include "node/node.h"
#include "node/moves/trims.h"

#include <stdlib.h>
#include <string.h>

enum { PROGRESS_MS = 100, LINKS_MS = 5000 };

/* A request that waits for the end of something; call is NULL when the client is gone. */
struct waiting {
	struct node *node;
	struct control_call *call;
	uint8_t uid[UID_SIZE];
	char peer[DEVICE_NAME_MAX + 1];
	uint32_t pid;
	char pids[512]; /* of a family: all of them */
	uint8_t to[PEER_ID_SIZE];
	uint64_t max_pause_ns;
	bool progress;
	uv_timer_t timer;
	bool timed;
};

static void timer_closed(uv_handle_t *h)
{
	free(h->data);
}

static void waiting_free(struct waiting *w)
{
	if (!w->timed) {
		free(w);
		return;
	}
	uv_close((uv_handle_t *)&w->timer, timer_closed);
}

static void client_gone(void *ctx)
{
	struct waiting *w = ctx;
	w->call = NULL;
}

static struct waiting *wait_for(struct node *n, struct control_call *c)
{
	struct waiting *w = calloc(1, sizeof *w);
	if (!w) {
		control_end(c, ERR_NOMEM, NULL);
		return NULL;
	}
	w->node = n;
	w->call = c;
	control_on_gone(c, client_gone, w);
	return w;
}

/* ---- migrate ---- */

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static void migrate_over(void *ctx, enum err e, const struct errmsg *msg,
                         const struct move_report *r)
{
	struct waiting *w = ctx;
	struct control_call *c = w->call;
	if (c && e == ERR_OK && !msg->text[0]) {
		control_row(c);
		control_put_u64(c, "pid", r->pid);
		control_put_u64(c, "old_pid", w->pid);
		if (w->pids[0])
			control_put_str(c, "pids", w->pids);
		control_put_str(c, "from", w->node->name);
		control_put_str(c, "to", w->peer);
		control_put_f64(c, "pause_ms", ms(r->pause_ns));
		control_put_flag(c, "pause_exact", r->pause_exact);
		control_put_u64(c, "bytes", r->bytes);
		control_put_f64(c, "total_ms", ms(r->total_ns));
		control_put_u64(c, "rounds", r->rounds);
		control_put_u64(c, "pages", r->pages);
		control_put_u64(c, "last_pages", r->last_pages);
		control_put_u64(c, "last_bytes", r->last_bytes);
		control_row_end(c);
		control_end(c, ERR_OK, NULL);
	} else if (c) {
		control_end(c, e == ERR_OK ? ERR_STATE : e, msg);
	}
	waiting_free(w);
}

/* Rows {"progress": ..., "state": ...} while it goes on. */
static void on_progress(uv_timer_t *t)
{
	struct waiting *w = t->data;
	struct move_status st;
	if (!w->call || !moves_status(w->node, w->uid, &st))
		return;
	control_row(w->call);
	control_put_flag(w->call, "progress", true);
	control_put_str(w->call, "state", st.state);
	control_put_u64(w->call, "round", st.round);
	control_put_u64(w->call, "pages", st.pages);
	control_put_u64(w->call, "bytes", st.bytes);
	control_put_str(w->call, "note", st.note);
	control_row_end(w->call);
}

static void show_progress(struct waiting *w)
{
	uv_timer_init(&w->node->loop, &w->timer);
	w->timer.data = w;
	w->timed = true;
	uv_timer_start(&w->timer, on_progress, PROGRESS_MS, PROGRESS_MS);
}

/* The devices that are there meet in the first seconds. */
static bool is_young(const struct node *n)
{
	return (int64_t)(os_wall_ns() / 1000000) - n->started_unix_ms < LINKS_MS;
}

static void start_migrating(void *ctx, enum err e, const struct errmsg *why, struct process *p)
{
	struct waiting *w = ctx;
	struct peer *to = peer_by_id(w->node, w->to);
	struct errmsg msg = *why;
	if (e == ERR_OK && !to)
		e = ERR_NOTFOUND;
	if (e == ERR_OK) {
		memcpy(w->uid, p->uid, UID_SIZE);
		w->pid = p->pid;
		kin_numbers(p, w->pids, sizeof w->pids);
		e = moves_start(w->node, p, to, w->max_pause_ns, migrate_over, w, &msg);
	}
	if (e == ERR_OK && w->progress)
		show_progress(w);
	if (e == ERR_OK)
		return;
	struct control_call *c = w->call;
	free(w);
	if (c)
		control_end(c, e, &msg);
}

static enum err may_go(struct node *n, const struct peer *to, struct errmsg *msg)
{
	if (devices_are_lost(n))
		return err_set(
		    msg, ERR_DENIED,
		    "this device was removed from its system: `wasmos devices` shows by whom, "
		    "`wasmos pair` joins one again");
	if (!devices_may_run(n, peer_id(to)))
		return err_set(msg, ERR_DENIED,
		               "this device or %s is \"files only\": no program moves between them",
		               peer_name(to));
	return ERR_OK;
}

/* In a window or by an app; what is drawn in a terminal comes back to that terminal, wherever it is drawn. */
static bool is_looked_at(const char *host)
{
	return !strcmp(host, "sdl2") || !strcmp(host, "client");
}

/* Of the process, or of all that go with it. */
static struct members_need need_of(struct process *p, bool alone)
{
	struct process *all[KIN_MAX] = {p};
	struct members_need need = {0};
	struct drivers_stats st;
	uint32_t count = 1;
	if (!alone && kin_list(kin_leader(p), all, &count) != ERR_OK)
		count = KIN_MAX; /* more than can move: it will be told */
	for (uint32_t i = 0; i < count; i++) {
		need.memory_bytes += process_memory_bytes(all[i]);
		if (!all[i]->drivers)
			continue;
		drivers_stats(all[i]->drivers, &st);
		need.screen |= st.display && is_looked_at(st.host);
	}
	return need;
}

void control_migrate(struct node *n, struct control_call *c)
{
	const char *text;
	struct peer *to;
	struct errmsg msg = {0};
	uint64_t max_pause_us = control_u64_or(c, "max_pause_us", 0);
	struct process *p = control_arg_running(c);
	if (!p)
		return;
	if (control_str(c, "peer", &text) != ERR_OK) {
		control_fail(c, ERR_USAGE, "migrate needs a device to move to");
		return;
	}
	enum err e = peer_find(n, text, &to, &msg);
	if (e == ERR_NOTFOUND && !strcmp(text, "best")) {
		struct members_need need = need_of(p, control_flag(c, "alone"));
		e = members_best(n, &need, &to, &msg);
	}
	if (e != ERR_OK) {
		control_end(c, e, &msg);
		return;
	}
	if (may_go(n, to, &msg) != ERR_OK) {
		control_end(c, ERR_DENIED, &msg);
		return;
	}
	if (!peer_is_up(to) && is_young(n)) {
		awake_wait(c, "there is no link to the device");
		return;
	}
	struct waiting *w = wait_for(n, c);
	if (!w)
		return;
	w->progress = control_flag(c, "progress");
	w->max_pause_ns = max_pause_us * 1000;
	strncpy(w->peer, peer_name(to), sizeof w->peer - 1);
	memcpy(w->to, peer_id(to), sizeof w->to);
	bool alone = control_flag(c, "alone"), job = control_flag(c, "job");
	if (alone || job)
		kin_split(p, alone ? SPLIT_ALONE : SPLIT_GROUP, start_migrating, w);
	else
		start_migrating(w, ERR_OK, &msg, kin_leader(p)); /* it is the one that is told of */
}

/* ---- suspend, resume ---- */

static void checkpoint_over(void *ctx, enum err e, const struct errmsg *msg,
                            const struct checkpoint_report *r)
{
	struct waiting *w = ctx;
	struct control_call *c = w->call;
	if (c && e == ERR_OK) {
		control_row(c);
		control_put_u64(c, "pid", r->pid);
		control_put_f64(c, "stood_ms", ms(r->stood_ns));
		control_put_f64(c, "total_ms", ms(r->total_ns));
		control_put_u64(c, "bytes", r->bytes);
		control_row_end(c);
		control_end(c, ERR_OK, NULL);
	} else if (c) {
		control_end(c, e, msg);
	}
	waiting_free(w);
}

static void start_suspending(void *ctx, enum err e, const struct errmsg *msg, struct process *p)
{
	struct waiting *w = ctx;
	if (e == ERR_OK)
		checkpoint_suspend(p, checkpoint_over, w);
	else
		checkpoint_over(w, e, msg, NULL);
}

void control_suspend(struct node *n, struct control_call *c)
{
	struct process *p = control_arg_running(c);
	struct waiting *w = p ? wait_for(n, c) : NULL;
	if (w && control_flag(c, "job"))
		kin_split(p, SPLIT_GROUP, start_suspending, w);
	else if (w)
		checkpoint_suspend(p, checkpoint_over, w);
}

static void force_over(void *ctx, enum err e, const struct errmsg *msg, const struct move_report *r)
{
	struct waiting *w = ctx;
	struct checkpoint_report report = {.pid = w->pid};
	checkpoint_over(w, e, msg, &report);
}

static void resume_forced(struct node *n, struct control_call *c, const struct owner *o)
{
	struct errmsg msg = {0};
	struct waiting *w = wait_for(n, c);
	if (!w)
		return;
	w->pid = o->pid;
	enum err e = moves_force(n, o->uid, force_over, w, &msg);
	if (e == ERR_OK)
		return;
	free(w);
	control_end(c, e, &msg);
}

static void resume_record(struct node *n, struct control_call *c, const struct owner *o)
{
	if (o->state == OWNER_RELEASED && !control_flag(c, "force")) {
		struct peer *p = peer_by_id(n, o->peer);
		control_fail(c, ERR_STATE,
		             "process %u is in flight to %s, which may run it by now. When that "
		             "device is lost for good, --force takes the process back; a copy that "
		             "turns up there later is ended",
		             o->pid, p ? peer_name(p) : "another device");
	} else if (o->state == OWNER_RELEASED) {
		resume_forced(n, c, o);
	} else {
		struct waiting *w = wait_for(n, c);
		if (w)
			checkpoint_resume(n, o, checkpoint_over, w);
	}
}

/* A family wakes as a whole, whichever of its processes is named. */
static void resume_found(struct node *n, struct control_call *c, const struct owner *o,
                         uint32_t number)
{
	uint64_t pid = 0;
	control_u64(c, "pid", &pid);
	const struct process *p = process_find(n, (uint32_t)pid);
	if (o)
		resume_record(n, c, o);
	else if (p && p->hold == HOLD_SUSPENDED)
		control_fail(c, ERR_BUSY,
		             "process %llu is just being put to sleep: ask again when it sleeps",
		             (unsigned long long)pid);
	else
		control_fail(c, ERR_NOTFOUND, "no process %llu is suspended or in flight here",
		             (unsigned long long)pid);
}

void control_resume(struct node *n, struct control_call *c)
{
	uint64_t pid;
	const char *peer = control_str_or(c, "peer", NULL);
	if (!control_may_run(c))
		return;
	if (control_flag(c, "trimmed")) {
		trims_resume(n, c);
		return;
	}
	if (peer && strcmp(peer, n->name) != 0) {
		ask_resume(n, c, peer);
		return;
	}
	if (control_u64(c, "pid", &pid) != ERR_OK || pid > UINT32_MAX) {
		control_fail(c, ERR_USAGE, "resume needs the number of a process");
		return;
	}
	const struct owner *o = moves_record_by_pid(n, (uint32_t)pid);
	if (o)
		resume_record(n, c, o);
	else
		asleep_find(n, c, (uint32_t)pid, resume_found);
}

/* ---- snapshot, restore ---- */

void control_snapshot(struct node *n, struct control_call *c)
{
	const char *path;
	struct process *p = control_arg_running(c);
	if (!p)
		return;
	if (control_str(c, "path", &path) != ERR_OK || !path_is_absolute(path)) {
		control_fail(c, ERR_USAGE, "snapshot needs an absolute path");
		return;
	}
	struct waiting *w = wait_for(n, c);
	if (w)
		checkpoint_snapshot(p, path, checkpoint_over, w);
}

void control_restore(struct node *n, struct control_call *c)
{
	const char *path;
	if (!control_may_run(c))
		return;
	if (control_str(c, "path", &path) != ERR_OK || !path_is_absolute(path)) {
		control_fail(c, ERR_USAGE, "restore needs an absolute path");
		return;
	}
	struct waiting *w = wait_for(n, c);
	if (w)
		checkpoint_restore(n, path, checkpoint_over, w);
}
