/* renameat.c - renameat2 without flags: the list of calls has no renameat. */
#include <stdio.h>
#include "syscall.h"

int renameat(int oldfd, const char *old, int newfd, const char *new)
{
	return syscall(SYS_renameat2, oldfd, old, newfd, new, 0);
}
