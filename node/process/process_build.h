/* process_build.h - how a process's insides come into being, on its worker's thread. Used by process.c.
 *
 * A build is a deep copy of what the caller asked for; the worker runs it and frees it. When it fails,
 * what it had made is taken down by process_release().
 *
 *	build_for_create(p, cfg, &setup, &msg);   worker_start(p, &setup, &msg);
 */
#pragma once

#include "node/process/worker.h"

#include <pthread.h>

/* Both copy all they need. On failure there is nothing to free. */
enum err build_for_create(struct process *p, const struct process_config *cfg,
                          struct worker_setup *out, struct errmsg *msg);
enum err build_for_restore(struct process *p, const struct process_sections *s,
                           struct worker_setup *out, struct errmsg *msg);

/* Of a process that forked: c is taken. run tells c's family, and so its parent, what became of it. */
void build_for_fork(struct wali_child *c, struct worker_setup *out);
/* There will be no such process. */
void build_no_child(struct wali_child *c);
/* exec: store, instance and thread of p->module, standing before its start; p->stands is set under lock. */
enum err build_program(struct process *p, pthread_mutex_t *lock, struct errmsg *msg);

/* The insides of a process as one piece, so that they can be taken down on another thread: closing remote files and
 * unmapping memory takes time. */
struct process_insides {
	struct module *module;
	struct store *store;
	struct wasi *wasi;
	struct wali *wali;
	struct drivers *drivers;
};
/* Takes them out of p. */
struct process_insides process_take_insides(struct process *p);
/* Any thread. */
void process_insides_free(struct process_insides *in);
