/* atomic.c - atomic.h. */
#include "engine/atomic.h"

#include "engine/opcode.h"

#include <string.h>

/* Where size bytes at an address stand. */
static enum trap place(const struct meminst *m, uint64_t ea, unsigned size, uint8_t **p)
{
	if (ea % size)
		return TRAP_UNALIGNED;
	if (ea + size > atomic_load_explicit(&m->size_bytes, memory_order_relaxed))
		return TRAP_MEM_BOUNDS;
	*p = m->base + ea;
	return TRAP_NONE;
}

#define PLACE(T)                                                                  \
	uint8_t *p;                                                               \
	T was;                                                                    \
	enum trap trap = place(in->mems[0], (uint32_t)v[0] + imm, sizeof(T), &p); \
	if (trap)                                                                 \
		return trap;                                                      \
	memcpy(&was, p, sizeof was)

#define PUT(T, value)                          \
	do {                                   \
		T put_ = (value);              \
		memcpy(p, &put_, sizeof put_); \
	} while (0)

#define DEF(name, T, body)                                                              \
	static enum trap name##_##T(struct thread *t, struct instance *in, uint64_t *v, \
	                            uint64_t imm)                                       \
	{                                                                               \
		PLACE(T);                                                               \
		body;                                                                   \
		return TRAP_NONE;                                                       \
	}

/* Results narrower than their type are zero-extended, as values of 32 bits are in a slot. */
#define DEF_ALL(T)                                          \
	DEF(load, T, v[0] = was)                            \
	DEF(store, T, (void)was; PUT(T, (T)v[1]))           \
	DEF(add, T, PUT(T, (T)(was + (T)v[1])); v[0] = was) \
	DEF(sub, T, PUT(T, (T)(was - (T)v[1])); v[0] = was) \
	DEF(and, T, PUT(T, (T)(was & (T)v[1])); v[0] = was) \
	DEF(or, T, PUT(T, (T)(was | (T)v[1])); v[0] = was)  \
	DEF(xor, T, PUT(T, (T)(was ^ (T)v[1])); v[0] = was) \
	DEF(xchg, T, PUT(T, (T)v[1]); v[0] = was)

DEF_ALL(uint8_t)
DEF_ALL(uint16_t)
DEF_ALL(uint32_t)
DEF_ALL(uint64_t)

/* What is expected is compared whole: more than the access can hold is never there. */
#define DEF_CMPXCHG(name, T, V)                                                                 \
	static enum trap name(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm) \
	{                                                                                       \
		PLACE(T);                                                                       \
		if (was == (V)v[1])                                                             \
			PUT(T, (T)v[2]);                                                        \
		v[0] = was;                                                                     \
		return TRAP_NONE;                                                               \
	}

DEF_CMPXCHG(cmpxchg32_8, uint8_t, uint32_t)
DEF_CMPXCHG(cmpxchg32_16, uint16_t, uint32_t)
DEF_CMPXCHG(cmpxchg_32, uint32_t, uint32_t)
DEF_CMPXCHG(cmpxchg64_8, uint8_t, uint64_t)
DEF_CMPXCHG(cmpxchg64_16, uint16_t, uint64_t)
DEF_CMPXCHG(cmpxchg64_32, uint32_t, uint64_t)
DEF_CMPXCHG(cmpxchg_64, uint64_t, uint64_t)

/* ---- waiting ---- */

static void queue(struct thread *t, struct meminst *m, uint32_t addr, int64_t timeout_ns)
{
	t->wait = WAIT_QUEUED;
	t->wait_seen = false;
	t->wait_mem = m;
	t->wait_addr = addr;
	t->wait_left_ns = timeout_ns < 0 ? -1 : timeout_ns;
	t->wait_turn = ++t->store->wait_turns;
}

enum wait_result thread_wait_on(struct thread *t, uint32_t addr, int64_t timeout_ns)
{
	uint8_t was = t->wait;
	if (was == WAIT_QUEUED)
		return WAIT_BLOCKED;
	t->wait = WAIT_NO;
	if (was != WAIT_NO)
		return was == WAIT_WOKEN ? WAIT_OK : WAIT_TIMED_OUT;
	if (timeout_ns == 0 || t->csp == t->frames || !t->csp->code->inst->module->nmems)
		return WAIT_TIMED_OUT;
	queue(t, t->csp->code->inst->mems[0], addr, timeout_ns);
	return WAIT_BLOCKED;
}

/* The thread that waits longest for the address; NULL: none does. */
static struct thread *longest(const struct store *s, const struct meminst *m, uint32_t addr)
{
	struct thread *found = NULL;
	for (uint32_t i = 0; i < s->nthreads; i++) {
		struct thread *t = s->threads[i];
		if (t->wait == WAIT_QUEUED && t->wait_mem == m && t->wait_addr == addr &&
		    (!found || t->wait_turn < found->wait_turn))
			found = t;
	}
	return found;
}

static uint32_t notify(struct store *s, const struct meminst *m, uint32_t addr, uint32_t count)
{
	uint32_t n = 0;
	struct thread *t;
	for (; n < count && (t = longest(s, m, addr)) != NULL; n++)
		t->wait = WAIT_WOKEN;
	return n;
}

uint32_t thread_notify(struct thread *t, uint32_t addr, uint32_t count)
{
	if (t->csp == t->frames || !t->csp->code->inst->module->nmems)
		return 0;
	return notify(t->store, t->csp->code->inst->mems[0], addr, count);
}

/* Who waits longest is moved first, and waits longest there too, of those that were moved. */
static uint32_t move_waiting(struct store *s, const struct meminst *m, uint32_t addr, uint32_t to,
                             uint32_t count)
{
	uint32_t n = 0;
	struct thread *t;
	for (; addr != to && n < count && (t = longest(s, m, addr)) != NULL; n++) {
		t->wait_addr = to;
		t->wait_turn = ++s->wait_turns;
	}
	return n;
}

uint32_t thread_requeue(struct thread *t, uint32_t addr, uint32_t count, uint32_t to,
                        uint32_t moved)
{
	uint32_t n = thread_notify(t, addr, count);
	if (t->csp == t->frames || !t->csp->code->inst->module->nmems)
		return n;
	return n + move_waiting(t->store, t->csp->code->inst->mems[0], addr, to, moved);
}

bool thread_wait_begun(const struct thread *t)
{
	return t->wait != WAIT_NO;
}

bool thread_waits(const struct thread *t, int64_t *left_ns)
{
	*left_ns = t->wait_left_ns;
	return t->wait == WAIT_QUEUED;
}

void thread_wait_passed(struct thread *t, int64_t ns)
{
	if (t->wait != WAIT_QUEUED || t->wait_left_ns < 0)
		return;
	t->wait_left_ns -= ns < t->wait_left_ns ? ns : t->wait_left_ns;
	if (t->wait_left_ns == 0)
		t->wait = WAIT_LATE;
}

int64_t threads_wait_passed(struct store *s, int64_t ns)
{
	int64_t next = -1;
	for (uint32_t i = 0; i < s->nthreads; i++) {
		struct thread *t = s->threads[i];
		if (t->wait_seen)
			thread_wait_passed(t, ns);
		t->wait_seen = t->wait == WAIT_QUEUED;
		if (t->wait == WAIT_NO || (t->wait == WAIT_QUEUED && t->wait_left_ns < 0))
			continue;
		int64_t left = t->wait == WAIT_QUEUED ? t->wait_left_ns : 0;
		next = next < 0 || left < next ? left : next;
	}
	return next;
}

static enum trap wait_at(struct thread *t, struct instance *in, uint64_t *v, uint32_t addr,
                         bool equal)
{
	if (!in->mems[0]->shared)
		return TRAP_NOT_SHARED;
	if (t->wait == WAIT_NO && !equal) {
		v[0] = 1;
		return TRAP_NONE;
	}
	switch (thread_wait_on(t, addr, (int64_t)v[2])) {
	case WAIT_BLOCKED: return TRAP_BLOCK;
	case WAIT_OK: v[0] = 0; break;
	case WAIT_TIMED_OUT: v[0] = 2; break;
	}
	return TRAP_NONE;
}

static enum trap wait32(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm)
{
	PLACE(uint32_t);
	return wait_at(t, in, v, (uint32_t)(v[0] + imm), was == (uint32_t)v[1]);
}

static enum trap wait64(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm)
{
	PLACE(uint64_t);
	return wait_at(t, in, v, (uint32_t)(v[0] + imm), was == v[1]);
}

static enum trap notify_at(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm)
{
	PLACE(uint32_t);
	(void)was;
	v[0] = notify(t->store, in->mems[0], (uint32_t)(v[0] + imm), (uint32_t)v[1]);
	return TRAP_NONE;
}

/* ---- by opcode ---- */

/* In the order of their numbers: i32, i64, i32 of 8 and 16 bits, i64 of 8, 16 and 32. */
#define SEVEN(name)                                                                        \
	name##_uint32_t, name##_uint64_t, name##_uint8_t, name##_uint16_t, name##_uint8_t, \
	    name##_uint16_t, name##_uint32_t

slow_fn atomic_fn(uint32_t op)
{
	static const slow_fn wait_fns[] = {notify_at, wait32, wait64};
	static const slow_fn fns[] = {SEVEN(load), SEVEN(store), SEVEN(add),  SEVEN(sub),
	                              SEVEN(and),  SEVEN(or),    SEVEN(xor),  SEVEN(xchg),
	                              cmpxchg_32,  cmpxchg_64,   cmpxchg32_8, cmpxchg32_16,
	                              cmpxchg64_8, cmpxchg64_16, cmpxchg64_32};
	if (op <= WOP_memory_atomic_wait64)
		return wait_fns[op - WOP_memory_atomic_notify];
	return fns[op - WOP_i32_atomic_load];
}
