/* path.c - names of the guest's tree: from a path to the mount and the path in it, or to a device.
 *
 * The tree is the process's mounts; what lies above them ("/", when nothing is mounted there) and /dev are folders of this
 * personality (device.c). A backend follows symbolic links within its mount; it refuses (NOTCAPABLE) one that is absolute or
 * leads out. Such a path, and one with "..", is walked here a name at a time, so that links mean what they mean on Linux: the
 * guest's tree, never the host's.
 */
#include "node/wali/proc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- texts ---- */

static bool is_name(const char *p, size_t n, const char *name)
{
	return n == strlen(name) && !memcmp(p, name, n);
}

/* The next name of *p, which is advanced behind it; its size, 0 at the end. */
static size_t next_name(const char **p, const char **name)
{
	*p += strspn(*p, "/");
	*name = *p;
	*p += strcspn(*p, "/");
	return (size_t)(*p - *name);
}

static bool append(char out[VFS_PATH_MAX], const char *name, size_t n)
{
	size_t size = strlen(out);
	if (size + n + 2 > VFS_PATH_MAX)
		return false;
	out[size] = '/';
	memcpy(out + size + 1, name, n);
	out[size + 1 + n] = 0;
	return true;
}

static void cut_last(char *path)
{
	char *slash = strrchr(path, '/');
	if (slash)
		*slash = 0;
}

/* Without "." and doubled slashes. True when there is a ".." in it. */
static bool tidy(const char *from, char out[VFS_PATH_MAX], bool *fits)
{
	const char *name;
	bool up = false;
	size_t n;
	out[0] = 0;
	*fits = true;
	while ((n = next_name(&from, &name))) {
		if (is_name(name, n, "."))
			continue;
		up |= is_name(name, n, "..");
		*fits &= n <= VFS_NAME_MAX && append(out, name, n);
	}
	return up;
}

/* ---- a walk by names ---- */

struct walked {
	char out[VFS_PATH_MAX];
	char rest[2 * VFS_PATH_MAX];
	uint32_t links;
};

/* The name that out ends in is a symbolic link: its text goes on in its place. */
static enum ferr splice(struct walked *w, const char *rest, const char *link, size_t size)
{
	char next[2 * VFS_PATH_MAX];
	if (++w->links > VFS_SYMLINKS_MAX)
		return FE_LOOP;
	int n = snprintf(next, sizeof next, "%.*s/%s", (int)size, link, rest);
	if (n < 0 || (size_t)n >= sizeof next)
		return FE_NAMETOOLONG;
	memcpy(w->rest, next, (size_t)n + 1);
	if (link[0] == '/')
		w->out[0] = 0;
	else
		cut_last(w->out);
	return FE_OK;
}

/* The link that the path is; another answer than OK: it is none. */
static enum ferr link_of(struct wali *k, const char *path, char *link, size_t *size)
{
	const char *below;
	if (wali_in_proc(k, path))
		return wali_proc_link(k, path, link, size);
	struct vfs_mount *m = vfs_ns_find(k->w->ns, path, &below);
	return m && strcmp(below, ".") ? vfs_readlink(m->root, below, link, size) : FE_INVAL;
}

/* Whether ".." may stand behind it. */
static enum ferr is_folder(struct wali *k, const char *path)
{
	struct vfs_stat st;
	const char *below;
	struct vfs_mount *m = wali_in_proc(k, path) ? NULL : vfs_ns_find(k->w->ns, path, &below);
	if (!m ||
	    !strcmp(path, k->cwd)) /* who stands in a folder that was removed gets out of it */
		return FE_OK;
	FTRY(vfs_stat_at(m->root, below, false, &st));
	return st.type == VFS_TYPE_DIR ? FE_OK : FE_NOTDIR;
}

static enum ferr walk_names(struct wali *k, struct walked *w, bool follow)
{
	const char *at = w->rest, *name;
	char link[VFS_PATH_MAX];
	size_t n;
	w->out[0] = 0;
	while ((n = next_name(&at, &name))) {
		if (is_name(name, n, "."))
			continue;
		if (is_name(name, n, "..")) {
			FTRY(is_folder(k, w->out));
			cut_last(w->out);
			continue;
		}
		if (n > VFS_NAME_MAX || !append(w->out, name, n))
			return FE_NAMETOOLONG;
		if (!follow && !*at)
			continue;
		size_t size = sizeof link - 1;
		if (link_of(k, w->out, link, &size) != FE_OK)
			continue;
		char rest[2 * VFS_PATH_MAX];
		snprintf(rest, sizeof rest, "%s", at);
		FTRY(splice(w, rest, link, size));
		at = w->rest;
	}
	return FE_OK;
}

/* whole becomes a path without links and "..". */
static enum ferr walk_whole(struct wali *k, const char *path, bool follow, char whole[VFS_PATH_MAX])
{
	struct walked *w = malloc(sizeof *w);
	if (!w)
		return FE_NOMEM;
	w->links = 0;
	snprintf(w->rest, sizeof w->rest, "%s", path);
	enum ferr e = walk_names(k, w, follow);
	if (e == FE_OK)
		memcpy(whole, w->out, VFS_PATH_MAX);
	free(w);
	return e;
}

/* ---- where it leads ---- */

/* Of an open folder: "/data/sub". */
static enum ferr folder_path(struct vfs_file *f, char out[VFS_PATH_MAX])
{
	char below[VFS_PATH_MAX];
	if (f->obj->type != VFS_TYPE_DIR)
		return FE_NOTDIR;
	if (!f->mount)
		return wali_device_path(f->obj, out);
	if (vfs_path_of(f->obj, f->mount->root, below, sizeof below) != FE_OK)
		snprintf(below, sizeof below, "%s", f->path);
	int n = snprintf(out, VFS_PATH_MAX, "%s/%s", f->mount->guest, below);
	return n < VFS_PATH_MAX ? FE_OK : FE_NAMETOOLONG;
}

static enum ferr base_of(struct wali *k, uint64_t dirfd, const char *path, char out[VFS_PATH_MAX])
{
	struct fd_entry *e;
	out[0] = 0;
	if (path[0] == '/')
		return FE_OK;
	if ((int32_t)arg32(dirfd) == AT_FDCWD_) {
		snprintf(out, VFS_PATH_MAX, "%s", k->cwd);
		return FE_OK;
	}
	FTRY(wali_fd(k, dirfd, &e));
	return folder_path(e->file, out);
}

/* /dev is ours unless something is mounted there. */
static bool is_in_dev(const char *whole, const struct vfs_mount *m)
{
	if (strncmp(whole, "/dev", 4) || (whole[4] && whole[4] != '/'))
		return false;
	return !m || strncmp(m->guest, "/dev", 4);
}

static enum ferr find(struct wali *k, struct wali_at *at)
{
	const char *below;
	if (!at->whole[0])
		strcpy(at->whole, "/");
	struct vfs_mount *m = vfs_ns_find(k->w->ns, at->whole, &below);
	if (!m || is_in_dev(at->whole, m) || wali_in_proc(k, at->whole))
		return wali_device_at(k, at);
	at->mount = m;
	at->dir = m->root;
	strcpy(at->path, below);
	return FE_OK;
}

static enum ferr look(struct wali_at *at, bool follow)
{
	at->seen = vfs_stat_at(at->dir, at->path, follow, &at->st);
	at->has_stat = at->seen == FE_OK;
	return at->seen;
}

/* /dev/fd, /dev/stdin and their like are links into /proc. NULL: it is none. */
static const char *link_in_dev(const struct wali *k, const char *whole)
{
	static const char *const links[][2] = {{"/dev/fd", "/proc/self/fd"},
	                                       {"/dev/stdin", "/proc/self/fd/0"},
	                                       {"/dev/stdout", "/proc/self/fd/1"},
	                                       {"/dev/stderr", "/proc/self/fd/2"}};
	const char *below;
	if (!is_in_dev(whole, vfs_ns_find(k->w->ns, whole, &below)))
		return NULL;
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		if (!strcmp(whole, links[i][0]))
			return links[i][1];
	return NULL;
}

/* Where such a link leads; what stands in /dev/fd is a link of /proc's when it is not followed. */
static void into_proc(struct wali *k, struct wali_at *at, const char *link,
                      char full[2 * VFS_PATH_MAX])
{
	if (link)
		strcpy(full, link);
	else if (!strncmp(at->whole, "/dev/fd/", 8) && link_in_dev(k, "/dev/fd"))
		snprintf(full, 2 * VFS_PATH_MAX, "/proc/self%s", at->whole + 4);
	else
		return;
	snprintf(at->whole, sizeof at->whole, "%s", full);
}

static enum at_last last_of(const char *path)
{
	size_t end = strlen(path), start;
	while (end && path[end - 1] == '/')
		end--;
	for (start = end; start && path[start - 1] != '/';)
		start--;
	return end == start                               ? AT_ROOT
	       : is_name(path + start, end - start, ".")  ? AT_DOT
	       : is_name(path + start, end - start, "..") ? AT_DOTS
	                                                  : AT_NAME;
}

enum ferr wali_at_text(struct wali *k, uint64_t dirfd, const char *path, enum wali_follow how,
                       struct wali_at *at)
{
	bool follow = how == WALI_FOLLOW;
	char full[2 * VFS_PATH_MAX], base[VFS_PATH_MAX];
	bool fits;
	at->mount = NULL;
	at->dir = at->dev = NULL;
	at->has_stat = false;
	at->fixed = false;
	at->seen = FE_OK;
	if (!path[0])
		return FE_NOENT;
	FTRY(base_of(k, dirfd, path, base));
	snprintf(full, sizeof full, "%s/%s", base, path);
	at->wants_dir = path[strlen(path) - 1] == '/';
	follow |= at->wants_dir && how != WALI_NAME;
	at->last = last_of(path);
	bool walked = tidy(full, at->whole, &fits);
	if (!fits)
		return FE_NAMETOOLONG;
	const char *link = link_in_dev(k, at->whole);
	if (link && !follow)
		return wali_link_device(at, link);
	if (link || !follow)
		into_proc(k, at, link, full);
	if (follow)
		wali_proc_magic(k, at->whole);
	if (walked || wali_in_proc(k, at->whole))
		FTRY(walk_whole(k, full, follow, at->whole));
	FTRY(find(k, at));
	enum ferr e = at->dev ? FE_OK : look(at, follow);
	if (walked || (e != FE_NOTCAPABLE && e != FE_NAMETOOLONG))
		return FE_OK;
	FTRY(walk_whole(k, full, follow, at->whole));
	FTRY(find(k, at));
	if (!at->dev)
		look(at, follow);
	return FE_OK;
}

/* whole becomes a path without symbolic links. */
enum ferr wali_real(struct wali *k, struct wali_at *at)
{
	char from[VFS_PATH_MAX];
	if (at->dev)
		return FE_OK;
	strcpy(from, at->whole);
	FTRY(walk_whole(k, from, true, at->whole));
	return find(k, at);
}

enum ferr wali_at(struct wali *k, uint64_t dirfd, uint64_t path, enum wali_follow follow,
                  struct wali_at *at)
{
	char text[VFS_PATH_MAX];
	at->dev = NULL;
	FTRY(wali_text(k, path, text, sizeof text));
	return wali_at_text(k, dirfd, text, follow, at);
}

void wali_at_end(struct wali_at *at)
{
	vfs_unref(at->dev);
	at->dev = NULL;
}

/* ---- opening ---- */

static enum ferr open_device(struct wali *k, struct wali_at *at, unsigned flags,
                             struct vfs_file **out)
{
	if (flags & VFS_CREATE && flags & VFS_EXCLUSIVE)
		return FE_EXIST;
	if (flags & VFS_DIRECTORY && at->dev->type != VFS_TYPE_DIR)
		return FE_NOTDIR;
	if (at->dev->type == VFS_TYPE_SYMLINK)
		return FE_LOOP;
	if (flags & VFS_WRITE && at->fixed)
		return FE_ACCES;
	if (flags & VFS_WRITE && at->dev->type == VFS_TYPE_DIR)
		return FE_ISDIR;
	FTRY(wali_device_open(k, at));
	*out = vfs_file_new(vfs_ref(at->dev), NULL, NULL, flags);
	if (*out)
		snprintf((*out)->stream, sizeof(*out)->stream, "%s", at->dev_name);
	return *out ? FE_OK : FE_NOMEM;
}

static enum ferr open_read_only(struct wali_at *at, unsigned flags, struct vfs_obj **obj)
{
	struct vfs_stat st;
	if (flags & (VFS_WRITE | VFS_TRUNCATE)) {
		enum ferr e = vfs_stat_at(at->dir, at->path, !(flags & VFS_NOFOLLOW), &st);
		return e != FE_OK && !(e == FE_NOENT && flags & VFS_CREATE) ? e : FE_ROFS;
	}
	enum ferr e =
	    vfs_open(at->dir, at->path, flags & ~(unsigned)(VFS_CREATE | VFS_EXCLUSIVE), obj);
	if (e == FE_OK && flags & VFS_CREATE && flags & VFS_EXCLUSIVE) {
		vfs_unref(*obj);
		return FE_EXIST;
	}
	return e == FE_NOENT && flags & VFS_CREATE ? FE_ROFS : e;
}

/* What it is comes before what may be done with it. */
static enum ferr fits(const struct wali_at *at, unsigned flags)
{
	if (!at->has_stat || at->st.type == VFS_TYPE_SYMLINK)
		return FE_OK;
	if (flags & VFS_CREATE && flags & VFS_EXCLUSIVE)
		return FE_EXIST;
	bool dir = at->st.type == VFS_TYPE_DIR;
	if (dir && flags & (VFS_WRITE | VFS_CREATE | VFS_TRUNCATE))
		return FE_ISDIR;
	return !dir && flags & VFS_DIRECTORY ? FE_NOTDIR : FE_OK;
}

enum ferr wali_may_open(const struct wali_at *at, unsigned flags)
{
	unsigned needs =
	    (flags & VFS_READ ? 4u : 0u) | (flags & (VFS_WRITE | VFS_TRUNCATE) ? 2u : 0u);
	bool told = at->has_stat && at->st.has_mode && at->st.type != VFS_TYPE_SYMLINK;
	return told && needs & ~((unsigned)at->st.mode >> 6) ? FE_ACCES : FE_OK;
}

enum ferr wali_open_at(struct wali *k, struct wali_at *at, unsigned flags, struct vfs_file **out)
{
	enum {
		KEPT = VFS_READ | VFS_WRITE | VFS_APPEND | VFS_NONBLOCK | VFS_DSYNC | VFS_SYNC |
		       VFS_RSYNC
	};
	struct vfs_obj *obj;
	if (at->wants_dir && flags & VFS_CREATE)
		return FE_ISDIR;
	if (at->wants_dir)
		flags = (flags | VFS_DIRECTORY) & ~(unsigned)VFS_NOFOLLOW;
	if (at->dev && flags & VFS_TRUNCATE && at->dev->type == VFS_TYPE_DIR)
		return FE_ISDIR;
	if (at->dev)
		return open_device(
		    k, at, flags & (KEPT | VFS_CREATE | VFS_EXCLUSIVE | VFS_DIRECTORY), out);
	FTRY(fits(at, flags));
	FTRY(wali_may_open(at, flags));
	if (at->has_stat && at->st.type == VFS_TYPE_STREAM)
		return flags & VFS_DIRECTORY ? FE_NOTDIR : FE_NXIO;
	FTRY(at->mount->read_only ? open_read_only(at, flags, &obj)
	                          : vfs_open(at->dir, at->path, flags, &obj));
	*out = vfs_file_new(obj, at->mount, at->path, flags & KEPT);
	return *out ? FE_OK : FE_NOMEM;
}
