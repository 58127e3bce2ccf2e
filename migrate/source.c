/* source.c - a process that leaves: offer, rounds while it runs, the stop, and giving it up for good. mover.h draws it.
 *
 * What is true in each state (source_check asserts what can be seen here):
 *
 *	state       record on disk        process            may fail back to running
 *	OFFERED     OWNED  | RELEASED     runs | stands      yes | to RELEASED
 *	COPYING     OWNED                 runs               yes
 *	FREEZING    OWNED                 runs or stands     yes
 *	FINAL       OWNED  | RELEASED     stands             yes | to RELEASED
 *	PREPARING   OWNED  | RELEASED     stands             yes | to RELEASED
 *	RELEASING   OWNED, RELEASED comes stands             only when the write surely failed
 *	RELEASED    RELEASED              stands             no
 *	FORGETTING  RELEASED, GONE comes  stands             no
 *	TAKING      RELEASED, OWNED comes stands             becomes OWNED (forced epoch)
 *
 * A released source goes through OFFERED, FINAL and PREPARING again when the target has lost the image; the
 * process stands all the while and `released` is the record's state, so nothing can make it run.
 */
#include "migrate/mover_impl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const state_texts[SOURCE_STATES] = {
    [SOURCE_OFFERED] = "offered",     [SOURCE_COPYING] = "copying",
    [SOURCE_FREEZING] = "stopping",   [SOURCE_FINAL] = "last round",
    [SOURCE_PREPARING] = "preparing", [SOURCE_RELEASING] = "releasing",
    [SOURCE_RELEASED] = "in flight",  [SOURCE_FORGETTING] = "forgetting",
    [SOURCE_TAKING] = "taking back",
};

const char *source_state_text(const struct source *s)
{
	return state_texts[s->state];
}

bool source_released(const struct source *s)
{
	return s->record.state == OWNER_RELEASED;
}

void source_free(struct source *s)
{
	wr_free(&s->spaces);
	wr_free(&s->module_list);
	free(s);
}

static struct move_action *act(struct mover *m, struct source *s, enum move_action_kind kind)
{
	struct move_action *a = push(m, kind, s->move, s->record.uid, s->peer);
	a->attempt = s->attempt;
	a->round = s->round;
	a->base = s->base;
	a->ask = s->ask;
	a->modules = s->modules;
	a->released = source_released(s);
	return a;
}

static bool bounded(const struct source *s)
{
	bool standing = s->state == SOURCE_FINAL || s->state == SOURCE_PREPARING;
	return standing && s->max_pause_ns && !source_released(s);
}

/* What it waits for next must come in time; while it stands with a bound, before the bound. */
static void progress(struct source *s, uint64_t now_ns)
{
	s->deadline_ns = now_ns + MOVE_TIMEOUT;
	if (bounded(s))
		s->deadline_ns = s->report.frozen_ns + s->max_pause_ns;
}

static void unlink_source(struct mover *m, struct source *s)
{
	for (struct source **at = &m->sources; *at; at = &(*at)->next) {
		if (*at != s)
			continue;
		*at = s->next;
		m->nsources--;
		source_free(s);
		return;
	}
}

static void over(struct mover *m, struct source *s, enum err err, const char *text)
{
	struct move_action *a = act(m, s, MOVE_ACT_OVER);
	a->err = err;
	a->report = s->report;
	snprintf(a->text.text, sizeof a->text.text, "%s", text);
	unlink_source(m, s);
}

/* ---- failing ---- */

static bool stands(const struct source *s)
{
	return s->state == SOURCE_FREEZING || s->state == SOURCE_FINAL ||
	       s->state == SOURCE_PREPARING || s->state == SOURCE_RELEASING;
}

/* Back to waiting: COMMIT will be answered with LOST and the image offered again. */
static void stay_released(struct source *s, const char *why, uint64_t now_ns)
{
	s->state = SOURCE_RELEASED;
	s->attempt++;
	s->try_ns = now_ns + MOVE_RETRY;
	snprintf(s->note, sizeof s->note, "%s", why);
}

/* The source runs on, or, when it was released already, waits on. */
static void fail(struct mover *m, struct source *s, enum err err, const char *why, uint64_t now_ns)
{
	struct msg_move_abort abort = {.why = text_ref(why)};
	memcpy(abort.move, s->move, MOVE_ID_SIZE);
	push_message(m, s->peer, MSG_MOVE_ABORT, &abort);
	if (source_released(s)) {
		stay_released(s, why, now_ns);
		return;
	}
	if (stands(s))
		act(m, s, MOVE_ACT_THAW);
	over(m, s, err, why);
}

enum err source_cancel(struct mover *m, struct source *s, enum err err, const char *why)
{
	if (source_released(s) || s->state >= SOURCE_RELEASING)
		return ERR_STATE;
	fail(m, s, err, why, 0);
	return ERR_OK;
}

/* ---- asking ---- */

void source_offer(struct mover *m, struct source *s, uint64_t now_ns)
{
	struct msg_move_offer o = {.epoch = s->record.epoch, .format = MOVE_FORMAT};
	memcpy(o.move, s->move, MOVE_ID_SIZE);
	memcpy(o.uid, s->record.uid, UID_SIZE);
	memcpy(o.base, s->base_image.bytes, CHUNK_ADDR_SIZE);
	o.released = source_released(s);
	o.name = text_ref(s->record.name);
	o.spaces = list_of(&s->spaces, s->nspaces);
	o.modules = list_of(&s->module_list, s->nmodules);
	s->state = SOURCE_OFFERED;
	s->waits = false;
	s->attempt++;
	s->round = 0;
	progress(s, now_ns);
	push_message(m, s->peer, MSG_MOVE_OFFER, &o);
}

static void on_accept(struct mover *m, struct source *s, const struct msg_move_accept *a,
                      uint64_t now_ns)
{
	if (s->state != SOURCE_OFFERED)
		return;
	s->base = a->base && !chunk_addr_is_null(&s->base_image);
	s->ask = a->ask;
	s->modules = a->modules;
	s->round_started_ns = now_ns;
	s->round_sent = false;
	progress(s, now_ns);
	if (source_released(s)) {
		s->state = SOURCE_FINAL;
		act(m, s, MOVE_ACT_FINAL);
	} else {
		s->state = SOURCE_COPYING;
		act(m, s, MOVE_ACT_SCAN);
	}
}

/* Who moves a process back at once meets the end of its last move: the target writes that it has left. */
static bool may_wait(const struct source *s, const struct msg_move_refuse *r, uint64_t now_ns)
{
	return s->state == SOURCE_OFFERED && r->error == ERR_BUSY && !source_released(s) &&
	       now_ns < s->started_ns + MOVE_BUSY_MAX;
}

static void on_refuse(struct mover *m, struct source *s, const struct msg_move_refuse *r,
                      uint64_t now_ns)
{
	char why[320];
	if (s->state >= SOURCE_RELEASING)
		return;
	if (may_wait(s, r, now_ns)) {
		s->waits = true;
		s->try_ns = now_ns + MOVE_BUSY;
		return;
	}
	snprintf(why, sizeof why, "the other device refused: %.*s", (int)r->why.size,
	         r->why.p ? r->why.p : "");
	enum err err = r->error > 0 && r->error < ERR_COUNT ? (enum err)r->error : ERR_STATE;
	fail(m, s, err, why, now_ns);
}

/* ---- rounds ---- */

static void freeze(struct mover *m, struct source *s)
{
	s->state = SOURCE_FREEZING;
	s->round++;
	act(m, s, MOVE_ACT_FREEZE);
}

static void next_round(struct mover *m, struct source *s, uint64_t now_ns)
{
	s->round++;
	s->round_started_ns = now_ns;
	s->round_sent = false;
	act(m, s, MOVE_ACT_ROUND);
}

/* The converge rule. A round that was sent and applied in t says that a stop now would take about t for what
 * is written in another t, and the fixed part. Stop when that is short enough, or does not get shorter. */
static void after_round(struct mover *m, struct source *s, uint64_t now_ns)
{
	uint64_t took = now_ns - s->round_started_ns;
	uint64_t pause = took + MOVE_PAUSE_BASE;
	uint64_t good = s->max_pause_ns && s->max_pause_ns < MOVE_PAUSE_GOOD ? s->max_pause_ns
	                                                                     : MOVE_PAUSE_GOOD;
	bool first = s->round == 0;
	bool shrinks = s->round_pages + s->round_pages / 8 < s->last_pages;
	if (!first && (pause <= good || s->round_pages == 0)) {
		freeze(m, s);
	} else if (first || (s->round < MOVE_ROUNDS_MAX && (shrinks || s->round < 3))) {
		next_round(m, s, now_ns);
	} else if (s->max_pause_ns && pause > s->max_pause_ns) {
		char why[320];
		snprintf(
		    why, sizeof why,
		    "the pause would be about %.1f ms, more than the %.1f ms asked for: after %u "
		    "rounds it still writes %llu pages (%llu KiB) a round, which take %.1f ms",
		    (double)pause / 1e6, (double)s->max_pause_ns / 1e6, s->round,
		    (unsigned long long)s->round_pages,
		    (unsigned long long)s->round_pages * CHUNK_PAGE / 1024, (double)took / 1e6);
		fail(m, s, ERR_LIMIT, why, now_ns);
	} else {
		freeze(m, s);
	}
}

static void on_round_ok(struct mover *m, struct source *s, const struct msg_move_round_ok *r,
                        uint64_t now_ns)
{
	if (s->state != SOURCE_COPYING || r->round != s->round || !s->round_sent)
		return;
	progress(s, now_ns);
	after_round(m, s, now_ns);
}

static void on_sent(struct mover *m, struct source *s, const struct move_event *ev, uint64_t now_ns)
{
	if (s->state != SOURCE_COPYING || ev->round != s->round || s->round_sent)
		return;
	struct msg_move_round r = {.round = s->round};
	memcpy(r.move, s->move, MOVE_ID_SIZE);
	s->round_sent = true;
	s->last_pages = s->round_pages;
	s->round_pages = ev->pages;
	s->report.rounds++;
	s->report.pages += ev->pages;
	s->report.bytes += ev->bytes;
	progress(s, now_ns);
	push_message(m, s->peer, MSG_MOVE_ROUND, &r);
}

/* ---- standing ---- */

static void on_frozen(struct mover *m, struct source *s, uint64_t now_ns)
{
	if (s->state != SOURCE_FREEZING)
		return;
	s->state = SOURCE_FINAL;
	s->report.frozen_ns = now_ns;
	progress(s, now_ns);
	act(m, s, MOVE_ACT_FINAL);
}

static void on_final(struct mover *m, struct source *s, const struct move_event *ev,
                     uint64_t now_ns)
{
	if (s->state != SOURCE_FINAL)
		return;
	struct msg_move_prepare p = {.manifest = bin_ref(ev->manifest, ev->manifest_size)};
	memcpy(p.move, s->move, MOVE_ID_SIZE);
	s->state = SOURCE_PREPARING;
	s->image = ev->image;
	s->report.rounds++;
	s->report.pages += ev->pages;
	s->report.bytes += ev->bytes;
	s->report.last_pages = ev->pages;
	s->report.last_bytes = ev->bytes;
	progress(s, now_ns);
	push_message(m, s->peer, MSG_MOVE_PREPARE, &p);
}

static void commit(struct mover *m, struct source *s, uint64_t now_ns)
{
	struct msg_move_commit c = {.epoch = s->record.epoch};
	assert(source_released(s)); /* M4 */
	memcpy(c.uid, s->record.uid, UID_SIZE);
	memcpy(c.image, s->record.image.bytes, CHUNK_ADDR_SIZE);
	s->state = SOURCE_RELEASED;
	s->try_ns = now_ns + MOVE_RETRY;
	push_message(m, s->peer, MSG_MOVE_COMMIT, &c);
}

static void write_record(struct mover *m, struct source *s, bool with_image)
{
	struct move_action *a = act(m, s, MOVE_ACT_WRITE);
	a->record = s->writing;
	a->with_image = with_image;
	s->write_pending = true;
}

static void release(struct mover *m, struct source *s, uint64_t now_ns)
{
	s->state = SOURCE_RELEASING;
	s->writing = s->record;
	s->writing.state = OWNER_RELEASED;
	s->writing.epoch = epoch_next(s->record.epoch);
	s->writing.image = s->image;
	s->writing.unacked = false;
	memcpy(s->writing.peer, s->peer, PEER_ID_SIZE);
	progress(s, now_ns);
	write_record(m, s, true);
}

static void stood_too_long(struct mover *m, struct source *s, uint64_t now_ns)
{
	char why[320];
	snprintf(why, sizeof why,
	         "the pause reached %.1f ms before the other device could take over; "
	         "%.1f ms were asked for, so it runs on here",
	         (double)(now_ns - s->report.frozen_ns) / 1e6, (double)s->max_pause_ns / 1e6);
	fail(m, s, ERR_TIMEOUT, why, now_ns);
}

static void on_prepared(struct mover *m, struct source *s, const struct msg_move_prepared *p,
                        uint64_t now_ns)
{
	if (s->state == SOURCE_RELEASED) { /* said again after a link came back */
		commit(m, s, now_ns);
		return;
	}
	if (s->state != SOURCE_PREPARING)
		return;
	if (!same_id(p->image, s->image.bytes, CHUNK_ADDR_SIZE)) {
		fail(m, s, ERR_INVALID, "the other device prepared another image", now_ns);
		return;
	}
	if (source_released(s))
		commit(m, s, now_ns);
	else if (bounded(s) && now_ns > s->deadline_ns)
		stood_too_long(m, s, now_ns);
	else
		release(m, s, now_ns);
}

/* ---- given up ---- */

static void forget(struct mover *m, struct source *s, uint64_t epoch, const uint8_t *owner)
{
	s->state = SOURCE_FORGETTING;
	s->attempt++;
	s->writing = s->record;
	s->writing.state = OWNER_GONE;
	s->writing.epoch = epoch;
	memcpy(s->writing.peer, owner, PEER_ID_SIZE);
	memset(&s->writing.image, 0, sizeof s->writing.image);
	write_record(m, s, false);
}

/* It runs there: the pause is over. Whether it stays there is said by OWNED. */
static void on_runs(struct mover *m, struct source *s, const struct msg_move_runs *r,
                    uint64_t now_ns)
{
	if (s->state != SOURCE_RELEASED || r->epoch != s->record.epoch || s->report.pause_ns)
		return;
	bool same_clock = same_id(r->clock, m->clock, sizeof m->clock) &&
	                  !bytes_are_zero(m->clock, sizeof m->clock);
	s->report.pause_exact = same_clock && r->resumed_ns >= s->report.frozen_ns;
	s->report.pause_ns = (s->report.pause_exact ? r->resumed_ns : now_ns) - s->report.frozen_ns;
	s->report.total_ns = now_ns - s->started_ns;
	s->report.pid = r->pid;
}

static void on_owned(struct mover *m, struct source *s, const struct msg_move_owned *o,
                     uint64_t now_ns)
{
	if (!source_released(s) || o->epoch != s->record.epoch || s->state == SOURCE_FORGETTING ||
	    s->state == SOURCE_TAKING)
		return;
	if (!s->report.pause_ns) {
		s->report.pause_ns = now_ns - s->report.frozen_ns;
		s->report.total_ns = now_ns - s->started_ns;
		s->report.pid = o->pid;
	}
	forget(m, s, s->record.epoch, s->peer);
}

static void on_lost(struct mover *m, struct source *s, const struct msg_move_lost *l,
                    uint64_t now_ns)
{
	if (s->state != SOURCE_RELEASED || l->epoch != s->record.epoch)
		return;
	snprintf(s->note, sizeof s->note,
	         "the other device was restarted and has lost the image: "
	         "it is sent again");
	source_offer(m, s, now_ns);
}

/* Before COMMIT it is a sign of work: the epoch is the one that it would take over with. */
static void on_held(struct source *s, const struct msg_move_held *h, uint64_t now_ns)
{
	uint64_t epoch = source_released(s) ? s->record.epoch : epoch_next(s->record.epoch);
	if (s->state < SOURCE_RELEASING && h->epoch == epoch)
		progress(s, now_ns);
	else if (s->state == SOURCE_RELEASED && h->epoch == s->record.epoch)
		snprintf(s->note, sizeof s->note, "the other device cannot take it yet: %.*s",
		         (int)h->why.size, h->why.p ? h->why.p : "");
}

enum err source_force(struct mover *m, struct source *s)
{
	if (!source_released(s) || s->state == SOURCE_FORGETTING || s->state == SOURCE_TAKING)
		return ERR_STATE;
	s->state = SOURCE_TAKING;
	s->attempt++;
	s->writing = s->record;
	s->writing.state = OWNER_OWNED;
	s->writing.epoch = epoch_force(s->record.epoch);
	memset(s->writing.peer, 0, PEER_ID_SIZE);
	write_record(m, s, false);
	return ERR_OK;
}

void source_outdone(struct mover *m, struct source *s, uint64_t now_ns)
{
	if (!source_released(s) && s->state < SOURCE_RELEASING)
		fail(m, s, ERR_STALE, "another device has a newer claim to this process", now_ns);
}

void source_claimed(struct mover *m, struct source *s, uint64_t epoch, const uint8_t *owner,
                    uint64_t now_ns)
{
	if (!source_released(s) || s->state == SOURCE_FORGETTING || s->state == SOURCE_TAKING)
		return;
	s->report.total_ns = now_ns - s->started_ns;
	forget(m, s, epoch, owner);
}

/* ---- writes ---- */

static void released_written(struct mover *m, struct source *s, uint64_t now_ns)
{
	s->doubt = false;
	s->record = s->writing;
	known_put(m, &s->record);
	commit(m, s, now_ns);
}

static void taken_written(struct mover *m, struct source *s)
{
	struct msg_move_abort abort = {.why = text_ref("taken back")};
	memcpy(abort.move, s->move, MOVE_ID_SIZE);
	s->record = s->writing;
	known_put(m, &s->record);
	push_message(m, s->peer, MSG_MOVE_ABORT, &abort);
	send_claim(m, s->peer, &s->record);
	act(m, s, MOVE_ACT_RESUME)->record = s->record;
	over(m, s, ERR_OK, "taken back by force");
}

static void gone_written(struct mover *m, struct source *s)
{
	struct msg_move_forgotten f = {.epoch = s->record.epoch};
	memcpy(f.uid, s->record.uid, UID_SIZE);
	s->record = s->writing;
	known_put(m, &s->record);
	push_message(m, s->peer, MSG_MOVE_FORGOTTEN, &f);
	act(m, s, MOVE_ACT_FORGET)->record = s->record;
	over(m, s, ERR_OK, "");
}

static void write_failed(struct mover *m, struct source *s, const struct move_event *ev,
                         uint64_t now_ns)
{
	const char *why = ev->text.text[0] ? ev->text.text : err_text(ev->err);
	/* IO: it may have been written, so nobody may act on its not being there. Tried again until it surely is. */
	s->doubt = s->doubt || ev->err == ERR_IO;
	bool surely = !s->doubt;
	snprintf(s->note, sizeof s->note, "cannot write: %s", why);
	s->try_ns = now_ns + MOVE_RETRY;
	if (surely && s->state == SOURCE_RELEASING)
		fail(m, s, ev->err, s->note, now_ns);
	else if (surely && s->state == SOURCE_TAKING)
		stay_released(s, s->note, now_ns);
}

static void on_written(struct mover *m, struct source *s, const struct move_event *ev,
                       uint64_t now_ns)
{
	if (!s->write_pending)
		return;
	s->write_pending = false;
	if (ev->err != ERR_OK)
		write_failed(m, s, ev, now_ns);
	else if (s->state == SOURCE_RELEASING)
		released_written(m, s, now_ns);
	else if (s->state == SOURCE_TAKING)
		taken_written(m, s);
	else if (s->state == SOURCE_FORGETTING)
		gone_written(m, s);
}

/* ---- the doors ---- */

void source_message(struct mover *m, struct source *s, enum msg type, const union msg_any *any,
                    uint64_t now_ns)
{
	switch (type) {
	case MSG_MOVE_ACCEPT: on_accept(m, s, &any->move_accept, now_ns); break;
	case MSG_MOVE_REFUSE: on_refuse(m, s, &any->move_refuse, now_ns); break;
	case MSG_MOVE_ROUND_OK: on_round_ok(m, s, &any->move_round_ok, now_ns); break;
	case MSG_MOVE_PREPARED: on_prepared(m, s, &any->move_prepared, now_ns); break;
	case MSG_MOVE_RUNS: on_runs(m, s, &any->move_runs, now_ns); break;
	case MSG_MOVE_OWNED: on_owned(m, s, &any->move_owned, now_ns); break;
	case MSG_MOVE_LOST: on_lost(m, s, &any->move_lost, now_ns); break;
	case MSG_MOVE_HELD: on_held(s, &any->move_held, now_ns); break;
	default: break;
	}
}

void source_event(struct mover *m, struct source *s, const struct move_event *ev, uint64_t now_ns)
{
	if (ev->kind == MOVE_EV_WRITTEN) {
		on_written(m, s, ev, now_ns);
		return;
	}
	if (ev->kind == MOVE_EV_WORKING) {
		if (s->state < SOURCE_RELEASING)
			progress(s, now_ns);
		return;
	}
	if (ev->kind == MOVE_EV_EXITED && !source_released(s) && s->state < SOURCE_RELEASING) {
		fail(m, s, ERR_CLOSED, "the program ended while it was moving", now_ns);
		return;
	}
	if (ev->attempt != s->attempt)
		return;
	switch (ev->kind) {
	case MOVE_EV_SENT: on_sent(m, s, ev, now_ns); break;
	case MOVE_EV_FROZEN: on_frozen(m, s, now_ns); break;
	case MOVE_EV_FINAL: on_final(m, s, ev, now_ns); break;
	case MOVE_EV_FAILED:
		if (s->state < SOURCE_RELEASING)
			fail(m, s, ev->err, ev->text.text, now_ns);
		break;
	default: break;
	}
}

void source_link(struct mover *m, struct source *s, bool up, uint64_t now_ns)
{
	if (up && s->state == SOURCE_RELEASED)
		commit(m, s, now_ns);
	else if (!up && s->state < SOURCE_RELEASING)
		fail(m, s, ERR_CLOSED, "the link to the other device went down", now_ns);
}

static void retry(struct mover *m, struct source *s, uint64_t now_ns)
{
	s->try_ns = now_ns + MOVE_RETRY;
	if (s->state == SOURCE_RELEASED && link_is_up(m, s->peer))
		commit(m, s, now_ns);
	else if (s->state != SOURCE_RELEASED && !s->write_pending)
		write_record(m, s, s->state == SOURCE_RELEASING);
}

void source_tick(struct mover *m, struct source *s, uint64_t now_ns)
{
	if (s->state >= SOURCE_RELEASING) {
		if (now_ns >= s->try_ns)
			retry(m, s, now_ns);
	} else if (s->waits) {
		if (now_ns >= s->try_ns)
			source_offer(m, s, now_ns);
	} else if (now_ns >= s->deadline_ns && bounded(s)) {
		stood_too_long(m, s, now_ns);
	} else if (now_ns >= s->deadline_ns) {
		fail(m, s, ERR_TIMEOUT,
		     s->state == SOURCE_FREEZING ? "the program could not be stopped for 30 s"
		                                 : "the other device did not answer for 30 s",
		     now_ns);
	}
}

uint64_t source_deadline(const struct source *s)
{
	return s->state >= SOURCE_RELEASING || s->waits ? s->try_ns : s->deadline_ns;
}
