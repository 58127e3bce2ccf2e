/* process_build.h - how a process's insides come into being, on its worker's thread. Used by process.c.
 *
 * A build is a deep copy of what the caller asked for; the worker runs it and frees it. When it fails,
 * what it had made is taken down by process_release().
 *
 *	build_for_create(p, cfg, &setup, &msg);   worker_start(p, &setup, &msg);
 */
#pragma once

#include "node/worker.h"

/* Both copy all they need. On failure there is nothing to free. */
enum err build_for_create(struct process *p, const struct process_config *cfg,
                          struct worker_setup *out, struct errmsg *msg);
enum err build_for_restore(struct process *p, const struct process_sections *s,
                           struct worker_setup *out, struct errmsg *msg);

/* The insides of a process as one piece, so that they can be taken down on another thread: closing remote files and
 * unmapping memory takes time. */
struct process_insides {
	struct module *module;
	struct store *store;
	struct thread *thread;
	struct wasi *wasi;
	struct drivers *drivers;
};
/* Takes them out of p. */
struct process_insides process_take_insides(struct process *p);
/* Any thread. */
void process_insides_free(struct process_insides *in);
