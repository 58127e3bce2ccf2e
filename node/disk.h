/* disk.h - the node's one open store (node/store.h), as a part: <home>/store.
 *
 *	depot_get(node_depot(n), DEPOT_PEERS, id, 32, &bytes);
 */
#pragma once

struct depot;
struct node;

/* Open from the opening of the parts after it to the end of their closing. */
struct depot *node_depot(struct node *n);
