/* fs_remote.h - files of processes that run elsewhere, asked for and served over links (part "files").
 *
 * Serving: a process that left is asked for by (uid, epoch). Who may ask is what this device's ownership record
 * says: the device the process was released to, or one that shows a higher epoch; an older one is refused. What
 * may be asked for are the folders the user gave to that process on this device, kept as grants in the store (table GRANTS).
 * Its open files are held from the moment it is gone (PROCESS_EVENT_GONE); after a restart they are opened again by path and file id.
 * Requests run on the thread pool, never on the loop.
 *
 * Asking: a mount whose home is another device gets a vfs_remote whose requests go out by link_rpc() from the process's
 * worker. Back at its home a process gets the folders themselves, and the files that were held.
 *
 * An image is hostile: a folder of this device is opened for a process only when this device once gave that folder to that uid
 * (or, for a copy made from a snapshot, to the process the snapshot is of; the copy is then granted it too).
 *
 *	process_grant(p, ns, &msg);             // a new process: remember what the user gave it
 *	process_open_mount(p, &c, &root, &msg); // a process from an image
 */
#pragma once

#include "base/err.h"
#include "node/process/process.h"
#include "vfs/mount.h"

/* Any thread but the loop's (waits for the disk). ns: the mounts of p. Nothing is written when there are none. */
enum err process_grant(struct process *p, struct vfs_ns *ns, struct errmsg *msg);

/* For fdtable_loader, on the worker that restores p (its open_mount is process_open_mount() of process.h; DENIED: this
 * folder was never given to it here). A reference to a file this device held for p, or NULL. */
struct vfs_obj *process_held_file(struct process *p, uint32_t mount_id, uint32_t handle,
                                  unsigned flags);
