/* test_devices.c - the log of devices on two real nodes: homes of older builds, damage on disk, a key that is changed. */
#include "node/links/devices.h"
#include "node/disk.h"
#include "node/links/group.h"
#include "node/links/link_impl.h"
#include "node/store.h"
#include "tests/node/two_nodes.h"

static bool is_member(struct pair *t, int i)
{
	const struct device_row *row = devices_row(t->n[i], t->n[!i]->device->id);
	return row && row->state == DEVICE_MEMBER;
}

static void put(struct node *n, enum depot_table table, const void *key, size_t key_size,
                const void *value, size_t size)
{
	struct depot_batch *b = depot_batch_new(node_depot(n));
	depot_put(b, table, key, key_size, value, size);
	cr_assert_eq(depot_write(b, NULL), ERR_OK);
	depot_batch_free(b);
}

static void again(struct pair *t, int i)
{
	node_close(t->n[i]);
	open_node(t, i);
}

/* A row as builds without a log of devices wrote it. */
static void put_old_row(struct pair *t, int i)
{
	struct wr row = {0}, items = {0};
	struct msg_address a;
	char text[LINK_ADDRESS_SIZE];
	struct msg_pair_peer m = {.name = str_ref(t->n[!i]->name), .seen_ms = 5};
	link_local_address(t->n[!i], text);
	a.text = str_ref(text);
	memcpy(m.key, t->n[!i]->device->key, sizeof m.key);
	cr_assert_eq(msg_item_address(&items, &a, NULL), ERR_OK);
	m.addresses = list_of(&items, 1);
	cr_assert_eq(msg_encode(&row, MSG_PAIR_PEER, &m, NULL), ERR_OK);
	put(t->n[i], DEPOT_PEERS, t->n[!i]->device->id, DEVICE_ID_SIZE, row.data, row.size);
	wr_free(&row);
	wr_free(&items);
}

Test(devices, a_home_of_an_older_build_is_taken_over_and_its_pairs_enter_the_log)
{
	struct pair t;
	open_pair(&t);
	put_old_row(&t, 0);
	put_old_row(&t, 1);
	again(&t, 0);
	again(&t, 1);
	cr_assert_not(other(&t, 0)->member);
	cr_assert(wait_link(&t, true));
	cr_assert(is_member(&t, 0) && is_member(&t, 1));
	cr_assert(other(&t, 0)->member && other(&t, 1)->member);
	again(&t, 0);
	cr_assert(is_member(&t, 0) && other(&t, 0)->member);
	cr_assert(wait_link(&t, true));
	close_pair(&t);
}

Test(devices, a_damaged_entry_on_disk_is_left_out_and_told_by_the_other)
{
	struct pair t;
	uint8_t key[4] = {0, 0, 0, 1}, junk[200] = {1};
	open_pair(&t);
	introduce(&t, 0);
	introduce(&t, 1);
	cr_assert(wait_link(&t, true));
	unsigned count = device_log_count(devices_log(t.n[0]));
	put(t.n[0], DEPOT_DEVICES, key, sizeof key, junk, sizeof junk);
	again(&t, 0);
	cr_assert_lt(device_log_count(devices_log(t.n[0])), count);
	cr_assert(wait_link(&t, true));
	cr_assert_eq(device_log_count(devices_log(t.n[0])), device_log_count(devices_log(t.n[1])));
	again(&t, 0);
	cr_assert_eq(device_log_count(devices_log(t.n[0])), device_log_count(devices_log(t.n[1])));
	close_pair(&t);
}

Test(devices, a_store_that_is_lost_leaves_a_device_that_can_be_paired_anew)
{
	struct pair t;
	struct errmsg msg = {0};
	char command[200];
	open_pair(&t);
	cr_assert_eq(devices_rotate(t.n[0], false, &msg), ERR_OK, "%s", msg.text);
	node_close(t.n[0]);
	snprintf(command, sizeof command, "rm -r %s/store", t.homes[0]);
	cr_assert_eq(system(command), 0);
	open_node(&t, 0);
	cr_assert_not(devices_are_lost(t.n[0]));
	introduce(&t, 0);
	introduce(&t, 1);
	cr_assert(wait_link(&t, true));
	cr_assert(is_member(&t, 0) && is_member(&t, 1));
	close_pair(&t);
}

Test(devices, a_change_of_key_that_a_crash_cut_short_is_over_after_the_next_start)
{
	struct pair t;
	struct errmsg msg = {0};
	uint8_t before[CRYPTO_KEY_SIZE], id[DEVICE_ID_SIZE];
	open_pair(&t);
	introduce(&t, 0);
	introduce(&t, 1);
	cr_assert(wait_link(&t, true));
	memcpy(before, t.n[0]->device->key, sizeof before);
	memcpy(id, t.n[0]->device->id, sizeof id);
	/* The file says that a change is under way, and the log does not have it. */
	crypto_random(t.n[0]->device->next, CRYPTO_KEY_SIZE);
	t.n[0]->device->has_next = true;
	cr_assert_eq(device_keep(t.n[0]->home, t.n[0]->device, &msg), ERR_OK);
	again(&t, 0);
	cr_assert_eq(memcmp(t.n[0]->device->key, before, sizeof before), 0);
	cr_assert(wait_link(&t, true));
	/* The log has it, and the file does not say so yet. */
	cr_assert_eq(devices_rotate(t.n[0], false, &msg), ERR_OK, "%s", msg.text);
	/* What is told as a node goes down may be lost with the connection. */
	for (uint64_t end = uv_hrtime() / 1000000 + PATIENCE_MS;
	     !devices_by_key(t.n[1], t.n[0]->device->key) && uv_hrtime() / 1000000 < end;)
		turn(&t);
	struct device d = *t.n[0]->device;
	memcpy(d.next, d.secret, sizeof d.next);
	crypto_random(d.secret, sizeof d.secret); /* an old one */
	d.has_next = true;
	cr_assert_eq(device_keep(t.n[0]->home, &d, &msg), ERR_OK);
	memcpy(before, t.n[0]->device->key, sizeof before);
	again(&t, 0);
	cr_assert_eq(memcmp(t.n[0]->device->key, before, sizeof before), 0);
	cr_assert_eq(memcmp(t.n[0]->device->id, id, sizeof id), 0);
	cr_assert(wait_link(&t, true));
	close_pair(&t);
}

/* Both have the same key of this epoch. */
static bool wait_key(struct pair *t, uint32_t epoch, uint8_t secret[CRYPTO_KEY_SIZE])
{
	for (uint64_t end = uv_hrtime() / 1000000 + PATIENCE_MS; uv_hrtime() / 1000000 < end;) {
		const struct group_key *a = group_current(t->n[0]), *b = group_current(t->n[1]);
		if (a && b && a->epoch == epoch && b->epoch == epoch &&
		    !memcmp(a->secret, b->secret, CRYPTO_KEY_SIZE)) {
			memcpy(secret, a->secret, CRYPTO_KEY_SIZE);
			return true;
		}
		turn(t);
	}
	return false;
}

Test(devices, the_shared_key_is_one_outlives_restarts_and_damage_and_is_another_after_a_change)
{
	struct pair t;
	struct errmsg msg = {0};
	uint8_t first[CRYPTO_KEY_SIZE], later[CRYPTO_KEY_SIZE], junk[50] = {7};
	open_pair(&t);
	introduce(&t, 0);
	introduce(&t, 1);
	cr_assert(wait_link(&t, true));
	cr_assert(wait_key(&t, 1, first));
	again(&t, 0);
	cr_assert(group_current(t.n[0]) && !memcmp(group_current(t.n[0])->secret, first, 32));
	put(t.n[0], DEPOT_SETTINGS, "group", sizeof "group", junk, sizeof junk);
	again(&t, 0);
	cr_assert(wait_link(&t, true));
	cr_assert(wait_key(&t, 1, first));
	cr_assert_eq(devices_rotate(t.n[0], false, &msg), ERR_OK, "%s", msg.text);
	cr_assert(wait_key(&t, 2, later));
	cr_assert(memcmp(first, later, sizeof first) != 0);
	close_pair(&t);
}

Test(devices, who_is_removed_does_not_get_the_next_shared_key)
{
	struct pair t;
	struct errmsg msg = {0};
	uint8_t first[CRYPTO_KEY_SIZE];
	open_pair(&t);
	introduce(&t, 0);
	introduce(&t, 1);
	cr_assert(wait_link(&t, true));
	cr_assert(wait_key(&t, 1, first));
	cr_assert_eq(devices_remove(t.n[0], t.n[1]->device->id, &msg), ERR_OK, "%s", msg.text);
	const struct group_key *k = group_current(t.n[0]);
	cr_assert(k && k->epoch == 2 && memcmp(k->secret, first, sizeof first) != 0);
	for (uint64_t end = uv_hrtime() / 1000000 + PATIENCE_MS;
	     !devices_are_lost(t.n[1]) && uv_hrtime() / 1000000 < end;)
		turn(&t);
	cr_assert(devices_are_lost(t.n[1]));
	cr_assert_null(group_current(t.n[1]));
	for (unsigned i = 0; i < group_all(t.n[1])->count; i++)
		cr_assert(memcmp(group_all(t.n[1])->at[i].secret, k->secret, 32) != 0);
	close_pair(&t);
}
