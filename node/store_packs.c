/* store_packs.c - pack files: a few kept open, records made and checked. */
#include "node/store_packs.h"

#include "base/crypto.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { OPEN_MAX = 32, SUM_SIZE = 16, SUM_AT = 8 };

#define RECORD_MAGIC 0x314b5057u /* "WPK1" */

struct open_pack {
	struct file *file; /* NULL: free */
	uint32_t number;
	unsigned users;
	uint64_t used; /* the least recently used is closed first */
};

struct packs {
	struct dir *dir;
	uv_mutex_t lock; /* of open, clock */
	struct open_pack open[OPEN_MAX];
	uint64_t clock;
	bool made; /* a pack since the folder was synced; of the writer */
};

/* ---- records ---- */

static void checksum(uint8_t out[SUM_SIZE], const uint8_t *record, size_t size)
{
	crypto_blake2b_keyed(out, SUM_SIZE, NULL, 0, record + PACK_RECORD_ADDR,
	                     size - PACK_RECORD_ADDR);
}

size_t pack_record_begin(struct wr *w, const struct chunk_addr *addr)
{
	static const uint8_t later[4 + SUM_SIZE];
	size_t begin = w->size;
	wr_u32(w, RECORD_MAGIC);
	wr_bytes(w, later, sizeof later);
	chunk_addr_write(w, addr);
	return begin;
}

void pack_record_end(struct wr *w, size_t begin)
{
	if (!wr_ok(w))
		return;
	size_t size = w->size - begin;
	wr_patch_u32(w, begin + 4, (uint32_t)(size - PACK_RECORD_HEAD));
	checksum(w->data + begin + SUM_AT, w->data + begin, size);
}

bool pack_record_is(const uint8_t *record, size_t size, const struct chunk_addr *addr)
{
	struct rd r = rd_of(record, size);
	uint32_t magic = 0, payload = 0;
	rd_u32(&r, &magic);
	rd_u32(&r, &payload);
	return size >= PACK_RECORD_HEAD && magic == RECORD_MAGIC &&
	       payload == size - PACK_RECORD_HEAD &&
	       !memcmp(record + PACK_RECORD_ADDR, addr->bytes, CHUNK_ADDR_SIZE);
}

struct chunk_addr pack_record_addr(const uint8_t *record)
{
	struct chunk_addr addr;
	memcpy(addr.bytes, record + PACK_RECORD_ADDR, CHUNK_ADDR_SIZE);
	return addr;
}

bool pack_record_is_whole(const uint8_t *record, size_t size)
{
	uint8_t sum[SUM_SIZE];
	struct chunk_addr addr = pack_record_addr(record);
	checksum(sum, record, size);
	return pack_record_is(record, size, &addr) && !memcmp(sum, record + SUM_AT, SUM_SIZE);
}

/* ---- files ---- */

static void pack_name(char out[32], uint32_t number)
{
	snprintf(out, 32, "%08x.pack", (unsigned)number);
}

enum err packs_open(const char *store, struct packs **out, struct errmsg *msg)
{
	char path[4200];
	struct packs *p = calloc(1, sizeof *p);
	if (!p)
		return err_set(msg, ERR_NOMEM, "store: no memory");
	snprintf(path, sizeof path, "%s/packs", store);
	enum err e = dir_open(path, 0, &p->dir, msg);
	if (e != ERR_OK) {
		free(p);
		return err_prefix(msg, e, "store");
	}
	uv_mutex_init(&p->lock);
	*out = p;
	return ERR_OK;
}

void packs_close(struct packs *p)
{
	if (!p)
		return;
	for (int i = 0; i < OPEN_MAX; i++)
		file_close(p->open[i].file);
	uv_mutex_destroy(&p->lock);
	dir_close(p->dir);
	free(p);
}

struct listing {
	struct packs *packs;
	void (*fn)(void *ctx, uint32_t number, uint64_t size);
	void *ctx;
};

static bool list_one(void *ctx, const char *name)
{
	struct listing *l = ctx;
	struct file *f;
	unsigned number;
	uint64_t size;
	char same[32];
	if (sscanf(name, "%8x", &number) != 1)
		return true;
	pack_name(same, number);
	if (strcmp(same, name) != 0 ||
	    file_open_in(l->packs->dir, name, false, &f, &size, NULL) != ERR_OK)
		return true;
	file_close(f);
	l->fn(l->ctx, number, size);
	return true;
}

void packs_each(struct packs *p, void (*fn)(void *ctx, uint32_t number, uint64_t size), void *ctx)
{
	struct listing l = {p, fn, ctx};
	dir_each(p->dir, list_one, &l);
}

/* The pack's place among the open ones, or the one to be used for it; NULL: all are in use. */
static struct open_pack *place_of(struct packs *p, uint32_t number)
{
	struct open_pack *oldest = NULL;
	for (int i = 0; i < OPEN_MAX; i++) {
		struct open_pack *o = &p->open[i];
		if (o->file && o->number == number)
			return o;
		if (!o->users && (!oldest || !o->file || (oldest->file && o->used < oldest->used)))
			oldest = o;
	}
	if (oldest && oldest->file) {
		file_close(oldest->file);
		oldest->file = NULL;
	}
	return oldest;
}

/* With the lock. */
static enum err open_at(struct packs *p, struct open_pack *o, uint32_t number, bool make,
                        struct errmsg *msg)
{
	char name[32];
	uint64_t size;
	pack_name(name, number);
	TRY(file_open_in(p->dir, name, make, &o->file, &size, msg));
	p->made |= make && size == 0;
	o->number = number;
	return ERR_OK;
}

/* take() until give(). */
static enum err take(struct packs *p, uint32_t number, bool make, struct open_pack **out,
                     struct errmsg *msg)
{
	uv_mutex_lock(&p->lock);
	struct open_pack *o = place_of(p, number);
	enum err e = o ? ERR_OK : err_set(msg, ERR_BUSY, "too many packs are being read");
	if (o && !o->file)
		e = open_at(p, o, number, make, msg);
	if (e == ERR_OK) {
		o->users++;
		o->used = ++p->clock;
		*out = o;
	}
	uv_mutex_unlock(&p->lock);
	return e;
}

static void give(struct packs *p, struct open_pack *o)
{
	uv_mutex_lock(&p->lock);
	o->users--;
	uv_mutex_unlock(&p->lock);
}

enum err packs_write(struct packs *p, uint32_t number, uint64_t offset, const void *bytes,
                     size_t size, struct errmsg *msg)
{
	struct open_pack *o;
	TRY(take(p, number, true, &o, msg));
	enum err e = file_write(o->file, bytes, size, offset, msg);
	give(p, o);
	return e;
}

enum err packs_sync(struct packs *p, uint32_t number, struct errmsg *msg)
{
	struct open_pack *o;
	TRY(take(p, number, false, &o, msg));
	enum err e = file_sync(o->file, msg);
	give(p, o);
	if (e == ERR_OK && p->made)
		e = dir_sync(p->dir, msg);
	if (e == ERR_OK)
		p->made = false;
	return e;
}

void packs_cut(struct packs *p, uint32_t number, uint64_t size)
{
	struct open_pack *o;
	if (take(p, number, false, &o, NULL) != ERR_OK)
		return;
	file_cut(o->file, size, NULL);
	give(p, o);
}

void packs_punch(struct packs *p, uint32_t number, uint64_t offset, uint64_t size)
{
	struct open_pack *o;
	if (take(p, number, false, &o, NULL) != ERR_OK)
		return;
	file_punch(o->file, offset, size);
	give(p, o);
}

enum err packs_read(struct packs *p, uint32_t number, uint64_t offset, void *buf, size_t size,
                    struct errmsg *msg)
{
	struct open_pack *o;
	TRY(take(p, number, false, &o, msg));
	enum err e = file_read(o->file, buf, size, offset, msg);
	give(p, o);
	return e;
}

void packs_remove(struct packs *p, uint32_t number)
{
	char name[32];
	uv_mutex_lock(&p->lock);
	for (int i = 0; i < OPEN_MAX; i++)
		if (p->open[i].file && p->open[i].number == number) {
			file_close(p->open[i].file);
			p->open[i].file = NULL;
		}
	uv_mutex_unlock(&p->lock);
	pack_name(name, number);
	dir_remove(p->dir, name);
}
