/* facts.h - what a device tells the others of its system about itself: how busy it is, its battery and memory, its
 * processor, what a person finds there (screen, sound, keys), and the addresses by which it was reached.
 *
 * `migrate PID best`, `peers` and completion choose by it. It is a hint, seconds to minutes old, and never a right: who a
 * device is and what it may do stand in the log of devices. A fact travels as at most FACTS_MAX bytes (docs/formats/wire.md);
 * a format that is not known here is passed on unread. Pure; any thread.
 *
 *	struct facts f = {.load_percent = 12, .battery_percent = FACTS_NO_BATTERY, .processor = FACTS_X86_64, .cores = 8};
 *	uint8_t bytes[FACTS_MAX];
 *	size_t size = facts_write(&f, bytes);
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

enum {
	FACTS_MAX = 104, /* bytes */
	FACTS_FORMAT = 1,
	FACTS_ADDRESSES_MAX = 4,
	FACTS_NO_BATTERY = 255,
};

enum facts_processor { FACTS_PROCESSOR_UNKNOWN, FACTS_X86_64, FACTS_AARCH64 };

/* Bits of abilities. */
enum facts_ability {
	FACTS_SCREEN = 1,
	FACTS_SOUND = 2,
	FACTS_KEYBOARD = 4,
	FACTS_TOUCH = 8,
	FACTS_MAINS = 16, /* on mains power, or charging */
};

struct facts_address {
	uint8_t size; /* 4 or 16 */
	uint8_t bytes[16];
	uint16_t port;
};

struct facts {
	uint8_t load_percent;    /* of all cores together, at most 100 */
	uint8_t battery_percent; /* FACTS_NO_BATTERY: it has none */
	uint8_t processor;       /* enum facts_processor, or one that came later */
	uint8_t cores;
	uint8_t abilities;
	uint32_t memory_mib, memory_free_mib;
	uint8_t address_count;
	struct facts_address addresses[FACTS_ADDRESSES_MAX];
};

/* Returns the size. Counts above their limits are our own mistake. */
size_t facts_write(const struct facts *f, uint8_t out[FACTS_MAX]);
/* Hostile. UNSUPPORTED: a format that came later; out is zeroed on every error. */
enum err facts_read(const void *bytes, size_t size, struct facts *out);
