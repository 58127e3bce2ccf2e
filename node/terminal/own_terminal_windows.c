/* own_terminal_windows.c - own_terminal.h on Windows: console modes, and a thread that reads keys as xterm would send them. */
#include "node/terminal/own_terminal.h"

#include "node/terminal/keys_windows.h"
#include "node/terminal/vt_windows.h"

#include <stdlib.h>
#include <windows.h>

struct own_terminal {
	void (*on_keys)(void *ctx, const uint8_t *bytes, size_t size);
	void *ctx;
	bool raw;
	DWORD before; /* while raw */
	HANDLE in, out, keys, stop;
	struct vt *vt; /* NULL: the console understands escape sequences itself */
};

bool own_terminal_is_there(void)
{
	DWORD mode;

	return GetConsoleMode(GetStdHandle(STD_INPUT_HANDLE), &mode) &&
	       GetConsoleMode(GetStdHandle(STD_OUTPUT_HANDLE), &mode);
}

struct own_terminal *own_terminal_new(void (*on_keys)(void *ctx, const uint8_t *bytes, size_t size),
                                      void *ctx)
{
	struct own_terminal *t = calloc(1, sizeof(*t));

	if (t != NULL) {
		t->on_keys = on_keys;
		t->ctx = ctx;
		t->in = GetStdHandle(STD_INPUT_HANDLE);
		t->out = GetStdHandle(STD_OUTPUT_HANDLE);
		t->vt = vt_new(t->out, t->in);
	}
	return t;
}

void own_terminal_free(struct own_terminal *t)
{
	if (t != NULL) {
		own_terminal_raw(t, false);
		vt_free(t->vt);
	}
	free(t);
}

static DWORD WINAPI keys_thread(void *arg)
{
	struct own_terminal *t = arg;
	wchar_t units[KEYS_UNITS];
	char bytes[3 * KEYS_UNITS];
	size_t count;
	bool gone;

	while ((count = keys_read(t->in, t->stop, units, &gone)) != 0) {
		int size = WideCharToMultiByte(CP_UTF8, 0, units, (int)count, bytes, sizeof(bytes),
		                               NULL, NULL);
		if (size > 0)
			t->on_keys(t->ctx, (const uint8_t *)bytes, (size_t)size);
	}
	return 0;
}

static void raw_on(struct own_terminal *t)
{
	if (!GetConsoleMode(t->in, &t->before))
		return;
	SetConsoleMode(t->in, ENABLE_VIRTUAL_TERMINAL_INPUT | ENABLE_EXTENDED_FLAGS);
	t->stop = CreateEventW(NULL, TRUE, FALSE, NULL);
	t->keys = t->stop != NULL ? CreateThread(NULL, 0, keys_thread, t, 0, NULL) : NULL;
	t->raw = t->keys != NULL;
	if (!t->raw)
		SetConsoleMode(t->in, t->before);
}

static void raw_off(struct own_terminal *t)
{
	SetEvent(t->stop);
	WaitForSingleObject(t->keys, INFINITE);
	CloseHandle(t->keys);
	CloseHandle(t->stop);
	SetConsoleMode(t->in, t->before);
	t->raw = false;
}

void own_terminal_raw(struct own_terminal *t, bool raw)
{
	if (raw && !t->raw)
		raw_on(t);
	else if (!raw && t->raw)
		raw_off(t);
}

size_t own_terminal_write(struct own_terminal *t, const void *bytes, size_t size)
{
	DWORD n = 0;

	if (t->vt != NULL) {
		vt_write(t->vt, bytes, size);
		return size;
	}
	return WriteFile(t->out, bytes, (DWORD)size, &n, NULL) ? n : 0;
}

void own_terminal_size(struct own_terminal *t, uint16_t *columns, uint16_t *rows)
{
	CONSOLE_SCREEN_BUFFER_INFO info;

	if (!GetConsoleScreenBufferInfo(t->out, &info))
		return;
	*columns = (uint16_t)(info.srWindow.Right - info.srWindow.Left + 1);
	*rows = (uint16_t)(info.srWindow.Bottom - info.srWindow.Top + 1);
}

void own_terminal_exit(struct own_terminal *t, int status)
{
	SetConsoleMode(t->in, t->before);
	ExitProcess((UINT)status);
}
