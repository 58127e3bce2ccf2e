/* test_secure.c - the secure stream: whole runs, cut and glued bytes, flips, replays, rekeying. */
#include "proto/secure.h"

#include <criterion/criterion.h>
#include <string.h>

static const uint8_t secret_a[32] = {8}, secret_b[32] = {16};

/* Feeds bytes; true when the event came and all bytes were used. */
static bool feed(struct secure *s, struct wr *bytes, enum secure_event want, uint8_t **data,
                 size_t *size)
{
	size_t used;
	enum secure_event event;
	return secure_next(s, bytes->data, bytes->size, &used, &event, data, size) == ERR_OK &&
	       event == want && used == bytes->size;
}

static void open_both(struct secure *a, struct secure *b)
{
	struct wr out = {0};
	uint8_t public_b[32], random[32] = {32};
	crypto_x25519_public(public_b, secret_b);
	secure_listen(b, secret_b);
	cr_assert_eq(secure_dial(a, secret_a, public_b, random, &out), ERR_OK);
	cr_assert(feed(b, &out, SECURE_CALLER, NULL, NULL));
	uint8_t public_a[32];
	crypto_x25519_public(public_a, secret_a);
	cr_assert(crypto_equal(secure_peer(b), public_a, 32));
	wr_clear(&out);
	random[0] = 40;
	cr_assert_eq(secure_accept(b, random, &out), ERR_OK);
	cr_assert(feed(a, &out, SECURE_OPEN, NULL, NULL));
	wr_free(&out);
}

Test(secure, bytes_come_through_in_both_directions_across_key_changes)
{
	struct secure a, b;
	open_both(&a, &b);
	struct wr out = {0};
	for (unsigned i = 0; i < 2 * SECURE_REKEY_FRAMES + 10; i++) {
		struct secure *from = i & 1 ? &b : &a, *to = i & 1 ? &a : &b;
		uint8_t *data;
		size_t size;
		wr_clear(&out);
		cr_assert_eq(secure_send(from, "he", 2, &i, sizeof i, &out), ERR_OK);
		cr_assert(feed(to, &out, SECURE_DATA, &data, &size));
		cr_assert_eq(size, 2 + sizeof i);
		cr_assert(memcmp(data + 2, &i, sizeof i) == 0);
	}
	wr_free(&out);
}

Test(secure, a_side_changes_its_key_when_it_likes_and_what_came_before_does_not_help)
{
	struct secure a, b;
	struct wr out = {0};
	uint8_t *data, before[CRYPTO_KEY_SIZE];
	size_t size;
	open_both(&a, &b);
	for (unsigned i = 0; i < 5; i++) {
		for (unsigned n = 0; n < SECURE_REKEY_FRAMES / 2; n++) { /* over those by number */
			wr_clear(&out);
			cr_assert_eq(secure_send(&a, "n", 1, &n, sizeof n, &out), ERR_OK);
			cr_assert(feed(&b, &out, SECURE_DATA, &data, &size));
			cr_assert(size == 1 + sizeof n && memcmp(data + 1, &n, sizeof n) == 0);
		}
		memcpy(before, a.send.key, sizeof before);
		wr_clear(&out);
		cr_assert_eq(secure_rekey(&a, &out), ERR_OK);
		cr_assert_eq(out.size, SECURE_HEAD_SIZE + CRYPTO_TAG_SIZE);
		cr_assert(memcmp(before, a.send.key, sizeof before) != 0);
		cr_assert(feed(&b, &out, SECURE_MORE, &data, &size));
		cr_assert(memcmp(a.send.key, b.receive.key, sizeof before) == 0);
	}
	cr_assert(!feed(&b, &out, SECURE_MORE, &data, &size), "the same again");
	wr_free(&out);
}

/* Sends a frame from one to the other and back; under which keys is theirs to know. */
static void talk(struct secure *a, struct secure *b)
{
	for (int back = 0; back < 2; back++) {
		struct wr out = {0};
		uint8_t *data;
		size_t size;
		cr_assert_eq(secure_send(back ? b : a, "word", 4, &back, 1, &out), ERR_OK);
		cr_assert(feed(back ? a : b, &out, SECURE_DATA, &data, &size));
		cr_assert(size == 5 && !memcmp(data, "word", 4));
		wr_free(&out);
	}
}

struct renewal {
	struct wr asks, answers, turns;
	uint8_t public_a[32], public_b[32];
};

static void ask_anew(struct secure *a, struct renewal *r)
{
	uint8_t random[32] = {48};
	*r = (struct renewal){0};
	crypto_x25519_public(r->public_a, secret_a);
	crypto_x25519_public(r->public_b, secret_b);
	cr_assert_eq(secure_renew(a, secret_a, r->public_b, random, &r->asks), ERR_OK);
}

static enum err answer_anew(struct secure *b, struct renewal *r, const uint8_t *expected)
{
	uint8_t random[32] = {56}, *data;
	size_t size;
	cr_assert(feed(b, &r->asks, SECURE_RENEW, &data, &size));
	return secure_answer(b, secret_b, expected, random, data, size, &r->answers);
}

static void end_anew(struct renewal *r)
{
	wr_free(&r->asks);
	wr_free(&r->answers);
	wr_free(&r->turns);
}

Test(secure, a_handshake_inside_the_stream_gives_keys_that_do_not_come_from_those_before)
{
	struct secure a, b;
	struct renewal r;
	struct wr under_way = {0};
	uint8_t *data;
	size_t size;
	open_both(&a, &b);
	for (int i = 0; i < 3; i++) {
		struct noise_cipher old = a.send;
		talk(&a, &b);
		ask_anew(&a, &r);
		wr_clear(&under_way);
		cr_assert_eq(secure_send(&a, "before", 6, NULL, 0, &under_way), ERR_OK);
		cr_assert_eq(answer_anew(&b, &r, r.public_a), ERR_OK);
		cr_assert(feed(&b, &under_way, SECURE_DATA, &data, &size));
		cr_assert(feed(&a, &r.answers, SECURE_TURN, &data, &size));
		cr_assert_eq(secure_turn(&a, &r.turns), ERR_OK);
		cr_assert(feed(&b, &r.turns, SECURE_MORE, &data, &size));
		cr_assert(!memcmp(a.send.key, b.receive.key, 32) &&
		          !memcmp(b.send.key, a.receive.key, 32));
		cr_assert(memcmp(a.send.key, a.receive.key, 32) != 0);
		noise_rekey(&old);
		cr_assert(memcmp(a.send.key, old.key, 32) != 0);
		talk(&a, &b);
		end_anew(&r);
	}
	wr_free(&under_way);
}

Test(secure, a_handshake_with_another_than_was_expected_changes_nothing)
{
	struct secure a, b;
	struct renewal r;
	uint8_t other[32] = {9};
	open_both(&a, &b);
	ask_anew(&a, &r);
	cr_assert_eq(answer_anew(&b, &r, other), ERR_AUTH);
	cr_assert_eq(r.answers.size, 0);
	end_anew(&r);
	talk(&a, &b);
	ask_anew(&a, &r); /* again, and well */
	cr_assert_eq(answer_anew(&b, &r, r.public_a), ERR_OK);
	end_anew(&r);
}

Test(secure, a_mark_that_nobody_waits_for_ends_the_stream)
{
	static const uint8_t marks[2] = {SECURE_MARKS, SECURE_MARKS + 1};
	for (int i = 0; i < 4; i++) {
		struct secure a, b;
		struct wr out = {0};
		uint8_t sealed[2 + 1 + CRYPTO_TAG_SIZE] = {1 + CRYPTO_TAG_SIZE}, *data = NULL;
		size_t size, used;
		enum secure_event event;
		open_both(&a, &b);
		struct secure *from = i & 1 ? &a : &b, *to = i & 1 ? &b : &a;
		cr_assert_eq(noise_seal(&from->send, &marks[i >> 1], 1, sealed + 2), ERR_OK);
		wr_bytes(&out, sealed, sizeof sealed);
		enum err e = secure_next(to, out.data, out.size, &used, &event, &data, &size);
		if (to == &b && i >> 1 == 0) { /* an empty message to a listener: no answer */
			uint8_t key[32] = {9}, random[32] = {1};
			cr_assert(e == ERR_OK && event == SECURE_RENEW && size == 0);
			cr_assert_neq(secure_answer(&b, secret_b, key, random, data, size, &out),
			              ERR_OK);
			cr_assert_eq(b.state, SECURE_RUNS);
		} else {
			cr_assert(e == ERR_MALFORMED && to->state == SECURE_DEAD);
		}
		wr_free(&out);
	}
}

Test(secure, the_largest_frame_comes_through)
{
	static uint8_t big[SECURE_PLAIN_MAX];
	struct secure a, b;
	struct wr out = {0};
	uint8_t *data;
	size_t size;
	open_both(&a, &b);
	big[SECURE_PLAIN_MAX - 1] = 7;
	cr_assert_eq(secure_send(&a, NULL, 0, big, sizeof big, &out), ERR_OK);
	cr_assert(feed(&b, &out, SECURE_DATA, &data, &size));
	cr_assert(size == sizeof big && data[size - 1] == 7);
	wr_free(&out);
}

Test(secure, bytes_may_come_one_at_a_time)
{
	struct secure a, b;
	struct wr out = {0}, in = {0};
	uint8_t public_b[32], random[32] = {32}, *data;
	size_t used, size;
	enum secure_event event = SECURE_MORE;
	crypto_x25519_public(public_b, secret_b);
	secure_listen(&b, secret_b);
	cr_assert_eq(secure_dial(&a, secret_a, public_b, random, &out), ERR_OK);
	for (size_t i = 0; i < out.size; i++) {
		cr_assert_eq(event, SECURE_MORE);
		wr_u8(&in, out.data[i]);
		cr_assert_eq(secure_next(&b, in.data, in.size, &used, &event, &data, &size),
		             ERR_OK);
		memmove(in.data, in.data + used, in.size - used);
		in.size -= used;
	}
	cr_assert_eq(event, SECURE_CALLER);
	wr_free(&out);
	wr_free(&in);
}

Test(secure, every_flipped_bit_of_a_frame_ends_the_stream_or_waits_for_bytes_that_never_come)
{
	for (size_t bit = 0; bit < (2 + 5 + 16) * 8; bit++) {
		struct secure a, b;
		struct wr out = {0};
		uint8_t *data;
		size_t used, size;
		enum secure_event event;
		open_both(&a, &b);
		cr_assert_eq(secure_send(&a, NULL, 0, "hello", 5, &out), ERR_OK);
		out.data[bit / 8] ^= 1 << bit % 8;
		enum err e = secure_next(&b, out.data, out.size, &used, &event, &data, &size);
		cr_assert(e != ERR_OK || event == SECURE_MORE);
		if (e != ERR_OK)
			cr_assert_eq(
			    secure_next(&b, out.data, out.size, &used, &event, &data, &size),
			    ERR_STATE);
		wr_free(&out);
	}
}

Test(secure, a_replayed_a_dropped_and_a_swapped_frame_end_the_stream)
{
	for (int what = 0; what < 3; what++) {
		struct secure a, b;
		struct wr one = {0}, two = {0}, copy = {0};
		uint8_t *data;
		size_t size;
		open_both(&a, &b);
		cr_assert_eq(secure_send(&a, NULL, 0, "one", 3, &one), ERR_OK);
		cr_assert_eq(secure_send(&a, NULL, 0, "two", 3, &two), ERR_OK);
		wr_bytes(&copy, one.data, one.size);
		if (what == 0) {
			cr_assert(feed(&b, &one, SECURE_DATA, &data, &size));
			cr_assert_not(feed(&b, &copy, SECURE_DATA, &data, &size));
		} else {
			cr_assert_not(feed(&b, &two, SECURE_DATA, &data, &size));
		}
		cr_assert_eq(b.state, SECURE_DEAD);
		wr_free(&one);
		wr_free(&two);
		wr_free(&copy);
	}
}

Test(secure, a_stream_begun_with_anything_else_is_refused_at_its_first_wrong_byte)
{
	struct secure b;
	size_t used;
	enum secure_event event;
	uint8_t web[] = "GET / HTTP/1.1", large[] = "WOS1\xff\xff";
	secure_listen(&b, secret_b);
	cr_assert_eq(secure_next(&b, web, 1, &used, &event, NULL, NULL), ERR_MALFORMED);
	secure_listen(&b, secret_b);
	cr_assert_eq(secure_next(&b, large, 6, &used, &event, NULL, NULL), ERR_MALFORMED);
}

Test(secure, a_dialer_that_expects_another_device_is_not_understood)
{
	struct secure a, b;
	struct wr out = {0};
	size_t used;
	enum secure_event event;
	uint8_t other[32], random[32] = {32}, secret_c[32] = {24};
	crypto_x25519_public(other, secret_c);
	secure_listen(&b, secret_b);
	cr_assert_eq(secure_dial(&a, secret_a, other, random, &out), ERR_OK);
	cr_assert_eq(secure_next(&b, out.data, out.size, &used, &event, NULL, NULL), ERR_AUTH);
	wr_free(&out);
}
