/* store_check.c - what the store holds: sums, and whether it is sound. */
#include "node/store_impl.h"

#include "migrate/owner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- sums ---- */

static int sum_data(MDB_txn *txn, MDB_dbi data, struct depot_stats *s)
{
	MDB_cursor *c;
	MDB_val k, v;
	int rc = mdb_cursor_open(txn, data, &c);
	if (rc != 0)
		return rc;
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
		struct place p;
		if (!place_read(&v, &p))
			continue;
		s->chunks++;
		s->chunk_bytes += p.size;
		s->raw_bytes += p.raw;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int depot_sum_packs(struct depot *d, MDB_txn *txn, struct depot_stats *s)
{
	MDB_cursor *c;
	MDB_val k, v;
	int rc = mdb_cursor_open(txn, d->pack_rows, &c);
	if (rc != 0)
		return rc;
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
		struct pack_row row;
		if (!pack_row_read(&v, &row))
			continue;
		s->packs++;
		s->pack_bytes += row.bytes;
		s->dead_bytes += row.dead;
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
	return (info.me_last_pgno + 1) * st.ms_psize + d->pack_bytes;
}

enum err depot_stats(struct depot *d, struct depot_stats *out)
{
	MDB_txn *txn;
	MDB_envinfo info;
	memset(out, 0, sizeof *out);
	TRY(depot_read_begin(d, &txn));
	int rc = sum_data(txn, d->data, out);
	if (rc == 0)
		rc = depot_sum_packs(d, txn, out);
	if (rc == 0)
		rc = mdb_env_info(d->env, &info);
	if (rc == 0) {
		out->map_bytes = info.me_mapsize;
		out->used_bytes = depot_used_bytes(d);
	}
	depot_read_end(d, txn);
	return depot_err(rc, NULL, "");
}

/* ---- scrub: every chunk is read ---- */

enum { SCRUB_ADDRS = 256 };

/* The next addresses, and where to go on; no reader stays open while they are read. */
static int next_addrs(struct depot *d, struct chunk_addr *from, struct chunk_addr out[SCRUB_ADDRS],
                      unsigned *count)
{
	MDB_txn *txn;
	MDB_cursor *c;
	MDB_val k = depot_val(from->bytes, CHUNK_ADDR_SIZE), v;
	*count = 0;
	if (depot_read_begin(d, &txn) != ERR_OK)
		return EIO;
	int rc = mdb_cursor_open(txn, d->index, &c);
	if (rc == 0) {
		rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
		for (; rc == 0 && *count < SCRUB_ADDRS; rc = mdb_cursor_get(c, &k, &v, MDB_NEXT))
			if (k.mv_size == CHUNK_ADDR_SIZE)
				memcpy(out[(*count)++].bytes, k.mv_data, CHUNK_ADDR_SIZE);
		if (rc == 0 && k.mv_size == CHUNK_ADDR_SIZE)
			memcpy(from->bytes, k.mv_data, CHUNK_ADDR_SIZE);
		mdb_cursor_close(c);
	}
	depot_read_end(d, txn);
	return rc;
}

enum err depot_scrub(struct depot *d, struct chunk_addr *from, uint64_t max_bytes,
                     struct depot_scrub *sum, bool *end, struct errmsg *msg)
{
	struct chunk_addr addrs[SCRUB_ADDRS];
	struct wr w = {0};
	unsigned count;
	uint64_t until = sum->bytes + max_bytes;
	*end = false;
	while (!*end && sum->bytes < until) {
		int rc = next_addrs(d, from, addrs, &count);
		*end = rc == MDB_NOTFOUND;
		if (rc != 0 && !*end)
			return depot_err(rc, msg, "reading its index");
		for (unsigned i = 0; i < count; i++) {
			wr_clear(&w);
			enum err e = depot_get_chunk(d, &addrs[i], &w, NULL);
			sum->chunks += e != ERR_NOTFOUND;
			sum->bytes += w.size;
			sum->damaged += e == ERR_MALFORMED;
		}
	}
	wr_free(&w);
	return ERR_OK;
}

uint32_t depot_damaged(struct depot *d, struct chunk_addr *out, uint32_t max)
{
	MDB_txn *txn;
	uint32_t count = 0;
	if (!d->rotten_count || depot_read_begin(d, &txn) != ERR_OK)
		return 0;
	uv_mutex_lock(&d->rot);
	for (uint32_t i = 0; i < d->rotten_count && count < max; i++) {
		uint64_t n; /* what was collected meanwhile is missed by nobody */
		if (depot_find_number(d, txn, &d->rotten[i], &n) == 0)
			out[count++] = d->rotten[i];
	}
	uv_mutex_unlock(&d->rot);
	depot_read_end(d, txn);
	return count;
}

/* ---- soundness ---- */

struct checking {
	struct depot *depot;
	MDB_txn *txn;
	struct depot_soundness *out;
	bool repair;
};

static void wrong(struct depot_soundness *out, const char *fmt, uint32_t pack, uint64_t is,
                  uint64_t should)
{
	if (!out->first[0])
		snprintf(out->first, sizeof out->first, fmt, (unsigned)pack, (unsigned long long)is,
		         (unsigned long long)should);
}

/* Bytes of live records, by pack. */
struct live {
	uint32_t pack;
	uint64_t bytes, file; /* file: its size */
};

struct lives {
	struct live *list;
	size_t count, cap;
	bool failed;
};

static struct live *live_of(struct lives *l, uint32_t pack)
{
	for (size_t i = l->count; i-- > 0;)
		if (l->list[i].pack == pack)
			return &l->list[i];
	if (l->count == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		struct live *list = realloc(l->list, cap * sizeof *list);
		if (!list) {
			l->failed = true;
			return NULL;
		}
		l->list = list;
		l->cap = cap;
	}
	l->list[l->count] = (struct live){.pack = pack};
	return &l->list[l->count++];
}

static void note_file(void *ctx, uint32_t number, uint64_t size)
{
	struct live *l = live_of(ctx, number);
	if (l)
		l->file = size;
}

/* Of each address its row; what has none is lost. */
static int check_rows(struct checking *k, struct lives *lives)
{
	struct depot *d = k->depot;
	MDB_cursor *c;
	MDB_val key, v;
	int rc = mdb_cursor_open(k->txn, d->index, &c);
	if (rc != 0)
		return rc;
	while ((rc = mdb_cursor_get(c, &key, &v, MDB_NEXT)) == 0) {
		uint64_t n = 0;
		struct place p;
		memcpy(&n, v.mv_data, v.mv_size < sizeof n ? v.mv_size : sizeof n);
		int found =
		    v.mv_size == sizeof n ? depot_find_place(d, k->txn, n, &p) : MDB_CORRUPTED;
		if (found != 0) {
			k->out->lost++;
			wrong(k->out, "chunk %u has no row", (uint32_t)n, 0, 0);
			if (k->repair && (rc = mdb_cursor_del(c, 0)) != 0)
				break;
		} else if (p.in_pack) {
			struct live *l = live_of(lives, p.pack);
			if (l)
				l->bytes += PACK_RECORD_HEAD + p.size;
		}
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int check_pack(struct checking *k, const struct live *l)
{
	struct pack_row row;
	int rc = depot_pack_row(k->depot, k->txn, l->pack, &row);
	if (rc == MDB_NOTFOUND && !l->bytes)
		return 0; /* a file of a write that is under way */
	if (rc == MDB_NOTFOUND)
		row = (struct pack_row){0};
	else if (rc != 0)
		return rc;
	if (l->file < row.bytes) {
		k->out->short_packs++;
		wrong(k->out, "pack %08x has %llu of %llu bytes", l->pack, l->file, row.bytes);
	}
	if (rc == 0 && row.dead + l->bytes == row.bytes)
		return 0;
	k->out->wrong_packs++;
	wrong(k->out, "of pack %08x %llu bytes are counted as dead, of %llu", l->pack, row.dead,
	      row.bytes);
	if (!k->repair || l->bytes > row.bytes)
		return 0;
	row.dead = row.bytes - l->bytes;
	return depot_put_pack_row(k->depot, k->txn, l->pack, &row);
}

/* No file goes meanwhile (P2); what is written meanwhile is behind what this transaction counts. */
static int check_places(struct checking *k)
{
	struct lives lives = {0};
	packs_each(k->depot->packs, note_file, &lives);
	int rc = check_rows(k, &lives);
	for (size_t i = 0; rc == 0 && i < lives.count; i++)
		rc = check_pack(k, &lives.list[i]);
	free(lives.list);
	return rc == 0 && lives.failed ? ENOMEM : rc;
}

static int check_at_once(struct checking *k)
{
	struct depot *d = k->depot;
	if (k->repair)
		uv_mutex_lock(&d->writing);
	uv_rwlock_rdlock(&d->gate);
	int rc = mdb_txn_begin(d->env, NULL, k->repair ? 0 : MDB_RDONLY, &k->txn);
	if (rc == 0) {
		rc = check_places(k);
		if (rc == 0 && k->repair)
			rc = mdb_txn_commit(k->txn);
		else
			mdb_txn_abort(k->txn);
	}
	uv_rwlock_rdunlock(&d->gate);
	if (k->repair)
		uv_mutex_unlock(&d->writing);
	return rc;
}

static bool check_image(void *ctx, const uint8_t *key, size_t key_size, const uint8_t *value,
                        size_t size)
{
	struct checking *k = ctx;
	struct errmsg msg = {0};
	struct marking m = {.depot = k->depot, .msg = &msg};
	struct rd r = rd_of(value, size);
	struct owner o;
	if (owner_read(&r, &o) != ERR_OK || o.pending || chunk_addr_is_null(&o.image))
		return true;
	m.marks.count = k->depot->next;
	m.marks.bits = calloc(m.marks.count / 8 + 1, 1);
	k->out->images++;
	if (!m.marks.bits || marking_image(&m, &o.image) != ERR_OK) {
		k->out->broken_images++;
		if (!k->out->first[0])
			snprintf(k->out->first, sizeof k->out->first, "program %u (%s): %.80s",
			         (unsigned)o.pid, o.name, msg.text);
	}
	free(m.marks.bits);
	return true;
}

enum err depot_check(struct depot *d, bool repair, struct depot_soundness *out, struct errmsg *msg)
{
	struct checking k = {.depot = d, .out = out, .repair = repair};
	*out = (struct depot_soundness){0};
	int rc = check_at_once(&k);
	if (rc != 0)
		return depot_err(rc, msg, "checking");
	return depot_each(d, DEPOT_OWNERS, check_image, &k);
}

/* ---- what takes the room ---- */

struct using
{
	struct depot *depot;
	uint32_t *sizes;  /* of each number, as stored; 0: none */
	uint8_t *named;   /* how often: 0, 1, 2 for more */
	uint64_t count;   /* of numbers */
	bool counts_only; /* the first time round */
	void (*fn)(void *ctx, const struct depot_use *u);
	void *ctx;
	struct errmsg *msg;
};

static int read_sizes(struct using *u)
{
	MDB_txn *txn;
	MDB_cursor *c;
	MDB_val k, v;
	if (depot_read_begin(u->depot, &txn) != ERR_OK)
		return EIO;
	int rc = mdb_cursor_open(txn, u->depot->data, &c);
	if (rc == 0) {
		while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
			uint64_t n;
			struct place p;
			memcpy(&n, k.mv_data, sizeof n);
			if (n < u->count && place_read(&v, &p))
				u->sizes[n] = p.size;
		}
		mdb_cursor_close(c);
	}
	depot_read_end(u->depot, txn);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Numbers that were marked: counted the first time, added up the second. */
static void add_up(struct using *u, const struct marks *marks, struct depot_use *use)
{
	for (uint64_t n = 0; n < u->count; n++) {
		if (!(marks->bits[n / 8] & 1 << n % 8))
			continue;
		if (u->counts_only) {
			u->named[n] += u->named[n] < 2;
			continue;
		}
		use->chunks++;
		use->bytes += u->sizes[n];
		use->own_bytes += u->named[n] == 1 ? u->sizes[n] : 0;
	}
}

/* image: NULL: keeper number i. */
static void use_one(struct using *u, const struct owner *o, unsigned i)
{
	struct errmsg msg = {0};
	struct marking m = {.depot = u->depot, .msg = &msg, .marks = {.count = u->count}};
	struct depot_use use = {.owner = o, .name = o ? o->name : u->depot->keepers[i].name};
	m.marks.bits = calloc(u->count / 8 + 1, 1);
	if (!m.marks.bits)
		return;
	enum err e = o ? marking_image(&m, &o->image) : marking_keeper(&m, i);
	use.broken = e != ERR_OK;
	add_up(u, &m.marks, &use);
	free(m.marks.bits);
	if (!u->counts_only)
		u->fn(u->ctx, &use);
}

static bool use_owner(void *ctx, const uint8_t *key, size_t key_size, const uint8_t *value,
                      size_t size)
{
	struct rd r = rd_of(value, size);
	struct owner o;
	if (owner_read(&r, &o) == ERR_OK && !o.pending && !chunk_addr_is_null(&o.image))
		use_one(ctx, &o, 0);
	return true;
}

static enum err use_all(struct using *u)
{
	enum err e = depot_each(u->depot, DEPOT_OWNERS, use_owner, u);
	for (unsigned i = 0; i < u->depot->keeper_count; i++)
		use_one(u, NULL, i);
	return e;
}

static void use_rest(struct using *u)
{
	struct depot_use use = {0};
	for (uint64_t n = 0; n < u->count; n++)
		if (u->sizes[n] && !u->named[n]) {
			use.chunks++;
			use.bytes += u->sizes[n];
		}
	use.own_bytes = use.bytes;
	u->fn(u->ctx, &use);
}

enum err depot_uses(struct depot *d, void (*fn)(void *ctx, const struct depot_use *u), void *ctx,
                    struct errmsg *msg)
{
	struct using u = {.depot = d, .fn = fn, .ctx = ctx, .msg = msg, .counts_only = true};
	uv_mutex_lock(&d->writing);
	u.count = d->next;
	uv_mutex_unlock(&d->writing);
	u.sizes = calloc(u.count + 1, sizeof *u.sizes);
	u.named = calloc(u.count + 1, 1);
	int rc = u.sizes && u.named ? read_sizes(&u) : ENOMEM;
	enum err e = depot_err(rc, msg, "adding up");
	if (e == ERR_OK)
		e = use_all(&u);
	u.counts_only = false;
	if (e == ERR_OK)
		e = use_all(&u);
	if (e == ERR_OK)
		use_rest(&u);
	free(u.sizes);
	free(u.named);
	return e;
}
