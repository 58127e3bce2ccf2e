/* test_device_log.c - the log of devices: who is a member after joins, removals, changes of key and role, in whatever order copies
 * meet; and that nobody gets in by forging, dating back, repeating or filling it. */
#include "proto/device_log.h"
#include "proto/message.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { PLACES = DEVICE_LOG_ENTRIES_MAX + DEVICE_LOG_REMOVALS_SPARE };

/* A device with its own copy. */
struct dev {
	uint8_t id[32], secret[32];
	struct device_log *log;
};

static uint64_t clock_ms = 1000;

static struct device_author word_of(const struct dev *d)
{
	return (struct device_author){d->id, d->secret};
}

static void dev_key(uint8_t secret[32], unsigned seed)
{
	memset(secret, 0, 32);
	secret[0] = (uint8_t)(8 + 8 * (seed % 16));
	secret[1] = (uint8_t)(seed / 16);
	secret[2] = (uint8_t)(seed / 4096);
	secret[7] = 77;
}

static void dev_make(struct dev *d, unsigned seed, const char *name)
{
	uint8_t key[32];
	struct errmsg msg = {0};
	dev_key(d->secret, seed);
	crypto_x25519_public(key, d->secret);
	crypto_blake2b(d->id, key, sizeof key);
	d->log = device_log_new();
	struct device_author who = word_of(d);
	cr_assert_eq(device_log_found(d->log, &who, name, NULL, clock_ms++, &msg), ERR_OK, "%s",
	             msg.text);
}

static enum err write_by(struct dev *d, enum device_act act, const struct dev *about,
                         enum device_role role, const char *name)
{
	struct device_author who = word_of(d);
	struct device_change c = {act, about->id, role, name};
	struct errmsg msg = {0};
	enum err e = device_log_write(d->log, &who, &c, clock_ms++, &msg);
	if (e != ERR_OK)
		cr_log_info("%s", msg.text);
	return e;
}

static enum err give(struct device_log *to, const struct device_log *from, unsigned i)
{
	struct device_entry e = device_log_at(from, i);
	return device_log_take(to, e.bytes, e.size, e.proof, NULL);
}

static void tell(struct dev *to, const struct dev *from)
{
	for (unsigned i = 0; i < device_log_count(from->log); i++) {
		enum err e = give(to->log, from->log, i);
		cr_assert(e == ERR_OK || e == ERR_EXISTS, "entry %u: %s", i, err_text(e));
	}
}

static void meet(struct dev *a, struct dev *b)
{
	tell(a, b);
	tell(b, a);
}

/* As two nodes do after pairing: each tells its log, each adds the other, each tells again. */
static void join(struct dev *a, struct dev *b)
{
	meet(a, b);
	cr_assert_eq(write_by(a, DEVICE_ADD, b, DEVICE_ROLE_FULL, NULL), ERR_OK);
	cr_assert_eq(write_by(b, DEVICE_ADD, a, DEVICE_ROLE_FULL, NULL), ERR_OK);
	meet(a, b);
}

static struct device_row row(const struct dev *viewer, const struct dev *d)
{
	struct device_row r;
	device_log_row(viewer->log, viewer->id, d->id, &r);
	return r;
}

static bool knows(const struct dev *viewer, const struct dev *d)
{
	struct device_row r;
	return device_log_row(viewer->log, viewer->id, d->id, &r) == ERR_OK &&
	       r.state == DEVICE_MEMBER;
}

static void drop(struct dev *d, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		device_log_free(d[i].log);
}

/* A, B and C, of which all know all. */
static void three(struct dev d[3])
{
	dev_make(&d[0], 0, "laptop");
	dev_make(&d[1], 1, "phone");
	dev_make(&d[2], 2, "server");
	join(&d[0], &d[1]);
	join(&d[1], &d[2]);
	tell(&d[0], &d[1]);
	tell(&d[0], &d[2]);
	meet(&d[0], &d[2]);
	meet(&d[0], &d[1]);
}

Test(crypto, signatures_of_x25519_keys_verify_as_ed25519_and_fail_when_changed)
{
	for (unsigned i = 0; i < 64; i++) {
		uint8_t secret[32], edwards[32], x[32], want[32], sig[64], text[40] = "text";
		dev_key(secret, i * 37);
		crypto_xed_public(edwards, secret);
		crypto_x25519_public(want, secret);
		cr_assert_eq(crypto_xed_x25519(x, edwards), ERR_OK);
		cr_assert(memcmp(x, want, 32) == 0);
		cr_assert_eq(edwards[31] & 128, 0);
		crypto_xed_sign(sig, secret, text, i % 40);
		cr_assert_eq(crypto_xed_verify(sig, edwards, text, i % 40), ERR_OK, "key %u", i);
		sig[i] ^= 1;
		cr_assert_eq(crypto_xed_verify(sig, edwards, text, i % 40), ERR_AUTH);
		sig[i] ^= 1;
		text[0] ^= 1;
		cr_assert(i % 40 == 0 || crypto_xed_verify(sig, edwards, text, i % 40) == ERR_AUTH);
	}
}

Test(device_log, joining_one_device_joins_the_system)
{
	struct dev d[3];
	three(d);
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 3; k++)
			cr_assert(knows(&d[i], &d[k]), "%d %d", i, k);
	cr_assert_str_eq(row(&d[0], &d[2]).name, "server");
	cr_assert_eq(memcmp(row(&d[0], &d[2]).by, d[1].id, 32), 0);
	uint8_t key[32];
	crypto_x25519_public(key, d[2].secret);
	cr_assert_eq(memcmp(row(&d[0], &d[2]).key, key, 32), 0);
	drop(d, 3);
}

Test(device_log, a_log_that_nobody_added_says_nothing)
{
	struct dev d[3], x;
	three(d);
	dev_make(&x, 9, "mallory");
	tell(&x, &d[0]); /* it got hold of a copy, and adds itself to it, and others to its own */
	cr_assert_eq(write_by(&x, DEVICE_ADD, &d[0], DEVICE_ROLE_FULL, NULL), ERR_OK);
	cr_assert_eq(write_by(&x, DEVICE_REMOVE, &d[1], 0, NULL), ERR_OK);
	tell(&d[0], &x);
	cr_assert_not(knows(&d[0], &x));
	cr_assert(knows(&d[0], &d[1]));
	cr_assert_eq(row(&d[0], &x).state, DEVICE_STRANGER);
	/* And what members write after it is as good as before. */
	cr_assert_eq(write_by(&d[0], DEVICE_NAME, &d[1], 0, "handset"), ERR_OK);
	cr_assert_str_eq(row(&d[0], &d[1]).name, "handset");
	drop(d, 3);
	drop(&x, 1);
}

Test(device_log, removal_wins_over_what_did_not_know_of_it)
{
	struct dev d[3], x;
	three(d);
	dev_make(&x, 9, "accomplice");
	cr_assert_eq(write_by(&d[0], DEVICE_REMOVE, &d[1], 0, NULL), ERR_OK);
	cr_assert_eq(write_by(&d[2], DEVICE_ADD, &d[1], DEVICE_ROLE_FULL, NULL), ERR_OK);
	cr_assert_eq(write_by(&d[2], DEVICE_NAME, &d[1], 0, "old friend"), ERR_OK);
	join(&d[1], &x); /* the lost phone brings somebody along, dated back */
	cr_assert_eq(write_by(&d[1], DEVICE_NAME, &d[2], 0, "mine"), ERR_OK);
	meet(&d[0], &d[2]);
	tell(&d[0], &d[1]);
	tell(&d[2], &d[1]);
	for (int i = 0; i < 3; i += 2) {
		cr_assert_eq(row(&d[i], &d[1]).state, DEVICE_REMOVED);
		cr_assert_eq(memcmp(row(&d[i], &d[1]).by, d[0].id, 32), 0);
		cr_assert_not(knows(&d[i], &x));
		cr_assert_str_eq(row(&d[i], &d[2]).name, "server");
	}
	drop(d, 3);
	drop(&x, 1);
}

Test(device_log, who_was_removed_and_knows_it_writes_no_entries)
{
	struct dev d[3];
	three(d);
	cr_assert_eq(write_by(&d[0], DEVICE_REMOVE, &d[1], 0, NULL), ERR_OK);
	tell(&d[1], &d[0]);
	cr_assert_not(knows(&d[1], &d[1]));
	cr_assert_eq(write_by(&d[1], DEVICE_REMOVE, &d[0], 0, NULL), ERR_DENIED);
	cr_assert_eq(write_by(&d[1], DEVICE_ADD, &d[2], DEVICE_ROLE_FULL, NULL), ERR_DENIED);
	cr_assert_eq(write_by(&d[1], DEVICE_NAME, &d[1], 0, "x"), ERR_DENIED);
	cr_assert_eq(write_by(&d[0], DEVICE_REMOVE, &d[1], 0, NULL), ERR_DENIED, "once is enough");
	drop(d, 3);
}

Test(device_log, what_members_added_before_it_was_lost_stays)
{
	struct dev d[4];
	three(d);
	dev_make(&d[3], 3, "tablet");
	join(&d[1], &d[3]);
	meet(&d[0], &d[1]);
	cr_assert(knows(&d[0], &d[3]));
	cr_assert_eq(write_by(&d[0], DEVICE_REMOVE, &d[1], 0, NULL), ERR_OK);
	cr_assert(knows(&d[0], &d[3]));
	tell(&d[3], &d[0]);
	cr_assert(knows(&d[3], &d[0]) && knows(&d[3], &d[2]) && !knows(&d[3], &d[1]));
	drop(d, 4);
}

Test(device_log, pairing_a_removed_device_again_brings_it_back)
{
	struct dev d[3];
	three(d);
	cr_assert_eq(write_by(&d[0], DEVICE_REMOVE, &d[1], 0, NULL), ERR_OK);
	meet(&d[0], &d[1]);
	cr_assert_eq(write_by(&d[0], DEVICE_ADD, &d[1], DEVICE_ROLE_FULL, NULL), ERR_OK);
	/* Somebody removed it, too, who did not know of that. */
	meet(&d[0], &d[1]);
	cr_assert(knows(&d[0], &d[1]) && knows(&d[1], &d[1]) && knows(&d[1], &d[0]));
	cr_assert_eq(write_by(&d[1], DEVICE_NAME, &d[1], 0, "found again"), ERR_OK);
	cr_assert_eq(write_by(&d[2], DEVICE_REMOVE, &d[1], 0, NULL), ERR_OK);
	meet(&d[0], &d[2]);
	cr_assert_not(knows(&d[0], &d[1]));
	drop(d, 3);
}

Test(device_log, of_two_that_remove_each_other_both_are_out)
{
	struct dev d[3];
	three(d);
	cr_assert_eq(write_by(&d[0], DEVICE_REMOVE, &d[1], 0, NULL), ERR_OK);
	cr_assert_eq(write_by(&d[1], DEVICE_REMOVE, &d[0], 0, NULL), ERR_OK);
	tell(&d[2], &d[0]);
	tell(&d[2], &d[1]);
	meet(&d[0], &d[1]);
	cr_assert(knows(&d[2], &d[2]) && !knows(&d[2], &d[0]) && !knows(&d[2], &d[1]));
	cr_assert(!knows(&d[0], &d[0]) && !knows(&d[1], &d[1]));
	drop(d, 3);
}

Test(device_log, a_device_may_leave_by_itself)
{
	struct dev d[3];
	three(d);
	cr_assert_eq(write_by(&d[1], DEVICE_REMOVE, &d[1], 0, NULL), ERR_OK);
	tell(&d[0], &d[1]);
	cr_assert_eq(row(&d[0], &d[1]).state, DEVICE_REMOVED);
	drop(d, 3);
}

Test(device_log, files_only_has_no_word_about_others)
{
	struct dev a, b, c, x;
	dev_make(&a, 0, "laptop");
	dev_make(&b, 1, "disk");
	dev_make(&c, 2, "phone");
	dev_make(&x, 3, "friend of the disk");
	join(&b, &x);
	join(&a, &c);
	meet(&a, &b);
	cr_assert_eq(write_by(&a, DEVICE_ADD, &b, DEVICE_ROLE_FILES, NULL), ERR_OK);
	cr_assert_eq(write_by(&b, DEVICE_ADD, &a, DEVICE_ROLE_FULL, NULL), ERR_OK);
	meet(&a, &b);
	cr_assert(knows(&a, &b) && knows(&b, &a) && knows(&b, &c));
	cr_assert_eq(row(&a, &b).role, DEVICE_ROLE_FILES);
	cr_assert_eq(row(&b, &b).role, DEVICE_ROLE_FILES);
	cr_assert_not(knows(&a, &x), "what it brought along");
	cr_assert_eq(write_by(&b, DEVICE_REMOVE, &c, 0, NULL), ERR_DENIED);
	cr_assert_eq(write_by(&b, DEVICE_ROLE, &c, DEVICE_ROLE_FILES, NULL), ERR_DENIED);
	cr_assert_eq(write_by(&b, DEVICE_NAME, &c, 0, "x"), ERR_DENIED);
	cr_assert_eq(write_by(&b, DEVICE_ROLE, &b, DEVICE_ROLE_FULL, NULL), ERR_INVALID);
	cr_assert_eq(write_by(&b, DEVICE_NAME, &b, 0, "shelf"), ERR_OK);
	cr_assert_eq(write_by(&a, DEVICE_ROLE, &b, DEVICE_ROLE_FULL, NULL), ERR_OK);
	meet(&a, &b);
	cr_assert_eq(row(&b, &b).role, DEVICE_ROLE_FULL);
	cr_assert_str_eq(row(&a, &b).name, "shelf");
	cr_assert_eq(write_by(&b, DEVICE_NAME, &c, 0, "y"), ERR_OK);
	device_log_free(a.log);
	device_log_free(b.log);
	device_log_free(c.log);
	device_log_free(x.log);
}

Test(device_log, of_two_roles_given_at_once_files_only_holds)
{
	struct dev d[3];
	three(d);
	cr_assert_eq(write_by(&d[0], DEVICE_ROLE, &d[1], DEVICE_ROLE_FILES, NULL), ERR_OK);
	cr_assert_eq(write_by(&d[2], DEVICE_ROLE, &d[1], DEVICE_ROLE_FULL, NULL), ERR_OK);
	cr_assert_eq(write_by(&d[1], DEVICE_ROLE, &d[2], DEVICE_ROLE_FILES, NULL), ERR_OK);
	meet(&d[0], &d[2]);
	tell(&d[0], &d[1]);
	cr_assert_eq(row(&d[0], &d[1]).role, DEVICE_ROLE_FILES);
	cr_assert_eq(row(&d[0], &d[2]).role, DEVICE_ROLE_FULL, "it had lost its word, unknowing");
	drop(d, 3);
}

Test(device_log, a_new_key_takes_the_word_from_the_old_one)
{
	struct dev d[3];
	uint8_t next[32], key[32];
	three(d);
	struct dev thief = d[1];
	thief.log = device_log_new();
	tell(&thief, &d[1]);
	dev_key(next, 500);
	struct device_author who = word_of(&d[1]);
	cr_assert_eq(device_log_rotate(d[1].log, &who, next, clock_ms++, NULL), ERR_OK);
	memcpy(d[1].secret, next, 32);
	crypto_x25519_public(key, next);
	tell(&d[0], &d[1]);
	cr_assert_eq(memcmp(row(&d[0], &d[1]).key, key, 32), 0);
	cr_assert_eq(row(&d[0], &d[1]).keys, 2);
	cr_assert(knows(&d[0], &d[1]));
	/* With the old key, dated back: it says nothing. */
	cr_assert_eq(write_by(&thief, DEVICE_NAME, &d[0], 0, "stolen"), ERR_OK);
	tell(&d[0], &thief);
	cr_assert_str_eq(row(&d[0], &d[0]).name, "laptop");
	/* With the old key, after the change: it is no entry. */
	tell(&thief, &d[1]);
	cr_assert_eq(write_by(&thief, DEVICE_NAME, &d[0], 0, "stolen"), ERR_AUTH);
	cr_assert_eq(write_by(&d[1], DEVICE_NAME, &d[0], 0, "given"), ERR_OK);
	tell(&d[0], &d[1]);
	cr_assert_str_eq(row(&d[0], &d[0]).name, "given");
	device_log_free(thief.log);
	drop(d, 3);
}

Test(device_log, a_key_changed_twice_at_once_is_in_two_hands)
{
	struct dev d[3];
	uint8_t next[32];
	three(d);
	struct dev thief = d[1];
	thief.log = device_log_new();
	tell(&thief, &d[1]);
	struct device_author who = word_of(&d[1]);
	dev_key(next, 500);
	cr_assert_eq(device_log_rotate(d[1].log, &who, next, clock_ms++, NULL), ERR_OK);
	dev_key(next, 501);
	cr_assert_eq(device_log_rotate(thief.log, &who, next, clock_ms++, NULL), ERR_OK);
	tell(&d[0], &thief);
	cr_assert(knows(&d[0], &d[1]), "so far it is only a change");
	tell(&d[0], &d[1]);
	cr_assert_eq(row(&d[0], &d[1]).state, DEVICE_REMOVED);
	cr_assert(row(&d[0], &d[1]).two_hands);
	device_log_free(thief.log);
	drop(d, 3);
}

Test(device_log, keys_go_into_a_new_log_and_their_number_has_a_limit)
{
	struct dev d;
	uint8_t next[32];
	enum err e = ERR_OK;
	unsigned count = 1;
	dev_make(&d, 0, "laptop");
	struct device_author who = word_of(&d);
	while (e == ERR_OK && count < 100) {
		dev_key(next, 600 + count);
		e = device_log_rotate(d.log, &who, next, clock_ms++, NULL);
		if (e == ERR_OK) {
			memcpy(d.secret, next, 32);
			count++;
		}
	}
	cr_assert_eq(e, ERR_LIMIT);
	cr_assert_eq(count, DEVICE_LOG_KEYS_MAX);
	struct device_log *fresh = device_log_new();
	cr_assert_eq(device_log_found(fresh, &who, "laptop", d.log, clock_ms++, NULL), ERR_OK);
	struct device_row r;
	cr_assert_eq(device_log_row(fresh, d.id, d.id, &r), ERR_OK);
	cr_assert_eq(r.keys, DEVICE_LOG_KEYS_MAX);
	cr_assert_eq(r.state, DEVICE_MEMBER);
	device_log_free(fresh);
	drop(&d, 1);
}

/* Entry i of from, built anew with other parents or fields, signed by whom we like. */
static enum err forge(struct device_log *to, const struct dev *signer, const struct dev *author,
                      const struct dev *subject, const uint8_t parent[32])
{
	struct wr bytes = {0}, parents = {0}, signed_ = {0};
	uint8_t proof[64];
	struct msg_device_parent p;
	struct msg_device_entry m = {.act = DEVICE_ADD, .time_ms = 5};
	memcpy(m.author, author->id, 32);
	memcpy(m.subject, subject->id, 32);
	memcpy(p.hash, parent, 32);
	msg_item_device_parent(&parents, &p, NULL);
	m.parents = list_of(&parents, 1);
	cr_assert_eq(msg_encode(&bytes, MSG_DEVICE_ENTRY, &m, NULL), ERR_OK);
	wr_bytes(&signed_, "WasmOS device log 1", 20);
	wr_bytes(&signed_, bytes.data, bytes.size);
	crypto_xed_sign(proof, signer->secret, signed_.data, signed_.size);
	enum err e = device_log_take(to, bytes.data, bytes.size, proof, NULL);
	wr_free(&bytes);
	wr_free(&parents);
	wr_free(&signed_);
	return e;
}

Test(device_log, a_forged_author_an_unknown_parent_and_a_circle_are_refused)
{
	struct dev d[3], x;
	uint8_t heads[DEVICE_LOG_HEADS_MAX][32], nowhere[32] = {1};
	three(d);
	dev_make(&x, 9, "mallory");
	tell(&d[0], &x);
	unsigned count = device_log_count(d[0].log);
	cr_assert_eq(device_log_heads(d[0].log, heads), 3); /* of x, then two of the system */
	cr_assert_eq(forge(d[0].log, &x, &d[1], &x, heads[1]), ERR_AUTH);
	cr_assert_eq(forge(d[0].log, &d[1], &d[1], &x, nowhere), ERR_NOTFOUND);
	/* A circle would need an entry's hash inside itself. */
	struct device_entry last = device_log_at(d[0].log, count - 1);
	uint8_t own[32];
	crypto_blake2b(own, last.bytes, last.size);
	cr_assert_eq(forge(d[0].log, &d[1], &d[1], &x, own), ERR_DENIED, "x is no ancestor there");
	/* It can see only what its parents knew: the newcomer's first entry is not among them. */
	cr_assert_eq(forge(d[0].log, &d[1], &d[1], &x, heads[1]), ERR_DENIED);
	cr_assert_eq(device_log_count(d[0].log), count);
	drop(d, 3);
	drop(&x, 1);
}

Test(device_log, every_changed_bit_of_an_entry_and_every_cut_is_refused)
{
	struct dev d[3];
	three(d);
	struct device_log *copy = device_log_new();
	for (unsigned i = 0; i + 1 < device_log_count(d[0].log); i++)
		cr_assert_eq(give(copy, d[0].log, i), ERR_OK);
	struct device_entry e = device_log_at(d[0].log, device_log_count(d[0].log) - 1);
	uint8_t bytes[DEVICE_LOG_ENTRY_MAX], proof[64];
	for (size_t bit = 0; bit < 8 * e.size; bit += 3) {
		memcpy(bytes, e.bytes, e.size);
		bytes[bit / 8] ^= 1 << bit % 8;
		enum err err = device_log_take(copy, bytes, e.size, e.proof, NULL);
		cr_assert(err != ERR_OK && err != ERR_EXISTS, "bit %zu", bit);
	}
	for (size_t size = 0; size < e.size; size++)
		cr_assert_neq(device_log_take(copy, e.bytes, size, e.proof, NULL), ERR_OK);
	for (unsigned bit = 0; bit < 512; bit += 7) {
		memcpy(proof, e.proof, 64);
		proof[bit / 8] ^= 1 << bit % 8;
		cr_assert_eq(device_log_take(copy, e.bytes, e.size, proof, NULL), ERR_AUTH);
	}
	cr_assert_eq(device_log_take(copy, e.bytes, e.size, e.proof, NULL), ERR_OK);
	cr_assert_eq(device_log_take(copy, e.bytes, e.size, e.proof, NULL), ERR_EXISTS, "a replay");
	device_log_free(copy);
	drop(d, 3);
}

Test(device_log, a_full_log_still_takes_removals)
{
	struct dev d[3];
	char name[16];
	enum err e = ERR_OK;
	unsigned i;
	three(d);
	for (i = 0; e == ERR_OK && i < 2000; i++) {
		snprintf(name, sizeof name, "n%u", i);
		e = write_by(&d[1], DEVICE_NAME, &d[0], 0, name);
	}
	cr_assert_eq(e, ERR_LIMIT);
	cr_assert_eq(device_log_count(d[1].log), DEVICE_LOG_ENTRIES_MAX);
	tell(&d[0], &d[1]);
	cr_assert_eq(write_by(&d[0], DEVICE_REMOVE, &d[1], 0, NULL), ERR_OK);
	cr_assert_not(knows(&d[0], &d[1]));
	drop(d, 3);
}

Test(device_log, another_copy_is_sent_what_it_lacks_and_no_more)
{
	struct dev d[3];
	uint8_t heads[DEVICE_LOG_HEADS_MAX][32];
	bool lacks[PLACES];
	three(d);
	unsigned before = device_log_count(d[0].log), missing = 0;
	cr_assert_eq(write_by(&d[1], DEVICE_NAME, &d[0], 0, "one"), ERR_OK);
	cr_assert_eq(write_by(&d[1], DEVICE_NAME, &d[0], 0, "two"), ERR_OK);
	unsigned count = device_log_heads(d[0].log, heads);
	device_log_lacks(d[1].log, (const uint8_t(*)[32])heads, count, lacks);
	for (unsigned i = 0; i < device_log_count(d[1].log); i++)
		missing += lacks[i];
	cr_assert_eq(missing, 2);
	cr_assert(lacks[before] && lacks[before + 1]);
	count = device_log_heads(d[1].log, heads);
	device_log_lacks(d[0].log, (const uint8_t(*)[32])heads, count, lacks);
	for (unsigned i = 0, n = device_log_count(d[0].log); i < n; i++)
		cr_assert(lacks[i], "it does not know those heads");
	drop(d, 3);
}

/* --- any history, any order --- */

static uint32_t random_state;

static uint32_t next_random(uint32_t below)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % below;
}

static void random_act(struct dev *d, unsigned count)
{
	struct dev *by = &d[next_random(count)], *about = &d[next_random(count)];
	uint8_t next[32];
	char name[16];
	struct device_author who = word_of(by);
	snprintf(name, sizeof name, "n%u", next_random(1000));
	switch (next_random(12)) {
	case 0: write_by(by, DEVICE_REMOVE, about, 0, NULL); break;
	case 1: write_by(by, DEVICE_ROLE, about, next_random(2), NULL); break;
	case 2:
		dev_key(next, 1000 + next_random(1000));
		if (device_log_rotate(by->log, &who, next, clock_ms++, NULL) == ERR_OK)
			memcpy(by->secret, next, 32);
		break;
	case 3: write_by(by, DEVICE_NAME, about, 0, name); break;
	case 4:
	case 5: write_by(by, DEVICE_ADD, about, next_random(4) == 0, NULL); break;
	default: meet(by, about); break;
	}
}

/* The same entries in another order: each as soon as it can be taken, from a random end. */
static struct device_log *shuffled(const struct device_log *from)
{
	struct device_log *to = device_log_new();
	unsigned count = device_log_count(from);
	while (device_log_count(to) < count) {
		enum err e = give(to, from, next_random(count));
		cr_assert(e == ERR_OK || e == ERR_EXISTS || e == ERR_NOTFOUND || e == ERR_DENIED,
		          "%s", err_text(e));
	}
	return to;
}

static void same_rows(const struct device_log *a, const struct device_log *b, const struct dev *me)
{
	static struct device_row ra[DEVICE_LOG_DEVICES_MAX];
	unsigned count = device_log_rows(a, me->id, ra, DEVICE_LOG_DEVICES_MAX);
	for (unsigned i = 0; i < count; i++) {
		struct device_row rb;
		cr_assert_eq(device_log_row(b, me->id, ra[i].id, &rb), ERR_OK);
		cr_assert_eq(ra[i].state, rb.state);
		cr_assert_eq(ra[i].role, rb.role);
		cr_assert_str_eq(ra[i].name, rb.name);
		cr_assert_eq(memcmp(ra[i].key, rb.key, 32), 0);
	}
}

Test(device_log, what_it_says_does_not_depend_on_the_order_of_arrival, .timeout = 120)
{
	enum { DEVICES = 5, SEEDS = 30, ACTS = 60 };
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		struct dev d[DEVICES];
		random_state = seed;
		for (unsigned i = 0; i < DEVICES; i++)
			dev_make(&d[i], i, "device");
		for (unsigned i = 1; i < DEVICES; i++)
			join(&d[0], &d[i]);
		for (unsigned i = 0; i < ACTS; i++)
			random_act(d, DEVICES);
		for (unsigned i = 1; i < DEVICES; i++)
			tell(&d[0], &d[i]);
		struct device_log *other = shuffled(d[0].log);
		for (unsigned i = 0; i < DEVICES; i++)
			same_rows(d[0].log, other, &d[i]);
		device_log_free(other);
		drop(d, DEVICES);
	}
}
