/* skim.c - immediates by their kind in opcodes.def. */
#include "engine/skim.h"

#include "engine/opcode.h"

static enum err skim_indices(struct cursor *c, unsigned n)
{
	uint32_t index;
	while (n-- > 0)
		TRY(cur_u32(c, &index));
	return ERR_OK;
}

/* The row of what stands behind a prefix. */
static enum err skim_prefixed(struct cursor *c, const uint8_t *at, uint8_t prefix, uint32_t *op,
                              const struct opcode **row)
{
	uint32_t sub;
	TRY(cur_u32(c, &sub));
	if (sub >= opcode_count(prefix))
		return cur_fail(c, at, ERR_MALFORMED, "illegal opcode 0x%02x 0x%02x", prefix, sub);
	*op = (uint32_t)prefix << 8 | sub;
	*row = opcode_row(*op);
	return ERR_OK;
}

static enum err skim_zero(struct cursor *c)
{
	const uint8_t *at = c->p;
	uint8_t zero;
	TRY(cur_u8(c, &zero));
	return zero ? cur_fail(c, at, ERR_MALFORMED, "zero byte expected") : ERR_OK;
}

static enum err skim_br_table(struct cursor *c)
{
	uint32_t n;
	TRY(cur_count(c, UINT32_MAX, "labels", &n));
	return skim_indices(c, n + 1);
}

static enum err skim_types(struct cursor *c)
{
	uint32_t n;
	uint8_t type;
	TRY(cur_count(c, UINT32_MAX, "types", &n));
	while (n-- > 0)
		TRY(cur_valtype(c, &type));
	return ERR_OK;
}

static enum err skim_block_type(struct cursor *c)
{
	const uint8_t *at = c->p;
	int64_t type;
	uint8_t valtype;
	TRY(cur_s33(c, &type));
	if (type >= 0 || type == -64)
		return ERR_OK;
	c->p = at;
	return cur_valtype(c, &valtype);
}

static enum err skim_catches(struct cursor *c)
{
	uint32_t n;
	uint8_t kind;
	TRY(cur_count(c, UINT32_MAX, "catch clauses", &n));
	while (n-- > 0) {
		const uint8_t *at = c->p;
		TRY(cur_u8(c, &kind));
		if (kind > 3)
			return cur_fail(c, at, ERR_MALFORMED, "malformed catch clause 0x%02x",
			                kind);
		TRY(skim_indices(c, kind < 2 ? 2 : 1));
	}
	return ERR_OK;
}

static enum err skim_memarg(struct cursor *c)
{
	const uint8_t *at = c->p;
	uint32_t align, offset;
	TRY(cur_u32(c, &align));
	TRY(cur_u32(c, &offset));
	return align < 32 ? ERR_OK
	                  : cur_fail(c, at, ERR_MALFORMED, "malformed memop flags %u", align);
}

static enum err skim_immediates(struct cursor *c, uint8_t imm)
{
	int32_t i32;
	int64_t i64;
	uint8_t type;
	const uint8_t *bytes;
	switch (imm) {
	case IMM_BLOCK: return skim_block_type(c);
	case IMM_BR_TABLE: return skim_br_table(c);
	case IMM_TRY_TABLE: TRY(skim_block_type(c)); return skim_catches(c);
	case IMM_TAG:
	case IMM_LABEL:
	case IMM_FUNC:
	case IMM_LOCAL:
	case IMM_GLOBAL:
	case IMM_TABLE:
	case IMM_DATA:
	case IMM_ELEM: return skim_indices(c, 1);
	case IMM_CALL_INDIRECT:
	case IMM_ELEM_TABLE:
	case IMM_TABLE_TABLE: return skim_indices(c, 2);
	case IMM_MEMARG1:
	case IMM_MEMARG2:
	case IMM_MEMARG4:
	case IMM_MEMARG8:
	case IMM_MEMARG16:
	case IMM_ATOMIC1:
	case IMM_ATOMIC2:
	case IMM_ATOMIC4:
	case IMM_ATOMIC8: return skim_memarg(c);
	case IMM_MEMLANE1:
	case IMM_MEMLANE2:
	case IMM_MEMLANE4:
	case IMM_MEMLANE8: TRY(skim_memarg(c)); return cur_u8(c, &type);
	case IMM_LANE16:
	case IMM_LANE8:
	case IMM_LANE4:
	case IMM_LANE2: return cur_u8(c, &type);
	case IMM_V128:
	case IMM_SHUFFLE: return cur_skip(c, 16, &bytes);
	case IMM_FENCE:
	case IMM_MEM: return skim_zero(c);
	case IMM_MEM_MEM: TRY(skim_zero(c)); return skim_zero(c);
	case IMM_DATA_MEM: TRY(skim_indices(c, 1)); return skim_zero(c);
	case IMM_I32: return cur_s32(c, &i32);
	case IMM_I64: return cur_s64(c, &i64);
	case IMM_F32: return cur_skip(c, 4, &bytes);
	case IMM_F64: return cur_skip(c, 8, &bytes);
	case IMM_SELECT_T: return skim_types(c);
	case IMM_REFTYPE: return cur_reftype(c, &type);
	default: return ERR_OK;
	}
}

enum err skim_instr(struct cursor *c, uint32_t *op)
{
	const uint8_t *at = c->p;
	const struct opcode *row;
	uint8_t first;
	TRY(cur_u8(c, &first));
	*op = first;
	row = &opcodes[first];
	if (is_prefix(first))
		TRY(skim_prefixed(c, at, first, op, &row));
	if (!row->text)
		return cur_fail(c, at, ERR_MALFORMED, "illegal opcode 0x%02x", *op);
	return skim_immediates(c, row->imm);
}

enum err skim_body(struct cursor *c)
{
	uint32_t op, depth = 1;
	while (depth > 0) {
		TRY(skim_instr(c, &op));
		if (op == WOP_block || op == WOP_loop || op == WOP_if || op == WOP_try ||
		    op == WOP_try_table)
			depth++;
		else if (op == WOP_end || op == WOP_delegate)
			depth--;
	}
	if (c->p != c->end)
		return cur_fail(c, c->p, ERR_MALFORMED,
		                "section size mismatch: %zu bytes left over", cur_left(c));
	return ERR_OK;
}
