/* text.h - texts out of bytes. Any thread. */
#pragma once

#include <stdlib.h>
#include <string.h>

/* A terminated copy up to the first zero byte; free() it. NULL when memory ran out. (strndup(), which Windows has not.) */
static inline char *text_copy(const void *bytes, size_t size)
{
	const char *end = memchr(bytes, 0, size);
	if (end)
		size = (size_t)(end - (const char *)bytes);
	char *out = malloc(size + 1);
	if (!out)
		return NULL;
	memcpy(out, bytes, size);
	out[size] = 0;
	return out;
}
