/* sched.c - the threads of a store by turns (engine.h, "several threads").
 *
 * store->turn is the place, in the list of threads, of the one whose turn it is; it is saved. A turn ends when its thread
 * blocks, ends, or is asked to give way: by store_request_yield(), or at the nth safepoint of the turn (store_quantum()). A
 * thread that blocked in a host call is passed over until somebody wakes it, or until threads_run() is called again: to try a
 * host call too early does no harm. One that waits in memory.atomic.wait is passed over until it is woken or its time is over.
 *
 * Threads of thread_spawn() have values of their own for the mutable globals. They are exchanged with those that stand in the
 * globals when such a thread's turn begins, so compiled code, tables and everything else is shared and a thread costs its stack.
 *
 * Requests come from other host threads: they raise a flag of the store and then the stop word of the thread that `running`
 * names. A struct thread is not given back while its store lives (run.c), so that a late request hits nobody's memory.
 */
#include "engine/atomic.h"
#include "engine/exec.h"

#include <stdlib.h>

/* ---- globals of their own ---- */

static void exchange(struct store *s, struct thread *t)
{
	for (uint32_t i = 0; i < t->nglobals; i++) {
		struct globalinst *g = s->globals[i], was = *g;
		if (!g->mut)
			continue;
		*g = t->globals[i];
		t->globals[i] = was;
	}
}

void globals_use(struct store *s, struct thread *t)
{
	struct thread *to = t && t->globals ? t : NULL;
	if (s->globals_of == to)
		return;
	if (s->globals_of)
		exchange(s, s->globals_of);
	if (to)
		exchange(s, to);
	s->globals_of = to;
}

enum err thread_own_globals(struct thread *t)
{
	struct store *s = t->store;
	struct thread *now = s->globals_of;
	t->globals = calloc(s->nglobals + 1u, sizeof *t->globals);
	if (!t->globals)
		return ERR_NOMEM;
	t->nglobals = s->nglobals;
	globals_use(s, NULL);
	for (uint32_t i = 0; i < s->nglobals; i++)
		t->globals[i] = *s->globals[i];
	globals_use(s, now);
	return ERR_OK;
}

enum err thread_spawn(struct instance *in, struct thread **out)
{
	const struct module *m = in->module;
	struct thread *t;
	if (in->store->nthreads >= STORE_THREADS_MAX)
		return ERR_LIMIT;
	TRY(thread_new_small(in->store, &t));
	if (thread_own_globals(t) != ERR_OK) {
		thread_free(t);
		return ERR_NOMEM;
	}
	for (uint32_t i = m->nimport_globals; i < m->nglobals; i++)
		global_init(in, i, &t->globals[in->globals[i]->index]);
	*out = t;
	return ERR_OK;
}

/* ---- turns ---- */

void thread_wake(struct thread *t)
{
	atomic_store(&t->woken, true);
}

static bool can_run(const struct thread *t)
{
	return t->busy && t->wait != WAIT_QUEUED && (!t->blocked || atomic_load(&t->woken));
}

/* NULL: none can run. */
static struct thread *next_thread(struct store *s)
{
	for (uint32_t i = 0; i < s->nthreads; i++) {
		uint32_t k = (s->turn + i) % s->nthreads;
		if (!can_run(s->threads[k]))
			continue;
		s->turn = k;
		return s->threads[k];
	}
	return NULL;
}

static bool any_busy(const struct store *s)
{
	for (uint32_t i = 0; i < s->nthreads; i++)
		if (s->threads[i]->busy)
			return true;
	return false;
}

static enum run_status run_turn(struct store *s, struct thread *t)
{
	t->blocked = false;
	atomic_store(&t->woken, false);
	if (s->quantum)
		thread_stop_every(t, s->quantum);
	atomic_store(&s->running, t);
	if (atomic_load(&s->stop_asked) || atomic_load(&s->yield_asked))
		thread_request_stop(t); /* asked before it could be seen who runs */
	enum run_status st = thread_run(t);
	atomic_store(&s->running, NULL);
	return st;
}

enum run_status threads_run(struct store *s, struct thread **at)
{
	*at = NULL;
	for (uint32_t i = 0; i < s->nthreads; i++)
		atomic_store(&s->threads[i]->woken, true);
	for (;;) {
		if (atomic_exchange(&s->stop_asked, false))
			return RUN_STOPPED;
		struct thread *t = next_thread(s);
		if (!t)
			return any_busy(s) ? RUN_BLOCKED : RUN_DONE;
		enum run_status st = run_turn(s, t);
		bool yields = atomic_exchange(&s->yield_asked, false) || s->quantum;
		if (st == RUN_BLOCKED)
			t->blocked = t->wait == WAIT_NO;
		else if (st != RUN_STOPPED || t->news || !(yields || atomic_load(&s->stop_asked))) {
			*at = t;
			return st;
		}
		if (st == RUN_BLOCKED || yields)
			s->turn = (s->turn + 1) % s->nthreads;
	}
}

void store_quantum(struct store *s, uint64_t safepoints)
{
	s->quantum = safepoints;
	for (uint32_t i = 0; i < s->nthreads && !safepoints; i++)
		thread_stop_every(s->threads[i], 0);
}

static void request(struct store *s, _Atomic bool *flag)
{
	atomic_store(flag, true);
	struct thread *t = atomic_load(&s->running);
	if (t)
		thread_request_stop(t);
}

void store_request_yield(struct store *s)
{
	request(s, &s->yield_asked);
}

void store_request_stop(struct store *s)
{
	request(s, &s->stop_asked);
}
