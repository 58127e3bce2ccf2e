/* simulator.c - the real movers of two to four nodes in a made-up world that fails all the time.
 *
 * The world has nodes with a disk, links that go down and lose what is under way, processes whose whole
 * state is one number that grows while they run, and actions that are performed late. A seed chooses what happens next: a message
 * arrives, an action is done, a write fails (or only seems to), a node is killed and restarted, a link is cut, a move begins (to any
 * node: on to a third, or back), a checkpoint is written of a process that runs, a person takes a process back. So third nodes have images and
 * records of a process that are older than the one that runs. After each step:
 *
 *	no process runs twice, none is lost: one disk says OWNED, or none does and one says RELEASED with an image
 *	a runner's own disk says OWNED with its epoch
 *	a process never runs with an older number than the one that was last released
 *	mover_check() of each node
 *
 * Where a person used force two copies may run until the nodes meet. At the end everything is repaired and must
 * settle: exactly one copy of each process runs and no move is under way.
 *
 *	simulator [FIRST-SEED [COUNT]]      a failure prints its seed: run that seed alone with `simulator SEED 1`
 */
#include "migrate/mover.h"

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NODES = 4, PROCS = 2, OPS = 64, MESSAGES = 256, STEPS = 800, SETTLE = 400 };

struct message {
	uint8_t *bytes;
	size_t size;
};

struct op {
	enum { OP_EVENT, OP_WRITE, OP_ERASE, OP_FREEZE, OP_SAVE } kind;
	struct move_event ev;
	struct owner record;
	bool with_image, cancelled;
	uint64_t value;
	uint8_t manifest[16];
	unsigned proc;
};

struct disk {
	bool have[PROCS];
	struct owner record[PROCS];
	bool has_image[PROCS];
	uint64_t image[PROCS];
};

enum run { RUN_NONE, RUN_RUNS, RUN_STANDS, RUN_ARRIVES };

struct node {
	struct mover *mover; /* NULL: down */
	struct disk disk;
	enum run run[PROCS];
	uint64_t value[PROCS], epoch[PROCS];
	uint64_t staged[PROCS];
	struct op ops[OPS];
	unsigned first, nops;
};

struct world {
	uint64_t seed, rnd, now;
	unsigned nodes, procs;
	struct node node[NODES];
	struct message queue[NODES][NODES][MESSAGES];
	unsigned qfirst[NODES][NODES], qcount[NODES][NODES];
	bool link[NODES][NODES];
	bool forced[PROCS];
	bool ended_for_good[PROCS]; /* on disk, and nothing of that node is still being written */
	bool ended
	    [PROCS]; /* by itself; may come back when its node is killed before that is on disk */
	uint64_t floor[PROCS];
	bool calm; /* no more faults */
	bool loud;
	unsigned been[PROCS];                             /* bit i: it ran on node i */
	uint64_t moved, taken, lost, crashes, saved, far; /* how much happened */
};

static uint64_t rnd(struct world *w, uint64_t n)
{
	w->rnd ^= w->rnd << 13;
	w->rnd ^= w->rnd >> 7;
	w->rnd ^= w->rnd << 17;
	return (w->rnd >> 11) % n;
}

static void fail(const struct world *w, const char *what, unsigned proc)
{
	printf("FAILED with seed %" PRIu64 ": process %u: %s\n", w->seed, proc, what);
	for (unsigned i = 0; i < w->nodes; i++) {
		const struct node *n = &w->node[i];
		printf("  node %u: %s run %d value %" PRIu64 " epoch %" PRIx64, i,
		       n->mover ? "up" : "down", n->run[proc], n->value[proc], n->epoch[proc]);
		if (n->disk.have[proc])
			printf(" disk %s epoch %" PRIx64 " image %" PRIu64,
			       owner_state_text(n->disk.record[proc].state),
			       n->disk.record[proc].epoch, n->disk.image[proc]);
		struct move_status st;
		uint8_t uid[UID_SIZE] = {(uint8_t)(proc + 1)};
		if (n->mover && mover_status(n->mover, uid, &st))
			printf(" %s %s (%s)", st.leaving ? "leaving" : "arriving", st.state,
			       st.note);
		printf("\n");
	}
	abort();
}

static void device(unsigned i, uint8_t id[PEER_ID_SIZE])
{
	memset(id, 0, PEER_ID_SIZE);
	id[0] = (uint8_t)(i + 1);
}

static unsigned proc_of(const uint8_t uid[UID_SIZE])
{
	return uid[0] - 1u;
}

static struct chunk_addr image_of(uint64_t value)
{
	struct chunk_addr a = {{CHUNK_HASH_BLAKE2B}};
	memcpy(a.bytes + 1, &value, sizeof value);
	a.bytes[32] = 1;
	return a;
}

/* ---- performing ---- */

static struct op *add_op(struct world *w, unsigned i, const struct move_action *a)
{
	struct node *n = &w->node[i];
	if (n->nops == OPS)
		fail(w, "too many operations", 0);
	struct op *op = &n->ops[(n->first + n->nops++) % OPS];
	memset(op, 0, sizeof *op);
	memcpy(op->ev.move, a->move, MOVE_ID_SIZE);
	memcpy(op->ev.uid, a->uid, UID_SIZE);
	op->ev.attempt = a->attempt;
	op->ev.round = a->round;
	op->proc = proc_of(a->uid);
	return op;
}

static void send_bytes(struct world *w, unsigned from, unsigned to, const uint8_t *bytes,
                       size_t size)
{
	if (!w->link[from][to])
		return;
	if (w->qcount[from][to] == MESSAGES)
		fail(w, "too many messages", 0);
	struct message *m =
	    &w->queue[from][to][(w->qfirst[from][to] + w->qcount[from][to]++) % MESSAGES];
	m->bytes = malloc(size);
	m->size = size;
	memcpy(m->bytes, bytes, size);
}

static void send_value(struct world *w, unsigned from, const struct move_action *a, uint64_t value)
{
	struct wr out = {0};
	struct msg_move_pages p = {.batch = bin_ref(&value, sizeof value)};
	memcpy(p.move, a->move, MOVE_ID_SIZE);
	msg_encode(&out, MSG_MOVE_PAGES, &p, NULL);
	send_bytes(w, from, a->peer[0] - 1u, out.data, out.size);
	wr_free(&out);
}

static void starts(struct world *w, unsigned i, unsigned proc, uint64_t epoch)
{
	struct node *n = &w->node[i];
	n->run[proc] = RUN_RUNS;
	n->epoch[proc] = epoch;
	w->been[proc] |= 1u << i;
	if (!w->forced[proc] && w->ended_for_good[proc])
		fail(w, "runs after its end was on disk", proc);
	if (!w->forced[proc] && n->value[proc] < w->floor[proc])
		fail(w, "runs with an older state than was released", proc);
}

static void cancel_freeze(struct node *n, const struct move_action *a)
{
	for (unsigned k = 0; k < n->nops; k++) {
		struct op *op = &n->ops[(n->first + k) % OPS];
		if (op->kind == OP_FREEZE && memcmp(op->ev.move, a->move, MOVE_ID_SIZE) == 0)
			op->cancelled = true;
	}
}

static void on_bulk(struct world *w, struct node *n, const struct move_action *a)
{
	enum msg type;
	union msg_any any;
	if (msg_decode(a->bytes, a->size, &type, &any, NULL) != ERR_OK)
		fail(w, "bulk does not decode", 0);
	if (type == MSG_MOVE_PAGES)
		memcpy(&n->staged[proc_of(a->uid)], any.move_pages.batch.p, 8);
}

static void on_final(struct world *w, unsigned i, const struct move_action *a)
{
	struct node *n = &w->node[i];
	unsigned proc = proc_of(a->uid);
	if (n->run[proc] == RUN_RUNS)
		fail(w, "the last round of a process that runs", proc);
	uint64_t value = n->run[proc] == RUN_STANDS ? n->value[proc] : n->disk.image[proc];
	send_value(w, i, a, value);
	struct op *op = add_op(w, i, a);
	op->ev.kind = MOVE_EV_FINAL;
	memcpy(op->manifest, &value, 8);
	op->ev.manifest_size = 16;
	op->ev.image = image_of(value);
	op->ev.pages = 1;
}

static void on_prepare(struct world *w, unsigned i, const struct move_action *a)
{
	struct node *n = &w->node[i];
	unsigned proc = proc_of(a->uid);
	uint64_t value;
	memcpy(&value, a->bytes, 8);
	struct op *op = add_op(w, i, a);
	if (value != n->staged[proc] || (!w->calm && rnd(w, 20) == 0)) {
		op->ev.kind = MOVE_EV_FAILED;
		op->ev.err = ERR_INVALID;
		snprintf(op->ev.text.text, sizeof op->ev.text.text, "not what was said");
		return;
	}
	if (n->run[proc] != RUN_NONE)
		fail(w, "arrives where it is", proc);
	n->run[proc] = RUN_ARRIVES;
	n->value[proc] = value;
	op->ev.kind = MOVE_EV_PREPARED;
	op->ev.image = image_of(value);
	op->ev.pid = 7;
}

static void on_write(struct world *w, unsigned i, const struct move_action *a)
{
	struct node *n = &w->node[i];
	unsigned proc = proc_of(a->uid);
	struct op *op = add_op(w, i, a);
	op->kind = OP_WRITE;
	op->ev.kind = MOVE_EV_WRITTEN;
	op->record = a->record;
	op->with_image = a->with_image;
	op->value = n->run[proc] == RUN_NONE ? n->disk.image[proc] : n->value[proc];
}

static void on_admit(struct world *w, unsigned i, const struct move_action *a)
{
	struct op *op = add_op(w, i, a);
	bool no = !w->calm && rnd(w, 20) == 0;
	op->ev.kind = no ? MOVE_EV_FAILED : MOVE_EV_ADMITTED;
	op->ev.err = no ? ERR_FULL : ERR_OK;
	op->ev.base = rnd(w, 2);
	w->node[i].staged[proc_of(a->uid)] = 0;
}

static void perform(struct world *w, unsigned i, struct move_action *a)
{
	struct node *n = &w->node[i];
	unsigned proc = proc_of(a->uid);
	struct op *op;
	switch (a->kind) {
	case MOVE_ACT_SEND: send_bytes(w, i, a->peer[0] - 1u, a->bytes, a->size); break;
	case MOVE_ACT_SCAN:
	case MOVE_ACT_ROUND:
		send_value(w, i, a, n->value[proc]);
		op = add_op(w, i, a);
		op->ev.kind = MOVE_EV_SENT;
		op->ev.pages = rnd(w, 100);
		break;
	case MOVE_ACT_FREEZE:
		op = add_op(w, i, a);
		op->kind = OP_FREEZE;
		op->ev.kind = MOVE_EV_FROZEN;
		break;
	case MOVE_ACT_THAW:
		cancel_freeze(n, a);
		if (n->run[proc] == RUN_STANDS)
			starts(w, i, proc, n->epoch[proc]);
		break;
	case MOVE_ACT_FINAL: on_final(w, i, a); break;
	case MOVE_ACT_RESUME:
		if (n->run[proc] == RUN_NONE)
			n->value[proc] = n->disk.image[proc];
		starts(w, i, proc, a->record.epoch);
		break;
	case MOVE_ACT_FORGET:
		if (n->run[proc] == RUN_RUNS)
			fail(w, "forgets a process that runs", proc);
		n->run[proc] = RUN_NONE;
		break;
	case MOVE_ACT_ADMIT: on_admit(w, i, a); break;
	case MOVE_ACT_BULK: on_bulk(w, n, a); break;
	case MOVE_ACT_BARRIER: add_op(w, i, a)->ev.kind = MOVE_EV_APPLIED; break;
	case MOVE_ACT_PREPARE: on_prepare(w, i, a); break;
	case MOVE_ACT_RUN:
		if (n->run[proc] != RUN_ARRIVES)
			fail(w, "runs what did not arrive", proc);
		starts(w, i, proc, a->record.epoch);
		op = add_op(w, i, a);
		op->ev.kind = MOVE_EV_RUNNING;
		op->ev.pid = 7;
		break;
	case MOVE_ACT_DROP:
		if (n->run[proc] == RUN_ARRIVES)
			n->run[proc] = RUN_NONE;
		break;
	case MOVE_ACT_WRITE: on_write(w, i, a); break;
	case MOVE_ACT_ERASE: add_op(w, i, a)->kind = OP_ERASE; break;
	case MOVE_ACT_KILL: n->run[proc] = RUN_NONE; break;
	case MOVE_ACT_KEEP:
	case MOVE_ACT_WANT:
	case MOVE_ACT_OVER: break;
	}
}

static void drain(struct world *w, unsigned i)
{
	struct move_action a;
	struct node *n = &w->node[i];
	while (n->mover && mover_next(n->mover, &a)) {
		if (w->loud) {
			char what[64] = "";
			enum msg type;
			union msg_any any;
			if (a.kind == MOVE_ACT_SEND &&
			    msg_decode(a.bytes, a.size, &type, &any, NULL) == ERR_OK)
				snprintf(what, sizeof what, "%s to %u", msg_name(type),
				         a.peer[0] - 1u);
			else if (a.kind == MOVE_ACT_WRITE)
				snprintf(what, sizeof what, "%s %" PRIx64,
				         owner_state_text(a.record.state), a.record.epoch);
			printf("    node %u: %s %s %s\n", i, move_action_name(a.kind), what,
			       a.text.text);
		}
		perform(w, i, &a);
		move_action_free(&a);
	}
}

/* ---- what happens ---- */

static void to_disk(struct world *w, struct node *n, const struct op *op)
{
	unsigned proc = op->proc;
	n->disk.have[proc] = true;
	n->disk.record[proc] = op->record;
	w->ended_for_good[proc] = op->record.state == OWNER_ENDED && n->nops == 0;
	if (op->with_image) {
		n->disk.has_image[proc] = true;
		n->disk.image[proc] = op->value;
	}
	if (op->record.state == OWNER_RELEASED && op->value > w->floor[proc])
		w->floor[proc] = op->value;
}

/* A checkpoint is written: node/moves/saver.c. What ended meanwhile is told its mover only then. */
static void save_op(struct world *w, struct node *n, const struct op *op)
{
	uint64_t luck = w->calm ? 100 : rnd(w, 30);
	uint8_t uid[UID_SIZE] = {(uint8_t)(op->proc + 1)};
	if (luck > 1)
		to_disk(w, n, op);
	if (luck > 2) {
		mover_note(n->mover, &op->record);
		w->saved++;
	}
	if (n->run[op->proc] == RUN_NONE)
		mover_ended(n->mover, uid);
}

static void do_op(struct world *w, unsigned i)
{
	struct node *n = &w->node[i];
	if (!n->mover || !n->nops)
		return;
	struct op op = n->ops[n->first];
	n->first = (n->first + 1) % OPS;
	n->nops--;
	if (op.cancelled)
		return;
	if (op.kind == OP_FREEZE) {
		if (n->run[op.proc] == RUN_RUNS)
			n->run[op.proc] = RUN_STANDS;
	} else if (op.kind == OP_ERASE) {
		n->disk.have[op.proc] = false;
		return;
	} else if (op.kind == OP_SAVE) {
		save_op(w, n, &op);
		drain(w, i);
		return;
	} else if (op.kind == OP_WRITE) {
		uint64_t luck = w->calm ? 100 : rnd(w, 30);
		op.ev.err = luck == 0 ? ERR_FULL : luck <= 2 ? ERR_IO : ERR_OK;
		if (luck != 0 && luck != 1)
			to_disk(w, n, &op);
	}
	if (op.ev.manifest_size)
		op.ev.manifest = op.manifest;
	mover_event(n->mover, &op.ev, w->now);
	drain(w, i);
}

static void deliver(struct world *w, unsigned from, unsigned to)
{
	if (!w->qcount[from][to])
		return;
	struct message m = w->queue[from][to][w->qfirst[from][to]];
	w->qfirst[from][to] = (w->qfirst[from][to] + 1) % MESSAGES;
	w->qcount[from][to]--;
	enum msg type;
	union msg_any any;
	uint8_t id[PEER_ID_SIZE];
	device(from, id);
	if (msg_decode(m.bytes, m.size, &type, &any, NULL) != ERR_OK)
		fail(w, "a message does not decode", 0);
	if (w->loud)
		printf("  %s arrives at %u\n", msg_name(type), to);
	w->moved += type == MSG_MOVE_RUNS;
	w->lost += type == MSG_MOVE_LOST;
	mover_message(w->node[to].mover, id, type, &any, w->now);
	free(m.bytes);
	drain(w, to);
}

static void lose(struct world *w, unsigned from, unsigned to)
{
	while (w->qcount[from][to]) {
		free(w->queue[from][to][w->qfirst[from][to]].bytes);
		w->qfirst[from][to] = (w->qfirst[from][to] + 1) % MESSAGES;
		w->qcount[from][to]--;
	}
}

static void tell_link(struct world *w, unsigned i, unsigned peer, bool up)
{
	uint8_t id[PEER_ID_SIZE];
	device(peer, id);
	if (!w->node[i].mover)
		return;
	mover_link(w->node[i].mover, id, up, w->now);
	drain(w, i);
}

static void set_link(struct world *w, unsigned a, unsigned b, bool up)
{
	if (a == b || w->link[a][b] == up || (up && (!w->node[a].mover || !w->node[b].mover)))
		return;
	if (w->loud)
		printf("  link %u-%u %s\n", a, b, up ? "up" : "down");
	w->link[a][b] = w->link[b][a] = up;
	lose(w, a, b);
	lose(w, b, a);
	tell_link(w, a, b, up);
	tell_link(w, b, a, up);
}

static void crash(struct world *w, unsigned i)
{
	struct node *n = &w->node[i];
	if (!n->mover)
		return;
	if (w->loud)
		printf("  node %u is killed\n", i);
	w->crashes++;
	/* What was being written may have reached the disk. */
	bool writes =
	    n->nops && (n->ops[n->first].kind == OP_WRITE || n->ops[n->first].kind == OP_SAVE);
	if (writes && rnd(w, 2))
		to_disk(w, n, &n->ops[n->first]);
	mover_free(n->mover);
	n->mover = NULL;
	n->nops = 0;
	memset(n->run, 0, sizeof n->run);
	for (unsigned k = 0; k < w->nodes; k++)
		set_link(w, i, k, false);
}

static void new_mover(struct world *w, unsigned i)
{
	uint8_t id[PEER_ID_SIZE], clock[16] = {1};
	device(i, id);
	if (mover_new(id, clock, &w->node[i].mover) != ERR_OK)
		abort();
}

static void move_id(struct world *w, uint8_t id[MOVE_ID_SIZE])
{
	for (unsigned k = 0; k < MOVE_ID_SIZE; k++)
		id[k] = (uint8_t)rnd(w, 256);
}

static void restart(struct world *w, unsigned i)
{
	struct node *n = &w->node[i];
	if (n->mover)
		return;
	if (w->loud)
		printf("  node %u is restarted\n", i);
	new_mover(w, i);
	for (unsigned p = 0; p < w->procs; p++) {
		uint8_t id[MOVE_ID_SIZE];
		if (!n->disk.have[p])
			continue;
		move_id(w, id);
		mover_restore(n->mover, &n->disk.record[p], id, w->now);
		if (n->disk.record[p].state == OWNER_OWNED && !n->disk.record[p].pending) {
			n->value[p] = n->disk.image[p];
			starts(w, i, p, n->disk.record[p].epoch);
		}
	}
	drain(w, i);
}

static void start_move(struct world *w, unsigned i, unsigned proc, unsigned to)
{
	struct node *n = &w->node[i];
	uint8_t id[MOVE_ID_SIZE], peer[PEER_ID_SIZE];
	uint8_t uid[UID_SIZE] = {(uint8_t)(proc + 1)};
	if (!n->mover || n->run[proc] != RUN_RUNS)
		return;
	const struct owner *rec = mover_record(n->mover, uid);
	struct move_options opt = {.max_pause_ns = rnd(w, 4) ? 0 : 5000000};
	move_id(w, id);
	device(to, peer);
	struct errmsg msg = {0};
	enum err e = rec ? mover_start(n->mover, id, rec, peer, &opt, w->now, &msg) : ERR_STATE;
	if (w->loud)
		printf("  node %u moves %u to %u %s\n", i, proc, to, e == ERR_OK ? "" : msg.text);
	drain(w, i);
}

/* A checkpoint of a process that runs and does not move, when no other is being written. */
static void save(struct world *w, unsigned i, unsigned proc)
{
	struct node *n = &w->node[i];
	uint8_t uid[UID_SIZE] = {(uint8_t)(proc + 1)};
	struct move_status st;
	if (!n->mover || n->run[proc] != RUN_RUNS || mover_status(n->mover, uid, &st))
		return;
	const struct owner *rec = mover_record(n->mover, uid);
	if (!rec || rec->state != OWNER_OWNED || rec->pending)
		return;
	for (unsigned k = 0; k < n->nops; k++) {
		const struct op *other = &n->ops[(n->first + k) % OPS];
		if (other->proc == proc && (other->kind == OP_SAVE || other->kind == OP_WRITE))
			return;
	}
	struct move_action a = {0};
	memcpy(a.uid, uid, sizeof uid);
	struct op *op = add_op(w, i, &a);
	op->kind = OP_SAVE;
	op->record = *rec;
	op->record.image = image_of(n->value[proc]);
	op->with_image = true;
	op->value = n->value[proc];
}

static void force(struct world *w, unsigned i, unsigned proc)
{
	uint8_t uid[UID_SIZE] = {(uint8_t)(proc + 1)};
	if (!w->node[i].mover || mover_force(w->node[i].mover, uid, w->now, NULL) != ERR_OK)
		return;
	if (w->loud)
		printf("  node %u takes %u back by force\n", i, proc);
	w->forced[proc] = true;
	w->taken++;
	drain(w, i);
}

static void ends(struct world *w, unsigned i, unsigned proc)
{
	struct node *n = &w->node[i];
	uint8_t uid[UID_SIZE] = {(uint8_t)(proc + 1)};
	struct move_status st;
	if (!n->mover || n->run[proc] != RUN_RUNS)
		return;
	if (w->loud)
		printf("  process %u ends on node %u\n", proc, i);
	w->ended[proc] = true;
	n->run[proc] = RUN_NONE;
	if (mover_status(n->mover, uid, &st) && st.leaving) {
		struct move_event ev = {.kind = MOVE_EV_EXITED};
		memcpy(ev.move, st.move, MOVE_ID_SIZE);
		mover_event(n->mover, &ev, w->now);
	}
	mover_ended(n->mover, uid);
	drain(w, i);
}

static void tick(struct world *w)
{
	w->now += rnd(w, 3000000000);
	for (unsigned i = 0; i < w->nodes; i++) {
		if (!w->node[i].mover)
			continue;
		mover_tick(w->node[i].mover, w->now);
		drain(w, i);
	}
}

static void guests_run(struct world *w)
{
	for (unsigned i = 0; i < w->nodes; i++)
		for (unsigned p = 0; p < w->procs; p++)
			if (w->node[i].mover && w->node[i].run[p] == RUN_RUNS)
				w->node[i].value[p]++;
}

/* ---- what must be true ---- */

static void check_proc(const struct world *w, unsigned p)
{
	unsigned runs = 0, owns = 0, released = 0;
	for (unsigned i = 0; i < w->nodes; i++) {
		const struct node *n = &w->node[i];
		const struct owner *rec = n->disk.have[p] ? &n->disk.record[p] : NULL;
		bool owned = rec && rec->state == OWNER_OWNED;
		if (owned && rec->pending && !(n->mover && n->run[p] == RUN_RUNS))
			owned = false; /* it ran there and was lost, or does not run yet */
		runs += n->mover && n->run[p] == RUN_RUNS;
		owns += owned;
		released += rec && rec->state == OWNER_RELEASED && n->disk.has_image[p];
		if (n->mover && n->run[p] == RUN_RUNS && (!owned || rec->epoch != n->epoch[p]))
			fail(w, "runs without owning it", p);
	}
	if (!w->forced[p] && runs > 1)
		fail(w, "runs twice", p);
	if (!w->forced[p] && owns > 1)
		fail(w, "is owned twice", p);
	if (owns == 0 && released == 0 && !w->ended[p])
		fail(w, "is lost", p);
}

static void check(const struct world *w)
{
	for (unsigned p = 0; p < w->procs; p++)
		check_proc(w, p);
	for (unsigned i = 0; i < w->nodes; i++)
		if (w->node[i].mover)
			mover_check(w->node[i].mover);
}

/* ---- a sequence ---- */

static void begin(struct world *w, uint64_t seed, bool loud)
{
	memset(w, 0, sizeof *w);
	w->seed = seed;
	w->rnd = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
	w->loud = loud;
	w->now = 1000;
	for (unsigned k = 0; k < 8; k++)
		rnd(w, 2);
	w->nodes = 2 + (unsigned)rnd(w, NODES - 1);
	w->procs = 1 + (unsigned)rnd(w, PROCS);
	for (unsigned p = 0; p < w->procs; p++) {
		struct disk *d = &w->node[0].disk;
		d->have[p] = d->has_image[p] = true;
		d->record[p] = (struct owner){.uid = {(uint8_t)(p + 1)},
		                              .epoch = 1,
		                              .state = OWNER_OWNED,
		                              .image = image_of(0)};
	}
	for (unsigned i = 0; i < w->nodes; i++)
		restart(w, i);
	for (unsigned i = 0; i < w->nodes; i++)
		for (unsigned k = 0; k < i; k++)
			set_link(w, i, k, true);
}

static void deliver_any(struct world *w, unsigned a, unsigned b)
{
	for (unsigned n = 0; n < w->nodes * w->nodes; n++) {
		unsigned from = (a + n) % w->nodes, to = (b + n / w->nodes) % w->nodes;
		if (!w->qcount[from][to])
			continue;
		deliver(w, from, to);
		return;
	}
}

static void do_any_op(struct world *w, unsigned a)
{
	for (unsigned n = 0; n < w->nodes; n++) {
		unsigned i = (a + n) % w->nodes;
		if (!w->node[i].mover || !w->node[i].nops)
			continue;
		do_op(w, i);
		return;
	}
}

/* Something goes wrong. */
static void fault(struct world *w, unsigned a, unsigned b, bool may_force)
{
	switch (rnd(w, 6)) {
	case 5:
		if (rnd(w, 4) == 0)
			ends(w, a, (unsigned)rnd(w, w->procs));
		break;
	case 0: crash(w, a); break;
	case 1:
	case 2: set_link(w, a, b, false); break;
	case 3: tick(w); break;
	default:
		if (may_force)
			force(w, a, (unsigned)rnd(w, w->procs));
		break;
	}
}

static void step(struct world *w, uint64_t faults, bool may_force)
{
	unsigned a = (unsigned)rnd(w, w->nodes);
	unsigned b = (a + 1 + (unsigned)rnd(w, w->nodes - 1)) % w->nodes;
	uint64_t what = rnd(w, 1000);
	if (what < faults)
		fault(w, a, b, may_force);
	else if (what < 600)
		deliver_any(w, a, b);
	else if (what < 930)
		do_any_op(w, a);
	else if (what < 940)
		save(w, a, (unsigned)rnd(w, w->procs));
	else if (what < 955)
		start_move(w, a, (unsigned)rnd(w, w->procs), b);
	else if (what < 970)
		restart(w, a);
	else
		set_link(w, a, b, true);
	guests_run(w);
}

static void meet_again(struct world *w)
{
	for (unsigned i = 0; i < w->nodes; i++)
		restart(w, i);
	for (unsigned i = 0; i < w->nodes; i++)
		for (unsigned k = 0; k < i; k++) {
			set_link(w, i, k, false);
			set_link(w, i, k, true);
		}
}

static void settle(struct world *w)
{
	w->calm = true;
	for (unsigned n = 0; n < SETTLE; n++) {
		if (n % 100 == 0)
			meet_again(w);
		for (unsigned a = 0; a < w->nodes; a++) {
			for (unsigned b = 0; b < w->nodes; b++)
				deliver(w, a, b);
			do_op(w, a);
		}
		if (n % 10 == 0)
			tick(w);
		guests_run(w);
		check(w);
	}
	for (unsigned p = 0; p < w->procs; p++) {
		unsigned runs = 0;
		for (unsigned i = 0; i < w->nodes; i++) {
			struct move_status st;
			uint8_t uid[UID_SIZE] = {(uint8_t)(p + 1)};
			runs += w->node[i].run[p] == RUN_RUNS;
			if (mover_status(w->node[i].mover, uid, &st))
				fail(w, "does not settle", p);
		}
		if (runs != 1 && !(w->ended[p] && runs == 0))
			fail(w, runs ? "runs twice in the end" : "does not run in the end", p);
	}
}

static void end(struct world *w)
{
	for (unsigned i = 0; i < w->nodes; i++) {
		for (unsigned k = 0; k < w->nodes; k++)
			lose(w, i, k);
		mover_free(w->node[i].mover);
	}
}

static void sequence(struct world *w, uint64_t seed, bool loud)
{
	begin(w, seed, loud);
	bool may_force = rnd(w, 3) == 0;
	uint64_t faults = 1 + rnd(w, rnd(w, 2) ? 60 : 15);
	for (unsigned n = 0; n < STEPS; n++) {
		step(w, faults, may_force);
		check(w);
	}
	settle(w);
	for (unsigned p = 0; p < w->procs; p++)
		w->far += __builtin_popcount(w->been[p]) > 2;
	end(w);
}

static volatile uint64_t seed_now; /* for the handler of a failed assertion only */

static void on_abort(int sig)
{
	printf("the seed was %" PRIu64 "\n", seed_now);
	fflush(stdout);
	signal(sig, SIG_DFL);
	raise(sig);
}

int main(int argc, char **argv)
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL) * 1000000;
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 20000;
	struct world *w = malloc(sizeof *w);
	signal(SIGABRT, on_abort);
	printf("simulator: seeds %" PRIu64 " to %" PRIu64 "\n", first, first + count - 1);
	fflush(stdout);
	uint64_t moved = 0, taken = 0, lost = 0, crashes = 0, saved = 0, far = 0;
	for (uint64_t n = 0; n < count; n++) {
		seed_now = first + n;
		sequence(w, first + n, count == 1);
		moved += w->moved;
		taken += w->taken;
		lost += w->lost;
		crashes += w->crashes;
		saved += w->saved;
		far += w->far;
	}
	printf("%" PRIu64 " sequences: no process ran twice, none was lost (%" PRIu64
	       " takeovers, %" PRIu64 " processes that were on three nodes or four, %" PRIu64
	       " checkpoints, %" PRIu64 " nodes killed, %" PRIu64 " images sent again, %" PRIu64
	       " taken back)\n",
	       count, moved, far, saved, crashes, lost, taken);
	free(w);
	return 0;
}
