/* mount.h - the tree of all devices as a folder of this host, for its programs.
 *
 * One file for where there is FUSE (mount_fuse.c: Linux with libfuse3), one for where there is none (mount_none.c), chosen by the build.
 */
#pragma once

#include <stdbool.h>

struct shell;

/* Puts the tree to dir, and serves it: in the background (0 once it can be used), or until it is unmounted. 1 after saying what is wrong. */
int mount_tree(struct shell *sh, const char *dir, bool foreground);
/* Takes it away; lazy: also while it is used. */
int mount_leave(struct shell *sh, const char *dir, bool lazy);
