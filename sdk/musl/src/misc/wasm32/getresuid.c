/* getresuid.c - the saved number is the effective one: the list of calls has no getresuid. */
#define _GNU_SOURCE
#include <unistd.h>
#include "syscall.h"

int getresuid(uid_t *real, uid_t *effective, uid_t *saved)
{
	*real = getuid();
	*effective = *saved = geteuid();
	return 0;
}
