/* tak.c - Takeuchi's function: deep recursion with three arguments. */
#include "bench.h"

static int tak(int x, int y, int z)
{
	if (y >= x)
		return z;
	return tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y));
}

uint32_t run(uint32_t n)
{
	uint32_t sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum = mix(sum, (uint32_t)tak(18, 12, 6 + (int)(i % 2)));
	return sum;
}
