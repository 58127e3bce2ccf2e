/* serve.h - this device's files of a process that runs elsewhere.
 *
 * When a process leaves, its home keeps an export: the mounts that were granted to it, and the files of them that were
 * open, under the numbers its image names them by. The process's device then asks (vfs/remote.h), and this answers, as strict as
 * for a local process: only those mounts, nothing outside of them, nothing changed on a read-only one, nothing
 * written through a file that was not opened for it. Who may ask for which process (device, uid, epoch) is checked by the
 * caller before (node/links/fs_remote.h). When the process comes back, vfs_export_held() gives the open files back.
 *
 * Any thread: an export locks itself. Requests are hostile bytes.
 *
 *	vfs_export_new(wasi_ns(w), wasi_fds(w), home, &x);     // then wasi_free(w)
 *	vfs_export_request(x, body, size, &answer);
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "vfs/fdtable.h"

struct vfs_export;

/* Mounts whose home is this device (or zero) and their open files: takes references, so ns and fds may go. fds may be NULL
 * (then files are opened again by path when they are asked for). */
enum err vfs_export_new(struct vfs_ns *ns, struct fdtable *fds,
                        const uint8_t home[VFS_DEVICE_ID_BYTES], struct vfs_export **out);
/* The same with the files of relatives. */
enum err vfs_export_new_set(struct vfs_ns *ns, const struct fdset *set,
                            const uint8_t home[VFS_DEVICE_ID_BYTES], struct vfs_export **out);
void vfs_export_free(struct vfs_export *x);
/* Where numbers of open files begin, before there are any: with a random one a number from before a restart is nobody else's. */
void vfs_export_number_from(struct vfs_export *x, uint32_t random);
uint32_t vfs_export_mounts(const struct vfs_export *x);
uint32_t vfs_export_open_files(struct vfs_export *x);

/* Appends the answer. ERR_MALFORMED: the request is none (nothing was done, nothing appended). May wait for the disk. */
enum err vfs_export_request(struct vfs_export *x, const uint8_t *request, size_t size,
                            struct wr *answer);

/* For fdtable_loader.held: the open file of that number, opened for flags (VFS_READ, VFS_WRITE): a
 * reference; NULL when there is none. */
struct vfs_obj *vfs_export_held(struct vfs_export *x, uint32_t mount_id, uint32_t handle,
                                unsigned flags);
/* The mount's root, a reference, when host and the right to write are those of the image; NULL when this mount was never granted. */
struct vfs_obj *vfs_export_root(struct vfs_export *x, const struct vfs_mount_config *c);

/* What was granted, for the node's store: mounts only. */
enum err vfs_export_save(struct vfs_export *x, struct wr *out);
/* Opens the folders again; one that is missing is left out. */
enum err vfs_export_load(struct rd *in, struct vfs_export **out, struct errmsg *msg);
