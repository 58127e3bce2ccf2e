/* criterion.h - the part of Criterion that tests of base/, engine/ and vfs/ use, for platforms that have no Criterion
 * (plain.c runs them): cases one after another in one process, TAP out. A failed cr_assert ends its case, a failed
 * cr_expect does not. Names of cases as arguments run those alone.
 */
#pragma once

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plain_case {
	const char *suite, *name;
	void (*run)(void);
	struct plain_case *next;
	/* Criterion's settings, which are accepted here */
	double timeout;
	bool disabled;
};

void plain_add(struct plain_case *c);
/* Says that what was written does not hold; fatal: does not return. */
__attribute__((format(printf, 5, 6))) void plain_failed(const char *file, int line, bool fatal,
                                                        const char *what, const char *format, ...);

#define Test(suite_, name_, ...)                                                    \
	static void plain_##suite_##_##name_(void);                                 \
	__attribute__((constructor)) static void plain_add_##suite_##_##name_(void) \
	{                                                                           \
		static struct plain_case c = {.suite = #suite_,                     \
		                              .name = #name_,                       \
		                              .run = plain_##suite_##_##name_,      \
		                              ##__VA_ARGS__};                       \
		plain_add(&c);                                                      \
	}                                                                           \
	static void plain_##suite_##_##name_(void)

#define PLAIN_CHECK(fatal, ok, what, ...)                                               \
	do {                                                                            \
		if (!(ok))                                                              \
			plain_failed(__FILE__, __LINE__, fatal, what, " " __VA_ARGS__); \
	} while (0)
#define PLAIN_TEXTS(a, b) (!strcmp((a), (b)))

#define cr_assert(a, ...) PLAIN_CHECK(true, a, #a, ##__VA_ARGS__)
#define cr_assert_not(a, ...) PLAIN_CHECK(true, !(a), "not " #a, ##__VA_ARGS__)
#define cr_assert_eq(a, b, ...) PLAIN_CHECK(true, (a) == (b), #a " == " #b, ##__VA_ARGS__)
#define cr_assert_neq(a, b, ...) PLAIN_CHECK(true, (a) != (b), #a " != " #b, ##__VA_ARGS__)
#define cr_assert_lt(a, b, ...) PLAIN_CHECK(true, (a) < (b), #a " < " #b, ##__VA_ARGS__)
#define cr_assert_leq(a, b, ...) PLAIN_CHECK(true, (a) <= (b), #a " <= " #b, ##__VA_ARGS__)
#define cr_assert_gt(a, b, ...) PLAIN_CHECK(true, (a) > (b), #a " > " #b, ##__VA_ARGS__)
#define cr_assert_geq(a, b, ...) PLAIN_CHECK(true, (a) >= (b), #a " >= " #b, ##__VA_ARGS__)
#define cr_assert_null(a, ...) PLAIN_CHECK(true, (a) == NULL, #a " is NULL", ##__VA_ARGS__)
#define cr_assert_not_null(a, ...) PLAIN_CHECK(true, (a) != NULL, #a " is not NULL", ##__VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) \
	PLAIN_CHECK(true, PLAIN_TEXTS(a, b), #a " is " #b, ##__VA_ARGS__)
#define cr_assert_fail(...) PLAIN_CHECK(true, false, "failed", ##__VA_ARGS__)
#define cr_expect(a, ...) PLAIN_CHECK(false, a, #a, ##__VA_ARGS__)
#define cr_expect_not(a, ...) PLAIN_CHECK(false, !(a), "not " #a, ##__VA_ARGS__)
#define cr_expect_eq(a, b, ...) PLAIN_CHECK(false, (a) == (b), #a " == " #b, ##__VA_ARGS__)
#define cr_expect_neq(a, b, ...) PLAIN_CHECK(false, (a) != (b), #a " != " #b, ##__VA_ARGS__)
#define cr_expect_null(a, ...) PLAIN_CHECK(false, (a) == NULL, #a " is NULL", ##__VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) \
	PLAIN_CHECK(false, PLAIN_TEXTS(a, b), #a " is " #b, ##__VA_ARGS__)
