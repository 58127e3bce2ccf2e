/* test_files.c - what files, folders and links do, the same on every backend. */
#include "tests/vfs/tree.h"

#include "vfs/memory.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EACH_TREE(t)                                                                 \
	for (int kind_ = 0; kind_ < KINDS; kind_++)                                  \
		for (struct tree t = tree_new((enum kind)kind_), *once_ = &t; once_; \
		     tree_free(&t), once_ = NULL)

#define EXPECT(e, expr)                                                                          \
	do {                                                                                     \
		enum ferr got_ = (expr);                                                         \
		cr_expect_eq(got_, e, "%s: %s: %s", kind_names[t.kind], #expr, ferr_text(got_)); \
	} while (0)

Test(files, what_is_written_is_read_back_at_its_offset)
{
	EACH_TREE(t)
	{
		struct vfs_obj *o;
		char a[4], b[8];
		struct vfs_iov out[] = {{"hello", 5}, {" world", 6}};
		struct vfs_iov in[] = {{a, 4}, {b, 8}};
		struct vfs_stat st;
		size_t done;
		uint64_t end;
		EXPECT(FE_OK, vfs_open(t.root, "f", VFS_READ | VFS_WRITE | VFS_CREATE, &o));
		EXPECT(FE_OK, vfs_write(o, 3, 0, out, 2, &done, &end));
		cr_expect_eq(done, 11);
		cr_expect_eq(end, 14);
		EXPECT(FE_OK, vfs_read(o, 3, in, 2, &done));
		cr_expect_eq(done, 11);
		cr_expect(!memcmp(a, "hell", 4) && !memcmp(b, "o world", 7));
		EXPECT(FE_OK, vfs_read(o, 0, in, 1, &done));
		cr_expect(!memcmp(a, "\0\0\0h", 4), "a hole reads as zeros");
		EXPECT(FE_OK, vfs_read(o, 100, in, 1, &done));
		cr_expect_eq(done, 0);
		EXPECT(FE_OK, vfs_write(o, 0, VFS_APPEND, out, 1, &done, &end));
		cr_expect_eq(end, 19);
		EXPECT(FE_OK, vfs_set_size(o, 4));
		EXPECT(FE_OK, vfs_allocate(o, 0, 10));
		EXPECT(FE_OK, vfs_stat(o, &st));
		cr_expect_eq(st.size_bytes, 10);
		cr_expect_eq(st.type, VFS_TYPE_FILE);
		EXPECT(FE_OK, vfs_sync(o, false));
		vfs_unref(o);
	}
}

static void opening_links(struct tree t)
{
	struct vfs_obj *o = NULL;
	EXPECT(FE_EXIST, vfs_open(t.root, "l", VFS_WRITE | VFS_CREATE | VFS_EXCLUSIVE, &o));
	EXPECT(FE_LOOP, vfs_open(t.root, "l", VFS_READ | VFS_NOFOLLOW, &o));
	EXPECT(FE_OK, vfs_open(t.root, "ld/", VFS_READ | VFS_DIRECTORY, &o));
	cr_expect_eq(o->type, VFS_TYPE_DIR);
	vfs_unref(o);
}

Test(files, opening_answers_what_posix_answers)
{
	EACH_TREE(t)
	{
		struct vfs_obj *o = NULL;
		tree_mkdir(&t, "d");
		tree_file(&t, "f", "x");
		tree_symlink(&t, "f", "l");
		tree_symlink(&t, "d", "ld");
		EXPECT(FE_NOENT, vfs_open(t.root, "", VFS_READ, &o));
		EXPECT(FE_NOTCAPABLE, vfs_open(t.root, "/f", VFS_READ, &o));
		EXPECT(FE_NOENT, vfs_open(t.root, "no", VFS_READ, &o));
		EXPECT(FE_NOENT, vfs_open(t.root, "no/f", VFS_READ | VFS_CREATE, &o));
		EXPECT(FE_NOTDIR, vfs_open(t.root, "f/x", VFS_READ, &o));
		EXPECT(FE_NOTDIR, vfs_open(t.root, "f/", VFS_READ, &o));
		EXPECT(FE_NOTDIR, vfs_open(t.root, "f", VFS_READ | VFS_DIRECTORY, &o));
		EXPECT(FE_ISDIR, vfs_open(t.root, "d", VFS_WRITE, &o));
		EXPECT(FE_EXIST, vfs_open(t.root, "f", VFS_WRITE | VFS_CREATE | VFS_EXCLUSIVE, &o));
		if (t.has_links)
			opening_links(t);
		EXPECT(FE_OK, vfs_open(t.root, ".", VFS_READ, &o));
		vfs_unref(o);
		EXPECT(FE_OK, vfs_open(t.root, "d/..", VFS_READ, &o));
		vfs_unref(o);
		char name[300];
		memset(name, 'n', sizeof name);
		name[299] = 0;
		EXPECT(FE_NAMETOOLONG, vfs_open(t.root, name, VFS_READ | VFS_CREATE, &o));
	}
}

Test(files, names_are_made_and_removed_as_posix_does)
{
	EACH_TREE(t)
	{
		struct vfs_stat st;
		tree_mkdir(&t, "d");
		tree_file(&t, "d/f", "x");
		tree_symlink(&t, "d", "ld");
		EXPECT(FE_EXIST, vfs_mkdir(t.root, "d"));
		EXPECT(FE_EXIST, vfs_mkdir(t.root, "."));
		EXPECT(FE_OK, vfs_mkdir(t.root, "d/e/"));
		EXPECT(FE_NOTEMPTY, vfs_rmdir(t.root, "d"));
		EXPECT(FE_NOTDIR, vfs_rmdir(t.root, "d/f"));
		EXPECT(FE_INVAL, vfs_rmdir(t.root, "d/."));
		EXPECT(FE_ISDIR, vfs_unlink(t.root, "d"));
		EXPECT(FE_NOTDIR, vfs_unlink(t.root, "d/f/"));
		EXPECT(FE_NOENT, vfs_unlink(t.root, "no"));
		if (t.has_links) {
			EXPECT(FE_NOTDIR, vfs_rmdir(t.root, "ld"));
			EXPECT(FE_NOTDIR, vfs_rmdir(t.root, "ld/"));
			EXPECT(FE_OK, vfs_unlink(t.root, "ld"));
		}
		EXPECT(FE_OK, vfs_rmdir(t.root, "d/e"));
		EXPECT(FE_OK, vfs_unlink(t.root, "d/f"));
		EXPECT(FE_OK, vfs_rmdir(t.root, "d/"));
		EXPECT(FE_NOENT, vfs_stat_at(t.root, "d", true, &st));
		EXPECT(FE_EXIST, vfs_symlink(t.root, "x", "."));
	}
}

Test(files, renaming_replaces_and_refuses_as_posix_does)
{
	EACH_TREE(t)
	{
		tree_mkdir(&t, "d");
		tree_mkdir(&t, "d/sub");
		tree_mkdir(&t, "e");
		tree_file(&t, "a", "a");
		tree_file(&t, "b", "b");
		EXPECT(FE_OK, vfs_rename(t.root, "a", t.root, "b"));
		cr_expect_str_eq(tree_read(&t, "b"), "a");
		cr_expect_null(tree_read(&t, "a"));
		EXPECT(FE_NOENT, vfs_rename(t.root, "a", t.root, "c"));
		EXPECT(FE_INVAL, vfs_rename(t.root, "d", t.root, "d/sub/x"));
		EXPECT(FE_ISDIR, vfs_rename(t.root, "b", t.root, "e"));
		EXPECT(FE_NOTDIR, vfs_rename(t.root, "d", t.root, "b"));
		EXPECT(FE_NOTEMPTY, vfs_rename(t.root, "e", t.root, "d"));
		EXPECT(FE_OK, vfs_rename(t.root, "d", t.root, "e"));
		EXPECT(FE_NOTDIR, vfs_rename(t.root, "b", t.root, "new/"));
		EXPECT(FE_OK, vfs_rename(t.root, "b", t.root, "b"));
		EXPECT(FE_OK, vfs_rename(t.root, "e/sub", t.root, "moved"));
		EXPECT(FE_OK, vfs_rename(t.root, "b", t.root, "moved/b"));
		cr_expect_str_eq(tree_read(&t, "moved/b"), "a");
	}
}

Test(files, a_hard_link_is_the_same_file)
{
	EACH_TREE(t)
	{
		struct vfs_stat a, b;
		tree_mkdir(&t, "d");
		tree_file(&t, "f", "one");
		EXPECT(FE_OK, vfs_link(t.root, "f", false, t.root, "d/g"));
		EXPECT(FE_EXIST, vfs_link(t.root, "f", false, t.root, "d/g"));
		EXPECT(FE_PERM, vfs_link(t.root, "d", false, t.root, "d2"));
		EXPECT(FE_OK, vfs_stat_at(t.root, "f", true, &a));
		EXPECT(FE_OK, vfs_stat_at(t.root, "d/g", true, &b));
		cr_expect(a.ino == b.ino && a.nlink == 2);
		EXPECT(FE_OK, vfs_unlink(t.root, "f"));
		cr_expect_str_eq(tree_read(&t, "d/g"), "one");
	}
}

Test(files, a_file_without_a_name_lives_while_it_is_open)
{
	EACH_TREE(t)
	{
		struct vfs_obj *o;
		char buf[8];
		struct vfs_iov iov = {buf, sizeof buf};
		size_t done;
		tree_file(&t, "f", "still");
		EXPECT(FE_OK, vfs_open(t.root, "f", VFS_READ, &o));
		EXPECT(FE_OK, vfs_unlink(t.root, "f"));
		EXPECT(FE_OK, vfs_read(o, 0, &iov, 1, &done));
		cr_expect_eq(done, 5);
		vfs_unref(o);
	}
}

Test(files, times_are_set)
{
	EACH_TREE(t)
	{
		struct vfs_stat st;
		struct vfs_times times = {.atime_how = VFS_TIME_SET,
		                          .mtime_how = VFS_TIME_SET,
		                          .atime_ns = 1000000007,
		                          .mtime_ns = 5000000000};
		tree_file(&t, "f", "x");
		EXPECT(FE_OK, vfs_set_times_at(t.root, "f", true, &times));
		EXPECT(FE_OK, vfs_stat_at(t.root, "f", true, &st));
		cr_expect_eq(st.atime_ns / 100,
		             10000000); /* some systems count tenths of microseconds */
		cr_expect_eq(st.mtime_ns, 5000000000);
	}
}

/* ---- listing ---- */

struct seen {
	int count, limit;
	uint64_t last;
	char names[2048];
};

static bool see(void *ctx, const struct vfs_dirent *e)
{
	struct seen *s = ctx;
	if (s->limit-- == 0)
		return false;
	s->count++;
	s->last = e->next;
	cr_expect(e->next != 0);
	strncat(s->names, e->name, e->name_size);
	strcat(s->names, " ");
	return true;
}

/* Taken one at a time, with a fresh cookie each: no entry twice, none left out. */
Test(files, a_listing_goes_on_at_its_cookie)
{
	EACH_TREE(t)
	{
		struct seen all = {.limit = -1}, one = {0};
		char name[16];
		for (int i = 0; i < 40; i++) {
			snprintf(name, sizeof name, "file%02d", i);
			tree_file(&t, name, "");
		}
		EXPECT(FE_OK, vfs_readdir(t.root, 0, see, &all));
		cr_expect_eq(all.count, 42, "%d", all.count);
		cr_expect(strstr(all.names, "file39 ") && strstr(all.names, ".. "));
		for (int i = 0; i < 42; i++) {
			one.limit = 1;
			EXPECT(FE_OK, vfs_readdir(t.root, one.last, see, &one));
		}
		cr_expect_str_eq(one.names, all.names);
	}
}

/* ---- memory alone ---- */

Test(files, memory_ends_at_its_limit_and_gives_back_what_is_freed)
{
	struct vfs_obj *root, *o;
	char big[4096] = {0};
	struct vfs_iov iov = {big, sizeof big};
	size_t done;
	uint64_t end;
	cr_assert_eq(vfs_memory_new(16384, &root), FE_OK);
	for (int round = 0; round < 10; round++) {
		uint64_t at = 0;
		enum ferr e;
		cr_assert_eq(vfs_open(root, "f", VFS_WRITE | VFS_CREATE, &o), FE_OK);
		while ((e = vfs_write(o, at, 0, &iov, 1, &done, &end)) == FE_OK)
			at = end;
		cr_expect_eq(e, FE_NOSPC);
		cr_expect_eq(at, 3 * 4096);
		cr_expect_eq(vfs_unlink(root, "f"), FE_OK);
		vfs_unref(o);
	}
	vfs_unref(root);
}

Test(files, memory_files_come_back_from_their_bytes)
{
	struct tree t = tree_new(MEMORY);
	struct vfs_obj *back;
	struct wr a = {0}, b = {0};
	struct errmsg msg = {0};
	tree_mkdir(&t, "d");
	tree_file(&t, "d/f", "contents");
	tree_file(&t, "empty", "");
	tree_symlink(&t, "d/f", "l");
	cr_assert_eq(vfs_link(t.root, "d/f", false, t.root, "g"), FE_OK);
	cr_assert_eq(vfs_memory_save(t.root, &a), ERR_OK);
	struct rd in = rd_of(a.data, a.size);
	cr_assert_eq(vfs_memory_load(&in, &back, &msg), ERR_OK, "%s", msg.text);
	cr_expect_eq(rd_left(&in), 0);
	cr_assert_eq(vfs_memory_save(back, &b), ERR_OK);
	cr_expect(a.size == b.size && !memcmp(a.data, b.data, a.size),
	          "written again, it is the same");
	struct tree t2 = {.kind = MEMORY, .root = back};
	cr_expect_str_eq(tree_read(&t2, "l"), "contents");
	cr_expect_str_eq(tree_read(&t2, "g"), "contents");
	for (size_t cut = 0; cut < a.size; cut++) {
		struct vfs_obj *o;
		in = rd_of(a.data, cut);
		msg.text[0] = 0;
		cr_expect_neq(vfs_memory_load(&in, &o, &msg), ERR_OK);
		cr_expect(msg.text[0]);
	}
	wr_free(&a);
	wr_free(&b);
	tree_free(&t);
	tree_free(&t2);
}
