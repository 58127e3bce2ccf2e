/* test_beacon.c - beacons: who has the key and the time understands one, nobody else learns anything by it, and nobody speaks for another. */
#include "proto/beacon.h"

#include <criterion/criterion.h>
#include <string.h>

static const uint8_t group[32] = {1, 2, 3}, other_group[32] = {1, 2, 4}, salt[16] = {9};
static const uint8_t secret[32] = {8, 1}, other_secret[32] = {8, 2};

enum { NOW = BEACON_WINDOW_MS * 1000 };

static struct beacon sample(void)
{
	struct beacon b = {
	    .address = {192, 0, 2, 7}, .address_size = 4, .port = 4747, .time_ms = NOW};
	memset(b.device, 0xd5, sizeof b.device);
	return b;
}

static void seal(struct beacon b, uint8_t out[BEACON_SIZE])
{
	beacon_seal(group, secret, salt, &b, out);
}

static bool is_signed_by(const struct beacon *b, const uint8_t *device_secret)
{
	uint8_t key[32];
	crypto_xed_public(key, device_secret);
	return beacon_is_by(b, key);
}

Test(beacon, who_has_the_key_reads_what_was_said_and_by_whom)
{
	struct beacon b = sample(), got;
	uint8_t bytes[BEACON_SIZE];
	seal(b, bytes);
	cr_assert_eq(beacon_open(group, NOW, bytes, sizeof bytes, &got), ERR_OK);
	cr_assert(!memcmp(got.device, b.device, 32) && !memcmp(got.address, b.address, 16));
	cr_assert(got.address_size == 4 && got.port == 4747 && got.time_ms == NOW);
	cr_assert(is_signed_by(&got, secret));
	b.address_size = 16;
	memset(b.address, 0xfe, 16);
	seal(b, bytes);
	cr_assert_eq(beacon_open(group, NOW, bytes, sizeof bytes, &got), ERR_OK);
	cr_assert(got.address_size == 16 && !memcmp(got.address, b.address, 16));
}

Test(beacon, another_key_understands_nothing)
{
	struct beacon got;
	uint8_t bytes[BEACON_SIZE];
	seal(sample(), bytes);
	cr_assert_eq(beacon_open(other_group, NOW, bytes, sizeof bytes, &got), ERR_AUTH);
	cr_assert(crypto_is_zero(&got, sizeof got));
}

Test(beacon, clocks_may_be_two_windows_apart_and_not_three)
{
	struct beacon got;
	uint8_t bytes[BEACON_SIZE];
	seal(sample(), bytes);
	for (int apart = -4; apart <= 4; apart++) {
		uint64_t now = (uint64_t)(NOW + apart * BEACON_WINDOW_MS);
		enum err want = apart >= -2 && apart <= 2 ? ERR_OK : ERR_AUTH;
		cr_assert_eq(beacon_open(group, now, bytes, sizeof bytes, &got), want, "%d", apart);
	}
}

Test(beacon, a_clock_that_says_1970_or_the_end_of_time_is_only_wrong)
{
	struct beacon b = sample(), got;
	uint8_t bytes[BEACON_SIZE];
	seal(b, bytes);
	cr_assert_eq(beacon_open(group, 0, bytes, sizeof bytes, &got), ERR_AUTH);
	cr_assert_eq(beacon_open(group, UINT64_MAX, bytes, sizeof bytes, &got), ERR_AUTH);
	b.time_ms = 0;
	seal(b, bytes);
	cr_assert_eq(beacon_open(group, 0, bytes, sizeof bytes, &got), ERR_OK);
	b.time_ms = UINT64_MAX;
	seal(b, bytes);
	cr_assert_eq(beacon_open(group, UINT64_MAX, bytes, sizeof bytes, &got), ERR_OK);
}

Test(beacon, two_of_the_same_content_share_no_bytes_that_could_be_followed)
{
	uint8_t a[BEACON_SIZE], b[BEACON_SIZE], again[16] = {10};
	struct beacon s = sample();
	unsigned same = 0;
	seal(s, a);
	beacon_seal(group, secret, again, &s, b);
	for (unsigned i = BEACON_SALT; i < BEACON_SIZE; i++)
		same += a[i] == b[i];
	cr_assert_lt(same, 8); /* of 156: less than one is expected by chance */
	s.time_ms += BEACON_WINDOW_MS;
	beacon_seal(group, secret, salt, &s, b);
	cr_assert(memcmp(a + BEACON_SALT, b + BEACON_SALT, BEACON_TAG) != 0, "the tag rotates");
}

Test(beacon, a_changed_bit_anywhere_makes_it_nothing)
{
	uint8_t bytes[BEACON_SIZE];
	struct beacon got;
	seal(sample(), bytes);
	for (unsigned bit = 0; bit < 8 * BEACON_SIZE; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(beacon_open(group, NOW, bytes, sizeof bytes, &got), ERR_AUTH);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	cr_assert_eq(beacon_open(group, NOW, bytes, sizeof bytes - 1, &got), ERR_MALFORMED);
	cr_assert_eq(beacon_open(group, NOW, bytes, 0, &got), ERR_MALFORMED);
	cr_assert_eq(beacon_open(group, NOW, bytes, sizeof bytes, &got), ERR_OK);
}

/* Who was removed has the old key, and its own. */
Test(beacon, who_has_the_systems_key_does_not_speak_for_another_device)
{
	struct beacon b = sample(), got;
	uint8_t bytes[BEACON_SIZE];
	beacon_seal(group, other_secret, salt, &b, bytes);
	cr_assert_eq(beacon_open(group, NOW, bytes, sizeof bytes, &got), ERR_OK);
	cr_assert_not(is_signed_by(&got, secret));
	seal(b, bytes);
	cr_assert_eq(beacon_open(group, NOW, bytes, sizeof bytes, &got), ERR_OK);
	got.address[3]++; /* a signature of another address */
	cr_assert_not(is_signed_by(&got, secret));
	got.address[3]--;
	got.salt[0]++;
	cr_assert_not(is_signed_by(&got, secret));
}

Test(beacon, two_devices_share_a_key_that_no_third_has)
{
	uint8_t key[32], other_key[32], third[32] = {8, 3}, a[32], b[32], c[32], none[32] = {0};
	crypto_x25519_public(key, secret);
	crypto_x25519_public(other_key, other_secret);
	cr_assert_eq(beacon_pair_secret(secret, other_key, a), ERR_OK);
	cr_assert_eq(beacon_pair_secret(other_secret, key, b), ERR_OK);
	cr_assert_eq(beacon_pair_secret(third, key, c), ERR_OK);
	cr_assert(!memcmp(a, b, 32) && memcmp(a, c, 32) != 0);
	cr_assert_eq(beacon_pair_secret(secret, none, c), ERR_AUTH);
}
