/* interp_fused.h - the handlers of instructions that do the work of two or three (iop.h: narrow only).
 *
 * A part of interp_body.h.
 */

/* ---- compare and branch ---- */

#define SF(k) ((int32_t)(int16_t)F(k))
#define CMP(name, T, condition, swapped, inverse)                         \
	DEF_BR1(br_##name##_SK, T, condition, GET_##T(F(0)), WORD_##T, 1) \
	DEF_BR1(br_##name##_AK, T, condition, ACC_##T, WORD_##T, 1)       \
	DEF_INC_BR(inc_br_##name##_I, T, condition, (T)(s64)SF(2))        \
	DEF_INC_BR(inc_br_##name##_S, T, condition, GET_##T(F(2)))        \
	DEF_SEL(sel_##name##_S, T, condition, GET_##T(WORD(0)))           \
	DEF_SEL(sel_##name##_I, T, condition, WORD_##T)
#define FCMP(name, T, condition, swapped)                                  \
	DEF_FBR1(br_##name##_SK, T, condition, GET_##T(F(0)), WORD_##T, 1) \
	DEF_FBR1(br_##name##_AK, T, condition, ACC_##T, WORD_##T, 1)
#define DEF_INC_BR(name, T, cond, B_)                \
	HANDLER(name)                                \
	{                                            \
		T a = GET_##T(F(0)) + (T)(s64)SF(1); \
		SET_##T(F(0), a);                    \
		T b = B_;                            \
		if (cond) {                          \
			pc += (int64_t)SF(3);        \
			POLL();                      \
			NEXT(0);                     \
		}                                    \
		NEXT(LEN);                           \
	}

#define DEF_SEL(name, T, cond, B_)                       \
	HANDLER(name##_R)                                \
	{                                                \
		T a = GET_##T(F(3)), b = B_;             \
		fp[F(0)] = (cond) ? fp[F(1)] : fp[F(2)]; \
		NEXT(LEN + 1);                           \
	}                                                \
	HANDLER(name##_A)                                \
	{                                                \
		T a = GET_##T(F(3)), b = B_;             \
		ia = (cond) ? fp[F(1)] : fp[F(2)];       \
		NEXT(LEN + 1);                           \
	}

/* ---- memory ---- */

#define EA_T ((u64)(u32)((ACC_u32 << F(1)) + (u32)IMM))

#define EA_W ((u64)(u32)(GET_u32(F(1)) + (u32)IMM))
#define EA_B ((u64)(u32)(GET_u32(F(1)) + ACC_u32) + (u32)IMM)
#define EA_X ((u64)(u32)(GET_u32(F(1)) + (GET_u32(F(2)) << (F(3) & 7))) + (F(3) >> 3))
#define EA_XA ((u64)(u32)(GET_u32(F(1)) + (ACC_u32 << (F(3) & 7))) + (F(3) >> 3))
#define LOAD(name, M, R, cast)                \
	DEF_LOAD1(name##_W, M, R, cast, EA_W) \
	DEF_LOAD1(name##_B, M, R, cast, EA_B) \
	DEF_LOAD1(name##_X, M, R, cast, EA_X) \
	DEF_LOAD1(name##_XA, M, R, cast, EA_XA) DEF_LOAD1(name##_T, M, R, cast, EA_T)
#define STORE(name, T, M)                                     \
	DEF_STORE1(name##_WS, T, M, EA_W, GET_##T(F(0)), 0)   \
	DEF_STORE1(name##_WC, T, M, EA_W, WORD_##T, 1)        \
	DEF_STORE1(name##_BS, T, M, EA_B, GET_##T(F(0)), 0)   \
	DEF_STORE1(name##_BC, T, M, EA_B, WORD_##T, 1)        \
	DEF_STORE1(name##_XS, T, M, EA_X, GET_##T(F(0)), 0)   \
	DEF_STORE1(name##_XC, T, M, EA_X, WORD_##T, 1)        \
	DEF_STORE1(name##_XAS, T, M, EA_XA, GET_##T(F(0)), 0) \
	DEF_STORE1(name##_XAC, T, M, EA_XA, WORD_##T, 1)
#include "engine/iops.def"

/* ---- arithmetic ---- */

/* Handlers with a result expression; a is bound to A_. */
#define DEF_FUSED(name, T, A_, rest) \
	HANDLER(name##_R)            \
	{                            \
		T a = A_, r;         \
		rest;                \
		SET_##T(F(0), r);    \
		NEXT(LEN);           \
	}                            \
	HANDLER(name##_A)            \
	{                            \
		T a = A_, r;         \
		rest;                \
		SETACC_##T(r);       \
		NEXT(LEN);           \
	}
#define SHIFT(name, T, shift, op)                                                            \
	DEF_FUSED(name##_SS, T, GET_##T(F(1)), T k = F(3); r = shift(a, k) op GET_##T(F(2))) \
	DEF_FUSED(name##_AS, T, ACC_##T, T k = F(3); r = shift(a, k) op GET_##T(F(2)))
#define BITS(name, T)                                               \
	DEF_FUSED(name##_S, T, GET_##T(F(1)), r = a >> F(2) & F(3)) \
	DEF_FUSED(name##_A, T, ACC_##T, r = a >> F(2) & F(3))
#define MULADD(name, T, body)                                                                  \
	DEF_FUSED(name##_SS, T, GET_##T(F(1)), T b = GET_##T(F(2)); T c = GET_##T(F(3)); body) \
	DEF_FUSED(name##_AS, T, ACC_##T, T b = GET_##T(F(2)); T c = GET_##T(F(3)); body)
#define TEST(name, T, condition) DEF_BR(name, T, condition)
#define EA_LDBR ((u64)GET_u32(F(0)) + (u32)WORD(0))
#define DEF_LDBR(name, M, cast, cond)                                              \
	HANDLER(name)                                                              \
	{                                                                          \
		u64 ea = EA_LDBR;                                                  \
		CHECK_MEM(ea, sizeof(M));                                          \
		u32 a = (u32)(cast) * (const M##_ua *)(mem + ea), b = (u32)BR_IMM; \
		if (cond)                                                          \
			NEXT((int64_t)IMM);                                        \
		NEXT(LEN + 1);                                                     \
	}                                                                          \
	HANDLER(name##_B)                                                          \
	{                                                                          \
		u64 ea = EA_LDBR;                                                  \
		CHECK_MEM(ea, sizeof(M));                                          \
		u32 a = (u32)(cast) * (const M##_ua *)(mem + ea), b = (u32)BR_IMM; \
		if (cond) {                                                        \
			pc += (int64_t)IMM;                                        \
			POLL();                                                    \
			NEXT(0);                                                   \
		}                                                                  \
		NEXT(LEN + 1);                                                     \
	}
#define LDBR(name, M, cast) \
	DEF_LDBR(br_##name##_eq, M, cast, a == b) DEF_LDBR(br_##name##_ne, M, cast, a != b)
#include "engine/fused.def"

HANDLER(br_table_ld8)
{
	u64 ea = EA_LDBR;
	CHECK_MEM(ea, 1);
	u32 i = mem[ea], n = (u32)IMM;
	const int32_t *to = (const int32_t *)(pc + LEN + 1);
	NEXT((int64_t)to[i < n ? i : n]);
}

HANDLER(copy2)
{
	fp[F(0)] = fp[F(1)];
	fp[F(2)] = fp[F(3)];
	NEXT(LEN);
}

HANDLER(inc2)
{
	SET_u32(F(0), GET_u32(F(0)) + (u32)SF(1));
	SET_u32(F(2), GET_u32(F(2)) + (u32)SF(3));
	NEXT(LEN);
}
