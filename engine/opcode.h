/* opcode.h - the list of wasm instructions as an enum, their immediates and their fixed types.
 *
 * Expanded from opcodes.def. Internal to engine/.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum imm_kind {
	IMM_NONE,
	IMM_BLOCK,         /* block type: s33 */
	IMM_LABEL,         /* u32 */
	IMM_BR_TABLE,      /* vec(u32) u32 */
	IMM_TAG,           /* u32 */
	IMM_TRY_TABLE,     /* block type, vec(kind u8, tag u32 when kind < 2, label u32) */
	IMM_FUNC,          /* u32 */
	IMM_CALL_INDIRECT, /* typeidx u32, tableidx u32 */
	IMM_LOCAL,         /* u32 */
	IMM_GLOBAL,        /* u32 */
	IMM_TABLE,         /* u32 */
	IMM_MEMARG1,       /* align u32, offset u32; the number is the access' size in bytes */
	IMM_MEMARG2,
	IMM_MEMARG4,
	IMM_MEMARG8,
	IMM_MEMARG16,
	IMM_MEMLANE1, /* the same and a lane: one byte, below 16 / the size */
	IMM_MEMLANE2,
	IMM_MEMLANE4,
	IMM_MEMLANE8,
	IMM_ATOMIC1, /* the same; the alignment is just the size */
	IMM_ATOMIC2,
	IMM_ATOMIC4,
	IMM_ATOMIC8,
	IMM_FENCE,       /* one zero byte */
	IMM_MEM,         /* memory index: one zero byte */
	IMM_MEM_MEM,     /* two of them */
	IMM_DATA_MEM,    /* dataidx u32, memory index */
	IMM_DATA,        /* u32 */
	IMM_ELEM,        /* u32 */
	IMM_ELEM_TABLE,  /* elemidx u32, tableidx u32 */
	IMM_TABLE_TABLE, /* destination u32, source u32 */
	IMM_I32,         /* s32 */
	IMM_I64,         /* s64 */
	IMM_F32,         /* 4 bytes */
	IMM_F64,         /* 8 bytes */
	IMM_V128,        /* 16 bytes */
	IMM_SHUFFLE,     /* 16 lanes below 32, one byte each */
	IMM_LANE16,      /* one byte, below that number */
	IMM_LANE8,
	IMM_LANE4,
	IMM_LANE2,
	IMM_SELECT_T, /* vec(valtype) of length 1 */
	IMM_REFTYPE,  /* one byte */
};

/* WOP_i32_add = 0x6a, WOP_memory_fill = 0xfc0b, WOP_v128_load = 0xfd00, ... */
enum wop {
#define OP(code, ident, text, imm, operands, results) WOP_##ident = code,
#include "engine/opcodes.def"
#undef OP
};

struct opcode {
	const char *text;     /* NULL: no such instruction */
	const char *operands; /* letters, "*": by hand */
	const char *results;
	uint8_t imm; /* enum imm_kind */
};

#define OPCODE_FC_COUNT 18
#define OPCODE_FD_COUNT 0x100
#define OPCODE_FE_COUNT 0x4f

/* One table for the plain opcodes, one for those behind each prefix (index: the sub-opcode, below its count; one place
 * more, which means nothing). */
extern const struct opcode opcodes[256];
extern const struct opcode opcodes_fc[OPCODE_FC_COUNT + 1];
extern const struct opcode opcodes_fd[OPCODE_FD_COUNT + 1];
extern const struct opcode opcodes_fe[OPCODE_FE_COUNT + 1];

/* The row of an opcode that is one, as enum wop counts. */
static inline const struct opcode *opcode_row(uint32_t op)
{
	return op < 0x100    ? &opcodes[op]
	       : op < 0xfd00 ? &opcodes_fc[op & 0xff]
	       : op < 0xfe00 ? &opcodes_fd[op & 0xff]
	                     : &opcodes_fe[op & 0xff];
}

static inline bool is_prefix(uint8_t op)
{
	return op >= 0xfc && op <= 0xfe;
}

/* How many sub-opcodes there may be behind a prefix. */
static inline uint32_t opcode_count(uint8_t prefix)
{
	return prefix == 0xfc   ? OPCODE_FC_COUNT
	       : prefix == 0xfd ? OPCODE_FD_COUNT
	                        : OPCODE_FE_COUNT;
}
