/* membership.h - which devices of the system are there: SWIM with Lifeguard, without I/O.
 *
 * Each node pings another one every second, in an order of its own. One that answers neither three pings nor those of five
 * helpers, twice over, is *suspect*: everybody hears of it, some look for themselves, and it is told. When enough have found the
 * same, and it has not objected in time, it is *dead*. All that is said rides on the datagrams of the pings (gossip), each
 * thing a bounded number of times, so that a node's traffic hardly grows with their number.
 *
 * What is known of a member is (incarnation, state), and the greater pair wins, wherever it comes from: nodes that have heard
 * the same things in any order agree.
 *
 *	AWAY < (0, ALIVE) < (0, SUSPECT) < (0, DEAD) < (0, LEFT) < (1, ALIVE) < ...
 *
 * Only the member itself raises its incarnation, when it hears that it is held as anything but alive. So a device that comes
 * back, or a part of the system that was cut off, is taken for alive again without a person: what is dead is pinged now and
 * then, is told, and objects. Facts (proto/facts.h) have a version that works the same way.
 *
 * Members are the paired devices: membership_add() and _remove() follow the log of devices; gossip never adds one, and what is said of a
 * device that is not known is dropped. Datagrams come from and go to members only: who sent one is the secured session's word.
 * A member signs what it says of itself: that it is alive in an incarnation above 0, that it left, its facts. A number that is not
 * proved counts as the one that is held, and that somebody is dead is believed of two members, or found out. So one that lies
 * can make others suspected, who then object; it cannot speak for them. Nothing that must be safe may hang on membership (ownership does not).
 *
 * Time is the caller's monotonic clock in milliseconds; jumps are borne. One thread at a time; nothing blocks.
 *
 *	TRY(membership_new(&(struct membership_config){.self = id, .seed = seed}, &m));
 *	TRY(membership_add(m, other));
 *	membership_datagram(m, from, bytes, size, now_ms);     // when one came
 *	membership_tick(m, now_ms);                            // at membership_due_ms() at the latest
 *	while (membership_next(m, &d)) send(d.to, d.bytes, d.size);
 *	while (membership_event(m, &e)) show(&e);
 *
 * Followed: Das, Gupta, Motivala, "SWIM" (2002); Dadgar, Phillips, Currey, "Lifeguard" (2018). The bytes: docs/formats/wire.md.
 */
#pragma once

#include "base/err.h"
#include "proto/facts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MEMBER_ID_SIZE = 32,
	MEMBER_PROOF_SIZE = 64,
	MEMBERSHIP_MAX = 4096, /* members, ourselves too */
	MEMBERSHIP_DATAGRAM_MAX =
	    1168, /* bytes: with 32 of sealing and 48 of headers they pass every IPv6 path */
};

enum member_state {
	MEMBER_AWAY,
	MEMBER_ALIVE,
	MEMBER_SUSPECT,
	MEMBER_DEAD,
	MEMBER_LEFT,
	MEMBER_STATES
};
/* "away" (not heard of since this node began), "alive" ... */
const char *member_state_text(enum member_state s);

struct membership;

/* Signatures by members. Each signs under a key that others know by its id. */
struct membership_keys {
	void *ctx;
	void (*sign)(void *ctx, uint8_t proof[MEMBER_PROOF_SIZE], const void *bytes, size_t size);
	/* Of ourselves too. */
	bool (*verify)(void *ctx, const uint8_t id[MEMBER_ID_SIZE],
	               const uint8_t proof[MEMBER_PROOF_SIZE], const void *bytes, size_t size);
};

struct membership_config {
	uint8_t self
	    [MEMBER_ID_SIZE]; /* our device id: a hash, so that its first bytes are as good as random */
	uint64_t seed;        /* fresh randomness */
	struct membership_keys keys;
};

enum err membership_new(const struct membership_config *cfg, struct membership **out);
void membership_free(struct membership *m);
/* EXISTS; LIMIT: MEMBERSHIP_MAX; NOMEM. */
enum err membership_add(struct membership *m, const uint8_t id[MEMBER_ID_SIZE]);
/* NOTFOUND; INVALID: ourselves. Nothing of it is passed on any more. */
enum err membership_remove(struct membership *m, const uint8_t id[MEMBER_ID_SIZE]);
/* What is told of ourselves. Small changes wait, so that facts stay a small part of what is sent; new addresses do not. */
void membership_set_facts(struct membership *m, const struct facts *f);
/* Says good-bye: others hold us as LEFT at once. Take what membership_next() gives, then free. */
void membership_leave(struct membership *m, uint64_t now_ms);

void membership_tick(struct membership *m, uint64_t now_ms);
uint64_t membership_due_ms(const struct membership *m);
/* Hostile bytes of a member. NOTFOUND: from is none; MALFORMED, LIMIT: nothing behind the bad byte was taken. */
enum err membership_datagram(struct membership *m, const uint8_t from[MEMBER_ID_SIZE],
                             const void *bytes, size_t size, uint64_t now_ms);

struct membership_datagram {
	const uint8_t *to;    /* MEMBER_ID_SIZE */
	const uint8_t *bytes; /* until the next call of any function */
	size_t size;
};
bool membership_next(struct membership *m, struct membership_datagram *out);

struct membership_event {
	uint8_t id[MEMBER_ID_SIZE];
	enum member_state before, after;
	bool own_verdict; /* found here, not heard from another */
};
bool membership_event(struct membership *m, struct membership_event *out);

struct member {
	uint8_t id[MEMBER_ID_SIZE];
	enum member_state state;
	uint64_t incarnation;
	uint64_t since_ms,
	    heard_ms; /* ago: its last change of state; the last datagram from itself */
	bool was_heard;
	bool has_facts;
	struct facts facts;
};
/* Members are numbered 0 to membership_count() - 1, in no order; 0 is ourselves. */
unsigned membership_count(const struct membership *m);
void membership_at(const struct membership *m, unsigned index, struct member *out);
bool membership_find(const struct membership *m, const uint8_t id[MEMBER_ID_SIZE],
                     struct member *out);
/* Lifeguard's measure of our own health: 0 well, up to 8: slow or hardly connected, and so patient with others. */
unsigned membership_health(const struct membership *m);
/* Asserts what must be true of m at any time. */
void membership_check(const struct membership *m);
