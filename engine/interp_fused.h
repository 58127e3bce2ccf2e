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
	DEF_INC_BR(inc_br_##name##_S, T, condition, GET_##T(F(2)))
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

/* ---- memory ---- */

#define EA_W ((u64)(u32)(GET_u32(F(1)) + (u32)IMM))
#define EA_B ((u64)(u32)(GET_u32(F(1)) + ACC_u32) + (u32)IMM)
#define EA_X ((u64)(u32)(GET_u32(F(1)) + (GET_u32(F(2)) << (F(3) & 7))) + (F(3) >> 3))
#define EA_XA ((u64)(u32)(GET_u32(F(1)) + (ACC_u32 << (F(3) & 7))) + (F(3) >> 3))
#define LOAD(name, M, R, cast)                \
	DEF_LOAD1(name##_W, M, R, cast, EA_W) \
	DEF_LOAD1(name##_B, M, R, cast, EA_B) \
	DEF_LOAD1(name##_X, M, R, cast, EA_X) DEF_LOAD1(name##_XA, M, R, cast, EA_XA)
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
#include "engine/fused.def"

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
