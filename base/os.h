/* os.h - what the programs of this tree ask of the operating system beyond the C library: address
 * space, page faults, written-page tracking, clocks, randomness, and waiting for descriptors or a
 * poke.
 *
 * One file a system implements it (os_linux.c, os_windows.c), chosen by the build. Sizes and addresses given to
 * the memory calls are multiples of os_page_size(). Every call may be made from any thread; only
 * what says so may be made from a signal handler.
 *
 *	uint8_t *base = os_reserve(8ull << 30);      // address space, no memory, every touch faults
 *	TRY(os_commit(base, 65536));                 // zeroed, readable and writable
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- memory ---- */

enum os_access { OS_NONE, OS_READ, OS_READ_WRITE };

size_t os_page_size(void);
/* Address space that faults on every touch. NULL when there is none. os_release() gives it back
 * whole. */
void *os_reserve(size_t size_bytes);
/* Makes part of a reservation readable and writable; it reads as zeros. */
enum err os_commit(void *p, size_t size_bytes);
/* Takes memory of committed pages away again; they fault on every touch until they are committed anew. */
void os_decommit(void *p, size_t size_bytes);
enum err os_protect(void *p, size_t size_bytes, enum os_access access);
void os_release(void *p, size_t size_bytes);

/* ---- page faults ----
 * A touch of a watched range that the system refuses is first given to the watch's function, from a
 * signal handler on the faulting thread. When it returns true the access is tried again; when
 * false, the innermost os_fault_guarded() of that thread ends. A fault outside of all watched
 * ranges, or with no guard, is a crash as ever. The list of ranges is the process': signal handlers
 * are. */

typedef bool (*os_fault_fn)(void *ctx, size_t offset_bytes);

#define OS_MAX_WATCHES 8192

/* At most OS_MAX_WATCHES at once (ERR_LIMIT). *id is for os_fault_unwatch(). */
enum err os_fault_watch(void *start, size_t size_bytes, os_fault_fn fn, void *ctx, int *id);
void os_fault_unwatch(int id);
/* Runs body(ctx). False when an unresolved fault in a watched range ended it: body's frames are
 * gone (it must hold nothing that needs releasing) and *addr is what it touched. Guards nest. */
bool os_fault_guarded(void (*body)(void *ctx), void *ctx, uintptr_t *addr);

/* ---- which pages were written ----
 * Of a range that os_commit() made, page by page (4 KiB). Where the kernel tracks by itself that is
 * used (OS_TRACK_KERNEL), else pages are write-protected and faults noted (OS_TRACK_FAULTS), for
 * which the owner's fault function calls os_track_fault(). One owner; the range may be running
 * while it collects. */

enum os_track_kind { OS_TRACK_BEST, OS_TRACK_KERNEL, OS_TRACK_FAULTS };

struct os_track;

/* Tracks [base, base+max_bytes), of which the first size_bytes are committed now; all of it clean.
 */
enum err os_track_start(uint8_t *base, size_t size_bytes, size_t max_bytes, enum os_track_kind kind,
                        struct os_track **out);
enum os_track_kind os_track_kind(const struct os_track *t);
/* More was committed: [old, size_bytes) counts as written. */
void os_track_grown(struct os_track *t, size_t size_bytes);
/* True when the fault at offset was one of ours, and was resolved. Signal-safe. */
bool os_track_fault(struct os_track *t, size_t offset_bytes);
/* The host is about to write there (a system call into a protected page gives EFAULT, no fault). The pages stay
 * writable, and written, until os_track_unpin(): collecting from another thread meanwhile does no harm. */
void os_track_mark(struct os_track *t, size_t offset_bytes, size_t size_bytes);
/* The host is done with all it marked. */
void os_track_unpin(struct os_track *t);
/* Ors one bit a page, LSB first, into bits (room for size_bytes / 4096 bits, rounded up to bytes).
 * clear: they are clean, and watched, again. A write that races with it is reported now or by the
 * next collect. */
enum err os_track_collect(struct os_track *t, uint8_t *bits, size_t bits_bytes, bool clear);
void os_track_stop(struct os_track *t);

/* ---- the machine ---- */

/* Processors that this program may use, at least 1; bytes of memory that it has (0: not known). */
uint32_t os_processors(void);
uint64_t os_memory_bytes(void);
/* How many files this program may have open, after it has asked for as many as it may get. UINT32_MAX: there is no such limit. */
uint32_t os_files_max(void);
/* Fewer than so many files can still be opened, more or less: numbers of open files are the lowest free ones. */
bool os_files_scarce(uint32_t kept);

/* ---- clocks and randomness ---- */

/* Monotonic, does not count from anything in particular. Signal-safe. */
uint64_t os_monotonic_ns(void);
/* Since 1970, may jump. */
uint64_t os_wall_ns(void);
/* Processor time of the calling thread, and of the process. */
uint64_t os_thread_cpu_ns(void);
uint64_t os_process_cpu_ns(void);
/* Fills buf with random bytes fit for keys. Never short: ends the program when the system has none.
 */
void os_random(void *buf, size_t size_bytes);

/* ---- files ---- */

/* From now on a write to what nobody reads any more fails, and does not end the program. */
void os_ignore_broken_pipes(void);

/* A host file's bytes, read-only, as pages of the file: who changes the file changes them. path is UTF-8. NOTFOUND,
 * DENIED, INVALID (not a file, or empty), IO. */
enum err os_map_file(const char *path, const uint8_t **bytes, size_t *size_bytes);
void os_unmap_file(const uint8_t *bytes, size_t size_bytes);

/* ---- waiting ---- */

/* What the system waits for: a descriptor; on Windows a HANDLE (of an event, a process, a console; a
 * socket by the event that stands for it). */
typedef intptr_t os_handle;
#define OS_NO_HANDLE ((os_handle) - 1)

/* A flag another thread or a signal handler can raise to end an os_wait(). */
struct os_wake {
	os_handle flag;
	os_handle timer; /* OS_NO_HANDLE where a wait itself takes a deadline as fine as ours */
};

enum err os_wake_init(struct os_wake *w);
void os_wake_free(struct os_wake *w);
/* Raises the flag; wakes the waiter, now or at its next os_wait(). Signal-safe. */
void os_wake_post(struct os_wake *w);

struct os_ready {
	os_handle handle;
	bool want_read, want_write;
	bool is_readable, is_writable; /* out; an error or hang-up sets what was wanted */
};

#define OS_NO_DEADLINE UINT64_MAX
#define OS_MAX_WAITS 256

/* Waits until the flag is raised (it is lowered again), one of the handles is ready, or os_monotonic_ns()
 * passes deadline_ns. Returns the number of ready ones; 0 also when woken or interrupted: the caller
 * asks again. n <= OS_MAX_WAITS. */
int os_wait(struct os_wake *w, struct os_ready *on, int n, uint64_t deadline_ns);
