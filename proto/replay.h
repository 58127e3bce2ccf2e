/* replay.h - which counters were seen: a window behind the newest one (RFC 6479: a ring of words, none ever shifted).
 *
 * Zeroed is empty. Ask with replay_is_new() before a tag is checked, note with replay_note() after it was right. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { REPLAY_WORDS = 128, REPLAY_WINDOW = 64 * (REPLAY_WORDS - 1) };

struct replay {
	uint64_t next; /* the newest counter seen and one; 0: none yet */
	uint64_t words[REPLAY_WORDS];
};

/* False: seen, or too old to know. UINT64_MAX is never new. */
bool replay_is_new(const struct replay *r, uint64_t counter);
/* counter is_new. True: it is the newest. */
bool replay_note(struct replay *r, uint64_t counter);
