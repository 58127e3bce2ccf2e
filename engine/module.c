/* module.c - the life of a module: loaded, shared, counted, hashed, asked about. */
#include "engine/module.h"

#include "base/crypto.h"
#include "engine/decode.h"
#include "engine/lazy.h"
#include "engine/validate.h"

#include <stdlib.h>
#include <string.h>

/* ---- what imports look like from outside ---- */

const char *valtype_letters(uint8_t type)
{
	switch (type) {
	case VT_I32: return "i";
	case VT_I64: return "I";
	case VT_F32: return "f";
	case VT_F64: return "F";
	case VT_V128: return "Vv";
	case VT_FUNCREF: return "r";
	case VT_EXNREF: return "e";
	default: return "x";
	}
}

const char *valtype_name(uint8_t type)
{
	switch (type) {
	case VT_I32: return "i32";
	case VT_I64: return "i64";
	case VT_F32: return "f32";
	case VT_F64: return "f64";
	case VT_V128: return "v128";
	case VT_FUNCREF: return "funcref";
	case VT_EXTERNREF: return "externref";
	case VT_EXNREF: return "exnref";
	default: return "?";
	}
}

uint32_t slots_of(const uint8_t *types, uint32_t n)
{
	uint32_t slots = n;
	for (uint32_t i = 0; i < n; i++)
		slots += types[i] == VT_V128;
	return slots;
}

static char *write_letters(char *p, const uint8_t *types, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		for (const char *c = valtype_letters(types[i]); *c; c++)
			*p++ = *c;
	return p;
}

void functype_write(char *p, const struct functype *t)
{
	*p++ = '(';
	p = write_letters(p, t->params, t->nparams);
	*p++ = ')';
	p = write_letters(p, t->results, t->nresults);
	*p = 0;
}

size_t functype_size(const struct functype *t)
{
	return (size_t)slots_of(t->params, t->nparams) + slots_of(t->results, t->nresults) + 3;
}

static const char *functype_text(struct arena *a, const struct functype *t)
{
	char *text = arena_alloc(a, functype_size(t), 1);
	if (text)
		functype_write(text, t);
	return text;
}

static enum err describe_import(struct module *m, const struct import *im, struct import_info *info)
{
	info->module = arena_copy(&m->arena, im->module.p, im->module.size);
	info->name = arena_copy(&m->arena, im->name.p, im->name.size);
	info->kind = im->kind;
	info->type = "";
	if (im->kind == EXT_FUNC)
		info->type = functype_text(&m->arena, &m->types[im->typeidx]);
	return info->module && info->name && info->type ? ERR_OK : ERR_NOMEM;
}

static enum err describe_imports(struct module *m)
{
	m->import_infos = ARENA_NEW(&m->arena, struct import_info, m->nimports);
	if (!m->import_infos)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < m->nimports; i++)
		TRY(describe_import(m, &m->imports[i], &m->import_infos[i]));
	return ERR_OK;
}

/* ---- equal types ---- */

/* Parameters and results, with their numbers, as they stand in the type section. */
static int by_type(const void *a, const void *b)
{
	const struct functype *x = *(struct functype *const *)a, *y = *(struct functype *const *)b;
	if (x->nparams != y->nparams)
		return x->nparams < y->nparams ? -1 : 1;
	if (x->nresults != y->nresults)
		return x->nresults < y->nresults ? -1 : 1;
	int d = memcmp(x->params, y->params, x->nparams);
	return d ? d : memcmp(x->results, y->results, x->nresults);
}

static int by_type_and_index(const void *a, const void *b)
{
	const struct functype *x = *(struct functype *const *)a, *y = *(struct functype *const *)b;
	int d = by_type(a, b);
	return d ? d : (x > y) - (x < y);
}

static enum err find_equal_types(struct module *m)
{
	struct functype **sorted = calloc((size_t)m->ntypes + 1, sizeof *sorted);
	if (!sorted)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < m->ntypes; i++)
		sorted[i] = &m->types[i];
	qsort(sorted, m->ntypes, sizeof *sorted, by_type_and_index);
	for (uint32_t i = 0; i < m->ntypes; i++) {
		bool again = i > 0 && by_type(&sorted[i - 1], &sorted[i]) == 0;
		sorted[i]->same = again ? sorted[i - 1]->same : (uint32_t)(sorted[i] - m->types);
	}
	free(sorted);
	return ERR_OK;
}

/* ---- life ---- */

/* Validates; lazy: bodies later. */
static enum err check(struct module *m, bool lazy, struct errmsg *msg)
{
	struct validation v = {0};
	enum err e = validate_module(m, &v, msg);
	if (e == ERR_OK && lazy) {
		e = lazy_new(&v, &m->lazy);
		if (e == ERR_OK)
			return lazy_need_large(m->lazy, msg);
		err_set(msg, e, "out of memory");
	} else if (e == ERR_OK) {
		e = validate_bodies(&v, 0, m->nfuncs, msg);
	}
	validation_free(&v);
	return e;
}

static enum err load(struct module *m, bool lazy, struct errmsg *msg)
{
	TRY(decode_module(m, msg));
	TRY(check(m, lazy, msg));
	if (describe_imports(m) != ERR_OK || find_equal_types(m) != ERR_OK)
		return err_set(msg, ERR_NOMEM, "out of memory");
	return ERR_OK;
}

static enum err load_new(const uint8_t *bytes, size_t size, bool owns, bool lazy,
                         struct module **out, struct errmsg *msg)
{
	struct module *m = calloc(1, sizeof *m);
	*out = NULL;
	if (!m) {
		if (owns)
			free((void *)bytes);
		return err_set(msg, ERR_NOMEM, "out of memory");
	}
	atomic_init(&m->refs, 1);
	m->bytes = bytes;
	m->size = size;
	m->owns_bytes = owns;
	enum err e = load(m, lazy, msg);
	if (e != ERR_OK) {
		module_unref(m);
		return e;
	}
	*out = m;
	return ERR_OK;
}

enum err module_load(const uint8_t *bytes, size_t size, bool owns, struct module **out,
                     struct errmsg *msg)
{
	return load_new(bytes, size, owns, false, out, msg);
}

enum err module_load_lazy(const uint8_t *bytes, size_t size, bool owns, struct module **out,
                          struct errmsg *msg)
{
	return load_new(bytes, size, owns, size > LAZY_BYTES, out, msg);
}

struct module *module_ref(struct module *m)
{
	atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
	return m;
}

void module_unref(struct module *m)
{
	if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (m->owns_bytes)
		free((void *)m->bytes);
	lazy_free(m->lazy);
	arena_free(&m->arena);
	free(m);
}

enum { HASH_NONE, HASH_BUSY, HASH_READY };

/* The first to ask computes it; who asks meanwhile waits, which is rare and ends soon. */
const uint8_t *module_hash(const struct module *m)
{
	struct module *w = (struct module *)m;
	int none = HASH_NONE;
	if (atomic_load_explicit(&w->hash_state, memory_order_acquire) == HASH_READY)
		return m->hash;
	if (atomic_compare_exchange_strong(&w->hash_state, &none, HASH_BUSY)) {
		crypto_blake2b(w->hash, m->bytes, m->size);
		atomic_store_explicit(&w->hash_state, HASH_READY, memory_order_release);
	}
	while (atomic_load_explicit(&w->hash_state, memory_order_acquire) != HASH_READY)
		;
	return m->hash;
}

/* ---- questions ---- */

const uint8_t *module_bytes(const struct module *m, size_t *size)
{
	*size = m->size;
	return m->bytes;
}

uint32_t module_import_count(const struct module *m)
{
	return m->nimports;
}

void module_import(const struct module *m, uint32_t i, struct import_info *out)
{
	*out = m->import_infos[i];
}

const struct export *module_export(const struct module *m, const char *name, size_t size)
{
	for (uint32_t i = 0; i < m->nexports; i++) {
		const struct export *e = &m->exports[i];
		if (e->name.size == size && memcmp(e->name.p, name, size) == 0)
			return e;
	}
	return NULL;
}
