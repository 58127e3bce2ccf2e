/* target.c - a process that arrives: admit, apply, check, stand prepared, own, run. mover.h draws it.
 *
 * What is true in each state:
 *
 *	ADMITTING  nothing is here yet
 *	RECEIVING  pages and sections are collected; nothing was checked
 *	CHECKING   PREPARE is being performed
 *	PREPARED   the image is whole, checked and loaded; it stands frozen. It may be dropped at any time but in doubt
 *	OWNING     WRITE owned is being performed. Nothing but its result ends this state (M5)
 *	STARTING   the record says OWNED, pending; RUN is being performed
 *	STORING    it runs; its image is written, and then the record without `pending`. Then OWNED is said
 *
 * In doubt: a WRITE owned ended in an input/output error, so the record may be on disk. Then the target
 * stays PREPARED, is not dropped, does not answer LOST, and tries again at each COMMIT.
 */
#include "migrate/mover_impl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const state_texts[TARGET_STATES] = {
    [TARGET_ADMITTING] = "asked",   [TARGET_RECEIVING] = "arriving", [TARGET_CHECKING] = "checking",
    [TARGET_PREPARED] = "prepared", [TARGET_OWNING] = "taking over", [TARGET_STARTING] = "starting",
    [TARGET_STORING] = "storing",
};

const char *target_state_text(const struct target *t)
{
	return state_texts[t->state];
}

static struct move_action *act(struct mover *m, struct target *t, enum move_action_kind kind)
{
	return push(m, kind, t->move, t->uid, t->peer);
}

static void unlink_target(struct mover *m, struct target *t)
{
	for (struct target **at = &m->targets; *at; at = &(*at)->next) {
		if (*at != t)
			continue;
		*at = t->next;
		m->ntargets--;
		free(t);
		return;
	}
}

static bool droppable(const struct target *t)
{
	return t->state <= TARGET_PREPARED && !t->doubt;
}

void target_drop(struct mover *m, struct target *t, const char *why)
{
	if (!droppable(t))
		return;
	struct move_action *a = act(m, t, MOVE_ACT_DROP);
	snprintf(a->text.text, sizeof a->text.text, "%s", why);
	unlink_target(m, t);
}

static void refuse(struct mover *m, const uint8_t *peer, const uint8_t *move, enum err err,
                   const char *why)
{
	struct msg_move_refuse r = {.error = (uint8_t)err, .why = text_ref(why)};
	memcpy(r.move, move, MOVE_ID_SIZE);
	push_message(m, peer, MSG_MOVE_REFUSE, &r);
}

static void progress(struct target *t, uint64_t now_ns)
{
	t->deadline_ns = now_ns + MOVE_TIMEOUT;
}

static void send_held(struct mover *m, struct target *t, const char *why)
{
	struct msg_move_held h = {.epoch = t->epoch, .why = text_ref(why)};
	memcpy(h.uid, t->uid, UID_SIZE);
	push_message(m, t->peer, MSG_MOVE_HELD, &h);
}

/* Its part takes its time here: the source hears so before it gives up. */
static void works(struct mover *m, struct target *t, uint64_t now_ns)
{
	if (t->state > TARGET_CHECKING)
		return;
	progress(t, now_ns);
	if (now_ns < t->said_ns + MOVE_SAY)
		return;
	t->said_ns = now_ns;
	send_held(m, t, "it is still at work on what has arrived");
}

/* ---- being asked ---- */

/* NULL when the offer may be taken, else why not. */
static const char *objection(struct mover *m, const uint8_t *peer, const struct msg_move_offer *o,
                             enum err *err)
{
	const struct owner *rec = known_find(m, o->uid);
	struct target *t = target_of(m, o->uid);
	uint64_t epoch = o->released ? o->epoch : epoch_next(o->epoch);
	*err = ERR_BUSY;
	if (source_of(m, o->uid))
		return "the process is still leaving this device";
	if (t && (!droppable(t) || !same_id(t->peer, peer, PEER_ID_SIZE)))
		return "the process is arriving here already";
	if (m->ntargets >= MOVES_MAX)
		return "too many processes are arriving";
	*err = ERR_UNSUPPORTED;
	if (o->format != MOVE_FORMAT)
		return "another format of moves";
	*err = ERR_STALE;
	if (rec && rec->pending && rec->epoch <= epoch)
		return NULL; /* it ran here and was lost (O5); perhaps it was then taken back, and goes on */
	if (rec && (rec->epoch >= epoch || (rec->state != OWNER_GONE && rec->state != OWNER_ENDED)))
		return "this device has a newer claim to the process";
	return NULL;
}

void target_offer(struct mover *m, const uint8_t *peer, const struct msg_move_offer *o,
                  uint64_t now_ns)
{
	enum err err;
	if ((uint32_t)o->epoch == UINT32_MAX || o->epoch == 0)
		return;
	const char *why = objection(m, peer, o, &err);
	if (why) {
		const struct owner *rec = known_find(m, o->uid);
		refuse(m, peer, o->move, err, why);
		if (err == ERR_STALE && rec)
			send_claim(m, peer, rec);
		return;
	}
	struct target *old = target_of(m, o->uid);
	if (old)
		target_drop(m, old, "offered anew");
	struct target *t = calloc(1, sizeof *t);
	if (!t)
		return;
	memcpy(t->move, o->move, MOVE_ID_SIZE);
	memcpy(t->uid, o->uid, UID_SIZE);
	memcpy(t->peer, peer, PEER_ID_SIZE);
	t->epoch = o->released ? o->epoch : epoch_next(o->epoch);
	t->said_ns = now_ns;
	str_copy(o->name, t->name, sizeof t->name);
	t->state = TARGET_ADMITTING;
	t->next = m->targets;
	m->targets = t;
	m->ntargets++;
	progress(t, now_ns);
	struct wr w = {0};
	struct move_action *a = act(m, t, MOVE_ACT_ADMIT);
	if (msg_encode(&w, MSG_MOVE_OFFER, o, NULL) == ERR_OK)
		push_bytes(a, w.data, w.size);
	wr_free(&w);
}

static void on_admitted(struct mover *m, struct target *t, const struct move_event *ev,
                        uint64_t now_ns)
{
	if (t->state != TARGET_ADMITTING)
		return;
	struct msg_move_accept a = {.base = ev->base, .ask = ev->ask, .modules = ev->modules};
	memcpy(a.move, t->move, MOVE_ID_SIZE);
	t->state = TARGET_RECEIVING;
	progress(t, now_ns);
	push_message(m, t->peer, MSG_MOVE_ACCEPT, &a);
}

/* ---- receiving ---- */

static void on_bulk(struct mover *m, struct target *t, enum msg type, const union msg_any *any,
                    uint64_t now_ns)
{
	if (t->state != TARGET_RECEIVING)
		return;
	struct wr w = {0};
	works(m, t, now_ns);
	/* Every MOVE struct begins with its move: encoding from the union is encoding from the struct. */
	if (msg_encode(&w, type, any, NULL) == ERR_OK) {
		push_bytes(act(m, t, MOVE_ACT_BULK), w.data, w.size);
	}
	wr_free(&w);
}

static void on_round(struct mover *m, struct target *t, const struct msg_move_round *r,
                     uint64_t now_ns)
{
	if (t->state != TARGET_RECEIVING)
		return;
	progress(t, now_ns);
	act(m, t, MOVE_ACT_BARRIER)->round = r->round;
}

static void on_applied(struct mover *m, struct target *t, const struct move_event *ev)
{
	struct msg_move_round_ok ok = {.round = ev->round};
	memcpy(ok.move, t->move, MOVE_ID_SIZE);
	if (t->state == TARGET_RECEIVING)
		push_message(m, t->peer, MSG_MOVE_ROUND_OK, &ok);
}

static void on_prepare(struct mover *m, struct target *t, const struct msg_move_prepare *p,
                       uint64_t now_ns)
{
	if (t->state != TARGET_RECEIVING)
		return;
	t->state = TARGET_CHECKING;
	progress(t, now_ns);
	struct move_action *a = act(m, t, MOVE_ACT_PREPARE);
	push_bytes(a, p->manifest.p, p->manifest.size);
	a->record = (struct owner){.epoch = t->epoch, .state = OWNER_OWNED};
}

static void say_prepared(struct mover *m, struct target *t)
{
	struct msg_move_prepared p = {0};
	memcpy(p.move, t->move, MOVE_ID_SIZE);
	memcpy(p.image, t->image.bytes, CHUNK_ADDR_SIZE);
	push_message(m, t->peer, MSG_MOVE_PREPARED, &p);
}

static void on_prepared(struct mover *m, struct target *t, const struct move_event *ev,
                        uint64_t now_ns)
{
	if (t->state != TARGET_CHECKING)
		return;
	t->state = TARGET_PREPARED;
	t->image = ev->image;
	t->pid = ev->pid;
	t->deadline_ns = now_ns + MOVE_KEEP;
	say_prepared(m, t);
}

/* ---- owning ---- */

static void send_owned(struct mover *m, const uint8_t *peer, const uint8_t *uid, uint64_t epoch,
                       uint32_t pid)
{
	struct msg_move_owned o = {.epoch = epoch, .pid = pid};
	memcpy(o.uid, uid, UID_SIZE);
	push_message(m, peer, MSG_MOVE_OWNED, &o);
}

static void send_runs(struct mover *m, struct target *t, const struct move_event *ev)
{
	struct msg_move_runs r = {.epoch = t->epoch, .pid = ev->pid, .resumed_ns = ev->resumed_ns};
	memcpy(r.uid, t->uid, UID_SIZE);
	memcpy(r.clock, ev->clock, sizeof r.clock);
	push_message(m, t->peer, MSG_MOVE_RUNS, &r);
}

static void write_record(struct mover *m, struct target *t, bool with_image)
{
	struct move_action *a = act(m, t, MOVE_ACT_WRITE);
	a->record = t->writing;
	a->with_image = with_image;
	t->write_pending = true;
}

static void own(struct mover *m, struct target *t)
{
	t->writing = (struct owner){.epoch = t->epoch,
	                            .state = OWNER_OWNED,
	                            .image = t->image,
	                            .pid = t->pid,
	                            .pending = true,
	                            .unacked = true};
	memcpy(t->writing.uid, t->uid, UID_SIZE);
	memcpy(t->writing.peer, t->peer, PEER_ID_SIZE);
	memcpy(t->writing.name, t->name, sizeof t->name);
	t->state = TARGET_OWNING;
	write_record(m, t, false);
}

/* A record that may be on disk must be overwritten before what it names is dropped. */
void target_outdone(struct mover *m, struct target *t, uint64_t epoch, const uint8_t *owner)
{
	if (t->state == TARGET_PREPARED && t->doubt) {
		t->writing.state = OWNER_GONE;
		t->writing.epoch = epoch;
		t->writing.unacked = t->writing.pending = false;
		memset(&t->writing.image, 0, sizeof t->writing.image);
		memcpy(t->writing.peer, owner, PEER_ID_SIZE);
		t->state = TARGET_OWNING;
		write_record(m, t, false);
		return;
	}
	target_drop(m, t, "another device has a newer claim");
}

static void gone_written(struct mover *m, struct target *t, const struct move_event *ev,
                         uint64_t now_ns)
{
	t->state = TARGET_PREPARED;
	t->deadline_ns = now_ns + MOVE_RETRY;
	if (ev->err != ERR_OK || !known_put(m, &t->writing))
		return; /* target_tick() tries again */
	t->doubt = false;
	target_drop(m, t, "another device has a newer claim");
}

/* The image is whole on disk too: from here on the other device may forget it. */
static void image_written(struct mover *m, struct target *t, const struct move_event *ev,
                          uint64_t now_ns)
{
	struct owner *o = known_find(m, t->uid);
	if (ev->err != ERR_OK) {
		t->deadline_ns = now_ns + MOVE_RETRY;
		send_held(m, t, ev->text.text[0] ? ev->text.text : err_text(ev->err));
		return;
	}
	if (o && o->epoch == t->epoch)
		o->pending = false;
	/* It ended while its image was written: the record that was just written is the older one. */
	if (o && o->state != OWNER_OWNED)
		push(m, MOVE_ACT_WRITE, NULL, o->uid, NULL)->record = *o;
	send_owned(m, t->peer, t->uid, t->epoch, t->pid);
	act(m, t, MOVE_ACT_KEEP)->image = t->image;
	unlink_target(m, t);
}

static void on_written(struct mover *m, struct target *t, const struct move_event *ev,
                       uint64_t now_ns)
{
	if (!t->write_pending)
		return;
	t->write_pending = false;
	if (t->state == TARGET_STORING) {
		image_written(m, t, ev, now_ns);
		return;
	}
	if (t->state != TARGET_OWNING)
		return;
	if (t->writing.state == OWNER_GONE) {
		gone_written(m, t, ev, now_ns);
		return;
	}
	if (ev->err == ERR_OK && known_put(m, &t->writing)) {
		t->state = TARGET_STARTING;
		act(m, t, MOVE_ACT_RUN)->record = t->writing;
		return;
	}
	t->state = TARGET_PREPARED;
	t->doubt = t->doubt || ev->err == ERR_OK || ev->err == ERR_IO;
	t->deadline_ns = now_ns + MOVE_KEEP;
	send_held(m, t, ev->text.text[0] ? ev->text.text : err_text(ev->err));
}

/* The newest record with its image: it may have ended meanwhile. */
static void store(struct mover *m, struct target *t)
{
	const struct owner *o = known_find(m, t->uid);
	if (o && o->epoch == t->epoch)
		t->writing = *o;
	t->writing.pending = false;
	write_record(m, t, t->writing.state == OWNER_OWNED);
}

static void on_running(struct mover *m, struct target *t, const struct move_event *ev)
{
	if (t->state != TARGET_STARTING)
		return;
	t->state = TARGET_STORING;
	t->pid = ev->pid;
	send_runs(m, t, ev);
	store(m, t);
}

static bool commits(const struct target *t, const uint8_t *peer, const struct msg_move_commit *c)
{
	return same_id(t->peer, peer, PEER_ID_SIZE) && t->epoch == c->epoch &&
	       same_id(t->image.bytes, c->image, CHUNK_ADDR_SIZE);
}

void target_commit(struct mover *m, const uint8_t *peer, const struct msg_move_commit *c,
                   uint64_t now_ns)
{
	struct target *t = target_of(m, c->uid);
	const struct owner *rec = known_find(m, c->uid);
	bool pending =
	    rec && rec->pending && rec->epoch == c->epoch; /* O5: a target runs it, or nobody */
	if (rec && rec->epoch >= c->epoch && !pending) {
		if (!t || t->state < TARGET_STARTING)
			send_owned(m, peer, c->uid, c->epoch, rec->pid);
	} else if (t && t->state == TARGET_PREPARED && t->writing.state != OWNER_GONE &&
	           commits(t, peer, c)) {
		own(m, t);
	} else if (!t || droppable(t)) { /* M5 */
		struct msg_move_lost l = {.epoch = c->epoch};
		memcpy(l.uid, c->uid, UID_SIZE);
		push_message(m, peer, MSG_MOVE_LOST, &l);
	}
}

static void on_abort(struct mover *m, struct target *t, const struct msg_move_abort *a)
{
	char why[320];
	snprintf(why, sizeof why, "the other device gave up: %.*s", (int)a->why.size,
	         a->why.p ? a->why.p : "");
	target_drop(m, t, why);
}

/* ---- the doors ---- */

void target_message(struct mover *m, struct target *t, enum msg type, const union msg_any *any,
                    uint64_t now_ns)
{
	switch (type) {
	case MSG_MOVE_SPACES:
	case MSG_MOVE_LIST:
	case MSG_MOVE_MODULE:
	case MSG_MOVE_PAGES: on_bulk(m, t, type, any, now_ns); break;
	case MSG_MOVE_ROUND: on_round(m, t, &any->move_round, now_ns); break;
	case MSG_MOVE_PREPARE: on_prepare(m, t, &any->move_prepare, now_ns); break;
	case MSG_MOVE_ABORT: on_abort(m, t, &any->move_abort); break;
	default: break;
	}
}

void target_event(struct mover *m, struct target *t, const struct move_event *ev, uint64_t now_ns)
{
	switch (ev->kind) {
	case MOVE_EV_ADMITTED: on_admitted(m, t, ev, now_ns); break;
	case MOVE_EV_APPLIED: on_applied(m, t, ev); break;
	case MOVE_EV_PREPARED: on_prepared(m, t, ev, now_ns); break;
	case MOVE_EV_WRITTEN: on_written(m, t, ev, now_ns); break;
	case MOVE_EV_WORKING: works(m, t, now_ns); break;
	case MOVE_EV_RUNNING: on_running(m, t, ev); break;
	case MOVE_EV_FAILED:
		if (t->state > TARGET_CHECKING)
			break;
		refuse(m, t->peer, t->move, ev->err, ev->text.text);
		target_drop(m, t, ev->text.text);
		break;
	default: break;
	}
}

void target_link(struct mover *m, struct target *t, bool up, uint64_t now_ns)
{
	if (up && t->state == TARGET_PREPARED)
		say_prepared(m, t);
	else if (!up && t->state < TARGET_PREPARED)
		target_drop(m, t, "the link went down");
	else if (!up && t->state == TARGET_PREPARED)
		t->deadline_ns = now_ns + MOVE_KEEP;
}

void target_tick(struct mover *m, struct target *t, uint64_t now_ns)
{
	if (now_ns < t->deadline_ns || t->write_pending)
		return;
	if (t->state == TARGET_STORING)
		store(m, t);
	else if (t->state > TARGET_PREPARED)
		return;
	else if (t->doubt && t->writing.state == OWNER_GONE)
		write_record(m, t, false);
	else if (t->state == TARGET_PREPARED && link_is_up(m, t->peer)) {
		t->deadline_ns = now_ns + MOVE_KEEP;
		say_prepared(m, t);
	} else {
		target_drop(m, t, "the other device did not come back");
	}
}

uint64_t target_deadline(const struct target *t)
{
	bool waits = t->state <= TARGET_PREPARED || t->state == TARGET_STORING;
	return waits && !t->write_pending ? t->deadline_ns : UINT64_MAX;
}
