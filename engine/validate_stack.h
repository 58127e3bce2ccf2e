/* validate_stack.h - what the handlers of validate_body.c work on: the checker and its registers, messages, immediates, and
 * the stack of operand types.
 *
 * Part of validate_body.c, which alone includes it; the machine is described there. Everything that is on the way of
 * most instructions is inlined into their handlers, so that the state stays in registers; what is rare is not.
 * A function that fails has written the message and k->err, and returns false.
 *
 *	if (!number(k, r, &index) || !pop(k, r, VT_I32))
 *		return false;
 */
#pragma once

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
	uint8_t op; /* of the block or its part: WOP_if, WOP_else ...; the body itself is a block */
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
	struct rd r = {.start = k->op_pc, .p = k->op_pc + 1, .end = k->c.end};
	uint32_t op = *k->op_pc, sub;
	if (is_prefix((uint8_t)op) && rd_leb_u32(&r, &sub) == ERR_OK &&
	    sub < opcode_count((uint8_t)op))
		op = op << 8 | sub;
	const char *text = opcode_row(op)->text;
	return text ? text : "";
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
	       : letter == 'V' ? VT_V128
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
