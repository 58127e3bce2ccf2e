/* stops.c - how long a running thread takes from a stop request to standing at a safepoint (engine.h promises 1 ms).
 *
 *	build/bench/stops [FILE.bare.wasm N ...]
 *
 * One thread runs a module's export `run` over and over, anew in a new store each time it ends, so that the function is
 * translated again; the other asks it to stop at random times. Without files: modules that a hostile mind would make, each with
 * one giant function that the translator has to work for, or one instruction that has much to do. A row is a
 * module: requests, latency p50, p99 and longest in wall time, and the longest in processor time of the runner (a machine with
 * other work takes the processor away now and then, which is not the engine's).
 */
#include "engine/engine.h"
#include "tests/engine/wasm_build.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	SAMPLES = 500,
	BODY_BYTES = 7600000, /* about what limits.h allows */
	SECONDS = 20,         /* of a row, at most */
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- hostile modules ---- */

/* What repeats in the giant body; what stands before and behind it. */
struct shape {
	const char *name;
	const char *head, *part, *tail;
	size_t nhead, npart, ntail;
	unsigned nblocks; /* blocks around all */
	bool wide_blocks; /* each of 1,000 results, which are on the stack */
	bool table;       /* a br_table over all of them, over and over */
	unsigned repeats; /* of part; 0: until the body is full */
};

#define SHAPE(title, before, again, behind, ...) \
	{.name = (title),                        \
	 .head = (before),                       \
	 .nhead = sizeof(before) - 1,            \
	 .part = (again),                        \
	 .npart = sizeof(again) - 1,             \
	 .tail = (behind),                       \
	 .ntail = sizeof(behind) - 1,            \
	 __VA_ARGS__}

/* Local 0 is the parameter, 0. Function 1 is the giant, of type (i32) -> (). */
static const struct shape shapes[] = {
    SHAPE("copies of locals", "", "\x20\x00\x21\x01", "", .nblocks = 0),
    SHAPE("calls", "", "\x20\x00\x10\x02", "", .nblocks = 0),
    SHAPE("branches to one label", "", "\x20\x00\x0d\x00", "", .nblocks = 1),
    SHAPE("branches with 1,000 values", "", "\x20\x00\x0d\x00", "", .nblocks = 1,
          .wide_blocks = true),
    SHAPE("unreachable blocks", "\x00", "\x02\x40\x0b", "", .nblocks = 1),
    SHAPE("br_table of many labels", "", "", "", .nblocks = 1000, .table = true),
    SHAPE("loops in a row", "", "\x03\x40\x20\x00\x0d\x00\x0b", "", .nblocks = 0),
    SHAPE("memory.fill", "", "\x41\x00\x41\x01\x41\x80\x80\x80\x80\x04\xfc\x0b\x00", "",
          .repeats = 4),
    SHAPE("memory.copy", "", "\x41\x00\x41\x01\x41\xff\xff\xff\xff\x03\xfc\x0a\x00\x00", "",
          .repeats = 4),
    SHAPE("table.grow", "", "\xd0\x70\x41\x80\xad\xe2\x04\xfc\x0f\x00\x1a", "", .repeats = 1),
    SHAPE("recursion", "", "\x20\x00\x10\x01", "", .repeats = 1),
    SHAPE("a loop", "", "\x03\x40\x0c\x00\x0b", "", .repeats = 1),
};

static void wide_values(struct wr *w)
{
	for (unsigned i = 0; i < 1000; i++)
		wasm_bytes(w, "\x41\x07");
}

static void blocks_end(struct wr *w, const struct shape *s)
{
	for (unsigned i = 0; i < s->nblocks; i++) {
		wr_u8(w, 0x0b);
		for (unsigned k = 0; s->wide_blocks && k < 1000; k++)
			wr_u8(w, 0x1a);
	}
}

static void br_table(struct wr *w, unsigned nblocks)
{
	const uint32_t n = 65520;
	wasm_bytes(w, "\x02\x40\x20\x00\x0e");
	wr_leb_u32(w, n);
	for (uint32_t i = 0; i <= n; i++)
		wr_leb_u32(w, i % (nblocks + 1));
	wr_u8(w, 0x0b);
}

static void giant_body(struct wr *w, const struct shape *s)
{
	size_t size_at = wasm_begin(w);
	size_t start = w->size;
	wasm_bytes(w, "\x01\x01\x7f"); /* local 1 */
	for (unsigned i = 0; i < s->nblocks; i++)
		wr_bytes(w, s->wide_blocks ? "\x02\x01" : "\x02\x40", 2);
	if (s->wide_blocks)
		wide_values(w);
	wr_bytes(w, s->head, s->nhead);
	size_t room = BODY_BYTES - 3 * (size_t)s->nblocks - 2000;
	for (unsigned i = 0; s->repeats ? i < s->repeats : w->size - start < room - 200000; i++) {
		if (s->table)
			br_table(w, s->nblocks);
		else
			wr_bytes(w, s->part, s->npart);
	}
	wr_bytes(w, s->tail, s->ntail);
	blocks_end(w, s);
	wr_u8(w, 0x0b);
	wasm_end(w, size_at);
}

static void build(struct wr *w, const struct shape *s)
{
	wasm_header(w);
	size_t at = wasm_section(w, 1);
	wasm_bytes(w, "\x02\x60\x01\x7f\x00\x60\x00");
	wr_leb_u32(w, 1000);
	for (unsigned i = 0; i < 1000; i++)
		wr_u8(w, 0x7f);
	wasm_end(w, at);
	at = wasm_section(w, 3);
	wasm_bytes(w, "\x03\x00\x00\x00");
	wasm_end(w, at);
	at = wasm_section(w, 4);
	wasm_bytes(w, "\x01\x70\x00\x01");
	wasm_end(w, at);
	at = wasm_section(w, 5);
	wasm_bytes(w, "\x01\x00\x81\x80\x01"); /* 1 GiB and a page */
	wasm_end(w, at);
	at = wasm_section(w, 7);
	wasm_bytes(w, "\x01\x03run\x00\x00");
	wasm_end(w, at);
	at = wasm_section(w, 10);
	wr_u8(w, 3);
	wasm_bytes(w, "\x06\x00\x20\x00\x10\x01\x0b"); /* run: the giant is called */
	giant_body(w, s);
	wasm_bytes(w, "\x02\x00\x0b");
	wasm_end(w, at);
}

/* ---- measuring ---- */

struct runner {
	struct module *m;
	uint64_t arg;
	struct thread *_Atomic thread; /* NULL: there is none now */
	atomic_bool enough;
	pthread_mutex_t lock; /* the thread does not go away while it is asked to stop */
	_Atomic uint64_t asked_ns, asked_cpu_ns; /* 0: nothing is asked */
	uint64_t wall_ns[SAMPLES], cpu_ns[SAMPLES];
	unsigned n;
	struct errmsg msg;
};

static bool resolve_nothing(void *ctx, const char *module, const char *name, const char *type,
                            host_fn *fn, void **env)
{
	return false;
}

static void note(struct runner *r)
{
	uint64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t asked = atomic_load(&r->asked_ns);
	if (!asked || r->n == SAMPLES)
		return;
	r->wall_ns[r->n] = wall - asked;
	r->cpu_ns[r->n++] = cpu - atomic_load(&r->asked_cpu_ns);
	atomic_store(&r->asked_ns, 0);
}

static bool run_once(struct runner *r)
{
	const struct host_resolver none = {.resolve = resolve_nothing};
	struct store *s = NULL;
	struct instance *in;
	struct thread *t;
	bool ok = store_new(NULL, &s) == ERR_OK &&
	          store_instantiate(s, r->m, &none, &in, &r->msg) == ERR_OK &&
	          thread_new(s, &t) == ERR_OK &&
	          thread_call_export(t, in, "run", &r->arg, 1, &r->msg) == ERR_OK;
	if (ok) {
		atomic_store(&r->thread, t);
		while (thread_run(t) == RUN_STOPPED && !atomic_load(&r->enough))
			note(r);
		pthread_mutex_lock(&r->lock);
		atomic_store(&r->thread, NULL);
		atomic_store(&r->asked_ns, 0);
		pthread_mutex_unlock(&r->lock);
	}
	store_free(s);
	return ok;
}

static void *run_on(void *ctx)
{
	struct runner *r = ctx;
	while (!atomic_load(&r->enough) && run_once(r))
		;
	atomic_store(&r->enough, true);
	return NULL;
}

static void ask(struct runner *r, clockid_t runner_clock)
{
	pthread_mutex_lock(&r->lock);
	struct thread *t = atomic_load(&r->thread);
	if (t && !atomic_load(&r->asked_ns)) {
		atomic_store(&r->asked_cpu_ns, clock_ns(runner_clock));
		atomic_store(&r->asked_ns, clock_ns(CLOCK_MONOTONIC));
		thread_request_stop(t);
	}
	pthread_mutex_unlock(&r->lock);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static bool measure(const char *name, struct module *m, uint64_t arg)
{
	static struct runner r;
	pthread_t thread;
	clockid_t runner_clock;
	r = (struct runner){.m = m, .arg = arg, .lock = PTHREAD_MUTEX_INITIALIZER};
	pthread_create(&thread, NULL, run_on, &r);
	pthread_getcpuclockid(thread, &runner_clock);
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)SECONDS * 1000000000u;
	while (!atomic_load(&r.enough) && r.n < SAMPLES && clock_ns(CLOCK_MONOTONIC) < end) {
		usleep((useconds_t)(300 + rand() % 3000));
		ask(&r, runner_clock);
	}
	atomic_store(&r.enough, true);
	ask(&r, runner_clock);
	pthread_mutex_lock(&r.lock);
	if (atomic_load(&r.thread))
		thread_request_stop(atomic_load(&r.thread));
	pthread_mutex_unlock(&r.lock);
	pthread_join(thread, NULL);
	if (!r.n) {
		fprintf(stderr, "stops: %s: %s\n", name, r.msg.text[0] ? r.msg.text : "no stop");
		return false;
	}
	qsort(r.wall_ns, r.n, sizeof *r.wall_ns, by_size);
	qsort(r.cpu_ns, r.n, sizeof *r.cpu_ns, by_size);
	printf("%-28s %5u %9.1f %9.1f %9.1f %9.1f\n", name, r.n, (double)r.wall_ns[r.n / 2] / 1e3,
	       (double)r.wall_ns[r.n * 99 / 100] / 1e3, (double)r.wall_ns[r.n - 1] / 1e3,
	       (double)r.cpu_ns[r.n - 1] / 1e3);
	fflush(stdout);
	return true;
}

/* ---- rows ---- */

static bool hostile(const struct shape *s)
{
	struct wr w = {0};
	struct errmsg msg = {0};
	struct module *m;
	size_t size;
	build(&w, s);
	uint8_t *bytes = wr_take(&w, &size);
	if (!bytes || module_load_lazy(bytes, size, true, &m, &msg) != ERR_OK) {
		fprintf(stderr, "stops: %s: %s\n", s->name, msg.text);
		return false;
	}
	bool ok = measure(s->name, m, 0);
	module_unref(m);
	return ok;
}

static bool file(const char *path, const char *arg)
{
	struct errmsg msg = {0};
	struct module *m;
	struct wr w = {0};
	size_t size;
	FILE *f = fopen(path, "rb");
	for (int c; f && (c = getc(f)) != EOF;)
		wr_u8(&w, (uint8_t)c);
	if (f)
		fclose(f);
	uint8_t *bytes = wr_take(&w, &size);
	if (!bytes || module_load_lazy(bytes, size, true, &m, &msg) != ERR_OK) {
		fprintf(stderr, "stops: %s: %s\n", path, msg.text[0] ? msg.text : "cannot be read");
		return false;
	}
	const char *slash = strrchr(path, '/');
	bool ok = measure(slash ? slash + 1 : path, m, strtoull(arg, NULL, 10));
	module_unref(m);
	return ok;
}

int main(int argc, char **argv)
{
	bool ok = true;
	if (argc % 2 == 0) {
		fprintf(stderr, "usage: stops [FILE.bare.wasm N ...]\n");
		return 2;
	}
	printf("%-28s %5s %9s %9s %9s %9s\n", "microseconds", "stops", "p50", "p99", "most",
	       "most cpu");
	if (argc == 1)
		for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
			ok = hostile(&shapes[i]) && ok;
	for (int i = 1; i + 1 < argc; i += 2)
		ok = file(argv[i], argv[i + 1]) && ok;
	return !ok;
}
