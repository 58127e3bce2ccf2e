/* test_mappings.c - written pages where a process may have 65,530 mappings (Linux). */
#include "base/os.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static bool dirty(const uint8_t *bits, size_t page)
{
	return bits[page / 8] >> (page % 8) & 1;
}

struct region {
	uint8_t *base;
	struct os_track *track;
};

static bool on_fault(void *ctx, size_t offset)
{
	struct region *r = ctx;
	return os_track_fault(r->track, offset);
}

/* More alternating pages than a process may have mappings: none is missed, and none faults for good. */
Test(mappings, pages_that_split_the_memory_into_too_many_mappings_count_as_written)
{
	const size_t pages = 150000;
	struct region r = {.base = os_reserve(pages * 4096)};
	uint8_t *bits = calloc(pages / 8 + 1, 1);
	int id;
	cr_assert_eq(os_commit(r.base, pages * 4096), ERR_OK);
	cr_assert_eq(os_fault_watch(r.base, pages * 4096, on_fault, &r, &id), ERR_OK);
	cr_assert_eq(os_track_start(r.base, pages * 4096, pages * 4096, OS_TRACK_FAULTS, &r.track),
	             ERR_OK);
	for (size_t i = 0; i < pages; i += 2)
		r.base[i * 4096] = 1;
	cr_assert_eq(os_track_collect(r.track, bits, pages / 8 + 1, true), ERR_OK);
	for (size_t i = 0; i < pages; i += 2)
		cr_assert(dirty(bits, i));
	r.base[4096] = 1;
	memset(bits, 0, pages / 8 + 1);
	cr_assert_eq(os_track_collect(r.track, bits, pages / 8 + 1, true), ERR_OK);
	cr_assert(dirty(bits, 1));
	os_track_stop(r.track);
	os_fault_unwatch(id);
	os_release(r.base, pages * 4096);
	free(bits);
}
