/* os_track.c - which pages were written, by write protection and faults.
 *
 * Truths: a page whose bit is clear is write-protected, but for a moment while it is collected or its fault is
 * answered. The fault that a first write causes lifts the protection and sets the bit; so does who marks pages
 * that the host is to write. Collecting takes a bit first and protects after: a write in between is missed by
 * neither, as who collects reads the page only afterwards. The fault holds no lock, so a collector may come
 * between its two steps; therefore the bit is set (again) after the protection is lifted: the worst is a page
 * that counts as written and is not. Protecting waits for writes that are under way on other processors, on
 * those with a weak memory model too (the system's TLB shootdown), so what is read afterwards is whole.
 *
 * A bit is 4 KiB everywhere, for images are. A system with bigger pages (16 or 64 KiB on arm64) protects
 * t->unit of them together: they become written together, too, and only whole units are ever protected.
 */
#include "base/os_track.h"

#include <stdlib.h>

#define PAGE 4096u
#define WORD_BITS 64u

static size_t pages_of(size_t bytes)
{
	return (bytes + PAGE - 1) / PAGE;
}

static void set_bits(struct os_track *t, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		atomic_fetch_or(&t->dirty[i / WORD_BITS], (uint64_t)1 << (i % WORD_BITS));
}

enum err os_track_start(uint8_t *base, size_t size_bytes, size_t max_bytes, enum os_track_kind kind,
                        struct os_track **out)
{
	return os_track_start_paged(base, size_bytes, max_bytes, kind, os_page_size(), out);
}

enum err os_track_start_paged(uint8_t *base, size_t size_bytes, size_t max_bytes,
                              enum os_track_kind kind, size_t page_bytes, struct os_track **out)
{
	struct os_track *t = calloc(1, sizeof *t);
	if (!t)
		return ERR_NOMEM;
	t->base = base;
	t->max_bytes = max_bytes;
	t->unit = page_bytes > PAGE ? page_bytes / PAGE : 1;
	atomic_store(&t->size_bytes, size_bytes);
	t->kind = OS_TRACK_FAULTS;
	t->kernel_fd = -1;
	pthread_mutex_init(&t->lock, NULL);
	t->dirty = calloc(pages_of(max_bytes) / WORD_BITS + 1, sizeof *t->dirty);
	enum err e = t->dirty ? ERR_OK : ERR_NOMEM;
	if (e == ERR_OK && kind != OS_TRACK_FAULTS && os_track_kernel_start(t) == ERR_OK)
		t->kind = OS_TRACK_KERNEL;
	else if (e == ERR_OK && kind == OS_TRACK_KERNEL)
		e = ERR_UNSUPPORTED;
	else if (e == ERR_OK)
		e = os_protect(base, size_bytes, OS_READ);
	if (e != ERR_OK) {
		pthread_mutex_destroy(&t->lock);
		free(t->dirty);
		free(t);
		return e;
	}
	*out = t;
	return ERR_OK;
}

enum os_track_kind os_track_kind(const struct os_track *t)
{
	return t->kind;
}

void os_track_grown(struct os_track *t, size_t size_bytes)
{
	size_t old = atomic_load(&t->size_bytes);
	set_bits(t, pages_of(old), pages_of(size_bytes));
	if (t->kind == OS_TRACK_KERNEL)
		os_track_kernel_grown(t, old, size_bytes);
	atomic_store(&t->size_bytes, size_bytes);
}

/* Whole units around pages [*from, *to). */
static void widen(const struct os_track *t, size_t *from, size_t *to)
{
	*from -= *from % t->unit;
	*to = (*to + t->unit - 1) / t->unit * t->unit;
}

/* Pages of which some are protected in between are many mappings, and a process may have 65,530: past that
 * everything becomes writable, and counts as written. Whole units. Signal-safe. */
static bool unprotect(struct os_track *t, size_t from, size_t to)
{
	bool ok = os_protect(t->base + from * PAGE, (to - from) * PAGE, OS_READ_WRITE) == ERR_OK;
	if (!ok) {
		from = 0;
		to = pages_of(atomic_load(&t->size_bytes));
		ok = os_protect(t->base, to * PAGE, OS_READ_WRITE) == ERR_OK;
	}
	set_bits(t, from, to); /* not before: see above */
	return ok;
}

bool os_track_fault(struct os_track *t, size_t offset_bytes)
{
	if (t->kind == OS_TRACK_KERNEL || offset_bytes >= atomic_load(&t->size_bytes))
		return false;
	size_t from = offset_bytes / PAGE, to = from + 1;
	widen(t, &from, &to);
	return unprotect(t, from, to);
}

static void pin(struct os_track *t, size_t from, size_t to)
{
	if (t->npins < OS_TRACK_PINS) {
		t->pins[t->npins].from = from;
		t->pins[t->npins++].to = to;
		return;
	}
	/* No room: the last one grows over both. */
	if (from < t->pins[OS_TRACK_PINS - 1].from)
		t->pins[OS_TRACK_PINS - 1].from = from;
	if (to > t->pins[OS_TRACK_PINS - 1].to)
		t->pins[OS_TRACK_PINS - 1].to = to;
}

void os_track_mark(struct os_track *t, size_t offset_bytes, size_t size_bytes)
{
	if ((t->kind == OS_TRACK_KERNEL && !t->misses_host) || !size_bytes)
		return; /* the kernel sees its own writes */
	size_t from = offset_bytes / PAGE, to = pages_of(offset_bytes + size_bytes);
	widen(t, &from, &to);
	pthread_mutex_lock(&t->lock);
	pin(t, from, to);
	if (t->kind == OS_TRACK_KERNEL)
		set_bits(t, from, to);
	else
		unprotect(t, from, to);
	pthread_mutex_unlock(&t->lock);
}

void os_track_unpin(struct os_track *t)
{
	if (!t->npins) /* only the marking thread adds pins */
		return;
	pthread_mutex_lock(&t->lock);
	t->npins = 0;
	pthread_mutex_unlock(&t->lock);
}

/* A run of dirty pages beginning at page i. */
static size_t run_length(const uint8_t *bits, size_t i, size_t n)
{
	size_t from = i;
	while (i < n && bits[i / 8] >> (i % 8) & 1)
		i++;
	return i - from;
}

/* The pages in bits become protected again; where that fails they stay written. */
static void protect_again(struct os_track *t, const uint8_t *bits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t run = run_length(bits, i, n);
		if (run && os_protect(t->base + i * PAGE, run * PAGE, OS_READ) != ERR_OK)
			unprotect(t, i, i + run);
		i += run;
	}
}

/* Pinned pages stay written (protecting is for the others only: bits loses them). */
static void keep_pinned(struct os_track *t, uint8_t *bits, size_t npages)
{
	for (unsigned k = 0; k < t->npins; k++) {
		for (size_t i = t->pins[k].from; i < t->pins[k].to && i < npages; i++) {
			set_bits(t, i, i + 1);
			bits[i / 8] &= (uint8_t)~(1u << (i % 8));
		}
	}
}

static void take_bits(struct os_track *t, uint8_t *bits, size_t npages, bool clear)
{
	for (size_t w = 0; w * WORD_BITS < npages; w++) {
		uint64_t v = clear ? atomic_exchange(&t->dirty[w], 0) : atomic_load(&t->dirty[w]);
		for (size_t b = 0; v && b < WORD_BITS / 8; b++)
			if (w * WORD_BITS + b * 8 < npages)
				bits[w * (WORD_BITS / 8) + b] |= (uint8_t)(v >> (8 * b));
	}
}

/* A page that is pinned now is reported by the next collect too. */
static enum err collect_kernel(struct os_track *t, uint8_t *bits, size_t npages, bool clear)
{
	pthread_mutex_lock(&t->lock);
	take_bits(t, bits, npages, clear);
	enum err e = os_track_kernel_collect(t, bits, npages * PAGE, clear);
	for (unsigned k = 0; clear && k < t->npins; k++)
		set_bits(t, t->pins[k].from, t->pins[k].to);
	pthread_mutex_unlock(&t->lock);
	return e;
}

enum err os_track_collect(struct os_track *t, uint8_t *bits, size_t bits_bytes, bool clear)
{
	size_t npages = pages_of(atomic_load(&t->size_bytes));
	if (npages > bits_bytes * 8)
		npages = bits_bytes * 8 & ~(size_t)(WORD_BITS - 1); /* bits are taken by the word */
	if (t->kind == OS_TRACK_KERNEL)
		return collect_kernel(t, bits, npages, clear);
	if (!clear) {
		take_bits(t, bits, npages, false);
		return ERR_OK;
	}
	uint8_t *mine = calloc(npages / 8 + 9, 1);
	if (!mine)
		return ERR_NOMEM;
	pthread_mutex_lock(&t->lock);
	take_bits(t, mine, npages, true);
	for (size_t i = 0; i < (npages + 7) / 8; i++)
		bits[i] |= mine[i];
	keep_pinned(t, mine, npages);
	protect_again(t, mine, npages);
	pthread_mutex_unlock(&t->lock);
	free(mine);
	return ERR_OK;
}

void os_track_stop(struct os_track *t)
{
	if (!t)
		return;
	if (t->kind == OS_TRACK_KERNEL)
		os_track_kernel_stop(t);
	else
		os_protect(t->base, atomic_load(&t->size_bytes), OS_READ_WRITE);
	pthread_mutex_destroy(&t->lock);
	free(t->dirty);
	free(t);
}
