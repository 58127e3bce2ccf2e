/* mount.h - the mounts of one process: where in its tree which folder stands.
 *
 * A mount is a backend's root folder at a guest path, with a number that stays the same for the
 * life of the process wherever it runs, and the device that is its home. Mounts do not lead into
 * each other: a name is looked up in the mount with the longest prefix. Counted: an open file keeps
 * its mount.
 *
 *	struct vfs_ns *ns = vfs_ns_new();
 *	struct vfs_mount_config c = {.guest = "/", .host = "/home/me/game", .kind = VFS_MOUNT_HOST};
 *	vfs_ns_add(ns, &c, root, &mount);    // takes the reference to root
 */
#pragma once

#include "base/err.h"
#include "vfs/vfs.h"

enum { VFS_MOUNTS_MAX = 64, VFS_DEVICE_ID_BYTES = 32 };

enum vfs_mount_kind {
	VFS_MOUNT_HOST, /* a folder of its home device; elsewhere it is reached through vfs/remote.h
	                 */
	VFS_MOUNT_MEMORY, /* moves along */
};

struct vfs_mount {
	_Atomic uint32_t refs;
	uint32_t id;    /* within the process; 1.. */
	uint8_t kind;   /* enum vfs_mount_kind */
	bool read_only; /* every change is ROFS */
	char *guest;    /* absolute path in the guest's tree */
	char *host; /* the folder's path on its home device, as given by the user: shown, and used
	               there only */
	uint8_t home[VFS_DEVICE_ID_BYTES]; /* device id; zero: this one */
	struct vfs_obj *root;
};

struct vfs_mount_config {
	const char *guest, *host; /* copied */
	enum vfs_mount_kind kind;
	bool read_only;
	uint8_t home[VFS_DEVICE_ID_BYTES];
	uint32_t id; /* 0: the next free number */
};

struct vfs_ns;

struct vfs_ns *vfs_ns_new(void);
void vfs_ns_free(struct vfs_ns *ns);
/* The same mounts. NULL: no memory. */
struct vfs_ns *vfs_ns_copy(const struct vfs_ns *ns);
/* Takes the reference to root, also when it fails. EXISTS (same guest path), LIMIT, INVALID (guest
 * not absolute), NOMEM. */
enum err vfs_ns_add(struct vfs_ns *ns, const struct vfs_mount_config *c, struct vfs_obj *root,
                    struct vfs_mount **out);
uint32_t vfs_ns_count(const struct vfs_ns *ns);
struct vfs_mount *vfs_ns_at(const struct vfs_ns *ns, uint32_t i);     /* borrowed */
struct vfs_mount *vfs_ns_by_id(const struct vfs_ns *ns, uint32_t id); /* borrowed or NULL */
/* The mount an absolute guest path lies in and the rest of the path in it ("." for the root). NULL
 * when none. */
struct vfs_mount *vfs_ns_find(const struct vfs_ns *ns, const char *path, const char **rest);
/* An absolute guest path in the other form of its mount (vfs_ops.path_form); the same where there is none. */
void vfs_ns_path_form(const struct vfs_ns *ns, const char *path, bool stays,
                      char out[VFS_PATH_MAX]);
struct vfs_mount *vfs_mount_ref(struct vfs_mount *m);
void vfs_mount_unref(struct vfs_mount *m);
