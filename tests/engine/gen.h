/* gen.h - random valid modules that end: what two engines, or one engine run in two ways, must agree on.
 *
 * A module is a function of its seed. It exports functions f0..f(n-1), a memory "m" and globals g0...; a global
 * holds fuel (the export "refuel" fills it), spent at function entries and loop headers, without which functions return:
 * every call ends or traps. Bits of NaNs never reach an integer, memory or sign: engines may choose them.
 */
#pragma once

#include "base/bytes.h"

#define GEN_GLOBALS 8
/* Seeds from there on: with vectors, which stay inside the module and are seen through memory and lanes. */
#define GEN_VECTORS 1000000

/* Appends the module of that seed to w. */
void gen_module(struct wr *w, uint64_t seed);
