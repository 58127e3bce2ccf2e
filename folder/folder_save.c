/* folder_save.c - a replica's records on disk (docs/formats/folder.md). */
#include "folder/folder_impl.h"

#include "base/pack.h"
#include "folder/member_pack.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD_VERSION = 1, HEAD_FIELDS = 8, PAST_FIELDS = 5 };

typedef enum err put_fn(void *ctx, enum folder_record kind, const uint8_t key[FOLDER_KEY_SIZE],
                        const void *bytes, size_t size);

bool folder_unsaved(const struct folder *f)
{
	return f->head_dirty || f->rows_dirty || f->erased_count;
}

/* ---- writing ---- */

static void pack_head(struct wr *w, const struct folder *f)
{
	pack_array(w, HEAD_FIELDS);
	pack_u64(w, HEAD_VERSION);
	pack_bin(w, f->id.bytes, ENTRY_ID_SIZE);
	pack_u64(w, f->writer);
	pack_u64(w, f->seq);
	pack_bool(w, f->stale);
	vector_pack(w, &f->seen);
	vector_pack(w, &f->dropped);
	pack_array(w, f->member_count);
	for (unsigned i = 0; i < f->member_count; i++)
		member_pack(w, &f->members[i]);
}

static void pack_past(struct wr *w, const struct folder_past *p)
{
	pack_array(w, PAST_FIELDS);
	pack_bin(w, p->id.bytes, ENTRY_ID_SIZE);
	pack_u64(w, p->kind);
	pack_bin(w, p->name, strlen(p->name));
	pack_u64(w, p->until_ms);
	content_pack(w, &p->content);
}

static enum err put_written(struct wr *w, put_fn *put, void *ctx, enum folder_record kind,
                            const uint8_t key[FOLDER_KEY_SIZE])
{
	if (!wr_ok(w))
		return ERR_NOMEM;
	TRY(put(ctx, kind, key, w->data, w->size));
	wr_clear(w);
	return ERR_OK;
}

static enum err put_all(struct folder *f, struct wr *w, put_fn *put, void *ctx)
{
	uint8_t key[FOLDER_KEY_SIZE] = {0};
	for (uint32_t i = 0; i < f->erased_count; i++)
		TRY(put(ctx, f->erased[i].kind, f->erased[i].key, NULL, 0));
	for (uint32_t i = 0; i < f->count; i++) {
		if (!f->rows[i]->dirty)
			continue;
		memcpy(key, &f->rows[i]->e.id, ENTRY_ID_SIZE);
		entry_pack(w, &f->rows[i]->e);
		TRY(put_written(w, put, ctx, FOLDER_ENTRY, key));
	}
	for (uint32_t i = 0; i < f->past_count; i++) {
		if (!f->past[i].dirty)
			continue;
		folder_past_key(&f->past[i].p, key);
		pack_past(w, &f->past[i].p);
		TRY(put_written(w, put, ctx, FOLDER_PAST, key));
	}
	memset(key, 0, sizeof key);
	pack_head(w, f);
	return put_written(w, put, ctx, FOLDER_HEAD, key);
}

enum err folder_save(struct folder *f, put_fn *put, void *ctx)
{
	struct wr w = {0};
	enum err e = put_all(f, &w, put, ctx);
	wr_free(&w);
	if (e != ERR_OK)
		return e;
	for (uint32_t i = 0; i < f->count; i++)
		f->rows[i]->dirty = false;
	for (uint32_t i = 0; i < f->past_count; i++)
		f->past[i].dirty = false;
	f->erased_count = 0;
	f->head_dirty = f->rows_dirty = false;
	return ERR_OK;
}

enum err folder_each_record(const struct folder *f, put_fn *put, void *ctx)
{
	uint8_t key[FOLDER_KEY_SIZE] = {0};
	struct wr w = {0};
	pack_head(&w, f);
	enum err e = put_written(&w, put, ctx, FOLDER_HEAD, key);
	for (uint32_t i = 0; e == ERR_OK && i < f->count; i++) {
		memcpy(key, &f->rows[i]->e.id, ENTRY_ID_SIZE);
		entry_pack(&w, &f->rows[i]->e);
		e = put_written(&w, put, ctx, FOLDER_ENTRY, key);
	}
	for (uint32_t i = 0; e == ERR_OK && i < f->past_count; i++) {
		folder_past_key(&f->past[i].p, key);
		pack_past(&w, &f->past[i].p);
		e = put_written(&w, put, ctx, FOLDER_PAST, key);
	}
	wr_free(&w);
	return e;
}

/* ---- reading ---- */

static enum err read_members(struct rd *r, struct folder *f)
{
	uint32_t count;
	TRY(unpack_array(r, VECTOR_MAX, &count));
	f->member_count = 0;
	for (uint32_t i = 0; i < count; i++) {
		TRY(member_unpack(r, &f->members[i]));
		f->member_count++;
		for (uint32_t k = 0; k < i; k++)
			if (f->members[k].writer == f->members[i].writer)
				return ERR_MALFORMED;
	}
	return count && f->members[0].writer == f->writer ? ERR_OK : ERR_MALFORMED;
}

static enum err read_head(struct rd *r, struct folder *f)
{
	uint32_t count;
	uint64_t version;
	TRY(unpack_array(r, HEAD_FIELDS, &count));
	TRY(unpack_u64(r, &version));
	if (count != HEAD_FIELDS || version != HEAD_VERSION)
		return ERR_UNSUPPORTED;
	TRY(unpack_fixed(r, f->id.bytes, ENTRY_ID_SIZE));
	TRY(unpack_u64(r, &f->writer));
	TRY(unpack_u64(r, &f->seq));
	TRY(unpack_bool(r, &f->stale));
	TRY(vector_unpack(r, &f->seen));
	TRY(vector_unpack(r, &f->dropped));
	if (!f->writer || vector_get(&f->seen, f->writer) != f->seq)
		return ERR_MALFORMED;
	TRY(read_members(r, f));
	return unpack_end(r);
}

enum err folder_load(const void *head, size_t size, struct folder **out)
{
	struct rd r = rd_of(head, size);
	struct folder *f = calloc(1, sizeof *f);
	enum err e = f ? read_head(&r, f) : ERR_NOMEM;
	if (e != ERR_OK) {
		folder_free(f);
		return e;
	}
	*out = f;
	return ERR_OK;
}

static enum err load_entry(struct folder *f, struct rd *r)
{
	struct entry e;
	struct row *row;
	TRY(entry_unpack(r, &e));
	if (unpack_end(r) != ERR_OK || folder_row_of(f, &e.id) ||
	    vector_get(&e.known, f->writer) > f->seq) {
		entry_free(&e);
		return ERR_INVALID;
	}
	TRY(folder_insert(f, &e, &row));
	row->changed = ++f->changes;
	return ERR_OK;
}

static enum err read_past(struct rd *r, struct folder_past *p)
{
	uint32_t count;
	uint8_t kind;
	const uint8_t *name;
	size_t size;
	TRY(unpack_array(r, PAST_FIELDS, &count));
	TRY(unpack_fixed(r, p->id.bytes, ENTRY_ID_SIZE));
	TRY(unpack_u8(r, &kind));
	TRY(unpack_bin(r, ENTRY_NAME_MAX, &name, &size));
	if (count != PAST_FIELDS || kind >= ENTRY_KINDS ||
	    (size && !name_is_possible((const char *)name, size)))
		return ERR_MALFORMED;
	p->kind = kind;
	memcpy(p->name, name, size);
	TRY(unpack_u64(r, &p->until_ms));
	return content_unpack(r, p->kind, &p->content);
}

static enum err load_past(struct folder *f, struct rd *r)
{
	struct folder_past p = {0};
	enum err e = read_past(r, &p);
	if (e == ERR_OK)
		e = unpack_end(r);
	if (e == ERR_OK)
		e = folder_add_past(f, &p);
	if (e == ERR_OK)
		f->past[f->past_count - 1].dirty = f->rows_dirty = false;
	content_free(&p.content);
	return e;
}

enum err folder_load_record(struct folder *f, enum folder_record kind, const void *bytes,
                            size_t size)
{
	struct rd r = rd_of(bytes, size);
	if (kind == FOLDER_ENTRY)
		return load_entry(f, &r);
	return kind == FOLDER_PAST ? load_past(f, &r) : ERR_INVALID;
}
