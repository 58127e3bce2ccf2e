/* heal.h - chunks that the disk has damaged come back from devices that have them.
 *
 * A chunk is asked for by its address, in calls of service LINK_SERVICE_CHUNK, which only paired devices that run each other's programs may make:
 *
 *	call      u8 version 1, 33 address, u32 offset
 *	answer    u32 bytes of the chunk, those from offset on, up to HEAL_PART
 *
 * Who knows the address knows of the contents, so it is no secret from who asks. What comes is hostile until it has the address's hash.
 *
 *	heal_serve(n);                                  // once, on the loop
 *	struct heal_from from = heal_from(n);           // on the loop
 *	heal_chunks(n, &from, &healed, &left);          // on the pool
 */
#pragma once

#include "base/err.h"
#include "node/links/device.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct node;

enum {
	HEAL_PEERS_MAX = 16,
	HEAL_CHUNKS_MAX = 256, /* in one go */
	HEAL_PART = 256 << 10,
	HEAL_TIMEOUT_MS = 5000,
	HEAL_SERVED_MAX = 4, /* calls that are answered at once; further ones get ERR_BUSY */
};

struct heal_from {
	uint8_t ids[HEAL_PEERS_MAX][DEVICE_ID_SIZE];
	unsigned count;
};

struct heal; /* n's serving side, owned by upkeep */

enum err heal_serve(struct node *n, struct heal **out);
/* Waits for what is being answered. */
void heal_free(struct node *n, struct heal *h);
/* The devices that are linked now. */
struct heal_from heal_from(struct node *n);
/* Asks for each damaged chunk, writes those that came. *left: that nobody had. *stop: ends soon when it becomes true. Pool thread. */
void heal_chunks(struct node *n, const struct heal_from *from, const atomic_bool *stop,
                 uint32_t *healed, uint32_t *left);
