/* entry.c - what an entry is made of, and the join of two. Its bytes are in entry_pack.c. */
#include "folder/entry.h"

#include "vfs/winname.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

void place_free(struct place *p)
{
	vector_free(&p->seen);
}

void content_free(struct content *c)
{
	free(c->text);
	free(c->pieces);
	c->text = NULL;
	c->pieces = NULL;
	c->text_size = c->piece_count = 0;
}

void entry_free(struct entry *e)
{
	for (unsigned i = 0; i < e->place_count; i++)
		place_free(&e->places[i]);
	for (unsigned i = 0; i < e->content_count; i++)
		content_free(&e->contents[i]);
	free(e->places);
	free(e->contents);
	vector_free(&e->known);
	*e = (struct entry){0};
}

enum err place_copy(struct place *out, const struct place *from)
{
	*out = *from;
	out->seen = (struct vector){0};
	return vector_copy(&out->seen, &from->seen);
}

static void *copy_of(const void *bytes, size_t size)
{
	void *p = malloc(size);
	if (p)
		memcpy(p, bytes, size);
	return p;
}

enum err content_copy(struct content *out, const struct content *from)
{
	*out = *from;
	out->text = from->text_size ? copy_of(from->text, from->text_size) : NULL;
	out->pieces = from->piece_count
	                  ? copy_of(from->pieces, from->piece_count * sizeof *from->pieces)
	                  : NULL;
	if (!out->text == !from->text_size && !out->pieces == !from->piece_count)
		return ERR_OK;
	content_free(out);
	return ERR_NOMEM;
}

enum err entry_add_place(struct entry *e, const struct place *p)
{
	if (e->place_count == ENTRY_VERSIONS_MAX)
		return ERR_LIMIT;
	struct place one, *at = realloc(e->places, (e->place_count + 1u) * sizeof *at);
	if (!at)
		return ERR_NOMEM;
	e->places = at;
	TRY(place_copy(&one, p));
	unsigned i = e->place_count++;
	for (; i && dot_compare(&at[i - 1].dot, &p->dot) > 0; i--)
		at[i] = at[i - 1];
	at[i] = one;
	return ERR_OK;
}

enum err entry_add_content(struct entry *e, const struct content *c)
{
	if (e->content_count == ENTRY_VERSIONS_MAX)
		return ERR_LIMIT;
	struct content one, *at = realloc(e->contents, (e->content_count + 1u) * sizeof *at);
	if (!at)
		return ERR_NOMEM;
	e->contents = at;
	TRY(content_copy(&one, c));
	unsigned i = e->content_count++;
	for (; i && dot_compare(&at[i - 1].dot, &c->dot) > 0; i--)
		at[i] = at[i - 1];
	at[i] = one;
	return ERR_OK;
}

void entry_drop_place(struct entry *e, unsigned i)
{
	assert(i < e->place_count);
	place_free(&e->places[i]);
	e->place_count--;
	memmove(&e->places[i], &e->places[i + 1], (e->place_count - i) * sizeof *e->places);
}

void entry_drop_content(struct entry *e, unsigned i)
{
	assert(i < e->content_count);
	content_free(&e->contents[i]);
	e->content_count--;
	memmove(&e->contents[i], &e->contents[i + 1], (e->content_count - i) * sizeof *e->contents);
}

enum err entry_copy(struct entry *out, const struct entry *from)
{
	*out = (struct entry){.id = from->id, .kind = from->kind, .born = from->born};
	enum err e = vector_copy(&out->known, &from->known);
	for (unsigned i = 0; e == ERR_OK && i < from->place_count; i++)
		e = entry_add_place(out, &from->places[i]);
	for (unsigned i = 0; e == ERR_OK && i < from->content_count; i++)
		e = entry_add_content(out, &from->contents[i]);
	if (e != ERR_OK)
		entry_free(out);
	return e;
}

/* ---- joining ---- */

static const struct place *place_with(const struct entry *e, const struct dot *d)
{
	for (unsigned i = 0; i < e->place_count; i++)
		if (dot_compare(&e->places[i].dot, d) == 0)
			return &e->places[i];
	return NULL;
}

static const struct content *content_with(const struct entry *e, const struct dot *d)
{
	for (unsigned i = 0; i < e->content_count; i++)
		if (dot_compare(&e->contents[i].dot, d) == 0)
			return &e->contents[i];
	return NULL;
}

/* Of two versions with one dot, which no honest writer makes, that with the greater bytes: each device takes the same. */
static bool greater_bytes(const struct wr *a, const struct wr *b)
{
	int c = memcmp(a->data, b->data, a->size < b->size ? a->size : b->size);
	return c ? c > 0 : a->size > b->size;
}

static const struct content *one_content(const struct content *a, const struct content *b)
{
	struct wr x = {0}, y = {0};
	content_pack(&x, a);
	content_pack(&y, b);
	bool first = !wr_ok(&x) || !wr_ok(&y) || !greater_bytes(&y, &x);
	wr_free(&x);
	wr_free(&y);
	return first ? a : b;
}

static const struct place *one_place(const struct place *a, const struct place *b)
{
	struct wr x = {0}, y = {0};
	place_pack(&x, a);
	place_pack(&y, b);
	bool first = !wr_ok(&x) || !wr_ok(&y) || !greater_bytes(&y, &x);
	wr_free(&x);
	wr_free(&y);
	return first ? a : b;
}

/* What of a stays, beside b. What both have is added with a's turn (with_both). */
static enum err join_places(struct entry *out, const struct entry *a, const struct entry *b,
                            bool with_both)
{
	for (unsigned i = 0; i < a->place_count; i++) {
		const struct place *p = &a->places[i], *other = place_with(b, &p->dot);
		if (other && with_both)
			TRY(entry_add_place(out, one_place(p, other)));
		else if (!other && !vector_covers(&b->known, &p->dot))
			TRY(entry_add_place(out, p));
	}
	return ERR_OK;
}

static enum err join_contents(struct entry *out, const struct entry *a, const struct entry *b,
                              bool with_both)
{
	for (unsigned i = 0; i < a->content_count; i++) {
		const struct content *c = &a->contents[i], *other = content_with(b, &c->dot);
		if (other && with_both)
			TRY(entry_add_content(out, one_content(c, other)));
		else if (!other && !vector_covers(&b->known, &c->dot))
			TRY(entry_add_content(out, c));
	}
	return ERR_OK;
}

static enum err join_into(struct entry *out, const struct entry *a, const struct entry *b)
{
	TRY(vector_copy(&out->known, &a->known));
	TRY(vector_join(&out->known, &b->known));
	TRY(join_places(out, a, b, true));
	TRY(join_places(out, b, a, false));
	TRY(join_contents(out, a, b, true));
	return join_contents(out, b, a, false);
}

enum err entry_join(struct entry *out, const struct entry *a, const struct entry *b)
{
	if (!entry_id_equal(&a->id, &b->id) || a->kind != b->kind)
		return ERR_INVALID;
	*out = (struct entry){.id = a->id, .kind = a->kind, .born = a->born};
	if (dot_compare(&b->born, &a->born) < 0) /* no honest device: but the same everywhere */
		out->born = b->born;
	enum err e = join_into(out, a, b);
	if (e != ERR_OK)
		entry_free(out);
	return e;
}

/* ---- what it says ---- */

bool entry_id_equal(const struct entry_id *a, const struct entry_id *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

bool entry_id_is_root(const struct entry_id *id)
{
	return bytes_are_zero(id, sizeof *id);
}

bool content_equal(const struct content *a, const struct content *b)
{
	if (a->mode != b->mode || a->size != b->size || a->depth != b->depth ||
	    a->text_size != b->text_size || a->piece_count != b->piece_count)
		return false;
	if (a->text_size && memcmp(a->text, b->text, a->text_size) != 0)
		return false;
	for (unsigned i = 0; i < a->piece_count; i++)
		if (!chunk_addr_equal(&a->pieces[i].addr, &b->pieces[i].addr))
			return false;
	return true;
}

int place_compare(const struct place *a, const struct place *b)
{
	if (a->stamp_ms != b->stamp_ms)
		return a->stamp_ms < b->stamp_ms ? -1 : 1;
	return dot_compare(&a->dot, &b->dot);
}

int content_compare(const struct content *a, const struct content *b)
{
	if (a->stamp_ms != b->stamp_ms)
		return a->stamp_ms < b->stamp_ms ? -1 : 1;
	return dot_compare(&a->dot, &b->dot);
}

static int place_rank(const struct place *p)
{
	return p->kind == PLACE_IN ? 2 : p->kind == PLACE_ASIDE ? 1 : 0;
}

int entry_place(const struct entry *e)
{
	int best = -1;
	for (int i = 0; i < e->place_count; i++) {
		if (best < 0) {
			best = i;
			continue;
		}
		int rank = place_rank(&e->places[i]) - place_rank(&e->places[best]);
		if (rank > 0 || (rank == 0 && place_compare(&e->places[i], &e->places[best]) > 0))
			best = i;
	}
	return best;
}

int entry_content(const struct entry *e)
{
	int best = -1;
	for (int i = 0; i < e->content_count; i++)
		if (best < 0 || content_compare(&e->contents[i], &e->contents[best]) > 0)
			best = i;
	return best;
}

/* Somebody who deleted it knew of this content. */
static bool content_was_seen(const struct entry *e, const struct content *c)
{
	for (unsigned i = 0; i < e->place_count; i++)
		if (vector_covers(&e->places[i].seen, &c->dot))
			return true;
	return false;
}

bool entry_is_revived(const struct entry *e)
{
	int p = entry_place(e);
	if (p < 0 || e->places[p].kind != PLACE_GONE || e->kind == ENTRY_FOLDER)
		return false;
	for (unsigned i = 0; i < e->content_count; i++)
		if (!content_was_seen(e, &e->contents[i]))
			return true;
	return false;
}

bool entry_is_dead(const struct entry *e)
{
	int p = entry_place(e);
	return p < 0 || (e->places[p].kind == PLACE_GONE && !entry_is_revived(e));
}

/* ---- names ---- */

bool name_is_possible(const char *name, size_t size)
{
	if (!size || size > ENTRY_NAME_MAX || memchr(name, 0, size) || memchr(name, '/', size))
		return false;
	return name[0] != '.' || (size > 1 && (name[1] != '.' || size > 2));
}

enum err name_is_portable(const char *name, size_t size)
{
	char text[ENTRY_NAME_MAX + 1] = {0};
	uint16_t wide[WINNAME_MAX];
	size_t units;
	if (size > ENTRY_NAME_MAX)
		return ERR_LIMIT;
	memcpy(text, name, size);
	switch (winname_of(text, wide, &units)) {
	case FE_OK: return ERR_OK;
	case FE_ILSEQ: return ERR_MALFORMED;
	case FE_NAMETOOLONG: return ERR_LIMIT;
	default: return ERR_UNSUPPORTED;
	}
}
