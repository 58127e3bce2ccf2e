/* test_utf16.c - names of Windows: every one has one spelling in UTF-8, and back. */
#include "base/utf16.h"

#include <criterion/criterion.h>
#include <string.h>

static enum err to_wide(const char *text, uint16_t *out, size_t room, size_t *units)
{
	return utf16_of_utf8(text, strlen(text), out, room, units);
}

Test(utf16, characters_beyond_the_first_plane_are_two_units_and_come_back)
{
	const char *text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
	const uint16_t wide[] = {'a', 0xe9, 0x20ac, 0xd83d, 0xde00};
	uint16_t out[8];
	char back[32];
	size_t units, size;
	cr_assert_eq(to_wide(text, out, 8, &units), ERR_OK);
	cr_assert_eq(units, 5);
	cr_assert_eq(memcmp(out, wide, sizeof wide), 0);
	cr_assert_eq(utf8_of_utf16(out, units, back, sizeof back, &size), ERR_OK);
	cr_assert(size == strlen(text) && !memcmp(back, text, size));
	cr_assert_eq(to_wide(text, out, 4, &units), ERR_LIMIT);
	cr_assert_eq(utf8_of_utf16(out, 5, back, 9, &size), ERR_LIMIT);
}

Test(utf16, every_unit_and_a_lone_half_of_a_pair_come_back)
{
	for (uint32_t c = 1; c < 0x10000; c++) {
		uint16_t in[] = {(uint16_t)c, 'x'}, out[4];
		char text[8];
		size_t size, units;
		cr_assert_eq(utf8_of_utf16(in, 2, text, sizeof text, &size), ERR_OK);
		cr_assert_eq(utf16_of_utf8(text, size, out, 4, &units), ERR_OK);
		cr_assert(units == 2 && out[0] == c && out[1] == 'x', "unit %x", c);
	}
}

Test(utf16, a_second_spelling_of_the_same_name_is_refused)
{
	static const char *const bad[] = {
	    "\xed\xa0\xbd\xed\xb8\x80", /* a pair as two halves */
	    "\xc0\xaf",                 /* a slash, too long */
	    "\xe0\x80\xaf",
	    "\xf0\x80\x80\xaf",
	    "\xf4\x90\x80\x80", /* beyond the last character */
	    "\xff",
	    "\x80",
	    "\xe2\x82", /* cut off */
	    "\xc3-",
	};
	uint16_t out[8];
	size_t units;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert_eq(to_wide(bad[i], out, 8, &units), ERR_INVALID, "text %zu", i);
}
