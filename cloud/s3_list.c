/* s3_list.c - listings, errors and single values of S3.
 *
 *	ListBucketResult
 *	  IsTruncated  NextContinuationToken
 *	  Contents         Key LastModified ETag Size
 *	  CommonPrefixes   Prefix
 */
#include "cloud/s3_list.h"

#include "cloud/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_RESULT = 1, IN_ROW };

struct listing {
	const char *prefix;
	cloud_list_fn emit;
	void *ctx;
	struct s3_page *page;
	unsigned depth;
	bool is_over;
	char key[1100]; /* keys have at most 1024 bytes */
	struct cloud_item item;
};

static bool on_open(void *ctx, const char *name)
{
	struct listing *l = ctx;
	if (l->depth++ == IN_RESULT) {
		l->key[0] = 0;
		l->item = (struct cloud_item){0};
	}
	return true;
}

static void copy(char *out, size_t room, const char *text, size_t size)
{
	if (size < room && strlen(text) == size)
		memcpy(out, text, size + 1);
}

static void take_value(struct listing *l, const char *name, const char *text, size_t size)
{
	struct cloud_item *i = &l->item;
	if (!strcmp(name, "Key") || !strcmp(name, "Prefix"))
		copy(l->key, sizeof l->key, text, size);
	else if (!strcmp(name, "Size"))
		i->size_bytes = strtoull(text, NULL, 10);
	else if (!strcmp(name, "LastModified"))
		i->mtime_ns = (uint64_t)http_time(text) * UINT64_C(1000000000);
	else if (!strcmp(name, "ETag") && text[0] == '"' && !strpbrk(text, "\r\n"))
		copy(i->etag, sizeof i->etag, text, size);
}

/* "photos/a" is "a" in "photos/"; a folder ends with a slash. */
static bool end_row(struct listing *l, bool is_folder)
{
	size_t n = strlen(l->prefix), size = strlen(l->key);
	if (!size || strncmp(l->key, l->prefix, n) != 0)
		return true;
	l->page->found++;
	if (is_folder && l->key[size - 1] == '/')
		l->key[--size] = 0;
	l->item.is_folder = is_folder;
	if (size <= n || !cloud_name_is_fit(l->key + n, size - n) || l->is_over)
		return true;
	l->is_over = !l->emit(l->ctx, l->key + n, &l->item);
	return true;
}

static bool on_close(void *ctx, const char *name, const char *text, size_t size)
{
	struct listing *l = ctx;
	unsigned in = --l->depth;
	if (in == IN_ROW)
		take_value(l, name, text, size);
	else if (in == IN_RESULT && !strcmp(name, "Contents"))
		return end_row(l, false);
	else if (in == IN_RESULT && !strcmp(name, "CommonPrefixes"))
		return end_row(l, true);
	else if (in == IN_RESULT && !strcmp(name, "NextContinuationToken"))
		copy(l->page->next, sizeof l->page->next, text, size);
	return true;
}

enum err s3_list(const void *bytes, size_t size, const char *prefix, cloud_list_fn emit, void *ctx,
                 struct s3_page *page, struct errmsg *msg)
{
	struct listing l = {.prefix = prefix, .emit = emit, .ctx = ctx, .page = page};
	struct xml_reader r = {.open = on_open, .close = on_close, .ctx = &l};
	*page = (struct s3_page){0};
	return xml_read(bytes, size, &r, msg);
}

/* ---- single values ---- */

struct value {
	const char *name;
	char *out;
	size_t room;
	unsigned depth;
	bool found;
};

static bool enter(void *ctx, const char *name)
{
	((struct value *)ctx)->depth++;
	return true;
}

static bool leave(void *ctx, const char *name, const char *text, size_t size)
{
	struct value *v = ctx;
	if (--v->depth == 1 && !v->found && !strcmp(name, v->name) && size < v->room &&
	    strlen(text) == size) {
		memcpy(v->out, text, size + 1);
		v->found = true;
	}
	return true;
}

enum err s3_value(const void *bytes, size_t size, const char *name, char *out, size_t room)
{
	struct value v = {.name = name, .out = out, .room = room};
	struct xml_reader r = {.open = enter, .close = leave, .ctx = &v};
	out[0] = 0;
	xml_read(bytes, size, &r, NULL);
	return v.found ? ERR_OK : ERR_NOTFOUND;
}

struct root {
	bool is_error, known;
};

static bool look(void *ctx, const char *name)
{
	struct root *r = ctx;
	r->is_error = !strcmp(name, "Error");
	r->known = true;
	return false;
}

static void clean(char *text)
{
	for (; *text; text++)
		if ((uint8_t)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

void s3_words(const void *bytes, size_t size, struct s3_words *out)
{
	struct root root = {0};
	struct xml_reader r = {.open = look, .ctx = &root};
	*out = (struct s3_words){0};
	xml_read(bytes, size, &r, NULL);
	if (!root.is_error)
		return;
	if (s3_value(bytes, size, "Code", out->code, sizeof out->code) != ERR_OK)
		snprintf(out->code, sizeof out->code, "Error");
	s3_value(bytes, size, "Message", out->message, sizeof out->message);
	clean(out->code);
	clean(out->message);
}
