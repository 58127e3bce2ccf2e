/* stop_windows.c - stop.h on Windows: ^C, ^Break and the close button of a console, and the end of the session.
 *
 * Consoles speak through libuv's signals. A program that has user32 in it is not told by its console that the user logs
 * off or the machine goes down, and a background node has no console: a window that is never shown is told, on a thread of
 * its own, and holds the session's end up until the node is down, for at most END_MS. */
#include "node/stop.h"

#include "base/os_thread.h"
#include "node/node.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SIGNALS = 3, END_MS = 4500, STACK_BYTES = 256 * 1024 };

struct stops {
	struct node *node;
	uv_signal_t at[SIGNALS];
	uv_async_t session_ends;
	unsigned open; /* handles */
	pthread_t thread;
	bool has_thread;
	HANDLE ready; /* the window is there, or cannot be */
	HANDLE
	down; /* the node is going to close its parts: nothing of a process is lost any more */
	_Atomic(HWND) window;
};

static void on_signal(uv_signal_t *h, int signum)
{
	struct stops *s = h->data;
	node_log(s->node, LOG_INFO, "node", "signal %d", signum);
	node_stop(s->node, false);
}

static void on_session_end(uv_async_t *h)
{
	struct stops *s = h->data;
	node_log(s->node, LOG_INFO, "node", "the session ends");
	node_stop(s->node, false);
}

/* ---- the window ---- */

static LRESULT CALLBACK procedure(HWND window, UINT message, WPARAM w, LPARAM l)
{
	struct stops *s = (struct stops *)GetWindowLongPtrW(window, GWLP_USERDATA);
	switch (message) {
	case WM_QUERYENDSESSION: return TRUE;
	case WM_ENDSESSION:
		if (w && s) {
			uv_async_send(&s->session_ends);
			WaitForSingleObject(s->down, END_MS);
		}
		return 0;
	case WM_CLOSE: DestroyWindow(window); return 0;
	case WM_DESTROY: PostQuitMessage(0); return 0;
	default: return DefWindowProcW(window, message, w, l);
	}
}

static HWND make_window(struct stops *s)
{
	WNDCLASSW kind = {.lpfnWndProc = procedure,
	                  .hInstance = GetModuleHandleW(NULL),
	                  .lpszClassName = L"WasmOS node"};
	RegisterClassW(&kind); /* a second node of this program finds it registered */
	HWND window = CreateWindowExW(0, kind.lpszClassName, L"WasmOS", WS_OVERLAPPED, 0, 0, 0, 0,
	                              NULL, NULL, kind.hInstance, NULL);
	if (window)
		SetWindowLongPtrW(window, GWLP_USERDATA, (LONG_PTR)s);
	return window;
}

static void *window_thread(void *arg)
{
	struct stops *s = arg;
	MSG message;
	atomic_store(&s->window, make_window(s));
	SetEvent(s->ready);
	while (atomic_load(&s->window) && GetMessageW(&message, NULL, 0, 0) > 0)
		DispatchMessageW(&message);
	return NULL;
}

/* ---- the part ---- */

enum err stops_open(struct node *n, struct errmsg *msg)
{
	static const int signums[SIGNALS] = {SIGINT, SIGBREAK, SIGHUP};
	struct stops *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(msg, ERR_NOMEM, "out of memory");
	s->node = n;
	for (int i = 0; i < SIGNALS; i++) {
		uv_signal_init(&n->loop, &s->at[i]);
		s->at[i].data = s;
		uv_signal_start(&s->at[i], on_signal, signums[i]);
	}
	uv_async_init(&n->loop, &s->session_ends, on_session_end);
	s->session_ends.data = s;
	s->open = SIGNALS + 1;
	s->ready = CreateEventW(NULL, TRUE, FALSE, NULL);
	s->down = CreateEventW(NULL, TRUE, FALSE, NULL);
	s->has_thread = os_thread_start(&s->thread, STACK_BYTES, window_thread, s);
	n->stops = s;
	return ERR_OK;
}

static void closed(uv_handle_t *h)
{
	struct stops *s = h->data;
	if (!--s->open)
		free(s);
}

void stops_close(struct node *n)
{
	struct stops *s = n->stops;
	n->stops = NULL;
	SetEvent(s->down);
	if (s->has_thread) {
		WaitForSingleObject(s->ready, INFINITE);
		if (atomic_load(&s->window))
			PostMessageW(atomic_load(&s->window), WM_CLOSE, 0, 0);
		pthread_join(s->thread, NULL);
	}
	CloseHandle(s->ready);
	CloseHandle(s->down);
	for (int i = 0; i < SIGNALS; i++)
		uv_close((uv_handle_t *)&s->at[i], closed);
	uv_close((uv_handle_t *)&s->session_ends, closed);
}

void stop_crash(void)
{
	TerminateProcess(GetCurrentProcess(), 137);
	abort();
}

/* Windows names no start of the system that programs of all kinds could compare. */
bool stop_boot_id(char text[64])
{
	return false;
}
