/* console_windows.c - console.h on Windows: the console's modes, a reader thread, console events.
 *
 * Reading a console blocks and cannot be waited on together with anything else, so a thread does it, one read at a time and only
 * when asked. When the mode changes meanwhile a read of a line is ended by a key that nobody typed (a read that is cancelled goes on inside of
 * wine's console, and eats what is typed next) and a wait for keys by an event; each change is one *turn*. Line mode is the console's own (echo,
 * erase, ^C as an event); ^P and ^Q end a read at once, ^Z at its beginning is the end of the file. Raw keys arrive as xterm would send them. The console
 * does not tell of a new size while bytes are read: it is asked every LOOK_MS.
 */
#include "shell/console.h"

#include "node/control/door.h"
#include "node/terminal/keys_windows.h"
#include "node/terminal/own_terminal.h"
#include "node/terminal/vt_windows.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

enum {
	READ_UNITS = 8192,
	LOOK_MS = 200,
	TURN_MS = 200,    /* so long a reader may take to notice a turn */
	HANGUP_MS = 4000, /* Windows ends us after 5 s */
	KEY_C = 'C' & 31,
	KEY_P = 'P' & 31,
	KEY_Q = 'Q' & 31,
	KEY_Z = 'Z' & 31,
	KEY_TURN = '^' & 31, /* the key that nobody typed */
};

static const char screen_off[] = OWN_TERMINAL_OFF;

struct console {
	bool joins, types;
	atomic_bool raw;
	HANDLE in;
	DWORD before;
	uint16_t cols, rows; /* as told last */
	struct vt *vt;       /* NULL: the console understands escape sequences itself, or is none */
	HANDLE reader;
	HANDLE ask, answer, again; /* the reader is asked, has answered, shall look at the mode */
	bool asked;
	atomic_bool leaving;
	atomic_uint turn,
	    reading; /* the present one, and that of the read that is under way or was last */
	/* the reader's until it has answered */
	long got; /* bytes; END; GONE */
	size_t at;
	wchar_t half; /* the first of two units */
	char bytes[READ_UNITS * 3];
	wchar_t units[READ_UNITS];
};

/* A handler of console events is given no context: what it heard lies here. */
static _Atomic(HANDLE) event_came;
static atomic_uint events; /* 1 << CONSOLE_... */

static HANDLE stream_handle(int stream)
{
	static const DWORD ids[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
	return GetStdHandle(ids[stream]);
}

bool console_is_terminal(int stream)
{
	DWORD mode;
	return GetConsoleMode(stream_handle(stream), &mode);
}

bool console_size(uint16_t *cols, uint16_t *rows)
{
	CONSOLE_SCREEN_BUFFER_INFO info;
	for (int stream = 1; stream < 3; stream++)
		if (GetConsoleScreenBufferInfo(stream_handle(stream), &info)) {
			*cols = (uint16_t)(info.srWindow.Right - info.srWindow.Left + 1);
			*rows = (uint16_t)(info.srWindow.Bottom - info.srWindow.Top + 1);
			return *cols && *rows;
		}
	return false;
}

void console_write(int stream, const char *bytes, size_t size)
{
	HANDLE h = stream_handle(stream);
	while (size) {
		DWORD n = 0, part = size < 16384 ? (DWORD)size : 16384;
		if (!WriteFile(h, bytes, part, &n, NULL) || !n)
			return;
		bytes += n;
		size -= n;
	}
}

void console_show(struct console *c, int stream, const char *bytes, size_t size)
{
	if (c->vt && console_is_terminal(stream))
		vt_write(c->vt, bytes, size);
	else
		console_write(stream, bytes, size);
}

/* ---- the reader ---- */

/* Units to bytes; half of a character waits for its other half. */
static void take_units(struct console *c, DWORD count)
{
	wchar_t text[READ_UNITS + 1];
	DWORD n = 0;
	if (c->half)
		text[n++] = c->half;
	memcpy(text + n, c->units, count * sizeof *text);
	n += count;
	c->half = n && text[n - 1] >= 0xd800 && text[n - 1] < 0xdc00 ? text[--n] : 0;
	c->got =
	    WideCharToMultiByte(CP_UTF8, 0, text, (int)n, c->bytes, sizeof c->bytes, NULL, NULL);
}

/* False: the mode has changed meanwhile: again. */
static bool read_keys(struct console *c)
{
	bool gone;
	size_t count = keys_read(c->in, c->again, c->units, &gone);
	if (count)
		take_units(c, (DWORD)count);
	if (gone)
		c->got = CONSOLE_GONE;
	return c->got != 0 || atomic_load(&c->leaving);
}

/* False: the mode has changed meanwhile, or nothing came: again. */
static bool read_line(struct console *c, unsigned turn)
{
	CONSOLE_READCONSOLE_CONTROL wake = {
	    .nLength = sizeof wake, .dwCtrlWakeupMask = 1u << KEY_P | 1u << KEY_Q | 1u << KEY_TURN};
	DWORD count = 0;
	SetLastError(0);
	bool good = ReadConsoleW(c->in, c->units, READ_UNITS, &count, &wake);
	DWORD why = GetLastError();
	if (atomic_load(&c->leaving))
		return true;
	if (!good && why != ERROR_OPERATION_ABORTED && turn == atomic_load(&c->turn)) {
		c->got = CONSOLE_GONE;
		return true;
	}
	if (count && c->units[count - 1] == KEY_TURN)
		count--;
	if (!count)
		return false;
	if (c->units[0] == KEY_Z)
		c->got = CONSOLE_END;
	else
		take_units(c, count);
	return c->got != 0 || c->units[0] == KEY_Z;
}

static bool read_console(struct console *c)
{
	unsigned turn = atomic_load(&c->turn);
	atomic_store(&c->reading, turn);
	return atomic_load(&c->raw) ? read_keys(c) : read_line(c, turn);
}

static void read_pipe(struct console *c)
{
	DWORD count = 0;
	if (!ReadFile(c->in, c->bytes, READ_UNITS, &count, NULL) &&
	    GetLastError() != ERROR_BROKEN_PIPE && GetLastError() != ERROR_HANDLE_EOF)
		c->got = CONSOLE_GONE;
	else
		c->got = (long)count;
}

static DWORD WINAPI reader_thread(void *arg)
{
	struct console *c = arg;
	for (;;) {
		WaitForSingleObject(c->ask, INFINITE);
		if (atomic_load(&c->leaving))
			return 0;
		c->got = c->at = 0;
		if (c->types)
			while (!read_console(c))
				;
		else
			read_pipe(c);
		SetEvent(c->answer);
	}
}

/* ---- modes ---- */

static void put_key(struct console *c, wchar_t key, WORD scan_code)
{
	INPUT_RECORD typed = {.EventType = KEY_EVENT,
	                      .Event.KeyEvent = {.bKeyDown = TRUE,
	                                         .wRepeatCount = 1,
	                                         .wVirtualScanCode = scan_code,
	                                         .uChar.UnicodeChar = key,
	                                         .dwControlKeyState = LEFT_CTRL_PRESSED}};
	DWORD count;
	WriteConsoleInputW(c->in, &typed, 1, &count);
}

/* The reader, if it reads, does so in the present mode from now on. */
static void turn(struct console *c, bool was_raw)
{
	unsigned turn = atomic_fetch_add(&c->turn, 1) + 1;
	if (!c->asked || !c->reader)
		return;
	if (was_raw)
		SetEvent(c->again);
	else
		put_key(c, KEY_TURN, KEYS_UNTYPED);
	for (int i = 0; i < TURN_MS && atomic_load(&c->reading) != turn; i++)
		if (WaitForSingleObject(c->answer, 1) == WAIT_OBJECT_0)
			return;
}

void console_set_raw(struct console *c, bool raw)
{
	DWORD mode = c->before;
	bool was_raw = atomic_load(&c->raw);
	if (!c->types)
		return;
	if (raw)
		mode = ENABLE_VIRTUAL_TERMINAL_INPUT | ENABLE_EXTENDED_FLAGS;
	else
		mode |= ENABLE_PROCESSED_INPUT | ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT;
	if (!raw)
		SetConsoleMode(c->in, mode);
	atomic_store(&c->raw, raw);
	if (raw != was_raw)
		turn(c, was_raw);
	if (raw)
		SetConsoleMode(c->in, mode);
}

static BOOL WINAPI on_console_event(DWORD kind)
{
	unsigned event = kind == CTRL_C_EVENT       ? CONSOLE_INTERRUPT
	                 : kind == CTRL_BREAK_EVENT ? CONSOLE_TERMINATE
	                                            : CONSOLE_HANGUP;
	HANDLE came = atomic_load(&event_came);
	atomic_fetch_or(&events, 1u << event);
	if (came)
		SetEvent(came);
	/* The program is ended when this returns; the other thread still says goodbye. */
	if (event == CONSOLE_HANGUP)
		Sleep(HANGUP_MS);
	return TRUE;
}

struct console *console_open(bool joins)
{
	struct console *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->joins = joins;
	c->in = stream_handle(0);
	c->types = joins && GetConsoleMode(c->in, &c->before);
	c->ask = CreateEventW(NULL, FALSE, FALSE, NULL);
	c->answer = CreateEventW(NULL, TRUE, FALSE, NULL);
	c->again = CreateEventW(NULL, TRUE, FALSE, NULL);
	atomic_store(&event_came, CreateEventW(NULL, FALSE, FALSE, NULL));
	c->vt = vt_new(stream_handle(1), c->in);
	console_size(&c->cols, &c->rows);
	if (joins) {
		SetConsoleCtrlHandler(on_console_event, TRUE);
		c->reader = CreateThread(NULL, 0, reader_thread, c, 0, NULL);
	}
	console_set_raw(c, false);
	return c;
}

/* A reader that does not come back is left alone: it ends with the program, and so does what it uses. */
static bool end_reader(struct console *c)
{
	if (!c->reader)
		return true;
	atomic_store(&c->leaving, true);
	SetEvent(c->ask);
	SetEvent(c->again);
	if (c->asked && c->types && !atomic_load(&c->raw))
		put_key(c, KEY_TURN, KEYS_UNTYPED);
	for (int i = 0; i < 20; i++) {
		if (WaitForSingleObject(c->reader, 5) == WAIT_OBJECT_0) {
			CloseHandle(c->reader);
			return true;
		}
		CancelSynchronousIo(c->reader);
	}
	return false;
}

void console_close(struct console *c)
{
	if (atomic_load(&c->raw) && console_is_terminal(1))
		console_show(c, 1, screen_off, sizeof screen_off - 1);
	vt_free(c->vt);
	if (c->types)
		SetConsoleMode(c->in, c->before);
	if (c->joins)
		SetConsoleCtrlHandler(on_console_event, FALSE);
	if (!end_reader(c))
		return;
	CloseHandle(c->ask);
	CloseHandle(c->answer);
	CloseHandle(c->again);
	free(c);
}

bool console_types(const struct console *c)
{
	return c->types;
}

/* ---- waiting ---- */

static bool is_set(HANDLE h)
{
	return WaitForSingleObject(h, 0) == WAIT_OBJECT_0;
}

static bool size_changed(struct console *c)
{
	uint16_t cols = c->cols, rows = c->rows;
	if (!console_size(&cols, &rows) || (cols == c->cols && rows == c->rows))
		return false;
	c->cols = cols;
	c->rows = rows;
	atomic_fetch_or(&events, 1u << 31);
	return true;
}

unsigned console_wait(struct console *c, const struct wire *node, bool reads)
{
	HANDLE all[] = {node ? (HANDLE)wire_waitable(node) : NULL, atomic_load(&event_came),
	                c->answer};
	DWORD first = node ? 0 : 1;
	reads = reads && c->reader;
	if (reads && !c->asked) {
		c->asked = true;
		SetEvent(c->ask);
	}
	DWORD which = WaitForMultipleObjects((reads ? 3 : 2) - first, all + first, FALSE, LOOK_MS);
	if (which == WAIT_FAILED)
		return CONSOLE_BROKEN;
	bool resized = size_changed(c);
	return (node && is_set(all[0]) ? CONSOLE_NODE : 0u) |
	       (reads && is_set(c->answer) ? CONSOLE_INPUT : 0u) |
	       (resized || atomic_load(&events) ? CONSOLE_EVENT : 0u);
}

long console_read(struct console *c, void *buf, size_t size)
{
	if (!is_set(c->answer))
		return CONSOLE_NOTHING;
	long got = c->got;
	if (got > 0) {
		size_t left = (size_t)got - c->at;
		size = size < left ? size : left;
		memcpy(buf, c->bytes + c->at, size);
		c->at += size;
		if (c->at < (size_t)got)
			return (long)size;
		got = (long)size;
	}
	ResetEvent(c->answer);
	c->asked = false;
	return got;
}

int console_event(struct console *c)
{
	static const int known[] = {CONSOLE_HANGUP, CONSOLE_INTERRUPT, CONSOLE_TERMINATE};
	unsigned came = atomic_load(&events);
	if (came & 1u << 31) {
		atomic_fetch_and(&events, ~(1u << 31));
		return CONSOLE_RESIZED;
	}
	for (int i = 0; i < 3; i++) {
		if (!(came & 1u << known[i]))
			continue;
		atomic_fetch_and(&events, ~(1u << known[i]));
		if (known[i] != CONSOLE_INTERRUPT || !atomic_load(&c->raw))
			return known[i];
		put_key(c, KEY_C,
		        0); /* wine's consoles make an event of it also where it is to be a key */
	}
	return 0;
}
