/* keys.h - bytes of a terminal become keys: pressed, repeated, released.
 *
 * Understood: plain bytes and UTF-8, the CSI and SS3 sequences of xterm with modifiers, buttons of the
 * mouse (SGR 1006), and the kitty keyboard protocol, which alone tells of releases. Without it a key is
 * taken to be held for KEYS_HOLD_NS after it was last heard of. A value without allocations; one thread.
 *
 *	struct keys k;
 *	keys_init(&k, emit, ctx);
 *	keys_bytes(&k, bytes, size, now_ns);
 *	keys_time(&k, now_ns);               // at keys_due_ns(&k)
 */
#pragma once

#include "sdk/include/wasmos.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYS_HOLD_NS UINT64_C(150000000)
/* An ESC that nothing follows for so long is the key. */
#define KEYS_ESCAPE_NS UINT64_C(30000000)

enum {
	KEYS_SEQUENCE_MAX = 64, /* bytes of an escape sequence; longer ones are dropped */
	KEYS_HELD_MAX = 16,     /* keys held at once without releases from the terminal */
};

struct keys {
	void (*emit)(void *ctx, const struct wasmos_event *e);
	void *ctx;
	bool has_releases; /* the terminal speaks the kitty protocol */
	uint8_t pending[KEYS_SEQUENCE_MAX];
	size_t npending;
	uint64_t pending_ns;
	struct {
		uint32_t code;
		uint64_t until_ns;
	} held[KEYS_HELD_MAX];
	uint32_t nheld;
	uint32_t buttons;
	/* The place of the pointer in cells, of the last mouse report; 1 is the first. */
	int32_t column, row;
	unsigned interrupts; /* ^C in a row */
};

void keys_init(struct keys *k, void (*emit)(void *ctx, const struct wasmos_event *e), void *ctx);
void keys_bytes(struct keys *k, const uint8_t *bytes, size_t size, uint64_t now_ns);
/* Lets go of what is due. */
void keys_time(struct keys *k, uint64_t now_ns);
/* When keys_time() has something to do; UINT64_MAX: never. */
uint64_t keys_due_ns(const struct keys *k);
