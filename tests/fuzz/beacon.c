/* beacon.c - fuzzes what a node hears on a network: bytes of strangers, and beacons of a member that has the key and breaks every rule of their
 * inside; and the system's keys as they stand on disk.
 *
 * Input: u8 what; 0: a datagram. 1: what is sealed under the key: u8 of its time's window, then the inside. 2: keys on disk. The layout is written
 * down here once more, as docs/formats/wire.md has it. */
#include "base/bytes.h"
#include "proto/beacon.h"
#include "proto/group_key.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	INSIDE = BEACON_SAID + CRYPTO_SIGN_SIZE,
	HEAD = BEACON_SALT + BEACON_TAG,
	NOW_WINDOW = 1000
};

static const uint8_t group[32] = {5}, secret[32] = {8}, salt[BEACON_SALT] = {3};

static void check(bool truth)
{
	if (!truth)
		abort();
}

/* What was understood is what can be said: sealed again it is understood as the same. */
static void check_beacon(const struct beacon *b)
{
	uint8_t bytes[BEACON_SIZE], key[32];
	struct beacon again;
	check(b->port && (b->address_size == 4 || b->address_size == 16));
	beacon_seal(group, secret, salt, b, bytes);
	check(beacon_open(group, b->time_ms, bytes, sizeof bytes, &again) == ERR_OK);
	check(again.time_ms == b->time_ms && again.port == b->port);
	check(again.address_size == b->address_size && !memcmp(again.address, b->address, 16));
	check(!memcmp(again.device, b->device, sizeof b->device));
	crypto_xed_public(key, secret);
	check(beacon_is_by(&again, key));
	beacon_is_by(b, key);
}

static void hear(const uint8_t *bytes, size_t size)
{
	struct beacon b;
	uint64_t now = (uint64_t)NOW_WINDOW * BEACON_WINDOW_MS;
	if (beacon_open(group, now, bytes, size, &b) == ERR_OK)
		check_beacon(&b);
	else
		check(crypto_is_zero(&b, sizeof b));
}

static void derive(uint64_t window, uint8_t out[BEACON_TAG + CRYPTO_KEY_SIZE])
{
	uint8_t in[20 + 8 + BEACON_SALT] = "WasmOS beacon tag 1";
	for (unsigned i = 0; i < 8; i++)
		in[20 + i] = (uint8_t)(window >> 8 * i);
	memcpy(in + 28, salt, BEACON_SALT);
	crypto_blake2b_keyed(out, BEACON_TAG + CRYPTO_KEY_SIZE, group, sizeof group, in, sizeof in);
}

static void hear_sealed(uint8_t window, const uint8_t *data, size_t size)
{
	uint8_t bytes[BEACON_SIZE], keys[BEACON_TAG + CRYPTO_KEY_SIZE], inside[INSIDE] = {0};
	memcpy(inside, data, size < INSIDE ? size : INSIDE);
	derive(NOW_WINDOW - 4u + window % 9, keys);
	memcpy(bytes, salt, BEACON_SALT);
	memcpy(bytes + BEACON_SALT, keys, BEACON_TAG);
	crypto_seal(bytes + HEAD, keys + BEACON_TAG, 0, bytes, HEAD, inside, sizeof inside);
	hear(bytes, sizeof bytes);
}

static void read_keys(const uint8_t *data, size_t size)
{
	struct group_keys k;
	uint8_t bytes[GROUP_KEYS_BYTES];
	if (group_keys_read(data, size, &k) != ERR_OK) {
		check(k.count == 0);
		return;
	}
	check(group_keys_write(&k, bytes) == size && !memcmp(bytes, data, size));
	group_keys_expire(&k, UINT64_C(1) << 41);
	check(k.count <= GROUP_KEYS_MAX);
	bool is_new = group_keys_take(&k, secret, 1, group, 1);
	check(k.count && (!is_new || group_keys_current(&k, secret)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	switch (data[0] % 3) {
	case 0: hear(data + 1, size - 1); break;
	case 1: hear_sealed(data[1], data + 2, size - 2); break;
	case 2: read_keys(data + 1, size - 1); break;
	}
	return 0;
}
