/* test_os.c - the system's edge: waiting, clocks, randomness, memory. */
#include "base/os.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static uint64_t in_ms(uint64_t ms)
{
	return os_monotonic_ns() + ms * 1000000;
}

Test(os, a_wait_ends_at_its_deadline)
{
	struct os_wake w;
	cr_assert_eq(os_wake_init(&w), ERR_OK);
	uint64_t deadline = in_ms(20);
	cr_assert_eq(os_wait(&w, NULL, 0, deadline), 0);
	cr_assert_geq(os_monotonic_ns(), deadline);
	cr_assert_eq(os_wait(&w, NULL, 0, 0), 0); /* long past */
	os_wake_free(&w);
}

static void *post_later(void *arg)
{
	usleep(5000);
	os_wake_post(arg);
	return NULL;
}

Test(os, a_poke_ends_a_wait_now_or_the_next_one_and_only_one)
{
	struct os_wake w;
	pthread_t thread;
	cr_assert_eq(os_wake_init(&w), ERR_OK);
	os_wake_post(&w);
	os_wake_post(&w);
	uint64_t before = os_monotonic_ns();
	os_wait(&w, NULL, 0, in_ms(10000));
	cr_assert_lt(os_monotonic_ns() - before, 5000000000u);
	uint64_t deadline = in_ms(20);
	os_wait(&w, NULL, 0, deadline);
	cr_assert_geq(os_monotonic_ns(), deadline); /* the flag was lowered */
	pthread_create(&thread, NULL, post_later, &w);
	before = os_monotonic_ns();
	os_wait(&w, NULL, 0, OS_NO_DEADLINE);
	cr_assert_lt(os_monotonic_ns() - before, 5000000000u);
	pthread_join(thread, NULL);
	os_wake_free(&w);
}

Test(os, random_bytes_differ_each_time)
{
	uint8_t a[32], b[32];
	os_random(a, sizeof a);
	os_random(b, sizeof b);
	cr_assert_neq(memcmp(a, b, sizeof a), 0);
}

Test(os, committed_memory_is_zeroed_and_can_be_taken_back_from_writers)
{
	size_t page = os_page_size();
	uint8_t *p = os_reserve(1u << 30);
	cr_assert(p);
	cr_assert_eq(os_commit(p + page, page), ERR_OK);
	for (size_t i = 0; i < page; i++)
		cr_assert_eq(p[page + i], 0);
	p[page] = 7;
	cr_assert_eq(os_protect(p + page, page, OS_READ), ERR_OK);
	cr_assert_eq(p[page], 7);
	os_release(p, 1u << 30);
}
