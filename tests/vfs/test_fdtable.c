/* test_fdtable.c - descriptors, shared offsets, and a table that comes back from its bytes. */
#include "tests/vfs/tree.h"

#include "vfs/fdtable.h"
#include "vfs/host.h"
#include "vfs/memory.h"
#include "vfs/pipe.h"
#include "vfs/stream.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A process's files: streams, a host mount, memory at /tmp. */
struct world {
	struct tree host;
	struct vfs_ns *ns;
	struct fdtable *t;
	struct vfs_mount *mount, *tmp;
};

static void add_stream(struct fdtable *t, const char *name)
{
	uint32_t fd;
	struct vfs_file *f = vfs_file_new(vfs_null_new(), NULL, NULL, VFS_READ | VFS_WRITE);
	strcpy(f->stream, name);
	cr_assert_eq(fdtable_add(t, f, RIGHTS_ALL, 0, &fd), FE_OK);
}

static struct world world_new(void)
{
	struct world w = {.host = tree_new(HOST_BEST), .ns = vfs_ns_new()};
	struct vfs_mount_config a = {.guest = "/", .host = "mount", .kind = VFS_MOUNT_HOST};
	struct vfs_mount_config b = {.guest = "/tmp", .kind = VFS_MOUNT_MEMORY};
	struct vfs_obj *tmp;
	uint32_t fd;
	cr_assert_eq(fdtable_new(&w.t), ERR_OK);
	cr_assert_eq(vfs_memory_new(1 << 20, &tmp), FE_OK);
	cr_assert_eq(vfs_ns_add(w.ns, &a, vfs_ref(w.host.root), &w.mount), ERR_OK);
	cr_assert_eq(vfs_ns_add(w.ns, &b, tmp, &w.tmp), ERR_OK);
	add_stream(w.t, "stdin");
	add_stream(w.t, "stdout");
	cr_assert_eq(fdtable_preopen(w.t, w.mount, &fd), FE_OK);
	cr_assert_eq(fdtable_preopen(w.t, w.tmp, &fd), FE_OK);
	cr_assert_eq(fd, 3);
	return w;
}

static void world_free(struct world *w)
{
	fdtable_free(w->t);
	vfs_ns_free(w->ns);
	tree_free(&w->host);
}

static uint32_t open_in(struct world *w, struct vfs_mount *m, const char *path, unsigned flags)
{
	struct vfs_obj *o;
	uint32_t fd;
	cr_assert_eq(vfs_open(m->root, path, flags, &o), FE_OK);
	struct vfs_file *f = vfs_file_new(o, m, path, flags & (VFS_READ | VFS_WRITE));
	cr_assert_eq(fdtable_add(w->t, f, rights_of_type((enum vfs_type)o->type), 0, &fd), FE_OK);
	return fd;
}

static struct fd_entry *entry(struct fdtable *t, uint32_t fd)
{
	struct fd_entry *e = NULL;
	cr_assert_eq(fdtable_use(t, fd, 0, &e), FE_OK, "descriptor %u", fd);
	return e;
}

static void write_text(struct fdtable *t, uint32_t fd, const char *text)
{
	struct vfs_iov iov = {(void *)(uintptr_t)text, strlen(text)};
	struct vfs_file *f = entry(t, fd)->file;
	size_t done;
	cr_assert_eq(vfs_write(f->obj, f->offset, 0, &iov, 1, &done, &f->offset), FE_OK);
}

static void expect_text(struct fdtable *t, uint32_t fd, const char *text)
{
	char buf[128] = {0};
	struct vfs_iov iov = {buf, sizeof buf - 1};
	size_t done;
	enum ferr e = vfs_read(entry(t, fd)->file->obj, 0, &iov, 1, &done);
	cr_expect(e == FE_OK && !strcmp(buf, text), "descriptor %u: %s, \"%s\"", fd, ferr_text(e),
	          buf);
}

Test(fdtable, the_lowest_free_number_is_taken)
{
	struct world w = world_new();
	uint32_t fd;
	cr_expect_eq(fdtable_close(w.t, 1), FE_OK);
	cr_expect_eq(fdtable_close(w.t, 1), FE_BADF);
	cr_expect_eq(open_in(&w, w.tmp, ".", VFS_READ), 1);
	cr_expect_eq(fdtable_dup(w.t, 1, 10, &fd), FE_OK);
	cr_expect_eq(fd, 10);
	cr_expect_eq(fdtable_size(w.t), 11);
	cr_expect_eq(fdtable_close(w.t, 10), FE_OK);
	cr_expect_eq(fdtable_size(w.t), 4);
	cr_expect_eq(fdtable_renumber(w.t, 3, 1), FE_OK);
	cr_expect_eq(fdtable_renumber(w.t, 3, 1), FE_BADF);
	cr_expect_eq(entry(w.t, 1)->file->mount, w.tmp);
	world_free(&w);
}

Test(fdtable, dup_shares_the_offset)
{
	struct world w = world_new();
	uint32_t a = open_in(&w, w.tmp, "f", VFS_WRITE | VFS_READ | VFS_CREATE), b;
	cr_assert_eq(fdtable_dup(w.t, a, 0, &b), FE_OK);
	write_text(w.t, a, "one ");
	write_text(w.t, b, "two");
	expect_text(w.t, a, "one two");
	cr_expect_eq(fdtable_close(w.t, a), FE_OK);
	write_text(w.t, b, "!");
	expect_text(w.t, b, "one two!");
	world_free(&w);
}

Test(fdtable, a_missing_right_is_notcapable)
{
	struct world w = world_new();
	struct fd_entry *e;
	cr_expect_eq(fdtable_use(w.t, 2, RIGHT_PATH_OPEN, &e), FE_OK);
	cr_expect_eq(fdtable_use(w.t, 2, RIGHT_FD_WRITE, &e), FE_NOTCAPABLE);
	cr_expect_eq(fdtable_use(w.t, 99, 0, &e), FE_BADF);
	cr_expect_eq(fdtable_use(w.t, UINT32_MAX, 0, &e), FE_BADF);
	world_free(&w);
}

Test(fdtable, the_longest_mount_wins)
{
	struct world w = world_new();
	const char *rest;
	cr_expect_eq(vfs_ns_find(w.ns, "/tmp/a/b", &rest), w.tmp);
	cr_expect_str_eq(rest, "a/b");
	cr_expect_eq(vfs_ns_find(w.ns, "/tmpfile", &rest), w.mount);
	cr_expect_str_eq(rest, "tmpfile");
	cr_expect_eq(vfs_ns_find(w.ns, "/tmp", &rest), w.tmp);
	cr_expect_str_eq(rest, ".");
	world_free(&w);
}

/* ---- bytes ---- */

static enum err open_mount(void *ctx, struct vfs_mount_config *c, struct vfs_obj **root,
                           struct errmsg *msg)
{
	struct world *w = ctx;
	*root = vfs_ref(w->host.root);
	return ERR_OK;
}

static enum err open_stream(void *ctx, const char *name, struct vfs_obj **out, struct errmsg *msg)
{
	*out = vfs_null_new();
	return ERR_OK;
}

static struct world load(struct world *w, const struct wr *bytes)
{
	struct world back = {.host = {.kind = MEMORY}};
	struct fdtable_loader l = {.open_mount = open_mount, .open_stream = open_stream, .ctx = w};
	struct errmsg msg = {0};
	struct rd in = rd_of(bytes->data, bytes->size);
	enum err e = fdtable_load(&in, &l, &back.t, &back.ns, &msg);
	cr_assert_eq(e, ERR_OK, "%s", msg.text);
	cr_expect_eq(rd_left(&in), 0);
	return back;
}

static struct wr save(struct world *w)
{
	struct wr out = {0};
	struct errmsg msg = {0};
	cr_assert_eq(fdtable_save(w->t, w->ns, &out, &msg), ERR_OK, "%s", msg.text);
	return out;
}

/* Every kind of open thing. */
static struct world busy_world(void)
{
	struct world w = world_new();
	struct vfs_obj *r, *p;
	uint32_t fd;
	size_t done;
	uint64_t end;
	struct vfs_iov iov = {"in flight", 9};
	tree_mkdir(&w.host, "d");
	fd = open_in(&w, w.mount, "d/f", VFS_READ | VFS_WRITE | VFS_CREATE); /* 4 */
	write_text(w.t, fd, "on the host");
	cr_assert_eq(fdtable_dup(w.t, fd, 0, &fd), FE_OK);               /* 5 */
	fd = open_in(&w, w.tmp, "m", VFS_READ | VFS_WRITE | VFS_CREATE); /* 6 */
	write_text(w.t, fd, "in memory");
	fd = open_in(&w, w.mount, "gone", VFS_READ | VFS_WRITE | VFS_CREATE); /* 7 */
	write_text(w.t, fd, "no name any more");
	cr_assert_eq(vfs_unlink(w.host.root, "gone"), FE_OK);
	fd = open_in(&w, w.tmp, "mgone", VFS_READ | VFS_WRITE | VFS_CREATE); /* 8 */
	write_text(w.t, fd, "no name in memory");
	cr_assert_eq(vfs_unlink(w.tmp->root, "mgone"), FE_OK);
	cr_assert_eq(vfs_pipe_new(&r, &p), FE_OK);
	cr_assert_eq(vfs_write(p, 0, 0, &iov, 1, &done, &end), FE_OK);
	cr_assert_eq(fdtable_add(w.t, vfs_file_new(p, NULL, NULL, VFS_WRITE), 1, 0, &fd),
	             FE_OK); /* 9 */
	cr_assert_eq(fdtable_add(w.t, vfs_file_new(r, NULL, NULL, VFS_READ), 1, 0, &fd),
	             FE_OK); /* 10 */
	return w;
}

Test(fdtable, open_files_come_back_from_their_bytes)
{
	struct world w = busy_world();
	struct wr a = save(&w);
	struct world back = load(&w, &a);
	struct wr b = save(&back);
	cr_expect(a.size == b.size && !memcmp(a.data, b.data, a.size),
	          "written again, it is the same");
	expect_text(back.t, 4, "on the host");
	expect_text(back.t, 6, "in memory");
	expect_text(back.t, 7, "no name any more");
	expect_text(back.t, 8, "no name in memory");
	expect_text(back.t, 10, "in flight");
	cr_expect_eq(entry(back.t, 4)->file, entry(back.t, 5)->file, "dup stays dup");
	cr_expect_eq(entry(back.t, 4)->file->offset, 11);
	cr_expect(entry(back.t, 2)->preopen && entry(back.t, 3)->preopen);
	wr_free(&a);
	wr_free(&b);
	fdtable_free(back.t);
	vfs_ns_free(back.ns);
	world_free(&w);
}

/* Opened by path again it could be another file: then it is stale, never the wrong one. */
Test(fdtable, a_file_that_was_replaced_is_stale_and_is_not_truncated)
{
	struct world w = busy_world();
	struct wr a = save(&w);
	struct vfs_iov iov = {(char[4]){0}, 4};
	size_t done;
	tree_file(&w.host, "d/other", "another file");
	cr_assert_eq(vfs_rename(w.host.root, "d/other", w.host.root, "d/f"), FE_OK);
	struct world back = load(&w, &a);
	cr_expect_eq(vfs_read(entry(back.t, 4)->file->obj, 0, &iov, 1, &done), FE_STALE);
	cr_expect_str_eq(tree_read(&w.host, "d/f"), "another file");
	wr_free(&a);
	fdtable_free(back.t);
	vfs_ns_free(back.ns);
	world_free(&w);
}

/* A renamed one is found where it is now. */
Test(fdtable, a_file_that_was_renamed_is_saved_by_its_new_name)
{
	if (!host_renames_open_folders())
		return;
	struct world w = busy_world();
	cr_assert_eq(vfs_rename(w.host.root, "d", w.host.root, "e"), FE_OK);
	struct wr a = save(&w);
	struct world back = load(&w, &a);
	expect_text(back.t, 4, "on the host");
	wr_free(&a);
	fdtable_free(back.t);
	vfs_ns_free(back.ns);
	world_free(&w);
}

Test(fdtable, a_pipe_to_another_process_is_named_as_what_cannot_move)
{
	struct world w = world_new();
	struct vfs_obj *r, *p;
	struct wr out = {0};
	struct errmsg msg = {0};
	uint32_t fd;
	cr_assert_eq(vfs_pipe_new(&r, &p), FE_OK);
	cr_assert_eq(fdtable_add(w.t, vfs_file_new(p, NULL, NULL, VFS_WRITE), 1, 0, &fd), FE_OK);
	cr_expect_eq(fdtable_save(w.t, w.ns, &out, &msg), ERR_UNSUPPORTED);
	cr_expect(strstr(msg.text, "pipe"));
	vfs_unref(r);
	wr_free(&out);
	world_free(&w);
}

/* ---- relatives ---- */

/* A second table: the first one's descriptions but the reading end of the pipe, which it alone lacks; one end twice. */
static struct fdtable *relative_of(struct world *w)
{
	struct fdtable *t;
	uint32_t fd;
	cr_assert_eq(fdtable_copy(w->t, &t), ERR_OK);
	cr_assert_eq(fdtable_close(t, 10), FE_OK);
	struct vfs_obj *end = vfs_ref(entry(t, 9)->file->obj);
	cr_assert_eq(fdtable_add(t, vfs_file_new(end, NULL, NULL, VFS_WRITE), 1, 0, &fd), FE_OK);
	return t;
}

static struct wr save_two(struct fdtable *a, struct fdtable *b, struct vfs_ns *ns)
{
	struct wr out = {0};
	struct errmsg msg = {0};
	struct fdset *s;
	cr_assert_eq(fdset_new(&s), ERR_OK);
	cr_assert(fdset_add(s, a) == ERR_OK && fdset_add(s, b) == ERR_OK);
	cr_assert_eq(fdset_save(s, ns, &out, &msg), ERR_OK, "%s", msg.text);
	cr_assert(fdtable_save_in(a, s, &out) == ERR_OK && fdtable_save_in(b, s, &out) == ERR_OK);
	fdset_free(s);
	return out;
}

static enum err load_two(struct world *w, struct rd in, struct fdset **s, struct fdtable *t[2],
                         struct errmsg *msg)
{
	struct fdtable_loader l = {.open_mount = open_mount, .open_stream = open_stream, .ctx = w};
	t[0] = t[1] = NULL;
	enum err e = fdset_load(&in, &l, s, msg);
	for (int i = 0; i < 2 && e == ERR_OK; i++)
		e = fdtable_load_in(&in, *s, &t[i], msg);
	return e == ERR_OK ? fdset_check(*s, msg) : e;
}

static void free_two(struct fdset *s, struct fdtable *t[2])
{
	fdtable_free(t[0]);
	fdtable_free(t[1]);
	fdset_free(s);
}

Test(fdtable, what_relatives_share_is_written_once_and_shared_again)
{
	struct world w = busy_world();
	struct fdtable *b = relative_of(&w), *t[2];
	struct fdset *s;
	struct errmsg msg = {0};
	struct wr bytes = save_two(w.t, b, w.ns);
	cr_assert_eq(load_two(&w, rd_of(bytes.data, bytes.size), &s, t, &msg), ERR_OK, "%s",
	             msg.text);
	struct wr again = save_two(t[0], t[1], fdset_ns(s));
	cr_expect(bytes.size == again.size && !memcmp(bytes.data, again.data, bytes.size));
	cr_expect_eq(entry(t[0], 4)->file, entry(t[1], 4)->file);
	cr_expect_neq(entry(t[1], 9)->file, entry(t[1], 10)->file);
	cr_expect_eq(entry(t[1], 9)->file->obj, entry(t[1], 10)->file->obj);
	write_text(t[1], 10, "!");
	expect_text(t[0], 10, "in flight!");
	wr_free(&bytes);
	wr_free(&again);
	free_two(s, t);
	fdtable_free(b);
	world_free(&w);
}

Test(fdtable, damaged_bytes_of_relatives_are_refused, .timeout = 60)
{
	struct world w = busy_world();
	struct fdtable *b = relative_of(&w);
	struct wr a = save_two(w.t, b, w.ns);
	for (size_t i = 0; i < a.size * 4; i++) {
		struct fdtable *t[2];
		struct fdset *s = NULL;
		struct errmsg msg = {0};
		uint8_t *copy = malloc(a.size);
		memcpy(copy, a.data, a.size);
		if (i >= a.size)
			copy[i % a.size] ^= (uint8_t)(1u << (i / a.size * 2));
		enum err e = load_two(&w, rd_of(copy, i < a.size ? i : a.size), &s, t, &msg);
		cr_expect(e == ERR_OK || msg.text[0], "no message");
		cr_expect(i >= a.size || e != ERR_OK, "cut at %zu is taken", i);
		free_two(s, t);
		free(copy);
	}
	wr_free(&a);
	fdtable_free(b);
	world_free(&w);
}

/* Cut off anywhere, or with any byte changed: one clear error or a table that is sound, never a crash. */
Test(fdtable, damaged_bytes_are_refused, .timeout = 60)
{
	struct world w = busy_world();
	struct wr a = save(&w);
	struct fdtable_loader l = {.open_mount = open_mount, .open_stream = open_stream, .ctx = &w};
	for (size_t i = 0; i < a.size * 4; i++) {
		struct fdtable *t;
		struct vfs_ns *ns;
		struct errmsg msg = {0};
		uint8_t *copy = malloc(a.size);
		memcpy(copy, a.data, a.size);
		struct rd in = rd_of(copy, i < a.size ? i : a.size);
		if (i >= a.size)
			copy[i % a.size] ^= (uint8_t)(1u << (i / a.size * 2));
		enum err e = fdtable_load(&in, &l, &t, &ns, &msg);
		cr_expect(e == ERR_OK || msg.text[0], "no message");
		cr_expect(i >= a.size || e != ERR_OK, "cut at %zu is taken", i);
		if (e == ERR_OK) {
			fdtable_free(t);
			vfs_ns_free(ns);
		}
		free(copy);
	}
	wr_free(&a);
	world_free(&w);
}
