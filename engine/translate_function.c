/* translate_function.c - one function from its first call to finished code: begun, worked at in pieces, put aside when its thread has
 * to stop, and made again with a recorder for the map of its safepoints.
 *
 * translate.c does the instructions. The buffers of a translator are kept for the next function (struct store).
 */
#include "engine/lazy.h"
#include "engine/translate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- its beginning ---- */

/* Local x begins at slot; where the next one does. */
static uint32_t add_local(struct translator *tr, uint32_t x, uint32_t slot, uint8_t type)
{
	tr->local_slots[x] = slot;
	tr->local_types[slot++] = type;
	if (type == VT_V128)
		tr->local_types[slot++] = VT_V128_HIGH;
	return slot;
}

static void read_locals(struct translator *tr, const struct functype *ft)
{
	uint32_t n = 0, slot = 0;
	for (; n < ft->nparams; n++)
		slot = add_local(tr, n, slot, ft->params[n]);
	tr->nparams = slot;
	for (uint32_t groups = leb_u32(tr); groups-- > 0;) {
		uint32_t count = leb_u32(tr);
		uint8_t type = *tr->p++;
		while (count-- > 0)
			slot = add_local(tr, n++, slot, type);
	}
	assert(n == tr->f->nlocals);
	tr->nlocals = slot;
}

static bool room_for(struct translator *tr, uint32_t nlocals, uint32_t max_height)
{
	if (!tr->w &&
	    stretch_to(&tr->words, 1024 * sizeof *tr->w, MAX_CODE_WORDS * sizeof *tr->w)) {
		tr->w = tr->words.p;
		tr->cap = 1024;
	}
	if (tr->vcap < max_height + 3) {
		free(tr->v);
		tr->vcap = max_height + 64;
		tr->v = malloc(tr->vcap * sizeof *tr->v);
	}
	if (tr->locals_cap < nlocals + 1) {
		free(tr->local_types);
		free(tr->local_slots);
		tr->locals_cap = nlocals + 256;
		tr->local_types = malloc(2 * (size_t)tr->locals_cap);
		tr->local_slots = malloc(tr->locals_cap * sizeof *tr->local_slots);
	}
	if (!tr->ctrls)
		rec_room((void **)&tr->ctrls, 0, &tr->ctrls_cap, sizeof *tr->ctrls);
	if (!tr->v)
		tr->vcap = 0;
	if (!tr->local_types || !tr->local_slots)
		tr->locals_cap = 0;
	return tr->w && tr->v && tr->locals_cap && tr->ctrls;
}

static bool begin_function(struct translator *tr, struct instance *in, uint32_t funcidx)
{
	tr->in = in;
	tr->m = in->module;
	tr->f = module_func(tr->m, funcidx);
	tr->body = tr->p = tr->m->bytes + tr->f->body_offset;
	tr->n = tr->height = tr->clean = tr->nctrls = tr->npatches = 0;
	tr->nregions = tr->nclauses = tr->region = 0;
	tr->acc[0] = tr->acc[1] = -1;
	tr->failed = false;
	tr->funcidx = funcidx;
	tr->reachable = true;
	tr->skipped_blocks = tr->late = tr->copied = 0;
	tr->made = NULL;
	barrier(tr);
	if (!room_for(tr, tr->f->nlocals, tr->f->max_height))
		return false;
	const struct functype *ft = module_functype(tr->m, funcidx);
	read_locals(tr, ft);
	tr->v[0].slot = tr->nlocals;
	tr->need = tr->nlocals + tr->f->max_height; /* more when there are vectors */
	tr->wide = tr->nlocals + 2 * tr->f->max_height > UINT16_MAX - 1;
	tr->len = tr->wide ? 3 : 2;
	tr->handlers = tr->wide ? handlers_wide : handlers_narrow;
	struct ctrl *c = ctrl_push(tr, WOP_block);
	c->nresults = ft->nresults;
	c->results = ft->results;
	return !tr->failed;
}

/* ---- its code ---- */

bool translate_body(struct translator *tr)
{
	record(tr, SP_ENTRY, tr->body);
	while (translate_some(tr))
		;
	return !tr->failed;
}

static struct code *code_new(struct translator *tr)
{
	struct instance *in = tr->in;
	struct handlers *handlers = tr->nregions ? keep_handlers(tr) : NULL;
	struct code *c = arena_alloc(&in->store->code, 1, sizeof *c + tr->n * sizeof *tr->w);
	if (!c || (tr->nregions && !handlers))
		return NULL;
	*c = (struct code){
	    .entry = (uint64_t *)(c + 1),
	    .need = tr->need,
	    .nzero = tr->nlocals - tr->nparams,
	    .nparams = tr->nparams,
	    .nlocals = tr->nlocals,
	    .type = in->types[in->module->func_types[tr->funcidx]],
	    .funcidx = tr->funcidx,
	    .size_words = tr->n,
	    .wide = tr->wide,
	    .inst = in,
	    .handlers = handlers,
	};
	return c;
}

/* What is done between two looks at the stop word: under 0.1 ms, but for one long br_table (limits.h). */
#define PIECE_WORK 1024u
#define PIECE_WORDS 8192u

/* False when all is translated. */
static bool translate_piece(struct translator *tr)
{
	uint32_t until = tr->n + PIECE_WORDS;
	for (tr->work = 0; tr->work < PIECE_WORK && tr->n < until; tr->work++)
		if (!translate_some(tr))
			return false;
	return true;
}

/* False when all is where it stays, and long buffers are given back. */
static bool copy_piece(struct translator *tr)
{
	uint64_t *entry = (uint64_t *)(tr->made + 1);
	uint32_t left = tr->n - tr->copied;
	uint32_t n = left < PIECE_WORDS ? left : PIECE_WORDS;
	memcpy(entry + tr->copied, tr->w + tr->copied, n * sizeof *tr->w);
	tr->copied += n;
	if (tr->copied < tr->n || stretch_less(&tr->words) || stretch_less(&tr->patch_mem))
		return true;
	tr->cap = (uint32_t)(tr->words.bytes / sizeof *tr->w);
	tr->patches_cap = (uint32_t)(tr->patch_mem.bytes / sizeof *tr->patches);
	return false;
}

/* The next piece of all that is to do. False when it is done: tr->made, or NULL. */
static bool work_piece(struct translator *tr)
{
	if (tr->made)
		return copy_piece(tr);
	if (translate_piece(tr))
		return true;
	tr->made = tr->failed ? NULL : code_new(tr);
	return tr->made != NULL;
}

/* ---- who translates ---- */

static struct translator *translator_of(struct store *s)
{
	if (!s->translator)
		s->translator = calloc(1, sizeof *s->translator);
	return s->translator;
}

/* A translation that was begun and stopped in waits in its thread. */
static struct translator *take_up(struct thread *t, struct instance *in, uint32_t funcidx)
{
	struct translator *tr = t ? t->translating : NULL;
	if (!tr)
		return NULL;
	t->translating = NULL;
	if (tr->in == in && tr->funcidx == funcidx)
		return tr;
	translator_free(tr);
	return NULL;
}

static struct code *put_aside(struct thread *t, struct translator *tr)
{
	struct store *s = t->store;
	if (s->translator == tr)
		s->translator = NULL;
	t->translating = tr;
	s->no_code = TRAP_AGAIN;
	return NULL;
}

static void give_back(struct store *s, struct translator *tr)
{
	if (s->translator == tr)
		return;
	translator_free(s->translator);
	s->translator = tr;
}

static struct translator *begin_translation(struct instance *in, uint32_t funcidx)
{
	struct store *s = in->store;
	struct lazy *lazy = in->module->lazy;
	s->no_code = TRAP_INVALID_BODY;
	if (lazy && lazy_need(lazy, funcidx - in->module->nimport_funcs, NULL) != ERR_OK)
		return NULL;
	s->no_code = TRAP_NOMEM;
	struct translator *tr = translator_of(s);
	return tr && begin_function(tr, in, funcidx) ? tr : NULL;
}

struct code *translate(struct instance *in, uint32_t funcidx, struct thread *t)
{
	struct translator *tr = take_up(t, in, funcidx);
	if (!tr)
		tr = begin_translation(in, funcidx);
	if (!tr)
		return NULL;
	while (work_piece(tr))
		if (t && atomic_load_explicit(&t->stop_asked, memory_order_relaxed))
			return put_aside(t, tr);
	give_back(in->store, tr);
	in->store->no_code = TRAP_NOMEM;
	return tr->made;
}

void translator_free(struct translator *tr)
{
	if (!tr)
		return;
	stretch_free(&tr->words);
	stretch_free(&tr->patch_mem);
	free(tr->v);
	free(tr->ctrls);
	free(tr->local_types);
	free(tr->local_slots);
	free(tr->regions);
	free(tr->clauses);
	free(tr);
}

bool translate_again(struct code *c, struct translator **out)
{
	struct translator *tr = *out = translator_of(c->inst->store);
	return tr && begin_function(tr, c->inst, c->funcidx);
}
