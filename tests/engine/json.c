/* json.c - see json.h. */
#include "json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 64 };

struct reader {
	const char *at, *end;
	unsigned line, depth;
	const char *wrong; /* the first thing that was */
};

static struct json *read_value(struct reader *r);

static bool wrong(struct reader *r, const char *what)
{
	if (!r->wrong)
		r->wrong = what;
	return false;
}

static void skip_space(struct reader *r)
{
	for (; r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at; r->at++)
		r->line += *r->at == '\n';
}

static bool take(struct reader *r, char c)
{
	skip_space(r);
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

/* ---- texts ---- */

static bool read_hex(struct reader *r, uint32_t *unit)
{
	*unit = 0;
	if (r->end - r->at < 4)
		return wrong(r, "four digits expected");
	for (int i = 0; i < 4; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *d = strchr(digits, *r->at | (*r->at > '9' ? 0x20 : 0));
		if (!*r->at || !d)
			return wrong(r, "four digits expected");
		*unit = *unit << 4 | (uint32_t)(d - digits);
		r->at++;
	}
	return true;
}

/* \uD83D\uDE00 is one character in two halves; a half alone stays what it is. */
static bool read_unicode(struct reader *r, uint32_t *c)
{
	uint32_t low;
	if (!read_hex(r, c))
		return false;
	if (*c < 0xd800 || *c > 0xdbff || r->end - r->at < 6 || memcmp(r->at, "\\u", 2) != 0)
		return true;
	const char *back = r->at;
	r->at += 2;
	if (!read_hex(r, &low))
		return false;
	if (low >= 0xdc00 && low <= 0xdfff)
		*c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
	else
		r->at = back;
	return true;
}

static char *put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
		return out;
	}
	int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	*out++ = (char)((0xff00u >> (more + 1)) | c >> (6 * more));
	while (more--)
		*out++ = (char)(0x80 | (c >> (6 * more) & 0x3f));
	return out;
}

static bool read_escape(struct reader *r, char **out)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	uint32_t c;
	if (r->at == r->end)
		return wrong(r, "a text without an end");
	char name = *r->at++;
	const char *found = strchr(names, name);
	if (name && found)
		*(*out)++ = values[found - names];
	else if (name == 'u' && read_unicode(r, &c))
		*out = put_utf8(*out, c);
	else
		return wrong(r, "an escape that JSON does not have");
	return true;
}

/* An escape is never shorter than what it stands for, so the text fits where its source did. */
static char *read_text(struct reader *r, size_t *size)
{
	const char *end = r->at;
	while (end < r->end && *end != '"')
		end += *end == '\\' && end + 1 < r->end ? 2 : 1;
	char *text = malloc((size_t)(end - r->at) + 1), *out = text;
	if (!text || end >= r->end) {
		wrong(r, text ? "a text without an end" : "out of memory");
		free(text);
		return NULL;
	}
	while (r->at < end && !r->wrong) {
		char c = *r->at++;
		if (c == '\\')
			read_escape(r, &out);
		else
			*out++ = c;
	}
	r->at = end + 1;
	*out = 0;
	*size = (size_t)(out - text);
	return text;
}

/* ---- values ---- */

static bool read_members(struct reader *r, struct json *list, char close)
{
	struct json **last = &list->first;
	if (take(r, close))
		return true;
	do {
		char *key = NULL;
		size_t size;
		if (list->type == JSON_OBJECT &&
		    (!take(r, '"') || !(key = read_text(r, &size)) || !take(r, ':'))) {
			free(key);
			return wrong(r, "\"NAME\": expected");
		}
		if (!(*last = read_value(r))) {
			free(key);
			return false;
		}
		(*last)->key = key;
		last = &(*last)->next;
		list->size++;
	} while (take(r, ','));
	return take(r, close) || wrong(r, "a list without an end");
}

static bool read_word(struct reader *r, struct json *v)
{
	static const char *const words[] = {"null", "false", "true"};
	for (int i = 0; i < 3; i++) {
		size_t n = strlen(words[i]);
		if ((size_t)(r->end - r->at) >= n && memcmp(r->at, words[i], n) == 0) {
			v->type = (enum json_type)i;
			r->at += n;
			return true;
		}
	}
	return wrong(r, "a value expected");
}

static bool read_number(struct reader *r, struct json *v)
{
	char digits[32], *end;
	size_t n = 0;
	while (r->at < r->end && strchr("+-.eE0123456789", *r->at) && *r->at) {
		if (n < sizeof digits - 1)
			digits[n++] = *r->at;
		r->at++;
	}
	digits[n] = 0;
	v->type = JSON_NUMBER;
	v->number = strtoll(digits, &end, 10);
	return end != digits || wrong(r, "a value expected");
}

static bool read_any(struct reader *r, struct json *v)
{
	if (take(r, '{')) {
		v->type = JSON_OBJECT;
		return read_members(r, v, '}');
	}
	if (take(r, '[')) {
		v->type = JSON_ARRAY;
		return read_members(r, v, ']');
	}
	if (take(r, '"')) {
		v->type = JSON_TEXT;
		return (v->text = read_text(r, &v->size)) != NULL;
	}
	return r->at < r->end && strchr("-0123456789", *r->at) ? read_number(r, v)
	                                                       : read_word(r, v);
}

static struct json *read_value(struct reader *r)
{
	struct json *v = calloc(1, sizeof *v);
	if (!v || r->depth == DEPTH_MAX) {
		wrong(r, v ? "values too deep in each other" : "out of memory");
		free(v);
		return NULL;
	}
	r->depth++;
	bool ok = read_any(r, v) && !r->wrong;
	r->depth--;
	if (ok)
		return v;
	json_free(v);
	return NULL;
}

/* ---- files ---- */

static char *read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		return NULL;
	char *data = NULL;
	long n = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
	if (n >= 0 && fseek(f, 0, SEEK_SET) == 0 && (data = malloc((size_t)n + 1)) != NULL &&
	    fread(data, 1, (size_t)n, f) != (size_t)n) {
		free(data);
		data = NULL;
	}
	*size = n >= 0 ? (size_t)n : 0;
	fclose(f);
	return data;
}

struct json *json_load(const char *path, char *message, size_t message_size)
{
	size_t size;
	char *data = read_file(path, &size);
	if (!data) {
		snprintf(message, message_size, "%s", strerror(errno));
		return NULL;
	}
	struct reader r = {.at = data, .end = data + size, .line = 1};
	struct json *root = read_value(&r);
	skip_space(&r);
	if (root && r.at != r.end)
		wrong(&r, "more after the end");
	if (r.wrong) {
		snprintf(message, message_size, "line %u: %s", r.line, r.wrong);
		json_free(root);
		root = NULL;
	}
	free(data);
	return root;
}

void json_free(struct json *v)
{
	while (v) {
		struct json *next = v->next;
		json_free(v->first);
		free(v->text);
		free(v->key);
		free(v);
		v = next;
	}
}

/* ---- looking at values ---- */

const struct json *json_get(const struct json *object, const char *key)
{
	const struct json *v = object && object->type == JSON_OBJECT ? object->first : NULL;
	while (v && strcmp(v->key, key) != 0)
		v = v->next;
	return v;
}

const struct json *json_first(const struct json *list)
{
	return list ? list->first : NULL;
}

const char *json_text(const struct json *v)
{
	return v && v->type == JSON_TEXT ? v->text : "";
}

int64_t json_number(const struct json *v)
{
	return v && v->type == JSON_NUMBER ? v->number : 0;
}

size_t json_size(const struct json *v)
{
	return v ? v->size : 0;
}
