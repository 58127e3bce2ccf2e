/* table.c - tables of references (spec 4.4.6). */
#include "base/os.h"
#include "engine/exec.h"

#include <stdlib.h>
#include <string.h>

/* Elements a table may have, whatever its type says. */
#define MAX_TABLE_ELEMS 10000000u
/* What an instruction does at once: 128 KiB, some ten microseconds. */
#define TABLE_PIECE 16384u
/* What a table in the heap has at most: moving it elsewhere, to make it longer, takes microseconds. */
#define HEAP_ELEMS 8192u

static size_t whole_pages(uint64_t elems)
{
	size_t page = os_page_size();
	return ((size_t)elems * sizeof(uint64_t) + page - 1) / page * page;
}

/* From the heap into address space for as many elements as it may ever have: it does not move any more. */
static bool leave_heap(struct tableinst *t)
{
	uint32_t most = t->has_max && t->max < MAX_TABLE_ELEMS ? t->max : MAX_TABLE_ELEMS;
	uint64_t *elems = os_reserve(whole_pages(most));
	if (!elems)
		return false;
	if (os_commit(elems, whole_pages(HEAP_ELEMS)) != ERR_OK) {
		os_release(elems, whole_pages(most));
		return false;
	}
	if (t->elems)
		memcpy(elems, t->elems, t->size * sizeof *elems);
	free(t->elems);
	t->elems = elems;
	t->cap = HEAP_ELEMS;
	t->ready = 0;
	t->reserved = whole_pages(most);
	return true;
}

static bool commit(struct tableinst *t, uint64_t size)
{
	uint64_t most = t->reserved / sizeof *t->elems;
	uint64_t cap = size > t->cap * 2ull ? size : t->cap * 2ull;
	if (cap > most)
		cap = most;
	size_t from = whole_pages(t->cap), to = whole_pages(cap);
	if (to > from && os_commit((uint8_t *)t->elems + from, to - from) != ERR_OK)
		return false;
	t->cap = (uint32_t)cap;
	return true;
}

/* Memory for so many elements; new ones are null. */
static bool make_room(struct tableinst *t, uint64_t size)
{
	if (size > MAX_TABLE_ELEMS || (t->has_max && size > t->max))
		return false;
	if (size <= t->cap)
		return true;
	if (size > HEAP_ELEMS && !t->reserved && !leave_heap(t))
		return false;
	if (t->reserved)
		return commit(t, size);
	uint64_t cap = size > t->cap * 2ull ? size : t->cap * 2ull;
	if (cap > HEAP_ELEMS)
		cap = HEAP_ELEMS;
	uint64_t *elems = realloc(t->elems, cap * sizeof *elems);
	if (!elems)
		return false;
	memset(elems + t->cap, 0, (cap - t->cap) * sizeof *elems);
	t->elems = elems;
	t->cap = (uint32_t)cap;
	return true;
}

void table_free(struct tableinst *t)
{
	if (t->reserved)
		os_release(t->elems, t->reserved);
	else
		free(t->elems);
	free(t);
}

enum err table_new(struct store *s, struct tabletype tt, struct tableinst **out)
{
	if (tt.limits.min > MAX_TABLE_ELEMS)
		return ERR_LIMIT;
	struct tableinst *t = calloc(1, sizeof *t);
	if (!t || !GROW(s->tables, s->ntables)) {
		free(t);
		return ERR_NOMEM;
	}
	t->max = tt.limits.max ? tt.limits.max : 1; /* elems is never NULL */
	t->has_max = tt.limits.has_max;
	if (!make_room(t, tt.limits.min ? tt.limits.min : 1)) {
		table_free(t);
		return ERR_NOMEM;
	}
	t->max = tt.limits.max;
	t->size = tt.limits.min;
	t->reftype = tt.reftype;
	t->index = s->ntables;
	s->tables[s->ntables++] = t;
	*out = t;
	return ERR_OK;
}

/* Elements are filled before they are there: between two pieces the instruction has not begun. How far it came is kept
 * but not saved: a rebuilt table begins again. */
enum trap table_grow(struct tableinst *t, uint64_t v[2])
{
	uint64_t size = (uint64_t)t->size + (uint32_t)v[1];
	if (!make_room(t, size)) {
		v[0] = UINT32_MAX;
		return TRAP_NONE;
	}
	if (t->ready < t->size || t->ready_value != v[0]) {
		t->ready = t->size;
		t->ready_value = v[0];
	}
	for (uint32_t n = 0; n < TABLE_PIECE && t->ready < size; n++)
		t->elems[t->ready++] = v[0];
	if (t->ready < size)
		return TRAP_AGAIN;
	v[0] = t->size;
	t->size = (uint32_t)size;
	return TRAP_NONE;
}

static uint32_t piece_of(uint32_t n)
{
	return n < TABLE_PIECE ? n : TABLE_PIECE;
}

enum trap table_fill(struct tableinst *t, uint64_t v[3])
{
	uint32_t i = (uint32_t)v[0], n = (uint32_t)v[2], now = piece_of(n);
	if ((uint64_t)i + n > t->size)
		return TRAP_TABLE_BOUNDS;
	for (uint32_t k = 0; k < now; k++)
		t->elems[i + k] = v[1];
	v[0] = i + now;
	v[2] = n - now;
	return v[2] ? TRAP_AGAIN : TRAP_NONE;
}

enum trap table_copy(struct tableinst *to, struct tableinst *from, uint64_t v[3])
{
	uint32_t d = (uint32_t)v[0], s = (uint32_t)v[1], n = (uint32_t)v[2], now = piece_of(n);
	if ((uint64_t)d + n > to->size || (uint64_t)s + n > from->size)
		return TRAP_TABLE_BOUNDS;
	uint32_t skip = d > s ? n - now : 0; /* from the end, as memmove does */
	memmove(to->elems + d + skip, from->elems + s + skip, now * sizeof *to->elems);
	if (d <= s) {
		v[0] = d + now;
		v[1] = s + now;
	}
	v[2] = n - now;
	return v[2] ? TRAP_AGAIN : TRAP_NONE;
}

enum trap table_init(struct instance *in, uint32_t elemidx, struct tableinst *t, uint64_t v[3])
{
	uint32_t d = (uint32_t)v[0], s = (uint32_t)v[1], n = (uint32_t)v[2], now = piece_of(n);
	uint32_t have = in->elem_dropped[elemidx] ? 0 : in->module->elems[elemidx].nitems;
	if ((uint64_t)s + n > have || (uint64_t)d + n > t->size)
		return TRAP_TABLE_BOUNDS;
	elem_read(in, elemidx, s, now, t->elems + d);
	v[0] = d + now;
	v[1] = s + now;
	v[2] = n - now;
	return v[2] ? TRAP_AGAIN : TRAP_NONE;
}
