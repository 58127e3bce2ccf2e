/* replay.c - bit c % 64 of word c / 64 % REPLAY_WORDS belongs to counter c. The word ahead of the newest counter is cleared when it
 * is entered, so one word less than there are can be asked about. */
#include "proto/replay.h"

static uint64_t *word_of(struct replay *r, uint64_t counter)
{
	return &r->words[counter / 64 % REPLAY_WORDS];
}

bool replay_is_new(const struct replay *r, uint64_t counter)
{
	if (counter == UINT64_MAX)
		return false;
	if (counter >= r->next)
		return true;
	if (r->next - counter > REPLAY_WINDOW)
		return false;
	return !(r->words[counter / 64 % REPLAY_WORDS] >> counter % 64 & 1);
}

bool replay_note(struct replay *r, uint64_t counter)
{
	bool newest = counter >= r->next;
	if (newest) {
		uint64_t from = r->next ? (r->next - 1) / 64 : 0, steps = counter / 64 - from;
		for (uint64_t i = 1; i <= steps && i <= REPLAY_WORDS; i++)
			r->words[(from + i) % REPLAY_WORDS] = 0;
		r->next = counter + 1;
	}
	*word_of(r, counter) |= UINT64_C(1) << counter % 64;
	return newest;
}
