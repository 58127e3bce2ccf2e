/* replica.c - a replica's records on disk: read, written with what they rest on, taken back. */
#include "node/folders/replica.h"

#include "base/os.h"
#include "folder/pieces.h"

#include <stdlib.h>
#include <string.h>

enum { ROW_KEY = ENTRY_ID_SIZE + 1 + FOLDER_KEY_SIZE };

uint64_t replica_now_ms(void)
{
	return os_wall_ns() / 1000000;
}

/* ---- records ---- */

static void row_key(const struct entry_id *id, enum folder_record kind, const uint8_t *key,
                    uint8_t out[ROW_KEY])
{
	memcpy(out, id->bytes, ENTRY_ID_SIZE);
	out[ENTRY_ID_SIZE] = (uint8_t)kind;
	memcpy(out + ENTRY_ID_SIZE + 1, key, FOLDER_KEY_SIZE);
}

struct loading {
	const struct entry_id *id;
	struct folder *f;
	enum err err;
};

/* The head's key is the least. */
static bool load_row(void *ctx, const uint8_t *key, size_t key_size, const uint8_t *value,
                     size_t size)
{
	struct loading *l = ctx;
	if (key_size != ROW_KEY || memcmp(key, l->id->bytes, ENTRY_ID_SIZE) != 0)
		return true;
	enum folder_record kind = (enum folder_record)key[ENTRY_ID_SIZE];
	if (kind == FOLDER_HEAD)
		l->err = folder_load(value, size, &l->f);
	else
		l->err = l->f ? folder_load_record(l->f, kind, value, size) : ERR_MALFORMED;
	return l->err == ERR_OK;
}

static enum err load(struct depot *d, const struct entry_id *id, struct folder **out)
{
	struct loading l = {.id = id};
	enum err e = depot_each(d, DEPOT_FOLDERS, load_row, &l);
	if (e == ERR_OK)
		e = l.err != ERR_OK ? l.err : l.f ? ERR_OK : ERR_NOTFOUND;
	if (e == ERR_OK)
		*out = l.f;
	else
		folder_free(l.f);
	return e;
}

struct saving {
	struct depot_batch *b;
	const struct entry_id *id;
};

static enum err put_row(void *ctx, enum folder_record kind, const uint8_t *key, const void *bytes,
                        size_t size)
{
	struct saving *s = ctx;
	uint8_t full[ROW_KEY];
	row_key(s->id, kind, key, full);
	if (bytes)
		depot_put(s->b, DEPOT_FOLDERS, full, sizeof full, bytes, size);
	else
		depot_del(s->b, DEPOT_FOLDERS, full, sizeof full);
	return ERR_OK;
}

/* ---- life ---- */

static struct replica *replica_new(struct depot *d, const char *name, const struct entry_id *id,
                                   struct vfs_obj *desk)
{
	struct replica *r = calloc(1, sizeof *r);
	if (!r || uv_mutex_init(&r->lock) != 0) {
		free(r);
		return NULL;
	}
	r->refs = 1;
	r->depot = d;
	r->id = *id;
	r->desk = vfs_ref(desk);
	r->next_origin = 1;
	crypto_random(&r->session, sizeof r->session);
	snprintf(r->name, sizeof r->name, "%s", name);
	return r;
}

enum err replica_open(struct depot *d, const char *name, const struct entry_id *id,
                      struct vfs_obj *desk, struct replica **out, struct errmsg *msg)
{
	struct replica *r = replica_new(d, name, id, desk);
	enum err e = r ? load(d, id, &r->f) : ERR_NOMEM;
	if (e == ERR_OK) {
		*out = r;
		return e;
	}
	if (r)
		replica_unref(r);
	return err_set(msg, e, "the folder %s cannot be read from the store: %s", name,
	               err_text(e));
}

enum err replica_make(struct depot *d, const char *name, const struct entry_id *id,
                      const uint8_t *device, struct vfs_obj *desk, struct replica **out,
                      struct errmsg *msg)
{
	struct replica *r = replica_new(d, name, id, desk);
	struct depot_batch *b;
	uint64_t writer = 0;
	while (!writer)
		crypto_random(&writer, sizeof writer);
	if (r)
		r->f = folder_new(id, writer, device);
	enum err e = r && r->f ? replica_begin(r, &b) : ERR_NOMEM;
	if (e == ERR_OK)
		e = replica_end(r, b, ERR_OK, msg);
	if (e == ERR_OK)
		*out = r;
	else if (r)
		replica_unref(r);
	return e;
}

struct replica *replica_ref(struct replica *r)
{
	atomic_fetch_add(&r->refs, 1);
	return r;
}

void replica_unref(struct replica *r)
{
	if (atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	folder_free(r->f);
	folder_free(r->former);
	vfs_unref(r->desk);
	uv_mutex_destroy(&r->lock);
	free(r);
}

void replica_lock(struct replica *r)
{
	uv_mutex_lock(&r->lock);
}

void replica_unlock(struct replica *r)
{
	uv_mutex_unlock(&r->lock);
}

static enum err del_row(void *ctx, enum folder_record kind, const uint8_t *key, const void *bytes,
                        size_t size)
{
	return put_row(ctx, kind, key, NULL, 0);
}

enum err replica_close(struct replica *r, bool drop, struct errmsg *msg)
{
	struct saving s = {.id = &r->id};
	if (!drop) {
		r->closed = true;
		return ERR_OK;
	}
	if (!(s.b = depot_batch_new(r->depot)))
		return ERR_NOMEM;
	enum err e = folder_each_record(r->f, del_row, &s);
	if (e == ERR_OK)
		e = depot_write(s.b, msg);
	depot_batch_free(s.b);
	r->closed = e == ERR_OK;
	return e;
}

/* ---- changes ---- */

enum err replica_begin(struct replica *r, struct depot_batch **out)
{
	if (r->closed)
		return ERR_CLOSED;
	*out = depot_batch_new(r->depot);
	if (!*out)
		return ERR_NOMEM;
	depot_hold(r->depot);
	return ERR_OK;
}

/* What is in memory was not written: as it is on disk, then. */
static void take_back(struct replica *r)
{
	struct folder *f;
	if (load(r->depot, &r->id, &f) != ERR_OK) {
		r->closed = true; /* better none than one that says what is not so */
		return;
	}
	if (r->former)
		folder_free(r->f);
	else
		r->former = r->f;
	r->f = f;
	r->reloaded = true;
}

enum err replica_end(struct replica *r, struct depot_batch *b, enum err e, struct errmsg *msg)
{
	struct saving s = {.b = b, .id = &r->id};
	if (e == ERR_OK)
		e = folder_save(r->f, put_row, &s);
	if (e == ERR_OK)
		e = depot_write(b, msg);
	if (e != ERR_OK && folder_unsaved(r->f))
		take_back(r);
	else if (e == ERR_FULL || e == ERR_IO || e == ERR_NOMEM)
		take_back(r);
	depot_batch_free(b);
	depot_release(r->depot);
	if (r->changed)
		r->changed(r->ctx);
	return e;
}

/* ---- chunks ---- */

struct naming {
	struct replica *r;
	void (*fn)(void *ctx, const struct chunk_addr *addr);
	void *ctx;
	enum err err;
};

static void name_piece(struct naming *n, const struct piece *p, unsigned depth);

static void name_list(struct naming *n, const struct piece *p, unsigned depth)
{
	struct wr bytes = {0};
	struct piece *list = NULL;
	uint32_t count = 0;
	enum err e = depot_get_chunk(n->r->depot, &p->addr, &bytes, NULL);
	if (e == ERR_OK)
		e = pieces_read(bytes.data, bytes.size, depth, p->size, &list, &count);
	wr_free(&bytes);
	for (uint32_t i = 0; e == ERR_OK && i < count; i++)
		name_piece(n, &list[i], depth);
	free(list);
	if (e != ERR_OK && e != ERR_NOTFOUND)
		n->err = e;
}

static void name_piece(struct naming *n, const struct piece *p, unsigned depth)
{
	n->fn(n->ctx, &p->addr);
	if (depth)
		name_list(n, p, depth - 1);
}

static void name_content(void *ctx, const struct content *c)
{
	for (unsigned i = 0; i < c->piece_count; i++)
		name_piece(ctx, &c->pieces[i], c->depth);
}

enum err replica_each_chunk(struct replica *r, void (*fn)(void *ctx, const struct chunk_addr *addr),
                            void *ctx)
{
	struct naming n = {.r = r, .fn = fn, .ctx = ctx};
	folder_each_content(r->f, name_content, &n);
	return n.err;
}
