/* test_threads.c - several threads of one store: by turns, waiting for each other, written and rebuilt on the way. */
#include "engine/module.h"
#include "threads_wasm.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_THREADS 8

struct world {
	struct module *module;
	struct store *store;
	struct host_resolver resolver;
	struct module_finder finder;
	uint32_t calls; /* of the host function: every second one blocks ... */
	bool stops;     /* ... having asked the store to stop */
};

/* ---- a store, and its rebuilding ---- */

static enum host_result pause_fn(void *env, struct thread *t, uint64_t *args)
{
	struct world *w = env;
	if (w->calls++ % 2)
		return HOST_DONE;
	if (w->stops)
		store_request_stop(thread_store(t));
	return HOST_BLOCK;
}

static bool resolve(void *ctx, const char *module, const char *name, const char *type, host_fn *fn,
                    void **env)
{
	*fn = pause_fn;
	*env = ctx;
	return true;
}

static struct module *find(void *ctx, const uint8_t hash[32])
{
	return ((struct world *)ctx)->module;
}

static void open_world(struct world *w)
{
	struct errmsg msg = {0};
	struct instance *in;
	*w = (struct world){.resolver = {.resolve = resolve}, .finder = {.find = find}};
	w->resolver.ctx = w->finder.ctx = w;
	cr_assert_eq(module_load(wasm_threads, sizeof wasm_threads, false, &w->module, &msg),
	             ERR_OK, "%s", msg.text);
	struct store_config cfg = {.max_stack_slots = 4096, .max_call_depth = 100};
	cr_assert_eq(store_new(&cfg, &w->store), ERR_OK);
	cr_assert_eq(store_instantiate(w->store, w->module, &w->resolver, &in, &msg), ERR_OK, "%s",
	             msg.text);
}

static void close_world(struct world *w)
{
	store_free(w->store);
	module_unref(w->module);
}

static struct thread *start(struct world *w, const char *name, uint64_t argument)
{
	struct thread *t;
	struct errmsg msg = {0};
	cr_assert_eq(thread_new(w->store, &t), ERR_OK);
	cr_assert_eq(thread_call_export(t, store_instance(w->store, 0), name, &argument, 1, &msg),
	             ERR_OK, "%s", msg.text);
	return t;
}

static void rebuild(struct world *w)
{
	struct wr first = {0}, second = {0};
	struct errmsg msg = {0};
	cr_assert_eq(store_save(w->store, SAVE_MEMORY, &first), ERR_OK);
	store_free(w->store);
	struct rd in = rd_of(first.data, first.size);
	cr_assert_eq(store_load(&in, &w->finder, &w->resolver, &w->store, &msg), ERR_OK, "%s",
	             msg.text);
	cr_assert_eq(store_save(w->store, SAVE_MEMORY, &second), ERR_OK);
	cr_assert(first.size == second.size && !memcmp(first.data, second.data, first.size));
	wr_free(&first);
	wr_free(&second);
}

static uint64_t result(const struct thread *t)
{
	uint32_t n;
	return thread_results(t, &n)[0];
}

/* ---- by hand: each thread runs to its nth safepoint, then everything is rebuilt ---- */

static bool step(struct world *w, uint32_t i, uint64_t n, uint64_t *results, bool *left)
{
	int64_t time;
	struct thread *t = store_thread(w->store, i);
	if (thread_waits(t, &time))
		*left = true;
	if (!thread_depth(t) || thread_waits(t, &time))
		return false;
	*left = true;
	thread_stop_every(t, n);
	enum run_status st = thread_run(t);
	cr_assert(st == RUN_STOPPED || st == RUN_BLOCKED || st == RUN_DONE, "thread %u: %d %s", i,
	          st, thread_trap_text(t, NULL, 0));
	if (st == RUN_DONE)
		results[i] = result(t);
	rebuild(w);
	return true;
}

static void run_by_hand(struct world *w, uint64_t n, uint64_t *results)
{
	for (bool left = true; left;) {
		bool ran = false;
		left = false;
		for (uint32_t i = 0; i < store_thread_count(w->store); i++)
			ran |= step(w, i, n, results, &left);
		for (uint32_t i = 0; !ran && i < store_thread_count(w->store); i++)
			thread_wait_passed(store_thread(w->store, i), 600000);
	}
}

/* ---- by turns ---- */

static void note_result(struct world *w, const struct thread *t, uint64_t *results)
{
	for (uint32_t i = 0; i < store_thread_count(w->store); i++)
		if (store_thread(w->store, i) == t)
			results[i] = result(t);
}

/* Whenever somebody asks the store to stop, it is rebuilt. */
static uint32_t run_by_turns(struct world *w, uint64_t quantum, uint64_t *results)
{
	struct thread *t;
	uint32_t rebuilds = 0;
	for (;;) {
		store_quantum(w->store, quantum);
		switch (threads_run(w->store, &t)) {
		case RUN_DONE:
			if (!t)
				return rebuilds;
			note_result(w, t, results);
			break;
		case RUN_STOPPED:
			cr_assert_null(t);
			rebuild(w);
			rebuilds++;
			break;
		case RUN_BLOCKED:
			for (uint32_t i = 0; i < store_thread_count(w->store); i++)
				thread_wait_passed(store_thread(w->store, i), 600000);
			break;
		default: cr_assert(false, "%s", thread_trap_text(t, NULL, 0));
		}
	}
}

/* Eight threads of what a test is about; n: how much each does. */
static void start_all(struct world *w, const char *const names[], uint32_t count, uint64_t n)
{
	for (uint32_t i = 0; i < MAX_THREADS; i++)
		start(w, names[i % count], n);
}

static void check_count(const uint64_t *results, uint64_t n)
{
	uint64_t last = 0;
	for (uint32_t i = 0; i < MAX_THREADS; i++)
		last = results[i] > last ? results[i] : last;
	cr_assert_eq(last, MAX_THREADS * n); /* no increment was lost */
}

/* Every thread saw rounds 1, 3, 5 ... */
static void check_meet(const uint64_t *results, uint64_t n)
{
	for (uint32_t i = 0; i < MAX_THREADS; i++)
		cr_assert_eq(results[i], n * n, "thread %u: %llu", i,
		             (unsigned long long)results[i]);
}

static void check_queue(const uint64_t *results, uint64_t n)
{
	cr_assert_eq(results[1], n * (n + 1) / 2);
}

static const struct {
	const char *names[2];
	uint32_t nnames, nthreads;
	uint64_t n;
	void (*check)(const uint64_t *results, uint64_t n);
} games[] = {
    {{"count"}, 1, MAX_THREADS, 6, check_count},
    {{"meet"}, 1, MAX_THREADS, 4, check_meet},
    {{"put", "take"}, 2, 2, 40, check_queue},
};
#define NGAMES (sizeof games / sizeof *games)

static void open_game(struct world *w, size_t g)
{
	open_world(w);
	for (uint32_t i = 0; i < games[g].nthreads; i++)
		start(w, games[g].names[i % games[g].nnames], games[g].n);
}

Test(threads, eight_that_lock_meet_and_queue_go_on_after_being_rebuilt_at_every_nth_safepoint)
{
	static const uint64_t every[] = {1, 2, 3, 7};
	for (size_t g = 0; g < NGAMES; g++) {
		for (size_t k = 0; k < sizeof every / sizeof *every; k++) {
			struct world w;
			uint64_t results[MAX_THREADS] = {0};
			open_game(&w, g);
			run_by_hand(&w, every[k], results);
			games[g].check(results, games[g].n);
			close_world(&w);
		}
	}
}

Test(threads, by_turns_of_any_length_they_come_to_the_same)
{
	static const uint64_t quanta[] = {0, 1, 2, 5, 100};
	for (size_t g = 0; g < NGAMES; g++) {
		for (size_t k = 0; k < sizeof quanta / sizeof *quanta; k++) {
			struct world w;
			uint64_t results[MAX_THREADS] = {0};
			open_game(&w, g);
			run_by_turns(&w, quanta[k], results);
			games[g].check(results, games[g].n);
			close_world(&w);
		}
	}
}

Test(threads, a_store_that_is_asked_to_stop_in_the_middle_is_rebuilt_and_goes_on)
{
	static const char *const names[] = {"pause", "spin"};
	struct world w;
	uint64_t results[MAX_THREADS] = {0};
	open_world(&w);
	w.stops = true;
	start_all(&w, names, 2, 30);
	cr_assert_gt(run_by_turns(&w, 3, results), 100);
	for (uint32_t i = 0; i < MAX_THREADS; i++)
		cr_assert_eq(results[i], i % 2 ? 5 : 465, "thread %u: %llu", i,
		             (unsigned long long)results[i]);
	close_world(&w);
}

Test(threads, the_longest_waiting_is_woken_first_also_after_rebuilding)
{
	struct world w;
	struct thread *t;
	int64_t left;
	open_world(&w);
	for (int i = 0; i < 3; i++)
		start(&w, "wait", UINT64_MAX);
	for (uint32_t i = 3; i-- > 0;) /* the last one is the first to wait */
		cr_assert_eq(thread_run(store_thread(w.store, i)), RUN_BLOCKED);
	rebuild(&w);
	t = start(&w, "notify", 2);
	cr_assert_eq(thread_run(t), RUN_DONE);
	cr_assert_eq(result(t), 2);
	cr_assert(thread_waits(store_thread(w.store, 0), &left));
	cr_assert_eq(left, -1);
	rebuild(&w);
	for (uint32_t i = 1; i < 3; i++) {
		cr_assert_eq(thread_run(store_thread(w.store, i)), RUN_DONE);
		cr_assert_eq(result(store_thread(w.store, i)), 0);
	}
	cr_assert_eq(thread_run(store_thread(w.store, 0)), RUN_BLOCKED);
	cr_assert_eq(threads_run(w.store, &t), RUN_BLOCKED);
	close_world(&w);
}

Test(threads, a_wait_whose_time_is_over_gives_2_and_what_was_left_of_it_is_saved)
{
	struct world w;
	int64_t left;
	open_world(&w);
	start(&w, "wait", 1000);
	cr_assert_eq(thread_run(store_thread(w.store, 0)), RUN_BLOCKED);
	thread_wait_passed(store_thread(w.store, 0), 300);
	rebuild(&w);
	cr_assert_eq(thread_run(store_thread(w.store, 0)), RUN_BLOCKED);
	cr_assert(thread_waits(store_thread(w.store, 0), &left));
	cr_assert_eq(left, 700);
	thread_wait_passed(store_thread(w.store, 0), 701);
	rebuild(&w);
	cr_assert_eq(thread_run(store_thread(w.store, 0)), RUN_DONE);
	cr_assert_eq(result(store_thread(w.store, 0)), 2);
	close_world(&w);
}

/* ---- requests from another host thread ---- */

struct timer {
	struct store *store;
	_Atomic bool over;
	uint32_t yields;
};

static void *every_millisecond(void *arg)
{
	struct timer *timer = arg;
	while (!atomic_load(&timer->over)) {
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		store_request_yield(timer->store);
		timer->yields++;
	}
	return NULL;
}

Test(threads, a_timer_that_asks_for_the_next_turn_lets_all_of_them_run)
{
	struct world w;
	struct thread *t;
	pthread_t thread;
	open_world(&w);
	struct timer timer = {.store = w.store};
	start(&w, "spin", 3000000000u); /* some seconds: the short one is not to wait for it */
	start(&w, "spin", 100000);
	cr_assert_eq(pthread_create(&thread, NULL, every_millisecond, &timer), 0);
	cr_assert_eq(threads_run(w.store, &t), RUN_DONE);
	cr_assert_eq(t, store_thread(w.store, 1));
	store_request_stop(w.store);
	cr_assert_eq(threads_run(w.store, &t), RUN_STOPPED);
	cr_assert_null(t);
	atomic_store(&timer.over, true);
	pthread_join(thread, NULL);
	close_world(&w);
}

Test(threads, a_thread_that_is_freed_leaves_the_turns_of_the_others)
{
	struct world w;
	struct thread *t;
	open_world(&w);
	for (int i = 0; i < 4; i++)
		start(&w, "spin", 50);
	store_quantum(w.store, 7);
	for (int i = 0; i < 4; i++) {
		cr_assert_eq(threads_run(w.store, &t), RUN_DONE);
		cr_assert_eq(result(t), 5);
		thread_free(t);
		rebuild(&w);
		store_quantum(w.store, 7);
	}
	cr_assert_eq(store_thread_count(w.store), 0);
	cr_assert_eq(threads_run(w.store, &t), RUN_DONE);
	cr_assert_null(t);
	close_world(&w);
}

/* ---- globals of their own ---- */

static void spawn(struct world *w, const char *name, uint64_t argument)
{
	struct thread *t;
	struct errmsg msg = {0};
	struct instance *in = store_instance(w->store, 0);
	cr_assert_eq(thread_spawn(in, &t), ERR_OK);
	cr_assert_eq(thread_call_export(t, in, name, &argument, 1, &msg), ERR_OK, "%s", msg.text);
}

static void start_own(struct world *w, uint64_t n)
{
	open_world(w);
	start(w, "own", n);
	for (uint32_t i = 1; i < MAX_THREADS; i++)
		spawn(w, "own", n);
}

static void check_own(struct world *w, const uint64_t *results, uint64_t n)
{
	for (uint32_t i = 0; i < MAX_THREADS; i++)
		cr_assert_eq(results[i], 5 + n * (n + 1) / 2, "thread %u: %llu", i,
		             (unsigned long long)results[i]);
	thread_free(store_thread(w->store, 3));
	rebuild(w);
	close_world(w);
}

Test(threads, each_has_globals_of_its_own_whoever_runs_in_between)
{
	struct world w;
	uint64_t results[MAX_THREADS] = {0};
	start_own(&w, 20);
	run_by_hand(&w, 3, results);
	check_own(&w, results, 20);
	start_own(&w, 2000);
	run_by_turns(&w, 7, results);
	check_own(&w, results, 2000);
}

Test(threads, no_more_are_made_than_an_image_may_have)
{
	struct world w;
	struct thread *t;
	uint32_t made = 0;
	open_world(&w);
	while (thread_spawn(store_instance(w.store, 0), &t) == ERR_OK)
		made++;
	cr_assert_eq(made, STORE_THREADS_MAX);
	thread_free(store_thread(w.store, 77));
	cr_assert_eq(thread_spawn(store_instance(w.store, 0), &t), ERR_OK);
	close_world(&w);
}
