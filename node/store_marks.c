/* store_marks.c - which chunks are named: by the images of ownership records (manifest, groups, module lists, pages), and by keepers. By reads alone. */
#include "node/store_impl.h"

#include "migrate/image.h"
#include "migrate/owner.h"

#include <string.h>

/* Returns whether the chunk is newly marked; *e when it is missing. */
static bool mark(struct marking *m, const struct chunk_addr *addr, enum err *e)
{
	MDB_txn *txn;
	uint64_t n = 0;
	if (*e != ERR_OK || chunk_addr_is_null(addr))
		return false;
	*e = depot_read_begin(m->depot, &txn);
	if (*e != ERR_OK)
		return false;
	int rc = depot_find_number(m->depot, txn, addr, &n);
	depot_read_end(m->depot, txn);
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

static enum err marking_list(struct marking *m, const struct chunk_addr *list)
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

enum err marking_image(struct marking *m, const struct chunk_addr *id)
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
		e = marking_list(m, &mf.modules[i].list);
	for (uint32_t i = 0; e == ERR_OK && i < mf.nspaces; i++)
		for (uint32_t g = 0; e == ERR_OK && g < mf.spaces[i].ngroups; g++)
			e = marking_list(m, &mf.spaces[i].groups[g]);
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

static void mark_kept(void *gc, const struct chunk_addr *addr)
{
	struct marking *m = gc;
	enum err e = ERR_OK;
	mark(m, addr, &e);
	if (e != ERR_OK && e != ERR_NOTFOUND) /* what is not here needs no keeping */
		m->kept_err = e;
}

enum err marking_keeper(struct marking *m, unsigned i)
{
	struct depot *d = m->depot;
	m->kept_err = ERR_OK;
	enum err e = d->keepers[i].fn(d->keepers[i].ctx, mark_kept, m, m->msg);
	return e == ERR_OK ? m->kept_err : e;
}

static enum err mark_keepers(struct marking *m)
{
	enum err e = ERR_OK;
	for (unsigned i = 0; e == ERR_OK && i < m->depot->keeper_count; i++)
		e = marking_keeper(m, i);
	return e;
}

enum err marking_all(struct marking *m)
{
	enum err e = depot_each(m->depot, DEPOT_OWNERS, collect_image, m);
	if (e == ERR_OK && !wr_ok(&m->owners))
		e = err_set(m->msg, ERR_MALFORMED, "store: an ownership record is not readable");
	struct rd r = rd_of(m->owners.data, m->owners.size);
	while (e == ERR_OK && rd_left(&r) > 0) {
		struct chunk_addr id;
		e = chunk_addr_read(&r, &id);
		if (e == ERR_OK)
			e = marking_image(m, &id);
	}
	return e == ERR_OK ? mark_keepers(m) : e;
}

bool marks_has(const struct marks *marks, uint64_t n)
{
	return n >= marks->count || marks->bits[n / 8] & 1 << n % 8;
}
