/* mounts.c - where the mounts of a process that came in by an image lead. */
#include "node/node.h"

#include "vfs/mount.h"

enum err process_open_mount(struct process *p, const struct vfs_mount_config *c,
                            struct vfs_obj **root, struct errmsg *msg)
{
	return err_set(msg, ERR_UNSUPPORTED, "folder %s of another device cannot be reached",
	               c->guest);
}
