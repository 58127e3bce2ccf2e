/* exn.h - exceptions (core 3.0, 4.2.13 and 4.4.8): their objects, where they are caught, and the way there.
 *
 * A value of type exnref is 0 or the handle of a struct exn of the store. Handles have a pattern of bits that numbers in slots
 * hardly ever have, so unreachable exceptions are found by looking at every slot, without asking of which type it is:
 * what looks like a handle by chance keeps one exception longer, and nothing else. In a saved store a handle is the
 * exception's number, in the order in which the store mentions them (state.h).
 *
 * Both encodings become one here. In a legacy `catch` body the exception that was caught stands in a hidden operand below the
 * tag's values (validation counts it, translation types it exnref): so it is a part of the frame like any other operand, and
 * `rethrow` is a throw_ref of it.
 *
 * What a function catches stands in a table beside its code, and only a throw looks at it. A *region* is the code of one
 * try's body, [begin, end) in words; a call is at its last word. Regions stand in the order of their beginnings. Unwinding
 * takes frames off one by one and, now and then, looks at the stop word: a thread that stands in the middle of it stands in
 * the call of its top frame with thread->exn set.
 */
#pragma once

#include "engine/exec.h"

/* Numbers of regions and clauses count from 1; 0 is none. */
struct clause {
	const struct taginst *tag; /* NULL: any */
	uint32_t target;           /* word of the code that goes on */
	uint32_t values;           /* slot of the first of the tag's values; NO_SLOT: not wanted */
	uint32_t ref;              /* slot of the exception itself */
	uint32_t next;             /* clause of the same region */
};
#define NO_SLOT UINT32_MAX

struct region {
	uint32_t begin, end;
	uint32_t outer; /* the innermost region it lies in */
	uint32_t next;  /* where what no clause catches goes on: outer, or what a delegate names */
	uint32_t first, last; /* clauses */
};

struct handlers {
	struct region *regions;
	struct clause *clauses;
	uint32_t nregions;
};

struct exn {
	struct taginst *tag;
	uint32_t func;   /* id of the function that threw it ... */
	uint32_t offset; /* ... and where in its body, for people */
	uint32_t nvalues;
	uint32_t number; /* while the store is written */
	bool marked;
	struct exn *link; /* while marked ones, or numbered ones, are gone through */
	uint64_t values[];
};

/* Memory of the exceptions of one store. */
#define EXN_MAX_BYTES (64u << 20)

enum err tag_new(struct store *s, uint32_t type, struct taginst **out);

#define EXN_PATTERN 0x6e786e45ull /* above 32 bits of index */
static inline uint64_t exn_handle(uint32_t index)
{
	return EXN_PATTERN << 32 | index;
}
/* NULL when v is no handle of an exception that exists. */
struct exn *exn_of(const struct store *s, uint64_t v);
/* Its place is index, or the next free one (UINT32_MAX). Unreachable exceptions are freed first, when there are many, and
 * not when the place is given. NULL: no memory. */
struct exn *exn_new(struct store *s, struct taginst *tag, uint32_t index, uint64_t *handle);
void exns_free(struct store *s);

/* ---- for the interpreter: true when the thread has landed (pc, fp and mem are its fields), else it leaves the loop ---- */

/* `throw` at pc: values of tag stand at v. offset: of the instruction in its body. */
bool exn_throw(struct thread *t, struct taginst *tag, const uint64_t *v, uint32_t offset,
               const uint64_t *pc, uint64_t *fp);
/* `throw_ref` at pc. */
bool exn_throw_ref(struct thread *t, uint64_t handle, const uint64_t *pc, uint64_t *fp);
/* Goes on where unwinding stopped. */
bool exn_unwind_on(struct thread *t);
