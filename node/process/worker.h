/* worker.h - the thread that runs one process, and how the loop stops it.
 *
 * The loop writes wishes into the stop word (freeze, kill), asks the engine for a safepoint and
 * pokes the waker; the worker answers with letters into the node's mailbox (started, frozen, ended),
 * which the loop reads in worker_mail(). Between `frozen` and worker_thaw() the worker touches
 * nothing of the process. Only process.c uses this header.
 *
 *	LOOP                                   WORKER
 *	worker_start ------------------------> setup(): load, check, instantiate
 *	        <------------- LETTER_STARTED  (or LETTER_FAILED, and the thread is over)
 *	                                       turns_run / os_wait / turns_run ...
 *	worker_freeze: stop word, stop, poke > at a safepoint
 *	        <-------------- LETTER_FROZEN  parked on a condition variable
 *	worker_thaw -------------------------> runs on
 *	worker_kill -------------------------> at a safepoint, also when parked
 *	        <--------------- LETTER_ENDED  (exit record) thread is over; the loop joins it
 */
#pragma once

#include "node/process/process.h"

struct wali_child;

enum letter_kind {
	LETTER_STARTED,
	LETTER_FAILED,
	LETTER_FROZEN,
	LETTER_ENDED,
	LETTER_FORK,   /* child is to become a process */
	LETTER_EXEC,   /* may another program take it over? */
	LETTER_EXECED, /* one has (name), or none could */
};

struct letter {
	enum letter_kind kind;
	struct process *process;
	enum err err;                    /* FAILED */
	struct errmsg msg;               /* FAILED */
	struct exit_record end;          /* ENDED */
	struct wali_child *child;        /* FORK: taken */
	char name[PROCESS_NAME_MAX + 1]; /* EXECED; empty: the old one */
	char **argv;                     /* EXECED: taken; NULL: the old ones */
	uint32_t argc;
	struct letter *next;
};

/* Runs on the worker's thread: brings p->module, store, instance, thread, wasi, drivers into being.
 * frozen: start parked. */
struct worker_setup {
	enum err (*run)(void *ctx, struct process *p, struct errmsg *msg);
	void (*free)(void *ctx);
	void *ctx;
	bool frozen;
};

enum err worker_start(struct process *p, const struct worker_setup *setup, struct errmsg *msg);
void worker_freeze(struct worker *w);
void worker_thaw(struct worker *w);
void worker_kill(struct worker *w, int status);
/* After LETTER_STARTED: what was wished for while it started takes effect. */
void worker_nudge(struct worker *w);
/* Whether the guest waits in a host call right now. */
bool worker_waits(const struct worker *w);
/* CPU time of the worker's thread. */
uint64_t worker_cpu_ns(const struct worker *w);
/* The worker's thread: a letter to the loop. */
void worker_fork(struct worker *w, struct wali_child *child);
void worker_ask_exec(struct worker *w);
void worker_execed(struct worker *w, const char *name, char **argv, uint32_t argc);
/* The loop has read LETTER_EXEC. */
void worker_exec_read(struct worker *w);
/* Any thread while the worker is: the guest comes to a safepoint, and goes on. */
void worker_poll(struct worker *w);
/* Joins the thread, which said ENDED or FAILED, and frees. */
void worker_free(struct worker *w);
