/* test_track.c - which pages were written, found out by write protection: on systems with pages of 4, 16 and 64 KiB (these
 * pretended: protection is then asked for in whole 16 or 64 KiB), and while somebody writes and somebody collects.
 */
#include "base/os_track.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, SIZE = 1 << 20, PAGES = SIZE / PAGE, ROUNDS = 6000, WRITERS = 6 };

struct world {
	uint8_t *base;
	struct os_track *track;
	int watch;
	atomic_bool over;
	uint8_t copy[SIZE];
};

static bool on_fault(void *ctx, size_t offset)
{
	struct world *w = ctx;
	return os_track_fault(w->track, offset);
}

static struct world *world_new(size_t page_bytes)
{
	struct world *w = calloc(1, sizeof *w);
	cr_assert(w);
	w->base = os_reserve(SIZE);
	cr_assert(w->base);
	cr_assert_eq(os_commit(w->base, SIZE), ERR_OK);
	cr_assert_eq(os_fault_watch(w->base, SIZE, on_fault, w, &w->watch), ERR_OK);
	cr_assert_eq(
	    os_track_start_paged(w->base, SIZE, SIZE, OS_TRACK_FAULTS, page_bytes, &w->track),
	    ERR_OK);
	return w;
}

static void world_free(struct world *w)
{
	os_track_stop(w->track);
	os_fault_unwatch(w->watch);
	os_release(w->base, SIZE);
	free(w);
}

static size_t collect(struct world *w, uint8_t bits[PAGES / 8], bool clear)
{
	size_t n = 0;
	memset(bits, 0, PAGES / 8);
	cr_assert_eq(os_track_collect(w->track, bits, PAGES / 8, clear), ERR_OK);
	for (size_t i = 0; i < PAGES; i++)
		n += bits[i / 8] >> (i % 8) & 1;
	return n;
}

static bool has(const uint8_t *bits, size_t page)
{
	return bits[page / 8] >> (page % 8) & 1;
}

ParameterizedTestParameters(track, a_write_makes_one_page_of_the_system_written)
{
	static size_t sizes[] = {4096, 16384, 65536};
	return cr_make_param_array(size_t, sizes, 3);
}

ParameterizedTest(size_t *page_bytes, track, a_write_makes_one_page_of_the_system_written)
{
	struct world *w = world_new(*page_bytes);
	uint8_t bits[PAGES / 8];
	size_t unit = *page_bytes / PAGE;
	cr_assert_eq(collect(w, bits, true), 0);
	w->base[37 * PAGE + 5] = 1;
	w->base[38 * PAGE - 1] = 1;
	cr_assert_eq(collect(w, bits, false), unit);
	cr_assert_eq(collect(w, bits, true), unit);
	cr_assert(has(bits, 37));
	cr_assert_eq(collect(w, bits, true), 0);
	w->base[37 * PAGE] = 2; /* protected again */
	cr_assert_eq(collect(w, bits, true), unit);
	world_free(w);
}

ParameterizedTestParameters(track, what_the_host_writes_stays_written_until_it_is_done)
{
	static size_t sizes[] = {4096, 16384, 65536};
	return cr_make_param_array(size_t, sizes, 3);
}

ParameterizedTest(size_t *page_bytes, track, what_the_host_writes_stays_written_until_it_is_done)
{
	struct world *w = world_new(*page_bytes);
	uint8_t bits[PAGES / 8];
	size_t unit = *page_bytes / PAGE, marked = unit == 1 ? 2 : unit;
	os_track_mark(w->track, 17 * PAGE + 100, PAGE);
	cr_assert_eq(collect(w, bits, true), marked);
	cr_assert(has(bits, 17) && has(bits, 18));
	cr_assert_eq(collect(w, bits, true), marked);
	os_track_unpin(w->track);
	cr_assert_eq(collect(w, bits, true), marked);
	cr_assert_eq(collect(w, bits, true), 0);
	world_free(w);
}

/* Writes all over the place as fast as it can. */
static void *writer(void *arg)
{
	struct world *w = arg;
	uint32_t at = 1;
	while (!atomic_load(&w->over)) {
		at = at * 1664525u + 1013904223u;
		w->base[at % SIZE]++;
	}
	return NULL;
}

static void copy_written(struct world *w)
{
	uint8_t bits[PAGES / 8];
	collect(w, bits, true);
	for (size_t i = 0; i < PAGES; i++)
		if (has(bits, i))
			memcpy(w->copy + i * PAGE, w->base + i * PAGE, PAGE);
}

ParameterizedTestParameters(track, no_write_is_lost_to_who_collects_meanwhile)
{
	static size_t sizes[] = {4096, 16384, 65536};
	return cr_make_param_array(size_t, sizes, 3);
}

ParameterizedTest(size_t *page_bytes, track, no_write_is_lost_to_who_collects_meanwhile)
{
	struct world *w = world_new(*page_bytes);
	pthread_t threads
	    [WRITERS]; /* more than processors: some are interrupted in the middle of a fault */
	for (int i = 0; i < WRITERS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, writer, w), 0);
	for (int i = 0; i < ROUNDS; i++)
		copy_written(w);
	atomic_store(&w->over, true);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	copy_written(w); /* the last round of a move: nobody writes any more */
	cr_assert_eq(memcmp(w->copy, w->base, SIZE), 0);
	world_free(w);
}
