/* test_answers.c - what servers answer, read: listings of WebDAV, times, names; honest ones and hostile ones. */
#include "cloud/webdav_list.h"
#include "cloud/xml.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The names of a listing, "name size etag;" each; a folder's has a slash. */
static bool note(void *ctx, const char *name, const struct cloud_item *item)
{
	char *text = ctx;
	size_t n = strlen(text);
	snprintf(text + n, 1000 - n, "%s%s %llu %s;", name, item->is_folder ? "/" : "",
	         (unsigned long long)item->size_bytes, item->etag);
	return true;
}

static enum err list(const char *xml, const char *folder, char text[1000])
{
	text[0] = 0;
	return webdav_list(xml, strlen(xml), folder, note, text, NULL);
}

#define HEAD "<?xml version=\"1.0\"?><D:multistatus xmlns:D=\"DAV:\">"
#define TAIL "</D:multistatus>"
#define OK "<D:status>HTTP/1.1 200 OK</D:status>"
#define FOLDER "<D:resourcetype><D:collection/></D:resourcetype>"
#define ROW(href, props)                                                                 \
	"<D:response><D:href>" href "</D:href><D:propstat><D:prop>" props "</D:prop>" OK \
	"</D:propstat></D:response>"

Test(webdav, a_listing_gives_the_folder_and_what_is_in_it)
{
	char text[1000];
	cr_assert_eq(list(HEAD ROW("/dav/", FOLDER)
	                      ROW("/dav/a%20b", "<D:getcontentlength>5</D:getcontentlength>"
	                                        "<D:getetag>\"x\"</D:getetag>")
	                          ROW("http://host/dav/sub/", FOLDER) TAIL,
	                  "/dav", text),
	             ERR_OK);
	cr_assert_str_eq(text, "/ 0 ~0-0;a b 5 \"x\";sub/ 0 ~0-0;");
}

Test(webdav, what_is_not_there_says_nothing_and_weak_versions_are_not_trusted)
{
	char text[1000];
	const char *xml = HEAD
	    "<D:response><D:href>/a</D:href><D:propstat><D:prop><D:getetag>W/\"w\"</D:getetag>"
	    "<D:getcontentlength>7</D:getcontentlength><D:getlastmodified>Sun, 06 Nov 1994 "
	    "08:49:37 "
	    "GMT</D:getlastmodified></D:prop>" OK
	    "</D:propstat><D:propstat><D:prop><D:resourcetype>"
	    "<D:collection/></D:resourcetype></D:prop><D:status>HTTP/1.1 404 Not Found</D:status>"
	    "</D:propstat></D:response>" TAIL;
	cr_assert_eq(list(xml, "", text), ERR_OK);
	cr_assert_str_eq(text, "a 7 ~7-784111777000000000;");
}

Test(webdav, names_that_lead_elsewhere_are_passed_over)
{
	char text[1000];
	cr_assert_eq(list(HEAD ROW("/dav/..", "") ROW("/dav/x/y", "") ROW("/dav/%2e%2e/etc", "")
	                      ROW("/other/z", "") ROW("/dav/a%00b", "") ROW("/dav/%zz", "")
	                          ROW("/dav/a%2fb", "") ROW("/davx", "") ROW("/dav/ok", "") TAIL,
	                  "/dav", text),
	             ERR_OK);
	cr_assert_str_eq(text, "ok 0 ~0-0;");
}

Test(webdav, a_version_with_a_line_end_in_it_is_none)
{
	char text[1000];
	cr_assert_eq(
	    list(HEAD ROW("/a", "<D:getetag>\"x&#13;&#10;Evil: 1\"</D:getetag>") TAIL, "", text),
	    ERR_OK);
	cr_assert_str_eq(text, "a 0 ~0-0;");
}

Test(webdav, bombs_and_broken_answers_are_refused)
{
	char text[1000];
	char *deep = calloc(1, 100000);
	cr_assert_eq(list("<!DOCTYPE x [<!ENTITY a \"b\">]><x>&a;</x>", "", text), ERR_MALFORMED);
	cr_assert_eq(list(HEAD, "", text), ERR_MALFORMED);
	cr_assert_eq(list("", "", text), ERR_MALFORMED);
	for (int i = 0; i < 1000; i++)
		strcat(deep, "<a>");
	cr_assert_eq(list(deep, "", text), ERR_LIMIT);
	strcpy(deep, "<a>");
	memset(deep + 3, 'x', 90000);
	strcat(deep, "</a>");
	cr_assert_eq(list(deep, "", text), ERR_LIMIT);
	free(deep);
}

Test(http, times_are_read_and_written)
{
	char stamp[HTTP_STAMP_SIZE];
	cr_assert_eq(http_time("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
	cr_assert_eq(http_time("1994-11-06T08:49:37.000Z"), 784111777);
	cr_assert_eq(http_time("2024-02-29T00:00:00Z"), 1709164800);
	cr_assert_eq(http_time("yesterday"), 0);
	cr_assert_eq(http_time("Sun, 99 Nov 1994 08:49:37 GMT"), 0);
	http_stamp(1440938160, stamp);
	cr_assert_str_eq(stamp, "20150830T123600Z");
	http_stamp(1709164800, stamp);
	cr_assert_str_eq(stamp, "20240229T000000Z");
}

Test(http, addresses_are_taken_apart_or_refused)
{
	struct http_url u;
	cr_assert_eq(http_url_parse("https://host:8443/a/b", &u, NULL), ERR_OK);
	cr_assert(u.is_tls && u.host_size == 9 && !strcmp(u.path, "/a/b"));
	static const char *const bad[] = {"host",         "file:///etc/passwd", "http://",
	                                  "http://:1/",   "http://a b/",        "http://u:p@h/",
	                                  "https://h/?q", "https://h/\r\nX: y"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert_eq(http_url_parse(bad[i], &u, NULL), ERR_INVALID);
	static const char *const local[] = {"http://localhost", "http://127.0.0.1:80/x",
	                                    "http://[::1]:9/", "http://[::1]"};
	for (size_t i = 0; i < sizeof local / sizeof *local; i++)
		cr_assert(http_url_parse(local[i], &u, NULL) == ERR_OK && http_url_is_local(&u));
	cr_assert(http_url_parse("http://localhost.example/", &u, NULL) == ERR_OK &&
	          !http_url_is_local(&u));
}
