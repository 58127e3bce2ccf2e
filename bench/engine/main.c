/* main.c - calls a workload `repeats` times and prints one line each time: its checksum and its CPU
 * time in ns.
 *
 *	workload N REPEATS
 */
#include "bench.h"

#include <stdio.h>

#ifdef __wasm__
#include <wasi/api.h>

static uint64_t now_ns(void)
{
	__wasi_timestamp_t t;
	if (__wasi_clock_time_get(__WASI_CLOCKID_THREAD_CPUTIME_ID, 0, &t) != 0 &&
	    __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 0, &t) != 0)
		return 0;
	return t;
}
#else
#include <time.h>

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
#endif

int main(int argc, char **argv)
{
	uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1;
	unsigned repeats = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
	for (unsigned i = 0; i < repeats; i++) {
		uint64_t start_ns = now_ns();
		uint32_t sum = run(n);
		printf("%08x %llu\n", (unsigned)sum, (unsigned long long)(now_ns() - start_ns));
	}
	return 0;
}
