/* state_load.c - rebuilds a store from hostile bytes (state.h).
 *
 * state_load_threads.c reads threads and jumps, here is all else. Everything read is checked before it is used: sizes against the bytes that are left and the engine's limits,
 * references against the functions there are, objects against what the modules declare, frames against
 * the safepoints of validated code. A store that fails half-way is freed whole.
 */
#include "engine/state_load.h"

#include "engine/exn.h"

#include <stdlib.h>
#include <string.h>

enum err get_count(struct load *l, size_t min_bytes, uint32_t *n)
{
	GET(l, rd_leb_u32(l->r, n));
	if ((uint64_t)*n * min_bytes > rd_left(l->r))
		return CUT(l);
	return ERR_OK;
}

enum err get_text(struct load *l, char **text)
{
	uint32_t size;
	const uint8_t *p;
	GET(l, rd_leb_u32(l->r, &size));
	GET(l, rd_bytes(l->r, size, &p));
	if (memchr(p, 0, size))
		return BAD(l, "a name with a zero byte");
	*text = calloc(1, (size_t)size + 1);
	if (!*text)
		return ERR_NOMEM;
	memcpy(*text, p, size);
	return ERR_OK;
}

enum err get_bool(struct load *l, bool *v)
{
	uint8_t b;
	GET(l, rd_u8(l->r, &b));
	if (b > 1)
		return BAD(l, "a flag is %u", b);
	*v = b;
	return ERR_OK;
}

/* An exception's place is kept until load_exceptions(); numbers are mentioned first in their order. */
static enum err exn_number(struct load *l, uint64_t *v)
{
	struct store *s = l->s;
	if (*v > (uint64_t)s->nexns + 1)
		return BAD(l, "exception %llu where %u are known", (unsigned long long)*v,
		           s->nexns);
	if (*v > s->nexns) {
		if (!GROW(s->exns, s->nexns))
			return ERR_NOMEM;
		s->exns[s->nexns++] = NULL;
	}
	*v = *v ? exn_handle((uint32_t)*v - 1) : 0;
	return ERR_OK;
}

/* A reference as it is written becomes one of this store. */
static enum err to_ref(struct load *l, uint8_t type, uint64_t *v)
{
	if (type == VT_EXNREF)
		return exn_number(l, v);
	if (type == VT_FUNCREF && *v && !store_func(l->s, *v))
		return BAD(l, "no function has the reference %llu", (unsigned long long)*v);
	return ERR_OK;
}

enum err get_value(struct load *l, uint8_t type, uint64_t *v)
{
	uint32_t half;
	if (is_wide_value(type)) {
		GET(l, rd_u64(l->r, v));
		return to_ref(l, type, v);
	}
	GET(l, rd_u32(l->r, &half));
	*v = half;
	return ERR_OK;
}

/* The letters of some values; where they end. */
static const char *skip_letters(const char *p)
{
	for (size_t n; (n = strspn(p, "iIfFrxe")) || (p[0] == 'V' && p[1] == 'v');)
		p += n ? n : 2;
	return p;
}

/* "(iI)Vv": letters, in brackets. */
static bool is_type_text(const char *text)
{
	if (text[0] != '(')
		return false;
	const char *p = skip_letters(text + 1);
	return *p == ')' && !*skip_letters(p + 1);
}

enum err get_type(struct load *l, uint32_t *type)
{
	char *text;
	TRY(get_text(l, &text));
	enum err e = is_type_text(text) ? ERR_OK : BAD(l, "a function type is not one");
	if (e == ERR_OK && (*type = store_type(l->s, text)) == UINT32_MAX)
		e = ERR_NOMEM;
	free(text);
	return e;
}

static enum err get_head(struct load *l, struct store_config *cfg)
{
	uint32_t magic;
	GET(l, rd_u32(l->r, &magic));
	GET(l, rd_u32(l->r, &l->version));
	if (magic != STATE_MAGIC)
		return err_set(l->msg, ERR_MALFORMED, "engine state: not one (magic %08x)", magic);
	if (l->version == 0 || l->version > STATE_VERSION)
		return err_set(l->msg, ERR_UNSUPPORTED,
		               "engine state: version %u, versions up to %u are read", l->version,
		               STATE_VERSION);
	GET(l, rd_u32(l->r, &l->flags));
	GET(l, rd_u32(l->r, &cfg->max_stack_slots));
	GET(l, rd_u32(l->r, &cfg->max_call_depth));
	GET(l, rd_u32(l->r, &cfg->max_memory_pages));
	if (l->flags & ~(uint32_t)SAVE_MEMORY)
		return BAD(l, "unknown flags %x", l->flags);
	if (!cfg->max_stack_slots || cfg->max_stack_slots > STATE_MAX_SLOTS ||
	    !cfg->max_call_depth || cfg->max_call_depth > STATE_MAX_DEPTH ||
	    !cfg->max_memory_pages || cfg->max_memory_pages > 65536)
		return err_set(l->msg, ERR_LIMIT,
		               "engine state: limits of %u slots, %u calls, %u pages are not ours",
		               cfg->max_stack_slots, cfg->max_call_depth, cfg->max_memory_pages);
	return ERR_OK;
}

/* ---- functions ---- */

static enum err load_instance_head(struct load *l)
{
	const uint8_t *hash;
	GET(l, rd_bytes(l->r, 32, &hash));
	struct module *m = l->finder->find(l->finder->ctx, hash);
	if (!m)
		return err_set(l->msg, ERR_NOTFOUND,
		               "engine state: module %02x%02x%02x%02x... is not here", hash[0],
		               hash[1], hash[2], hash[3]);
	struct instance *in;
	TRY(instance_alloc(l->s, m, &in));
	enum err e = instance_add(in);
	if (e != ERR_OK)
		instance_free(in);
	return e;
}

static enum err add_host(struct load *l, const char *module, const char *name)
{
	uint32_t type;
	host_fn fn;
	void *env;
	struct hostfunc *h;
	TRY(get_type(l, &type));
	const char *text = l->s->types[type];
	TRY(host_type_check(module, name, text, l->msg));
	if (store_host(l->s, module, name, type))
		return BAD(l, "host function %s.%s twice", module, name);
	const struct host_resolver *r = l->resolver;
	if (!r || !r->resolve(r->ctx, module, name, text, &fn, &env))
		return err_set(l->msg, ERR_UNLINKABLE,
		               "engine state: no host function %s.%s of type %s", module, name,
		               text);
	return store_add_host(l->s, module, name, text, fn, env, &h);
}

static enum err load_host(struct load *l)
{
	char *module, *name;
	TRY(get_text(l, &module));
	enum err e = get_text(l, &name);
	if (e == ERR_OK) {
		e = add_host(l, module, name);
		free(name);
	}
	free(module);
	return e;
}

static enum err load_functions(struct load *l)
{
	uint32_t n;
	uint8_t kind;
	TRY(get_count(l, 4, &n));
	for (uint32_t i = 0; i < n; i++) {
		GET(l, rd_u8(l->r, &kind));
		if (kind > RANGE_HOST)
			return BAD(l, "function kind %u", kind);
		TRY(kind == RANGE_HOST ? load_host(l) : load_instance_head(l));
	}
	return ERR_OK;
}

/* ---- objects ---- */

static enum err load_memories(struct load *l)
{
	uint32_t n, pages, max;
	bool has_max;
	struct meminst *m;
	TRY(get_count(l, 9, &n));
	if (n > l->s->ninstances) /* each has one at most */
		return BAD(l, "%u memories for %u instances", n, l->s->ninstances);
	for (uint32_t i = 0; i < n; i++) {
		GET(l, rd_u32(l->r, &pages));
		TRY(get_bool(l, &has_max));
		GET(l, rd_u32(l->r, &max));
		if (max > 65536 || pages > max || (!has_max && max != 65536))
			return BAD(l, "memory %u: %u pages of at most %u", i, pages, max);
		TRY(mem_new(l->s, pages, max, has_max, &m));
		if (l->copies)
			TRY(mem_take_copy(m, l->copies));
	}
	return ERR_OK;
}

static enum err load_elems(struct load *l, struct tableinst *t)
{
	for (uint32_t k = 0; k < t->size; k++) {
		GET(l, rd_leb_u64(l->r, &t->elems[k]));
		TRY(to_ref(l, t->reftype, &t->elems[k]));
	}
	return ERR_OK;
}

static enum err load_tables(struct load *l)
{
	uint32_t n;
	TRY(get_count(l, 7, &n));
	for (uint32_t i = 0; i < n; i++) {
		struct tabletype tt = {0};
		struct tableinst *t;
		GET(l, rd_u8(l->r, &tt.reftype));
		if (!is_reftype(tt.reftype))
			return BAD(l, "table %u: type %02x", i, tt.reftype);
		TRY(get_bool(l, &tt.limits.has_max));
		GET(l, rd_u32(l->r, &tt.limits.max));
		TRY(get_count(l, 1, &tt.limits.min));
		if (tt.limits.min > tt.limits.max)
			return BAD(l, "table %u: %u elements of at most %u", i, tt.limits.min,
			           tt.limits.max);
		TRY(table_new(l->s, tt, &t));
		TRY(load_elems(l, t));
	}
	return ERR_OK;
}

enum err get_global(struct load *l, struct globalinst *g)
{
	TRY(get_value(l, g->type, &g->value));
	return g->type == VT_V128 ? get_value(l, VT_V128_HIGH, &g->high) : ERR_OK;
}

static enum err load_globals(struct load *l, uint32_t *count)
{
	TRY(get_count(l, 6, count));
	l->globals = calloc(*count ? *count : 1, sizeof *l->globals);
	if (!l->globals)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < *count; i++) {
		struct globalinst *g = &l->globals[i];
		GET(l, rd_u8(l->r, &g->type));
		if (!is_valtype(g->type))
			return BAD(l, "global %u: type %02x", i, g->type);
		TRY(get_bool(l, &g->mut));
		TRY(get_global(l, g));
		g->index = i;
		if (!GROW(l->s->globals, i))
			return ERR_NOMEM;
		l->s->globals[i] = NULL;
		l->s->nglobals = i + 1;
	}
	return ERR_OK;
}

static enum err load_tags(struct load *l)
{
	uint32_t n, type, nparams, nresults;
	struct taginst *tag;
	if (l->version < 2)
		return ERR_OK;
	TRY(get_count(l, 3, &n));
	for (uint32_t i = 0; i < n; i++) {
		TRY(get_type(l, &type));
		type_counts(l->s->types[type], &nparams, &nresults);
		if (nresults)
			return BAD(l, "tag %u gives results", i);
		TRY(tag_new(l->s, type, &tag));
	}
	return ERR_OK;
}

/* ---- instances ---- */

enum err get_index(struct load *l, uint32_t count, const char *what, uint32_t *x)
{
	GET(l, rd_u32(l->r, x));
	if (*x >= count)
		return BAD(l, "%s %u of %u", what, *x, count);
	return ERR_OK;
}

static bool limits_ok(const struct limits *want, bool own, uint64_t size, bool has_max,
                      uint32_t max)
{
	if (size < want->min)
		return false;
	if (own)
		return has_max == want->has_max && (!has_max || max == want->max);
	return !want->has_max || (has_max && max <= want->max);
}

static enum err load_import_funcs(struct load *l, struct instance *in)
{
	const struct module *m = in->module;
	uint32_t id;
	for (uint32_t i = 0; i < m->nimport_funcs; i++) {
		GET(l, rd_u32(l->r, &id));
		const struct func_range *r = store_func(l->s, id);
		if (!r || store_func_type(l->s, r, id) != in->types[m->func_types[i]])
			return BAD(l, "imported function %u: wrong function %u", i, id);
		in->import_funcs[i] = id;
	}
	return ERR_OK;
}

static enum err load_instance_tables(struct load *l, struct instance *in)
{
	const struct module *m = in->module;
	uint32_t x;
	for (uint32_t i = 0; i < m->ntables; i++) {
		bool own = i >= m->nimport_tables;
		TRY(get_index(l, l->s->ntables, "table", &x));
		const struct tableinst *t = l->s->tables[x];
		if (t->reftype != m->tables[i].reftype || (own && l->owned_tables[x]) ||
		    !limits_ok(&m->tables[i].limits, own, t->size, t->has_max, t->max))
			return BAD(l, "table %u is not what the module declares", x);
		l->owned_tables[x] |= own;
		in->tables[i] = l->s->tables[x];
	}
	return ERR_OK;
}

static enum err load_instance_mems(struct load *l, struct instance *in)
{
	const struct module *m = in->module;
	uint32_t x;
	for (uint32_t i = 0; i < m->nmems; i++) {
		bool own = i >= m->nimport_mems;
		TRY(get_index(l, l->s->nmems, "memory", &x));
		const struct meminst *mem = l->s->mems[x];
		uint64_t pages = atomic_load(&mem->size_bytes) / WASM_PAGE;
		if ((own && l->owned_mems[x]) ||
		    !limits_ok(&m->mems[i], own, pages, mem->has_max, mem->max_pages))
			return BAD(l, "memory %u is not what the module declares", x);
		l->owned_mems[x] |= own;
		if (own)
			l->s->mems[x]->shared = m->mems[i].shared;
		in->mems[i] = l->s->mems[x];
	}
	in->mem0 = m->nmems ? in->mems[0]->base : NULL;
	return ERR_OK;
}

/* Imported globals may belong to a later instance of the list, so pointers are set in link_globals(). */
static enum err load_instance_globals(struct load *l, struct instance *in)
{
	const struct module *m = in->module;
	uint32_t x;
	for (uint32_t i = 0; i < m->nglobals; i++) {
		bool own = i >= m->nimport_globals;
		TRY(get_index(l, l->s->nglobals, "global", &x));
		const struct globalinst *g = &l->globals[x];
		const struct globaltype *want = &m->globals[i].type;
		if (g->type != want->type || g->mut != want->mut || (own && l->s->globals[x]))
			return BAD(l, "global %u is not what the module declares", x);
		if (own) {
			struct globalinst *mine = &in->own_globals[i - m->nimport_globals];
			*mine = *g;
			l->s->globals[x] = mine;
		}
		in->globals[i] = (struct globalinst *)g;
	}
	return ERR_OK;
}

static enum err load_instance_tags(struct load *l, struct instance *in)
{
	const struct module *m = in->module;
	uint32_t x;
	for (uint32_t i = 0; i < m->ntags; i++) {
		bool own = i >= m->nimport_tags;
		TRY(get_index(l, l->s->ntags, "tag", &x));
		if (l->s->tags[x]->type != in->types[m->tags[i]] || (own && l->owned_tags[x]))
			return BAD(l, "tag %u is not what the module declares", x);
		l->owned_tags[x] |= own;
		in->tags[i] = l->s->tags[x];
	}
	return ERR_OK;
}

/* From what was read to the instances' own. */
static enum err link_globals(struct load *l)
{
	for (uint32_t i = 0; i < l->s->nglobals; i++)
		if (!l->s->globals[i])
			return BAD(l, "global %u belongs to no instance", i);
	for (uint32_t k = 0; k < l->s->ninstances; k++) {
		struct instance *in = l->s->instances[k];
		for (uint32_t i = 0; i < in->module->nglobals; i++)
			in->globals[i] = l->s->globals[in->globals[i]->index];
	}
	return ERR_OK;
}

static enum err load_dropped(struct load *l, uint8_t *dropped, uint32_t n)
{
	const uint8_t *p;
	GET(l, rd_bytes(l->r, n, &p));
	for (uint32_t i = 0; i < n; i++) {
		if (p[i] > 1)
			return BAD(l, "a flag is %u", p[i]);
		dropped[i] = p[i];
	}
	return ERR_OK;
}

static enum err load_instances(struct load *l)
{
	struct store *s = l->s;
	l->owned_tables = calloc((size_t)s->ntables + 1, 1);
	l->owned_mems = calloc((size_t)s->nmems + 1, 1);
	l->owned_tags = calloc((size_t)s->ntags + 1, 1);
	if (!l->owned_tables || !l->owned_mems || !l->owned_tags)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < s->ninstances; i++) {
		struct instance *in = s->instances[i];
		TRY(load_import_funcs(l, in));
		TRY(load_instance_tables(l, in));
		TRY(load_instance_mems(l, in));
		TRY(load_instance_globals(l, in));
		TRY(load_instance_tags(l, in));
		TRY(load_dropped(l, in->elem_dropped, in->module->nelems));
		TRY(load_dropped(l, in->data_dropped, in->module->ndatas));
	}
	return link_globals(l);
}

static enum err load_names(struct load *l)
{
	uint32_t n, x;
	char *name;
	TRY(get_count(l, 2, &n));
	for (uint32_t i = 0; i < n; i++) {
		TRY(get_text(l, &name));
		enum err e = rd_leb_u32(l->r, &x) != ERR_OK ? CUT(l) : ERR_OK;
		if (e == ERR_OK && x >= l->s->ninstances)
			e = BAD(l, "instance %u of %u", x, l->s->ninstances);
		if (e == ERR_OK)
			e = store_register(l->s, name, l->s->instances[x]);
		free(name);
		TRY(e);
	}
	return l->s->nnames == n ? ERR_OK : BAD(l, "a registered name twice");
}

/* ---- exceptions ---- */

static enum err load_exception(struct load *l, uint32_t i)
{
	uint32_t tag, func, offset;
	uint64_t handle;
	TRY(get_index(l, l->s->ntags, "tag", &tag));
	GET(l, rd_u32(l->r, &func));
	GET(l, rd_u32(l->r, &offset));
	const struct func_range *r = store_func(l->s, func);
	if (!r || !r->inst)
		return BAD(l, "exception %u was thrown by function %u", i + 1, func);
	struct exn *e = exn_new(l->s, l->s->tags[tag], i, &handle);
	if (!e)
		return err_set(l->msg, ERR_LIMIT, "engine state: too many exceptions");
	e->func = func;
	e->offset = offset;
	const char *type = l->s->types[e->tag->type] + 1;
	for (uint32_t k = 0; k < e->nvalues; k++)
		TRY(get_value(l, letter_valtype(type[k]), &e->values[k]));
	return ERR_OK;
}

/* All that were mentioned; each may mention more. */
static enum err load_exceptions(struct load *l)
{
	for (uint32_t i = 0; i < l->s->nexns; i++)
		TRY(load_exception(l, i));
	return ERR_OK;
}

/* ---- memories' bytes ---- */

static enum err load_bytes(struct load *l, struct meminst *m)
{
	uint64_t n = atomic_load(&m->size_bytes) / STATE_PAGE, zeros, count;
	const uint8_t *p;
	for (uint64_t i = 0; i < n; i += count) {
		GET(l, rd_leb_u64(l->r, &zeros));
		GET(l, rd_leb_u64(l->r, &count));
		if (zeros > n - i || count > n - i - zeros || (!count && zeros != n - i))
			return BAD(l, "memory %u: runs of pages do not fit", m->index);
		i += zeros;
		GET(l, rd_bytes(l->r, (size_t)count * STATE_PAGE, &p));
		memcpy(m->base + i * STATE_PAGE, p, (size_t)count * STATE_PAGE);
	}
	return ERR_OK;
}

static enum err load_all(struct load *l)
{
	uint32_t nglobals;
	TRY(load_functions(l));
	TRY(load_memories(l));
	TRY(load_tables(l));
	TRY(load_globals(l, &nglobals));
	TRY(load_tags(l));
	TRY(load_instances(l));
	TRY(load_names(l));
	TRY(load_threads(l));
	if (l->version > 1)
		TRY(load_all_jumps(l));
	TRY(load_exceptions(l));
	for (uint32_t i = 0; i < l->s->nmems && l->flags & SAVE_MEMORY; i++)
		TRY(load_bytes(l, l->s->mems[i]));
	if (l->version == 1)
		TRY(load_all_jumps(l));
	return rd_left(l->r) ? BAD(l, "%zu bytes too many", rd_left(l->r)) : ERR_OK;
}

static enum err load_store(struct rd *in, const struct module_finder *f,
                           const struct host_resolver *r, struct memories *copies,
                           struct store **out, struct errmsg *msg)
{
	struct load l = {.r = in, .finder = f, .resolver = r, .msg = msg, .copies = copies};
	struct store_config cfg = {0};
	if (msg)
		msg->text[0] = 0;
	TRY(get_head(&l, &cfg));
	TRY(store_new(&cfg, &l.s));
	enum err e = load_all(&l);
	free(l.globals);
	free(l.owned_tables);
	free(l.owned_mems);
	free(l.owned_tags);
	if (e != ERR_OK) {
		store_free(l.s);
		return msg && !msg->text[0] ? err_set(msg, e, "engine state: %s", err_text(e)) : e;
	}
	*out = l.s;
	return ERR_OK;
}

enum err store_load(struct rd *in, const struct module_finder *f, const struct host_resolver *r,
                    struct store **out, struct errmsg *msg)
{
	return load_store(in, f, r, NULL, out, msg);
}

enum err store_load_copy(struct rd *in, const struct module_finder *f,
                         const struct host_resolver *r, struct memories *m, struct store **out,
                         struct errmsg *msg)
{
	enum err e = load_store(in, f, r, m, out, msg);
	memories_free(m);
	return e;
}
