/* stretch.h - memory for an array that is short nearly always and very long at times.
 *
 * While short it comes from the C library. Past STRETCH_SHORT bytes it becomes address space of `most` bytes, into which
 * memory is put as it grows: from then on it never moves, so no step of growing takes longer than copying STRETCH_SHORT
 * bytes. A zeroed struct is an empty one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define STRETCH_SHORT ((size_t)256 << 10)

struct stretch {
	void *p;
	size_t bytes;    /* that may be used */
	size_t reserved; /* address space; 0: from the C library */
};

/* At least need bytes may be used (and what was there stays); at most `most`, the same in each call. False: no memory, and
 * nothing has changed. New memory is not cleared. */
bool stretch_to(struct stretch *s, size_t need, size_t most);
/* Gives a step of long memory back, at most 1 MiB of it. False when no more than one step is left. */
bool stretch_less(struct stretch *s);
void stretch_free(struct stretch *s);
