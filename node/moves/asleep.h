/* asleep.h - programs that are on disk only (suspended, or in flight), as their images describe them: for `ps` and `logs`.
 *
 * A record (migrate/owner.h) knows a name and no more; the command line, the time and the last output are in the image's section "process", the
 * size of the memory in its manifest; of a family's other processes the same in their sections "member N". These few chunks are read on the pool, nothing of the memory itself.
 *
 *	asleep_ps(n, c, all);                    // the rows after those of control_ps(), and the end of the call
 *	if (asleep_logs(n, c)) return;           // it is such a program, and the call is taken
 *
 * Loop thread. Each takes the call.
 */
#pragma once

#include <stdbool.h>

#include <stdint.h>

struct control_call;
struct node;
struct owner;

void asleep_ps(struct node *n, struct control_call *c, bool all);
/* False: the call's "pid" is no such program; the call stays the caller's. */
bool asleep_logs(struct node *n, struct control_call *c);
/* The record of the family in whose image a process has this number in the table (and is not its leader), and what its relatives know it by.
 * Takes the call until fn, later, which gets it back; o NULL: there is none. */
typedef void (*asleep_found_fn)(struct node *n, struct control_call *c, const struct owner *o,
                                uint32_t number);
void asleep_find(struct node *n, struct control_call *c, uint32_t pid, asleep_found_fn fn);
