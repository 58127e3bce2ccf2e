/* door_windows.c - door.h on Windows: a named pipe.
 *
 * Names of pipes are seen by everybody on the machine, so the name says nothing but a hash of the home's path. The pipe's
 * access list names our user alone, clients from other machines are refused, and the first instance must be the
 * first: whoever took the name before us is not joined. The command looks at who owns the pipe before it says
 * anything, and lets its server learn who it is but not act as it.
 *
 * libuv would make pipes that others may read; so a thread of ours waits for clients and hands their handles to the loop. */
#include "node/control/door.h"

#include "base/crypto.h"
#include "base/file.h"
#include "base/os_thread.h"
#include "base/private_windows.h"
#include "node/node.h"

#include <fcntl.h>
#include <io.h>
#include <stdlib.h>
#include <string.h>

enum {
	NAME_MAX_UNITS = 96,
	BUFFER_BYTES = 64 * 1024,
	WAITING_MAX = 64,
	STACK_BYTES = 256 * 1024,
	BUSY_MS = 5000,
};

/* Two spellings of one path are one home: its case does not count, nor how its parts are parted. */
static bool pipe_name(const char *home, wchar_t name[NAME_MAX_UNITS])
{
	uint8_t hash[CRYPTO_HASH_SIZE];
	char *path = path_absolute(home);
	if (!path)
		return false;
	int units = MultiByteToWideChar(CP_UTF8, 0, path, -1, NULL, 0);
	wchar_t *wide = units > 0 ? malloc((size_t)units * sizeof *wide) : NULL;
	if (wide) {
		MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, units);
		CharLowerBuffW(wide, (DWORD)units);
		crypto_blake2b(hash, wide, (size_t)(units - 1) * sizeof *wide);
		wcscpy(name, L"\\\\.\\pipe\\wasmos-");
		for (int i = 0; i < 16; i++)
			_snwprintf(name + wcslen(name), 3, L"%02x", hash[i]);
	}
	free(path);
	free(wide);
	return wide != NULL;
}

/* ---- the node's end ---- */

struct door {
	struct node *node;
	uv_async_t async;
	door_fn on_client;
	void *ctx;
	void (*closed)(void *ctx);
	void *closed_ctx;
	wchar_t name[NAME_MAX_UNITS];
	SECURITY_ATTRIBUTES sa;
	HANDLE next; /* the instance that waits for a client; the thread's once it runs */
	HANDLE stop;
	pthread_t thread;
	bool has_thread;
	CRITICAL_SECTION lock;
	HANDLE waiting[WAITING_MAX]; /* connected, not accepted; under the lock */
	unsigned nwaiting;
	HANDLE taken; /* for door_accept() */
};

static HANDLE make_instance(struct door *d, bool first)
{
	return CreateNamedPipeW(
	    d->name,
	    PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | (first ? FILE_FLAG_FIRST_PIPE_INSTANCE : 0),
	    PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS,
	    PIPE_UNLIMITED_INSTANCES, BUFFER_BYTES, BUFFER_BYTES, 0, &d->sa);
}

/* True when there is a client; false when the door closes or the instance is of no use. */
static bool wait_for_client(struct door *d, HANDLE pipe, HANDLE event)
{
	OVERLAPPED o = {.hEvent = event};
	DWORD none;
	ResetEvent(event);
	if (ConnectNamedPipe(pipe, &o))
		return true;
	switch (GetLastError()) {
	case ERROR_PIPE_CONNECTED: return true;
	case ERROR_IO_PENDING: break;
	default: return false;
	}
	HANDLE both[] = {d->stop, event};
	if (WaitForMultipleObjects(2, both, FALSE, INFINITE) != WAIT_OBJECT_0)
		return GetOverlappedResult(pipe, &o, &none, TRUE);
	CancelIoEx(pipe, &o);
	GetOverlappedResult(pipe, &o, &none, TRUE);
	return false;
}

static void hand_over(struct door *d, HANDLE pipe)
{
	EnterCriticalSection(&d->lock);
	bool room = d->nwaiting < WAITING_MAX;
	if (room)
		d->waiting[d->nwaiting++] = pipe;
	LeaveCriticalSection(&d->lock);
	if (room)
		uv_async_send(&d->async);
	else
		CloseHandle(pipe);
}

static bool stopped(struct door *d)
{
	return WaitForSingleObject(d->stop, 0) == WAIT_OBJECT_0;
}

/* There is always an instance that waits: the next one is made before a client is looked at. */
static void *door_thread(void *arg)
{
	struct door *d = arg;
	HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
	while (event && !stopped(d)) {
		HANDLE pipe = d->next;
		bool there = pipe != INVALID_HANDLE_VALUE && wait_for_client(d, pipe, event);
		d->next = stopped(d) ? INVALID_HANDLE_VALUE : make_instance(d, false);
		if (there)
			hand_over(d, pipe);
		else if (pipe != INVALID_HANDLE_VALUE)
			CloseHandle(pipe);
		if (d->next == INVALID_HANDLE_VALUE && !stopped(d))
			os_sleep_ns(50000000); /* the system has no room for one now */
	}
	if (d->next != INVALID_HANDLE_VALUE)
		CloseHandle(d->next);
	if (event)
		CloseHandle(event);
	return NULL;
}

static HANDLE take_waiting(struct door *d)
{
	EnterCriticalSection(&d->lock);
	HANDLE pipe = d->nwaiting ? d->waiting[0] : NULL;
	if (pipe)
		memmove(d->waiting, d->waiting + 1, --d->nwaiting * sizeof *d->waiting);
	LeaveCriticalSection(&d->lock);
	return pipe;
}

static void on_waiting(uv_async_t *async)
{
	struct door *d = async->data;
	while ((d->taken = take_waiting(d))) {
		d->on_client(d->ctx);
		if (d->taken)
			CloseHandle(d->taken);
	}
}

static void free_door(struct door *d)
{
	DeleteCriticalSection(&d->lock);
	LocalFree(d->sa.lpSecurityDescriptor);
	if (d->stop)
		CloseHandle(d->stop);
	free(d);
}

static enum err open_inside(struct door *d, const char *home, struct errmsg *msg)
{
	d->stop = CreateEventW(NULL, TRUE, FALSE, NULL);
	if (!d->stop || !pipe_name(home, d->name) || !private_attributes(PRIVATE_PIPE, &d->sa))
		return err_set(msg, ERR_NOMEM, "control pipe: out of memory");
	d->next = make_instance(d, true);
	if (d->next == INVALID_HANDLE_VALUE)
		return err_set(
		    msg, ERR_IO,
		    "the control pipe of %s cannot be made (error %lu): another program may "
		    "have taken its name",
		    home, GetLastError());
	return ERR_OK;
}

enum err door_open(struct node *n, door_fn on_client, void *ctx, struct door **out,
                   struct errmsg *msg)
{
	struct door *d = calloc(1, sizeof *d);
	if (!d)
		return err_set(msg, ERR_NOMEM, "control pipe: out of memory");
	*d = (struct door){.node = n, .on_client = on_client, .ctx = ctx};
	InitializeCriticalSection(&d->lock);
	enum err e = open_inside(d, n->cfg.home, msg);
	if (e != ERR_OK) {
		free_door(d);
		return e;
	}
	uv_async_init(&n->loop, &d->async, on_waiting);
	d->async.data = d;
	d->has_thread = os_thread_start(&d->thread, STACK_BYTES, door_thread, d);
	*out = d;
	if (d->has_thread)
		return ERR_OK;
	CloseHandle(d->next);
	door_close(d, NULL, NULL);
	return err_set(msg, ERR_LIMIT, "control pipe: the system allows no further thread");
}

enum err door_accept(struct door *d, uv_pipe_t *pipe)
{
	HANDLE h = d->taken;
	d->taken = NULL;
	int fd = h ? _open_osfhandle((intptr_t)h, _O_RDWR | _O_BINARY) : -1;
	if (fd < 0) {
		if (h)
			CloseHandle(h);
		return ERR_IO;
	}
	if (uv_pipe_open(pipe, fd) == 0)
		return ERR_OK;
	_close(fd);
	return ERR_IO;
}

static void async_closed(uv_handle_t *h)
{
	struct door *d = h->data;
	HANDLE pipe;
	while ((pipe = take_waiting(d)))
		CloseHandle(pipe);
	if (d->closed)
		d->closed(d->closed_ctx);
	free_door(d);
}

void door_close(struct door *d, void (*closed)(void *ctx), void *ctx)
{
	d->closed = closed;
	d->closed_ctx = ctx;
	SetEvent(d->stop);
	if (d->has_thread)
		pthread_join(d->thread, NULL);
	uv_close((uv_handle_t *)&d->async, async_closed);
}

/* ---- the command's end ---- */

/* One read is always under way, so that its event can be waited on together with others. */
struct wire {
	HANDLE pipe, sent;
	OVERLAPPED read; /* its event is set when there are bytes, or an end */
	bool pending, gone;
	size_t at, have;
	uint8_t buf[BUFFER_BYTES];
};

static void start_read(struct wire *w)
{
	w->at = w->have = 0;
	w->pending = true;
	if (ReadFile(w->pipe, w->buf, sizeof w->buf, NULL, &w->read) ||
	    GetLastError() == ERROR_IO_PENDING)
		return;
	w->pending = false;
	w->gone = true;
	SetEvent(w->read.hEvent);
}

static HANDLE open_pipe(const wchar_t *name)
{
	for (int i = 0; i < 10; i++) {
		HANDLE h = CreateFileW(
		    name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
		    FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, NULL);
		if (h != INVALID_HANDLE_VALUE || GetLastError() != ERROR_PIPE_BUSY)
			return h;
		WaitNamedPipeW(name, BUSY_MS);
	}
	return INVALID_HANDLE_VALUE;
}

static enum err open_wire(const char *home, HANDLE *pipe, struct errmsg *msg)
{
	wchar_t name[NAME_MAX_UNITS];
	if (!pipe_name(home, name))
		return err_set(msg, ERR_NOMEM, "out of memory");
	*pipe = open_pipe(name);
	if (*pipe == INVALID_HANDLE_VALUE) {
		DWORD why = GetLastError();
		return err_set(msg, why == ERROR_FILE_NOT_FOUND ? ERR_NOTFOUND : ERR_IO,
		               "the node of %s cannot be talked to (error %lu)", home, why);
	}
	if (private_is_ours(*pipe))
		return ERR_OK;
	CloseHandle(*pipe);
	return err_set(msg, ERR_DENIED,
	               "the control pipe of %s was made by another user: it is not used", home);
}

struct wire *wire_connect(const char *home, struct errmsg *msg, enum err *why)
{
	struct wire *w = calloc(1, sizeof *w);
	if (!w) {
		*why = err_set(msg, ERR_NOMEM, "out of memory");
		return NULL;
	}
	*why = open_wire(home, &w->pipe, msg);
	if (*why != ERR_OK) {
		free(w);
		return NULL;
	}
	w->sent = CreateEventW(NULL, TRUE, FALSE, NULL);
	w->read.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
	start_read(w);
	return w;
}

bool wire_send(struct wire *w, const void *bytes, size_t size)
{
	for (const uint8_t *p = bytes; size;) {
		OVERLAPPED o = {.hEvent = w->sent};
		DWORD n = 0, part = size < 1 << 20 ? (DWORD)size : 1 << 20;
		if (!WriteFile(w->pipe, p, part, NULL, &o) && GetLastError() != ERROR_IO_PENDING)
			return false;
		if (!GetOverlappedResult(w->pipe, &o, &n, TRUE))
			return false;
		p += n;
		size -= n;
	}
	return true;
}

size_t wire_receive(struct wire *w, void *buf, size_t size)
{
	DWORD n = 0;
	if (w->pending) {
		w->gone = !GetOverlappedResult(w->pipe, &w->read, &n, TRUE) || !n;
		w->pending = false;
		w->have = n;
	}
	if (w->gone)
		return 0;
	if (size > w->have - w->at)
		size = w->have - w->at;
	memcpy(buf, w->buf + w->at, size);
	w->at += size;
	if (w->at == w->have)
		start_read(w);
	return size;
}

intptr_t wire_waitable(const struct wire *w)
{
	return (intptr_t)w->read.hEvent;
}

void wire_close(struct wire *w)
{
	DWORD n;
	if (!w)
		return;
	if (w->pending) {
		CancelIoEx(w->pipe, &w->read);
		GetOverlappedResult(w->pipe, &w->read, &n, TRUE);
	}
	CloseHandle(w->pipe);
	CloseHandle(w->sent);
	CloseHandle(w->read.hEvent);
	free(w);
}
