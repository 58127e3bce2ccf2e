/* home.h - the folder that a node lives in: made when missing, private to its user, locked by one node.
 *
 *	home_open("/home/me/.wasmos", &fd, &msg);
 *	home_lock(fd, &lock_fd, &msg);      // ERR_BUSY: another node serves it
 */
#pragma once

#include "base/err.h"

/* Makes the folder (and those above it) with mode 0700. One that others may enter is refused, unless it is empty or has been
 * a home before: then its mode is set. */
enum err home_open(const char *path, int *fd, struct errmsg *msg);
/* Writes this program's process number into the lock file; the lock is gone when the descriptor is closed, or with the program. */
enum err home_lock(int home_fd, int *lock_fd, struct errmsg *msg);
