/* engine.h - the WebAssembly engine as other rooms see it.
 *
 * Life of things: a struct module is decoded and validated once, immutable and shared. A struct store
 * (spec 4.2.3) owns instances, functions, tables, memories, globals and the guest threads' frame stacks; it belongs to
 * one host thread at a time. thread_run() runs until the call is done, traps, blocks in a host call,
 * exits, or was asked to stop; it then stands at a safepoint and the store can be written with
 * store_save() and rebuilt, here or on another machine, with store_load().
 *
 * Only thread_request_stop() may be called from other host threads (and signal handlers).
 *
 *	struct module *m;     module_load(bytes, size, true, &m, &msg);
 *	struct store *s;      store_new(&config, &s);
 *	struct instance *in;  store_instantiate(s, m, &imports, &in, &msg);   // does not run start
 *	struct thread *t;     thread_new(s, &t);
 *	thread_call_export(t, in, "_start", NULL, 0, &msg);
 *	while ((st = thread_run(t)) == RUN_BLOCKED) wait_for_something();
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

struct module;
struct store;
struct instance;
struct thread;

/* ---- modules ---- */

/* Decodes and validates. owns: the module frees bytes with free() at the end; otherwise the bytes are
 * borrowed and must outlive it. Errors: MALFORMED, INVALID, LIMIT, NOMEM; the message names section, offset, reason. */
enum err module_load(const uint8_t *bytes, size_t size, bool owns, struct module **out,
                     struct errmsg *msg);
/* The same, but of a module of more than LAZY_BYTES the short function bodies are validated when they are first called (and
 * then trap as "invalid function body"): a big program starts in a tenth of the time. Everything else is validated now. */
#define LAZY_BYTES (1u << 20)
enum err module_load_lazy(const uint8_t *bytes, size_t size, bool owns, struct module **out,
                          struct errmsg *msg);
struct module *module_ref(struct module *m);
void module_unref(struct module *m);
/* BLAKE2b-256 of the module's bytes. */
const uint8_t *module_hash(const struct module *m);
const uint8_t *module_bytes(const struct module *m, size_t *size);
/* The function's name from the name section or its export; false when it has none. UTF-8, truncated to fit. */
bool module_func_name(const struct module *m, uint32_t funcidx, char *buf, size_t size);

struct import_info {
	const char *module, *name; /* NUL-terminated copies, valid while the module is */
	int kind;         /* enum extkind of module.h: 0 func, 1 table, 2 memory, 3 global, 4 tag */
	const char *type; /* signature text such as "(iIfF)i"; funcs only */
};
uint32_t module_import_count(const struct module *m);
void module_import(const struct module *m, uint32_t i, struct import_info *out);

/* ---- host functions ---- */

enum host_result {
	HOST_DONE, /* results are written; the call is committed */
	HOST_BLOCK, /* nothing has happened; the thread stays before the call, thread_run() returns RUN_BLOCKED */
	HOST_TRAP, /* thread_trap_set() was called */
	HOST_EXIT, /* the program ends now: thread_run() returns RUN_EXITED */
	HOST_STOP, /* as BLOCK, or thread_jump() was called; thread_run() returns RUN_STOPPED */
};

/* args[0..n) hold the arguments, results are written to args[0..m). i32 and f32 use the low half
 * (the upper half of a result is ignored). env is the binding's. Called on the running host thread. */
typedef enum host_result (*host_fn)(void *env, struct thread *t, uint64_t *args);

/* Answers an import. type is the signature the module wants as text, e.g. "(iIfF)i" with i=i32 I=i64 f=f32 F=f64
 * r=funcref x=externref e=exnref, and Vv=v128, which stands in types of functions of modules: no host function can have it,
 * and an import that wants one is refused (UNLINKABLE) without asking. Writes fn and env and returns true when it has such a function of that type. */
struct host_resolver {
	bool (*resolve)(void *ctx, const char *module, const char *name, const char *type,
	                host_fn *fn, void **env);
	void *ctx;
};

/* ---- store ---- */

struct store_config {
	uint32_t
	    max_stack_slots; /* values of all frames of one thread; 0: default. Travels with an image */
	uint32_t max_call_depth; /* frames of one thread; 0: default. Travels with an image */
	uint32_t
	    max_memory_pages; /* 64 KiB pages a memory may grow to here; 0: 65536. Travels with an image */
};

enum err store_new(const struct store_config *cfg, struct store **out);
void store_free(struct store *s);
/* What a memory may grow to until this is said again (pages of 64 KiB; 0: what the configuration says). Between two runs, or by the
 * thread that runs it. */
void store_set_memory_room(struct store *s, uint32_t pages);

/* Instantiates (spec 4.5.4) with imports from the resolver, and from registered instances (store_register).
 * The start function is not run: instance_start() says whether there is one. A failing active segment
 * gives ERR_INVALID with the trap's text in msg ("out of bounds memory access"). Takes a reference on m. */
enum err store_instantiate(struct store *s, struct module *m, const struct host_resolver *r,
                           struct instance **out, struct errmsg *msg);
/* Other modules may import the instance's exports under this module name. */
enum err store_register(struct store *s, const char *name, struct instance *in);

/* An export by name. A function's reference is a value of type funcref (what ref.func gives). */
struct export_info {
	int kind; /* enum extkind of module.h: 0 func, 1 table, 2 memory, 3 global, 4 tag */
	const char *
	    type; /* funcs, tags: signature text; globals: the letters of it. Lives as long as the store */
	uint64_t
	    value; /* funcs: the reference; globals: the value now; memories: pages; tables: elements */
	uint64_t high; /* of a global of type v128; value is its low half */
};
/* False when there is no such export. */
bool instance_export(struct instance *in, const char *name, size_t name_size,
                     struct export_info *out);
struct module *instance_module(struct instance *in);

/* ---- memory as host calls see it ---- */

/* The instance's memory 0. size_bytes is its present size. NULL when it has none. The address is stable
 * for the life of the store. */
uint8_t *instance_memory(struct instance *in, uint64_t *size_bytes);
/* As the instruction memory.grow does on memory 0: pages before, or UINT32_MAX. For host calls. */
uint32_t instance_memory_grow(struct instance *in, uint32_t pages);
/* A checked range of the memory of the instance that made the host call; NULL when out of bounds. The
 * _write form marks the pages dirty and makes them writable, as a system call into a tracked page
 * gives EFAULT and no signal. */
const uint8_t *thread_mem_read(struct thread *t, uint32_t addr, uint64_t size);
uint8_t *thread_mem_write(struct thread *t, uint32_t addr, uint64_t size);

/* ---- running ---- */

enum run_status { RUN_DONE, RUN_STOPPED, RUN_BLOCKED, RUN_TRAPPED, RUN_EXITED };

enum err thread_new(struct store *s, struct thread **out);
void thread_free(struct thread *t);
/* One more thread of a program that has several, as C programs know them: with mutable globals of its own (a stack pointer, the place of
 * its thread-local variables), which begin with the values that they have in a new instance, and a sixteenth of the stack. Everything
 * else it shares. May be called in a host call. LIMIT: STORE_THREADS_MAX; NOMEM. */
enum { STORE_THREADS_MAX = 1024 };
enum err thread_spawn(struct instance *in, struct thread **out);
/* What who made it keeps of it; NULL at first, and not saved. */
void thread_set_user(struct thread *t, void *user);
void *thread_user(const struct thread *t);
struct store *thread_store(struct thread *t);
/* Pushes a frame for the export (a function); the thread must be idle. nargs must match its type. A v128 counts, here and among the
 * results, as two: its low half, its high half. */
enum err thread_call_export(struct thread *t, struct instance *in, const char *name,
                            const uint64_t *args, uint32_t nargs, struct errmsg *msg);
/* The same for a function reference; nargs is checked, the values are taken on trust. */
enum err thread_call_func(struct thread *t, uint64_t funcref, const uint64_t *args, uint32_t nargs,
                          struct errmsg *msg);
/* Pushes a call of the start function; ERR_NOTFOUND when there is none. */
enum err thread_call_start(struct thread *t, struct instance *in);
enum run_status thread_run(struct thread *t);
/* After RUN_DONE: the results of the outermost call. i32 and f32 have a zero upper half. */
const uint64_t *thread_results(const struct thread *t, uint32_t *count);
/* After RUN_TRAPPED: the spec's words ("integer divide by zero", "out of bounds memory access", ...), then in
 * where: function name or index and offset. The thread is idle again. */
const char *thread_trap_text(const struct thread *t, char *where, size_t where_size);
/* For host functions that return HOST_TRAP. text is a constant. */
void thread_trap_set(struct thread *t, const char *text);
/* Drops all frames: the thread is idle again. */
void thread_reset(struct thread *t);
/* Any host thread, any time, also while not running (then the next thread_run() stops at its first safepoint).
 * Honoured within 1 ms. thread_run() clears it when it returns RUN_STOPPED. */
void thread_request_stop(struct thread *t);
/* Stops at every nth safepoint from now on; 0 turns it off. For tests. */
void thread_stop_every(struct thread *t, uint64_t n);
/* Frames on the stack now. */
uint32_t thread_depth(const struct thread *t);

/* ---- handlers and jumps (detour.h): what signals and setjmp of C programs are made of ---- */

/* Pushes a call of the function at index elem of table 0, of type (i) or (iii), on a thread that stands at a safepoint (after
 * RUN_STOPPED or RUN_BLOCKED). When it returns, thread_run() returns RUN_STOPPED and the thread stands where it stood before. stack:
 * what the exported global __stack_pointer shall be meanwhile (0: as it is). INVALID: no such function; LIMIT: the stack is full,
 * or DETOUR_MARKS_MAX handlers are under way; STATE: the thread has no frames, or an exception is on its way through them (run it
 * on, and try again). */
enum err thread_interrupt(struct thread *t, uint32_t elem, const uint64_t *args, uint32_t nargs,
                          uint32_t stack);
/* What the exported global __stack_pointer is; 0: there is none, or the thread stands in no frame. */
uint32_t thread_stack_pointer(const struct thread *t);
/* An address below the stack pointer and its red zone, a multiple of 16, with size free bytes from there; 0: there is none. */
uint32_t thread_stack_below(const struct thread *t, uint32_t size);
/* Handlers that have not returned yet. */
uint32_t thread_interrupts(const struct thread *t);
/* In a host call: notes where its caller stands. The same call with the same key in the same frame has the same id. LIMIT, NOMEM. */
enum err thread_setjmp(struct thread *t, uint64_t key, uint64_t *id);
/* In a host call, which then returns HOST_STOP: the thread stands before the call that noted id, which is made again. NOTFOUND:
 * the function that made it has returned; nothing has changed. Handlers pushed above are forgotten. */
enum err thread_jump(struct thread *t, uint64_t id, uint32_t value);
/* For a call that notes: true when it is made again by thread_jump(). Once. */
bool thread_jumped(struct thread *t, uint64_t *id, uint32_t *value);

/* ---- several threads of one store, by turns ----
 * One runs at a time, on the host thread that calls threads_run(). Who has more than one thread calls this instead of
 * thread_run(), and store_request_stop() instead of thread_request_stop(). Whose turn it is, is saved with the store.
 * Threads may come (thread_spawn()) in the middle of a run, and may be freed between two.
 *
 *	while ((st = threads_run(s, &t)) != RUN_EXITED)
 *		st == RUN_DONE && t ? thread_free(t) : st == RUN_BLOCKED ? wait_for_something() : look_after(t, st);
 */

/* Runs them until one has something to say: *t, and the status as of thread_run() (DONE, TRAPPED, EXITED; STOPPED by
 * thread_request_stop() or the end of a handler). *t NULL: STOPPED by store_request_stop(); BLOCKED: none can run now;
 * DONE: none is in a call. */
enum run_status threads_run(struct store *s, struct thread **t);
/* Any host thread, any time. _yield: the thread that runs ends its turn at its next safepoint: what a timer calls, as the engine
 * reads no clock. _stop: threads_run() returns. */
void store_request_yield(struct store *s);
void store_request_stop(struct store *s);
/* A turn ends at its nth safepoint; 0: not by itself. Counting makes every safepoint slow: for tests. */
void store_quantum(struct store *s, uint64_t safepoints);
/* Any host thread: a thread that blocked in a host call is tried again at its turn, also while others run. */
void thread_wake(struct thread *t);

/* ---- waiting (memory.atomic.wait, and host calls like futex) ----
 * A thread that blocks in memory.atomic.wait stands before that instruction (RUN_BLOCKED) until another thread of the store
 * notifies its address, or its time is over: the engine reads no clock, so whoever runs it says how much time went by. To run it
 * before that does no harm: it blocks again. Waiting is a part of the thread's state and moves with it. */

/* Whether it is queued; then *left_ns of its time are left (-1: for ever). */
bool thread_waits(const struct thread *t, int64_t *left_ns);
/* So much time went by. */
void thread_wait_passed(struct thread *t, int64_t ns);
/* So much time went by for all threads of the store that wait, but those that began since this was called last: they are told from the next
 * time on, so that none gives up early. How long until one can go on: 0: now; -1: none waits, or all for ever. */
int64_t threads_wait_passed(struct store *s, int64_t ns);
/* Whether it has begun to wait, and was not told yet how that ended. */
bool thread_wait_begun(const struct thread *t);
/* For host functions that wait on an address of the memory of the instance that called: BLOCKED: return HOST_BLOCK, and ask again
 * when called again. timeout_ns < 0: none. What is compared, is compared before, when the thread has not begun to wait. */
enum wait_result { WAIT_BLOCKED, WAIT_OK, WAIT_TIMED_OUT };
enum wait_result thread_wait_on(struct thread *t, uint32_t addr, int64_t timeout_ns);
/* Wakes up to count threads that wait on the address, the longest waiting first; returns how many. */
uint32_t thread_notify(struct thread *t, uint32_t addr, uint32_t count);
/* The same, and of those that wait on, up to `moved` wait on the address `to` from now on. Returns both together. */
uint32_t thread_requeue(struct thread *t, uint32_t addr, uint32_t count, uint32_t to,
                        uint32_t moved);

/* ---- state as bytes: docs/formats/image.md, section "engine" ---- */

enum save_flags {
	SAVE_MEMORY =
	    1, /* linear memories inside the bytes; else only their sizes (migrate/ moves the pages) */
};
/* Writes the whole store, all its threads standing at safepoints, in canonical form: no pointers, little-endian,
 * the same bytes for the same state. Modules are named by hash. */
enum err store_save(struct store *s, unsigned flags, struct wr *out);
/* Rebuilds a store from hostile bytes: everything is checked against the validated modules (frames, safepoints,
 * types, indices, limits) before anything is given out. find_module returns a borrowed module or NULL. Threads and
 * instances keep their order: store_thread(s, 0), store_instance(s, 0). */
struct module_finder {
	struct module *(*find)(void *ctx, const uint8_t hash[32]);
	void *ctx;
};
enum err store_load(struct rd *in, const struct module_finder *f, const struct host_resolver *r,
                    struct store **out, struct errmsg *msg);

/* ---- copies, for a fork ---- */

struct memories;
/* Of all memories as they are: where the system can, both share pages until one side writes (base/os_copy.h). The threads stand. */
enum err store_copy_memories(struct store *s, struct memories **out);
void memories_free(struct memories *m);
/* A store that was written without SAVE_MEMORY, with these memories, which are taken, also on failure. Any thread. */
enum err store_load_copy(struct rd *in, const struct module_finder *f,
                         const struct host_resolver *r, struct memories *m, struct store **out,
                         struct errmsg *msg);
struct thread *store_thread(struct store *s, uint32_t i);
struct instance *store_instance(struct store *s, uint32_t i);
uint32_t store_thread_count(const struct store *s);

/* ---- linear memory as pages of 4 KiB, for images ---- */

uint32_t store_memory_count(const struct store *s);
/* Base address and present size of memory i of the store. */
uint8_t *store_memory(struct store *s, uint32_t i, uint64_t *size_bytes);
/* Bytes of a memory that was rebuilt without SAVE_MEMORY: ready to be filled by the caller. Tracking is
 * off until store_track_start(). */
/* Starts write tracking: all pages are clean from now on. The threads stand. Collecting and stopping may be done while they
 * run, from one other thread. */
enum err store_track_start(struct store *s);
/* Writes one bit a 4 KiB page of memory i into bits (LSB first; at least size/4096/8 bytes, rounded up): dirty since the
 * last call or start. clear: the pages are clean (and tracked) again. The thread stands or runs. */
enum err store_track_collect(struct store *s, uint32_t i, uint8_t *bits, size_t bits_size,
                             bool clear);
void store_track_stop(struct store *s);
