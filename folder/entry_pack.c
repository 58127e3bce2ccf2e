/* entry_pack.c - an entry's bytes (docs/formats/folder.md). What comes from outside is checked here, whole, before anyone sees it. */
#include "folder/entry.h"

#include "base/pack.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRY_FIELDS = 7, PLACE_FIELDS = 8, CONTENT_FIELDS = 9, PIECE_BYTES = CHUNK_ADDR_SIZE + 8 };

/* ---- writing ---- */

void place_pack(struct wr *w, const struct place *p)
{
	pack_array(w, PLACE_FIELDS);
	pack_u64(w, p->dot.writer);
	pack_u64(w, p->dot.seq);
	pack_u64(w, p->stamp_ms);
	pack_u64(w, p->kind);
	pack_bin(w, p->parent.bytes, ENTRY_ID_SIZE);
	pack_bin(w, p->from.bytes, ENTRY_ID_SIZE);
	pack_bin(w, p->name, p->name_size);
	vector_pack(w, &p->seen);
}

static void pieces_pack(struct wr *w, const struct content *c)
{
	struct wr list = {0};
	for (unsigned i = 0; i < c->piece_count; i++) {
		chunk_addr_write(&list, &c->pieces[i].addr);
		wr_u64(&list, c->pieces[i].size);
	}
	pack_bin(w, list.data, list.size);
	w->failed |= !wr_ok(&list);
	wr_free(&list);
}

void content_pack(struct wr *w, const struct content *c)
{
	pack_array(w, CONTENT_FIELDS);
	pack_u64(w, c->dot.writer);
	pack_u64(w, c->dot.seq);
	pack_u64(w, c->stamp_ms);
	pack_u64(w, c->mode);
	pack_i64(w, c->mtime_ns);
	pack_u64(w, c->size);
	pack_u64(w, c->depth);
	pack_bin(w, c->text, c->text_size);
	pieces_pack(w, c);
}

void entry_pack(struct wr *w, const struct entry *e)
{
	pack_array(w, ENTRY_FIELDS);
	pack_bin(w, e->id.bytes, ENTRY_ID_SIZE);
	pack_u64(w, e->kind);
	pack_u64(w, e->born.writer);
	pack_u64(w, e->born.seq);
	vector_pack(w, &e->known);
	pack_array(w, e->place_count);
	for (unsigned i = 0; i < e->place_count; i++)
		place_pack(w, &e->places[i]);
	pack_array(w, e->content_count);
	for (unsigned i = 0; i < e->content_count; i++)
		content_pack(w, &e->contents[i]);
}

/* ---- reading ---- */

static enum err unpack_fields(struct rd *r, uint32_t fields)
{
	uint32_t count;
	TRY(unpack_array(r, fields, &count));
	return count == fields ? ERR_OK : ERR_MALFORMED;
}

static enum err read_name(struct rd *r, struct place *p)
{
	const uint8_t *name;
	size_t size;
	TRY(unpack_bin(r, ENTRY_NAME_MAX, &name, &size));
	if (!name_is_possible((const char *)name, size))
		return ERR_MALFORMED;
	memcpy(p->name, name, size);
	p->name_size = (uint16_t)size;
	return ERR_OK;
}

/* p is zeroed; its seen is the caller's to free, also after an error. */
static enum err place_unpack(struct rd *r, enum entry_kind kind, struct place *p)
{
	uint8_t how;
	TRY(unpack_fields(r, PLACE_FIELDS));
	TRY(dot_unpack(r, &p->dot));
	TRY(unpack_u64(r, &p->stamp_ms));
	TRY(unpack_u8(r, &how));
	if (how >= PLACE_KINDS || (how == PLACE_ASIDE && kind == ENTRY_FOLDER))
		return ERR_MALFORMED;
	p->kind = how;
	TRY(unpack_fixed(r, p->parent.bytes, ENTRY_ID_SIZE));
	TRY(unpack_fixed(r, p->from.bytes, ENTRY_ID_SIZE));
	TRY(read_name(r, p));
	TRY(vector_unpack(r, &p->seen));
	return p->seen.count && p->kind != PLACE_GONE ? ERR_MALFORMED : ERR_OK;
}

static enum err read_text(struct rd *r, enum entry_kind kind, struct content *c)
{
	const uint8_t *text;
	size_t size;
	TRY(unpack_bin(r, ENTRY_TEXT_MAX, &text, &size));
	if (!size != (kind != ENTRY_LINK) || (size && memchr(text, 0, size)))
		return ERR_MALFORMED;
	if (!size)
		return ERR_OK;
	c->text = malloc(size);
	if (!c->text)
		return ERR_NOMEM;
	memcpy(c->text, text, size);
	c->text_size = (uint16_t)size;
	return ERR_OK;
}

static enum err unpack_piece(struct rd *r, const struct content *c, struct piece *out)
{
	TRY(chunk_addr_read(r, &out->addr));
	TRY(rd_u64(r, &out->size));
	if (chunk_addr_is_null(&out->addr) || !out->size)
		return ERR_MALFORMED;
	return c->depth == 0 && out->size > CHUNK_MAX ? ERR_LIMIT : ERR_OK;
}

/* Pieces make up the file's size. */
static enum err read_pieces(struct rd *r, struct content *c, unsigned count)
{
	uint64_t left = c->size;
	for (unsigned i = 0; i < count; i++) {
		TRY(unpack_piece(r, c, &c->pieces[i]));
		if (c->pieces[i].size > left)
			return ERR_MALFORMED;
		left -= c->pieces[i].size;
	}
	c->piece_count = (uint16_t)count;
	return left ? ERR_MALFORMED : ERR_OK;
}

static enum err unpack_pieces(struct rd *r, enum entry_kind kind, struct content *c)
{
	const uint8_t *bytes;
	size_t size;
	TRY(unpack_bin(r, (size_t)ENTRY_PIECES_MAX * PIECE_BYTES, &bytes, &size));
	if (size % PIECE_BYTES || (kind != ENTRY_FILE && (size || c->size || c->depth)))
		return ERR_MALFORMED;
	if (!size)
		return c->size || c->depth ? ERR_MALFORMED : ERR_OK;
	c->pieces = calloc(size / PIECE_BYTES, sizeof *c->pieces);
	if (!c->pieces)
		return ERR_NOMEM;
	struct rd list = rd_of(bytes, size);
	return read_pieces(&list, c, (unsigned)(size / PIECE_BYTES));
}

static enum err read_content(struct rd *r, enum entry_kind kind, struct content *c)
{
	TRY(unpack_fields(r, CONTENT_FIELDS));
	TRY(dot_unpack(r, &c->dot));
	TRY(unpack_u64(r, &c->stamp_ms));
	TRY(unpack_u32(r, &c->mode));
	TRY(unpack_i64(r, &c->mtime_ns));
	TRY(unpack_u64(r, &c->size));
	TRY(unpack_u8(r, &c->depth));
	if (c->depth > ENTRY_DEPTH_MAX || c->mode > 07777)
		return ERR_MALFORMED;
	TRY(read_text(r, kind, c));
	return unpack_pieces(r, kind, c);
}

enum err content_unpack(struct rd *r, enum entry_kind kind, struct content *out)
{
	*out = (struct content){0};
	enum err e = read_content(r, kind, out);
	if (e != ERR_OK)
		content_free(out);
	return e;
}

static enum err read_places(struct rd *r, struct entry *e)
{
	uint32_t count;
	TRY(unpack_array(r, ENTRY_VERSIONS_MAX, &count));
	for (uint32_t i = 0; i < count; i++) {
		struct place p = {0};
		enum err err = place_unpack(r, e->kind, &p);
		if (err == ERR_OK && (!vector_covers(&e->known, &p.dot) ||
		                      (i && dot_compare(&e->places[i - 1].dot, &p.dot) >= 0)))
			err = ERR_MALFORMED;
		if (err == ERR_OK)
			err = entry_add_place(e, &p);
		place_free(&p);
		TRY(err);
	}
	return ERR_OK;
}

static enum err read_contents(struct rd *r, struct entry *e)
{
	uint32_t count;
	TRY(unpack_array(r, ENTRY_VERSIONS_MAX, &count));
	for (uint32_t i = 0; i < count; i++) {
		struct content c;
		TRY(content_unpack(r, e->kind, &c));
		enum err err = entry_add_content(e, &c);
		if (!vector_covers(&e->known, &c.dot) ||
		    (i && dot_compare(&e->contents[i - 1].dot, &c.dot) >= 0))
			err = ERR_MALFORMED;
		content_free(&c);
		TRY(err);
	}
	return ERR_OK;
}

static enum err read_entry(struct rd *r, struct entry *e)
{
	uint8_t kind;
	TRY(unpack_fields(r, ENTRY_FIELDS));
	TRY(unpack_fixed(r, e->id.bytes, ENTRY_ID_SIZE));
	TRY(unpack_u8(r, &kind));
	if (kind >= ENTRY_KINDS || entry_id_is_root(&e->id))
		return ERR_MALFORMED;
	e->kind = kind;
	TRY(dot_unpack(r, &e->born));
	TRY(vector_unpack(r, &e->known));
	if (!vector_covers(&e->known, &e->born))
		return ERR_MALFORMED;
	TRY(read_places(r, e));
	return read_contents(r, e);
}

enum err entry_unpack(struct rd *r, struct entry *out)
{
	struct rd at = *r;
	*out = (struct entry){0};
	enum err e = read_entry(&at, out);
	if (e == ERR_OK && (size_t)(at.p - r->p) > ENTRY_BYTES_MAX)
		e = ERR_LIMIT;
	if (e == ERR_OK)
		*r = at;
	else
		entry_free(out);
	return e;
}
