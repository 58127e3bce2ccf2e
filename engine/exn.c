/* exn.c - exn.h. */
#include "engine/exn.h"

#include "engine/detour.h"
#include "engine/interp.h"

#include <stdlib.h>

/* Exceptions are looked for that nothing refers to when they have come to take so much; then twice what is left. */
#define COLLECT_BYTES (256u << 10)
/* Frames that are taken off between two looks at the stop word: 0.1 ms. A thread that stands in the middle takes no
 * signal (thread_interrupt()), so it stands there rarely, but where stops are counted, for tests. */
#define UNWIND_PIECE 4096u
#define UNWIND_PIECE_COUNTED 64u

enum err tag_new(struct store *s, uint32_t type, struct taginst **out)
{
	struct taginst *tag = calloc(1, sizeof *tag);
	if (!tag || !GROW(s->tags, s->ntags)) {
		free(tag);
		return ERR_NOMEM;
	}
	tag->type = type;
	tag->index = s->ntags;
	s->tags[s->ntags++] = tag;
	*out = tag;
	return ERR_OK;
}

/* ---- objects ---- */

struct exn *exn_of(const struct store *s, uint64_t v)
{
	bool is_one = v >> 32 == EXN_PATTERN && (uint32_t)v < s->nexns;
	return is_one ? s->exns[(uint32_t)v] : NULL;
}

static size_t size_of(const struct exn *e)
{
	return sizeof *e + e->nvalues * sizeof *e->values;
}

static void mark(struct store *s, uint64_t v, struct exn **todo)
{
	struct exn *e = exn_of(s, v);
	if (!e || e->marked)
		return;
	e->marked = true;
	e->link = *todo;
	*todo = e;
}

static void mark_all(struct store *s, const uint64_t *v, size_t n, struct exn **todo)
{
	for (size_t i = 0; i < n; i++)
		mark(s, v[i], todo);
}

static void mark_thread(struct store *s, const struct thread *t, struct exn **todo)
{
	const uint64_t *end = t->slots;
	if (t->csp > t->frames)
		end = t->csp->fp + t->csp->code->need;
	else if (t->direct)
		end = t->slots + t->direct->nparams;
	mark_all(s, t->slots, (size_t)(end - t->slots), todo);
	mark(s, t->exn, todo);
	for (uint32_t i = 0; i < t->nglobals; i++)
		if (t->globals[i].type == VT_EXNREF)
			mark(s, t->globals[i].value, todo);
	for (uint32_t i = 0; t->detours && i < t->detours->njumps; i++) {
		const struct jump *j = &t->detours->jumps[i];
		mark_all(s, j->values, j->code->nlocals + j->sp->height, todo);
	}
}

static void mark_store(struct store *s, struct exn **todo)
{
	for (uint32_t i = 0; i < s->ntables; i++)
		if (s->tables[i]->reftype == VT_EXNREF)
			mark_all(s, s->tables[i]->elems, s->tables[i]->size, todo);
	for (uint32_t i = 0; i < s->nglobals; i++)
		if (s->globals[i]->type == VT_EXNREF)
			mark(s, s->globals[i]->value, todo);
	for (uint32_t i = 0; i < s->nthreads; i++)
		mark_thread(s, s->threads[i], todo);
}

static void sweep(struct store *s)
{
	for (uint32_t i = 0; i < s->nexns; i++) {
		struct exn *e = s->exns[i];
		if (!e)
			continue;
		if (!e->marked) {
			s->exn_bytes -= size_of(e);
			s->exns[i] = NULL;
			free(e);
			continue;
		}
		e->marked = false;
	}
	s->exn_free = 0;
}

static void collect(struct store *s)
{
	struct exn *todo = NULL;
	mark_store(s, &todo);
	while (todo) {
		struct exn *e = todo;
		todo = e->link;
		mark_all(s, e->values, e->nvalues, &todo);
	}
	sweep(s);
	s->exn_collect = s->exn_bytes * 2 > COLLECT_BYTES ? s->exn_bytes * 2 : COLLECT_BYTES;
}

/* The next place without an exception. */
static bool find_place(struct store *s, uint32_t *index)
{
	while (s->exn_free < s->nexns && s->exns[s->exn_free])
		s->exn_free++;
	*index = s->exn_free;
	if (*index < s->nexns)
		return true;
	if (!GROW(s->exns, s->nexns))
		return false;
	s->exns[s->nexns++] = NULL;
	return true;
}

struct exn *exn_new(struct store *s, struct taginst *tag, uint32_t index, uint64_t *handle)
{
	uint32_t nvalues, nresults;
	type_counts(s->types[tag->type], &nvalues, &nresults);
	size_t size = sizeof(struct exn) + nvalues * sizeof(uint64_t);
	if (index == UINT32_MAX) {
		if (s->exn_bytes >= (s->exn_collect ? s->exn_collect : COLLECT_BYTES) ||
		    s->exn_bytes + size > EXN_MAX_BYTES)
			collect(s);
		if (!find_place(s, &index))
			return NULL;
	}
	struct exn *e = s->exn_bytes + size > EXN_MAX_BYTES ? NULL : calloc(1, size);
	if (!e)
		return NULL;
	e->tag = tag;
	e->nvalues = nvalues;
	s->exn_bytes += size;
	s->exns[index] = e;
	*handle = exn_handle(index);
	return e;
}

void exns_free(struct store *s)
{
	for (uint32_t i = 0; i < s->nexns; i++)
		free(s->exns[i]);
	for (uint32_t i = 0; i < s->ntags; i++)
		free(s->tags[i]);
	free(s->exns);
	free(s->tags);
}

/* ---- where it is caught ---- */

static const struct clause *find_clause(const struct handlers *h, uint32_t word,
                                        const struct taginst *tag)
{
	uint32_t lo = 0, hi = h->nregions;
	while (lo < hi) { /* regions that begin at or before the word */
		uint32_t mid = lo + (hi - lo) / 2;
		if (h->regions[mid].begin <= word)
			lo = mid + 1;
		else
			hi = mid;
	}
	while (lo && word >= h->regions[lo - 1].end)
		lo = h->regions[lo - 1].outer;
	for (; lo; lo = h->regions[lo - 1].next)
		for (uint32_t i = h->regions[lo - 1].first; i; i = h->clauses[i - 1].next)
			if (!h->clauses[i - 1].tag || h->clauses[i - 1].tag == tag)
				return &h->clauses[i - 1];
	return NULL;
}

/* The top frame goes on at the clause's target. */
static void land(struct thread *t, const struct clause *c, const struct exn *e)
{
	const struct frame *f = t->csp;
	for (uint32_t i = 0; i < e->nvalues && c->values != NO_SLOT; i++)
		f->fp[c->values + i] = e->values[i];
	if (c->ref != NO_SLOT)
		f->fp[c->ref] = t->exn;
	t->exn = 0;
	t->fp = f->fp;
	t->pc = f->code->entry + c->target;
	t->mem = f->code->inst->mem0;
}

static bool leave(struct thread *t, enum thread_exit why, enum trap trap)
{
	t->exit = why;
	t->trap = trap;
	return false;
}

static bool uncaught(struct thread *t, const struct exn *e)
{
	thread_note_thrown(t, e->func, e->offset);
	t->exn = 0;
	return leave(t, EXIT_TRAP, TRAP_UNCAUGHT);
}

static bool has_to_stop(struct thread *t)
{
	return UNLIKELY(atomic_load_explicit(&t->stop, memory_order_relaxed)) && thread_poll(t);
}

/* word: where the top frame stands, in its code. */
static bool unwind(struct thread *t, uint32_t word)
{
	const struct exn *e = exn_of(t->store, t->exn);
	uint32_t piece = t->stop_every ? UNWIND_PIECE_COUNTED : UNWIND_PIECE;
	for (uint32_t n = 1;; n++) {
		const struct code *code = t->csp->code;
		const struct clause *c =
		    code->handlers ? find_clause(code->handlers, word, e->tag) : NULL;
		if (c) {
			land(t, c, e);
			return true;
		}
		t->csp--;
		if (t->csp == t->frames || t->csp->pc == (const uint64_t *)thread_resume_code)
			return uncaught(t, e); /* not past the frame that a handler interrupted */
		if (n % piece == 0 && has_to_stop(t)) {
			t->pc = (const uint64_t *)unwind_code;
			t->fp = t->csp->fp;
			return leave(t, EXIT_STOP, TRAP_NONE);
		}
		word = (uint32_t)(frame_pc(t->csp) - t->csp->code->entry) - 1;
	}
}

bool exn_unwind_on(struct thread *t)
{
	return unwind(t, (uint32_t)(frame_pc(t->csp) - t->csp->code->entry) - 1);
}

/* ---- throwing ---- */

/* Before the instruction at pc, which has not begun: a loop of throws can be stopped. */
static bool stopped_before(struct thread *t, const uint64_t *pc, uint64_t *fp)
{
	t->pc = pc;
	t->fp = fp;
	if (pc != t->skip_pc && has_to_stop(t)) {
		leave(t, EXIT_STOP, TRAP_NONE);
		return true;
	}
	t->skip_pc = NULL;
	return false;
}

bool exn_throw(struct thread *t, struct taginst *tag, const uint64_t *v, uint32_t offset,
               const uint64_t *pc, uint64_t *fp)
{
	uint64_t handle;
	if (stopped_before(t, pc, fp))
		return false;
	struct exn *e = exn_new(t->store, tag, UINT32_MAX, &handle);
	if (!e)
		return leave(t, EXIT_TRAP, TRAP_EXCEPTIONS);
	const struct code *c = t->csp->code;
	e->func = c->inst->func_base + (c->funcidx - c->inst->module->nimport_funcs);
	e->offset = offset;
	memcpy(e->values, v, e->nvalues * sizeof *v);
	t->exn = handle;
	return unwind(t, (uint32_t)(pc - c->entry));
}

bool exn_throw_ref(struct thread *t, uint64_t handle, const uint64_t *pc, uint64_t *fp)
{
	if (stopped_before(t, pc, fp))
		return false;
	if (!exn_of(t->store, handle)) /* also what a host made up */
		return leave(t, EXIT_TRAP, TRAP_NULL_EXCEPTION);
	t->exn = handle;
	return unwind(t, (uint32_t)(pc - t->csp->code->entry));
}
