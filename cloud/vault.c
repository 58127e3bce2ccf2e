/* vault.c - sealed chunks and heads on storage of the web.
 *
 * Three keys come from the one: for names, for seals, for cutting. A seal has a random nonce of 24 bytes, and as its additional data what it is
 * (a chunk or a head) and under which name: nothing can be put into another's place.
 */
#include "cloud/vault.h"

#include "base/crypto.h"
#include "base/pack.h"
#include "cloud/cloud_impl.h"
#include "folder/cut.h"
#include "folder/pieces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	VERSION = 1,
	SEAL_HEAD = 1 + CRYPTO_XNONCE_SIZE,
	NAME_SIZE = 32,
	HEX_SIZE = 2 * NAME_SIZE + 1,
	OBJECT_MAX = 2 << 20,
	PATH_MAX_BYTES = 2048,
	HEAD_FIELDS = 6,
	GROUPS = 256,
};

enum kind { CHUNK = 'c', HEAD = 'h' };

/* Names of chunks that the server has, by their first byte; a group is listed when it is first asked about. */
struct group {
	uint8_t (*names)[NAME_SIZE];
	uint32_t count, cap;
	bool is_listed;
};

/* A head that was taken in already. */
struct seen {
	uint8_t name[NAME_SIZE];
	char etag[HTTP_ETAG_MAX];
};

struct vault {
	struct cloud *cloud;
	char *path;
	uint8_t names[CRYPTO_KEY_SIZE], seals[CRYPTO_KEY_SIZE], cuts[CUT_KEY_SIZE];
	struct group groups[GROUPS];
	struct seen *heads; /* VAULT_HEADS_MAX */
	unsigned head_count;
	struct chunk_packer *packer;
	struct vault_figures figures;
};

static struct cloud_driver *driver_of(const struct vault *v)
{
	return v->cloud->driver;
}

static enum err err_of(enum ferr e, struct errmsg *msg)
{
	if (e == FE_OK)
		return ERR_OK;
	if (!msg->text[0])
		err_set(msg, ERR_IO, "%s", ferr_text(e));
	switch (e) {
	case FE_NOENT: return ERR_NOTFOUND;
	case FE_ACCES: return ERR_DENIED;
	case FE_HOSTUNREACH: return ERR_CLOSED;
	case FE_TIMEDOUT: return ERR_TIMEOUT;
	case FE_NOMEM: return ERR_NOMEM;
	case FE_NOSPC: return ERR_FULL;
	case FE_STALE: return ERR_BUSY;
	default: return ERR_IO;
	}
}

/* ---- names ---- */

static void derive(const uint8_t key[VAULT_KEY_SIZE], const char *what,
                   uint8_t out[CRYPTO_KEY_SIZE])
{
	crypto_blake2b_keyed(out, CRYPTO_KEY_SIZE, key, VAULT_KEY_SIZE, what, strlen(what));
}

static void name_of(const struct vault *v, enum kind kind, const void *of, size_t size,
                    uint8_t out[NAME_SIZE])
{
	struct crypto_hash h;
	uint8_t tag = (uint8_t)kind;
	crypto_hash_init(&h, NAME_SIZE, v->names, sizeof v->names);
	crypto_hash_add(&h, &tag, 1);
	crypto_hash_add(&h, of, size);
	crypto_hash_end(&h, out);
}

static void hex_of(const uint8_t name[NAME_SIZE], char out[HEX_SIZE])
{
	for (int i = 0; i < NAME_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", name[i]);
}

static bool name_from(const char *hex, uint8_t out[NAME_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	for (int i = 0; i < NAME_SIZE; i++) {
		const char *high = hex[2 * i] ? strchr(digits, hex[2 * i]) : NULL;
		const char *low = high && hex[2 * i + 1] ? strchr(digits, hex[2 * i + 1]) : NULL;
		if (!low)
			return false;
		out[i] = (uint8_t)((high - digits) << 4 | (low - digits));
	}
	return !hex[2 * NAME_SIZE];
}

static void object_path(const struct vault *v, enum kind kind, const uint8_t name[NAME_SIZE],
                        char out[PATH_MAX_BYTES])
{
	char hex[HEX_SIZE];
	hex_of(name, hex);
	if (kind == HEAD)
		snprintf(out, PATH_MAX_BYTES, "%s/heads/%s", v->path, hex);
	else
		snprintf(out, PATH_MAX_BYTES, "%s/chunks/%.2s/%s", v->path, hex, hex);
}

/* ---- seals ---- */

static void additional(enum kind kind, const uint8_t name[NAME_SIZE], uint8_t out[NAME_SIZE + 2])
{
	out[0] = VERSION;
	out[1] = (uint8_t)kind;
	memcpy(out + 2, name, NAME_SIZE);
}

/* Appends u8 version, nonce, and sealed: u32 size, the bytes, zeros up to a multiple of VAULT_PAD. */
static enum err seal(const struct vault *v, enum kind kind, const uint8_t name[NAME_SIZE],
                     const void *bytes, size_t size, struct wr *out)
{
	uint8_t ad[NAME_SIZE + 2];
	struct wr plain = {0};
	additional(kind, name, ad);
	wr_u32(&plain, (uint32_t)size);
	wr_bytes(&plain, bytes, size);
	wr_space(&plain, (VAULT_PAD - plain.size % VAULT_PAD) % VAULT_PAD);
	uint8_t *to =
	    wr_ok(&plain) ? wr_space(out, SEAL_HEAD + plain.size + CRYPTO_TAG_SIZE) : NULL;
	if (to) {
		to[0] = VERSION;
		crypto_random(to + 1, CRYPTO_XNONCE_SIZE);
		crypto_xseal(to + SEAL_HEAD, v->seals, to + 1, ad, sizeof ad, plain.data,
		             plain.size);
	}
	wr_free(&plain);
	return to ? ERR_OK : ERR_NOMEM;
}

/* The bytes in it, which stay in `sealed`. */
static enum err unseal(const struct vault *v, enum kind kind, const uint8_t name[NAME_SIZE],
                       struct wr *sealed, struct rd *out, struct errmsg *msg)
{
	uint8_t ad[NAME_SIZE + 2];
	uint32_t size;
	additional(kind, name, ad);
	if (sealed->size < SEAL_HEAD + CRYPTO_TAG_SIZE || sealed->data[0] != VERSION)
		return err_set(msg, ERR_UNSUPPORTED,
		               "the %s on the storage is none of this version",
		               kind == HEAD ? "head" : "chunk");
	uint8_t *body = sealed->data + SEAL_HEAD;
	if (crypto_xopen(body, v->seals, sealed->data + 1, ad, sizeof ad, body,
	                 sealed->size - SEAL_HEAD) != ERR_OK)
		return err_set(
		    msg, ERR_AUTH,
		    "a %s on the storage is not what was stored there, or of another key",
		    kind == HEAD ? "head" : "chunk");
	struct rd r = rd_of(body, sealed->size - SEAL_HEAD - CRYPTO_TAG_SIZE);
	TRY(rd_u32(&r, &size));
	return rd_sub(&r, size, out);
}

/* ---- objects ---- */

static bool read_object(void *ctx, uint64_t offset, void *buf, size_t size)
{
	memcpy(buf, ((struct wr *)ctx)->data + offset, size);
	return true;
}

static bool take_object(void *ctx, const void *bytes, size_t size)
{
	struct wr *w = ctx;
	wr_bytes(w, bytes, size);
	return wr_ok(w);
}

/* etag: of what it replaces; NULL: it is new. */
static enum ferr put_object(struct vault *v, const char *path, const char *etag, struct wr *bytes,
                            struct errmsg *msg)
{
	struct cloud_item now;
	struct http_source s = {.read = read_object, .ctx = bytes, .size_bytes = bytes->size};
	return driver_of(v)->ops->put(driver_of(v), path, etag, &s, &now, msg);
}

static enum ferr get_object(struct vault *v, const char *path, struct cloud_item *item,
                            struct wr *out, struct errmsg *msg)
{
	struct cloud_sink sink = {.take = take_object, .ctx = out};
	FTRY(driver_of(v)->ops->stat(driver_of(v), path, item, msg));
	struct http_range all = {.size_bytes = item->size_bytes};
	if (item->is_folder || !item->size_bytes || item->size_bytes > OBJECT_MAX) {
		err_set(msg, ERR_MALFORMED, "%s is nothing that was stored", path);
		return FE_IO;
	}
	return driver_of(v)->ops->get(driver_of(v), path, item->etag, &all, &sink, msg);
}

static enum ferr make_folder(struct vault *v, const char *path, struct errmsg *msg)
{
	struct cloud_item item;
	enum ferr e = driver_of(v)->ops->stat(driver_of(v), path, &item, msg);
	if (e == FE_NOENT)
		e = driver_of(v)->ops->mkdir(driver_of(v), path, msg);
	return e == FE_EXIST ? FE_OK : e;
}

/* ---- which chunks there are ---- */

static bool add_name(struct group *g, const uint8_t name[NAME_SIZE])
{
	if (g->count == g->cap) {
		uint32_t cap = g->cap ? 2 * g->cap : 16;
		void *names = realloc(g->names, cap * sizeof *g->names);
		if (!names)
			return false;
		g->names = names;
		g->cap = cap;
	}
	memcpy(g->names[g->count++], name, NAME_SIZE);
	return true;
}

/* One that was not written to its end, at a server where that can be, has hardly a size that a chunk can have. */
static bool note_chunk(void *ctx, const char *hex, const struct cloud_item *item)
{
	uint8_t name[NAME_SIZE];
	bool is_whole = item->size_bytes > SEAL_HEAD + CRYPTO_TAG_SIZE &&
	                (item->size_bytes - SEAL_HEAD - CRYPTO_TAG_SIZE) % VAULT_PAD == 0;
	return item->is_folder || !is_whole || !name_from(hex, name) || add_name(ctx, name);
}

static enum ferr list_group(struct vault *v, uint8_t first, struct errmsg *msg)
{
	struct group *g = &v->groups[first];
	char path[PATH_MAX_BYTES];
	if (g->is_listed)
		return FE_OK;
	snprintf(path, sizeof path, "%s/chunks/%02x", v->path, first);
	g->count = 0;
	enum ferr e = driver_of(v)->ops->list(driver_of(v), path, note_chunk, g, msg);
	if (e == FE_NOENT)
		e = make_folder(v, path, msg);
	g->is_listed = e == FE_OK;
	return e;
}

static bool has(const struct vault *v, const uint8_t name[NAME_SIZE])
{
	const struct group *g = &v->groups[name[0]];
	for (uint32_t i = 0; i < g->count; i++)
		if (!memcmp(g->names[i], name, NAME_SIZE))
			return true;
	return false;
}

/* ---- chunks ---- */

/* Another device may have brought it meanwhile; what is not as long was not written to its end. */
static enum ferr put_anew(struct vault *v, const char *path, struct wr *sealed, struct errmsg *msg)
{
	struct cloud_item now;
	FTRY(driver_of(v)->ops->stat(driver_of(v), path, &now, msg));
	return now.size_bytes == sealed->size ? FE_OK : put_object(v, path, now.etag, sealed, msg);
}

static enum err put_chunk(struct vault *v, const uint8_t name[NAME_SIZE], const void *bytes,
                          size_t size, struct errmsg *msg)
{
	char path[PATH_MAX_BYTES];
	struct wr packed = {0}, sealed = {0};
	chunk_pack(v->packer, &packed, bytes, size);
	enum err e =
	    wr_ok(&packed) ? seal(v, CHUNK, name, packed.data, packed.size, &sealed) : ERR_NOMEM;
	object_path(v, CHUNK, name, path);
	if (e == ERR_OK) {
		enum ferr put = put_object(v, path, NULL, &sealed, msg);
		if (put == FE_EXIST)
			put = put_anew(v, path, &sealed, msg);
		e = err_of(put, msg);
	}
	if (e == ERR_OK) {
		v->figures.chunks_sent++;
		v->figures.bytes_sent += sealed.size;
		e = add_name(&v->groups[name[0]], name) ? ERR_OK : ERR_NOMEM;
	}
	wr_free(&packed);
	wr_free(&sealed);
	return e;
}

static enum err needed(struct vault *v, const struct chunk_addr *addr, uint8_t name[NAME_SIZE],
                       bool *is, struct errmsg *msg)
{
	name_of(v, CHUNK, addr->bytes, sizeof addr->bytes, name);
	TRY(err_of(list_group(v, name[0], msg), msg));
	*is = !has(v, name);
	return ERR_OK;
}

enum err vault_store(struct vault *v, const struct chunk_addr *addr, const void *bytes, size_t size,
                     struct errmsg *msg)
{
	struct errmsg unused = {{0}};
	uint8_t name[NAME_SIZE];
	bool is;
	msg = msg ? msg : &unused;
	TRY(needed(v, addr, name, &is, msg));
	return is ? put_chunk(v, name, bytes, size, msg) : ERR_OK;
}

enum err vault_chunk(struct vault *v, const struct chunk_addr *addr, struct wr *out,
                     struct errmsg *msg)
{
	struct errmsg unused = {{0}};
	uint8_t name[NAME_SIZE];
	char path[PATH_MAX_BYTES];
	struct cloud_item item;
	struct wr sealed = {0};
	struct rd packed;
	size_t from = out->size;
	msg = msg ? msg : &unused;
	name_of(v, CHUNK, addr->bytes, sizeof addr->bytes, name);
	object_path(v, CHUNK, name, path);
	enum err e = err_of(get_object(v, path, &item, &sealed, msg), msg);
	if (e == ERR_OK)
		e = unseal(v, CHUNK, name, &sealed, &packed, msg);
	if (e == ERR_OK)
		e = chunk_unpack(packed.p, rd_left(&packed), out, msg);
	if (e == ERR_OK)
		e = wr_ok(out) ? chunk_check(addr, out->data + from, out->size - from, msg)
		               : ERR_NOMEM;
	v->figures.chunks_fetched += e == ERR_OK;
	v->figures.bytes_fetched += sealed.size;
	wr_free(&sealed);
	return e;
}

/* ---- a replica's records as a file of chunks ---- */

struct writing {
	struct vault *vault;
	struct cutter cutter;
	struct pieces pieces;
	struct wr chunk;
	struct errmsg *msg;
};

static enum err put_list(void *ctx, const struct chunk_addr *addr, const void *bytes, size_t size)
{
	struct writing *w = ctx;
	return vault_store(w->vault, addr, bytes, size, w->msg);
}

static enum err end_chunk(struct writing *w)
{
	if (!w->chunk.size)
		return ERR_OK;
	struct chunk_addr addr = chunk_addr_of(w->chunk.data, w->chunk.size);
	TRY(vault_store(w->vault, &addr, w->chunk.data, w->chunk.size, w->msg));
	TRY(pieces_add(&w->pieces, &addr, w->chunk.size));
	wr_clear(&w->chunk);
	cutter_reset(&w->cutter);
	return ERR_OK;
}

static enum err write_bytes(struct writing *w, const uint8_t *bytes, size_t size)
{
	while (size) {
		bool ended;
		size_t n = cutter_feed(&w->cutter, bytes, size, &ended);
		wr_bytes(&w->chunk, bytes, n);
		if (!wr_ok(&w->chunk))
			return ERR_NOMEM;
		if (ended)
			TRY(end_chunk(w));
		bytes += n;
		size -= n;
	}
	return ERR_OK;
}

/* u8 kind, u32 size, the record. */
static enum err write_record(void *ctx, enum folder_record kind, const uint8_t *key,
                             const void *bytes, size_t size)
{
	uint8_t head[5] = {(uint8_t)kind, (uint8_t)size, (uint8_t)(size >> 8),
	                   (uint8_t)(size >> 16), (uint8_t)(size >> 24)};
	TRY(write_bytes(ctx, head, sizeof head));
	return write_bytes(ctx, bytes, size);
}

static enum err write_replica(struct vault *v, struct folder *f, struct content *out,
                              struct errmsg *msg)
{
	struct writing w = {.vault = v, .msg = msg};
	w.pieces.put = put_list;
	w.pieces.ctx = &w;
	cutter_init(&w.cutter, v->cuts);
	enum err e = folder_each_record(f, write_record, &w);
	if (e == ERR_OK)
		e = end_chunk(&w);
	if (e == ERR_OK)
		e = pieces_end(&w.pieces, out);
	else
		pieces_drop(&w.pieces);
	wr_free(&w.chunk);
	return e;
}

/* ---- contents ---- */

typedef enum err piece_fn(void *ctx, const struct piece *p, unsigned depth);

/* Calls fn for each piece of a list, those of lists in it before the list itself. */
static enum err each_piece(const struct piece *list, uint32_t count, unsigned depth,
                           enum err (*load)(void *ctx, const struct chunk_addr *a, struct wr *out),
                           piece_fn *fn, void *ctx)
{
	for (uint32_t i = 0; i < count; i++) {
		if (depth) {
			struct wr bytes = {0};
			struct piece *inner = NULL;
			uint32_t inner_count = 0;
			enum err e = load(ctx, &list[i].addr, &bytes);
			if (e == ERR_OK)
				e = pieces_read(bytes.data, bytes.size, depth - 1, list[i].size,
				                &inner, &inner_count);
			if (e == ERR_OK)
				e = each_piece(inner, inner_count, depth - 1, load, fn, ctx);
			free(inner);
			wr_free(&bytes);
			TRY(e);
		}
		TRY(fn(ctx, &list[i], depth));
	}
	return ERR_OK;
}

struct pushing {
	struct vault *vault;
	const struct vault_chunks *from;
	struct errmsg *msg;
	enum err err;
};

static enum err load_own(void *ctx, const struct chunk_addr *addr, struct wr *out)
{
	struct pushing *p = ctx;
	return p->from->load(p->from->ctx, addr, out, p->msg);
}

static enum err push_piece(void *ctx, const struct piece *piece, unsigned depth)
{
	struct pushing *p = ctx;
	uint8_t name[NAME_SIZE];
	struct wr bytes = {0};
	bool is;
	TRY(needed(p->vault, &piece->addr, name, &is, p->msg));
	if (!is)
		return ERR_OK;
	enum err e = load_own(p, &piece->addr, &bytes);
	if (e == ERR_OK)
		e = put_chunk(p->vault, name, bytes.data, bytes.size, p->msg);
	wr_free(&bytes);
	return e;
}

/* What this device does not have of a content that it only knows of, another will bring. */
static void push_content(void *ctx, const struct content *c)
{
	struct pushing *p = ctx;
	if (p->err != ERR_OK)
		return;
	enum err e = each_piece(c->pieces, c->piece_count, c->depth, load_own, push_piece, p);
	p->err = e == ERR_NOTFOUND ? ERR_OK : e;
}

/* ---- heads ---- */

struct head {
	uint8_t device[FOLDER_DEVICE_SIZE];
	uint64_t time_ms, generation;
	struct content records;
};

static void pack_head(struct wr *out, const struct folder *f, const struct head *h)
{
	pack_array(out, HEAD_FIELDS);
	pack_u64(out, VERSION);
	pack_bin(out, folder_id(f)->bytes, ENTRY_ID_SIZE);
	pack_bin(out, h->device, sizeof h->device);
	pack_u64(out, h->time_ms);
	pack_u64(out, h->generation);
	content_pack(out, &h->records);
}

static enum err unpack_head(struct rd *r, struct entry_id *folder, struct head *out)
{
	uint32_t fields;
	uint64_t version;
	*out = (struct head){0};
	TRY(unpack_array(r, HEAD_FIELDS, &fields));
	TRY(unpack_u64(r, &version));
	if (fields != HEAD_FIELDS || version != VERSION)
		return ERR_UNSUPPORTED;
	TRY(unpack_fixed(r, folder->bytes, ENTRY_ID_SIZE));
	TRY(unpack_fixed(r, out->device, sizeof out->device));
	TRY(unpack_u64(r, &out->time_ms));
	TRY(unpack_u64(r, &out->generation));
	TRY(content_unpack(r, ENTRY_FILE, &out->records));
	enum err e = unpack_end(r);
	if (e != ERR_OK)
		content_free(&out->records);
	return e;
}

/* item: of the object. head->records is the caller's. */
static enum err read_head(struct vault *v, const uint8_t name[NAME_SIZE], struct cloud_item *item,
                          struct entry_id *folder, struct head *out, struct errmsg *msg)
{
	char path[PATH_MAX_BYTES];
	struct wr sealed = {0};
	struct rd r;
	object_path(v, HEAD, name, path);
	enum err e = err_of(get_object(v, path, item, &sealed, msg), msg);
	if (e == ERR_OK)
		e = unseal(v, HEAD, name, &sealed, &r, msg);
	if (e == ERR_OK && (e = unpack_head(&r, folder, out)) != ERR_OK)
		err_set(msg, e, "a head on the storage is malformed");
	wr_free(&sealed);
	return e;
}

static enum err put_head(struct vault *v, const struct folder *f, const uint8_t *device,
                         struct content *records, uint64_t now_ms, struct errmsg *msg)
{
	char path[PATH_MAX_BYTES];
	uint8_t name[NAME_SIZE];
	struct cloud_item item = {0};
	struct entry_id folder;
	struct head old = {0}, h = {.time_ms = now_ms, .generation = 1, .records = *records};
	struct wr plain = {0}, sealed = {0};
	struct errmsg unused = {{0}};
	memcpy(h.device, device, sizeof h.device);
	name_of(v, HEAD, device, sizeof h.device, name);
	object_path(v, HEAD, name, path);
	enum err e = read_head(v, name, &item, &folder, &old, &unused);
	bool is_new = e == ERR_NOTFOUND;
	if (e == ERR_OK)
		h.generation = old.generation + 1;
	content_free(&old.records);
	if (!is_new && !item.etag[0])
		return err_set(msg, e, "%s", unused.text);
	h.records.dot = (struct dot){.writer = folder_writer(f), .seq = h.generation};
	h.records.stamp_ms = now_ms;
	pack_head(&plain, f, &h);
	e = wr_ok(&plain) ? seal(v, HEAD, name, plain.data, plain.size, &sealed) : ERR_NOMEM;
	if (e == ERR_OK)
		e = err_of(put_object(v, path, is_new ? NULL : item.etag, &sealed, msg), msg);
	wr_free(&plain);
	wr_free(&sealed);
	return e;
}

enum err vault_push(struct vault *v, struct folder *f, const uint8_t device[FOLDER_DEVICE_SIZE],
                    const struct vault_chunks *chunks, uint64_t now_ms, struct errmsg *msg)
{
	struct errmsg unused = {{0}};
	struct pushing p = {.vault = v, .from = chunks, .msg = msg ? msg : &unused};
	struct content records = {0};
	if (folder_unsaved(f))
		return err_set(p.msg, ERR_STATE, "the replica has to be saved first");
	folder_each_content(f, push_content, &p);
	TRY(p.err);
	TRY(write_replica(v, f, &records, p.msg));
	enum err e = put_head(v, f, device, &records, now_ms, p.msg);
	content_free(&records);
	return e;
}

/* ---- reading a replica ---- */

struct reading {
	struct vault *vault;
	struct errmsg *msg;
	struct wr bytes;
};

static enum err load_list(void *ctx, const struct chunk_addr *addr, struct wr *out)
{
	struct reading *r = ctx;
	return vault_chunk(r->vault, addr, out, r->msg);
}

static enum err read_piece(void *ctx, const struct piece *p, unsigned depth)
{
	struct reading *r = ctx;
	if (depth)
		return ERR_OK; /* a list, whose pieces came before */
	if (r->bytes.size + p->size > VAULT_RECORDS_MAX)
		return err_set(r->msg, ERR_LIMIT, "a replica on the storage is too large");
	return vault_chunk(r->vault, &p->addr, &r->bytes, r->msg);
}

/* The first record is the replica's head. */
static enum err read_records(struct rd in, struct folder **out)
{
	struct folder *f = NULL;
	enum err e = ERR_OK;
	while (e == ERR_OK && rd_left(&in)) {
		uint8_t kind = 0;
		uint32_t size = 0;
		const uint8_t *bytes = NULL;
		e = rd_u8(&in, &kind);
		if (e == ERR_OK)
			e = rd_u32(&in, &size);
		if (e == ERR_OK)
			e = rd_bytes(&in, size, &bytes);
		if (e == ERR_OK && (kind == FOLDER_HEAD) != !f)
			e = ERR_MALFORMED;
		else if (e == ERR_OK)
			e = f ? folder_load_record(f, kind, bytes, size)
			      : folder_load(bytes, size, &f);
	}
	if (e != ERR_OK || !f) {
		folder_free(f);
		return e == ERR_OK ? ERR_MALFORMED : e;
	}
	*out = f;
	return ERR_OK;
}

static enum err read_replica(struct vault *v, const struct content *c, struct folder **out,
                             struct errmsg *msg)
{
	struct reading r = {.vault = v, .msg = msg};
	enum err e = each_piece(c->pieces, c->piece_count, c->depth, load_list, read_piece, &r);
	if (e == ERR_OK && (e = read_records(rd_of(r.bytes.data, r.bytes.size), out)) != ERR_OK)
		err_set(msg, e, "a replica on the storage is malformed");
	wr_free(&r.bytes);
	return e;
}

enum err vault_replica(struct vault *v, const uint8_t device[FOLDER_DEVICE_SIZE],
                       struct folder **out, struct errmsg *msg)
{
	struct errmsg unused = {{0}};
	uint8_t name[NAME_SIZE];
	struct cloud_item item;
	struct entry_id folder;
	struct head h;
	msg = msg ? msg : &unused;
	name_of(v, HEAD, device, FOLDER_DEVICE_SIZE, name);
	TRY(read_head(v, name, &item, &folder, &h, msg));
	enum err e = read_replica(v, &h.records, out, msg);
	content_free(&h.records);
	return e;
}

/* ---- joining ---- */

static enum err join_entries(struct folder *f, const struct folder *other, unsigned list,
                             uint64_t now_ms)
{
	for (uint32_t i = 0; i < folder_count(other); i++) {
		struct entry e;
		struct entry_id id = folder_at(other, i)->id;
		TRY(entry_copy(&e, folder_at(other, i)));
		TRY(folder_join(f, &e, 0, now_ms));
		folder_list_has(f, list, &id);
	}
	return ERR_OK;
}

/* As the whole run of an exchange: entries, what was seen with them, members. */
static enum err join(struct folder *f, const struct folder *other, uint64_t now_ms)
{
	unsigned list;
	TRY(folder_begin_list(f, &list));
	enum err e = join_entries(f, other, list, now_ms);
	if (e == ERR_OK)
		e = folder_learn(f, folder_seen(other), folder_dropped(other));
	enum err ended = folder_end_list(f, list, e == ERR_OK ? folder_seen(other) : NULL, now_ms);
	TRY(e);
	TRY(ended);
	TRY(folder_keep_needed(f, now_ms));
	for (unsigned i = 0; i < folder_members(other); i++)
		TRY(folder_hear_member(f, folder_member(other, i)));
	return ERR_OK;
}

struct listing {
	uint8_t names[VAULT_HEADS_MAX][NAME_SIZE];
	char etags[VAULT_HEADS_MAX][HTTP_ETAG_MAX];
	unsigned count;
};

static bool note_head(void *ctx, const char *hex, const struct cloud_item *item)
{
	struct listing *l = ctx;
	if (!item->is_folder && item->size_bytes && name_from(hex, l->names[l->count]))
		memcpy(l->etags[l->count++], item->etag, HTTP_ETAG_MAX);
	return l->count < VAULT_HEADS_MAX;
}

static enum err list_heads(struct vault *v, struct listing **out, struct errmsg *msg)
{
	char path[PATH_MAX_BYTES];
	struct listing *l = calloc(1, sizeof *l);
	if (!l)
		return ERR_NOMEM;
	snprintf(path, sizeof path, "%s/heads", v->path);
	enum err e = err_of(driver_of(v)->ops->list(driver_of(v), path, note_head, l, msg), msg);
	if (e != ERR_OK)
		free(l);
	else
		*out = l;
	return e;
}

static struct seen *seen_of(struct vault *v, const uint8_t name[NAME_SIZE])
{
	for (unsigned i = 0; i < v->head_count; i++)
		if (!memcmp(v->heads[i].name, name, NAME_SIZE))
			return &v->heads[i];
	return NULL;
}

static void remember(struct vault *v, const uint8_t name[NAME_SIZE], const char *etag)
{
	struct seen *s = seen_of(v, name);
	if (!s && v->head_count < VAULT_HEADS_MAX)
		s = &v->heads[v->head_count++];
	if (!s)
		return;
	memcpy(s->name, name, NAME_SIZE);
	snprintf(s->etag, sizeof s->etag, "%s", etag);
}

static enum err pull_one(struct vault *v, struct folder *f, const uint8_t name[NAME_SIZE],
                         uint64_t now_ms, unsigned *count, struct errmsg *msg)
{
	struct cloud_item item;
	struct entry_id id;
	struct folder *other = NULL;
	struct head h;
	TRY(read_head(v, name, &item, &id, &h, msg));
	enum err e = ERR_OK;
	if (entry_id_equal(&id, folder_id(f))) {
		e = read_replica(v, &h.records, &other, msg);
		if (e == ERR_OK && !entry_id_equal(folder_id(other), folder_id(f)))
			e = err_set(msg, ERR_MALFORMED,
			            "a head names the replica of another folder");
		if (e == ERR_OK)
			e = join(f, other, now_ms);
		*count += e == ERR_OK;
	}
	if (e == ERR_OK)
		remember(v, name, item.etag);
	folder_free(other);
	content_free(&h.records);
	return e;
}

enum err vault_pull(struct vault *v, struct folder *f, const uint8_t device[FOLDER_DEVICE_SIZE],
                    uint64_t now_ms, unsigned *count, struct errmsg *msg)
{
	struct errmsg unused = {{0}};
	struct listing *l;
	uint8_t own[NAME_SIZE];
	*count = 0;
	msg = msg ? msg : &unused;
	name_of(v, HEAD, device, FOLDER_DEVICE_SIZE, own);
	TRY(list_heads(v, &l, msg));
	enum err e = ERR_OK;
	for (unsigned i = 0; e == ERR_OK && i < l->count; i++) {
		const struct seen *s = seen_of(v, l->names[i]);
		if (memcmp(l->names[i], own, NAME_SIZE) != 0 &&
		    (!s || !l->etags[i][0] || strcmp(s->etag, l->etags[i]) != 0))
			e = pull_one(v, f, l->names[i], now_ms, count, msg);
	}
	free(l);
	return e;
}

enum err vault_each_head(struct vault *v,
                         void (*fn)(void *ctx, const uint8_t device[FOLDER_DEVICE_SIZE],
                                    uint64_t time_ms, uint64_t generation),
                         void *ctx, struct errmsg *msg)
{
	struct errmsg unused = {{0}};
	struct listing *l;
	msg = msg ? msg : &unused;
	TRY(list_heads(v, &l, msg));
	enum err e = ERR_OK;
	unsigned opened = 0;
	for (unsigned i = 0; i < l->count && (e == ERR_OK || e == ERR_AUTH); i++) {
		struct cloud_item item;
		struct entry_id id;
		struct head h;
		e = read_head(v, l->names[i], &item, &id, &h, msg);
		if (e != ERR_OK)
			continue;
		fn(ctx, h.device, h.time_ms, h.generation);
		content_free(&h.records);
		opened++;
	}
	free(l);
	return e == ERR_AUTH && opened ? ERR_OK : e;
}

/* ---- life ---- */

void vault_free(struct vault *v)
{
	if (!v)
		return;
	for (int i = 0; i < GROUPS; i++)
		free(v->groups[i].names);
	chunk_packer_free(v->packer);
	cloud_unref(v->cloud);
	free(v->heads);
	free(v->path);
	crypto_zero(v, sizeof *v);
	free(v);
}

static enum err make_folders(struct vault *v, struct errmsg *msg)
{
	static const char *const below[] = {"", "/chunks", "/heads"};
	char path[PATH_MAX_BYTES];
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s%s", v->path, below[i]);
		TRY(err_of(make_folder(v, path, msg), msg));
	}
	return ERR_OK;
}

enum err vault_new(struct cloud *c, const char *path, const uint8_t key[VAULT_KEY_SIZE],
                   struct vault **out, struct errmsg *msg)
{
	struct errmsg unused = {{0}};
	struct vault *v = calloc(1, sizeof *v);
	if (!v)
		return ERR_NOMEM;
	msg = msg ? msg : &unused;
	v->cloud = cloud_ref(c);
	v->path = strdup(path);
	v->heads = calloc(VAULT_HEADS_MAX, sizeof *v->heads);
	v->packer = chunk_packer_new();
	derive(key, "WasmOS vault: names", v->names);
	derive(key, "WasmOS vault: seals", v->seals);
	derive(key, "WasmOS vault: cuts", v->cuts);
	enum err e = v->path && v->heads && v->packer ? ERR_OK : ERR_NOMEM;
	if (e == ERR_OK && (!*path || strlen(path) > 1024))
		e = err_set(msg, ERR_INVALID, "a vault needs a folder of its own on the storage");
	if (e == ERR_OK)
		e = make_folders(v, msg);
	if (e != ERR_OK)
		vault_free(v);
	else
		*out = v;
	return e;
}

const uint8_t *vault_cut_key(const struct vault *v)
{
	return v->cuts;
}

void vault_figures(const struct vault *v, struct vault_figures *out)
{
	*out = v->figures;
}
