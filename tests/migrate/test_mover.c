/* test_mover.c - the converge rule and --max-pause, without nodes: what the source decides after each round. */
#include "migrate/mover.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define MS UINT64_C(1000000)

static const uint8_t self[PEER_ID_SIZE] = {1}, peer[PEER_ID_SIZE] = {2}, id[MOVE_ID_SIZE] = {3};

struct rig {
	struct mover *m;
	uint64_t now;
	uint32_t attempt;
	struct move_action last; /* the newest that is not SEND */
	enum msg sent;
};

static void drain(struct rig *r)
{
	struct move_action a;
	union msg_any any;
	while (mover_next(r->m, &a)) {
		if (a.kind == MOVE_ACT_SEND)
			cr_assert_eq(msg_decode(a.bytes, a.size, &r->sent, &any, NULL), ERR_OK);
		else
			r->last = a;
		move_action_free(&a);
	}
	mover_check(r->m);
}

static void message(struct rig *r, enum msg type, union msg_any *any)
{
	memcpy(any->move_accept.move, id, sizeof id);
	mover_message(r->m, peer, type, any, r->now);
	drain(r);
}

static void offer(struct rig *r, uint64_t max_pause_ns)
{
	struct owner rec = {.uid = {9}, .epoch = 1, .state = OWNER_OWNED, .name = "game"};
	struct move_options o = {.max_pause_ns = max_pause_ns};
	*r = (struct rig){.now = 1000 * MS};
	cr_assert_eq(mover_new(self, (uint8_t[16]){1}, &r->m), ERR_OK);
	cr_assert_eq(mover_start(r->m, id, &rec, peer, &o, r->now, NULL), ERR_CLOSED);
	mover_link(r->m, peer, true, r->now);
	cr_assert_eq(mover_start(r->m, id, &rec, peer, &o, r->now, NULL), ERR_OK);
	drain(r);
	cr_assert_eq(r->sent, MSG_MOVE_OFFER);
}

static void accept(struct rig *r)
{
	union msg_any any = {0};
	message(r, MSG_MOVE_ACCEPT, &any);
	cr_assert_eq(r->last.kind, MOVE_ACT_SCAN);
}

static void begin(struct rig *r, uint64_t max_pause_ns)
{
	offer(r, max_pause_ns);
	accept(r);
}

/* The other device is busy with the process; then the time of the next offer comes. */
static void busy(struct rig *r)
{
	union msg_any any = {.move_refuse = {.error = ERR_BUSY, .why = {"still leaving", 13}}};
	message(r, MSG_MOVE_REFUSE, &any);
	r->sent = MSG_MOVE_REFUSE;
	r->now = r->last.kind == MOVE_ACT_OVER ? r->now : mover_deadline(r->m);
	mover_tick(r->m, r->now);
	drain(r);
}

/* One round: so many pages, applied after so long. */
static void round_of(struct rig *r, uint64_t pages, uint64_t took_ms)
{
	union msg_any any;
	struct move_event ev = {.kind = MOVE_EV_SENT,
	                        .attempt = r->last.attempt,
	                        .round = r->last.round,
	                        .pages = pages};
	memcpy(ev.move, id, sizeof id);
	mover_event(r->m, &ev, r->now);
	drain(r);
	cr_assert_eq(r->sent, MSG_MOVE_ROUND);
	r->now += took_ms * MS;
	memset(&any, 0, sizeof any);
	any.move_round_ok.round = ev.round;
	message(r, MSG_MOVE_ROUND_OK, &any);
}

Test(mover, moves_a_program_back_as_soon_as_its_old_device_has_let_it_go)
{
	struct rig r;
	offer(&r, 0);
	for (int i = 0; i < 3; i++) {
		busy(&r);
		cr_assert_eq(r.sent, MSG_MOVE_OFFER);
	}
	cr_assert_lt(r.now, 1200 * MS);
	accept(&r);
	mover_free(r.m);
}

Test(mover, gives_up_when_the_old_device_does_not_let_it_go)
{
	struct rig r;
	offer(&r, 0);
	for (int i = 0; r.last.kind != MOVE_ACT_OVER && i < 1000; i++)
		busy(&r);
	cr_assert_eq(r.last.kind, MOVE_ACT_OVER);
	cr_assert_eq(r.last.err, ERR_BUSY);
	cr_assert(strstr(r.last.text.text, "still leaving"), "%s", r.last.text.text);
	cr_assert_leq(r.now, 1000 * MS + MOVE_BUSY_MAX);
	mover_free(r.m);
}

Test(mover, stops_the_program_as_soon_as_a_round_was_short)
{
	struct rig r;
	begin(&r, 0);
	round_of(&r, 2000, 200);
	cr_assert_eq(r.last.kind, MOVE_ACT_ROUND);
	round_of(&r, 400, 60);
	cr_assert_eq(r.last.kind, MOVE_ACT_ROUND);
	round_of(&r, 80, 4);
	cr_assert_eq(r.last.kind, MOVE_ACT_FREEZE);
	mover_free(r.m);
}

Test(mover, stops_a_program_that_writes_ever_as_much_when_no_bound_was_given)
{
	struct rig r;
	unsigned rounds = 0;
	begin(&r, 0);
	while (r.last.kind != MOVE_ACT_FREEZE && rounds++ < MOVE_ROUNDS_MAX + 1)
		round_of(&r, 1000, 100);
	cr_assert_eq(r.last.kind, MOVE_ACT_FREEZE);
	cr_assert_lt(rounds, 6);
	mover_free(r.m);
}

Test(mover, refuses_a_pause_that_cannot_be_kept_and_says_why)
{
	struct rig r;
	begin(&r, 16 * MS);
	for (unsigned n = 0; r.last.kind != MOVE_ACT_OVER && n < MOVE_ROUNDS_MAX + 1; n++)
		round_of(&r, 1000, 100);
	cr_assert_eq(r.last.kind, MOVE_ACT_OVER);
	cr_assert_eq(r.last.err, ERR_LIMIT);
	cr_assert(strstr(r.last.text.text, "16.0 ms"), "%s", r.last.text.text);
	cr_assert(strstr(r.last.text.text, "1000 pages"), "%s", r.last.text.text);
	mover_free(r.m);
}

Test(mover, gives_up_when_the_pause_has_grown_too_long_while_the_program_stands)
{
	struct rig r;
	union msg_any any;
	begin(&r, 16 * MS);
	round_of(&r, 2000, 200);
	round_of(&r, 20, 2);
	cr_assert_eq(r.last.kind, MOVE_ACT_FREEZE);
	struct move_event ev = {.kind = MOVE_EV_FROZEN, .attempt = r.last.attempt};
	memcpy(ev.move, id, sizeof id);
	mover_event(r.m, &ev, r.now);
	drain(&r);
	cr_assert_eq(r.last.kind, MOVE_ACT_FINAL);
	ev = (struct move_event){.kind = MOVE_EV_FINAL,
	                         .attempt = r.last.attempt,
	                         .manifest = (const uint8_t *)"m",
	                         .manifest_size = 1,
	                         .image = chunk_addr_of("m", 1)};
	memcpy(ev.move, id, sizeof id);
	mover_event(r.m, &ev, r.now);
	drain(&r);
	cr_assert_eq(r.sent, MSG_MOVE_PREPARE);
	r.now += 40 * MS;
	memset(&any, 0, sizeof any);
	memcpy(any.move_prepared.image, ev.image.bytes, CHUNK_ADDR_SIZE);
	message(&r, MSG_MOVE_PREPARED, &any);
	cr_assert_eq(r.last.kind, MOVE_ACT_OVER, "it runs on here");
	cr_assert(strstr(r.last.text.text, "40.0 ms"), "%s", r.last.text.text);
	mover_free(r.m);
}

#define S (1000 * MS)

static void working(struct rig *r, uint64_t for_ns)
{
	struct move_event ev = {.kind = MOVE_EV_WORKING};
	memcpy(ev.move, id, sizeof id);
	for (uint64_t end = r->now + for_ns; r->now < end; r->now += S) {
		mover_event(r->m, &ev, r->now);
		mover_tick(r->m, r->now);
		drain(r);
	}
}

Test(mover, waits_for_as_long_as_both_sides_say_that_they_work)
{
	struct rig r;
	union msg_any any;
	begin(&r, 0);
	working(&r, 100 * S);
	cr_assert_eq(r.last.kind, MOVE_ACT_SCAN);
	for (int i = 0; i < 20; i++) {
		memset(&any, 0, sizeof any);
		any.move_held.uid[0] = 9;
		any.move_held.epoch = epoch_next(1);
		mover_message(r.m, peer, MSG_MOVE_HELD, &any, r.now);
		r.now += 25 * S;
		mover_tick(r.m, r.now);
		drain(&r);
		cr_assert_eq(r.last.kind, MOVE_ACT_SCAN);
	}
	any.move_held.epoch = 1; /* of another try */
	mover_message(r.m, peer, MSG_MOVE_HELD, &any, r.now);
	r.now += 6 * S;
	mover_tick(r.m, r.now);
	drain(&r);
	cr_assert_eq(r.last.kind, MOVE_ACT_OVER);
	cr_assert(strstr(r.last.text.text, "30 s"), "%s", r.last.text.text);
	mover_free(r.m);
}

Test(mover, a_target_that_works_says_so_every_five_seconds)
{
	struct rig r = {.now = 1000 * MS};
	union msg_any any;
	cr_assert_eq(mover_new(self, (uint8_t[16]){1}, &r.m), ERR_OK);
	mover_link(r.m, peer, true, r.now);
	memset(&any, 0, sizeof any);
	memcpy(any.move_offer.move, id, sizeof id);
	any.move_offer.uid[0] = 9;
	any.move_offer.epoch = 1;
	any.move_offer.format = MOVE_FORMAT;
	mover_message(r.m, peer, MSG_MOVE_OFFER, &any, r.now);
	drain(&r);
	cr_assert_eq(r.last.kind, MOVE_ACT_ADMIT);
	working(&r, 5 * S);
	cr_assert_eq(r.sent, 0);
	for (int i = 0; i < 20; i++) {
		r.sent = 0;
		working(&r, 5 * S);
		cr_assert_eq(r.sent, MSG_MOVE_HELD);
	}
	cr_assert_eq(r.last.kind, MOVE_ACT_ADMIT);
	r.now += 31 * S;
	mover_tick(r.m, r.now);
	drain(&r);
	cr_assert_eq(r.last.kind, MOVE_ACT_DROP);
	mover_free(r.m);
}

/* ---- claims ---- */

/* A device that holds the process, as the link comes up: the claim it sends. */
static union msg_any claim_of(const struct owner *rec, const uint8_t device[PEER_ID_SIZE],
                              struct mover **out)
{
	struct mover *m;
	struct move_action a;
	enum msg type = 0;
	union msg_any any;
	cr_assert_eq(mover_new(device, (uint8_t[16]){1}, &m), ERR_OK);
	cr_assert_eq(mover_note(m, rec), ERR_OK);
	mover_link(m, peer, true, 1);
	while (mover_next(m, &a)) {
		cr_assert_eq(a.kind, MOVE_ACT_SEND);
		cr_assert_null(memmem(a.bytes, a.size, rec->uid, UID_SIZE));
		cr_assert_eq(msg_decode(a.bytes, a.size, &type, &any, NULL), ERR_OK);
		move_action_free(&a);
	}
	cr_assert_eq(type, MSG_MOVE_CLAIM);
	if (out)
		*out = m;
	else
		mover_free(m);
	return any;
}

static bool is_killed_by(struct mover *m, union msg_any *claim)
{
	struct move_action a;
	bool killed = false;
	mover_message(m, peer, MSG_MOVE_CLAIM, claim, 2);
	while (mover_next(m, &a)) {
		killed = killed || a.kind == MOVE_ACT_KILL;
		move_action_free(&a);
	}
	mover_check(m);
	return killed;
}

Test(mover, a_claim_does_not_tell_the_uid_and_without_it_none_can_be_made)
{
	static const uint8_t other[PEER_ID_SIZE] = {7};
	struct owner rec = {.epoch = 3, .state = OWNER_OWNED, .name = "game"}, newer;
	struct mover *m;
	for (unsigned i = 0; i < UID_SIZE; i++)
		rec.uid[i] = (uint8_t)(17 * i + 1);
	union msg_any heard = claim_of(&rec, self, &m), forged = heard;
	cr_assert_not(is_killed_by(m, &forged));
	forged.move_claim.epoch = UINT64_C(1) << 40;
	cr_assert_not(is_killed_by(m, &forged));
	memcpy(forged.move_claim.owner, other, sizeof other);
	cr_assert_not(is_killed_by(m, &forged));
	newer = rec;
	newer.epoch = 4;
	union msg_any right = claim_of(&newer, other, NULL);
	cr_assert(is_killed_by(m, &right));
	mover_free(m);
}

Test(mover, a_checkpoint_that_was_being_written_when_a_better_claim_came_changes_nothing)
{
	static const uint8_t other[PEER_ID_SIZE] = {7};
	struct owner rec = {.uid = {5}, .epoch = 3, .state = OWNER_OWNED, .name = "game"},
	             newer = rec;
	struct mover *m;
	claim_of(&rec, self, &m);
	newer.epoch = 4;
	union msg_any right = claim_of(&newer, other, NULL);
	cr_assert(is_killed_by(m, &right));
	cr_assert_eq(mover_note(m, &rec), ERR_STATE);
	cr_assert_eq(mover_record(m, rec.uid)->epoch, 4);
	cr_assert_eq(mover_record(m, rec.uid)->state, OWNER_GONE);
	mover_check(m);
	mover_free(m);
}

Test(mover, of_processes_that_are_away_the_newest_records_stay_whatever_their_age)
{
	enum { N = 2 * OWNERS_KEPT };
	static struct owner list[N];
	for (unsigned i = 0; i < N; i++)
		list[i] = (struct owner){.state = i % 2 ? OWNER_GONE : OWNER_ENDED,
		                         .created_ms = (i * UINT64_C(7919)) % N + 1};
	cr_assert_eq(owners_droppable_before(list, 0), 0);
	cr_assert_eq(owners_droppable_before(list, 1), 0);
	cr_assert_eq(owners_droppable_before(list, OWNERS_KEPT), 0);
	uint64_t before = owners_droppable_before(list, N);
	size_t kept = 0;
	for (unsigned i = 0; i < N; i++)
		kept += list[i].created_ms >= before;
	cr_assert_eq(kept, OWNERS_KEPT);
	/* What is here, on its way or still to be confirmed is not away. */
	for (unsigned i = 0; i < N; i += 2)
		list[i].unacked = true;
	list[1].state = OWNER_RELEASED;
	cr_assert_eq(owners_droppable_before(list, N), 0);
}
