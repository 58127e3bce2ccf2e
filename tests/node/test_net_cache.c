/* test_net_cache.c - what is kept of other devices' files: its limit, restarts, and files that are damaged. */
#include "node/links/net_cache.h"

#include "base/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MIB = 1 << 20 };
static const uint8_t device[DEVICE_ID_SIZE] = {7};

static void make_home(char home[64])
{
	strcpy(home, "/tmp/wasmos-net-cache-XXXXXX");
	cr_assert(mkdtemp(home));
}

static void remove_home(const char *home)
{
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", home);
	cr_assert_eq(system(command), 0);
}

static void key_of(uint32_t number, uint8_t key[NET_CACHE_KEY])
{
	net_cache_key(key, device, 1, (const uint8_t *)&number, sizeof number);
}

static void put(struct net_cache *c, uint32_t number, uint8_t byte, size_t size)
{
	uint8_t key[NET_CACHE_KEY], *bytes = malloc(size + 1);
	memset(bytes, byte, size + 1);
	key_of(number, key);
	net_cache_put(c, key, bytes, size, false);
	free(bytes);
}

/* The size, when all bytes are `byte`; -1: there is none. */
static long get(struct net_cache *c, uint32_t number, uint8_t byte)
{
	uint8_t key[NET_CACHE_KEY];
	struct wr bytes = {0};
	uint64_t seen_ms = 0;
	key_of(number, key);
	long size = net_cache_get(c, key, &bytes, &seen_ms) ? (long)bytes.size : -1;
	cr_assert(size < 0 || seen_ms);
	for (long i = 0; i < size; i++)
		cr_assert_eq(bytes.data[i], byte);
	wr_free(&bytes);
	return size;
}

Test(net_cache, what_was_put_is_there_also_after_a_restart)
{
	char home[64];
	make_home(home);
	struct net_cache *c = net_cache_new(home, 64 * MIB);
	cr_assert_eq(get(c, 1, 1), -1);
	put(c, 1, 1, 100);
	put(c, 2, 2, MIB);
	put(c, 1, 3, 50); /* another answer */
	put(c, 3, 4, 1);
	put(c, 4, 4, MIB + 1); /* too large for a record */
	for (int lives = 0; lives < 3; lives++) {
		cr_assert_eq(get(c, 1, 3), 50);
		cr_assert_eq(get(c, 2, 2), MIB);
		cr_assert_eq(get(c, 3, 4), 1);
		cr_assert_eq(get(c, 4, 4), -1);
		net_cache_free(c);
		c = net_cache_new(home, 64 * MIB);
	}
	net_cache_clear(c);
	cr_assert_eq(get(c, 1, 3), -1);
	net_cache_free(c);
	c = net_cache_new(home, 64 * MIB);
	cr_assert_eq(get(c, 2, 2), -1, "what was thrown away does not come back");
	net_cache_free(c);
	remove_home(home);
}

Test(net_cache, the_limit_holds_and_the_oldest_goes_first)
{
	char home[64];
	struct net_cache_state st;
	make_home(home);
	struct net_cache *c = net_cache_new(home, 8 * MIB);
	for (uint32_t i = 0; i < 40; i++) {
		put(c, i, (uint8_t)i, MIB / 2);
		net_cache_state(c, &st);
		cr_assert_leq(st.bytes, 8 * MIB + 4096);
	}
	cr_assert_eq(get(c, 0, 0), -1);
	cr_assert_eq(get(c, 39, 39), MIB / 2);
	cr_assert_gt(st.records, 8);
	net_cache_free(c);
	c = net_cache_new(home, 0); /* nothing may be kept any more */
	cr_assert_eq(get(c, 39, 39), -1);
	put(c, 1, 1, 10);
	cr_assert_eq(get(c, 1, 1), -1);
	net_cache_free(c);
	remove_home(home);
}

/* Each byte of the file turned, one after the other: what is found is what was put, or nothing is. */
Test(net_cache, a_damaged_file_gives_nothing_wrong)
{
	char home[64], path[128];
	uint8_t bytes[512], bad;
	make_home(home);
	struct net_cache *c = net_cache_new(home, 64 * MIB);
	for (uint32_t i = 0; i < 3; i++)
		put(c, i, (uint8_t)i, 50);
	net_cache_free(c);
	snprintf(path, sizeof path, "%s/net-cache/00000001.seg", home);
	FILE *f = fopen(path, "rb");
	cr_assert(f);
	size_t size = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	cr_assert_eq(size, 3 * 90);
	for (size_t at = 0; at < size; at++) {
		bad = bytes[at];
		bytes[at] ^= 0x5a;
		cr_assert_eq(file_replace(path, bytes, size - (at & 1 ? 0 : at % 7), NULL), ERR_OK);
		bytes[at] = bad;
		c = net_cache_new(home, 64 * MIB);
		for (uint32_t i = 0; i < 3; i++) {
			long got = get(c, i, (uint8_t)i);
			cr_assert(got == -1 || got == 50);
		}
		net_cache_free(c);
	}
	remove_home(home);
}
