/* turns.c - turns.h. */
#include "node/process/turns.h"

#include "base/os_thread.h"
#include "node/process/wait.h"
#include "node/wasi/wasi.h"

/* Without a thread that ends turns the engine counts: it costs a tenth of its speed. */
enum { TICKER_STACK = 128 << 10, SAFEPOINTS_A_TURN = 100000 };

/* ---- who ends turns ---- */

static void end_turn(struct turns *r)
{
	pthread_mutex_lock(&r->lock);
	if (r->store) {
		store_request_stop(r->store);
		store_request_yield(r->store);
	} else {
		atomic_store(&r->ticks, false);
	}
	pthread_mutex_unlock(&r->lock);
}

/* It sleeps until a run begins, and then looks every TURN_NS until none was under way. */
static void *ticker_main(void *arg)
{
	struct turns *r = arg;
	for (;;) {
		bool ticks = atomic_load(&r->ticks);
		os_wait(&r->wake, NULL, 0, ticks ? os_monotonic_ns() + TURN_NS : OS_NO_DEADLINE);
		if (atomic_load(&r->ends))
			return NULL;
		if (ticks)
			end_turn(r);
	}
}

static void make_ticker(struct turns *r)
{
	r->no_ticker = true;
	if (os_wake_init(&r->wake) != ERR_OK)
		return;
	pthread_mutex_init(&r->lock, NULL);
	r->has_ticker = os_thread_start(&r->ticker, TICKER_STACK, ticker_main, r);
	r->no_ticker = !r->has_ticker;
	if (r->has_ticker)
		return;
	pthread_mutex_destroy(&r->lock);
	os_wake_free(&r->wake);
}

static void set_running(struct turns *r, struct store *s)
{
	pthread_mutex_lock(&r->lock);
	r->store = s;
	bool begins = s && !atomic_exchange(&r->ticks, true);
	pthread_mutex_unlock(&r->lock);
	if (begins)
		os_wake_post(&r->wake);
}

static enum run_status run_several(struct turns *r, struct store *s, struct thread **t)
{
	if (!r->has_ticker && !r->no_ticker)
		make_ticker(r);
	if (!r->has_ticker) {
		store_quantum(s, SAFEPOINTS_A_TURN);
		return threads_run(s, t);
	}
	set_running(r, s);
	enum run_status st = threads_run(s, t);
	set_running(r, NULL);
	return st;
}

void turns_end(struct turns *r)
{
	if (!r->has_ticker)
		return;
	atomic_store(&r->ends, true);
	os_wake_post(&r->wake);
	pthread_join(r->ticker, NULL);
	pthread_mutex_destroy(&r->lock);
	os_wake_free(&r->wake);
	r->has_ticker = false;
}

/* ---- time ---- */

/* How long until a thread that waits on an address can go on; as threads_wait_passed(). */
static int64_t tell_time(struct turns *r, struct store *s)
{
	uint64_t now = wasi_clock_ns(r->wasi);
	uint64_t passed = r->told_ns && now > r->told_ns ? now - r->told_ns : 0;
	r->told_ns = now;
	return threads_wait_passed(s, passed > INT64_MAX ? INT64_MAX : (int64_t)passed);
}

enum run_status turns_run(struct turns *r, struct store *s, struct thread **t)
{
	wait_clear(r->wait);
	tell_time(r, s);
	enum run_status st = store_thread_count(s) > 1 ? run_several(r, s, t) : threads_run(s, t);
	int64_t left = st == RUN_BLOCKED ? tell_time(r, s) : -1;
	if (left >= 0)
		wait_until(r->wait, os_monotonic_ns() + (uint64_t)left);
	return st;
}
