/* spec_world.c - running, and stopping, writing and rebuilding on the way. */
#include "spec_world.h"

#include "engine/exec.h"
#include "engine/module.h"
#include "wasm_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOPS_PER_DOUBLING 100

struct world {
	struct stress_config stress;
	uint64_t random;
	struct store *store;
	struct thread *thread;
	struct module **modules; /* owned; what the rebuilt store finds its code in */
	uint32_t nmodules, cap_modules;
	bool has_spectest; /* in this store: made for the first module that imports from it */
	uint64_t rebuilds, saved_bytes;
};

/* ---- the host module "spectest" (test/core/README of the spec) ----
 * Its functions take values and do nothing; memory, table and globals are those of a module that re-exports them. */

static enum host_result print(void *env, struct thread *t, uint64_t *args)
{
	return HOST_DONE;
}

static bool resolve(void *ctx, const char *module, const char *name, const char *type, host_fn *fn,
                    void **env)
{
	static const char *const prints[][2] = {
	    {"print", "()"},           {"print_i32", "(i)"}, {"print_i64", "(I)"},
	    {"print_f32", "(f)"},      {"print_f64", "(F)"}, {"print_i32_f32", "(if)"},
	    {"print_f64_f64", "(FF)"},
	};
	if (strcmp(module, "spectest") != 0)
		return false;
	for (size_t i = 0; i < sizeof prints / sizeof prints[0]; i++) {
		if (strcmp(name, prints[i][0]) == 0 && strcmp(type, prints[i][1]) == 0) {
			*fn = print;
			*env = NULL;
			return true;
		}
	}
	return false;
}

static const struct host_resolver resolver = {.resolve = resolve};

static void spectest_types(struct wr *w)
{
	size_t at = wasm_section(w, 1);
	wasm_bytes(w, "\x07"
	              "\x60\x00\x00"
	              "\x60\x01\x7f\x00"
	              "\x60\x01\x7e\x00"
	              "\x60\x01\x7d\x00"
	              "\x60\x01\x7c\x00"
	              "\x60\x02\x7f\x7d\x00"
	              "\x60\x02\x7c\x7c\x00");
	wasm_end(w, at);
}

static const char *const spectest_funcs[] = {
    "print", "print_i32", "print_i64", "print_f32", "print_f64", "print_i32_f32", "print_f64_f64",
};

static void spectest_imports(struct wr *w)
{
	size_t at = wasm_section(w, 2);
	wr_u8(w, 7);
	for (uint8_t i = 0; i < 7; i++) {
		wasm_name(w, "spectest");
		wasm_name(w, spectest_funcs[i]);
		wr_u8(w, EXT_FUNC);
		wr_u8(w, i);
	}
	wasm_end(w, at);
}

/* table 10..20 funcref, memory 1..2, globals of 666 or 666.6 */
static void spectest_objects(struct wr *w)
{
	size_t at = wasm_section(w, 4);
	wasm_bytes(w, "\x01\x70\x01\x0a\x14");
	wasm_end(w, at);
	at = wasm_section(w, 5);
	wasm_bytes(w, "\x01\x01\x01\x02");
	wasm_end(w, at);
	at = wasm_section(w, 6);
	wasm_bytes(w, "\x04"
	              "\x7f\x00\x41\x9a\x05\x0b"
	              "\x7e\x00\x42\x9a\x05\x0b"
	              "\x7d\x00\x43\x66\xa6\x26\x44\x0b"
	              "\x7c\x00\x44\xcd\xcc\xcc\xcc\xcc\xd4\x84\x40\x0b");
	wasm_end(w, at);
}

static void spectest_export(struct wr *w, const char *name, uint8_t kind, uint8_t index)
{
	wasm_name(w, name);
	wr_u8(w, kind);
	wr_u8(w, index);
}

static void spectest_exports(struct wr *w)
{
	static const char *const globals[] = {"global_i32", "global_i64", "global_f32",
	                                      "global_f64"};
	size_t at = wasm_section(w, 7);
	wr_u8(w, 13);
	for (uint8_t i = 0; i < 7; i++)
		spectest_export(w, spectest_funcs[i], EXT_FUNC, i);
	spectest_export(w, "table", EXT_TABLE, 0);
	spectest_export(w, "memory", EXT_MEM, 0);
	for (uint8_t i = 0; i < 4; i++)
		spectest_export(w, globals[i], EXT_GLOBAL, i);
	wasm_end(w, at);
}

static enum err add_spectest(struct world *w)
{
	struct wr bytes = {0};
	struct module *m;
	uint32_t instance;
	size_t size;
	wasm_header(&bytes);
	spectest_types(&bytes);
	spectest_imports(&bytes);
	spectest_objects(&bytes);
	spectest_exports(&bytes);
	uint8_t *data = wr_take(&bytes, &size);
	w->has_spectest = true;
	TRY(module_load(data, size, true, &m, NULL));
	TRY(world_instantiate(w, m, &instance, NULL));
	return world_register(w, instance, "spectest");
}

/* ---- life ---- */

static enum err new_store(struct world *w)
{
	/* A runaway recursion that is written at every safepoint costs the square of its depth. */
	struct store_config config = {.max_call_depth = w->stress.kind ? 400 : 0};
	TRY(store_new(&config, &w->store));
	return thread_new(w->store, &w->thread);
}

static void drop_store(struct world *w)
{
	if (w->store)
		store_free(w->store);
	w->store = NULL;
	w->thread = NULL;
	for (uint32_t i = 0; i < w->nmodules; i++)
		module_unref(w->modules[i]);
	w->nmodules = 0;
	w->has_spectest = false;
}

enum err world_reset(struct world *w)
{
	drop_store(w);
	return new_store(w);
}

struct world *world_new(const struct stress_config *stress)
{
	struct world *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->stress = *stress;
	w->random = stress->seed * 2 + 1;
	if (world_reset(w) != ERR_OK) {
		world_free(w);
		return NULL;
	}
	return w;
}

void world_free(struct world *w)
{
	drop_store(w);
	free(w->modules);
	free(w);
}

uint64_t world_rebuilds(const struct world *w)
{
	return w->rebuilds;
}

uint64_t world_saved_bytes(const struct world *w)
{
	return w->saved_bytes;
}

static bool keep_module(struct world *w, struct module *m)
{
	if (w->nmodules == w->cap_modules) {
		uint32_t cap = w->cap_modules ? w->cap_modules * 2 : 16;
		struct module **modules = realloc(w->modules, cap * sizeof *modules);
		if (!modules)
			return false;
		w->modules = modules;
		w->cap_modules = cap;
	}
	w->modules[w->nmodules++] = m;
	return true;
}

/* ---- stopping, writing, rebuilding ---- */

bool stress_parse(const char *text, struct stress_config *stress)
{
	char *end;
	if (!text)
		return false;
	if (strncmp(text, "random", 6) == 0) {
		stress->kind = STRESS_RANDOM;
		stress->seed = 1;
		if (text[6] == ':')
			stress->seed = strtoull(text + 7, &end, 10);
		return !text[6] || (text[6] == ':' && text[7] && !*end);
	}
	stress->kind = STRESS_EVERY;
	stress->n = strtoull(text, &end, 10);
	return *text && !*end && stress->n > 0;
}

static struct module *find_module(void *ctx, const uint8_t hash[32])
{
	struct world *w = ctx;
	for (uint32_t i = w->nmodules; i-- > 0;)
		if (memcmp(module_hash(w->modules[i]), hash, 32) == 0)
			return w->modules[i];
	return NULL;
}

static enum err rebuild_from(struct world *w, const struct wr *bytes, struct errmsg *msg)
{
	struct rd in = rd_of(bytes->data, bytes->size);
	struct module_finder finder = {.find = find_module, .ctx = w};
	store_free(w->store);
	w->store = NULL;
	w->thread = NULL;
	TRY(store_load(&in, &finder, &resolver, &w->store, msg));
	w->thread = store_thread(w->store, 0);
	if (rd_left(&in))
		return err_set(msg, ERR_MALFORMED, "%zu bytes of a saved store were not read",
		               rd_left(&in));
	return ERR_OK;
}

static enum err rebuild(struct world *w, struct errmsg *msg)
{
	struct wr first = {0}, second = {0};
	enum err e = store_save(w->store, SAVE_MEMORY, &first);
	if (e != ERR_OK) {
		err_set(msg, e, "store_save: %s", err_text(e));
		goto out;
	}
	w->rebuilds++;
	w->saved_bytes += first.size;
	e = rebuild_from(w, &first, msg);
	if (e != ERR_OK) {
		err_prefix(msg, e, "store_load");
		goto out;
	}
	e = store_save(w->store, SAVE_MEMORY, &second);
	if (e == ERR_OK &&
	    (first.size != second.size || memcmp(first.data, second.data, first.size) != 0))
		e = err_set(msg, ERR_STATE, "a rebuilt store of %zu bytes is written as other %zu",
		            first.size, second.size);
out:
	wr_free(&first);
	wr_free(&second);
	return e;
}

/* Safepoints until the next stop. After each hundred stops of one call the distance doubles, so that a loop over a
 * whole memory ends. */
static uint64_t next_interval(struct world *w, uint64_t stops)
{
	uint64_t shift = stops / STOPS_PER_DOUBLING < 40 ? stops / STOPS_PER_DOUBLING : 40;
	if (w->stress.kind == STRESS_OFF)
		return 0;
	if (w->stress.kind == STRESS_EVERY)
		return w->stress.n << shift;
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (1 + w->random % 20) << shift;
}

/* Runs what is on the thread's stack to its end. */
static enum outcome run(struct world *w, struct errmsg *text)
{
	for (uint64_t stops = 0;; stops++) {
		char where[100];
		thread_stop_every(w->thread, next_interval(w, stops));
		switch (thread_run(w->thread)) {
		case RUN_DONE: return OUT_RETURNED;
		case RUN_STOPPED:
			if (rebuild(w, text) != ERR_OK)
				return OUT_FAILED;
			continue;
		case RUN_TRAPPED:
			err_set(text, ERR_OK, "%s",
			        thread_trap_text(w->thread, where, sizeof where));
			thread_reset(w->thread);
			return OUT_TRAPPED;
		default: err_set(text, ERR_STATE, "the call blocked or exited"); return OUT_FAILED;
		}
	}
}

/* ---- what scripts do ---- */

/* Its memory reserves 8 GiB of addresses. That costs nothing here, but emulators keep books about each page, and
 * most modules never ask for it. */
static enum err need_spectest(struct world *w, const struct module *m)
{
	for (uint32_t i = 0; !w->has_spectest && i < module_import_count(m); i++) {
		struct import_info im;
		module_import(m, i, &im);
		if (strcmp(im.module, "spectest") == 0)
			return add_spectest(w);
	}
	return ERR_OK;
}

enum err world_instantiate(struct world *w, struct module *m, uint32_t *index, struct errmsg *msg)
{
	struct instance *in;
	if (!w->store)
		return err_set(msg, ERR_STATE, "the store is lost");
	if (!keep_module(w, m)) {
		module_unref(m);
		return err_set(msg, ERR_NOMEM, "out of memory");
	}
	TRY(need_spectest(w, m));
	TRY(store_instantiate(w->store, m, &resolver, &in, msg));
	*index = in->index;
	if (thread_call_start(w->thread, in) != ERR_OK)
		return ERR_OK; /* it has none */
	return run(w, msg) == OUT_RETURNED ? ERR_OK : ERR_INVALID;
}

enum err world_register(struct world *w, uint32_t instance, const char *as)
{
	if (!w->store)
		return ERR_STATE;
	return store_register(w->store, as, store_instance(w->store, instance));
}

enum outcome world_invoke(struct world *w, uint32_t instance, const char *name, size_t name_size,
                          const uint64_t *args, uint32_t nargs, const uint64_t **results,
                          uint32_t *nresults, struct errmsg *text)
{
	if (!w->store) {
		err_set(text, ERR_STATE, "the store is lost");
		return OUT_FAILED;
	}
	struct export_info e;
	if (!instance_export(store_instance(w->store, instance), name, name_size, &e) ||
	    e.kind != EXT_FUNC) {
		err_set(text, ERR_NOTFOUND, "no function \"%.*s\" is exported", (int)name_size,
		        name);
		return OUT_FAILED;
	}
	if (thread_call_func(w->thread, e.value, args, nargs, text) != ERR_OK)
		return OUT_FAILED;
	enum outcome out = run(w, text);
	if (out == OUT_RETURNED)
		*results = thread_results(w->thread, nresults);
	return out;
}

enum outcome world_get(struct world *w, uint32_t instance, const char *name, size_t name_size,
                       uint64_t value[2], uint32_t *n, struct errmsg *text)
{
	if (!w->store) {
		err_set(text, ERR_STATE, "the store is lost");
		return OUT_FAILED;
	}
	struct export_info e;
	if (!instance_export(store_instance(w->store, instance), name, name_size, &e) ||
	    e.kind != EXT_GLOBAL) {
		err_set(text, ERR_NOTFOUND, "no global \"%.*s\" is exported", (int)name_size, name);
		return OUT_FAILED;
	}
	value[0] = e.value;
	value[1] = e.high;
	*n = (uint32_t)strlen(e.type);
	return OUT_RETURNED;
}

const uint8_t *world_memory(struct world *w, uint32_t instance, uint64_t *size)
{
	*size = 0;
	return w->store ? instance_memory(store_instance(w->store, instance), size) : NULL;
}
