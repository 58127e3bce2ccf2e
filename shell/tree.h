/* tree.h - the node's whole tree as a folder of vfs/vfs.h, for commands: /net and what stands beside it (node/tree.h).
 *
 * A tree is a connection to the node; what is opened in it holds it. It is used by one thread at a time, and a question waits for its
 * answer. When the node goes away every call answers IO; a question after that connects anew, and files that are open are found again.
 *
 *	struct tree *t;
 *	if (tree_open(sh, &t) != 0) return 1;                    // has said why
 *	vfs_open(tree_root(t), "net/laptop/docs/plan", VFS_READ, &file);
 *	tree_close(t);
 */
#pragma once

#include "vfs/vfs.h"

struct shell;
struct tree;

/* 0, or 1 after saying why not. */
int tree_open(struct shell *sh, struct tree **out);
/* Borrowed. */
struct vfs_obj *tree_root(struct tree *t);
void tree_close(struct tree *t);
