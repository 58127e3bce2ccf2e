/* tree.h - the whole tree of this device, as its user has it: /net with all devices, and the folders beside it (part "trees").
 *
 * The `wasmos` command gets it as a session of vfs/serve.h over the control socket (request "tree"): each input "ask" has the bytes of a request
 * (vfs/fsmsg.h), each row the bytes of its answer; the tree's root is the mount TREE_MOUNT. One request at a time; each session has a
 * thread, since what it asks may wait for another device, and ends with its client.
 *
 * To put a folder into the tree: a line in tree_build().
 */
#pragma once

#include "base/err.h"

struct node;
struct vfs_obj;

enum { TREE_MOUNT = 1, TREE_SESSIONS_MAX = 128 };

/* The root, a reference; for one thread at a time. Any thread while the node is up. */
enum err tree_build(struct node *n, struct vfs_obj **root, struct errmsg *msg);
