/* test_stretch.c - memory that grows keeps what was written, and stays where it is once it is long. */
#include "base/stretch.h"

#include <criterion/criterion.h>
#include <string.h>

#define MOST ((size_t)64 << 20)

Test(stretch, grows_with_what_was_written)
{
	struct stretch s = {0};
	size_t before = 0;
	for (size_t need = 1000; need < 20000000; need = need * 3 / 2) {
		cr_assert(stretch_to(&s, need, MOST));
		cr_assert_geq(s.bytes, need);
		unsigned char *p = s.p;
		for (size_t i = 0; i < before; i += 977)
			cr_assert_eq(p[i], (unsigned char)(i * 7));
		for (size_t i = 0; i < need; i += 977)
			p[i] = (unsigned char)(i * 7);
		before = need;
	}
	stretch_free(&s);
	cr_assert_null(s.p);
	cr_assert_eq(s.bytes, 0);
}

Test(stretch, does_not_move_when_it_is_long)
{
	struct stretch s = {0};
	cr_assert(stretch_to(&s, STRETCH_SHORT + 1, MOST));
	void *p = s.p;
	cr_assert(stretch_to(&s, MOST, MOST));
	cr_assert_eq(s.p, p);
	memset(s.p, 1, MOST);
	stretch_free(&s);
}

Test(stretch, past_the_most_nothing_changes)
{
	struct stretch s = {0};
	cr_assert(stretch_to(&s, 1 << 20, MOST));
	size_t bytes = s.bytes;
	cr_assert_not(stretch_to(&s, MOST + 1, MOST));
	cr_assert_eq(s.bytes, bytes);
	stretch_free(&s);
}

Test(stretch, gives_back_a_step_at_a_time_and_grows_again)
{
	struct stretch s = {0};
	unsigned steps = 0;
	cr_assert(stretch_to(&s, 5 << 20, MOST));
	((unsigned char *)s.p)[0] = 9;
	while (stretch_less(&s))
		steps++;
	cr_assert_eq(steps, 4);
	cr_assert(stretch_to(&s, 3 << 20, MOST));
	memset((unsigned char *)s.p + 1, 5, ((size_t)3 << 20) - 1);
	cr_assert_eq(((unsigned char *)s.p)[0], 9);
	stretch_free(&s);
	cr_assert_not(stretch_less(&s));
}
