/* store_check.c - what the store holds: sums, and whether it is sound. */
#include "node/store_impl.h"

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
