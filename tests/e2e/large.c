/* large.c - a program with a large memory of which it uses little: every STEPth page of TOTAL MiB is written once and looked at until the
 * time is up; prints what only an unbroken run can print.
 *
 *	large.wasm TOTAL_MIB STEP TICKS [full [FILE]]     a tick is 10 ms; full: pages filled with what cannot be compressed; it ends when
 *	                                                  there is a FILE */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PAGE = 4096 };

int main(int argc, char **argv)
{
	unsigned long mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	unsigned long step = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	unsigned long ticks = argc > 3 ? strtoul(argv[3], NULL, 10) : 100;
	unsigned long first = __builtin_wasm_memory_grow(0, mib * 16);
	uint64_t hash = 1469598103934665603ull;
	if (first == (unsigned long)-1) {
		printf("no room for %lu MiB\n", mib);
		return 1;
	}
	volatile uint32_t *memory = (uint32_t *)(uintptr_t)(first * 65536);
	unsigned long words = mib * (1048576 / 4), stride = step * (PAGE / 4);
	uint32_t random = 2463534242u;
	for (unsigned long at = 0; at < words; at += stride) {
		for (unsigned long i = 1; argc > 4 && i < PAGE / 4; i++) {
			random ^= random << 13;
			random ^= random >> 17;
			random ^= random << 5;
			memory[at + i] = random;
		}
		memory[at] = (uint32_t)(at * 2654435761u) | 1;
	}
	printf("ready\n");
	fflush(stdout);
	for (unsigned long tick = 0; tick < ticks; tick++) {
		unsigned long at = tick * 7919 % (words / stride) * stride;
		hash = (hash ^ memory[at]) * 1099511628211ull;
		memory[at] += (uint32_t)tick;
		usleep(10000);
	}
	while (argc > 5 && access(argv[5], F_OK) != 0)
		usleep(10000);
	for (unsigned long at = 0; at < words; at += stride)
		hash = (hash ^ memory[at]) * 1099511628211ull;
	printf("end %016llx\n", (unsigned long long)hash);
	return 7;
}
