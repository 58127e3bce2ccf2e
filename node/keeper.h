/* keeper.h - programs that outlive a `wasmos down`: put to sleep on disk by it, awake again after the next `wasmos up`.
 *
 * Kept is what runs in the background; what a `wasmos run` in some terminal waits for ends with the node. The uids of those
 * kept stand in the depot (DEPOT_SETTINGS, "awake") from the stop until they run again. A part of the node; loop thread.
 *
 *	keeper_stop(n, false);            node_stop(): from now on keeper_busy() until all is on disk
 */
#pragma once

#include <stdbool.h>

struct node;

/* Ends or suspends every process. end: suspends none. */
void keeper_stop(struct node *n, bool end);
/* Something is still on its way to the disk. */
bool keeper_busy(struct node *n);
