/* stretch.c - stretch.h. */
#include "base/stretch.h"

#include "base/os.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES ((size_t)8 << 10)
#define STEP_BYTES ((size_t)1 << 20)

/* From the C library, to twice what it was. */
static bool grow_short(struct stretch *s, size_t need)
{
	size_t bytes = s->bytes ? s->bytes : FIRST_BYTES;
	while (bytes < need)
		bytes *= 2;
	void *p = realloc(s->p, bytes);
	if (!p)
		return false;
	s->p = p;
	s->bytes = bytes;
	return true;
}

static bool become_long(struct stretch *s, size_t most)
{
	size_t reserved = (most + STEP_BYTES - 1) & ~(STEP_BYTES - 1);
	uint8_t *p = os_reserve(reserved);
	if (!p)
		return false;
	if (os_commit(p, STEP_BYTES) != ERR_OK) {
		os_release(p, reserved);
		return false;
	}
	if (s->bytes)
		memcpy(p, s->p, s->bytes);
	free(s->p);
	*s = (struct stretch){.p = p, .bytes = STEP_BYTES, .reserved = reserved};
	return true;
}

bool stretch_to(struct stretch *s, size_t need, size_t most)
{
	if (need <= s->bytes)
		return true;
	if (need > most)
		return false;
	if (!s->reserved && need <= STRETCH_SHORT)
		return grow_short(s, need);
	if (!s->reserved && !become_long(s, most))
		return false;
	while (s->bytes < need) {
		if (os_commit((uint8_t *)s->p + s->bytes, STEP_BYTES) != ERR_OK)
			return false;
		s->bytes += STEP_BYTES;
	}
	return true;
}

bool stretch_less(struct stretch *s)
{
	if (!s->reserved || s->bytes <= STEP_BYTES)
		return false;
	s->bytes -= STEP_BYTES;
	os_decommit((uint8_t *)s->p + s->bytes, STEP_BYTES);
	return true;
}

void stretch_free(struct stretch *s)
{
	if (s->reserved)
		os_release(s->p, s->reserved);
	else
		free(s->p);
	*s = (struct stretch){0};
}
