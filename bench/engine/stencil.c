/* stencil.c - heat spreading over a grid of floats: five-point stencil, two buffers. */
#include "bench.h"

enum { WIDTH = 200, HEIGHT = 120 };

static void step(const float *in, float *out)
{
	for (int y = 1; y < HEIGHT - 1; y++) {
		for (int x = 1; x < WIDTH - 1; x++) {
			const float *p = in + y * WIDTH + x;
			out[y * WIDTH + x] =
			    0.5f * p[0] + 0.125f * (p[-1] + p[1] + p[-WIDTH] + p[WIDTH]);
		}
	}
}

uint32_t run(uint32_t n)
{
	size_t size = WIDTH * HEIGHT * sizeof(float);
	float *a = calloc(1, size), *b = calloc(1, size);
	uint32_t sum = 0;
	for (int i = 0; i < 40; i++)
		a[(7 + i * 2) * WIDTH + 5 + i * 4] = b[(7 + i * 2) * WIDTH + 5 + i * 4] =
		    (float)(1000 + i);
	for (uint32_t round = 0; round < n; round++) {
		step(a, b);
		step(b, a);
	}
	for (int i = 0; i < WIDTH * HEIGHT; i++)
		sum = mix_f64(sum, (double)a[i]);
	free(a);
	free(b);
	return sum;
}
