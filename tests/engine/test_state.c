/* test_state.c - a store as bytes: stopped anywhere, rebuilt, going on; and what hostile bytes do not do. */
#include "stops.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	uint32_t module;
	uint64_t n;
} programs[] = {
    {"run_fib", 0, 11},  {"run_mix", 0, 40},  {"run_blocks", 0, 60},
    {"run_bulk", 0, 50}, {"run_wait", 0, 20}, {"run_cross", 1, 6},
    {"run_tail", 2, 12}, {"run_throw", 2, 9}, {"run_vectors", 4, 25},
};

#define NPROGRAMS (sizeof programs / sizeof *programs)

static uint64_t result(const struct stops *s)
{
	uint32_t count;
	return thread_results(s->thread, &count)[0];
}

static uint64_t unmoved(size_t i)
{
	struct stops s;
	stops_open(&s, NULL);
	cr_assert_eq(stops_call(&s, programs[i].module, programs[i].name, &programs[i].n, 1),
	             RUN_DONE);
	uint64_t v = result(&s);
	stops_close(&s);
	return v;
}

/* Rebuilt at every nth safepoint, and at every block; then the same result. */
static void rebuilt_every(size_t i, uint64_t n, bool block)
{
	struct stops s;
	stops_open(&s, NULL);
	s.host.block_first = block;
	thread_stop_every(s.thread, n);
	uint64_t rebuilds = 0;
	enum run_status st =
	    stops_call(&s, programs[i].module, programs[i].name, &programs[i].n, 1);
	while (st == RUN_STOPPED || st == RUN_BLOCKED) {
		cr_assert(stops_rebuild(&s), "%s: written again, it differs", programs[i].name);
		rebuilds++;
		thread_stop_every(s.thread, n);
		st = thread_run(s.thread);
	}
	cr_assert_eq(st, RUN_DONE);
	cr_assert_eq(result(&s), unmoved(i), "%s rebuilt every %llu", programs[i].name,
	             (unsigned long long)n);
	cr_assert_gt(rebuilds, 3);
	stops_close(&s);
}

Test(state, a_program_rebuilt_at_every_nth_safepoint_ends_with_the_same_result)
{
	static const uint64_t every[] = {1, 2, 3, 5, 7};
	for (size_t i = 0; i < NPROGRAMS; i++)
		for (size_t k = 0; k < sizeof every / sizeof *every; k++)
			rebuilt_every(i, every[k], false);
}

/* name, run whole and rebuilt at each of some safepoints in a row, gives the same. */
static void rebuilt_between_pieces(const char *name, uint64_t argument, uint64_t first_stop)
{
	uint64_t want = 0;
	for (uint64_t n = 0; n < 2; n++) { /* whole; rebuilt at all but the loops' safepoints */
		struct stops s;
		uint32_t rebuilds = 0;
		stops_open(&s, NULL);
		enum run_status st;
		thread_stop_every(s.thread, n ? first_stop : 0);
		st = stops_call(&s, 0, name, &argument, 1);
		while (st == RUN_STOPPED) {
			cr_assert(stops_rebuild(&s));
			thread_stop_every(s.thread, ++rebuilds < 12 ? 1 : 0);
			st = thread_run(s.thread);
		}
		cr_assert_eq(st, RUN_DONE);
		if (n) {
			cr_assert_eq(result(&s), want);
			cr_assert_eq(rebuilds, 12);
		}
		want = result(&s);
		stops_close(&s);
	}
}

Test(state, a_bulk_instruction_can_be_rebuilt_between_its_pieces)
{
	rebuilt_between_pieces("run_big", 200, 9000); /* behind its first loop */
	for (uint64_t first = 1; first < 40; first += 6)
		rebuilt_between_pieces("run_big_tables", 100, first);
}

Test(state, a_blocked_host_call_has_not_begun_and_is_made_again_after_rebuilding)
{
	struct stops s;
	stops_open(&s, NULL);
	s.host.block_first = true;
	uint64_t n = 4;
	enum run_status st = stops_call(&s, 0, "run_wait", &n, 1);
	for (int i = 0; i < 5; i++) {
		cr_assert_eq(st, RUN_BLOCKED);
		cr_assert(stops_rebuild(&s));
		st = thread_run(s.thread);
	}
	cr_assert_eq(st, RUN_DONE);
	cr_assert_eq(s.host.waits, 10);
	stops_close(&s);
	rebuilt_every(4, 1, true);
}

Test(state, an_idle_store_can_be_rebuilt_and_called_again)
{
	struct stops s;
	stops_open(&s, NULL);
	for (int i = 0; i < 3; i++) {
		cr_assert(stops_rebuild(&s));
		cr_assert_eq(stops_call(&s, 0, "run_fib", &(uint64_t){10}, 1), RUN_DONE);
		cr_assert_eq(result(&s), 55);
	}
	stops_close(&s);
}

/* The state of a program in the middle of run_mix or run_cross, without its memory. */
static void middle(struct stops *s, uint32_t program, struct wr *out)
{
	stops_open(s, NULL);
	thread_stop_every(s->thread, 9);
	cr_assert_eq(stops_call(s, programs[program].module, programs[program].name,
	                        &programs[program].n, 1),
	             RUN_STOPPED);
	cr_assert_eq(store_save(s->store, 0, out), ERR_OK);
}

/* Loads; what could be loaded is run on for a while and written. */
static enum err try_bytes(struct stops *s, const uint8_t *bytes, size_t size)
{
	struct store *store;
	struct errmsg msg = {0};
	struct rd in = rd_of(bytes, size);
	enum err e = store_load(&in, &s->finder, &s->resolver, &store, &msg);
	if (e != ERR_OK) {
		cr_assert(msg.text[0], "%s without a message", err_name(e));
		return e;
	}
	struct wr w = {0};
	for (uint32_t i = 0; i < store_thread_count(store); i++) {
		thread_stop_every(store_thread(store, i), 50);
		thread_run(store_thread(store, i));
	}
	cr_assert_eq(store_save(store, 0, &w), ERR_OK);
	wr_free(&w);
	store_free(store);
	return ERR_OK;
}

Test(state, a_state_cut_short_anywhere_is_an_error)
{
	struct stops s;
	struct wr w = {0};
	middle(&s, 5, &w);
	for (size_t size = 0; size < w.size; size++)
		cr_assert_neq(try_bytes(&s, w.data, size), ERR_OK, "%zu of %zu bytes", size,
		              w.size);
	cr_assert_eq(try_bytes(&s, w.data, w.size), ERR_OK);
	wr_free(&w);
	stops_close(&s);
}

Test(state, a_flipped_bit_is_an_error_or_another_valid_state)
{
	for (uint32_t program = 0; program < NPROGRAMS; program++) {
		struct stops s;
		struct wr w = {0};
		uint32_t refused = 0;
		middle(&s, program, &w);
		for (size_t bit = 0; bit < w.size * 8; bit++) {
			w.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			refused += try_bytes(&s, w.data, w.size) != ERR_OK;
			w.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		}
		cr_assert_gt(refused, w.size); /* most of it is checked */
		wr_free(&w);
		stops_close(&s);
	}
}

/* The state of a store with one instance of a module that has one type, and nothing else. */
static void small_state(struct module **m, struct module_finder *f, struct wr *out)
{
	static const uint8_t bytes[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0};
	struct store *store;
	struct instance *in;
	struct thread *t;
	cr_assert_eq(module_load(bytes, sizeof bytes, false, m, NULL), ERR_OK);
	cr_assert_eq(store_new(NULL, &store), ERR_OK);
	cr_assert_eq(store_instantiate(store, *m, NULL, &in, NULL), ERR_OK);
	cr_assert_eq(thread_new(store, &t), ERR_OK);
	cr_assert_eq(store_save(store, 0, out), ERR_OK);
	store_free(store);
	f->ctx = *m;
}

static struct module *the_module(void *ctx, const uint8_t hash[32])
{
	return ctx;
}

Test(state, version_1_is_still_read_and_a_later_one_is_refused_by_its_number)
{
	struct module_finder f = {.find = the_module};
	struct module *m;
	struct store *store;
	struct wr w = {0};
	struct errmsg msg = {0};
	small_state(&m, &f, &w);
	/* Head 24, one function range 34, no memories, tables, globals; then what version 1 has not: no tags. No names, one
	 * thread; then whose turn it is. The thread is idle; and, last, no jumps. */
	const size_t tags = 24 + 34 + 3, turn = tags + 3;
	w.data[4] = 1;
	memmove(w.data + turn, w.data + turn + 1, w.size - turn - 1);
	memmove(w.data + tags, w.data + tags + 1, w.size - tags - 1);
	struct rd in = rd_of(w.data, w.size - 3);
	cr_assert_eq(store_load(&in, &f, NULL, &store, &msg), ERR_OK, "%s", msg.text);
	cr_assert_eq(store_thread_count(store), 1);
	store_free(store);
	w.data[4] = 99;
	in = rd_of(w.data, w.size - 3);
	cr_assert_eq(store_load(&in, &f, NULL, &store, &msg), ERR_UNSUPPORTED);
	cr_assert(strstr(msg.text, "version 99"));
	wr_free(&w);
	module_unref(m);
}

Test(state, a_state_of_unknown_modules_says_which)
{
	struct stops s, other;
	struct wr w = {0};
	struct errmsg msg = {0};
	struct store *store;
	middle(&s, 0, &w);
	stops_open(&other, NULL);
	struct module *m = other.modules[0];
	other.modules[0] = other.modules[1];
	struct rd in = rd_of(w.data, w.size);
	cr_assert_eq(store_load(&in, &other.finder, &other.resolver, &store, &msg), ERR_NOTFOUND);
	cr_assert(strstr(msg.text, "module"));
	other.modules[0] = m;
	wr_free(&w);
	stops_close(&other);
	stops_close(&s);
}
