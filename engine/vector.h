/* vector.h - a v128 as the compiler's vectors, and the operations on them that are more than one of its own. Internal.
 *
 * Written in clang's vector extensions, which become the processor's instructions on x86-64 (v2) and arm64. The one thing they do not
 * have, a table lookup with indices that are not constant, is lookup(), a file a processor (VECTOR_LOOKUP, chosen by meson). Every
 * result has the same bits on all machines: where the spec leaves a NaN open it is the canonical one.
 */
#pragma once

#include "engine/interp.h"

#define VECTOR(T, n)                                                   \
	typedef T T##x##n __attribute__((vector_size(sizeof(T) * n))); \
	typedef T##x##n T##x##n##_ua __attribute__((aligned(1), may_alias))
#define VECTORS(bits, n)    \
	VECTOR(u##bits, n); \
	VECTOR(s##bits, n)
VECTORS(8, 16);
VECTORS(8, 8);
VECTORS(16, 8);
VECTORS(16, 4);
VECTORS(32, 4);
VECTORS(32, 2);
VECTORS(64, 2);
VECTOR(f32, 2);
typedef f32x4 f32x4_ua __attribute__((aligned(1), may_alias));
typedef f64x2 f64x2_ua __attribute__((aligned(1), may_alias));

#include VECTOR_LOOKUP

/* x in each lane of a V. */
#define SPLAT(V, x) ((V){0} + (__typeof__(((V){0})[0]))(x))
/* a where the mask has ones, b where it has zeros, as the integers T. */
#define PICK(T, mask, a, b) (((T)(mask) & (T)(a)) | (~(T)(mask) & (T)(b)))

/* ---- halves ---- */

#define LOW2(a) __builtin_shufflevector(a, a, 0, 1)
#define LOW4(a) __builtin_shufflevector(a, a, 0, 1, 2, 3)
#define LOW8(a) __builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7)
#define HIGH2(a) __builtin_shufflevector(a, a, 2, 3)
#define HIGH4(a) __builtin_shufflevector(a, a, 4, 5, 6, 7)
#define HIGH8(a) __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15)
/* Widened: LOW_s8x16(a) is an s16x8. */
#define LOW_s8x16(a) __builtin_convertvector(LOW8(a), s16x8)
#define LOW_u8x16(a) __builtin_convertvector(LOW8(a), u16x8)
#define LOW_s16x8(a) __builtin_convertvector(LOW4(a), s32x4)
#define LOW_u16x8(a) __builtin_convertvector(LOW4(a), u32x4)
#define LOW_s32x4(a) __builtin_convertvector(LOW2(a), s64x2)
#define LOW_u32x4(a) __builtin_convertvector(LOW2(a), u64x2)
#define HIGH_s8x16(a) __builtin_convertvector(HIGH8(a), s16x8)
#define HIGH_u8x16(a) __builtin_convertvector(HIGH8(a), u16x8)
#define HIGH_s16x8(a) __builtin_convertvector(HIGH4(a), s32x4)
#define HIGH_u16x8(a) __builtin_convertvector(HIGH4(a), u32x4)
#define HIGH_s32x4(a) __builtin_convertvector(HIGH2(a), s64x2)
#define HIGH_u32x4(a) __builtin_convertvector(HIGH2(a), u64x2)

/* ---- integers ---- */

#define CLAMP(V, a, low, high) \
	__builtin_elementwise_min(__builtin_elementwise_max(a, SPLAT(V, low)), SPLAT(V, high))

/* Two vectors of lanes twice as wide into one, each lane the nearest value it can have. */
#define DEF_NARROW8(name, T, low, high)                                                            \
	static inline T##x16 name(s16x8 a, s16x8 b)                                                \
	{                                                                                          \
		T##x8 x = __builtin_convertvector(CLAMP(s16x8, a, low, high), T##x8);              \
		T##x8 y = __builtin_convertvector(CLAMP(s16x8, b, low, high), T##x8);              \
		return __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, \
		                               14, 15);                                            \
	}
#define DEF_NARROW16(name, T, low, high)                                              \
	static inline T##x8 name(s32x4 a, s32x4 b)                                    \
	{                                                                             \
		T##x4 x = __builtin_convertvector(CLAMP(s32x4, a, low, high), T##x4); \
		T##x4 y = __builtin_convertvector(CLAMP(s32x4, b, low, high), T##x4); \
		return __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7);         \
	}
DEF_NARROW8(narrow_s8, s8, INT8_MIN, INT8_MAX)
DEF_NARROW8(narrow_u8, u8, 0, UINT8_MAX)
DEF_NARROW16(narrow_s16, s16, INT16_MIN, INT16_MAX)
DEF_NARROW16(narrow_u16, u16, 0, UINT16_MAX)

static inline u8x16 popcount_bytes(u8x16 a)
{
	a -= a >> 1 & 0x55;
	a = (a & 0x33) + (a >> 2 & 0x33);
	return (a + (a >> 4)) & 0x0f;
}

/* Fixed-point products with 15 bits behind the point, rounded. */
static inline s16x8 q15mulr(s16x8 a, s16x8 b)
{
	s32x4 low = (LOW_s16x8(a) * LOW_s16x8(b) + 0x4000) >> 15;
	s32x4 high = (HIGH_s16x8(a) * HIGH_s16x8(b) + 0x4000) >> 15;
	return narrow_s16(low, high);
}

/* Sums of the products of lanes 0 and 1, 2 and 3 ... */
static inline u32x4 dot(s16x8 a, s16x8 b)
{
	u32x4 low = (u32x4)(LOW_s16x8(a) * LOW_s16x8(b));
	u32x4 high = (u32x4)(HIGH_s16x8(a) * HIGH_s16x8(b));
	return __builtin_shufflevector(low, high, 0, 2, 4, 6) +
	       __builtin_shufflevector(low, high, 1, 3, 5, 7);
}

/* A bit for each lane of a comparison. */
#define DEF_MASK(n, T)                                                  \
	typedef bool bits##n __attribute__((ext_vector_type(n)));       \
	static inline u32 mask##n(T lanes)                              \
	{                                                               \
		bits##n bits = __builtin_convertvector(lanes, bits##n); \
		u32 r = 0;                                              \
		memcpy(&r, &bits, sizeof bits);                         \
		return r & ((1u << n) - 1);                             \
	}
DEF_MASK(16, s8x16)
DEF_MASK(8, s16x8)
DEF_MASK(4, s32x4)
DEF_MASK(2, s64x2)

/* ---- floats ---- */

static inline f32x4 canon_f32x4(f32x4 v)
{
	return (f32x4)PICK(u32x4, v == v, v, SPLAT(u32x4, 0x7fc00000u));
}

static inline f64x2 canon_f64x2(f64x2 v)
{
	return (f64x2)PICK(u64x2, v == v, v, SPLAT(u64x2, 0x7ff8000000000000u));
}

/* Zeros of different sign are equal: the smaller one has the sign, the greater has it when both have. Of a NaN a part is left
 * by `or`, which is a NaN. */
#define DEF_VECTOR_MINMAX(V, U)                                                  \
	static inline V min_##V(V a, V b)                                        \
	{                                                                        \
		U r = PICK(U, a < b, a, PICK(U, b < a, b, (U)a | (U)b));         \
		return canon_##V((V)r);                                          \
	}                                                                        \
	static inline V max_##V(V a, V b)                                        \
	{                                                                        \
		U same = PICK(U, a == b, (U)a & (U)b, (U)a | (U)b);              \
		return canon_##V((V)PICK(U, a > b, a, PICK(U, b > a, b, same))); \
	}
DEF_VECTOR_MINMAX(f32x4, u32x4)
DEF_VECTOR_MINMAX(f64x2, u64x2)

static inline f32x4 demote(f64x2 a)
{
	return __builtin_shufflevector(__builtin_convertvector(a, f32x2), (f32x2){0}, 0, 1, 2, 3);
}

/* To the nearest integer there is; a NaN to 0. Nothing is converted that does not fit. */

static inline u32x4 trunc_f32x4_s(f32x4 a)
{
	const f32x4 end = SPLAT(f32x4, 2147483648.0f);
	u32x4 x = PICK(u32x4, a == a, a, (f32x4){0});
	x = PICK(u32x4, a < -end, -end, x);
	x = PICK(u32x4, a >= end, (f32x4){0}, x);
	s32x4 r = __builtin_convertvector((f32x4)x, s32x4);
	return PICK(u32x4, a >= end, SPLAT(u32x4, INT32_MAX), r);
}

static inline u32x4 trunc_f32x4_u(f32x4 a)
{
	const f32x4 end = SPLAT(f32x4, 4294967296.0f);
	u32x4 x = PICK(u32x4, a > 0, a, (f32x4){0});
	x = PICK(u32x4, a >= end, (f32x4){0}, x);
	u32x4 r = __builtin_convertvector((f32x4)x, u32x4);
	return PICK(u32x4, a >= end, SPLAT(u32x4, UINT32_MAX), r);
}

static inline f64x2 clamp_f64x2(f64x2 a, f64 low, f64 high)
{
	u64x2 x = PICK(u64x2, a == a, a, (f64x2){0});
	x = PICK(u64x2, a < low, SPLAT(f64x2, low), x);
	return (f64x2)PICK(u64x2, a > high, SPLAT(f64x2, high), x);
}

static inline u32x4 trunc_f64x2_s(f64x2 a)
{
	s32x2 r = __builtin_convertvector(clamp_f64x2(a, INT32_MIN, INT32_MAX), s32x2);
	return (u32x4)__builtin_shufflevector(r, (s32x2){0}, 0, 1, 2, 3);
}

static inline u32x4 trunc_f64x2_u(f64x2 a)
{
	u32x2 r = __builtin_convertvector(clamp_f64x2(a, 0, UINT32_MAX), u32x2);
	return __builtin_shufflevector(r, (u32x2){0}, 0, 1, 2, 3);
}
