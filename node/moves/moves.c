/* moves.c - the moves part: the mover's events and actions, records on disk, shadows, the steps that tests name. */
#include "node/moves/moves.h"

#include "base/os.h"
#include "engine/engine.h"
#include "node/moves/capture.h"
#include "node/control/control.h"
#include "node/disk.h"
#include "node/process/modules.h"
#include "node/moves/move_impl.h"
#include "node/stop.h"
#include "node/work.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TICK_MS = 250,
	GC_EVERY = 20,
	BIRTH_MS = 1000,
	SPARE_PART = 16, /* of the free disk, for chunks that no image names */
	SPARE_BYTES_MAX = 256 << 20,
};

/* ---- steps for tests ----
 * Names are ROLE.STEP: source.SCAN source.ROUND source.FREEZE source.FINAL source.THAW source.FORGET source.RESUME
 * target.ADMIT target.BULK target.BARRIER target.PREPARE target.RUN target.DROP, grants.REMOVE grants.REMOVED, both.WRITE (asked) both.WRITTEN (on disk),
 * send.MOVE_OFFER and so on (before it is sent), got.MOVE_OFFER and so on (before it is looked at). */

static bool hook_hit(struct step_hook *h, const char *step)
{
	return h->count > 0 && strcmp(step, h->step) == 0 && --h->count == 0;
}

void move_step(struct moves *m, const char *role, const char *name)
{
	char step[64];
	snprintf(step, sizeof step, "%s.%s", role, name);
	if (m->steps) {
		fprintf(m->steps, "%llu %s\n", (unsigned long long)os_monotonic_ns() / 1000, step);
		fflush(m->steps);
	}
	if (hook_hit(&m->crash_at, step))
		stop_crash();
	if (hook_hit(&m->cut_at, step))
		for (struct peer *p = peer_first(m->node); p; p = peer_next(p))
			link_cut(p);
}

/* "STEP" or "STEP:N": the Nth time it is passed. */
static void read_hook(struct step_hook *h, const char *text)
{
	if (!text)
		return;
	snprintf(h->step, sizeof h->step, "%s", text);
	char *colon = strchr(h->step, ':');
	h->count = colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 1;
	if (colon)
		*colon = 0;
}

static void read_steps(struct moves *m)
{
	const char *file = getenv("WASMOS_STEPS");
	m->steps = file ? fopen(file, "a") : NULL;
	read_hook(&m->crash_at, getenv("WASMOS_CRASH_AT"));
	read_hook(&m->cut_at, getenv("WASMOS_CUT_AT"));
}

/* ---- moves ---- */

struct move *move_find(struct moves *m, const uint8_t id[MOVE_ID_SIZE])
{
	struct move *mv = m->list;
	while (mv && (mv->over || memcmp(mv->id, id, MOVE_ID_SIZE) != 0))
		mv = mv->next;
	return mv;
}

struct move *move_new(struct moves *m, const struct move_action *a, bool leaving)
{
	struct move *mv = calloc(1, sizeof *mv);
	if (!mv)
		abort();
	mv->moves = m;
	memcpy(mv->id, a->move, MOVE_ID_SIZE);
	memcpy(mv->uid, a->uid, UID_SIZE);
	memcpy(mv->peer, a->peer, PEER_ID_SIZE);
	mv->leaving = leaving;
	mv->last = &mv->first;
	mv->out_last = &mv->out;
	mv->in_last = &mv->in;
	mv->delta = delta_new();
	if (!mv->delta)
		abort();
	mv->next = m->list;
	m->list = mv;
	depot_hold(node_depot(m->node));
	return mv;
}

static void move_free(struct move *mv)
{
	struct moves *m = mv->moves;
	struct move **at = &m->list;
	while (*at != mv)
		at = &(*at)->next;
	*at = mv->next;
	while (mv->first) {
		struct job *j = mv->first;
		mv->first = j->next;
		job_free(j);
	}
	outgoing_free(mv);
	source_move_free(mv);
	target_move_free(mv);
	image_free(mv->image);
	image_free(mv->full);
	delta_free(mv->delta);
	module_list_free(&mv->modules);
	depot_release(node_depot(m->node));
	free(mv);
}

void move_end(struct move *mv)
{
	mv->over = true;
	if (!mv->running && !mv->busy)
		move_free(mv);
}

void move_hold(struct move *mv)
{
	mv->busy++;
}

void move_let(struct move *mv)
{
	assert(mv->busy);
	mv->busy--;
	if (mv->over)
		move_end(mv);
}

void move_event(struct move *mv, struct move_event *ev)
{
	struct moves *m = mv->moves;
	memcpy(ev->move, mv->id, MOVE_ID_SIZE);
	memcpy(ev->uid, mv->uid, UID_SIZE);
	mover_event(m->mover, ev, os_monotonic_ns());
	moves_drain(m);
}

void move_failed(struct move *mv, uint32_t attempt, enum err e, const struct errmsg *msg)
{
	struct move_event ev = {.kind = MOVE_EV_FAILED, .attempt = attempt, .err = e};
	snprintf(ev.text.text, sizeof ev.text.text, "%s",
	         msg && msg->text[0] ? msg->text : err_text(e));
	move_event(mv, &ev);
}

/* ---- actions ---- */

static void perform_send(struct moves *m, const struct move_action *a)
{
	enum msg type;
	union msg_any any;
	struct peer *p = peer_by_id(m->node, a->peer);
	if (!p || msg_decode(a->bytes, a->size, &type, &any, NULL) != ERR_OK)
		return;
	move_step(m, "send", msg_name(type));
	link_send(p, type, &any, LINK_BULK, NULL);
}

static void perform_kill(struct moves *m, const struct move_action *a)
{
	struct process *p = process_find_uid(m->node, a->uid);
	if (!p)
		return;
	node_log_about(m->node, LOG_WARN, "moves",
	               &(struct log_about){.event = LOG_EVENT_program_killed,
	                                   .pid = p->pid,
	                                   .program = p->name,
	                                   .device = peer_called(m->node, a->peer)},
	               "%u (%s) is ended: %s", p->pid, p->name, a->text.text);
	kin_kill(p, 137);
}

/* From here on only the other device, or force, decides. */
static void mark_in_flight(struct moves *m, const struct move_action *a)
{
	struct move *mv = move_find(m, a->move);
	if (mv && mv->p && mv->leaving && a->record.state == OWNER_RELEASED)
		kin_hold(mv->p, HOLD_IN_FLIGHT);
}

static void perform_write(struct moves *m, const struct move_action *a)
{
	move_step(m, "both", "WRITE");
	record_write(m, &a->record, a->kind == MOVE_ACT_ERASE, a->move, NULL, NULL);
}

static void stored(struct job *j)
{
	struct move_event ev = {.kind = MOVE_EV_WRITTEN, .err = j->err, .text = j->msg};
	if (j->err == ERR_OK)
		record_write(j->mv->moves, &j->record, false, j->mv->id, NULL, NULL);
	else /* chunks alone mean nothing: the record surely is not there */
		ev.err = j->err == ERR_IO ? ERR_FULL : j->err;
	if (j->err != ERR_OK)
		move_event(j->mv, &ev);
}

static void perform(struct moves *m, struct move_action *a)
{
	struct move *mv;
	switch (a->kind) {
	case MOVE_ACT_SEND: perform_send(m, a); break;
	case MOVE_ACT_KILL: perform_kill(m, a); break;
	case MOVE_ACT_ERASE:
		a->record.epoch = 1;
		memcpy(a->record.uid, a->uid, UID_SIZE);
		perform_write(m, a);
		break;
	case MOVE_ACT_WRITE:
		mark_in_flight(m, a);
		mv = a->with_image ? move_find(m, a->move) : NULL;
		if (mv && mv->image) {
			move_step(m, "both", "WRITE");
			job_store(mv, stored, a);
		} else {
			perform_write(m, a);
		}
		break;
	case MOVE_ACT_ADMIT:
	case MOVE_ACT_BULK:
	case MOVE_ACT_BARRIER:
	case MOVE_ACT_PREPARE:
	case MOVE_ACT_RUN:
	case MOVE_ACT_KEEP:
	case MOVE_ACT_DROP:
		move_step(m, "target", move_action_name(a->kind));
		target_perform(m, a);
		break;
	default:
		move_step(m, "source", move_action_name(a->kind));
		source_perform(m, a);
		break;
	}
}

static void on_timer(uv_timer_t *t);

/* Every TICK_MS, sooner when the mover waits for a moment that comes sooner. */
static void arm_timer(struct moves *m)
{
	uint64_t now = os_monotonic_ns(), at = mover_deadline(m->mover), ms = TICK_MS;
	if (at < now + TICK_MS * UINT64_C(1000000))
		ms = at > now ? (at - now) / 1000000 + 1 : 20;
	if (!m->closing && m->timing)
		uv_timer_start(&m->timer, on_timer, ms, TICK_MS);
}

/* Performing may report events, which add actions: one loop takes them all, in order. */
void moves_drain(struct moves *m)
{
	struct move_action a;
	if (m->draining)
		return;
	m->draining = true;
	while (mover_next(m->mover, &a)) {
		perform(m, &a);
		move_action_free(&a);
	}
	m->draining = false;
	arm_timer(m);
}

/* ---- what happens ---- */

static enum err on_message(void *ctx, struct peer *p, enum msg type, const union msg_any *any,
                           struct errmsg *msg)
{
	struct moves *m = ctx;
	move_step(m, "got", msg_name(type));
	mover_message(m->mover, peer_id(p), type, any, os_monotonic_ns());
	moves_drain(m);
	return ERR_OK;
}

static bool is_cut_off(struct moves *m, const struct move *mv)
{
	struct move_status st;
	const struct peer *p = peer_by_id(m->node, mv->peer);
	return !mv->over && mv->leaving && !(p && peer_is_up(p)) &&
	       mover_status(m->mover, mv->uid, &st) && st.released;
}

/* Who waits for a move that is given up here and cannot get on is told so; it goes on by itself. The link may have gone before that was
 * written, and for good. */
static void tell_in_flight(struct moves *m)
{
	for (struct move *mv = m->list; mv; mv = mv->next) {
		struct move_report none = {0};
		struct errmsg msg;
		if (!mv->fn || !is_cut_off(m, mv))
			continue;
		err_set(
		    &msg, ERR_CLOSED,
		    "the link went down when the process had been given up here: it is in flight, "
		    "and goes on by itself when the link is up again (wasmos ps)");
		mv->fn(mv->ctx, ERR_CLOSED, &msg, &none);
		mv->fn = NULL;
	}
}

static void on_link(void *ctx, struct peer *p, bool up)
{
	struct moves *m = ctx;
	mover_link(m->mover, peer_id(p), up, os_monotonic_ns());
	moves_drain(m);
	if (!up)
		tell_in_flight(m);
}

static bool stays_recorded(const struct process *p)
{
	return p->cut_off && p->end.reason == END_KILLED;
}

static void on_process(void *ctx, struct process *p, enum process_event ev)
{
	struct moves *m = ctx;
	if (ev != PROCESS_EVENT_ENDED)
		return;
	for (struct move *mv = m->list, *next; mv; mv = next) {
		next = mv->next;
		bool its = mv->p == p || (mv->frozen && kin_has(mv->grip, p));
		if (mv->over || !mv->leaving || !its)
			continue;
		struct move_event e = {.kind = MOVE_EV_EXITED};
		memcpy(e.move, mv->id, MOVE_ID_SIZE);
		mover_event(m->mover, &e, os_monotonic_ns());
	}
	m->since_gc++;
	if (!stays_recorded(p))
		mover_ended(m->mover, p->uid);
	shadow_forget(m, p->uid);
	moves_drain(m);
}

struct owner moves_record_of(struct node *n, const struct process *p)
{
	const struct owner *known = mover_record(n->moves->mover, p->uid);
	struct owner o = {.epoch = p->epoch, .state = OWNER_OWNED};
	if (known && known->state == OWNER_OWNED)
		o = *known;
	memcpy(o.uid, p->uid, UID_SIZE);
	o.pid = p->pid;
	snprintf(o.name, sizeof o.name, "%.*s", OWNER_NAME_MAX - 1, p->name);
	return o;
}

struct gc {
	struct node *node;
	struct depot_gc_result res;
	struct errmsg msg;
	enum err err;
};

/* What programs that have left may need again when they come back: little beside what the disk has left. */
uint64_t moves_spare_bytes(struct node *n)
{
	uv_fs_t req;
	uint64_t bytes = 0;
	if (uv_fs_statfs(NULL, &req, n->cfg.home, NULL) == 0) {
		const uv_statfs_t *s = req.ptr;
		bytes = s->f_bavail * s->f_bsize / SPARE_PART;
	}
	uv_fs_req_cleanup(&req);
	return bytes < SPARE_BYTES_MAX ? bytes : SPARE_BYTES_MAX;
}

static void gc_run(void *ctx)
{
	struct gc *g = ctx;
	g->err = depot_gc(node_depot(g->node), moves_spare_bytes(g->node), &g->res, &g->msg);
}

static void gc_done(void *ctx)
{
	struct gc *g = ctx;
	if (g->err != ERR_OK && g->err != ERR_BUSY)
		node_log(g->node, LOG_ERROR, "moves", "%s", g->msg.text);
	else if (g->res.removed)
		node_log(g->node, LOG_INFO, "moves", "%llu chunks that no image names were removed",
		         (unsigned long long)g->res.removed);
	free(g);
}

static void start_gc(struct moves *m)
{
	struct gc *g = calloc(1, sizeof *g);
	m->since_gc = 0;
	if (!g)
		return;
	g->node = m->node;
	work_start(m->node, &m->work, gc_run, gc_done, g);
	grants_sweep(m);
}

struct birth {
	struct moves *moves;
	uint8_t uid[UID_SIZE];
};

static void noted(void *ctx, enum err e, const struct errmsg *msg)
{
	struct birth *b = ctx;
	moves_ended_meanwhile(b->moves->node, b->uid);
	free(b);
}

static void note_birth(struct moves *m, struct process *p)
{
	struct owner o = moves_record_of(m->node, p);
	struct birth *b = calloc(1, sizeof *b);
	if (!b)
		return;
	b->moves = m;
	memcpy(b->uid, p->uid, UID_SIZE);
	moves_write(m->node, &o, noted, b);
}

/* Programs that have run for a while get a record, so that a node that was killed can say what was lost. Short ones
 * cost no write. */
static void note_births(struct moves *m)
{
	uint64_t now_ms = os_wall_ns() / 1000000;
	for (struct process *p = process_first(m->node); p; p = p->next) {
		if (!p->leads || p->state != PROCESS_RUNNING || p->hold != HOLD_NONE || p->move ||
		    now_ms < (uint64_t)p->created_unix_ms + BIRTH_MS)
			continue;
		p->move = m; /* once */
		if (!mover_record(m->mover, p->uid) && !record_is_coming(m, p->uid))
			note_birth(m, p);
	}
}

/* What takes long here is work, and not silence of the other side. Not: a process that does not stop, a link that takes nothing. */
static void tell_work(struct moves *m)
{
	for (const struct move *mv = m->list; mv; mv = mv->next) {
		struct move_event ev = {.kind = MOVE_EV_WORKING};
		bool works = mv->running ? !mv->waits_for_link : mv->busy && !mv->freezing;
		memcpy(ev.move, mv->id, MOVE_ID_SIZE);
		if (!mv->over && works)
			mover_event(m->mover, &ev, os_monotonic_ns());
	}
}

static void on_timer(uv_timer_t *t)
{
	struct moves *m = t->data;
	note_births(m);
	tell_work(m);
	mover_tick(m->mover, os_monotonic_ns());
	moves_drain(m);
	tell_in_flight(m);
	if (m->since_gc >= GC_EVERY && !m->list)
		start_gc(m);
}

/* ---- asked by others ---- */

static enum err may_move(struct process *p, struct errmsg *msg)
{
	TRY(kin_is_free(p, msg));
	if (!p->store || !p->module || store_memory_count(p->store) > MEMORIES_MAX)
		return err_set(msg, ERR_UNSUPPORTED, "process %u has more than %d memories", p->pid,
		               MEMORIES_MAX);
	return ERR_OK;
}

/* What the offer says: their memories and modules. Nobody becomes another program from here on. */
struct offered {
	struct msg_move_space spaces[CAPTURE_MEMORIES_MAX];
	struct msg_move_module modules[IMAGE_MODULES_MAX];
};

static void offer_spaces(const struct capture *c, struct offered *o)
{
	for (uint32_t i = 0; i < c->nmemories; i++) {
		o->spaces[i] = (struct msg_move_space){.kind = SPACE_MEMORY,
		                                       .name = str_ref(c->memories[i].name)};
		capture_memory_at(c, i, &o->spaces[i].size);
	}
}

static enum err offer_modules(const struct module_list *l, struct offered *o, struct errmsg *msg)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < l->count; i++) {
		size_t size;
		module_bytes(l->at[i], &size);
		memcpy(o->modules[i].hash, module_hash(l->at[i]), 32);
		o->modules[i].size = size;
		sum += size;
	}
	if (sum > IMAGE_MODULE_MAX)
		return err_set(msg, ERR_LIMIT, "the module is larger than %d MiB",
		               IMAGE_MODULE_MAX >> 20);
	return ERR_OK;
}

static enum err offer(struct move *mv, uint64_t max_pause_ns, struct errmsg *msg)
{
	struct moves *m = mv->moves;
	struct offered *o = calloc(1, sizeof *o);
	struct process *list[KIN_MAX];
	uint32_t n = kin_grip_count(mv->grip);
	struct owner rec = moves_record_of(m->node, mv->p);
	enum err e = o ? ERR_OK : ERR_NOMEM;
	for (uint32_t i = 0; i < n; i++)
		list[i] = kin_grip_at(mv->grip, i);
	if (e == ERR_OK)
		e = capture_modules(&mv->modules, mv->grip, msg);
	if (e == ERR_OK)
		e = capture_memories(&mv->capture, list, n, msg);
	if (e == ERR_OK)
		e = offer_modules(&mv->modules, o, msg);
	if (e == ERR_OK) {
		struct move_options options = {.max_pause_ns = max_pause_ns,
		                               .base = shadow_id(m, mv->uid, mv->peer),
		                               .spaces = o->spaces,
		                               .nspaces = mv->capture.nmemories,
		                               .modules = o->modules,
		                               .nmodules = mv->modules.count};
		offer_spaces(&mv->capture, o);
		e = mover_start(m->mover, mv->id, &rec, mv->peer, &options, os_monotonic_ns(), msg);
	}
	free(o);
	return e;
}

/* Relatives become other programs all the time: what they are is only known while they stand. */
static void may_offer(void *ctx, enum err e)
{
	struct move *mv = ctx;
	struct move_report none = {0};
	struct errmsg msg = {.text = "the program ended while it was about to move"};
	if (e == ERR_LIMIT)
		err_set(&msg, e, "it has too many relatives to move with them");
	if (e == ERR_OK && !mv->over) {
		kin_hold(mv->p, HOLD_MOVING);
		e = offer(mv, mv->max_pause_ns, &msg);
	}
	kin_thaw(mv->grip);
	if (e != ERR_OK && !mv->over) {
		struct move_status st;
		if (!moves_status(mv->moves->node, mv->uid, &st))
			kin_release(mv->p);
		if (mv->fn)
			mv->fn(mv->ctx, e, &msg, &none);
		mv->fn = NULL;
		mv->over = true; /* the mover never knew it; move_let() frees it */
	}
	move_let(mv);
}

static enum err begin(struct move *mv, struct errmsg *msg)
{
	mv->p = kin_grip_at(mv->grip, 0);
	process_pin(mv->p);
	if (kin_is_alone(mv->p) && mv->p->hold != HOLD_EXEC)
		return offer(mv, mv->max_pause_ns, msg);
	move_hold(mv);
	kin_freeze(mv->grip, may_offer, mv);
	return ERR_OK;
}

enum err moves_start(struct node *n, struct process *p, struct peer *to, uint64_t max_pause_ns,
                     move_over_fn fn, void *ctx, struct errmsg *msg)
{
	struct moves *m = n->moves;
	struct move_action a = {0};
	struct kin_grip *grip;
	p = kin_leader(p);
	TRY(may_move(p, msg));
	struct owner rec = moves_record_of(n, p);
	os_random(a.move, sizeof a.move);
	memcpy(a.uid, p->uid, UID_SIZE);
	memcpy(a.peer, peer_id(to), PEER_ID_SIZE);
	TRY(mover_may_start(m->mover, &rec, a.peer, msg));
	TRY(kin_grip_new(p, &grip, msg));
	struct move *mv = move_new(m, &a, true);
	mv->grip = grip;
	mv->max_pause_ns = max_pause_ns;
	enum err e = begin(mv, msg);
	if (e != ERR_OK) {
		move_end(mv);
		return e;
	}
	mv->fn = fn;
	mv->ctx = ctx;
	kin_hold(p, HOLD_MOVING);
	m->since_gc++;
	moves_drain(m);
	return ERR_OK;
}

void moves_unwatch(struct node *n, void *ctx)
{
	for (struct move *mv = n->moves->list; mv; mv = mv->next)
		if (mv->ctx == ctx)
			mv->fn = NULL;
}

enum err moves_force(struct node *n, const uint8_t uid[UID_SIZE], move_over_fn fn, void *ctx,
                     struct errmsg *msg)
{
	struct moves *m = n->moves;
	struct move_status st;
	if (!mover_status(m->mover, uid, &st) || !st.released)
		return err_set(msg, ERR_STATE, "the process is not in flight");
	TRY(mover_force(m->mover, uid, os_monotonic_ns(), msg));
	struct move *mv = move_find(m, st.move);
	if (mv) {
		mv->fn = fn;
		mv->ctx = ctx;
	}
	moves_drain(m);
	return ERR_OK;
}

bool moves_status(struct node *n, const uint8_t uid[UID_SIZE], struct move_status *out)
{
	return mover_status(n->moves->mover, uid, out);
}

const struct owner *moves_record(struct node *n, const uint8_t uid[UID_SIZE])
{
	return mover_record(n->moves->mover, uid);
}

void moves_ended_meanwhile(struct node *n, const uint8_t uid[UID_SIZE])
{
	for (const struct process *p = process_first(n); p; p = p->next)
		if (!memcmp(p->uid, uid, UID_SIZE) && stays_recorded(p))
			return;
	if (!process_find_uid(n, uid))
		mover_ended(n->moves->mover, uid);
}

void moves_discard(struct node *n, const uint8_t uid[UID_SIZE])
{
	struct moves *m = n->moves;
	const struct owner *known = mover_record(m->mover, uid);
	if (!known || (known->state != OWNER_SUSPENDED && known->state != OWNER_OWNED))
		return;
	struct owner o = *known;
	o.state = OWNER_OWNED;
	if (mover_note(m->mover, &o) == ERR_OK)
		mover_ended(m->mover, uid);
	m->since_gc++;
	moves_drain(m);
}

bool moves_cut_off(struct process *p)
{
	const struct owner *o = moves_record(p->node, p->uid);
	p->cut_off = true;
	return o && o->state == OWNER_OWNED && !chunk_addr_is_null(&o->image);
}

void moves_garbage(struct node *n)
{
	n->moves->since_gc++;
}

bool moves_uses(struct node *n, const struct process *p)
{
	for (const struct move *mv = n->moves->list; mv; mv = mv->next)
		if (mv->p == p)
			return true;
	return false;
}

unsigned *moves_work_count(struct node *n)
{
	return &n->moves->work;
}

struct by_pid {
	uint32_t pid;
	const struct owner *found;
};

static void match_pid(void *ctx, const struct owner *o)
{
	struct by_pid *b = ctx;
	bool here = o->state == OWNER_SUSPENDED || o->state == OWNER_RELEASED;
	if (here && o->pid == b->pid)
		b->found = o;
}

static void match_gone(void *ctx, const struct owner *o)
{
	struct by_pid *b = ctx;
	if (o->state == OWNER_GONE && o->pid == b->pid &&
	    (!b->found || o->created_ms > b->found->created_ms))
		b->found = o;
}

const struct owner *moves_gone_by_pid(struct node *n, uint32_t pid)
{
	struct by_pid b = {.pid = pid};
	mover_each(n->moves->mover, match_gone, &b);
	return b.found;
}

const struct owner *moves_record_by_pid(struct node *n, uint32_t pid)
{
	struct by_pid b = {.pid = pid};
	mover_each(n->moves->mover, match_pid, &b);
	return b.found;
}

/* ---- ps ---- */

struct each_asleep {
	struct node *node;
	void (*fn)(void *ctx, const struct owner *o);
	void *ctx;
};

static void match_asleep(void *ctx, const struct owner *o)
{
	const struct each_asleep *e = ctx;
	bool here = o->state == OWNER_SUSPENDED || o->state == OWNER_RELEASED;
	if (here && !process_find_uid(e->node, o->uid))
		e->fn(e->ctx, o);
}

void moves_each_asleep(struct node *n, void (*fn)(void *ctx, const struct owner *o), void *ctx)
{
	struct each_asleep e = {n, fn, ctx};
	mover_each(n->moves->mover, match_asleep, &e);
}

void moves_ps_row(struct node *n, struct control_call *c, const struct owner *o)
{
	struct move_status st;
	control_row(c);
	control_put_u64(c, "pid", o->pid);
	control_put_str(c, "state", owner_state_text(o->state));
	control_put_str(c, "name", o->name);
	control_put_str(c, "tree", o->name);
	control_put_hex(c, "uid", o->uid, UID_SIZE);
	control_put_u64(c, "epoch", o->epoch);
	control_put_i64(c, "since_unix_ms", (int64_t)o->created_ms);
	if (o->state == OWNER_RELEASED) {
		struct peer *p = peer_by_id(n, o->peer);
		control_put_str(c, "peer", p ? peer_name(p) : "a device that is not known");
	}
	if (moves_status(n, o->uid, &st))
		control_put_str(c, "note", st.note);
}

static void lost_row(struct control_call *c, const struct owner *o)
{
	control_row(c);
	control_put_u64(c, "pid", o->pid);
	control_put_str(c, "state", "lost");
	control_put_str(c, "name", o->name);
	control_put_str(c, "tree", o->name);
	control_put_hex(c, "uid", o->uid, UID_SIZE);
	control_put_str(c, "note",
	                "it ran when this node ended without keeping it, and there was no "
	                "checkpoint of it yet");
	control_row_end(c);
}

void moves_ps_lost(struct node *n, struct control_call *c)
{
	for (size_t i = 0; i < n->moves->nlost; i++)
		lost_row(c, &n->moves->lost[i]);
}

/* ---- the part ---- */

/* Two nodes on one machine read one clock: its boot id says so. */
static void read_clock(struct moves *m)
{
	char text[64] = "";
	if (stop_boot_id(text)) {
		struct chunk_addr a = chunk_addr_of(text, strlen(text));
		memcpy(m->clock, a.bytes + 1, sizeof m->clock);
	}
}

enum err moves_open(struct node *n, struct errmsg *msg)
{
	struct moves *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(msg, ERR_NOMEM, "moves: out of memory");
	m->node = n;
	m->rec_last = &m->rec_first;
	n->moves = m;
	read_clock(m);
	read_steps(m);
	struct modules_source source = {moves_find_module, m};
	enum err e = mover_new(n->device->id, m->clock, &m->mover);
	if (e == ERR_OK)
		e = modules_add_source(n->modules, &source);
	if (e == ERR_OK)
		e = link_subscribe(n, MSG_GROUP_MOVE, on_message, m);
	if (e == ERR_OK)
		e = link_watch(n, on_link, m);
	if (e == ERR_OK)
		e = process_subscribe(n, on_process, m);
	if (e == ERR_OK)
		e = moves_restore_records(m);
	if (e != ERR_OK) {
		mover_free(m->mover);
		free(m);
		n->moves = NULL;
		return err_set(msg, e, "moves: %s", err_text(e));
	}
	uv_timer_init(&n->loop, &m->timer);
	m->timer.data = m;
	m->timing = true;
	moves_drain(m);
	start_gc(m);
	return ERR_OK;
}

static void timer_closed(uv_handle_t *h)
{
	struct moves *m = h->data;
	free(m);
}

void moves_close(struct node *n)
{
	struct moves *m = n->moves;
	m->closing = true;
	for (struct move *mv = m->list, *next; mv; mv = next) {
		struct errmsg msg = {.text = "the node goes down"};
		struct move_report none = {0};
		next = mv->next;
		if (mv->fn)
			mv->fn(mv->ctx, ERR_CLOSED, &msg, &none);
		mv->fn = NULL;
		move_end(mv);
	}
	work_wait(n, &m->work);
	while (m->list) {
		m->list->running = NULL;
		m->list->busy = 0;
		move_end(m->list);
	}
	shadow_forget(m, NULL);
	mover_free(m->mover);
	free(m->lost);
	if (m->steps)
		fclose(m->steps);
	n->moves = NULL;
	uv_close((uv_handle_t *)&m->timer, timer_closed);
}
