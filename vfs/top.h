/* top.h - mounts as one folder: what stands at "/net" and "/home" is "net" and "home" in it.
 *
 * For who has no process: a command of the host, or a mount of the whole tree. Each mount stands right below the root. The root itself cannot
 * be changed; what leads from one mount into another is XDEV. What a name below leads to is the mount's own object.
 *
 *	vfs_top_new(ns, &root);                       // takes ns
 *	vfs_open(root, "net/laptop/docs/plan", VFS_READ, &file);
 *
 * Any thread; its mounts' objects say what may be done with them.
 */
#pragma once

#include "vfs/mount.h"
#include "vfs/vfs.h"

/* Takes ns, also when it fails (NOMEM). */
enum ferr vfs_top_new(struct vfs_ns *ns, struct vfs_obj **out);
