/* test_race.c - somebody swaps folders for links that lead out while a guest walks there. */
#include "tests/vfs/tree.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static struct tree linked_tree(enum kind kind)
{
	struct tree t = tree_new(kind);
	tree_mkdir(&t, "d");
	cr_assert(tree_symlink(&t, "../outside", "out"));
	return t;
}

struct swapper {
	char a[300], b[300];
	atomic_bool stop;
};

/* Swaps a folder with a link that leads out, as fast as it can. */
static void *swap(void *arg)
{
	struct swapper *s = arg;
	while (!atomic_load(&s->stop))
		renameat2(AT_FDCWD, s->a, AT_FDCWD, s->b, RENAME_EXCHANGE);
	return NULL;
}

static void race(enum kind kind, const char *folder, const char *link)
{
	struct tree t = linked_tree(kind);
	struct swapper s = {.stop = false};
	pthread_t thread;
	tree_file(&t, "d/secret", "inside");
	snprintf(s.a, sizeof s.a, "%s/mount/%s", t.base, folder);
	snprintf(s.b, sizeof s.b, "%s/mount/%s", t.base, link);
	cr_assert_eq(pthread_create(&thread, NULL, swap, &s), 0);
	int opened = 0;
	for (int i = 0; i < 20000; i++) {
		char path[64], made[64];
		struct vfs_obj *o;
		snprintf(path, sizeof path, "%s/secret", folder);
		const char *text = tree_read(&t, path);
		opened += text != NULL;
		cr_assert(!text || !strcmp(text, "inside"), "read what lies outside");
		snprintf(made, sizeof made, "%s/made", folder);
		if (vfs_open(t.root, made, VFS_WRITE | VFS_CREATE, &o) == FE_OK)
			vfs_unref(o);
		vfs_mkdir(t.root, "d/made2");
		vfs_unlink(t.root, made);
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	cr_expect(opened > 0, "the race was never won by the honest side");
	snprintf(s.a, sizeof s.a, "%s/outside/made", t.base);
	cr_expect(!host_exists(s.a), "created outside");
	tree_free(&t);
}

Test(escape, swapping_a_folder_for_a_link_never_leads_out_with_the_kernels_walk, .timeout = 60)
{
	race(HOST_BEST, "d", "out");
}

Test(escape, swapping_a_folder_for_a_link_never_leads_out_by_components, .timeout = 60)
{
	race(HOST_COMPONENTS, "d", "out");
}
