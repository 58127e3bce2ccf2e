/* keys_windows.h - what is typed at a console, as the characters that xterm would send.
 *
 * Windows' consoles tell arrows and the like as keys without a character, and only newer ones make xterm's sequences of them when they are
 * asked to (ENABLE_VIRTUAL_TERMINAL_INPUT; wine's does not). So keys are read as events: one with a character is that character, others
 * become sequences here.
 *
 *	count = keys_read(in, stop, units, KEYS_UNITS, &gone);     // UTF-16; 0: stop was set (and is reset), or gone
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <windows.h>

enum {
	KEYS_UNITS = 256,
	KEY_UNITS_MAX = 16,
	KEYS_UNTYPED = 0x7f7f, /* scan code of a key that nobody typed: it is passed over */
};

/* Units of one event; 0: it is no character. */
size_t key_units(const KEY_EVENT_RECORD *key, wchar_t out[KEY_UNITS_MAX]);
/* Waits until keys are typed. The console's mode is the caller's. gone: the console cannot be read. */
size_t keys_read(HANDLE in, HANDLE stop, wchar_t units[KEYS_UNITS], bool *gone);
