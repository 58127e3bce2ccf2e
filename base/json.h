/* json.h - texts as JSON (RFC 8259): what may stand between its quotes, whatever bytes a text has.
 *
 *	char part[JSON_CHAR_MAX];
 *	for (const char *p = text; *p;)
 *		fwrite(part, 1, json_char(&p, part), stdout);
 */
#pragma once

#include <stddef.h>

enum { JSON_CHAR_MAX = 6 };

/* Bytes of the UTF-8 character at p (the end of the text is one, of 1), 0 when it is none. */
size_t utf8_size(const unsigned char *p);
/* Takes one character of a text, or one byte that is none, and writes it as it stands in JSON; how many bytes that are. */
size_t json_char(const char **p, char out[JSON_CHAR_MAX]);
/* The whole text in quotes, with a zero; cut off before the first character that finds no room. size: at least 3. Returns
 * what strlen(out) is. */
size_t json_quote(char *out, size_t size, const char *text);
