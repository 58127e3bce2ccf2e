/* indirect.c - calls through function pointers: call_indirect with its type check. The order
 * repeats every 24 calls, so that a processor can predict it: otherwise mispredictions, which cost
 * all engines the same, would hide the calls.
 */
#include "bench.h"

typedef uint32_t (*step_fn)(uint32_t, uint32_t);

static uint32_t step_add(uint32_t a, uint32_t b)
{
	return a + b;
}
static uint32_t step_sub(uint32_t a, uint32_t b)
{
	return a - b * 3;
}
static uint32_t step_xor(uint32_t a, uint32_t b)
{
	return a ^ (b << 7);
}
static uint32_t step_mul(uint32_t a, uint32_t b)
{
	return a * (b | 1);
}
static uint32_t step_rotate(uint32_t a, uint32_t b)
{
	b &= 15;
	return (a << (b + 1)) | (a >> (31 - b));
}
static uint32_t step_and(uint32_t a, uint32_t b)
{
	return (a & b) + (a | b) * 5;
}
static uint32_t step_min(uint32_t a, uint32_t b)
{
	return a < b ? a + 17 : b + 19;
}
static uint32_t step_not(uint32_t a, uint32_t b)
{
	return ~a + b;
}

static step_fn volatile steps[8] = {step_add,    step_sub, step_xor, step_mul,
                                    step_rotate, step_and, step_min, step_not};

uint32_t run(uint32_t n)
{
	uint32_t sum = 1;
	for (uint32_t i = 0; i < n; i++) {
		sum = steps[i % 8](sum, i);
		sum = steps[i * 5 % 3 + 2](sum, i ^ 0x55);
	}
	return sum;
}
