/* validate.c - everything in a module but function bodies (spec 3.2, 3.3.7, 3.4). */
#include "engine/validate.h"

#include "engine/limits.h"
#include "engine/opcode.h"

#include <stdlib.h>
#include <string.h>

/* A cursor for messages about the thing that starts at offset. */
static struct cursor at_offset(const struct module *m, uint32_t offset, const char *where,
                               struct errmsg *msg)
{
	struct cursor c = cursor_of(m->bytes, m->size, msg);
	c.p += offset;
	c.where = where;
	return c;
}

static enum err invalid(struct errmsg *msg, const char *where, uint32_t index, const char *reason)
{
	return err_set(msg, ERR_INVALID, "%s, item %u: %s", where, index, reason);
}

/* ---- constant expressions (3.3.7) ---- */

struct const_stack {
	uint32_t height;
	uint8_t types[LIMIT_CONSTEXPR_HEIGHT];
};

static enum err const_push(struct const_stack *s, const struct cursor *c, uint8_t type)
{
	if (s->height == LIMIT_CONSTEXPR_HEIGHT)
		return cur_fail(c, c->p, ERR_LIMIT,
		                "a constant expression of more than %d operands",
		                LIMIT_CONSTEXPR_HEIGHT);
	s->types[s->height++] = type;
	return ERR_OK;
}

static enum err const_binary(struct const_stack *s, const struct cursor *c, uint8_t type)
{
	if (s->height < 2 || s->types[s->height - 1] != type || s->types[s->height - 2] != type)
		return cur_fail(c, c->p, ERR_INVALID,
		                "type mismatch: two operands of type %s wanted",
		                valtype_name(type));
	s->height--;
	return ERR_OK;
}

/* Only imported globals, and only immutable ones. */
static enum err const_global(const struct module *m, struct const_stack *s, struct cursor *c)
{
	const uint8_t *at = c->p;
	uint32_t index;
	TRY(cur_u32(c, &index));
	if (index >= m->nimport_globals)
		return cur_fail(c, at, ERR_INVALID, "unknown global %u%s", index,
		                index < m->nglobals ? ": only imported ones in constant expressions"
		                                    : "");
	if (m->globals[index].type.mut)
		return cur_fail(c, at, ERR_INVALID,
		                "constant expression required, global %u is mutable", index);
	return const_push(s, c, m->globals[index].type.type);
}

static enum err const_ref_func(struct validation *v, struct const_stack *s, struct cursor *c)
{
	const uint8_t *at = c->p;
	uint32_t index;
	TRY(cur_u32(c, &index));
	if (index >= v->m->nimport_funcs + v->m->nfuncs)
		return cur_fail(c, at, ERR_INVALID, "unknown function %u", index);
	declare(v, index);
	return const_push(s, c, VT_FUNCREF);
}

static enum err const_instr(struct validation *v, struct const_stack *s, struct cursor *c,
                            uint8_t op)
{
	int32_t i32;
	int64_t i64;
	uint8_t type;
	const uint8_t *skipped;
	switch (op) {
	case WOP_i32_const: TRY(cur_s32(c, &i32)); return const_push(s, c, VT_I32);
	case WOP_i64_const: TRY(cur_s64(c, &i64)); return const_push(s, c, VT_I64);
	case WOP_f32_const: TRY(cur_skip(c, 4, &skipped)); return const_push(s, c, VT_F32);
	case WOP_f64_const: TRY(cur_skip(c, 8, &skipped)); return const_push(s, c, VT_F64);
	case 0xfd: TRY(cur_v128_const(c)); return const_push(s, c, VT_V128);
	case WOP_ref_null: TRY(cur_reftype(c, &type)); return const_push(s, c, type);
	case WOP_ref_func: return const_ref_func(v, s, c);
	case WOP_global_get: return const_global(v->m, s, c);
	case WOP_i32_add:
	case WOP_i32_sub:
	case WOP_i32_mul: return const_binary(s, c, VT_I32);
	case WOP_i64_add:
	case WOP_i64_sub:
	case WOP_i64_mul: return const_binary(s, c, VT_I64);
	}
	return cur_fail(c, c->p, ERR_INVALID, "constant expression required");
}

/* One expression from c, up to its `end`, which must leave one value of the type. */
static enum err check_constexpr(struct validation *v, struct cursor *c, uint8_t type)
{
	struct const_stack s;
	s.height = 0;
	const uint8_t *at = c->p;
	for (;;) {
		uint8_t op;
		TRY(cur_u8(c, &op));
		if (op == WOP_end)
			break;
		TRY(const_instr(v, &s, c, op));
	}
	if (s.height != 1 || s.types[0] != type)
		return cur_fail(c, at, ERR_INVALID,
		                "type mismatch: constant expression of one %s wanted, it gives %u "
		                "values%s%s",
		                valtype_name(type), s.height, s.height == 1 ? " of type " : "",
		                s.height == 1 ? valtype_name(s.types[0]) : "");
	return ERR_OK;
}

static enum err check_expr_at(struct validation *v, const struct constexpr_ref *e, uint8_t type,
                              const char *where, struct errmsg *msg)
{
	struct cursor c = at_offset(v->m, e->offset, where, msg);
	return check_constexpr(v, &c, type);
}

/* ---- types, imports, tables, memories, globals ---- */

static enum err check_mem(const struct limits *l, const char *where, uint32_t index,
                          struct errmsg *msg)
{
	if (l->min > LIMIT_MEM_PAGES || (l->has_max && l->max > LIMIT_MEM_PAGES))
		return invalid(msg, where, index, "memory size must be at most 65536 pages (4GiB)");
	if (l->has_max && l->min > l->max)
		return invalid(msg, where, index, "size minimum must not be greater than maximum");
	if (l->shared && !l->has_max)
		return invalid(msg, where, index, "shared memory must have maximum");
	return ERR_OK;
}

static enum err check_table(const struct tabletype *t, const char *where, uint32_t index,
                            struct errmsg *msg)
{
	if (t->limits.has_max && t->limits.min > t->limits.max)
		return invalid(msg, where, index, "size minimum must not be greater than maximum");
	return ERR_OK;
}

static enum err check_func_types(const struct module *m, struct errmsg *msg)
{
	uint32_t n = m->nimport_funcs + m->nfuncs;
	for (uint32_t i = 0; i < n; i++)
		if (m->func_types[i] >= m->ntypes)
			return err_set(msg, ERR_INVALID, "%s, function %u: unknown type %u",
			               i < m->nimport_funcs ? "import section" : "function section",
			               i, m->func_types[i]);
	return ERR_OK;
}

static enum err check_tables_and_mems(const struct module *m, struct errmsg *msg)
{
	for (uint32_t i = 0; i < m->ntables; i++)
		TRY(check_table(&m->tables[i], "table section", i, msg));
	for (uint32_t i = 0; i < m->nmems; i++)
		TRY(check_mem(&m->mems[i], "memory section", i, msg));
	if (m->nmems > LIMIT_MEMS)
		return invalid(msg, "memory section", m->nmems - 1,
		               "multiple memories are not allowed");
	return ERR_OK;
}

static enum err check_tags(const struct module *m, struct errmsg *msg)
{
	for (uint32_t i = 0; i < m->ntags; i++) {
		if (m->tags[i] >= m->ntypes)
			return err_set(msg, ERR_INVALID, "tag section, item %u: unknown type %u", i,
			               m->tags[i]);
		if (m->types[m->tags[i]].nresults)
			return invalid(msg, "tag section", i, "non-empty tag result type");
	}
	return ERR_OK;
}

static enum err check_globals(struct validation *v, struct errmsg *msg)
{
	const struct module *m = v->m;
	for (uint32_t i = m->nimport_globals; i < m->nglobals; i++)
		TRY(check_expr_at(v, &m->globals[i].init, m->globals[i].type.type, "global section",
		                  msg));
	return ERR_OK;
}

/* ---- exports and start ---- */

static enum err check_export(struct validation *v, uint32_t i, struct errmsg *msg)
{
	static const char *const unknown[] = {"unknown function", "unknown table", "unknown memory",
	                                      "unknown global", "unknown tag"};
	const struct module *m = v->m;
	const uint32_t counts[] = {m->nimport_funcs + m->nfuncs, m->ntables, m->nmems, m->nglobals,
	                           m->ntags};
	const struct export *e = &m->exports[i];
	if (e->index >= counts[e->kind])
		return err_set(msg, ERR_INVALID, "export section, item %u: %s %u", i,
		               unknown[e->kind], e->index);
	if (e->kind == EXT_FUNC)
		declare(v, e->index);
	return ERR_OK;
}

static int by_name(const void *a, const void *b)
{
	const struct export *x = *(const struct export *const *)a;
	const struct export *y = *(const struct export *const *)b;
	uint32_t n = x->name.size < y->name.size ? x->name.size : y->name.size;
	int d = n ? memcmp(x->name.p, y->name.p, n) : 0;
	return d ? d : (x->name.size > y->name.size) - (x->name.size < y->name.size);
}

static enum err check_export_names(const struct module *m, struct errmsg *msg)
{
	const struct export **sorted = calloc((size_t)m->nexports + 1, sizeof *sorted);
	if (!sorted)
		return err_set(msg, ERR_NOMEM, "export section: out of memory");
	for (uint32_t i = 0; i < m->nexports; i++)
		sorted[i] = &m->exports[i];
	qsort(sorted, m->nexports, sizeof *sorted, by_name);
	enum err e = ERR_OK;
	for (uint32_t i = 1; i < m->nexports && e == ERR_OK; i++)
		if (by_name(&sorted[i - 1], &sorted[i]) == 0)
			e = err_set(msg, ERR_INVALID,
			            "export section: duplicate export name \"%.*s\"",
			            sorted[i]->name.size < 100 ? (int)sorted[i]->name.size : 100,
			            sorted[i]->name.p);
	free(sorted);
	return e;
}

static enum err check_exports(struct validation *v, struct errmsg *msg)
{
	for (uint32_t i = 0; i < v->m->nexports; i++)
		TRY(check_export(v, i, msg));
	return check_export_names(v->m, msg);
}

static enum err check_start(const struct module *m, struct errmsg *msg)
{
	if (m->start == UINT32_MAX)
		return ERR_OK;
	if (m->start >= m->nimport_funcs + m->nfuncs)
		return err_set(msg, ERR_INVALID, "start section: unknown function %u", m->start);
	const struct functype *t = module_functype(m, m->start);
	if (t->nparams || t->nresults)
		return err_set(msg, ERR_INVALID,
		               "start section: start function %u must take and give nothing",
		               m->start);
	return ERR_OK;
}

/* ---- segments ---- */

static enum err check_elem_items(struct validation *v, const struct elem *e, struct errmsg *msg)
{
	struct cursor c = at_offset(v->m, e->items_offset, "element section", msg);
	for (uint32_t i = 0; i < e->nitems; i++) {
		const uint8_t *at = c.p;
		uint32_t index;
		if (e->is_exprs) {
			TRY(check_constexpr(v, &c, e->reftype));
			continue;
		}
		TRY(cur_u32(&c, &index));
		if (index >= v->m->nimport_funcs + v->m->nfuncs)
			return cur_fail(&c, at, ERR_INVALID, "unknown function %u", index);
		declare(v, index);
	}
	return ERR_OK;
}

static enum err check_elem(struct validation *v, uint32_t i, struct errmsg *msg)
{
	const struct module *m = v->m;
	const struct elem *e = &m->elems[i];
	if (e->mode == SEG_ACTIVE) {
		if (e->tableidx >= m->ntables)
			return err_set(msg, ERR_INVALID,
			               "element section, item %u: unknown table %u", i,
			               e->tableidx);
		if (m->tables[e->tableidx].reftype != e->reftype)
			return invalid(msg, "element section", i,
			               "type mismatch between segment and table");
		TRY(check_expr_at(v, &e->offset, VT_I32, "element section", msg));
	}
	return check_elem_items(v, e, msg);
}

static enum err check_data(struct validation *v, uint32_t i, struct errmsg *msg)
{
	const struct data *d = &v->m->datas[i];
	if (d->mode != SEG_ACTIVE)
		return ERR_OK;
	if (d->memidx >= v->m->nmems)
		return err_set(msg, ERR_INVALID, "data section, item %u: unknown memory %u", i,
		               d->memidx);
	return check_expr_at(v, &d->offset, VT_I32, "data section", msg);
}

/* ---- the whole ---- */

void validation_free(struct validation *v)
{
	free(v->declared);
	v->declared = NULL;
}

enum err validate_module(struct module *m, struct validation *v, struct errmsg *msg)
{
	v->m = m;
	v->declared = calloc(((size_t)m->nimport_funcs + m->nfuncs) / 8 + 1, 1);
	if (!v->declared)
		return err_set(msg, ERR_NOMEM, "out of memory");
	TRY(check_func_types(m, msg));
	TRY(check_tables_and_mems(m, msg));
	TRY(check_tags(m, msg));
	TRY(check_globals(v, msg));
	TRY(check_exports(v, msg));
	TRY(check_start(m, msg));
	for (uint32_t i = 0; i < m->nelems; i++)
		TRY(check_elem(v, i, msg));
	for (uint32_t i = 0; i < m->ndatas; i++)
		TRY(check_data(v, i, msg));
	return ERR_OK;
}
