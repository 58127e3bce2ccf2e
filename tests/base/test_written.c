/* test_written.c - page faults that are answered, and which pages were written, on the system's own pages. */
#include "base/os.h"

#include <criterion/criterion.h>
#include <string.h>

static bool dirty(const uint8_t *bits, size_t page)
{
	return bits[page / 8] >> (page % 8) & 1;
}

static unsigned count(const uint8_t *bits, size_t pages)
{
	unsigned n = 0;
	for (size_t i = 0; i < pages; i++)
		n += dirty(bits, i);
	return n;
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

/* Both trackers agree; the host's own system calls are seen when they are marked. */
static void tracks(enum os_track_kind kind)
{
	enum { SIZE = 1 << 20 };
	struct region r = {.base = os_reserve(4 * SIZE)};
	uint8_t bits[SIZE / 4096 / 8 * 2];
	int id;
	cr_assert_eq(os_commit(r.base, SIZE), ERR_OK);
	cr_assert_eq(os_fault_watch(r.base, 4 * SIZE, on_fault, &r, &id), ERR_OK);
	enum err e = os_track_start(r.base, SIZE, 4 * SIZE, kind, &r.track);
	if (e == ERR_UNSUPPORTED && kind == OS_TRACK_KERNEL) {
		os_fault_unwatch(id);
		os_release(r.base, 4 * SIZE);
		return;
	}
	cr_assert_eq(e, ERR_OK);
	cr_assert_eq(os_track_kind(r.track), kind);
	for (int round = 0; round < 3; round++) {
		for (size_t page = 0; page < 256; page += 7)
			r.base[page * 4096 + page] = 1;
		os_track_mark(r.track, 4096 * 100 - 4, 8);
		/* collected between the mark and the system call, as when a program runs while it moves */
		memset(bits, 0, sizeof bits);
		cr_assert_eq(os_track_collect(r.track, bits, sizeof bits, true), ERR_OK);
		cr_assert(kind == OS_TRACK_KERNEL || (dirty(bits, 99) && dirty(bits, 100)));
		for (size_t page = 0; page < 256; page += 7)
			r.base[page * 4096 + page] = 2;
		os_random(r.base + 4096 * 100 - 4, 8); /* a system call */
		os_track_unpin(r.track);
		memset(bits, 0, sizeof bits);
		cr_assert_eq(os_track_collect(r.track, bits, sizeof bits, true), ERR_OK);
		for (size_t page = 0; page < 256; page++)
			cr_assert_eq(dirty(bits, page), page % 7 == 0 || page == 99 || page == 100);
	}
	cr_assert_eq(os_commit(r.base + SIZE, SIZE), ERR_OK);
	os_track_grown(r.track, 2 * SIZE);
	r.base[SIZE + 1] = 1;
	memset(bits, 0, sizeof bits);
	cr_assert_eq(os_track_collect(r.track, bits, sizeof bits, true), ERR_OK);
	cr_assert(dirty(bits, 256));
	memset(bits, 0, sizeof bits);
	r.base[SIZE + 4097] = 1;
	cr_assert_eq(os_track_collect(r.track, bits, sizeof bits, true), ERR_OK);
	cr_assert_eq(count(bits, 512), 1);
	os_track_stop(r.track);
	r.base[5] = 1;
	os_fault_unwatch(id);
	os_release(r.base, 4 * SIZE);
}

Test(written, pages_written_are_tracked_by_faults)
{
	tracks(OS_TRACK_FAULTS);
}

Test(written, pages_written_are_tracked_by_the_kernel_where_it_can)
{
	tracks(OS_TRACK_KERNEL);
}

static void touch(void *ctx)
{
	*(volatile uint8_t *)ctx = 1;
}

static bool refuse(void *ctx, size_t offset)
{
	return false;
}

Test(written, a_fault_in_a_watched_range_ends_the_guarded_function)
{
	uint8_t *p = os_reserve(1 << 20);
	uintptr_t addr = 0;
	int id;
	cr_assert_eq(os_fault_watch(p, 1 << 20, refuse, NULL, &id), ERR_OK);
	for (int i = 0; i < 3; i++) {
		cr_assert_not(os_fault_guarded(touch, p + 5000, &addr));
		cr_assert_eq(addr, (uintptr_t)p + 5000);
	}
	cr_assert_eq(os_commit(p, 8192), ERR_OK);
	cr_assert(os_fault_guarded(touch, p + 5000, &addr));
	os_fault_unwatch(id);
	os_release(p, 1 << 20);
}
