/* webdav.c - files on a server of WebDAV (RFC 4918).
 *
 * Not every server compares versions when it is told to (If-Match): an upload therefore locks the file where the server can (class 2), looks
 * whether it is still the version that it should be, and only then writes, with If-Match all the same. Without locks the last look and
 * the writing are two requests, and a change between them by somebody whose server ignores If-Match would be lost: docs/FILES.md says so.
 */
#include "base/os_thread.h"
#include "cloud/cloud.h"
#include "cloud/driver.h"
#include "cloud/webdav_list.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOCKS_UNKNOWN, LOCKS_NONE, LOCKS_THERE };
enum { LOCK_TRIES = 10, LOCK_PAUSE_MS = 300, LOCK_S = 60, ONE_ITEM_MAX = 256 << 10 };

struct webdav {
	struct cloud_driver base;
	char *url;  /* without a slash at its end */
	char *path; /* of it, in plain bytes, likewise */
	_Atomic int locks;
};

/* A lock that was taken, or none. */
struct held {
	char token[HTTP_ETAG_MAX];
};

static const char propfind[] =
    "<?xml version=\"1.0\"?>\n<D:propfind xmlns:D=\"DAV:\"><D:prop><D:resourcetype/>"
    "<D:getcontentlength/><D:getlastmodified/><D:getetag/></D:prop></D:propfind>";
static const char lockinfo[] =
    "<?xml version=\"1.0\"?>\n<D:lockinfo xmlns:D=\"DAV:\"><D:lockscope><D:exclusive/>"
    "</D:lockscope><D:locktype><D:write/></D:locktype><D:owner>WasmOS</D:owner></D:lockinfo>";

static struct webdav *webdav_of(struct cloud_driver *d)
{
	return (struct webdav *)d;
}

/* ---- requests ---- */

static bool read_text(void *ctx, uint64_t offset, void *buf, size_t size)
{
	memcpy(buf, (const char *)ctx + offset, size);
	return true;
}

static struct http_source text_source(const char *text)
{
	return (struct http_source){
	    .read = read_text, .ctx = (void *)(uintptr_t)text, .size_bytes = strlen(text)};
}

/* free()d by the caller; NULL: out of memory. */
static char *url_of(const struct webdav *w, const char *path, bool is_folder)
{
	struct wr out = {0};
	size_t size;
	wr_bytes(&out, w->url, strlen(w->url));
	if (*path)
		wr_u8(&out, '/');
	http_escape(&out, path, strlen(path), "/!$&'()*+,;=:@");
	if (is_folder || !*path)
		wr_u8(&out, '/');
	wr_u8(&out, 0);
	if (wr_ok(&out))
		return (char *)wr_take(&out, &size);
	wr_free(&out);
	return NULL;
}

/* r without its address. The answer is to be freed, whatever is returned. */
static enum ferr ask(struct webdav *w, const char *path, bool is_folder, struct http_request *r,
                     struct http_answer *a, struct errmsg *msg)
{
	*a = (struct http_answer){0};
	char *url = url_of(w, path, is_folder);
	if (!url)
		return FE_NOMEM;
	r->url = url;
	enum ferr e = cloud_told(http_do(w->base.http, r, a, msg), a, msg);
	free(url);
	return e;
}

/* The same where only success counts. */
static enum ferr just_ask(struct webdav *w, const char *path, bool is_folder,
                          struct http_request *r, struct errmsg *msg)
{
	struct http_answer a;
	enum ferr e = ask(w, path, is_folder, r, &a, msg);
	http_answer_free(&a);
	return e;
}

static enum ferr fe_of(enum err e)
{
	return e == ERR_OK ? FE_OK : e == ERR_NOMEM ? FE_NOMEM : e == ERR_LIMIT ? FE_FBIG : FE_IO;
}

/* ---- looking ---- */

static enum ferr find(struct webdav *w, const char *path, bool is_folder, const char *depth,
                      uint64_t max, struct http_answer *a, struct errmsg *msg)
{
	struct http_source body = text_source(propfind);
	struct http_request r = {.method = "PROPFIND",
	                         .headers = {depth, "Content-Type: application/xml"},
	                         .source = &body,
	                         .max_bytes = max,
	                         .may_repeat = true};
	enum ferr e = ask(w, path, is_folder, &r, a, msg);
	if (e == FE_OK && a->status != 207) {
		err_set(msg, ERR_IO, "the server does not speak WebDAV (status %u to PROPFIND)",
		        a->status);
		return FE_NOTSUP;
	}
	return e;
}

struct one {
	struct cloud_item *item;
	bool has;
};

static bool take_one(void *ctx, const char *name, const struct cloud_item *item)
{
	struct one *o = ctx;
	*o->item = *item;
	o->has = true;
	return false;
}

static enum ferr webdav_stat(struct cloud_driver *d, const char *path, struct cloud_item *out,
                             struct errmsg *msg)
{
	struct http_answer a;
	struct one one = {.item = out};
	enum ferr e = find(webdav_of(d), path, false, "Depth: 0", ONE_ITEM_MAX, &a, msg);
	if (e == FE_OK)
		e = fe_of(webdav_list(a.body.data, a.body.size, NULL, take_one, &one, msg));
	http_answer_free(&a);
	if (e == FE_OK && !one.has) {
		err_set(msg, ERR_IO, "the server's answer says nothing of what was asked for");
		e = FE_IO;
	}
	return e;
}

/* What a listing is given to, without the folder itself. */
struct children {
	cloud_list_fn emit;
	void *ctx;
	bool has_self, is_file;
};

static bool take_child(void *ctx, const char *name, const struct cloud_item *item)
{
	struct children *c = ctx;
	if (*name)
		return c->emit(c->ctx, name, item);
	c->has_self = true;
	c->is_file = !item->is_folder;
	return true;
}

/* free()d by the caller. */
static char *plain_path(const struct webdav *w, const char *path)
{
	size_t size = strlen(w->path) + strlen(path) + 2;
	char *out = malloc(size);
	if (out)
		snprintf(out, size, "%s%s%s", w->path, *path ? "/" : "", path);
	return out;
}

static enum ferr webdav_listing(struct cloud_driver *d, const char *path, cloud_list_fn emit,
                                void *ctx, struct errmsg *msg)
{
	struct webdav *w = webdav_of(d);
	struct http_answer a;
	struct children c = {.emit = emit, .ctx = ctx};
	char *folder = plain_path(w, path);
	if (!folder)
		return FE_NOMEM;
	enum ferr e = find(w, path, true, "Depth: 1", CLOUD_LISTING_MAX, &a, msg);
	if (e == FE_OK)
		e = fe_of(webdav_list(a.body.data, a.body.size, folder, take_child, &c, msg));
	http_answer_free(&a);
	free(folder);
	return e == FE_OK && c.is_file ? FE_NOTDIR : e;
}

/* ---- reading ---- */

/* "If-Match: ETAG" in text where the server can be asked for that; NULL else. */
static const char *if_match(char *text, size_t room, const char *etag)
{
	if (!etag || etag[0] != '"')
		return NULL;
	snprintf(text, room, "If-Match: %s", etag);
	return text;
}

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

static enum ferr webdav_get(struct cloud_driver *d, const char *path, const char *etag,
                            const struct http_range *range, const struct cloud_sink *sink,
                            struct errmsg *msg)
{
	char match[HTTP_ETAG_MAX + 16];
	struct counted c = {.sink = sink};
	struct http_answer a;
	struct http_request r = {.method = "GET",
	                         .headers = {if_match(match, sizeof match, etag)},
	                         .range = *range,
	                         .sink = count,
	                         .sink_ctx = &c,
	                         .max_bytes = range->size_bytes,
	                         .may_repeat = true};
	enum ferr e = ask(webdav_of(d), path, false, &r, &a, msg);
	if (e == FE_OK && etag[0] == '"' && a.etag[0] == '"' && strcmp(a.etag, etag) != 0)
		e = FE_STALE; /* one that does not know If-Match */
	if (a.status == 416)
		e = FE_STALE; /* it was longer */
	if (e == FE_OK && c.got != range->size_bytes) {
		err_set(msg, ERR_IO, "%llu of %llu bytes came", (unsigned long long)c.got,
		        (unsigned long long)range->size_bytes);
		e = FE_IO;
	}
	http_answer_free(&a);
	return e;
}

/* ---- locks ---- */

static bool has_locks(struct webdav *w)
{
	int known = atomic_load(&w->locks);
	if (known == LOCKS_UNKNOWN) {
		struct http_answer a;
		struct http_request r = {
		    .method = "OPTIONS", .max_bytes = HTTP_WORDS_MAX, .may_repeat = true};
		if (ask(w, "", true, &r, &a, NULL) == FE_OK) {
			known = strchr(a.dav, '2') ? LOCKS_THERE : LOCKS_NONE;
			atomic_store(&w->locks, known);
		}
		http_answer_free(&a);
	}
	return known == LOCKS_THERE;
}

static enum ferr lock_once(struct webdav *w, const char *path, unsigned seconds, struct held *out,
                           struct errmsg *msg)
{
	char timeout[48];
	struct http_source body = text_source(lockinfo);
	struct http_answer a;
	snprintf(timeout, sizeof timeout, "Timeout: Second-%u", seconds);
	struct http_request r = {.method = "LOCK",
	                         .headers = {timeout, "Depth: 0", "Content-Type: application/xml"},
	                         .source = &body,
	                         .max_bytes = ONE_ITEM_MAX};
	enum ferr e = ask(w, path, false, &r, &a, msg);
	if (e == FE_OK)
		memcpy(out->token, a.lock_token, sizeof out->token);
	http_answer_free(&a);
	return e;
}

/* A server that knows of locks and gives none here is one without. */
static enum ferr lock(struct webdav *w, const char *path, uint64_t size, struct held *out,
                      struct errmsg *msg)
{
	enum ferr e = FE_OK;
	uint64_t seconds = LOCK_S + size / HTTP_SLOWEST;
	*out = (struct held){0};
	if (!has_locks(w))
		return FE_OK;
	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		e = lock_once(w, path, seconds < 86400 ? (unsigned)seconds : 86400, out, msg);
		if (e != FE_TXTBSY)
			break;
		os_sleep_ns(LOCK_PAUSE_MS * UINT64_C(1000000));
	}
	return e == FE_NOTSUP ? FE_OK : e;
}

static void unlock(struct webdav *w, const char *path, const struct held *h)
{
	char token[HTTP_ETAG_MAX + 16];
	if (!h->token[0])
		return;
	snprintf(token, sizeof token, "Lock-Token: %s", h->token);
	struct http_request r = {
	    .method = "UNLOCK", .headers = {token}, .max_bytes = HTTP_WORDS_MAX};
	just_ask(w, path, false, &r, NULL);
}

/* ---- writing ---- */

static enum ferr check_version(struct webdav *w, const char *path, const char *etag,
                               struct errmsg *msg)
{
	struct cloud_item now;
	enum ferr e = webdav_stat(&w->base, path, &now, msg);
	if (e == FE_NOENT || (e == FE_OK && strcmp(now.etag, etag) != 0)) {
		err_set(msg, ERR_STALE, "somebody else has %s it meanwhile",
		        e == FE_OK ? "changed" : "removed");
		return FE_STALE;
	}
	return e;
}

static enum ferr send(struct webdav *w, const char *path, const char *etag, const struct held *h,
                      const struct http_source *source, struct errmsg *msg)
{
	char match[HTTP_ETAG_MAX + 16], token[HTTP_ETAG_MAX + 16];
	struct http_request r = {.method = "PUT",
	                         .source = source,
	                         .max_bytes = HTTP_WORDS_MAX,
	                         .headers = {"Content-Type: application/octet-stream"}};
	int n = 1;
	if (!etag)
		r.headers[n++] = "If-None-Match: *";
	else if (if_match(match, sizeof match, etag))
		r.headers[n++] = match;
	if (h->token[0]) {
		snprintf(token, sizeof token, "If: (%s)", h->token);
		r.headers[n++] = token;
	}
	return just_ask(w, path, false, &r, msg);
}

static enum ferr look_after(struct webdav *w, const char *path, uint64_t size,
                            struct cloud_item *out, struct errmsg *msg)
{
	enum ferr e = webdav_stat(&w->base, path, out, msg);
	if (e == FE_OK && out->size_bytes != size) {
		err_set(msg, ERR_IO, "the server has %llu bytes of it, and was sent %llu",
		        (unsigned long long)out->size_bytes, (unsigned long long)size);
		e = FE_IO;
	}
	return e;
}

static enum ferr replace(struct webdav *w, const char *path, const char *etag,
                         const struct http_source *source, struct cloud_item *out,
                         struct errmsg *msg)
{
	struct held h;
	FTRY(check_version(w, path, etag, msg)); /* a lock would make a file that is gone anew */
	FTRY(lock(w, path, source->size_bytes, &h, msg));
	enum ferr e = h.token[0] ? check_version(w, path, etag, msg) : FE_OK;
	if (e == FE_OK)
		e = send(w, path, etag, &h, source, msg);
	if (e == FE_OK)
		e = look_after(w, path, source->size_bytes, out, msg);
	unlock(w, path, &h);
	return e;
}

static enum ferr webdav_put(struct cloud_driver *d, const char *path, const char *etag,
                            const struct http_source *source, struct cloud_item *out,
                            struct errmsg *msg)
{
	struct webdav *w = webdav_of(d);
	static const struct held none;
	if (etag)
		return replace(w, path, etag, source, out, msg);
	enum ferr e = webdav_stat(d, path, out, msg);
	if (e != FE_NOENT)
		return e == FE_OK ? FE_EXIST : e;
	e = send(w, path, NULL, &none, source, msg);
	return e == FE_STALE ? FE_EXIST
	       : e == FE_OK  ? look_after(w, path, source->size_bytes, out, msg)
	                     : e;
}

static enum ferr webdav_mkdir(struct cloud_driver *d, const char *path, struct errmsg *msg)
{
	struct http_request r = {.method = "MKCOL", .max_bytes = HTTP_WORDS_MAX};
	enum ferr e = just_ask(webdav_of(d), path, true, &r, msg);
	return e == FE_NOTSUP ? FE_EXIST : e; /* 405: there is something */
}

static enum ferr webdav_remove(struct cloud_driver *d, const char *path, struct errmsg *msg)
{
	struct http_request r = {.method = "DELETE", .max_bytes = HTTP_WORDS_MAX};
	return just_ask(webdav_of(d), path, false, &r, msg);
}

static bool take_any(void *ctx, const char *name, const struct cloud_item *item)
{
	*(bool *)ctx = true;
	return false;
}

/* The server would remove all that is in it. */
static enum ferr webdav_rmdir(struct cloud_driver *d, const char *path, struct errmsg *msg)
{
	bool has_any = false;
	struct http_request r = {.method = "DELETE", .max_bytes = HTTP_WORDS_MAX};
	FTRY(webdav_listing(d, path, take_any, &has_any, msg));
	return has_any ? FE_NOTEMPTY : just_ask(webdav_of(d), path, true, &r, msg);
}

static enum ferr webdav_rename(struct cloud_driver *d, const char *from, const char *to,
                               bool is_folder, struct errmsg *msg)
{
	struct webdav *w = webdav_of(d);
	char *url = url_of(w, to, is_folder);
	size_t size = url ? strlen(url) + 16 : 0;
	char *destination = url ? malloc(size) : NULL;
	enum ferr e = FE_NOMEM;
	if (destination) {
		snprintf(destination, size, "Destination: %s", url);
		struct http_request r = {.method = "MOVE",
		                         .headers = {destination, "Overwrite: T"},
		                         .max_bytes = HTTP_WORDS_MAX};
		e = just_ask(w, from, is_folder, &r, msg);
	}
	free(destination);
	free(url);
	return e;
}

/* ---- life ---- */

static void webdav_free(struct cloud_driver *d)
{
	struct webdav *w = webdav_of(d);
	free(w->url);
	free(w->path);
	free(w);
}

static const struct cloud_driver_ops webdav_ops = {
    .free = webdav_free,
    .stat = webdav_stat,
    .list = webdav_listing,
    .get = webdav_get,
    .put = webdav_put,
    .mkdir = webdav_mkdir,
    .remove = webdav_remove,
    .rmdir = webdav_rmdir,
    .rename = webdav_rename,
};

static enum err set_address(struct webdav *w, const char *url, struct errmsg *msg)
{
	struct http_url parts;
	struct wr path = {0};
	size_t size = strlen(url);
	TRY(http_url_parse(url, &parts, msg));
	while (size && url[size - 1] == '/')
		size--;
	w->url = calloc(1, size + 1);
	if (w->url)
		memcpy(w->url, url, size);
	size_t path_size =
	    size > (size_t)(parts.path - url) ? size - (size_t)(parts.path - url) : 0;
	enum err e = http_unescape(&path, parts.path, path_size);
	wr_u8(&path, 0);
	if (e == ERR_OK && w->url && wr_ok(&path)) {
		w->path = (char *)wr_take(&path, &size);
		return ERR_OK;
	}
	wr_free(&path);
	return err_set(msg, e == ERR_OK ? ERR_NOMEM : ERR_INVALID,
	               e == ERR_OK ? "out of memory" : "the address has a %% that is none");
}

enum err webdav_new(const struct cloud_config *c, struct http *http, struct cloud_driver **out,
                    struct errmsg *msg)
{
	struct webdav *w = calloc(1, sizeof *w);
	if (!w)
		return err_set(msg, ERR_NOMEM, "out of memory");
	w->base = (struct cloud_driver){.ops = &webdav_ops, .http = http};
	atomic_init(&w->locks, LOCKS_UNKNOWN);
	enum err e = set_address(w, c->url, msg);
	if (e != ERR_OK)
		webdav_free(&w->base);
	else
		*out = &w->base;
	return e;
}
