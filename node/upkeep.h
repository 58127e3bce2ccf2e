/* upkeep.h - the store is kept sound: a part of the node.
 *
 * Every `scrub` days (a setting) all chunks are read over in the background, at SCRUB_RATE bytes a second; what the disk has damaged is asked for from the
 * devices that are linked (heal.h), and written anew. The same, at once and with more looked at, is `wasmos store check [--repair]`; `store gc` collects garbage now,
 * `store du` says what takes the room. Loop thread; the work is done on the pool.
 */
#pragma once

enum {
	SCRUB_RATE = 4 << 20,
	SCRUB_FIRST_MS = 60 * 1000, /* after the start, and between looks whether it is time */
	SCRUB_STEP_MS = 1000,       /* between steps of SCRUB_RATE bytes */
	SCRUB_HEAL_AGAIN_MS = 600 * 1000, /* what nobody had is asked for again */
	SCRUB_DAYS = 7,
};
