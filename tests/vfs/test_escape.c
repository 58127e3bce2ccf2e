/* test_escape.c - nothing leads out of a mount: names, links, creation through links, hard links, renames; nor into the home of a
 * node that lies in one. */
#include "tests/vfs/tree.h"

#include "base/file.h"
#include "vfs/host.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* d/e is a folder, d/f a file. Links, made by somebody outside the system where a guest could not. */
static const struct {
	const char *path, *target;
} links[] = {
    {"up", ".."},
    {"d/up", "../.."},
    {"d/e/up3", "../../.."},
    {"abs", "/etc"},
    {"absfile", "/etc/passwd"},
    {"out", "../outside"},
    {"outfile", "../outside/secret"},
    {"outnew", "../outside/new"},
    {"chain", "chain2"},
    {"chain2", "d/up2"},
    {"d/up2", "../../outside"},
    {"inner", "d/e"},
    {"innerfile", "d/f"},
    {"weave", "d/../d/../../mount/d"},
    {"self", "self"},
    {"slashes", ".././../outside"},
};

static struct tree full_tree(enum kind kind)
{
	struct tree t = tree_new(kind);
	tree_mkdir(&t, "d");
	tree_mkdir(&t, "d/e");
	tree_file(&t, "d/f", "inside");
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		tree_symlink(&t, links[i].target, links[i].path);
	return t;
}

/* Ways out, read with a following last name. */
static const char *const escapes[] = {
    "..",
    "../",
    "../outside",
    "../outside/secret",
    "d/../../outside/secret",
    "d/e/../../../outside/secret",
    "./.././outside/secret",
    "d/./../..",
    "up",
    "up/",
    "up/outside/secret",
    "d/up/outside/secret",
    "d/e/up3",
    "d/e/up3/etc",
    "abs/passwd",
    "absfile",
    "out/secret",
    "outfile",
    "chain/secret",
    "chain2/secret",
    "inner/../../../outside/secret",
    "weave/f",
    "slashes/secret",
    "d/e/up3/../outside",
};
enum { ESCAPES = sizeof escapes / sizeof *escapes };

/* Memory refuses to make links with absolute targets, so a path over one ends in NOENT there. */
static void expect_refused(const struct tree *t, const char *what, const char *path, enum ferr e)
{
	bool missing =
	    e == FE_NOENT && (!t->has_links || (t->kind == MEMORY && !strncmp(path, "abs", 3)));
	cr_expect(e == FE_NOTCAPABLE || missing, "%s: %s %s: %s", kind_names[t->kind], what, path,
	          ferr_text(e));
}

#define EACH_TREE(t)                                                                  \
	for (int kind_ = 0; kind_ < KINDS; kind_++)                                   \
		for (struct tree t = full_tree((enum kind)kind_), *once_ = &t; once_; \
		     tree_free(&t), once_ = NULL)
/* Those that have links. */
#define EACH_LINKED_TREE(t) EACH_TREE(t) if (t.has_links)

Test(escape, opening_never_leaves)
{
	EACH_TREE(t)
	for (int i = 0; i < ESCAPES; i++) {
		struct vfs_obj *o;
		expect_refused(&t, "open", escapes[i], vfs_open(t.root, escapes[i], VFS_READ, &o));
		expect_refused(&t, "open folder", escapes[i],
		               vfs_open(t.root, escapes[i], VFS_READ | VFS_DIRECTORY, &o));
	}
}

Test(escape, asking_never_leaves)
{
	EACH_TREE(t)
	for (int i = 0; i < ESCAPES; i++) {
		struct vfs_stat st;
		struct vfs_times times = {.mtime_how = VFS_TIME_NOW};
		expect_refused(&t, "stat", escapes[i], vfs_stat_at(t.root, escapes[i], true, &st));
		expect_refused(&t, "set times", escapes[i],
		               vfs_set_times_at(t.root, escapes[i], true, &times));
	}
}

/* A name to be made in each folder that would lie outside. */
static const char *const outside_folders[] = {
    "..",
    "../outside",
    "up",
    "up/outside",
    "d/up",
    "d/up/outside",
    "d/e/up3",
    "out",
    "chain",
    "chain2",
    "slashes",
    "d/e/../../..",
    "inner/../../..",
    "inner/../../../outside",
};

Test(escape, making_and_removing_never_leaves)
{
	EACH_TREE(t)
	for (size_t i = 0; i < sizeof outside_folders / sizeof *outside_folders; i++) {
		char p[128], victim[128];
		struct vfs_obj *o;
		snprintf(p, sizeof p, "%s/x", outside_folders[i]);
		snprintf(victim, sizeof victim, "%s/secret", outside_folders[i]);
		expect_refused(&t, "create", p, vfs_open(t.root, p, VFS_WRITE | VFS_CREATE, &o));
		expect_refused(&t, "create exclusively", p,
		               vfs_open(t.root, p, VFS_WRITE | VFS_CREATE | VFS_EXCLUSIVE, &o));
		expect_refused(&t, "mkdir", p, vfs_mkdir(t.root, p));
		expect_refused(&t, "symlink", p, vfs_symlink(t.root, "t", p));
		expect_refused(&t, "rmdir", p, vfs_rmdir(t.root, p));
		expect_refused(&t, "unlink", victim, vfs_unlink(t.root, victim));
		expect_refused(&t, "link into", p, vfs_link(t.root, "d/f", false, t.root, p));
		expect_refused(&t, "link from", victim,
		               vfs_link(t.root, victim, false, t.root, "stolen"));
		expect_refused(&t, "rename into", p, vfs_rename(t.root, "d/f", t.root, p));
		expect_refused(&t, "rename from", victim,
		               vfs_rename(t.root, victim, t.root, "stolen"));
	}
}

/* CVE-2024-38358: a link to somewhere outside, created through or linked through. */
Test(escape, a_dangling_link_out_is_not_created_through)
{
	EACH_LINKED_TREE(t)
	{
		struct vfs_obj *o;
		char path[300];
		expect_refused(&t, "create", "outnew",
		               vfs_open(t.root, "outnew", VFS_WRITE | VFS_CREATE, &o));
		cr_expect_eq(vfs_open(t.root, "outnew", VFS_WRITE | VFS_CREATE | VFS_EXCLUSIVE, &o),
		             FE_EXIST);
		expect_refused(&t, "link, following", "outfile",
		               vfs_link(t.root, "outfile", true, t.root, "stolen"));
		cr_expect_null(tree_read(&t, "stolen"));
		snprintf(path, sizeof path, "%s/outside/new", t.base);
		cr_expect(!host_exists(path));
	}
}

Test(escape, a_guest_cannot_make_an_absolute_link)
{
	EACH_LINKED_TREE(t)
	{
		cr_expect_eq(vfs_symlink(t.root, "/etc/passwd", "mine"), FE_NOTCAPABLE);
		cr_expect_eq(vfs_symlink(t.root, "../outside/secret", "mine"), FE_OK);
		cr_expect_null(tree_read(&t, "mine"));
	}
}

/* What a host holds of an absolute link of a guest's: relative, and nobody can follow it, wherever it is moved. */
Test(escape, an_absolute_link_of_a_guest_leads_nowhere_and_reads_back)
{
	EACH_LINKED_TREE(t)
	{
		char buf[64] = "", own[VFS_PATH_MAX], path[300];
		size_t size = sizeof buf, n = sizeof own;
		struct vfs_obj *o;
		snprintf(path, sizeof path, "%s/outside/secret", t.base);
		cr_expect_eq(vfs_symlink_guest(t.root, "/usr/bin/x", "d/x"), FE_OK);
		cr_expect_eq(vfs_readlink(t.root, "d/x", buf, &size), FE_OK);
		cr_expect_eq(size, 10);
		cr_expect(!memcmp(buf, "/usr/bin/x", 10));
		size = 4;
		cr_expect_eq(vfs_readlink(t.root, "d/x", buf, &size), FE_OK);
		cr_expect_eq(size, 4);
		cr_expect_eq(vfs_symlink_guest(t.root, path, "d/out"), FE_OK);
		cr_expect_null(tree_read(&t, "d/out"));
		cr_expect_neq(vfs_open(t.root, "d/out", VFS_WRITE | VFS_CREATE, &o), FE_OK);
		cr_expect_eq(vfs_rename(t.root, "d/out", t.root, "out2"), FE_OK);
		cr_expect_null(tree_read(&t, "out2"));
		cr_expect_eq(t.root->ops->readlink(t.root, "out2", own, &n), FE_OK);
		cr_expect(t.kind == MEMORY || own[0] != '/', "%s", kind_names[t.kind]);
		if (t.kind == MEMORY)
			continue;
		cr_expect_eq(strcspn(own, "/"), VFS_NAME_MAX + 1);
		snprintf(path, sizeof path, "%s/mount/out2", t.base);
		cr_expect(!host_exists(path));
	}
}

/* A link itself may be renamed, hard linked and read: it only may not be followed out. */
Test(escape, a_link_that_was_moved_still_leads_nowhere)
{
	EACH_LINKED_TREE(t)
	{
		char buf[64];
		size_t size = sizeof buf;
		cr_expect_eq(vfs_rename(t.root, "outfile", t.root, "d/e/outfile"), FE_OK);
		cr_expect_null(tree_read(&t, "d/e/outfile"));
		cr_expect_eq(vfs_readlink(t.root, "d/e/outfile", buf, &size), FE_OK);
		cr_expect_eq(size, strlen("../outside/secret"));
		cr_expect_eq(vfs_link(t.root, "out", false, t.root, "d/out2"), FE_OK);
		cr_expect_null(tree_read(&t, "d/out2/secret"));
	}
}

Test(escape, links_that_stay_inside_work)
{
	EACH_LINKED_TREE(t)
	{
		struct vfs_obj *o;
		cr_expect_str_eq(tree_read(&t, "innerfile"), "inside");
		cr_expect_str_eq(tree_read(&t, "inner/../f"), "inside");
		cr_expect_eq(vfs_symlink(t.root, "d/fresh", "tofresh"), FE_OK);
		cr_expect_eq(vfs_open(t.root, "tofresh", VFS_WRITE | VFS_CREATE, &o), FE_OK);
		vfs_unref(o);
		cr_expect_str_eq(tree_read(&t, "d/fresh"), "");
	}
}

Test(escape, a_circle_of_links_is_a_loop)
{
	EACH_LINKED_TREE(t)
	{
		struct vfs_obj *o;
		struct vfs_stat st;
		cr_expect_eq(vfs_open(t.root, "self", VFS_READ, &o), FE_LOOP);
		cr_expect_eq(vfs_open(t.root, "self/x", VFS_READ, &o), FE_LOOP);
		cr_expect_eq(vfs_stat_at(t.root, "self", true, &st), FE_LOOP);
		cr_expect_eq(vfs_stat_at(t.root, "self", false, &st), FE_OK);
		cr_expect_eq(st.type, VFS_TYPE_SYMLINK);
	}
}

/* Beneath an open folder, that folder is the limit, though the mount is larger. */
Test(escape, an_open_folder_is_a_limit_too)
{
	EACH_TREE(t)
	{
		struct vfs_obj *d, *o;
		cr_assert_eq(vfs_open(t.root, "d", VFS_READ | VFS_DIRECTORY, &d), FE_OK);
		cr_expect_eq(vfs_open(d, "../d/f", VFS_READ, &o), FE_NOTCAPABLE);
		cr_expect_eq(vfs_open(d, "e/../../d/f", VFS_READ, &o), FE_NOTCAPABLE);
		cr_assert_eq(vfs_open(d, "e/../f", VFS_READ, &o), FE_OK);
		vfs_unref(o);
		vfs_unref(d);
	}
}

/* ---- homes of nodes ---- */

/* A home as a node leaves it, at base/mount/path ("": base/mount); a folder in it has a file too. */
static void make_home(struct tree *t, const char *path)
{
	char full[300];
	struct dir *home, *store;
	snprintf(full, sizeof full, "%s/mount%s%s", t->base, *path ? "/" : "", path);
	cr_assert_eq(dir_open(full, DIR_ADOPT, &home, NULL), ERR_OK);
	cr_assert_eq(dir_replace(home, "device", "secret", 6, NULL), ERR_OK);
	cr_assert_eq(dir_replace(home, "lock", "1\n", 2, NULL), ERR_OK);
	strcat(full, "/store");
	cr_assert_eq(dir_open(full, 0, &store, NULL), ERR_OK);
	cr_assert_eq(dir_replace(store, "data.mdb", "secret", 6, NULL), ERR_OK);
	dir_close(store);
	dir_close(home);
}

static void expect_closed(struct vfs_obj *root, const char *path)
{
	struct vfs_obj *o;
	struct vfs_stat st;
	enum ferr e = vfs_open(root, path, VFS_READ, &o);
	if (e == FE_OK)
		vfs_unref(o);
	cr_expect_eq(e, FE_ACCES, "%s: %s", path, ferr_text(e));
	e = vfs_open(root, path, VFS_WRITE | VFS_CREATE | VFS_TRUNCATE, &o);
	cr_expect_eq(e, FE_ACCES, "%s: %s", path, ferr_text(e));
	cr_expect_eq(vfs_stat_at(root, path, true, &st), FE_ACCES, "%s", path);
	cr_expect_eq(vfs_unlink(root, path), FE_ACCES, "%s", path);
	cr_expect_eq(vfs_link(root, path, false, root, "mine"), FE_ACCES, "%s", path);
	cr_expect_eq(vfs_rename(root, path, root, "mine"), FE_ACCES, "%s", path);
	cr_expect_eq(vfs_rename(root, "own", root, path), FE_ACCES, "%s", path);
	cr_expect_eq(vfs_mkdir(root, path), FE_ACCES, "%s", path);
}

Test(escape, the_home_of_a_node_is_closed_to_programs)
{
	static const char *const paths[] = {"a/.home/device",
	                                    "a/.home/new",
	                                    "a/../a/.home/device",
	                                    "a/.home/store/../lock",
	                                    "a/.home/store/data.mdb",
	                                    "a/.home/store/new",
	                                    "a/link/device",
	                                    "a/link/store/data.mdb",
	                                    "key"};
	for (int kind = HOST_BEST; kind <= HOST_COMPONENTS; kind++) {
		struct tree t = tree_new((enum kind)kind);
		struct vfs_obj *o, *a;
		struct vfs_stat st;
		tree_mkdir(&t, "a");
		tree_file(&t, "own", "mine");
		make_home(&t, "a/.home");
		bool linked = tree_symlink(&t, ".home", "a/link") &&
		              tree_symlink(&t, "a/.home/device", "key");
		for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
			bool by_link = strstr(paths[i], "link") || !strcmp(paths[i], "key");
			if (!by_link)
				expect_closed(t.root, paths[i]);
			else if (linked)
				cr_expect_eq(vfs_open(t.root, paths[i], VFS_READ, &o), FE_ACCES,
				             "%s", paths[i]);
		}
		cr_expect_eq(vfs_open(t.root, "a/.home", VFS_READ | VFS_DIRECTORY, &o), FE_ACCES);
		cr_expect_eq(vfs_open(t.root, "a/.home/store", VFS_READ, &o), FE_ACCES);
		cr_expect_eq(vfs_rename(t.root, "a/.home", t.root, "b"), FE_ACCES);
		cr_expect_eq(vfs_stat_at(t.root, "a/.home", true, &st), FE_OK);
		cr_assert_eq(vfs_open(t.root, "a", VFS_READ | VFS_DIRECTORY, &a), FE_OK);
		expect_closed(a, ".home/device");
		vfs_unref(a);
		cr_expect_str_eq(tree_read(&t, "own"), "mine");
		tree_free(&t);
	}
}

Test(escape, a_home_and_what_is_in_it_are_no_folders_to_give)
{
	static const char *const paths[] = {"h", "h/store", "h/store/..", "h/../h"};
	struct tree t = tree_new(HOST_BEST);
	struct errmsg msg = {0};
	struct vfs_obj *root;
	char full[300];
	make_home(&t, "h");
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		snprintf(full, sizeof full, "%s/mount/%s", t.base, paths[i]);
		cr_expect_eq(vfs_host_new(full, VFS_WALK_BEST, &root, &msg), ERR_DENIED, "%s",
		             paths[i]);
		cr_expect(strstr(msg.text, "home of a node"), "%s", msg.text);
	}
	tree_free(&t);
}

Test(escape, a_folder_that_becomes_a_home_closes)
{
	struct tree t = tree_new(HOST_BEST);
	make_home(&t, "");
	expect_closed(t.root, "device");
	expect_closed(t.root, "store/data.mdb");
	tree_free(&t);
}
