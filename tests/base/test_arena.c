/* test_arena.c - the arena gives zeroed, aligned pieces within its limit. */
#include "base/arena.h"

#include <criterion/criterion.h>
#include <string.h>

static int is_zero(const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (p[i])
			return 0;
	return 1;
}

Test(arena, pieces_are_zeroed_aligned_and_apart)
{
	struct arena a = {0};
	for (size_t size = 1; size < 20000; size = size * 3 + 1) {
		uint8_t *p = arena_alloc(&a, size, 1);
		cr_assert(p);
		cr_assert_eq((uintptr_t)p % 16, 0);
		cr_assert(is_zero(p, size));
		memset(p, 0xff, size);
	}
	arena_free(&a);
	cr_assert_null(a.blocks);
	cr_assert_eq(a.used_bytes, 0);
}

Test(arena, a_product_that_overflows_gives_null)
{
	struct arena a = {0};
	cr_assert_null(arena_alloc(&a, SIZE_MAX / 2, 3));
	cr_assert_null(arena_alloc(&a, SIZE_MAX, 1));
	arena_free(&a);
}

Test(arena, a_limit_is_kept_and_smaller_pieces_still_fit)
{
	struct arena a = {.limit_bytes = 64 << 10};
	cr_assert_null(arena_alloc(&a, 1, 65 << 10));
	cr_assert(arena_alloc(&a, 1, 32 << 10));
	cr_assert_null(arena_alloc(&a, 1, 32 << 10));
	cr_assert(arena_alloc(&a, 1, 100));
	cr_assert_leq(a.used_bytes, a.limit_bytes);
	arena_free(&a);
}

Test(arena, a_copy_ends_with_a_zero_byte)
{
	struct arena a = {0};
	cr_assert_str_eq(arena_copy(&a, "safepoint", 4), "safe");
	cr_assert_str_eq(arena_copy(&a, NULL, 0), "");
	arena_free(&a);
}
