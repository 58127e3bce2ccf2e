/* module.c - fuzzes the way of a module: decode, validate, instantiate, translate, run, write, rebuild, run on.
 *
 * The input is the module. Its imports are answered by functions that give zeros. Every exported function is
 * called with zeros and runs for a bounded number of safepoints; where it is first stopped, the
 * store is written, rebuilt from the bytes and written again, which must give the same bytes.
 */
#include "engine/module.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_EXPORTS = 8, MAX_STOPS = 20, STOP_EVERY = 50, MAX_ARGS = 1000 };

static void check(bool truth)
{
	if (!truth)
		abort();
}

/* env is the type's text. */
static enum host_result give_zeros(void *env, struct thread *t, uint64_t *args)
{
	const char *results = strchr(env, ')') + 1;
	memset(args, 0, strlen(results) * sizeof *args);
	return HOST_DONE;
}

/* The text lives as long as the module; when a store is rebuilt it is the store's own. */
static bool resolve(void *ctx, const char *module, const char *name, const char *type, host_fn *fn,
                    void **env)
{
	*fn = give_zeros;
	*env = (void *)type;
	return true;
}

static const struct host_resolver resolver = {.resolve = resolve};

static struct module *find(void *ctx, const uint8_t hash[32])
{
	struct module *m = ctx;
	return memcmp(module_hash(m), hash, 32) == 0 ? m : NULL;
}

/* Returns the rebuilt store. */
static struct store *rebuild(struct store *s, struct module *m)
{
	struct module_finder finder = {.find = find, .ctx = m};
	struct wr first = {0}, second = {0};
	struct errmsg msg = {0};
	check(store_save(s, SAVE_MEMORY, &first) == ERR_OK && wr_ok(&first));
	store_free(s);
	struct rd in = rd_of(first.data, first.size);
	check(store_load(&in, &finder, &resolver, &s, &msg) == ERR_OK);
	check(store_save(s, SAVE_MEMORY, &second) == ERR_OK && wr_ok(&second));
	check(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
	wr_free(&first);
	wr_free(&second);
	return s;
}

/* Runs what is on the first thread's stack; returns the store, which may be another. */
static struct store *run(struct store *s, struct module *m)
{
	struct thread *t = store_thread(s, 0);
	thread_stop_every(t, STOP_EVERY);
	for (unsigned stops = 0; stops < MAX_STOPS && thread_run(t) == RUN_STOPPED; stops++) {
		if (stops == 0)
			s = rebuild(s, m);
		t = store_thread(s, 0);
		thread_stop_every(t, STOP_EVERY);
	}
	thread_reset(t);
	return s;
}

static struct store *call(struct store *s, struct module *m, uint64_t func, const char *type)
{
	static const uint64_t zeros[MAX_ARGS];
	struct errmsg msg = {0};
	uint32_t nargs = (uint32_t)(strchr(type, ')') - type - 1);
	if (nargs > MAX_ARGS ||
	    thread_call_func(store_thread(s, 0), func, zeros, nargs, &msg) != ERR_OK)
		return s;
	return run(s, m);
}

static struct store *call_exports(struct store *s, struct module *m)
{
	struct export_info info;
	for (uint32_t i = 0; i < MAX_EXPORTS && i < m->nexports; i++) {
		struct name name = m->exports[i].name;
		check(instance_export(store_instance(s, 0), name.p, name.size, &info));
		if (info.kind == EXT_FUNC)
			s = call(s, m, info.value, info.type);
	}
	return s;
}

static void run_module(struct module *m)
{
	struct store_config config = {
	    .max_stack_slots = 1 << 16, .max_call_depth = 200, .max_memory_pages = 16};
	struct errmsg msg = {0};
	struct instance *in;
	struct thread *t;
	struct store *s;
	if (store_new(&config, &s) != ERR_OK)
		return;
	if (store_instantiate(s, m, &resolver, &in, &msg) == ERR_OK &&
	    thread_new(s, &t) == ERR_OK) {
		if (thread_call_start(t, in) == ERR_OK)
			s = run(s, m);
		s = call_exports(s, m);
	} else {
		check(msg.text[0]);
	}
	store_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct errmsg msg = {0};
	struct module *m;
	enum err e = module_load(data, size, false, &m, &msg);
	if (e == ERR_OK) {
		run_module(m);
		module_unref(m);
	} else {
		check(msg.text[0] && !m);
	}
	return 0;
}
