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
#include "node/store.h"

#include "base/file.h"
#include "migrate/image.h"
#include "migrate/owner.h"
#include "node/store_file.h"

#include <assert.h>
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { FORMAT = 1, GC_STEP = 512 };

#define MAP_FIRST ((size_t)64 << 20)
#define MAP_MAX ((size_t)1 << 40)

struct depot {
	MDB_env *env;
	MDB_dbi meta, index, data;
	MDB_dbi tables[DEPOT_TABLE_COUNT];
	uv_rwlock_t gate;   /* S3 */
	uv_mutex_t writing; /* one batch at a time; guards next, holds */
	uint64_t next;
	uint64_t holds_ever; /* gc begun before the last hold must not remove anything */
	unsigned holds;
};

struct op {
	enum { OP_PUT, OP_DEL, OP_CHUNK } kind;
	enum depot_table table;
	size_t key, key_size, value, value_size; /* places in the batch's bytes */
};

struct depot_batch {
	struct depot *depot;
	struct op *ops;
	size_t count, cap;
	struct wr bytes;
	struct chunk_packer *packer;
	bool failed;
};

static enum err mdb_err(int rc, struct errmsg *msg, const char *doing)
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
	for (int i = 0; rc == 0 && i < DEPOT_TABLE_COUNT; i++)
		rc = mdb_dbi_open(txn, names[i], MDB_CREATE, &d->tables[i]);
	return rc;
}

static MDB_val val(const void *p, size_t size)
{
	return (MDB_val){.mv_size = size, .mv_data = (void *)p};
}

static int meta_u64(struct depot *d, MDB_txn *txn, const char *name, uint64_t *v)
{
	MDB_val k = val(name, strlen(name)), got;
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
	MDB_val k = val(name, strlen(name)), x = val(&v, sizeof v);
	return mdb_put(txn, d->meta, &k, &x, 0);
}

static enum err check_format(struct depot *d, MDB_txn *txn, struct errmsg *msg)
{
	uint64_t format = FORMAT;
	int rc = meta_u64(d, txn, "format", &format);
	if (rc == MDB_NOTFOUND)
		rc = put_meta_u64(d, txn, "format", FORMAT);
	if (rc == 0 && format != FORMAT)
		return err_set(msg, ERR_MALFORMED, "store: format %llu, this build reads %d",
		               (unsigned long long)format, FORMAT);
	d->next = 1;
	if (rc == 0)
		rc = meta_u64(d, txn, "next", &d->next);
	return mdb_err(rc == MDB_NOTFOUND ? 0 : rc, msg, "reading its head");
}

static enum err open_env(struct depot *d, const char *dir, struct errmsg *msg)
{
	enum err made = dir_make(dir, msg);
	if (made != ERR_OK)
		return err_prefix(msg, made, "store");
	TRY(store_file_check(dir, msg));
	int rc = mdb_env_create(&d->env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(d->env, 3 + DEPOT_TABLE_COUNT);
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
	enum err e = mdb_err(rc, msg, dir);
	if (e == ERR_MALFORMED)
		err_set(
		    msg, e,
		    "%s is damaged (%s). Bring it back from a copy; without it (removed) paired "
		    "devices and sleeping programs are forgotten",
		    dir, mdb_strerror(rc));
	if (e == ERR_OK)
		e = check_format(d, txn, msg);
	if (e == ERR_OK) {
		e = mdb_err(mdb_txn_commit(txn), msg, "creating its tables");
		if (e == ERR_OK)
			store_file_used(dir);
		return e;
	}
	if (txn)
		mdb_txn_abort(txn);
	return e;
}

enum err depot_open(const char *dir, struct depot **out, struct errmsg *msg)
{
	struct depot *d = calloc(1, sizeof *d);
	if (!d)
		return err_set(msg, ERR_NOMEM, "store: no memory");
	enum err e = open_env(d, dir, msg);
	if (e != ERR_OK) {
		if (d->env)
			mdb_env_close(d->env);
		free(d);
		return e;
	}
	uv_rwlock_init(&d->gate);
	uv_mutex_init(&d->writing);
	*out = d;
	return ERR_OK;
}

void depot_close(struct depot *d)
{
	if (!d)
		return;
	assert(d->holds == 0);
	mdb_env_close(d->env);
	uv_rwlock_destroy(&d->gate);
	uv_mutex_destroy(&d->writing);
	free(d);
}

/* ---- reading ---- */

static enum err read_begin(struct depot *d, MDB_txn **txn)
{
	uv_rwlock_rdlock(&d->gate);
	int rc = mdb_txn_begin(d->env, NULL, MDB_RDONLY, txn);
	if (rc != 0)
		uv_rwlock_rdunlock(&d->gate);
	return mdb_err(rc, NULL, "");
}

static void read_end(struct depot *d, MDB_txn *txn)
{
	mdb_txn_abort(txn);
	uv_rwlock_rdunlock(&d->gate);
}

enum err depot_get(struct depot *d, enum depot_table t, const void *key, size_t key_size,
                   struct wr *out)
{
	MDB_txn *txn;
	TRY(read_begin(d, &txn));
	MDB_val k = val(key, key_size), v;
	int rc = mdb_get(txn, d->tables[t], &k, &v);
	if (rc == 0)
		wr_bytes(out, v.mv_data, v.mv_size);
	read_end(d, txn);
	if (rc == 0 && !wr_ok(out))
		return ERR_NOMEM;
	return mdb_err(rc, NULL, "");
}

/* All rows of a table as one buffer: u32 key size, key, u32 size, value. */
static enum err copy_rows(struct depot *d, enum depot_table t, struct wr *w)
{
	MDB_txn *txn;
	MDB_cursor *c;
	TRY(read_begin(d, &txn));
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
	read_end(d, txn);
	if (!wr_ok(w))
		return ERR_NOMEM;
	return rc == MDB_NOTFOUND ? ERR_OK : mdb_err(rc, NULL, "");
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

static int find_number(struct depot *d, MDB_txn *txn, const struct chunk_addr *addr, uint64_t *n)
{
	MDB_val k = val(addr->bytes, CHUNK_ADDR_SIZE), v;
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
	TRY(read_begin(d, &txn));
	for (size_t i = 0; i < count; i++) {
		uint64_t n;
		if (find_number(d, txn, &addrs[i], &n) == 0)
			have[i / 8] |= (uint8_t)(1 << i % 8);
	}
	read_end(d, txn);
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
	if (read_begin(d, &txn) != ERR_OK)
		return 0;
	mdb_stat(txn, d->index, &st);
	read_end(d, txn);
	return st.ms_entries;
}

static enum err chunk_damaged(const struct chunk_addr *addr, struct errmsg *msg)
{
	char text[17];
	chunk_addr_text(addr, text);
	return err_prefix(msg, ERR_MALFORMED, "store: chunk %s is damaged", text);
}

static enum err get_packed(struct depot *d, MDB_txn *txn, const struct chunk_addr *addr, MDB_val *v)
{
	uint64_t n;
	int rc = find_number(d, txn, addr, &n);
	if (rc == 0) {
		MDB_val k = val(&n, sizeof n);
		rc = mdb_get(txn, d->data, &k, v);
	}
	return mdb_err(rc, NULL, "");
}

enum err depot_get_chunk(struct depot *d, const struct chunk_addr *addr, struct wr *out,
                         struct errmsg *msg)
{
	MDB_txn *txn;
	MDB_val v;
	size_t before = out->size;
	TRY(read_begin(d, &txn));
	enum err e = get_packed(d, txn, addr, &v);
	if (e == ERR_NOTFOUND) {
		char text[17];
		chunk_addr_text(addr, text);
		err_set(msg, e, "store: chunk %s is not here", text);
	} else if (e == ERR_OK) {
		e = chunk_unpack(v.mv_data, v.mv_size, out, msg);
		if (e == ERR_OK)
			e = chunk_check(addr, out->data + before, out->size - before, msg);
		if (e != ERR_OK && e != ERR_NOMEM)
			e = chunk_damaged(addr, msg);
	}
	read_end(d, txn);
	if (e != ERR_OK)
		out->size = before;
	return e;
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
	*op = (struct op){.kind = OP_CHUNK, .key_size = CHUNK_ADDR_SIZE};
	op->key = add_bytes(b, addr->bytes, CHUNK_ADDR_SIZE);
	op->value = b->bytes.size;
	chunk_pack(b->packer, &b->bytes, bytes, size);
	op->value_size = b->bytes.size - op->value;
}

size_t depot_batch_size(const struct depot_batch *b)
{
	return b->bytes.size;
}

static int put_chunk(struct depot *d, MDB_txn *txn, MDB_val *addr, MDB_val *packed, uint64_t *next)
{
	MDB_val n = val(next, sizeof *next);
	int rc = mdb_put(txn, d->index, addr, &n, MDB_NOOVERWRITE);
	if (rc == MDB_KEYEXIST)
		return 0;
	n = val(next, sizeof *next);
	if (rc == 0)
		rc = mdb_put(txn, d->data, &n, packed, MDB_APPEND);
	if (rc == 0)
		++*next;
	return rc;
}

static int perform(struct depot_batch *b, MDB_txn *txn, uint64_t *next)
{
	struct depot *d = b->depot;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < b->count; i++) {
		const struct op *op = &b->ops[i];
		MDB_val k = val(b->bytes.data + op->key, op->key_size);
		MDB_val v = val(b->bytes.data + op->value, op->value_size);
		switch (op->kind) {
		case OP_PUT: rc = mdb_put(txn, d->tables[op->table], &k, &v, 0); break;
		case OP_CHUNK: rc = put_chunk(d, txn, &k, &v, next); break;
		case OP_DEL:
			rc = mdb_del(txn, d->tables[op->table], &k, NULL);
			rc = rc == MDB_NOTFOUND ? 0 : rc;
			break;
		}
	}
	return rc;
}

static int write_once(struct depot_batch *b)
{
	struct depot *d = b->depot;
	MDB_txn *txn;
	uint64_t next = d->next;
	uv_rwlock_rdlock(&d->gate);
	int rc = mdb_txn_begin(d->env, NULL, 0, &txn);
	if (rc == 0) {
		rc = perform(b, txn, &next);
		if (rc == 0 && next != d->next)
			rc = put_meta_u64(d, txn, "next", next);
		if (rc == 0)
			rc = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	uv_rwlock_rdunlock(&d->gate);
	if (rc == 0)
		d->next = next;
	return rc;
}

/* The map doubles, or grows by what the batch needs. */
static int grow_map(struct depot *d, size_t need)
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

static void batch_clear(struct depot_batch *b)
{
	b->count = 0;
	b->failed = false;
	wr_clear(&b->bytes);
}

enum err depot_write(struct depot_batch *b, struct errmsg *msg)
{
	struct depot *d = b->depot;
	enum err e = ERR_OK;
	if (b->failed || !wr_ok(&b->bytes)) {
		e = err_set(msg, ERR_NOMEM, "store: no memory for a batch");
	} else if (b->count > 0) {
		uv_mutex_lock(&d->writing);
		int rc;
		while ((rc = write_once(b)) == MDB_MAP_FULL) /* S2 */
			if (grow_map(d, b->bytes.size) != 0)
				break;
		uv_mutex_unlock(&d->writing);
		e = mdb_err(rc, msg, "writing");
	}
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

/* ---- garbage: numbers that no image names ---- */

/* One bit a chunk number. */
struct marks {
	uint8_t *bits;
	uint64_t count; /* numbers below it may be removed */
};

struct marking {
	struct depot *depot;
	struct marks marks;
	struct wr owners; /* images to look at, 33 bytes each */
	struct errmsg *msg;
};

/* Returns whether the chunk is newly marked; *e when it is missing. */
static bool mark(struct marking *m, const struct chunk_addr *addr, enum err *e)
{
	MDB_txn *txn;
	uint64_t n = 0;
	if (*e != ERR_OK || chunk_addr_is_null(addr))
		return false;
	*e = read_begin(m->depot, &txn);
	if (*e != ERR_OK)
		return false;
	int rc = find_number(m->depot, txn, addr, &n);
	read_end(m->depot, txn);
	if (rc != 0) {
		char text[17];
		chunk_addr_text(addr, text);
		*e = err_set(m->msg, ERR_NOTFOUND, "store: chunk %s of an image is missing", text);
		return false;
	}
	if (n >= m->marks.count || m->marks.bits[n / 8] & 1 << n % 8)
		return false;
	m->marks.bits[n / 8] |= (uint8_t)(1 << n % 8);
	return true;
}

static enum err mark_list(struct marking *m, const struct chunk_addr *list)
{
	struct wr w = {0};
	enum err e = ERR_OK;
	if (!mark(m, list, &e))
		return e;
	e = depot_get_chunk(m->depot, list, &w, m->msg);
	struct rd r = rd_of(w.data, w.size);
	while (e == ERR_OK && rd_left(&r) > 0) {
		struct chunk_addr a;
		e = chunk_addr_read(&r, &a);
		mark(m, &a, &e);
	}
	wr_free(&w);
	return e;
}

static enum err mark_image(struct marking *m, const struct chunk_addr *id)
{
	struct wr w = {0};
	struct manifest mf = {0};
	enum err e = ERR_OK;
	if (!mark(m, id, &e))
		return e;
	e = depot_get_chunk(m->depot, id, &w, m->msg);
	if (e == ERR_OK)
		e = manifest_read(w.data, w.size, &mf, m->msg);
	for (uint32_t i = 0; e == ERR_OK && i < mf.nmodules; i++)
		e = mark_list(m, &mf.modules[i].list);
	for (uint32_t i = 0; e == ERR_OK && i < mf.nspaces; i++)
		for (uint32_t g = 0; e == ERR_OK && g < mf.spaces[i].ngroups; g++)
			e = mark_list(m, &mf.spaces[i].groups[g]);
	manifest_free(&mf);
	wr_free(&w);
	return e;
}

static bool collect_image(void *ctx, const uint8_t *key, size_t key_size, const uint8_t *value,
                          size_t size)
{
	struct marking *m = ctx;
	struct rd r = rd_of(value, size);
	struct owner o;
	if (owner_read(&r, &o) == ERR_OK) {
		if (!o.pending) /* else its image never became whole here */
			chunk_addr_write(&m->owners, &o.image);
	} else {
		m->owners.failed = true; /* a record that cannot be read may name anything */
	}
	return true;
}

static enum err mark_all(struct marking *m)
{
	enum err e = depot_each(m->depot, DEPOT_OWNERS, collect_image, m);
	if (e == ERR_OK && !wr_ok(&m->owners))
		e = err_set(m->msg, ERR_MALFORMED, "store: an ownership record is not readable");
	struct rd r = rd_of(m->owners.data, m->owners.size);
	while (e == ERR_OK && rd_left(&r) > 0) {
		struct chunk_addr id;
		e = chunk_addr_read(&r, &id);
		if (e == ERR_OK)
			e = mark_image(m, &id);
	}
	return e;
}

static bool is_marked(const struct marks *marks, uint64_t n)
{
	return n >= marks->count || marks->bits[n / 8] & 1 << n % 8;
}

/* Marks the newest chunks that are not, up to so many bytes of them. */
static enum err spare_newest(struct marking *m, uint64_t bytes)
{
	MDB_txn *txn;
	MDB_cursor *c = NULL;
	MDB_val k, v;
	TRY(read_begin(m->depot, &txn));
	int rc = mdb_cursor_open(txn, m->depot->data, &c);
	if (rc == 0)
		rc = mdb_cursor_get(c, &k, &v, MDB_LAST);
	for (uint64_t n; rc == 0; rc = mdb_cursor_get(c, &k, &v, MDB_PREV)) {
		memcpy(&n, k.mv_data, sizeof n);
		if (is_marked(&m->marks, n))
			continue;
		if (v.mv_size > bytes)
			break;
		bytes -= v.mv_size;
		m->marks.bits[n / 8] |= (uint8_t)(1 << n % 8);
	}
	if (c)
		mdb_cursor_close(c);
	read_end(m->depot, txn);
	return mdb_err(rc == MDB_NOTFOUND ? 0 : rc, m->msg, "looking for garbage");
}

/* One short transaction: looks at up to GC_STEP rows of the index from *from on. */
static int sweep_step(struct depot *d, const struct marks *marks, struct chunk_addr *from,
                      bool *end, struct depot_gc_result *res)
{
	MDB_txn *txn;
	MDB_cursor *c = NULL;
	MDB_val k = val(from->bytes, CHUNK_ADDR_SIZE), v;
	int rc = mdb_txn_begin(d->env, NULL, 0, &txn);
	if (rc != 0)
		return rc;
	rc = mdb_cursor_open(txn, d->index, &c);
	if (rc == 0)
		rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	for (int i = 0; rc == 0 && i < GC_STEP; i++) {
		uint64_t n;
		memcpy(&n, v.mv_data, sizeof n);
		if (!is_marked(marks, n)) {
			MDB_val dk = val(&n, sizeof n), dv;
			rc = mdb_get(txn, d->data, &dk, &dv);
			res->removed_bytes += rc == 0 ? dv.mv_size : 0;
			res->removed++;
			if (rc == 0)
				rc = mdb_del(txn, d->data, &dk, NULL);
			if (rc == 0)
				rc = mdb_cursor_del(c, 0);
		} else {
			res->kept++;
		}
		if (rc == 0)
			rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	*end = rc == MDB_NOTFOUND;
	if (rc == 0)
		memcpy(from->bytes, k.mv_data, CHUNK_ADDR_SIZE);
	if (c)
		mdb_cursor_close(c);
	if (rc != 0 && !*end) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

static enum err sweep(struct depot *d, const struct marks *marks, uint64_t holds_ever,
                      struct depot_gc_result *res, struct errmsg *msg)
{
	struct chunk_addr from = {0};
	int rc = 0;
	for (bool end = false; rc == 0 && !end;) {
		uv_mutex_lock(&d->writing);
		if (d->holds_ever != holds_ever) {
			uv_mutex_unlock(&d->writing);
			return err_set(msg, ERR_BUSY, "store: an image is being written");
		}
		uv_rwlock_rdlock(&d->gate);
		rc = sweep_step(d, marks, &from, &end, res);
		uv_rwlock_rdunlock(&d->gate);
		uv_mutex_unlock(&d->writing);
	}
	return mdb_err(rc, msg, "removing chunks");
}

enum err depot_gc(struct depot *d, uint64_t spare_bytes, struct depot_gc_result *out,
                  struct errmsg *msg)
{
	struct marking m = {.depot = d, .msg = msg};
	struct depot_gc_result res = {0};
	uv_mutex_lock(&d->writing);
	bool busy = d->holds > 0;
	uint64_t holds_ever = d->holds_ever;
	m.marks.count = d->next;
	uv_mutex_unlock(&d->writing);
	if (busy)
		return err_set(msg, ERR_BUSY, "store: an image is being written");
	m.marks.bits = calloc(m.marks.count / 8 + 1, 1);
	enum err e = m.marks.bits ? mark_all(&m) : ERR_NOMEM;
	if (e == ERR_OK && spare_bytes)
		e = spare_newest(&m, spare_bytes);
	if (e == ERR_OK)
		e = sweep(d, &m.marks, holds_ever, &res, msg);
	free(m.marks.bits);
	wr_free(&m.owners);
	if (out)
		*out = res;
	return e;
}

static int sum_data(MDB_txn *txn, MDB_dbi data, struct depot_stats *s)
{
	MDB_cursor *c;
	MDB_val k, v;
	int rc = mdb_cursor_open(txn, data, &c);
	if (rc != 0)
		return rc;
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
		struct rd r = rd_of(v.mv_data, v.mv_size);
		uint8_t form;
		uint32_t size = 0;
		rd_u8(&r, &form);
		rd_u32(&r, &size);
		s->chunks++;
		s->chunk_bytes += v.mv_size;
		s->raw_bytes += size;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

uint64_t depot_used_bytes(struct depot *d)
{
	MDB_envinfo info;
	MDB_stat st;
	if (mdb_env_info(d->env, &info) != 0 || mdb_env_stat(d->env, &st) != 0)
		return 0;
	return (info.me_last_pgno + 1) * st.ms_psize;
}

enum err depot_stats(struct depot *d, struct depot_stats *out)
{
	MDB_txn *txn;
	MDB_envinfo info;
	memset(out, 0, sizeof *out);
	TRY(read_begin(d, &txn));
	int rc = sum_data(txn, d->data, out);
	if (rc == 0)
		rc = mdb_env_info(d->env, &info);
	if (rc == 0) {
		out->map_bytes = info.me_mapsize;
		out->used_bytes = depot_used_bytes(d);
	}
	read_end(d, txn);
	return mdb_err(rc, NULL, "");
}
