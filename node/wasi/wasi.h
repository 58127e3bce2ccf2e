/* wasi.h - WASI preview 1 for one process: all functions of wasi_snapshot_preview1 over vfs/.
 *
 * A struct wasi holds what belongs to the process beside its memory: arguments, environment, open
 * files, clocks, the exit code. Its functions are host functions for the engine (wasi_resolver).
 * They run on the worker that runs the process; the others are called by the same thread, or by the
 * loop while the process stands.
 *
 * A call has either not begun or is committed. One that must wait fills the process's struct wait
 * (node/process/wait.h) and returns HOST_BLOCK; it is made again from the start afterwards. A sleep's
 * absolute deadline is kept here (and in the image), so that it does not start over.
 *
 * Clocks: monotonic time starts near 0 with the process and does not count pauses (wasi_pause,
 * images); realtime is true. Randomness is fresh on every device and never in an image.
 *
 *	struct wasi *w;
 *	wasi_new(&config, &w, &msg);
 *	struct host_resolver r = wasi_resolver(w);
 *	... thread_run() == RUN_EXITED: wasi_exit_code(w)
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "engine/engine.h"
#include "vfs/fdtable.h"
#include "vfs/mount.h"

struct wasi;
struct wait;

struct wasi_config {
	const char *const *args; /* copied */
	const char *const *env;  /* copied: "NAME=value" each */
	uint32_t nargs, nenv;
	struct vfs_ns *ns;   /* taken, also on failure */
	struct fdtable *fds; /* taken, also on failure */
	struct wait
	    *wait; /* borrowed until wasi_free(): where a blocked call says what it waits for */
};

/* LIMIT: arguments or environment over 1 MiB each. INVALID: a variable without '='. */
enum err wasi_new(const struct wasi_config *c, struct wasi **out, struct errmsg *msg);
/* The program is over: what it wrote to files of other devices is there before anybody hears of its end. */
void wasi_settle(struct wasi *w);
void wasi_free(struct wasi *w);

/* Answers imports of "wasi_snapshot_preview1" (and "wasi_unstable" is not one). Valid while w is.
 */
struct host_resolver wasi_resolver(struct wasi *w);

/* What proc_exit() was given; 0 before. proc_raise(sig) ends as 128 + sig. */
uint32_t wasi_exit_code(const struct wasi *w);
bool wasi_exited(const struct wasi *w);
struct fdtable *wasi_fds(struct wasi *w);
struct vfs_ns *wasi_ns(struct wasi *w);
uint32_t wasi_args(const struct wasi *w, const char *const **args);
uint32_t wasi_env(const struct wasi *w, const char *const **env);

/* While paused the monotonic clock stands. Pauses do not nest. wasi_save() writes the clock as it
 * is; wasi_load() gives a paused one: wasi_unpause() starts it. */
void wasi_pause(struct wasi *w);
void wasi_unpause(struct wasi *w);
/* The guest's monotonic time, ns. */
uint64_t wasi_clock_ns(const struct wasi *w);

/* A folder in memory at /tmp, of WASI_TMP_BYTES at most, as a preopened descriptor: unless something is mounted there. */
enum { WASI_TMP_BYTES = 48 << 20 };
enum err wasi_add_tmp(struct vfs_ns *ns, struct fdtable *fds);

/* Section "wasi" of an image: docs/formats/wasi.md. UNSUPPORTED names an open thing that cannot
 * move. */
enum err wasi_save(struct wasi *w, struct wr *out, struct errmsg *msg);
/* Of one of several relatives: its descriptions are in the set (vfs/fdtable.h), which is written with them. */
enum err wasi_save_in(struct wasi *w, const struct fdset *set, struct wr *out, struct errmsg *msg);
enum err wasi_load_in(struct rd *in, struct fdset *set, struct wait *wait, struct wasi **out,
                      struct errmsg *msg);
/* Hostile bytes. */
enum err wasi_load(struct rd *in, const struct fdtable_loader *l, struct wait *wait,
                   struct wasi **out, struct errmsg *msg);
