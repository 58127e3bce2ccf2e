/* owner.h - who owns a process: the record every node keeps on disk, and which of two claims wins.
 *
 * A process is known across the system by its uid (16 random bytes). Ownership of it is (uid,
 * epoch, device): a move raises the epoch by one, taking a process back by force raises the upper
 * half of the epoch, so a forced epoch is above any that ordinary moves can reach. Of two claims the
 * higher epoch wins; equal epochs (two people forced at once) are decided by the greater device id.
 * Every sink (files, screen, terminal) refuses the loser.
 *
 *	      move arrives                RELEASED written            OWNED ack of the target
 *	none -------------> OWNED (runs) -----------------> RELEASED -----------------------> GONE
 *	                    |   ^  |                           |
 *	            suspend |   |  | exits                     | taken back by force
 *	                    v   |  v                           v
 *	               SUSPENDED  ENDED                      OWNED (epoch above every other)
 *
 * O1  A node runs a process only while its record on disk says OWNED (a process that never moved
 *     may have no record yet).
 * O2  RELEASED and later: this node never runs it again unless it writes OWNED with a higher epoch first.
 * O3  The epoch of a record never sinks.
 * O4  RELEASED and SUSPENDED name an image that is whole on this node's disk.
 * O5  OWNED and pending: the device it came from is still RELEASED and has the image. A node that is restarted with such a
 *     record does not have the process: it is sent again.
 *
 * Pure; any thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "migrate/chunk.h"

#include <stdbool.h>
#include <stdint.h>

enum { UID_SIZE = 16, PEER_ID_SIZE = 32, OWNER_NAME_MAX = 64 };

/* OWNER(name, what a person reads) */
#define OWNER_STATES(OWNER)           \
	OWNER(OWNED, "here")          \
	OWNER(SUSPENDED, "suspended") \
	OWNER(RELEASED, "in flight")  \
	OWNER(GONE, "moved away")     \
	OWNER(ENDED, "ended")

enum owner_state {
#define OWNER(name, text) OWNER_##name,
	OWNER_STATES(OWNER)
#undef OWNER
	    OWNER_STATE_COUNT
};

struct owner {
	uint8_t uid[UID_SIZE];
	uint64_t epoch;
	enum owner_state state;
	uint8_t peer[PEER_ID_SIZE]; /* RELEASED: the target. GONE: where it went. else: where it
	                                 came from, or zero */
	struct chunk_addr image;    /* newest whole image on this node's disk; null: none */
	uint32_t pid;               /* its number here */
	uint64_t created_ms;        /* wall clock, of the record's last change of state */
	bool pending; /* OWNED: it runs here, but its image is not yet whole on this disk */
	bool unacked; /* OWNED, ENDED: the device it came from has not yet forgotten it */
	char name[OWNER_NAME_MAX]; /* NUL-terminated */
};

const char *owner_state_text(enum owner_state s);
/* The record as bytes (docs/formats/store.md), and back: hostile. */
void owner_write(struct wr *w, const struct owner *o);
enum err owner_read(struct rd *r, struct owner *o);
/* Asserts O3/O4 and that the fields fit the state. */
void owner_check(const struct owner *o);

/* Of processes that are away (GONE; ENDED, and nobody waits to hear of it) the newest records are kept whatever the clock says. A record that is missing
 * is a danger: a device that was off meanwhile and released the process to this one would send its old image again, which runs here
 * beside the one that went on from here; and a copy that was taken back by force would find nobody who knows better. How long a device is
 * off nobody can say, and a wall clock jumps. */
enum { OWNERS_KEPT = 1000 };
bool owner_is_away(const struct owner *o);
/* Records of processes that are away and were written before this (ms since 1970) may be dropped when they are also old; 0: none may. */
uint64_t owners_droppable_before(const struct owner *list, size_t count);

/* The epoch after an ordinary move, and after taking back by force. */
uint64_t epoch_next(uint64_t epoch);
uint64_t epoch_force(uint64_t epoch);
/* True when claim a beats claim b. Equal claims beat nobody. */
bool claim_beats(uint64_t epoch_a, const uint8_t dev_a[PEER_ID_SIZE], uint64_t epoch_b,
                 const uint8_t dev_b[PEER_ID_SIZE]);
