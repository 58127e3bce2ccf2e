/* folders.h - the replicated folders of this device (part "folders"): which there are, as mounts, and with whom they are in touch.
 *
 * A folder is a name and an id (table SETTINGS, "folder/NAME"), and a replica (replica.h). Devices that are linked tell each other which folders they have
 * (messages of the group FOLDER); of each that both have they keep one exchange (folder/exchange.h) under way, whose steps run on libuv's pool.
 * `wasmos folder join` takes a folder that a linked device has told of.
 *
 * As a mount it has the host path "folder:NAME" and no device as its home: where a process goes, it finds that device's replica of the
 * folder, by id; a device without one refuses the process. A snapshot's copy finds no folder: a file from anywhere gives nobody rights.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

struct node;
struct vfs_mount_config;
struct vfs_obj;

#define FOLDERS_HOST_PREFIX "folder:"
enum { FOLDERS_MAX = 64, FOLDERS_OFFERS_MAX = 1024 };

bool folders_is_mount(const struct vfs_mount_config *c);
/* Any thread. NOTFOUND: this device does not have it. */
enum err folders_mount(struct node *n, const struct vfs_mount_config *c, struct vfs_obj **root,
                       struct errmsg *msg);
/* The same for a process that comes with it. */
enum err folders_open_mount(struct node *n, const struct vfs_mount_config *c, bool is_copy,
                            struct vfs_obj **root, struct errmsg *msg);
/* Calls fn, which takes root, for each: name is "/NAME", host as in a mount. Any thread. */
void folders_each_root(struct node *n,
                       enum err (*fn)(void *ctx, const char *name, const char *host,
                                      struct vfs_obj *root),
                       void *ctx);
