/* test_escape_linux.c - nothing leads out of a mount while somebody changes its folders all the time; and /proc, which would. */
#include "tests/vfs/tree.h"

#include "vfs/host.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Somebody outside the system. Between its steps "d" is the folder, a link to the outside, nothing; "deep/a/b" is inside
 * the mount, or lies outside of it. */
struct swapper {
	const char *base;
	atomic_bool stop;
	atomic_uint rounds;
};

static void *swap(void *ctx)
{
	struct swapper *s = ctx;
	char d[256], d2[256], b[256], b2[256];
	snprintf(d, sizeof d, "%s/mount/d", s->base);
	snprintf(d2, sizeof d2, "%s/mount/d2", s->base);
	snprintf(b, sizeof b, "%s/mount/deep/a/b", s->base);
	snprintf(b2, sizeof b2, "%s/outside/b", s->base);
	while (!s->stop) {
		rename(d, d2);
		if (symlink("../outside", d) == 0)
			unlink(d);
		rename(d2, d);
		rename(b, b2);
		rename(b2, b);
		s->rounds++;
	}
	return NULL;
}

static void expect_inside(struct vfs_obj *root, const char *path)
{
	struct vfs_obj *o;
	char text[32] = "";
	size_t size = 0;
	struct vfs_iov iov = {text, sizeof text - 1};
	if (vfs_open(root, path, VFS_READ, &o) != FE_OK)
		return;
	if (vfs_read(o, 0, &iov, 1, &size) == FE_OK)
		cr_assert_str_eq(text, "inside", "%s", path);
	vfs_unref(o);
}

Test(escape, a_race_against_swapped_and_moved_folders_is_never_won, .timeout = 60)
{
	static const char *const paths[] = {"d/secret",
	                                    "d/../d/secret",
	                                    "./d/./secret",
	                                    "deep/a/b/../../../../outside/secret",
	                                    "deep/a/b/c/../../secret",
	                                    "deep/a/b/../secret"};
	enum { PATHS = sizeof paths / sizeof *paths };
	for (int kind = HOST_BEST; kind <= HOST_COMPONENTS; kind++) {
		struct tree t = tree_new((enum kind)kind);
		struct swapper s = {.base = t.base};
		pthread_t thread;
		tree_mkdir(&t, "d");
		tree_mkdir(&t, "deep");
		tree_mkdir(&t, "deep/a");
		tree_mkdir(&t, "deep/a/b");
		tree_mkdir(&t, "deep/a/b/c");
		tree_file(&t, "d/secret", "inside");
		cr_assert_eq(pthread_create(&thread, NULL, swap, &s), 0);
		for (unsigned i = 0; i < 20000 || s.rounds < 200; i++) {
			expect_inside(t.root, paths[i % PATHS]);
			if (i % 16 == 0) /* nor is anything made or removed there */
				vfs_mkdir(t.root, "d/made");
			if (i % 16 == 8)
				vfs_unlink(t.root, "d/../outside/secret");
		}
		s.stop = true;
		pthread_join(thread, NULL);
		char path[256];
		snprintf(path, sizeof path, "%s/outside/made", t.base);
		cr_assert_not(host_exists(path));
		snprintf(path, sizeof path, "%s/outside/secret", t.base);
		cr_assert(host_exists(path));
		tree_free(&t);
	}
}

Test(escape, the_memory_of_processes_is_no_file_for_programs)
{
	static const char *const paths[] = {"proc/self/mem", "proc/self/environ", "proc",
	                                    "proc/self/fd/0"};
	for (int walk = VFS_WALK_BEST; walk <= VFS_WALK_COMPONENTS; walk++) {
		struct vfs_obj *root, *o;
		struct errmsg msg = {0};
		cr_assert_eq(vfs_host_new("/proc", (enum vfs_host_walk)walk, &root, &msg),
		             ERR_DENIED);
		cr_assert(strstr(msg.text, "memory"));
		cr_assert_eq(vfs_host_new("/", (enum vfs_host_walk)walk, &root, &msg), ERR_OK);
		for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++)
			cr_assert_neq(vfs_open(root, paths[i], VFS_READ, &o), FE_OK, "%s",
			              paths[i]);
		cr_assert_eq(vfs_open(root, "etc/passwd", VFS_READ, &o), FE_OK);
		vfs_unref(o);
		vfs_unref(root);
	}
}
