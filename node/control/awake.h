/* awake.h - requests about a process that is on its way into memory, or stands for a moment, wait for it here.
 *
 * A process comes into memory when a node that starts wakes it (keeper.h, move_records.c) or a person resumes it. Until it runs it is
 * hardly there: not in the table, or in it and frozen. Who has just said `wasmos up` and names it means the process, not
 * that state; so the request is made again when the process runs, for at most AWAKE_MAX_MS.
 *
 *	awake_begin(n, record.uid, record.pid);    // from now on its number is taken, and requests about it wait
 *	...                                        // image, revive(), process_thaw()
 *	awake_end(n, record.uid);
 *
 * A part of the node; loop thread.
 */
#pragma once

#include "node/process/process.h"

#include <stdbool.h>

struct control_call;
struct node;

enum { AWAKE_MAX_MS = 10000 };

/* Of one uid these nest. */
void awake_begin(struct node *n, const uint8_t uid[PROCESS_UID_SIZE], uint32_t pid);
void awake_end(struct node *n, const uint8_t uid[PROCESS_UID_SIZE]);
/* Some process comes. */
bool awake_any(struct node *n);
/* The uid of the process that comes and has this number, or NULL. */
const uint8_t *awake_coming(struct node *n, uint32_t pid);

/* Takes the call, which is made again (control_again()) in a moment. why: what is waited for, "process 3 is frozen"; it is the error
 * when the time is up. */
void awake_wait(struct control_call *c, const char *why);
