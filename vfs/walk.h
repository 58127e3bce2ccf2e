/* walk.h - the path walk, one component at a time, for backends that can enter a folder by one name.
 *
 * The walk keeps the folders it came through, so that ".." goes back to the one it came from, whatever somebody does to
 * the tree meanwhile, and never above the folder it started in. Symbolic links are read and resolved here: the backend
 * must never follow one itself. It ends at the folder that holds the last name, which is what every operation by name needs.
 *
 *	struct walk w;
 *	FTRY(walk_parent(&w, &ops, ctx, base, "a/../b/c", WALK_FOLLOW));     // w.name is "c"
 *	... operate on w.name in walk_dir(&w), without following it ...
 *	walk_end(&w);                                                 // also after a failed walk_parent
 *
 * It is 28 KiB large. One thread.
 */
#pragma once

#include "vfs/vfs.h"

enum { WALK_DEPTH_MAX = VFS_PATH_MAX / 2 + 1 };

/* Whether a symbolic link as the last name is followed. */
enum walk_follow {
	WALK_NOFOLLOW,
	WALK_FOLLOW_SLASH, /* only when the path ends in a slash */
	WALK_FOLLOW,
};

struct walk_ops {
	/* The folder called name in dir. LOOP: it is a symbolic link. NOTDIR, NOENT, ... */
	enum ferr (*enter)(void *ctx, uintptr_t dir, const char *name, uintptr_t *out);
	/* The link's text (*size: room in, bytes out, not terminated). INVAL: not a link. */
	enum ferr (*readlink)(void *ctx, uintptr_t dir, const char *name, char *buf, size_t *size);
	/* Done with a folder that enter gave. */
	void (*leave)(void *ctx, uintptr_t dir);
};

struct walk {
	const struct walk_ops *ops;
	void *ctx;
	uintptr_t base;
	uintptr_t dirs[WALK_DEPTH_MAX]; /* entered below base */
	uint32_t depth;
	uint32_t links;              /* symbolic links followed so far */
	char name[VFS_NAME_MAX + 1]; /* the last name; "." when the path is the folder itself */
	bool slash;                  /* the path ended in a slash: the last name must be a folder */
	char rest[2 * VFS_PATH_MAX]; /* what is still to be walked */
};

/* A dangling link that is followed leaves the missing name in w->name. NOTCAPABLE: the path leads out. */
enum ferr walk_parent(struct walk *w, const struct walk_ops *ops, void *ctx, uintptr_t base,
                      const char *path, enum walk_follow follow);
uintptr_t walk_dir(const struct walk *w);
void walk_end(struct walk *w);
