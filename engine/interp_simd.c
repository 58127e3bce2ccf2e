/* interp_simd.c - the handlers of vector instructions (simd.def), for narrow and wide functions alike.
 *
 * A vector stands in two slots, never in a register from one instruction to the next: loads and stores of a frame are nearly free, and
 * scalar handlers have nothing to carry along. A handler reads all its operands before it writes, as the result's slots may be theirs.
 */
#include "engine/interp_macros.h"
#include "engine/vector.h"

#define F(k) (((const uint32_t *)(pc + 1))[k])
#define WORD(k) (pc[SIMD_LEN + (k)])
#define HANDLER(name)                                                                          \
	static HANDLER_CC void simd_##name(const uint64_t *pc, uint64_t *fp, struct thread *t, \
	                                   uint8_t *mem, uint64_t ia, double fa)

/* The vector of type T at a slot. */
#define GETV(T, slot) (*(const T##_ua *)(fp + (slot)))
#define SETV(slot, v) (*(u8x16_ua *)(fp + (slot)) = (u8x16)(v))
/* Of a vector that begins at a slot, as E. */
#define LANE(E, slot, i) (((E##_ua *)(fp + (slot)))[i])

/* ---- values ---- */

#define VBIN(name, T, R, body)                          \
	HANDLER(name)                                   \
	{                                               \
		T a = GETV(T, F(1)), b = GETV(T, F(2)); \
		R r;                                    \
		body;                                   \
		SETV(F(0), r);                          \
		NEXT(SIMD_LEN);                         \
	}
#define VUN(name, T, R, body)        \
	HANDLER(name)                \
	{                            \
		T a = GETV(T, F(1)); \
		R r;                 \
		body;                \
		SETV(F(0), r);       \
		NEXT(SIMD_LEN);      \
	}
#define VTERN(name, T, body)                                                  \
	HANDLER(name)                                                         \
	{                                                                     \
		T a = GETV(T, F(1)), b = GETV(T, F(2)), c = GETV(T, F(3)), r; \
		body;                                                         \
		SETV(F(0), r);                                                \
		NEXT(SIMD_LEN);                                               \
	}
#define DEF_SHIFT(name, T, E, count, body)                     \
	HANDLER(name)                                          \
	{                                                      \
		T a = GETV(T, F(1)), r;                        \
		T k = SPLAT(T, (count) & (sizeof(E) * 8 - 1)); \
		body;                                          \
		SETV(F(0), r);                                 \
		NEXT(SIMD_LEN);                                \
	}
#define VSHIFT(name, T, E, body)                       \
	DEF_SHIFT(name##_S, T, E, GET_u32(F(2)), body) \
	DEF_SHIFT(name##_I, T, E, F(2), body)
#define VTEST(name, T, body)         \
	HANDLER(name##_R)            \
	{                            \
		T a = GETV(T, F(1)); \
		u32 r;               \
		body;                \
		SET_u32(F(0), r);    \
		NEXT(SIMD_LEN);      \
	}                            \
	HANDLER(name##_A)            \
	{                            \
		T a = GETV(T, F(1)); \
		u32 r;               \
		body;                \
		SETACC_u32(r);       \
		NEXT(SIMD_LEN);      \
	}

/* ---- lanes ---- */

#define VSPLAT(name, V, E, T)                           \
	HANDLER(name)                                   \
	{                                               \
		SETV(F(0), SPLAT(V, (E)GET_##T(F(1)))); \
		NEXT(SIMD_LEN);                         \
	}
#define VREPLACE(name, E)                    \
	HANDLER(name)                        \
	{                                    \
		u8x16 r = GETV(u8x16, F(1)); \
		E e = (E)fp[F(2)];           \
		SETV(F(0), r);               \
		LANE(E, F(0), F(3)) = e;     \
		NEXT(SIMD_LEN);              \
	}
#define VEXTRACT(name, E, R)                        \
	HANDLER(name##_R)                           \
	{                                           \
		R r = (R)LANE(E, F(1), F(2));       \
		SET_##R(F(0), r);                   \
		NEXT(SIMD_LEN);                     \
	}                                           \
	HANDLER(name##_A)                           \
	{                                           \
		SETACC_##R((R)LANE(E, F(1), F(2))); \
		NEXT(SIMD_LEN);                     \
	}

/* ---- memory ---- */

#define EA_S ((u64)GET_u32(F(1)) + F(2))
#define EA_W ((u64)(u32)(GET_u32(F(1)) + F(2)))
#define EA_B ((u64)(u32)(GET_u32(F(1)) + ACC_u32) + F(2))
#define EA_X ((u64)(u32)(GET_u32(F(1)) + (GET_u32(F(2)) << (F(3) & 7))) + (F(3) >> 3))
#define EA_XA ((u64)(u32)(GET_u32(F(1)) + (ACC_u32 << (F(3) & 7))) + (F(3) >> 3))
#define FOR_ADDRESSES(DEF, name, ...)    \
	DEF(name##_S, EA_S, __VA_ARGS__) \
	DEF(name##_W, EA_W, __VA_ARGS__) \
	DEF(name##_B, EA_B, __VA_ARGS__) \
	DEF(name##_X, EA_X, __VA_ARGS__) \
	DEF(name##_XA, EA_XA, __VA_ARGS__)
#define DEF_VLOAD(name, EA, M, body)               \
	HANDLER(name)                              \
	{                                          \
		u64 ea = EA;                       \
		CHECK_MEM(ea, sizeof(M));          \
		M m = *(const M##_ua *)(mem + ea); \
		u8x16 r;                           \
		body;                              \
		SETV(F(0), r);                     \
		NEXT(SIMD_LEN);                    \
	}
#define VLOAD(name, M, body) FOR_ADDRESSES(DEF_VLOAD, name, M, body)
#define VLOADLANE(name, E)                         \
	HANDLER(name)                              \
	{                                          \
		u64 ea = EA_S;                     \
		CHECK_MEM(ea, sizeof(E));          \
		E e = *(const E##_ua *)(mem + ea); \
		SETV(F(0), GETV(u8x16, F(3)));     \
		LANE(E, F(0), WORD(0)) = e;        \
		NEXT(SIMD_LEN + 1);                \
	}
#define DEF_VSTORE(name, EA, V)                        \
	HANDLER(name)                                  \
	{                                              \
		u64 ea = EA;                           \
		CHECK_MEM(ea, sizeof(V));              \
		*(V##_ua *)(mem + ea) = GETV(V, F(0)); \
		NEXT(SIMD_LEN);                        \
	}
#define VSTORE(name) FOR_ADDRESSES(DEF_VSTORE, name, u8x16)
#define VSTORELANE(name, E)                                  \
	HANDLER(name)                                        \
	{                                                    \
		u64 ea = EA_S;                               \
		CHECK_MEM(ea, sizeof(E));                    \
		*(E##_ua *)(mem + ea) = LANE(E, F(0), F(3)); \
		NEXT(SIMD_LEN);                              \
	}
#include "engine/simd.def"

/* ---- by hand ---- */

HANDLER(v128_const)
{
	SETV(F(0), *(const u8x16_ua *)&WORD(0));
	NEXT(SIMD_LEN + 2);
}

HANDLER(i8x16_shuffle)
{
	u8x16 a = GETV(u8x16, F(1)), b = GETV(u8x16, F(2));
	u8x16 from_a = *(const u8x16_ua *)&WORD(0), from_b = *(const u8x16_ua *)&WORD(2);
	SETV(F(0), lookup(a, from_a) | lookup(b, from_b));
	NEXT(SIMD_LEN + 4);
}

HANDLER(v128_copy)
{
	SETV(F(0), GETV(u8x16, F(1)));
	NEXT(SIMD_LEN);
}

HANDLER(v128_select)
{
	SETV(F(0), GETV(u8x16, GET_u32(F(3)) ? F(1) : F(2)));
	NEXT(SIMD_LEN);
}

HANDLER(v128_global_get)
{
	const struct globalinst *g = (const struct globalinst *)WORD(0);
	SETV(F(0), *(const u8x16_ua *)&g->value);
	NEXT(SIMD_LEN + 1);
}

HANDLER(v128_global_set)
{
	struct globalinst *g = (struct globalinst *)WORD(0);
	*(u8x16_ua *)&g->value = GETV(u8x16, F(1));
	NEXT(SIMD_LEN + 1);
}

_Static_assert(offsetof(struct globalinst, high) == offsetof(struct globalinst, value) + 8,
               "the halves of a v128 stand side by side");

#define ENTRY(n) [IOP_##n - IOP_SIMD] = simd_##n,
const handler handlers_simd[IOP_ALL - IOP_SIMD] = {
#define VBIN(name, T, R, body) ENTRY(name)
#define VUN(name, T, R, body) ENTRY(name)
#define VTERN(name, T, body) ENTRY(name)
#define VSHIFT(name, T, E, body) ENTRY(name##_S) ENTRY(name##_I)
#define VSPLAT(name, V, E, T) ENTRY(name)
#define VREPLACE(name, E) ENTRY(name)
#define VEXTRACT(name, E, R) IOP_PAIR(ENTRY, name)
#define VTEST(name, T, body) IOP_PAIR(ENTRY, name)
#define VLOAD(name, M, body) IOP_VADDRESS(ENTRY, name)
#define VLOADLANE(name, E) ENTRY(name)
#define VSTORE(name) IOP_VADDRESS(ENTRY, name)
#define VSTORELANE(name, E) ENTRY(name)
#define VONE(name) ENTRY(name)
#define NONE(name) ENTRY(name)
#include "engine/simd.def"
};
