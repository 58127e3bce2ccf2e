/* host.h - a folder of the host as a backend.
 *
 * Linux: openat2(RESOLVE_BENEATH) where the kernel has it, else one openat(O_NOFOLLOW) a component
 * with symbolic links resolved here. Both give the same answers; tests run every case with both.
 */
#pragma once

#include "base/err.h"
#include "vfs/vfs.h"

enum vfs_host_walk { VFS_WALK_BEST, VFS_WALK_COMPONENTS };

/* Opens the folder at a host path (the one place a host path is used). NOTFOUND, DENIED, INVALID
 * (not a folder). */
enum err vfs_host_new(const char *host_path, enum vfs_host_walk walk, struct vfs_obj **root,
                      struct errmsg *msg);
bool vfs_is_host(const struct vfs_obj *o);
