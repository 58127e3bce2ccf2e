/* turns.h - running the threads of a process by turns: what a worker and a solo run share.
 *
 * The engine reads no clock. So each run begins and ends with telling the threads that wait on an address (futexes) how much time went by,
 * on the guest's clock; and while there are several threads, a thread of the host ends the turn of the one that runs every TURN_NS.
 * Then the run ends, too (STOPPED without a thread), so that its caller looks at signals and that calls that have blocked are made
 * again: what the others wait for comes to them although one of them computes.
 *
 *	struct turns r = {.wasi = w, .wait = &wait};
 *	switch (turns_run(&r, store, &t)) ...        // as threads_run(); wait says what for after BLOCKED
 *	turns_end(&r);                               // before wasi and the wait are freed
 */
#pragma once

#include "base/os.h"
#include "engine/engine.h"

#include <pthread.h>
#include <stdatomic.h>

struct wait;
struct wasi;

#define TURN_NS UINT64_C(4000000)

struct turns {
	struct wasi *wasi; /* whose clock it is */
	struct wait *wait; /* cleared before each run */
	uint64_t told_ns;  /* on the guest's clock; 0: nothing was told yet */

	bool has_ticker, no_ticker; /* the thread of the host; it could not be made */
	atomic_bool ticks, ends;
	pthread_t ticker;
	pthread_mutex_t lock;
	struct store *store; /* under the lock: what runs now */
	struct os_wake wake;
};

enum run_status turns_run(struct turns *r, struct store *s, struct thread **t);
/* The process is over. */
void turns_end(struct turns *r);
