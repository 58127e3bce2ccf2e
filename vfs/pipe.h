/* pipe.h - a pipe between two processes of this node, or within one.
 *
 * 64 KiB of bytes, or fewer when that was asked for (which a move forgets), a reading and a writing end. Up to
 * VFS_PIPE_ATOMIC are written as one: all of it or, for now, nothing; so much room makes an end writable. Ends may live in different processes and threads:
 * the pipe locks itself. Each end carries a wake function, called when the other end made it ready and somebody had found
 * that it was not (by a read or write that gives AGAIN or does a part, or by vfs_ready()).
 * Bytes in flight are part of an image (vfs/fdtable.h).
 */
#pragma once

#include "vfs/vfs.h"

enum { VFS_PIPE_BYTES = 65536, VFS_PIPE_ATOMIC = 4096 };

struct vfs_wake {
	void (*wake)(void *ctx, const void *pipe); /* any thread; NULL: nobody to wake */
	void *ctx;
	bool
	    late; /* writing end: only when half of the bytes are gone; until then vfs_pipe_owes() says so */
};

/* Both ends, one reference each. NOMEM. */
enum ferr vfs_pipe_new(struct vfs_obj **read_end, struct vfs_obj **write_end);
/* Who is poked when this end becomes ready. */
void vfs_pipe_set_wake(struct vfs_obj *end, struct vfs_wake w);

/* A writer waits for room, there is some, and it was not woken: who reads wakes it when it does not read on. */
bool vfs_pipe_owes(struct vfs_obj *end);

bool vfs_is_pipe(const struct vfs_obj *o);
/* True for the writing end. */
bool vfs_pipe_writes(const struct vfs_obj *end);
/* The same for both ends of one pipe, and for no other. */
const void *vfs_pipe_identity(const struct vfs_obj *end);
/* How many bytes it takes. */
size_t vfs_pipe_room(struct vfs_obj *end);
/* The next power of two, at least 4 KiB. PERM: more than VFS_PIPE_BYTES; BUSY: more is in it just now. */
enum ferr vfs_pipe_set_room(struct vfs_obj *end, size_t bytes);
/* For an image: copies the bytes in flight without taking them. */
size_t vfs_pipe_peek(struct vfs_obj *end, uint8_t bytes[VFS_PIPE_BYTES], bool *other_open);
