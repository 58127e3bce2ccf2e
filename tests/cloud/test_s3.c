/* test_s3.c - signatures of S3 against those that Amazon has published, and its answers, honest and hostile. */
#include "cloud/s3_list.h"
#include "cloud/sigv4.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const char *signature_of(const struct sigv4 *s, char text[1024])
{
	struct wr out = {0};
	cr_assert_eq(sigv4_authorize(s, &out), ERR_OK);
	cr_assert(out.size <= 1024);
	memcpy(text, out.data, out.size);
	wr_free(&out);
	return strstr(text, "Signature=") + strlen("Signature=");
}

/* The examples of "Authenticating Requests: Using the Authorization Header" of Amazon's S3 API reference. */
struct example {
	const char *method, *path, *query, *headers[SIGV4_HEADERS_MAX], *hash, *signature;
};
static const struct example examples[] = {
    {"GET",
     "/test.txt",
     "",
     {"host:examplebucket.s3.amazonaws.com", "range:bytes=0-9", "x-amz-content-sha256:" NOTHING,
      "x-amz-date:20130524T000000Z"},
     NOTHING,
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"PUT",
     "/test%24file.text",
     "",
     {"date:Fri, 24 May 2013 00:00:00 GMT", "host:examplebucket.s3.amazonaws.com",
      "x-amz-content-sha256:44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
      "x-amz-date:20130524T000000Z", "x-amz-storage-class:REDUCED_REDUNDANCY"},
     "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"GET",
     "/",
     "lifecycle=",
     {"host:examplebucket.s3.amazonaws.com", "x-amz-content-sha256:" NOTHING,
      "x-amz-date:20130524T000000Z"},
     NOTHING,
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"GET",
     "/",
     "max-keys=2&prefix=J",
     {"host:examplebucket.s3.amazonaws.com", "x-amz-content-sha256:" NOTHING,
      "x-amz-date:20130524T000000Z"},
     NOTHING,
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

Test(sigv4, signs_the_examples_of_the_reference_of_s3)
{
	char text[1024];
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		struct sigv4 s = {.access = "AKIAIOSFODNN7EXAMPLE",
		                  .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		                  .region = "us-east-1",
		                  .service = "s3",
		                  .method = examples[i].method,
		                  .path = examples[i].path,
		                  .query = examples[i].query,
		                  .body_hash = examples[i].hash,
		                  .stamp = "20130524T000000Z"};
		memcpy(s.headers, examples[i].headers, sizeof s.headers);
		cr_expect_str_eq(signature_of(&s, text), examples[i].signature);
	}
}

/* Of Amazon's test suite of version 4: get-vanilla, get-vanilla-query-order-key-case, post-vanilla. */
Test(sigv4, signs_requests_of_the_published_suite)
{
	static const char *const cases[][3] = {
	    {"GET", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	    {"GET", "Param1=value1&Param2=value2",
	     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
	    {"POST", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	};
	char text[1024];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sigv4 s = {
		    .access = "AKIDEXAMPLE",
		    .secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
		    .region = "us-east-1",
		    .service = "service",
		    .method = cases[i][0],
		    .path = "/",
		    .query = cases[i][1],
		    .headers = {"host:example.amazonaws.com", "x-amz-date:20150830T123600Z"},
		    .body_hash = NOTHING,
		    .stamp = "20150830T123600Z"};
		cr_expect_str_eq(signature_of(&s, text), cases[i][2]);
	}
}

Test(sigv4, the_header_names_key_scope_and_headers)
{
	char text[1024], hash[SIGV4_HASH_TEXT];
	struct sigv4 s = {.access = "AKID",
	                  .secret = "s",
	                  .region = "r",
	                  .service = "s3",
	                  .method = "GET",
	                  .path = "/",
	                  .query = "",
	                  .headers = {"host:h", "x-amz-date:20150830T123600Z"},
	                  .body_hash = NOTHING,
	                  .stamp = "20150830T123600Z"};
	signature_of(&s, text);
	static const char want[] = "AWS4-HMAC-SHA256 Credential=AKID/20150830/r/s3/aws4_request, "
	                           "SignedHeaders=host;x-amz-date, Signature=";
	cr_assert_eq(strncmp(text, want, strlen(want)), 0);
	sigv4_hash_text("", 0, hash);
	cr_assert_str_eq(hash, NOTHING);
}

/* ---- answers ---- */

static bool note(void *ctx, const char *name, const struct cloud_item *item)
{
	char *text = ctx;
	size_t n = strlen(text);
	snprintf(text + n, 1000 - n, "%s%s %llu %s;", name, item->is_folder ? "/" : "",
	         (unsigned long long)item->size_bytes, item->etag);
	return true;
}

#define LIST(rows)                                                                   \
	"<ListBucketResult "                                                         \
	"xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Prefix>p/</Prefix>" rows \
	"</ListBucketResult>"
#define KEY(key, more) "<Contents><Key>" key "</Key>" more "</Contents>"

static enum err list(const char *xml, const char *prefix, struct s3_page *page, char text[1000])
{
	text[0] = 0;
	return s3_list(xml, strlen(xml), prefix, note, text, page, NULL);
}

Test(s3, a_page_gives_files_folders_and_where_it_goes_on)
{
	struct s3_page page;
	char text[1000];
	cr_assert_eq(
	    list(LIST("<NextContinuationToken>on=1</NextContinuationToken>" KEY("p/", "") KEY(
	             "p/a", "<Size>5</Size><ETag>\"x\"</ETag>") "<CommonPrefixes><Prefix>p/sub/</"
	                                                        "Prefix></CommonPrefixes>"),
	         "p/", &page, text),
	    ERR_OK);
	cr_assert_str_eq(text, "a 5 \"x\";sub/ 0 ;");
	cr_assert_str_eq(page.next, "on=1");
	cr_assert_eq(page.found, 3);
}

Test(s3, keys_that_are_no_names_are_passed_over)
{
	struct s3_page page;
	char text[1000];
	cr_assert_eq(list(LIST(KEY("p/..", "") KEY("p/a/b", "") KEY("q/x", "") KEY("p//x", "") KEY(
	                      "p/ok", "") KEY("", "") "<CommonPrefixes><Prefix>p/./</Prefix>"
	                                              "</CommonPrefixes>"),
	                  "p/", &page, text),
	             ERR_OK);
	cr_assert_str_eq(text, "ok 0 ;");
}

Test(s3, an_error_is_told_apart_from_an_answer)
{
	struct s3_words w;
	char id[16];
	const char error[] =
	    "<Error><Code>SlowDown</Code><Message>not so &#10;fast</Message></Error>";
	const char fine[] = "<InitiateMultipartUploadResult><UploadId>u1</UploadId></"
	                    "InitiateMultipartUploadResult>";
	s3_words(error, sizeof error - 1, &w);
	cr_assert_str_eq(w.code, "SlowDown");
	cr_assert_str_eq(w.message, "not so  fast");
	s3_words(fine, sizeof fine - 1, &w);
	cr_assert_str_eq(w.code, "");
	s3_words("no xml", 6, &w);
	cr_assert_str_eq(w.code, "");
	cr_assert_eq(s3_value(fine, sizeof fine - 1, "UploadId", id, sizeof id), ERR_OK);
	cr_assert_str_eq(id, "u1");
	cr_assert_eq(s3_value(fine, sizeof fine - 1, "UploadId", id, 2), ERR_NOTFOUND);
}
