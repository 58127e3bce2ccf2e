/* top.c - one root above several mounts: finds the mount that a path's first name means, and asks it for the rest. */
#include "vfs/top.h"

#include <stdlib.h>
#include <string.h>

struct top {
	struct vfs_obj base;
	struct vfs_ns *ns;
};

static struct vfs_ns *ns_of(struct vfs_obj *o)
{
	return ((struct top *)o)->ns;
}

static void top_close(struct vfs_obj *o)
{
	vfs_ns_free(ns_of(o));
	free(o);
}

/* *root NULL: the path is the top itself. ".." above or out of a mount is NOTCAPABLE, here or in the mount. */
static enum ferr find(struct vfs_obj *o, const char *path, struct vfs_obj **root, const char **rest)
{
	size_t size;
	*root = NULL;
	for (;; path += size) {
		path += strspn(path, "/");
		size = strcspn(path, "/");
		if (size != 1 || *path != '.')
			break;
	}
	if (!size)
		return FE_OK;
	if (size == 2 && !memcmp(path, "..", 2))
		return FE_NOTCAPABLE;
	for (uint32_t i = 0; i < vfs_ns_count(ns_of(o)); i++) {
		const struct vfs_mount *m = vfs_ns_at(ns_of(o), i);
		if (strlen(m->guest + 1) != size || memcmp(m->guest + 1, path, size) != 0)
			continue;
		path += size + strspn(path + size, "/");
		*rest = *path ? path : ".";
		*root = m->root;
		return FE_OK;
	}
	return FE_NOENT;
}

/* The mount below; the top itself gives refusal. */
static enum ferr below(struct vfs_obj *o, const char *path, enum ferr refusal,
                       struct vfs_obj **root, const char **rest)
{
	FTRY(find(o, path, root, rest));
	return *root ? FE_OK : refusal;
}

static enum ferr top_stat(struct vfs_obj *o, struct vfs_stat *out)
{
	*out = (struct vfs_stat){.ino = 1,
	                         .nlink = 2 + vfs_ns_count(ns_of(o)),
	                         .type = VFS_TYPE_DIR,
	                         .has_mode = true,
	                         .mode = 0555};
	return FE_OK;
}

static bool give(vfs_dirent_fn emit, void *ctx, uint64_t at, const char *name)
{
	struct vfs_dirent e = {.next = at + 1,
	                       .ino = at + 1,
	                       .type = VFS_TYPE_DIR,
	                       .name = name,
	                       .name_size = strlen(name)};
	return emit(ctx, &e);
}

static enum ferr top_readdir(struct vfs_obj *o, uint64_t cookie, vfs_dirent_fn emit, void *ctx)
{
	for (uint64_t i = cookie; i < 2ull + vfs_ns_count(ns_of(o)); i++)
		if (!give(emit, ctx, i,
		          i == 0   ? "."
		          : i == 1 ? ".."
		                   : vfs_ns_at(ns_of(o), (uint32_t)i - 2)->guest + 1))
			break;
	return FE_OK;
}

static enum ferr top_open(struct vfs_obj *o, const char *path, unsigned flags, struct vfs_obj **out)
{
	struct vfs_obj *root;
	const char *rest;
	FTRY(find(o, path, &root, &rest));
	if (root)
		return vfs_open(root, rest, flags, out);
	if (flags & VFS_WRITE)
		return FE_ISDIR;
	*out = vfs_ref(o);
	return FE_OK;
}

static enum ferr top_stat_at(struct vfs_obj *o, const char *path, bool follow, struct vfs_stat *out)
{
	struct vfs_obj *root;
	const char *rest;
	FTRY(find(o, path, &root, &rest));
	return root ? vfs_stat_at(root, rest, follow, out) : top_stat(o, out);
}

static enum ferr top_set_times_at(struct vfs_obj *o, const char *path, bool follow,
                                  const struct vfs_times *t)
{
	struct vfs_obj *root;
	const char *rest;
	FTRY(below(o, path, FE_ROFS, &root, &rest));
	return vfs_set_times_at(root, rest, follow, t);
}

static enum ferr top_set_mode_at(struct vfs_obj *o, const char *path, bool follow, unsigned mode)
{
	struct vfs_obj *root;
	const char *rest;
	FTRY(below(o, path, FE_ROFS, &root, &rest));
	return vfs_set_mode_at(root, rest, follow, mode);
}

/* A name that is made: no mount, and nothing right below the top. */
static enum ferr made(struct vfs_obj *o, const char *path, struct vfs_obj **root, const char **rest)
{
	enum ferr e = below(o, path, FE_EXIST, root, rest);
	return e == FE_NOENT && !strchr(path, '/') ? FE_ROFS : e;
}

static enum ferr top_mkdir(struct vfs_obj *o, const char *path)
{
	struct vfs_obj *root;
	const char *rest;
	FTRY(made(o, path, &root, &rest));
	return strcmp(rest, ".") ? vfs_mkdir(root, rest) : FE_EXIST;
}

static enum ferr top_symlink(struct vfs_obj *o, const char *target, const char *path)
{
	struct vfs_obj *root;
	const char *rest;
	FTRY(made(o, path, &root, &rest));
	return strcmp(rest, ".") ? vfs_symlink(root, target, rest) : FE_EXIST;
}

static enum ferr top_rmdir(struct vfs_obj *o, const char *path)
{
	struct vfs_obj *root;
	const char *rest;
	FTRY(below(o, path, FE_BUSY, &root, &rest));
	return strcmp(rest, ".") ? vfs_rmdir(root, rest) : FE_BUSY;
}

static enum ferr top_unlink(struct vfs_obj *o, const char *path)
{
	struct vfs_obj *root;
	const char *rest;
	FTRY(below(o, path, FE_ISDIR, &root, &rest));
	return strcmp(rest, ".") ? vfs_unlink(root, rest) : FE_ISDIR;
}

static enum ferr top_readlink(struct vfs_obj *o, const char *path, char *buf, size_t *size)
{
	struct vfs_obj *root;
	const char *rest;
	FTRY(below(o, path, FE_INVAL, &root, &rest));
	return vfs_readlink(root, rest, buf, size);
}

/* Both lie in one mount. */
static enum ferr two(struct vfs_obj *from, const char **from_path, struct vfs_obj *to,
                     const char **to_path, struct vfs_obj **root)
{
	struct vfs_obj *other;
	FTRY(below(from, *from_path, FE_BUSY, root, from_path));
	FTRY(made(to, *to_path, &other, to_path));
	return *root == other ? FE_OK : FE_XDEV;
}

static enum ferr top_link(struct vfs_obj *from, const char *from_path, bool follow,
                          struct vfs_obj *to, const char *to_path)
{
	struct vfs_obj *root;
	FTRY(two(from, &from_path, to, &to_path, &root));
	return vfs_link(root, from_path, follow, root, to_path);
}

static enum ferr top_rename(struct vfs_obj *from, const char *from_path, struct vfs_obj *to,
                            const char *to_path)
{
	struct vfs_obj *root;
	FTRY(two(from, &from_path, to, &to_path, &root));
	return vfs_rename(root, from_path, root, to_path);
}

static enum ferr top_reopen(struct vfs_obj *o, const struct vfs_saved *s, struct vfs_obj **out)
{
	struct vfs_obj *root;
	struct vfs_saved inner = *s;
	FTRY(below(o, s->path, FE_STALE, &root, &inner.path));
	return vfs_reopen(root, &inner, out);
}

static const struct vfs_ops top_ops = {
    .name = "top",
    .close = top_close,
    .stat = top_stat,
    .readdir = top_readdir,
    .open = top_open,
    .stat_at = top_stat_at,
    .set_times_at = top_set_times_at,
    .set_mode_at = top_set_mode_at,
    .mkdir = top_mkdir,
    .rmdir = top_rmdir,
    .unlink = top_unlink,
    .symlink = top_symlink,
    .readlink = top_readlink,
    .link = top_link,
    .rename = top_rename,
    .reopen = top_reopen,
};

enum ferr vfs_top_new(struct vfs_ns *ns, struct vfs_obj **out)
{
	struct top *t = calloc(1, sizeof *t);
	if (!t) {
		vfs_ns_free(ns);
		return FE_NOMEM;
	}
	vfs_obj_init(&t->base, &top_ops, VFS_TYPE_DIR);
	t->ns = ns;
	*out = &t->base;
	return FE_OK;
}
