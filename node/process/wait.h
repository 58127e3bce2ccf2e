/* wait.h - what a blocked host call waits for.
 *
 * A host call that cannot go on returns HOST_BLOCK having done nothing, and says in its process's
 * struct wait when trying again makes sense: a deadline, handles of the host, or nothing at all (then
 * only the process's waker ends the wait). The worker clears it before each thread_run(), waits for
 * the first of {waker, deadline, handles}, and runs the whole call again. Running it again too
 * early is always allowed, so whoever changes something a guest may wait for (terminal input, pipe,
 * vsync, stop request) just pokes the waker: process_wake(), or os_wake_post() of base/os.h. Belongs
 * to the worker's thread. Solo runs use the same struct.
 *
 *	if (!tty_can_read(tty)) { wait_until(w, deadline_ns); return HOST_BLOCK; }
 */
#pragma once

#include "base/os.h"

enum {
	WAIT_HANDLES_MAX = 128, /* further ones are asked every WAIT_POLL_NS instead */
};
#define WAIT_POLL_NS UINT64_C(10000000)
#define WAIT_FOREVER UINT64_MAX

struct wait {
	uint64_t deadline_ns; /* host monotonic time, WAIT_FOREVER: none */
	uint32_t count;
	struct os_ready on[WAIT_HANDLES_MAX];
};

/* The worker's: before each thread_run(). */
static inline void wait_clear(struct wait *w)
{
	w->deadline_ns = WAIT_FOREVER;
	w->count = 0;
}

/* The earliest deadline wins. */
static inline void wait_until(struct wait *w, uint64_t deadline_ns)
{
	if (deadline_ns < w->deadline_ns)
		w->deadline_ns = deadline_ns;
}

/* now_ns is used only when the list is full: then the call is simply tried again soon. */
static inline void wait_on(struct wait *w, os_handle handle, bool read, bool write, uint64_t now_ns)
{
	if (w->count == WAIT_HANDLES_MAX) {
		wait_until(w, now_ns + WAIT_POLL_NS);
		return;
	}
	w->on[w->count++] =
	    (struct os_ready){.handle = handle, .want_read = read, .want_write = write};
}
