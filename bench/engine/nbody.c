/* nbody.c - planets that attract each other: double arithmetic with square roots and divisions. */
#include "bench.h"

#include <math.h>

enum { BODIES = 5 };

struct body {
	double x[3], v[3], mass;
};

static void advance(struct body *bodies, double dt)
{
	for (int i = 0; i < BODIES; i++) {
		for (int j = i + 1; j < BODIES; j++) {
			struct body *a = &bodies[i], *b = &bodies[j];
			double d[3], square = 0.01;
			for (int k = 0; k < 3; k++) {
				d[k] = a->x[k] - b->x[k];
				square += d[k] * d[k];
			}
			double pull = dt / (square * sqrt(square));
			for (int k = 0; k < 3; k++) {
				a->v[k] -= d[k] * b->mass * pull;
				b->v[k] += d[k] * a->mass * pull;
			}
		}
	}
	for (int i = 0; i < BODIES; i++)
		for (int k = 0; k < 3; k++)
			bodies[i].x[k] += dt * bodies[i].v[k];
}

uint32_t run(uint32_t n)
{
	struct body bodies[BODIES];
	uint32_t state = 77777777u, sum = 0;
	for (int i = 0; i < BODIES; i++) {
		for (int k = 0; k < 3; k++) {
			bodies[i].x[k] = (double)(next_random(&state) % 2000) / 100 - 10;
			bodies[i].v[k] = (double)(next_random(&state) % 200) / 100 - 1;
		}
		bodies[i].mass = 1 + i * 0.25;
	}
	for (uint32_t i = 0; i < n; i++)
		advance(bodies, 0.001);
	for (int i = 0; i < BODIES; i++)
		for (int k = 0; k < 3; k++)
			sum = mix_f64(sum, bodies[i].x[k]);
	return sum;
}
