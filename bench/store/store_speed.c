/* store_speed.c - how fast the store takes chunks and gives them back, and what they take on the disk.
 *
 *	build/bench/store-speed DIR [MIB]      DIR is made, and is best on the disk that is meant; MIB of each kind, default 64
 *
 * Kinds: pages of programs (4 KiB, packed to a third), pages that do not pack, pieces of files (128 KiB, that do not pack), each in batches of 1 MiB;
 * and single pages, a batch each, as a move's last moments write them. Then three quarters of the pages that do not pack become garbage, and all that is not one of the
 * others: the time of a collection, and the longest that a writer may have to wait for one of its steps. The last line is JSON.
 */
#include "base/os.h"
#include "node/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 128 << 10, BATCH = 1 << 20, SINGLES = 200 };

static void fill(uint8_t *chunk, size_t size, uint64_t seed, bool packs)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
	for (size_t i = 0; i < size; i += 8) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		uint64_t v = packs && i % 3 ? 0 : x;
		memcpy(chunk + i, &v, 8);
	}
}

static void die(const struct errmsg *msg)
{
	fprintf(stderr, "%s\n", msg->text);
	exit(1);
}

static struct chunk_addr chunk(uint8_t *bytes, size_t size, uint64_t seed, bool packs)
{
	fill(bytes, size, seed, packs);
	return chunk_addr_of(bytes, size);
}

static double put_all(struct depot *d, uint64_t kind, size_t size, uint64_t count, bool packs,
                      size_t batch)
{
	uint8_t *bytes = malloc(size);
	struct depot_batch *b = depot_batch_new(d);
	struct errmsg msg;
	size_t in_batch = 0;
	uint64_t began = os_monotonic_ns();
	for (uint64_t i = 0; i < count; i++) {
		struct chunk_addr a = chunk(bytes, size, kind << 32 | i, packs);
		depot_put_chunk(b, &a, bytes, size);
		in_batch += size;
		if (in_batch >= batch || i + 1 == count) {
			if (depot_write(b, &msg) != ERR_OK)
				die(&msg);
			in_batch = 0;
		}
	}
	depot_batch_free(b);
	free(bytes);
	return (double)(os_monotonic_ns() - began) / 1e9;
}

static double get_all(struct depot *d, uint64_t kind, size_t size, uint64_t count, bool packs)
{
	uint8_t *bytes = malloc(size);
	struct wr w = {0};
	struct errmsg msg;
	uint64_t took = 0;
	for (uint64_t i = 0; i < count; i++) {
		struct chunk_addr a = chunk(bytes, size, kind << 32 | i * 7919 % count, packs);
		uint64_t began = os_monotonic_ns();
		wr_clear(&w);
		if (depot_get_chunk(d, &a, &w, &msg) != ERR_OK)
			die(&msg);
		took += os_monotonic_ns() - began;
	}
	wr_free(&w);
	free(bytes);
	return (double)took / 1e9;
}

static void measure(struct depot *d, const char *name, uint64_t kind, size_t size, uint64_t mib,
                    bool packs, char *json, size_t room)
{
	uint64_t count = (mib << 20) / size, before = depot_used_bytes(d);
	uint64_t cpu = os_process_cpu_ns();
	double put = put_all(d, kind, size, count, packs, BATCH);
	cpu = os_process_cpu_ns() - cpu;
	uint64_t used = depot_used_bytes(d) - before;
	double get = get_all(d, kind, size, count, packs);
	printf("%-22s put %6.1f MB/s (%.2f s of a processor), get %6.1f MB/s, on disk %6.1f MiB\n",
	       name, (double)(mib << 20) / 1e6 / put, (double)cpu / 1e9,
	       (double)(mib << 20) / 1e6 / get, (double)used / (1 << 20));
	snprintf(json + strlen(json), room - strlen(json),
	         "\"%s\": {\"put_mb_s\": %.1f, \"get_mb_s\": %.1f, \"disk_mib\": %.1f}, ", name,
	         (double)(mib << 20) / 1e6 / put, (double)(mib << 20) / 1e6 / get,
	         (double)used / (1 << 20));
}

/* Every fourth of the pages that do not pack stays. */
static enum err keep(void *ctx, depot_mark_fn mark, void *gc, struct errmsg *msg)
{
	uint8_t bytes[4096];
	for (uint64_t i = 0; i < *(uint64_t *)ctx; i += 4) {
		struct chunk_addr a = chunk(bytes, sizeof bytes, 2ull << 32 | i, false);
		mark(gc, &a);
	}
	return ERR_OK;
}

static void collect(struct depot *d, uint64_t pages, char *json, size_t room)
{
	struct depot_gc_result res;
	struct errmsg msg;
	depot_keeper(d, "bench", keep, &pages);
	uint64_t began = os_monotonic_ns();
	if (depot_gc(d, 0, &res, &msg) != ERR_OK)
		die(&msg);
	double took = (double)(os_monotonic_ns() - began) / 1e9,
	       longest = (double)res.longest_ns / 1e6;
	printf("%-22s %.2f s, %llu chunks removed, %llu MiB copied, longest step %.1f ms\n",
	       "collection", took, (unsigned long long)res.removed,
	       (unsigned long long)(res.moved_bytes >> 20), longest);
	snprintf(json + strlen(json), room - strlen(json),
	         "\"gc_s\": %.2f, \"gc_longest_ms\": %.1f, ", took, longest);
}

int main(int argc, char **argv)
{
	struct depot *d;
	struct errmsg msg;
	char json[2048] = "{";
	uint64_t mib = argc > 2 ? strtoull(argv[2], NULL, 10) : 64;
	if (argc < 2) {
		fprintf(stderr, "usage: store-speed DIR [MIB]\n");
		return 2;
	}
	if (depot_open(argv[1], &d, &msg) != ERR_OK)
		die(&msg);
	measure(d, "pages", 1, 4096, mib, true, json, sizeof json);
	measure(d, "pages that do not pack", 2, 4096, mib, false, json, sizeof json);
	measure(d, "pieces of 128 KiB", 3, PIECE, mib, false, json, sizeof json);
	double single = put_all(d, 4, 4096, SINGLES, false, 1) / SINGLES * 1e3;
	printf("%-22s %.2f ms each\n", "a page a batch", single);
	collect(d, (mib << 20) / 4096, json, sizeof json);
	printf("%s\"single_ms\": %.2f}\n", json, single);
	depot_close(d);
	return 0;
}
