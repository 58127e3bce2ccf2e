/* hostfd_windows.c - a standard handle of the program as a stream, on Windows.
 *
 * No handle of a pipe or a console tells whether a read would wait. So a thread reads: one piece whenever somebody asked
 * and nothing was there, which raises an event that os_wait() knows. Truths, under the lock: while asked is set the
 * thread owns buf; else buf[at..have) is what was read, and the event is up when there is some of it or the end came.
 * What a console gives and takes is UTF-16 in its own calls, and UTF-8 here. Writing waits until it is written.
 */
#include "vfs/stream_impl.h"

#include "base/utf16.h"

#include <io.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

enum { PIECE = 16384, CONSOLE_UNITS = PIECE / 4 };

struct hostfd {
	int fd;
	HANDLE h;
	bool owns, is_console;
	enum vfs_type type;
	/* reading: */
	pthread_mutex_t lock;
	HANDLE thread, wanted, readable; /* wanted: the thread is to read, or to end */
	bool asked, ended, stop;
	size_t at, have;
	uint8_t buf[PIECE];
	wchar_t high; /* the first half of a character whose second comes with the next piece */
	/* writing to a console: */
	DWORD mode_before;
	uint8_t part[4]; /* the beginning of a character */
	size_t part_size;
};

/* ---- the reading thread ---- */

/* A line that begins with ^Z is the end, and a line ends as it does in a file. */
static size_t from_console(struct hostfd *s)
{
	uint16_t text[CONSOLE_UNITS + 1];
	DWORD got = 0;
	size_t n = 0, units = 0, size = 0;
	if (s->high)
		text[n++] = s->high;
	s->high = 0;
	if (!ReadConsoleW(s->h, text + n, CONSOLE_UNITS, &got, NULL) || got == 0 || text[n] == 0x1a)
		return 0;
	n += got;
	for (size_t i = 0; i < n; i++)
		if (text[i] != '\r' || i + 1 == n || text[i + 1] != '\n')
			text[units++] = text[i];
	if (text[units - 1] >= 0xd800 && text[units - 1] < 0xdc00)
		s->high = text[--units];
	utf8_of_utf16(text, units, (char *)s->buf, sizeof s->buf, &size);
	return size;
}

static size_t read_piece(struct hostfd *s)
{
	DWORD n = 0;
	if (s->is_console)
		return from_console(s);
	return ReadFile(s->h, s->buf, sizeof s->buf, &n, NULL) ? n : 0;
}

static DWORD CALLBACK reader(void *arg)
{
	struct hostfd *s = arg;
	for (;;) {
		WaitForSingleObject(s->wanted, INFINITE);
		pthread_mutex_lock(&s->lock);
		bool stop = s->stop;
		pthread_mutex_unlock(&s->lock);
		if (stop)
			return 0;
		size_t n = read_piece(s);
		pthread_mutex_lock(&s->lock);
		s->at = 0;
		s->have = n;
		s->ended = n == 0 && !s->high;
		s->asked = false;
		SetEvent(s->readable);
		pthread_mutex_unlock(&s->lock);
	}
}

/* With the lock held: reads on, unless there is something. False: the system has no thread for it. */
static bool ask(struct hostfd *s)
{
	if (s->asked || s->ended || s->at < s->have)
		return true;
	if (!s->thread)
		s->thread = CreateThread(NULL, 65536, reader, s, 0, NULL);
	s->asked = s->thread != NULL;
	if (s->asked)
		SetEvent(s->wanted);
	return s->asked;
}

/* Ends the thread, whatever it waits for. False: the system does not let go of it. */
static bool stop_reader(struct hostfd *s)
{
	enum { TRIES = 20, EACH_MS = 10 };
	if (!s->thread)
		return true;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_mutex_unlock(&s->lock);
	SetEvent(s->wanted);
	bool ended = false;
	for (int i = 0; i < TRIES && !ended; i++) {
		CancelSynchronousIo(s->thread);
		ended = WaitForSingleObject(s->thread, EACH_MS) == WAIT_OBJECT_0;
	}
	CloseHandle(s->thread);
	return ended;
}

/* ---- the stream ---- */

static enum ferr error_of(void)
{
	switch (GetLastError()) {
	case ERROR_BROKEN_PIPE:
	case ERROR_NO_DATA:
	case ERROR_PIPE_NOT_CONNECTED: return FE_PIPE;
	case ERROR_INVALID_HANDLE:
	case ERROR_ACCESS_DENIED: return FE_BADF;
	case ERROR_DISK_FULL:
	case ERROR_HANDLE_DISK_FULL: return FE_NOSPC;
	default: return FE_IO;
	}
}

static enum ferr read_file(struct hostfd *s, void *buf, size_t size, size_t *done)
{
	DWORD n = 0;
	if (!ReadFile(s->h, buf, (DWORD)(size < 1u << 30 ? size : 1u << 30), &n, NULL))
		return GetLastError() == ERROR_HANDLE_EOF ? FE_OK : error_of();
	*done = n;
	return FE_OK;
}

static enum ferr hostfd_read(void *ctx, void *buf, size_t size, size_t *done)
{
	struct hostfd *s = ctx;
	if (s->type == VFS_TYPE_FILE)
		return read_file(s, buf, size, done);
	if (s->type == VFS_TYPE_UNKNOWN)
		return FE_BADF;
	enum ferr e = FE_OK;
	pthread_mutex_lock(&s->lock);
	if (!s->asked && s->at < s->have) {
		*done = s->have - s->at < size ? s->have - s->at : size;
		memcpy(buf, s->buf + s->at, *done);
		s->at += *done;
		if (s->at == s->have)
			ResetEvent(s->readable);
	} else if (!s->ended) {
		ResetEvent(s->readable);
		e = ask(s) ? FE_AGAIN : FE_NOMEM;
	}
	pthread_mutex_unlock(&s->lock);
	return e;
}

static unsigned hostfd_ready(void *ctx)
{
	struct hostfd *s = ctx;
	if (s->type == VFS_TYPE_FILE)
		return VFS_READABLE | VFS_WRITABLE;
	pthread_mutex_lock(&s->lock);
	unsigned r = VFS_WRITABLE;
	if (!s->asked && (s->ended || s->at < s->have))
		r |= VFS_READABLE | (s->ended ? VFS_HANGUP : 0u);
	pthread_mutex_unlock(&s->lock);
	return r;
}

static os_handle hostfd_wait_handle(void *ctx, unsigned events)
{
	struct hostfd *s = ctx;
	if (events & VFS_READABLE && s->type != VFS_TYPE_FILE) {
		pthread_mutex_lock(&s->lock);
		if (!s->asked && !s->ended && s->at == s->have)
			ResetEvent(s->readable);
		ask(s);
		pthread_mutex_unlock(&s->lock);
	}
	return (os_handle)s->readable;
}

/* Bytes of the character that begins with this one. */
static size_t char_size(uint8_t first)
{
	return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static bool show(struct hostfd *s, const uint16_t *text, size_t units)
{
	while (units) {
		DWORD n = 0;
		if (!WriteConsoleW(s->h, text, (DWORD)units, &n, NULL) || !n)
			return false;
		text += n;
		units -= n;
	}
	return true;
}

/* What is no UTF-8 is shown as U+FFFD; the beginning of a character waits for its end. */
static enum ferr to_console(struct hostfd *s, const uint8_t *p, size_t size)
{
	uint16_t text[CONSOLE_UNITS + 2];
	size_t n = 0;
	for (size_t i = 0; i < size; i++) {
		size_t units;
		if (s->part_size && (p[i] & 0xc0) != 0x80) {
			text[n++] = 0xfffd;
			s->part_size = 0;
		}
		s->part[s->part_size++] = p[i];
		if (s->part_size < char_size(s->part[0]))
			continue;
		if (utf16_of_utf8((const char *)s->part, s->part_size, text + n, 2, &units) ==
		    ERR_OK)
			n += units;
		else
			text[n++] = 0xfffd;
		s->part_size = 0;
	}
	return show(s, text, n) ? FE_OK : error_of();
}

static enum ferr hostfd_write(void *ctx, const void *buf, size_t size, size_t *done)
{
	struct hostfd *s = ctx;
	DWORD n = 0;
	if (s->type == VFS_TYPE_UNKNOWN)
		return FE_BADF;
	if (s->is_console) {
		*done = size < CONSOLE_UNITS / 2 ? size : CONSOLE_UNITS / 2;
		return to_console(s, buf, *done);
	}
	if (!WriteFile(s->h, buf, (DWORD)(size < 1u << 30 ? size : 1u << 30), &n, NULL))
		return error_of();
	*done = n;
	return FE_OK;
}

static bool hostfd_is_tty(void *ctx)
{
	return ((struct hostfd *)ctx)->is_console;
}

/* ---- life ---- */

static void hostfd_close(void *ctx)
{
	struct hostfd *s = ctx;
	bool free_it = stop_reader(s);
	if (s->is_console)
		SetConsoleMode(s->h, s->mode_before);
	if (s->owns)
		_close(s->fd);
	if (!free_it)
		return; /* a thread that cannot be ended still reads into it */
	CloseHandle(s->wanted);
	CloseHandle(s->readable);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static const struct vfs_stream_ops hostfd_ops = {
    .read = hostfd_read,
    .write = hostfd_write,
    .ready = hostfd_ready,
    .wait_handle = hostfd_wait_handle,
    .is_tty = hostfd_is_tty,
    .close = hostfd_close,
};

static enum vfs_type type_of(HANDLE h)
{
	switch (h == INVALID_HANDLE_VALUE ? FILE_TYPE_UNKNOWN : GetFileType(h)) {
	case FILE_TYPE_DISK: return VFS_TYPE_FILE;
	case FILE_TYPE_CHAR: return VFS_TYPE_CHAR;
	case FILE_TYPE_PIPE: return VFS_TYPE_STREAM;
	default: return VFS_TYPE_UNKNOWN;
	}
}

/* Escape sequences are the terminal's, as everywhere else. */
static void console_on(struct hostfd *s)
{
	DWORD mode, events;
	s->is_console = GetConsoleMode(s->h, &mode);
	s->mode_before = mode;
	if (s->is_console && !GetNumberOfConsoleInputEvents(s->h, &events))
		SetConsoleMode(s->h,
		               mode | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
}

struct vfs_obj *vfs_hostfd_new(int fd, bool owns)
{
	struct hostfd *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->fd = fd;
	s->owns = owns;
	s->h = (HANDLE)_get_osfhandle(fd);
	s->type = type_of(s->h);
	if (s->type == VFS_TYPE_CHAR)
		console_on(s);
	pthread_mutex_init(&s->lock, NULL);
	s->wanted = CreateEventW(NULL, FALSE, FALSE, NULL);
	s->readable = CreateEventW(NULL, TRUE, FALSE, NULL);
	struct vfs_obj *o = NULL;
	if (s->wanted && s->readable)
		o = vfs_stream_new_typed(&hostfd_ops, s, s->type);
	if (!o)
		hostfd_close(s);
	return o;
}
