/* wide_windows.h - host paths and system errors, for the files that talk to Windows (*_windows.c).
 *
 * The tree's paths are UTF-8, Windows' functions with a W take UTF-16, and only one with the prefix \\?\ may be longer
 * than 260 units. Any thread.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>

/* The absolute form of a UTF-8 path, with the prefix, for CreateFileW and its like; free() it. NULL: no memory, or
 * not a path. */
wchar_t *wide_path(const char *path);
/* A UTF-8 text as it stands; free() it. NULL: no memory, or not UTF-8. */
wchar_t *wide_text(const char *text);
/* UTF-8 of a terminated UTF-16 text; free() it. NULL: no memory. */
char *wide_to_utf8(const wchar_t *text);
/* GetLastError()'s number as an error of ours. */
enum err wide_err(unsigned long last_error);
