/* interp_macros.h - what every handler is written with: the way to the next one, traps, polls, slots, bounds. Internal.
 *
 * For a file of handlers (interp_body.h, interp_simd.c), in which each is HANDLER_CC and has the parameters pc, fp, t, mem, ia, fa.
 */
#pragma once

#include "engine/interp.h"

#define GO(to)                                                                                   \
	do {                                                                                     \
		pc = (to);                                                                       \
		__attribute__((musttail)) return (*(const handler *)pc)(pc, fp, t, mem, ia, fa); \
	} while (0)
#define NEXT(words) GO(pc + (words))
#define JUMP_TO(fn, x) __attribute__((musttail)) return fn(pc, fp, t, mem, (x), fa)
#define TRAP_OUT(name) JUMP_TO(out_trap, TRAP_##name)
/* At a safepoint: pc is the safepoint's. */
#define POLL()                                                                      \
	do {                                                                        \
		if (UNLIKELY(atomic_load_explicit(&t->stop, memory_order_relaxed))) \
			JUMP_TO(out_poll, 0);                                       \
	} while (0)

/* ---- slots and accumulators ---- */

#define GET_u32(slot) ((u32)fp[slot])
#define GET_u64(slot) (fp[slot])
#define GET_f32(slot) (*(const f32 *)&fp[slot])
#define GET_f64(slot) (*(const f64 *)&fp[slot])
#define SET_u32(slot, v) (fp[slot] = (u32)(v))
#define SET_u64(slot, v) (fp[slot] = (v))
#define SET_f32(slot, v) (*(f32 *)&fp[slot] = (v))
#define SET_f64(slot, v) (*(f64 *)&fp[slot] = (v))
#define ACC_u32 ((u32)ia)
#define ACC_u64 (ia)
#define ACC_f32 (f32_from_acc(fa))
#define ACC_f64 (fa)
#define SETACC_u32(v) (ia = (u32)(v))
#define SETACC_u64(v) (ia = (v))
#define SETACC_f32(v) (fa = f32_to_acc(v))
#define SETACC_f64(v) (fa = (v))

/* ---- linear memory ----
 * The address and offset are 32 bits each, so their sum stays inside the memory's reservation: what is not
 * committed faults, and the fault becomes the trap. The other form compares. */
#if WASMOS_EXPLICIT_BOUNDS
#define CHECK_MEM(ea, size)                                    \
	do {                                                   \
		if (UNLIKELY((ea) + (size) > mem_size_now(t))) \
			TRAP_OUT(MEM_BOUNDS);                  \
	} while (0)
#else
#define CHECK_MEM(ea, size) ((void)0)
#endif
