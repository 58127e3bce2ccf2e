/* home.h - the folder that a node lives in: made when missing, private to its user, locked by one node.
 *
 *	home_open("/home/me/.wasmos", &home, &msg);
 *	home_lock(home, &lock, &msg);      // ERR_BUSY: another node serves it
 */
#pragma once

#include "base/file.h"

/* One that others may enter is refused, unless it is empty or has been a home before: then it becomes private. */
enum err home_open(const char *path, struct dir **out, struct errmsg *msg);
/* Writes this program's process number into the lock file; the lock is gone when it is freed, or with the program. */
enum err home_lock(struct dir *home, struct file_lock **out, struct errmsg *msg);
/* Whether no node serves the home at path (or there is none). */
bool home_is_free(const char *path);
