/* relay.h - clients of this device that are attached to a process of another one.
 *
 * When a process moves away, its clients' calls (run, attach, logs -f) stay with this node, which asks
 * the process's device for a session (messages TTY_*) and passes bytes both ways. The devices talk
 * directly: after A to B to C, A's client is served by C. When the process comes home, or was here
 * already, the call becomes an ordinary session again. A link that breaks is waited for. A part of the
 * node; loop thread.
 *
 *	relay_begin(n, &(struct relay_start){.call = c, .uid = uid, .device = id, .flags = flags});
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct control_call;
struct node;
struct peer;

struct relay_start {
	struct control_call *call; /* taken */
	unsigned flags;            /* enum session_flags */
	const uint8_t *uid;        /* of the process, PROCESS_UID_SIZE */
	const uint8_t *device;     /* where it is, DEVICE_ID_SIZE */
	uint16_t cols, rows;
	bool raw, eof;        /* raw: what the client was told; eof: comes after input */
	const uint8_t *input; /* bytes of the client that no one has taken yet: copied */
	size_t input_size;
};
void relay_begin(struct node *n, const struct relay_start *s);
/* To a device that has a session with us: its process went to device (zero: it is gone for good). */
void relay_tell_moved(struct peer *p, uint32_t id, const uint8_t device[32]);
