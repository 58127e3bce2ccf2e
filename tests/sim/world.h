/* world.h - the simulator's world: nodes that run proto/membership.h, a network that loses, delays, repeats and parts, and a
 * clock that a seed drives. Nothing here reads a clock or draws randomness but from the seed: a run can be repeated exactly.
 *
 * Datagrams are weighed as they are on the wire: IPv4 and UDP headers (28 bytes), and the sealing of proto/datagram.h: 29 bytes in
 * a session, 141 and 89 for the two messages of a handshake, which carry the first datagram each way, where two nodes have
 * not talked for two minutes, and an empty datagram after them. Proofs have the size of signatures.
 */
#pragma once

#include "proto/membership.h"

enum { NODES_MAX = 4000, KEY_SECONDS = 120 };

struct sim_node {
	struct membership *m; /* NULL: down */
	uint8_t id[MEMBER_ID_SIZE];
	uint64_t since;     /* us: up or down since */
	uint64_t wake;      /* us: when its tick is planned */
	uint64_t stopped;   /* us: not run before (a laptop's lid) */
	uint64_t offset_ms; /* of its clock */
	unsigned part;      /* of a network that is cut: those of one part reach each other */
	bool left;          /* it said good-bye */
	uint64_t bytes, datagrams; /* sent */
	unsigned lives;
};

struct sim_faults {
	double loss, twice;
	unsigned delay_ms, jitter_ms;
};

struct sim_event;

struct sim {
	uint64_t seed, random;
	uint64_t now; /* us */
	unsigned count;
	struct sim_faults faults;
	unsigned liar; /* 1 + a node that says of others in each datagram what is not so; 0: none */
	struct sim_node *nodes;
	uint32_t *
	    sessions; /* [from * count + to]: second at which keys are too old; 0: none, 1: a handshake is to be answered */
	struct sim_event *events;
	unsigned event_count, event_cap;
	uint64_t order; /* of events at the same time */
	uint64_t trace; /* a hash of all that happened */
	uint64_t delivered, wakes;
	/* told of each change that a node sees in another */
	void (*on_event)(struct sim *s, unsigned node, unsigned about,
	                 const struct membership_event *e);
	void *ctx;
};

void sim_init(struct sim *s, uint64_t seed, unsigned count, const struct sim_faults *faults);
void sim_free(struct sim *s);
uint64_t sim_random(struct sim *s, uint64_t below);
bool sim_chance(struct sim *s, double p);
/* A new life: nothing of the former one is remembered. */
void sim_start(struct sim *s, unsigned node);
void sim_kill(struct sim *s, unsigned node);
void sim_leave(struct sim *s, unsigned node);
/* Its clock jumps; it learns of the jump when it next runs. */
void sim_jump(struct sim *s, unsigned node, int64_t by_ms);
/* It does not run for so long; what comes meanwhile waits in part, and the rest is lost. */
void sim_stop(struct sim *s, unsigned node, uint64_t for_ms);
void sim_set_facts(struct sim *s, unsigned node, const struct facts *f);
void sim_run(struct sim *s, uint64_t until_us);
