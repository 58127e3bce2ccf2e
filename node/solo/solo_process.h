/* solo_process.h - the processes of a solo run: the program itself, and, when it is a Linux program, what it forks, a thread each.
 *
 * The first process is run by the caller's thread and ends the run: what is left of its children is killed and waited for. Children of a
 * family meet under its lock (node/wali/family.h); the list of them belongs to it too.
 *
 *	struct solo_process p = {.wasi = w, .module = m};
 *	solo_process_start(&p, &msg);        // makes it a Linux program when its imports say so
 *	solo_process_run(&p, &status);
 *	solo_process_end(&p);
 */
#pragma once

#include "base/os.h"
#include "engine/engine.h"
#include "node/process/turns.h"
#include "node/process/wait.h"
#include "node/wali/wali.h"

#include <pthread.h>
#include <stdatomic.h>

struct own_terminal;
struct solo_group;

struct solo_process {
	struct wasi *wasi;     /* the caller's for the first process, its own for a child */
	struct module *module; /* a reference */
	struct wait wait;
	struct os_wake wake;
	struct host_resolver more; /* imports of other modules; resolve NULL: none */
	uint32_t max_memory_pages;

	struct wali *wali; /* NULL: a WASI program that nobody forked */
	struct store *store;
	struct instance *instance;
	struct turns turns;
	bool begun; /* the start function is over */

	struct solo_group *group; /* NULL as wali is */
	struct wali_child *child; /* what it is made from, until its thread has done so */
	pthread_t host;
	atomic_bool over;
	struct solo_process *next;
};

/* Store, instance and a thread, standing before the start function or _start. Errors: what linking says; INVALID: no _start. */
enum err solo_process_start(struct solo_process *p, struct errmsg *msg);
/* Until it ends: its status, or 128 + signal, or 134 after a trap, which is told on standard error. */
void solo_process_run(struct solo_process *p, int *status);
/* Frees what start made, and all children. Not wasi, module, wake. */
void solo_process_end(struct solo_process *p);
