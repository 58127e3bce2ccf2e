/* mandelbrot.c - iterations of the Mandelbrot set: double arithmetic in a loop that ends by data.
 */
#include "bench.h"

enum { WIDTH = 96, HEIGHT = 64 };

static uint32_t iterate(double cr, double ci, uint32_t limit)
{
	double r = 0, i = 0;
	uint32_t n = 0;
	while (n < limit && r * r + i * i < 4) {
		double t = r * r - i * i + cr;
		i = 2 * r * i + ci;
		r = t;
		n++;
	}
	return n;
}

uint32_t run(uint32_t n)
{
	uint32_t sum = 0;
	for (int y = 0; y < HEIGHT; y++)
		for (int x = 0; x < WIDTH; x++)
			sum = mix(sum, iterate(x * 3.0 / WIDTH - 2.2, y * 2.4 / HEIGHT - 1.2, n));
	return sum;
}
