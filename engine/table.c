/* table.c - tables of references (spec 4.4.6). */
#include "engine/exec.h"

#include <stdlib.h>
#include <string.h>

/* Elements a table may have, whatever its type says. */
#define MAX_TABLE_ELEMS 10000000u

enum err table_new(struct store *s, struct tabletype tt, struct tableinst **out)
{
	if (tt.limits.min > MAX_TABLE_ELEMS)
		return ERR_LIMIT;
	struct tableinst *t = calloc(1, sizeof *t);
	if (!t || !GROW(s->tables, s->ntables)) {
		free(t);
		return ERR_NOMEM;
	}
	t->cap = tt.limits.min ? tt.limits.min : 1;
	t->elems = calloc(t->cap, sizeof *t->elems);
	if (!t->elems) {
		free(t);
		return ERR_NOMEM;
	}
	t->size = tt.limits.min;
	t->max = tt.limits.max;
	t->has_max = tt.limits.has_max;
	t->reftype = tt.reftype;
	t->index = s->ntables;
	s->tables[s->ntables++] = t;
	*out = t;
	return ERR_OK;
}

uint32_t table_grow(struct tableinst *t, uint32_t delta, uint64_t v)
{
	uint32_t old = t->size;
	uint64_t size = (uint64_t)old + delta;
	if (size > MAX_TABLE_ELEMS || (t->has_max && size > t->max))
		return UINT32_MAX;
	if (size > t->cap) {
		uint64_t cap = size > t->cap * 2ull ? size : t->cap * 2ull;
		uint64_t *elems = realloc(t->elems, cap * sizeof *elems);
		if (!elems)
			return UINT32_MAX;
		t->elems = elems;
		t->cap = (uint32_t)cap;
	}
	t->size = (uint32_t)size;
	table_fill(t, old, v, delta);
	return old;
}

enum trap table_fill(struct tableinst *t, uint32_t i, uint64_t v, uint32_t n)
{
	if ((uint64_t)i + n > t->size)
		return TRAP_TABLE_BOUNDS;
	for (uint32_t k = 0; k < n; k++)
		t->elems[i + k] = v;
	return TRAP_NONE;
}

enum trap table_copy(struct tableinst *d, struct tableinst *s, uint32_t di, uint32_t si, uint32_t n)
{
	if ((uint64_t)di + n > d->size || (uint64_t)si + n > s->size)
		return TRAP_TABLE_BOUNDS;
	memmove(d->elems + di, s->elems + si, n * sizeof *d->elems);
	return TRAP_NONE;
}

enum trap table_init(struct instance *in, uint32_t elemidx, struct tableinst *t, uint32_t d,
                     uint32_t s, uint32_t n)
{
	uint32_t have = in->elem_dropped[elemidx] ? 0 : in->module->elems[elemidx].nitems;
	if ((uint64_t)s + n > have || (uint64_t)d + n > t->size)
		return TRAP_TABLE_BOUNDS;
	elem_read(in, elemidx, s, n, t->elems + d);
	return TRAP_NONE;
}
