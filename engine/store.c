/* store.c - the store: its objects, the ids of functions, and types that are equal across modules. */
#include "engine/exec.h"
#include "engine/exn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const trap_texts[TRAP_COUNT] = {
#define TRAP(name, text) [TRAP_##name] = text,
#include "engine/traps.def"
#undef TRAP
};

const char *trap_text(enum trap trap)
{
	return trap_texts[trap];
}

/* Room for one more: doubles whenever count is a power of two. */
bool grow_array(void **array, uint32_t count, size_t elem_size)
{
	if (count & (count - 1))
		return true;
	if (count > UINT32_MAX / 4)
		return false;
	void *p = realloc(*array, (count ? (size_t)count * 2 : 1) * elem_size);
	if (!p)
		return false;
	*array = p;
	return true;
}

enum err store_new(const struct store_config *cfg, struct store **out)
{
	struct store *s = calloc(1, sizeof *s);
	if (!s)
		return ERR_NOMEM;
	if (cfg)
		s->cfg = *cfg;
	if (!s->cfg.max_stack_slots)
		s->cfg.max_stack_slots = DEFAULT_STACK_SLOTS;
	if (!s->cfg.max_call_depth)
		s->cfg.max_call_depth = DEFAULT_CALL_DEPTH;
	if (!s->cfg.max_memory_pages || s->cfg.max_memory_pages > 65536)
		s->cfg.max_memory_pages = 65536;
	s->next_id = 1;
	*out = s;
	return ERR_OK;
}

void store_set_memory_room(struct store *s, uint32_t pages)
{
	s->room_pages = pages;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	while (s->nthreads)
		thread_free(s->threads[s->nthreads - 1]);
	for (uint32_t i = 0; i < s->ninstances; i++)
		instance_free(s->instances[i]);
	for (uint32_t i = 0; i < s->nmems; i++)
		mem_free(s->mems[i]);
	for (uint32_t i = 0; i < s->ntables; i++) {
		table_free(s->tables[i]);
	}
	for (uint32_t i = 0; i < s->nhosts; i++) {
		free(s->hosts[i]->module);
		free(s->hosts[i]->name);
		free(s->hosts[i]);
	}
	for (uint32_t i = 0; i < s->nnames; i++)
		free(s->names[i].name);
	for (uint32_t i = 0; i < s->ntypes; i++)
		free(s->types[i]);
	while (s->spare) {
		struct thread *t = s->spare;
		s->spare = t->next_spare;
		free(t);
	}
	exns_free(s);
	free(s->instances);
	free(s->mems);
	free(s->tables);
	free(s->globals);
	free(s->hosts);
	free(s->threads);
	free(s->ranges);
	free(s->names);
	free(s->types);
	free(s->type_slots);
	translator_free(s->translator);
	arena_free(&s->code);
	free(s);
}

enum err store_register(struct store *s, const char *name, struct instance *in)
{
	for (uint32_t i = 0; i < s->nnames; i++) {
		if (strcmp(s->names[i].name, name) == 0) {
			s->names[i].inst = in;
			return ERR_OK;
		}
	}
	char *copy = strdup(name);
	if (!copy || !GROW(s->names, s->nnames)) {
		free(copy);
		return ERR_NOMEM;
	}
	s->names[s->nnames++] = (struct reg_name){.name = copy, .inst = in};
	return ERR_OK;
}

struct thread *store_thread(struct store *s, uint32_t i)
{
	return i < s->nthreads ? s->threads[i] : NULL;
}

struct instance *store_instance(struct store *s, uint32_t i)
{
	return i < s->ninstances ? s->instances[i] : NULL;
}

uint32_t store_thread_count(const struct store *s)
{
	return s->nthreads;
}

/* ---- types ---- */

static uint32_t text_hash(const char *text)
{
	uint32_t h = 2166136261u;
	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 16777619u;
	return h;
}

static void type_slot_add(struct store *s, uint32_t number)
{
	uint32_t mask = s->ntype_slots - 1;
	uint32_t i = text_hash(s->types[number]) & mask;
	while (s->type_slots[i])
		i = (i + 1) & mask;
	s->type_slots[i] = number + 1;
}

static bool type_slots_grow(struct store *s)
{
	if (s->ntypes * 2 < s->ntype_slots)
		return true;
	uint32_t n = s->ntype_slots ? s->ntype_slots * 2 : 64;
	uint32_t *slots = calloc(n, sizeof *slots);
	if (!slots)
		return false;
	free(s->type_slots);
	s->type_slots = slots;
	s->ntype_slots = n;
	for (uint32_t i = 0; i < s->ntypes; i++)
		type_slot_add(s, i);
	return true;
}

uint32_t store_type(struct store *s, const char *text)
{
	if (!type_slots_grow(s))
		return UINT32_MAX;
	uint32_t mask = s->ntype_slots - 1;
	for (uint32_t i = text_hash(text) & mask; s->type_slots[i]; i = (i + 1) & mask)
		if (strcmp(s->types[s->type_slots[i] - 1], text) == 0)
			return s->type_slots[i] - 1;
	char *copy = strdup(text);
	if (!copy || !GROW(s->types, s->ntypes)) {
		free(copy);
		return UINT32_MAX;
	}
	s->types[s->ntypes++] = copy;
	type_slot_add(s, s->ntypes - 1);
	return s->ntypes - 1;
}

uint32_t store_functype(struct store *s, const struct functype *t)
{
	char small[64], *text = small;
	size_t size = functype_size(t);
	if (size > sizeof small && !(text = malloc(size)))
		return UINT32_MAX;
	functype_write(text, t);
	uint32_t number = store_type(s, text);
	if (text != small)
		free(text);
	return number;
}

void type_counts(const char *text, uint32_t *nparams, uint32_t *nresults)
{
	const char *close = strchr(text, ')');
	*nparams = (uint32_t)(close - text) - 1;
	*nresults = (uint32_t)strlen(close + 1);
}

/* ---- functions ---- */

enum err store_add_range(struct store *s, uint32_t count, struct instance *inst, struct hostfunc *h,
                         uint32_t *base)
{
	if (count > UINT32_MAX - s->next_id)
		return ERR_LIMIT;
	if (!GROW(s->ranges, s->nranges))
		return ERR_NOMEM;
	*base = s->next_id;
	s->ranges[s->nranges++] =
	    (struct func_range){.base = s->next_id, .count = count, .inst = inst, .host = h};
	s->next_id += count;
	return ERR_OK;
}

const struct func_range *store_func(struct store *s, uint64_t id)
{
	uint32_t lo = 0, hi = s->nranges;
	while (lo <
	       hi) { /* the last range that begins at or before id; empty ranges may share a base */
		uint32_t mid = lo + (hi - lo) / 2;
		if (s->ranges[mid].base <= id)
			lo = mid + 1;
		else
			hi = mid;
	}
	const struct func_range *r = lo ? &s->ranges[lo - 1] : NULL;
	return r && id - r->base < r->count ? r : NULL;
}

uint32_t store_func_type(struct store *s, const struct func_range *r, uint64_t id)
{
	if (r->host)
		return r->host->type;
	const struct module *m = r->inst->module;
	return r->inst->types[m->func_types[m->nimport_funcs + (uint32_t)(id - r->base)]];
}

enum err host_type_check(const char *module, const char *name, const char *type, struct errmsg *msg)
{
	if (!strchr(type, 'V'))
		return ERR_OK;
	return err_set(msg, ERR_UNLINKABLE,
	               "import %s.%s of type %s: a host function takes and gives no v128", module,
	               name, type);
}

struct hostfunc *store_host(struct store *s, const char *module, const char *name, uint32_t type)
{
	for (uint32_t i = 0; i < s->nhosts; i++) {
		struct hostfunc *h = s->hosts[i];
		if (h->type == type && !strcmp(h->name, name) && !strcmp(h->module, module))
			return h;
	}
	return NULL;
}

enum err store_add_host(struct store *s, const char *module, const char *name, const char *type,
                        host_fn fn, void *env, struct hostfunc **out)
{
	struct hostfunc *h = calloc(1, sizeof *h);
	if (!h)
		return ERR_NOMEM;
	h->fn = fn;
	h->env = env;
	h->type = store_type(s, type);
	h->module = strdup(module);
	h->name = strdup(name);
	type_counts(type, &h->nparams, &h->nresults);
	enum err e = ERR_NOMEM;
	if (h->type == UINT32_MAX || !h->module || !h->name || !GROW(s->hosts, s->nhosts))
		goto fail;
	e = store_add_range(s, 1, NULL, h, &h->id);
	if (e != ERR_OK)
		goto fail;
	s->hosts[s->nhosts++] = h;
	*out = h;
	return ERR_OK;
fail:
	free(h->module);
	free(h->name);
	free(h);
	return e;
}
