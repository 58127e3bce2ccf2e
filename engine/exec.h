/* exec.h - what exists while modules run: the store's objects, translated code, threads and frames.
 *
 * Internal to engine/. Words are the spec's (4.2): an instance is a module instance; memories, tables and
 * globals are objects of the store that instances point to. Functions have store-wide ids: each instance
 * takes a range of ids for its module's own functions, each host function takes one; a reference in a slot,
 * table or global is id (0 is null). Everything belongs to the store and dies with it.
 *
 * A thread's values stand in one array of 64-bit slots. The frame of a function begins at its first
 * parameter: slots [0, nlocals) are locals, operand of height h has its home in slot nlocals + h. A callee's
 * frame begins at the home of its first argument in the caller, and results replace arguments. Beside it runs
 * an array of struct frame, one for each call. i32 and f32 use the low half of a slot, the rest is unspecified for
 * f32 and zero for i32. A v128 takes two slots in a row, the low half first; wherever types of slots are listed it is VT_V128 and
 * VT_V128_HIGH, in a type's text "Vv". So nearly everything counts slots; only the module's own types and its local
 * indices count values.
 */
#pragma once

#include "base/os.h"
#include "engine/engine.h"
#include "engine/module.h"

#include <stdatomic.h>

enum trap {
#define TRAP(name, text) TRAP_##name,
#include "engine/traps.def"
#undef TRAP
	TRAP_COUNT
};

const char *trap_text(enum trap trap);

#define WASM_PAGE 65536u
#define DEFAULT_STACK_SLOTS (4u << 20)
#define DEFAULT_CALL_DEPTH 200000u
/* Slots behind the last that a frame may have: clearing locals goes by fours. */
#define STACK_SLACK 4u
/* What a 32-bit address plus a 32-bit offset can reach, and an access beyond it. */
#define MEM_RESERVE ((size_t)(8ull << 30) + WASM_PAGE)

struct spmap;
struct handlers;
struct exn;

/* One translated function of one instance. In the store's code arena. */
struct code {
	const uint64_t *entry;
	uint32_t need;             /* slots of its frame */
	uint32_t nzero;            /* of locals behind the parameters, to be zeroed */
	uint32_t nparams, nlocals; /* slots */
	uint32_t type;             /* store-wide */
	uint32_t funcidx;
	uint32_t size_words;
	bool wide;
	struct instance *inst;
	struct spmap *map;         /* made when first asked for (safepoint.h) */
	struct handlers *handlers; /* what it catches; NULL: nothing (exn.h) */
};

struct frame {
	const uint64_t *pc; /* where it goes on: written when it calls */
	uint64_t *fp;
	struct code *code;
	const uint64_t *back; /* when pc is resync_back_code: where it goes on behind that */
};

struct hostfunc {
	host_fn fn;
	void *env;
	uint32_t type; /* store-wide */
	uint32_t id;
	uint32_t nparams, nresults;
	char *module, *name; /* owned; what a saved store names it by */
};

struct meminst {
	struct store *store;
	uint8_t *base;               /* of a reservation of reserved bytes */
	_Atomic uint64_t size_bytes; /* committed; other threads read it (store_track_collect) */
	size_t reserved;
	uint32_t max_pages; /* declared by the module */
	bool has_max;
	bool shared;
	int watch;                /* os_fault_watch id; -1: none */
	uint32_t index;           /* in the store, as in the two below */
	struct os_copied *copied; /* what it shares with copies; NULL: nothing */
	struct os_track *_Atomic track;
	_Atomic uint32_t track_users; /* faults and marks that are using it now */
};

struct tableinst {
	uint64_t *elems; /* references */
	uint32_t size, cap;
	size_t reserved;      /* bytes of address space that elems begins; 0: it is of the heap */
	uint32_t ready;       /* elements that are filled already for a table.grow under way ... */
	uint64_t ready_value; /* ... with this */
	uint32_t max;
	bool has_max;
	uint8_t reftype;
	uint32_t index;
};

struct globalinst {
	uint64_t value;
	uint64_t high; /* of a v128 */
	uint8_t type;
	bool mut;
	uint32_t index;
};

struct taginst {
	uint32_t type; /* store-wide */
	uint32_t index;
};

struct instance {
	struct store *store;
	struct module *module;
	uint32_t index;         /* in the store */
	uint32_t func_base;     /* id of the module's first own function */
	uint32_t nown;          /* own functions: module->nfuncs, at hand */
	uint8_t *mem0;          /* base of memory 0, or NULL */
	struct code **codes;    /* own functions; NULL: not translated yet */
	uint32_t *import_funcs; /* ids */
	uint32_t *types;        /* store-wide type of each of the module's */
	struct meminst **mems;  /* every index space below: imports first */
	struct tableinst **tables;
	struct globalinst **globals;
	struct globalinst *own_globals;
	struct taginst **tags;
	uint8_t *elem_dropped, *data_dropped; /* one byte each */
	bool broken; /* its objects could not be made: it cannot be saved */
};

/* A range of function ids: an instance's own functions, or one host function. */
struct func_range {
	uint32_t base, count;
	struct instance *inst; /* NULL: host */
	struct hostfunc *host;
};

struct reg_name {
	char *name;
	struct instance *inst;
};

struct store {
	struct store_config cfg;
	uint32_t room_pages; /* what a memory may grow to just now; 0: as cfg says */
	uint32_t next_id;    /* function ids given out so far */
	struct instance **instances;
	struct meminst **mems;
	struct tableinst **tables;
	struct globalinst **globals;
	struct hostfunc **hosts;
	struct thread **threads;
	struct func_range *ranges; /* by base */
	struct reg_name *names;
	char **types;         /* texts of store-wide function types */
	uint32_t *type_slots; /* hash of texts to number + 1 */
	uint32_t ntype_slots;
	struct taginst **tags;
	struct exn **exns; /* by the index in a handle; NULL: free (exn.h) */
	uint32_t ntags, nexns;
	uint64_t wait_turns; /* given out */
	uint32_t turn;       /* index of the thread whose turn it is (sched.c) */
	uint64_t quantum;
	struct thread *_Atomic running;
	_Atomic bool yield_asked, stop_asked;
	struct thread *spare;      /* freed ones */
	struct thread *globals_of; /* whose values stand in the globals; NULL: the store's own */
	uint32_t exn_free;         /* below, all are taken */
	size_t exn_bytes,
	    exn_collect; /* they take, and may take until unreachable ones are freed */
	uint32_t ninstances, nmems, ntables, nglobals, nhosts, nthreads, nranges, nnames, ntypes;
	struct arena code;             /* translated code and maps */
	struct translator *translator; /* its buffers are reused; NULL: none yet */
	enum trap
	    no_code; /* why the last translation gave none: TRAP_NOMEM, TRAP_INVALID_BODY, TRAP_AGAIN */
};

enum thread_exit {
	EXIT_DONE,
	EXIT_STOP,
	EXIT_BLOCK,
	EXIT_TRAP,
	EXIT_PROC,
};

struct thread {
	_Atomic uint32_t stop; /* not 0: look at it at the next safepoint */
	enum thread_exit exit;
	struct frame
	    *csp; /* the running function's; frames is the thread's bottom, which is no call */
	struct frame *frames_end;
	uint64_t *stack_end;
	const uint64_t *pc; /* where to go on */
	uint64_t *fp;
	uint8_t *mem;
	struct store *store;
	enum trap trap;
	const char *trap_words; /* of TRAP_HOST */
	_Atomic uint32_t stop_asked;
	uint64_t stop_every, stop_count;
	struct frame *frames;
	uint64_t *slots;
	size_t slots_bytes, frames_bytes;
	const uint64_t *skip_pc;        /* where this run began: no poll before that host call */
	struct translator *translating; /* a translation that a stop came into; NULL: none */
	uint64_t exn; /* being thrown: frames are taken off until something catches it (exn.h) */
	/* Its values of the store's mutable globals, by their index; while they stand in the globals, the store's. NULL: it has the
	 * store's own. */
	struct globalinst *globals;
	uint32_t nglobals;
	void *user;
	bool news;          /* its run ended for somebody: HOST_STOP, or the end of a handler */
	bool blocked;       /* in a host call, at its last turn ... */
	_Atomic bool woken; /* ... and to be tried again */
	struct thread *next_spare;
	bool wait_seen; /* threads_wait_passed() came by since it began to wait */
	uint8_t wait;   /* enum wait_state (atomic.h); of a queued thread: */
	struct meminst *wait_mem;
	uint32_t wait_addr;
	int64_t wait_left_ns;    /* -1: for ever */
	uint64_t wait_turn;      /* the lower, the longer it waits */
	struct hostfunc *direct; /* the outermost call is of a host function: there are no frames */
	uint32_t call_type;      /* store-wide type of the outermost call */
	bool busy;               /* there are frames */
	struct detours *detours; /* handlers and jumps (detour.h); NULL: never any */
	char where[160];
};

/* ---- sched.c ---- */
/* Whose values the globals have from now on; NULL: the store's own. */
void globals_use(struct store *s, struct thread *t);
/* Values of its own, which are the store's as yet. */
enum err thread_own_globals(struct thread *t);

/* ---- store.c ---- */
/* The store-wide number of a type by its text; UINT32_MAX when memory ran out. */
uint32_t store_type(struct store *s, const char *text);
uint32_t store_functype(struct store *s, const struct functype *t);
struct hostfunc *store_host(struct store *s, const char *module, const char *name, uint32_t type);
/* Slots of parameters and results, by a type's text. */
void type_counts(const char *text, uint32_t *nparams, uint32_t *nresults);
const struct func_range *store_func(struct store *s, uint64_t id);
/* Store-wide type of the function with that id. */
uint32_t store_func_type(struct store *s, const struct func_range *r, uint64_t id);
/* Host functions take and give no v128: what wants one is refused, with a message. */
enum err host_type_check(const char *module, const char *name, const char *type,
                         struct errmsg *msg);
enum err store_add_host(struct store *s, const char *module, const char *name, const char *type,
                        host_fn fn, void *env, struct hostfunc **out);
enum err store_add_range(struct store *s, uint32_t count, struct instance *inst, struct hostfunc *h,
                         uint32_t *base);
/* Makes room for one more in an array that grows by doubling. */
bool grow_array(void **array, uint32_t count, size_t elem_size);
#define GROW(array, count) grow_array((void **)&(array), (count), sizeof *(array))

/* ---- instance.c ---- */
uint64_t instance_func_id(const struct instance *in, uint32_t funcidx);
/* Value of a constant expression of one slot; module is validated. */
uint64_t constexpr_eval(struct instance *in, struct constexpr_ref e);
/* Own global i, of which g has the type, gets the value it begins with. */
void global_init(struct instance *in, uint32_t i, struct globalinst *g);
/* Evaluates items [from, from + n) of an element segment into out. */
void elem_read(struct instance *in, uint32_t elemidx, uint32_t from, uint32_t n, uint64_t *out);
void instance_free(struct instance *in);
/* An instance without imports, objects or segments: arrays only, not in the store yet. */
enum err instance_alloc(struct store *s, struct module *m, struct instance **out);
/* Into the store, which owns it now; gives it its range of ids. */
enum err instance_add(struct instance *in);
enum err instance_own_objects(struct instance *in);

/* ---- memory.c ---- */
enum err mem_new(struct store *s, uint32_t min_pages, uint32_t max_pages, bool has_max,
                 struct meminst **out);
void mem_free(struct meminst *m);
/* A new memory becomes the next of the copies, which has its size: INVALID. */
enum err mem_take_copy(struct meminst *m, struct memories *copies);
/* A host call ended: what it marked for writing may be collected again. */
void mem_host_done(struct meminst *m);
/* Pages before, or UINT32_MAX. */
uint32_t mem_grow(struct meminst *m, uint32_t delta_pages);
/* Bulk instructions do a piece at a time: v holds destination, source or value, and count, and is advanced past what was
 * done; TRAP_AGAIN while something is left. Bounds are those of the whole: checked first, nothing written. */
enum trap mem_fill(struct meminst *m, uint64_t v[3]);
enum trap mem_copy(struct meminst *m, uint64_t v[3]);
enum trap mem_init(struct instance *in, uint32_t dataidx, uint64_t v[3]);

/* ---- table.c ---- */
enum err table_new(struct store *s, struct tabletype tt, struct tableinst **out);
void table_free(struct tableinst *t);
/* In pieces, as the instructions on memories. */
enum trap table_fill(struct tableinst *t, uint64_t v[3]);
enum trap table_copy(struct tableinst *to, struct tableinst *from, uint64_t v[3]);
enum trap table_init(struct instance *in, uint32_t elemidx, struct tableinst *t, uint64_t v[3]);
/* v: value and count; v[0] becomes the size before, or UINT32_MAX. TRAP_AGAIN: nothing has changed yet. */
enum trap table_grow(struct tableinst *t, uint64_t v[2]);

/* ---- translate_function.c ---- */
/* Translates an own function of the instance (index space with imports). NULL: store->no_code says why. Long work for a
 * running thread t (or NULL) is left when it is asked to stop: TRAP_AGAIN. The same call goes on with it, in this process. */
struct code *translate(struct instance *in, uint32_t funcidx, struct thread *t);
void translator_free(struct translator *tr);

/* ---- run.c ---- */
/* A thread with a sixteenth of the stack, and without globals of its own yet. */
enum err thread_new_small(struct store *s, struct thread **out);
/* Keeps for thread_trap_text() where an exception was thrown that nothing caught. */
void thread_note_thrown(struct thread *t, uint32_t func, uint32_t offset);
/* The stop word was up at a safepoint: true when the thread has to stop there. */
bool thread_poll(struct thread *t);
/* The code of an own function, translated on its first call (translate()). */
struct code *instance_code(struct instance *in, uint32_t funcidx, struct thread *t);
/* The same by the id of an instance's function. */
struct code *code_of_id(struct store *s, uint32_t id, struct thread *t);
