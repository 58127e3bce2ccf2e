/* run.c - threads: calls from outside, running, and the ways a run ends.
 *
 * A thread's truths, between runs (thread_check() asserts them):
 *  1. idle: busy is false, csp is frames (the bottom, which is no call), direct is NULL.
 *  2. busy with frames: csp > frames; pc and fp say where the top frame goes on, and pc is a safepoint of its function.
 *     With exn set, pc is unwind_code, and the top frame stands in a call.
 *  3. busy without: direct is a host function, called from outside, that has not been done yet.
 * The bottom frame's pc is thread_end_code: the outermost function returns there.
 */
#include "engine/detour.h"
#include "engine/atomic.h"
#include "engine/interp.h"
#include "engine/safepoint.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void thread_check(const struct thread *t)
{
	assert(t->busy == (t->csp > t->frames || t->direct));
	assert(!t->direct || t->csp == t->frames);
	if (t->csp > t->frames) {
		const struct code *c = t->csp->code;
		assert(t->fp == t->csp->fp && t->fp + c->need <= t->stack_end);
		assert(t->exn || (t->pc >= c->entry && t->pc < c->entry + c->size_words));
	}
	(void)t;
}

/* ---- life ---- */

static enum err new_thread(struct store *s, uint32_t slots, uint32_t depth, struct thread **out)
{
	struct thread *t = s->spare;
	if (t)
		s->spare = t->next_spare;
	else
		t = malloc(sizeof *t);
	if (!t)
		return ERR_NOMEM;
	memset(t, 0, sizeof *t);
	t->store = s;
	size_t page = os_page_size();
	t->slots_bytes = (((size_t)slots + STACK_SLACK) * 8 + page) & ~(page - 1);
	t->frames_bytes = (((size_t)depth + 1) * sizeof(struct frame) + page) & ~(page - 1);
	t->slots = os_reserve(t->slots_bytes);
	t->frames = os_reserve(t->frames_bytes);
	if (!t->slots || !t->frames || os_commit(t->slots, t->slots_bytes) != ERR_OK ||
	    os_commit(t->frames, t->frames_bytes) != ERR_OK || !GROW(s->threads, s->nthreads)) {
		os_release(t->slots, t->slots_bytes);
		os_release(t->frames, t->frames_bytes);
		free(t);
		return ERR_NOMEM;
	}
	t->stack_end = t->slots + slots;
	t->frames_end = t->frames + depth + 1;
	t->frames[0] = (struct frame){.pc = (const uint64_t *)thread_end_code, .fp = t->slots};
	thread_reset(t);
	s->threads[s->nthreads++] = t;
	*out = t;
	return ERR_OK;
}

enum err thread_new(struct store *s, struct thread **out)
{
	return new_thread(s, s->cfg.max_stack_slots, s->cfg.max_call_depth, out);
}

/* What a sixteenth is, but for stacks that are small already. */
static uint32_t sixteenth(uint32_t whole)
{
	enum { LEAST = 4096 };
	uint32_t part = whole / 16;
	return part >= LEAST ? part : whole < LEAST ? whole : LEAST;
}

enum err thread_new_small(struct store *s, struct thread **out)
{
	return new_thread(s, sixteenth(s->cfg.max_stack_slots), sixteenth(s->cfg.max_call_depth),
	                  out);
}

void thread_set_user(struct thread *t, void *user)
{
	t->user = user;
}

void *thread_user(const struct thread *t)
{
	return t->user;
}

void thread_free(struct thread *t)
{
	if (!t)
		return;
	struct store *s = t->store;
	if (s->globals_of == t)
		globals_use(s, NULL);
	free(t->globals);
	for (uint32_t i = 0; i < s->nthreads; i++) {
		if (s->threads[i] == t) {
			s->turn -= s->turn > i;
			s->nthreads--;
			for (; i < s->nthreads; i++)
				s->threads[i] = s->threads[i + 1];
		}
	}
	detours_free(t);
	os_release(t->slots, t->slots_bytes);
	os_release(t->frames, t->frames_bytes);
	translator_free(t->translating);
	t->next_spare = s->spare; /* a request to stop may still be on its way to it */
	s->spare = t;
}

struct store *thread_store(struct thread *t)
{
	return t->store;
}

void thread_reset(struct thread *t)
{
	translator_free(t->translating);
	t->translating = NULL;
	detours_reset(t);
	t->csp = t->frames;
	t->direct = NULL;
	t->exn = 0;
	t->wait = WAIT_NO;
	t->busy = false;
	t->pc = (const uint64_t *)thread_end_code;
	t->fp = t->slots;
}

uint32_t thread_depth(const struct thread *t)
{
	return (uint32_t)(t->csp - t->frames);
}

/* ---- calls from outside ---- */

struct code *instance_code(struct instance *in, uint32_t funcidx, struct thread *t)
{
	struct code **slot = &in->codes[funcidx - in->module->nimport_funcs];
	if (!*slot)
		*slot = translate(in, funcidx, t);
	return *slot;
}

struct code *code_of_id(struct store *s, uint32_t id, struct thread *t)
{
	const struct func_range *r = store_func(s, id);
	return instance_code(r->inst, r->inst->module->nimport_funcs + (id - r->base), t);
}

static enum err push_frame(struct thread *t, uint32_t id, struct errmsg *msg)
{
	struct code *c = code_of_id(t->store, id, NULL);
	if (!c)
		return err_set(msg, ERR_INVALID, "%s", trap_text(t->store->no_code));
	if (t->slots + c->need > t->stack_end || t->frames + 1 == t->frames_end)
		return err_set(msg, ERR_LIMIT, "call stack exhausted");
	zero_locals(t->slots + c->nparams, c->nzero);
	t->csp = t->frames + 1;
	*t->csp = (struct frame){.fp = t->slots, .code = c};
	t->pc = c->entry;
	t->fp = t->slots;
	return ERR_OK;
}

enum err thread_call_func(struct thread *t, uint64_t funcref, const uint64_t *args, uint32_t nargs,
                          struct errmsg *msg)
{
	if (t->busy)
		return err_set(msg, ERR_STATE, "the thread is in a call");
	const struct func_range *r = store_func(t->store, funcref);
	if (!r)
		return err_set(msg, ERR_INVALID, "no function has the reference %llu",
		               (unsigned long long)funcref);
	uint32_t nparams, nresults;
	t->call_type = store_func_type(t->store, r, funcref);
	type_counts(t->store->types[t->call_type], &nparams, &nresults);
	if (nargs != nparams)
		return err_set(msg, ERR_INVALID, "%u arguments for %u parameters", nargs, nparams);
	size_t room = (size_t)(t->stack_end - t->slots);
	if (nparams > room || nresults > room)
		return err_set(msg, ERR_LIMIT, "call stack exhausted");
	for (uint32_t i = 0; i < nargs; i++)
		t->slots[i] = args[i];
	if (r->host)
		t->direct = r->host;
	else
		TRY(push_frame(t, (uint32_t)funcref, msg));
	t->busy = true;
	return ERR_OK;
}

enum err thread_call_export(struct thread *t, struct instance *in, const char *name,
                            const uint64_t *args, uint32_t nargs, struct errmsg *msg)
{
	struct export_info ex;
	if (!instance_export(in, name, strlen(name), &ex) || ex.kind != EXT_FUNC)
		return err_set(msg, ERR_NOTFOUND, "no exported function \"%s\"", name);
	return thread_call_func(t, ex.value, args, nargs, msg);
}

enum err thread_call_start(struct thread *t, struct instance *in)
{
	uint32_t start = in->module->start;
	if (start == UINT32_MAX)
		return ERR_NOTFOUND;
	return thread_call_func(t, instance_func_id(in, start), NULL, 0, NULL);
}

/* ---- stopping ---- */

void thread_request_stop(struct thread *t)
{
	atomic_store(&t->stop_asked, 1);
	atomic_store(&t->stop, 1);
}

void thread_stop_every(struct thread *t, uint64_t n)
{
	t->stop_every = n;
	t->stop_count = 0;
	atomic_store(&t->stop, n != 0 || atomic_load(&t->stop_asked));
}

bool thread_poll(struct thread *t)
{
	if (t->stop_every && ++t->stop_count >= t->stop_every) {
		t->stop_count = 0;
		return true;
	}
	if (atomic_load(&t->stop_asked))
		return true;
	if (t->stop_every)
		return false;
	atomic_store(&t->stop, 0);
	if (!atomic_load(&t->stop_asked)) /* asked for in between? */
		return false;
	atomic_store(&t->stop, 1);
	return true;
}

/* ---- ways out of the interpreter ---- */

static void stand(struct thread *t, const u64 *pc, u64 *fp, enum thread_exit why)
{
	t->pc = pc;
	t->fp = fp;
	t->exit = why;
}

HANDLER_CC void out_trap(const u64 *pc, u64 *fp, struct thread *t, u8 *mem, u64 ia, f64 fa)
{
	stand(t, pc, fp, ia == TRAP_BLOCK ? EXIT_BLOCK : EXIT_TRAP);
	t->trap = (enum trap)ia;
}

HANDLER_CC void out_no_code(const u64 *pc, u64 *fp, struct thread *t, u8 *mem, u64 ia, f64 fa)
{
	t->trap = (enum trap)ia;
	stand(t, pc, fp, ia == TRAP_AGAIN ? EXIT_STOP : EXIT_TRAP);
}

HANDLER_CC void out_stop(const u64 *pc, u64 *fp, struct thread *t, u8 *mem, u64 ia, f64 fa)
{
	stand(t, pc, fp, EXIT_STOP);
}

HANDLER_CC void out_poll(const u64 *pc, u64 *fp, struct thread *t, u8 *mem, u64 ia, f64 fa)
{
	if (thread_poll(t))
		stand(t, pc, fp, EXIT_STOP);
	else __attribute__
		((musttail)) return (*(const handler *)pc)(pc, fp, t, mem, ia, fa);
}

/* What thread_mem_write() marked may be collected again. */
static void host_done_writing(struct thread *t)
{
	if (!t->direct && t->csp->code->inst->module->nmems)
		mem_host_done(t->csp->code->inst->mems[0]);
}

/* Says so in t->exit when the call is not done. */
static bool host_run(struct thread *t, struct hostfunc *h, u64 *v)
{
	enum host_result result = h->fn(h->env, t, v);
	host_done_writing(t);
	switch (result) {
	case HOST_DONE: return true;
	case HOST_BLOCK: t->exit = EXIT_BLOCK; return false;
	case HOST_EXIT: t->exit = EXIT_PROC; return false;
	case HOST_STOP:
		t->exit = EXIT_STOP;
		t->news = true;
		return false;
	case HOST_TRAP: break;
	}
	t->exit = EXIT_TRAP;
	t->trap = TRAP_HOST;
	return false;
}

bool host_call(struct thread *t, struct hostfunc *h, u64 *v, const u64 *pc, u64 *fp)
{
	t->pc = pc;
	t->fp = fp;
	if (UNLIKELY(atomic_load_explicit(&t->stop, memory_order_relaxed)) && pc != t->skip_pc &&
	    thread_poll(t)) {
		t->exit = EXIT_STOP;
		return false;
	}
	t->skip_pc = NULL;
	return host_run(t, h, v);
}

void tail_leaves_instance(struct thread *t)
{
	struct frame *f = t->csp - 1;
	if (f == t->frames || f->pc == (const u64 *)resync_back_code)
		return;
	f->back = f->pc;
	f->pc = (const u64 *)resync_back_code;
}

enum trap indirect_target(struct thread *t, u64 ref, u32 type, struct target *to)
{
	if (!ref)
		return TRAP_UNINITIALIZED_ELEMENT;
	const struct func_range *r = store_func(t->store, ref);
	assert(r);
	if (store_func_type(t->store, r, ref) != type)
		return TRAP_INDIRECT_TYPE;
	if (r->host) {
		to->host = r->host;
		return TRAP_NONE;
	}
	to->code = code_of_id(t->store, (u32)ref, t);
	return to->code ? TRAP_NONE : t->store->no_code;
}

/* ---- running ---- */

static void run_body(void *ctx)
{
	struct thread *t = ctx;
	t->mem = t->csp->code->inst->mem0;
	(*(const handler *)t->pc)(t->pc, t->fp, t, t->mem, 0, 0);
}

static void mask_results(struct thread *t)
{
	const char *p = strchr(t->store->types[t->call_type], ')') + 1;
	for (uint32_t i = 0; p[i]; i++)
		if (p[i] == 'i' || p[i] == 'f')
			t->slots[i] = (u32)t->slots[i];
}

#define NO_OFFSET UINT32_MAX

static void note_function(struct thread *t, const struct module *m, uint32_t funcidx,
                          uint32_t offset)
{
	char name[96];
	int n;
	if (module_func_name(m, funcidx, name, sizeof name))
		n = snprintf(t->where, sizeof t->where, "%s (function %u)", name, funcidx);
	else
		n = snprintf(t->where, sizeof t->where, "function %u", funcidx);
	if (offset != NO_OFFSET)
		snprintf(t->where + n, sizeof t->where - (size_t)n, ", offset 0x%x", offset);
}

/* Where the thread stands, for people. at_pc: pc is known. */
static void note_where(struct thread *t, bool at_pc)
{
	uint32_t offset = NO_OFFSET;
	t->where[0] = 0;
	if (t->csp == t->frames)
		return;
	const struct code *c = t->csp->code;
	if (at_pc && t->pc >= c->entry && t->pc < c->entry + c->size_words)
		offset = code_offset_of((struct code *)c, (uint32_t)(t->pc - c->entry));
	note_function(t, c->inst->module, c->funcidx, offset);
}

void thread_note_thrown(struct thread *t, uint32_t func, uint32_t offset)
{
	const struct func_range *r = store_func(t->store, func);
	const struct module *m = r->inst->module;
	note_function(t, m, m->nimport_funcs + (func - r->base), offset);
}

static enum run_status trapped(struct thread *t, bool at_pc)
{
	if (t->trap != TRAP_UNCAUGHT) /* then it is known where it was thrown */
		note_where(t, at_pc);
	thread_reset(t);
	return RUN_TRAPPED;
}

static enum run_status stopped(struct thread *t)
{
	atomic_exchange(&t->stop_asked, 0);
	atomic_store(&t->stop, t->stop_every != 0);
	if (atomic_load(&t->stop_asked)) /* asked for again in between */
		atomic_store(&t->stop, 1);
	thread_check(t);
	return RUN_STOPPED;
}

static enum run_status run_ended(struct thread *t)
{
	switch (t->exit) {
	case EXIT_STOP: return stopped(t);
	case EXIT_BLOCK: thread_check(t); return RUN_BLOCKED;
	case EXIT_TRAP: return trapped(t, true);
	case EXIT_PROC: thread_reset(t); return RUN_EXITED;
	case EXIT_DONE: break;
	}
	thread_reset(t);
	mask_results(t);
	return RUN_DONE;
}

enum run_status thread_run(struct thread *t)
{
	uintptr_t addr;
	thread_check(t);
	if (atomic_load(&t->stop_asked))
		return stopped(t);
	if (!t->busy)
		return RUN_DONE;
	t->skip_pc = t->pc;
	t->news = false;
	globals_use(t->store, t);
	if (t->direct) {
		t->exit = EXIT_DONE;
		host_run(t, t->direct, t->slots);
		return run_ended(t);
	}
	if (os_fault_guarded(run_body, t, &addr))
		return run_ended(t);
	t->trap = TRAP_MEM_BOUNDS;
	return trapped(t, false);
}

const uint64_t *thread_results(const struct thread *t, uint32_t *count)
{
	uint32_t nparams;
	type_counts(t->store->types[t->call_type], &nparams, count);
	return t->slots;
}

const char *thread_trap_text(const struct thread *t, char *where, size_t where_size)
{
	if (where && where_size)
		snprintf(where, where_size, "%s", t->where);
	return t->trap == TRAP_HOST && t->trap_words ? t->trap_words : trap_text(t->trap);
}

void thread_trap_set(struct thread *t, const char *text)
{
	t->trap_words = text;
}
