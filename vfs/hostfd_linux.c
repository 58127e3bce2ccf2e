/* hostfd_linux.c - a descriptor of the host as a stream, on Linux and Android. It is waited for by itself. */
#include "vfs/stream_impl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct hostfd {
	int fd;
	bool owns, tty;
	enum vfs_type type;
};

static unsigned hostfd_ready(void *ctx)
{
	struct hostfd *h = ctx;
	struct pollfd p = {.fd = h->fd, .events = POLLIN | POLLOUT};
	if (poll(&p, 1, 0) <= 0)
		return 0;
	return (p.revents & (POLLIN | POLLHUP) ? VFS_READABLE : 0u) |
	       (p.revents & POLLOUT ? VFS_WRITABLE : 0u) |
	       (p.revents & (POLLHUP | POLLERR) ? VFS_HANGUP : 0u);
}

/* The fd may be blocking (it is shared with other programs), so it is asked first. */
static bool would_wait(const struct hostfd *h, short events)
{
	struct pollfd p = {.fd = h->fd, .events = events};
	return poll(&p, 1, 0) == 0;
}

static enum ferr hostfd_error(void)
{
	switch (errno) {
	case EAGAIN:
	case EINTR: return FE_AGAIN;
	case EPIPE: return FE_PIPE;
	case EBADF: return FE_BADF;
	case ENOSPC: return FE_NOSPC;
	default: return FE_IO;
	}
}

static enum ferr hostfd_read(void *ctx, void *buf, size_t size, size_t *done)
{
	struct hostfd *h = ctx;
	if (would_wait(h, POLLIN))
		return FE_AGAIN;
	ssize_t n = read(h->fd, buf, size);
	if (n < 0)
		return hostfd_error();
	*done = (size_t)n;
	return FE_OK;
}

static enum ferr hostfd_write(void *ctx, const void *buf, size_t size, size_t *done)
{
	struct hostfd *h = ctx;
	if (h->type != VFS_TYPE_FILE && would_wait(h, POLLOUT))
		return FE_AGAIN;
	/* At most what a pipe takes at once when it is writable, so that a blocking fd does not hold us long. */
	bool whole = h->tty || h->type == VFS_TYPE_FILE || size <= 4096;
	ssize_t n = write(h->fd, buf, whole ? size : 4096);
	if (n < 0)
		return hostfd_error();
	*done = (size_t)n;
	return FE_OK;
}

static os_handle hostfd_wait_handle(void *ctx, unsigned events)
{
	return ((struct hostfd *)ctx)->fd;
}

static bool hostfd_is_tty(void *ctx)
{
	return ((struct hostfd *)ctx)->tty;
}

static void hostfd_close(void *ctx)
{
	struct hostfd *h = ctx;
	if (h->owns)
		close(h->fd);
	free(h);
}

static const struct vfs_stream_ops hostfd_ops = {
    .read = hostfd_read,
    .write = hostfd_write,
    .ready = hostfd_ready,
    .wait_handle = hostfd_wait_handle,
    .is_tty = hostfd_is_tty,
    .close = hostfd_close,
};

static enum vfs_type hostfd_type(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return VFS_TYPE_UNKNOWN;
	return S_ISCHR(st.st_mode)   ? VFS_TYPE_CHAR
	       : S_ISREG(st.st_mode) ? VFS_TYPE_FILE
	                             : VFS_TYPE_STREAM;
}

struct vfs_obj *vfs_hostfd_new(int fd, bool owns)
{
	struct hostfd *h = calloc(1, sizeof *h);
	if (!h)
		return NULL;
	*h = (struct hostfd){.fd = fd, .owns = owns, .tty = isatty(fd), .type = hostfd_type(fd)};
	struct vfs_obj *o = vfs_stream_new_typed(&hostfd_ops, h, h->type);
	if (!o)
		free(h);
	return o;
}
