/* utf16.c - UTF-16 and UTF-8 (RFC 3629; a lone surrogate as in WTF-8). */
#include "base/utf16.h"

#include <stdbool.h>

static bool is_high(uint32_t c)
{
	return c >= 0xd800 && c <= 0xdbff;
}

static bool is_low(uint32_t c)
{
	return c >= 0xdc00 && c <= 0xdfff;
}

/* The character at text, its bytes in *size; 0 of them: it is none. */
static uint32_t next_utf8(const uint8_t *text, size_t left, size_t *size)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint8_t first = text[0];
	size_t n = first < 0x80             ? 1
	           : (first & 0xe0) == 0xc0 ? 2
	           : (first & 0xf0) == 0xe0 ? 3
	           : (first & 0xf8) == 0xf0 ? 4
	                                    : 0;
	*size = 0;
	if (n == 0 || n > left)
		return 0;
	uint32_t c = n == 1 ? first : first & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (text[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff)
		return 0;
	*size = n;
	return c;
}

enum err utf16_of_utf8(const char *text, size_t size_bytes, uint16_t *out, size_t room,
                       size_t *units)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t n = 0, size;
	bool after_lone_high = false;
	for (size_t i = 0; i < size_bytes; i += size) {
		uint32_t c = next_utf8(p + i, size_bytes - i, &size);
		if (size == 0 || (after_lone_high && is_low(c)))
			return ERR_INVALID;
		after_lone_high = is_high(c);
		if (n + (c > 0xffff) >= room)
			return ERR_LIMIT;
		if (c > 0xffff) {
			out[n++] = (uint16_t)(0xd800 + ((c - 0x10000) >> 10));
			c = 0xdc00 + ((c - 0x10000) & 0x3ff);
		}
		out[n++] = (uint16_t)c;
	}
	*units = n;
	return ERR_OK;
}

static size_t put_utf8(uint32_t c, uint8_t out[4])
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (uint8_t)(0x80 | (c & 0x3f));
	out[0] = (uint8_t)(lead[n] | c);
	return n;
}

enum err utf8_of_utf16(const uint16_t *text, size_t units, char *out, size_t room,
                       size_t *size_bytes)
{
	size_t n = 0;
	for (size_t i = 0; i < units; i++) {
		uint8_t bytes[4];
		uint32_t c = text[i];
		if (is_high(c) && i + 1 < units && is_low(text[i + 1]))
			c = 0x10000 + ((c - 0xd800) << 10) + (text[++i] - 0xdc00u);
		size_t size = put_utf8(c, bytes);
		if (size > room - n)
			return ERR_LIMIT;
		for (size_t k = 0; k < size; k++)
			out[n++] = (char)bytes[k];
	}
	*size_bytes = n;
	return ERR_OK;
}
