/* test_copy.c - memory and its copies: each has what was there, and afterwards what its own side writes; and written pages are told of it. */
#include "base/os_copy.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, MAX = 64 << 20, SMALL = 64 << 10, BIG = 24 << 20 };

struct range {
	uint8_t *p;
	size_t size;
	struct os_copied *copied;
};

static struct range range_new(size_t size)
{
	struct range r = {.p = os_reserve(MAX), .size = size};
	cr_assert(r.p);
	cr_assert_eq(os_commit(r.p, size), ERR_OK);
	return r;
}

static struct range copy_of(struct range *from, bool may_share)
{
	struct range r = {.p = os_reserve(MAX), .size = from->size};
	cr_assert(r.p);
	cr_assert_eq(os_copy(from->p, &from->copied, r.p, &r.copied, from->size, may_share),
	             ERR_OK);
	cr_assert(memcmp(from->p, r.p, from->size) == 0);
	return r;
}

static void range_free(struct range *r)
{
	os_release(r->p, MAX);
	os_copied_free(r->copied);
}

static void grow(struct range *r, size_t size)
{
	cr_assert_eq(os_commit(r->p + r->size, size - r->size), ERR_OK);
	r->size = size;
}

/* Every page of it is another's than the seed's before. */
static void write_all(struct range *r, uint8_t seed)
{
	for (size_t at = 0; at < r->size; at += PAGE)
		r->p[at + at / PAGE % PAGE] = (uint8_t)(seed + at / PAGE);
}

static void check_apart(size_t size, bool may_share)
{
	struct range a = range_new(size);
	write_all(&a, 1);
	struct range b = copy_of(&a, may_share);
	a.p[0] = 77;
	b.p[size - 1] = 88;
	cr_assert(b.p[0] != 77 && a.p[size - 1] != 88);
	struct range c = copy_of(&a, may_share), d = copy_of(&b, may_share);
	cr_assert(c.p[0] == 77 && d.p[size - 1] == 88);
	range_free(&a);
	write_all(&c, 5);
	cr_assert(memcmp(b.p, d.p, size) == 0);
	range_free(&b);
	range_free(&c);
	cr_assert(d.p[size - 1] == 88);
	range_free(&d);
}

Test(copy, little_memory_and_its_copies_are_apart)
{
	check_apart(SMALL, true);
	check_apart(SMALL, false);
}

Test(copy, much_memory_and_its_copies_are_apart)
{
	check_apart(BIG, true);
	check_apart(BIG, false);
}

Test(copy, it_may_grow_and_be_written_between_a_hundred_copies)
{
	struct range a = range_new(BIG / 2);
	write_all(&a, 3);
	for (unsigned i = 0; i < 100; i++) {
		if (i % 10 == 9)
			grow(&a, a.size + 16 * PAGE);
		for (unsigned k = 0; k < i * 37 % 900; k++)
			a.p[(size_t)(i * 7919 + k * 104729) * 64 % a.size]++;
		struct range b = copy_of(&a, i % 7 != 3);
		range_free(&b);
	}
	range_free(&a);
}

static bool on_fault(void *ctx, size_t offset)
{
	struct os_track *const *t = ctx;
	return os_track_fault(*t, offset);
}

/* Shared or not: what is written after the start is told, and a copy meanwhile has it. */
static void check_written(enum os_track_kind kind)
{
	static uint8_t bits[BIG / PAGE / 8];
	struct os_track *t = NULL;
	struct range a = range_new(BIG);
	int watch;
	write_all(&a, 9);
	struct range b = copy_of(&a, true);
	cr_assert_eq(os_fault_watch(a.p, BIG, on_fault, &t, &watch), ERR_OK);
	if (os_track_start(a.p, BIG, BIG, kind, &t) != ERR_OK)
		cr_skip("no such tracker here");
	a.p[5 * PAGE]++;
	struct range c = copy_of(&a, false);
	a.p[9 * PAGE]++;
	c.p[7 * PAGE]++;
	cr_assert_eq(os_track_collect(t, bits, sizeof bits, true), ERR_OK);
	cr_assert(bits[0] >> 5 & 1 && bits[1] >> 1 & 1 && !(bits[0] >> 7 & 1));
	struct range d = copy_of(&a, false);
	os_track_stop(t);
	os_fault_unwatch(watch);
	range_free(&a);
	range_free(&b);
	range_free(&c);
	range_free(&d);
}

Test(copy, written_pages_of_shared_memory_are_told_by_the_kernel)
{
	check_written(OS_TRACK_KERNEL);
}

Test(copy, written_pages_of_shared_memory_are_told_by_faults)
{
	check_written(OS_TRACK_FAULTS);
}
