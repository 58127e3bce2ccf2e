/* json.c - texts as JSON. */
#include "base/json.h"

#include <stdio.h>
#include <string.h>

size_t utf8_size(const unsigned char *p)
{
	size_t n = p[0] < 0x80                   ? 1
	           : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
	           : (p[0] & 0xf0) == 0xe0       ? 3
	           : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
	                                         : 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((n == 3 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))) ||
	    (n == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))))
		return 0;
	return n;
}

static size_t put_escape(char out[JSON_CHAR_MAX], unsigned code)
{
	char text[JSON_CHAR_MAX + 1];
	snprintf(text, sizeof text, "\\u%04x", code & 0xffff);
	memcpy(out, text, JSON_CHAR_MAX);
	return JSON_CHAR_MAX;
}

size_t json_char(const char **p, char out[JSON_CHAR_MAX])
{
	const unsigned char *c = (const unsigned char *)*p;
	size_t n = utf8_size(c);
	*p += n ? n : 1;
	if (!n)
		return put_escape(out, 0xfffd);
	if (*c < ' ' || *c == 0x7f)
		return put_escape(out, *c);
	if (*c == '"' || *c == '\\') {
		out[0] = '\\';
		out[1] = (char)*c;
		return 2;
	}
	memcpy(out, c, n);
	return n;
}

size_t json_quote(char *out, size_t size, const char *text)
{
	char part[JSON_CHAR_MAX];
	size_t at = 0;
	out[at++] = '"';
	while (*text) {
		size_t n = json_char(&text, part);
		if (at + n + 2 > size)
			break;
		memcpy(out + at, part, n);
		at += n;
	}
	out[at++] = '"';
	out[at] = 0;
	return at;
}
