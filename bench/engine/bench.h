/* bench.h - what a workload of bench/engine is: one function, the same for native code and wasm.
 *
 * run(n) does n units of work and returns a checksum that depends on all of it; the runner compares
 * it with the number in workloads.json. It allocates nothing it does not free and reads no clock.
 * main.c calls it several times and prints the CPU time of each; NAME.bare.wasm is the workload
 * alone, exporting run, without one import.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __wasm__
__attribute__((export_name("run")))
#endif
uint32_t
run(uint32_t n);

/* xorshift32: the workloads' only source of numbers, so that they are the same everywhere. */
static inline uint32_t next_random(uint32_t *state)
{
	uint32_t x = *state;
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}

/* One step of a running checksum (FNV-1a over words). */
static inline uint32_t mix(uint32_t sum, uint32_t value)
{
	return (sum ^ value) * 16777619u;
}

static inline uint32_t mix_f64(uint32_t sum, double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return mix(mix(sum, (uint32_t)bits), (uint32_t)(bits >> 32));
}
