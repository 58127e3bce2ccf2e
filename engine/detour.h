/* detour.h - ways of a thread that are neither call nor return: handlers pushed from outside, and setjmp/longjmp. Internal to engine/.
 *
 * A handler: thread_interrupt() pushes a call of a function of table 0 on a thread that stands at a safepoint. Its frame begins
 * behind all slots of the one it interrupts, whose pc becomes thread_resume_code; the real one waits in a mark. When
 * the handler returns, that code takes the mark away and stops the run, the thread standing where it stood before.
 *
 *	frames   1 .. k (interrupted, mark {k, pc, stack pointer}) k+1 (the handler) ...
 *
 * A jump: what thread_setjmp() noted of the frame that called it, standing before that call: its locals and operands, and the stack
 * pointer. thread_jump() drops the frames above, puts all back and lets the call be made again, which then answers
 * thread_jumped(). A note is good while the frame at its depth is of its function; older ones are dropped on the way.
 */
#pragma once

#include "engine/iop.h"
#include "engine/safepoint.h"

enum { DETOUR_MARKS_MAX = 256, DETOUR_JUMPS_MAX = 4096 };

struct mark {
	const uint64_t *pc; /* where the interrupted frame goes on: a safepoint's word */
	uint32_t depth;     /* of that frame */
	uint32_t stack_pointer;
	uint8_t wait; /* enum wait_state: a wait that is over, and has not been told so */
};

struct jump {
	uint64_t id, key;
	struct code *code;
	struct safepoint *sp; /* of the call, in the code's map */
	uint64_t *values;     /* owned: locals and operands as they stand in a frame */
	uint32_t depth, stack_pointer;
};

struct detours {
	struct mark *marks; /* by depth */
	struct jump *jumps; /* by depth */
	uint32_t nmarks, njumps;
	uint64_t next_id;
	uint64_t jumped_id; /* 0: no jump is to be answered */
	uint32_t jumped_value;
};

/* An instruction that belongs to no function: where a handler returns to. */
extern const handler thread_resume_code[];

/* NULL: no memory. */
struct detours *detours_of(struct thread *t);
void detours_free(struct thread *t);
/* All frames are gone. */
void detours_reset(struct thread *t);
/* The mark of the frame at that depth, or NULL. */
const struct mark *detour_mark(const struct thread *t, uint32_t depth);
/* Takes m; pc is set by the caller of the frame. LIMIT, NOMEM. */
enum err detour_add_mark(struct thread *t, const struct mark *m);
/* Takes j's values, also when it fails. */
enum err detour_add_jump(struct thread *t, const struct jump *j);
/* Whether the note still stands for the frame at its depth. */
bool detour_jump_is_good(const struct thread *t, const struct jump *j);
/* Whether a function of that type text can be a handler: "(i)" or "(iii)". */
bool detour_handler_type(const char *type);
