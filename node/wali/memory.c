/* memory.c - brk and mmap in linear memory.
 *
 * A program's memory ends where it began to run: brk grows it from there, as long as nothing stands behind. mmap takes the first hole
 * behind brk that is large enough, else grows the memory; what munmap gives back is zeroed and can be given out again. Nothing can be
 * protected: every address that is mapped may be read and written. A file is read in; a shared and writable mapping is
 * written back at msync, munmap and the end.
 *
 *	... program ... | brk ... | map | hole | map | end of memory
 */
#include "node/wali/wali_state.h"

#include <stdlib.h>
#include <string.h>

enum { WASM_PAGE_BYTES = 65536 };

static uint64_t memory_end(struct wali *k)
{
	uint64_t size = 0;
	instance_memory(k->in, &size);
	return size;
}

static bool grow_to(struct wali *k, uint64_t end)
{
	uint64_t now = memory_end(k);
	if (end <= now)
		return true;
	if (end > (UINT64_C(1) << 32) - WASM_PAGE_BYTES)
		return false;
	uint64_t pages = (end - now + WASM_PAGE_BYTES - 1) / WASM_PAGE_BYTES;
	if (!wali_charge(k, now + pages * WASM_PAGE_BYTES))
		return false;
	wali_set_room(k, thread_store(k->t));
	return instance_memory_grow(k->in, (uint32_t)pages) != UINT32_MAX;
}

static void start_brk(struct wali *k)
{
	if (!k->brk_start)
		k->brk_start = k->brk_end = (uint32_t)memory_end(k);
}

void wali_memory_reset(struct wali *k)
{
	wali_maps_free(k);
	k->brk_start = k->brk_end = 0;
	wali_charge(k, 0);
}

int64_t wali_brk(struct wali *k, const uint64_t *a)
{
	uint32_t to = arg32(a[0]);
	start_brk(k);
	if (to < k->brk_start)
		return k->brk_end;
	if (to > k->brk_end && k->nmaps && to > k->maps[0].start)
		return k->brk_end;
	if (!grow_to(k, to))
		return k->brk_end;
	if (to < k->brk_end) {
		uint8_t *p = wali_out(k, to, k->brk_end - to);
		memset(p, 0, k->brk_end - to);
	}
	k->brk_end = to;
	return to;
}

/* ---- the list of maps ---- */

static uint64_t round_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) / to * to;
}

/* The first that ends behind addr. */
static uint32_t map_index(const struct wali *k, uint32_t addr)
{
	uint32_t lo = 0, hi = k->nmaps;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (k->maps[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool insert_map(struct wali *k, const struct wali_map *m)
{
	if (k->nmaps == WALI_MAPS_MAX)
		return false;
	uint32_t i = map_index(k, m->start);
	struct wali_map *p = realloc(k->maps, (k->nmaps + 1) * sizeof *p);
	if (!p)
		return false;
	memmove(p + i + 1, p + i, (k->nmaps - i) * sizeof *p);
	p[i] = *m;
	k->maps = p;
	k->nmaps++;
	return true;
}

static void remove_map(struct wali *k, uint32_t i)
{
	vfs_file_unref(k->maps[i].file);
	k->nmaps--;
	memmove(k->maps + i, k->maps + i + 1, (k->nmaps - i) * sizeof *k->maps);
}

void wali_maps_free(struct wali *k)
{
	while (k->nmaps)
		remove_map(k, k->nmaps - 1);
	free(k->maps);
	k->maps = NULL;
}

/* The lowest place for size bytes; more memory when there is none. 0: there is none. */
static uint32_t find_place(struct wali *k, uint64_t size)
{
	uint64_t align = size % WASM_PAGE_BYTES ? WALI_PAGE : WASM_PAGE_BYTES;
	uint64_t at = round_up(k->brk_end, align);
	for (uint32_t i = 0; i < k->nmaps; i++) {
		if (at + size <= k->maps[i].start)
			return (uint32_t)at;
		at = round_up(k->maps[i].end, align);
	}
	return grow_to(k, at + size) ? (uint32_t)at : 0;
}

static bool is_free(const struct wali *k, uint64_t start, uint64_t end)
{
	uint32_t i = map_index(k, (uint32_t)start);
	return start >= k->brk_end && (i == k->nmaps || k->maps[i].start >= end);
}

/* ---- files ---- */

static enum ferr read_in(struct wali *k, struct vfs_file *f, uint64_t offset, uint32_t at,
                         uint64_t size)
{
	uint8_t *p = wali_out(k, at, size);
	for (uint64_t done = 0; done < size;) {
		struct vfs_iov iov = {.p = p + done, .size = (size_t)(size - done)};
		size_t n = 0;
		FTRY(vfs_read(f->obj, offset + done, &iov, 1, &n));
		if (!n)
			break;
		done += n;
	}
	return FE_OK;
}

/* What of a piece of a shared map lies in its file. */
static enum ferr write_back(struct wali *k, const struct wali_map *m, uint32_t from, uint32_t to)
{
	struct vfs_stat st;
	if (!m->file)
		return FE_OK;
	FTRY(vfs_stat(m->file->obj, &st));
	uint64_t offset = m->offset + (from - m->start), size = to - from;
	if (offset >= st.size_bytes)
		return FE_OK;
	size = size < st.size_bytes - offset ? size : st.size_bytes - offset;
	const uint8_t *p = wali_in(k, from, size);
	for (uint64_t done = 0; done < size;) {
		struct vfs_iov iov = {.p = (void *)(uintptr_t)(p + done),
		                      .size = (size_t)(size - done)};
		size_t n = 0;
		uint64_t end;
		FTRY(vfs_write(m->file->obj, offset + done, 0, &iov, 1, &n, &end));
		if (!n)
			return FE_IO;
		done += n;
	}
	return FE_OK;
}

void wali_maps_write(struct wali *k)
{
	for (uint32_t i = 0; i < k->nmaps; i++)
		write_back(k, &k->maps[i], k->maps[i].start, k->maps[i].end);
}

/* ---- mmap and munmap ---- */

/* Takes [start, end) out of the list and zeroes it. */
static int64_t unmap(struct wali *k, uint32_t start, uint32_t end)
{
	for (uint32_t i = map_index(k, start); i < k->nmaps && k->maps[i].start < end;) {
		struct wali_map *m = &k->maps[i], rest = *m;
		uint32_t from = m->start > start ? m->start : start;
		uint32_t to = m->end < end ? m->end : end;
		write_back(k, m, from, to);
		memset(wali_out(k, from, to - from), 0, to - from);
		if (from == m->start && to == m->end) {
			remove_map(k, i);
			continue;
		}
		if (from == m->start) {
			m->offset += to - m->start;
			m->start = to;
		} else {
			m->end = from;
		}
		i++;
		if (from == rest.start || to == rest.end)
			continue;
		rest.offset += to - rest.start;
		rest.start = to;
		if (rest.file)
			rest.file->refs++;
		if (!insert_map(k, &rest)) {
			vfs_file_unref(rest.file);
			return NO(NOMEM);
		}
	}
	return 0;
}

enum { MAP_SHARED_ = 1, MAP_TYPE_ = 15, MAP_FIXED_ = 16, MAP_ANONYMOUS_ = 32 };
enum { MAP_FIXED_NOREPLACE_ = 0x100000, PROT_WRITE_ = 2 };

static int64_t place(struct wali *k, uint32_t hint, uint64_t size, uint32_t flags, uint32_t *at)
{
	uint64_t end = hint + size;
	if (!(flags & (MAP_FIXED_ | MAP_FIXED_NOREPLACE_))) {
		*at = find_place(k, size);
		return *at ? 0 : NO(NOMEM);
	}
	if (hint % WALI_PAGE || end > UINT32_MAX)
		return NO(INVAL);
	if (hint < k->brk_end || !grow_to(k, end))
		return NO(NOMEM);
	*at = hint;
	if (flags & MAP_FIXED_NOREPLACE_)
		return is_free(k, hint, end) ? 0 : NO(EXIST);
	return unmap(k, hint, (uint32_t)end);
}

static int64_t file_of(struct wali *k, const uint64_t *a, struct vfs_file **out)
{
	struct fd_entry *e;
	*out = NULL;
	if (arg32(a[3]) & MAP_ANONYMOUS_)
		return 0;
	WTRY(wali_fd(k, a[4], &e));
	if (!vfs_has_offset(e->file->obj))
		return NO(NODEV);
	if (a[5] % WALI_PAGE)
		return NO(INVAL);
	bool writes = (arg32(a[3]) & MAP_TYPE_) != 2 && arg32(a[2]) & PROT_WRITE_;
	if (!(e->file->flags & VFS_READ) || (writes && !(e->file->flags & VFS_WRITE)))
		return NO(ACCES);
	*out = e->file;
	return 0;
}

int64_t wali_mmap(struct wali *k, const uint64_t *a)
{
	uint64_t size = round_up(arg32(a[1]), WALI_PAGE);
	uint32_t at, flags = arg32(a[3]);
	struct vfs_file *f;
	start_brk(k);
	if (!size || !(flags & MAP_TYPE_))
		return NO(INVAL);
	int64_t r = file_of(k, a, &f);
	if (r == 0)
		r = place(k, arg32(a[0]), size, flags, &at);
	if (r != 0)
		return r;
	struct wali_map m = {.start = at, .end = at + (uint32_t)size, .offset = a[5]};
	m.shared = (flags & MAP_TYPE_) != 2;
	m.writable = arg32(a[2]) & PROT_WRITE_;
	if (f && m.shared && m.writable)
		m.file = f;
	if (m.file)
		f->refs++;
	if (!insert_map(k, &m)) {
		vfs_file_unref(m.file);
		return NO(NOMEM);
	}
	enum ferr e = f ? read_in(k, f, a[5], at, size) : FE_OK;
	if (e != FE_OK) {
		remove_map(k, map_index(k, at));
		return wali_error(k, e);
	}
	return at;
}

int64_t wali_munmap(struct wali *k, const uint64_t *a)
{
	uint64_t start = arg32(a[0]), end = start + round_up(arg32(a[1]), WALI_PAGE);
	if (start % WALI_PAGE || start == end || end > UINT32_MAX)
		return NO(INVAL);
	return unmap(k, (uint32_t)start, (uint32_t)end);
}

int64_t wali_msync(struct wali *k, const uint64_t *a)
{
	enum { ASYNC_AND_SYNC = 5, ANY_SYNC = 7 };
	uint64_t start = arg32(a[0]), end = start + round_up(arg32(a[1]), WALI_PAGE);
	if (start % WALI_PAGE || arg32(a[2]) & ~(uint32_t)ANY_SYNC ||
	    (arg32(a[2]) & ASYNC_AND_SYNC) == ASYNC_AND_SYNC)
		return NO(INVAL);
	for (uint32_t i = map_index(k, (uint32_t)start); i < k->nmaps && k->maps[i].start < end;
	     i++) {
		const struct wali_map *m = &k->maps[i];
		WTRY(write_back(k, m, m->start > start ? m->start : (uint32_t)start,
		                m->end < end ? m->end : (uint32_t)end));
	}
	return 0;
}

/* ---- mremap ---- */

static int64_t move_map(struct wali *k, uint32_t i, uint64_t size)
{
	struct wali_map old = k->maps[i], m = old;
	uint32_t at = find_place(k, size);
	if (!at)
		return NO(NOMEM);
	m.start = at;
	m.end = at + (uint32_t)size;
	if (m.file)
		m.file->refs++;
	if (!insert_map(k, &m)) {
		vfs_file_unref(m.file);
		return NO(NOMEM);
	}
	memcpy(wali_out(k, at, old.end - old.start), wali_in(k, old.start, old.end - old.start),
	       old.end - old.start);
	return unmap(k, old.start, old.end) ? NO(NOMEM) : at;
}

/* A whole map, as realloc does it. */
int64_t wali_mremap(struct wali *k, const uint64_t *a)
{
	enum { MAYMOVE = 1 };
	uint32_t start = arg32(a[0]), flags = arg32(a[3]);
	uint64_t before = round_up(arg32(a[1]), WALI_PAGE), size = round_up(arg32(a[2]), WALI_PAGE);
	uint32_t i = map_index(k, start);
	if (!size || start % WALI_PAGE || flags & ~(uint32_t)MAYMOVE)
		return NO(INVAL);
	if (i == k->nmaps || k->maps[i].start != start || k->maps[i].end - start != before)
		return NO(FAULT);
	if (size <= before) {
		int64_t r =
		    size < before ? unmap(k, start + (uint32_t)size, start + (uint32_t)before) : 0;
		return r ? r : start;
	}
	if (start + size <= UINT32_MAX && is_free(k, start + before, start + size) &&
	    grow_to(k, start + size)) {
		k->maps[i].end = start + (uint32_t)size;
		return start;
	}
	return flags & MAYMOVE ? move_map(k, i, size) : NO(NOMEM);
}

/* ---- advice ---- */

int64_t wali_mprotect(struct wali *k, const uint64_t *a)
{
	enum { ANY_PROT = 0x0300000f };
	return arg32(a[0]) % WALI_PAGE || arg32(a[2]) & ~(uint32_t)ANY_PROT ? NO(INVAL) : 0;
}

/* DONTNEED is no advice: what was anonymous reads as zeros afterwards. */
int64_t wali_madvise(struct wali *k, const uint64_t *a)
{
	enum { DONTNEED = 4, FIRST_GAP = 5, GAP_END = 8, LAST = 25 };
	uint64_t start = arg32(a[0]), end = start + round_up(arg32(a[1]), WALI_PAGE);
	if (start % WALI_PAGE)
		return NO(INVAL);
	bool known = arg32(a[2]) < FIRST_GAP || (arg32(a[2]) >= GAP_END && arg32(a[2]) <= LAST);
	if (!known)
		return NO(INVAL);
	if (arg32(a[2]) != DONTNEED)
		return 0;
	for (uint32_t i = map_index(k, (uint32_t)start); i < k->nmaps && k->maps[i].start < end;
	     i++) {
		const struct wali_map *m = &k->maps[i];
		uint64_t from = m->start > start ? m->start : start,
		         to = m->end < end ? m->end : end;
		if (!m->file)
			memset(wali_out(k, from, to - from), 0, to - from);
	}
	return 0;
}
