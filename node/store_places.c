/* store_places.c - where chunks lie: the rows of `data` and `packs`, records read and written, and which chunks were found damaged. */
#include "node/store_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_IN_PACK = 0xf0 }; /* where a packed chunk has its form */

/* ---- rows of data ---- */

bool place_read(const MDB_val *row, struct place *p)
{
	struct rd r = rd_of(row->mv_data, row->mv_size);
	uint8_t form = 0;
	*p = (struct place){0};
	rd_u8(&r, &form);
	if (form == ROW_IN_PACK) {
		p->in_pack = true;
		rd_u32(&r, &p->pack);
		rd_u32(&r, &p->offset);
		rd_u32(&r, &p->size);
		return rd_u32(&r, &p->raw) == ERR_OK && rd_left(&r) == 0 && p->pack &&
		       p->size <= PACK_PAYLOAD_MAX;
	}
	p->bytes = row->mv_data;
	p->size = (uint32_t)row->mv_size;
	return rd_u32(&r, &p->raw) == ERR_OK;
}

int depot_find_place(struct depot *d, MDB_txn *txn, uint64_t n, struct place *p)
{
	MDB_val k = depot_val(&n, sizeof n), v;
	int rc = mdb_get(txn, d->data, &k, &v);
	return rc == 0 && !place_read(&v, p) ? MDB_CORRUPTED : rc;
}

int depot_put_place(struct depot *d, MDB_txn *txn, uint64_t n, const struct place *p,
                    unsigned flags)
{
	struct wr w = {0};
	wr_u8(&w, ROW_IN_PACK);
	wr_u32(&w, p->pack);
	wr_u32(&w, p->offset);
	wr_u32(&w, p->size);
	wr_u32(&w, p->raw);
	MDB_val k = depot_val(&n, sizeof n), v = depot_val(w.data, w.size);
	int rc = wr_ok(&w) ? mdb_put(txn, d->data, &k, &v, flags) : ENOMEM;
	wr_free(&w);
	return rc;
}

static enum err read_record(struct depot *d, const struct chunk_addr *addr, const struct place *p,
                            uint8_t *record, struct errmsg *msg)
{
	size_t size = PACK_RECORD_HEAD + p->size;
	TRY(packs_read(d->packs, p->pack, p->offset, record, size, msg));
	return pack_record_is(record, size, addr) ? ERR_OK : ERR_MALFORMED;
}

enum err depot_read_place(struct depot *d, const struct chunk_addr *addr, const struct place *p,
                          struct wr *out, struct errmsg *msg)
{
	uint8_t *record = malloc(PACK_RECORD_HEAD + p->size);
	enum err e = record ? read_record(d, addr, p, record, msg) : ERR_NOMEM;
	if (e == ERR_OK) {
		wr_bytes(out, record + PACK_RECORD_HEAD, p->size);
		e = wr_ok(out) ? ERR_OK : ERR_NOMEM;
	} else if (e != ERR_NOMEM && e != ERR_BUSY) {
		e = ERR_MALFORMED; /* also when its pack is gone */
	}
	free(record);
	return e;
}

/* ---- rows of packs ---- */

static void pack_key(uint8_t key[4], uint32_t pack)
{
	for (int i = 0; i < 4; i++)
		key[i] = (uint8_t)(pack >> (24 - 8 * i));
}

bool pack_row_read(const MDB_val *value, struct pack_row *row)
{
	struct rd r = rd_of(value->mv_data, value->mv_size);
	rd_u64(&r, &row->bytes);
	return rd_u64(&r, &row->dead) == ERR_OK;
}

int depot_pack_row(struct depot *d, MDB_txn *txn, uint32_t pack, struct pack_row *row)
{
	uint8_t key[4];
	pack_key(key, pack);
	MDB_val k = depot_val(key, sizeof key), v;
	int rc = mdb_get(txn, d->pack_rows, &k, &v);
	return rc == 0 && !pack_row_read(&v, row) ? MDB_CORRUPTED : rc;
}

int depot_put_pack_row(struct depot *d, MDB_txn *txn, uint32_t pack, const struct pack_row *row)
{
	uint8_t key[4];
	struct wr w = {0};
	pack_key(key, pack);
	wr_u64(&w, row->bytes);
	wr_u64(&w, row->dead);
	MDB_val k = depot_val(key, sizeof key), v = depot_val(w.data, w.size);
	int rc = wr_ok(&w) ? mdb_put(txn, d->pack_rows, &k, &v, 0) : ENOMEM;
	wr_free(&w);
	return rc;
}

int depot_place_dies(struct depot *d, MDB_txn *txn, const struct place *p)
{
	struct pack_row row;
	if (!p->in_pack)
		return 0;
	int rc = depot_pack_row(d, txn, p->pack, &row);
	if (rc == MDB_NOTFOUND)
		return 0;
	row.dead += PACK_RECORD_HEAD + p->size;
	return rc == 0 ? depot_put_pack_row(d, txn, p->pack, &row) : rc;
}

/* ---- records on their way to the disk ---- */

enum err depot_records_write(struct depot *d, uint32_t *pack, uint64_t *offset, struct errmsg *msg)
{
	bool full = d->tail_bytes && d->tail_bytes + d->records.size > d->pack_max;
	*pack = full ? d->tail + 1 : d->tail;
	*offset = full ? 0 : d->tail_bytes;
	if (*offset + d->records.size > UINT32_MAX)
		return err_set(msg, ERR_LIMIT, "store: a batch of more than 4 GiB");
	enum err e = packs_write(d->packs, *pack, *offset, d->records.data, d->records.size, msg);
	if (e == ERR_OK)
		e = packs_sync(d->packs, *pack, msg);
	if (e == ERR_OK)
		return ERR_OK;
	depot_records_drop(d, *pack, *offset);
	return err_prefix(msg, e, "store: writing a pack");
}

int depot_records_account(struct depot *d, MDB_txn *txn, uint32_t pack, uint64_t offset,
                          uint64_t dead)
{
	struct pack_row row = {0};
	int rc = depot_pack_row(d, txn, pack, &row);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return rc;
	row.bytes = offset + d->records.size;
	row.dead += dead;
	return depot_put_pack_row(d, txn, pack, &row);
}

void depot_records_count(struct depot *d, uint32_t pack, uint64_t offset)
{
	d->tail = pack;
	d->tail_bytes = offset + d->records.size;
	d->pack_bytes += d->records.size;
}

/* A full disk gets back what it took. */
void depot_records_drop(struct depot *d, uint32_t pack, uint64_t offset)
{
	if (offset)
		packs_cut(d->packs, pack, offset);
	else
		packs_remove(d->packs, pack);
}

/* ---- chunks that were found damaged ---- */

static uint32_t rotten_at(const struct depot *d, const struct chunk_addr *addr)
{
	uint32_t i = 0;
	while (i < d->rotten_count && !chunk_addr_equal(&d->rotten[i], addr))
		i++;
	return i;
}

bool depot_is_rotten(struct depot *d, const struct chunk_addr *addr)
{
	if (!d->rotten_count)
		return false;
	uv_mutex_lock(&d->rot);
	bool rotten = rotten_at(d, addr) < d->rotten_count;
	uv_mutex_unlock(&d->rot);
	return rotten;
}

void depot_rotten(struct depot *d, const struct chunk_addr *addr)
{
	uv_mutex_lock(&d->rot);
	if (!d->rotten)
		d->rotten = malloc(DEPOT_ROTTEN_MAX * sizeof *d->rotten);
	if (d->rotten && d->rotten_count < DEPOT_ROTTEN_MAX &&
	    rotten_at(d, addr) == d->rotten_count)
		d->rotten[d->rotten_count++] = *addr;
	uv_mutex_unlock(&d->rot);
}

void depot_healed(struct depot *d, const struct chunk_addr *addr)
{
	uv_mutex_lock(&d->rot);
	uint32_t i = rotten_at(d, addr);
	if (i < d->rotten_count)
		d->rotten[i] = d->rotten[--d->rotten_count];
	uv_mutex_unlock(&d->rot);
}
