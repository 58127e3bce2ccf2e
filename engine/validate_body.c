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
 *
 * validate_stack.h has the state, immediates and operands, validate_control.h blocks, branches and calls, validate_instr.h the
 * other instructions; here are the handlers and the bodies.
 */
#include "engine/validate_instr.h"

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
	    HANDLER_BODY((code) >= 0x100 ? 2 : 1, code, IMM_##imm, operands, results)
#include "engine/opcodes.def"
#undef OP

static bool check_illegal(ARGS)
{
	static const char *const later[] = {
	    [0x14] = "typed references",
	    [0x15] = "typed references",
	    [0xfb] = "garbage collection",
	};
	const char *name = *pc < sizeof later / sizeof later[0] ? later[*pc] : NULL;
	k->op_pc = pc;
	return FAIL(k, ERR_MALFORMED, "illegal opcode 0x%02x%s%s%s", *pc, name ? " (" : "",
	            name ? name : "", name ? " is not supported)" : "");
}

static const handler handlers_fc[OPCODE_FC_COUNT + 1];
static const handler handlers_fd[OPCODE_FD_COUNT + 1];
static const handler handlers_fe[OPCODE_FE_COUNT + 1];

/* The sub-opcode is a number that may be padded: the handler wants its last byte right before what follows. */
#define CHECK_PREFIX(name, table, count, prefix)                                                 \
	static bool name(ARGS)                                                                   \
	{                                                                                        \
		uint32_t sub;                                                                    \
		struct regs r = {.pc = pc + 1, .end = end};                                      \
		k->op_pc = pc;                                                                   \
		if (!number(k, &r, &sub))                                                        \
			return false;                                                            \
		if (sub >= (count) || !(table)[sub])                                             \
			return FAIL(k, ERR_MALFORMED, "illegal opcode " prefix " 0x%02x%s", sub, \
			            later_text(*pc, sub));                                       \
		MUSTTAIL return (table)[sub](k, r.pc - 2, end, sp, floor, max);                  \
	}

static const char *later_text(uint8_t prefix, uint32_t sub)
{
	bool relaxed = prefix == 0xfd && sub >= 0x100 && sub < 0x130;
	return relaxed ? " (relaxed SIMD is not supported)" : "";
}

CHECK_PREFIX(check_prefix_fc, handlers_fc, OPCODE_FC_COUNT, "0xfc")
CHECK_PREFIX(check_prefix_fd, handlers_fd, OPCODE_FD_COUNT, "0xfd")
CHECK_PREFIX(check_prefix_fe, handlers_fe, OPCODE_FE_COUNT, "0xfe")

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winitializer-overrides"
static const handler handlers[256] = {
    [0 ... 255] = check_illegal,
#define OP(code, ident, text, imm, operands, results) \
	[(code) < 0x100 ? (code) : 0xff] = (code) < 0x100 ? check_##ident : check_illegal,
#include "engine/opcodes.def"
#undef OP
    [0xfc] = check_prefix_fc,
    [0xfd] = check_prefix_fd,
    [0xfe] = check_prefix_fe,
};

static const handler handlers_fc[OPCODE_FC_COUNT + 1] = {
#define OP(code, ident, text, imm, operands, results) \
	[(code) >> 8 == 0xfc ? (code) & 0xff : OPCODE_FC_COUNT] = check_##ident,
#include "engine/opcodes.def"
#undef OP
};

static const handler handlers_fd[OPCODE_FD_COUNT + 1] = {
#define OP(code, ident, text, imm, operands, results) \
	[(code) >> 8 == 0xfd ? (code) & 0xff : OPCODE_FD_COUNT] = check_##ident,
#include "engine/opcodes.def"
#undef OP
};

static const handler handlers_fe[OPCODE_FE_COUNT + 1] = {
#define OP(code, ident, text, imm, operands, results) \
	[(code) >> 8 == 0xfe ? (code) & 0xff : OPCODE_FE_COUNT] = check_##ident,
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
	TRY(cur_count(c, LIMIT_LOCALS, "groups of locals", &ngroups));
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
