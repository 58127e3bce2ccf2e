/* process_table.h - the rows of the process table, and who is told of changes. Between process.c and process_table.c.
 *
 *	process_table_add(n, p, &msg);       gives it a pid (its own when that is free)
 *	process_table_tell(p, PROCESS_EVENT_STARTED);
 */
#pragma once

#include "node/process/worker.h"

/* ERR_LIMIT. Counts it as alive. */
enum err process_table_add(struct node *n, struct process *p, struct errmsg *msg);
/* Undoes process_table_add(): the process never came to be. */
void process_table_remove(struct node *n, struct process *p);
/* Takes the row out; the process still counts as alive until its worker ended. */
void process_table_unlink(struct node *n, struct process *p);
void process_table_tell(struct process *p, enum process_event ev);
/* Forgets the oldest exit records above PROCESSES_ENDED_MAX. */
void process_table_prune(struct node *n);

/* process.c: */
void process_letter(const struct letter *l);
void process_deliver(struct process *p);
void process_free(struct process *p);
