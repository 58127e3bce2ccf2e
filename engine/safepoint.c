/* safepoint.c - the map from code to canonical frames (safepoint.h). Points stand in order of their offset, and of `before`. */
#include "engine/safepoint.h"
#include "engine/translate.h"

#include <assert.h>
#include <stdlib.h>

static bool record_again(struct code *c, struct spmap *points, uint32_t want, uint8_t *types,
                         struct translator **out)
{
	if (!translate_again(c, out))
		return false;
	struct translator *tr = *out;
	tr->rec = points;
	tr->want = want;
	tr->want_types = types;
	bool ok = translate_body(tr);
	tr->rec = NULL;
	assert(!ok || tr->n == c->size_words); /* translation is deterministic */
	return ok;
}

static struct spmap *keep(struct store *s, const struct spmap *points, const struct translator *tr)
{
	struct spmap *m = arena_alloc(&s->code, 1, sizeof *m);
	if (!m)
		return NULL;
	m->npoints = points->npoints;
	m->points = arena_copy(&s->code, points->points, points->npoints * sizeof *m->points);
	m->local_types = arena_copy(&s->code, tr->local_types, tr->nlocals);
	return m->points && m->local_types ? m : NULL;
}

struct spmap *code_map(struct code *c)
{
	struct spmap points = {0};
	struct translator *tr;
	if (c->map)
		return c->map;
	if (record_again(c, &points, UINT32_MAX, NULL, &tr))
		c->map = keep(c->inst->store, &points, tr);
	free(points.points);
	return c->map;
}

const uint8_t *safepoint_types(struct code *c, struct safepoint *sp)
{
	struct spmap points = {0};
	struct translator *tr;
	if (sp->types)
		return sp->types;
	uint8_t *types = arena_alloc(&c->inst->store->code, sp->height, 1);
	if (types && record_again(c, &points, (uint32_t)(sp - c->map->points), types, &tr))
		sp->types = types;
	free(points.points);
	return sp->types;
}

/* How many points begin before that word. */
static uint32_t points_before(const struct spmap *m, uint32_t word)
{
	uint32_t lo = 0, hi = m->npoints;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (m->points[mid].before < word)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct safepoint *spmap_before(const struct spmap *m, uint32_t word)
{
	uint32_t i = points_before(m, word);
	return i < m->npoints && m->points[i].before == word ? &m->points[i] : NULL;
}

/* The next point begins behind the call, or where it goes on. */
struct safepoint *spmap_after(const struct spmap *m, uint32_t word)
{
	uint32_t i = points_before(m, word);
	struct safepoint *sp = i ? &m->points[i - 1] : NULL;
	return sp && sp->kind == SP_CALL && (sp->after == word || sp->foreign == word) ? sp : NULL;
}

struct safepoint *spmap_at_offset(const struct spmap *m, uint32_t offset)
{
	uint32_t lo = 0, hi = m->npoints;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (m->points[mid].offset < offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->npoints && m->points[lo].offset == offset ? &m->points[lo] : NULL;
}

uint32_t code_offset_of(struct code *c, uint32_t word)
{
	struct translator *tr;
	if (!translate_again(c, &tr))
		return 0;
	tr->finding = true;
	tr->find_word = word;
	tr->found_offset = 0;
	translate_body(tr);
	tr->finding = false;
	return tr->found_offset;
}
