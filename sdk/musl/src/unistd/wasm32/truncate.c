/* truncate.c - of an open file: the list of calls has only that. */
#include <fcntl.h>
#include <unistd.h>
#include "syscall.h"

int truncate(const char *path, off_t length)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -1;
	long r = __syscall(SYS_ftruncate, fd, length);
	__syscall(SYS_close, fd);
	return __syscall_ret(r);
}

weak_alias(truncate, truncate64);
