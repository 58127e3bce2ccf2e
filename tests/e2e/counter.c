/* counter.c - what the fault tests move: writes all over 4 MiB for a while, then prints what only an unbroken run can print. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint8_t memory[4 << 20];

int main(int argc, char **argv)
{
	long steps = argc > 1 ? atol(argv[1]) : 100;
	uint64_t hash = 1469598103934665603ull, random = 88172645463325252ull;
	for (long step = 0; step < steps; step++) {
		for (int i = 0; i < 40; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			uint8_t *at = &memory[random % sizeof memory];
			*at = (uint8_t)(*at + step + i);
			hash = (hash ^ *at) * 1099511628211ull;
		}
		usleep(10000);
	}
	for (uint64_t i = 0; i < sizeof memory; i++)
		hash = (hash ^ memory[i]) * 1099511628211ull;
	printf("end %016llx\n", (unsigned long long)hash);
	return 7;
}
