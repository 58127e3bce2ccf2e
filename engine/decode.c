/* decode.c - the sections of a module, one function each, in the order of spec 5.5.
 *
 * Each section function gets a cursor that ends where its section ends, and must use it up. Counts
 * are checked against the bytes left and against limits.h before anything is allocated for them.
 */
#include "engine/decode.h"

#include "engine/limits.h"
#include "engine/opcode.h"

#include <string.h>

enum section_id {
	SEC_CUSTOM,
	SEC_TYPE,
	SEC_IMPORT,
	SEC_FUNCTION,
	SEC_TABLE,
	SEC_MEMORY,
	SEC_GLOBAL,
	SEC_EXPORT,
	SEC_START,
	SEC_ELEMENT,
	SEC_CODE,
	SEC_DATA,
	SEC_DATACOUNT,
	SEC_TAG,
	SEC_COUNT
};

static enum err no_memory(const struct cursor *c)
{
	return cur_fail(c, c->p, ERR_NOMEM, "out of memory");
}

/* ---- types (5.3) ---- */

static enum err read_valtypes(struct cursor *c, uint32_t limit, const char *what, uint32_t *n,
                              const uint8_t **types)
{
	TRY(cur_count(c, limit, what, n));
	*types = c->p;
	for (uint32_t i = 0; i < *n; i++) {
		uint8_t type;
		TRY(cur_valtype(c, &type));
	}
	return ERR_OK;
}

static enum err read_functype(struct cursor *c, struct functype *t)
{
	const uint8_t *at = c->p;
	uint8_t form;
	TRY(cur_u8(c, &form));
	if (form & 0x80)
		return cur_fail(c, at, ERR_MALFORMED, "integer representation too long");
	if (form != 0x60)
		return cur_fail(c, at, ERR_MALFORMED, "malformed function type 0x%02x", form);
	TRY(read_valtypes(c, LIMIT_PARAMS, "parameters", &t->nparams, &t->params));
	return read_valtypes(c, LIMIT_RESULTS, "results", &t->nresults, &t->results);
}

/* shared: a memory may be. */
static enum err read_limits(struct cursor *c, bool shared, struct limits *l)
{
	const uint8_t *at = c->p;
	uint8_t flags;
	TRY(cur_u8(c, &flags));
	if (flags & 0x80)
		return cur_fail(c, at, ERR_MALFORMED,
		                "malformed limits flags: integer representation too long");
	if (flags > (shared ? 3 : 1)) /* bits: 1 a maximum, 2 shared */
		return cur_fail(c, at, ERR_MALFORMED,
		                "malformed limits flags 0x%02x: integer too large", flags);
	l->has_max = flags & 1;
	l->shared = flags & 2;
	l->max = UINT32_MAX;
	TRY(cur_u32(c, &l->min));
	return l->has_max ? cur_u32(c, &l->max) : ERR_OK;
}

static enum err read_tabletype(struct cursor *c, struct tabletype *t)
{
	TRY(cur_reftype(c, &t->reftype));
	return read_limits(c, false, &t->limits);
}

static enum err read_globaltype(struct cursor *c, struct globaltype *t)
{
	uint8_t mut;
	TRY(cur_valtype(c, &t->type));
	const uint8_t *at = c->p;
	TRY(cur_u8(c, &mut));
	if (mut > 1)
		return cur_fail(c, at, ERR_MALFORMED, "malformed mutability 0x%02x", mut);
	t->mut = mut;
	return ERR_OK;
}

/* Its attribute says that it is of exceptions: there is no other. */
static enum err read_tagtype(struct cursor *c, uint32_t *typeidx)
{
	const uint8_t *at = c->p;
	uint8_t attribute;
	TRY(cur_u8(c, &attribute));
	if (attribute != 0)
		return cur_fail(c, at, ERR_MALFORMED, "malformed tag attribute 0x%02x", attribute);
	return cur_u32(c, typeidx);
}

/* ---- constant expressions: found here, typed by validate_module() ---- */

static enum err skip_const_instr(struct cursor *c, uint8_t op, const uint8_t *at)
{
	uint32_t index;
	int32_t i32;
	int64_t i64;
	uint8_t type;
	const uint8_t *skipped;
	switch (op) {
	case WOP_i32_const: return cur_s32(c, &i32);
	case WOP_i64_const: return cur_s64(c, &i64);
	case WOP_f32_const: return cur_skip(c, 4, &skipped);
	case WOP_f64_const: return cur_skip(c, 8, &skipped);
	case 0xfd: return cur_v128_const(c);
	case WOP_global_get:
	case WOP_ref_func: return cur_u32(c, &index);
	case WOP_ref_null: return cur_reftype(c, &type);
	case WOP_end:
	case WOP_i32_add:
	case WOP_i32_sub:
	case WOP_i32_mul:
	case WOP_i64_add:
	case WOP_i64_sub:
	case WOP_i64_mul: return ERR_OK;
	}
	if (opcodes[op].text)
		return cur_fail(c, at, ERR_INVALID, "constant expression required, found %s",
		                opcodes[op].text);
	return cur_fail(c, at, ERR_MALFORMED, "illegal opcode 0x%02x", op);
}

static enum err read_constexpr(struct cursor *c, struct constexpr_ref *e)
{
	const uint8_t *start = c->p;
	for (uint8_t op = WOP_nop; op != WOP_end;) {
		const uint8_t *at = c->p;
		TRY(cur_u8(c, &op));
		TRY(skip_const_instr(c, op, at));
	}
	e->offset = (uint32_t)(start - c->start);
	e->size = (uint32_t)(c->p - start);
	return ERR_OK;
}

/* ---- sections (5.5) ---- */

static enum err read_types(struct module *m, struct cursor *c)
{
	TRY(cur_count(c, LIMIT_TYPES, "types", &m->ntypes));
	m->types = ARENA_NEW(&m->arena, struct functype, m->ntypes);
	if (!m->types)
		return no_memory(c);
	for (uint32_t i = 0; i < m->ntypes; i++)
		TRY(read_functype(c, &m->types[i]));
	return ERR_OK;
}

static enum err read_import(struct module *m, struct cursor *c, struct import *im)
{
	uint8_t kind;
	TRY(cur_name(c, &im->module));
	TRY(cur_name(c, &im->name));
	const uint8_t *at = c->p;
	TRY(cur_u8(c, &kind));
	im->kind = kind;
	switch (kind) {
	case EXT_FUNC: m->nimport_funcs++; return cur_u32(c, &im->typeidx);
	case EXT_TABLE: m->nimport_tables++; return read_tabletype(c, &im->table);
	case EXT_MEM: m->nimport_mems++; return read_limits(c, true, &im->mem);
	case EXT_GLOBAL: m->nimport_globals++; return read_globaltype(c, &im->global);
	case EXT_TAG: m->nimport_tags++; return read_tagtype(c, &im->typeidx);
	}
	return cur_fail(c, at, ERR_MALFORMED, "malformed import kind 0x%02x", kind);
}

static enum err read_imports(struct module *m, struct cursor *c)
{
	TRY(cur_count(c, LIMIT_IMPORTS, "imports", &m->nimports));
	m->imports = ARENA_NEW(&m->arena, struct import, m->nimports);
	if (!m->imports)
		return no_memory(c);
	for (uint32_t i = 0; i < m->nimports; i++)
		TRY(read_import(m, c, &m->imports[i]));
	return ERR_OK;
}

/* The number of all things of a kind, imports included, and the array for them. */
static enum err total(const struct cursor *c, uint32_t imported, uint32_t own, uint32_t limit,
                      const char *what, uint32_t *out)
{
	if (own > limit || imported > limit - own)
		return cur_fail(c, c->p, ERR_LIMIT,
		                "%llu %s with the imported ones, at most %u are allowed",
		                (unsigned long long)own + imported, what, limit);
	*out = imported + own;
	return ERR_OK;
}

static enum err read_functions(struct module *m, struct cursor *c)
{
	uint32_t all;
	TRY(cur_count(c, LIMIT_FUNCS, "functions", &m->nfuncs));
	TRY(total(c, m->nimport_funcs, m->nfuncs, LIMIT_FUNCS, "functions", &all));
	m->funcs = ARENA_NEW(&m->arena, struct func, m->nfuncs);
	if (!m->funcs)
		return no_memory(c);
	for (uint32_t i = 0; i < m->nfuncs; i++)
		TRY(cur_u32(c, &m->funcs[i].typeidx));
	return ERR_OK;
}

static enum err read_tables(struct module *m, struct cursor *c)
{
	uint32_t own, all;
	TRY(cur_count(c, LIMIT_TABLES, "tables", &own));
	TRY(total(c, m->nimport_tables, own, LIMIT_TABLES, "tables", &all));
	m->tables = ARENA_NEW(&m->arena, struct tabletype, all);
	if (!m->tables)
		return no_memory(c);
	m->ntables = all;
	for (uint32_t i = m->nimport_tables; i < all; i++)
		TRY(read_tabletype(c, &m->tables[i]));
	return ERR_OK;
}

/* More memories than one are read and then refused by validation. */
static enum err read_mems(struct module *m, struct cursor *c)
{
	uint32_t own, all;
	TRY(cur_count(c, LIMIT_TABLES, "memories", &own));
	TRY(total(c, m->nimport_mems, own, LIMIT_TABLES, "memories", &all));
	m->mems = ARENA_NEW(&m->arena, struct limits, all);
	if (!m->mems)
		return no_memory(c);
	m->nmems = all;
	for (uint32_t i = m->nimport_mems; i < all; i++)
		TRY(read_limits(c, true, &m->mems[i]));
	return ERR_OK;
}

static enum err read_globals(struct module *m, struct cursor *c)
{
	uint32_t own, all;
	TRY(cur_count(c, LIMIT_GLOBALS, "globals", &own));
	TRY(total(c, m->nimport_globals, own, LIMIT_GLOBALS, "globals", &all));
	m->globals = ARENA_NEW(&m->arena, struct global, all);
	if (!m->globals)
		return no_memory(c);
	m->nglobals = all;
	for (uint32_t i = m->nimport_globals; i < all; i++) {
		TRY(read_globaltype(c, &m->globals[i].type));
		TRY(read_constexpr(c, &m->globals[i].init));
	}
	return ERR_OK;
}

static enum err read_tags(struct module *m, struct cursor *c)
{
	uint32_t own, all;
	TRY(cur_count(c, LIMIT_TAGS, "tags", &own));
	TRY(total(c, m->nimport_tags, own, LIMIT_TAGS, "tags", &all));
	m->tags = ARENA_NEW(&m->arena, uint32_t, all);
	if (!m->tags)
		return no_memory(c);
	m->ntags = all;
	for (uint32_t i = m->nimport_tags; i < all; i++)
		TRY(read_tagtype(c, &m->tags[i]));
	return ERR_OK;
}

static enum err read_export(struct cursor *c, struct export *e)
{
	uint8_t kind;
	TRY(cur_name(c, &e->name));
	const uint8_t *at = c->p;
	TRY(cur_u8(c, &kind));
	if (kind > EXT_TAG)
		return cur_fail(c, at, ERR_MALFORMED, "malformed export kind 0x%02x", kind);
	e->kind = kind;
	return cur_u32(c, &e->index);
}

static enum err read_exports(struct module *m, struct cursor *c)
{
	TRY(cur_count(c, LIMIT_EXPORTS, "exports", &m->nexports));
	m->exports = ARENA_NEW(&m->arena, struct export, m->nexports);
	if (!m->exports)
		return no_memory(c);
	for (uint32_t i = 0; i < m->nexports; i++)
		TRY(read_export(c, &m->exports[i]));
	return ERR_OK;
}

static enum err read_start(struct module *m, struct cursor *c)
{
	return cur_u32(c, &m->start);
}

/* Bits of an element segment's flags (5.5.12). */
enum { ELEM_NOT_ACTIVE = 1, ELEM_EXPLICIT = 2, ELEM_EXPRS = 4 };

static enum err read_elem_kind(struct cursor *c, struct elem *e)
{
	const uint8_t *at = c->p;
	uint8_t kind;
	if (e->is_exprs)
		return cur_reftype(c, &e->reftype);
	TRY(cur_u8(c, &kind));
	if (kind != 0)
		return cur_fail(c, at, ERR_MALFORMED, "malformed element kind 0x%02x", kind);
	return ERR_OK;
}

static enum err read_elem_items(struct cursor *c, struct elem *e)
{
	TRY(cur_count(c, LIMIT_ELEM_ITEMS, "element items", &e->nitems));
	const uint8_t *start = c->p;
	for (uint32_t i = 0; i < e->nitems; i++) {
		uint32_t index;
		struct constexpr_ref expr;
		TRY(e->is_exprs ? read_constexpr(c, &expr) : cur_u32(c, &index));
	}
	e->items_offset = (uint32_t)(start - c->start);
	e->items_size = (uint32_t)(c->p - start);
	return ERR_OK;
}

static enum err read_elem(struct cursor *c, struct elem *e)
{
	const uint8_t *at = c->p;
	uint32_t flags;
	TRY(cur_u32(c, &flags));
	if (flags > 7)
		return cur_fail(c, at, ERR_MALFORMED, "malformed elements segment kind %u", flags);
	e->reftype = VT_FUNCREF;
	e->is_exprs = flags & ELEM_EXPRS;
	e->mode = SEG_ACTIVE;
	if (flags & ELEM_NOT_ACTIVE)
		e->mode = flags & ELEM_EXPLICIT ? SEG_DECLARED : SEG_PASSIVE;
	if (e->mode == SEG_ACTIVE && flags & ELEM_EXPLICIT)
		TRY(cur_u32(c, &e->tableidx));
	if (e->mode == SEG_ACTIVE)
		TRY(read_constexpr(c, &e->offset));
	if (flags & (ELEM_NOT_ACTIVE | ELEM_EXPLICIT))
		TRY(read_elem_kind(c, e));
	return read_elem_items(c, e);
}

static enum err read_elems(struct module *m, struct cursor *c)
{
	TRY(cur_count(c, LIMIT_ELEMS, "element segments", &m->nelems));
	m->elems = ARENA_NEW(&m->arena, struct elem, m->nelems);
	if (!m->elems)
		return no_memory(c);
	for (uint32_t i = 0; i < m->nelems; i++)
		TRY(read_elem(c, &m->elems[i]));
	return ERR_OK;
}

static enum err read_datacount(struct module *m, struct cursor *c)
{
	TRY(cur_u32(c, &m->ndatas));
	if (m->ndatas > LIMIT_DATAS)
		return cur_fail(c, c->p, ERR_LIMIT, "%u data segments, at most %u are allowed",
		                m->ndatas, LIMIT_DATAS);
	m->has_datacount = true;
	return ERR_OK;
}

static enum err read_body(struct cursor *c, struct func *f)
{
	const uint8_t *at = c->p, *body;
	TRY(cur_u32(c, &f->body_size));
	TRY(cur_skip(c, f->body_size, &body));
	if (f->body_size > LIMIT_BODY_BYTES)
		return cur_fail(c, at, ERR_LIMIT, "a body of %u bytes, at most %u are allowed",
		                f->body_size, LIMIT_BODY_BYTES);
	f->body_offset = (uint32_t)(body - c->start);
	return ERR_OK;
}

static enum err read_code(struct module *m, struct cursor *c)
{
	const uint8_t *at = c->p;
	uint32_t count;
	TRY(cur_count(c, LIMIT_FUNCS, "function bodies", &count));
	if (count != m->nfuncs)
		return cur_fail(c, at, ERR_MALFORMED,
		                "function and code section have inconsistent lengths: %u and %u",
		                m->nfuncs, count);
	for (uint32_t i = 0; i < count; i++) {
		c->func = (int64_t)m->nimport_funcs + i;
		TRY(read_body(c, &m->funcs[i]));
	}
	c->func = -1;
	return ERR_OK;
}

static enum err read_data(struct cursor *c, struct data *d)
{
	const uint8_t *at = c->p, *bytes;
	uint32_t flags;
	TRY(cur_u32(c, &flags));
	if (flags > 2)
		return cur_fail(c, at, ERR_MALFORMED, "malformed data segment kind %u", flags);
	d->mode = flags == 1 ? SEG_PASSIVE : SEG_ACTIVE;
	if (flags == 2)
		TRY(cur_u32(c, &d->memidx));
	if (d->mode == SEG_ACTIVE)
		TRY(read_constexpr(c, &d->offset));
	TRY(cur_u32(c, &d->size));
	TRY(cur_skip(c, d->size, &bytes));
	d->bytes_offset = (uint32_t)(bytes - c->start);
	return ERR_OK;
}

static enum err read_datas(struct module *m, struct cursor *c)
{
	const uint8_t *at = c->p;
	uint32_t count;
	TRY(cur_count(c, LIMIT_DATAS, "data segments", &count));
	if (m->has_datacount && count != m->ndatas)
		return cur_fail(c, at, ERR_MALFORMED,
		                "data count and data section have inconsistent lengths: %u and %u",
		                m->ndatas, count);
	m->ndatas = count;
	m->datas = ARENA_NEW(&m->arena, struct data, count);
	if (!m->datas)
		return no_memory(c);
	for (uint32_t i = 0; i < count; i++)
		TRY(read_data(c, &m->datas[i]));
	return ERR_OK;
}

/* The first "name" section counts; a broken one is no error (spec 7.4.1), so it is kept unread. */
static enum err read_custom(struct module *m, struct cursor *c)
{
	struct name name;
	TRY(cur_name(c, &name));
	if (name.size == 4 && memcmp(name.p, "name", 4) == 0 && !m->name_section.start)
		m->name_section = rd_of(c->p, cur_left(c));
	c->p = c->end;
	return ERR_OK;
}

/* ---- the whole ---- */

struct section {
	const char *name;
	uint8_t
	    order; /* sections stand in this order, each at most once; custom sections anywhere */
	enum err (*read)(struct module *m, struct cursor *c);
};

static const struct section sections[SEC_COUNT] = {
    [SEC_CUSTOM] = {"custom section", 0, read_custom},
    [SEC_TYPE] = {"type section", 1, read_types},
    [SEC_IMPORT] = {"import section", 2, read_imports},
    [SEC_FUNCTION] = {"function section", 3, read_functions},
    [SEC_TABLE] = {"table section", 4, read_tables},
    [SEC_MEMORY] = {"memory section", 5, read_mems},
    [SEC_TAG] = {"tag section", 6, read_tags},
    [SEC_GLOBAL] = {"global section", 7, read_globals},
    [SEC_EXPORT] = {"export section", 8, read_exports},
    [SEC_START] = {"start section", 9, read_start},
    [SEC_ELEMENT] = {"element section", 10, read_elems},
    [SEC_DATACOUNT] = {"data count section", 11, read_datacount},
    [SEC_CODE] = {"code section", 12, read_code},
    [SEC_DATA] = {"data section", 13, read_datas},
};

static enum err read_header(struct cursor *c)
{
	static const uint8_t magic[4] = {0, 'a', 's', 'm'}, version[4] = {1, 0, 0, 0};
	const uint8_t *word;
	TRY(cur_skip(c, 4, &word));
	if (memcmp(word, magic, 4) != 0)
		return cur_fail(c, word, ERR_MALFORMED, "magic header not detected");
	TRY(cur_skip(c, 4, &word));
	if (memcmp(word, version, 4) != 0)
		return cur_fail(c, word, ERR_MALFORMED, "unknown binary version");
	return ERR_OK;
}

static enum err read_section(struct module *m, struct cursor *c, uint8_t *order)
{
	const uint8_t *at = c->p, *body;
	uint8_t id;
	uint32_t size;
	TRY(cur_u8(c, &id));
	if (id >= SEC_COUNT)
		return cur_fail(c, at, ERR_MALFORMED, "malformed section id %u", id);
	const struct section *s = &sections[id];
	struct cursor in = *c;
	in.where = s->name;
	if (s->order && s->order <= *order)
		return cur_fail(
		    &in, at, ERR_MALFORMED,
		    "unexpected content after last section: junk after last section, or "
		    "out of order");
	if (s->order)
		*order = s->order;
	TRY(cur_u32(&in, &size));
	TRY(cur_skip(&in, size, &body));
	c->p = in.p;
	in.p = body;
	in.end = body + size;
	TRY(s->read(m, &in));
	if (in.p != in.end)
		return cur_fail(&in, in.p, ERR_MALFORMED,
		                "section size mismatch: %zu bytes left over", cur_left(&in));
	return ERR_OK;
}

/* What must agree between sections of which one may be missing. */
static enum err check_counts(const struct module *m, struct cursor *c)
{
	if (m->nfuncs && !m->funcs[m->nfuncs - 1].body_offset)
		return cur_fail(c, c->p, ERR_MALFORMED,
		                "function and code section have inconsistent lengths: %u and 0",
		                m->nfuncs);
	if (m->ndatas && !m->datas)
		return cur_fail(c, c->p, ERR_MALFORMED,
		                "data count and data section have inconsistent lengths: %u and 0",
		                m->ndatas);
	return ERR_OK;
}

/* Index spaces begin with the imports; sections that are missing leave arrays of just those. */
static enum err fill_index_spaces(struct module *m, struct cursor *c)
{
	uint32_t nfuncs = m->nimport_funcs + m->nfuncs, f = 0, t = 0, mem = 0, g = 0, tag = 0;
	m->func_types = ARENA_NEW(&m->arena, uint32_t, nfuncs);
	if (!m->tables)
		m->tables = ARENA_NEW(&m->arena, struct tabletype, m->ntables = m->nimport_tables);
	if (!m->mems)
		m->mems = ARENA_NEW(&m->arena, struct limits, m->nmems = m->nimport_mems);
	if (!m->globals)
		m->globals = ARENA_NEW(&m->arena, struct global, m->nglobals = m->nimport_globals);
	if (!m->tags)
		m->tags = ARENA_NEW(&m->arena, uint32_t, m->ntags = m->nimport_tags);
	if (!m->func_types || !m->tables || !m->mems || !m->globals || !m->tags)
		return no_memory(c);
	for (uint32_t i = 0; i < m->nimports; i++) {
		const struct import *im = &m->imports[i];
		switch (im->kind) {
		case EXT_FUNC: m->func_types[f++] = im->typeidx; break;
		case EXT_TABLE: m->tables[t++] = im->table; break;
		case EXT_MEM: m->mems[mem++] = im->mem; break;
		case EXT_GLOBAL: m->globals[g++].type = im->global; break;
		case EXT_TAG: m->tags[tag++] = im->typeidx; break;
		}
	}
	for (uint32_t i = 0; i < m->nfuncs; i++)
		m->func_types[f++] = m->funcs[i].typeidx;
	return ERR_OK;
}

enum err decode_module(struct module *m, struct errmsg *msg)
{
	struct cursor c = cursor_of(m->bytes, m->size, msg);
	uint8_t order = 0;
	m->start = UINT32_MAX;
	if (m->size > LIMIT_MODULE_BYTES)
		return cur_fail(&c, c.p, ERR_LIMIT, "%zu bytes, at most %d are allowed", m->size,
		                LIMIT_MODULE_BYTES);
	TRY(read_header(&c));
	while (c.p < c.end)
		TRY(read_section(m, &c, &order));
	TRY(check_counts(m, &c));
	return fill_index_spaces(m, &c);
}
