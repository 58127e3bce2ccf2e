/* stream.c - streams: terminals and the like, the host's own fds, null, and what is gone. */
#include "vfs/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct stream {
	struct vfs_obj base;
	const struct vfs_stream_ops *ops;
	void *ctx;
};

static struct stream *stream_of(struct vfs_obj *o)
{
	return (struct stream *)o;
}

static void stream_close(struct vfs_obj *o)
{
	struct stream *s = stream_of(o);
	if (s->ops->close)
		s->ops->close(s->ctx);
	free(s);
}

/* The first piece decides; a later one that would wait ends it. */
static enum ferr stream_read(struct vfs_obj *o, uint64_t offset, const struct vfs_iov *iov,
                             size_t n, size_t *done)
{
	struct stream *s = stream_of(o);
	if (!s->ops->read)
		return FE_BADF;
	for (size_t i = 0; i < n; i++) {
		size_t got = 0;
		if (iov[i].size == 0)
			continue;
		enum ferr e = s->ops->read(s->ctx, iov[i].p, iov[i].size, &got);
		if (e != FE_OK)
			return *done ? FE_OK : e;
		*done += got;
		if (got < iov[i].size)
			break;
	}
	return FE_OK;
}

static enum ferr stream_write(struct vfs_obj *o, uint64_t offset, unsigned flags,
                              const struct vfs_iov *iov, size_t n, size_t *done, uint64_t *end)
{
	struct stream *s = stream_of(o);
	if (!s->ops->write)
		return FE_BADF;
	for (size_t i = 0; i < n; i++) {
		size_t got = 0;
		if (iov[i].size == 0)
			continue;
		enum ferr e = s->ops->write(s->ctx, iov[i].p, iov[i].size, &got);
		if (e != FE_OK)
			return *done ? FE_OK : e;
		*done += got;
		if (got < iov[i].size)
			break;
	}
	return FE_OK;
}

static unsigned stream_ready(struct vfs_obj *o, unsigned events)
{
	struct stream *s = stream_of(o);
	return s->ops->ready ? s->ops->ready(s->ctx) & (events | VFS_HANGUP)
	                     : events & (VFS_READABLE | VFS_WRITABLE);
}

static int stream_wait_fd(struct vfs_obj *o, unsigned events)
{
	struct stream *s = stream_of(o);
	return s->ops->wait_fd ? s->ops->wait_fd(s->ctx, events) : -1;
}

static const struct vfs_ops stream_vfs_ops = {
    .name = "stream",
    .close = stream_close,
    .read = stream_read,
    .write = stream_write,
    .ready = stream_ready,
    .wait_fd = stream_wait_fd,
};

static struct vfs_obj *stream_new(const struct vfs_stream_ops *ops, void *ctx, enum vfs_type type)
{
	struct stream *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	vfs_obj_init(&s->base, &stream_vfs_ops, type);
	s->ops = ops;
	s->ctx = ctx;
	return &s->base;
}

struct vfs_obj *vfs_stream_new(const struct vfs_stream_ops *ops, void *ctx)
{
	bool tty = ops->is_tty && ops->is_tty(ctx);
	return stream_new(ops, ctx, tty ? VFS_TYPE_CHAR : VFS_TYPE_STREAM);
}

/* ---- null ---- */

static enum ferr null_read(void *ctx, void *buf, size_t size, size_t *done)
{
	*done = 0;
	return FE_OK;
}

static enum ferr null_write(void *ctx, const void *buf, size_t size, size_t *done)
{
	*done = size;
	return FE_OK;
}

static const struct vfs_stream_ops null_ops = {.read = null_read, .write = null_write};

struct vfs_obj *vfs_null_new(void)
{
	return stream_new(&null_ops, NULL, VFS_TYPE_STREAM);
}

bool vfs_is_null(const struct vfs_obj *o)
{
	return o->ops == &stream_vfs_ops && ((const struct stream *)o)->ops == &null_ops;
}

/* ---- a host fd ---- */

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

static int hostfd_wait_fd(void *ctx, unsigned events)
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
    .wait_fd = hostfd_wait_fd,
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
	struct vfs_obj *o = stream_new(&hostfd_ops, h, h->type);
	if (!o)
		free(h);
	return o;
}

/* ---- what is gone ---- */

static enum ferr gone_read(void *ctx, void *buf, size_t size, size_t *done)
{
	return FE_STALE;
}

static enum ferr gone_write(void *ctx, const void *buf, size_t size, size_t *done)
{
	return FE_STALE;
}

static const struct vfs_stream_ops gone_ops = {.read = gone_read, .write = gone_write};

struct vfs_obj *vfs_gone_new(void)
{
	return stream_new(&gone_ops, NULL, VFS_TYPE_UNKNOWN);
}
