/* mount_inodes.h - the files that the kernel knows of a mount, and the connections to the node they are asked by. Internal to mount_fuse.c.
 *
 * The kernel knows files by numbers that this gives it: one struct inode for each file, found by what its device's numbers make. An
 * inode has the path by which it was looked up last; a rename changes the paths of all below it; one whose name was removed has none, and
 * lives in what is open of it. When a path leads to another file than the inode's, the kernel is told (ESTALE) and looks it up again.
 *
 * The node is asked in lanes, one for each device (and one for what is left), so that one which does not answer holds up nobody else: a
 * lane is a tree of shell/tree.h and a lock. The lane is locked first, then the list of inodes (mounted.lock), which nobody holds while asking.
 *
 *	struct at at;
 *	if ((failed = mount_begin(req, parent, name, &at)) == 0)
 *		failed = mount_end_change(&at, vfs_mkdir(at.root, at.path));
 *
 * Any thread. Error numbers are the host's, positive.
 */
#pragma once

#define FUSE_USE_VERSION 35

#include "vfs/vfs.h"

#include <fuse_lowlevel.h>
#include <pthread.h>

enum { LANES_MAX = 64, BUCKETS = 4096 };

struct shell;
struct tree;

struct lane {
	pthread_mutex_t lock; /* guards all of it, and what is opened in its tree */
	struct tree *tree;
	uint64_t hash;
	uint64_t changes; /* that went through here */
	char key[VFS_NAME_MAX + 8];
};

struct inode {
	struct inode *next; /* of its bucket */
	uint64_t key, lookups;
	char *path;          /* in the tree; NULL: it has no name any more */
	struct handle *open; /* what is open of it */
};

struct mounted {
	struct shell *shell;
	pthread_mutex_t lock; /* guards the inodes and the list of lanes; a lane stays */
	struct lane *lanes[LANES_MAX];
	uint32_t nlanes;
	struct inode root;
	struct inode *buckets[BUCKETS];
	uid_t uid;
	gid_t gid;
};

/* What a program has open. */
struct handle {
	struct handle *next; /* of its inode */
	struct inode *inode;
	struct lane *lane;
	struct vfs_obj *obj;
	unsigned flags;
	struct vfs_stat st;
	uint64_t known_ns, known_changes; /* when st was so; 0: it is not known */
};

/* A file or name, in its lane, which is locked. */
struct at {
	struct mounted *m;
	struct lane *lane;
	struct vfs_obj *root;
	struct vfs_obj *open; /* a reference: what has no name any more is only this */
	char path[VFS_PATH_MAX];
};

int mount_errno(enum ferr e);

/* NULL: memory, or no node; it was said. */
struct mounted *mount_new(struct shell *sh);
void mount_free(struct mounted *m);
struct mounted *mount_of(fuse_req_t req);
/* NULL: the node is not there. Names beyond the limit, which may be mistyped ones, share the first lane. */
struct lane *mount_lane(struct mounted *m, const char *path);
struct inode *mount_inode(struct mounted *m, fuse_ino_t ino);

/* ---- under mounted.lock ---- */

/* Once more looked up at path. NULL: no memory. */
struct inode *mount_look_up(struct mounted *m, uint64_t key, const char *path);
/* So many times less; gone with the last, when nothing is open of it. */
void mount_forget(struct mounted *m, struct inode *i, uint64_t lookups);
/* The name leads to nothing now, or to another file. */
void mount_name_gone(struct mounted *m, const char *path);
/* And what is below it. */
void mount_name_now(struct mounted *m, const char *was, const char *now);
/* The path of the inode, or of a name in it. ESTALE: it has none. */
int mount_path(const struct inode *i, const char *name, char out[VFS_PATH_MAX]);

/* ---- asking ---- */

/* The inode, or a name in it. Else an error number, with nothing locked. */
int mount_begin(fuse_req_t req, fuse_ino_t ino, const char *name, struct at *at);
/* The error number for e. */
int mount_end(struct at *at, enum ferr e);
/* The same after a change. */
int mount_end_change(struct at *at, enum ferr e);
