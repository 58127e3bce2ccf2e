/* iop.h - the interpreter's instructions as numbers, and how one is laid out in memory.
 *
 * An instruction is a handler's address (8 bytes), then four fields f0..f3, then, for some, whole words:
 *
 *	narrow:  [handler][f0:16 f1:16 f2:16 f3:16][words ...]     slots below 65,536
 *	wide:    [handler][f0:32 f1:32][f2:32 f3:32][words ...]    functions with more, and all vector instructions (simd.def)
 *
 * In the narrow form f2 and f3 together, in the wide form f2, hold a 32-bit imm. f0 is where the result goes.
 * Operand modes, in the order of the variants of a family:
 *
 *	BIN, CMP, FCMP   SS SI AS AI SA   (S slot, I imm or, for floats and wide values, a word; A accumulator)
 *	UN               S A
 *	LOAD             S A I            address from slot, accumulator, or none: imm is all of it
 *	STORE            SS SA AS IS IA SC AC IC   address, value; C: a word
 *
 * each of BIN, CMP, FCMP, UN, LOAD, RES in two forms, _R to slot f0 and, next to it, _A to the accumulator of the result's
 * class. Fused compare and branch: br_<cmp> in the modes of BIN, each forward and _B (backward: polls);
 * for floats SS AS SA, each also _N (when not).
 *
 * Narrow only (fused.def, and variants of the families above):
 *
 *	br_<cmp>         SK AK            K: a word
 *	inc_br_<cmp>     I S              f0 += f1 (signed); back by f3 (signed) when f0 compares to f2, an imm or a slot
 *	sel_<cmp>        S I              f0 = f1 or f2, as f3 compares to a slot or constant, a word
 *	LOAD             W B X XA T       address: slot + imm; accumulator + slot, imm the offset; slot f1 + (slot f2 or
 *	                                  accumulator << k), f3 = k | offset << 3; each sum before the offset wraps;
 *	                                  T: (accumulator << f1) + imm
 *	STORE            WS WC BS BC XS XC XAS XAC
 */
#pragma once

#include "engine/exec.h"

enum bin_mode { BIN_SS, BIN_SI, BIN_AS, BIN_AI, BIN_SA };
enum load_mode { LOAD_S, LOAD_A, LOAD_I };
enum store_mode { STORE_SS, STORE_SA, STORE_AS, STORE_IS, STORE_IA, STORE_SC, STORE_AC, STORE_IC };
enum fbr_mode { FBR_SS, FBR_AS, FBR_SA };
enum loadf_mode { LOAD_W, LOAD_B, LOAD_X, LOAD_XA, LOAD_T };

#define IOP_PAIR(X, n) X(n##_R) X(n##_A)
#define IOP_BIN(X, n)       \
	IOP_PAIR(X, n##_SS) \
	IOP_PAIR(X, n##_SI) IOP_PAIR(X, n##_AS) IOP_PAIR(X, n##_AI) IOP_PAIR(X, n##_SA)
#define IOP_UN(X, n) IOP_PAIR(X, n##_S) IOP_PAIR(X, n##_A)
#define IOP_LOAD(X, n) IOP_PAIR(X, n##_S) IOP_PAIR(X, n##_A) IOP_PAIR(X, n##_I)
#define IOP_STORE(X, n) \
	X(n##_SS) X(n##_SA) X(n##_AS) X(n##_IS) X(n##_IA) X(n##_SC) X(n##_AC) X(n##_IC)
#define IOP_BR1(X, n) X(n) X(n##_B)
#define IOP_BR(X, n)            \
	IOP_BR1(X, br_##n##_SS) \
	IOP_BR1(X, br_##n##_SI) \
	IOP_BR1(X, br_##n##_AS) IOP_BR1(X, br_##n##_AI) IOP_BR1(X, br_##n##_SA)
#define IOP_FBR1(X, n) IOP_BR1(X, n) IOP_BR1(X, n##_N)
#define IOP_FBR(X, n) IOP_FBR1(X, br_##n##_SS) IOP_FBR1(X, br_##n##_AS) IOP_FBR1(X, br_##n##_SA)

#define IOP_BRK(X, n)           \
	IOP_BR1(X, br_##n##_SK) \
	IOP_BR1(X, br_##n##_AK) \
	X(inc_br_##n##_I) X(inc_br_##n##_S) IOP_PAIR(X, sel_##n##_S) IOP_PAIR(X, sel_##n##_I)
#define IOP_FBRK(X, n) IOP_FBR1(X, br_##n##_SK) IOP_FBR1(X, br_##n##_AK)
#define IOP_LOADF(X, n)    \
	IOP_PAIR(X, n##_W) \
	IOP_PAIR(X, n##_B) IOP_PAIR(X, n##_X) IOP_PAIR(X, n##_XA) IOP_PAIR(X, n##_T)
#define IOP_STOREF(X, n) \
	X(n##_WS) X(n##_WC) X(n##_BS) X(n##_BC) X(n##_XS) X(n##_XC) X(n##_XAS) X(n##_XAC)
#define IOP_VADDRESS(X, n) X(n##_S) X(n##_W) X(n##_B) X(n##_X) X(n##_XA)
#define IOP_LDBR(X, n) IOP_BR1(X, br_##n##_eq) IOP_BR1(X, br_##n##_ne)
#define IOP_SHIFT(X, n) IOP_PAIR(X, n##_SS) IOP_PAIR(X, n##_AS)

/* Every instruction once; from IOP_FUSED on, narrow only. */
#define IOP_ENUM(n) IOP_##n,
enum iop {
#define BIN(name, T, R, commutes, body) IOP_BIN(IOP_ENUM, name)
#define CMP(name, T, condition, swapped, inverse) IOP_BIN(IOP_ENUM, name) IOP_BR(IOP_ENUM, name)
#define FCMP(name, T, condition, swapped) IOP_BIN(IOP_ENUM, name) IOP_FBR(IOP_ENUM, name)
#define BINX(name, T, R, body) IOP_BIN(IOP_ENUM, name)
#define UN(name, T, R, body) IOP_UN(IOP_ENUM, name)
#define LOAD(name, M, R, cast) IOP_LOAD(IOP_ENUM, name)
#define STORE(name, T, M) IOP_STORE(IOP_ENUM, name)
#define RES(name) IOP_PAIR(IOP_ENUM, name)
#define ONE(name) IOP_ENUM(name)
#include "engine/iops.def"
	IOP_FUSED,
	IOP_before_fused = IOP_FUSED - 1,
#define CMP(name, T, condition, swapped, inverse) IOP_BRK(IOP_ENUM, name)
#define FCMP(name, T, condition, swapped) IOP_FBRK(IOP_ENUM, name)
#define LOAD(name, M, R, cast) IOP_LOADF(IOP_ENUM, name)
#define STORE(name, T, M) IOP_STOREF(IOP_ENUM, name)
#include "engine/iops.def"
#define SHIFT(name, T, shift, op) IOP_SHIFT(IOP_ENUM, name)
#define BITS(name, T) IOP_UN(IOP_ENUM, name)
#define MULADD(name, T, body) IOP_SHIFT(IOP_ENUM, name)
#define TEST(name, T, condition) IOP_BR(IOP_ENUM, name)
#define LDBR(name, M, cast) IOP_LDBR(IOP_ENUM, name)
#define ONE(name) IOP_ENUM(name)
#include "engine/fused.def"
	IOP_COUNT,
	/* Vectors (simd.def), of one form; those up to IOP_NO_VECTOR write a vector to slot f0. */
	IOP_SIMD = IOP_COUNT,
	IOP_before_simd = IOP_SIMD - 1,
#define VBIN(name, T, R, body) IOP_ENUM(name)
#define VUN(name, T, R, body) IOP_ENUM(name)
#define VTERN(name, T, body) IOP_ENUM(name)
#define VSHIFT(name, T, E, body) IOP_ENUM(name##_S) IOP_ENUM(name##_I)
#define VSPLAT(name, V, E, T) IOP_ENUM(name)
#define VREPLACE(name, E) IOP_ENUM(name)
#define VLOAD(name, M, body) IOP_VADDRESS(IOP_ENUM, name)
#define VLOADLANE(name, E) IOP_ENUM(name)
#define VONE(name) IOP_ENUM(name)
#include "engine/simd.def"
	IOP_NO_VECTOR,
	IOP_before_no_vector = IOP_NO_VECTOR - 1,
#define VEXTRACT(name, E, R) IOP_PAIR(IOP_ENUM, name)
#define VTEST(name, T, body) IOP_PAIR(IOP_ENUM, name)
#define VSTORE(name) IOP_VADDRESS(IOP_ENUM, name)
#define VSTORELANE(name, E) IOP_ENUM(name)
#define NONE(name) IOP_ENUM(name)
#include "engine/simd.def"
	IOP_ALL
};

#define HANDLER_CC __attribute__((preserve_none))
typedef HANDLER_CC void (*handler)(const uint64_t *pc, uint64_t *fp, struct thread *t, uint8_t *mem,
                                   uint64_t ia, double fa);

extern const handler handlers_narrow[IOP_COUNT];
extern const handler handlers_wide[IOP_FUSED];
/* For both: from IOP_SIMD on. */
#define SIMD_LEN 3 /* words of one, without further words */
extern const handler handlers_simd[IOP_ALL - IOP_SIMD];

/* The helper of an instruction `slow`: operands and result stand at v[0..]. */
typedef enum trap (*slow_fn)(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm);

/* Instructions that belong to no function: where the outermost call returns to; where a call returns to whose callee
 * was replaced, by a tail call, with a function of another instance. */
extern const handler thread_end_code[];
extern const handler resync_back_code[];
/* Where a thread stands that was stopped on the way from a throw to what catches it. */
extern const handler unwind_code[];

/* Where a frame that called goes on in its own code. */
static inline const uint64_t *frame_pc(const struct frame *f)
{
	return f->pc == (const uint64_t *)resync_back_code ? f->back : f->pc;
}
