/* utf16.h - texts of Windows: UTF-16 to UTF-8 and back.
 *
 * File names there are 16-bit units of which nobody checks that they are UTF-16. So that every name can be
 * shown and opened again, a surrogate without its other half stands as three bytes ("WTF-8"); a pair written so,
 * too long forms and what is beyond U+10FFFF are refused: each name has one spelling in either form. Any thread;
 * nothing allocates.
 *
 *	uint16_t wide[256];
 *	size_t units;
 *	TRY(utf16_of_utf8(name, strlen(name), wide, 256, &units));
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* room and *units count units; nothing is terminated. INVALID: not UTF-8. LIMIT: no room. */
enum err utf16_of_utf8(const char *text, size_t size_bytes, uint16_t *out, size_t room,
                       size_t *units);
/* room and *size_bytes count bytes. LIMIT: no room. Three bytes a unit are always enough. */
enum err utf8_of_utf16(const uint16_t *text, size_t units, char *out, size_t room,
                       size_t *size_bytes);
