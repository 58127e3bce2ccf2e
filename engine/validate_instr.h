/* validate_instr.h - all other instructions, and the one switch over all: step(). Part of validate_body.c, which alone
 * includes it.
 *
 * Most instructions are rows of opcodes.def that say all about their operands; here are those whose types depend on an
 * index (of a local, a global, a table) or on what stands on the stack.
 */
#pragma once

#include "engine/validate_control.h"

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
	if (is_reftype(a) || is_reftype(b))
		return FAIL(k, ERR_INVALID, "type mismatch: select of references needs a type");
	if (a != b && a != VT_ANY && b != VT_ANY)
		return fail_type(k, a, b);
	return push(k, r, a == VT_ANY ? b : a);
}

INLINE bool step_select(struct checker *k, struct regs *r)
{
	if (LIKELY(r->sp - r->floor >= 3 && r->sp[-1] == VT_I32 && r->sp[-2] == r->sp[-3] &&
	           r->sp[-2] >= VT_V128)) {
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
	if (type != VT_ANY && !is_reftype(type))
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

/* One byte below count. */
INLINE bool lane(struct checker *k, struct regs *r, unsigned count)
{
	if (UNLIKELY(r->pc == r->end))
		return FAIL(k, ERR_MALFORMED, "unexpected end of section or function");
	uint8_t x = *r->pc++;
	return LIKELY(x < count) ||
	       FAIL(k, ERR_INVALID, "invalid lane index %u: there are %u", x, count);
}

INLINE bool shuffle_lanes(struct checker *k, struct regs *r)
{
	for (unsigned i = 0; i < 16; i++)
		if (!lane(k, r, 32))
			return false;
	return true;
}

/* Of an atomic instruction: the alignment is the access' size. */
INLINE bool atomic_memarg(struct checker *k, struct regs *r, unsigned log2)
{
	uint32_t align, offset;
	if (!number(k, r, &align) || !number(k, r, &offset))
		return false;
	if (k->m->nmems == 0)
		return fail_no_memory(k);
	if (align != log2)
		return align >= 32
		           ? FAIL(k, ERR_MALFORMED, "malformed memop flags %u", align)
		           : FAIL(k, ERR_INVALID, "atomic alignment must be natural: 2**%u", align);
	return true;
}

INLINE bool fence(struct checker *k, struct regs *r)
{
	if (r->pc == r->end)
		return FAIL(k, ERR_MALFORMED, "unexpected end of section or function");
	return *r->pc++ == 0 || FAIL(k, ERR_MALFORMED, "zero byte expected");
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
	case IMM_MEMARG16: return memarg(k, r, 4);
	case IMM_MEMLANE1: return memarg(k, r, 0) && lane(k, r, 16);
	case IMM_MEMLANE2: return memarg(k, r, 1) && lane(k, r, 8);
	case IMM_MEMLANE4: return memarg(k, r, 2) && lane(k, r, 4);
	case IMM_MEMLANE8: return memarg(k, r, 3) && lane(k, r, 2);
	case IMM_LANE16: return lane(k, r, 16);
	case IMM_LANE8: return lane(k, r, 8);
	case IMM_LANE4: return lane(k, r, 4);
	case IMM_LANE2: return lane(k, r, 2);
	case IMM_SHUFFLE: return shuffle_lanes(k, r);
	case IMM_V128: return skip_fixed(k, r, 16);
	case IMM_ATOMIC1: return atomic_memarg(k, r, 0);
	case IMM_ATOMIC2: return atomic_memarg(k, r, 1);
	case IMM_ATOMIC4: return atomic_memarg(k, r, 2);
	case IMM_ATOMIC8: return atomic_memarg(k, r, 3);
	case IMM_FENCE: return fence(k, r);
	case IMM_MEM: return zero_byte(k, r);
	case IMM_MEM_MEM:
		return zero_byte(k, r) &&
		       zero_byte(k, r); // NOLINT(misc-redundant-expression): each reads one
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
	case WOP_try:
	case WOP_if: return step_block(k, r, (uint8_t)op);
	case WOP_try_table: return step_try_table(k, r);
	case WOP_catch:
	case WOP_catch_all: return step_catch(k, r, (uint8_t)op);
	case WOP_delegate: return step_delegate(k, r);
	case WOP_throw: return step_throw(k, r);
	case WOP_throw_ref: return step_throw_ref(k, r);
	case WOP_rethrow: return step_rethrow(k, r);
	case WOP_else: return step_else(k, r);
	case WOP_end: return step_end(k, r);
	case WOP_br: return step_br(k, r);
	case WOP_br_if: return step_br_if(k, r);
	case WOP_br_table: return step_br_table(k, r);
	case WOP_return: return step_return(k, r);
	case WOP_call: return step_call(k, r);
	case WOP_call_indirect: return step_call_indirect(k, r);
	case WOP_return_call: return step_return_call(k, r);
	case WOP_return_call_indirect: return step_return_call_indirect(k, r);
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
