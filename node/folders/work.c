/* work.c - files that are open in a replica: read from their chunks, written in a work file, cut into chunks again.
 *
 * Truths: w->file is there exactly when w was written since its content was last read from the folder; then it holds the whole file. Without it
 * w->spans are the file's chunks in their order, and base the content they are of.
 */
#include "base/os.h"
#include "folder/cut.h"
#include "folder/pieces.h"
#include "folder/view.h"
#include "node/folders/replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SPANS_MAX = 1 << 22, /* chunks of one file: 256 GiB at the average */
	BATCH_BYTES = 8 << 20,
};

struct span {
	uint64_t at;
	struct piece piece;
};

struct work {
	struct work *next;
	struct entry_id id;
	uint32_t refs;
	struct dot base;
	uint64_t size;
	struct span *spans;
	uint32_t count, cap;
	struct wr chunk; /* of spans[cached] */
	uint32_t cached;
	bool has_chunk;
	struct vfs_obj *file;
	char name[24]; /* of file, on the desk */
	bool dirty;
	int64_t mtime_ns;
};

enum ferr replica_ferr(enum err e)
{
	switch (e) {
	case ERR_OK: return FE_OK;
	case ERR_NOMEM: return FE_NOMEM;
	case ERR_NOTFOUND: return FE_NOENT;
	case ERR_EXISTS: return FE_EXIST;
	case ERR_INVALID: return FE_INVAL;
	case ERR_STATE: return FE_NOTEMPTY;
	case ERR_LIMIT:
	case ERR_FULL: return FE_NOSPC;
	default: return FE_IO;
	}
}

/* ---- the list of chunks ---- */

static enum err add_piece(struct replica *r, struct work *w, const struct piece *p, unsigned depth);

static enum err add_list(struct replica *r, struct work *w, const struct piece *p, unsigned depth)
{
	struct wr bytes = {0};
	struct piece *list = NULL;
	uint32_t count = 0;
	enum err e = depot_get_chunk(r->depot, &p->addr, &bytes, NULL);
	if (e == ERR_OK)
		e = pieces_read(bytes.data, bytes.size, depth, p->size, &list, &count);
	wr_free(&bytes);
	for (uint32_t i = 0; e == ERR_OK && i < count; i++)
		e = add_piece(r, w, &list[i], depth);
	free(list);
	return e;
}

static enum err grow(struct work *w)
{
	if (w->count < w->cap)
		return ERR_OK;
	uint32_t cap = w->cap ? 2 * w->cap : 8;
	struct span *p = cap > SPANS_MAX ? NULL : realloc(w->spans, cap * sizeof *p);
	if (!p)
		return cap > SPANS_MAX ? ERR_LIMIT : ERR_NOMEM;
	w->spans = p;
	w->cap = cap;
	return ERR_OK;
}

static enum err add_piece(struct replica *r, struct work *w, const struct piece *p, unsigned depth)
{
	if (depth)
		return add_list(r, w, p, depth - 1);
	TRY(grow(w));
	w->spans[w->count++] = (struct span){w->size, *p};
	w->size += p->size;
	return ERR_OK;
}

static void forget_spans(struct work *w)
{
	w->count = 0;
	w->size = 0;
	w->has_chunk = false;
	w->base = (struct dot){0};
}

/* ERR_NOTFOUND: a part of the list is not here yet. */
static enum err read_spans(struct replica *r, struct work *w)
{
	struct view_row row;
	TRY(view_get(r->f, &w->id, &row));
	const struct content *c = row.content;
	if (c && w->base.writer && !dot_compare(&w->base, &c->dot))
		return ERR_OK;
	forget_spans(w);
	for (unsigned i = 0; c && i < c->piece_count; i++) {
		enum err e = add_piece(r, w, &c->pieces[i], c->depth);
		if (e != ERR_OK) {
			forget_spans(w);
			return e == ERR_NOTFOUND ? ERR_CLOSED : e;
		}
	}
	if (c)
		w->base = c->dot;
	return ERR_OK;
}

/* ---- open and closed ---- */

static struct work *find(struct replica *r, const struct entry_id *id)
{
	struct work *w = r->works;
	while (w && !entry_id_equal(&w->id, id))
		w = w->next;
	return w;
}

/* What was read before a deletion stays readable; a list that is not here yet is looked for again by who reads. */
enum ferr work_open(struct replica *r, const struct entry_id *id, struct work **out)
{
	struct work *w = find(r, id);
	if (!w) {
		if (!(w = calloc(1, sizeof *w)))
			return FE_NOMEM;
		w->id = *id;
		w->next = r->works;
		r->works = w;
	}
	w->refs++;
	if (!w->file)
		read_spans(r, w);
	*out = w;
	return FE_OK;
}

static void drop_file(struct replica *r, struct work *w)
{
	if (!w->file)
		return;
	vfs_unref(w->file);
	vfs_unlink(r->desk, w->name);
	w->file = NULL;
	w->dirty = false;
	forget_spans(w);
}

void work_close(struct replica *r, struct work *w)
{
	if (w->dirty)
		work_commit(r, w);
	if (--w->refs)
		return;
	drop_file(r, w);
	struct work **at = &r->works;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	free(w->spans);
	wr_free(&w->chunk);
	free(w);
}

/* ---- reading ---- */

static enum ferr load_chunk(struct replica *r, struct work *w, uint32_t i)
{
	if (w->has_chunk && w->cached == i)
		return FE_OK;
	wr_clear(&w->chunk);
	w->has_chunk = false;
	enum err e = depot_get_chunk(r->depot, &w->spans[i].piece.addr, &w->chunk, NULL);
	if (e == ERR_OK && w->chunk.size != w->spans[i].piece.size)
		e = ERR_MALFORMED;
	w->has_chunk = e == ERR_OK;
	w->cached = i;
	/* It is on another device, and on its way. */
	return e == ERR_NOTFOUND ? FE_HOSTUNREACH : replica_ferr(e);
}

static uint32_t span_of(const struct work *w, uint64_t offset)
{
	uint32_t low = 0, high = w->count;
	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;
		*(w->spans[mid].at <= offset ? &low : &high) = mid;
	}
	return low;
}

static enum ferr read_some(struct replica *r, struct work *w, uint64_t offset, uint8_t *to,
                           size_t size, size_t *done)
{
	while (size && offset < w->size) {
		uint32_t i = span_of(w, offset);
		FTRY(load_chunk(r, w, i));
		size_t at = (size_t)(offset - w->spans[i].at), n = w->chunk.size - at;
		if (n > size)
			n = size;
		memcpy(to, w->chunk.data + at, n);
		to += n;
		offset += n;
		size -= n;
		*done += n;
	}
	return FE_OK;
}

enum ferr work_read(struct replica *r, struct work *w, uint64_t offset, const struct vfs_iov *iov,
                    size_t n, size_t *done)
{
	if (w->file)
		return vfs_read(w->file, offset, iov, n, done);
	enum err e = w->base.writer ? ERR_OK : read_spans(r, w);
	if (e != ERR_OK)
		return e == ERR_CLOSED ? FE_HOSTUNREACH : replica_ferr(e);
	for (size_t i = 0; i < n; i++) {
		size_t before = *done;
		enum ferr fe = read_some(r, w, offset, iov[i].p, iov[i].size, done);
		if (fe != FE_OK)
			return *done ? FE_OK : fe;
		offset += *done - before;
		if (*done - before < iov[i].size)
			break;
	}
	return FE_OK;
}

/* ---- writing ---- */

static enum ferr write_whole(struct vfs_obj *f, uint64_t offset, const uint8_t *bytes, size_t size)
{
	while (size) {
		struct vfs_iov iov = {(void *)bytes, size};
		size_t done = 0;
		uint64_t end;
		FTRY(vfs_write(f, offset, 0, &iov, 1, &done, &end));
		if (!done)
			return FE_IO;
		bytes += done;
		offset += done;
		size -= done;
	}
	return FE_OK;
}

static enum ferr fill(struct replica *r, struct work *w, uint64_t upto)
{
	for (uint32_t i = 0; i < w->count && w->spans[i].at < upto; i++) {
		FTRY(load_chunk(r, w, i));
		FTRY(write_whole(w->file, w->spans[i].at, w->chunk.data, w->chunk.size));
	}
	return FE_OK;
}

/* The whole file, or what of it lies before upto, into a work file. */
static enum ferr begin_work(struct replica *r, struct work *w, uint64_t upto)
{
	if (w->file)
		return FE_OK;
	enum err e = read_spans(r, w);
	if (e != ERR_OK && e != ERR_NOTFOUND)
		return e == ERR_CLOSED ? FE_HOSTUNREACH : replica_ferr(e);
	snprintf(w->name, sizeof w->name, "w%llx", (unsigned long long)++r->work_number);
	FTRY(
	    vfs_open(r->desk, w->name, VFS_READ | VFS_WRITE | VFS_CREATE | VFS_TRUNCATE, &w->file));
	struct dot base = w->base;
	enum ferr fe = fill(r, w, upto);
	if (fe != FE_OK)
		drop_file(r, w);
	else
		w->base = base;
	return fe;
}

static void written(struct work *w)
{
	w->dirty = true;
	w->mtime_ns = (int64_t)os_wall_ns();
}

enum ferr work_write(struct replica *r, struct work *w, uint64_t offset, unsigned flags,
                     const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end)
{
	FTRY(begin_work(r, w, UINT64_MAX));
	enum ferr e = vfs_write(w->file, offset, flags & VFS_APPEND, iov, n, done, end);
	if (*done)
		written(w);
	if (e == FE_OK && flags & (VFS_SYNC | VFS_DSYNC))
		e = work_commit(r, w);
	return e;
}

enum ferr work_set_size(struct replica *r, struct work *w, uint64_t size)
{
	FTRY(begin_work(r, w, size));
	FTRY(vfs_set_size(w->file, size));
	written(w);
	return FE_OK;
}

/* ---- cut into chunks again ---- */

struct cutting {
	struct replica *r;
	struct depot_batch *b;
	struct cutter cutter;
	struct pieces pieces;
	struct wr chunk;
};

static enum err put_chunk(void *ctx, const struct chunk_addr *addr, const void *bytes, size_t size)
{
	struct cutting *c = ctx;
	depot_put_chunk(c->b, addr, bytes, size);
	return depot_batch_size(c->b) > BATCH_BYTES ? depot_write(c->b, NULL) : ERR_OK;
}

static enum err end_chunk(struct cutting *c)
{
	if (!c->chunk.size)
		return ERR_OK;
	struct chunk_addr addr = chunk_addr_of(c->chunk.data, c->chunk.size);
	TRY(put_chunk(c, &addr, c->chunk.data, c->chunk.size));
	TRY(pieces_add(&c->pieces, &addr, c->chunk.size));
	wr_clear(&c->chunk);
	cutter_reset(&c->cutter);
	return ERR_OK;
}

static enum err cut(struct cutting *c, const uint8_t *bytes, size_t size)
{
	while (size) {
		bool ended = false;
		size_t n = cutter_feed(&c->cutter, bytes, size, &ended);
		wr_bytes(&c->chunk, bytes, n);
		if (!wr_ok(&c->chunk))
			return ERR_NOMEM;
		if (ended)
			TRY(end_chunk(c));
		bytes += n;
		size -= n;
	}
	return ERR_OK;
}

static enum err cut_file(struct cutting *c, struct vfs_obj *file, struct content *out)
{
	enum { PART = 128 << 10 };
	uint8_t *part = malloc(PART);
	enum err e = part ? ERR_OK : ERR_NOMEM;
	for (uint64_t at = 0; e == ERR_OK;) {
		struct vfs_iov iov = {part, PART};
		size_t done = 0;
		if (vfs_read(file, at, &iov, 1, &done) != FE_OK)
			e = ERR_IO;
		if (!done)
			break;
		at += done;
		if (e == ERR_OK)
			e = cut(c, part, done);
	}
	free(part);
	if (e == ERR_OK)
		e = end_chunk(c);
	if (e == ERR_OK)
		return pieces_end(&c->pieces, out);
	pieces_drop(&c->pieces);
	return e;
}

static enum err commit(struct replica *r, struct work *w, const struct content *old)
{
	struct depot_batch *b;
	struct content new = {.mode = old ? old->mode : 0644, .mtime_ns = w->mtime_ns};
	struct cutting c = {.r = r};
	TRY(replica_begin(r, &b));
	c.b = b;
	c.pieces = (struct pieces){.put = put_chunk, .ctx = &c};
	cutter_init(&c.cutter, NULL);
	enum err e = cut_file(&c, w->file, &new);
	wr_free(&c.chunk);
	if (e == ERR_OK)
		e = folder_write(r->f, &w->id, w->base.writer ? &w->base : NULL, &new,
		                 replica_now_ms(), NULL);
	content_free(&new);
	return replica_end(r, b, e, NULL);
}

/* The content that stands now came from our work file. */
static void rebase(struct replica *r, struct work *w)
{
	struct view_row row;
	w->dirty = false;
	if (view_get(r->f, &w->id, &row) == ERR_OK && row.content)
		w->base = row.content->dot;
}

enum ferr work_commit(struct replica *r, struct work *w)
{
	struct view_row row;
	if (!w->dirty)
		return FE_OK;
	if (r->closed)
		return FE_IO;
	enum err e = view_get(r->f, &w->id, &row);
	if (e == ERR_NOTFOUND)
		return FE_OK; /* unlinked: it goes with the last who has it open */
	if (e == ERR_OK)
		e = commit(r, w, row.content);
	if (e != ERR_OK)
		return replica_ferr(e);
	rebase(r, w);
	return FE_OK;
}

bool work_state(struct replica *r, const struct entry_id *id, uint64_t *size, int64_t *mtime_ns)
{
	struct work *w = find(r, id);
	struct vfs_stat st;
	if (!w || !w->file || vfs_stat(w->file, &st) != FE_OK)
		return false;
	*size = st.size_bytes;
	*mtime_ns = w->mtime_ns;
	return true;
}

void work_set_mtime(struct replica *r, const struct entry_id *id, int64_t mtime_ns)
{
	struct work *w = find(r, id);
	if (w && w->file)
		w->mtime_ns = mtime_ns;
}

void work_touched(struct replica *r, const struct entry_id *id, const struct dot *before)
{
	struct work *w = find(r, id);
	struct view_row row;
	if (w && w->base.writer && !dot_compare(&w->base, before) &&
	    view_get(r->f, id, &row) == ERR_OK && row.content)
		w->base = row.content->dot;
}
