/* state.c - fuzzes store_load(): no bytes crash it, and what it accepts runs, stops and is written again.
 *
 * The input's first byte chooses a program that stands in the middle; the rest are changes to its
 * state, three bytes each (place, value), or, when the byte is odd, the state itself.
 */
#include "stops.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	const char *name;
	uint32_t module;
} programs[] = {{"run_fib", 0},  {"run_mix", 0},   {"run_blocks", 0},  {"run_bulk", 0},
                {"run_wait", 0}, {"run_cross", 1}, {"run_tail", 2},    {"run_throw", 2},
                {"count", 3},    {"take", 3},      {"run_vectors", 4}, {"own", 3}};

#define NPROGRAMS (sizeof programs / sizeof *programs)

/* More threads that do the same: some wait for the first, some are in the middle, one has globals of its own. */
static void more_threads(struct stops *s, const char *name)
{
	for (uint64_t i = 1; i < 4; i++) {
		struct thread *t;
		struct errmsg msg = {0};
		uint64_t n = i;
		struct instance *in = store_instance(s->store, 3);
		if ((i == 2 ? thread_spawn(in, &t) : thread_new(s->store, &t)) != ERR_OK ||
		    thread_call_export(t, in, name, &n, 1, &msg) != ERR_OK)
			abort();
		thread_stop_every(t, 4 * i);
		thread_run(t);
	}
}

static void middle(struct stops *s, unsigned choice, struct wr *out)
{
	uint64_t n = 12;
	stops_open(s, NULL);
	thread_stop_every(s->thread, 9);
	stops_call(s, programs[choice].module, programs[choice].name, &n, 1);
	if (programs[choice].module == 3)
		more_threads(s, programs[choice].name);
	if (store_save(s->store, 0, out) != ERR_OK)
		abort();
}

static void try_state(struct stops *s, const uint8_t *bytes, size_t size)
{
	struct store *store;
	struct errmsg msg = {0};
	struct rd in = rd_of(bytes, size);
	struct wr w = {0};
	if (store_load(&in, &s->finder, &s->resolver, &store, &msg) != ERR_OK)
		return;
	for (uint32_t i = 0; i < store_thread_count(store); i++) {
		thread_stop_every(store_thread(store, i), 50);
		thread_run(store_thread(store, i));
	}
	if (store_save(store, 0, &w) != ERR_OK)
		abort();
	wr_free(&w);
	store_free(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stops s;
	struct wr w = {0};
	if (size == 0)
		return 0;
	middle(&s, data[0] / 2 % NPROGRAMS, &w);
	if (data[0] & 1) {
		try_state(&s, data + 1, size - 1);
	} else {
		for (size_t i = 1; i + 3 <= size; i += 3)
			w.data[(data[i] | data[i + 1] << 8) % w.size] = data[i + 2];
		try_state(&s, w.data, w.size);
	}
	wr_free(&w);
	stops_close(&s);
	return 0;
}
