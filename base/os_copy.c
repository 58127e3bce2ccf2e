/* os_copy.c - the plain way of os_copy.h. */
#include "base/os_copy.h"

#include <string.h>

enum { PAGE = 4096 };

static bool is_zero(const uint8_t *p)
{
	uint64_t word, any = 0;
	for (size_t i = 0; i < PAGE && !any; i += sizeof word) {
		memcpy(&word, p + i, sizeof word);
		any |= word;
	}
	return !any;
}

void os_copy_pages(const uint8_t *from, uint8_t *to, size_t size_bytes)
{
	for (size_t at = 0; at + PAGE <= size_bytes; at += PAGE)
		if (!is_zero(from + at))
			memcpy(to + at, from + at, PAGE);
}
