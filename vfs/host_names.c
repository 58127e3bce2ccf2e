/* host_names.c - a folder of the host by name: the walks and the checks before the system's calls. */
#include "vfs/host_names.h"

#include <string.h>

bool host_is_dot(const struct walk *at)
{
	return !strcmp(at->name, ".");
}

enum ferr host_check_slash(const struct walk *at)
{
	return at->slash ? sys_check_folder(at) : FE_OK;
}

/* ---- one name ---- */

static bool exists(const struct walk *at)
{
	char buf[1];
	size_t size = sizeof buf;
	enum ferr e = sys_readlink(at, buf, &size);
	return e == FE_OK || e == FE_INVAL; /* a link, something else */
}

/* What stands there already comes before the right to make it. */
static enum ferr may_make(const struct walk *at)
{
	enum ferr e = sys_check_change(at);
	return e != FE_OK && exists(at) ? FE_EXIST : e;
}

/* What does not stand there comes before the right to remove it. */
static enum ferr may_remove(const struct walk *at)
{
	enum ferr e = sys_check_change(at);
	return e != FE_OK && !exists(at) ? FE_NOENT : e;
}

enum ferr names_set_times(struct vfs_obj *dir, const char *path, bool follow,
                          const struct vfs_times *t)
{
	struct walk at;
	FTRY(host_find(&at, dir, path, follow ? WALK_FOLLOW : WALK_FOLLOW_SLASH));
	enum ferr e = host_check_slash(&at);
	if (e == FE_OK)
		e = sys_set_times(&at, t);
	walk_end(&at);
	return e;
}

enum ferr names_set_mode(struct vfs_obj *dir, const char *path, bool follow, unsigned mode)
{
	struct walk at;
	FTRY(host_find(&at, dir, path, follow ? WALK_FOLLOW : WALK_FOLLOW_SLASH));
	enum ferr e = host_check_slash(&at);
	if (e == FE_OK)
		e = sys_check_home(&at);
	if (e == FE_OK)
		e = sys_set_mode(&at, mode);
	walk_end(&at);
	return e;
}

enum ferr names_mkdir(struct vfs_obj *dir, const char *path)
{
	struct walk at;
	FTRY(host_find(&at, dir, path, WALK_NOFOLLOW));
	enum ferr e = host_is_dot(&at) ? FE_EXIST : may_make(&at);
	if (e == FE_OK)
		e = sys_mkdir(&at);
	walk_end(&at);
	return e;
}

enum ferr names_mkfifo(struct vfs_obj *dir, const char *path)
{
	struct walk at;
	FTRY(host_find(&at, dir, path, WALK_NOFOLLOW));
	enum ferr e = host_is_dot(&at) ? FE_EXIST : at.slash ? FE_NOENT : may_make(&at);
	if (e == FE_OK)
		e = sys_mkfifo(&at);
	walk_end(&at);
	return e;
}

enum ferr names_rmdir(struct vfs_obj *dir, const char *path)
{
	struct walk at;
	FTRY(host_find(&at, dir, path, WALK_NOFOLLOW));
	enum ferr e = host_is_dot(&at) ? FE_INVAL : may_remove(&at);
	if (e == FE_OK)
		e = sys_remove(&at, true);
	walk_end(&at);
	return e;
}

enum ferr names_unlink(struct vfs_obj *dir, const char *path)
{
	struct walk at;
	FTRY(host_find(&at, dir, path, WALK_NOFOLLOW));
	enum ferr e = host_is_dot(&at) ? FE_ISDIR : host_check_slash(&at);
	if (e == FE_OK)
		e = may_remove(&at);
	if (e == FE_OK)
		e = sys_remove(&at, false);
	walk_end(&at);
	return e;
}

enum ferr names_symlink(struct vfs_obj *dir, const char *target, const char *path)
{
	struct walk at;
	FTRY(host_find(&at, dir, path, WALK_NOFOLLOW));
	enum ferr e = host_is_dot(&at) ? FE_EXIST : at.slash ? FE_NOENT : may_make(&at);
	if (e == FE_OK)
		e = sys_symlink(&at, dir, path, target);
	walk_end(&at);
	return e;
}

enum ferr names_readlink(struct vfs_obj *dir, const char *path, char *buf, size_t *size)
{
	struct walk at;
	FTRY(host_find(&at, dir, path, WALK_FOLLOW_SLASH));
	enum ferr e = host_is_dot(&at) ? FE_INVAL : host_check_slash(&at);
	if (e == FE_OK)
		e = sys_readlink(&at, buf, size);
	walk_end(&at);
	return e;
}

/* ---- two names ---- */

typedef enum ferr two_names(const struct walk *from, const struct walk *to);

static enum ferr with_both(struct vfs_obj *from, const char *from_path, enum walk_follow follow,
                           struct vfs_obj *to, const char *to_path, two_names *act)
{
	struct walk a, b;
	FTRY(host_find(&a, from, from_path, follow));
	enum ferr e = host_find(&b, to, to_path, WALK_NOFOLLOW);
	if (e == FE_OK) {
		e = act(&a, &b);
		walk_end(&b);
	}
	walk_end(&a);
	return e;
}

static enum ferr link_both(const struct walk *from, const struct walk *to)
{
	if (host_is_dot(from))
		return FE_PERM;
	if (host_is_dot(to))
		return FE_EXIST;
	FTRY(host_check_slash(from));
	FTRY(to->slash ? FE_NOENT : may_make(to));
	return sys_link(from, to);
}

enum ferr names_link(struct vfs_obj *from, const char *from_path, bool follow, struct vfs_obj *to,
                     const char *to_path)
{
	return with_both(from, from_path, follow ? WALK_FOLLOW : WALK_NOFOLLOW, to, to_path,
	                 link_both);
}

/* Only a folder may be renamed to a name with a slash. */
static enum ferr rename_both(const struct walk *from, const struct walk *to)
{
	if (host_is_dot(from) || host_is_dot(to))
		return FE_BUSY;
	if (from->slash || to->slash)
		FTRY(sys_check_folder(from));
	FTRY(sys_check_home(from));
	FTRY(may_remove(from));
	FTRY(sys_check_change(to));
	return sys_rename(from, to);
}

enum ferr names_rename(struct vfs_obj *from, const char *from_path, struct vfs_obj *to,
                       const char *to_path)
{
	return with_both(from, from_path, WALK_NOFOLLOW, to, to_path, rename_both);
}

/* ---- where it is now ---- */

enum ferr host_below(const char *base, const char *path, char *buf, size_t size)
{
	size_t n = strcmp(base, "/") ? strlen(base) : 0;
	if (strncmp(path, base, n) || (path[n] != '/' && path[n] != 0))
		return FE_NOTCAPABLE; /* moved out of the mount by somebody */
	const char *rest = path[n] ? path + n + 1 : ".";
	if (strlen(rest) >= size)
		return FE_NAMETOOLONG;
	strcpy(buf, *rest ? rest : ".");
	return FE_OK;
}

/* Numbers of devices change when a machine restarts: the path and the inode must agree. */
enum ferr host_reopen(struct vfs_obj *root, const struct vfs_saved *s, struct vfs_obj **out)
{
	struct vfs_stat st;
	unsigned flags = (s->flags & (VFS_READ | VFS_WRITE)) | VFS_NOFOLLOW;
	FTRY(root->ops->open(root, s->path, flags, out));
	enum ferr e = (*out)->ops->stat(*out, &st);
	if (e == FE_OK && (st.ino != s->ino || st.type != s->type))
		e = FE_STALE;
	if (e != FE_OK)
		vfs_unref(*out);
	return e;
}
