/* state_save.c - writes a store in its canonical form (state.h). */
#include "engine/state.h"
#include "engine/detour.h"
#include "engine/atomic.h"
#include "engine/exn.h"
#include "engine/iop.h"
#include "engine/safepoint.h"

#include <assert.h>
#include <string.h>

static void put_text(struct wr *w, const char *text)
{
	size_t size = strlen(text);
	wr_leb_u64(w, size);
	wr_bytes(w, text, size);
}

/* A store being written: its exceptions get numbers as they are mentioned. */
struct save {
	struct wr *w;
	struct store *s;
	struct exn *first, **last; /* those that have one, in that order */
	uint32_t numbers;
};

/* A reference as a number. */
static uint64_t ref_number(struct save *sv, uint8_t type, uint64_t v)
{
	if (type != VT_EXNREF)
		return v;
	struct exn *e = exn_of(sv->s, v);
	if (!e)
		return 0;
	if (!e->number) {
		e->number = ++sv->numbers;
		e->link = NULL;
		*sv->last = e;
		sv->last = &e->link;
	}
	return e->number;
}

static void put_value(struct save *sv, uint8_t type, uint64_t v)
{
	if (is_wide_value(type))
		wr_u64(sv->w, ref_number(sv, type, v));
	else
		wr_u32(sv->w, (uint32_t)v);
}

static void put_global(struct save *sv, const struct globalinst *g)
{
	put_value(sv, g->type, g->value);
	if (g->type == VT_V128)
		put_value(sv, VT_V128_HIGH, g->high);
}

static void put_head(struct wr *w, const struct store *s, unsigned flags)
{
	wr_u32(w, STATE_MAGIC);
	wr_u32(w, STATE_VERSION);
	wr_u32(w, flags & SAVE_MEMORY);
	wr_u32(w, s->cfg.max_stack_slots);
	wr_u32(w, s->cfg.max_call_depth);
	wr_u32(w, s->cfg.max_memory_pages);
}

static void put_functions(struct wr *w, const struct store *s)
{
	wr_leb_u32(w, s->nranges);
	for (uint32_t i = 0; i < s->nranges; i++) {
		const struct func_range *r = &s->ranges[i];
		wr_u8(w, r->host ? RANGE_HOST : RANGE_INSTANCE);
		if (r->inst) {
			wr_bytes(w, module_hash(r->inst->module), 32);
			continue;
		}
		put_text(w, r->host->module);
		put_text(w, r->host->name);
		put_text(w, s->types[r->host->type]);
	}
}

static void put_memories(struct wr *w, const struct store *s)
{
	wr_leb_u32(w, s->nmems);
	for (uint32_t i = 0; i < s->nmems; i++) {
		const struct meminst *m = s->mems[i];
		wr_u32(w, (uint32_t)(atomic_load(&m->size_bytes) / WASM_PAGE));
		wr_u8(w, m->has_max);
		wr_u32(w, m->max_pages);
	}
}

static void put_tables(struct save *sv)
{
	struct wr *w = sv->w;
	const struct store *s = sv->s;
	wr_leb_u32(w, s->ntables);
	for (uint32_t i = 0; i < s->ntables; i++) {
		const struct tableinst *t = s->tables[i];
		wr_u8(w, t->reftype);
		wr_u8(w, t->has_max);
		wr_u32(w, t->max);
		wr_leb_u32(w, t->size);
		for (uint32_t k = 0; k < t->size; k++)
			wr_leb_u64(w, ref_number(sv, t->reftype, t->elems[k]));
	}
}

static void put_globals(struct save *sv)
{
	struct wr *w = sv->w;
	const struct store *s = sv->s;
	wr_leb_u32(w, s->nglobals);
	for (uint32_t i = 0; i < s->nglobals; i++) {
		const struct globalinst *g = s->globals[i];
		wr_u8(w, g->type);
		wr_u8(w, g->mut);
		put_global(sv, g);
	}
}

static void put_tags(struct wr *w, const struct store *s)
{
	wr_leb_u32(w, s->ntags);
	for (uint32_t i = 0; i < s->ntags; i++)
		put_text(w, s->types[s->tags[i]->type]);
}

static void put_instance(struct wr *w, const struct instance *in)
{
	const struct module *m = in->module;
	for (uint32_t i = 0; i < m->nimport_funcs; i++)
		wr_u32(w, in->import_funcs[i]);
	for (uint32_t i = 0; i < m->ntables; i++)
		wr_u32(w, in->tables[i]->index);
	for (uint32_t i = 0; i < m->nmems; i++)
		wr_u32(w, in->mems[i]->index);
	for (uint32_t i = 0; i < m->nglobals; i++)
		wr_u32(w, in->globals[i]->index);
	for (uint32_t i = 0; i < m->ntags; i++)
		wr_u32(w, in->tags[i]->index);
	wr_bytes(w, in->elem_dropped, m->nelems);
	wr_bytes(w, in->data_dropped, m->ndatas);
}

static void put_names(struct wr *w, const struct store *s)
{
	wr_leb_u32(w, s->nnames);
	for (uint32_t i = 0; i < s->nnames; i++) {
		put_text(w, s->names[i].name);
		wr_leb_u32(w, s->names[i].inst->index);
	}
}

/* ---- threads ---- */

/* A frame stands at sp with height operands on its stack. */
static enum err put_frame(struct save *sv, const struct frame *f, const struct spmap *map,
                          struct safepoint *sp, uint32_t height, uint32_t flags)
{
	struct wr *w = sv->w;
	struct code *c = f->code;
	const uint8_t *types = safepoint_types(c, sp);
	if (!types)
		return ERR_NOMEM;
	wr_u32(w, (c->inst->func_base + (c->funcidx - c->inst->module->nimport_funcs)) | flags);
	wr_u32(w, sp->offset);
	for (uint32_t i = 0; i < c->nlocals; i++)
		put_value(sv, map->local_types[i], f->fp[i]);
	wr_leb_u32(w, height);
	for (uint32_t i = 0; i < height; i++)
		put_value(sv, types[i], f->fp[c->nlocals + i]);
	return ERR_OK;
}

/* A frame that calls nothing at the moment: the top one, or one that a handler interrupted. */
static enum err put_standing(struct save *sv, const struct frame *f, const uint64_t *pc,
                             const struct mark *mark)
{
	const struct spmap *map = code_map(f->code);
	if (!map)
		return ERR_NOMEM;
	struct safepoint *sp = spmap_before(map, (uint32_t)(pc - f->code->entry));
	assert(sp); /* a thread that stands, stands at safepoints */
	TRY(put_frame(sv, f, map, sp, sp->height, mark ? INTERRUPTED : 0));
	if (mark) {
		wr_u32(sv->w, mark->stack_pointer);
		wr_u8(sv->w, mark->wait);
	}
	return ERR_OK;
}

static enum err put_caller(struct save *sv, const struct frame *f)
{
	const struct spmap *map = code_map(f->code);
	if (!map)
		return ERR_NOMEM;
	struct safepoint *sp = spmap_after(map, (uint32_t)(frame_pc(f) - f->code->entry));
	assert(sp);
	return put_frame(sv, f, map, sp, sp->height - sp->nconsumed, 0);
}

static enum err put_frames(struct save *sv, const struct thread *t)
{
	wr_leb_u32(sv->w, thread_depth(t));
	for (const struct frame *f = t->frames + 1; f < t->csp; f++) {
		const struct mark *mark = detour_mark(t, (uint32_t)(f - t->frames));
		TRY(mark ? put_standing(sv, f, mark->pc, mark) : put_caller(sv, f));
	}
	return t->exn ? put_caller(sv, t->csp) : put_standing(sv, t->csp, t->pc, NULL);
}

/* ---- jumps ---- */

static bool has_jumps(const struct store *s)
{
	for (uint32_t i = 0; i < s->nthreads; i++)
		if (s->threads[i]->detours && s->threads[i]->detours->next_id)
			return true;
	return false;
}

static enum err put_jump(struct save *sv, const struct jump *j)
{
	struct wr *w = sv->w;
	struct frame f = {.fp = j->values, .code = j->code};
	wr_u64(w, j->id);
	wr_u64(w, j->key);
	wr_u32(w, j->depth);
	wr_u32(w, j->stack_pointer);
	return put_frame(sv, &f, j->code->map, j->sp, j->sp->height, 0);
}

static enum err put_jumps(struct save *sv, const struct thread *t)
{
	struct wr *w = sv->w;
	static const struct detours none;
	const struct detours *d = t->detours ? t->detours : &none;
	uint32_t n = 0;
	wr_u64(w, d->next_id);
	wr_u64(w, d->jumped_id);
	wr_u32(w, d->jumped_id ? d->jumped_value : 0);
	for (uint32_t i = 0; i < d->njumps; i++)
		n += detour_jump_is_good(t, &d->jumps[i]);
	wr_leb_u32(w, n);
	for (uint32_t i = 0; i < d->njumps; i++)
		if (detour_jump_is_good(t, &d->jumps[i]))
			TRY(put_jump(sv, &d->jumps[i]));
	return ERR_OK;
}

/* How many wait longer. */
static uint32_t place_in_queue(const struct thread *t)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < t->store->nthreads; i++) {
		const struct thread *other = t->store->threads[i];
		n += other->wait == WAIT_QUEUED && other->wait_turn < t->wait_turn;
	}
	return n;
}

static void put_wait(struct wr *w, const struct thread *t)
{
	wr_u8(w, t->wait);
	if (t->wait != WAIT_QUEUED)
		return;
	wr_u32(w, t->wait_mem->index);
	wr_u32(w, t->wait_addr);
	wr_u64(w, (uint64_t)t->wait_left_ns);
	wr_leb_u32(w, place_in_queue(t));
}

static void put_own_globals(struct save *sv, const struct thread *t)
{
	wr_leb_u32(sv->w, t->nglobals);
	for (uint32_t i = 0; i < t->nglobals; i++)
		if (t->globals[i].mut)
			put_global(sv, &t->globals[i]);
}

static enum err put_thread(struct save *sv, const struct thread *t)
{
	struct wr *w = sv->w;
	uint8_t state = !t->busy    ? THREAD_IDLE
	                : t->direct ? THREAD_DIRECT
	                : t->exn    ? THREAD_UNWINDING
	                            : THREAD_FRAMES;
	wr_u8(w, state | (t->globals ? THREAD_OWN_GLOBALS : 0));
	if (t->globals)
		put_own_globals(sv, t);
	if (!t->busy)
		return ERR_OK;
	const char *type = t->store->types[t->call_type];
	put_text(w, type);
	if (!t->direct)
		TRY(put_frames(sv, t));
	if (t->exn)
		put_value(sv, VT_EXNREF, t->exn);
	else if (!t->direct)
		put_wait(w, t);
	if (!t->direct)
		return ERR_OK;
	wr_u32(w, t->direct->id);
	for (uint32_t i = 0; i < t->direct->nparams; i++)
		put_value(sv, letter_valtype(type[i + 1]), t->slots[i]);
	return ERR_OK;
}

static enum err put_threads(struct save *sv)
{
	const struct store *s = sv->s;
	bool jumps = has_jumps(s);
	wr_leb_u32(sv->w, s->nthreads);
	wr_leb_u32(sv->w, s->turn);
	for (uint32_t i = 0; i < s->nthreads; i++)
		TRY(put_thread(sv, s->threads[i]));
	wr_u8(sv->w, jumps);
	for (uint32_t i = 0; jumps && i < s->nthreads; i++)
		TRY(put_jumps(sv, s->threads[i]));
	return ERR_OK;
}

/* They may mention more, which come behind them. */
static void put_exceptions(struct save *sv)
{
	for (const struct exn *e = sv->first; e; e = e->link) {
		const char *type = sv->s->types[e->tag->type] + 1;
		wr_u32(sv->w, e->tag->index);
		wr_u32(sv->w, e->func);
		wr_u32(sv->w, e->offset);
		for (uint32_t i = 0; i < e->nvalues; i++)
			put_value(sv, letter_valtype(type[i]), e->values[i]);
	}
	for (struct exn *e = sv->first; e; e = e->link)
		e->number = 0;
}

/* ---- memories' bytes ---- */

static bool is_zero_page(const uint8_t *p)
{
	const uint64_t *q = (const uint64_t *)p;
	for (unsigned i = 0; i < STATE_PAGE / 8; i++)
		if (q[i])
			return false;
	return true;
}

static void put_bytes(struct wr *w, const struct meminst *m)
{
	uint64_t n = atomic_load(&m->size_bytes) / STATE_PAGE;
	for (uint64_t i = 0; i < n;) {
		uint64_t zeros = i;
		while (zeros < n && is_zero_page(m->base + zeros * STATE_PAGE))
			zeros++;
		uint64_t end = zeros;
		while (end < n && !is_zero_page(m->base + end * STATE_PAGE))
			end++;
		wr_leb_u64(w, zeros - i);
		wr_leb_u64(w, end - zeros);
		wr_bytes(w, m->base + zeros * STATE_PAGE, (end - zeros) * STATE_PAGE);
		i = end;
	}
}

enum err store_save(struct store *s, unsigned flags, struct wr *out)
{
	for (uint32_t i = 0; i < s->ninstances; i++)
		if (s->instances[i]->broken)
			return ERR_STATE;
	struct save sv = {.w = out, .s = s};
	sv.last = &sv.first;
	globals_use(s, NULL);
	put_head(out, s, flags);
	put_functions(out, s);
	put_memories(out, s);
	put_tables(&sv);
	put_globals(&sv);
	put_tags(out, s);
	for (uint32_t i = 0; i < s->ninstances; i++)
		put_instance(out, s->instances[i]);
	put_names(out, s);
	enum err e = put_threads(&sv);
	put_exceptions(&sv);
	for (uint32_t i = 0; i < s->nmems && flags & SAVE_MEMORY; i++)
		put_bytes(out, s->mems[i]);
	return e != ERR_OK ? e : wr_ok(out) ? ERR_OK : ERR_NOMEM;
}
