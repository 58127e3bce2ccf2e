/* test_winname.c - names and links as Windows holds them. */
#include "vfs/winname.h"

#include <criterion/criterion.h>
#include <string.h>

static enum ferr name(const char *text)
{
	uint16_t out[WINNAME_MAX];
	size_t units;
	return winname_of(text, out, &units);
}

Test(winname, names_that_windows_would_take_for_something_else_are_refused)
{
	static const char *const bad[] = {
	    "file:stream", "file::$DATA", "C:",          "C:x",    "a\\b",      "..\\x",  "a*",
	    "a?",          "a<",          "a|b",         "\"",     "a\x01",     "a.",     "a ",
	    "...",         "NUL",         "nul.txt",     "Con",    "aux.c",     "PRN ",   "com1",
	    "COM9.log",    "lpt1.x.y",    "COM\xc2\xb9", "conin$", "CONOUT$.x", "nul .x", "a/b"};
	static const char *const good[] = {"a",       ".a",       "a.b",   "..a",   "nulx",
	                                   "console", "com",      "com10", "acom1", "NULL",
	                                   "x~1",     "\xc3\xa9", "a b",   "lpt"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_eq(name(bad[i]), FE_INVAL, "%s", bad[i]);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		cr_expect_eq(name(good[i]), FE_OK, "%s", good[i]);
	cr_expect_eq(name("\xff"), FE_ILSEQ);
}

Test(winname, a_name_has_at_most_255_units)
{
	char text[800];
	memset(text, 'n', sizeof text);
	text[255] = 0;
	cr_expect_eq(name(text), FE_OK);
	text[255] = 'n';
	text[256] = 0;
	cr_expect_eq(name(text), FE_NAMETOOLONG);
}

static void expect_text(const uint8_t *r, size_t size, const char *want)
{
	char buf[64];
	size_t n = sizeof buf;
	cr_expect_eq(winname_link_text(r, size, buf, &n), FE_OK);
	cr_expect(n == strlen(want) && !memcmp(buf, want, n), "%.*s", (int)n, buf);
}

Test(winname, a_link_that_was_made_reads_as_it_was_given)
{
	static const int tags[] = {WINNAME_TAG_SYMLINK, WINNAME_TAG_LX_SYMLINK};
	for (int i = 0; i < 2; i++) {
		uint8_t r[WINNAME_REPARSE_MAX];
		size_t size;
		cr_expect_eq(winname_link_make(tags[i], "../d/\xc3\xa9/", r, &size), FE_OK);
		expect_text(r, size, "../d/\xc3\xa9/");
		cr_expect_eq(winname_link_make(tags[i], "d/nul", r, &size), FE_INVAL);
		cr_expect_eq(winname_link_make(tags[i], "C:\\x", r, &size), FE_INVAL);
	}
}

/* Builds one with a UTF-16 text that is ASCII. */
static size_t reparse(uint8_t *r, uint32_t tag, size_t texts, uint8_t flags, const char *text)
{
	size_t n = strlen(text);
	memset(r, 0, texts + 2 * n);
	for (int i = 0; i < 4; i++)
		r[i] = (uint8_t)(tag >> (8 * i));
	r[4] = (uint8_t)(texts - 8 + 2 * n);
	r[10] = (uint8_t)(2 * n);
	r[16] = flags;
	for (size_t i = 0; i < n; i++)
		r[texts + 2 * i] = (uint8_t)text[i];
	return texts + 2 * n;
}

Test(winname, links_that_leave_their_folder_read_as_absolute)
{
	uint8_t r[256];
	const uint32_t junction = (uint32_t)WINNAME_TAG_JUNCTION,
	               symlink = (uint32_t)WINNAME_TAG_SYMLINK;
	size_t n = reparse(r, junction, 16, 0, "\\??\\C:\\Users");
	r[16] = '\\'; /* a junction has no flags there */
	expect_text(r, n, "/C:/Users");
	expect_text(r, reparse(r, symlink, 20, 0, "\\??\\C:\\x"), "/C:/x");
	expect_text(r, reparse(r, symlink, 20, 0, "\\??\\UNC\\server\\share"), "/UNC/server/share");
	expect_text(r, reparse(r, symlink, 20, 0, "C:\\x"), "/C:/x");
	expect_text(r, reparse(r, symlink, 20, 1, "\\x"), "/x");
	expect_text(r, reparse(r, symlink, 20, 1, "..\\x"), "../x");
}

Test(winname, damaged_links_are_refused)
{
	uint8_t r[256], copy[256];
	char buf[64];
	size_t size = reparse(r, (uint32_t)WINNAME_TAG_SYMLINK, 20, 1, "..\\x"), n;
	for (size_t cut = 0; cut < size; cut++) {
		memcpy(copy, r, size);
		n = sizeof buf;
		cr_expect_eq(winname_link_text(copy, cut, buf, &n), FE_INVAL);
	}
	for (size_t at = 0; at < size; at++) {
		for (int v = 0; v < 256; v++) {
			memcpy(copy, r, size);
			copy[at] = (uint8_t)v;
			n = sizeof buf;
			winname_link_text(copy, size, buf, &n);
			cr_assert_leq(n, sizeof buf);
		}
	}
}
