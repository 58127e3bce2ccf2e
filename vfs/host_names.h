/* host_names.h - what a folder of the host does by name, of which half is the same on every system.
 *
 * host_names.c walks to the name (or to both) and checks what POSIX asks of "." and of a path that ends in a slash; the call that
 * then acts on one name in one folder is the system's, sys_*() in host_SYSTEM.c, chosen by the build. A walk that
 * came to its end (vfs/walk.h) is such a name: at->name in walk_dir(at), which nothing here follows.
 *
 *	names_mkdir(dir, "a/b/c")  ->  host_find(&at, dir, "a/b/c", WALK_NOFOLLOW), sys_mkdir(&at), walk_end(&at)
 *
 * Inside of vfs/ only: names_*() stand in the backend's table of operations, and vfs/vfs.h says what they do. Any thread.
 */
#pragma once

#include "vfs/walk.h"

/* ---- the same everywhere ---- */

bool host_is_dot(const struct walk *at);
/* NOTDIR: the path ends in a slash, and no folder stands there. */
enum ferr host_check_slash(const struct walk *at);

/* Regular files that a node keeps in its home (node/home.h, node/links/device.h): a folder that has them is one, whoever's and wherever
 * it is seen. Nothing in it or in its folders is for guests: ACCES. */
#define HOST_HOME_KEY "device"
#define HOST_HOME_LOCK "lock"
#define HOST_HOME_TEXT "it is in the home of a node, with its keys, and is not for programs"

enum ferr names_set_times(struct vfs_obj *dir, const char *path, bool follow,
                          const struct vfs_times *t);
enum ferr names_set_mode(struct vfs_obj *dir, const char *path, bool follow, unsigned mode);
enum ferr names_mkdir(struct vfs_obj *dir, const char *path);
enum ferr names_mkfifo(struct vfs_obj *dir, const char *path);
enum ferr names_rmdir(struct vfs_obj *dir, const char *path);
enum ferr names_unlink(struct vfs_obj *dir, const char *path);
enum ferr names_symlink(struct vfs_obj *dir, const char *target, const char *path);
enum ferr names_readlink(struct vfs_obj *dir, const char *path, char *buf, size_t *size);
enum ferr names_link(struct vfs_obj *from, const char *from_path, bool follow, struct vfs_obj *to,
                     const char *to_path);
enum ferr names_rename(struct vfs_obj *from, const char *from_path, struct vfs_obj *to,
                       const char *to_path);
enum ferr host_reopen(struct vfs_obj *root, const struct vfs_saved *s, struct vfs_obj **out);
/* What is left of path (of the host, parted by '/') below the folder base. NOTCAPABLE: it is not below. */
enum ferr host_below(const char *base, const char *path, char *buf, size_t size);

/* ---- the system's ---- */

/* Walks to the last name of a path below dir; an error has ended the walk already. ACCES: it came to a node's home. */
enum ferr host_find(struct walk *at, struct vfs_obj *dir, const char *path,
                    enum walk_follow follow);
/* NOTDIR: what stands there is none; a link to a folder is none. */
enum ferr sys_check_folder(const struct walk *at);
/* ACCES: the owner's bits of the folder let no name in it be made or removed, and the system itself would not say so (to root). */
enum ferr sys_check_change(const struct walk *at);
/* ACCES: a node's home stands there, which stays where it is. */
enum ferr sys_check_home(const struct walk *at);
enum ferr sys_set_times(const struct walk *at, const struct vfs_times *t);
/* NOTSUP: the system keeps none. */
enum ferr sys_set_mode(const struct walk *at, unsigned mode);
enum ferr sys_mkdir(const struct walk *at);
/* NOTSUP: the system has none. */
enum ferr sys_mkfifo(const struct walk *at);
/* A folder, or what is none. */
enum ferr sys_remove(const struct walk *at, bool folder);
/* path: what `at` was found by, below dir; some systems must know where the link leads. */
enum ferr sys_symlink(const struct walk *at, struct vfs_obj *dir, const char *path,
                      const char *target);
/* As struct walk_ops' readlink. */
enum ferr sys_readlink(const struct walk *at, char *buf, size_t *size);
enum ferr sys_link(const struct walk *from, const struct walk *to);
enum ferr sys_rename(const struct walk *from, const struct walk *to);
