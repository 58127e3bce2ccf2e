/* stream.c - streams: terminals and the like, null, and what is gone. */
#include "vfs/stream_impl.h"

#include <stdlib.h>

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

static os_handle stream_wait_handle(struct vfs_obj *o, unsigned events)
{
	struct stream *s = stream_of(o);
	return s->ops->wait_handle ? s->ops->wait_handle(s->ctx, events) : OS_NO_HANDLE;
}

static enum ferr stream_stat(struct vfs_obj *o, struct vfs_stat *out)
{
	struct stream *s = stream_of(o);
	if (s->ops->stat)
		s->ops->stat(s->ctx, out);
	return FE_OK;
}

static const struct vfs_ops stream_vfs_ops = {
    .name = "stream",
    .close = stream_close,
    .read = stream_read,
    .write = stream_write,
    .stat = stream_stat,
    .ready = stream_ready,
    .wait_handle = stream_wait_handle,
};

struct vfs_obj *vfs_stream_new_typed(const struct vfs_stream_ops *ops, void *ctx,
                                     enum vfs_type type)
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
	return vfs_stream_new_typed(ops, ctx, tty ? VFS_TYPE_CHAR : VFS_TYPE_STREAM);
}

bool vfs_is_terminal(const struct vfs_obj *o)
{
	const struct stream *s = (const struct stream *)o;
	return o->ops == &stream_vfs_ops && s->ops->is_tty && s->ops->is_tty(s->ctx);
}

size_t vfs_pending(struct vfs_obj *o)
{
	struct stream *s = o->ops == &stream_vfs_ops ? stream_of(o) : NULL;
	if (s && s->ops->pending)
		return s->ops->pending(s->ctx);
	return vfs_ready(o, VFS_READABLE) & VFS_READABLE ? 1 : 0;
}

void *vfs_stream_ctx(const struct vfs_obj *o, const struct vfs_stream_ops *ops)
{
	const struct stream *s = (const struct stream *)o;
	return o->ops == &stream_vfs_ops && s->ops == ops ? s->ctx : NULL;
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
	return vfs_stream_new_typed(&null_ops, NULL, VFS_TYPE_STREAM);
}

bool vfs_is_null(const struct vfs_obj *o)
{
	return o->ops == &stream_vfs_ops && ((const struct stream *)o)->ops == &null_ops;
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
	return vfs_stream_new_typed(&gone_ops, NULL, VFS_TYPE_UNKNOWN);
}
