/* test_pairing.c - two ends in memory pair, and every way of not pairing: wrong words, lost, changed,
 * repeated and foreign messages, time running out, users saying no. */
#include "proto/pairing_qr.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { GUEST, HOST };

struct table {
	struct pairing_desk desk;
	struct pairing_device device[2];
	uint8_t secret[2][32];
	struct pairing p[2];
	struct pairing_actions act[2];
	unsigned asked[2], added[2];
	bool says[2];                /* what the user will answer */
	const struct pairing_qr *qr; /* not NULL: the guest has scanned that */
	char words[PAIRING_WORDS_SIZE];
	uint64_t now_ms;
	unsigned frames; /* that crossed so far */
	/* what happens to frame number at (counted over both directions) */
	enum { LEAVE, DROP, FLIP, TWICE, CUT } what;
	unsigned at;
	size_t bit;
};

static unsigned wrong_words(const struct table *t)
{
	unsigned sum = 0;
	for (unsigned i = 0; i < PAIRING_STRANGERS; i++)
		sum += t->desk.strangers[i].wrong;
	return sum;
}

static void table_start(struct table *t)
{
	static const char *const names[2] = {"laptop", "workstation"};
	uint8_t seed[PAIRING_SEED_SIZE], random[PAIRING_RANDOM_SIZE] = {1, 2, 3};
	cr_assert_eq(pairing_desk_open(&t->desk, t->now_ms, random, NULL), ERR_OK);
	if (!t->words[0])
		strcpy(t->words, t->desk.words);
	for (int i = 0; i < 2; i++) {
		struct pairing_device *d = &t->device[i];
		memset(t->secret[i], 8 + 8 * i, 32);
		memset(seed, 64 + 8 * i, sizeof seed);
		crypto_x25519_public(d->key, t->secret[i]);
		strcpy(d->name, names[i]);
		strcpy(d->addresses[0], i ? "192.0.2.1:4747" : "[2001:db8::2]:4748");
		d->address_count = 1;
		struct pairing_self self = {t->secret[i], d};
		if (i == HOST)
			pairing_host(&t->p[i], &t->desk, "192.0.2.9", &self, seed, t->now_ms);
		else if (t->qr)
			cr_assert_eq(
			    pairing_guest_qr(&t->p[i], t->qr, &self, seed, t->now_ms, &t->act[i]),
			    ERR_OK);
		else
			cr_assert_eq(
			    pairing_guest(&t->p[i], t->words, &self, seed, t->now_ms, &t->act[i]),
			    ERR_OK);
	}
}

static void deliver(struct table *t, int to, uint8_t *bytes, size_t size)
{
	bool hit = t->frames++ == t->at;
	if (hit && t->what == DROP)
		return;
	if (hit && t->what == FLIP)
		bytes[t->bit / 8 % size] ^= 1 << t->bit % 8;
	if (hit && t->what == CUT)
		size--;
	pairing_bytes(&t->p[to], bytes, size, t->now_ms, &t->act[to]);
	if (hit && t->what == TWICE)
		pairing_bytes(&t->p[to], bytes, size, t->now_ms, &t->act[to]);
}

/* Does what the actions of one end say; false when there is nothing to do. */
static bool act(struct table *t, int i)
{
	struct pairing_actions a = t->act[i];
	t->act[i] = (struct pairing_actions){0};
	bool busy = a.send.size || a.ask || a.add || a.end;
	if (a.send.size)
		deliver(t, !i, a.send.data, a.send.size);
	wr_free(&a.send);
	if (a.ask) {
		t->asked[i]++;
		cr_assert_str_eq(t->p[i].peer.name, t->device[!i].name);
		cr_assert_str_eq(t->p[i].peer.addresses[0], t->device[!i].addresses[0]);
		pairing_answer(&t->p[i], t->says[i], &t->act[i]);
	}
	if (a.add) {
		t->added[i]++;
		cr_assert(crypto_equal(t->p[i].peer.key, t->device[!i].key, 32));
	}
	if (a.end)
		pairing_closed(&t->p[!i], t->now_ms);
	return busy;
}

static void settle(struct table *t)
{
	for (bool busy = true; busy;) {
		busy = act(t, GUEST);
		busy = act(t, HOST) || busy;
	}
}

/* Runs until both ends are silent, then lets time run out. */
static void table_run(struct table *t)
{
	table_start(t);
	settle(t);
	t->now_ms += PAIRING_RUN_MS + PAIRING_ASK_MS;
	for (int i = 0; i < 2; i++)
		pairing_tick(&t->p[i], t->now_ms, &t->act[i]);
	settle(t);
	cr_assert_eq(t->p[GUEST].state, PAIRING_ENDED);
	cr_assert_eq(t->p[HOST].state, PAIRING_ENDED);
	cr_assert_not(t->desk.busy);
	for (int i = 0; i < 2; i++)
		cr_assert(crypto_is_zero(t->p[i].secret, 32) && crypto_is_zero(t->p[i].key, 64));
}

static void table_free(struct table *t)
{
	for (int i = 0; i < 2; i++) {
		pairing_free(&t->p[i], t->now_ms);
		wr_free(&t->act[i].send);
	}
}

Test(pairing, with_the_right_words_and_two_times_yes_both_know_each_other)
{
	struct table t = {.says = {true, true}, .now_ms = 1000, .what = LEAVE};
	table_run(&t);
	cr_assert(t.added[GUEST] == 1 && t.added[HOST] == 1);
	cr_assert_eq(t.p[GUEST].reason, PAIRING_OK);
	cr_assert_eq(t.p[HOST].reason, PAIRING_OK);
	cr_assert_not(pairing_desk_is_open(&t.desk, 1001));
	cr_assert_eq(wrong_words(&t), 0);
	table_free(&t);
}

Test(pairing, bytes_may_come_one_at_a_time)
{
	struct table t = {.says = {true, true}, .now_ms = 1000};
	table_start(&t);
	for (bool more = true; more;) {
		more = false;
		for (int i = 0; i < 2; i++) {
			struct pairing_actions a = t.act[i];
			t.act[i] = (struct pairing_actions){0};
			for (size_t k = 0; k < a.send.size; k++)
				pairing_bytes(&t.p[!i], a.send.data + k, 1, 1000, &t.act[!i]);
			more |= a.send.size || a.ask;
			wr_free(&a.send);
			if (a.ask)
				pairing_answer(&t.p[i], true, &t.act[i]);
			t.added[i] += a.add;
		}
	}
	cr_assert(t.added[0] == 1 && t.added[1] == 1);
	table_free(&t);
}

Test(pairing, wrong_words_spend_the_code_and_the_right_ones_do_not_help_afterwards)
{
	struct table t = {.says = {true, true}, .now_ms = 1000, .words = "acorn-acorn-acorn"};
	table_run(&t);
	cr_assert(!t.added[0] && !t.added[1] && !t.asked[0] && !t.asked[1]);
	cr_assert_eq(t.p[GUEST].reason, PAIRING_WRONG);
	cr_assert_eq(wrong_words(&t), 1);
	cr_assert_not(pairing_desk_is_open(&t.desk, 1001));
	table_free(&t);
}

Test(pairing, either_user_may_say_no_and_then_nobody_is_added)
{
	for (int who = 0; who < 3; who++) { /* 0: both say no */
		struct table t = {.says = {who == 1, who == 2}, .now_ms = 1000};
		table_run(&t);
		cr_assert(!t.added[0] && !t.added[1]);
		for (int i = 0; i < 2; i++)
			cr_assert_eq(t.p[i].reason,
			             t.says[i] ? PAIRING_DECLINED : PAIRING_UNWANTED);
		table_free(&t);
	}
}

Test(pairing, a_lost_message_ends_it_for_both_within_the_time)
{
	for (unsigned at = 0; at < 8; at++) {
		struct table t = {.says = {true, true}, .now_ms = 1000, .what = DROP, .at = at};
		table_run(&t);
		/* the two answers cross: one side may have both */
		cr_assert(at >= 6 || (!t.added[0] && !t.added[1]), "%u", at);
		cr_assert(at >= 6 || !(t.added[0] && t.added[1]), "%u", at);
		cr_assert_eq(wrong_words(&t), at == 1 || at == 2, "%u", at);
		table_free(&t);
	}
}

Test(pairing, a_message_cut_short_adds_nobody)
{
	for (unsigned at = 0; at < 6; at++) {
		struct table t = {.says = {true, true}, .now_ms = 1000, .what = CUT, .at = at};
		table_run(&t);
		cr_assert(!t.added[0] && !t.added[1], "%u", at);
		table_free(&t);
	}
}

Test(pairing, a_repeated_message_adds_nobody_twice)
{
	for (unsigned at = 0; at < 8; at++) {
		struct table t = {.says = {true, true}, .now_ms = 1000, .what = TWICE, .at = at};
		table_run(&t);
		cr_assert(t.added[0] <= 1 && t.added[1] <= 1, "%u", at);
		cr_assert(at >= 5 || (!t.added[0] && !t.added[1]), "%u", at);
		table_free(&t);
	}
}

/* Frames 0 to 5 are those before the answers; a change in any of them must end it. */
Test(pairing, a_flipped_bit_in_any_message_adds_nobody)
{
	for (unsigned at = 0; at < 6; at++) {
		for (size_t bit = 0; bit < 200 * 8; bit += 7) {
			struct table t = {.says = {true, true},
			                  .now_ms = 1000,
			                  .what = FLIP,
			                  .at = at,
			                  .bit = bit};
			table_run(&t);
			cr_assert(!t.added[0] && !t.added[1], "frame %u bit %zu", at, bit);
			table_free(&t);
		}
	}
}

Test(pairing, a_code_is_good_for_three_minutes)
{
	struct pairing_desk d = {0};
	uint8_t random[PAIRING_RANDOM_SIZE] = {7, 8, 9};
	cr_assert_eq(pairing_desk_open(&d, 5000, random, NULL), ERR_OK);
	cr_assert(pairing_desk_is_open(&d, 5000 + PAIRING_CODE_MS - 1));
	cr_assert_not(pairing_desk_is_open(&d, 5000 + PAIRING_CODE_MS));
}

/* How a guest with the right words fares that calls from there. */
static enum pairing_reason try_from(struct table *t, const char *from, const char *only)
{
	strcpy(t->words, "");
	table_start(t);
	strcpy(t->desk.only, only);
	strcpy(t->p[HOST].from, from);
	settle(t);
	enum pairing_reason reason = t->p[GUEST].reason;
	table_free(t);
	return reason;
}

Test(pairing, after_five_wrong_words_an_address_is_refused_for_ten_minutes_and_no_other)
{
	struct table t = {.says = {true, true}, .now_ms = 1000, .words = "acorn-acorn-acorn"};
	for (unsigned i = 0; i < PAIRING_WRONG_MAX; i++) {
		table_run(&t);
		table_free(&t);
	}
	uint64_t last_ms = t.now_ms;
	cr_assert_eq(try_from(&t, "192.0.2.9", ""), PAIRING_LOCKED);
	cr_assert(pairing_desk_is_open(&t.desk, t.now_ms)); /* it could not even void the code */
	cr_assert_eq(try_from(&t, "192.0.2.10", ""), PAIRING_OK);
	cr_assert_eq(try_from(&t, "192.0.2.9", "192.0.2.9"), PAIRING_OK);
	t.now_ms = last_ms + PAIRING_LOCK_MS;
	cr_assert_eq(try_from(&t, "192.0.2.9", ""), PAIRING_OK);
}

Test(pairing, when_the_user_names_an_address_nobody_else_can_spend_the_code)
{
	struct table t = {.says = {true, true}, .now_ms = 1000};
	cr_assert_eq(try_from(&t, "192.0.2.9", "192.0.2.10"), PAIRING_NO_CODE);
	cr_assert(pairing_desk_is_open(&t.desk, t.now_ms));
}

Test(pairing, wrong_words_from_many_addresses_are_forgotten_oldest_first)
{
	struct table t = {.says = {true, true}, .now_ms = 1000, .words = "acorn-acorn-acorn"};
	for (unsigned i = 0; i < PAIRING_WRONG_MAX * 40; i++) {
		table_start(&t);
		snprintf(t.p[HOST].from, sizeof t.p[HOST].from, "10.0.0.%u", i / PAIRING_WRONG_MAX);
		settle(&t);
		table_free(&t);
		t.now_ms += 10;
	}
	cr_assert_eq(try_from(&t, "10.0.0.39", ""), PAIRING_LOCKED);
	cr_assert_eq(try_from(&t, "10.0.0.0", ""), PAIRING_OK);
}

/* The last two messages are the answers. One that is lost must not leave one device knowing the other and the other
 * knowing nothing. */
Test(pairing, a_lost_answer_leaves_both_with_the_other_or_waiting_for_it)
{
	for (unsigned at = 6; at < 8; at++) {
		for (int what = DROP; what <= FLIP; what++) {
			struct table t = {
			    .says = {true, true}, .now_ms = 1000, .what = what, .at = at};
			table_run(&t);
			cr_assert(t.added[0] + t.added[1] <= 1, "%u", at);
			for (int i = 0; i < 2; i++)
				cr_assert_eq(t.added[i] + t.p[i].half, 1, "%u %d", at, i);
			table_free(&t);
		}
	}
}

Test(pairing, after_a_no_nobody_waits_for_the_other)
{
	struct table t = {.says = {true, false}, .now_ms = 1000};
	table_run(&t);
	cr_assert(!t.p[0].half && !t.p[1].half);
	table_free(&t);
}

Test(pairing, a_second_guest_is_turned_away_while_one_is_served_and_spends_nothing)
{
	struct table t = {.says = {true, true}, .now_ms = 1000};
	table_start(&t);
	act(&t, GUEST); /* START has arrived, REPLY is not out yet */
	struct pairing second_host, second;
	struct pairing_actions a = {0}, b = {0};
	uint8_t seed[PAIRING_SEED_SIZE] = {99};
	struct pairing_self self = {t.secret[HOST], &t.device[HOST]};
	pairing_host(&second_host, &t.desk, "192.0.2.9", &self, seed, 1000);
	cr_assert_eq(pairing_guest(&second, "acorn-acorn-acorn", &self, seed, 1000, &a), ERR_OK);
	pairing_bytes(&second_host, a.send.data, a.send.size, 1000, &b);
	cr_assert(b.end);
	cr_assert_eq(second_host.reason, PAIRING_BUSY);
	cr_assert_eq(wrong_words(&t), 0);
	settle(&t);
	cr_assert(t.added[0] == 1 && t.added[1] == 1);
	wr_free(&a.send);
	wr_free(&b.send);
	pairing_free(&second, 1000);
	pairing_free(&second_host, 1000);
	table_free(&t);
}

Test(pairing, a_device_does_not_pair_with_itself)
{
	struct table t = {.says = {true, true}, .now_ms = 1000};
	table_start(&t);
	memcpy(t.p[GUEST].secret, t.secret[HOST], 32);
	settle(&t);
	cr_assert(!t.added[0] && !t.added[1]);
	cr_assert_eq(t.p[GUEST].reason, PAIRING_SELF);
	table_free(&t);
}

Test(pairing, a_stranger_that_talks_something_else_spends_no_code)
{
	struct table t = {.now_ms = 1000};
	table_start(&t);
	pairing_bytes(&t.p[HOST], (const uint8_t *)"GET / HTTP/1.1\r\n", 16, 1000, &t.act[HOST]);
	cr_assert(t.act[HOST].end);
	cr_assert(pairing_desk_is_open(&t.desk, 1001));
	table_free(&t);
}

/* --- words --- */

Test(words, what_is_typed_is_understood_in_any_case_with_any_gap_and_cut_to_three_letters)
{
	char out[PAIRING_WORDS_SIZE];
	static const char *const typed[] = {"acorn badge copper", "  Acorn-BADGE.copper ",
	                                    "aco, bad, cop", "ACORN\tbadg\tcoppe"};
	for (int i = 0; i < 4; i++) {
		cr_assert_eq(pairing_words_read(typed[i], out, NULL), ERR_OK, "%s", typed[i]);
		cr_assert_str_eq(out, "acorn-badge-copper");
	}
}

Test(words, what_cannot_be_a_code_is_said_before_a_guess_is_spent)
{
	char out[PAIRING_WORDS_SIZE];
	static const char *const typed[] = {"",
	                                    "acorn",
	                                    "acorn badge",
	                                    "acorn badge copper dune",
	                                    "acorn badge xyzzy",
	                                    "ac ba co",
	                                    "acorn badge copperx",
	                                    "192.168.1.2",
	                                    "acorn badge \xc3\xa4pfel"};
	for (int i = 0; i < 9; i++) {
		struct errmsg msg = {0};
		cr_assert_eq(pairing_words_read(typed[i], out, &msg), ERR_USAGE, "%s", typed[i]);
		cr_assert(msg.text[0]);
	}
	struct errmsg msg = {0};
	pairing_words_read("acorn badge coppre", out, &msg);
	cr_assert_str_eq(msg.text, "'coppre' is not a word of a code; 'copper' perhaps?");
}

Test(words, each_begins_with_its_own_three_letters_and_none_is_one_letter_from_another)
{
	static const char *const words[] = {
#define WORD(w) #w,
#include "proto/words.def"
#undef WORD
	};
	unsigned count = sizeof words / sizeof *words;
	cr_assert_eq(count, 256);
	for (unsigned i = 0; i < count; i++) {
		for (unsigned k = 0; k < i; k++) {
			size_t n = strlen(words[i]), differ = 0;
			cr_assert_lt(strcmp(words[k], words[i]), 0);
			cr_assert_neq(memcmp(words[i], words[k], 3), 0);
			for (size_t c = 0; n == strlen(words[k]) && c < n; c++)
				differ += words[i][c] != words[k][c];
			cr_assert(n != strlen(words[k]) || differ > 1, "%s %s", words[i], words[k]);
		}
		cr_assert(strlen(words[i]) <= 8);
	}
}

/* --- by picture --- */

static struct pairing_qr picture(const uint8_t key[32])
{
	struct pairing_qr qr = {.count = 2};
	crypto_blake2b(qr.key_hash, key, 32);
	/* what table_start() makes its code of */
	qr.addresses[0] = (struct pairing_qr_address){4, {192, 0, 2, 1}, 4747};
	qr.addresses[1] = (struct pairing_qr_address){16, {0x20, 1, 0xd, 0xb8, [15] = 1}, 4748};
	return qr;
}

static struct pairing_qr hosts_picture(void)
{
	uint8_t secret[32], key[32];
	memset(secret, 16, sizeof secret);
	crypto_x25519_public(key, secret);
	return picture(key);
}

Test(pairing, a_scanned_picture_pairs_and_the_check_is_the_same_on_both)
{
	struct pairing_qr qr = hosts_picture();
	struct table t = {.says = {true, true}, .now_ms = 1000, .qr = &qr};
	table_run(&t);
	cr_assert(t.added[GUEST] == 1 && t.added[HOST] == 1);
	cr_assert(t.p[HOST].by_qr && t.p[GUEST].by_qr);
	cr_assert_eq(t.p[GUEST].check, t.p[HOST].check);
	cr_assert_lt(t.p[GUEST].check, 100);
	table_free(&t);
}

Test(pairing, a_picture_with_another_token_spends_the_code_and_one_of_another_key_does_not_pair)
{
	struct pairing_qr qr = hosts_picture();
	qr.token[3] ^= 1;
	struct table t = {.says = {true, true}, .now_ms = 1000, .qr = &qr};
	table_run(&t);
	cr_assert(!t.added[0] && !t.added[1]);
	cr_assert_eq(t.p[HOST].reason, PAIRING_WRONG);
	cr_assert_not(pairing_desk_is_open(&t.desk, 1001));
	cr_assert(!t.desk.words[0] && !t.desk.token[0]);
	table_free(&t);
	qr = hosts_picture();
	qr.key_hash[0] ^= 1;
	struct table other = {.says = {true, true}, .now_ms = 1000, .qr = &qr};
	table_run(&other);
	cr_assert(!other.added[0] && !other.added[1] && !other.asked[GUEST]);
	table_free(&other);
}

Test(pairing, the_text_of_a_picture_reads_back_and_no_changed_one_reads_as_it)
{
	struct pairing_qr qr = hosts_picture(), back;
	char text[PAIRING_QR_TEXT_SIZE], again[PAIRING_QR_TEXT_SIZE], low[PAIRING_QR_TEXT_SIZE + 4];
	for (qr.count = 1; qr.count <= PAIRING_QR_ADDRESSES_MAX; qr.count++) {
		if (qr.count > 2)
			qr.addresses[qr.count - 1] = qr.addresses[1];
		pairing_qr_text(&qr, text);
		cr_assert(pairing_qr_is_text(text));
		cr_assert_eq(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/"), strlen(text));
		cr_assert_eq(pairing_qr_read(text, &back, NULL), ERR_OK, "%u addresses", qr.count);
		cr_assert_eq(back.count, qr.count);
		cr_assert_eq(memcmp(back.token, qr.token, sizeof qr.token), 0);
		pairing_qr_text(&back, again);
		cr_assert_str_eq(again, text);
	}
	snprintf(low, sizeof low, " wasmos:1/%s\n", text + 9);
	cr_assert_eq(pairing_qr_read(low, &back, NULL), ERR_OK);
	for (size_t i = 0; i < strlen(text); i++) {
		char changed[PAIRING_QR_TEXT_SIZE];
		strcpy(changed, text);
		changed[i] = changed[i] == 'A' ? 'C' : 'A';
		if (pairing_qr_read(changed, &back, NULL) != ERR_OK)
			continue;
		pairing_qr_text(&back, again);
		cr_assert_str_eq(again, changed);
		changed[i] = 0;
		cr_assert_neq(pairing_qr_read(changed, &back, NULL), ERR_OK, "cut at %zu", i);
	}
}
