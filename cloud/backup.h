/* backup.h - a folder of the host in an encrypted store (cloud/vault.h), as the replica of the device that saved it, and back.
 *
 * Saving walks the folder and makes the replica the same: files whose size, time and mode are as before are not read; what was changed is
 * cut into chunks, of which only those go to the storage that are not there. What was written over stays in the replica's history. Restoring writes
 * all of it into another folder. Both block for as long as it takes; one thread at a time.
 *
 *	TRY(backup_save(v, root, device, &stop, &figures, &msg));
 *	TRY(backup_restore(v, device, empty_root, &stop, &figures, &msg));
 */
#pragma once

#include "cloud/vault.h"

#include <stdatomic.h>

struct backup_figures {
	uint64_t files, folders, links, bytes; /* in the backup */
	uint64_t read_files;                   /* that were new or changed */
	uint64_t removed;                      /* that are there no more */
	uint64_t skipped; /* neither file, folder nor link, names that cannot be, or not readable */
};

/* *stop: ends it, CLOSED. A file that changes while it is read is saved as it was read. */
enum err backup_save(struct vault *v, struct vfs_obj *root,
                     const uint8_t device[FOLDER_DEVICE_SIZE], const _Atomic bool *stop,
                     struct backup_figures *out, struct errmsg *msg);
/* root is empty: EXISTS else. NOTFOUND: the device has saved nothing there. */
enum err backup_restore(struct vault *v, const uint8_t device[FOLDER_DEVICE_SIZE],
                        struct vfs_obj *root, const _Atomic bool *stop, struct backup_figures *out,
                        struct errmsg *msg);
