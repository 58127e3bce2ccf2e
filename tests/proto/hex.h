/* hex.h - hexadecimal texts of test vectors to bytes. */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

static inline unsigned hex_digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 32) - 'a' + 10);
}

/* Returns the size in bytes; the text must fit in cap. */
static inline size_t hex_bytes(const char *hex, uint8_t *out, size_t cap)
{
	size_t n = 0;
	for (; hex[0] && hex[1]; hex += 2) {
		assert(n < cap);
		out[n++] = (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
	}
	return n;
}
