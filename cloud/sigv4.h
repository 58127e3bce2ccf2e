/* sigv4.h - Amazon's signature of requests, version 4 ("AWS4-HMAC-SHA256"), as storage of S3 asks for it.
 *
 * Pure: the time is handed in. What is signed is the method, the path and the query as they are sent, the headers given, and
 * the hash of the body; the key is derived from the secret, the day, the region and the service.
 *
 *	struct sigv4 s = {.access = "AKIA...", .secret = secret, .region = "us-east-1", .service = "s3",
 *	                  .method = "GET", .path = "/photos/a%20b", .query = "", .body_hash = hash, .stamp = "20130524T000000Z",
 *	                  .headers = {"host:host", "x-amz-date:20130524T000000Z"}};
 *	TRY(sigv4_authorize(&s, &out));            // "AWS4-HMAC-SHA256 Credential=..., Signature=..."
 */
#pragma once

#include "base/bytes.h"

enum { SIGV4_HEADERS_MAX = 12, SIGV4_HASH_TEXT = 65 /* a hash in hexadecimal, with its end */ };

struct sigv4 {
	const char *access, *secret, *region, *service;
	const char *method;
	const char *path;  /* escaped, as it is sent */
	const char *query; /* escaped, sorted, "name=value&name="; "" */
	const char *headers
	    [SIGV4_HEADERS_MAX]; /* "name:value" in small letters, sorted by name, up to a NULL; values without blanks around */
	const char *body_hash; /* SHA-256 in hexadecimal, or "UNSIGNED-PAYLOAD" */
	const char *stamp;     /* http_stamp() */
};

/* Appends the value of the header Authorization, and a zero byte. NOMEM. */
enum err sigv4_authorize(const struct sigv4 *s, struct wr *out);
void sigv4_hash_text(const void *bytes, size_t size, char out[SIGV4_HASH_TEXT]);
void sigv4_hex(const uint8_t hash[32], char out[SIGV4_HASH_TEXT]);
