/* instance.c - from a module to an instance (spec 4.5.4): imports, own objects, segments. */
#include "engine/exec.h"
#include "engine/exn.h"
#include "engine/opcode.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- constant expressions (validated) ---- */

uint64_t instance_func_id(const struct instance *in, uint32_t funcidx)
{
	uint32_t n = in->module->nimport_funcs;
	return funcidx < n ? in->import_funcs[funcidx] : in->func_base + (funcidx - n);
}

static uint64_t const_binary(uint32_t op, uint64_t a, uint64_t b)
{
	switch (op) {
	case WOP_i32_add: return (uint32_t)(a + b);
	case WOP_i32_sub: return (uint32_t)(a - b);
	case WOP_i32_mul: return (uint32_t)((uint32_t)a * (uint32_t)b);
	case WOP_i64_add: return a + b;
	case WOP_i64_sub: return a - b;
	default: return a * b;
	}
}

static uint64_t const_push(struct instance *in, uint32_t op, struct rd *r)
{
	uint32_t u = 0, hi;
	int32_t s32 = 0;
	int64_t s64 = 0;
	uint64_t v = 0;
	uint8_t type;
	switch (op) {
	case WOP_i32_const: rd_leb_s32(r, &s32); return (uint32_t)s32;
	case WOP_i64_const: rd_leb_s64(r, &s64); return (uint64_t)s64;
	case WOP_f32_const: rd_u32(r, &u); return u;
	case WOP_f64_const:
		rd_u32(r, &u);
		hi = 0;
		rd_u32(r, &hi);
		v = (uint64_t)hi << 32 | u;
		return v;
	case WOP_ref_null: rd_u8(r, &type); return 0;
	case WOP_ref_func: rd_leb_u32(r, &u); return instance_func_id(in, u);
	default: rd_leb_u32(r, &u); return in->globals[u]->value;
	}
}

/* Reads one expression up to and with its `end`. */
static uint64_t const_eval(struct instance *in, struct rd *r)
{
	uint64_t stack[1024]; /* LIMIT_CONSTEXPR_HEIGHT */
	uint32_t n = 0;
	uint8_t op;
	while (rd_u8(r, &op) == ERR_OK && op != WOP_end) {
		switch (op) {
		case WOP_i32_add:
		case WOP_i32_sub:
		case WOP_i32_mul:
		case WOP_i64_add:
		case WOP_i64_sub:
		case WOP_i64_mul:
			assert(n >= 2);
			n--;
			stack[n - 1] = const_binary(op, stack[n - 1], stack[n]);
			break;
		default:
			assert(n < sizeof stack / sizeof *stack);
			stack[n++] = const_push(in, op, r);
		}
	}
	assert(n == 1);
	return stack[0];
}

uint64_t constexpr_eval(struct instance *in, struct constexpr_ref e)
{
	struct rd r = rd_of(in->module->bytes + e.offset, e.size);
	return const_eval(in, &r);
}

/* A v128.const, or a global: nothing else gives one. */
static void constexpr_v128(struct instance *in, struct constexpr_ref e, struct globalinst *to)
{
	struct rd r = rd_of(in->module->bytes + e.offset, e.size);
	uint8_t op = 0;
	uint32_t x = 0;
	rd_u8(&r, &op);
	rd_leb_u32(&r, &x); /* the sub-opcode, or the global's index */
	if (op == WOP_global_get) {
		to->value = in->globals[x]->value;
		to->high = in->globals[x]->high;
		return;
	}
	assert((op << 8 | x) == WOP_v128_const);
	rd_u64(&r, &to->value);
	rd_u64(&r, &to->high);
}

void elem_read(struct instance *in, uint32_t elemidx, uint32_t from, uint32_t n, uint64_t *out)
{
	const struct elem *e = &in->module->elems[elemidx];
	struct rd r = rd_of(in->module->bytes + e->items_offset, e->items_size);
	for (uint32_t i = 0; i < from + n; i++) {
		uint32_t u = 0;
		uint64_t v;
		if (e->is_exprs) {
			v = const_eval(in, &r);
		} else {
			rd_leb_u32(&r, &u);
			v = instance_func_id(in, u);
		}
		if (i >= from)
			out[i - from] = v;
	}
}

/* ---- allocation ---- */

void instance_free(struct instance *in)
{
	if (!in)
		return;
	free(in->codes);
	free(in->import_funcs);
	free(in->types);
	free(in->mems);
	free(in->tables);
	free(in->globals);
	free(in->own_globals);
	free(in->tags);
	free(in->elem_dropped);
	free(in->data_dropped);
	module_unref(in->module);
	free(in);
}

static void *zalloc(uint32_t n, size_t size)
{
	return calloc(n ? n : 1, size);
}

static bool alloc_arrays(struct instance *in, const struct module *m)
{
	in->codes = zalloc(m->nfuncs, sizeof *in->codes);
	in->import_funcs = zalloc(m->nimport_funcs, sizeof *in->import_funcs);
	in->types = zalloc(m->ntypes, sizeof *in->types);
	in->mems = zalloc(m->nmems, sizeof *in->mems);
	in->tables = zalloc(m->ntables, sizeof *in->tables);
	in->globals = zalloc(m->nglobals, sizeof *in->globals);
	in->own_globals = zalloc(m->nglobals - m->nimport_globals, sizeof *in->own_globals);
	in->tags = zalloc(m->ntags, sizeof *in->tags);
	in->elem_dropped = zalloc(m->nelems, 1);
	in->data_dropped = zalloc(m->ndatas, 1);
	return in->codes && in->import_funcs && in->types && in->mems && in->tables &&
	       in->globals && in->own_globals && in->tags && in->elem_dropped && in->data_dropped;
}

enum err instance_alloc(struct store *s, struct module *m, struct instance **out)
{
	struct instance *in = calloc(1, sizeof *in);
	if (!in)
		return ERR_NOMEM;
	in->store = s;
	in->module = module_ref(m);
	in->nown = m->nfuncs;
	enum err e = ERR_NOMEM;
	if (!alloc_arrays(in, m))
		goto fail;
	for (uint32_t i = 0; i < m->ntypes; i++) {
		uint32_t same = m->types[i].same;
		in->types[i] = same < i ? in->types[same] : store_functype(s, &m->types[i]);
		if (in->types[i] == UINT32_MAX)
			goto fail;
	}
	*out = in;
	return ERR_OK;
fail:
	instance_free(in);
	return e;
}

enum err instance_add(struct instance *in)
{
	struct store *s = in->store;
	if (!GROW(s->instances, s->ninstances))
		return ERR_NOMEM;
	TRY(store_add_range(s, in->module->nfuncs, in, NULL, &in->func_base));
	in->index = s->ninstances;
	s->instances[s->ninstances++] = in;
	return ERR_OK;
}

/* ---- imports ---- */

static struct instance *registered(struct store *s, const char *name)
{
	for (uint32_t i = 0; i < s->nnames; i++)
		if (strcmp(s->names[i].name, name) == 0)
			return s->names[i].inst;
	return NULL;
}

static bool limits_match(uint64_t size, bool has_max, uint32_t max, const struct limits *want)
{
	if (size < want->min)
		return false;
	return !want->has_max || (has_max && max <= want->max);
}

static enum err mismatch(const struct import_info *info, struct errmsg *msg)
{
	return err_set(msg, ERR_UNLINKABLE, "import %s.%s: incompatible import type", info->module,
	               info->name);
}

/* Import i of kind, the nth of its kind, is export ex of the instance from. */
static enum err import_from(struct instance *in, uint32_t i, uint32_t nth, struct instance *from,
                            const struct export *ex, const struct import_info *info,
                            struct errmsg *msg)
{
	const struct import *im = &in->module->imports[i];
	if (im->kind != ex->kind)
		return mismatch(info, msg);
	switch (im->kind) {
	case EXT_FUNC: {
		uint32_t type = from->types[from->module->func_types[ex->index]];
		if (type != in->types[im->typeidx])
			return mismatch(info, msg);
		in->import_funcs[nth] = (uint32_t)instance_func_id(from, ex->index);
		return ERR_OK;
	}
	case EXT_TABLE: {
		struct tableinst *t = from->tables[ex->index];
		if (t->reftype != im->table.reftype ||
		    !limits_match(t->size, t->has_max, t->max, &im->table.limits))
			return mismatch(info, msg);
		in->tables[nth] = t;
		return ERR_OK;
	}
	case EXT_MEM: {
		struct meminst *m = from->mems[ex->index];
		uint64_t pages = atomic_load(&m->size_bytes) / WASM_PAGE;
		if (m->shared != im->mem.shared ||
		    !limits_match(pages, m->has_max, m->max_pages, &im->mem))
			return mismatch(info, msg);
		in->mems[nth] = m;
		return ERR_OK;
	}
	case EXT_TAG: {
		struct taginst *tag = from->tags[ex->index];
		if (tag->type != in->types[im->typeidx])
			return mismatch(info, msg);
		in->tags[nth] = tag;
		return ERR_OK;
	}
	default: {
		struct globalinst *g = from->globals[ex->index];
		if (g->type != im->global.type || g->mut != im->global.mut)
			return mismatch(info, msg);
		in->globals[nth] = g;
		return ERR_OK;
	}
	}
}

static enum err import_host(struct instance *in, uint32_t i, uint32_t nth,
                            const struct host_resolver *r, const struct import_info *info,
                            struct errmsg *msg)
{
	struct store *s = in->store;
	host_fn fn;
	void *env;
	uint32_t type = in->types[in->module->imports[i].typeidx];
	TRY(host_type_check(info->module, info->name, s->types[type], msg));
	struct hostfunc *h = store_host(s, info->module, info->name, type);
	if (!h) {
		if (!r || !r->resolve(r->ctx, info->module, info->name, s->types[type], &fn, &env))
			return err_set(msg, ERR_UNLINKABLE, "unknown import %s.%s of type %s",
			               info->module, info->name, s->types[type]);
		TRY(store_add_host(s, info->module, info->name, s->types[type], fn, env, &h));
	}
	in->import_funcs[nth] = h->id;
	return ERR_OK;
}

static enum err resolve_imports(struct instance *in, const struct host_resolver *r,
                                struct errmsg *msg)
{
	const struct module *m = in->module;
	uint32_t nth[5] = {0};
	for (uint32_t i = 0; i < m->nimports; i++) {
		const struct import *im = &m->imports[i];
		struct import_info info;
		module_import(m, i, &info);
		struct instance *from = registered(in->store, info.module);
		const struct export *ex =
		    from ? module_export(from->module, im->name.p, im->name.size) : NULL;
		uint32_t k = nth[im->kind]++;
		if (ex)
			TRY(import_from(in, i, k, from, ex, &info, msg));
		else if (im->kind == EXT_FUNC)
			TRY(import_host(in, i, k, r, &info, msg));
		else
			return err_set(msg, ERR_UNLINKABLE, "unknown import %s.%s", info.module,
			               info.name);
	}
	return ERR_OK;
}

/* ---- own objects ---- */

static enum err own_global(struct instance *in, uint32_t i)
{
	struct store *s = in->store;
	const struct global *g = &in->module->globals[i];
	struct globalinst *gi = &in->own_globals[i - in->module->nimport_globals];
	if (!GROW(s->globals, s->nglobals))
		return ERR_NOMEM;
	*gi = (struct globalinst){.type = g->type.type, .mut = g->type.mut, .index = s->nglobals};
	in->globals[i] = s->globals[s->nglobals++] = gi;
	return ERR_OK;
}

enum err instance_own_objects(struct instance *in)
{
	const struct module *m = in->module;
	struct store *s = in->store;
	for (uint32_t i = m->nimport_tables; i < m->ntables; i++)
		TRY(table_new(s, m->tables[i], &in->tables[i]));
	for (uint32_t i = m->nimport_mems; i < m->nmems; i++) {
		TRY(mem_new(s, m->mems[i].min, m->mems[i].max, m->mems[i].has_max, &in->mems[i]));
		in->mems[i]->shared = m->mems[i].shared;
	}
	for (uint32_t i = m->nimport_globals; i < m->nglobals; i++)
		TRY(own_global(in, i));
	for (uint32_t i = m->nimport_tags; i < m->ntags; i++)
		TRY(tag_new(s, in->types[m->tags[i]], &in->tags[i]));
	in->mem0 = m->nmems ? in->mems[0]->base : NULL;
	return ERR_OK;
}

void global_init(struct instance *in, uint32_t i, struct globalinst *g)
{
	const struct constexpr_ref *e = &in->module->globals[i].init;
	if (g->type == VT_V128)
		constexpr_v128(in, *e, g);
	else
		g->value = constexpr_eval(in, *e);
}

static enum trap active_elem(struct instance *in, uint32_t i)
{
	const struct elem *e = &in->module->elems[i];
	enum trap trap = TRAP_NONE;
	if (e->mode == SEG_ACTIVE) {
		uint64_t v[3] = {constexpr_eval(in, e->offset), 0, e->nitems};
		do
			trap = table_init(in, i, in->tables[e->tableidx], v);
		while (trap == TRAP_AGAIN);
	}
	if (e->mode != SEG_PASSIVE)
		in->elem_dropped[i] = 1;
	return trap;
}

static enum trap active_data(struct instance *in, uint32_t i)
{
	const struct data *d = &in->module->datas[i];
	if (d->mode != SEG_ACTIVE)
		return TRAP_NONE;
	uint64_t v[3] = {(uint32_t)constexpr_eval(in, d->offset), 0, d->size};
	enum trap trap;
	do
		trap = mem_init(in, i, v);
	while (trap == TRAP_AGAIN);
	in->data_dropped[i] = 1;
	return trap;
}

static enum trap active_segments(struct instance *in)
{
	enum trap trap = TRAP_NONE;
	for (uint32_t i = 0; i < in->module->nelems && !trap; i++)
		trap = active_elem(in, i);
	for (uint32_t i = 0; i < in->module->ndatas && !trap; i++)
		trap = active_data(in, i);
	return trap;
}

static enum err no_room(const struct instance *in, enum err e, struct errmsg *msg)
{
	const struct module *m = in->module;
	uint32_t most = in->store->cfg.max_memory_pages;
	for (uint32_t i = m->nimport_mems; i < m->nmems; i++)
		if (m->mems[i].min > most)
			return err_set(msg, e,
			               "its memory begins with %.1f MiB, and %.1f are allowed",
			               m->mems[i].min / 16.0, most / 16.0);
	return err_set(msg, e, "no room for the module's memories and tables");
}

enum err store_instantiate(struct store *s, struct module *m, const struct host_resolver *r,
                           struct instance **out, struct errmsg *msg)
{
	struct instance *in;
	TRY(instance_alloc(s, m, &in));
	enum err e = resolve_imports(in, r, msg);
	if (e == ERR_OK)
		e = instance_add(in);
	if (e != ERR_OK) {
		instance_free(in);
		return e;
	}
	/* From here on the instance stays in the store: its functions may get into others' tables. */
	e = instance_own_objects(in);
	if (e != ERR_OK) {
		in->broken = true;
		return no_room(in, e, msg);
	}
	for (uint32_t i = m->nimport_globals; i < m->nglobals; i++)
		global_init(in, i, in->globals[i]);
	enum trap trap = active_segments(in);
	if (trap)
		return err_set(msg, ERR_INVALID, "%s", trap_text(trap));
	*out = in;
	return ERR_OK;
}

/* ---- exports ---- */

struct module *instance_module(struct instance *in)
{
	return in->module;
}

bool instance_export(struct instance *in, const char *name, size_t name_size,
                     struct export_info *out)
{
	const struct export *ex = module_export(in->module, name, name_size);
	if (!ex)
		return false;
	*out = (struct export_info){.kind = (int)ex->kind, .type = ""};
	const struct globalinst *g;
	switch (ex->kind) {
	case EXT_FUNC:
		out->value = instance_func_id(in, ex->index);
		out->type = in->store->types[in->types[in->module->func_types[ex->index]]];
		break;
	case EXT_TAG: out->type = in->store->types[in->tags[ex->index]->type]; break;
	case EXT_TABLE: out->value = in->tables[ex->index]->size; break;
	case EXT_MEM: out->value = atomic_load(&in->mems[ex->index]->size_bytes) / WASM_PAGE; break;
	case EXT_GLOBAL:
		g = in->globals[ex->index];
		out->value = g->value;
		out->high = g->high;
		out->type = valtype_letters(g->type);
		break;
	}
	return true;
}
