/* keys.c - a small parser: a byte is a key, begins a UTF-8 character, or begins an escape sequence, which
 * is gathered in pending until it is whole.
 *
 *	key      = 0x00-0x1f | 0x7f | UTF-8 character
 *	sequence = ESC '[' parameters final | ESC 'O' letter | ESC key (Alt)
 *	kitty    = ESC '[' code [':' others] [';' mods [':' kind] [';' text]] 'u'
 */
#include "node/drivers/keys.h"

#include <stdlib.h>
#include <string.h>

/* USB HID usages of page 7 (HID Usage Tables 1.4, chapter 10). */
enum {
	HID_A = 4,
	HID_1 = 30,
	HID_0 = 39,
	HID_ENTER = 40,
	HID_ESCAPE = 41,
	HID_BACKSPACE = 42,
	HID_TAB = 43,
	HID_SPACE = 44,
	HID_CAPS_LOCK = 57,
	HID_F1 = 58,
	HID_PRINT = 70,
	HID_SCROLL_LOCK = 71,
	HID_PAUSE = 72,
	HID_INSERT = 73,
	HID_HOME = 74,
	HID_PAGE_UP = 75,
	HID_DELETE = 76,
	HID_END = 77,
	HID_PAGE_DOWN = 78,
	HID_RIGHT = 79,
	HID_LEFT = 80,
	HID_DOWN = 81,
	HID_UP = 82,
	HID_KEYPAD_1 = 89,
	HID_KEYPAD_0 = 98,
	HID_LEFT_CTRL = 224,
	HID_LEFT_SHIFT = 225,
	HID_LEFT_ALT = 226,
};

void keys_init(struct keys *k, void (*emit)(void *ctx, const struct wasmos_event *e), void *ctx)
{
	*k = (struct keys){.emit = emit, .ctx = ctx};
}

/* ---- what is held ---- */

static void emit_key(struct keys *k, uint32_t code, int32_t value, unsigned mods)
{
	struct wasmos_event e = {
	    .type = WASMOS_KEY, .mods = (uint16_t)mods, .code = code, .value = value};

	k->emit(k->ctx, &e);
}

static void drop_held(struct keys *k, uint32_t i)
{
	emit_key(k, k->held[i].code, WASMOS_UP, 0);
	k->held[i] = k->held[--k->nheld];
}

/* Down now, and up when nothing is heard of it for a while. */
static void hold(struct keys *k, uint32_t code, unsigned mods, uint64_t now_ns)
{
	uint32_t i = 0;

	while (i < k->nheld && k->held[i].code != code)
		i++;
	if (i == KEYS_HELD_MAX) {
		drop_held(k, 0);
		i = k->nheld;
	}
	if (i == k->nheld)
		k->nheld++;
	k->held[i].code = code;
	k->held[i].until_ns = now_ns + KEYS_HOLD_NS;
	emit_key(k, code, WASMOS_DOWN, mods);
}

/* A key by itself, from a terminal that tells no releases: its modifiers are held as long as it. */
static void press(struct keys *k, uint32_t code, unsigned mods, uint64_t now_ns)
{
	static const uint32_t keys_of_mods[] = {HID_LEFT_SHIFT, HID_LEFT_CTRL, HID_LEFT_ALT};

	for (unsigned i = 0; i < 3; i++)
		if (mods >> i & 1)
			hold(k, keys_of_mods[i], mods, now_ns);
	if (code != 0)
		hold(k, code, mods, now_ns);
}

static void emit_text(struct keys *k, uint32_t scalar)
{
	struct wasmos_event e = {.type = WASMOS_TEXT, .code = scalar};

	if (scalar >= 0x20 && scalar != 0x7f && !(scalar >= 0x80 && scalar < 0xa0))
		k->emit(k->ctx, &e);
}

static void interrupt(struct keys *k)
{
	struct wasmos_event e = {.type = WASMOS_QUIT};

	k->interrupts++;
	k->emit(k->ctx, &e);
}

/* ---- characters ---- */

/* The key of an American keyboard that writes c, and whether with shift. 0: none. */
static uint32_t key_of_character(uint32_t c, bool *shift)
{
	static const char plain[] = "1234567890\r\x1b\x7f\t -=[]\\\\;'`,./";
	static const char shifted[] = "!@#$%^&*()\0\0\0\0\0_+{}||:\"~<>?";
	const char *at;

	*shift = c >= 'A' && c <= 'Z';
	if (*shift || (c >= 'a' && c <= 'z'))
		return HID_A + (c | 0x20) - 'a';
	if (c == 0 || c >= 128)
		return 0;
	if ((at = memchr(plain, (int)c, sizeof(plain) - 1)) != NULL)
		return HID_1 + (uint32_t)(at - plain);
	*shift = (at = memchr(shifted, (int)c, sizeof(shifted) - 1)) != NULL;
	return *shift ? HID_1 + (uint32_t)(at - shifted) : 0;
}

static void character(struct keys *k, uint32_t c, unsigned mods, uint64_t now_ns)
{
	bool shift;
	uint32_t code = key_of_character(c, &shift);

	press(k, code, mods | (shift ? WASMOS_SHIFT : 0), now_ns);
	emit_text(k, c);
}

/* A byte below 0x20 is ctrl and a letter, but for those that have keys of their own. */
static void control(struct keys *k, uint8_t c, unsigned mods, uint64_t now_ns)
{
	if (c == 3) {
		interrupt(k);
		return;
	}
	k->interrupts = 0;
	if (c == '\n')
		c = '\r';
	if (c == '\r' || c == '\t' || c == 0x1b)
		character(k, c, mods, now_ns);
	else if (c == '\b')
		press(k, HID_BACKSPACE, mods, now_ns);
	else if (c == 0) /* ctrl and space: ctrl alone, which a terminal cannot say otherwise */
		press(k, 0, mods | WASMOS_CTRL, now_ns);
	else if (c < 27)
		press(k, HID_A + c - 1u, mods | WASMOS_CTRL, now_ns);
}

/* ---- sequences ---- */

enum { PARAMETERS = 3, SUBS = 2 };

struct sequence {
	char private_mark; /* '<', '?', '>' or 0 */
	uint32_t n[PARAMETERS][SUBS];
	char final;
};

/* ESC [ mark? digits, ':' and ';', final. Other bytes inside are passed over. */
static struct sequence parse_sequence(const uint8_t *p, size_t size)
{
	struct sequence s = {.final = (char)p[size - 1]};
	uint32_t parameter = 0, sub = 0;

	if (size > 3 && p[2] >= '<' && p[2] <= '?')
		s.private_mark = (char)p[2];
	for (size_t i = 2; i + 1 < size; i++) {
		if (p[i] == ';') {
			parameter++;
			sub = 0;
		} else if (p[i] == ':') {
			sub++;
		} else if (p[i] >= '0' && p[i] <= '9' && parameter < PARAMETERS && sub < SUBS &&
		           s.n[parameter][sub] < 1000000) {
			s.n[parameter][sub] = s.n[parameter][sub] * 10 + p[i] - '0';
		}
	}
	return s;
}

static unsigned mods_of(uint32_t parameter)
{
	/* 1 + (1 shift, 2 alt, 4 ctrl, 8 super), as xterm and kitty have it. */
	uint32_t bits = parameter > 0 ? parameter - 1 : 0;

	return (bits & 1 ? WASMOS_SHIFT : 0) | (bits & 2 ? WASMOS_ALT : 0) |
	       (bits & 4 ? WASMOS_CTRL : 0) | (bits & 8 ? WASMOS_META : 0);
}

static uint32_t key_of_letter(char final)
{
	switch (final) {
	case 'A': return HID_UP;
	case 'B': return HID_DOWN;
	case 'C': return HID_RIGHT;
	case 'D': return HID_LEFT;
	case 'F': return HID_END;
	case 'H': return HID_HOME;
	case 'P': return HID_F1;
	case 'Q': return HID_F1 + 1;
	case 'R': return HID_F1 + 2;
	case 'S': return HID_F1 + 3;
	default: return 0;
	}
}

/* ESC [ n ~ of the VT220, its gaps included. */
static uint32_t key_of_number(uint32_t n)
{
	static const uint8_t keys[] = {
	    [1] = HID_HOME,    [2] = HID_INSERT,    [3] = HID_DELETE,   [4] = HID_END,
	    [5] = HID_PAGE_UP, [6] = HID_PAGE_DOWN, [7] = HID_HOME,     [8] = HID_END,
	    [11] = HID_F1,     [12] = HID_F1 + 1,   [13] = HID_F1 + 2,  [14] = HID_F1 + 3,
	    [15] = HID_F1 + 4, [17] = HID_F1 + 5,   [18] = HID_F1 + 6,  [19] = HID_F1 + 7,
	    [20] = HID_F1 + 8, [21] = HID_F1 + 9,   [23] = HID_F1 + 10, [24] = HID_F1 + 11,
	};

	return n < sizeof(keys) ? keys[n] : 0;
}

/* Kitty's own codes for keys that write nothing (private use area). */
static uint32_t key_of_kitty(uint32_t c)
{
	static const uint8_t locks[] = {HID_CAPS_LOCK, HID_SCROLL_LOCK, 83, HID_PRINT, HID_PAUSE};
	/* left shift, ctrl, alt, super, then hyper and meta, then the right ones */
	static const uint8_t modifiers[] = {225, 224, 226, 227, 0, 0, 229, 228, 230, 231};
	static const uint8_t keypad[] = {99, 84, 85, 86, 87, 88, 103};

	if (c >= 57358 && c < 57358 + sizeof(locks))
		return locks[c - 57358];
	if (c == 57399)
		return HID_KEYPAD_0;
	if (c > 57399 && c <= 57408)
		return HID_KEYPAD_1 + c - 57400;
	if (c >= 57409 && c < 57409 + sizeof(keypad))
		return keypad[c - 57409];
	if (c >= 57441 && c < 57441 + sizeof(modifiers))
		return modifiers[c - 57441];
	return 0;
}

static uint32_t key_of_sequence(const struct sequence *s)
{
	bool shift;
	uint32_t code;

	if (s->final == '~')
		return key_of_number(s->n[0][0]);
	if (s->final != 'u')
		return key_of_letter(s->final);
	code = key_of_kitty(s->n[0][0]);
	return code != 0 ? code : key_of_character(s->n[0][0], &shift);
}

static void kitty_text(struct keys *k, const struct sequence *s, unsigned mods)
{
	if (s->n[2][0] != 0)
		emit_text(k, s->n[2][0]);
	else if (s->final == 'u' && s->n[0][0] < 57344 && (mods & ~WASMOS_SHIFT) == 0)
		emit_text(k, s->n[0][0]);
}

static void key_sequence(struct keys *k, const struct sequence *s, uint64_t now_ns)
{
	static const int32_t values[] = {WASMOS_DOWN, WASMOS_DOWN, WASMOS_REPEAT, WASMOS_UP};
	unsigned mods = mods_of(s->n[1][0]);
	uint32_t kind = s->n[1][1], code = key_of_sequence(s);

	if (s->final == 'u' && s->n[0][0] == 'c' && (mods & WASMOS_CTRL)) {
		if (kind <= 1)
			interrupt(k);
		return;
	}
	if (code == 0)
		return;
	if (!k->has_releases) {
		press(k, code, mods, now_ns);
		return;
	}
	emit_key(k, code, kind < 4 ? values[kind] : WASMOS_DOWN, mods);
	if (kind != 3)
		kitty_text(k, s, mods);
}

/* ESC [ < button ; column ; row M (pressed) or m (released). */
static void mouse_sequence(struct keys *k, const struct sequence *s)
{
	static const uint8_t codes[] = {1, 2, 3};
	uint32_t button = s->n[0][0] & 3;
	struct wasmos_event e = {.type = WASMOS_BUTTON, .value = s->final == 'M'};

	k->column = (int32_t)s->n[1][0];
	k->row = (int32_t)s->n[2][0];
	if (s->n[0][0] & 64) {
		e = (struct wasmos_event){.type = WASMOS_WHEEL, .dy = button == 0 ? 1 : -1};
		if (s->final == 'M')
			k->emit(k->ctx, &e);
	} else if (button < 3 && !(s->n[0][0] & 32)) {
		e.code = codes[button];
		k->emit(k->ctx, &e);
	}
}

static void sequence(struct keys *k, uint64_t now_ns)
{
	struct sequence s = parse_sequence(k->pending, k->npending);

	k->interrupts = s.final == 'u' ? k->interrupts : 0;
	if (s.private_mark == '?' && s.final == 'u')
		k->has_releases = (s.n[0][0] & 2) != 0;
	else if (s.private_mark == '<' && (s.final == 'M' || s.final == 'm'))
		mouse_sequence(k, &s);
	else if (s.private_mark == 0)
		key_sequence(k, &s, now_ns);
}

/* ---- bytes ---- */

static size_t utf8_size(uint8_t first)
{
	return first < 0xc0 || first >= 0xf8 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* What pending holds is one whole thing, is not yet, or never will be. */
static bool is_whole(const struct keys *k)
{
	const uint8_t *p = k->pending;
	size_t n = k->npending;

	if (p[0] != 0x1b)
		return n >= utf8_size(p[0]);
	if (n == 1)
		return false;
	if (p[1] == '[')
		return n > 2 && p[n - 1] >= 0x40 && p[n - 1] <= 0x7e;
	if (p[1] == 'O')
		return n > 2;
	return true;
}

static uint32_t utf8_scalar(const uint8_t *p, size_t size)
{
	uint32_t scalar = size == 1 ? p[0] : p[0] & (0x7fu >> size);

	for (size_t i = 1; i < size; i++)
		scalar = scalar << 6 | (p[i] & 0x3f);
	return scalar;
}

static void plain(struct keys *k, const uint8_t *p, size_t size, unsigned mods, uint64_t now_ns)
{
	if (p[0] < 0x20)
		control(k, p[0], mods, now_ns);
	else if (p[0] < 0x80 || (p[0] >= 0xc0 && p[0] < 0xf8))
		character(k, utf8_scalar(p, size), mods, now_ns);
	if (p[0] >= 0x20)
		k->interrupts = 0;
}

static void take_pending(struct keys *k, uint64_t now_ns)
{
	const uint8_t *p = k->pending;

	if (p[0] != 0x1b) {
		plain(k, p, k->npending, 0, now_ns);
	} else if (p[1] == '[') {
		sequence(k, now_ns);
	} else if (p[1] == 'O') {
		press(k, key_of_letter((char)p[2]), 0, now_ns);
	} else {
		plain(k, p + 1, 1, WASMOS_ALT, now_ns);
	}
	k->npending = 0;
}

void keys_bytes(struct keys *k, const uint8_t *bytes, size_t size, uint64_t now_ns)
{
	for (size_t i = 0; i < size; i++) {
		if (k->npending == 1 && k->pending[0] == 0x1b && bytes[i] == 0x1b)
			keys_time(k, UINT64_MAX);
		bool cut_off =
		    k->npending > 0 && k->pending[0] >= 0xc0 && (bytes[i] & 0xc0) != 0x80;
		if (k->npending == KEYS_SEQUENCE_MAX || cut_off)
			k->npending = 0;
		k->pending[k->npending++] = bytes[i];
		k->pending_ns = now_ns;
		if (is_whole(k))
			take_pending(k, now_ns);
	}
}

uint64_t keys_due_ns(const struct keys *k)
{
	uint64_t due_ns = UINT64_MAX;

	for (uint32_t i = 0; i < k->nheld; i++)
		if (k->held[i].until_ns < due_ns)
			due_ns = k->held[i].until_ns;
	if (k->npending > 0 && k->pending_ns + KEYS_ESCAPE_NS < due_ns)
		due_ns = k->pending_ns + KEYS_ESCAPE_NS;
	return due_ns;
}

void keys_time(struct keys *k, uint64_t now_ns)
{
	if (k->npending > 0 && now_ns >= k->pending_ns + KEYS_ESCAPE_NS) {
		bool is_escape = k->npending == 1 && k->pending[0] == 0x1b;
		k->npending = 0;
		if (is_escape)
			control(k, 0x1b, 0, k->pending_ns);
	}
	for (uint32_t i = k->nheld; now_ns != UINT64_MAX && i > 0; i--)
		if (k->held[i - 1].until_ns <= now_ns)
			drop_held(k, i - 1);
}
