/* keeper.h - programs that outlive a `wasmos down`: put to sleep on disk by it, awake again after the next `wasmos up`.
 *
 * Kept is what runs in the background; what a `wasmos run` in some terminal waits for ends with the node. The uids of those
 * kept stand in the depot (DEPOT_SETTINGS, "awake") from the stop until they run again. A part of the node; loop thread.
 *
 * A person who asks for the stop can be refused: when something cannot be kept (a full disk, a move under way) nothing is
 * ended, what sleeps already is woken, and the node stays up. A signal is not refused: what cannot be kept ends, a line of
 * the log names each and why, and its record stays, so that it goes on from its last checkpoint when the node is up again.
 *
 * What stands only for a moment (a copy for a checkpoint, a move, one that is just being woken) is waited for first.
 *
 *	keeper_stop(n, false, NULL, NULL);    node_stop(): from now on keeper_busy() until all is on disk
 */
#pragma once

#include <stdbool.h>

struct errmsg;
struct node;

/* why: the node stays up, because of this. NULL: it goes down. */
typedef void (*keeper_decided_fn)(void *ctx, const struct errmsg *why);

/* Ends or suspends every process. end: suspends none. decided: called once; NULL: the stop is not refused. */
void keeper_stop(struct node *n, bool end, keeper_decided_fn decided, void *ctx);
/* The stop under way is no longer refused. */
void keeper_insist(struct node *n);
/* Since keeper_stop(), unless that was refused. node->stopping is set a moment later, when nothing is half resumed. */
bool keeper_is_stopping(struct node *n);
/* This device is "files only" from now on: what runs is put to sleep, and stays so over a restart until `wasmos resume` is allowed again. What
 * cannot sleep runs on; the log says so. */
void keeper_rest(struct node *n);
/* Something is still on its way to the disk. */
bool keeper_busy(struct node *n);
