/* validate_control.h - blocks, branches and calls: the steps that open and close control frames, or take operands as some
 * function or block type says. Part of validate_body.c, which alone includes it.
 *
 * A frame's label has the types that a branch to it takes: of a loop those of its parameters, of any other block those of its
 * results. Each step leaves r->floor at the height of the innermost frame.
 */
#pragma once

#include "engine/validate_stack.h"

/* ---- control frames ---- */

RARE bool grow_frames(struct checker *k)
{
	if (k->nframes >= LIMIT_BLOCK_DEPTH)
		return FAIL(k, ERR_LIMIT, "blocks nested more than %d deep", LIMIT_BLOCK_DEPTH);
	uint32_t cap = k->cap_frames ? k->cap_frames * 2 : 64;
	struct frame *frames = realloc(k->frames, cap * sizeof *frames);
	if (!frames)
		return FAIL(k, ERR_NOMEM, "out of memory");
	k->frames = frames;
	k->cap_frames = cap;
	return true;
}

/* The block's parameters stand on the stack and become its first operands. */
INLINE bool open_frame(struct checker *k, struct regs *r, struct frame f)
{
	if (UNLIKELY(k->nframes == k->cap_frames) && !grow_frames(k))
		return false;
	f.height = (uint32_t)(r->sp - k->stack);
	k->frames[k->nframes++] = f;
	r->floor = r->sp;
	return f.nin == 0 || push_all(k, r, f.in, f.nin);
}

static bool block_type_index(struct checker *k, struct regs *r, struct frame *f)
{
	struct cursor c = k->c;
	int64_t index;
	c.p = r->pc;
	if ((k->err = cur_s33(&c, &index)) != ERR_OK)
		return false;
	r->pc = c.p;
	if (index < 0)
		return FAIL(k, ERR_MALFORMED, "malformed block type");
	if (index >= k->m->ntypes)
		return fail_index(k, "type", (uint32_t)index);
	const struct functype *t = &k->m->types[index];
	f->in = t->params;
	f->nin = t->nparams;
	f->out = t->results;
	f->nout = t->nresults;
	return true;
}

/* One byte says "nothing" or is itself the one result's type. */
INLINE bool block_type(struct checker *k, struct regs *r, struct frame *f)
{
	if (LIKELY(r->pc < r->end && *r->pc == 0x40)) {
		r->pc++;
		return true;
	}
	if (r->pc < r->end && is_valtype(*r->pc)) {
		f->out = r->pc++;
		f->nout = 1;
		return true;
	}
	struct regs copy = *r;
	bool ok = block_type_index(k, &copy, f);
	r->pc = copy.pc;
	return ok;
}

INLINE bool step_block(struct checker *k, struct regs *r, uint8_t op)
{
	struct frame f = {.op = op};
	if (!block_type(k, r, &f))
		return false;
	if (op == WOP_if && !pop(k, r, VT_I32))
		return false;
	if (f.nin && !pop_all(k, r, f.in, f.nin))
		return false;
	return open_frame(k, r, f);
}

RARE bool fail_left_over(struct checker *k, const struct regs *r)
{
	return FAIL(k, ERR_INVALID, "type mismatch: %u values left over at the end of a block",
	            (unsigned)(r->sp - r->floor));
}

/* The operands of the innermost block are just its results; they stay popped. */
INLINE bool pop_results(struct checker *k, struct regs *r, const struct frame *f)
{
	if (LIKELY(f->nout == 0 && r->sp == r->floor))
		return true;
	if (!pop_all(k, r, f->out, f->nout))
		return false;
	return r->sp == r->floor || fail_left_over(k, r);
}

/* A legacy catch body: below its operands stands a hidden one, the exception (exn.h). */
INLINE bool is_catch(const struct frame *f)
{
	return f->op == WOP_catch || f->op == WOP_catch_all;
}

/* The innermost block is over: its results become operands of the block around it. */
INLINE bool close_frame(struct checker *k, struct regs *r)
{
	const struct frame *f = top(k);
	r->sp = r->floor - is_catch(f);
	k->nframes--;
	r->floor = k->stack + top(k)->height;
	return f->nout == 0 || push_all(k, r, f->out, f->nout);
}

static bool if_without_else(struct checker *k, const struct frame *f)
{
	if (f->nin == f->nout && (f->nin == 0 || memcmp(f->in, f->out, f->nin) == 0))
		return true;
	return FAIL(k, ERR_INVALID, "type mismatch: an if without else must give what it takes");
}

static bool end_of_body(struct checker *k, const struct regs *r)
{
	k->max = r->max;
	k->nframes = 0;
	return r->pc == r->end ||
	       FAIL(k, ERR_MALFORMED, "section size mismatch: the body ends %u bytes early",
	            (unsigned)(r->end - r->pc));
}

INLINE bool step_end(struct checker *k, struct regs *r)
{
	const struct frame *f = top(k);
	if (!pop_results(k, r, f))
		return false;
	if (f->op == WOP_if && !if_without_else(k, f))
		return false;
	if (UNLIKELY(k->nframes == 1))
		return end_of_body(k, r);
	return close_frame(k, r);
}

INLINE bool step_else(struct checker *k, struct regs *r)
{
	struct frame *f = top(k);
	if (f->op != WOP_if)
		return FAIL(k, ERR_MALFORMED, "END opcode expected: else without if");
	if (!pop_results(k, r, f))
		return false;
	f->op = WOP_else;
	f->unreachable = false;
	r->sp = r->floor;
	return push_all(k, r, f->in, f->nin);
}

/* ---- branches ---- */

struct label {
	const uint8_t *types;
	uint32_t n;
};

INLINE bool find_label(struct checker *k, uint32_t depth, struct label *l)
{
	if (UNLIKELY(depth >= k->nframes))
		return fail_index(k, "label", depth);
	const struct frame *f = &k->frames[k->nframes - 1 - depth];
	*l = f->op == WOP_loop ? (struct label){f->in, f->nin} : (struct label){f->out, f->nout};
	return true;
}

INLINE bool step_br(struct checker *k, struct regs *r)
{
	uint32_t depth;
	struct label l;
	if (!number(k, r, &depth) || !find_label(k, depth, &l))
		return false;
	if (l.n && !pop_all(k, r, l.types, l.n))
		return false;
	set_unreachable(k, r);
	return true;
}

INLINE bool step_br_if(struct checker *k, struct regs *r)
{
	uint32_t depth;
	struct label l;
	if (!number(k, r, &depth) || !pop(k, r, VT_I32) || !find_label(k, depth, &l))
		return false;
	if (LIKELY(l.n == 0))
		return true;
	return pop_all(k, r, l.types, l.n) && push_all(k, r, l.types, l.n);
}

/* Whether the top operands have the label's types; they stay. */
static bool check_top(struct checker *k, const struct regs *r, const struct label *l)
{
	struct regs copy = *r;
	return pop_all(k, &copy, l->types, l->n);
}

static bool br_table_label(struct checker *k, struct regs *r, uint32_t arity, struct label *l)
{
	uint32_t depth;
	if (!number(k, r, &depth) || !find_label(k, depth, l))
		return false;
	if (arity != UINT32_MAX && l->n != arity)
		return FAIL(k, ERR_INVALID, "type mismatch: br_table labels of %u and %u values",
		            arity, l->n);
	return l->n == 0 || check_top(k, r, l);
}

static __attribute__((noinline)) bool step_br_table(struct checker *k, struct regs *r)
{
	uint32_t n, arity = UINT32_MAX;
	struct label l = {0};
	if (!pop(k, r, VT_I32) || !number(k, r, &n))
		return false;
	if (n > (size_t)(r->end - r->pc))
		return FAIL(k, ERR_MALFORMED,
		            "length out of bounds: unexpected end of section or function");
	if (n > LIMIT_BR_TABLE)
		return FAIL(k, ERR_LIMIT, "br_table with %u labels, at most %d are allowed", n,
		            LIMIT_BR_TABLE);
	for (uint32_t i = 0; i <= n; i++) {
		if (!br_table_label(k, r, arity, &l))
			return false;
		arity = l.n;
		if (i == 0 && (uint64_t)(n + 1) * arity > LIMIT_BR_TABLE_VALUES)
			return FAIL(k, ERR_LIMIT,
			            "br_table of %u labels of %u values, their product may be %d",
			            n + 1, arity, LIMIT_BR_TABLE_VALUES);
	}
	set_unreachable(k, r);
	return true;
}

INLINE bool step_return(struct checker *k, struct regs *r)
{
	const struct frame *f = &k->frames[0];
	if (f->nout && !pop_all(k, r, f->out, f->nout))
		return false;
	set_unreachable(k, r);
	return true;
}

/* ---- exceptions ---- */

INLINE bool tag_index(struct checker *k, struct regs *r, const struct functype **t)
{
	uint32_t index;
	if (!number(k, r, &index))
		return false;
	if (index >= k->m->ntags)
		return fail_index(k, "tag", index);
	*t = &k->m->types[k->m->tags[index]];
	return true;
}

/* A clause of a try_table, whose own label is not there yet. What it catches goes onto the label's stack. */
static bool catch_clause(struct checker *k, struct regs *r)
{
	static const struct functype none;
	const struct functype *t = &none;
	uint32_t depth;
	struct label l;
	if (UNLIKELY(r->pc == r->end))
		return FAIL(k, ERR_MALFORMED, "unexpected end of section or function");
	uint8_t kind = *r->pc++;
	if (kind > 3)
		return FAIL(k, ERR_MALFORMED, "malformed catch clause 0x%02x", kind);
	if (kind < 2 && !tag_index(k, r, &t))
		return false;
	if (!number(k, r, &depth) || !find_label(k, depth, &l))
		return false;
	uint32_t n = t->nparams + (kind & 1);
	if (l.n != n || (t->nparams && memcmp(l.types, t->params, t->nparams) != 0) ||
	    (kind & 1 && l.types[n - 1] != VT_EXNREF))
		return FAIL(k, ERR_INVALID,
		            "type mismatch: the label of a catch clause takes other values");
	const uint8_t *base = k->stack + k->frames[k->nframes - 1 - depth].height;
	if (n > (size_t)(k->stack_end - base))
		return FAIL(k, ERR_LIMIT, "more than %d operands on the stack", LIMIT_STACK_HEIGHT);
	if (base + n > r->max)
		r->max = (uint8_t *)base + n;
	return true;
}

static __attribute__((noinline)) bool step_try_table(struct checker *k, struct regs *r)
{
	struct frame f = {.op = WOP_try_table};
	uint32_t n;
	if (!block_type(k, r, &f) || !pop_all(k, r, f.in, f.nin) || !number(k, r, &n))
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!catch_clause(k, r))
			return false;
	return open_frame(k, r, f);
}

static __attribute__((noinline)) bool step_catch(struct checker *k, struct regs *r, uint8_t op)
{
	struct frame *f = top(k);
	const struct functype *t = NULL;
	if (f->op != WOP_try && f->op != WOP_catch)
		return FAIL(k, ERR_MALFORMED, "END opcode expected: catch without try");
	if ((op == WOP_catch && !tag_index(k, r, &t)) || !pop_results(k, r, f))
		return false;
	r->sp = r->floor - is_catch(f);
	if (!push(k, r, VT_EXNREF))
		return false;
	f->op = op;
	f->unreachable = false;
	f->height = (uint32_t)(r->sp - k->stack);
	r->floor = r->sp;
	return !t || push_all(k, r, t->params, t->nparams);
}

static __attribute__((noinline)) bool step_delegate(struct checker *k, struct regs *r)
{
	uint32_t depth;
	const struct frame *f = top(k);
	if (f->op != WOP_try)
		return FAIL(k, ERR_MALFORMED, "END opcode expected: delegate without try");
	if (!number(k, r, &depth) || !pop_results(k, r, f))
		return false;
	if (depth >= k->nframes - 1) /* counted from outside the try */
		return fail_index(k, "label", depth);
	return close_frame(k, r);
}

INLINE bool step_throw(struct checker *k, struct regs *r)
{
	const struct functype *t;
	if (!tag_index(k, r, &t) || !pop_all(k, r, t->params, t->nparams))
		return false;
	set_unreachable(k, r);
	return true;
}

INLINE bool step_throw_ref(struct checker *k, struct regs *r)
{
	if (!pop(k, r, VT_EXNREF))
		return false;
	set_unreachable(k, r);
	return true;
}

INLINE bool step_rethrow(struct checker *k, struct regs *r)
{
	uint32_t depth;
	struct label l;
	if (!number(k, r, &depth) || !find_label(k, depth, &l))
		return false;
	if (!is_catch(&k->frames[k->nframes - 1 - depth]))
		return FAIL(k, ERR_INVALID, "invalid rethrow label %u: of no catch", depth);
	set_unreachable(k, r);
	return true;
}

/* ---- calls ---- */

INLINE bool apply(struct checker *k, struct regs *r, const struct functype *t)
{
	if (t->nparams && !pop_all(k, r, t->params, t->nparams))
		return false;
	if (t->nresults == 1)
		return push(k, r, t->results[0]);
	return t->nresults == 0 || push_all(k, r, t->results, t->nresults);
}

INLINE bool func_index(struct checker *k, struct regs *r, uint32_t *index)
{
	if (!number(k, r, index))
		return false;
	if (UNLIKELY(*index >= k->m->nimport_funcs + k->m->nfuncs))
		return fail_index(k, "function", *index);
	return true;
}

INLINE bool step_call(struct checker *k, struct regs *r)
{
	uint32_t index;
	return func_index(k, r, &index) && apply(k, r, module_functype(k->m, index));
}

INLINE bool table_index(struct checker *k, struct regs *r, const struct tabletype **t)
{
	uint32_t index;
	if (!number(k, r, &index))
		return false;
	if (UNLIKELY(index >= k->m->ntables))
		return fail_index(k, "table", index);
	*t = &k->m->tables[index];
	return true;
}

/* Takes what a call_indirect needs besides the arguments. */
INLINE bool indirect_type(struct checker *k, struct regs *r, const struct functype **ft)
{
	uint32_t index;
	const struct tabletype *t;
	if (!number(k, r, &index) || !table_index(k, r, &t))
		return false;
	if (index >= k->m->ntypes)
		return fail_index(k, "type", index);
	if (t->reftype != VT_FUNCREF)
		return fail_type(k, VT_FUNCREF, t->reftype);
	*ft = &k->m->types[index];
	return pop(k, r, VT_I32);
}

INLINE bool step_call_indirect(struct checker *k, struct regs *r)
{
	const struct functype *t;
	return indirect_type(k, r, &t) && apply(k, r, t);
}

/* A tail call: what the callee gives is what the function gives. */
static bool apply_tail(struct checker *k, struct regs *r, const struct functype *t)
{
	const struct frame *f = &k->frames[0];
	if (t->nresults != f->nout || (f->nout && memcmp(t->results, f->out, f->nout) != 0))
		return FAIL(k, ERR_INVALID,
		            "type mismatch: the callee gives other results than its caller");
	if (!pop_all(k, r, t->params, t->nparams))
		return false;
	set_unreachable(k, r);
	return true;
}

INLINE bool step_return_call(struct checker *k, struct regs *r)
{
	uint32_t index;
	return func_index(k, r, &index) && apply_tail(k, r, module_functype(k->m, index));
}

INLINE bool step_return_call_indirect(struct checker *k, struct regs *r)
{
	const struct functype *t;
	return indirect_type(k, r, &t) && apply_tail(k, r, t);
}

INLINE bool step_ref_func(struct checker *k, struct regs *r)
{
	uint32_t index;
	if (!func_index(k, r, &index))
		return false;
	if (!is_declared(k->v, index))
		return FAIL(k, ERR_INVALID, "undeclared function reference %u", index);
	return push(k, r, VT_FUNCREF);
}
