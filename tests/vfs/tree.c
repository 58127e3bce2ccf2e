/* tree.c - folders to test on. */
#include "tests/vfs/tree.h"

#include "vfs/host.h"
#include "vfs/memory.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

const char *const kind_names[KINDS] = {"host, best walk", "host, by components", "memory"};

static void host_tree(struct tree *t)
{
	char path[300];
	struct errmsg msg = {0};
	host_make(t->base, sizeof t->base);
	snprintf(path, sizeof path, "%s/mount", t->base);
	enum vfs_host_walk walk = t->kind == HOST_BEST ? VFS_WALK_BEST : VFS_WALK_COMPONENTS;
	cr_assert_eq(vfs_host_new(path, walk, &t->root, &msg), ERR_OK, "%s", msg.text);
	t->has_links = vfs_symlink(t->root, "no", "no") == FE_OK;
	if (t->has_links)
		cr_assert_eq(vfs_unlink(t->root, "no"), FE_OK);
}

struct tree tree_new(enum kind kind)
{
	struct tree t = {.kind = kind, .has_links = true};
	if (kind == MEMORY)
		cr_assert_eq(vfs_memory_new(1 << 20, &t.root), FE_OK);
	else
		host_tree(&t);
	return t;
}

void tree_free(struct tree *t)
{
	vfs_unref(t->root);
	if (t->kind != MEMORY)
		host_remove(t->base);
}

void tree_mkdir(struct tree *t, const char *path)
{
	enum ferr e = vfs_mkdir(t->root, path);
	cr_assert_eq(e, FE_OK, "mkdir %s: %s", path, ferr_text(e));
}

void tree_file(struct tree *t, const char *path, const char *text)
{
	struct vfs_obj *o;
	struct vfs_iov iov = {.p = (void *)(uintptr_t)text, .size = strlen(text)};
	size_t done;
	uint64_t end;
	enum ferr e = vfs_open(t->root, path, VFS_WRITE | VFS_CREATE | VFS_TRUNCATE, &o);
	cr_assert_eq(e, FE_OK, "open %s: %s", path, ferr_text(e));
	cr_assert_eq(vfs_write(o, 0, 0, &iov, 1, &done, &end), FE_OK);
	cr_assert_eq(done, strlen(text));
	vfs_unref(o);
}

bool tree_symlink(struct tree *t, const char *target, const char *path)
{
	char full[400];
	if (!t->has_links)
		return false;
	if (t->kind == MEMORY)
		return vfs_symlink(t->root, target, path) == FE_OK;
	snprintf(full, sizeof full, "%s/mount/%s", t->base, path);
	return host_link(target, full) || vfs_symlink(t->root, target, path) == FE_OK;
}

const char *tree_read(struct tree *t, const char *path)
{
	static char buf[4096];
	struct vfs_obj *o;
	struct vfs_iov iov = {.p = buf, .size = sizeof buf - 1};
	size_t done;
	if (vfs_open(t->root, path, VFS_READ, &o) != FE_OK)
		return NULL;
	cr_assert_eq(vfs_read(o, 0, &iov, 1, &done), FE_OK);
	buf[done] = 0;
	vfs_unref(o);
	return buf;
}
