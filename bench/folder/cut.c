/* cut.c - how fast a file is cut into chunks and hashed, beside hashing alone: GB per second of processor time, medians of several runs.
 *
 *	ninja -C build bench/cut && build/bench/cut [MIB [RUNS]]      the last line is JSON
 */
#include "folder/cut.h"
#include "migrate/chunk.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RUNS_MAX = 99 };

struct file {
	uint8_t *bytes;
	size_t size;
	size_t chunks;
};

static double cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void cut_file(struct file *f, bool hash)
{
	struct cutter c;
	bool ended;
	cutter_init(&c, NULL);
	f->chunks = 0;
	for (size_t at = 0, start = 0; at < f->size;) {
		at += cutter_feed(&c, f->bytes + at, f->size - at, &ended);
		if (hash)
			chunk_addr_of(f->bytes + start, at - start);
		f->chunks++;
		start = at;
	}
}

static void cut_only(struct file *f)
{
	cut_file(f, false);
}

static void cut_and_hash(struct file *f)
{
	cut_file(f, true);
}

static void hash_only(struct file *f)
{
	for (size_t at = 0; at < f->size; at += CUT_AVG)
		chunk_addr_of(f->bytes + at, f->size - at < CUT_AVG ? f->size - at : CUT_AVG);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double speed(void (*fn)(struct file *), struct file *f, unsigned runs)
{
	double took[RUNS_MAX];
	for (unsigned i = 0; i < runs; i++) {
		double begun = cpu_s();
		fn(f);
		took[i] = cpu_s() - begun;
	}
	qsort(took, runs, sizeof *took, by_value);
	return (double)f->size / took[runs / 2] * 1e-9;
}

int main(int argc, char **argv)
{
	struct file f = {.size = (size_t)(argc > 1 ? atoi(argv[1]) : 64) << 20};
	unsigned runs = argc > 2 ? (unsigned)atoi(argv[2]) : 5;
	f.bytes = malloc(f.size);
	if (!f.bytes || !f.size || !runs || runs > RUNS_MAX)
		return 2;
	uint64_t seed = 88172645463325252u;
	for (size_t i = 0; i < f.size; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		f.bytes[i] = (uint8_t)(seed >> 56);
	}
	double hash = speed(hash_only, &f, runs), cut = speed(cut_only, &f, runs);
	double both = speed(cut_and_hash, &f, runs);
	printf(
	    "hash alone %.2f GB/s, cut alone %.2f, both %.2f; %zu chunks of %zu KiB on average\n",
	    hash, cut, both, f.chunks, f.size / f.chunks >> 10);
	printf("{\"hash_gb_s\": %.3f, \"cut_gb_s\": %.3f, \"both_gb_s\": %.3f, \"chunks\": %zu}\n",
	       hash, cut, both, f.chunks);
	free(f.bytes);
	return 0;
}
