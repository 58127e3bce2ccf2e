/* store_gc.c - garbage: chunks that nothing names are removed, and packs that hold little else are emptied.
 *
 * First everything that is named is marked, one bit a chunk number, by reads alone. Then come steps that each hold `writing` for a few milliseconds
 * and a commit: rows are removed, the live rest of packs that are half dead is copied to the newest, and packs without anything live are removed.
 */
#include "node/store_impl.h"

#include "base/os.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	GC_STEP = 512,             /* rows looked at in a step */
	GC_STEP_NS = 4000000,      /* and the time for it */
	GC_MOVE_BYTES = 512 << 10, /* copied in a step */
	PUNCH_MIN = 8 << 10,       /* between live records, to be worth a call */
	GC_TAIL_PART = 16,         /* less of the pack that is written to waits for more */
};

/* Behind the last record of any pack. */
#define PUNCH_END ((uint64_t)1 << 33)

/* ---- what is spared ---- */

/* Marks the newest chunks that are not, up to so many bytes of them. */
static enum err spare_newest(struct marking *m, uint64_t bytes)
{
	MDB_txn *txn;
	MDB_cursor *c = NULL;
	MDB_val k, v;
	TRY(depot_read_begin(m->depot, &txn));
	int rc = mdb_cursor_open(txn, m->depot->data, &c);
	if (rc == 0)
		rc = mdb_cursor_get(c, &k, &v, MDB_LAST);
	for (uint64_t n; rc == 0; rc = mdb_cursor_get(c, &k, &v, MDB_PREV)) {
		memcpy(&n, k.mv_data, sizeof n);
		if (marks_has(&m->marks, n))
			continue;
		struct place p;
		if (!place_read(&v, &p))
			continue;
		if (p.size > bytes)
			break;
		bytes -= p.size;
		m->marks.bits[n / 8] |= (uint8_t)(1 << n % 8);
	}
	if (c)
		mdb_cursor_close(c);
	depot_read_end(m->depot, txn);
	return depot_err(rc == MDB_NOTFOUND ? 0 : rc, m->msg, "looking for garbage");
}

/* ---- sweeping ---- */

static int remove_chunk(struct depot *d, MDB_txn *txn, MDB_cursor *c, uint64_t n,
                        struct depot_gc_result *res)
{
	MDB_val k = depot_val(&n, sizeof n);
	struct place p;
	int rc = depot_find_place(d, txn, n, &p);
	if (rc == 0) {
		res->removed_bytes += p.size;
		rc = depot_place_dies(d, txn, &p);
	}
	res->removed++;
	if (rc == 0 || rc == MDB_CORRUPTED)
		rc = mdb_del(txn, d->data, &k, NULL);
	return rc == 0 || rc == MDB_NOTFOUND ? mdb_cursor_del(c, 0) : rc;
}

/* One short transaction: looks at up to GC_STEP rows of the index from *from on. */
static int sweep_rows(struct depot *d, MDB_txn *txn, const struct marks *marks,
                      struct chunk_addr *from, bool *end, struct depot_gc_result *res)
{
	MDB_cursor *c;
	MDB_val k = depot_val(from->bytes, CHUNK_ADDR_SIZE), v;
	uint64_t until = os_monotonic_ns() + GC_STEP_NS;
	int rc = mdb_cursor_open(txn, d->index, &c);
	if (rc != 0)
		return rc;
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	for (int i = 0; rc == 0 && i < GC_STEP && os_monotonic_ns() < until; i++) {
		uint64_t n;
		memcpy(&n, v.mv_data, sizeof n);
		if (marks_has(marks, n))
			res->kept++;
		else
			rc = remove_chunk(d, txn, c, n, res);
		if (rc == 0)
			rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	*end = rc == MDB_NOTFOUND;
	if (rc == 0)
		memcpy(from->bytes, k.mv_data, CHUNK_ADDR_SIZE);
	mdb_cursor_close(c);
	return *end ? 0 : rc;
}

static int sweep_step(struct depot *d, const struct marks *marks, struct chunk_addr *from,
                      bool *end, struct depot_gc_result *res)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(d->env, NULL, 0, &txn);
	if (rc != 0)
		return rc;
	rc = sweep_rows(d, txn, marks, from, end, res);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

/* A step of gc: writers wait until step_end(). */
static uint64_t step_begin(struct depot *d)
{
	uv_mutex_lock(&d->writing);
	return os_monotonic_ns();
}

static void step_end(struct depot *d, uint64_t began, struct depot_gc_result *res)
{
	uint64_t ns = os_monotonic_ns() - began;
	uv_mutex_unlock(&d->writing);
	if (ns > res->longest_ns)
		res->longest_ns = ns;
}

static enum err sweep(struct depot *d, const struct marks *marks, uint64_t holds_ever,
                      struct depot_gc_result *res, struct errmsg *msg)
{
	struct chunk_addr from = {0};
	int rc = 0;
	for (bool end = false; rc == 0 && !end;) {
		uint64_t began = step_begin(d);
		bool held = d->holds_ever != holds_ever;
		struct depot_gc_result before = *res;
		if (!held) {
			uv_rwlock_rdlock(&d->gate);
			rc = sweep_step(d, marks, &from, &end, res);
			uv_rwlock_rdunlock(&d->gate);
		}
		if (rc == MDB_MAP_FULL) {
			*res = before;
			end = false;
			rc = depot_grow_map(d, 0);
		}
		step_end(d, began, res);
		if (held)
			return err_set(msg, ERR_BUSY, "store: an image is being written");
	}
	return depot_err(rc, msg, "removing chunks");
}

/* ---- packs ---- */

/* Those to be emptied, and what lives in them. */
struct emptying {
	struct wr packs; /* u32 each */
	struct wr rows;  /* u64 number, u32 pack, u32 offset, u32 size, u32 raw each */
};

enum { LIVE_ROW = 24 };

static bool is_listed(const struct wr *packs, uint32_t pack)
{
	struct rd r = rd_of(packs->data, packs->size);
	uint32_t one;
	while (rd_u32(&r, &one) == ERR_OK)
		if (one == pack)
			return true;
	return false;
}

static uint32_t pack_of(const MDB_val *key)
{
	const uint8_t *k = key->mv_data;
	return (uint32_t)k[0] << 24 | (uint32_t)k[1] << 16 | (uint32_t)k[2] << 8 | k[3];
}

/* Packs of which so much is dead: bytes * part <= dead * whole. */
static int list_packs(struct depot *d, MDB_txn *txn, unsigned part, unsigned whole, struct wr *out)
{
	MDB_cursor *c;
	MDB_val k, v;
	int rc = mdb_cursor_open(txn, d->pack_rows, &c);
	if (rc != 0)
		return rc;
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
		struct pack_row row;
		uint32_t pack = pack_of(&k);
		if (depot_pack_row(d, txn, pack, &row) == 0 &&
		    row.dead * whole >= row.bytes * part &&
		    (pack != d->tail || row.dead >= row.bytes))
			wr_u32(out, pack);
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int list_live(struct depot *d, MDB_txn *txn, struct emptying *em)
{
	MDB_cursor *c;
	MDB_val k, v;
	struct place p;
	int rc = mdb_cursor_open(txn, d->data, &c);
	if (rc != 0)
		return rc;
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
		if (!place_read(&v, &p) || !p.in_pack || !is_listed(&em->packs, p.pack))
			continue;
		wr_bytes(&em->rows, k.mv_data, 8);
		wr_u32(&em->rows, p.pack);
		wr_u32(&em->rows, p.offset);
		wr_u32(&em->rows, p.size);
		wr_u32(&em->rows, p.raw);
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static void read_live(struct rd *r, uint64_t *n, struct place *p)
{
	const uint8_t *number = NULL;
	*p = (struct place){.in_pack = true};
	rd_bytes(r, 8, &number);
	memcpy(n, number, 8);
	rd_u32(r, &p->pack);
	rd_u32(r, &p->offset);
	rd_u32(r, &p->size);
	rd_u32(r, &p->raw);
}

/* The record's bytes as they are: what is damaged stays so, and is known then. False: nothing was added. */
static bool add_record(struct depot *d, const struct place *p)
{
	size_t before = d->records.size, size = PACK_RECORD_HEAD + p->size;
	uint8_t *room = wr_space(&d->records, size);
	if (room && packs_read(d->packs, p->pack, p->offset, room, size, NULL) == ERR_OK) {
		struct chunk_addr addr = pack_record_addr(room);
		if (!pack_record_is_whole(room, size))
			depot_rotten(d, &addr);
		return true;
	}
	d->records.size = before;
	return false;
}

/* Records into d->records, and their rows into moved, for one step. */
static int gather(struct depot *d, struct rd *live, struct wr *moved)
{
	MDB_txn *txn;
	wr_clear(&d->records);
	wr_clear(moved);
	if (depot_read_begin(d, &txn) != ERR_OK)
		return EIO;
	while (rd_left(live) >= LIVE_ROW && d->records.size < GC_MOVE_BYTES) {
		uint64_t n;
		struct place p, now;
		size_t at = d->records.size;
		const uint8_t *row = live->p;
		read_live(live, &n, &p);
		if (depot_find_place(d, txn, n, &now) != 0 || !now.in_pack || now.pack != p.pack ||
		    now.offset != p.offset || !add_record(d, &p))
			continue;
		wr_bytes(moved, row, LIVE_ROW);
		wr_u32(moved, (uint32_t)at);
	}
	depot_read_end(d, txn);
	return wr_ok(moved) ? 0 : ENOMEM;
}

static int put_moved(struct depot *d, MDB_txn *txn, const struct wr *moved, uint32_t pack,
                     uint64_t offset)
{
	struct rd r = rd_of(moved->data, moved->size);
	int rc = depot_records_account(d, txn, pack, offset, 0);
	while (rc == 0 && rd_left(&r) > 0) {
		uint64_t n;
		uint32_t at = 0;
		struct place p;
		read_live(&r, &n, &p);
		rd_u32(&r, &at);
		rc = depot_place_dies(d, txn, &p);
		p.pack = pack;
		p.offset = (uint32_t)offset + at;
		if (rc == 0)
			rc = depot_put_place(d, txn, n, &p, 0);
	}
	return rc;
}

static int commit_moved(struct depot *d, const struct wr *moved, uint32_t pack, uint64_t offset)
{
	MDB_txn *txn;
	uv_rwlock_rdlock(&d->gate);
	int rc = mdb_txn_begin(d->env, NULL, 0, &txn);
	if (rc == 0) {
		rc = put_moved(d, txn, moved, pack, offset);
		if (rc == 0)
			rc = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	uv_rwlock_rdunlock(&d->gate);
	return rc;
}

/* With `writing`. */
static enum err move_step(struct depot *d, struct rd *live, struct wr *moved,
                          struct depot_gc_result *res, struct errmsg *msg)
{
	uint32_t pack;
	uint64_t offset;
	int rc = gather(d, live, moved);
	if (rc != 0 || !d->records.size)
		return depot_err(rc, msg, "emptying a pack");
	TRY(depot_records_write(d, &pack, &offset, msg));
	while ((rc = commit_moved(d, moved, pack, offset)) == MDB_MAP_FULL)
		if (depot_grow_map(d, 0) != 0)
			break;
	if (rc != 0) {
		depot_records_drop(d, pack, offset);
	} else {
		depot_records_count(d, pack, offset);
		res->moved_bytes += d->records.size;
	}
	return depot_err(rc, msg, "emptying a pack");
}

static enum err find_live(struct depot *d, struct emptying *em, struct errmsg *msg)
{
	MDB_txn *txn;
	TRY(depot_read_begin(d, &txn));
	int rc = list_packs(d, txn, 1, 2, &em->packs);
	if (rc == 0 && em->packs.size)
		rc = list_live(d, txn, em);
	depot_read_end(d, txn);
	if (rc == 0 && !(wr_ok(&em->packs) && wr_ok(&em->rows)))
		rc = ENOMEM;
	return depot_err(rc, msg, "looking for packs to empty");
}

/* ---- a full disk: nothing can be copied ---- */

static int by_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Of a pack all that lies between its live records. */
static void punch_pack(struct depot *d, uint32_t pack, const struct place *live, size_t count)
{
	uint64_t at = 0;
	for (size_t i = 0; i <= count; i++) {
		bool end = i == count || live[i].pack > pack;
		if (!end && live[i].pack < pack)
			continue;
		uint64_t to = end ? at + PUNCH_END : live[i].offset;
		if (to >= at + PUNCH_MIN)
			packs_punch(d->packs, pack, at, to - at);
		if (end)
			return;
		at = live[i].offset + PACK_RECORD_HEAD + live[i].size;
	}
}

static void punch_all(struct depot *d, const struct emptying *em)
{
	size_t count = em->rows.size / LIVE_ROW;
	struct place *live = calloc(count + 1, sizeof *live);
	struct rd rows = rd_of(em->rows.data, em->rows.size);
	struct rd packs = rd_of(em->packs.data, em->packs.size);
	uint64_t n;
	uint32_t pack;
	if (!live)
		return;
	for (size_t i = 0; i < count; i++)
		read_live(&rows, &n, &live[i]);
	qsort(live, count, sizeof *live, by_place);
	while (rd_u32(&packs, &pack) == ERR_OK)
		if (pack != d->tail)
			punch_pack(d, pack, live, count);
	free(live);
}

/* Dead records give their room back where they lie. Readers that began before may still want them: none is left (P2). */
static void punch_packs(struct depot *d, struct depot_gc_result *res)
{
	struct emptying em = {0};
	uint64_t began = step_begin(d);
	if (find_live(d, &em, NULL) == ERR_OK) {
		uv_rwlock_wrlock(&d->gate);
		punch_all(d, &em);
		uv_rwlock_wrunlock(&d->gate);
	}
	step_end(d, began, res);
	wr_free(&em.rows);
	wr_free(&em.packs);
}

static enum err empty_packs(struct depot *d, struct depot_gc_result *res, struct errmsg *msg)
{
	struct emptying em = {0};
	struct wr moved = {0};
	enum err e = find_live(d, &em, msg);
	struct rd live = rd_of(em.rows.data, em.rows.size);
	while (e == ERR_OK && rd_left(&live) > 0) {
		uint64_t began = step_begin(d);
		e = move_step(d, &live, &moved, res, msg);
		step_end(d, began, res);
	}
	wr_free(&moved);
	wr_free(&em.rows);
	wr_free(&em.packs);
	return e;
}

/* With `writing`. The rows of packs without anything live go, then their files (P2). */
static int drop_rows(struct depot *d, struct wr *gone)
{
	MDB_txn *txn;
	uv_rwlock_rdlock(&d->gate);
	int rc = mdb_txn_begin(d->env, NULL, 0, &txn);
	if (rc == 0) {
		rc = list_packs(d, txn, 1, 1, gone);
		struct rd r = rd_of(gone->data, gone->size);
		for (uint32_t pack; rc == 0 && rd_u32(&r, &pack) == ERR_OK;) {
			uint8_t key[4] = {(uint8_t)(pack >> 24), (uint8_t)(pack >> 16),
			                  (uint8_t)(pack >> 8), (uint8_t)pack};
			MDB_val k = depot_val(key, sizeof key);
			rc = mdb_del(txn, d->pack_rows, &k, NULL);
		}
		if (rc == 0 && wr_ok(gone) && gone->size)
			rc = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	uv_rwlock_rdunlock(&d->gate);
	return rc == 0 && !wr_ok(gone) ? ENOMEM : rc;
}

/* Of all packs the bytes that count. */
static uint64_t sum_packs(struct depot *d)
{
	MDB_txn *txn;
	struct depot_stats st = {0};
	if (depot_read_begin(d, &txn) != ERR_OK)
		return d->pack_bytes;
	int rc = depot_sum_packs(d, txn, &st);
	depot_read_end(d, txn);
	return rc == 0 ? st.pack_bytes : d->pack_bytes;
}

static enum err drop_packs(struct depot *d, struct depot_gc_result *res, struct errmsg *msg)
{
	struct wr gone = {0};
	uint64_t began = step_begin(d);
	int rc = drop_rows(d, &gone);
	struct rd r = rd_of(gone.data, gone.size);
	uv_rwlock_wrlock(&d->gate);
	for (uint32_t pack; rc == 0 && rd_u32(&r, &pack) == ERR_OK; res->packs_removed++) {
		packs_remove(d->packs, pack);
		if (pack == d->tail) {
			d->tail++;
			d->tail_bytes = 0;
		}
	}
	uv_rwlock_wrunlock(&d->gate);
	d->pack_bytes = sum_packs(d);
	step_end(d, began, res);
	wr_free(&gone);
	return depot_err(rc, msg, "removing packs");
}

/* The newest pack is emptied as the others when much of it is dead: what comes next begins another. */
static void end_tail(struct depot *d, struct depot_gc_result *res)
{
	MDB_txn *txn;
	struct pack_row row;
	uint64_t began = step_begin(d);
	if (depot_read_begin(d, &txn) == ERR_OK) {
		if (depot_pack_row(d, txn, d->tail, &row) == 0 &&
		    row.dead >= d->pack_max / GC_TAIL_PART && row.dead * 2 >= row.bytes) {
			d->tail++;
			d->tail_bytes = 0;
		}
		depot_read_end(d, txn);
	}
	step_end(d, began, res);
}

static enum err clear_packs(struct depot *d, struct depot_gc_result *res, struct errmsg *msg)
{
	end_tail(d, res);
	TRY(drop_packs(d, res, msg));
	enum err e = empty_packs(d, res, msg);
	if (e == ERR_FULL) {
		punch_packs(d, res);
		e = empty_packs(d, res, msg);
	}
	if (e != ERR_OK && e != ERR_FULL) /* there may be room the next time */
		return e;
	return drop_packs(d, res, msg);
}

/* ---- all of it ---- */

void depot_keeper(struct depot *d, const char *name, depot_keeper_fn fn, void *ctx)
{
	assert(d->keeper_count < DEPOT_KEEPERS_MAX);
	d->keepers[d->keeper_count].name = name;
	d->keepers[d->keeper_count].fn = fn;
	d->keepers[d->keeper_count++].ctx = ctx;
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
	enum err e = m.marks.bits ? marking_all(&m) : ERR_NOMEM;
	if (e == ERR_OK && spare_bytes)
		e = spare_newest(&m, spare_bytes);
	if (e == ERR_OK)
		e = sweep(d, &m.marks, holds_ever, &res, msg);
	if (e == ERR_OK)
		e = clear_packs(d, &res, msg);
	free(m.marks.bits);
	wr_free(&m.owners);
	if (out)
		*out = res;
	return e;
}
