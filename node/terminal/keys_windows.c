/* keys_windows.c - key events to characters (keys_windows.h). */
#include "node/terminal/keys_windows.h"

#include <stdio.h>
#include <string.h>

enum { KEY_ESC = 0x1b, KEY_DEL = 0x7f };

/* CSI NUMBER ~, CSI LETTER, SS3 LETTER: the three forms of xterm's keys. */
struct named_key {
	WORD code;
	char letter; /* '~': the number says which */
	int number;
	bool ss3;
};

static bool has_ctrl(DWORD state)
{
	return state & (LEFT_CTRL_PRESSED | RIGHT_CTRL_PRESSED);
}

/* Keys that are a character, and have none in wine. */
static wchar_t plain_character(const KEY_EVENT_RECORD *key)
{
	bool ctrl = has_ctrl(key->dwControlKeyState);
	if (key->wVirtualKeyCode == VK_BACK)
		return ctrl ? '\b' : KEY_DEL;
	return key->wVirtualKeyCode == VK_ESCAPE ? KEY_ESC : key->uChar.UnicodeChar;
}

static const struct named_key named_keys[] = {
    {VK_UP, 'A', 1, false},     {VK_DOWN, 'B', 1, false},   {VK_RIGHT, 'C', 1, false},
    {VK_LEFT, 'D', 1, false},   {VK_END, 'F', 1, false},    {VK_HOME, 'H', 1, false},
    {VK_INSERT, '~', 2, false}, {VK_DELETE, '~', 3, false}, {VK_PRIOR, '~', 5, false},
    {VK_NEXT, '~', 6, false},   {VK_F1, 'P', 1, true},      {VK_F2, 'Q', 1, true},
    {VK_F3, 'R', 1, true},      {VK_F4, 'S', 1, true},      {VK_F5, '~', 15, false},
    {VK_F6, '~', 17, false},    {VK_F7, '~', 18, false},    {VK_F8, '~', 19, false},
    {VK_F9, '~', 20, false},    {VK_F10, '~', 21, false},   {VK_F11, '~', 23, false},
    {VK_F12, '~', 24, false},
};

static bool has_alt(DWORD state)
{
	return state & (LEFT_ALT_PRESSED | RIGHT_ALT_PRESSED);
}

/* xterm's number of shift, alt and control that are held: 1 is none. */
static int held(DWORD state)
{
	return 1 + (state & SHIFT_PRESSED ? 1 : 0) + (has_alt(state) ? 2 : 0) +
	       (has_ctrl(state) ? 4 : 0);
}

static size_t put(wchar_t out[KEY_UNITS_MAX], const char *text)
{
	size_t size = strlen(text);
	for (size_t i = 0; i < size; i++)
		out[i] = (wchar_t)(unsigned char)text[i];
	return size;
}

static size_t put_named(const struct named_key *n, int modifiers, wchar_t out[KEY_UNITS_MAX])
{
	char text[KEY_UNITS_MAX];
	if (modifiers > 1)
		snprintf(text, sizeof text, "\x1b[%d;%d%c", n->number, modifiers, n->letter);
	else if (n->letter == '~')
		snprintf(text, sizeof text, "\x1b[%d~", n->number);
	else
		snprintf(text, sizeof text, "\x1b%c%c", n->ss3 ? 'O' : '[', n->letter);
	return put(out, text);
}

/* A key that has no character. */
static size_t without_character(const KEY_EVENT_RECORD *key, wchar_t out[KEY_UNITS_MAX])
{
	for (size_t i = 0; i < sizeof named_keys / sizeof *named_keys; i++)
		if (named_keys[i].code == key->wVirtualKeyCode)
			return put_named(&named_keys[i], held(key->dwControlKeyState), out);
	if (!has_ctrl(key->dwControlKeyState) ||
	    (key->wVirtualKeyCode != VK_SPACE && key->wVirtualKeyCode != '2'))
		return 0;
	out[0] = 0; /* control space */
	return 1;
}

size_t key_units(const KEY_EVENT_RECORD *key, wchar_t out[KEY_UNITS_MAX])
{
	DWORD state = key->dwControlKeyState;
	wchar_t c = plain_character(key);
	size_t n = 0;
	/* A character typed by its number comes when the key Alt is let go. */
	if ((!key->bKeyDown && !(key->wVirtualKeyCode == VK_MENU && c)) ||
	    key->wVirtualScanCode == KEYS_UNTYPED)
		return 0;
	if (!c)
		return without_character(key, out);
	if (key->wVirtualKeyCode == VK_TAB && state & SHIFT_PRESSED)
		return put(out, "\x1b[Z");
	if (key->bKeyDown && key->wVirtualKeyCode && has_alt(state) && !has_ctrl(state))
		out[n++] = KEY_ESC;
	out[n++] = c;
	return n;
}

static size_t units_of(const INPUT_RECORD *records, DWORD count, wchar_t units[KEYS_UNITS])
{
	size_t n = 0;
	for (DWORD i = 0; i < count; i++) {
		const KEY_EVENT_RECORD *key = &records[i].Event.KeyEvent;
		wchar_t one[KEY_UNITS_MAX];
		size_t size = records[i].EventType == KEY_EVENT ? key_units(key, one) : 0;
		for (WORD k = 0; k < (key->wRepeatCount ? key->wRepeatCount : 1) && size; k++) {
			if (n + size > KEYS_UNITS)
				return n; /* a key held down for long: enough of it */
			memcpy(units + n, one, size * sizeof *one);
			n += size;
		}
	}
	return n;
}

size_t keys_read(HANDLE in, HANDLE stop, wchar_t units[KEYS_UNITS], bool *gone)
{
	HANDLE both[] = {stop, in};
	INPUT_RECORD records[KEYS_UNITS / KEY_UNITS_MAX];
	*gone = false;
	for (;;) {
		DWORD which = WaitForMultipleObjects(2, both, FALSE, INFINITE), count = 0;
		if (which == WAIT_OBJECT_0) {
			ResetEvent(stop);
			return 0;
		}
		*gone = which != WAIT_OBJECT_0 + 1 ||
		        !ReadConsoleInputW(in, records, sizeof records / sizeof *records, &count);
		size_t n = *gone ? 0 : units_of(records, count, units);
		if (n || *gone)
			return n;
	}
}
