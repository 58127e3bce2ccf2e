/* safepoint.h - where a function can stop, and where its values are then.
 *
 * The map of a function is made by translating it once more with a recorder (translation is deterministic), when
 * first asked for, and kept with the code. Safepoints stand in body order: entry (offset 0), loop
 * headers (offset of the opcode `loop`), call sites, throws, atomic waits and bulk instructions (offset of the opcode). A bulk
 * instruction (memory.fill and its like, of tables too) works in pieces and stands, between two, before itself with what is left
 * as its operands. A frame stands at one either
 * before it (top frame: the instruction has not begun) or, when it is not the top, in the call: arguments are
 * consumed, results not there yet. Nothing stands in a tail call: the callee has taken the frame's place.
 */
#pragma once

#include "engine/exec.h"

enum sp_kind { SP_ENTRY, SP_LOOP, SP_CALL, SP_BULK, SP_TAIL, SP_THROW, SP_WAIT };

struct safepoint {
	uint32_t offset;  /* in the body */
	uint32_t before;  /* word of the code where it starts */
	uint32_t after;   /* calls: word behind the call; a foreign callee returns to `foreign` */
	uint32_t foreign; /* calls that can leave the instance: word of the resync; else = after */
	const uint8_t *types; /* of its operands' slots; NULL until safepoint_types() is asked */
	uint32_t height;      /* slots of operands on the stack before it */
	uint32_t nconsumed;   /* calls: slots of arguments, and the index of call_indirect */
	uint32_t callee;      /* calls: function index; UINT32_MAX: any of the type */
	uint32_t type;        /* calls: the callee's, store-wide */
	uint8_t kind;
};

struct spmap {
	struct safepoint *points;
	uint8_t *local_types; /* by slots: code->nlocals of them */
	uint32_t npoints, points_cap;
};

/* NULL: no memory. Belongs to the store. */
struct spmap *code_map(struct code *c);
struct safepoint *spmap_at_offset(const struct spmap *m, uint32_t offset);
/* The safepoint whose `before` is that word. NULL: none. */
struct safepoint *spmap_before(const struct spmap *m, uint32_t word);
/* The call that goes on at that word. NULL: none. */
struct safepoint *spmap_after(const struct spmap *m, uint32_t word);
/* Types (enum valtype) of the operands before a safepoint of c. Found by translating once more and kept: a stack of a million
 * operands at a million calls must not take their product of memory. NULL: no memory. */
const uint8_t *safepoint_types(struct code *c, struct safepoint *sp);
/* Offset in the body of the wasm instruction that the code at that word was made for (about: of several made
 * into one, the last). For people. */
uint32_t code_offset_of(struct code *c, uint32_t word);
