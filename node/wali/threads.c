/* threads.c - the threads of a process: how they come and go, their numbers, signals for one, and futexes.
 *
 * The engine runs them by turns (engine/sched.c). Here each has a struct wali_thread with what is its own; the engine's thread points
 * to it. The first one has the process's number; the numbers of others are no process's, and are not given out twice.
 * A futex is a wait on an address in the engine (thread_wait_on()); its deadline stands in the call's slot.
 */
#include "node/wali/wali_state.h"

#include "base/os.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* ---- coming and going ---- */

static void free_one(struct wali_thread *th)
{
	free(th->handlers);
	free(th->slots);
	free(th);
}

struct wali_thread *wali_thread_add(struct wali *k, uint32_t tid)
{
	struct wali_thread **list = realloc(k->threads, (k->nthreads + 1) * sizeof *list);
	struct wali_thread *th = calloc(1, sizeof *th);
	if (list)
		k->threads = list;
	if (!list || !th) {
		free(th);
		return NULL;
	}
	th->tid = tid;
	k->threads[k->nthreads++] = th;
	if (!k->me)
		k->me = th;
	return th;
}

void wali_thread_only(struct wali *k, struct wali_thread *only)
{
	for (uint32_t i = 0; i < k->nthreads; i++)
		if (k->threads[i] != only)
			free_one(k->threads[i]);
	k->threads[0] = k->me = only;
	k->nthreads = 1;
	only->t = NULL;
}

void wali_threads_free(struct wali *k)
{
	while (k->nthreads)
		free_one(k->threads[--k->nthreads]);
	free(k->threads);
	k->threads = NULL;
	k->me = NULL;
}

bool wali_threads_join(struct wali *k, struct store *s)
{
	if (k->threads[0]->t)
		return true;
	if (store_thread_count(s) != k->nthreads)
		return false;
	for (uint32_t i = 0; i < k->nthreads; i++) {
		k->threads[i]->t = store_thread(s, i);
		thread_set_user(k->threads[i]->t, k->threads[i]);
	}
	return true;
}

void wali_use(struct wali *k, struct wali_thread *th)
{
	k->me = th;
	k->t = th->t;
	k->in = store_instance(thread_store(th->t), 0);
}

bool wali_slots_grow(struct wali_thread *th)
{
	enum { FIRST = 4 };
	if (th->nslots < th->slots_cap)
		return true;
	uint32_t cap = th->slots_cap ? th->slots_cap * 2 : FIRST;
	struct wali_slot *p =
	    th->nslots < WALI_SLOTS_MAX ? realloc(th->slots, cap * sizeof *p) : NULL;
	if (!p)
		return false;
	th->slots = p;
	th->slots_cap = cap;
	return true;
}

static bool has_tid(const struct wali *k, uint32_t tid)
{
	for (uint32_t i = 0; i < k->nthreads; i++)
		if (k->threads[i]->tid == tid)
			return true;
	return false;
}

static uint32_t next_tid(struct wali *k)
{
	uint32_t tid;
	do {
		tid = k->next_tid;
		k->next_tid = tid == WALI_TID_LAST ? WALI_TID_FIRST : tid + 1;
	} while (has_tid(k, tid));
	return tid;
}

/* The engine's thread, standing before the function that the program exports for it. */
static int64_t spawn(struct wali *k, uint32_t tid, uint64_t record, struct thread **out)
{
	uint64_t args[] = {tid, record};
	if (thread_spawn(k->in, out) != ERR_OK)
		return NO(AGAIN);
	if (thread_call_export(*out, k->in, "__wasm_thread_start_libc", args, 2, NULL) == ERR_OK)
		return 0;
	thread_free(*out);
	return NO(NOSYS);
}

int64_t wali_aux___wasm_thread_spawn(struct wali *k, const uint64_t *a)
{
	struct thread *t = NULL;
	uint32_t tid = next_tid(k);
	int64_t r = spawn(k, tid, arg32(a[1]), &t);
	if (r)
		return r;
	struct wali_thread *th = wali_thread_add(k, tid);
	if (!th) {
		thread_free(t);
		return NO(AGAIN);
	}
	th->t = t;
	th->blocked = k->me->blocked;
	thread_set_user(t, th);
	store_request_stop(thread_store(k->t)); /* whoever runs it learns that there are several */
	return tid;
}

/* Its frames are still there. */
static void leave(struct wali *k)
{
	uint8_t *p = k->me->clear_tid ? wali_out(k, k->me->clear_tid, 4) : NULL;
	if (!p)
		return;
	wasi_put_u32(p, 0);
	thread_notify(k->t, k->me->clear_tid, 1);
}

int64_t wali_exit(struct wali *k, const uint64_t *a)
{
	if (k->nthreads == 1)
		return wali_exit_group(k, a);
	leave(k);
	return WALI_EXIT;
}

static void remove_thread(struct wali *k, const struct wali_thread *th)
{
	uint32_t i = 0;
	while (k->threads[i] != th)
		i++;
	free_one(k->threads[i]);
	k->nthreads--;
	memmove(k->threads + i, k->threads + i + 1, (k->nthreads - i) * sizeof *k->threads);
	k->me = k->threads[0];
}

bool wali_thread_over(struct wali *k, struct thread *t)
{
	family_lock(k->family);
	bool over = k->nthreads > 1 && !k->w->exited && !k->exec;
	if (over)
		remove_thread(k, thread_user(t));
	family_unlock(k->family);
	if (over)
		thread_free(t);
	return over;
}

/* ---- who is who ---- */

int64_t wali_gettid(struct wali *k, const uint64_t *a)
{
	return k->me->tid;
}

int64_t wali_set_tid_address(struct wali *k, const uint64_t *a)
{
	k->me->clear_tid = arg32(a[0]);
	return k->me->tid;
}

/* Whoever has nothing to do lets the others have their turn. */
int64_t wali_sched_yield(struct wali *k, const uint64_t *a)
{
	if (k->nthreads > 1)
		store_request_yield(thread_store(k->t));
	else
		sched_yield();
	return 0;
}

/* ---- signals for one thread ---- */

static struct wali_thread *thread_of(struct wali *k, uint32_t tid)
{
	for (uint32_t i = 0; i < k->nthreads; i++)
		if (k->threads[i]->tid == tid)
			return k->threads[i];
	return NULL;
}

/* What stops, continues or kills does so to the whole process. */
static bool is_for_all(uint32_t signal)
{
	return signal == LINUX_SIGKILL || (signal >= LINUX_SIGCONT && signal <= LINUX_SIGTTOU);
}

int64_t wali_tkill(struct wali *k, const uint64_t *a)
{
	uint32_t tid = arg32(a[0]), signal = arg32(a[1]);
	struct wali_thread *th = thread_of(k, tid);
	if ((int32_t)tid <= 0 || signal > LINUX_SIGNALS)
		return NO(INVAL);
	if (!th)
		return -family_kill(k->family, k->task, tid, (int)signal);
	if (is_for_all(signal))
		family_raise(k->family, k->task, (int)signal);
	else if (signal)
		th->pending |= UINT64_C(1) << (signal - 1);
	if (signal)
		family_poke(k->task);
	return 0;
}

/* ---- futex ---- */

enum {
	FUTEX_WAIT,
	FUTEX_WAKE,
	FUTEX_REQUEUE = 3,
	FUTEX_CMP_REQUEUE,
	FUTEX_WAIT_BITSET = 9,
	FUTEX_WAKE_BITSET,
	FUTEX_OPERATION = 127,
	FUTEX_REALTIME = 256,
	FUTEX_ANY_BIT = -1,
};

/* When it gives up, on the guest's clock. A WAIT's time begins with the first try; a WAIT_BITSET's is an instant. */
static enum ferr give_up_at(struct wali *k, const uint64_t *a, uint64_t *until)
{
	uint64_t ns;
	*until = WAIT_FOREVER;
	if (!arg32(a[3]))
		return FE_OK;
	FTRY(wali_timespec(k, a[3], &ns));
	if ((arg32(a[1]) & FUTEX_OPERATION) == FUTEX_WAIT) {
		*until = wali_deadline(k, ns);
		return FE_OK;
	}
	uint64_t mine = wasi_clock_ns(k->w);
	uint64_t now = arg32(a[1]) & FUTEX_REALTIME ? os_wall_ns() : mine;
	if (ns != WAIT_FOREVER)
		*until = ns > now ? mine + (ns - now) : 0;
	return FE_OK;
}

/* The engine may tell a thread that its time is over when some is left: then it goes on waiting. */
static enum wait_result wait_at(struct wali *k, uint32_t addr, uint64_t until)
{
	uint64_t now = wasi_clock_ns(k->w);
	uint64_t left = until > now ? until - now : 0;
	int64_t timeout = until == WAIT_FOREVER || left > INT64_MAX ? -1 : (int64_t)left;
	enum wait_result r = thread_wait_on(k->t, addr, timeout);
	return r == WAIT_TIMED_OUT && timeout ? thread_wait_on(k->t, addr, timeout) : r;
}

static int64_t futex_wait(struct wali *k, const uint64_t *a)
{
	const uint8_t *p = wali_in(k, a[0], 4);
	uint64_t until;
	if (!thread_wait_begun(k->t)) {
		int64_t r = wali_block_alone(k, true);
		if (r != WALI_BLOCK)
			return r; /* a handler ran */
		if (wasi_get_u32(p) != arg32(a[2]))
			return NO(AGAIN);
	}
	WTRY(give_up_at(k, a, &until));
	switch (wait_at(k, arg32(a[0]), until)) {
	case WAIT_OK: return 0;
	case WAIT_TIMED_OUT: return NO(TIMEDOUT);
	case WAIT_BLOCKED: break;
	}
	return wali_block_alone(k, true);
}

/* Linux wakes one also when it is asked to wake none. With bits, who waits for others may be woken too, and looks again. */
static int64_t futex_wake(struct wali *k, const uint64_t *a)
{
	bool all = (arg32(a[1]) & FUTEX_OPERATION) == FUTEX_WAKE_BITSET &&
	           (int32_t)arg32(a[5]) != FUTEX_ANY_BIT;
	int32_t count = (int32_t)arg32(a[2]);
	return thread_notify(k->t, arg32(a[0]), all ? UINT32_MAX : count > 0 ? (uint32_t)count : 1);
}

static int64_t futex_requeue(struct wali *k, const uint64_t *a)
{
	bool compares = (arg32(a[1]) & FUTEX_OPERATION) == FUTEX_CMP_REQUEUE;
	if ((int32_t)arg32(a[2]) < 0 || (int32_t)arg32(a[3]) < 0 || arg32(a[4]) % 4)
		return NO(INVAL);
	if (!wali_in(k, a[4], 4))
		return NO(FAULT);
	if (compares && wasi_get_u32(wali_in(k, a[0], 4)) != arg32(a[5]))
		return NO(AGAIN);
	return thread_requeue(k->t, arg32(a[0]), arg32(a[2]), arg32(a[4]), arg32(a[3]));
}

int64_t wali_futex(struct wali *k, const uint64_t *a)
{
	if (!wali_in(k, a[0], 4))
		return NO(FAULT);
	if (arg32(a[0]) % 4)
		return NO(INVAL);
	switch (arg32(a[1]) & FUTEX_OPERATION) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET: return futex_wait(k, a);
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET: return futex_wake(k, a);
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE: return futex_requeue(k, a);
	default: return NO(NOSYS);
	}
}
