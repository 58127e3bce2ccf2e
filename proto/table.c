/* table.c - the one encoder and the one decoder behind every message table. */
#include "proto/table.h"

#include "base/pack.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct str_ref str_ref(const char *zero_terminated)
{
	return (struct str_ref){zero_terminated, (uint32_t)strlen(zero_terminated)};
}

struct bin_ref bin_ref(const void *bytes, size_t size)
{
	assert(size <= UINT32_MAX);
	return (struct bin_ref){bytes, (uint32_t)size};
}

enum err str_copy(struct str_ref s, char *buf, size_t cap)
{
	if (s.size >= cap)
		return ERR_LIMIT;
	if (s.size)
		memcpy(buf, s.p, s.size);
	buf[s.size] = 0;
	return ERR_OK;
}

bool str_equal(struct str_ref s, const char *zero_terminated)
{
	size_t size = strlen(zero_terminated);
	return s.size == size && (!size || memcmp(s.p, zero_terminated, size) == 0);
}

/* One character of UTF-8 (shortest form, no surrogates); 0 when it is none. */
static size_t utf8_next(const uint8_t *p, size_t left, uint32_t *c)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80       ? 1
	           : p[0] >> 5 == 6  ? 2
	           : p[0] >> 4 == 14 ? 3
	           : p[0] >> 3 == 30 ? 4
	                             : 0;
	if (!n || n > left)
		return 0;
	*c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		*c = *c << 6 | (p[i] & 0x3f);
	}
	if (*c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000))
		return 0;
	return n;
}

static bool char_is_fit(uint32_t c)
{
	return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && c != 0x61c &&
	       !(c >= 0x200b && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e) &&
	       !(c >= 0x2060 && c <= 0x206f) && c != 0xfeff;
}

bool name_is_fit(const char *p, size_t size)
{
	size_t n;
	for (size_t i = 0; i < size; i += n) {
		uint32_t c;
		n = utf8_next((const uint8_t *)p + i, size - i, &c);
		if (!n || !char_is_fit(c))
			return false;
	}
	return true;
}

/* --- the fields of a C struct --- */

static const void *field_at(const void *values, const struct field *f)
{
	return (const uint8_t *)values + f->offset;
}

static enum err too_long(const struct record *rec, const struct field *f, uint64_t got,
                         struct errmsg *msg)
{
	return err_set(msg, ERR_LIMIT, "%s.%s: %llu %s, at most %u", rec->name, f->name,
	               (unsigned long long)got, f->kind == FIELD_LIST ? "items" : "bytes", f->max);
}

static enum err check_str(const struct record *rec, const struct field *f, struct str_ref s,
                          struct errmsg *msg)
{
	if (s.size > f->max)
		return too_long(rec, f, s.size, msg);
	if (s.size && memchr(s.p, 0, s.size))
		return err_set(msg, ERR_INVALID, "%s.%s: holds a zero byte", rec->name, f->name);
	if (f->kind == FIELD_NAME && !name_is_fit(s.p, s.size))
		return err_set(msg, ERR_INVALID, "%s.%s: not UTF-8 fit to be shown", rec->name,
		               f->name);
	return ERR_OK;
}

static enum err encode_sized(struct wr *w, const struct record *rec, const struct field *f,
                             const void *at, struct errmsg *msg)
{
	if (f->kind == FIELD_TEXT || f->kind == FIELD_NAME) {
		const struct str_ref *s = at;
		TRY(check_str(rec, f, *s, msg));
		pack_str(w, s->p, s->size);
	} else if (f->kind == FIELD_BIN) {
		const struct bin_ref *b = at;
		if (b->size > f->max)
			return too_long(rec, f, b->size, msg);
		pack_bin(w, b->p, b->size);
	} else if (f->kind == FIELD_FIXED) {
		pack_bin(w, at, f->max);
	} else {
		const struct list_ref *l = at;
		if (l->count > f->max)
			return too_long(rec, f, l->count, msg);
		pack_array(w, l->count);
		wr_bytes(w, l->p, l->size);
	}
	return ERR_OK;
}

static enum err encode_field(struct wr *w, const struct record *rec, const struct field *f,
                             const void *values, struct errmsg *msg)
{
	const void *at = field_at(values, f);
	switch (f->kind) {
	case FIELD_U8: pack_u64(w, *(const uint8_t *)at); return ERR_OK;
	case FIELD_U16: pack_u64(w, *(const uint16_t *)at); return ERR_OK;
	case FIELD_U32: pack_u64(w, *(const uint32_t *)at); return ERR_OK;
	case FIELD_U64: pack_u64(w, *(const uint64_t *)at); return ERR_OK;
	case FIELD_I32: pack_i64(w, *(const int32_t *)at); return ERR_OK;
	case FIELD_I64: pack_i64(w, *(const int64_t *)at); return ERR_OK;
	case FIELD_BOOL: pack_bool(w, *(const bool *)at); return ERR_OK;
	default: return encode_sized(w, rec, f, at, msg);
	}
}

enum err record_encode(struct wr *w, const struct record *rec, const void *values,
                       struct errmsg *msg)
{
	size_t start = w->size;
	pack_array(w, rec->field_count + (rec->number ? 1 : 0));
	if (rec->number)
		pack_u64(w, rec->number);
	for (uint32_t i = 0; i < rec->field_count; i++) {
		enum err e = encode_field(w, rec, &rec->fields[i], values, msg);
		if (e != ERR_OK) {
			w->size = start;
			return e;
		}
	}
	return wr_ok(w) ? ERR_OK : err_set(msg, ERR_NOMEM, "%s: out of memory", rec->name);
}

/* --- decoding --- */

static enum err decode_record(struct rd *r, const struct record *rec, void *values, unsigned depth,
                              struct errmsg *msg);

static enum err decode_items(struct rd *r, const struct record *rec, const struct field *f,
                             struct list_ref *list, unsigned depth, struct errmsg *msg)
{
	_Alignas(16) uint8_t scratch[RECORD_MAX_SIZE];
	const struct record *item = f->item();
	assert(depth < RECORD_MAX_DEPTH && item->size <= sizeof scratch);
	uint32_t count;
	TRY(unpack_array(r, f->max, &count));
	const uint8_t *start = r->p;
	for (uint32_t i = 0; i < count; i++) {
		enum err e = decode_record(r, item, scratch, depth + 1, msg);
		if (e != ERR_OK)
			return e;
	}
	*list = (struct list_ref){start, (uint32_t)(r->p - start), count};
	return ERR_OK;
}

static enum err decode_str(struct rd *r, const struct record *rec, const struct field *f,
                           struct str_ref *s, struct errmsg *msg)
{
	size_t size;
	TRY(unpack_str(r, f->max, &s->p, &size));
	s->size = (uint32_t)size;
	return check_str(rec, f, *s, msg);
}

static enum err decode_field(struct rd *r, const struct record *rec, const struct field *f,
                             void *at, unsigned depth, struct errmsg *msg)
{
	size_t size;
	switch (f->kind) {
	case FIELD_U8: return unpack_u8(r, at);
	case FIELD_U16: return unpack_u16(r, at);
	case FIELD_U32: return unpack_u32(r, at);
	case FIELD_U64: return unpack_u64(r, at);
	case FIELD_I32: return unpack_i32(r, at);
	case FIELD_I64: return unpack_i64(r, at);
	case FIELD_BOOL: return unpack_bool(r, at);
	case FIELD_TEXT:
	case FIELD_NAME: return decode_str(r, rec, f, at, msg);
	case FIELD_FIXED: return unpack_fixed(r, at, f->max);
	case FIELD_LIST: return decode_items(r, rec, f, at, depth, msg);
	case FIELD_BIN: break;
	}
	struct bin_ref *b = at;
	TRY(unpack_bin(r, f->max, &b->p, &size));
	b->size = (uint32_t)size;
	return ERR_OK;
}

static enum err decode_fields(struct rd *r, const struct record *rec, void *values, unsigned depth,
                              struct errmsg *msg)
{
	for (uint32_t i = 0; i < rec->field_count; i++) {
		const struct field *f = &rec->fields[i];
		struct errmsg inner = {0};
		enum err e = decode_field(r, rec, f, (uint8_t *)values + f->offset, depth, &inner);
		if (e != ERR_OK && inner.text[0])
			return err_set(msg, e, "%s", inner.text);
		if (e != ERR_OK)
			return err_set(msg, e, "%s.%s: %s", rec->name, f->name, err_text(e));
	}
	return ERR_OK;
}

/* An item: an array of exactly its fields. */
static enum err decode_record(struct rd *r, const struct record *rec, void *values, unsigned depth,
                              struct errmsg *msg)
{
	uint32_t count;
	enum err e = unpack_array(r, rec->field_count, &count);
	if (e != ERR_OK || count != rec->field_count)
		return err_set(msg, ERR_MALFORMED, "%s: not an array of %u fields", rec->name,
		               rec->field_count);
	memset(values, 0, rec->size);
	return decode_fields(r, rec, values, depth, msg);
}

enum err record_decode(struct rd *r, const struct record *rec, void *values, struct errmsg *msg)
{
	memset(values, 0, rec->size);
	enum err e = decode_fields(r, rec, values, 0, msg);
	if (e != ERR_OK)
		memset(values, 0, rec->size);
	return e;
}

static enum err decode_message(struct rd *r, const struct record *(*find)(uint32_t number),
                               const struct record **rec, void *values, size_t cap,
                               struct errmsg *msg)
{
	uint32_t count, number;
	if (unpack_array(r, UINT32_MAX, &count) != ERR_OK || !count ||
	    unpack_u32(r, &number) != ERR_OK)
		return err_set(msg, ERR_MALFORMED,
		               "message: not an array that begins with a number");
	*rec = find(number);
	if (!*rec)
		return err_set(msg, ERR_INVALID, "message number %u is unknown", number);
	if (count - 1 != (*rec)->field_count)
		return err_set(msg, ERR_MALFORMED, "%s: %u fields, not %u", (*rec)->name, count - 1,
		               (*rec)->field_count);
	assert((*rec)->size <= cap);
	TRY(record_decode(r, *rec, values, msg));
	if (rd_left(r))
		return err_set(msg, ERR_MALFORMED, "%s: %zu bytes after its end", (*rec)->name,
		               rd_left(r));
	return ERR_OK;
}

enum err table_decode(const void *bytes, size_t size, size_t max,
                      const struct record *(*find)(uint32_t number), const struct record **rec,
                      void *values, size_t cap, struct errmsg *msg)
{
	memset(values, 0, cap);
	if (size > max)
		return err_set(msg, ERR_LIMIT, "message: %zu bytes, at most %zu", size, max);
	struct rd r = rd_of(bytes, size);
	enum err e = decode_message(&r, find, rec, values, cap, msg);
	if (e != ERR_OK)
		memset(values, 0, cap);
	return e;
}

struct list_ref list_of(const struct wr *items, uint32_t count)
{
	assert(items->size <= UINT32_MAX);
	return (struct list_ref){items->data, (uint32_t)items->size, count};
}

bool list_next(struct list_ref *list, const struct record *rec, void *values)
{
	if (!list->count)
		return false;
	struct rd r = rd_of(list->p, list->size);
	if (decode_record(&r, rec, values, 1, NULL) != ERR_OK)
		return false;
	list->p = r.p;
	list->size = (uint32_t)rd_left(&r);
	list->count--;
	return true;
}

/* --- documentation --- */

static void put_text(struct wr *w, const char *text)
{
	wr_bytes(w, text, strlen(text));
}

static void document_field(struct wr *w, const struct field *f)
{
	static const char *const kinds[] = {"u8",   "u16",  "u32",  "u64", "i32",   "i64",
	                                    "bool", "text", "name", "bin", "fixed", "list of"};
	char line[128];
	if (f->kind < FIELD_TEXT)
		snprintf(line, sizeof line, "%s %s", f->name, kinds[f->kind]);
	else if (f->kind == FIELD_LIST)
		snprintf(line, sizeof line, "%s list of %s %u", f->name, f->item()->name, f->max);
	else
		snprintf(line, sizeof line, "%s %s %u", f->name, kinds[f->kind], f->max);
	put_text(w, line);
}

void record_document(struct wr *w, const struct record *rec)
{
	char number[32];
	snprintf(number, sizeof number, "| 0x%02x | ", rec->number);
	put_text(w, rec->number ? number : "| item | ");
	put_text(w, rec->name);
	put_text(w, " | ");
	for (uint32_t i = 0; i < rec->field_count; i++) {
		if (i)
			put_text(w, ", ");
		document_field(w, &rec->fields[i]);
	}
	put_text(w, rec->field_count ? " |\n" : "- |\n");
}
