/* posix_fallocate.c - makes a file as long as is asked, without a promise of room: the list of calls has no fallocate. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "syscall.h"

int posix_fallocate(int fd, off_t base, off_t len)
{
	struct stat st;
	if (base < 0 || len <= 0)
		return EINVAL;
	if (base > 0x7fffffffffffffff - len)
		return EFBIG;
	if (fstat(fd, &st))
		return errno;
	if (S_ISFIFO(st.st_mode))
		return ESPIPE;
	if (!S_ISREG(st.st_mode))
		return ENODEV;
	if (st.st_size >= base + len)
		return 0;
	return -__syscall(SYS_ftruncate, fd, base + len);
}

weak_alias(posix_fallocate, posix_fallocate64);
