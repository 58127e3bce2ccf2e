/* tree.c - folders to test on. */
#include "tests/vfs/tree.h"

#include "vfs/host.h"
#include "vfs/memory.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const kind_names[KINDS] = {"host, best walk", "host, by components", "memory"};

static void host_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void host_tree(struct tree *t)
{
	char path[128];
	struct errmsg msg = {0};
	snprintf(t->base, sizeof t->base, "/tmp/wasmos-test-vfs-XXXXXX");
	cr_assert(mkdtemp(t->base));
	snprintf(path, sizeof path, "%s/outside", t->base);
	cr_assert_eq(mkdir(path, 0755), 0);
	snprintf(path, sizeof path, "%s/outside/secret", t->base);
	host_write(path, "secret");
	snprintf(path, sizeof path, "%s/mount", t->base);
	cr_assert_eq(mkdir(path, 0755), 0);
	enum vfs_host_walk walk = t->kind == HOST_BEST ? VFS_WALK_BEST : VFS_WALK_COMPONENTS;
	cr_assert_eq(vfs_host_new(path, walk, &t->root, &msg), ERR_OK, "%s", msg.text);
}

struct tree tree_new(enum kind kind)
{
	struct tree t = {.kind = kind};
	if (kind == MEMORY)
		cr_assert_eq(vfs_memory_new(1 << 20, &t.root), FE_OK);
	else
		host_tree(&t);
	return t;
}

void tree_free(struct tree *t)
{
	char cmd[128];
	vfs_unref(t->root);
	if (t->kind == MEMORY)
		return;
	snprintf(cmd, sizeof cmd, "rm -rf '%s'", t->base);
	cr_assert_eq(system(cmd), 0);
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
	char full[256];
	if (t->kind == MEMORY)
		return vfs_symlink(t->root, target, path) == FE_OK;
	snprintf(full, sizeof full, "%s/mount/%s", t->base, path);
	cr_assert_eq(symlink(target, full), 0);
	return true;
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
