/* wasi_state.h - the inside of struct wasi, and what the files wasi*.c share.
 *
 * Each function of sdk/abi/wasi.def is one C function wasi_NAME(w, t, a): a[] are the arguments as the engine
 * gives them (i32 in the low half). It answers an errno (enum ferr), WASI_BLOCK (nothing has happened, w->wait says what for) or
 * WASI_EXIT. Result pointers are checked before anything happens, so that a call never takes effect and then fails.
 */
#pragma once

#include "node/process/wait.h"
#include "node/wasi/wasi.h"

enum { WASI_BLOCK = 1000, WASI_EXIT };

enum {
	WASI_STRINGS_MAX = 1 << 20, /* bytes of all arguments, of the environment */
	WASI_ARGS_MAX = 65536,
	WASI_POLL_MAX = 16384, /* subscriptions of one poll */
};

struct wasi_strings {
	char **list; /* owned, each owned */
	uint32_t count;
	uint32_t bytes; /* with ends */
};

struct wasi {
	struct wasi_strings args, env;
	struct vfs_ns *ns;
	struct fdtable *fds;
	struct wait *wait;

	/* The guest's monotonic clock: host time - clock_base, or clock_paused while paused. */
	bool paused;
	uint64_t clock_base_ns, clock_paused_ns;
	uint64_t cpu_before_ns, cpu_start_ns,
	    cpu_seen_ns; /* CPU clocks go on from where they were */
	bool cpu_started;

	/* A poll_oneoff that blocked: when it began, on the guest's clock. */
	bool poll_pending;
	uint64_t poll_start_ns;

	bool exited;
	uint32_t exit_code;

	struct family *
	    family; /* relatives share its files: calls hold its lock (node/wali/family.h). NULL: alone */
};

#define WASI_CALL(name, signature, text) \
	int wasi_##name(struct wasi *w, struct thread *t, const uint64_t *a);
#include "sdk/abi/wasi.def"
#undef WASI_CALL

/* The low half of an argument. */
static inline uint32_t arg32(uint64_t v)
{
	return (uint32_t)v;
}

void wasi_put_u16(uint8_t *p, uint16_t v);
void wasi_put_u32(uint8_t *p, uint32_t v);
void wasi_put_u64(uint8_t *p, uint64_t v);
uint32_t wasi_get_u32(const uint8_t *p);
uint64_t wasi_get_u64(const uint8_t *p);

/* Processor time, never going back. */
uint64_t wasi_cpu_ns(struct wasi *w);
/* Takes the list and its texts. */
void wasi_set_strings(struct wasi_strings *s, char **list, uint32_t count, size_t bytes);
/* Of a process that forks: the same mounts and open files, arguments, environment and clock. wait is to be set. */
enum err wasi_fork(const struct wasi *w, struct wasi **out);
void wasi_close_files(struct wasi *w);

/* Blocks until the object has events: fills w->wait. */
int wasi_block_on(struct wasi *w, struct vfs_obj *o, unsigned events);
/* The host's monotonic time for an instant of the guest's clock. */
uint64_t wasi_host_time(const struct wasi *w, uint64_t guest_ns);
/* A change of a file of the entry: ROFS on a read-only mount. */
enum ferr wasi_may_change(const struct fd_entry *e);
/* WASI's fdflags as VFS_* flags; INVAL. */
enum ferr wasi_fdflags(uint32_t flags, unsigned *out);
/* WASI's fstflags and times; INVAL when contradictory. */
enum ferr wasi_times(uint64_t atime_ns, uint64_t mtime_ns, uint32_t flags, struct vfs_times *out);
/* 64 bytes. */
void wasi_put_filestat(uint8_t *p, const struct vfs_stat *st);
