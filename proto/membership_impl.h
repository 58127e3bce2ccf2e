/* membership_impl.h - what the files of membership share: the tables, the constants, who calls whom.
 *
 *	membership.c  members, their states, time
 *	suspicion.c   suspects: who confirms, when it is over
 *	probe.c       pings, helpers, our own health
 *	gossip.c      records on the wire, and which ride along
 *	sync.c        comparing tables, finding those who are away
 *	proof.c       what a member signs of itself
 *
 * M1  members[0] is ourselves; its state is ALIVE, or LEFT once we leave.
 * M2  A member is SUSPECT exactly when it has a row in suspicions, and its `suspicion` is that row's index + 1.
 * M3  order holds every member once, by short id, then id.
 * M4  What a row says grows only: (incarnation, state) never sinks but by membership_remove().
 * M5  A member with records to be sent is in pending.
 * M6  A row whose incarnation is above 0, or that LEFT, holds the member's own proof of that; so does one with facts.
 *
 * Times in here are *lived* milliseconds: the caller's clock without its jumps and the time we were stopped.
 */
#pragma once

#include "base/bytes.h"
#include "proto/membership.h"

enum {
	SELF = 0,
	NOBODY = UINT16_MAX,
	/* probing */
	PERIOD_MS = 1000,    /* one probe */
	STEP_MS = 180,       /* between its pings */
	PINGS = 3,           /* direct ones a probe */
	PROBES = 2,          /* that must fail */
	LAST_PROBE_MS = 700, /* the second is decided sooner */
	HELPERS = 5,         /* asked to ping in our place */
	HELP_MS = 300,       /* for how long a helper waits before it says so */
	RELAYS = 32,         /* pings in others' places at a time */
	HEALTH_MAX = 8,
	/* suspicion */
	SUSPECT_MS = 2400,   /* times log10 of the members: the shortest */
	SUSPECT_LONGEST = 6, /* times the shortest: with nobody to confirm it */
	CONFIRMATIONS = 3,   /* that make it shortest */
	DEATH_TELLERS = 2,   /* who say that it is dead, and are believed */
	CHECKERS = 6,        /* of all who hear of a suspect, about so many look for themselves */
	CHECKS = 8,          /* that wait for their turn here */
	LAST_LOOK_MS = 2200, /* before the end of a suspicion: pings, one every ... */
	LAST_LOOK_STEP_MS = 600,
	/* gossip */
	GOSSIP_BASE = 4, /* a record is sent that often, and ... */
	GOSSIP_LOG = 4,  /* times log10 of the members */
	LEAVE_TELLS = 8,
	VERDICT_TELLS = 4, /* told at once of what was found here */
	/* sync */
	SYNC_MS = 10000,       /* a slice of the table to one of the living */
	SYNC_STEP_MS = 150,    /* between slices when all are compared */
	SYNC_ALL_MS = 20000,   /* at most so often */
	ANSWERS = 4,           /* datagrams to one slice */
	TOLD_MS = 400,         /* between two datagrams that only say how somebody is held */
	SEARCH_MS = 10000,     /* one of those who are not there is pinged */
	LONELY_MS = 1000,      /* likewise, when nobody is there */
	FACTS_MS = 60000,      /* the least between two versions, or ... */
	FACTS_MEMBER_MS = 900, /* times the members */
	STOPPED_MS = 2000,     /* being called so late means that we were stopped */
};

static const uint64_t incarnation_max = UINT64_C(1) << 48; /* and of versions */

struct row {
	uint8_t id[MEMBER_ID_SIZE];
	uint32_t short_id;
	bool collides;   /* another member has the same short id */
	uint8_t answers; /* in one comparison: ANSWER_ bits, of what we know better */
	uint8_t state;
	uint8_t facts_size;
	uint8_t status_left, facts_left; /* how often they are still to be sent */
	bool pending;
	uint16_t suspicion;
	uint32_t mark;          /* the last comparison that named it */
	uint32_t by;            /* short id of the last who suspected it */
	uint64_t facts_version; /* 0: none yet; the lower 16 bits are of its node's life */
	uint64_t incarnation;
	uint64_t since, heard, told; /* lived; heard, told (by NEWS of its own) 0: never */
	uint8_t *facts;
	uint8_t proof[MEMBER_PROOF_SIZE]; /* of incarnation: that it is alive in it, or LEFT */
	uint8_t facts_proof[MEMBER_PROOF_SIZE];
};

struct suspicion {
	uint16_t row;
	uint8_t count; /* of by */
	uint8_t tells; /* how often it was told outright */
	uint64_t since;
	uint64_t look; /* when to ping or tell it next */
	uint32_t by[CONFIRMATIONS + 1];
	uint8_t deaths;
	uint32_t dead_by[DEATH_TELLERS]; /* who sent that it is dead */
};

/* Something that is said of a member. */
struct claim {
	uint8_t state;
	bool own_verdict;
	uint64_t incarnation;
	uint32_t by;          /* SUSPECT: short id of who says so */
	uint16_t from;        /* whose datagram it was in; own verdict: SELF */
	const uint8_t *proof; /* of the member, for the incarnation; NULL: none */
};

struct relay {
	uint16_t asker, target; /* NOBODY: free */
	uint16_t asked_seq;
	uint64_t until;
};

struct probe {
	uint16_t target; /* NOBODY: none */
	uint16_t seq;
	uint8_t failed, pings;
	bool asked, helped, nacked;
	uint64_t began, next;
};

struct membership {
	struct row *members;
	uint16_t *slots; /* hash table by short id: index + 1 */
	uint16_t *order, *ring, *pending;
	struct suspicion *suspicions;
	unsigned count, cap, slot_count, living; /* living: alive or suspect, with ourselves */
	unsigned suspicion_count, pending_count, ring_at, sync_at, search_at;
	struct relay relays[RELAYS];
	struct probe probe;
	uint16_t checks[CHECKS];
	unsigned check_count;
	uint64_t random;
	struct membership_keys keys;
	uint64_t clock, lived,
	    promised; /* the caller's clock, ours, and when the caller was to come */
	uint64_t sync_next, search_next, facts_next, all_since;
	uint16_t all_with; /* NOBODY, or whom the whole table is compared with */
	unsigned all_at;   /* how far */
	uint16_t seq;
	uint16_t life; /* random: facts of two lives never have the same version */
	uint8_t health;
	bool started, leaving;
	bool facts_wait;
	uint8_t own_facts[FACTS_MAX]; /* the newest; they may wait to be told */
	uint8_t own_facts_size;
	uint32_t mark;
	/* while one datagram is handled: what its sender has to be told */
	bool tell_self, tell_held, tell_facts;
	bool doubt;        /* it had a wrong proof: no other of it is looked at */
	uint16_t handling; /* its sender, or NOBODY */
	struct wr packet;  /* being written */
	struct wr out, events;
	size_t out_at, events_at;
};

/* --- membership.c --- */
uint64_t member_random(struct membership *m, uint64_t below);
/* Thousandths of log10, at least 1000. */
unsigned member_log10(unsigned n);
/* NOBODY: none. */
uint16_t member_by_id(const struct membership *m, const uint8_t id[MEMBER_ID_SIZE]);
uint16_t member_by_short(const struct membership *m, uint32_t short_id);
bool member_lives(const struct row *r);
/* One who is alive, neither us nor but; NOBODY: none. */
uint16_t member_any_living(struct membership *m, uint16_t but);
/* Does (state, incarnation) replace what r says? */
bool status_beats(uint8_t state, uint64_t incarnation, const struct row *r);
void member_heard_of(struct membership *m, uint16_t row, const struct claim *said);
void member_set(struct membership *m, uint16_t row, uint8_t state, uint64_t incarnation,
                bool own_verdict);
void member_facts(struct membership *m, uint16_t row, uint64_t version, const uint8_t *bytes,
                  uint8_t size, const uint8_t proof[MEMBER_PROOF_SIZE]);
void health_add(struct membership *m, int by);

/* --- suspicion.c --- */
void suspicion_begin(struct membership *m, uint16_t row, uint32_t by);
void suspicion_confirm(struct membership *m, uint16_t row, uint32_t by);
void suspicion_end(struct membership *m, uint16_t row);
/* Somebody says that the suspect is dead. True: so many do that it is believed. */
bool suspicion_death(struct membership *m, uint16_t row, uint16_t from);
void suspicions_tick(struct membership *m);
uint64_t suspicions_due(const struct membership *m);

/* --- probe.c --- */
void probe_check(struct membership *m, uint16_t row);
void probe_tick(struct membership *m);
uint64_t probe_due(const struct membership *m);
void probe_acked(struct membership *m, uint16_t from, uint16_t seq);
void probe_nacked(struct membership *m, uint16_t seq);
void probe_asked(struct membership *m, uint16_t from, uint16_t seq, uint16_t target);
void probe_forget(struct membership *m, uint16_t row);

/* --- proof.c --- */
enum { PROOF_ALIVE = MEMBER_ALIVE, PROOF_LEFT = MEMBER_LEFT, PROOF_FACTS };
/* We say so: number is an incarnation or a version; bytes are the facts. */
void proof_make(struct membership *m, unsigned kind, uint64_t number, const uint8_t *bytes,
                uint8_t size, uint8_t proof[MEMBER_PROOF_SIZE]);
bool proof_holds(struct membership *m, uint16_t row, unsigned kind, uint64_t number,
                 const uint8_t *bytes, uint8_t size, const uint8_t proof[MEMBER_PROOF_SIZE]);
/* Which of the two a state is proved by. */
unsigned proof_kind(uint8_t state);

/* --- gossip.c --- */
enum datagram_type {
	DATAGRAM_PING = 1,
	DATAGRAM_ACK,
	DATAGRAM_NACK,
	DATAGRAM_ASK,
	DATAGRAM_NEWS,
	DATAGRAM_SYNC
};
/* A record is to be sent as often as it should. */
void gossip_status(struct membership *m, uint16_t row);
void gossip_facts(struct membership *m, uint16_t row);
/* Begins a datagram in m->packet; gossip_send() fills it up and queues it. */
void gossip_begin(struct membership *m, enum datagram_type type);
void gossip_send(struct membership *m, uint16_t to);
/* Queues it as it is. */
void gossip_queue(struct membership *m, uint16_t to);
void gossip_send_plain(struct membership *m, uint16_t to, enum datagram_type type, uint16_t seq);
void gossip_put_ref(struct membership *m, uint8_t head, uint16_t row);
/* What there is to say to so many of the living, now. */
void gossip_spread(struct membership *m, unsigned count);
/* Likewise to one, and ourselves, if it may not know us. */
void gossip_tell_self(struct membership *m, uint16_t to);
enum err gossip_read(struct membership *m, uint16_t from, struct rd *r);
/* NOBODY in *row: a device that is not known. */
enum err gossip_read_ref(const struct membership *m, struct rd *r, uint8_t head, uint16_t *row);
/* An incarnation or a version. */
enum err gossip_read_number(struct rd *r, uint64_t *number);
/* Append if it fits into a datagram; false: it does not, and nothing was. With the proof, if there is any; _hint(): only that of a LEFT. */
bool gossip_put_status(struct membership *m, uint16_t row);
bool gossip_put_hint(struct membership *m, uint16_t row);
bool gossip_put_facts(struct membership *m, uint16_t row);

/* --- sync.c --- */
void sync_tick(struct membership *m);
uint64_t sync_due(const struct membership *m);
enum err sync_read(struct membership *m, uint16_t from, struct rd *r);
/* One who was not there is: compare everything, unless that was just done. */
void sync_met(struct membership *m, uint16_t row);
