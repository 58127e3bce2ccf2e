/* translate_try.c - exceptions in a function: the table of what it catches (exn.h), throws, and catch bodies.
 *
 * A try's body is a region, from the place where its block begins to where its first catch, its delegate or its end stands.
 * No instruction is made of two of which one is inside and one is not (barrier). Every throw and call is a safepoint, so
 * operands below a try are at home when something lands in one of its clauses.
 */
#include "engine/translate.h"

#include <stdlib.h>

/* ---- regions and clauses ---- */

void region_open(struct translator *tr, struct ctrl *c)
{
	barrier(tr);
	if (!GROW(tr->regions, tr->nregions)) {
		tr->failed = true;
		return;
	}
	tr->regions[tr->nregions++] = (struct region){
	    .begin = tr->n, .end = UINT32_MAX, .outer = tr->region, .next = tr->region};
	c->region = tr->region = tr->nregions;
}

void region_close(struct translator *tr, const struct ctrl *c)
{
	barrier(tr);
	if (!tr->failed)
		tr->regions[c->region - 1].end = tr->n;
	tr->region = c->around;
}

static void add_clause(struct translator *tr, uint32_t region, struct clause clause)
{
	if (tr->failed || !GROW(tr->clauses, tr->nclauses)) {
		tr->failed = true;
		return;
	}
	tr->clauses[tr->nclauses++] = clause;
	struct region *r = &tr->regions[region - 1];
	if (r->last)
		tr->clauses[r->last - 1].next = tr->nclauses;
	else
		r->first = tr->nclauses;
	r->last = tr->nclauses;
}

/* ---- try_table ---- */

enum { CATCH_REF = 1, CATCH_ALL = 2 }; /* bits of a clause's kind */

/* A clause goes to a label as a branch does, but that the throw has put the values where the label wants them. */
static void table_clause(struct translator *tr, uint32_t region)
{
	uint8_t kind = *tr->p++;
	struct clause clause = {.values = NO_SLOT, .ref = NO_SLOT};
	uint32_t slots = 0;
	if (!(kind & CATCH_ALL)) {
		uint32_t x = leb_u32(tr);
		const struct functype *ft = &tr->m->types[tr->m->tags[x]];
		clause.tag = tr->in->tags[x];
		slots = slots_of(ft->params, ft->nparams);
	}
	struct ctrl *to = label(tr, leb_u32(tr));
	if (slots)
		clause.values = home(tr, to->height);
	if (kind & CATCH_REF)
		clause.ref = home(tr, to->height) + slots;
	clause.target = to->loop_pos;
	add_clause(tr, region, clause);
	if (!tr->failed && to->kind != WOP_loop)
		patch_add(tr, &to->patches, tr->nclauses - 1, PATCH_CLAUSE);
}

void table_clauses(struct translator *tr, const struct ctrl *c)
{
	for (uint32_t n = leb_u32(tr); n-- > 0 && !tr->failed;)
		table_clause(tr, c->region);
}

/* ---- legacy: try, catch, delegate ---- */

void end_catch_part(struct translator *tr, struct ctrl *c)
{
	if (is_catch(c))
		move_results(tr, c); /* over the hidden operand */
	else
		flush(tr);
}

void do_catch(struct translator *tr, uint32_t op, bool reachable)
{
	struct ctrl *c = label(tr, 0);
	const struct functype *ft = NULL;
	struct clause clause = {.values = NO_SLOT, .ref = home(tr, c->height)};
	if (op == WOP_catch) {
		uint32_t x = leb_u32(tr);
		clause.tag = tr->in->tags[x];
		ft = &tr->m->types[tr->m->tags[x]];
		clause.values = home(tr, c->height) + 1;
	}
	if (reachable) {
		end_catch_part(tr, c);
		uint32_t pos = emit_imm(tr, IOP_br, 0, 0, 0);
		patch_add(tr, &c->patches, imm_at32(tr, pos), pos);
	}
	if (!is_catch(c))
		region_close(tr, c);
	barrier(tr);
	clause.target = tr->n;
	add_clause(tr, c->region, clause);
	c->kind = (uint8_t)op;
	stack_to(tr, c->height, 0, NULL);
	push_home(tr, VT_EXNREF);
	for (uint32_t i = 0; ft && i < ft->nparams; i++)
		push_home(tr, ft->params[i]);
}

void do_delegate(struct translator *tr, uint32_t depth)
{
	const struct ctrl *c = label(tr, 0), *to = label(tr, depth + 1);
	bool in_body = to->region && !is_catch(to);
	if (!tr->failed)
		tr->regions[c->region - 1].next = in_body ? to->region : to->around;
}

/* ---- throwing ---- */

void do_throw(struct translator *tr, uint32_t tagidx, const uint8_t *at)
{
	flush(tr);
	record(tr, SP_THROW, at);
	uint32_t n = tr->m->types[tr->m->tags[tagidx]].nparams;
	emit(tr, IOP_throw, home(tr, tr->height - n), 0, 0, 0);
	emit_word(tr, (uint64_t)(uintptr_t)tr->in->tags[tagidx]);
	emit_word(tr, (uint64_t)(at - tr->body));
	barrier(tr);
}

static void throw_slot(struct translator *tr, uint32_t slot, const uint8_t *at)
{
	flush(tr);
	record(tr, SP_THROW, at);
	emit(tr, IOP_throw_ref, slot, 0, 0, 0);
	barrier(tr);
}

void do_throw_ref(struct translator *tr, const uint8_t *at)
{
	throw_slot(tr, home(tr, tr->height - 1), at);
}

void do_rethrow(struct translator *tr, uint32_t depth, const uint8_t *at)
{
	throw_slot(tr, home(tr, label(tr, depth)->height), at);
}

struct handlers *keep_handlers(struct translator *tr)
{
	struct arena *a = &tr->in->store->code;
	struct handlers *h = arena_alloc(a, 1, sizeof *h);
	if (!h)
		return NULL;
	h->nregions = tr->nregions;
	h->regions = arena_copy(a, tr->regions, tr->nregions * sizeof *h->regions);
	h->clauses = arena_copy(a, tr->clauses, tr->nclauses * sizeof *h->clauses);
	return h->regions && h->clauses ? h : NULL;
}
