/* detour.c - handlers pushed at safepoints, and jumps back to where setjmp was called (detour.h). */
#include "engine/detour.h"
#include "engine/atomic.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Bytes below the stack pointer that a function may use without moving it, and the alignment it keeps (sdk/abi/wali.def). */
enum { RED_ZONE = 128, STACK_ALIGN = 16 };

struct detours *detours_of(struct thread *t)
{
	if (!t->detours)
		t->detours = calloc(1, sizeof *t->detours);
	return t->detours;
}

static void drop_jumps(struct detours *d, uint32_t keep)
{
	while (d->njumps > keep)
		free(d->jumps[--d->njumps].values);
}

void detours_reset(struct thread *t)
{
	struct detours *d = t->detours;
	if (!d)
		return;
	d->nmarks = 0;
	d->jumped_id = 0;
	drop_jumps(d, 0);
}

void detours_free(struct thread *t)
{
	if (!t->detours)
		return;
	detours_reset(t);
	free(t->detours->marks);
	free(t->detours->jumps);
	free(t->detours);
	t->detours = NULL;
}

/* ---- the stack pointer of C programs ---- */

static struct globalinst *stack_pointer_of(struct instance *in)
{
	const struct module *m = in->module;
	static const char name[] = "__stack_pointer";
	for (uint32_t i = 0; i < m->nexports; i++) {
		const struct export *ex = &m->exports[i];
		if (ex->kind == EXT_GLOBAL && ex->name.size == sizeof name - 1 &&
		    !memcmp(ex->name.p, name, sizeof name - 1)) {
			struct globalinst *g = in->globals[ex->index];
			return g->mut && g->type == VT_I32 ? g : NULL;
		}
	}
	return NULL;
}

static uint32_t stack_pointer_get(const struct thread *t)
{
	globals_use(t->store, (struct thread *)t);
	const struct globalinst *g = stack_pointer_of(t->csp->code->inst);
	return g ? (uint32_t)g->value : 0;
}

static void stack_pointer_set(struct thread *t, uint32_t v)
{
	globals_use(t->store, t);
	struct globalinst *g = stack_pointer_of(t->csp->code->inst);
	if (g)
		g->value = v;
}

/* ---- handlers ---- */

const struct mark *detour_mark(const struct thread *t, uint32_t depth)
{
	const struct detours *d = t->detours;
	for (uint32_t i = d ? d->nmarks : 0; i > 0; i--)
		if (d->marks[i - 1].depth == depth)
			return &d->marks[i - 1];
	return NULL;
}

enum err detour_add_mark(struct thread *t, const struct mark *m)
{
	struct detours *d = detours_of(t);
	if (!d)
		return ERR_NOMEM;
	if (d->nmarks == DETOUR_MARKS_MAX)
		return ERR_LIMIT;
	if (!GROW(d->marks, d->nmarks))
		return ERR_NOMEM;
	d->marks[d->nmarks++] = *m;
	return ERR_OK;
}

/* The handler has returned: fp is the interrupted frame's. */
static HANDLER_CC void out_resume(const uint64_t *pc, uint64_t *fp, struct thread *t, uint8_t *mem,
                                  uint64_t ia, double fa)
{
	struct detours *d = t->detours;
	const struct mark *m = &d->marks[--d->nmarks];
	assert(m->depth == thread_depth(t));
	stack_pointer_set(t, m->stack_pointer);
	t->wait = m->wait;
	t->pc = m->pc;
	t->fp = fp;
	t->exit = EXIT_STOP;
	t->news = true;
}

const handler thread_resume_code[] = {out_resume};

bool detour_handler_type(const char *type)
{
	return !strcmp(type, "(i)") || !strcmp(type, "(iii)");
}

static struct code *handler_code(struct thread *t, uint32_t elem, uint32_t nargs)
{
	struct instance *in = t->csp->code->inst;
	if (!in->module->ntables || elem >= in->tables[0]->size || !in->tables[0]->elems[elem])
		return NULL;
	uint64_t ref = in->tables[0]->elems[elem];
	const struct func_range *r = store_func(t->store, ref);
	if (!r || r->inst != in)
		return NULL;
	const char *type = t->store->types[store_func_type(t->store, r, ref)];
	if (!detour_handler_type(type) || strlen(type) != nargs + 2)
		return NULL;
	return code_of_id(t->store, (uint32_t)ref, NULL);
}

uint32_t thread_stack_pointer(const struct thread *t)
{
	return t->busy && !t->direct ? stack_pointer_get(t) : 0;
}

uint32_t thread_stack_below(const struct thread *t, uint32_t size)
{
	uint32_t sp = thread_stack_pointer(t);
	uint64_t need = (uint64_t)RED_ZONE + STACK_ALIGN + size;
	return sp > need ? (sp - RED_ZONE - size) & ~(uint32_t)(STACK_ALIGN - 1) : 0;
}

enum err thread_interrupt(struct thread *t, uint32_t elem, const uint64_t *args, uint32_t nargs,
                          uint32_t stack)
{
	if (!t->busy || t->direct || t->exn)
		return ERR_STATE;
	struct code *c = handler_code(t, elem, nargs);
	if (!c)
		return ERR_INVALID;
	struct frame *f = t->csp;
	uint64_t *fp = f->fp + f->code->need;
	if (c->need > (size_t)(t->stack_end - fp) || f + 1 == t->frames_end)
		return ERR_LIMIT;
	struct mark m = {t->pc, thread_depth(t), stack_pointer_get(t), t->wait};
	if (m.wait == WAIT_QUEUED)
		m.wait = WAIT_NO; /* it will wait anew */
	TRY(detour_add_mark(t, &m));
	t->wait = WAIT_NO;
	if (stack)
		stack_pointer_set(t, stack);
	memset(fp, 0, (size_t)(c->nparams + c->nzero) * sizeof *fp);
	memcpy(fp, args, nargs * sizeof *fp);
	f->pc = (const uint64_t *)thread_resume_code;
	t->csp = f + 1;
	*t->csp = (struct frame){.fp = fp, .code = c};
	t->pc = c->entry;
	t->fp = fp;
	return ERR_OK;
}

uint32_t thread_interrupts(const struct thread *t)
{
	return t->detours ? t->detours->nmarks : 0;
}

/* ---- jumps ---- */

bool detour_jump_is_good(const struct thread *t, const struct jump *j)
{
	return j->depth <= thread_depth(t) && t->frames[j->depth].code == j->code;
}

enum err detour_add_jump(struct thread *t, const struct jump *j)
{
	struct detours *d = detours_of(t);
	enum err e = !d ? ERR_NOMEM : d->njumps == DETOUR_JUMPS_MAX ? ERR_LIMIT : ERR_OK;
	if (e == ERR_OK && !GROW(d->jumps, d->njumps))
		e = ERR_NOMEM;
	if (e != ERR_OK)
		free(j->values);
	else
		d->jumps[d->njumps++] = *j;
	return e;
}

/* Notes of frames that have returned. */
static void drop_old_jumps(struct thread *t)
{
	struct detours *d = t->detours;
	uint32_t keep = d->njumps;
	while (keep && !detour_jump_is_good(t, &d->jumps[keep - 1]))
		keep--;
	drop_jumps(d, keep);
}

static struct jump *same_jump(struct detours *d, const struct jump *j)
{
	for (uint32_t i = d->njumps; i > 0 && d->jumps[i - 1].depth == j->depth; i--)
		if (d->jumps[i - 1].sp == j->sp && d->jumps[i - 1].key == j->key)
			return &d->jumps[i - 1];
	return NULL;
}

enum err thread_setjmp(struct thread *t, uint64_t key, uint64_t *id)
{
	struct detours *d = detours_of(t);
	if (!d || t->direct)
		return d ? ERR_STATE : ERR_NOMEM;
	drop_old_jumps(t);
	struct code *c = t->csp->code;
	const struct spmap *map = code_map(c);
	if (!map)
		return ERR_NOMEM;
	struct jump j = {.key = key,
	                 .code = c,
	                 .sp = spmap_before(map, (uint32_t)(t->pc - c->entry)),
	                 .depth = thread_depth(t),
	                 .stack_pointer = stack_pointer_get(t)};
	assert(j.sp); /* a host call is a safepoint */
	size_t size = (size_t)(c->nlocals + j.sp->height) * sizeof *j.values;
	j.values = malloc(size + 1);
	if (!j.values)
		return ERR_NOMEM;
	memcpy(j.values, t->csp->fp, size);
	struct jump *old = same_jump(d, &j);
	if (!old) {
		*id = j.id = ++d->next_id;
		return detour_add_jump(t, &j);
	}
	*id = j.id = old->id;
	free(old->values);
	*old = j;
	return ERR_OK;
}

static const struct jump *find_jump(const struct thread *t, uint64_t id)
{
	const struct detours *d = t->detours;
	for (uint32_t i = d ? d->njumps : 0; i > 0; i--)
		if (d->jumps[i - 1].id == id)
			return detour_jump_is_good(t, &d->jumps[i - 1]) ? &d->jumps[i - 1] : NULL;
	return NULL;
}

enum err thread_jump(struct thread *t, uint64_t id, uint32_t value)
{
	const struct jump *j = find_jump(t, id);
	if (!j || t->direct)
		return ERR_NOTFOUND;
	struct detours *d = t->detours;
	struct frame *f = t->frames + j->depth;
	memcpy(f->fp, j->values, (size_t)(j->code->nlocals + j->sp->height) * sizeof *j->values);
	while (d->nmarks && d->marks[d->nmarks - 1].depth >= j->depth)
		d->nmarks--;
	d->jumped_id = id;
	d->jumped_value = value;
	t->csp = f;
	t->fp = f->fp;
	t->pc = j->code->entry + j->sp->before;
	stack_pointer_set(t, j->stack_pointer);
	return ERR_OK;
}

bool thread_jumped(struct thread *t, uint64_t *id, uint32_t *value)
{
	struct detours *d = t->detours;
	if (!d || !d->jumped_id)
		return false;
	*id = d->jumped_id;
	*value = d->jumped_value;
	d->jumped_id = 0;
	return true;
}
