/* http_curl.c - http.h over libcurl, which is loaded when the first cloud is: a library that no other command needs.
 *
 * Each request has an easy handle, taken from those that wait with their connections. What a handle is told is told anew each
 * time. The stop flag is looked at by libcurl's progress function, about once a second and whenever bytes move.
 */
#define CURL_DISABLE_TYPECHECK
#include "cloud/http.h"

#include "base/crypto.h"
#include "base/os.h"
#include "base/os_thread.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { IDLE_MAX = 8, PAUSE_MS = 200 };

/* What is used of the library. */
struct curl {
	void *library;
	__typeof__(curl_global_init) *global_init;
	__typeof__(curl_easy_init) *init;
	__typeof__(curl_easy_setopt) *setopt;
	__typeof__(curl_easy_perform) *perform;
	__typeof__(curl_easy_getinfo) *getinfo;
	__typeof__(curl_easy_reset) *reset;
	__typeof__(curl_easy_cleanup) *cleanup;
	__typeof__(curl_easy_strerror) *strerror;
	__typeof__(curl_slist_append) *append;
	__typeof__(curl_slist_free_all) *free_all;
};

struct http {
	struct curl curl;
	char *user, *secret, *ca_file;
	_Atomic bool stopped;
	_Atomic uint64_t down_until_ns;
	pthread_mutex_t lock; /* guards idle */
	CURL *idle[IDLE_MAX];
	unsigned nidle;
};

/* One try of a request. */
struct transfer {
	struct http *http;
	const struct http_request *request;
	struct http_answer *answer;
	uint64_t sent, skip, taken; /* of the source; of a body to pass over; given to the sink */
	uint64_t first;             /* of the part that the server says it sends */
	bool is_refused, is_over, source_failed, is_large, is_other_part;
	char words[CURL_ERROR_SIZE];
};

/* ---- the library ---- */

static bool find(void *library, const char *name, void *out)
{
	void *p = dlsym(library, name);
	memcpy(out, &p, sizeof p);
	return p != NULL;
}

static bool find_all(struct curl *c)
{
	void *l = c->library;
	return find(l, "curl_global_init", &c->global_init) &&
	       find(l, "curl_easy_init", &c->init) && find(l, "curl_easy_setopt", &c->setopt) &&
	       find(l, "curl_easy_perform", &c->perform) &&
	       find(l, "curl_easy_getinfo", &c->getinfo) && find(l, "curl_easy_reset", &c->reset) &&
	       find(l, "curl_easy_cleanup", &c->cleanup) &&
	       find(l, "curl_easy_strerror", &c->strerror) &&
	       find(l, "curl_slist_append", &c->append) &&
	       find(l, "curl_slist_free_all", &c->free_all);
}

static enum err load(struct curl *c, struct errmsg *msg)
{
	static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
	for (size_t i = 0; !c->library && i < sizeof names / sizeof *names; i++)
		c->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (c->library && find_all(c) && c->global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		return ERR_OK;
	return err_set(
	    msg, ERR_UNSUPPORTED,
	    "cloud storage needs libcurl, which is not installed here (Debian: libcurl4)");
}

/* ---- life ---- */

static char *copy(const char *text)
{
	return strdup(text ? text : "");
}

/* The library stays loaded: what it has set up for the program cannot be undone safely. */
void http_free(struct http *h)
{
	if (!h)
		return;
	for (unsigned i = 0; i < h->nidle; i++)
		h->curl.cleanup(h->idle[i]);
	if (h->secret)
		crypto_zero(h->secret, strlen(h->secret));
	free(h->user);
	free(h->secret);
	free(h->ca_file);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

enum err http_new(const struct http_config *c, struct http **out, struct errmsg *msg)
{
	struct http *h = calloc(1, sizeof *h);
	if (!h)
		return err_set(msg, ERR_NOMEM, "out of memory");
	pthread_mutex_init(&h->lock, NULL);
	h->user = copy(c->user);
	h->secret = copy(c->secret);
	h->ca_file = copy(c->ca_file);
	enum err e = h->user && h->secret && h->ca_file ? load(&h->curl, msg) : ERR_NOMEM;
	if (e != ERR_OK)
		http_free(h);
	else
		*out = h;
	return e;
}

void http_stop(struct http *h)
{
	atomic_store(&h->stopped, true);
}

static CURL *take_handle(struct http *h)
{
	CURL *c = NULL;
	pthread_mutex_lock(&h->lock);
	if (h->nidle)
		c = h->idle[--h->nidle];
	pthread_mutex_unlock(&h->lock);
	return c ? c : h->curl.init();
}

/* Its connection stays; it forgets the rest, the secret too. */
static void give_handle(struct http *h, CURL *c)
{
	h->curl.reset(c);
	pthread_mutex_lock(&h->lock);
	if (h->nidle < IDLE_MAX) {
		h->idle[h->nidle++] = c;
		c = NULL;
	}
	pthread_mutex_unlock(&h->lock);
	if (c)
		h->curl.cleanup(c);
}

/* ---- what the server says ---- */

static void put_text(char *to, size_t room, const char *value)
{
	if (strlen(value) < room)
		memcpy(to, value, strlen(value) + 1);
}

static void take_header(struct http_answer *a, const char *name, const char *value)
{
	if (!strcasecmp(name, "etag"))
		put_text(a->etag, sizeof a->etag, value);
	else if (!strcasecmp(name, "lock-token"))
		put_text(a->lock_token, sizeof a->lock_token, value);
	else if (!strcasecmp(name, "content-type"))
		put_text(a->type, sizeof a->type, value);
	else if (!strcasecmp(name, "location"))
		put_text(a->location, sizeof a->location, value);
	else if (!strcasecmp(name, "x-amz-bucket-region"))
		put_text(a->region, sizeof a->region, value);
	else if (!strcasecmp(name, "dav"))
		put_text(a->dav, sizeof a->dav, value);
	else if (!strcasecmp(name, "last-modified"))
		a->modified_s = http_time(value);
	else if (!strcasecmp(name, "date"))
		a->date_s = http_time(value);
	else if (!strcasecmp(name, "content-length")) {
		a->length = strtoull(value, NULL, 10);
		a->has_length = true;
	}
}

/* A status line begins a head anew: "100 Continue" came before. */
static void take_status(struct transfer *t, const char *line)
{
	struct http_answer kept = {.body = t->answer->body,
	                           .was_repeated = t->answer->was_repeated};
	const char *number = strchr(line, ' ');
	*t->answer = kept;
	t->answer->status = number ? (unsigned)strtoul(number, NULL, 10) : 0;
	t->is_refused = !http_is_success(t->answer);
	t->first = t->answer->status == 206 ? UINT64_MAX : 0;
}

/* "bytes 100-199/1000" */
static void take_range(struct transfer *t, const char *value)
{
	if (!strncasecmp(value, "bytes ", 6))
		t->first = strtoull(value + 6, NULL, 10);
}

static size_t on_header(char *line, size_t one, size_t size, void *ctx)
{
	struct transfer *t = ctx;
	char text[2048];
	size_t n = size;
	while (n && (line[n - 1] == '\r' || line[n - 1] == '\n'))
		n--;
	if (n >= sizeof text || memchr(line, 0, n))
		return size;
	memcpy(text, line, n);
	text[n] = 0;
	char *value = strchr(text, ':');
	if (!strncmp(text, "HTTP/", 5)) {
		take_status(t, text);
	} else if (value) {
		*value++ = 0;
		value += strspn(value, " \t");
		take_header(t->answer, text, value);
		if (!strcasecmp(text, "content-range"))
			take_range(t, value);
	}
	if (!n && t->first <= t->request->range.first)
		t->skip = t->request->range.first - t->first;
	else if (!n)
		t->is_other_part = true;
	return size;
}

/* ---- bodies ---- */

static bool collect(struct transfer *t, const char *bytes, size_t size)
{
	struct wr *body = &t->answer->body;
	uint64_t max = t->is_refused ? HTTP_WORDS_MAX : t->request->max_bytes;
	if (size > max - body->size) {
		t->is_large = !t->is_refused;
		size = t->is_refused ? (size_t)(max - body->size) : 0;
	}
	wr_bytes(body, bytes, size);
	return wr_ok(body) && !t->is_large;
}

/* The range that was asked for: a server may send all of the file instead (200). */
static bool pass_on(struct transfer *t, const char *bytes, size_t size)
{
	const struct http_request *r = t->request;
	uint64_t over = size < t->skip ? size : t->skip;
	uint64_t left = r->range.size_bytes ? r->range.size_bytes - t->taken : UINT64_MAX;
	t->skip -= over;
	size -= (size_t)over;
	if (size > left) {
		size = (size_t)left;
		t->is_over = true;
	}
	if (size > r->max_bytes - t->taken) {
		t->is_large = true;
		return false;
	}
	t->taken += size;
	return (!size || r->sink(r->sink_ctx, bytes + over, size)) && !t->is_over;
}

static size_t on_body(char *bytes, size_t one, size_t size, void *ctx)
{
	struct transfer *t = ctx;
	if (t->is_refused || !t->request->sink)
		return collect(t, bytes, size) ? size : 0;
	return !t->is_other_part && pass_on(t, bytes, size) ? size : 0;
}

static size_t on_send(char *to, size_t one, size_t room, void *ctx)
{
	struct transfer *t = ctx;
	const struct http_source *s = t->request->source;
	uint64_t left = s->size_bytes - t->sent;
	size_t size = left < room ? (size_t)left : room;
	if (size && !s->read(s->ctx, t->sent, to, size)) {
		t->source_failed = true;
		return CURL_READFUNC_ABORT;
	}
	t->sent += size;
	return size;
}

/* The connection was found to be closed while something had been sent already: from the start again. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
	struct transfer *t = ctx;
	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_FAIL;
	t->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct transfer *t = ctx;
	return atomic_load(&t->http->stopped);
}

/* ---- a request ---- */

/* Bytes that go along take their time; an answer that is only collected has HTTP_COLLECT_MS more at most. */
static long limit_ms(const struct http_request *r)
{
	uint64_t most = UINT64_C(1) << 40; /* years */
	uint64_t bytes = r->source ? r->source->size_bytes : 0, ms;
	if (r->sink)
		bytes += r->range.first / 64 + r->range.size_bytes;
	ms = (bytes < most ? bytes : most) / HTTP_SLOWEST * 1000;
	if (!r->sink && r->max_bytes > HTTP_SLOWEST)
		ms += HTTP_COLLECT_MS;
	return (long)(HTTP_LIMIT_MS + ms);
}

static struct curl_slist *list_headers(const struct curl *c, const struct http_request *r)
{
	struct curl_slist *list = c->append(NULL, "Expect:");
	for (int i = 0; list && i < HTTP_HEADERS_MAX && r->headers[i]; i++) {
		struct curl_slist *longer = c->append(list, r->headers[i]);
		if (!longer)
			c->free_all(list);
		list = longer;
	}
	return list;
}

static void set_safety(const struct http *h, CURL *e, const struct http_request *r)
{
	const struct curl *c = &h->curl;
	c->setopt(e, CURLOPT_NOSIGNAL, 1L);
	c->setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	c->setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	c->setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	c->setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
	c->setopt(e, CURLOPT_TIMEOUT_MS, limit_ms(r));
	c->setopt(e, CURLOPT_LOW_SPEED_LIMIT, 256L);
	c->setopt(e, CURLOPT_LOW_SPEED_TIME, (long)HTTP_LIMIT_MS / 1000);
	c->setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	if (h->ca_file[0])
		c->setopt(e, CURLOPT_CAINFO, h->ca_file);
	if (h->user[0]) {
		c->setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		c->setopt(e, CURLOPT_USERNAME, h->user);
		c->setopt(e, CURLOPT_PASSWORD, h->secret);
	}
}

static void set_functions(const struct curl *c, CURL *e, struct transfer *t)
{
	c->setopt(e, CURLOPT_ERRORBUFFER, t->words);
	c->setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	c->setopt(e, CURLOPT_HEADERDATA, t);
	c->setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	c->setopt(e, CURLOPT_WRITEDATA, t);
	c->setopt(e, CURLOPT_NOPROGRESS, 0L);
	c->setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
	c->setopt(e, CURLOPT_XFERINFODATA, t);
}

static void set_request(const struct curl *c, CURL *e, struct transfer *t)
{
	const struct http_request *r = t->request;
	c->setopt(e, CURLOPT_URL, r->url);
	c->setopt(e, CURLOPT_PATH_AS_IS, 1L);
	if (r->source) {
		c->setopt(e, CURLOPT_UPLOAD, 1L);
		c->setopt(e, CURLOPT_READFUNCTION, on_send);
		c->setopt(e, CURLOPT_READDATA, t);
		c->setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
		c->setopt(e, CURLOPT_SEEKDATA, t);
		c->setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->source->size_bytes);
	}
	if (!strcmp(r->method, "HEAD"))
		c->setopt(e, CURLOPT_NOBODY, 1L);
	else if (strcmp(r->method, r->source ? "PUT" : "GET") != 0)
		c->setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
	if (r->range.size_bytes) {
		char range[64];
		snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)r->range.first,
		         (unsigned long long)(r->range.first + r->range.size_bytes - 1));
		c->setopt(e, CURLOPT_RANGE, range);
	}
}

static enum err say(const struct transfer *t, CURLcode code, enum err e, struct errmsg *msg)
{
	const char *words = t->words[0] ? t->words : t->http->curl.strerror(code);
	return err_set(msg, e, "%.200s", words);
}

static enum err told(const struct transfer *t, CURLcode code, struct errmsg *msg)
{
	if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && t->is_over))
		return ERR_OK;
	if (t->is_large)
		return err_set(msg, ERR_LIMIT, "the server's answer is larger than %llu bytes",
		               (unsigned long long)t->request->max_bytes);
	if (t->is_other_part)
		return err_set(msg, ERR_IO,
		               "the server sent another part of the file than was asked for");
	if (atomic_load(&t->http->stopped))
		return err_set(msg, ERR_CLOSED, "this storage is being closed");
	switch (code) {
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT: return say(t, code, ERR_CLOSED, msg);
	case CURLE_OPERATION_TIMEDOUT: return say(t, code, ERR_TIMEOUT, msg);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR: return say(t, code, ERR_AUTH, msg);
	case CURLE_OUT_OF_MEMORY: return ERR_NOMEM;
	default: return say(t, code, ERR_IO, msg);
	}
}

static enum err once(struct http *h, const struct http_request *r, struct http_answer *out,
                     bool *sank, struct errmsg *msg)
{
	struct transfer t = {.http = h, .request = r, .answer = out};
	const struct curl *c = &h->curl;
	struct curl_slist *headers = list_headers(c, r);
	CURL *e = headers ? take_handle(h) : NULL;
	if (!e) {
		c->free_all(headers);
		return err_set(msg, ERR_NOMEM, "out of memory");
	}
	wr_clear(&out->body);
	set_safety(h, e, r);
	set_functions(c, e, &t);
	set_request(c, e, &t);
	c->setopt(e, CURLOPT_HTTPHEADER, headers);
	enum err err = told(&t, c->perform(e), msg);
	*sank = t.taken > 0;
	give_handle(h, e);
	c->free_all(headers);
	return err;
}

/* ---- again ---- */

static bool is_worth_it(const struct http_request *r, const struct http_answer *a, enum err e,
                        bool sank)
{
	if (!r->may_repeat || sank)
		return false;
	return e == ERR_IO || (e == ERR_OK && (a->status == 429 || a->status == 502 ||
	                                       a->status == 503 || a->status == 504));
}

/* A server that is away is not asked by every program in turn. */
static bool is_down(struct http *h, struct errmsg *msg)
{
	if (atomic_load(&h->stopped)) {
		err_set(msg, ERR_CLOSED, "this storage is being closed");
		return true;
	}
	if (os_monotonic_ns() >= atomic_load(&h->down_until_ns))
		return false;
	err_set(msg, ERR_CLOSED, "the server could not be reached a moment ago");
	return true;
}

static void note(struct http *h, enum err e)
{
	if (e == ERR_CLOSED || e == ERR_TIMEOUT)
		atomic_store(&h->down_until_ns,
		             os_monotonic_ns() + HTTP_DOWN_MS * UINT64_C(1000000));
}

enum err http_do(struct http *h, const struct http_request *r, struct http_answer *out,
                 struct errmsg *msg)
{
	enum err e = ERR_OK;
	bool sank = false;
	*out = (struct http_answer){0};
	if (strlen(r->url) >= HTTP_URL_MAX)
		return err_set(msg, ERR_LIMIT, "the address has more than %d bytes", HTTP_URL_MAX);
	if (is_down(h, msg))
		return ERR_CLOSED;
	for (int tries = 1;; tries++) {
		e = once(h, r, out, &sank, msg);
		if (tries == HTTP_TRIES || !is_worth_it(r, out, e, sank))
			break;
		os_sleep_ns(((uint64_t)PAUSE_MS << tries) * UINT64_C(1000000));
		out->was_repeated = true;
	}
	note(h, e);
	return e;
}
