/* test_run.c - running: the stack's end, stopping in time, written pages. */
#include "stops.h"

#include "base/os.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- the stack's end ---- */

static enum run_status deep(const struct store_config *cfg, const char *name, uint64_t n)
{
	struct stops s;
	stops_open(&s, cfg);
	enum run_status st = stops_call(&s, 0, name, &n, 1);
	if (st == RUN_TRAPPED)
		cr_assert_str_eq(thread_trap_text(s.thread, NULL, 0), "call stack exhausted");
	/* and the thread can be used again */
	cr_assert_eq(stops_call(&s, 0, "deep", &(uint64_t){5}, 1), RUN_DONE);
	stops_close(&s);
	return st;
}

Test(run, as_many_calls_as_the_limit_says_and_not_one_more)
{
	struct store_config cfg = {.max_call_depth = 100};
	cr_assert_eq(deep(&cfg, "deep", 99), RUN_DONE);
	cr_assert_eq(deep(&cfg, "deep", 100), RUN_TRAPPED);
	cr_assert_eq(deep(&cfg, "wide", 99), RUN_DONE);
	cr_assert_eq(deep(&cfg, "wide", 100), RUN_TRAPPED);
}

Test(run, frames_end_where_locals_and_operands_no_longer_fit)
{
	/* deep: 1 local, operands up to 3 (1 below the call, the argument: a call begins 2 further on). */
	struct store_config cfg = {.max_stack_slots = 1000};
	uint64_t last = 0;
	while (deep(&cfg, "deep", last + 1) == RUN_DONE)
		last++;
	cr_assert_eq(last, 498);
}

Test(run, the_defaults_have_room_for_deep_programs)
{
	cr_assert_eq(deep(NULL, "deep", 150000), RUN_DONE);
	cr_assert_eq(deep(NULL, "deep", 3000000), RUN_TRAPPED);
}

Test(run, ten_million_tail_calls_take_no_stack)
{
	struct store_config cfg = {.max_call_depth = 12, .max_stack_slots = 100};
	struct stops s;
	stops_open(&s, &cfg);
	cr_assert_eq(stops_call(&s, 2, "run_tail_once", &(uint64_t){10000001}, 1), RUN_DONE);
	uint32_t n;
	cr_assert_eq(thread_results(s.thread, &n)[0], 8); /* the last one is a call of fib(6) */
	stops_close(&s);
}

Test(run, an_exception_that_nothing_catches_is_a_trap_that_says_where_it_was_thrown)
{
	struct stops s;
	char where[200];
	stops_open(&s, NULL);
	cr_assert_eq(stops_call(&s, 2, "uncaught", &(uint64_t){100000}, 1), RUN_TRAPPED);
	cr_assert_str_eq(thread_trap_text(s.thread, where, sizeof where), "uncaught exception");
	cr_assert_eq(strncmp(where, "sink (function ", 15), 0, "%s", where);
	cr_assert(strstr(where, ", offset 0x"), "%s", where);
	cr_assert_eq(thread_depth(s.thread), 0);
	cr_assert_eq(stops_call(&s, 2, "run_throw", &(uint64_t){3}, 1), RUN_DONE);
	stops_close(&s);
}

Test(run, an_exception_does_not_leave_a_handler)
{
	struct stops s;
	char where[200];
	stops_open(&s, NULL);
	thread_stop_every(s.thread, 20);
	cr_assert_eq(stops_call(&s, 2, "run_throw", &(uint64_t){3}, 1), RUN_STOPPED);
	thread_stop_every(s.thread, 0);
	cr_assert_eq(thread_interrupt(s.thread, 3, &(uint64_t){7}, 1, 0), ERR_OK);
	cr_assert(stops_rebuild(&s));
	cr_assert_eq(thread_run(s.thread), RUN_TRAPPED);
	cr_assert_str_eq(thread_trap_text(s.thread, where, sizeof where), "uncaught exception");
	stops_close(&s);
}

/* ---- bodies validated when first called ---- */

/* Exports "good", and "bad", whose body adds nothing to nothing; more than LAZY_BYTES of padding. */
static void big_module(struct wr *w)
{
	static const uint8_t head[] = {
	    0,  'a', 's', 'm', 1,   0,    0,   0,   1,    4,    1, 0x60, 0,   0, /* types */
	    3,  3,   2,   0,   0,                                                /* functions */
	    7,  14,  2,   4,   'g', 'o',  'o', 'd', 0,    0,    3, 'b',  'a', 'd',
	    0,  1,                                              /* exports */
	    10, 8,   2,   2,   0,   0x0b, 3,   0,   0x6a, 0x0b, /* code */
	    0,
	};
	wr_bytes(w, head, sizeof head);
	wr_leb_u32(w, LAZY_BYTES + 2);
	wr_u8(w, 1);
	wr_u8(w, 'p');
	wr_space(w, LAZY_BYTES);
}

Test(run, a_big_module_starts_before_its_bodies_are_validated_and_bad_ones_trap)
{
	struct wr w = {0};
	struct errmsg msg = {0};
	struct module *m;
	struct store *s;
	struct instance *in;
	struct thread *t;
	struct host_resolver none = {0};
	big_module(&w);
	cr_assert(wr_ok(&w));
	cr_assert_eq(module_load(w.data, w.size, false, &m, &msg), ERR_INVALID);
	cr_assert_eq(module_load_lazy(w.data, w.size, false, &m, &msg), ERR_OK, "%s", msg.text);
	cr_assert_eq(store_new(NULL, &s), ERR_OK);
	cr_assert_eq(store_instantiate(s, m, &none, &in, &msg), ERR_OK, "%s", msg.text);
	cr_assert_eq(thread_new(s, &t), ERR_OK);
	cr_assert_eq(thread_call_export(t, in, "good", NULL, 0, &msg), ERR_OK);
	cr_assert_eq(thread_run(t), RUN_DONE);
	cr_assert_eq(thread_call_export(t, in, "bad", NULL, 0, &msg), ERR_INVALID);
	cr_assert(strstr(msg.text, "invalid function body"), "%s", msg.text);
	store_free(s);
	module_unref(m);
	wr_free(&w);
}

/* ---- functions with more slots than a narrow instruction can name ---- */

#define WIDE_LOCALS 49999u
#define WIDE_OPERANDS 16000u

/* Exports "wide": counts in its last local up to its parameter, and adds WIDE_OPERANDS ones that stand on the stack at once. */
static void wide_module(struct wr *w)
{
	static const uint8_t head[] = {
	    0,    'a', 's', 'm', 1, 0, 0, 0, 1, 6,   1,   0x60, 1,   0x7f, 1,
	    0x7f, 3,   2,   1,   0, 7, 8, 1, 4, 'w', 'i', 'd',  'e', 0,    0,
	};
	struct wr body = {0}, code = {0};
	wr_leb_u32(&body, 1);
	wr_leb_u32(&body, WIDE_LOCALS);
	wr_u8(&body, 0x7f);
	wr_bytes(&body, "\x03\x40\x20", 3); /* loop, local.get */
	wr_leb_u32(&body, WIDE_LOCALS);
	wr_bytes(&body, "\x41\x01\x6a\x22", 4); /* + 1, local.tee */
	wr_leb_u32(&body, WIDE_LOCALS);
	wr_bytes(&body, "\x20\x00\x49\x0d\x00\x0b", 6); /* < parameter: again */
	for (unsigned i = 0; i < WIDE_OPERANDS; i++)
		wr_bytes(&body, "\x20\x00\x20\x00\x6e", 5); /* parameter / parameter */
	for (unsigned i = 1; i < WIDE_OPERANDS; i++)
		wr_u8(&body, 0x6a);
	wr_u8(&body, 0x20);
	wr_leb_u32(&body, WIDE_LOCALS);
	wr_bytes(&body, "\x6a\x0b", 2);
	wr_leb_u32(&code, 1);
	wr_leb_u32(&code, (uint32_t)body.size);
	wr_bytes(&code, body.data, body.size);
	wr_bytes(w, head, sizeof head);
	wr_u8(w, 10);
	wr_leb_u32(w, (uint32_t)code.size);
	wr_bytes(w, code.data, code.size);
	wr_free(&body);
	wr_free(&code);
}

static struct module *find_it(void *ctx, const uint8_t hash[32])
{
	return ctx;
}

Test(run, a_function_of_66000_slots_runs_stops_and_is_rebuilt)
{
	struct wr w = {0}, state = {0};
	struct errmsg msg = {0};
	struct module *m;
	struct store *s;
	struct instance *in;
	struct thread *t;
	uint32_t count;
	struct host_resolver none = {0};
	wide_module(&w);
	cr_assert_eq(module_load(w.data, w.size, false, &m, &msg), ERR_OK, "%s", msg.text);
	cr_assert_eq(store_new(NULL, &s), ERR_OK);
	cr_assert_eq(store_instantiate(s, m, &none, &in, &msg), ERR_OK, "%s", msg.text);
	cr_assert_eq(thread_new(s, &t), ERR_OK);
	thread_stop_every(t, 500);
	cr_assert_eq(thread_call_export(t, in, "wide", (uint64_t[]){1000}, 1, &msg), ERR_OK);
	cr_assert_eq(thread_run(t), RUN_STOPPED);
	cr_assert_eq(store_save(s, SAVE_MEMORY, &state), ERR_OK);
	store_free(s);
	struct rd in_bytes = rd_of(state.data, state.size);
	struct module_finder f = {.find = find_it, .ctx = m};
	cr_assert_eq(store_load(&in_bytes, &f, &none, &s, &msg), ERR_OK, "%s", msg.text);
	t = store_thread(s, 0);
	cr_assert_eq(thread_run(t), RUN_DONE);
	cr_assert_eq(thread_results(t, &count)[0], 1000 + WIDE_OPERANDS);
	store_free(s);
	module_unref(m);
	wr_free(&w);
	wr_free(&state);
}

/* ---- stopping ---- */

struct asker {
	struct thread *t;
	clockid_t runner; /* processor time of the thread that runs it */
	_Atomic uint64_t asked_ns;
};

/* The runner's processor time, not the clock: on a busy machine it may not be running at all for a while. */
static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void *ask(void *arg)
{
	struct asker *a = arg;
	usleep(2000);
	atomic_store(&a->asked_ns, cpu_ns(a->runner));
	thread_request_stop(a->t);
	return NULL;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* The median of some stops: the asker may be interrupted between looking at the clock and asking. */
static uint64_t stop_latency_ns(const char *name)
{
	enum { TRIES = 15 };
	uint64_t ns[TRIES];
	struct stops s;
	stops_open(&s, NULL);
	enum run_status st = RUN_DONE;
	for (int i = 0; i < TRIES; i++) {
		struct asker a = {.t = s.thread};
		pthread_t thread;
		pthread_getcpuclockid(pthread_self(), &a.runner);
		pthread_create(&thread, NULL, ask, &a);
		st = i ? thread_run(s.thread) : stops_call(&s, 0, name, NULL, 0);
		uint64_t now = cpu_ns(a.runner);
		pthread_join(thread, NULL);
		cr_assert_eq(st, RUN_STOPPED);
		ns[i] = now - atomic_load(&a.asked_ns);
	}
	stops_close(&s);
	qsort(ns, TRIES, sizeof *ns, by_size);
	return ns[TRIES / 2];
}

Test(run, a_stop_is_honoured_within_a_millisecond)
{
	cr_assert_lt(stop_latency_ns("spin"), 1000000);
	cr_assert_lt(stop_latency_ns("spin_calls"), 1000000);
	cr_assert_lt(stop_latency_ns("spin_memory"), 1000000);
	cr_assert_lt(stop_latency_ns("spin_tables"), 1000000);
}

Test(run, a_stop_asked_for_while_it_stands_comes_first)
{
	struct stops s;
	stops_open(&s, NULL);
	thread_request_stop(s.thread);
	cr_assert_eq(stops_call(&s, 0, "run_fib", &(uint64_t){10}, 1), RUN_STOPPED);
	cr_assert_eq(thread_run(s.thread), RUN_DONE);
	stops_close(&s);
}

/* ---- stops while a function is translated ---- */

#define GIANT_ADDS 1500000

/* run(x) calls a function that adds 3 to x GIANT_ADDS times. */
static struct module *giant_module(void)
{
	static const uint8_t head[] = {
	    0,  'a', 's', 'm', 1,   0,   0,   0, 1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f, /* (i32) -> i32 */
	    3,  3,   2,   0,   0,                                                 /* functions */
	    7,  7,   1,   3,   'r', 'u', 'n', 0, 0,                               /* exports */
	    10,
	};
	static const uint8_t run[] = {6, 0, 0x20, 0, 0x10, 1, 0x0b};
	struct wr w = {0};
	struct errmsg msg = {0};
	struct module *m;
	size_t size;
	wr_bytes(&w, head, sizeof head);
	const uint32_t body = 1 + 2 + 3 * GIANT_ADDS + 1;
	wr_leb_u32(&w, body + 4 + 1 + sizeof run);
	wr_u8(&w, 2);
	wr_bytes(&w, run, sizeof run);
	wr_leb_u32(&w, body);
	wr_bytes(&w, "\0\x20\0", 3);
	for (unsigned i = 0; i < GIANT_ADDS; i++)
		wr_bytes(&w, "\x41\3\x6a", 3);
	wr_u8(&w, 0x0b);
	uint8_t *bytes = wr_take(&w, &size);
	cr_assert_eq(module_load(bytes, size, true, &m, &msg), ERR_OK, "%s", msg.text);
	return m;
}

struct pest {
	pthread_mutex_t lock;
	struct thread *t; /* NULL: leave it alone */
	atomic_bool enough;
};

static void pester(struct pest *p, struct thread *t)
{
	pthread_mutex_lock(&p->lock);
	p->t = t;
	pthread_mutex_unlock(&p->lock);
}

static void *ask_often(void *arg)
{
	struct pest *p = arg;
	while (!atomic_load(&p->enough)) {
		pthread_mutex_lock(&p->lock);
		if (p->t)
			thread_request_stop(p->t);
		pthread_mutex_unlock(&p->lock);
		usleep(100);
	}
	return NULL;
}

static struct module *the_giant(void *ctx, const uint8_t hash[32])
{
	return ctx;
}

static void rebuild(struct store **s, struct module *m)
{
	struct errmsg msg = {0};
	struct wr w = {0};
	const struct module_finder find = {the_giant, m};
	const struct host_resolver none = {0};
	cr_assert_eq(store_save(*s, SAVE_MEMORY, &w), ERR_OK);
	store_free(*s);
	struct rd r = rd_of(w.data, w.size);
	cr_assert_eq(store_load(&r, &find, &none, s, &msg), ERR_OK, "%s", msg.text);
	wr_free(&w);
}

Test(run, a_stop_comes_into_the_translation_of_a_giant_which_goes_on_where_it_was)
{
	struct module *m = giant_module();
	const struct host_resolver none = {0};
	struct store *s;
	struct instance *in;
	struct errmsg msg = {0};
	struct thread *t;
	struct pest pest = {.lock = PTHREAD_MUTEX_INITIALIZER};
	pthread_t asker;
	unsigned stops = 0, rebuilt = 0;
	enum run_status st;
	uint32_t n;
	cr_assert_eq(store_new(NULL, &s), ERR_OK);
	cr_assert_eq(store_instantiate(s, m, &none, &in, &msg), ERR_OK, "%s", msg.text);
	cr_assert_eq(thread_new(s, &t), ERR_OK);
	cr_assert_eq(thread_call_export(t, in, "run", &(uint64_t){1}, 1, &msg), ERR_OK);
	pester(&pest, t);
	pthread_create(&asker, NULL, ask_often, &pest);
	while ((st = thread_run(t)) == RUN_STOPPED) {
		stops++;
		if (stops % 20 != 5 || rebuilt == 3)
			continue;
		pester(&pest, NULL);
		cr_assert_eq(thread_depth(t), 1);
		rebuild(&s, m);
		rebuilt++;
		t = store_thread(s, 0);
		pester(&pest, t);
	}
	atomic_store(&pest.enough, true);
	pthread_join(asker, NULL);
	cr_assert_eq(st, RUN_DONE);
	cr_assert_eq(thread_results(t, &n)[0], 1 + 3 * GIANT_ADDS);
	cr_assert_geq(stops, 5);
	cr_assert_geq(rebuilt, 1);
	store_free(s);
	module_unref(m);
}

/* ---- written pages ---- */

static bool dirty(const uint8_t *bits, size_t page)
{
	return bits[page / 8] >> (page % 8) & 1;
}

static unsigned count(const uint8_t *bits, size_t pages)
{
	unsigned n = 0;
	for (size_t i = 0; i < pages; i++)
		n += dirty(bits, i);
	return n;
}

static void call(struct stops *s, const char *name, uint64_t a, uint64_t b, uint32_t n)
{
	cr_assert_eq(stops_call(s, 0, name, (uint64_t[]){a, b}, n), RUN_DONE);
}

Test(run, written_pages_are_found_and_no_others)
{
	struct stops s;
	uint8_t bits[64];
	stops_open(&s, NULL);
	cr_assert_eq(store_track_start(s.store), ERR_OK);
	cr_assert_eq(store_track_collect(s.store, 0, bits, sizeof bits, true), ERR_OK);
	cr_assert_eq(count(bits, 512), 0);
	call(&s, "store", 4096 * 3 + 8, 1, 2);
	call(&s, "store", 4096 * 9 - 2, 1, 2); /* across two pages */
	cr_assert_eq(store_track_collect(s.store, 0, bits, sizeof bits, false), ERR_OK);
	cr_assert_eq(count(bits, 512), 3);
	cr_assert(dirty(bits, 3) && dirty(bits, 8) && dirty(bits, 9));
	cr_assert_eq(store_track_collect(s.store, 0, bits, sizeof bits, true), ERR_OK);
	cr_assert_eq(count(bits, 512), 3);
	cr_assert_eq(store_track_collect(s.store, 0, bits, sizeof bits, true), ERR_OK);
	cr_assert_eq(count(bits, 512), 0);
	call(&s, "fill", 4096 * 5, 4096 * 4, 2);
	call(&s, "grow", 1, 0, 1);
	call(&s, "store", 65536 * 2 + 4096, 1, 2);
	cr_assert_eq(store_track_collect(s.store, 0, bits, sizeof bits, true), ERR_OK);
	cr_assert_eq(count(bits, 32), 4);
	cr_assert(dirty(bits, 33)); /* of the pages that are new */
	call(&s, "store", 65536 * 2 + 4096 * 2, 1, 2);
	cr_assert_eq(store_track_collect(s.store, 0, bits, sizeof bits, true), ERR_OK);
	cr_assert_eq(count(bits, 512), 1);
	cr_assert(dirty(bits, 34));
	store_track_stop(s.store);
	call(&s, "store", 64, 1, 2);
	stops_close(&s);
}
