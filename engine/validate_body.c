/* validate_body.c - function bodies in one pass (spec 3.3, and the algorithm of its appendix A.3).
 *
 * The machine: `pc` reads the body, a stack of one byte per operand holds types, a stack of control
 * frames holds open blocks. Each instruction has a handler of its own, expanded from opcodes.def; a
 * handler checks its operands against bytes on the stack and jumps to the next handler, so that the
 * whole state stays in registers. Whatever does not match at once goes to pop(), which knows
 * about unreachable code and writes the message.
 *
 *	stack ... | operands of enclosing blocks | operands of the innermost block |
 *	                                         ^floor                            ^sp      max: highest sp so far
 *
 * After an instruction that never falls through, the frame is `unreachable`: popping at its floor gives
 * VT_ANY, which matches every type. Nothing is allocated per function: both stacks and the array of
 * local types belong to the validation of a range of bodies.
 */
#include "engine/validate.h"

#include "engine/limits.h"
#include "engine/opcode.h"
#include "engine/skim.h"

#include <stdlib.h>
#include <string.h>

#define VT_ANY 0

#define INLINE static inline __attribute__((always_inline))
#define RARE static __attribute__((noinline, cold))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

struct frame {
	const uint8_t *in, *out; /* the block's parameter and result types */
	uint32_t nin, nout;
	uint32_t height; /* of the operand stack below the block's own operands */
	uint8_t op;      /* WOP_block, WOP_loop, WOP_if, WOP_else; the body itself is a block */
	bool unreachable;
};

/* Of one range of bodies. */
struct checker {
	const struct validation *v;
	const struct module *m;
	struct cursor c; /* for messages: c.p is the body's first byte, c.end the byte behind it */
	uint8_t *locals; /* type of each local */
	uint32_t nlocals;
	uint32_t code_start; /* of the body, in the module */
	uint8_t *stack;      /* LIMIT_STACK_HEIGHT types and room for one call's results */
	uint8_t *stack_end;  /* highest sp allowed */
	struct frame *frames;
	uint32_t nframes, cap_frames;
	const uint8_t *op_pc; /* the instruction a failing step belongs to */
	const uint8_t *max;   /* result of a body that was right */
	enum err err;
};

/* What handlers pass on in registers. */
struct regs {
	const uint8_t *pc, *end;
	uint8_t *sp, *floor, *max;
};

/* ---- messages ---- */

RARE const char *instr_text(const struct checker *k)
{
	const uint8_t *p = k->op_pc;
	if (*p == 0xfc && k->c.end - p > 1 && (p[1] & 0x7f) < OPCODE_FC_COUNT)
		return opcodes_fc[p[1] & 0x7f].text;
	return opcodes[*p].text ? opcodes[*p].text : "";
}

#define FAIL(k, e, ...) ((k)->err = cur_fail(&(k)->c, (k)->op_pc, (e), __VA_ARGS__), false)

RARE bool fail_type(struct checker *k, uint8_t want, uint8_t found)
{
	return FAIL(k, ERR_INVALID, "type mismatch: %s wants %s, found %s", instr_text(k),
	            want ? valtype_name(want) : "an operand",
	            found ? valtype_name(found) : "nothing");
}

RARE bool fail_index(struct checker *k, const char *what, uint32_t index)
{
	return FAIL(k, ERR_INVALID, "unknown %s %u", what, index);
}

/* ---- immediates ---- */

/* A number of several bytes, or one that is wrong. */
RARE bool number_slow(struct checker *k, struct regs *r, uint32_t *out)
{
	struct cursor c = k->c;
	c.p = r->pc;
	k->err = cur_u32(&c, out);
	r->pc = c.p;
	return k->err == ERR_OK;
}

static __attribute__((noinline)) bool number_long(struct checker *k, struct regs *r, uint32_t *out)
{
	const uint8_t *p = r->pc;
	uint32_t v = 0;
	/* Linkers pad what they may have to change to five bytes: that is as common as the short form. */
	for (unsigned shift = 0; shift < 35 && p < r->end; shift += 7) {
		uint8_t b = *p++;
		if (shift == 28 && b > 0x0f)
			break;
		v |= (uint32_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			r->pc = p;
			*out = v;
			return true;
		}
	}
	return number_slow(k, r, out);
}

INLINE bool number(struct checker *k, struct regs *r, uint32_t *out)
{
	if (LIKELY(r->pc < r->end && *r->pc < 0x80)) {
		*out = *r->pc++;
		return true;
	}
	/* A copy, so that the registers need not live in memory. */
	struct regs copy = {.pc = r->pc, .end = r->end};
	bool ok = number_long(k, &copy, out);
	r->pc = copy.pc;
	return ok;
}

static __attribute__((noinline)) const uint8_t *skip_signed(struct checker *k, const uint8_t *pc,
                                                            unsigned bits)
{
	struct cursor c = k->c;
	int32_t i32;
	int64_t i64;
	/* Five bytes of 32 bits: the last one holds four, and its other bits repeat the sign. */
	for (unsigned i = 0; i < 5 && pc + i < c.end; i++) {
		if (i == 4 && bits == 32 && (pc[4] & 0x78) != 0 && (pc[4] & 0x78) != 0x78)
			break;
		if (!(pc[i] & 0x80))
			return pc + i + 1;
	}
	c.p = pc;
	k->err = bits == 32 ? cur_s32(&c, &i32) : cur_s64(&c, &i64);
	return k->err == ERR_OK ? c.p : NULL;
}

INLINE bool step_const(struct checker *k, struct regs *r, unsigned bits)
{
	if (LIKELY(r->pc < r->end && *r->pc < 0x80)) {
		r->pc++;
		return true;
	}
	const uint8_t *pc = skip_signed(k, r->pc, bits);
	if (!pc)
		return false;
	r->pc = pc;
	return true;
}

INLINE bool skip_fixed(struct checker *k, struct regs *r, unsigned size)
{
	if (UNLIKELY((size_t)(r->end - r->pc) < size))
		return FAIL(k, ERR_MALFORMED, "unexpected end of section or function");
	r->pc += size;
	return true;
}

/* ---- operands ---- */

INLINE struct frame *top(struct checker *k)
{
	return &k->frames[k->nframes - 1];
}

INLINE bool push(struct checker *k, struct regs *r, uint8_t type)
{
	*r->sp++ = type;
	if (UNLIKELY(r->sp > r->max)) {
		r->max = r->sp;
		if (UNLIKELY(r->sp > k->stack_end))
			return FAIL(k, ERR_LIMIT, "more than %d operands on the stack",
			            LIMIT_STACK_HEIGHT);
	}
	return true;
}

static bool push_all(struct checker *k, struct regs *r, const uint8_t *types, uint32_t n)
{
	if (n == 0)
		return true;
	if (n > (size_t)(k->stack_end - r->sp))
		return FAIL(k, ERR_LIMIT, "more than %d operands on the stack", LIMIT_STACK_HEIGHT);
	memcpy(r->sp, types, n);
	r->sp += n;
	if (r->sp > r->max)
		r->max = r->sp;
	return true;
}

/* Pops whatever is there; VT_ANY in unreachable code. */
INLINE bool pop_any(struct checker *k, struct regs *r, uint8_t *type)
{
	if (LIKELY(r->sp > r->floor)) {
		*type = *--r->sp;
		return true;
	}
	*type = VT_ANY;
	return top(k)->unreachable || fail_type(k, 0, 0);
}

INLINE bool pop(struct checker *k, struct regs *r, uint8_t want)
{
	uint8_t found;
	if (LIKELY(r->sp > r->floor && r->sp[-1] == want)) {
		r->sp--;
		return true;
	}
	if (r->sp == r->floor)
		return top(k)->unreachable || fail_type(k, want, 0);
	found = *--r->sp;
	return found == VT_ANY || want == VT_ANY || fail_type(k, want, found);
}

static bool pop_all(struct checker *k, struct regs *r, const uint8_t *types, uint32_t n)
{
	if (n == 0)
		return true;
	if (n <= (size_t)(r->sp - r->floor) && memcmp(r->sp - n, types, n) == 0) {
		r->sp -= n;
		return true;
	}
	for (uint32_t i = n; i-- > 0;)
		if (!pop(k, r, types[i]))
			return false;
	return true;
}

static void set_unreachable(struct checker *k, struct regs *r)
{
	r->sp = r->floor;
	top(k)->unreachable = true;
}

INLINE uint8_t letter_type(char letter)
{
	return letter == 'i'   ? VT_I32
	       : letter == 'I' ? VT_I64
	       : letter == 'f' ? VT_F32
	       : letter == 'F' ? VT_F64
	                       : VT_FUNCREF;
}

/* The operands and results of an instruction as opcodes.def spells them. */
INLINE bool pop_letters(struct checker *k, struct regs *r, const char *letters)
{
	for (unsigned i = (unsigned)__builtin_strlen(letters); i-- > 0;)
		if (!pop(k, r, letter_type(letters[i])))
			return false;
	return true;
}

INLINE bool step_fixed(struct checker *k, struct regs *r, const char *operands, const char *results)
{
	unsigned n = (unsigned)__builtin_strlen(operands);
	bool same = (size_t)(r->sp - r->floor) >= n;
	for (unsigned i = 0; i < n; i++)
		same = same && r->sp[(int)i - (int)n] == letter_type(operands[i]);
	if (LIKELY(same))
		r->sp -= n;
	else if (!pop_letters(k, r, operands))
		return false;
	return !results[0] || push(k, r, letter_type(results[0]));
}

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

INLINE bool is_valtype(uint8_t b)
{
	return (b >= VT_F64 && b <= VT_I32) || b == VT_FUNCREF || b == VT_EXTERNREF;
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

/* The innermost block is over: its results become operands of the block around it. */
INLINE bool close_frame(struct checker *k, struct regs *r)
{
	const struct frame *f = top(k);
	r->sp = r->floor;
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

INLINE bool step_call_indirect(struct checker *k, struct regs *r)
{
	uint32_t index;
	const struct tabletype *t;
	if (!number(k, r, &index) || !table_index(k, r, &t))
		return false;
	if (index >= k->m->ntypes)
		return fail_index(k, "type", index);
	if (t->reftype != VT_FUNCREF)
		return fail_type(k, VT_FUNCREF, t->reftype);
	return pop(k, r, VT_I32) && apply(k, r, &k->m->types[index]);
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

/* ---- variables, parametric instructions, references ---- */

INLINE bool local_type(struct checker *k, struct regs *r, uint8_t *type)
{
	uint32_t index;
	if (!number(k, r, &index))
		return false;
	if (UNLIKELY(index >= k->nlocals))
		return fail_index(k, "local", index);
	*type = k->locals[index];
	return true;
}

INLINE bool step_local(struct checker *k, struct regs *r, uint32_t op)
{
	uint8_t type;
	if (!local_type(k, r, &type))
		return false;
	return (op == WOP_local_get || pop(k, r, type)) &&
	       (op == WOP_local_set || push(k, r, type));
}

INLINE bool step_global(struct checker *k, struct regs *r, uint32_t op)
{
	uint32_t index;
	if (!number(k, r, &index))
		return false;
	if (UNLIKELY(index >= k->m->nglobals))
		return fail_index(k, "global", index);
	const struct globaltype *t = &k->m->globals[index].type;
	if (op == WOP_global_get)
		return push(k, r, t->type);
	if (!t->mut)
		return FAIL(k, ERR_INVALID,
		            "global is immutable: global.set of immutable global %u", index);
	return pop(k, r, t->type);
}

INLINE bool step_drop(struct checker *k, struct regs *r)
{
	uint8_t type;
	return pop_any(k, r, &type);
}

RARE bool select_slow(struct checker *k, struct regs *r)
{
	uint8_t a, b;
	if (!pop(k, r, VT_I32) || !pop_any(k, r, &b) || !pop_any(k, r, &a))
		return false;
	if (a == VT_FUNCREF || a == VT_EXTERNREF || b == VT_FUNCREF || b == VT_EXTERNREF)
		return FAIL(k, ERR_INVALID, "type mismatch: select of references needs a type");
	if (a != b && a != VT_ANY && b != VT_ANY)
		return fail_type(k, a, b);
	return push(k, r, a == VT_ANY ? b : a);
}

INLINE bool step_select(struct checker *k, struct regs *r)
{
	if (LIKELY(r->sp - r->floor >= 3 && r->sp[-1] == VT_I32 && r->sp[-2] == r->sp[-3] &&
	           r->sp[-2] >= VT_F64)) {
		r->sp -= 2;
		return true;
	}
	return select_slow(k, r);
}

static bool read_type(struct checker *k, struct regs *r, uint8_t *type, bool ref)
{
	struct cursor c = k->c;
	c.p = r->pc;
	k->err = ref ? cur_reftype(&c, type) : cur_valtype(&c, type);
	r->pc = c.p;
	return k->err == ERR_OK;
}

INLINE bool step_select_t(struct checker *k, struct regs *r)
{
	uint32_t n;
	uint8_t type;
	if (!number(k, r, &n))
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!read_type(k, r, &type, false))
			return false;
	if (n != 1)
		return FAIL(k, ERR_INVALID, "invalid result arity: select of %u types", n);
	return pop(k, r, VT_I32) && pop(k, r, type) && pop(k, r, type) && push(k, r, type);
}

INLINE bool step_ref_null(struct checker *k, struct regs *r)
{
	uint8_t type;
	return read_type(k, r, &type, true) && push(k, r, type);
}

INLINE bool step_ref_is_null(struct checker *k, struct regs *r)
{
	uint8_t type;
	if (!pop_any(k, r, &type))
		return false;
	if (type != VT_ANY && type != VT_FUNCREF && type != VT_EXTERNREF)
		return FAIL(k, ERR_INVALID,
		            "type mismatch: ref.is_null wants a reference, found %s",
		            valtype_name(type));
	return push(k, r, VT_I32);
}

/* ---- memory and tables ---- */

RARE bool fail_no_memory(struct checker *k)
{
	return fail_index(k, "memory", 0);
}

INLINE bool memarg(struct checker *k, struct regs *r, unsigned natural_log2)
{
	uint32_t align, offset;
	if (!number(k, r, &align) || !number(k, r, &offset))
		return false;
	if (UNLIKELY(k->m->nmems == 0))
		return fail_no_memory(k);
	if (UNLIKELY(align > natural_log2))
		return align >= 32
		           ? FAIL(k, ERR_MALFORMED, "malformed memop flags %u", align)
		           : FAIL(k, ERR_INVALID,
		                  "alignment must not be larger than natural: 2**%u", align);
	return true;
}

/* A memory index of an instruction that can only be about memory 0: one zero byte. */
INLINE bool zero_byte(struct checker *k, struct regs *r)
{
	if (UNLIKELY(r->pc == r->end))
		return FAIL(k, ERR_MALFORMED, "unexpected end of section or function");
	if (UNLIKELY(*r->pc != 0))
		return FAIL(k, ERR_MALFORMED, "zero byte expected");
	r->pc++;
	return k->m->nmems > 0 || fail_no_memory(k);
}

INLINE bool data_index(struct checker *k, struct regs *r)
{
	uint32_t index;
	if (!number(k, r, &index))
		return false;
	if (!k->m->has_datacount && k->m->ndatas)
		return FAIL(k, ERR_MALFORMED, "data count section required");
	return index < k->m->ndatas || fail_index(k, "data segment", index);
}

INLINE bool elem_index(struct checker *k, uint32_t index, uint8_t *reftype)
{
	if (index >= k->m->nelems)
		return fail_index(k, "elem segment", index);
	*reftype = k->m->elems[index].reftype;
	return true;
}

INLINE bool elem_drop(struct checker *k, struct regs *r)
{
	uint32_t index;
	uint8_t reftype;
	return number(k, r, &index) && elem_index(k, index, &reftype);
}

INLINE bool step_table(struct checker *k, struct regs *r, uint32_t op)
{
	const struct tabletype *t;
	if (!table_index(k, r, &t))
		return false;
	switch (op) {
	case WOP_table_get: return pop(k, r, VT_I32) && push(k, r, t->reftype);
	case WOP_table_set: return pop(k, r, t->reftype) && pop(k, r, VT_I32);
	case WOP_table_grow:
		return pop(k, r, VT_I32) && pop(k, r, t->reftype) && push(k, r, VT_I32);
	case WOP_table_fill: return pop(k, r, VT_I32) && pop(k, r, t->reftype) && pop(k, r, VT_I32);
	default: return push(k, r, VT_I32); /* table.size */
	}
}

INLINE bool table_init_types(struct checker *k, struct regs *r)
{
	uint32_t index;
	uint8_t reftype;
	const struct tabletype *t;
	if (!number(k, r, &index) || !table_index(k, r, &t) || !elem_index(k, index, &reftype))
		return false;
	return t->reftype == reftype || fail_type(k, t->reftype, reftype);
}

INLINE bool table_copy_types(struct checker *k, struct regs *r)
{
	const struct tabletype *to, *from;
	if (!table_index(k, r, &to) || !table_index(k, r, &from))
		return false;
	return to->reftype == from->reftype || fail_type(k, to->reftype, from->reftype);
}

/* ---- one step ---- */

/* Immediates that leave the operands and results to opcodes.def. */
INLINE bool step_immediates(struct checker *k, struct regs *r, uint32_t imm)
{
	switch (imm) {
	case IMM_MEMARG1: return memarg(k, r, 0);
	case IMM_MEMARG2: return memarg(k, r, 1);
	case IMM_MEMARG4: return memarg(k, r, 2);
	case IMM_MEMARG8: return memarg(k, r, 3);
	case IMM_MEM: return zero_byte(k, r);
	case IMM_MEM_MEM: return zero_byte(k, r) && zero_byte(k, r);
	case IMM_DATA_MEM: return data_index(k, r) && zero_byte(k, r);
	case IMM_DATA: return data_index(k, r);
	case IMM_ELEM: return elem_drop(k, r);
	case IMM_ELEM_TABLE: return table_init_types(k, r);
	case IMM_TABLE_TABLE: return table_copy_types(k, r);
	case IMM_I32: return step_const(k, r, 32);
	case IMM_I64: return step_const(k, r, 64);
	case IMM_F32: return skip_fixed(k, r, 4);
	case IMM_F64: return skip_fixed(k, r, 8);
	default: return true;
	}
}

/* op is a constant in each handler: one case is left of this switch. */
INLINE bool step(struct checker *k, struct regs *r, uint32_t op, uint32_t imm, const char *operands,
                 const char *results)
{
	switch (op) {
	case WOP_unreachable: set_unreachable(k, r); return true;
	case WOP_block:
	case WOP_loop:
	case WOP_if: return step_block(k, r, (uint8_t)op);
	case WOP_else: return step_else(k, r);
	case WOP_end: return step_end(k, r);
	case WOP_br: return step_br(k, r);
	case WOP_br_if: return step_br_if(k, r);
	case WOP_br_table: return step_br_table(k, r);
	case WOP_return: return step_return(k, r);
	case WOP_call: return step_call(k, r);
	case WOP_call_indirect: return step_call_indirect(k, r);
	case WOP_drop: return step_drop(k, r);
	case WOP_select: return step_select(k, r);
	case WOP_select_t: return step_select_t(k, r);
	case WOP_local_get:
	case WOP_local_set:
	case WOP_local_tee: return step_local(k, r, op);
	case WOP_global_get:
	case WOP_global_set: return step_global(k, r, op);
	case WOP_ref_null: return step_ref_null(k, r);
	case WOP_ref_is_null: return step_ref_is_null(k, r);
	case WOP_ref_func: return step_ref_func(k, r);
	case WOP_table_get:
	case WOP_table_set:
	case WOP_table_grow:
	case WOP_table_size:
	case WOP_table_fill: return step_table(k, r, op);
	default: return step_immediates(k, r, imm) && step_fixed(k, r, operands, results);
	}
}

/* ---- handlers ---- */

#define ARGS                                                                                   \
	struct checker *k, const uint8_t *pc, const uint8_t *end, uint8_t *sp, uint8_t *floor, \
	    uint8_t *max
#define MUSTTAIL __attribute__((musttail))

typedef bool (*handler)(ARGS);
static const handler handlers[256];

RARE bool no_end(struct checker *k)
{
	return FAIL(k, ERR_MALFORMED, "unexpected end of section or function: END opcode expected");
}

#define HANDLER_BODY(length, op, imm, operands, results)                                    \
	{                                                                                   \
		struct regs r = {                                                           \
		    .pc = pc + (length), .end = end, .sp = sp, .floor = floor, .max = max}; \
		if ((length) == 1)                                                          \
			k->op_pc = pc;                                                      \
		if (UNLIKELY(!step(k, &r, op, imm, operands, results)))                     \
			return false;                                                       \
		if ((op) == WOP_end && UNLIKELY(k->nframes == 0))                           \
			return true;                                                        \
		if (UNLIKELY(r.pc >= end))                                                  \
			return no_end(k);                                                   \
		MUSTTAIL return handlers[*r.pc](k, r.pc, end, r.sp, r.floor, r.max);        \
	}

#define OP(code, ident, text, imm, operands, results) \
	static bool check_##ident(ARGS)               \
	    HANDLER_BODY((code) >= 0xfc00 ? 2 : 1, code, IMM_##imm, operands, results)
#include "engine/opcodes.def"
#undef OP

static bool check_illegal(ARGS)
{
	static const char *const later[] = {
	    [0x06] = "exceptions",
	    [0x07] = "exceptions",
	    [0x08] = "exceptions",
	    [0x09] = "exceptions",
	    [0x0a] = "exceptions",
	    [0x12] = "tail calls",
	    [0x13] = "tail calls",
	    [0x14] = "typed references",
	    [0x15] = "typed references",
	    [0x18] = "exceptions",
	    [0x19] = "exceptions",
	    [0x1f] = "exceptions",
	    [0xfb] = "garbage collection",
	    [0xfd] = "SIMD",
	    [0xfe] = "threads",
	};
	const char *name = *pc < sizeof later / sizeof later[0] ? later[*pc] : NULL;
	k->op_pc = pc;
	return FAIL(k, ERR_MALFORMED, "illegal opcode 0x%02x%s%s%s", *pc, name ? " (" : "",
	            name ? name : "", name ? " is not supported)" : "");
}

static const handler handlers_fc[OPCODE_FC_COUNT];

/* The sub-opcode is a number that may be padded: the handler wants its last byte right before what follows. */
static bool check_prefix_fc(ARGS)
{
	uint32_t sub;
	struct regs r = {.pc = pc + 1, .end = end};
	k->op_pc = pc;
	if (!number(k, &r, &sub))
		return false;
	if (sub >= OPCODE_FC_COUNT || !handlers_fc[sub])
		return FAIL(k, ERR_MALFORMED, "illegal opcode 0xfc 0x%02x", sub);
	MUSTTAIL return handlers_fc[sub](k, r.pc - 2, end, sp, floor, max);
}

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winitializer-overrides"
static const handler handlers[256] = {
    [0 ... 255] = check_illegal,
#define OP(code, ident, text, imm, operands, results) \
	[(code) < 0x100 ? (code) : 0xff] = (code) < 0x100 ? check_##ident : check_illegal,
#include "engine/opcodes.def"
#undef OP
    [0xfc] = check_prefix_fc,
};

static const handler handlers_fc[OPCODE_FC_COUNT] = {
#define OP(code, ident, text, imm, operands, results) \
	[(code) >= 0xfc00 ? (code) & 0xff : OPCODE_FC_COUNT - 1] = check_##ident,
#include "engine/opcodes.def"
#undef OP
};
#pragma clang diagnostic pop

/* ---- bodies ---- */

static enum err too_many_locals(const struct cursor *c, uint64_t n)
{
	if (n > UINT32_MAX)
		return cur_fail(c, c->p, ERR_MALFORMED, "too many locals");
	return cur_fail(c, c->p, ERR_LIMIT, "%llu locals, at most %d are allowed",
	                (unsigned long long)n, LIMIT_LOCALS);
}

static enum err read_locals(struct checker *k, struct cursor *c, const struct functype *t)
{
	uint32_t ngroups;
	uint64_t total = t->nparams;
	memcpy(k->locals, t->params, t->nparams);
	TRY(cur_count(c, LIMIT_BODY_BYTES, "groups of locals", &ngroups));
	enum err e = ERR_OK;
	for (uint32_t i = 0; i < ngroups; i++) {
		uint32_t n;
		uint8_t type;
		TRY(cur_u32(c, &n));
		TRY(cur_valtype(c, &type));
		if (total + n <= LIMIT_LOCALS)
			memset(k->locals + total, type, n);
		total += n;
	}
	if (total > LIMIT_LOCALS)
		e = too_many_locals(c, total);
	k->nlocals = (uint32_t)total;
	return e;
}

/* A module that is malformed is not looked at for validity: bytes further on may be worse than what was found. */
static enum err malformed_first(struct checker *k)
{
	if (k->err != ERR_INVALID)
		return k->err;
	struct cursor c = k->c;
	c.p = k->c.start + k->code_start;
	enum err e = skim_body(&c);
	return e == ERR_MALFORMED ? e : k->err;
}

static enum err check_body(struct checker *k, struct func *f, uint32_t funcidx)
{
	const struct functype *t = module_functype(k->m, funcidx);
	struct cursor c = k->c;
	c.func = funcidx;
	c.p = c.start + f->body_offset;
	c.end = c.p + f->body_size;
	k->c = c;
	TRY(read_locals(k, &c, t));
	f->nlocals = k->nlocals;
	f->code_start = (uint32_t)(c.p - k->c.p);
	k->code_start = (uint32_t)(c.p - c.start);
	k->op_pc = c.p;
	if (c.p == c.end) {
		no_end(k);
		return k->err;
	}
	k->frames[0] = (struct frame){.out = t->results, .nout = t->nresults, .op = WOP_block};
	k->nframes = 1;
	k->err = ERR_OK;
	if (!handlers[*c.p](k, c.p, c.end, k->stack, k->stack, k->stack))
		return malformed_first(k);
	f->max_height = (uint32_t)(k->max - k->stack);
	return ERR_OK;
}

static enum err checker_new(struct checker *k, const struct validation *v, struct errmsg *msg)
{
	*k = (struct checker){.v = v, .m = v->m};
	k->c = cursor_of(v->m->bytes, v->m->size, msg);
	k->c.where = "code section";
	k->locals = malloc(LIMIT_LOCALS);
	k->stack = malloc(LIMIT_STACK_HEIGHT + 1);
	k->stack_end = k->stack + LIMIT_STACK_HEIGHT;
	if (!k->locals || !k->stack || !grow_frames(k))
		return err_set(msg, ERR_NOMEM, "out of memory");
	return ERR_OK;
}

static void checker_free(struct checker *k)
{
	free(k->locals);
	free(k->stack);
	free(k->frames);
}

enum err validate_bodies(const struct validation *v, uint32_t from, uint32_t to, struct errmsg *msg)
{
	struct checker k;
	enum err e = checker_new(&k, v, msg);
	for (uint32_t i = from; i < to && e == ERR_OK; i++)
		e = check_body(&k, &v->m->funcs[i], v->m->nimport_funcs + i);
	checker_free(&k);
	return e;
}

enum err validate_body(const struct validation *v, struct checker **k, uint32_t i,
                       struct errmsg *msg)
{
	if (!*k) {
		struct checker *made = malloc(sizeof *made);
		enum err e = made ? checker_new(made, v, msg) : ERR_NOMEM;
		if (e != ERR_OK) {
			checker_close(made);
			return e;
		}
		*k = made;
	}
	(*k)->c = cursor_of(v->m->bytes, v->m->size, msg);
	(*k)->c.where = "code section";
	return check_body(*k, &v->m->funcs[i], v->m->nimport_funcs + i);
}

void checker_close(struct checker *k)
{
	if (!k)
		return;
	checker_free(k);
	free(k);
}
