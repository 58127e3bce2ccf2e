/* device_log.c - fuzzes the log of devices: entries of any bytes, signed and not, by known devices and by nobody. What is taken is given back
 * byte for byte, a second copy that takes it in another order says the same, and who was never added is no member.
 *
 * The input is a row of orders: a byte says what, then come its bytes. Orders that write use the real keys of three devices, so that
 * what stands behind the signature check is reached. */
#include "proto/device_log.h"
#include "proto/message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEVICES = 4, ENTRIES = 16, STRANGER = DEVICES - 1 };

struct table {
	uint8_t id[DEVICES][32], secret[DEVICES][32];
	struct device_log *log;
	bool added; /* the stranger */
};

static void check(bool truth)
{
	if (!truth)
		abort();
}

static struct device_author author(const struct table *t, unsigned i)
{
	return (struct device_author){t->id[i], t->secret[i]};
}

static void start(struct table *t)
{
	memset(t, 0, sizeof *t);
	t->log = device_log_new();
	check(t->log != NULL);
	for (unsigned i = 0; i < DEVICES; i++) {
		uint8_t key[32];
		t->secret[i][0] = (uint8_t)(8 * i + 8);
		crypto_x25519_public(key, t->secret[i]);
		crypto_blake2b(t->id[i], key, 32);
		struct device_author who = author(t, i);
		check(device_log_found(t->log, &who, "device", NULL, i, NULL) == ERR_OK);
	}
}

static void write_one(struct table *t, uint8_t what, uint8_t who_and_whom, uint8_t extra)
{
	char name[2] = {(char)('a' + extra % 26), 0};
	unsigned by = who_and_whom % DEVICES, about = who_and_whom / DEVICES % DEVICES;
	struct device_author who = author(t, by);
	struct device_change c = {what % DEVICE_ACTS, t->id[about], extra % DEVICE_ROLES, NULL};
	if (c.act == DEVICE_KEYS) {
		uint8_t next[32] = {extra, 1};
		if (device_log_rotate(t->log, &who, next, extra, NULL) == ERR_OK)
			memcpy(t->secret[by], next, 32);
		return;
	}
	if (c.act == DEVICE_NAME)
		c.name = name;
	if (c.act != DEVICE_ADD && c.act != DEVICE_ROLE)
		c.role = 0;
	if (device_log_write(t->log, &who, &c, extra, NULL) == ERR_OK)
		t->added |= c.act == DEVICE_ADD && about == STRANGER;
}

/* Fields of an entry from the input, its parents from the log, signed well. */
static void take_signed(struct table *t, const uint8_t *p, size_t size)
{
	struct wr bytes = {0};
	uint8_t proof[64];
	wr_bytes(&bytes, "WasmOS device log 1", 20);
	wr_bytes(&bytes, p, size);
	crypto_xed_sign(proof, t->secret[size % STRANGER], bytes.data, bytes.size);
	device_log_take(t->log, p, size, proof, NULL);
	wr_free(&bytes);
}

/* An entry that is there, with one byte changed, signed anew. */
static void take_changed(struct table *t, uint8_t which, uint8_t where, uint8_t value)
{
	uint8_t bytes[DEVICE_LOG_ENTRY_MAX];
	struct device_entry e = device_log_at(t->log, which % device_log_count(t->log));
	memcpy(bytes, e.bytes, e.size);
	bytes[where % e.size] = value;
	take_signed(t, bytes, e.size);
}

static void order(struct table *t, const uint8_t **p, const uint8_t *end)
{
	uint8_t what = *(*p)++;
	size_t size = what < 128 ? 2 : what < 192 ? 3 : what - 192u;
	if ((size_t)(end - *p) < size)
		size = (size_t)(end - *p);
	if (what < 128 && size == 2)
		write_one(t, what, (*p)[0], (*p)[1]);
	else if (what < 192 && size == 3)
		take_changed(t, (*p)[0], (*p)[1], (*p)[2]);
	else if (size)
		take_signed(t, *p, size);
	*p += size;
}

/* The last first, as far as its parents are there: another order of the same entries. */
static struct device_log *copy(const struct device_log *from)
{
	struct device_log *to = device_log_new();
	unsigned count = device_log_count(from);
	check(to != NULL);
	for (bool grew = true; grew;) {
		grew = false;
		for (unsigned i = count; i-- > 0;) {
			struct device_entry e = device_log_at(from, i);
			grew |= device_log_take(to, e.bytes, e.size, e.proof, NULL) == ERR_OK;
		}
	}
	check(device_log_count(to) == count);
	return to;
}

static void compare(const struct table *t, const struct device_log *other, unsigned me)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		struct device_row a, b;
		check(device_log_row(t->log, t->id[me], t->id[i], &a) == ERR_OK);
		check(device_log_row(other, t->id[me], t->id[i], &b) == ERR_OK);
		check(a.state == b.state && a.role == b.role && strcmp(a.name, b.name) == 0);
		check(memcmp(a.key, b.key, sizeof a.key) == 0);
		check(t->added || me == STRANGER || i != STRANGER || a.state != DEVICE_MEMBER);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct table t;
	const uint8_t *p = data, *end = data + size;
	uint8_t heads[DEVICE_LOG_HEADS_MAX][DEVICE_LOG_HASH_SIZE], proof[64] = {0};
	start(&t);
	device_log_take(t.log, data, size, proof, NULL);
	while (p < end && device_log_count(t.log) < ENTRIES)
		order(&t, &p, end);
	check(device_log_heads(t.log, heads) >= 1);
	struct device_log *other = copy(t.log);
	for (unsigned me = 0; me < DEVICES; me++)
		compare(&t, other, me);
	device_log_free(other);
	device_log_free(t.log);
	return 0;
}
