/* home.c - the home folder and its lock. */
#include "node/home.h"

#include <stdio.h>
#include <uv.h>

enum err home_open(const char *path, struct dir **out, struct errmsg *msg)
{
	enum err e = dir_open(path, DIR_ADOPT, out, msg);
	return e == ERR_OK ? e : err_prefix(msg, e, "home");
}

enum err home_lock(struct dir *home, struct file_lock **out, struct errmsg *msg)
{
	char holder[FILE_LOCK_TEXT_MAX] = "", own[32];
	struct file_lock *l;
	enum err e = file_lock_take(home, "lock", &l, holder, msg);
	if (e == ERR_BUSY)
		return err_set(msg, e, "a node serves this home already (process %s)",
		               holder[0] ? holder : "unknown");
	if (e != ERR_OK)
		return err_prefix(msg, e, "home");
	snprintf(own, sizeof own, "%d\n", (int)uv_os_getpid());
	e = file_lock_write(l, own, msg);
	if (e == ERR_OK)
		*out = l;
	else
		file_lock_free(l);
	return e;
}

bool home_is_free(const char *path)
{
	char holder[FILE_LOCK_TEXT_MAX];
	struct dir *home;
	if (dir_open(path, DIR_ADOPT, &home, NULL) != ERR_OK)
		return true;
	bool held = file_lock_is_held(home, "lock", holder);
	dir_close(home);
	return !held;
}
