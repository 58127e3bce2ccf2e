/* stream.h - terminals and byte streams as files: the node provides the other half.
 *
 * A stream object forwards to a table that its provider (a terminal, a socket to an attached
 * client, the host's own stdin) implements. It has no offset. The provider pokes the process's waker
 * when a stream that answered AGAIN becomes ready, or names a handle to wait for. Functions of the
 * table are called by the worker that runs the process; a provider used from several threads locks
 * itself.
 *
 *	static const struct vfs_stream_ops tty_stream_ops = {...};
 *	struct vfs_obj *o = vfs_stream_new(&tty_stream_ops, tty);
 */
#pragma once

#include "vfs/vfs.h"

struct vfs_stream_ops {
	/* AGAIN: nothing there now. OK with *done 0: the end. */
	enum ferr (*read)(void *ctx, void *buf, size_t size, size_t *done);
	/* AGAIN: no room now. PIPE: nobody will read this. May take fewer bytes than given. */
	enum ferr (*write)(void *ctx, const void *buf, size_t size, size_t *done);
	/* Which of enum vfs_events are there now. */
	unsigned (*ready)(void *ctx);
	/* What the worker may wait for (os_wait) until events (enum vfs_events) are there, or
	 * OS_NO_HANDLE: the waker is poked. NULL: OS_NO_HANDLE. */
	os_handle (*wait_handle)(void *ctx, unsigned events);
	bool (*is_tty)(void *ctx);
	size_t (*pending)(void *ctx); /* bytes that one read gives now; NULL: not known */
	void (*stat)(void *ctx,
	             struct vfs_stat *out); /* NULL: it has no number. out has its type */
	void (*close)(void *ctx);           /* NULL: nothing to do */
};

/* NULL when memory ran out. ctx is given to ops->close at the end. */
struct vfs_obj *vfs_stream_new(const struct vfs_stream_ops *ops, void *ctx);

/* Reads the end, swallows what is written. */
struct vfs_obj *vfs_null_new(void);

/* True for a stream whose provider says that it is a terminal. */
bool vfs_is_terminal(const struct vfs_obj *o);

/* Bytes that a read gives now. Not known, it is one when there are any. */
size_t vfs_pending(struct vfs_obj *o);

/* The ctx of a stream that has these ops; NULL: it is none. */
void *vfs_stream_ctx(const struct vfs_obj *o, const struct vfs_stream_ops *ops);

/* The host's fd, a number of the C library's, as a stream (solo programs, tests): never blocks where the
 * system lets it ask first, closes the fd only when it owns it. hostfd_*.c. */
struct vfs_obj *vfs_hostfd_new(int fd, bool owns);

/* True for what vfs_null_new() gave. */
bool vfs_is_null(const struct vfs_obj *o);

/* Stands for a file that was open and is not there any more: every use is STALE. */
struct vfs_obj *vfs_gone_new(void);
