/* memory.c - linear memories (spec 4.4.7): reserved address space whose first pages are committed.
 *
 * A memory never moves. Beyond its size the reservation faults, and the fault is the trap (run.c); pages that
 * are write-tracked fault too, and are told apart here. Bulk instructions check first and then let the C
 * library move the bytes.
 */
#include "engine/exec.h"

#include "base/os_copy.h"

#include <stdlib.h>
#include <string.h>

/* What a bulk instruction does at once: some ten microseconds. */
#define BULK_PIECE (256u << 10)
#define MAX_MEM_BYTES ((size_t)65536 * WASM_PAGE)

/* The tracker, kept from being freed until track_done(). */
static struct os_track *track_use(struct meminst *m)
{
	atomic_fetch_add(&m->track_users, 1);
	return atomic_load(&m->track);
}

static void track_done(struct meminst *m)
{
	atomic_fetch_sub(&m->track_users, 1);
}

/* Signal handler: a fault inside the reservation. Below the size it is the tracker's; when there is none, one
 * just starts or ends on another thread, and the access is tried again. */
static bool on_mem_fault(void *ctx, size_t offset)
{
	struct meminst *m = ctx;
	if (offset >= atomic_load(&m->size_bytes))
		return false;
	struct os_track *track = track_use(m);
	bool resolved = !track || os_track_fault(track, offset);
	track_done(m);
	return resolved;
}

static void track_end(struct meminst *m)
{
	struct os_track *track = atomic_exchange(&m->track, NULL);
	while (atomic_load(&m->track_users) != 0)
		; /* a fault or a mark: microseconds */
	os_track_stop(track);
}

enum err mem_new(struct store *s, uint32_t min_pages, uint32_t max_pages, bool has_max,
                 struct meminst **out)
{
	if (min_pages > s->cfg.max_memory_pages)
		return ERR_LIMIT;
	struct meminst *m = calloc(1, sizeof *m);
	if (!m || !GROW(s->mems, s->nmems)) {
		free(m);
		return ERR_NOMEM;
	}
	m->store = s;
	m->max_pages = has_max ? max_pages : 65536;
	m->has_max = has_max;
	m->watch = -1;
	m->reserved = MEM_RESERVE;
	m->base = os_reserve(m->reserved);
	uint64_t size = (uint64_t)min_pages * WASM_PAGE;
	enum err e = ERR_NOMEM;
	if (!m->base || (e = os_commit(m->base, size)) != ERR_OK ||
	    (e = os_fault_watch(m->base, m->reserved, on_mem_fault, m, &m->watch)) != ERR_OK) {
		mem_free(m);
		return e;
	}
	atomic_store(&m->size_bytes, size);
	m->index = s->nmems;
	s->mems[s->nmems++] = m;
	*out = m;
	return ERR_OK;
}

void mem_free(struct meminst *m)
{
	track_end(m);
	os_fault_unwatch(m->watch);
	os_release(m->base, m->reserved);
	os_copied_free(m->copied);
	free(m);
}

/* ---- copies ---- */

struct memories {
	uint32_t count, taken;
	struct {
		uint8_t *base; /* of a reservation of MEM_RESERVE; NULL: it was taken */
		uint64_t size_bytes;
		struct os_copied *copied;
	} at[];
};

void memories_free(struct memories *m)
{
	for (uint32_t i = 0; m && i < m->count; i++) {
		os_release(m->at[i].base, MEM_RESERVE);
		os_copied_free(m->at[i].copied);
	}
	free(m);
}

enum err store_copy_memories(struct store *s, struct memories **out)
{
	struct memories *m = calloc(1, sizeof *m + s->nmems * sizeof *m->at);
	enum err e = m ? ERR_OK : ERR_NOMEM;
	for (uint32_t i = 0; e == ERR_OK && i < s->nmems; i++) {
		struct meminst *from = s->mems[i];
		m->count = i + 1;
		m->at[i].size_bytes = atomic_load(&from->size_bytes);
		m->at[i].base = os_reserve(MEM_RESERVE);
		e = m->at[i].base
		        ? os_copy(from->base, &from->copied, m->at[i].base, &m->at[i].copied,
		                  (size_t)m->at[i].size_bytes, !atomic_load(&from->track))
		        : ERR_NOMEM;
	}
	if (e != ERR_OK)
		memories_free(m);
	else
		*out = m;
	return e;
}

enum err mem_take_copy(struct meminst *m, struct memories *copies)
{
	uint32_t i = copies->taken++;
	if (i >= copies->count || copies->at[i].size_bytes != atomic_load(&m->size_bytes))
		return ERR_INVALID;
	os_fault_unwatch(m->watch);
	os_release(m->base, m->reserved);
	m->watch = -1;
	m->base = copies->at[i].base;
	m->copied = copies->at[i].copied;
	copies->at[i].base = NULL;
	copies->at[i].copied = NULL;
	return os_fault_watch(m->base, m->reserved, on_mem_fault, m, &m->watch);
}

uint32_t mem_grow(struct meminst *m, uint32_t delta_pages)
{
	uint64_t old = atomic_load(&m->size_bytes) / WASM_PAGE, pages = old + delta_pages;
	uint32_t room = m->store->room_pages;
	if (pages > m->max_pages || pages > m->store->cfg.max_memory_pages ||
	    (room && delta_pages && pages > room))
		return UINT32_MAX;
	if (os_commit(m->base + old * WASM_PAGE, (size_t)delta_pages * WASM_PAGE) != ERR_OK)
		return UINT32_MAX;
	struct os_track *track = track_use(m);
	if (track)
		os_track_grown(track, pages * WASM_PAGE);
	track_done(m);
	atomic_store(&m->size_bytes, pages * WASM_PAGE);
	return (uint32_t)old;
}

uint32_t instance_memory_grow(struct instance *in, uint32_t pages)
{
	return in->module->nmems ? mem_grow(in->mems[0], pages) : UINT32_MAX;
}

static bool in_bounds(struct meminst *m, uint32_t at, uint32_t n)
{
	return (uint64_t)at + n <= atomic_load_explicit(&m->size_bytes, memory_order_relaxed);
}

/* v: the instruction's operands (destination, source or value, count), advanced past what was done. */

enum trap mem_fill(struct meminst *m, uint64_t v[3])
{
	uint32_t d = (uint32_t)v[0], n = (uint32_t)v[2], now = n < BULK_PIECE ? n : BULK_PIECE;
	if (!in_bounds(m, d, n))
		return TRAP_MEM_BOUNDS;
	memset(m->base + d, (uint8_t)v[1], now);
	v[0] = (uint32_t)(d + now);
	v[2] = n - now;
	return v[2] ? TRAP_AGAIN : TRAP_NONE;
}

enum trap mem_copy(struct meminst *m, uint64_t v[3])
{
	uint32_t d = (uint32_t)v[0], s = (uint32_t)v[1], n = (uint32_t)v[2];
	uint32_t now = n < BULK_PIECE ? n : BULK_PIECE;
	if (!in_bounds(m, d, n) || !in_bounds(m, s, n))
		return TRAP_MEM_BOUNDS;
	if (d > s) { /* from the end, as memmove does */
		memmove(m->base + d + (n - now), m->base + s + (n - now), now);
	} else {
		memmove(m->base + d, m->base + s, now);
		v[0] = (uint32_t)(d + now);
		v[1] = (uint32_t)(s + now);
	}
	v[2] = n - now;
	return v[2] ? TRAP_AGAIN : TRAP_NONE;
}

enum trap mem_init(struct instance *in, uint32_t dataidx, uint64_t v[3])
{
	const struct data *data = &in->module->datas[dataidx];
	uint32_t d = (uint32_t)v[0], s = (uint32_t)v[1], n = (uint32_t)v[2];
	uint32_t have = in->data_dropped[dataidx] ? 0 : data->size;
	uint32_t now = n < BULK_PIECE ? n : BULK_PIECE;
	if ((uint64_t)s + n > have || !in_bounds(in->mems[0], d, n))
		return TRAP_MEM_BOUNDS;
	memcpy(in->mems[0]->base + d, in->module->bytes + data->bytes_offset + s, now);
	v[0] = (uint32_t)(d + now);
	v[1] = s + now;
	v[2] = n - now;
	return v[2] ? TRAP_AGAIN : TRAP_NONE;
}

/* ---- what other rooms see ---- */

uint8_t *instance_memory(struct instance *in, uint64_t *size_bytes)
{
	if (!in->module->nmems)
		return NULL;
	*size_bytes = atomic_load(&in->mems[0]->size_bytes);
	return in->mem0;
}

static uint8_t *thread_mem(struct thread *t, uint32_t addr, uint64_t size, struct meminst **m)
{
	if (t->direct)
		return NULL;
	struct instance *in = t->csp->code->inst;
	if (!in->module->nmems)
		return NULL;
	*m = in->mems[0];
	uint64_t have = atomic_load_explicit(&(*m)->size_bytes, memory_order_relaxed);
	return size <= have && addr <= have - size ? (*m)->base + addr : NULL;
}

const uint8_t *thread_mem_read(struct thread *t, uint32_t addr, uint64_t size)
{
	struct meminst *m;
	return thread_mem(t, addr, size, &m);
}

uint8_t *thread_mem_write(struct thread *t, uint32_t addr, uint64_t size)
{
	struct meminst *m;
	uint8_t *p = thread_mem(t, addr, size, &m);
	if (!p || !size || !atomic_load_explicit(&m->track, memory_order_relaxed))
		return p;
	struct os_track *track = track_use(m);
	if (track)
		os_track_mark(track, addr, size);
	track_done(m);
	return p;
}

void mem_host_done(struct meminst *m)
{
	if (!atomic_load_explicit(&m->track, memory_order_relaxed))
		return;
	struct os_track *track = track_use(m);
	if (track)
		os_track_unpin(track);
	track_done(m);
}

uint32_t store_memory_count(const struct store *s)
{
	return s->nmems;
}

uint8_t *store_memory(struct store *s, uint32_t i, uint64_t *size_bytes)
{
	*size_bytes = atomic_load(&s->mems[i]->size_bytes);
	return s->mems[i]->base;
}

/* ---- written pages ---- */

enum err store_track_start(struct store *s)
{
	store_track_stop(s);
	for (uint32_t i = 0; i < s->nmems; i++) {
		struct meminst *m = s->mems[i];
		struct os_track *track;
		enum err e = os_track_start(m->base, atomic_load(&m->size_bytes), MAX_MEM_BYTES,
		                            OS_TRACK_BEST, &track);
		if (e != ERR_OK) {
			store_track_stop(s);
			return e;
		}
		atomic_store(&m->track, track);
	}
	return ERR_OK;
}

enum err store_track_collect(struct store *s, uint32_t i, uint8_t *bits, size_t bits_size,
                             bool clear)
{
	if (i >= s->nmems)
		return ERR_NOTFOUND;
	struct os_track *track = atomic_load(&s->mems[i]->track);
	if (!track)
		return ERR_STATE;
	memset(bits, 0, bits_size);
	return os_track_collect(track, bits, bits_size, clear);
}

void store_track_stop(struct store *s)
{
	for (uint32_t i = 0; i < s->nmems; i++)
		track_end(s->mems[i]);
}
