/* opcode.c - the tables behind opcode.h.
 *
 * Each table is written from the whole list: rows that belong to the other one fall on one index
 * that is overwritten (opcodes_fc: the last row of the list is its last) or marked as no
 * instruction (opcodes).
 */
#include "engine/opcode.h"

#pragma clang diagnostic ignored "-Winitializer-overrides"

const struct opcode opcodes[256] = {
#define OP(code, ident, txt, immediates, ops, res) \
	[(code) < 0x100 ? (code) : 0xff] = {(code) < 0x100 ? (txt) : 0, ops, res, IMM_##immediates},
#include "engine/opcodes.def"
#undef OP
};

const struct opcode opcodes_fc[OPCODE_FC_COUNT] = {
#define OP(code, ident, txt, immediates, ops, res)                                 \
	[(code) >= 0xfc00 ? (code) & 0xff : OPCODE_FC_COUNT - 1] = {txt, ops, res, \
	                                                            IMM_##immediates},
#include "engine/opcodes.def"
#undef OP
};
