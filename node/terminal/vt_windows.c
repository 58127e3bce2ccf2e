/* vt_windows.c - escape sequences to console functions (vt_windows.h).
 *
 * Places are counted from 0 at the upper left of the console's window; x == cols stands for none: after the last column is written the cursor
 * stays there and `wraps` says that the next character begins a line. ECMA-48 and xterm's ctlseqs.txt have the sequences. */
#include "node/terminal/vt_windows.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARAMS_MAX = 16, PARAM_MAX = 9999, RUN_MAX = 256, TAB = 8, ESC = 0x1b, BELL = 7 };

enum state { TEXT, ESCAPE, CHARSET, CONTROL, STRING, STRING_ESCAPE };

struct pen {
	uint8_t fg, bg; /* 0 to 15 by the console's bits */
	bool bold, reverse;
};

struct cursor {
	SHORT x, y;
	struct pen pen;
	bool lines; /* letters are line drawing */
};

struct vt {
	HANDLE out, in;
	CHAR_INFO *kept; /* while the other screen is shown: what this one had; else NULL */
	COORD kept_size;
	struct cursor kept_at;
	struct pen plain;
	struct cursor at, saved;
	bool wraps;
	SHORT cols, rows, left, top; /* of the window, in the buffer */
	SHORT first, last;           /* rows that scroll */
	enum state state;
	int params[PARAMS_MAX];
	unsigned count;
	char mark, between; /* a private mark before, an intermediate byte behind the parameters */
	uint32_t rune;      /* of UTF-8, so far */
	int more;           /* bytes of it to come */
	wchar_t run[RUN_MAX];
	SHORT run_size;
};

static COORD place(const struct vt *t, SHORT x, SHORT y)
{
	return (COORD){(SHORT)(t->left + x), (SHORT)(t->top + y)};
}

static SHORT within(int v, int low, int high)
{
	return (SHORT)(v < low ? low : v > high ? high : v);
}

static WORD colours(const struct vt *t)
{
	const struct pen *p = &t->at.pen;
	unsigned fg = p->fg | (p->bold ? 8u : 0), bg = p->bg;
	return (WORD)(p->reverse ? fg << 4 | bg : bg << 4 | fg);
}

/* ---- drawing ---- */

static void draw_run(struct vt *t)
{
	CHAR_INFO cells[RUN_MAX];
	COORD size = {t->run_size, 1};
	COORD at = place(t, (SHORT)(t->at.x - t->run_size + (t->wraps ? 1 : 0)), t->at.y);
	SMALL_RECT box = {at.X, at.Y, (SHORT)(at.X + t->run_size - 1), at.Y};
	for (SHORT i = 0; i < t->run_size; i++)
		cells[i] = (CHAR_INFO){.Char.UnicodeChar = t->run[i], .Attributes = colours(t)};
	if (t->run_size)
		WriteConsoleOutputW(t->out, cells, size, (COORD){0, 0}, &box);
	t->run_size = 0;
}

static void erase(struct vt *t, SHORT x, SHORT y, int count)
{
	DWORD n;
	if (count <= 0)
		return;
	FillConsoleOutputCharacterW(t->out, L' ', (DWORD)count, place(t, x, y), &n);
	FillConsoleOutputAttribute(t->out, colours(t), (DWORD)count, place(t, x, y), &n);
}

static void erase_rows(struct vt *t, SHORT first, SHORT end)
{
	for (SHORT y = first; y < end; y++)
		erase(t, 0, y, t->cols);
}

/* What is in the box goes dx to the right and dy down; what leaves it is lost, what comes is empty. */
static void shift(struct vt *t, SMALL_RECT box, int dx, int dy)
{
	CHAR_INFO empty = {.Char.UnicodeChar = L' ', .Attributes = colours(t)};
	SMALL_RECT in = {(SHORT)(box.Left + t->left), (SHORT)(box.Top + t->top),
	                 (SHORT)(box.Right + t->left), (SHORT)(box.Bottom + t->top)};
	COORD to = {(SHORT)(in.Left + dx), (SHORT)(in.Top + dy)};
	ScrollConsoleScreenBufferW(t->out, &in, &in, to, &empty);
}

/* count rows up; below 0: down. */
static void scroll(struct vt *t, SHORT first, SHORT last, int count)
{
	int rows = last - first + 1;
	if (count >= rows || -count >= rows)
		erase_rows(t, first, (SHORT)(last + 1));
	else if (count)
		shift(t, (SMALL_RECT){0, first, (SHORT)(t->cols - 1), last}, 0, -count);
}

/* The whole console scrolls, so that what leaves the window can be looked at later. */
static void next_window(struct vt *t)
{
	CONSOLE_SCREEN_BUFFER_INFO info;
	CHAR_INFO empty = {.Char.UnicodeChar = L' ', .Attributes = colours(t)};
	if (!GetConsoleScreenBufferInfo(t->out, &info))
		return;
	if (t->top + t->rows < info.dwSize.Y) {
		t->top++;
		SetConsoleCursorPosition(t->out, place(t, 0, t->at.y));
		return;
	}
	SMALL_RECT all = {0, 0, (SHORT)(info.dwSize.X - 1), (SHORT)(info.dwSize.Y - 1)};
	ScrollConsoleScreenBufferW(t->out, &all, &all, (COORD){0, -1}, &empty);
}

/* ---- the cursor ---- */

static void go(struct vt *t, int x, int y)
{
	draw_run(t);
	t->wraps = false;
	t->at.x = within(x, 0, t->cols - 1);
	t->at.y = within(y, 0, t->rows - 1);
}

static void line_down(struct vt *t)
{
	if (t->at.y != t->last)
		go(t, t->at.x, t->at.y + 1);
	else if (t->first == 0 && t->last == t->rows - 1 && !t->kept)
		next_window(t);
	else
		scroll(t, t->first, t->last, 1);
}

static void line_up(struct vt *t)
{
	if (t->at.y == t->first)
		scroll(t, t->first, t->last, -1);
	else
		go(t, t->at.x, t->at.y - 1);
}

/* A tall character's two units stand in one place of the run each; consoles show such as two cells. */
static void put(struct vt *t, wchar_t c)
{
	if (t->wraps) {
		go(t, 0, t->at.y);
		line_down(t);
	}
	if (t->run_size == RUN_MAX)
		draw_run(t);
	t->run[t->run_size++] = c;
	if (t->at.x + 1 < t->cols) {
		t->at.x++;
		return;
	}
	t->wraps = true;
	draw_run(t);
}

/* DEC's line drawing, from ` to ~. */
static wchar_t line_letter(uint32_t c)
{
	static const wchar_t letters[] =
	    L"\u25c6\u2592\u2409\u240c\u240d\u240a\u00b0\u00b1\u2424\u240b\u2518\u2510\u250c\u2514"
	    L"\u253c\u23ba\u23bb\u2500\u23bc\u23bd\u251c\u2524\u2534\u252c\u2502\u2264\u2265\u03c0"
	    L"\u2260\u00a3\u00b7";
	return letters[c - '`'];
}

static void put_rune(struct vt *t, uint32_t c)
{
	if (t->at.lines && c >= '`' && c <= '~')
		put(t, line_letter(c));
	else if (c < 0x10000)
		put(t, (wchar_t)c);
	else {
		put(t, (wchar_t)(0xd800 + ((c - 0x10000) >> 10)));
		put(t, (wchar_t)(0xdc00 + ((c - 0x10000) & 0x3ff)));
	}
}

/* ---- answers ---- */

static void answer(struct vt *t, const char *text)
{
	INPUT_RECORD keys[64];
	DWORD count = 0;
	for (; *text && count < 64; text++)
		keys[count++] = (INPUT_RECORD){
		    .EventType = KEY_EVENT,
		    .Event.KeyEvent = {.bKeyDown = TRUE,
		                       .wRepeatCount = 1,
		                       .uChar.UnicodeChar = (wchar_t)(unsigned char)*text}};
	WriteConsoleInputW(t->in, keys, count, &count);
}

static void report(struct vt *t, int what)
{
	char text[32];
	snprintf(text, sizeof text, "\x1b[%d;%dR", t->at.y + 1, t->at.x + 1);
	if (what == 5)
		answer(t, "\x1b[0n");
	else if (what == 6)
		answer(t, text);
}

/* ---- colours ---- */

/* Red and blue are the other way round. */
static uint8_t of_ansi(int n)
{
	return (uint8_t)((n & 8) | (n & 2) | (n & 1) << 2 | (n & 4) >> 2);
}

static uint8_t of_rgb(int r, int g, int b)
{
	int most = r > g ? r : g;
	most = b > most ? b : most;
	if (most < 64)
		return 0;
	if (r - g < 40 && g - r < 40 && g - b < 40 && b - g < 40)
		return most < 128 ? 8 : most < 224 ? 7 : 15;
	int n = (r * 2 > most) | (g * 2 > most) << 1 | (b * 2 > most) << 2;
	return of_ansi(n | (most > 192 ? 8 : 0));
}

static uint8_t of_256(int n)
{
	static const uint8_t steps[] = {0, 95, 135, 175, 215, 255};
	if (n < 16)
		return of_ansi(n & 15);
	if (n >= 232)
		return of_rgb(8 + (n - 232) * 10, 8 + (n - 232) * 10, 8 + (n - 232) * 10);
	n = (n - 16) % 216;
	return of_rgb(steps[n / 36], steps[n / 6 % 6], steps[n % 6]);
}

static int param(const struct vt *t, unsigned i, int otherwise)
{
	return i < t->count && t->params[i] > 0 ? t->params[i] : otherwise;
}

/* 38;5;N and 38;2;R;G;B; how many parameters it took beside the first. */
static unsigned long_colour(const struct vt *t, unsigned i, uint8_t *out)
{
	int kind = param(t, i + 1, 0);
	if (kind == 5)
		*out = of_256(param(t, i + 2, 0));
	else if (kind == 2)
		*out = of_rgb(param(t, i + 2, 0), param(t, i + 3, 0), param(t, i + 4, 0));
	return kind == 5 ? 2 : kind == 2 ? 4 : 1;
}

static void pick(struct vt *t, int n)
{
	struct pen *p = &t->at.pen;
	if (n == 0)
		*p = t->plain;
	else if (n == 1 || n == 22)
		p->bold = n == 1;
	else if (n == 7 || n == 27)
		p->reverse = n == 7;
	else if (n == 39)
		p->fg = t->plain.fg;
	else if (n == 49)
		p->bg = t->plain.bg;
	else if (n >= 30 && n < 38)
		p->fg = of_ansi(n - 30);
	else if (n >= 40 && n < 48)
		p->bg = of_ansi(n - 40);
	else if (n >= 90 && n < 98)
		p->fg = of_ansi(n - 90 + 8);
	else if (n >= 100 && n < 108)
		p->bg = of_ansi(n - 100 + 8);
}

static void pick_all(struct vt *t)
{
	for (unsigned i = 0; i < t->count || i == 0; i++) {
		int n = param(t, i, 0);
		if (n == 38)
			i += long_colour(t, i, &t->at.pen.fg);
		else if (n == 48)
			i += long_colour(t, i, &t->at.pen.bg);
		else
			pick(t, n);
	}
}

/* ---- modes ---- */

static void measure(struct vt *t)
{
	CONSOLE_SCREEN_BUFFER_INFO info;
	if (!GetConsoleScreenBufferInfo(t->out, &info))
		return;
	SHORT cols = (SHORT)(info.srWindow.Right - info.srWindow.Left + 1);
	SHORT rows = (SHORT)(info.srWindow.Bottom - info.srWindow.Top + 1);
	if (cols != t->cols || rows != t->rows) {
		t->first = 0;
		t->last = (SHORT)(rows - 1);
	}
	t->cols = cols;
	t->rows = rows;
	t->left = info.srWindow.Left;
	t->top = info.srWindow.Top;
	SHORT x = within(info.dwCursorPosition.X - t->left, 0, cols - 1);
	SHORT y = within(info.dwCursorPosition.Y - t->top, 0, rows - 1);
	t->wraps = t->wraps && x == t->at.x && y == t->at.y;
	t->at.x = x;
	t->at.y = y;
}

static void show_cursor(struct vt *t, bool shown)
{
	CONSOLE_CURSOR_INFO info;
	if (!GetConsoleCursorInfo(t->out, &info))
		return;
	info.bVisible = shown;
	SetConsoleCursorInfo(t->out, &info);
}

static SMALL_RECT window(const struct vt *t, COORD size)
{
	return (SMALL_RECT){t->left, t->top, (SHORT)(t->left + size.X - 1),
	                    (SHORT)(t->top + size.Y - 1)};
}

/* There is one screen, whose cells are kept meanwhile: wine's console does not draw another one that it is told to show. */
static void leave_other(struct vt *t)
{
	SMALL_RECT box = window(t, t->kept_size);
	if (!t->kept)
		return;
	erase_rows(t, 0, t->rows);
	WriteConsoleOutputW(t->out, t->kept, t->kept_size, (COORD){0, 0}, &box);
	free(t->kept);
	t->kept = NULL;
	t->at = t->kept_at;
	go(t, t->at.x, t->at.y);
}

static void enter_other(struct vt *t)
{
	COORD size = {t->cols, t->rows};
	SMALL_RECT box = window(t, size);
	if (t->kept)
		return;
	t->kept = calloc((size_t)t->cols * (size_t)t->rows, sizeof *t->kept);
	if (!t->kept)
		return;
	ReadConsoleOutputW(t->out, t->kept, size, (COORD){0, 0}, &box);
	t->kept_size = size;
	t->kept_at = t->at;
	erase_rows(t, 0, t->rows);
}

static void set_modes(struct vt *t, bool on)
{
	for (unsigned i = 0; t->mark == '?' && i < t->count; i++) {
		int n = t->params[i];
		if (n == 25)
			show_cursor(t, on);
		else if ((n == 1049 || n == 1047 || n == 47) && on)
			enter_other(t);
		else if (n == 1049 || n == 1047 || n == 47)
			leave_other(t);
	}
}

static void set_region(struct vt *t)
{
	int first = param(t, 0, 1), last = param(t, 1, t->rows);
	if (first >= last || last > t->rows)
		return;
	t->first = (SHORT)(first - 1);
	t->last = (SHORT)(last - 1);
	go(t, 0, 0);
}

/* ---- sequences ---- */

static void erase_display(struct vt *t, int what)
{
	if (what == 0) {
		erase(t, t->at.x, t->at.y, t->cols - t->at.x);
		erase_rows(t, (SHORT)(t->at.y + 1), t->rows);
	} else if (what == 1) {
		erase_rows(t, 0, t->at.y);
		erase(t, 0, t->at.y, t->at.x + 1);
	} else {
		erase_rows(t, 0, t->rows);
	}
}

static void erase_line(struct vt *t, int what)
{
	SHORT from = what == 0 ? t->at.x : 0;
	erase(t, from, t->at.y, what == 1 ? t->at.x + 1 : t->cols - from);
}

/* From the cursor on; below 0: to the left. */
static void shift_line(struct vt *t, int count)
{
	int left = t->cols - t->at.x;
	SMALL_RECT box = {t->at.x, t->at.y, (SHORT)(t->cols - 1), t->at.y};
	if (count >= left || -count >= left)
		erase(t, t->at.x, t->at.y, left);
	else
		shift(t, box, count, 0);
}

static void shift_lines(struct vt *t, int count)
{
	if (t->at.y >= t->first && t->at.y <= t->last)
		scroll(t, t->at.y, t->last, count);
}

static void restore(struct vt *t)
{
	struct cursor c = t->saved;
	go(t, c.x, c.y);
	t->at.pen = c.pen;
	t->at.lines = c.lines;
}

/* False: it is none that moves the cursor. */
static bool move(struct vt *t, char final)
{
	int n = param(t, 0, 1), x = t->at.x, y = t->at.y;
	switch (final) {
	case 'A': go(t, x, y - n); return true;
	case 'B':
	case 'e': go(t, x, y + n); return true;
	case 'C':
	case 'a': go(t, x + n, y); return true;
	case 'D': go(t, x - n, y); return true;
	case 'E': go(t, 0, y + n); return true;
	case 'F': go(t, 0, y - n); return true;
	case 'G':
	case '`': go(t, n - 1, y); return true;
	case 'd': go(t, x, n - 1); return true;
	case 'H':
	case 'f': go(t, param(t, 1, 1) - 1, n - 1); return true;
	default: return false;
	}
}

static void change(struct vt *t, char final)
{
	int n = param(t, 0, 1);
	switch (final) {
	case 'J': erase_display(t, param(t, 0, 0)); break;
	case 'K': erase_line(t, param(t, 0, 0)); break;
	case 'L': shift_lines(t, -n); break;
	case 'M': shift_lines(t, n); break;
	case 'P': shift_line(t, -n); break;
	case '@': shift_line(t, n); break;
	case 'X': erase(t, t->at.x, t->at.y, within(n, 1, t->cols - t->at.x)); break;
	case 'S': scroll(t, t->first, t->last, n); break;
	case 'T': scroll(t, t->first, t->last, -n); break;
	case 'm': pick_all(t); break;
	case 'r': set_region(t); break;
	case 's': t->saved = t->at; break;
	case 'u': restore(t); break;
	case 'n': report(t, n); break;
	case 'c': answer(t, "\x1b[?1;2c"); break;
	}
}

static void control(struct vt *t, char final)
{
	draw_run(t);
	if (final == 'h' || final == 'l')
		set_modes(t, final == 'h');
	else if (t->mark == '>' && final == 'c')
		answer(t, "\x1b[>0;95;0c");
	else if (!t->mark && !t->between && !move(t, final))
		change(t, final);
}

static void reset(struct vt *t)
{
	t->at.pen = t->plain;
	t->at.lines = false;
	t->first = 0;
	t->last = (SHORT)(t->rows - 1);
	erase_rows(t, 0, t->rows);
	go(t, 0, 0);
}

static void escape(struct vt *t, char c)
{
	draw_run(t);
	t->state = TEXT;
	switch (c) {
	case '[':
		t->state = CONTROL;
		t->count = 0;
		t->mark = t->between = 0;
		memset(t->params, 0, sizeof t->params);
		break;
	case ']':
	case 'P':
	case 'X':
	case '^':
	case '_': t->state = STRING; break;
	case '(':
	case ')':
	case '*':
	case '+':
		t->state = CHARSET;
		t->between = c;
		break;
	case '7': t->saved = t->at; break;
	case '8': restore(t); break;
	case 'E': t->at.x = 0; /* fallthrough */
	case 'D': line_down(t); break;
	case 'M': line_up(t); break;
	case 'c': reset(t); break;
	}
}

static void control_byte(struct vt *t, uint8_t c)
{
	if (c >= '0' && c <= '9') {
		t->count = t->count ? t->count : 1;
		int *p = &t->params[t->count - 1];
		*p = *p * 10 + (c - '0') > PARAM_MAX ? PARAM_MAX : *p * 10 + (c - '0');
	} else if (c == ';' || c == ':') {
		t->count = t->count ? t->count : 1;
		if (t->count < PARAMS_MAX)
			t->count++;
	} else if (c >= '<' && c <= '?') {
		t->mark = (char)c;
	} else if (c >= ' ' && c < '0') {
		t->between = (char)c;
	} else if (c >= '@' && c <= '~') {
		t->state = TEXT;
		control(t, (char)c);
	}
}

/* ---- bytes ---- */

/* True: it was one. */
static bool control_key(struct vt *t, uint8_t c)
{
	if (c == '\n' || c == '\v' || c == '\f') {
		go(t, 0, t->at.y);
		line_down(t);
	} else if (c == '\r') {
		go(t, 0, t->at.y);
	} else if (c == '\b') {
		go(t, t->at.x - 1, t->at.y);
	} else if (c == '\t') {
		go(t, (t->at.x / TAB + 1) * TAB, t->at.y);
	} else if (c == ESC) {
		t->state = ESCAPE;
	}
	return c < ' ' || c == 0x7f;
}

static void text_byte(struct vt *t, uint8_t c)
{
	if (c < 0x80) {
		t->more = 0;
		if (!control_key(t, c))
			put_rune(t, c);
	} else if (c >= 0xc0) {
		t->more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
		t->rune = c & (0x3fu >> t->more);
	} else if (t->more) {
		t->rune = t->rune << 6 | (c & 0x3f);
		if (!--t->more && t->rune < 0x110000)
			put_rune(t, t->rune);
	}
}

static void take(struct vt *t, uint8_t c)
{
	switch (t->state) {
	case TEXT: text_byte(t, c); break;
	case ESCAPE: escape(t, (char)c); break;
	case CHARSET:
		if (t->between == '(')
			t->at.lines = c == '0';
		t->state = TEXT;
		break;
	case CONTROL:
		if (c < ' ') /* works in the middle of a sequence, too */
			control_key(t, c);
		else
			control_byte(t, c);
		break;
	case STRING:
		if (c == BELL)
			t->state = TEXT;
		else if (c == ESC)
			t->state = STRING_ESCAPE;
		break;
	case STRING_ESCAPE: t->state = TEXT; break;
	}
}

void vt_write(struct vt *t, const void *bytes, size_t size)
{
	const uint8_t *p = bytes;
	measure(t);
	for (size_t i = 0; i < size; i++)
		take(t, p[i]);
	draw_run(t);
	SetConsoleCursorPosition(t->out, place(t, t->at.x, t->at.y));
}

/* ---- life ---- */

/* Tried where nobody sees it: a sequence that is understood leaves the cursor where it was. */
static bool understands(void)
{
	static const char nothing[] = "\x1b[0m";
	CONSOLE_SCREEN_BUFFER_INFO info = {0};
	DWORD n;
	HANDLE h = CreateConsoleScreenBuffer(GENERIC_READ | GENERIC_WRITE,
	                                     FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
	                                     CONSOLE_TEXTMODE_BUFFER, NULL);
	if (h == INVALID_HANDLE_VALUE)
		return true;
	SetConsoleMode(h, ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
	bool good = WriteFile(h, nothing, sizeof nothing - 1, &n, NULL) &&
	            GetConsoleScreenBufferInfo(h, &info);
	CloseHandle(h);
	return !good || info.dwCursorPosition.X == 0;
}

struct vt *vt_new(HANDLE out, HANDLE input)
{
	CONSOLE_SCREEN_BUFFER_INFO info;
	if (!GetConsoleScreenBufferInfo(out, &info) || understands())
		return NULL;
	struct vt *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->out = out;
	t->in = input;
	t->plain = (struct pen){.fg = info.wAttributes & 15, .bg = info.wAttributes >> 4 & 15};
	t->at.pen = t->plain;
	measure(t);
	t->saved = t->at;
	return t;
}

void vt_free(struct vt *t)
{
	if (!t)
		return;
	leave_other(t);
	show_cursor(t, true);
	free(t);
}
