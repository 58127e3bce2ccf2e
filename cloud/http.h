/* http.h - requests to a server of HTTP, over libcurl: bounded in time and in bytes.
 *
 * One `struct http` is the way to one server: connections are kept and used again, the user's name and secret go with each
 * request. A certificate of TLS is always verified; redirections are not followed. Any thread may make requests, several at
 * a time; each blocks its caller until the answer is there, at most HTTP_LIMIT_MS and as long as its bytes take at HTTP_SLOWEST a second. A request that may be repeated is, up to HTTP_TRIES times with growing pauses, when the
 * connection broke or the server was busy. A server that could not be reached is not tried again for HTTP_DOWN_MS: CLOSED at once.
 *
 * libcurl is loaded while running (http_curl.c); where a build has none, http_none.c says so.
 *
 *	struct http_request r = {.method = "PROPFIND", .url = url, .may_repeat = true, .max_bytes = 1 << 20};
 *	struct http_answer a;
 *	TRY(http_do(h, &r, &a, &msg));      // any status is an answer
 *	... a.status, a.body ...
 *	http_answer_free(&a);
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HTTP_ETAG_MAX = 256, /* with the end; a longer one counts as none */
	HTTP_URL_MAX = 16384,
	HTTP_HEADERS_MAX = 24,
	HTTP_WORDS_MAX = 4096, /* of an answer that is a refusal */
	HTTP_CONNECT_MS = 4000,
	HTTP_LIMIT_MS = 10000,   /* of a request; no bytes for so long ends it too */
	HTTP_COLLECT_MS = 20000, /* more for a long answer */
	HTTP_SLOWEST = 16384,
	HTTP_TRIES = 3,
	HTTP_DOWN_MS = 3000,
	HTTP_SECRET_MAX = 4096,
};

struct http;

struct http_config {
	const char *user, *secret; /* Basic; user NULL: none is sent. Copied */
	const char *ca_file; /* certificates to trust instead of the system's; NULL: the system's */
};

/* What an upload is read from: exactly size bytes at offset. */
struct http_source {
	bool (*read)(void *ctx, uint64_t offset, void *buf, size_t size);
	void *ctx;
	uint64_t size_bytes;
};

struct http_range {
	uint64_t first, size_bytes; /* 0 bytes: all */
};

struct http_request {
	const char *method, *url;
	const char *headers[HTTP_HEADERS_MAX]; /* "Name: value"; up to a NULL */
	const struct http_source *source;      /* NULL: no body */
	struct http_range range;
	/* Takes the body of a success, from range.first on and never more than asked for. NULL: it is collected in the answer. */
	bool (*sink)(void *ctx, const void *bytes, size_t size);
	void *sink_ctx;
	uint64_t max_bytes; /* of a body that is collected, or that the sink gets: LIMIT above it */
	bool may_repeat;
};

struct http_answer {
	unsigned status;
	char etag[HTTP_ETAG_MAX]; /* as it came, with quotes; "": none */
	char lock_token[HTTP_ETAG_MAX];
	char type[64];       /* Content-Type */
	char location[1024]; /* where the server would rather have us; it is not followed */
	char region[64];     /* of S3 */
	char dav[64];        /* classes of WebDAV */
	int64_t modified_s;  /* since 1970; 0: not said */
	int64_t date_s;      /* the server's clock */
	uint64_t length;     /* Content-Length, also of a HEAD */
	bool has_length;
	bool was_repeated; /* an earlier try may have reached the server */
	struct wr body;    /* collected, or the first bytes of a refusal */
};

/* UNSUPPORTED: there is no libcurl here, and msg says so. */
enum err http_new(const struct http_config *c, struct http **out, struct errmsg *msg);
/* No request is under way. */
void http_free(struct http *h);
/* Ends what is under way, and all later requests: CLOSED. Any thread. */
void http_stop(struct http *h);
/* CLOSED: the server cannot be reached. TIMEOUT. AUTH: its certificate does not verify. LIMIT: the answer is too large. IO: the
 * connection broke, the source or the sink failed. Whatever is returned, *out is to be freed. */
enum err http_do(struct http *h, const struct http_request *r, struct http_answer *out,
                 struct errmsg *msg);
void http_answer_free(struct http_answer *a);
/* 200 to 299. */
bool http_is_success(const struct http_answer *a);

/* ---- texts (http_text.c) ---- */

/* Seconds since 1970 of "Sun, 06 Nov 1994 08:49:37 GMT", or of "1994-11-06T08:49:37.000Z"; 0: it is neither. */
int64_t http_time(const char *text);
/* "20150830T123600Z", of seconds since 1970. */
enum { HTTP_STAMP_SIZE = 17 };
void http_stamp(int64_t time_s, char out[HTTP_STAMP_SIZE]);
/* Appends size bytes of text, those that a path in a URL cannot have as %XX; keep: bytes that stay besides letters, digits and "-._~". */
void http_escape(struct wr *out, const char *text, size_t size, const char *keep);
/* Appends the bytes that text stands for. MALFORMED: a "%" that is none, or a zero byte. */
enum err http_unescape(struct wr *out, const char *text, size_t size);

/* The parts of "https://host:port/path"; borrowed. INVALID: it is none, or has a user, a question or a fragment in it. */
struct http_url {
	bool is_tls;
	const char *host; /* with the port */
	size_t host_size;
	const char *path; /* from the first "/" on; "" when there is none */
};
enum err http_url_parse(const char *url, struct http_url *out, struct errmsg *msg);
/* The host is this machine itself: nobody reads along. */
bool http_url_is_local(const struct http_url *u);
