/* mount_none.c - mount.h where there is no FUSE. */
#include "shell/mount.h"

#include "shell/shell.h"

int mount_tree(struct shell *sh, const char *dir, bool foreground)
{
	return shell_fail(sh, "this build of wasmos cannot mount: that needs Linux and libfuse3; "
	                      "`wasmos cp` and its like "
	                      "work without");
}

int mount_leave(struct shell *sh, const char *dir, bool lazy)
{
	return shell_fail(sh, "this build of wasmos cannot mount");
}
