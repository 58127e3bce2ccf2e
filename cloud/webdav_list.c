/* webdav_list.c - a multistatus, element by element.
 *
 *	multistatus
 *	  response
 *	    href                    /dav/photos/a%20b.jpg, or a whole address
 *	    propstat                one for what is there, one for what is not
 *	      prop
 *	        resourcetype
 *	          collection        a folder
 *	        getcontentlength getlastmodified getetag
 *	      status                HTTP/1.1 200 OK
 */
#include "cloud/webdav_list.h"

#include "cloud/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_MULTISTATUS = 1, IN_RESPONSE, IN_PROPSTAT, IN_PROP, IN_TYPE };

struct listing {
	const char *folder;
	cloud_list_fn emit;
	void *ctx;
	unsigned depth;
	struct wr href;
	struct cloud_item item,
	    said; /* of the response; of the propstat, until its status is known */
	bool is_there, has_item;
	bool is_over;
};

static bool on_open(void *ctx, const char *name)
{
	struct listing *l = ctx;
	unsigned in = l->depth++;
	if (in == IN_MULTISTATUS && !strcmp(name, "response")) {
		wr_clear(&l->href);
		l->item = (struct cloud_item){0};
		l->has_item = false;
	} else if (in == IN_RESPONSE && !strcmp(name, "propstat")) {
		l->said = (struct cloud_item){0};
		l->is_there = false;
	} else if (in == IN_TYPE && !strcmp(name, "collection")) {
		l->said.is_folder = true;
	}
	return true;
}

/* Some servers forget the quotes. A weak one names no exact version. */
static void take_etag(struct cloud_item *to, const char *text, size_t size)
{
	if (!size || size + 3 > sizeof to->etag || strpbrk(text, "\r\n") || strlen(text) != size ||
	    !strncmp(text, "W/", 2))
		return;
	snprintf(to->etag, sizeof to->etag, text[0] == '"' ? "%s" : "\"%s\"", text);
}

static void take_prop(struct cloud_item *to, const char *name, const char *text, size_t size)
{
	if (!strcmp(name, "getcontentlength"))
		to->size_bytes = strtoull(text, NULL, 10);
	else if (!strcmp(name, "getlastmodified"))
		to->mtime_ns = (uint64_t)http_time(text) * UINT64_C(1000000000);
	else if (!strcmp(name, "getetag"))
		take_etag(to, text, size);
}

/* ---- names ---- */

/* The path in plain bytes of an href, without slashes at its end. */
static enum err plain_path(struct wr *out, const char *text, size_t size)
{
	const char *host = strstr(text, "://");
	if (host && text[0] != '/') {
		const char *path = strchr(host + 3, '/');
		size = path ? size - (size_t)(path - text) : 0;
		text = path ? path : "";
	}
	wr_clear(out);
	enum err e = http_unescape(out, text, size);
	if (e != ERR_OK) {
		wr_clear(out);
		return e;
	}
	while (out->size && out->data[out->size - 1] == '/')
		out->size--;
	wr_u8(out, 0);
	return wr_ok(out) ? ERR_OK : ERR_NOMEM;
}

/* NULL: neither the folder nor in it. */
static const char *name_in(const char *path, const char *folder)
{
	size_t n = folder ? strlen(folder) : 0;
	if (!folder)
		return "";
	if (strncmp(path, folder, n) != 0)
		return NULL;
	if (!path[n])
		return "";
	return path[n] == '/' && cloud_name_is_fit(path + n + 1, strlen(path + n + 1))
	           ? path + n + 1
	           : NULL;
}

static bool end_response(struct listing *l)
{
	const char *name = l->href.size ? name_in((const char *)l->href.data, l->folder) : NULL;
	struct cloud_item *i = &l->item;
	if (!name || !l->has_item || l->is_over)
		return true;
	if (!i->etag[0])
		snprintf(i->etag, sizeof i->etag, "~%llu-%llu", (unsigned long long)i->size_bytes,
		         (unsigned long long)i->mtime_ns);
	l->is_over = !l->emit(l->ctx, name, i) || !l->folder;
	return true;
}

static bool on_close(void *ctx, const char *name, const char *text, size_t size)
{
	struct listing *l = ctx;
	unsigned in = --l->depth;
	if (in == IN_MULTISTATUS && !strcmp(name, "response"))
		return end_response(l);
	if (in == IN_RESPONSE && !strcmp(name, "href") && !l->href.size)
		return plain_path(&l->href, text, size) != ERR_NOMEM;
	if (in == IN_PROPSTAT && !strcmp(name, "status"))
		l->is_there = strstr(text, " 200") != NULL;
	else if (in == IN_RESPONSE && !strcmp(name, "propstat") && l->is_there) {
		l->item = l->said;
		l->has_item = true;
	} else if (in == IN_PROP) {
		take_prop(&l->said, name, text, size);
	}
	return true;
}

enum err webdav_list(const void *bytes, size_t size, const char *folder, cloud_list_fn emit,
                     void *ctx, struct errmsg *msg)
{
	struct listing l = {.folder = folder, .emit = emit, .ctx = ctx};
	struct xml_reader r = {.open = on_open, .close = on_close, .ctx = &l};
	enum err e = xml_read(bytes, size, &r, msg);
	wr_free(&l.href);
	return e;
}
