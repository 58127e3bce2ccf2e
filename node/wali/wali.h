/* wali.h - the Linux personality of one process: the functions of the module "wali" (sdk/abi/wali.def) over the virtual kernel.
 *
 * A struct wali stands beside the process's struct wasi, which has its arguments, environment, open files, mounts and
 * clock, and adds what Linux knows: the current folder, signals and their handlers, mapped memory, its place among other
 * processes (node/wali/family.h). Nothing is ever passed to the host's own Linux, so it works on every platform and moves.
 *
 * Whoever runs the process (a worker, a solo run) turns like this, on one thread of the host, which all of the process's have:
 *
 *	for (;;) {
 *		switch (wali_turn(k, store)) {          // signals: pushes handlers
 *		case WALI_RUN: break;
 *		case WALI_WAIT: wait for the waker; continue;    // stopped by a signal
 *		case WALI_END: the process has ended: wasi_exit_code()
 *		}
 *		switch (turns_run(turns, store, &t)) {           // node/process/turns.h
 *		case RUN_STOPPED: continue;
 *		case RUN_BLOCKED: wait as the struct wait says; continue;
 *		case RUN_EXITED: if (wali_thread_over(k, t)) continue;
 *			if ((m = wali_take_exec(k, &path))) { run m instead; continue; } ended; ...
 *
 * A call has either not begun or is committed, as WASI's. What a call that blocked must remember (its deadline, that it was
 * interrupted, a result that waits for a handler to return) stands in a slot of its thread and its frame's depth, and goes along
 * in an image.
 *
 * Locks: every call holds its family's lock, so files, pipes and processes that relatives share need none of their own.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "engine/engine.h"
#include "vfs/ferr.h"

struct commons;
struct family;
struct family_image;
struct family_terminal;
struct fdset;
struct fdtable_loader;
struct kinship_talk;
struct memories;
struct module;
struct net;
struct store;
struct os_wake;
struct vfs_obj;
struct wait;
struct wali;
struct wali_child;
struct wasi;

enum { WALI_TYPED_MAX = 4096 };

/* What a process's runner knows of it. */
struct wali_about {
	uint32_t pid; /* as the node counts */
	uint64_t cpu_ns;
	int64_t created_unix_ms;
	const char
	    *device; /* the device's name; lives as long as the runner. NULL: there is no node */
	bool
	    controls; /* it may see and control all processes of the node, as the node's user does */
};

/* A relative that is in another part of the family. */
struct wali_elsewhere {
	uint32_t pid, parent; /* as the family counts */
	uint32_t pid_there;   /* as its node does; 0: not known yet */
	char name[16];
	char device[64]; /* the name of the device that it is on; empty: not known yet */
};

/* What the process's runner does for it. Functions are called on the process's thread with the family's lock held; NULL ones are not
 * to be had (then the call says ENOSYS, or ENOTTY). */
struct wali_host {
	/* The terminal: its size, new settings, and a new object for /dev/tty with the name its image has. */
	bool (*tty_size)(void *ctx, uint16_t *cols, uint16_t *rows);
	void (*tty_set)(void *ctx, const struct family_terminal *t);
	/* Its output and input, for a part of the family that has no terminal. As a stream's (vfs/stream.h). */
	enum ferr (*tty_write)(void *ctx, unsigned stream, const void *bytes, size_t size,
	                       size_t *done);
	enum ferr (*tty_read)(void *ctx, void *bytes, size_t size, size_t *done);
	/* The line that is being typed: up to WALI_TYPED_MAX bytes. */
	size_t (*tty_typed)(void *ctx, uint8_t *bytes);
	void (*tty_set_typed)(void *ctx, const uint8_t *bytes, size_t size);
	struct vfs_obj *(*tty_open)(void *ctx, const char **name);
	/* Starts the child, which is taken, also on failure: now or later wali_child_adopt() gives it a pid, or wali_child_undo() says that
	 * there is none. */
	enum err (*fork)(void *ctx, struct wali_child *child);
	/* May another program take the process over now? False: the call is made again. After true: a new program, or exec_failed(). NULL: it
	 * always may. */
	bool (*may_exec)(void *ctx);
	void (*exec_failed)(void *ctx);
	/* The terminal has input that relatives may wait for. Once. */
	bool (*tty_news)(void *ctx);
	/* A program's bytes (taken: free()) as a module: from a cache, or loaded. */
	enum err (*load)(void *ctx, uint8_t *bytes, size_t size, struct module **out,
	                 struct errmsg *msg);
	/* Called by any relative's thread too. */
	void (*about)(void *ctx, struct wali_about *out);
	/* It gives its control up, for good. */
	void (*confine)(void *ctx);
	/* Those of the family that are elsewhere have changed: all of them now. talk: kinship.h; NULL: there never was one. */
	void (*elsewhere)(void *ctx, const struct wali_elsewhere *list, uint32_t count,
	                  struct kinship_talk *talk);
	/* A question to the node: "processes", "peers", "device", "control PID COMMAND", "state PID DEVICE". INPROGRESS: the process is woken when the
	 * answer is there, and asks again. asked: it has asked before, so when nobody knows of it the process has moved meanwhile: OK. The
	 * answer's text is added to out, also when an error is answered. */
	enum ferr (*ask)(void *ctx, const char *question, bool asked, struct wr *out);
	/* Says something to whoever keeps the log. */
	void (*log)(void *ctx, const char *text);
	void *ctx;
};

struct wali_config {
	struct wasi *wasi; /* borrowed; its preopened folders are closed: Linux has names instead */
	struct wali_host host;
	struct os_wake *waker; /* borrowed: what ends the process's waits */
	uint32_t pid;
	struct net *net;           /* borrowed: of a family of its own. NULL: no sockets */
	uint8_t net_mode;          /* enum net_mode */
	const uint8_t *net_key;    /* SPACE_KEY_SIZE; NULL: zeros */
	const uint8_t *net_home;   /* the device that has its network; NULL: this one */
	bool is_copy;              /* of an image whose process goes on elsewhere */
	struct family *family;     /* NULL: one of its own ... */
	uint64_t max_memory_bytes; /* of each of a family of its own; 0: as many as can be */
	struct commons *commons;   /* ... among these; NULL: it has nothing in common with others */
	struct family_image
	    *image; /* wali_load(): the process is one of these; NULL: it is alone */
};

/* Whether the module has imports of "wali". */
bool module_is_wali(const struct module *m);

enum err wali_new(const struct wali_config *c, struct wali **out);
/* The process is no more: before wasi_free(). */
void wali_free(struct wali *k);
/* Answers imports of "wali", also those nobody knows: they say ENOSYS. Valid while k is. */
struct host_resolver wali_resolver(struct wali *k);

enum wali_turn { WALI_RUN, WALI_WAIT, WALI_END };
/* Before each turns_run(). The threads stand. */
enum wali_turn wali_turn(struct wali *k, struct store *s);
/* After RUN_EXITED, or RUN_DONE of another call than the start function's: whether only that thread is over, and is freed. */
bool wali_thread_over(struct wali *k, struct thread *t);
/* After RUN_DONE of _start, a trap or a kill: tells the parent. signal: 0, or what ended it. */
void wali_ended(struct wali *k, int status, int signal);

/* Any thread: a signal to the process, to all of its group in the foreground of its terminal. */
void wali_signal(struct wali *k, int signal);
void wali_signal_foreground(struct wali *k, int signal);

/* ---- fork and exec ---- */

/* What a process leaves to its child: everything but what its runner makes. */
struct wali_child {
	struct wr state; /* the engine's: store_load_copy(), then wali_child_threads() ... */
	struct memories *memories; /* ... with these, taken (then NULL) */
	uint32_t thread;           /* of its threads the one that forked */
	struct module *module;
	struct wasi *wasi;
	struct wali *wali;
};
/* With the family's lock: it is pid now. Its wasi and wali are the caller's then, no more c's. */
void wali_child_adopt(struct wali_child *c, const struct wali_host *host, struct wait *wait,
                      struct os_wake *waker, uint32_t pid);
/* Of the store as it was, the thread that forked is left. */
void wali_child_threads(const struct wali_child *c, struct store *s);
/* With the lock: there will be no child. */
void wali_child_undo(struct wali *k);
/* With the lock while it is not adopted. */
void wali_child_free(struct wali_child *c);

/* After RUN_EXITED: the program that takes the process over, and the name it was found by (free()); NULL: the process has ended. */
struct module *wali_take_exec(struct wali *k, char **path);
/* The store is about to go: relatives may not ask its threads to stop any more, until the next wali_turn(). */
void wali_leave_store(struct wali *k);
/* Pages that its memory may have; 0: as many as can be. */
uint32_t wali_memory_pages(const struct wali *k);
/* What ended the process; 0: it ended by itself. */
int wali_end_signal(const struct wali *k);
struct family *wali_family(struct wali *k);
uint32_t wali_pid(const struct wali *k);
/* Its process group's number; 0: it has ended. */
uint32_t wali_group(const struct wali *k);
/* The parent's number; 0: it has none. */
uint32_t wali_parent(const struct wali *k);

/* Section "linux" of an image: docs/formats/linux.md. UNSUPPORTED says what cannot move. */
enum err wali_save(struct wali *k, struct wr *out, struct errmsg *msg);
/* The same of one of several relatives, beside section "family" (family_image.h). */
enum err wali_save_in(struct wali *k, struct wr *out, struct errmsg *msg);
/* Nobody is related to it, and what section "linux" says of it is all: pid is its number, group and session, and it is not stopped. */
bool wali_is_alone(struct wali *k, uint32_t pid);
/* The process stands: a fork that its thread stands before, and whose child is made, has its result. */
void wali_settle(struct wali *k);
/* Hostile bytes. The process's open files are there already. */
enum err wali_load(struct rd *in, const struct wali_config *c, struct wali **out,
                   struct errmsg *msg);
/* Whether what was loaded is of the threads that were. */
bool wali_fits(struct wali *k, struct store *s);
/* The process's clock goes on after a pause: its alarm is set by it. */
void wali_start_clock(struct wali *k);
/* The process runs on another node now, from an image made while it stood: before its end here, which is nobody's business. */
void wali_leave(struct wali *k);
/* An open thing of this personality, by the name that an image gave it: NOTFOUND, NOMEM. */
enum err wali_open_stream(const char *name, struct vfs_obj **out);
