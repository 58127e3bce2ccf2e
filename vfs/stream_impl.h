/* stream_impl.h - what stream.c and the host's own fds (hostfd_*.c) share. Internal to vfs/. */
#pragma once

#include "vfs/stream.h"

/* vfs_stream_new() for a stream whose type is known: VFS_TYPE_FILE is a host's file that is read in order. */
struct vfs_obj *vfs_stream_new_typed(const struct vfs_stream_ops *ops, void *ctx,
                                     enum vfs_type type);
