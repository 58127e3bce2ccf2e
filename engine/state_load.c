/* state_load.c - rebuilds a store from hostile bytes (state.h).
 *
 * Everything read is checked before it is used: sizes against the bytes that are left and the engine's limits,
 * references against the functions there are, objects against what the modules declare, frames against
 * the safepoints of validated code. A store that fails half-way is freed whole.
 */
#include "engine/state.h"
#include "engine/detour.h"
#include "engine/atomic.h"
#include "engine/exn.h"
#include "engine/iop.h"
#include "engine/safepoint.h"

#include <stdlib.h>
#include <string.h>

struct load {
	struct rd *r;
	struct store *s;
	const struct module_finder *finder;
	const struct host_resolver *resolver;
	struct errmsg *msg;
	struct globalinst *globals;                   /* read, not yet given to their instances */
	bool *owned_tables, *owned_mems, *owned_tags; /* an instance's own, not imported */
	uint32_t flags, version;
};

#define BAD(l, ...) err_set((l)->msg, ERR_INVALID, "engine state: " __VA_ARGS__)
#define CUT(l)                                                                               \
	err_set((l)->msg, ERR_MALFORMED, "engine state: cut short or malformed at byte %zu", \
	        rd_offset((l)->r))
/* Reads, or fails with a message. */
#define GET(l, call)                   \
	do {                           \
		if ((call) != ERR_OK)  \
			return CUT(l); \
	} while (0)

/* A count of things that take at least min_bytes each. */
static enum err get_count(struct load *l, size_t min_bytes, uint32_t *n)
{
	GET(l, rd_leb_u32(l->r, n));
	if ((uint64_t)*n * min_bytes > rd_left(l->r))
		return CUT(l);
	return ERR_OK;
}

/* *text: free() it. No zero bytes inside. */
static enum err get_text(struct load *l, char **text)
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

static enum err get_bool(struct load *l, bool *v)
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

static enum err get_value(struct load *l, uint8_t type, uint64_t *v)
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

/* "(iI)f": letters, in brackets. */
static bool is_type_text(const char *text)
{
	if (text[0] != '(')
		return false;
	const char *p = text + 1;
	p += strspn(p, "iIfFrxe");
	if (*p++ != ')')
		return false;
	p += strspn(p, "iIfFrxe");
	return !*p;
}

static enum err get_type(struct load *l, uint32_t *type)
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
		TRY(get_value(l, g->type, &g->value));
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

static enum err get_index(struct load *l, uint32_t count, const char *what, uint32_t *x)
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

/* ---- threads ---- */

static bool same_results(const struct store *s, uint32_t type, uint32_t other)
{
	return type == other ||
	       strcmp(strchr(s->types[type], ')'), strchr(s->types[other], ')')) == 0;
}

/* The frame below was called by f, which stands in the call sp: is it the right function? What was called may have given
 * its place to another by a tail call, so that only the results are known. */
static enum err check_callee(struct load *l, const struct frame *f, const struct safepoint *sp,
                             const struct func_range *r, uint32_t id)
{
	if (sp->kind != SP_CALL)
		return BAD(l, "a frame that called stands at no call");
	if (!same_results(l->s, store_func_type(l->s, r, id), sp->type))
		return BAD(l, "function %u gives other results than its caller wants", id);
	if (sp->callee != UINT32_MAX &&
	    store_func(l->s, instance_func_id(f->code->inst, sp->callee))->host)
		return BAD(l, "function %u was called by a call of a host function", id);
	return ERR_OK;
}

static enum err load_locals(struct load *l, const struct code *c, const struct spmap *map,
                            uint64_t *fp)
{
	for (uint32_t i = 0; i < c->nlocals; i++)
		TRY(get_value(l, map->local_types[i], &fp[i]));
	return ERR_OK;
}

static enum err load_operands(struct load *l, struct code *c, struct safepoint *sp, bool top,
                              uint64_t *fp)
{
	uint32_t height, want = top ? sp->height : sp->height - sp->nconsumed;
	GET(l, rd_leb_u32(l->r, &height));
	if (height != want)
		return BAD(l, "%u operands where %u stand", height, want);
	const uint8_t *types = safepoint_types(c, sp);
	if (!types)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < height; i++)
		TRY(get_value(l, types[i], &fp[c->nlocals + i]));
	return ERR_OK;
}

/* c, which stands above it, returns into the caller's call sp. */
static void set_return(struct frame *caller, const struct safepoint *sp, const struct code *c)
{
	bool own = caller->code->inst == c->inst;
	caller->pc = caller->code->entry + (own ? sp->after : sp->foreign);
	if (own || sp->foreign != sp->after)
		return;
	caller->back = caller->pc; /* only a tail call leads there: the call has no resync */
	caller->pc = (const uint64_t *)resync_back_code;
}

/* A frame as the bytes name it, before its values. */
struct named {
	struct code *code;
	struct spmap *map;
	struct safepoint *sp;
	const struct func_range *range;
	uint32_t id;
	bool interrupted;
};

static enum err load_name(struct load *l, struct named *n)
{
	uint32_t offset;
	GET(l, rd_u32(l->r, &n->id));
	GET(l, rd_u32(l->r, &offset));
	n->interrupted = n->id & INTERRUPTED;
	n->id &= ~INTERRUPTED;
	n->range = store_func(l->s, n->id);
	if (!n->range || !n->range->inst)
		return BAD(l, "a frame of function %u", n->id);
	n->code = code_of_id(l->s, n->id, NULL);
	if (!n->code)
		return BAD(l, "function %u: %s", n->id, trap_text(l->s->no_code));
	n->map = code_map(n->code);
	if (!n->map)
		return ERR_NOMEM;
	n->sp = spmap_at_offset(n->map, offset);
	return n->sp ? ERR_OK : BAD(l, "function %u: offset %u is no safepoint", n->id, offset);
}

/* May n be the frame above f, which stands at sp (NULL: above none)? */
static enum err check_above(struct load *l, struct thread *t, const struct named *n,
                            const struct safepoint *sp)
{
	uint32_t type = store_func_type(l->s, n->range, n->id);
	if (!sp)
		return same_results(l->s, type, t->call_type)
		           ? ERR_OK
		           : BAD(l, "the outermost call has another type");
	if (!detour_mark(t, thread_depth(t)))
		return check_callee(l, t->csp, sp, n->range, n->id);
	const char *results =
	    strchr(l->s->types[type], ')') + 1; /* a tail call may have other parameters */
	return !*results && n->code->inst == t->csp->code->inst
	           ? ERR_OK
	           : BAD(l, "function %u cannot be a handler", n->id);
}

/* Where the frame above f, which stands at sp, begins; f's pc is what that one returns to. */
static uint64_t *above(struct thread *t, const struct safepoint *sp, const struct code *callee)
{
	struct frame *f = t->csp;
	if (detour_mark(t, thread_depth(t))) {
		f->pc = (const uint64_t *)thread_resume_code;
		return f->fp + f->code->need;
	}
	set_return(f, sp, callee);
	return f->fp + f->code->nlocals + (sp->height - sp->nconsumed);
}

static enum err load_mark(struct load *l, struct thread *t)
{
	struct mark m = {.pc = t->pc, .depth = thread_depth(t)};
	GET(l, rd_u32(l->r, &m.stack_pointer));
	if (l->version > 1)
		GET(l, rd_u8(l->r, &m.wait));
	if (m.wait == WAIT_QUEUED || m.wait > WAIT_LATE)
		return BAD(l, "an interrupted frame's wait is %u", m.wait);
	return detour_add_mark(t, &m);
}

/* The next frame of t; *sp: in, the caller's safepoint (NULL: outermost); out, its own. */
static enum err load_frame(struct load *l, struct thread *t, bool top, struct safepoint **sp)
{
	struct named n;
	TRY(load_name(l, &n));
	TRY(check_above(l, t, &n, *sp));
	uint64_t *fp = *sp ? above(t, *sp, n.code) : t->slots;
	struct frame *f = t->csp + 1;
	if (f >= t->frames_end || n.code->need > (size_t)(t->stack_end - fp))
		return err_set(l->msg, ERR_LIMIT, "engine state: call stack exhausted");
	TRY(load_locals(l, n.code, n.map, fp));
	if (!top && !n.interrupted && n.sp->kind != SP_CALL)
		return BAD(l, "a frame that called stands at no call");
	if (top && n.interrupted)
		return BAD(l, "a handler has no frame");
	TRY(load_operands(l, n.code, n.sp, top || n.interrupted, fp));
	*f = (struct frame){.fp = fp, .code = n.code};
	t->csp = f;
	t->fp = fp;
	t->pc = n.code->entry + n.sp->before;
	*sp = n.sp;
	return n.interrupted ? load_mark(l, t) : ERR_OK;
}

/* unwinding: the top frame stands in a call too. */
static enum err load_frames(struct load *l, struct thread *t, bool unwinding)
{
	uint32_t n;
	struct safepoint *sp = NULL;
	TRY(get_count(l, 9, &n));
	if (!n)
		return BAD(l, "a busy thread without frames");
	for (uint32_t i = 0; i < n; i++)
		TRY(load_frame(l, t, i + 1 == n && !unwinding, &sp));
	if (!unwinding)
		return ERR_OK;
	if (detour_mark(t, n))
		return BAD(l, "a handler has no frame");
	t->csp->pc = t->csp->code->entry + sp->after;
	t->pc = (const uint64_t *)unwind_code;
	TRY(get_value(l, VT_EXNREF, &t->exn));
	return t->exn ? ERR_OK : BAD(l, "a thread unwinds for no exception");
}

/* Places in the queue are checked to be different by check_queue(). */
static enum err load_wait(struct load *l, struct thread *t)
{
	uint32_t mem, place;
	uint64_t left;
	if (l->version < 2)
		return ERR_OK;
	GET(l, rd_u8(l->r, &t->wait));
	if (t->wait > WAIT_LATE)
		return BAD(l, "a thread's wait is %u", t->wait);
	if (t->wait != WAIT_QUEUED)
		return ERR_OK;
	TRY(get_index(l, l->s->nmems, "memory", &mem));
	GET(l, rd_u32(l->r, &t->wait_addr));
	GET(l, rd_u64(l->r, &left));
	GET(l, rd_leb_u32(l->r, &place));
	if ((left > INT64_MAX && left != UINT64_MAX) || left == 0)
		return BAD(l, "a thread waits for %llu ns", (unsigned long long)left);
	t->wait_mem = l->s->mems[mem];
	t->wait_left_ns = (int64_t)left;
	t->wait_turn = place;
	return ERR_OK;
}

/* Those that wait are 0, 1, 2 ... in some order. */
static enum err check_queue(struct load *l)
{
	bool taken[STATE_MAX_THREADS] = {0};
	uint32_t n = 0;
	for (uint32_t i = 0; i < l->s->nthreads; i++)
		n += l->s->threads[i]->wait == WAIT_QUEUED;
	for (uint32_t i = 0; i < l->s->nthreads; i++) {
		const struct thread *t = l->s->threads[i];
		if (t->wait != WAIT_QUEUED)
			continue;
		if (t->wait_turn >= n || taken[t->wait_turn])
			return BAD(l, "thread %u has no place of its own in the queue", i);
		taken[t->wait_turn] = true;
	}
	l->s->wait_turns = n;
	return ERR_OK;
}

static enum err load_direct(struct load *l, struct thread *t)
{
	uint32_t id;
	GET(l, rd_u32(l->r, &id));
	const struct func_range *r = store_func(l->s, id);
	if (!r || !r->host || r->host->type != t->call_type)
		return BAD(l, "function %u is no such host function", id);
	if (r->host->nparams > l->s->cfg.max_stack_slots ||
	    r->host->nresults > l->s->cfg.max_stack_slots)
		return err_set(l->msg, ERR_LIMIT, "engine state: call stack exhausted");
	const char *text = l->s->types[t->call_type] + 1;
	for (uint32_t i = 0; i < r->host->nparams; i++)
		TRY(get_value(l, letter_valtype(text[i]), &t->slots[i]));
	t->direct = r->host;
	return ERR_OK;
}

static enum err load_thread(struct load *l)
{
	struct thread *t;
	uint8_t state;
	TRY(thread_new(l->s, &t));
	GET(l, rd_u8(l->r, &state));
	if (state > (l->version < 2 ? THREAD_DIRECT : THREAD_UNWINDING))
		return BAD(l, "thread state %u", state);
	if (state == THREAD_IDLE)
		return ERR_OK;
	TRY(get_type(l, &t->call_type));
	TRY(state == THREAD_DIRECT ? load_direct(l, t)
	                           : load_frames(l, t, state == THREAD_UNWINDING));
	if (state == THREAD_FRAMES)
		TRY(load_wait(l, t));
	t->busy = true;
	return ERR_OK;
}

static enum err load_threads(struct load *l)
{
	uint32_t n;
	TRY(get_count(l, 1, &n));
	if (n > STATE_MAX_THREADS)
		return err_set(l->msg, ERR_LIMIT, "engine state: %u threads", n);
	if (l->version > 1)
		GET(l, rd_leb_u32(l->r, &l->s->turn));
	if (l->s->turn > n)
		return BAD(l, "the turn of thread %u of %u", l->s->turn, n);
	for (uint32_t i = 0; i < n; i++)
		TRY(load_thread(l));
	return check_queue(l);
}

/* ---- jumps ---- */

static enum err load_jump(struct load *l, struct thread *t)
{
	struct jump j;
	struct named n;
	GET(l, rd_u64(l->r, &j.id));
	GET(l, rd_u64(l->r, &j.key));
	GET(l, rd_u32(l->r, &j.depth));
	GET(l, rd_u32(l->r, &j.stack_pointer));
	TRY(load_name(l, &n));
	const struct detours *d = t->detours;
	if (n.interrupted || n.sp->kind != SP_CALL || !j.depth || j.depth > thread_depth(t) ||
	    t->frames[j.depth].code != n.code || !j.id || j.id > d->next_id ||
	    (d->njumps && d->jumps[d->njumps - 1].depth > j.depth))
		return BAD(l, "a jump leads nowhere");
	j.code = n.code;
	j.sp = n.sp;
	j.values = calloc((size_t)n.code->nlocals + n.sp->height + 1, sizeof *j.values);
	if (!j.values)
		return ERR_NOMEM;
	enum err e = load_locals(l, n.code, n.map, j.values);
	if (e == ERR_OK)
		e = load_operands(l, n.code, n.sp, true, j.values);
	if (e == ERR_OK)
		return detour_add_jump(t, &j);
	free(j.values);
	return e;
}

static enum err load_jumps(struct load *l, struct thread *t)
{
	uint32_t n;
	struct detours *d = detours_of(t);
	if (!d)
		return ERR_NOMEM;
	GET(l, rd_u64(l->r, &d->next_id));
	GET(l, rd_u64(l->r, &d->jumped_id));
	GET(l, rd_u32(l->r, &d->jumped_value));
	if (d->jumped_id > d->next_id)
		return BAD(l, "a jump that nobody noted is under way");
	TRY(get_count(l, 32, &n));
	for (uint32_t i = 0; i < n; i++)
		TRY(load_jump(l, t));
	return ERR_OK;
}

/* In version 1 they are what is left at the end. */
static enum err load_all_jumps(struct load *l)
{
	bool any = rd_left(l->r) > 0;
	if (l->version > 1)
		TRY(get_bool(l, &any));
	for (uint32_t i = 0; any && i < l->s->nthreads; i++)
		TRY(load_jumps(l, l->s->threads[i]));
	return ERR_OK;
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

enum err store_load(struct rd *in, const struct module_finder *f, const struct host_resolver *r,
                    struct store **out, struct errmsg *msg)
{
	struct load l = {.r = in, .finder = f, .resolver = r, .msg = msg};
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
