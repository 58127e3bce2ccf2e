/* bits.c - 64-bit integers: multiplication, rotates, leading and trailing zeros, population counts,
 * division. */
#include "bench.h"

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return (x << bits) | (x >> (64 - bits));
}

uint32_t run(uint32_t n)
{
	uint64_t s0 = 0x123456789abcdefu, s1 = 0xfedcba987654321u, sum = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t x = rotate(s0 * 5, 7) * 9;
		s1 ^= s0;
		s0 = rotate(s0, 24) ^ s1 ^ (s1 << 16);
		s1 = rotate(s1, 37);
		sum += (uint64_t)__builtin_popcountll(x);
		sum ^= rotate(x, (unsigned)__builtin_clzll(x | 1) | 1);
		if ((i & 7) == 0)
			sum += x / ((s1 >> 40) + 3);
		sum += (uint64_t)__builtin_ctzll(x | (1ull << 40));
	}
	return (uint32_t)(sum ^ (sum >> 32));
}
