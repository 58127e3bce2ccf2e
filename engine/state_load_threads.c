/* state_load_threads.c - threads out of hostile bytes: their frames, waits and jumps (state.h, state_load.h). */
#include "engine/state_load.h"

#include "engine/atomic.h"
#include "engine/detour.h"
#include "engine/iop.h"
#include "engine/safepoint.h"

#include <stdlib.h>
#include <string.h>

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
	bool taken[STORE_THREADS_MAX] = {0};
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
	size_t room = (size_t)(t->stack_end - t->slots);
	if (r->host->nparams > room || r->host->nresults > room)
		return err_set(l->msg, ERR_LIMIT, "engine state: call stack exhausted");
	const char *text = l->s->types[t->call_type] + 1;
	for (uint32_t i = 0; i < r->host->nparams; i++)
		TRY(get_value(l, letter_valtype(text[i]), &t->slots[i]));
	t->direct = r->host;
	return ERR_OK;
}

static enum err load_own_globals(struct load *l, struct thread *t)
{
	uint32_t n;
	TRY(get_count(l, 0, &n));
	TRY(thread_own_globals(t));
	if (n != t->nglobals)
		return BAD(l, "a thread has %u globals of %u", n, t->nglobals);
	for (uint32_t i = 0; i < n; i++)
		if (t->globals[i].mut)
			TRY(get_global(l, &t->globals[i]));
	return ERR_OK;
}

static enum err load_thread(struct load *l)
{
	struct thread *t;
	uint8_t state;
	GET(l, rd_u8(l->r, &state));
	bool own = l->version > 1 && state & THREAD_OWN_GLOBALS;
	TRY(own ? thread_new_small(l->s, &t) : thread_new(l->s, &t));
	if (own)
		TRY(load_own_globals(l, t));
	state &= own ? (uint8_t)~THREAD_OWN_GLOBALS : UINT8_MAX;
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

enum err load_threads(struct load *l)
{
	uint32_t n;
	TRY(get_count(l, 1, &n));
	if (n > STORE_THREADS_MAX)
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
enum err load_all_jumps(struct load *l)
{
	bool any = rd_left(l->r) > 0;
	if (l->version > 1)
		TRY(get_bool(l, &any));
	for (uint32_t i = 0; any && i < l->s->nthreads; i++)
		TRY(load_jumps(l, l->s->threads[i]));
	return ERR_OK;
}
