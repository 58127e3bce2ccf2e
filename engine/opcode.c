/* opcode.c - the tables behind opcode.h.
 *
 * Each table is written from the whole list: rows that belong to another one fall on a place that is
 * overwritten or means nothing (opcodes: marked as no instruction).
 */
#include "engine/opcode.h"

#pragma clang diagnostic ignored "-Winitializer-overrides"

const struct opcode opcodes[256] = {
#define OP(code, ident, txt, immediates, ops, res) \
	[(code) < 0x100 ? (code) : 0xff] = {(code) < 0x100 ? (txt) : 0, ops, res, IMM_##immediates},
#include "engine/opcodes.def"
#undef OP
};

#define PLACE(code, prefix, count) ((code) >> 8 == (prefix) ? (code) & 0xff : (count))

const struct opcode opcodes_fc[OPCODE_FC_COUNT + 1] = {
#define OP(code, ident, txt, immediates, ops, res) \
	[PLACE(code, 0xfc, OPCODE_FC_COUNT)] = {txt, ops, res, IMM_##immediates},
#include "engine/opcodes.def"
#undef OP
};

const struct opcode opcodes_fd[OPCODE_FD_COUNT + 1] = {
#define OP(code, ident, txt, immediates, ops, res) \
	[PLACE(code, 0xfd, OPCODE_FD_COUNT)] = {txt, ops, res, IMM_##immediates},
#include "engine/opcodes.def"
#undef OP
};

const struct opcode opcodes_fe[OPCODE_FE_COUNT + 1] = {
#define OP(code, ident, txt, immediates, ops, res) \
	[PLACE(code, 0xfe, OPCODE_FE_COUNT)] = {txt, ops, res, IMM_##immediates},
#include "engine/opcodes.def"
#undef OP
};
