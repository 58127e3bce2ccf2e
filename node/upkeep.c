/* upkeep.c - scrubbing step by step, and the requests about the store: one job at a time, on the pool. */
#include "node/upkeep.h"

#include "base/os.h"
#include "migrate/owner.h"
#include "node/control/control.h"
#include "node/disk.h"
#include "node/heal.h"
#include "node/moves/moves.h"
#include "node/node.h"
#include "node/store.h"
#include "node/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GC_TRIES = 40, GC_AGAIN_MS = 250, USES_MAX = 1024 };

static const char scrubbed_key[] = "scrubbed"; /* of DEPOT_SETTINGS: when the last pass ended */

struct upkeep {
	struct node *node;
	struct heal *heal;
	uv_timer_t timer;
	unsigned work;
	atomic_bool stop; /* the node goes down */
	bool stepping;    /* a step is on the pool */
	bool passing;
	struct chunk_addr from; /* where the pass goes on */
	struct depot_scrub sum; /* of the pass */
	uint64_t healed_ms;     /* when damaged chunks were asked for last */
};

/* ---- scrubbing ---- */

struct step {
	struct upkeep *upkeep;
	struct heal_from peers;
	bool scrubs, heals, end;
	uint32_t damaged, healed, left;
};

static uint64_t wall_ms(void)
{
	return os_wall_ns() / 1000000;
}

static void pass_ended(struct upkeep *u)
{
	uint64_t now = wall_ms();
	depot_keep_setting(node_depot(u->node), scrubbed_key, &now, sizeof now, NULL);
}

static void step_run(void *ctx)
{
	struct step *s = ctx;
	struct upkeep *u = s->upkeep;
	struct chunk_addr one;
	uint64_t damaged = u->sum.damaged;
	if (s->scrubs && depot_scrub(node_depot(u->node), &u->from, SCRUB_RATE, &u->sum, &s->end,
	                             NULL) != ERR_OK)
		s->end = true;
	s->damaged = (uint32_t)(u->sum.damaged - damaged);
	if ((s->heals || s->damaged) && depot_damaged(node_depot(u->node), &one, 1))
		heal_chunks(u->node, &s->peers, &u->stop, &s->healed, &s->left);
	if (s->end)
		pass_ended(u);
}

static void log_found(struct node *n, uint32_t damaged, uint32_t healed)
{
	if (damaged)
		node_log_about(
		    n, LOG_ERROR, "store",
		    &(struct log_about){.event = LOG_EVENT_store_damaged, .error = ERR_MALFORMED},
		    "%u chunks are damaged on this disk", (unsigned)damaged);
	if (healed)
		node_log_about(n, LOG_INFO, "store",
		               &(struct log_about){.event = LOG_EVENT_store_healed},
		               "%u damaged chunks came back from other devices", (unsigned)healed);
}

static void on_timer(uv_timer_t *t);

static void wait_for(struct upkeep *u, uint64_t ms)
{
	if (!u->stop)
		uv_timer_start(&u->timer, on_timer, ms, 0);
}

static void step_done(void *ctx)
{
	struct step *s = ctx;
	struct upkeep *u = s->upkeep;
	log_found(u->node, s->damaged, s->healed);
	u->stepping = false;
	if (s->end)
		u->passing = false;
	wait_for(u, u->passing ? SCRUB_STEP_MS : SCRUB_FIRST_MS);
	free(s);
}

static bool is_time(struct upkeep *u)
{
	struct wr w = {0};
	uint64_t last = 0, now = wall_ms(), days = u->node->cfg.scrub_days;
	if (days &&
	    depot_get(node_depot(u->node), DEPOT_SETTINGS, scrubbed_key, sizeof scrubbed_key, &w) ==
	        ERR_OK &&
	    w.size == sizeof last)
		memcpy(&last, w.data, sizeof last);
	wr_free(&w);
	return days && (last > now || now - last >= days * 24 * 3600 * 1000);
}

/* Also without a pass: what was found by reads, and what nobody had, is asked for now and then. */
static void on_timer(uv_timer_t *t)
{
	struct upkeep *u = t->data;
	if (!u->passing && is_time(u)) {
		u->passing = true;
		u->from = (struct chunk_addr){0};
		u->sum = (struct depot_scrub){0};
	}
	u->passing &= u->node->cfg.scrub_days != 0;
	struct chunk_addr one;
	bool heals =
	    depot_damaged(node_depot(u->node), &one, 1) &&
	    (!u->healed_ms || uv_now(&u->node->loop) - u->healed_ms >= SCRUB_HEAL_AGAIN_MS);
	struct step *s = u->passing || heals ? calloc(1, sizeof *s) : NULL;
	if (!s) {
		wait_for(u, SCRUB_FIRST_MS);
		return;
	}
	*s = (struct step){
	    .upkeep = u, .peers = heal_from(u->node), .scrubs = u->passing, .heals = heals};
	if (heals && s->peers.count)
		u->healed_ms = uv_now(&u->node->loop);
	u->stepping = true;
	work_start(u->node, &u->work, step_run, step_done, s);
}

/* ---- requests ---- */

struct use_row {
	const char *kind;
	char name[OWNER_NAME_MAX];
	uint32_t pid;
	uint64_t chunks, bytes, own_bytes;
	bool broken;
};

struct job {
	struct upkeep *upkeep;
	struct control_call *call; /* NULL: the client is gone; the loop's */
	atomic_bool gone;          /* the same, for the pool */
	struct heal_from peers;
	bool repair;
	uint64_t spare_bytes;
	enum err err;
	struct errmsg msg;
	struct depot_soundness sound;
	struct depot_scrub sum;
	uint32_t healed, left;
	struct depot_gc_result gc;
	struct depot_stats stats;
	struct use_row *uses;
	unsigned use_count;
};

static void on_gone(void *ctx)
{
	struct job *j = ctx;
	j->call = NULL;
	j->gone = true;
}

static void job_start(struct node *n, struct control_call *c, work_fn run, work_fn done)
{
	struct job *j = calloc(1, sizeof *j);
	if (!j) {
		control_fail(c, ERR_NOMEM, "out of memory");
		return;
	}
	j->upkeep = n->upkeep;
	j->call = c;
	j->peers = heal_from(n);
	j->repair = control_flag(c, "repair");
	j->spare_bytes = control_flag(c, "all") ? 0 : moves_spare_bytes(n);
	control_on_gone(c, on_gone, j);
	work_start(n, &n->upkeep->work, run, done, j);
}

static void job_free(struct job *j)
{
	free(j->uses);
	free(j);
}

/* ---- check ---- */

static void read_all(struct job *j)
{
	struct upkeep *u = j->upkeep;
	struct chunk_addr from = {0};
	j->sum = (struct depot_scrub){0};
	for (bool end = false; !end && j->err == ERR_OK && !u->stop && !j->gone;)
		j->err =
		    depot_scrub(node_depot(u->node), &from, SCRUB_RATE, &j->sum, &end, &j->msg);
}

/* In as many goes as bring something. */
static void heal_all(struct job *j)
{
	struct upkeep *u = j->upkeep;
	uint32_t healed = 0;
	do {
		heal_chunks(u->node, &j->peers, &u->stop, &healed, &j->left);
		j->healed += healed;
	} while (healed && !u->stop && !j->gone);
}

static void check_run(void *ctx)
{
	struct job *j = ctx;
	struct upkeep *u = j->upkeep;
	struct depot *d = node_depot(u->node);
	read_all(j);
	if (j->err == ERR_OK && j->repair)
		heal_all(j);
	else
		j->left = (uint32_t)j->sum.damaged;
	if (j->err == ERR_OK && j->repair)
		j->err = depot_check(d, true, &j->sound, &j->msg);
	if (j->err == ERR_OK)
		j->err = depot_check(d, false, &j->sound, &j->msg);
	if (j->err == ERR_OK)
		j->err = depot_stats(d, &j->stats);
}

static bool is_sound(const struct job *j)
{
	const struct depot_soundness *s = &j->sound;
	return !j->left && !s->broken_images && !s->lost && !s->short_packs && !s->wrong_packs;
}

static void put_check(struct job *j)
{
	struct control_call *c = j->call;
	control_row(c);
	control_put_flag(c, "sound", is_sound(j));
	control_put_u64(c, "chunks", j->sum.chunks);
	control_put_u64(c, "bytes", j->sum.bytes);
	control_put_u64(c, "packs", j->stats.packs);
	control_put_u64(c, "damaged", j->sum.damaged);
	control_put_u64(c, "healed", j->healed);
	control_put_u64(c, "images", j->sound.images);
	control_put_u64(c, "broken_images", j->sound.broken_images);
	control_put_u64(c, "lost", j->sound.lost);
	control_put_u64(c, "short_packs", j->sound.short_packs);
	control_put_u64(c, "wrong_packs", j->sound.wrong_packs);
	control_put_str(c, "first", j->sound.first);
	control_row_end(c);
}

static void end_check(struct job *j)
{
	if (j->err != ERR_OK)
		control_end(j->call, j->err, &j->msg);
	else if (is_sound(j))
		control_end(j->call, ERR_OK, NULL);
	else
		control_fail(j->call, ERR_MALFORMED,
		             "the store is not sound: %u chunks are damaged%s%s%s",
		             (unsigned)j->left, j->sound.first[0] ? "; " : "", j->sound.first,
		             j->repair ? ""
		                       : ". `wasmos store check --repair` asks the linked devices "
		                         "for what is damaged");
}

static void check_done(void *ctx)
{
	struct job *j = ctx;
	log_found(j->upkeep->node, (uint32_t)j->sum.damaged, j->healed);
	if (j->call) {
		if (j->err == ERR_OK)
			put_check(j);
		end_check(j);
	}
	job_free(j);
}

void control_store_check(struct node *n, struct control_call *c)
{
	job_start(n, c, check_run, check_done);
}

/* ---- gc ---- */

static void gc_run(void *ctx)
{
	struct job *j = ctx;
	struct upkeep *u = j->upkeep;
	for (int i = 0; i < GC_TRIES && !u->stop; i++) {
		j->err = depot_gc(node_depot(u->node), j->spare_bytes, &j->gc, &j->msg);
		if (j->err != ERR_BUSY)
			break;
		uv_sleep(GC_AGAIN_MS);
	}
}

static void gc_done(void *ctx)
{
	struct job *j = ctx;
	struct control_call *c = j->call;
	if (c && j->err == ERR_OK) {
		control_row(c);
		control_put_u64(c, "kept", j->gc.kept);
		control_put_u64(c, "removed", j->gc.removed);
		control_put_u64(c, "removed_mib", j->gc.removed_bytes >> 20);
		control_put_u64(c, "removed_bytes", j->gc.removed_bytes);
		control_put_u64(c, "packs_removed", j->gc.packs_removed);
		control_put_u64(c, "moved_bytes", j->gc.moved_bytes);
		control_put_u64(c, "longest_us", j->gc.longest_ns / 1000);
		control_row_end(c);
	}
	if (c)
		control_end(c, j->err, &j->msg);
	job_free(j);
}

void control_store_gc(struct node *n, struct control_call *c)
{
	job_start(n, c, gc_run, gc_done);
}

/* ---- du ---- */

static void add_use(void *ctx, const struct depot_use *u)
{
	struct job *j = ctx;
	struct use_row *r = j->use_count < USES_MAX ? &j->uses[j->use_count++] : NULL;
	if (!r)
		return;
	r->kind = u->owner ? "program" : u->name ? u->name : "spare";
	snprintf(r->name, sizeof r->name, "%s", u->owner ? u->name : "");
	r->pid = u->owner ? u->owner->pid : 0;
	r->chunks = u->chunks;
	r->bytes = u->bytes;
	r->own_bytes = u->own_bytes;
	r->broken = u->broken;
}

static void du_run(void *ctx)
{
	struct job *j = ctx;
	struct depot *d = node_depot(j->upkeep->node);
	j->uses = calloc(USES_MAX, sizeof *j->uses);
	j->err = j->uses ? depot_uses(d, add_use, j, &j->msg) : ERR_NOMEM;
	if (j->err == ERR_OK)
		j->err = depot_stats(d, &j->stats);
}

static void put_use(struct control_call *c, const struct use_row *r)
{
	control_row(c);
	control_put_str(c, "kind", r->kind);
	if (r->pid)
		control_put_u64(c, "pid", r->pid);
	control_put_str(c, "name", r->broken && !r->name[0] ? "(not whole)" : r->name);
	control_put_u64(c, "chunks", r->chunks);
	control_put_u64(c, "kib", (r->bytes + 1023) >> 10);
	control_put_u64(c, "own_kib", (r->own_bytes + 1023) >> 10);
	control_put_flag(c, "broken", r->broken);
	control_row_end(c);
}

static void put_total(struct job *j)
{
	struct use_row chunks = {
	    .kind = "chunks", .chunks = j->stats.chunks, .bytes = j->stats.chunk_bytes};
	struct use_row dead = {.kind = "dead", .bytes = j->stats.dead_bytes};
	struct use_row disk = {
	    .kind = "disk", .chunks = j->stats.chunks, .bytes = j->stats.used_bytes};
	put_use(j->call, &chunks);
	put_use(j->call, &dead);
	put_use(j->call, &disk);
}

static void du_done(void *ctx)
{
	struct job *j = ctx;
	if (j->call) {
		for (unsigned i = 0; j->err == ERR_OK && i < j->use_count; i++)
			put_use(j->call, &j->uses[i]);
		if (j->err == ERR_OK)
			put_total(j);
		control_end(j->call, j->err, &j->msg);
	}
	job_free(j);
}

void control_store_du(struct node *n, struct control_call *c)
{
	job_start(n, c, du_run, du_done);
}

/* ---- the part ---- */

enum err upkeep_open(struct node *n, struct errmsg *msg)
{
	struct upkeep *u = calloc(1, sizeof *u);
	enum err e = u ? heal_serve(n, &u->heal) : ERR_NOMEM;
	if (e != ERR_OK) {
		free(u);
		return err_set(msg, e, "store: %s", err_text(e));
	}
	u->node = n;
	u->timer.data = u;
	uv_timer_init(&n->loop, &u->timer);
	uv_unref((uv_handle_t *)&u->timer);
	wait_for(u, SCRUB_FIRST_MS);
	n->upkeep = u;
	return ERR_OK;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

void upkeep_close(struct node *n)
{
	struct upkeep *u = n->upkeep;
	u->stop = true;
	work_wait(n, &u->work);
	heal_free(n, u->heal);
	uv_close((uv_handle_t *)&u->timer, on_closed);
	n->upkeep = NULL;
}
