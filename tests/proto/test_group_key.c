/* test_group_key.c - the key that a system's devices share: whoever cuts, in whatever order they meet, those who have the same log come to one key,
 * and who was removed never has it. */
#include "proto/device_log.h"
#include "proto/group_key.h"

#include <criterion/criterion.h>
#include <string.h>

enum { DEVICES = 5 };

struct dev {
	uint8_t id[32], secret[32], cuts[32];
	struct device_log *log;
	struct group_keys keys;
};

static uint64_t clock_ms = 1000;
static uint8_t next_secret = 200;

static struct device_author word_of(const struct dev *d)
{
	return (struct device_author){d->id, d->secret};
}

static void look(struct dev *d)
{
	device_log_cuts(d->log, d->cuts);
}

/* As node/links/group.c does. A later one is smaller, so that it would win. */
static void make(struct dev *d)
{
	uint8_t secret[32] = {next_secret--};
	look(d);
	if (!group_keys_current(&d->keys, d->cuts))
		cr_assert(group_keys_take(&d->keys, d->cuts, 1, secret, clock_ms++));
}

static void begin(struct dev *d, unsigned seed)
{
	uint8_t key[32];
	memset(d, 0, sizeof *d);
	d->secret[0] = (uint8_t)(8 * seed + 8);
	crypto_x25519_public(key, d->secret);
	crypto_blake2b(d->id, key, sizeof key);
	d->log = device_log_new();
	struct device_author who = word_of(d);
	cr_assert_eq(device_log_found(d->log, &who, "d", NULL, clock_ms++, NULL), ERR_OK);
	make(d);
}

static void cut(struct dev *d, enum device_act act, const struct dev *about)
{
	struct device_author who = word_of(d);
	struct device_change c = {act, about->id, DEVICE_ROLE_FULL, NULL};
	cr_assert_eq(device_log_write(d->log, &who, &c, clock_ms++, NULL), ERR_OK);
}

static bool is_member(const struct dev *viewer, const struct dev *d)
{
	struct device_row r;
	return device_log_row(viewer->log, viewer->id, d->id, &r) == ERR_OK &&
	       r.state == DEVICE_MEMBER;
}

static void tell_log(struct dev *to, const struct dev *from)
{
	for (unsigned i = 0; i < device_log_count(from->log); i++) {
		struct device_entry e = device_log_at(from->log, i);
		enum err got = device_log_take(to->log, e.bytes, e.size, e.proof, NULL);
		cr_assert(got == ERR_OK || got == ERR_EXISTS);
	}
	look(to);
}

static void tell_key(struct dev *to, struct dev *from)
{
	look(from);
	const struct group_key *k = group_keys_current(&from->keys, from->cuts);
	if (k && is_member(from, to) && !memcmp(k->cuts, to->cuts, 32))
		group_keys_take(&to->keys, k->cuts, 1, k->secret, clock_ms++);
}

static void meet(struct dev *a, struct dev *b)
{
	tell_log(a, b);
	tell_log(b, a);
	tell_key(a, b);
	tell_key(b, a);
}

static void system_of(struct dev d[DEVICES])
{
	for (unsigned i = 0; i < DEVICES; i++)
		begin(&d[i], i);
	for (unsigned i = 1; i < DEVICES; i++) {
		meet(&d[0], &d[i]);
		cut(&d[0], DEVICE_ADD, &d[i]);
		cut(&d[i], DEVICE_ADD, &d[0]);
	}
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 1; i < DEVICES; i++)
			meet(&d[0], &d[i]);
}

static void end(struct dev d[DEVICES])
{
	for (unsigned i = 0; i < DEVICES; i++)
		device_log_free(d[i].log);
}

static const struct group_key *key_of(struct dev *d)
{
	look(d);
	return group_keys_current(&d->keys, d->cuts);
}

static bool has(const struct dev *d, const uint8_t secret[32])
{
	bool found = false;
	for (unsigned i = 0; i < d->keys.count; i++)
		found |= !memcmp(d->keys.at[i].secret, secret, 32);
	return found;
}

static bool share(struct dev *a, struct dev *b)
{
	return key_of(a) && key_of(b) && !memcmp(key_of(a)->secret, key_of(b)->secret, 32);
}

Test(group_key, systems_that_become_one_come_to_one_key)
{
	struct dev d[DEVICES];
	system_of(d);
	for (unsigned i = 1; i < DEVICES; i++)
		cr_assert(share(&d[0], &d[i]), "%u", i);
	end(d);
}

Test(group_key, who_is_removed_does_not_get_the_next_one)
{
	struct dev d[DEVICES];
	system_of(d);
	cut(&d[0], DEVICE_REMOVE, &d[4]);
	cr_assert_null(key_of(&d[0]), "the old one holds no more");
	make(&d[0]);
	meet(&d[0], &d[4]); /* tells it why */
	for (unsigned i = 1; i < 4; i++)
		meet(&d[0], &d[i]);
	for (unsigned i = 1; i < 4; i++) {
		meet(&d[i], &d[4]);
		cr_assert(share(&d[0], &d[i]), "%u", i);
	}
	cr_assert_not(has(&d[4], key_of(&d[0])->secret));
	cr_assert_null(key_of(&d[4]));
	end(d);
}

Test(group_key, two_removals_at_once_come_to_one_key_that_neither_of_the_removed_has)
{
	for (unsigned order = 0; order < 2; order++) {
		struct dev d[DEVICES];
		system_of(d);
		cut(&d[0], DEVICE_REMOVE, &d[3]);
		make(&d[0]);
		cut(&d[1], DEVICE_REMOVE, &d[4]);
		make(&d[1]);
		meet(&d[0],
		     &d[4]); /* one that is out already, and whom d0 still trusts, gets d0's key */
		meet(&d[1], &d[3]);
		cr_assert(has(&d[4], key_of(&d[0])->secret) && has(&d[3], key_of(&d[1])->secret));
		meet(&d[order], &d[!order]);
		cr_assert_null(key_of(&d[0]), "neither of the two keys holds");
		cr_assert_null(key_of(&d[1]));
		make(&d[0]);
		make(&d[1]); /* both at once */
		cr_assert_not(share(&d[0], &d[1]));
		meet(&d[2], &d[order]);
		for (unsigned i = 0; i < 3; i++)
			for (unsigned k = 0; k < DEVICES; k++)
				if (i != k)
					meet(&d[i], &d[k]);
		meet(&d[0], &d[1]);
		meet(&d[0], &d[2]);
		cr_assert(share(&d[0], &d[1]) && share(&d[0], &d[2]));
		for (unsigned i = 3; i < DEVICES; i++)
			cr_assert_not(has(&d[i], key_of(&d[0])->secret), "%u", i);
		end(d);
	}
}

Test(group_key, a_change_of_key_is_a_cut_and_a_name_is_none)
{
	struct dev d[DEVICES];
	uint8_t before[32], next[32] = {8, 99};
	system_of(d);
	memcpy(before, d[0].cuts, 32);
	struct device_author who = word_of(&d[0]);
	struct device_change name = {DEVICE_NAME, d[1].id, DEVICE_ROLE_FULL, "n"};
	cr_assert_eq(device_log_write(d[0].log, &who, &name, clock_ms++, NULL), ERR_OK);
	cr_assert_eq(device_log_cuts(d[0].log, d[0].cuts), 0);
	cr_assert(!memcmp(before, d[0].cuts, 32) && key_of(&d[0]));
	cr_assert_eq(device_log_rotate(d[0].log, &who, next, clock_ms++, NULL), ERR_OK);
	cr_assert_eq(device_log_cuts(d[0].log, d[0].cuts), 1);
	cr_assert_null(key_of(&d[0]));
	end(d);
}

Test(group_key, old_ones_are_understood_for_a_while_and_three_at_most)
{
	struct group_keys k = {0};
	uint8_t cuts[32] = {0}, secret[32] = {0};
	for (unsigned i = 0; i < 6; i++) {
		cuts[0] = secret[0] = (uint8_t)i;
		cr_assert(group_keys_take(&k, cuts, i, secret, 1000 * i));
	}
	cr_assert(k.count == GROUP_KEYS_MAX && k.at[0].epoch == 5 && k.at[3].epoch == 2);
	cr_assert_not(group_keys_expire(&k, 6000));
	cr_assert(group_keys_expire(&k, 4000 + GROUP_KEY_OLD_MS));
	cr_assert(k.count == 2 && k.at[1].epoch == 4, "%u", k.count);
	cr_assert(group_keys_expire(&k, UINT64_MAX));
	cr_assert_eq(k.count, 1, "the newest stays");
}

Test(group_key, keys_are_on_disk_as_they_were_and_damage_is_an_error)
{
	struct group_keys k = {0}, got;
	uint8_t cuts[32] = {1}, secret[32] = {2}, bytes[GROUP_KEYS_BYTES];
	group_keys_take(&k, cuts, 7, secret, 99);
	cuts[0] = 3;
	group_keys_take(&k, cuts, 8, secret, 100);
	size_t size = group_keys_write(&k, bytes);
	cr_assert_eq(group_keys_read(bytes, size, &got), ERR_OK);
	cr_assert(!memcmp(&got, &k, sizeof k));
	for (size_t i = 0; i < size; i++)
		cr_assert_eq(group_keys_read(bytes, i, &got), ERR_MALFORMED, "%zu", i);
	bytes[0] = 9;
	cr_assert_eq(group_keys_read(bytes, size, &got), ERR_UNSUPPORTED);
	cr_assert_eq(got.count, 0);
}
