/* questions.h - what programs ask their node by /proc: which processes and devices there are, and that one moves, sleeps or ends.
 *
 * A worker puts its question here and waits; the loop makes a request of the control protocol of it (control.h), as the
 * `wasmos` command would, and pokes the worker when the answer is there. A process may wait for several answers, by what it has asked. Which processes may
 * ask which is decided before: by node/wali/proc.c, a process of its own relatives; by struct process's controls, of all.
 *
 *	worker:  FE_INPROGRESS = questions_ask(p, "control 12 migrate phone", false, &out); ... woken, and again: FE_OK, and the text
 */
#pragma once

#include "base/bytes.h"
#include "vfs/ferr.h"

#include <stdbool.h>

struct process;

/* The process's own thread; as struct wali_host's ask. */
enum ferr questions_ask(struct process *p, const char *question, bool asked, struct wr *out);
/* The process is gone: nobody waits for its answer. Loop. */
void questions_drop(struct process *p);
