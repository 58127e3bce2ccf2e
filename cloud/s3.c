/* s3.c - files in storage of S3, where there are only keys: what stands before the last slash is a folder's name.
 *
 * A folder is there when a key begins with its name and a slash. One that was made, or has become empty, has a key of its own: its name
 * with the slash, without bytes ("marker"). A rename is a copy and a removal, so only files are renamed, and not as one step.
 *
 * Not every server compares versions when it is told to (If-Match, If-None-Match on PUT): one that says that it does not (501) is not
 * asked again, and the version is looked at before each upload in any case.
 */
#include "base/crypto.h"
#include "base/os.h"
#include "cloud/cloud.h"
#include "cloud/driver.h"
#include "cloud/s3_list.h"
#include "cloud/sigv4.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ANSWER_MAX = 8 << 20,
	QUERY_MAX = 4096,
	SINGLE_MAX = 16 << 20, /* bytes of a file that is sent as one */
	PART_MIN = 8 << 20,
	PARTS_MAX = 9000,
	PAGES_MAX = 1000,
	PIECE = 128 << 10,
	KEY_MAX = 1024,
};
#define COPY_MAX (UINT64_C(5) << 30)

struct s3 {
	struct cloud_driver base;
	char *access, *secret, *region;
	char *root;   /* "https://host/bucket", or "https://bucket.host" */
	char *host;   /* as the header has it */
	char *path;   /* what stands before keys in the path: "/bucket", or "" */
	char *prefix; /* of all keys: "", or with a slash at its end */
	char *bucket;
	_Atomic bool no_conditions;
};

/* A request about one key. */
struct ask {
	const char *method;
	const char *key;         /* with the prefix; "": the bucket itself */
	const char *query;       /* escaped and sorted */
	const char *more[3];     /* headers that need no signature */
	const char *copy_source; /* "x-amz-copy-source:...", or NULL */
	const struct http_source *source;
	struct http_range range;
	bool (*sink)(void *ctx, const void *bytes, size_t size);
	void *sink_ctx;
	bool may_repeat;
};

static struct s3 *s3_of(struct cloud_driver *d)
{
	return (struct s3 *)d;
}

/* ---- a request ---- */

static bool read_nothing(void *ctx, uint64_t offset, void *buf, size_t size)
{
	return !size;
}

static const struct http_source nothing = {.read = read_nothing};

static enum ferr hash_source(const struct http_source *source, char out[SIGV4_HASH_TEXT])
{
	uint8_t hash[CRYPTO_HASH_SIZE], *piece = malloc(PIECE);
	struct crypto_sha256 h;
	bool ok = piece != NULL;
	crypto_sha256_init(&h);
	for (uint64_t at = 0, n; ok && source && at < source->size_bytes; at += n) {
		n = source->size_bytes - at < PIECE ? source->size_bytes - at : PIECE;
		ok = source->read(source->ctx, at, piece, (size_t)n);
		crypto_sha256_add(&h, piece, (size_t)n);
	}
	crypto_sha256_end(&h, hash);
	sigv4_hex(hash, out);
	free(piece);
	return ok ? FE_OK : FE_IO;
}

/* The texts of a request, which live until it is over. */
struct texts {
	struct wr path, url, authorization;
	char host[512], date[40], hash[SIGV4_HASH_TEXT + 24];
	char send_date[40], send_hash[SIGV4_HASH_TEXT + 24];
	char body_hash[SIGV4_HASH_TEXT];
};

static void free_texts(struct texts *t)
{
	wr_free(&t->path);
	wr_free(&t->url);
	wr_free(&t->authorization);
}

static void put_path(const struct s3 *s, const struct ask *a, struct texts *t)
{
	wr_bytes(&t->path, s->path, strlen(s->path));
	if (*a->key || !*s->path)
		wr_u8(&t->path, '/');
	http_escape(&t->path, a->key, strlen(a->key), "/");
	wr_u8(&t->path, 0);
	wr_bytes(&t->url, s->root, strlen(s->root));
	if (wr_ok(&t->path))
		wr_bytes(&t->url, t->path.data + strlen(s->path),
		         t->path.size - 1 - strlen(s->path));
	if (a->query && *a->query) {
		wr_u8(&t->url, '?');
		wr_bytes(&t->url, a->query, strlen(a->query));
	}
	wr_u8(&t->url, 0);
}

static enum ferr sign(const struct s3 *s, const struct ask *a, struct texts *t)
{
	static const char head[] = "Authorization: ";
	char stamp[HTTP_STAMP_SIZE];
	http_stamp((int64_t)(os_wall_ns() / UINT64_C(1000000000)), stamp);
	FTRY(hash_source(a->source, t->body_hash));
	snprintf(t->host, sizeof t->host, "host:%s", s->host);
	snprintf(t->hash, sizeof t->hash, "x-amz-content-sha256:%s", t->body_hash);
	snprintf(t->date, sizeof t->date, "x-amz-date:%s", stamp);
	struct sigv4 sig = {.access = s->access,
	                    .secret = s->secret,
	                    .region = s->region,
	                    .service = "s3",
	                    .method = a->method,
	                    .path = (const char *)t->path.data,
	                    .query = a->query ? a->query : "",
	                    .headers = {t->host, t->hash, a->copy_source ? a->copy_source : t->date,
	                                a->copy_source ? t->date : NULL},
	                    .body_hash = t->body_hash,
	                    .stamp = stamp};
	wr_bytes(&t->authorization, head, sizeof head - 1);
	return sigv4_authorize(&sig, &t->authorization) == ERR_OK ? FE_OK : FE_NOMEM;
}

static void fill(const struct ask *a, const struct texts *t, struct http_request *r)
{
	int n = 0;
	*r = (struct http_request){.method = a->method,
	                           .url = (const char *)t->url.data,
	                           .source = a->source,
	                           .range = a->range,
	                           .sink = a->sink,
	                           .sink_ctx = a->sink_ctx,
	                           .max_bytes = a->sink ? a->range.size_bytes : ANSWER_MAX,
	                           .may_repeat = a->may_repeat};
	r->headers[n++] = t->hash;
	r->headers[n++] = t->date;
	if (t->authorization.size)
		r->headers[n++] = (const char *)t->authorization.data;
	if (a->copy_source)
		r->headers[n++] = a->copy_source;
	for (int i = 0; i < 3 && a->more[i]; i++)
		r->headers[n++] = a->more[i];
}

/* What the code in the answer means; FE_OK: nothing more than the status. */
static enum ferr of_code(const char *code)
{
	static const struct {
		const char *code;
		enum ferr e;
	} known[] = {{"PreconditionFailed", FE_STALE},
	             {"ConditionalRequestConflict", FE_STALE},
	             {"NoSuchKey", FE_NOENT},
	             {"NoSuchBucket", FE_NOENT},
	             {"NotImplemented", FE_NOTSUP},
	             {"SlowDown", FE_TIMEDOUT},
	             {"QuotaExceeded", FE_NOSPC},
	             {"EntityTooLarge", FE_FBIG},
	             {"KeyTooLongError", FE_NAMETOOLONG},
	             {"InvalidArgument", FE_INVAL},
	             {"RequestTimeTooSkewed", FE_ACCES},
	             {"SignatureDoesNotMatch", FE_ACCES},
	             {"AuthorizationHeaderMalformed", FE_ACCES}};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(code, known[i].code))
			return known[i].e;
	return FE_IO;
}

/* Some errors come with a success as their status, when the server had begun to answer before it failed. */
static enum ferr judge(enum err e, const struct http_answer *a, bool has_body, struct errmsg *msg)
{
	struct s3_words words = {0};
	enum ferr told = cloud_told(e, a, msg);
	if (e != ERR_OK || !has_body || !a->body.size)
		return told;
	s3_words(a->body.data, a->body.size, &words);
	if (!words.code[0])
		return told;
	err_set(msg, ERR_IO, "the server says %s: %s%s%s", words.code, words.message,
	        a->region[0] ? " The bucket's region: " : "", a->region);
	return told == FE_OK || of_code(words.code) != FE_IO ? of_code(words.code) : told;
}

/* The answer is to be freed, whatever is returned. */
static enum ferr ask(struct s3 *s, const struct ask *a, struct http_answer *out, struct errmsg *msg)
{
	struct texts t = {0};
	struct http_request r;
	*out = (struct http_answer){0};
	put_path(s, a, &t);
	enum ferr e = wr_ok(&t.path) && wr_ok(&t.url) ? FE_OK : FE_NOMEM;
	if (e == FE_OK && s->access[0])
		e = sign(s, a, &t);
	else if (e == FE_OK) /* a bucket for everybody */
		snprintf(t.hash, sizeof t.hash, "x-amz-content-sha256:UNSIGNED-PAYLOAD");
	if (e == FE_OK) {
		fill(a, &t, &r);
		bool refused_only = a->sink != NULL;
		enum err err = http_do(s->base.http, &r, out, msg);
		e = judge(err, out, !refused_only || !http_is_success(out), msg);
	}
	free_texts(&t);
	return e;
}

static enum ferr just_ask(struct s3 *s, const struct ask *a, struct errmsg *msg)
{
	struct http_answer out;
	enum ferr e = ask(s, a, &out, msg);
	http_answer_free(&out);
	return e;
}

/* ---- keys ---- */

/* "prefix" + path + end, free()d by the caller; NULL: out of memory, or too long (msg says it). */
static char *key_of(const struct s3 *s, const char *path, const char *end, struct errmsg *msg)
{
	size_t size = strlen(s->prefix) + strlen(path) + strlen(end) + 1;
	char *key = size <= KEY_MAX + 1 ? malloc(size) : NULL;
	if (key)
		snprintf(key, size, "%s%s%s", s->prefix, path, *path ? end : "");
	else
		err_set(msg, ERR_LIMIT, "a name in storage of S3 has at most %d bytes", KEY_MAX);
	return key;
}

/* ---- listings ---- */

static bool put_query(struct wr *q, const char *prefix, const char *token, bool deep, unsigned max)
{
	char text[32];
	wr_clear(q);
	if (*token) {
		wr_bytes(q, "continuation-token=", 19);
		http_escape(q, token, strlen(token), "");
		wr_u8(q, '&');
	}
	if (!deep)
		wr_bytes(q, "delimiter=%2F&", 14);
	wr_bytes(q, "list-type=2&", 12);
	int n = snprintf(text, sizeof text, "max-keys=%u&prefix=", max);
	wr_bytes(q, text, (size_t)n);
	http_escape(q, prefix, strlen(prefix), "");
	wr_u8(q, 0);
	return wr_ok(q);
}

static enum ferr list_page(struct s3 *s, const char *prefix, bool deep, unsigned max,
                           cloud_list_fn emit, void *ctx, struct s3_page *page, struct errmsg *msg)
{
	struct wr query = {0};
	struct http_answer a = {0};
	enum ferr e = FE_NOMEM;
	if (put_query(&query, prefix, page->next, deep, max)) {
		struct ask r = {.method = "GET",
		                .key = "",
		                .query = (const char *)query.data,
		                .may_repeat = true};
		e = ask(s, &r, &a, msg);
	}
	if (e == FE_OK)
		e = s3_list(a.body.data, a.body.size, prefix, emit, ctx, page, msg) == ERR_OK
		        ? FE_OK
		        : FE_IO;
	http_answer_free(&a);
	wr_free(&query);
	return e;
}

static bool take_any(void *ctx, const char *name, const struct cloud_item *item)
{
	*(bool *)ctx = true;
	return false;
}

/* Whether anything begins with it, and whether there is more than the marker. */
static enum ferr look_into(struct s3 *s, const char *prefix, bool *is_there, bool *has_more,
                           struct errmsg *msg)
{
	struct s3_page page = {0};
	bool more = false;
	FTRY(list_page(s, prefix, false, 2, take_any, &more, &page, msg));
	*is_there = page.found > 0 || !*prefix;
	if (has_more)
		*has_more = more;
	return FE_OK;
}

struct passing {
	cloud_list_fn emit;
	void *ctx;
	bool is_over;
};

static bool pass(void *ctx, const char *name, const struct cloud_item *item)
{
	struct passing *p = ctx;
	p->is_over = !p->emit(p->ctx, name, item);
	return !p->is_over;
}

static enum ferr s3_listing(struct cloud_driver *d, const char *path, cloud_list_fn emit, void *ctx,
                            struct errmsg *msg)
{
	struct s3 *s = s3_of(d);
	struct s3_page page = {0};
	struct passing p = {.emit = emit, .ctx = ctx};
	uint64_t found = 0;
	char *prefix = key_of(s, path, "/", msg);
	enum ferr e = prefix ? FE_OK : FE_NAMETOOLONG;
	for (int i = 0; e == FE_OK && !p.is_over && i < PAGES_MAX; i++) {
		e = list_page(s, prefix, false, 1000, pass, &p, &page, msg);
		found += page.found;
		if (!page.next[0])
			break;
	}
	free(prefix);
	return e == FE_OK && !found && *path ? FE_NOENT : e;
}

/* ---- looking ---- */

static enum ferr head(struct s3 *s, const char *path, struct cloud_item *out, struct errmsg *msg)
{
	struct http_answer a = {0};
	char *key = key_of(s, path, "", msg);
	if (!key)
		return FE_NAMETOOLONG;
	struct ask r = {.method = "HEAD", .key = key, .may_repeat = true};
	enum ferr e = ask(s, &r, &a, msg);
	*out = (struct cloud_item){.size_bytes = a.length,
	                           .mtime_ns = (uint64_t)a.modified_s * UINT64_C(1000000000)};
	if (a.etag[0] == '"')
		memcpy(out->etag, a.etag, sizeof out->etag);
	else
		snprintf(out->etag, sizeof out->etag, "~%llu-%llu", (unsigned long long)a.length,
		         (unsigned long long)a.modified_s);
	http_answer_free(&a);
	free(key);
	return e;
}

static enum ferr s3_stat(struct cloud_driver *d, const char *path, struct cloud_item *out,
                         struct errmsg *msg)
{
	struct s3 *s = s3_of(d);
	bool is_there = false;
	if (*path) {
		enum ferr e = head(s, path, out, msg);
		if (e != FE_NOENT)
			return e;
	}
	char *prefix = key_of(s, path, "/", msg);
	if (!prefix)
		return FE_NAMETOOLONG;
	*out = (struct cloud_item){.is_folder = true};
	enum ferr e = look_into(s, prefix, &is_there, NULL, msg);
	free(prefix);
	return e == FE_OK && !is_there && *path ? FE_NOENT : e;
}

/* ---- reading ---- */

struct counted {
	const struct cloud_sink *sink;
	uint64_t got;
};

static bool count(void *ctx, const void *bytes, size_t size)
{
	struct counted *c = ctx;
	c->got += size;
	return c->sink->take(c->sink->ctx, bytes, size);
}

static enum ferr s3_get(struct cloud_driver *d, const char *path, const char *etag,
                        const struct http_range *range, const struct cloud_sink *sink,
                        struct errmsg *msg)
{
	struct s3 *s = s3_of(d);
	char match[HTTP_ETAG_MAX + 16];
	struct counted c = {.sink = sink};
	struct http_answer a = {0};
	char *key = key_of(s, path, "", msg);
	if (!key)
		return FE_NAMETOOLONG;
	snprintf(match, sizeof match, "If-Match: %s", etag);
	struct ask r = {.method = "GET",
	                .key = key,
	                .more = {etag[0] == '"' ? match : NULL},
	                .range = *range,
	                .sink = count,
	                .sink_ctx = &c,
	                .may_repeat = true};
	enum ferr e = ask(s, &r, &a, msg);
	if (a.status == 416 ||
	    (e == FE_OK && etag[0] == '"' && a.etag[0] && strcmp(a.etag, etag) != 0))
		e = FE_STALE;
	if (e == FE_OK && c.got != range->size_bytes) {
		err_set(msg, ERR_IO, "%llu of %llu bytes came", (unsigned long long)c.got,
		        (unsigned long long)range->size_bytes);
		e = FE_IO;
	}
	http_answer_free(&a);
	free(key);
	return e;
}

/* ---- writing ---- */

/* The header that lets the server compare, or NULL. */
static const char *condition(struct s3 *s, const char *etag, char *text, size_t room)
{
	if (atomic_load(&s->no_conditions) || (etag && etag[0] != '"'))
		return NULL;
	snprintf(text, room, "%s: %s", etag ? "If-Match" : "If-None-Match", etag ? etag : "*");
	return text;
}

static enum ferr put_single(struct s3 *s, const char *key, const char *etag,
                            const struct http_source *source, struct errmsg *msg)
{
	char text[HTTP_ETAG_MAX + 32];
	for (;;) {
		const char *when = condition(s, etag, text, sizeof text);
		struct ask r = {.method = "PUT", .key = key, .more = {when}, .source = source};
		enum ferr e = just_ask(s, &r, msg);
		if (e != FE_NOTSUP || !when)
			return e;
		atomic_store(&s->no_conditions, true);
	}
}

/* A part of a source as one of its own. */
struct slice {
	const struct http_source *of;
	uint64_t first;
};

static bool read_slice(void *ctx, uint64_t offset, void *buf, size_t size)
{
	struct slice *p = ctx;
	return p->of->read(p->of->ctx, p->first + offset, buf, size);
}

static enum ferr put_part(struct s3 *s, const char *key, const char *upload, unsigned number,
                          const struct http_source *part, struct wr *list, struct errmsg *msg)
{
	char query[QUERY_MAX], row[HTTP_ETAG_MAX + 96];
	struct http_answer a = {0};
	snprintf(query, sizeof query, "partNumber=%u&uploadId=%s", number, upload);
	struct ask r = {
	    .method = "PUT", .key = key, .query = query, .source = part, .may_repeat = true};
	enum ferr e = ask(s, &r, &a, msg);
	if (e == FE_OK && (a.etag[0] != '"' || strpbrk(a.etag + 1, "<>&"))) {
		err_set(msg, ERR_IO, "the server does not say what it has of a part");
		e = FE_IO;
	}
	int n = snprintf(row, sizeof row, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>",
	                 number, a.etag);
	if (e == FE_OK)
		wr_bytes(list, row, (size_t)n);
	http_answer_free(&a);
	return e;
}

static enum ferr put_parts(struct s3 *s, const char *key, const char *upload,
                           const struct http_source *source, struct wr *list, struct errmsg *msg)
{
	uint64_t size = source->size_bytes / PARTS_MAX + 1;
	unsigned number = 1;
	if (size < PART_MIN)
		size = PART_MIN;
	for (uint64_t at = 0; at < source->size_bytes; at += size, number++) {
		struct slice p = {.of = source, .first = at};
		struct http_source part = {
		    .read = read_slice,
		    .ctx = &p,
		    .size_bytes = source->size_bytes - at < size ? source->size_bytes - at : size};
		FTRY(put_part(s, key, upload, number, &part, list, msg));
	}
	return wr_ok(list) ? FE_OK : FE_NOMEM;
}

static enum ferr begin_parts(struct s3 *s, const char *key, char *upload, size_t room,
                             struct errmsg *msg)
{
	char id[1024];
	struct http_answer a = {0};
	struct wr escaped = {0};
	struct ask r = {.method = "POST", .key = key, .query = "uploads=", .source = &nothing};
	enum ferr e = ask(s, &r, &a, msg);
	if (e == FE_OK && s3_value(a.body.data, a.body.size, "UploadId", id, sizeof id) != ERR_OK) {
		err_set(msg, ERR_IO, "the server gives no number to an upload in parts");
		e = FE_IO;
	}
	http_answer_free(&a);
	FTRY(e);
	http_escape(&escaped, id, strlen(id), "");
	wr_u8(&escaped, 0);
	bool fits = wr_ok(&escaped) && escaped.size <= room;
	if (fits)
		memcpy(upload, escaped.data, escaped.size);
	wr_free(&escaped);
	return fits ? FE_OK : FE_NOMEM;
}

static bool read_bytes(void *ctx, uint64_t offset, void *buf, size_t size)
{
	memcpy(buf, ((struct wr *)ctx)->data + offset, size);
	return true;
}

static enum ferr end_parts(struct s3 *s, const char *key, const char *etag, const char *query,
                           struct wr *list, struct errmsg *msg)
{
	char text[HTTP_ETAG_MAX + 32];
	struct http_source body = {.read = read_bytes, .ctx = list, .size_bytes = list->size};
	for (;;) {
		const char *when = condition(s, etag, text, sizeof text);
		struct ask r = {.method = "POST",
		                .key = key,
		                .query = query,
		                .more = {"Content-Type: application/xml", when},
		                .source = &body};
		enum ferr e = just_ask(s, &r, msg);
		if (e != FE_NOTSUP || !when)
			return e;
		atomic_store(&s->no_conditions, true);
	}
}

static enum ferr put_large(struct s3 *s, const char *key, const char *etag,
                           const struct http_source *source, struct errmsg *msg)
{
	char upload[3072], query[QUERY_MAX];
	struct wr list = {0};
	FTRY(begin_parts(s, key, upload, sizeof upload, msg));
	snprintf(query, sizeof query, "uploadId=%s", upload);
	wr_bytes(&list, "<CompleteMultipartUpload>", 25);
	enum ferr e = put_parts(s, key, upload, source, &list, msg);
	wr_bytes(&list, "</CompleteMultipartUpload>", 26);
	if (e == FE_OK)
		e = wr_ok(&list) ? end_parts(s, key, etag, query, &list, msg) : FE_NOMEM;
	if (e != FE_OK) {
		struct ask r = {.method = "DELETE", .key = key, .query = query};
		just_ask(s, &r, NULL);
	}
	wr_free(&list);
	return e;
}

/* There are no folders to say it: a file is only made in one that is there. */
static enum ferr check_parent(struct s3 *s, const char *path, struct errmsg *msg)
{
	char parent[KEY_MAX + 1];
	struct cloud_item item;
	const char *slash = strrchr(path, '/');
	if (!slash)
		return FE_OK;
	if ((size_t)(slash - path) > KEY_MAX)
		return FE_NAMETOOLONG;
	snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
	FTRY(s3_stat(&s->base, parent, &item, msg));
	return item.is_folder ? FE_OK : FE_NOTDIR;
}

static enum ferr check_version(struct s3 *s, const char *path, const char *etag, struct errmsg *msg)
{
	struct cloud_item now;
	enum ferr e = s3_stat(&s->base, path, &now, msg);
	if (!etag)
		return e == FE_OK ? FE_EXIST : e == FE_NOENT ? check_parent(s, path, msg) : e;
	if (e == FE_NOENT || (e == FE_OK && strcmp(now.etag, etag) != 0)) {
		err_set(msg, ERR_STALE, "somebody else has %s it meanwhile",
		        e == FE_OK ? "changed" : "removed");
		return FE_STALE;
	}
	return e;
}

static enum ferr s3_put(struct cloud_driver *d, const char *path, const char *etag,
                        const struct http_source *source, struct cloud_item *out,
                        struct errmsg *msg)
{
	struct s3 *s = s3_of(d);
	char *key = key_of(s, path, "", msg);
	if (!key)
		return FE_NAMETOOLONG;
	enum ferr e = check_version(s, path, etag, msg);
	if (e == FE_OK)
		e = (source->size_bytes > SINGLE_MAX ? put_large : put_single)(s, key, etag, source,
		                                                               msg);
	free(key);
	if (e == FE_STALE && !etag)
		return FE_EXIST;
	if (e == FE_OK)
		e = head(s, path, out, msg);
	if (e == FE_OK && out->size_bytes != source->size_bytes) {
		err_set(msg, ERR_IO, "the server has %llu bytes of it, and was sent %llu",
		        (unsigned long long)out->size_bytes,
		        (unsigned long long)source->size_bytes);
		e = FE_IO;
	}
	return e;
}

static enum ferr put_marker(struct s3 *s, const char *path, struct errmsg *msg)
{
	char *key = key_of(s, path, "/", msg);
	struct ask r = {.method = "PUT", .key = key, .source = &nothing, .may_repeat = true};
	enum ferr e = key ? just_ask(s, &r, msg) : FE_NAMETOOLONG;
	free(key);
	return e;
}

static enum ferr s3_mkdir(struct cloud_driver *d, const char *path, struct errmsg *msg)
{
	FTRY(check_parent(s3_of(d), path, msg));
	return put_marker(s3_of(d), path, msg);
}

/* A folder whose last file goes stays: it gets a marker when nothing else says that it is there. */
static void keep_parent(struct s3 *s, const char *path)
{
	char parent[KEY_MAX + 1];
	bool is_there = true;
	const char *slash = strrchr(path, '/');
	if (!slash || (size_t)(slash - path) > KEY_MAX)
		return;
	snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
	char *prefix = key_of(s, parent, "/", NULL);
	if (prefix && look_into(s, prefix, &is_there, NULL, NULL) == FE_OK && !is_there)
		put_marker(s, parent, NULL);
	free(prefix);
}

static enum ferr remove_key(struct s3 *s, const char *path, const char *end, struct errmsg *msg)
{
	char *key = key_of(s, path, end, msg);
	struct ask r = {.method = "DELETE", .key = key, .may_repeat = true};
	enum ferr e = key ? just_ask(s, &r, msg) : FE_NAMETOOLONG;
	free(key);
	if (e == FE_OK)
		keep_parent(s, path);
	return e;
}

static enum ferr s3_remove(struct cloud_driver *d, const char *path, struct errmsg *msg)
{
	return remove_key(s3_of(d), path, "", msg);
}

static enum ferr s3_rmdir(struct cloud_driver *d, const char *path, struct errmsg *msg)
{
	struct s3 *s = s3_of(d);
	bool is_there = false, has_more = false;
	char *prefix = key_of(s, path, "/", msg);
	enum ferr e = prefix ? look_into(s, prefix, &is_there, &has_more, msg) : FE_NAMETOOLONG;
	free(prefix);
	FTRY(e);
	if (has_more || !is_there)
		return has_more ? FE_NOTEMPTY : FE_NOENT;
	return remove_key(s, path, "/", msg);
}

static enum ferr copy_key(struct s3 *s, const char *from, const char *to, struct errmsg *msg)
{
	struct wr header = {0};
	char *from_key = key_of(s, from, "", msg), *to_key = key_of(s, to, "", msg);
	enum ferr e = from_key && to_key ? FE_OK : FE_NAMETOOLONG;
	if (e == FE_OK) {
		wr_bytes(&header, "x-amz-copy-source:/", 19);
		wr_bytes(&header, s->bucket, strlen(s->bucket));
		wr_u8(&header, '/');
		http_escape(&header, from_key, strlen(from_key), "/");
		wr_u8(&header, 0);
		struct ask r = {.method = "PUT",
		                .key = to_key,
		                .copy_source = (const char *)header.data,
		                .source = &nothing,
		                .may_repeat = true};
		e = wr_ok(&header) ? just_ask(s, &r, msg) : FE_NOMEM;
	}
	wr_free(&header);
	free(from_key);
	free(to_key);
	return e;
}

static enum ferr s3_rename(struct cloud_driver *d, const char *from, const char *to, bool is_folder,
                           struct errmsg *msg)
{
	struct s3 *s = s3_of(d);
	struct cloud_item item;
	if (is_folder)
		return FE_XDEV;
	FTRY(head(s, from, &item, msg));
	if (item.size_bytes > COPY_MAX)
		return FE_XDEV;
	FTRY(check_parent(s, to, msg));
	FTRY(copy_key(s, from, to, msg));
	return remove_key(s, from, "", msg);
}

/* ---- life ---- */

static void s3_free(struct cloud_driver *d)
{
	struct s3 *s = s3_of(d);
	if (s->secret)
		crypto_zero(s->secret, strlen(s->secret));
	free(s->access);
	free(s->secret);
	free(s->region);
	free(s->root);
	free(s->host);
	free(s->path);
	free(s->prefix);
	free(s->bucket);
	free(s);
}

static const struct cloud_driver_ops s3_ops = {
    .free = s3_free,
    .stat = s3_stat,
    .list = s3_listing,
    .get = s3_get,
    .put = s3_put,
    .mkdir = s3_mkdir,
    .remove = s3_remove,
    .rmdir = s3_rmdir,
    .rename = s3_rename,
};

/* free()d by the caller. */
static char *join(const char *before, const char *text, size_t size, const char *behind)
{
	size_t all = strlen(before) + size + strlen(behind) + 1;
	char *out = malloc(all);
	if (out)
		snprintf(out, all, "%s%.*s%s", before, (int)size, text, behind);
	return out;
}

static bool is_bucket(const char *name, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
		      (name[i] >= '0' && name[i] <= '9') || strchr(".-_", name[i])))
			return false;
	return size && size <= 255;
}

/* "s3://bucket/prefix" */
static enum err set_bucket(struct s3 *s, const char *url, struct errmsg *msg)
{
	if (strncmp(url, "s3://", 5) != 0)
		return err_set(msg, ERR_INVALID, "an address of S3 is s3://BUCKET/PREFIX");
	const char *name = url + 5;
	size_t size = strcspn(name, "/");
	if (!is_bucket(name, size))
		return err_set(msg, ERR_INVALID, "%.100s is no name of a bucket", name);
	const char *prefix = name + size + strspn(name + size, "/");
	size_t n = strlen(prefix);
	while (n && prefix[n - 1] == '/')
		n--;
	if (n > KEY_MAX / 2)
		return err_set(msg, ERR_INVALID, "the address is too long");
	s->bucket = join("", name, size, "");
	s->prefix = join("", prefix, n, n ? "/" : "");
	return ERR_OK;
}

static void set_root(struct s3 *s, const struct http_url *u, bool virtual_host)
{
	const char *scheme = u->is_tls ? "https://" : "http://";
	size_t size = u->host_size + strlen(s->bucket) + 2;
	s->host = malloc(size);
	if (s->host)
		snprintf(s->host, size, "%s%s%.*s", virtual_host ? s->bucket : "",
		         virtual_host ? "." : "", (int)u->host_size, u->host);
	s->path = virtual_host ? strdup("") : join("/", s->bucket, strlen(s->bucket), "");
	if (!s->host || !s->path)
		return;
	size = strlen(scheme) + strlen(s->host) + strlen(s->path) + 1;
	s->root = malloc(size);
	if (s->root)
		snprintf(s->root, size, "%s%s%s", scheme, s->host, s->path);
}

static enum err set_address(struct s3 *s, const struct cloud_config *c, struct errmsg *msg)
{
	char amazon[128];
	struct http_url u;
	const char *region = c->region ? c->region : "us-east-1";
	TRY(set_bucket(s, c->url, msg));
	if (!is_bucket(region, strlen(region)) || strlen(region) > 63)
		return err_set(msg, ERR_INVALID, "%.60s is no name of a region", region);
	snprintf(amazon, sizeof amazon, "https://s3.%s.amazonaws.com", region);
	TRY(http_url_parse(c->endpoint ? c->endpoint : amazon, &u, msg));
	if (u.path[strspn(u.path, "/")])
		return err_set(msg, ERR_INVALID,
		               "the endpoint has no path: the bucket is in s3://");
	s->access = strdup(c->user ? c->user : "");
	s->secret = strdup(c->secret ? c->secret : "");
	s->region = strdup(region);
	if (s->bucket)
		set_root(s, &u, c->virtual_host || !c->endpoint);
	return s->access && s->secret && s->region && s->root && s->prefix
	           ? ERR_OK
	           : err_set(msg, ERR_NOMEM, "out of memory");
}

enum err s3_new(const struct cloud_config *c, struct http *http, struct cloud_driver **out,
                struct errmsg *msg)
{
	struct s3 *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(msg, ERR_NOMEM, "out of memory");
	s->base = (struct cloud_driver){.ops = &s3_ops, .http = http};
	atomic_init(&s->no_conditions, false);
	enum err e = set_address(s, c, msg);
	if (e != ERR_OK)
		s3_free(&s->base);
	else
		*out = &s->base;
	return e;
}
