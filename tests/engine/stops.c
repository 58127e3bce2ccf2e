/* stops.c - stops.h. */
#include "stops.h"

#include "engine/module.h"
#include "stops_wasm.h"
#include "later_wasm.h"
#include "other_wasm.h"
#include "threads_wasm.h"
#include "vectors_wasm.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum host_result host_add(void *env, struct thread *t, uint64_t *args)
{
	struct stops_host *h = env;
	h->calls++;
	args[0] = (uint32_t)args[0] + args[1];
	return HOST_DONE;
}

static enum host_result host_wait(void *env, struct thread *t, uint64_t *args)
{
	struct stops_host *h = env;
	if (h->waits++ % 2 == 0 && h->block_first)
		return HOST_BLOCK;
	args[0] = (uint32_t)args[0] * 2;
	return HOST_DONE;
}

static bool resolve(void *ctx, const char *module, const char *name, const char *type, host_fn *fn,
                    void **env)
{
	*env = ctx;
	*fn = strcmp(name, "add") == 0 ? host_add : host_wait;
	return strcmp(module, "host") == 0;
}

static struct module *find(void *ctx, const uint8_t hash[32])
{
	struct stops *s = ctx;
	for (int i = 0; i < STOPS_MODULES; i++)
		if (memcmp(module_hash(s->modules[i]), hash, 32) == 0)
			return s->modules[i];
	return NULL;
}

static void must(enum err e, const struct errmsg *msg)
{
	if (e != ERR_OK) {
		fprintf(stderr, "%s\n", msg->text);
		abort();
	}
}

void stops_open(struct stops *s, const struct store_config *cfg)
{
	struct errmsg msg = {0};
	struct instance *in;
	*s = (struct stops){.resolver = {.resolve = resolve}, .finder = {.find = find}};
	s->resolver.ctx = &s->host;
	s->finder.ctx = s;
	must(module_load(wasm_stops, sizeof wasm_stops, false, &s->modules[0], &msg), &msg);
	must(module_load(wasm_other, sizeof wasm_other, false, &s->modules[1], &msg), &msg);
	must(module_load(wasm_later, sizeof wasm_later, false, &s->modules[2], &msg), &msg);
	must(module_load(wasm_threads, sizeof wasm_threads, false, &s->modules[3], &msg), &msg);
	must(module_load(wasm_vectors, sizeof wasm_vectors, false, &s->modules[4], &msg), &msg);
	must(store_new(cfg, &s->store), &msg);
	must(store_instantiate(s->store, s->modules[0], &s->resolver, &in, &msg), &msg);
	must(store_register(s->store, "stops", in), &msg);
	for (int i = 1; i < STOPS_MODULES; i++)
		must(store_instantiate(s->store, s->modules[i], &s->resolver, &in, &msg), &msg);
	must(thread_new(s->store, &s->thread), &msg);
}

void stops_close(struct stops *s)
{
	store_free(s->store);
	for (int i = 0; i < STOPS_MODULES; i++)
		module_unref(s->modules[i]);
}

enum run_status stops_call(struct stops *s, uint32_t module, const char *name, const uint64_t *args,
                           uint32_t nargs)
{
	struct errmsg msg = {0};
	must(thread_call_export(s->thread, store_instance(s->store, module), name, args, nargs,
	                        &msg),
	     &msg);
	return thread_run(s->thread);
}

bool stops_rebuild(struct stops *s)
{
	struct wr first = {0}, second = {0};
	struct errmsg msg = {0};
	must(store_save(s->store, SAVE_MEMORY, &first), &msg);
	store_free(s->store);
	struct rd in = rd_of(first.data, first.size);
	must(store_load(&in, &s->finder, &s->resolver, &s->store, &msg), &msg);
	s->thread = store_thread(s->store, 0);
	must(store_save(s->store, SAVE_MEMORY, &second), &msg);
	bool same = first.size == second.size && memcmp(first.data, second.data, first.size) == 0;
	wr_free(&first);
	wr_free(&second);
	return same;
}
