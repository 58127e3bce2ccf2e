/* checkpoint.h - processes that leave memory, or are copied, without another device: suspend, resume, snapshot files.
 *
 *	suspend:  freeze, image to the depot, record SUSPENDED (durable), the process leaves memory
 *	resume:   image from the depot, checked as if it came from outside, record OWNED (durable), it runs
 *	snapshot: freeze, copy, run on; the copy becomes a file (migrate/snapshot.h)
 *	restore:  the file, checked whole, becomes a new process with an identity of its own
 *
 * The loop's thread; each calls fn once, later, with the pid it is about, and how long the process stood still.
 */
#pragma once

#include "migrate/owner.h"
#include "node/process/process.h"

struct checkpoint_report {
	uint32_t pid;
	uint64_t stood_ns, total_ns; /* the process stood; from the request to the end */
	uint64_t bytes; /* of memory and sections; of the file for snapshot and restore */
};

typedef void (*checkpoint_fn)(void *ctx, enum err e, const struct errmsg *msg,
                              const struct checkpoint_report *r);

void checkpoint_suspend(struct process *p, checkpoint_fn fn, void *ctx);
void checkpoint_resume(struct node *n, const struct owner *record, checkpoint_fn fn, void *ctx);
/* path is absolute; the file appears whole or not at all. */
void checkpoint_snapshot(struct process *p, const char *path, checkpoint_fn fn, void *ctx);
void checkpoint_restore(struct node *n, const char *path, checkpoint_fn fn, void *ctx);
