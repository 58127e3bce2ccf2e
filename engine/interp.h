/* interp.h - what the interpreter's handlers share: types, float rules, ways out of the loop. Internal. */
#pragma once

#include "engine/iop.h"

#include <math.h>
#include <string.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef float f32;
typedef double f64;

/* As they stand in linear memory: unaligned, aliasing anything. */
#define ANY_ALIGN __attribute__((aligned(1), may_alias))
typedef u8 u8_ua;
typedef s8 s8_ua;
typedef u16 ANY_ALIGN u16_ua;
typedef s16 ANY_ALIGN s16_ua;
typedef u32 ANY_ALIGN u32_ua;
typedef s32 ANY_ALIGN s32_ua;
typedef u64 ANY_ALIGN u64_ua;
typedef f32 ANY_ALIGN f32_ua;
typedef f64 ANY_ALIGN f64_ua;

static inline f32 f32_of_bits(u32 bits)
{
	f32 v;
	memcpy(&v, &bits, 4);
	return v;
}

static inline f64 f64_of_bits(u64 bits)
{
	f64 v;
	memcpy(&v, &bits, 8);
	return v;
}

static inline u64 bits_of_f64(f64 v)
{
	u64 bits;
	memcpy(&bits, &v, 8);
	return bits;
}

/* An f32 lives in the low half of the float accumulator, bit for bit; these compile to nothing. */
typedef f32 f32x4 __attribute__((vector_size(16)));
typedef f64 f64x2 __attribute__((vector_size(16)));

static inline f32 f32_from_acc(f64 fa)
{
	f64x2 v = {fa};
	return ((f32x4)v)[0];
}

static inline f64 f32_to_acc(f32 v)
{
	f32x4 x = {v};
	return ((f64x2)__builtin_shufflevector(x, x, 0, -1, -1, -1))[0];
}

/* Where the spec lets a NaN have any bits, ours is the canonical one, so that all machines agree. */
static inline f32 f32_canon(f32 v)
{
	return LIKELY(v == v) ? v : f32_of_bits(0x7fc00000u);
}

static inline f64 f64_canon(f64 v)
{
	return LIKELY(v == v) ? v : f64_of_bits(0x7ff8000000000000u);
}

#define DEF_MINMAX(T)                              \
	static inline T T##_min(T a, T b)          \
	{                                          \
		if (a != a || b != b)              \
			return a + b;              \
		if (a == b)                        \
			return signbit(a) ? a : b; \
		return a < b ? a : b;              \
	}                                          \
	static inline T T##_max(T a, T b)          \
	{                                          \
		if (a != a || b != b)              \
			return a + b;              \
		if (a == b)                        \
			return signbit(a) ? b : a; \
		return a > b ? a : b;              \
	}
DEF_MINMAX(f32)
DEF_MINMAX(f64)

/* Clears n slots and up to three behind them, which hold nothing yet (STACK_SLACK). */
static inline void zero_locals(u64 *p, u32 n)
{
	typedef u64 __attribute__((vector_size(16), aligned(8))) pair;
	for (u64 *end = p + n; p < end; p += 4) {
		*(pair *)p = (pair){0};
		*(pair *)(p + 2) = (pair){0};
	}
}

static inline u64 mem_size_now(const struct thread *t)
{
	const struct instance *in = t->csp->code->inst;
	return atomic_load_explicit(&in->mems[0]->size_bytes, memory_order_relaxed);
}

/* Ways out; the trap's number comes in ia (TRAP_BLOCK: the thread blocks before the instruction). */
HANDLER_CC void out_trap(const u64 *pc, u64 *fp, struct thread *t, u8 *mem, u64 ia, f64 fa);
/* The callee at the safepoint pc could not be translated; TRAP_AGAIN: since the thread has to stop. */
HANDLER_CC void out_no_code(const u64 *pc, u64 *fp, struct thread *t, u8 *mem, u64 ia, f64 fa);
/* The stop word is up at the safepoint pc: out when the thread has to stop, else on. */
HANDLER_CC void out_poll(const u64 *pc, u64 *fp, struct thread *t, u8 *mem, u64 ia, f64 fa);
HANDLER_CC void out_stop(const u64 *pc, u64 *fp, struct thread *t, u8 *mem, u64 ia, f64 fa);

/* Makes the call; false when the thread leaves the loop (t->exit says why). */
bool host_call(struct thread *t, struct hostfunc *h, u64 *v, const u64 *pc, u64 *fp);

struct target {
	struct code *code;
	struct hostfunc *host;
};

/* Before a tail call to another instance's function: the caller has to find back into its own. */
void tail_leaves_instance(struct thread *t);

/* What a reference of a table leads to, if it is of that type. */
enum trap indirect_target(struct thread *t, u64 ref, u32 type, struct target *to);
