/* test_host_windows.c - a host folder on Windows: its names, and what POSIX lets one do with an open file. */
#include "tests/vfs/tree.h"

#include "vfs/host.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static enum ferr make(struct tree *t, const char *path)
{
	struct vfs_obj *o;
	enum ferr e = vfs_open(t->root, path, VFS_WRITE | VFS_CREATE, &o);
	if (e == FE_OK)
		vfs_unref(o);
	return e;
}

Test(host_windows, no_name_is_a_stream_a_device_a_drive_or_a_path)
{
	static const char *const bad[] = {
	    "f:s", "f::$DATA", "C:",      "C:..", "C:x",          "..\\outside\\secret",
	    "\\x", "NUL",      "nul.txt", "CON",  "COM1",         "lpt9.x",
	    "f.",  "f ",       "...",     ".. ",  "\\\\?\\C:\\x", "\\Device\\Null",
	    "f*",  "CONIN$"};
	struct tree t = tree_new(HOST_BEST);
	struct vfs_obj *o;
	struct vfs_stat st;
	tree_file(&t, "f", "x");
	tree_mkdir(&t, "d");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char path[64];
		snprintf(path, sizeof path, "d/../%s", bad[i]);
		cr_expect_eq(make(&t, bad[i]), FE_INVAL, "%s", bad[i]);
		cr_expect_eq(make(&t, path), FE_INVAL, "%s", path);
		cr_expect_eq(vfs_open(t.root, bad[i], VFS_READ, &o), FE_INVAL, "%s", bad[i]);
		cr_expect_eq(vfs_stat_at(t.root, bad[i], true, &st), FE_INVAL, "%s", bad[i]);
		cr_expect_eq(vfs_mkdir(t.root, bad[i]), FE_INVAL, "%s", bad[i]);
		cr_expect_eq(vfs_unlink(t.root, bad[i]), FE_INVAL, "%s", bad[i]);
		cr_expect_eq(vfs_rename(t.root, "f", t.root, bad[i]), FE_INVAL, "%s", bad[i]);
		cr_expect_eq(vfs_link(t.root, "f", false, t.root, bad[i]), FE_INVAL, "%s", bad[i]);
		snprintf(path, sizeof path, "%s/x", bad[i]);
		cr_expect_eq(make(&t, path), FE_INVAL, "%s", path);
	}
	cr_expect_eq(make(&t, "\xff"), FE_ILSEQ);
	tree_free(&t);
}

struct found {
	const char *name;
	int count;
};

static bool find(void *ctx, const struct vfs_dirent *e)
{
	struct found *f = ctx;
	f->count += e->name_size == strlen(f->name) && !memcmp(e->name, f->name, e->name_size);
	return true;
}

Test(host_windows, names_beyond_ascii_and_long_paths_are_found_again)
{
	const char *name = "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80";
	struct tree t = tree_new(HOST_BEST);
	struct found f = {name, 0};
	char path[1024] = "";
	tree_file(&t, name, "smile");
	cr_expect_str_eq(tree_read(&t, name), "smile");
	cr_expect_eq(vfs_readdir(t.root, 0, find, &f), FE_OK);
	cr_expect_eq(f.count, 1);
	for (int i = 0; i < 12; i++) {
		strcat(path, i ? "/" : "");
		strcat(path, "a-folder-with-quite-a-long-name");
		tree_mkdir(&t, path);
	}
	strcat(path, "/f");
	tree_file(&t, path, "deep");
	cr_expect_str_eq(tree_read(&t, path), "deep");
	cr_expect_eq(vfs_unlink(t.root, path), FE_OK);
	for (int i = 0; i < 12; i++) {
		*strrchr(path, '/') = 0;
		cr_expect_eq(vfs_rmdir(t.root, path), FE_OK, "%s", path);
		if (!strchr(path, '/'))
			break;
	}
	tree_free(&t);
}

Test(host_windows, the_case_of_a_name_is_kept_and_can_be_changed)
{
	if (!host_follows_renames())
		return; /* wine: nothing happens */
	struct tree t = tree_new(HOST_BEST);
	struct found upper = {"Name", 0}, lower = {"name", 0};
	tree_file(&t, "name", "x");
	cr_expect_str_eq(tree_read(&t, "NAME"), "x");
	cr_expect_eq(vfs_rename(t.root, "name", t.root, "Name"), FE_OK);
	cr_expect_eq(vfs_readdir(t.root, 0, find, &upper), FE_OK);
	cr_expect_eq(vfs_readdir(t.root, 0, find, &lower), FE_OK);
	cr_expect(upper.count == 1 && lower.count == 0);
	tree_free(&t);
}

Test(host_windows, an_open_file_is_removed_renamed_and_replaced)
{
	struct tree t = tree_new(HOST_BEST);
	struct vfs_obj *a, *b;
	char buf[8], path[256];
	struct vfs_iov iov = {buf, sizeof buf};
	size_t done;
	tree_file(&t, "a", "one");
	tree_file(&t, "b", "two");
	cr_assert_eq(vfs_open(t.root, "a", VFS_READ, &a), FE_OK);
	cr_assert_eq(vfs_open(t.root, "b", VFS_READ, &b), FE_OK);
	cr_expect_eq(vfs_path_of(b, t.root, path, sizeof path), FE_OK);
	cr_expect_str_eq(path, "b");
	cr_expect_eq(vfs_unlink(t.root, "a"), FE_OK);
	cr_expect_eq(vfs_path_of(a, t.root, path, sizeof path), FE_NOENT);
	tree_file(&t, "a", "new"); /* the name is free at once */
	cr_expect_str_eq(tree_read(&t, "a"), "new");
	cr_expect(vfs_read(a, 0, &iov, 1, &done) == FE_OK && done == 3 && !memcmp(buf, "one", 3));
	cr_expect_eq(vfs_rename(t.root, "b", t.root, "c"), FE_OK);
	enum ferr e = vfs_path_of(b, t.root, path, sizeof path);
	cr_expect(e == FE_OK ? !strcmp(path, "c") : !host_follows_renames());
	tree_file(&t, "d", "over an open one");
	cr_expect_eq(vfs_rename(t.root, "d", t.root, "c"), FE_OK);
	cr_expect_str_eq(tree_read(&t, "c"), "over an open one");
	cr_expect(vfs_read(b, 0, &iov, 1, &done) == FE_OK && done == 3 && !memcmp(buf, "two", 3));
	vfs_unref(a);
	vfs_unref(b);
	tree_free(&t);
}

Test(host_windows, a_host_path_that_is_no_folder_is_refused)
{
	struct vfs_obj *root;
	struct errmsg msg = {0};
	cr_expect_eq(vfs_host_new("C:\\no such folder", VFS_WALK_BEST, &root, &msg), ERR_NOTFOUND);
	cr_expect_eq(vfs_host_new("NUL", VFS_WALK_BEST, &root, &msg), ERR_INVALID, "%s", msg.text);
	cr_expect(vfs_host_new("", VFS_WALK_BEST, &root, &msg) != ERR_OK);
}
