/* store.c - the depot: chunks and small tables in LMDB.
 *
 *	meta    name -> bytes                "format", "next" (the next chunk number)
 *	index   33 address -> u64 number     which chunk is where; dense, so that random keys touch few pages
 *	data    u64 number -> packed chunk   appended in order of arrival: neighbours were written together
 *	peers, owners, settings              the small tables
 *
 * A chunk's number is never used again, so gc can tell what was there when it began to look.
 *
 * S1  index and data change together: every number in index has its row in data, and no other rows are there.
 * S2  A batch is performed whole or not at all; a batch too large for the map makes the map grow and starts again.
 * S3  The map grows only while no transaction is open (LMDB's rule): readers share `gate`, growing takes it alone.
 */
#include "node/store_impl.h"

#include "base/file.h"
#include "node/store_file.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 2, FORMAT_WITHOUT_PACKS = 1 };
enum {
	PACK_CHUNK_MIN = 1024,     /* smaller ones lie well in LMDB's pages */
	PACK_WRITE_MIN = 64 << 10, /* fewer bytes at once are not worth a sync of their own */
	GROUP_MAX = 64 << 20,
	PACK_FIRST_MAX = 16 << 20,
};

#define MAP_FIRST ((size_t)64 << 20)
#define MAP_MAX ((size_t)1 << 40)

struct op {
	enum { OP_PUT, OP_DEL, OP_CHUNK } kind;
	enum depot_table table;
	size_t key, key_size, value, value_size; /* places in the batch's bytes */
	uint32_t raw;                            /* bytes of a chunk before they were packed */
	uint64_t at; /* of a chunk for a pack: among the records written with it */
};

struct depot_batch {
	struct depot *depot;
	struct op *ops;
	size_t count, cap;
	struct wr bytes; /* of chunks whole records */
	size_t for_packs;
	struct chunk_packer *packer;
	bool failed;
};

enum err depot_err(int rc, struct errmsg *msg, const char *doing)
{
	enum err e = ERR_IO;
	switch (rc) {
	case MDB_SUCCESS: return ERR_OK;
	case MDB_NOTFOUND: e = ERR_NOTFOUND; break;
	case MDB_MAP_FULL:
	case ENOSPC: e = ERR_FULL; break;
	case ENOMEM: e = ERR_NOMEM; break;
	case EACCES: e = ERR_DENIED; break;
	case EAGAIN: e = ERR_BUSY; break;
	case MDB_VERSION_MISMATCH:
	case MDB_INVALID:
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND: e = ERR_MALFORMED; break;
	}
	return err_set(msg, e, "store: %s: %s", doing, mdb_strerror(rc));
}

/* ---- opening ---- */

static int open_tables(struct depot *d, MDB_txn *txn)
{
	static const char *const names[DEPOT_TABLE_COUNT] = {
#define DEPOT(name, what) [DEPOT_##name] = #name,
	    DEPOT_TABLES(DEPOT)
#undef DEPOT
	};
	int rc = mdb_dbi_open(txn, "meta", MDB_CREATE, &d->meta);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "index", MDB_CREATE, &d->index);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "data", MDB_CREATE | MDB_INTEGERKEY, &d->data);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "packs", MDB_CREATE, &d->pack_rows);
	for (int i = 0; rc == 0 && i < DEPOT_TABLE_COUNT; i++)
		rc = mdb_dbi_open(txn, names[i], MDB_CREATE, &d->tables[i]);
	return rc;
}

static int meta_u64(struct depot *d, MDB_txn *txn, const char *name, uint64_t *v)
{
	MDB_val k = depot_val(name, strlen(name)), got;
	int rc = mdb_get(txn, d->meta, &k, &got);
	if (rc != 0)
		return rc;
	if (got.mv_size != sizeof *v)
		return MDB_CORRUPTED;
	memcpy(v, got.mv_data, sizeof *v);
	return 0;
}

static int put_meta_u64(struct depot *d, MDB_txn *txn, const char *name, uint64_t v)
{
	MDB_val k = depot_val(name, strlen(name)), x = depot_val(&v, sizeof v);
	return mdb_put(txn, d->meta, &k, &x, 0);
}

static enum err check_format(struct depot *d, MDB_txn *txn, struct errmsg *msg)
{
	uint64_t format = FORMAT;
	int rc = meta_u64(d, txn, "format", &format);
	if (rc == MDB_NOTFOUND || (rc == 0 && format == FORMAT_WITHOUT_PACKS))
		rc = put_meta_u64(d, txn, "format", format = FORMAT);
	if (rc == 0 && format != FORMAT)
		return err_set(msg, ERR_MALFORMED, "store: format %llu, this build reads %d",
		               (unsigned long long)format, FORMAT);
	d->next = 1;
	if (rc == 0)
		rc = meta_u64(d, txn, "next", &d->next);
	return depot_err(rc == MDB_NOTFOUND ? 0 : rc, msg, "reading its head");
}

static enum err open_env(struct depot *d, const char *dir, struct errmsg *msg)
{
	enum err made = dir_make(dir, msg);
	if (made != ERR_OK)
		return err_prefix(msg, made, "store");
	TRY(store_file_check(dir, msg));
	int rc = mdb_env_create(&d->env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(d->env, 4 + DEPOT_TABLE_COUNT);
	if (rc == 0)
		rc = mdb_env_set_mapsize(d->env, MAP_FIRST);
	/* NOTLS: a reader may be on any thread of libuv's pool. */
	if (rc == 0)
		rc = mdb_env_open(d->env, dir, MDB_NOTLS, 0600);
	MDB_txn *txn = NULL;
	if (rc == 0)
		rc = mdb_txn_begin(d->env, NULL, 0, &txn);
	if (rc == 0)
		rc = open_tables(d, txn);
	enum err e = depot_err(rc, msg, dir);
	if (e == ERR_MALFORMED)
		err_set(
		    msg, e,
		    "%s is damaged (%s). Bring it back from a copy; without it (removed) paired "
		    "devices and sleeping programs are forgotten",
		    dir, mdb_strerror(rc));
	if (e == ERR_OK)
		e = check_format(d, txn, msg);
	if (e == ERR_OK) {
		e = depot_err(mdb_txn_commit(txn), msg, "creating its tables");
		if (e == ERR_OK)
			store_file_used(dir);
		return e;
	}
	if (txn)
		mdb_txn_abort(txn);
	return e;
}

/* ---- what is left of a crash ---- */

struct recovery {
	struct depot *depot;
	MDB_txn *txn;
};

/* What was written and never acknowledged goes (P1). */
static void recover_pack(void *ctx, uint32_t number, uint64_t size)
{
	struct recovery *r = ctx;
	struct pack_row row;
	int rc = depot_pack_row(r->depot, r->txn, number, &row);
	if (rc == MDB_NOTFOUND)
		packs_remove(r->depot->packs, number);
	else if (rc == 0 && size > row.bytes)
		packs_cut(r->depot->packs, number, row.bytes);
}

static uint32_t pack_of_key(const MDB_val *k)
{
	const uint8_t *p = k->mv_data;
	return k->mv_size == 4 ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | p[2] << 8 | p[3] : 0;
}

/* The newest pack is written to. */
static int find_tail(struct depot *d, MDB_txn *txn)
{
	MDB_cursor *c;
	MDB_val k, v;
	struct pack_row row;
	int rc = mdb_cursor_open(txn, d->pack_rows, &c);
	if (rc != 0)
		return rc;
	d->tail = 1;
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0 &&
	       (rc = depot_pack_row(d, txn, pack_of_key(&k), &row)) == 0) {
		d->tail = pack_of_key(&k);
		d->tail_bytes = row.bytes;
		d->pack_bytes += row.bytes;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static enum err recover(struct depot *d, struct errmsg *msg)
{
	struct recovery r = {.depot = d};
	TRY(depot_read_begin(d, &r.txn));
	int rc = find_tail(d, r.txn);
	if (rc == 0)
		packs_each(d->packs, recover_pack, &r);
	depot_read_end(d, r.txn);
	return depot_err(rc, msg, "reading what packs there are");
}

enum err depot_open(const char *dir, struct depot **out, struct errmsg *msg)
{
	struct depot *d = calloc(1, sizeof *d);
	if (!d)
		return err_set(msg, ERR_NOMEM, "store: no memory");
	enum err e = open_env(d, dir, msg);
	d->pack_max = PACK_FIRST_MAX;
	uv_rwlock_init(&d->gate);
	uv_mutex_init(&d->writing);
	uv_mutex_init(&d->queue);
	uv_mutex_init(&d->rot);
	uv_cond_init(&d->turned);
	if (e == ERR_OK)
		e = packs_open(dir, &d->packs, msg);
	if (e == ERR_OK)
		e = recover(d, msg);
	if (e != ERR_OK) {
		depot_close(d);
		return e;
	}
	*out = d;
	return ERR_OK;
}

void depot_pack_size(struct depot *d, uint32_t bytes)
{
	uv_mutex_lock(&d->writing);
	d->pack_max = bytes;
	uv_mutex_unlock(&d->writing);
}

void depot_close(struct depot *d)
{
	if (!d)
		return;
	assert(d->holds == 0);
	packs_close(d->packs);
	if (d->env)
		mdb_env_close(d->env);
	uv_rwlock_destroy(&d->gate);
	uv_mutex_destroy(&d->writing);
	uv_mutex_destroy(&d->queue);
	uv_mutex_destroy(&d->rot);
	uv_cond_destroy(&d->turned);
	wr_free(&d->records);
	free(d->rotten);
	free(d);
}

/* ---- reading ---- */

enum err depot_read_begin(struct depot *d, MDB_txn **txn)
{
	uv_rwlock_rdlock(&d->gate);
	int rc = mdb_txn_begin(d->env, NULL, MDB_RDONLY, txn);
	if (rc != 0)
		uv_rwlock_rdunlock(&d->gate);
	return depot_err(rc, NULL, "");
}

void depot_read_end(struct depot *d, MDB_txn *txn)
{
	mdb_txn_abort(txn);
	uv_rwlock_rdunlock(&d->gate);
}

enum err depot_get(struct depot *d, enum depot_table t, const void *key, size_t key_size,
                   struct wr *out)
{
	MDB_txn *txn;
	TRY(depot_read_begin(d, &txn));
	MDB_val k = depot_val(key, key_size), v;
	int rc = mdb_get(txn, d->tables[t], &k, &v);
	if (rc == 0)
		wr_bytes(out, v.mv_data, v.mv_size);
	depot_read_end(d, txn);
	if (rc == 0 && !wr_ok(out))
		return ERR_NOMEM;
	return depot_err(rc, NULL, "");
}

/* All rows of a table as one buffer: u32 key size, key, u32 size, value. */
static enum err copy_rows(struct depot *d, enum depot_table t, struct wr *w)
{
	MDB_txn *txn;
	MDB_cursor *c;
	TRY(depot_read_begin(d, &txn));
	int rc = mdb_cursor_open(txn, d->tables[t], &c);
	MDB_val k, v;
	if (rc == 0) {
		while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
			wr_u32(w, (uint32_t)k.mv_size);
			wr_bytes(w, k.mv_data, k.mv_size);
			wr_u32(w, (uint32_t)v.mv_size);
			wr_bytes(w, v.mv_data, v.mv_size);
		}
		mdb_cursor_close(c);
	}
	depot_read_end(d, txn);
	if (!wr_ok(w))
		return ERR_NOMEM;
	return rc == MDB_NOTFOUND ? ERR_OK : depot_err(rc, NULL, "");
}

enum err depot_each(struct depot *d, enum depot_table t,
                    bool (*fn)(void *ctx, const uint8_t *key, size_t key_size, const uint8_t *value,
                               size_t size),
                    void *ctx)
{
	struct wr rows = {0};
	enum err e = copy_rows(d, t, &rows);
	struct rd r = rd_of(rows.data, rows.size);
	while (e == ERR_OK && rd_left(&r) > 0) {
		uint32_t key_size = 0, size = 0;
		const uint8_t *key = NULL, *value = NULL;
		rd_u32(&r, &key_size);
		rd_bytes(&r, key_size, &key);
		rd_u32(&r, &size);
		rd_bytes(&r, size, &value);
		if (!fn(ctx, key, key_size, value, size))
			break;
	}
	wr_free(&rows);
	return e;
}

int depot_find_number(struct depot *d, MDB_txn *txn, const struct chunk_addr *addr, uint64_t *n)
{
	MDB_val k = depot_val(addr->bytes, CHUNK_ADDR_SIZE), v;
	int rc = mdb_get(txn, d->index, &k, &v);
	if (rc == 0 && v.mv_size != sizeof *n)
		return MDB_CORRUPTED;
	if (rc == 0)
		memcpy(n, v.mv_data, sizeof *n);
	return rc;
}

enum err depot_has_chunks(struct depot *d, const struct chunk_addr *addrs, size_t count,
                          uint8_t *have)
{
	MDB_txn *txn;
	memset(have, 0, (count + 7) / 8);
	TRY(depot_read_begin(d, &txn));
	for (size_t i = 0; i < count; i++) {
		uint64_t n;
		if (depot_find_number(d, txn, &addrs[i], &n) == 0 && !depot_is_rotten(d, &addrs[i]))
			have[i / 8] |= (uint8_t)(1 << i % 8);
	}
	depot_read_end(d, txn);
	return ERR_OK;
}

bool depot_has_chunk(struct depot *d, const struct chunk_addr *addr)
{
	uint8_t have = 0;
	return depot_has_chunks(d, addr, 1, &have) == ERR_OK && have;
}

uint64_t depot_chunk_count(struct depot *d)
{
	MDB_txn *txn;
	MDB_stat st = {0};
	if (depot_read_begin(d, &txn) != ERR_OK)
		return 0;
	mdb_stat(txn, d->index, &st);
	depot_read_end(d, txn);
	return st.ms_entries;
}

static enum err chunk_damaged(const struct chunk_addr *addr, struct errmsg *msg)
{
	char text[17];
	chunk_addr_text(addr, text);
	return err_prefix(msg, ERR_MALFORMED, "store: chunk %s is damaged", text);
}

/* Appends the chunk to out. */
static enum err get_chunk(struct depot *d, MDB_txn *txn, const struct chunk_addr *addr,
                          struct wr *out, struct errmsg *msg)
{
	uint64_t n;
	struct place p;
	struct wr packed = {0};
	size_t before = out->size;
	int rc = depot_find_number(d, txn, addr, &n);
	if (rc == 0)
		rc = depot_find_place(d, txn, n, &p);
	enum err e = depot_err(rc, NULL, "");
	if (e == ERR_OK && p.in_pack)
		e = depot_read_place(d, addr, &p, &packed, msg);
	if (e == ERR_OK)
		e = chunk_unpack(p.in_pack ? packed.data : p.bytes, p.size, out, msg);
	if (e == ERR_OK)
		e = chunk_check(addr, out->data + before, out->size - before, msg);
	wr_free(&packed);
	return e;
}

static enum err no_chunk(const struct chunk_addr *addr, struct errmsg *msg)
{
	char text[17];
	chunk_addr_text(addr, text);
	return err_set(msg, ERR_NOTFOUND, "store: chunk %s is not here", text);
}

enum err depot_get_chunk(struct depot *d, const struct chunk_addr *addr, struct wr *out,
                         struct errmsg *msg)
{
	MDB_txn *txn;
	size_t before = out->size;
	TRY(depot_read_begin(d, &txn));
	enum err e = get_chunk(d, txn, addr, out, msg);
	depot_read_end(d, txn);
	if (e == ERR_OK)
		return ERR_OK;
	out->size = before;
	if (e == ERR_NOTFOUND)
		return no_chunk(addr, msg);
	if (e == ERR_NOMEM || e == ERR_BUSY)
		return e;
	depot_rotten(d, addr);
	return chunk_damaged(addr, msg);
}

/* ---- writing ---- */

struct depot_batch *depot_batch_new(struct depot *d)
{
	struct depot_batch *b = calloc(1, sizeof *b);
	if (!b)
		return NULL;
	b->depot = d;
	b->packer = chunk_packer_new();
	return b;
}

void depot_batch_free(struct depot_batch *b)
{
	if (!b)
		return;
	chunk_packer_free(b->packer);
	free(b->ops);
	wr_free(&b->bytes);
	free(b);
}

static struct op *add_op(struct depot_batch *b)
{
	if (b->count == b->cap) {
		size_t cap = b->cap ? 2 * b->cap : 64;
		struct op *ops = realloc(b->ops, cap * sizeof *ops);
		if (!ops) {
			b->failed = true;
			return NULL;
		}
		b->ops = ops;
		b->cap = cap;
	}
	struct op *op = &b->ops[b->count++];
	*op = (struct op){0};
	return op;
}

static size_t add_bytes(struct depot_batch *b, const void *bytes, size_t size)
{
	size_t at = b->bytes.size;
	wr_bytes(&b->bytes, bytes, size);
	return at;
}

void depot_put(struct depot_batch *b, enum depot_table t, const void *key, size_t key_size,
               const void *value, size_t size)
{
	assert(key_size > 0 && key_size <= DEPOT_KEY_MAX && size <= DEPOT_VALUE_MAX);
	struct op *op = add_op(b);
	if (!op)
		return;
	*op = (struct op){.kind = OP_PUT, .table = t, .key_size = key_size, .value_size = size};
	op->key = add_bytes(b, key, key_size);
	op->value = add_bytes(b, value, size);
}

void depot_del(struct depot_batch *b, enum depot_table t, const void *key, size_t key_size)
{
	assert(key_size > 0 && key_size <= DEPOT_KEY_MAX);
	struct op *op = add_op(b);
	if (!op)
		return;
	*op = (struct op){.kind = OP_DEL, .table = t, .key_size = key_size};
	op->key = add_bytes(b, key, key_size);
}

void depot_put_chunk(struct depot_batch *b, const struct chunk_addr *addr, const void *bytes,
                     size_t size)
{
	assert(!chunk_addr_is_null(addr) && size <= CHUNK_MAX);
	if (depot_has_chunk(b->depot, addr))
		return;
	struct op *op = add_op(b);
	if (!op)
		return;
	*op = (struct op){.kind = OP_CHUNK, .key_size = CHUNK_ADDR_SIZE, .raw = (uint32_t)size};
	size_t record = pack_record_begin(&b->bytes, addr);
	op->key = record + PACK_RECORD_ADDR;
	op->value = b->bytes.size;
	chunk_pack(b->packer, &b->bytes, bytes, size);
	op->value_size = b->bytes.size - op->value;
	if (op->value_size >= PACK_CHUNK_MIN)
		b->for_packs += PACK_RECORD_HEAD + op->value_size;
	pack_record_end(&b->bytes, record);
}

size_t depot_batch_size(const struct depot_batch *b)
{
	return b->bytes.size;
}

/* ---- performing: batches that wait are written together ---- */

/* A batch that waits for the disk. */
struct turn {
	struct depot_batch *batch;
	struct errmsg *msg;
	struct turn *next;
	enum err err;
	bool done;
};

/* What one transaction writes. */
struct writing {
	struct turn *first;
	bool in_packs;
	uint32_t pack;
	uint64_t offset;
	uint64_t next, dead;
};

static bool is_for_pack(const struct op *op)
{
	return op->kind == OP_CHUNK && op->value_size >= PACK_CHUNK_MIN;
}

static void gather_records(struct depot *d, struct depot_batch *b)
{
	for (size_t i = 0; i < b->count; i++) {
		struct op *op = &b->ops[i];
		if (!is_for_pack(op))
			continue;
		op->at = d->records.size;
		wr_bytes(&d->records, b->bytes.data + op->key - PACK_RECORD_ADDR,
		         PACK_RECORD_HEAD + op->value_size);
	}
}

/* The chunks' records are on the disk before the index names them (P1). */
static enum err write_records(struct depot *d, struct writing *w, struct errmsg *msg)
{
	size_t bytes = 0;
	for (struct turn *t = w->first; t; t = t->next)
		bytes += t->batch->for_packs;
	wr_clear(&d->records);
	if (bytes < PACK_WRITE_MIN)
		return ERR_OK;
	for (struct turn *t = w->first; t; t = t->next)
		gather_records(d, t->batch);
	if (!wr_ok(&d->records))
		return err_set(msg, ERR_NOMEM, "store: no memory for a batch");
	TRY(depot_records_write(d, &w->pack, &w->offset, msg));
	w->in_packs = true;
	return ERR_OK;
}

static int put_new_place(struct depot *d, MDB_txn *txn, struct depot_batch *b, const struct op *op,
                         struct writing *w, uint64_t n, unsigned flags)
{
	if (w->in_packs && is_for_pack(op)) {
		struct place p = {.in_pack = true,
		                  .pack = w->pack,
		                  .offset = (uint32_t)(w->offset + op->at),
		                  .size = (uint32_t)op->value_size,
		                  .raw = op->raw};
		return depot_put_place(d, txn, n, &p, flags);
	}
	MDB_val k = depot_val(&n, sizeof n);
	MDB_val v = depot_val(b->bytes.data + op->value, op->value_size);
	return mdb_put(txn, d->data, &k, &v, flags);
}

/* It is here already: only one that is damaged is replaced. */
static int put_again(struct depot *d, MDB_txn *txn, struct depot_batch *b, const struct op *op,
                     struct writing *w, uint64_t n)
{
	struct chunk_addr addr;
	struct place old;
	memcpy(addr.bytes, b->bytes.data + op->key, CHUNK_ADDR_SIZE);
	if (!depot_is_rotten(d, &addr)) {
		w->dead += w->in_packs && is_for_pack(op) ? PACK_RECORD_HEAD + op->value_size : 0;
		return 0;
	}
	int rc = depot_find_place(d, txn, n, &old);
	if (rc == 0)
		rc = depot_place_dies(d, txn, &old);
	return rc == 0 || rc == MDB_CORRUPTED || rc == MDB_NOTFOUND
	           ? put_new_place(d, txn, b, op, w, n, 0)
	           : rc;
}

static int put_chunk(struct depot *d, MDB_txn *txn, struct depot_batch *b, const struct op *op,
                     struct writing *w)
{
	MDB_val k = depot_val(b->bytes.data + op->key, CHUNK_ADDR_SIZE);
	MDB_val v = depot_val(&w->next, sizeof w->next);
	uint64_t there;
	int rc = mdb_put(txn, d->index, &k, &v, MDB_NOOVERWRITE);
	if (rc == MDB_KEYEXIST) {
		if (v.mv_size != sizeof there)
			return MDB_CORRUPTED;
		memcpy(&there, v.mv_data, sizeof there);
		return put_again(d, txn, b, op, w, there);
	}
	if (rc == 0)
		rc = put_new_place(d, txn, b, op, w, w->next, MDB_APPEND);
	if (rc == 0)
		w->next++;
	return rc;
}

static int perform(struct depot_batch *b, MDB_txn *txn, struct writing *w)
{
	struct depot *d = b->depot;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < b->count; i++) {
		const struct op *op = &b->ops[i];
		MDB_val k = depot_val(b->bytes.data + op->key, op->key_size);
		MDB_val v = depot_val(b->bytes.data + op->value, op->value_size);
		switch (op->kind) {
		case OP_PUT: rc = mdb_put(txn, d->tables[op->table], &k, &v, 0); break;
		case OP_CHUNK: rc = put_chunk(d, txn, b, op, w); break;
		case OP_DEL:
			rc = mdb_del(txn, d->tables[op->table], &k, NULL);
			rc = rc == MDB_NOTFOUND ? 0 : rc;
			break;
		}
	}
	return rc;
}

static int perform_all(struct depot *d, MDB_txn *txn, struct writing *w)
{
	int rc = 0;
	w->next = d->next;
	w->dead = 0;
	for (struct turn *t = w->first; rc == 0 && t; t = t->next)
		rc = perform(t->batch, txn, w);
	if (rc == 0 && w->in_packs)
		rc = depot_records_account(d, txn, w->pack, w->offset, w->dead);
	if (rc == 0 && w->next != d->next)
		rc = put_meta_u64(d, txn, "next", w->next);
	return rc;
}

static int write_once(struct depot *d, struct writing *w)
{
	MDB_txn *txn;
	uv_rwlock_rdlock(&d->gate);
	int rc = mdb_txn_begin(d->env, NULL, 0, &txn);
	if (rc == 0) {
		rc = perform_all(d, txn, w);
		if (rc == 0)
			rc = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	uv_rwlock_rdunlock(&d->gate);
	return rc;
}

/* The map doubles, or grows by what is needed. */
int depot_grow_map(struct depot *d, size_t need)
{
	MDB_envinfo info;
	uv_rwlock_wrlock(&d->gate);
	int rc = mdb_env_info(d->env, &info);
	size_t size = info.me_mapsize * 2;
	while (size < info.me_mapsize + 4 * need)
		size *= 2;
	if (rc == 0)
		rc = size > MAP_MAX ? MDB_MAP_FULL : mdb_env_set_mapsize(d->env, size);
	uv_rwlock_wrunlock(&d->gate);
	return rc;
}

static void heal_written(struct depot *d, const struct depot_batch *b)
{
	for (size_t i = 0; d->rotten_count && i < b->count; i++)
		if (b->ops[i].kind == OP_CHUNK) {
			struct chunk_addr addr;
			memcpy(addr.bytes, b->bytes.data + b->ops[i].key, CHUNK_ADDR_SIZE);
			depot_healed(d, &addr);
		}
}

static void after_commit(struct depot *d, const struct writing *w)
{
	d->next = w->next;
	if (w->in_packs)
		depot_records_count(d, w->pack, w->offset);
	for (struct turn *t = w->first; t; t = t->next)
		heal_written(d, t->batch);
}

/* One transaction for all of the list. With `writing`. */
static enum err write_list(struct depot *d, struct turn *first, struct errmsg *msg)
{
	struct writing w = {.first = first};
	size_t need = 0;
	int rc;
	for (struct turn *t = first; t; t = t->next)
		need += t->batch->bytes.size;
	TRY(write_records(d, &w, msg));
	while ((rc = write_once(d, &w)) == MDB_MAP_FULL) /* S2 */
		if (depot_grow_map(d, need) != 0)
			break;
	if (rc == 0)
		after_commit(d, &w);
	else if (w.in_packs)
		depot_records_drop(d, w.pack, w.offset);
	return depot_err(rc, msg, "writing");
}

static void write_alone(struct depot *d, struct turn *list)
{
	for (struct turn *t = list, *next; t; t = next) {
		next = t->next;
		t->next = NULL;
		t->err = write_list(d, t, t->msg);
		t->next = next;
	}
}

/* All together; when that fails each by itself, so that one too large for the disk fails alone. */
static void write_together(struct depot *d, struct turn *list)
{
	uv_mutex_lock(&d->writing);
	enum err e = write_list(d, list, list->msg);
	if (e != ERR_OK && list->next)
		write_alone(d, list);
	else
		for (struct turn *t = list; t; t = t->next)
			t->err = e;
	uv_mutex_unlock(&d->writing);
}

/* As many of the queue as make one transaction of sensible size. With `queue`. */
static struct turn *take_turns(struct depot *d)
{
	struct turn *first = d->first, *last = first;
	size_t bytes = first->batch->bytes.size;
	while (last->next && bytes + last->next->batch->bytes.size <= GROUP_MAX) {
		last = last->next;
		bytes += last->batch->bytes.size;
	}
	d->first = last->next;
	if (!d->first)
		d->last = NULL;
	last->next = NULL;
	return first;
}

/* Writes for all that wait now. With `queue`, which is let go meanwhile. */
static void lead(struct depot *d)
{
	struct turn *list = take_turns(d);
	d->leading = true;
	uv_mutex_unlock(&d->queue);
	write_together(d, list);
	uv_mutex_lock(&d->queue);
	for (struct turn *t = list, *next; t; t = next) {
		next = t->next; /* its thread may go on as soon as it is done */
		t->done = true;
	}
	d->leading = false;
	uv_cond_broadcast(&d->turned);
}

/* Who comes while another writes waits, and is then written together with all that wait. */
static enum err take_turn(struct depot_batch *b, struct errmsg *msg)
{
	struct depot *d = b->depot;
	struct turn t = {.batch = b, .msg = msg};
	uv_mutex_lock(&d->queue);
	if (d->last)
		d->last->next = &t;
	else
		d->first = &t;
	d->last = &t;
	while (!t.done)
		if (d->leading)
			uv_cond_wait(&d->turned, &d->queue);
		else
			lead(d);
	uv_mutex_unlock(&d->queue);
	return t.err;
}

static void batch_clear(struct depot_batch *b)
{
	b->count = 0;
	b->for_packs = 0;
	b->failed = false;
	wr_clear(&b->bytes);
}

enum err depot_write(struct depot_batch *b, struct errmsg *msg)
{
	enum err e = ERR_OK;
	if (b->failed || !wr_ok(&b->bytes))
		e = err_set(msg, ERR_NOMEM, "store: no memory for a batch");
	else if (b->count > 0)
		e = take_turn(b, msg);
	batch_clear(b);
	return e;
}

enum err depot_keep_setting(struct depot *d, const char *name, const void *value, size_t size,
                            struct errmsg *msg)
{
	struct depot_batch *b = depot_batch_new(d);
	if (!b)
		return err_set(msg, ERR_NOMEM, "store: no memory for a batch");
	if (size)
		depot_put(b, DEPOT_SETTINGS, name, strlen(name) + 1, value, size);
	else
		depot_del(b, DEPOT_SETTINGS, name, strlen(name) + 1);
	enum err e = depot_write(b, msg);
	depot_batch_free(b);
	return e;
}

void depot_hold(struct depot *d)
{
	uv_mutex_lock(&d->writing);
	d->holds++;
	d->holds_ever++;
	uv_mutex_unlock(&d->writing);
}

void depot_release(struct depot *d)
{
	uv_mutex_lock(&d->writing);
	assert(d->holds > 0);
	d->holds--;
	uv_mutex_unlock(&d->writing);
}
