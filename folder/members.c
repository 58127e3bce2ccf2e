/* members.c - who has what, what may be forgotten, and what a whole list of another's entries means.
 *
 * A tombstone is stable when each member that did not leave has on disk all that made it, and we know all that each of them knew then: so
 * nobody can come with something older that the tombstone would have to answer. It is also kept while another entry names it as its
 * folder. Should a member be forgotten in this all the same, it comes with less than `dropped`, and is told the whole list.
 */
#include "folder/folder_impl.h"

#include "folder/view.h"

#include <assert.h>
#include <string.h>

/* ---- members ---- */

unsigned folder_members(const struct folder *f)
{
	return f->member_count;
}

const struct folder_member *folder_member(const struct folder *f, unsigned i)
{
	assert(i < f->member_count);
	return &f->members[i];
}

static struct folder_member *member_of(struct folder *f, uint64_t writer)
{
	for (unsigned i = 0; i < f->member_count; i++)
		if (f->members[i].writer == writer)
			return &f->members[i];
	return NULL;
}

bool folder_needs_new_life(const struct folder *f)
{
	return f->stale;
}

static enum err hear_of_us(struct folder *f, const struct folder_member *m)
{
	if (m->left || vector_get(&m->ack, f->writer) > f->seq)
		f->stale = true;
	return ERR_OK;
}

static enum err add_member(struct folder *f, const struct folder_member *m)
{
	if (f->member_count == VECTOR_MAX)
		return ERR_LIMIT;
	struct folder_member *at = &f->members[f->member_count];
	*at = *m;
	at->ack = (struct vector){0};
	TRY(vector_copy(&at->ack, &m->ack));
	f->member_count++;
	folder_head_touched(f);
	return ERR_OK;
}

enum err folder_hear_member(struct folder *f, const struct folder_member *m)
{
	struct folder_member *known = member_of(f, m->writer);
	if (m->writer == f->writer)
		return hear_of_us(f, m);
	if (!known)
		return add_member(f, m);
	if (memcmp(known->device, m->device, sizeof m->device) != 0)
		return ERR_INVALID;
	if ((known->left || !m->left) && vector_within(&m->ack, &known->ack))
		return ERR_OK;
	TRY(vector_join(&known->ack, &m->ack));
	known->left |= m->left;
	folder_head_touched(f);
	return ERR_OK;
}

enum err folder_leave(struct folder *f, uint64_t writer)
{
	struct folder_member *m = member_of(f, writer);
	if (!m)
		return ERR_NOTFOUND;
	m->left = true;
	folder_head_touched(f);
	f->stale |= writer == f->writer;
	return ERR_OK;
}

enum err folder_new_life(struct folder *f, uint64_t writer)
{
	if (!writer || member_of(f, writer) || vector_get(&f->seen, writer))
		return ERR_INVALID;
	if (f->member_count == VECTOR_MAX)
		return ERR_LIMIT;
	struct folder_member us = {.writer = writer};
	memcpy(us.device, f->members[0].device, sizeof us.device);
	f->members[0].left = true;
	memmove(&f->members[1], &f->members[0], f->member_count++ * sizeof *f->members);
	f->members[0] = us;
	f->writer = writer;
	f->seq = 0;
	f->stale = false;
	folder_head_touched(f);
	return ERR_OK;
}

/* ---- tombstones ---- */

static bool acks_are_known(const struct folder *f)
{
	for (unsigned i = 1; i < f->member_count; i++)
		if (!f->members[i].left && !vector_within(&f->members[i].ack, &f->seen))
			return false;
	return true;
}

static bool all_have(const struct folder *f, const struct vector *known)
{
	if (!vector_within(known, &f->seen))
		return false;
	for (unsigned i = 1; i < f->member_count; i++)
		if (!f->members[i].left && !vector_within(known, &f->members[i].ack))
			return false;
	return true;
}

static bool has_losers(const struct entry *e)
{
	int winner = entry_content(e);
	for (int i = 0; i < e->content_count; i++)
		if (i != winner && !content_equal(&e->contents[i], &e->contents[winner]))
			return true;
	return false;
}

static void need(struct folder *f, const struct entry_id *id)
{
	struct row *row = folder_row_of(f, id);
	if (row)
		row->needed = true;
}

/* Folders that others name. */
static void mark_needed(struct folder *f)
{
	for (uint32_t i = 0; i < f->count; i++)
		f->rows[i]->needed = false;
	for (uint32_t i = 0; i < f->count; i++) {
		const struct entry *e = &f->rows[i]->e;
		for (unsigned k = 0; k < e->place_count; k++)
			need(f, &e->places[k].parent);
	}
}

/* Without a tombstone; contents are kept in the history. */
static enum err forget(struct folder *f, struct row *row, uint64_t now_ms)
{
	struct entry nothing = {.id = row->e.id, .kind = row->e.kind};
	TRY(vector_join(&f->dropped, &row->e.known));
	TRY(folder_keep_past(f, &row->e, &nothing, now_ms));
	return folder_erase(f, row);
}

enum err folder_drop_stable(struct folder *f, uint64_t now_ms, uint32_t *count)
{
	*count = 0;
	if (!acks_are_known(f))
		return ERR_OK;
	mark_needed(f);
	for (uint32_t i = f->count; i-- > 0;) {
		struct row *row = f->rows[i];
		if (row->needed || !entry_is_dead(&row->e) || has_losers(&row->e) ||
		    !all_have(f, &row->e.known))
			continue;
		TRY(forget(f, row, now_ms));
		++*count;
	}
	return ERR_OK;
}

/* Deleted folders above an entry that is alive, which others may have forgotten. */
static enum err place_above(struct folder *f, const struct entry *e, uint64_t now_ms)
{
	int place = entry_place(e);
	for (uint32_t steps = 0; place >= 0 && steps < f->count; steps++) {
		struct row *row = folder_row_of(f, &e->places[place].parent);
		struct change c;
		if (!row || row->e.kind != ENTRY_FOLDER || row->needed)
			return ERR_OK;
		row->needed = true;
		if (entry_is_dead(&row->e) && entry_place(&row->e) >= 0 &&
		    vector_within(&row->e.known, &f->dropped)) {
			TRY(change_begin(f, row, now_ms, &c));
			TRY(change_end(f, &c, now_ms, change_place(&c, PLACE_IN, NULL, NULL, 0)));
		}
		e = &row->e;
		place = entry_place(e);
	}
	return ERR_OK;
}

enum err folder_keep_needed(struct folder *f, uint64_t now_ms)
{
	if (!f->dropped.count)
		return ERR_OK;
	for (uint32_t i = 0; i < f->count; i++)
		f->rows[i]->needed = false;
	for (uint32_t i = 0; i < f->count; i++) {
		const struct entry *e = &f->rows[i]->e;
		int place = entry_place(e);
		if (!entry_is_dead(e) && e->places[place].kind != PLACE_ASIDE)
			TRY(place_above(f, e, now_ms));
	}
	return ERR_OK;
}

/* ---- whole lists ---- */

enum err folder_begin_list(struct folder *f, unsigned *list)
{
	unsigned n = 0;
	while (n < FOLDER_LISTS_MAX && f->lists >> n & 1)
		n++;
	if (n == FOLDER_LISTS_MAX)
		return ERR_BUSY;
	f->lists |= 1u << n;
	for (uint32_t i = 0; i < f->count; i++)
		f->rows[i]->listed &= ~(1u << n);
	*list = n;
	return ERR_OK;
}

void folder_list_has(struct folder *f, unsigned list, const struct entry_id *id)
{
	struct row *row = folder_row_of(f, id);
	if (row)
		row->listed |= 1u << list;
}

static bool was_forgotten(const struct row *row, unsigned list, const struct vector *seen)
{
	return !(row->listed >> list & 1) && vector_within(&row->e.known, seen);
}

/* Folders above entries that stay. */
static void need_above(struct folder *f, const struct entry *e, unsigned list,
                       const struct vector *seen)
{
	for (unsigned k = 0; k < e->place_count; k++) {
		struct row *row = folder_row_of(f, &e->places[k].parent);
		while (row && !row->needed && was_forgotten(row, list, seen)) {
			int place = entry_place(&row->e);
			row->needed = true;
			row = place < 0 ? NULL : folder_row_of(f, &row->e.places[place].parent);
		}
	}
}

/* A change of nothing: so that those who forgot it take it again. */
static enum err touch(struct folder *f, struct row *row, uint64_t now_ms)
{
	struct change c;
	TRY(change_begin(f, row, now_ms, &c));
	return change_end(f, &c, now_ms, ERR_OK);
}

enum err folder_end_list(struct folder *f, unsigned list, const struct vector *seen,
                         uint64_t now_ms)
{
	f->lists &= ~(1u << list);
	if (!seen)
		return ERR_OK;
	for (uint32_t i = 0; i < f->count; i++)
		f->rows[i]->needed = false;
	for (uint32_t i = 0; i < f->count; i++)
		if (!was_forgotten(f->rows[i], list, seen))
			need_above(f, &f->rows[i]->e, list, seen);
	for (uint32_t i = f->count; i-- > 0;) {
		struct row *row = f->rows[i];
		if (!was_forgotten(row, list, seen))
			continue;
		if (row->needed)
			TRY(touch(f, row, now_ms));
		else
			TRY(forget(f, row, now_ms));
	}
	return ERR_OK;
}
