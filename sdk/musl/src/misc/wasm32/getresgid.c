/* getresgid.c - the saved number is the effective one: the list of calls has no getresgid. */
#define _GNU_SOURCE
#include <unistd.h>
#include "syscall.h"

int getresgid(gid_t *real, gid_t *effective, gid_t *saved)
{
	*real = getgid();
	*effective = *saved = getegid();
	return 0;
}
