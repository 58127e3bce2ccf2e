/* sendfile.c - reads and writes: the list of calls has no sendfile. What could not be written is not taken from the file. */
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include "syscall.h"

/* One piece from at: what was written. */
static ssize_t piece(int out, int in, off_t at, size_t count)
{
	char buffer[16384];
	ssize_t n = pread(in, buffer, count < sizeof buffer ? count : sizeof buffer, at);
	return n > 0 ? write(out, buffer, n) : n;
}

ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
	off_t at = offset ? *offset : lseek(in, 0, SEEK_CUR);
	ssize_t done = 0, n = 0;
	if (at < 0)
		return offset ? __syscall_ret(-EINVAL) : -1;
	while ((size_t)done < count && (n = piece(out, in, at, count - done)) > 0) {
		at += n;
		done += n;
		if (n < 16384)
			break;
	}
	if (offset)
		*offset = at;
	else
		lseek(in, at, SEEK_SET);
	return done ? done : n;
}

weak_alias(sendfile, sendfile64);
