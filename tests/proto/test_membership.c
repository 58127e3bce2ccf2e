/* test_membership.c - one member and what it is told, byte by byte: tests/sim has many, and the weather. */
#include "base/bytes.h"
#include "proto/membership.h"
#include "tests/member_keys.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { PING = 1, ACK, NACK, ASK, NEWS, SYNC, HOLD = 6, FACTS = 5, WITH_PROOF = 64 };

static const uint8_t *id(unsigned i)
{
	static uint8_t ids[2048][MEMBER_ID_SIZE];
	ids[i][0] = (uint8_t)i;
	ids[i][1] = (uint8_t)(i >> 8);
	ids[i][2] = 7;
	return ids[i];
}

struct rig {
	struct membership *m;
	uint64_t now;
	struct wr w; /* a datagram for it */
};

static struct rig rig(unsigned others)
{
	struct rig r = {.now = 5000};
	struct membership_config cfg = {.seed = 42, .keys = member_keys(id(0))};
	memcpy(cfg.self, id(0), MEMBER_ID_SIZE);
	cr_assert_eq(membership_new(&cfg, &r.m), ERR_OK);
	for (unsigned i = 1; i <= others; i++)
		cr_assert_eq(membership_add(r.m, id(i)), ERR_OK);
	membership_tick(r.m, r.now);
	return r;
}

static void end(struct rig *r)
{
	membership_check(r->m);
	membership_free(r->m);
	wr_free(&r->w);
}

static void datagram(struct rig *r, unsigned type, int seq)
{
	wr_clear(&r->w);
	wr_u8(&r->w, (uint8_t)type);
	if (seq >= 0)
		wr_u16(&r->w, (uint16_t)seq);
}

/* As docs/formats/wire.md has it: signer says this of itself, and claims to be `about`. */
static void proof(struct rig *r, unsigned signer, unsigned about, unsigned kind, uint64_t number,
                  const void *bytes, size_t size)
{
	struct wr all = {0};
	uint8_t out[MEMBER_PROOF_SIZE];
	wr_bytes(&all, "WasmOS member", sizeof "WasmOS member");
	wr_u8(&all, (uint8_t)kind);
	wr_bytes(&all, id(about), MEMBER_ID_SIZE);
	wr_u64(&all, number);
	wr_bytes(&all, bytes, size);
	member_sign((void *)(uintptr_t)id(signer), out, all.data, all.size);
	wr_bytes(&r->w, out, sizeof out);
	wr_free(&all);
}

static void bare_status(struct rig *r, unsigned head, unsigned about, uint64_t incarnation,
                        unsigned by)
{
	wr_u8(&r->w, (uint8_t)head);
	wr_bytes(&r->w, id(about), 4);
	wr_leb_u64(&r->w, incarnation);
	if ((head & 15) == MEMBER_SUSPECT)
		wr_bytes(&r->w, id(by), 4);
}

/* With the proof that is signed by it whom it is about. */
static void status(struct rig *r, enum member_state state, unsigned about, uint64_t incarnation,
                   unsigned by)
{
	bool proved = incarnation || state == MEMBER_LEFT;
	bare_status(r, state | (proved ? WITH_PROOF : 0), about, incarnation, by);
	if (proved)
		proof(r, about, about, state == MEMBER_LEFT ? MEMBER_LEFT : MEMBER_ALIVE,
		      incarnation, NULL, 0);
}

static enum err comes(struct rig *r, unsigned from)
{
	return membership_datagram(r->m, id(from), r->w.data, r->w.size, r->now);
}

static void news(struct rig *r, unsigned from, enum member_state state, unsigned about,
                 uint64_t incarnation, unsigned by)
{
	datagram(r, NEWS, -1);
	status(r, state, about, incarnation, by);
	cr_assert_eq(comes(r, from), ERR_OK);
}

/* Without a proof, or with one that somebody else signed. */
static void unproved(struct rig *r, unsigned from, enum member_state state, unsigned about,
                     uint64_t incarnation, unsigned signer)
{
	datagram(r, NEWS, -1);
	bare_status(r, state | (signer ? WITH_PROOF : 0), about, incarnation, from);
	if (signer)
		proof(r, signer, about, state == MEMBER_LEFT ? MEMBER_LEFT : MEMBER_ALIVE,
		      incarnation, NULL, 0);
	cr_assert_eq(comes(r, from), ERR_OK);
}

static void facts(struct rig *r, unsigned about, uint64_t version, const void *bytes, size_t size,
                  unsigned signer)
{
	wr_u8(&r->w, FACTS);
	wr_bytes(&r->w, id(about), 4);
	wr_leb_u64(&r->w, version);
	wr_u8(&r->w, (uint8_t)size);
	wr_bytes(&r->w, bytes, size);
	proof(r, signer, about, 5, version, bytes, size);
}

/* Two say so, and are believed. */
static void dies(struct rig *r, unsigned about, uint64_t incarnation)
{
	for (unsigned from = 1, said = 0; said < 2; from++)
		if (from != about) {
			news(r, from, MEMBER_DEAD, about, incarnation, 0);
			said++;
		}
}

static void all_alive(struct rig *r, unsigned others)
{
	for (unsigned i = 1; i <= others; i++)
		news(r, i, MEMBER_ALIVE, i, 0, 0);
}

static void forget_sent(struct rig *r)
{
	struct membership_datagram d;
	while (membership_next(r->m, &d))
		;
}

static struct member seen(struct rig *r, unsigned who)
{
	struct member m;
	cr_assert(membership_find(r->m, id(who), &m));
	return m;
}

static enum member_state state(struct rig *r, unsigned who)
{
	return seen(r, who).state;
}

/* Time passes as it does for a caller that comes when it should; who in `answers` answers pings, but for silent. */
static void pass(struct rig *r, uint64_t ms, unsigned silent)
{
	struct membership_datagram d;
	for (uint64_t until = r->now + ms; r->now < until; r->now += 10) {
		membership_tick(r->m, r->now);
		while (membership_next(r->m, &d)) {
			unsigned to = d.to[0] | d.to[1] << 8;
			if (d.bytes[0] != PING || to == silent)
				continue;
			uint8_t ack[3] = {ACK, d.bytes[1], d.bytes[2]};
			cr_assert_eq(membership_datagram(r->m, id(to), ack, sizeof ack, r->now),
			             ERR_OK);
		}
	}
}

/* The next datagram that goes out to who; false: none. */
static bool sent_to(struct rig *r, unsigned who, unsigned type, struct membership_datagram *d)
{
	while (membership_next(r->m, d))
		if (!memcmp(d->to, id(who), MEMBER_ID_SIZE) && d->bytes[0] == type)
			return true;
	return false;
}

static bool holds(const struct membership_datagram *d, const void *bytes, size_t size)
{
	for (size_t i = 0; i + size <= d->size; i++)
		if (!memcmp(d->bytes + i, bytes, size))
			return true;
	return false;
}

Test(membership, one_that_answers_nobody_is_suspected_and_then_dead)
{
	struct rig r = rig(6);
	all_alive(&r, 6);
	pass(&r, 12000, 3);
	cr_assert_eq(state(&r, 3), MEMBER_SUSPECT);
	cr_assert_eq(state(&r, 2), MEMBER_ALIVE);
	pass(&r, 30000, 3);
	cr_assert_eq(state(&r, 3), MEMBER_DEAD);
	cr_assert_eq(state(&r, 2), MEMBER_ALIVE);
	end(&r);
}

Test(membership, a_suspicion_is_over_sooner_when_others_found_the_same)
{
	uint64_t lasted[2];
	for (unsigned confirmed = 0; confirmed < 2; confirmed++) {
		struct rig r = rig(9);
		all_alive(&r, 9);
		news(&r, 1, MEMBER_SUSPECT, 3, 0, 1);
		for (unsigned by = 4; by <= 6 && confirmed; by++)
			news(&r, 2, MEMBER_SUSPECT, 3, 0, by);
		uint64_t from = r.now;
		while (state(&r, 3) == MEMBER_SUSPECT)
			pass(&r, 100, 3);
		lasted[confirmed] = r.now - from;
		cr_assert_eq(state(&r, 3), MEMBER_DEAD);
		end(&r);
	}
	cr_assert_geq(lasted[0], 3 * lasted[1], "though we ourselves find it too");
}

Test(membership, the_same_voice_twice_confirms_nothing)
{
	struct rig r = rig(9);
	all_alive(&r, 9);
	for (unsigned i = 0; i < 10; i++)
		news(&r, 2, MEMBER_SUSPECT, 3, 0, 1);
	pass(&r, 5000, 3);
	cr_assert_eq(state(&r, 3), MEMBER_SUSPECT);
	end(&r);
}

Test(membership, only_a_higher_incarnation_ends_a_suspicion)
{
	struct rig r = rig(5);
	all_alive(&r, 5);
	news(&r, 1, MEMBER_ALIVE, 2, 4, 0);
	news(&r, 1, MEMBER_SUSPECT, 2, 3, 1);
	cr_assert_eq(state(&r, 2), MEMBER_ALIVE, "of an older incarnation");
	news(&r, 1, MEMBER_SUSPECT, 2, 4, 1);
	news(&r, 3, MEMBER_ALIVE, 2, 4, 0);
	cr_assert_eq(state(&r, 2), MEMBER_SUSPECT, "the same incarnation does not end it");
	news(&r, 3, MEMBER_ALIVE, 2, 5, 0);
	cr_assert_eq(state(&r, 2), MEMBER_ALIVE);
	dies(&r, 2, 5);
	news(&r, 3, MEMBER_SUSPECT, 2, 5, 1);
	cr_assert_eq(state(&r, 2), MEMBER_DEAD);
	end(&r);
}

Test(membership, who_hears_that_it_is_suspected_objects_in_the_answer)
{
	struct rig r = rig(3);
	struct membership_datagram d;
	all_alive(&r, 3);
	forget_sent(&r);
	datagram(&r, PING, 77);
	status(&r, MEMBER_SUSPECT, 0, 0, 2);
	cr_assert_eq(comes(&r, 1), ERR_OK);
	cr_assert(sent_to(&r, 1, ACK, &d));
	static const uint8_t objection[] = {MEMBER_ALIVE | WITH_PROOF, 0, 0, 7, 0, 1};
	cr_assert(holds(&d, objection, sizeof objection));
	cr_assert_eq(d.bytes[1] | d.bytes[2] << 8, 77);
	cr_assert_eq(membership_health(r.m), 1);
	end(&r);
}

Test(membership, who_is_held_for_dead_is_told_when_it_is_pinged)
{
	struct rig r = rig(3);
	struct membership_datagram d;
	all_alive(&r, 3);
	dies(&r, 2, 9);
	forget_sent(&r);
	datagram(&r, PING, 1);
	cr_assert_eq(comes(&r, 2), ERR_OK);
	cr_assert(sent_to(&r, 2, ACK, &d));
	static const uint8_t held[] = {HOLD | WITH_PROOF, MEMBER_DEAD, 9};
	cr_assert(holds(&d, held, sizeof held));
	cr_assert_eq(state(&r, 2), MEMBER_DEAD, "until it objects");
	news(&r, 2, MEMBER_ALIVE, 2, 10, 0);
	cr_assert_eq(state(&r, 2), MEMBER_ALIVE);
	end(&r);
}

Test(membership, one_that_began_anew_is_told_what_it_was_before)
{
	struct rig r = rig(3);
	struct membership_datagram d;
	all_alive(&r, 3);
	news(&r, 2, MEMBER_ALIVE, 2, 30, 0);
	forget_sent(&r);
	news(&r, 2, MEMBER_ALIVE, 2, 0, 0);
	cr_assert(sent_to(&r, 2, NEWS, &d));
	static const uint8_t held[] = {HOLD | WITH_PROOF, MEMBER_ALIVE, 30};
	cr_assert(holds(&d, held, sizeof held));
	end(&r);
}

Test(membership, what_is_said_of_a_device_that_is_no_member_is_dropped)
{
	struct rig r = rig(3);
	struct membership_event e;
	all_alive(&r, 3);
	while (membership_event(r.m, &e))
		;
	news(&r, 1, MEMBER_ALIVE, 1000, 5, 0);
	cr_assert(!membership_event(r.m, &e));
	cr_assert_eq(membership_count(r.m), 4);
	datagram(&r, PING, 1);
	cr_assert_eq(comes(&r, 1000), ERR_NOTFOUND);
	cr_assert_eq(comes(&r, 0), ERR_NOTFOUND, "nor do we send to ourselves");
	end(&r);
}

Test(membership, a_removed_member_is_forgotten_and_not_brought_back_by_gossip)
{
	struct rig r = rig(5);
	all_alive(&r, 5);
	news(&r, 1, MEMBER_SUSPECT, 2, 0, 1);
	cr_assert_eq(membership_remove(r.m, id(2)), ERR_OK);
	cr_assert_eq(membership_remove(r.m, id(2)), ERR_NOTFOUND);
	cr_assert_eq(membership_remove(r.m, id(0)), ERR_INVALID);
	membership_check(r.m);
	news(&r, 1, MEMBER_ALIVE, 2, 9, 0);
	struct member m;
	cr_assert(!membership_find(r.m, id(2), &m));
	datagram(&r, PING, 1);
	cr_assert_eq(comes(&r, 2), ERR_NOTFOUND);
	pass(&r, 5000, 3000);
	cr_assert_eq(state(&r, 5), MEMBER_ALIVE);
	end(&r);
}

Test(membership, each_thing_is_said_a_bounded_number_of_times)
{
	struct rig r = rig(8);
	struct membership_datagram d;
	unsigned times = 0;
	all_alive(&r, 8);
	pass(&r, 60000, 3000);
	forget_sent(&r);
	dies(&r, 7, 0);
	static const uint8_t record[] = {MEMBER_DEAD, 7, 0, 7, 0, 0};
	for (unsigned i = 0; i < 200; i++) {
		datagram(&r, PING, 5);
		cr_assert_eq(comes(&r, 1 + i % 6), ERR_OK);
		while (membership_next(r.m, &d))
			times += holds(&d, record, sizeof record);
	}
	cr_assert_geq(times, 5);
	cr_assert_leq(times, 10);
	end(&r);
}

Test(membership, a_thousand_pieces_of_news_go_out_in_datagrams_that_fit)
{
	struct rig r = rig(1000);
	struct membership_datagram d;
	size_t most = 0;
	all_alive(&r, 1000);
	for (unsigned i = 2; i <= 1000; i++)
		news(&r, 1, MEMBER_DEAD, i, 200, 0);
	for (unsigned i = 2; i <= 1000; i++)
		news(&r, i == 3 ? 2 : 3, MEMBER_DEAD, i, 200, 0);
	for (unsigned i = 0; i < 50; i++) {
		datagram(&r, PING, 5);
		cr_assert_eq(comes(&r, 1), ERR_OK);
		for (; membership_next(r.m, &d); most = d.size > most ? d.size : most)
			cr_assert_leq(d.size, MEMBERSHIP_DATAGRAM_MAX);
	}
	cr_assert_geq(most, MEMBERSHIP_DATAGRAM_MAX - 150);
	end(&r);
}

Test(membership, objections_go_before_suspicions)
{
	struct rig r = rig(8);
	struct membership_datagram d;
	all_alive(&r, 8);
	pass(&r, 60000, 3000);
	forget_sent(&r);
	datagram(&r, PING, 5);
	status(&r, MEMBER_SUSPECT, 3, 0, 1);
	status(&r, MEMBER_ALIVE, 4, 8, 0);
	cr_assert_eq(comes(&r, 1), ERR_OK);
	cr_assert(sent_to(&r, 1, ACK, &d));
	cr_assert_eq(d.bytes[3], MEMBER_ALIVE | WITH_PROOF);
	cr_assert_eq(d.bytes[3 + 6 + MEMBER_PROOF_SIZE], MEMBER_SUSPECT);
	end(&r);
}

Test(membership, members_with_the_same_short_id_are_told_apart)
{
	struct rig r = rig(3);
	uint8_t twin[MEMBER_ID_SIZE];
	struct member m;
	memcpy(twin, id(2), MEMBER_ID_SIZE);
	twin[31] = 1;
	all_alive(&r, 3);
	cr_assert_eq(membership_add(r.m, twin), ERR_OK);
	cr_assert_eq(membership_add(r.m, twin), ERR_EXISTS);
	news(&r, 1, MEMBER_DEAD, 2, 9, 0);
	cr_assert_eq(state(&r, 2), MEMBER_ALIVE, "nobody knows who was meant");
	datagram(&r, NEWS, -1);
	wr_u8(&r.w, MEMBER_DEAD | 128);
	wr_bytes(&r.w, twin, MEMBER_ID_SIZE);
	wr_leb_u64(&r.w, 3);
	cr_assert_eq(comes(&r, 1), ERR_OK);
	cr_assert(membership_find(r.m, twin, &m) && m.state == MEMBER_DEAD);
	cr_assert_eq(state(&r, 2), MEMBER_ALIVE);
	end(&r);
}

Test(membership, a_helper_pings_in_anothers_place_and_says_what_came_of_it)
{
	struct rig r = rig(3);
	struct membership_datagram d;
	all_alive(&r, 3);
	pass(&r, 100, 3000);
	for (unsigned answers = 0; answers < 2; answers++) {
		datagram(&r, ASK, 900);
		wr_u8(&r.w, 0);
		wr_bytes(&r.w, id(3), 4);
		cr_assert_eq(comes(&r, 1), ERR_OK);
		cr_assert(sent_to(&r, 3, PING, &d));
		if (answers) {
			datagram(&r, ACK, 0);
			cr_assert_eq(comes(&r, 3), ERR_OK);
		}
		membership_tick(r.m, r.now += 400);
		cr_assert(sent_to(&r, 1, answers ? ACK : NACK, &d));
		cr_assert_eq(d.bytes[1] | d.bytes[2] << 8, 900);
	}
	end(&r);
}

Test(membership, who_leaves_says_so_and_is_not_taken_for_dead)
{
	struct rig r = rig(3);
	struct membership_datagram d;
	all_alive(&r, 3);
	forget_sent(&r);
	membership_leave(r.m, r.now);
	static const uint8_t bye[] = {MEMBER_LEFT | WITH_PROOF, 0, 0, 7, 0, 0};
	unsigned told = 0;
	while (membership_next(r.m, &d))
		told += d.bytes[0] == NEWS && holds(&d, bye, sizeof bye);
	cr_assert_geq(told, 3);
	end(&r);
	r = rig(3);
	all_alive(&r, 3);
	news(&r, 2, MEMBER_LEFT, 2, 0, 0);
	pass(&r, 60000, 2);
	cr_assert_eq(state(&r, 2), MEMBER_LEFT);
	end(&r);
}

Test(membership, after_the_lid_was_shut_nobody_is_taken_for_dead)
{
	struct rig r = rig(6);
	struct membership_event e;
	all_alive(&r, 6);
	pass(&r, 10000, 3000);
	while (membership_event(r.m, &e))
		;
	for (unsigned i = 0; i < 5; i++) {
		r.now += 3600000;
		pass(&r, 5000, 3000);
		r.now -= 1800000;
		pass(&r, 5000, 3000);
	}
	cr_assert(!membership_event(r.m, &e));
	end(&r);
}

Test(membership, the_newest_facts_win_and_what_is_not_understood_is_passed_on)
{
	struct rig r = rig(4);
	struct membership_datagram d;
	struct facts f = {.load_percent = 30, .cores = 8, .battery_percent = 50};
	uint8_t bytes[FACTS_MAX];
	static const uint8_t strange[] = {99, 1, 2, 3, 4};
	all_alive(&r, 4);
	for (unsigned version = 5; version > 3; version--) {
		datagram(&r, NEWS, -1);
		f.load_percent = (uint8_t)(version * 10);
		facts(&r, 2, version, bytes, facts_write(&f, bytes), 2);
		cr_assert_eq(comes(&r, 1), ERR_OK);
	}
	cr_assert(seen(&r, 2).has_facts);
	cr_assert_eq(seen(&r, 2).facts.load_percent, 50);
	forget_sent(&r);
	datagram(&r, PING, 1);
	facts(&r, 2, 6, strange, sizeof strange, 2);
	cr_assert_eq(comes(&r, 1), ERR_OK);
	cr_assert(!seen(&r, 2).has_facts);
	cr_assert(sent_to(&r, 1, ACK, &d));
	cr_assert(holds(&d, strange, sizeof strange));
	end(&r);
}

Test(membership, a_comparison_is_answered_with_what_is_known_better)
{
	struct rig r = rig(4);
	struct membership_datagram d;
	all_alive(&r, 4);
	news(&r, 1, MEMBER_ALIVE, 3, 12, 0);
	forget_sent(&r);
	datagram(&r, SYNC, -1);
	wr_u32(&r.w, 0);
	wr_u32(&r.w, UINT32_MAX);
	for (unsigned i = 1; i <= 4; i++) {
		wr_u8(&r.w, i == 4 ? MEMBER_DEAD : MEMBER_ALIVE);
		wr_bytes(&r.w, id(i), 4);
		wr_leb_u64(&r.w, 0);
		wr_leb_u64(&r.w, 0);
	}
	cr_assert_eq(comes(&r, 1), ERR_OK);
	cr_assert(sent_to(&r, 1, NEWS, &d));
	static const uint8_t better[] = {MEMBER_ALIVE | WITH_PROOF, 3, 0, 7, 0, 12},
	                     ours[] = {MEMBER_ALIVE, 0, 0, 7, 0, 0};
	cr_assert(holds(&d, better, sizeof better));
	cr_assert(holds(&d, ours, sizeof ours), "we were not on the list");
	cr_assert_eq(state(&r, 4), MEMBER_SUSPECT, "dead there is only suspect here");
	end(&r);
}

Test(membership, one_that_lies_can_only_make_others_suspected)
{
	struct rig r = rig(6);
	struct membership_datagram d;
	all_alive(&r, 6);
	for (unsigned i = 0; i < 20; i++)
		unproved(&r, 1, MEMBER_DEAD, 2, 0, 0);
	cr_assert_eq(state(&r, 2), MEMBER_SUSPECT, "one voice is one");
	unproved(&r, 1, MEMBER_LEFT, 3, 0, 0);
	unproved(&r, 1, MEMBER_LEFT, 3, 0, 1);
	cr_assert_eq(state(&r, 3), MEMBER_ALIVE, "only it says that it leaves");
	unproved(&r, 1, MEMBER_ALIVE, 3, UINT64_C(1) << 48, 0);
	unproved(&r, 1, MEMBER_DEAD, 3, UINT64_C(1) << 48, 1);
	cr_assert_eq(seen(&r, 3).incarnation, 0, "and how often it objected");
	news(&r, 2, MEMBER_ALIVE, 2, 1, 0);
	cr_assert_eq(state(&r, 2), MEMBER_ALIVE, "who objects is believed");
	news(&r, 4, MEMBER_DEAD, 5, 0, 0);
	news(&r, 6, MEMBER_DEAD, 5, 0, 0);
	cr_assert_eq(state(&r, 5), MEMBER_DEAD, "and so are two");
	forget_sent(&r);
	end(&r);
	r = rig(3);
	all_alive(&r, 3);
	unproved(&r, 1, MEMBER_DEAD, 0, UINT64_C(1) << 48, 1);
	datagram(&r, PING, 9);
	wr_u8(&r.w, HOLD);
	wr_u8(&r.w, MEMBER_LEFT);
	wr_leb_u64(&r.w, UINT64_C(1) << 48);
	cr_assert_eq(comes(&r, 1), ERR_OK);
	cr_assert_leq(seen(&r, 0).incarnation, 1, "nor are we driven to the last incarnation");
	while (membership_next(r.m, &d))
		;
	end(&r);
}

Test(membership, facts_are_believed_of_the_member_itself_only)
{
	struct rig r = rig(4);
	struct membership_datagram d;
	struct facts f = {.load_percent = 30, .cores = 8, .battery_percent = 50};
	uint8_t bytes[FACTS_MAX];
	all_alive(&r, 4);
	size_t size = facts_write(&f, bytes);
	datagram(&r, NEWS, -1);
	facts(&r, 2, 7, bytes, size, 1);
	cr_assert_eq(comes(&r, 1), ERR_OK);
	cr_assert(!seen(&r, 2).has_facts);
	datagram(&r, NEWS, -1);
	facts(&r, 2, 7, bytes, size, 2);
	cr_assert_eq(comes(&r, 1), ERR_OK);
	cr_assert(seen(&r, 2).has_facts);
	forget_sent(&r);
	datagram(&r, PING, 5); /* it began anew, and is told what there is of its former life */
	facts(&r, 2, 3, bytes, size, 2);
	cr_assert_eq(comes(&r, 2), ERR_OK);
	cr_assert(sent_to(&r, 2, ACK, &d));
	static const uint8_t former[] = {FACTS, 2, 0, 7, 0, 7};
	cr_assert(holds(&d, former, sizeof former));
	end(&r);
}

Test(membership, bytes_that_break_the_rules_are_refused)
{
	static const struct {
		uint8_t size, bytes[16];
		enum err e;
	} bad[] = {{0, {0}, ERR_MALFORMED},
	           {1, {9}, ERR_MALFORMED},
	           {1, {PING}, ERR_MALFORMED},
	           {2, {NEWS, 0}, ERR_MALFORMED},
	           {4, {NEWS, MEMBER_ALIVE, 1, 0}, ERR_MALFORMED},
	           {14,
	            {NEWS, MEMBER_DEAD, 1, 0, 7, 0, 255, 255, 255, 255, 255, 255, 255, 127},
	            ERR_LIMIT},
	           {4, {NEWS, HOLD, 9, 0}, ERR_MALFORMED},
	           {4, {NEWS, HOLD | 128, 1, 0}, ERR_MALFORMED},
	           {4, {NEWS, HOLD | WITH_PROOF, 1, 0}, ERR_MALFORMED},
	           {8, {NEWS, MEMBER_ALIVE | WITH_PROOF, 1, 0, 7, 0, 1, 1}, ERR_MALFORMED},
	           {14, {NEWS, FACTS | WITH_PROOF, 1, 0, 7, 0, 1, 1, 1}, ERR_MALFORMED},
	           {9, {NEWS, FACTS, 1, 0, 7, 0, 1, 1, 1}, ERR_MALFORMED},
	           {10, {SYNC, 0, 0, 0, 0, 1, 0, 0, 0, 15}, ERR_MALFORMED}};
	struct rig r = rig(3);
	uint8_t large[MEMBERSHIP_DATAGRAM_MAX + 1] = {NEWS};
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_eq(membership_datagram(r.m, id(1), bad[i].bytes, bad[i].size, r.now),
		             bad[i].e, "%u", i);
	cr_assert_eq(membership_datagram(r.m, id(1), large, sizeof large, r.now), ERR_LIMIT);
	cr_assert_eq(state(&r, 1), MEMBER_AWAY);
	end(&r);
}
