/* matmul.c - product of two square matrices of doubles, the plain triple loop. */
#include "bench.h"

enum { N = 96 };

uint32_t run(uint32_t n)
{
	double *a = malloc(N * N * sizeof(double)), *b = malloc(N * N * sizeof(double)),
	       *c = malloc(N * N * sizeof(double));
	uint32_t state = 123456789u, sum = 0;
	for (int i = 0; i < N * N; i++) {
		a[i] = (double)(next_random(&state) % 1000) / 8;
		b[i] = (double)(next_random(&state) % 1000) / 16;
	}
	for (uint32_t round = 0; round < n; round++) {
		for (int i = 0; i < N; i++) {
			for (int j = 0; j < N; j++) {
				double s = 0;
				for (int x = 0; x < N; x++)
					s += a[i * N + x] * b[x * N + j];
				c[i * N + j] = s;
			}
		}
		a[round % (N * N)] = c[round % (N * N)] / 1e6;
	}
	for (int i = 0; i < N * N; i++)
		sum = mix_f64(sum, c[i]);
	free(a);
	free(b);
	free(c);
	return sum;
}
