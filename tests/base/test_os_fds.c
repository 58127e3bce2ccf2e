/* test_os_fds.c - waiting for descriptors, where handles are descriptors. */
#include "base/os.h"

#include <criterion/criterion.h>
#include <unistd.h>

static uint64_t in_ms(uint64_t ms)
{
	return os_monotonic_ns() + ms * 1000000;
}

Test(os, a_wait_says_which_descriptors_are_ready)
{
	struct os_wake w;
	int a[2], b[2];
	cr_assert_eq(os_wake_init(&w), ERR_OK);
	cr_assert(pipe(a) == 0 && pipe(b) == 0);
	struct os_ready fds[] = {{.handle = a[0], .want_read = true},
	                         {.handle = b[0], .want_read = true},
	                         {.handle = a[1], .want_write = true}};
	cr_assert_eq(os_wait(&w, fds, 2, in_ms(1)), 0);
	cr_assert_eq(write(b[1], "x", 1), 1);
	cr_assert_eq(os_wait(&w, fds, 3, in_ms(1000)), 2);
	cr_assert(!fds[0].is_readable && fds[1].is_readable && fds[2].is_writable);
	close(a[1]); /* hung up: a read would not block */
	cr_assert_eq(os_wait(&w, fds, 1, in_ms(1000)), 1);
	cr_assert(fds[0].is_readable);
	close(a[0]);
	close(b[0]);
	close(b[1]);
	os_wake_free(&w);
}
