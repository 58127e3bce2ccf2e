/* gossip.c - fuzzes membership: any bytes from members, with time between them. The tables stay sound, what goes out fits a
 * datagram and is taken by another member, and nobody but a member is ever named in an event. A proof that begins with 1 is taken, as the
 * fuzzer cannot sign.
 *
 * Input: u8 sender, u8 time (16 ms steps; 255: a jump), u8 size, the datagram; and so on. */
#include "base/bytes.h"
#include "proto/membership.h"
#include "tests/member_keys.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMBERS = 12, STEPS = 64, ROUNDS = 8 };

static void check(bool truth)
{
	if (!truth)
		abort();
}

/* The last two have the same short id. */
static void id_of(unsigned i, uint8_t id[MEMBER_ID_SIZE])
{
	memset(id, 0, MEMBER_ID_SIZE);
	id[0] = (uint8_t)(i < MEMBERS - 1 ? i + 1 : i);
	id[9] = (uint8_t)i;
}

static bool any_proof(void *ctx, const uint8_t *id, const uint8_t *proof, const void *bytes,
                      size_t size)
{
	return proof[0] == 1 || member_verify(ctx, id, proof, bytes, size);
}

static struct membership *member(unsigned self)
{
	static uint8_t ids[MEMBERS][MEMBER_ID_SIZE];
	id_of(self, ids[self]);
	struct membership_config cfg = {.seed = self, .keys = member_keys(ids[self])};
	cfg.keys.verify = any_proof;
	struct membership *m;
	uint8_t id[MEMBER_ID_SIZE];
	id_of(self, cfg.self);
	check(membership_new(&cfg, &m) == ERR_OK);
	for (unsigned i = 0; i < MEMBERS; i++) {
		id_of(i, id);
		if (i != self)
			check(membership_add(m, id) == ERR_OK);
	}
	return m;
}

static void take_out(struct membership *m, struct membership *other, uint64_t now)
{
	struct membership_datagram d;
	struct membership_event e;
	struct member found;
	uint8_t self[MEMBER_ID_SIZE];
	id_of(0, self);
	for (unsigned n = 0; membership_next(m, &d); n++) {
		check(d.size && d.size <= MEMBERSHIP_DATAGRAM_MAX && n < 1000);
		check(membership_datagram(other, self, d.bytes, d.size, now) == ERR_OK);
	}
	while (membership_event(m, &e))
		check(membership_find(m, e.id, &found) && e.before != e.after &&
		      e.after < MEMBER_STATES);
	while (membership_next(other, &d))
		check(d.size <= MEMBERSHIP_DATAGRAM_MAX);
	membership_check(m);
	membership_check(other);
}

static uint64_t pass(struct membership *m, struct membership *other, uint8_t time, uint64_t now)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		now += time == 255 ? 3600000 : time * 16;
		membership_tick(m, now);
		take_out(m, other, now);
	}
	return now;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct membership *m = member(0), *other = member(1);
	struct rd r = rd_of(data, size);
	struct facts f = {.cores = 4, .battery_percent = FACTS_NO_BATTERY};
	uint64_t now = 1000000;
	uint8_t from, time, count, id[MEMBER_ID_SIZE];
	const uint8_t *bytes;
	membership_set_facts(m, &f);
	membership_tick(other, now);
	for (unsigned i = 0; i < STEPS; i++) {
		if (rd_u8(&r, &from) != ERR_OK || rd_u8(&r, &time) != ERR_OK ||
		    rd_u8(&r, &count) != ERR_OK)
			break;
		if (rd_bytes(&r, count < rd_left(&r) ? count : rd_left(&r), &bytes) != ERR_OK)
			break;
		id_of(from % (MEMBERS + 1), id);
		enum err e = membership_datagram(m, id, bytes, (size_t)(r.p - bytes), now);
		check((e == ERR_NOTFOUND) ==
		      (from % (MEMBERS + 1) == 0 || from % (MEMBERS + 1) == MEMBERS));
		now = pass(m, other, time, now);
		if (from == 251)
			check(membership_remove(m, id) != ERR_OK ||
			      membership_add(m, id) == ERR_OK);
	}
	if (size % 7 == 0)
		membership_leave(m, now);
	take_out(m, other, now);
	membership_free(m);
	membership_free(other);
	return 0;
}
