/* test_datagram.c - sealed datagrams between two or three sides: handshakes that carry bytes, loss, repeats, roaming, floods. */
#include "base/bytes.h"
#include "proto/cookie.h"
#include "proto/datagram.h"
#include "proto/replay.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct side {
	struct datagrams *d;
	uint8_t secret[32], key[32];
	struct datagram_address address;
	unsigned peer; /* the other's number here */
	char heard[DATAGRAM_PLAIN_MAX + 1];
	unsigned heard_count;
};

struct pair {
	struct side a, b;
	uint64_t now;
};

static struct datagram_address address(unsigned n)
{
	return (struct datagram_address){.size = 6, .bytes = {10, 0, 0, (uint8_t)n, 18, 139}};
}

static void side_open(struct side *s, unsigned n)
{
	uint8_t seed[32] = {(uint8_t)n, 7};
	s->secret[0] = (uint8_t)(8 * n);
	crypto_x25519_public(s->key, s->secret);
	s->address = address(n);
	cr_assert_eq(datagrams_new(s->secret, seed, &s->d), ERR_OK);
}

static void pair_open(struct pair *p)
{
	memset(p, 0, sizeof *p);
	p->now = 5000;
	side_open(&p->a, 1);
	side_open(&p->b, 2);
	cr_assert_eq(datagrams_add(p->a.d, p->b.key, &p->a.peer), ERR_OK);
	cr_assert_eq(datagrams_add(p->b.d, p->a.key, &p->b.peer), ERR_OK);
	datagrams_place(p->a.d, p->a.peer, &p->b.address);
}

static void pair_close(struct pair *p)
{
	datagrams_free(p->a.d);
	datagrams_free(p->b.d);
}

static enum err say(struct pair *p, struct side *s, const char *text)
{
	return datagrams_send(s->d, s->peer, text, strlen(text), p->now, p->now * 1000000);
}

/* What came is remembered; with an answer the handshake's second half carries it. */
static bool take(struct pair *p, struct side *s, const struct datagram_address *from,
                 const void *bytes, size_t size, const char *answer)
{
	struct datagram_got got;
	bool came = datagrams_receive(s->d, from, bytes, size, p->now, &got);
	if (came) {
		memcpy(s->heard, got.bytes, got.size);
		s->heard[got.size] = 0;
		s->heard_count++;
		cr_assert_eq(got.peer, s->peer);
	}
	if (came && answer)
		cr_assert_eq(say(p, s, answer), ERR_OK);
	datagrams_answer(s->d, p->now);
	return came;
}

/* The next datagram of s, as a copy. */
static bool next(struct side *s, struct datagram_out *out, uint8_t copy[DATAGRAM_MAX])
{
	if (!datagrams_next(s->d, out))
		return false;
	cr_assert_leq(out->size, DATAGRAM_MAX);
	memcpy(copy, out->bytes, out->size);
	out->bytes = copy;
	return true;
}

/* Everything under way arrives, until nothing is. Returns how many datagrams that were. */
static unsigned flow(struct pair *p)
{
	struct datagram_out out;
	uint8_t copy[DATAGRAM_MAX];
	unsigned count = 0;
	for (bool more = true; more;) {
		more = false;
		while (next(&p->a, &out, copy)) {
			take(p, &p->b, &p->a.address, copy, out.size, NULL);
			count++;
			more = true;
		}
		while (next(&p->b, &out, copy)) {
			take(p, &p->a, &p->b.address, copy, out.size, NULL);
			count++;
			more = true;
		}
	}
	return count;
}

Test(datagram, the_handshake_carries_the_first_bytes_each_way)
{
	struct pair p;
	struct datagram_out out;
	uint8_t copy[DATAGRAM_MAX];
	pair_open(&p);
	cr_assert_eq(say(&p, &p.a, "ping"), ERR_OK);
	cr_assert(next(&p.a, &out, copy));
	cr_assert_eq(copy[0], 1);
	cr_assert(take(&p, &p.b, &p.a.address, copy, out.size, "pong"));
	cr_assert_str_eq(p.b.heard, "ping");
	cr_assert(next(&p.b, &out, copy));
	cr_assert_eq(copy[0], 2);
	cr_assert(take(&p, &p.a, &p.b.address, copy, out.size, NULL));
	cr_assert_str_eq(p.a.heard, "pong");
	cr_assert_eq(flow(&p), 1, "an empty one confirms the session");
	cr_assert(datagrams_has_session(p.a.d, p.a.peer, p.now) &&
	          datagrams_has_session(p.b.d, p.b.peer, p.now));
	cr_assert_eq(say(&p, &p.b, "hello"), ERR_OK);
	cr_assert_eq(flow(&p), 1);
	cr_assert_str_eq(p.a.heard, "hello");
	pair_close(&p);
}

Test(datagram, the_largest_fits_a_handshake_and_a_larger_one_is_refused)
{
	static char large[DATAGRAM_PLAIN_MAX + 1];
	struct pair p;
	pair_open(&p);
	memset(large, 'x', sizeof large);
	cr_assert_eq(datagrams_send(p.a.d, p.a.peer, large, sizeof large, p.now, 1), ERR_LIMIT);
	cr_assert_eq(datagrams_send(p.a.d, p.a.peer, large, sizeof large - 1, p.now, 1), ERR_OK);
	flow(&p);
	cr_assert_eq(strlen(p.b.heard), DATAGRAM_PLAIN_MAX);
	pair_close(&p);
}

Test(datagram, each_counter_is_taken_once_and_in_any_order)
{
	struct pair p;
	struct datagram_out out[6];
	uint8_t copy[6][DATAGRAM_MAX];
	pair_open(&p);
	say(&p, &p.a, "first");
	flow(&p);
	for (unsigned i = 0; i < 6; i++) {
		say(&p, &p.a, "more");
		cr_assert(next(&p.a, &out[i], copy[i]));
	}
	for (unsigned i = 6; i-- > 0;)
		cr_assert(take(&p, &p.b, &p.a.address, copy[i], out[i].size, NULL));
	for (unsigned i = 0; i < 6; i++)
		cr_assert(!take(&p, &p.b, &p.a.address, copy[i], out[i].size, NULL));
	cr_assert_eq(datagrams_counts(p.b.d).replayed, 6);
	pair_close(&p);
}

Test(datagram, any_changed_bit_is_refused_and_changes_nothing)
{
	struct pair p;
	struct datagram_out out;
	uint8_t copy[DATAGRAM_MAX];
	pair_open(&p);
	for (unsigned kind = 1; kind <= 3; kind++) {
		struct side *from = kind == 2 ? &p.b : &p.a, *to = kind == 2 ? &p.a : &p.b;
		if (kind != 2)
			say(&p, from, "bytes");
		cr_assert(next(from, &out, copy));
		cr_assert_eq(copy[0], kind);
		for (unsigned bit = 0; bit < 8 * out.size; bit++) {
			unsigned heard = to->heard_count;
			struct datagram_out nothing;
			uint8_t other[DATAGRAM_MAX];
			copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
			take(&p, to, &from->address, copy, out.size, NULL);
			copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
			/* mac2 is looked at under load only. */
			if (kind < 3 && bit / 8 >= out.size - COOKIE_MAC_SIZE)
				break;
			cr_assert_eq(to->heard_count, heard, "kind %u bit %u", kind, bit);
			cr_assert(!next(to, &nothing, other), "kind %u bit %u", kind, bit);
		}
		if (kind == 3)
			cr_assert(take(&p, to, &from->address, copy, out.size, NULL));
		if (kind == 2)
			flow(&p);
	}
	pair_close(&p);
}

Test(datagram, a_repeated_initiation_is_not_taken_again)
{
	struct pair p;
	struct datagram_out out;
	uint8_t copy[DATAGRAM_MAX];
	pair_open(&p);
	say(&p, &p.a, "once");
	cr_assert(next(&p.a, &out, copy));
	cr_assert(take(&p, &p.b, &p.a.address, copy, out.size, NULL));
	struct datagram_address thief = address(9);
	cr_assert(!take(&p, &p.b, &thief, copy, out.size, NULL));
	cr_assert_eq(datagrams_counts(p.b.d).stale, 1);
	pair_close(&p);
}

Test(datagram, a_device_that_is_not_known_hears_nothing)
{
	struct pair p;
	pair_open(&p);
	datagrams_remove(p.b.d, p.b.peer);
	say(&p, &p.a, "hello?");
	cr_assert_eq(flow(&p), 1);
	cr_assert_eq(p.b.heard_count, 0);
	cr_assert_eq(datagrams_counts(p.b.d).strangers, 1);
	pair_close(&p);
}

Test(datagram, a_removed_peers_session_ends_at_once)
{
	struct pair p;
	unsigned again;
	pair_open(&p);
	say(&p, &p.a, "hello");
	flow(&p);
	datagrams_remove(p.b.d, p.b.peer);
	say(&p, &p.a, "still there?");
	flow(&p);
	cr_assert_str_eq(p.b.heard, "hello");
	cr_assert_eq(datagrams_add(p.b.d, p.a.key, &again), ERR_OK);
	cr_assert_eq(datagrams_add(p.b.d, p.a.key, &again), ERR_EXISTS);
	pair_close(&p);
}

Test(datagram, a_peer_that_moves_is_followed_after_what_it_sends_is_authentic)
{
	struct pair p;
	struct datagram_out out;
	uint8_t copy[DATAGRAM_MAX], forged[64] = {3};
	pair_open(&p);
	say(&p, &p.a, "hello");
	flow(&p);
	struct datagram_address moved = address(7), thief = address(9);
	take(&p, &p.b, &thief, forged, sizeof forged, NULL);
	cr_assert_arr_eq(datagrams_where(p.b.d, p.b.peer)->bytes, p.a.address.bytes, 6);
	say(&p, &p.a, "from the train");
	cr_assert(next(&p.a, &out, copy));
	cr_assert(take(&p, &p.b, &moved, copy, out.size, NULL));
	cr_assert_arr_eq(datagrams_where(p.b.d, p.b.peer)->bytes, moved.bytes, 6);
	take(&p, &p.b, &thief, copy, out.size, NULL);
	cr_assert_arr_eq(datagrams_where(p.b.d, p.b.peer)->bytes, moved.bytes, 6,
	                 "a repeated one moves nobody");
	pair_close(&p);
}

Test(datagram, a_session_is_renewed_after_two_minutes_and_gone_after_three)
{
	struct pair p;
	pair_open(&p);
	say(&p, &p.a, "one");
	flow(&p);
	for (; p.now < 5000 + 125000; p.now += 5000) {
		say(&p, &p.a, "tick");
		cr_assert_eq(flow(&p), p.now < 5000 + DATAGRAM_REKEY_MS ? 1 : 4, "at %u",
		             (unsigned)p.now);
		say(&p, &p.b, "tock");
		cr_assert_eq(flow(&p), 1);
	}
	say(&p, &p.b, "in the new one");
	cr_assert_eq(flow(&p), 1);
	p.now += DATAGRAM_REJECT_MS;
	datagrams_tick(p.a.d, p.now);
	cr_assert(!datagrams_has_session(p.a.d, p.a.peer, p.now));
	say(&p, &p.a, "two");
	cr_assert_eq(flow(&p), 3);
	cr_assert_str_eq(p.b.heard, "two");
	pair_close(&p);
}

Test(datagram, data_that_is_not_answered_is_by_a_keepalive)
{
	struct pair p;
	pair_open(&p);
	say(&p, &p.a, "one");
	flow(&p);
	say(&p, &p.a, "two");
	flow(&p);
	p.now += DATAGRAM_KEEPALIVE_MS - 1;
	datagrams_tick(p.b.d, p.now);
	cr_assert_eq(flow(&p), 0);
	p.now += 1;
	datagrams_tick(p.b.d, p.now);
	cr_assert_eq(flow(&p), 1);
	datagrams_tick(p.b.d, p.now + DATAGRAM_KEEPALIVE_MS);
	cr_assert_eq(flow(&p), 0, "once");
	pair_close(&p);
}

Test(datagram, a_peer_that_began_anew_is_reached_again_within_a_few)
{
	struct pair p;
	uint8_t seed[32] = {99};
	pair_open(&p);
	say(&p, &p.a, "one");
	flow(&p);
	datagrams_free(p.b.d);
	cr_assert_eq(datagrams_new(p.b.secret, seed, &p.b.d), ERR_OK);
	cr_assert_eq(datagrams_add(p.b.d, p.a.key, &p.b.peer), ERR_OK);
	for (unsigned i = 0; i < 4; i++) {
		p.now += 1000;
		say(&p, &p.a, "anybody?");
		flow(&p);
	}
	cr_assert_str_eq(p.b.heard, "anybody?");
	pair_close(&p);
}

Test(datagram, one_that_is_not_there_is_tried_seldom)
{
	struct pair p;
	struct datagram_out out;
	unsigned sent = 0;
	pair_open(&p);
	for (unsigned i = 0; i < 600; i++, p.now += 100) {
		say(&p, &p.a, "ping");
		while (datagrams_next(p.a.d, &out))
			sent++;
		datagrams_tick(p.a.d, p.now);
	}
	cr_assert_leq(sent, 12 * DATAGRAM_TRIES);
	cr_assert_geq(sent, 10 * DATAGRAM_TRIES);
	pair_close(&p);
}

Test(datagram, the_answer_to_an_earlier_try_is_taken)
{
	struct pair p;
	struct datagram_out out[3];
	uint8_t copy[3][DATAGRAM_MAX], answer[DATAGRAM_MAX];
	pair_open(&p);
	for (unsigned i = 0; i < 3; i++) {
		say(&p, &p.a, "ping");
		cr_assert(next(&p.a, &out[i], copy[i]));
	}
	cr_assert(take(&p, &p.b, &p.a.address, copy[0], out[0].size, "pong"));
	cr_assert(next(&p.b, &out[0], answer));
	cr_assert(take(&p, &p.a, &p.b.address, answer, out[0].size, NULL));
	cr_assert_str_eq(p.a.heard, "pong");
	pair_close(&p);
}

/* Initiations that know b's public key and no more: a right mac1 before noise. */
static void flood(struct pair *p, unsigned count, unsigned *answers)
{
	struct cookie_keys keys;
	struct datagram_out out;
	uint8_t bytes[160] = {1}, copy[DATAGRAM_MAX];
	cookie_keys(&keys, p->b.key);
	for (unsigned i = 0; i < count; i++) {
		struct datagram_address from = address(i % 250);
		memcpy(bytes + 1, &i, sizeof i);
		bytes[5] = 9;
		cookie_write_macs(&keys, NULL, bytes, sizeof bytes - COOKIE_MACS_SIZE);
		take(p, &p->b, &from, bytes, sizeof bytes, NULL);
		while (next(&p->b, &out, copy))
			*answers += out.size;
	}
}

Test(datagram,
     under_a_flood_strangers_get_cookies_smaller_than_what_they_sent_and_peers_get_through)
{
	struct pair p;
	unsigned answers = 0;
	pair_open(&p);
	flood(&p, 1000, &answers);
	struct datagram_counts counts = datagrams_counts(p.b.d);
	cr_assert_eq(counts.forged, DATAGRAM_LOAD);
	cr_assert_eq(counts.cookies, 1000 - DATAGRAM_LOAD);
	cr_assert_lt(answers, 1000 * 160);
	say(&p, &p.a, "lost");
	flow(&p);
	cr_assert_eq(p.b.heard_count, 0, "a cookie came back");
	say(&p, &p.a, "through");
	flow(&p);
	cr_assert_str_eq(p.b.heard, "through");
	p.now += 2000;
	flood(&p, 10, &answers);
	cr_assert_eq(datagrams_counts(p.b.d).cookies, counts.cookies + 1, "the flood is over");
	pair_close(&p);
}

Test(datagram, a_window_takes_each_counter_once)
{
	struct replay *r = calloc(1, sizeof *r);
	cr_assert(replay_is_new(r, 0));
	cr_assert(replay_note(r, 0));
	cr_assert(!replay_is_new(r, 0));
	cr_assert(replay_is_new(r, 5) && replay_note(r, 5));
	cr_assert(replay_is_new(r, 3) && !replay_note(r, 3));
	cr_assert(!replay_is_new(r, 3) && !replay_is_new(r, 5) && replay_is_new(r, 4));
	cr_assert(replay_note(r, 100000));
	cr_assert(!replay_is_new(r, 4), "too old");
	cr_assert(replay_is_new(r, 100001 - REPLAY_WINDOW));
	cr_assert(!replay_is_new(r, 100000 - REPLAY_WINDOW));
	cr_assert(replay_is_new(r, UINT64_MAX - 1) && !replay_is_new(r, UINT64_MAX));
	free(r);
}

Test(datagram, a_window_agrees_with_a_list_of_all_that_was_seen)
{
	enum { ALL = 40000 };
	struct replay *r = calloc(1, sizeof *r);
	bool *seen = calloc(ALL, 1);
	uint64_t x = 1, newest = 0;
	for (unsigned i = 0; i < 300000; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		uint64_t back = (x >> 33) % 9000, c = newest + (x >> 60) * (x >> 50 & 3);
		c = c > back ? c - back * (x >> 40 & 1) : c;
		if (c >= ALL)
			break;
		bool old = newest + 1 > c && newest + 1 - c > REPLAY_WINDOW;
		cr_assert_eq(replay_is_new(r, c), !seen[c] && !old, "%u", (unsigned)c);
		if (!replay_is_new(r, c))
			continue;
		replay_note(r, c);
		seen[c] = true;
		newest = c > newest ? c : newest;
	}
	free(r);
	free(seen);
}
