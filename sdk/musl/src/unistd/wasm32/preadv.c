/* preadv.c - a pread for each buffer, until one is not done whole: the list of calls has no preadv. */
#define _BSD_SOURCE
#include <errno.h>
#include <limits.h>
#include <sys/uio.h>
#include <unistd.h>
#include "syscall.h"

ssize_t preadv(int fd, const struct iovec *iov, int count, off_t ofs)
{
	ssize_t done = 0;
	if (count < 0 || count > IOV_MAX)
		return __syscall_ret(-EINVAL);
	for (int i = 0; i < count; i++) {
		if (iov[i].iov_len > (size_t)(SSIZE_MAX - done))
			return done ? done : __syscall_ret(-EINVAL);
		ssize_t n = pread(fd, iov[i].iov_base, iov[i].iov_len, ofs + done);
		if (n < 0)
			return done ? done : n;
		done += n;
		if ((size_t)n < iov[i].iov_len)
			break;
	}
	return done;
}

weak_alias(preadv, preadv64);
