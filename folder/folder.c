/* folder.c - the set of entries, and joining what others know into it. */
#include "folder/folder_impl.h"

#include "folder/view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

struct folder *folder_new(const struct entry_id *id, uint64_t writer,
                          const uint8_t device[FOLDER_DEVICE_SIZE])
{
	struct folder *f = calloc(1, sizeof *f);
	if (!f)
		return NULL;
	f->id = *id;
	f->writer = writer;
	f->member_count = 1;
	f->members[0].writer = writer;
	memcpy(f->members[0].device, device, FOLDER_DEVICE_SIZE);
	f->head_dirty = true;
	return f;
}

static void row_free(struct row *row)
{
	entry_free(&row->e);
	free(row);
}

void folder_free(struct folder *f)
{
	if (!f)
		return;
	folder_view_drop(f);
	for (uint32_t i = 0; i < f->count; i++)
		row_free(f->rows[i]);
	for (unsigned i = 0; i < f->member_count; i++)
		vector_free(&f->members[i].ack);
	for (uint32_t i = 0; i < f->past_count; i++)
		content_free(&f->past[i].p.content);
	vector_free(&f->seen);
	vector_free(&f->dropped);
	free(f->rows);
	free(f->past);
	free(f->erased);
	free(f);
}

const struct entry_id *folder_id(const struct folder *f)
{
	return &f->id;
}

uint64_t folder_writer(const struct folder *f)
{
	return f->writer;
}

uint32_t folder_count(const struct folder *f)
{
	return f->count;
}

const struct entry *folder_at(const struct folder *f, uint32_t i)
{
	assert(i < f->count);
	return &f->rows[i]->e;
}

const struct entry *folder_entry(const struct folder *f, const struct entry_id *id)
{
	struct row *row = folder_row_of(f, id);
	return row ? &row->e : NULL;
}

const struct vector *folder_seen(const struct folder *f)
{
	return &f->seen;
}

const struct vector *folder_dropped(const struct folder *f)
{
	return &f->dropped;
}

uint64_t folder_changes(const struct folder *f)
{
	return f->changes;
}

uint64_t folder_news(const struct folder *f)
{
	return f->news;
}

static void check_entry(const struct folder *f, const struct entry *e)
{
	assert(!entry_id_is_root(&e->id));
	assert(vector_get(&e->known, f->writer) <= f->seq);
	for (unsigned i = 0; i < e->place_count; i++)
		assert(vector_covers(&e->known, &e->places[i].dot));
	for (unsigned i = 0; i < e->content_count; i++)
		assert(vector_covers(&e->known, &e->contents[i].dot));
}

void folder_check(const struct folder *f)
{
	assert(f->writer && vector_get(&f->seen, f->writer) == f->seq);
	assert(f->member_count && f->members[0].writer == f->writer);
	for (uint32_t i = 0; i < f->count; i++) {
		check_entry(f, &f->rows[i]->e);
		assert(!i || memcmp(&f->rows[i - 1]->e.id, &f->rows[i]->e.id, ENTRY_ID_SIZE) < 0);
	}
	if (f->view)
		view_check(f);
}

/* ---- the set ---- */

uint32_t folder_place_of(const struct folder *f, const struct entry_id *id)
{
	uint32_t low = 0, high = f->count;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (memcmp(&f->rows[mid]->e.id, id, sizeof *id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct row *folder_row_of(const struct folder *f, const struct entry_id *id)
{
	uint32_t i = folder_place_of(f, id);
	return i < f->count && entry_id_equal(&f->rows[i]->e.id, id) ? f->rows[i] : NULL;
}

/* Room for one more of size bytes each. */
static enum err grow(void **at, uint32_t count, uint32_t *cap, size_t size)
{
	if (count < *cap)
		return ERR_OK;
	uint32_t more = *cap ? 2 * *cap : 16;
	void *p = realloc(*at, more * size);
	if (!p)
		return ERR_NOMEM;
	*at = p;
	*cap = more;
	return ERR_OK;
}

void folder_view_drop(struct folder *f)
{
	view_free(f->view);
	f->view = NULL;
}

void folder_head_touched(struct folder *f)
{
	f->head_dirty = true;
	f->news++;
}

void folder_touched(struct folder *f, struct row *row, uint32_t origin)
{
	row->changed = ++f->changes;
	f->news++;
	f->rows_dirty = true;
	row->origin = origin;
	row->dirty = true;
	folder_view_drop(f);
}

enum err folder_insert(struct folder *f, struct entry *e, struct row **out)
{
	struct row *row = calloc(1, sizeof *row);
	folder_view_drop(f);
	enum err err = f->count == FOLDER_ENTRIES_MAX ? ERR_LIMIT : row ? ERR_OK : ERR_NOMEM;
	if (err == ERR_OK)
		err = grow((void **)&f->rows, f->count, &f->cap, sizeof *f->rows);
	if (err != ERR_OK) {
		free(row);
		entry_free(e);
		return err;
	}
	uint32_t i = folder_place_of(f, &e->id);
	memmove(&f->rows[i + 1], &f->rows[i], (f->count - i) * sizeof *f->rows);
	f->rows[i] = row;
	f->count++;
	row->e = *e;
	*e = (struct entry){0};
	*out = row;
	return ERR_OK;
}

static enum err add_erased(struct folder *f, enum folder_record kind,
                           const uint8_t key[FOLDER_KEY_SIZE])
{
	TRY(grow((void **)&f->erased, f->erased_count, &f->erased_cap, sizeof *f->erased));
	struct erased *x = &f->erased[f->erased_count++];
	x->kind = kind;
	memcpy(x->key, key, FOLDER_KEY_SIZE);
	return ERR_OK;
}

enum err folder_erase(struct folder *f, struct row *row)
{
	uint8_t key[FOLDER_KEY_SIZE] = {0};
	memcpy(key, &row->e.id, ENTRY_ID_SIZE);
	TRY(add_erased(f, FOLDER_ENTRY, key));
	uint32_t i = folder_place_of(f, &row->e.id);
	f->count--;
	memmove(&f->rows[i], &f->rows[i + 1], (f->count - i) * sizeof *f->rows);
	row_free(row);
	f->changes++;
	folder_head_touched(f);
	folder_view_drop(f);
	return ERR_OK;
}

/* ---- history ---- */

void folder_past_key(const struct folder_past *p, uint8_t key[FOLDER_KEY_SIZE])
{
	memcpy(key, &p->id, ENTRY_ID_SIZE);
	for (unsigned i = 0; i < 8; i++) {
		key[16 + i] = (uint8_t)(p->content.dot.writer >> (56 - 8 * i));
		key[24 + i] = (uint8_t)(p->content.dot.seq >> (56 - 8 * i));
	}
}

enum err folder_add_past(struct folder *f, const struct folder_past *p)
{
	if (f->past_count == FOLDER_PAST_MAX)
		return ERR_LIMIT;
	TRY(grow((void **)&f->past, f->past_count, &f->past_cap, sizeof *f->past));
	struct past_row *row = &f->past[f->past_count];
	row->p = *p;
	row->dirty = f->rows_dirty = true;
	TRY(content_copy(&row->p.content, &p->content));
	f->past_count++;
	return ERR_OK;
}

static bool has_content(const struct entry *e, const struct dot *d)
{
	for (unsigned i = 0; i < e->content_count; i++)
		if (dot_compare(&e->contents[i].dot, d) == 0)
			return true;
	return false;
}

enum err folder_keep_past(struct folder *f, const struct entry *old, const struct entry *now,
                          uint64_t now_ms)
{
	if (old->kind == ENTRY_FOLDER)
		return ERR_OK;
	int place = entry_place(old);
	for (unsigned i = 0; i < old->content_count; i++) {
		if (has_content(now, &old->contents[i].dot))
			continue;
		struct folder_past p = {.id = old->id, .kind = old->kind, .until_ms = now_ms};
		if (place >= 0)
			memcpy(p.name, old->places[place].name, sizeof p.name);
		p.content = old->contents[i];
		TRY(folder_add_past(f, &p));
	}
	return ERR_OK;
}

uint32_t folder_past_count(const struct folder *f)
{
	return f->past_count;
}

const struct folder_past *folder_past(const struct folder *f, uint32_t i)
{
	assert(i < f->past_count);
	return &f->past[i].p;
}

/* By entry, the newest first. */
static int by_entry(const void *a, const void *b)
{
	const struct folder_past *x = &((const struct past_row *)a)->p;
	const struct folder_past *y = &((const struct past_row *)b)->p;
	int c = memcmp(&x->id, &y->id, sizeof x->id);
	if (c)
		return c;
	if (x->until_ms != y->until_ms)
		return x->until_ms > y->until_ms ? -1 : 1;
	return dot_compare(&y->content.dot, &x->content.dot);
}

enum err folder_forget(struct folder *f, uint64_t before_ms, uint32_t keep)
{
	uint32_t kept = 0, of_entry = 0;
	enum err e = ERR_OK;
	if (f->past_count)
		qsort(f->past, f->past_count, sizeof *f->past, by_entry);
	for (uint32_t i = 0; i < f->past_count; i++) {
		struct past_row row = f->past[i];
		bool same = kept && entry_id_equal(&f->past[kept - 1].p.id, &row.p.id);
		of_entry = same ? of_entry + 1 : 1;
		bool old = row.p.until_ms < before_ms && of_entry > keep;
		uint8_t key[FOLDER_KEY_SIZE];
		folder_past_key(&row.p, key);
		if (old && e == ERR_OK)
			e = add_erased(f, FOLDER_PAST, key);
		if (old && e == ERR_OK)
			content_free(&row.p.content);
		else
			f->past[kept++] = row;
	}
	f->past_count = kept;
	f->head_dirty = true;
	return e;
}

void folder_each_content(const struct folder *f, void (*fn)(void *ctx, const struct content *c),
                         void *ctx)
{
	for (uint32_t i = 0; i < f->count; i++)
		for (unsigned k = 0; k < f->rows[i]->e.content_count; k++)
			fn(ctx, &f->rows[i]->e.contents[k]);
	for (uint32_t i = 0; i < f->past_count; i++)
		fn(ctx, &f->past[i].p.content);
}

/* ---- joining ---- */

/* Versions beyond what is kept beside each other: the oldest go, as a change of ours. */
static enum err thin_out(struct folder *f, struct row *row, uint64_t now_ms)
{
	struct change c;
	if (row->e.place_count <= ENTRY_VERSIONS_KEEP &&
	    row->e.content_count <= ENTRY_VERSIONS_KEEP)
		return ERR_OK;
	TRY(change_begin(f, row, now_ms, &c));
	while (c.e.place_count > ENTRY_VERSIONS_KEEP) {
		unsigned least = 0;
		for (unsigned i = 1; i < c.e.place_count; i++)
			if (place_compare(&c.e.places[i], &c.e.places[least]) < 0)
				least = i;
		entry_drop_place(&c.e, least);
	}
	while (c.e.content_count > ENTRY_VERSIONS_KEEP) {
		unsigned least = 0;
		for (unsigned i = 1; i < c.e.content_count; i++)
			if (content_compare(&c.e.contents[i], &c.e.contents[least]) < 0)
				least = i;
		entry_drop_content(&c.e, least);
	}
	return change_end(f, &c, now_ms, ERR_OK);
}

/* The versions of the entry that we forgot with it, under new dots: each gets the next. */
static enum err renew_versions(struct folder *f, struct change *c)
{
	for (unsigned i = 0; i < c->e.place_count;) {
		struct place p = c->e.places[i];
		if (!vector_covers(&f->dropped, &p.dot)) {
			i++;
			continue;
		}
		struct place kept;
		TRY(place_copy(&kept, &p));
		kept.dot = c->dot;
		c->dot.seq++;
		entry_drop_place(&c->e, i);
		enum err e = entry_add_place(&c->e, &kept);
		place_free(&kept);
		TRY(e);
		i = 0;
	}
	return ERR_OK;
}

static enum err renew_contents(struct folder *f, struct change *c)
{
	for (unsigned i = 0; i < c->e.content_count;) {
		struct content kept;
		if (!vector_covers(&f->dropped, &c->e.contents[i].dot)) {
			i++;
			continue;
		}
		TRY(content_copy(&kept, &c->e.contents[i]));
		kept.dot = c->dot;
		c->dot.seq++;
		entry_drop_content(&c->e, i);
		enum err e = entry_add_content(&c->e, &kept);
		content_free(&kept);
		TRY(e);
		i = 0;
	}
	return ERR_OK;
}

/* An entry that we forgot comes from somebody who changed it without knowing of the deletion. What we forgot of it others may still have, and would not
 * tell us again, as we have seen it. So what came stands from here on as a change of ours that replaces all of that. */
static enum err come_back(struct folder *f, struct row *row, uint64_t now_ms)
{
	struct change c;
	TRY(change_begin(f, row, now_ms, &c));
	enum err e = renew_versions(f, &c);
	if (e == ERR_OK)
		e = renew_contents(f, &c);
	if (e == ERR_OK)
		e = vector_join(&c.e.known, &f->dropped);
	return change_end(f, &c, now_ms, e);
}

static enum err join_new(struct folder *f, struct entry *in, uint32_t origin, uint64_t now_ms)
{
	struct row *row;
	if (vector_within(&in->known, &f->seen)) { /* it was here, was deleted, and is forgotten */
		entry_free(in);
		return ERR_OK;
	}
	TRY(folder_insert(f, in, &row));
	folder_touched(f, row, origin);
	if (vector_covers(&f->seen, &row->e.born))
		TRY(come_back(f, row, now_ms));
	return thin_out(f, row, now_ms);
}

static enum err join_known(struct folder *f, struct row *row, const struct entry *in,
                           uint32_t origin, uint64_t now_ms)
{
	struct entry both;
	if (row->e.kind != in->kind)
		return ERR_INVALID;
	if (vector_within(&in->known, &row->e.known))
		return ERR_OK;
	TRY(entry_join(&both, &row->e, in));
	enum err e = folder_keep_past(f, &row->e, &both, now_ms);
	if (e != ERR_OK) {
		entry_free(&both);
		return e;
	}
	entry_free(&row->e);
	row->e = both;
	folder_touched(f, row, vector_within(&both.known, &in->known) ? origin : 0);
	return thin_out(f, row, now_ms);
}

enum err folder_join(struct folder *f, struct entry *in, uint32_t origin, uint64_t now_ms)
{
	enum err e = ERR_OK;
	struct row *row = folder_row_of(f, &in->id);
	if (vector_get(&in->known, f->writer) > f->seq) {
		f->stale = true;
		e = ERR_STALE;
	} else if (!row) {
		e = join_new(f, in, origin, now_ms);
	} else {
		e = join_known(f, row, in, origin, now_ms);
	}
	entry_free(in);
	return e;
}

enum err folder_learn(struct folder *f, const struct vector *seen, const struct vector *dropped)
{
	if (vector_get(seen, f->writer) > f->seq) {
		f->stale = true;
		return ERR_STALE;
	}
	if (vector_within(seen, &f->seen) && vector_within(dropped, &f->dropped))
		return ERR_OK;
	TRY(vector_join(&f->seen, seen));
	for (uint32_t i = 0; i < dropped->count; i++) {
		/* Not beyond what is seen: of that, all that is not here was forgotten. */
		struct dot d = dropped->at[i];
		uint64_t most = vector_get(seen, d.writer);
		d.seq = d.seq < most ? d.seq : most;
		if (d.seq)
			TRY(vector_raise(&f->dropped, d));
	}
	folder_head_touched(f);
	return ERR_OK;
}

/* ---- local changes ---- */

enum err change_begin(struct folder *f, struct row *row, uint64_t now_ms, struct change *c)
{
	*c = (struct change){.row = row, .dot = {f->writer, f->seq + 1}, .stamp_ms = now_ms};
	if (f->seq == DOT_SEQ_MAX)
		return ERR_LIMIT;
	TRY(entry_copy(&c->e, &row->e));
	for (unsigned i = 0; i < c->e.place_count; i++)
		if (c->e.places[i].stamp_ms >= c->stamp_ms && c->e.places[i].stamp_ms < UINT64_MAX)
			c->stamp_ms = c->e.places[i].stamp_ms + 1;
	for (unsigned i = 0; i < c->e.content_count; i++)
		if (c->e.contents[i].stamp_ms >= c->stamp_ms &&
		    c->e.contents[i].stamp_ms < UINT64_MAX)
			c->stamp_ms = c->e.contents[i].stamp_ms + 1;
	return ERR_OK;
}

enum err change_end(struct folder *f, struct change *c, uint64_t now_ms, enum err e)
{
	if (e == ERR_OK)
		e = vector_raise(&c->e.known, c->dot);
	if (e == ERR_OK)
		e = folder_keep_past(f, &c->row->e, &c->e, now_ms);
	if (e == ERR_OK)
		e = vector_raise(&f->seen, c->dot);
	if (e == ERR_OK) {
		f->seq = c->dot.seq;
		f->head_dirty = true;
		struct entry old = c->row->e;
		c->row->e = c->e;
		c->e = old;
		folder_touched(f, c->row, 0);
	}
	entry_free(&c->e);
	return e;
}

enum err change_place(struct change *c, enum place_kind kind, const struct entry_id *parent,
                      const char *name, size_t size)
{
	int was = entry_place(&c->e);
	struct place p = {.dot = c->dot, .stamp_ms = c->stamp_ms, .kind = kind};
	if (was >= 0)
		p.parent = p.from = c->e.places[was].parent;
	if (parent)
		p.parent = *parent;
	if (!name && was >= 0) {
		name = c->e.places[was].name;
		size = c->e.places[was].name_size;
	}
	if (!name || !name_is_possible(name, size))
		return ERR_INVALID;
	char kept[ENTRY_NAME_MAX + 1] = {0};
	memcpy(kept, name, size);
	memcpy(p.name, kept, sizeof kept);
	p.name_size = (uint16_t)size;
	if (kind == PLACE_GONE)
		TRY(vector_copy(&p.seen, &c->e.known));
	while (c->e.place_count)
		entry_drop_place(&c->e, c->e.place_count - 1u);
	enum err e = entry_add_place(&c->e, &p);
	place_free(&p);
	return e;
}
