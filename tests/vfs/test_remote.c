/* test_remote.c - a folder of another device: the same answers as the folder itself, over bytes; strictness; lost homes. */
#include "tests/vfs/tree.h"

#include "vfs/fdtable.h"
#include "vfs/fsmsg.h"
#include "vfs/remote.h"
#include "vfs/serve.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t home[VFS_DEVICE_ID_BYTES] = {1};

/* A process's files at home, its export, and the same mount seen from elsewhere. */
struct world {
	struct tree t;
	struct vfs_ns *ns;
	struct fdtable *fds;
	struct vfs_mount *mount, *fixed; /* fixed: the same folder, read-only */
	struct vfs_export *x;
	struct vfs_obj *root, *fixed_root; /* remote */
	bool cut;                          /* the link is down */
	bool ended, forgotten;
	bool behind;            /* writes are not waited for: a thread answers each */
	_Atomic int fail, away; /* the next writes fail so; the home does not answer */
	pthread_mutex_t lock;
	pthread_cond_t answered;
	unsigned posted; /* and not answered */
};

static enum err carry(void *ctx, const uint8_t *request, size_t size, bool may_repeat,
                      struct wr *answer)
{
	struct world *w = ctx;
	if (w->cut)
		return ERR_TIMEOUT;
	if (!w->away)
		return vfs_export_request(w->x, request, size, answer);
	wr_u16(answer, FE_HOSTDOWN);
	return ERR_OK;
}

struct posted {
	struct world *w;
	struct wr request;
	vfs_remote_done done;
	void *arg;
};

static void *answer_one(void *arg)
{
	struct posted *p = arg;
	struct world *w = p->w;
	struct wr answer = {0};
	enum err e = ERR_OK;
	if (w->fail)
		wr_u16(&answer, (uint16_t)w->fail);
	else
		e = w->away ? ERR_CLOSED
		            : vfs_export_request(w->x, p->request.data, p->request.size, &answer);
	p->done(p->arg, e, answer.data, answer.size);
	wr_free(&answer);
	wr_free(&p->request);
	free(p);
	pthread_mutex_lock(&w->lock);
	w->posted--;
	pthread_cond_signal(&w->answered);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static enum err post(void *ctx, const uint8_t *request, size_t size, vfs_remote_done done,
                     void *arg)
{
	struct posted *p = calloc(1, sizeof *p);
	pthread_t thread;
	cr_assert(p);
	*p = (struct posted){.w = ctx, .done = done, .arg = arg};
	wr_bytes(&p->request, request, size);
	pthread_mutex_lock(&p->w->lock);
	p->w->posted++;
	pthread_mutex_unlock(&p->w->lock);
	cr_assert(pthread_create(&thread, NULL, answer_one, p) == 0 && pthread_detach(thread) == 0);
	return ERR_OK;
}

static void all_answered(struct world *w)
{
	pthread_mutex_lock(&w->lock);
	while (w->posted)
		pthread_cond_wait(&w->answered, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

static void on_end(void *ctx, bool forget)
{
	struct world *w = ctx;
	w->ended = true;
	w->forgotten |= forget;
}

static struct vfs_obj *remote_root(struct world *w, uint32_t id)
{
	struct vfs_remote *r;
	struct vfs_remote_config c = {
	    .call = carry, .post = w->behind ? post : NULL, .end = on_end, .ctx = w};
	cr_assert_eq(vfs_remote_new(&c, &r), FE_OK);
	struct vfs_obj *root = vfs_remote_mount(r, id);
	vfs_remote_unref(r);
	return root;
}

static void world_open(struct world *w)
{
	struct vfs_mount_config a = {.guest = "/", .host = "", .kind = VFS_MOUNT_HOST};
	struct vfs_mount_config b = {
	    .guest = "/fixed", .host = "", .kind = VFS_MOUNT_HOST, .read_only = true};
	char host[128];
	*w = (struct world){.t = tree_new(HOST_BEST), .ns = vfs_ns_new()};
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->answered, NULL);
	snprintf(host, sizeof host, "%s/mount", w->t.base);
	a.host = b.host = host;
	cr_assert_eq(fdtable_new(&w->fds), ERR_OK);
	cr_assert_eq(vfs_ns_add(w->ns, &a, vfs_ref(w->t.root), &w->mount), ERR_OK);
	cr_assert_eq(vfs_ns_add(w->ns, &b, vfs_ref(w->t.root), &w->fixed), ERR_OK);
}

static void world_leave(struct world *w)
{
	cr_assert_eq(vfs_export_new(w->ns, w->fds, home, &w->x), ERR_OK);
	w->root = remote_root(w, w->mount->id);
	w->fixed_root = remote_root(w, w->fixed->id);
}

static void world_free(struct world *w)
{
	vfs_unref(w->root);
	vfs_unref(w->fixed_root);
	all_answered(w);
	vfs_export_free(w->x);
	fdtable_free(w->fds);
	vfs_ns_free(w->ns);
	tree_free(&w->t);
}

static enum ferr put(struct vfs_obj *o, uint64_t at, const char *text, unsigned flags)
{
	struct vfs_iov iov = {(void *)(uintptr_t)text, strlen(text)};
	size_t done;
	uint64_t end;
	return vfs_write(o, at, flags, &iov, 1, &done, &end);
}

static const char *get(struct vfs_obj *o, uint64_t at)
{
	static char buf[256];
	struct vfs_iov iov = {buf, sizeof buf - 1};
	size_t done;
	enum ferr e = vfs_read(o, at, &iov, 1, &done);
	if (e != FE_OK)
		return ferr_text(e);
	buf[done] = 0;
	return buf;
}

static struct vfs_obj *open_at(struct vfs_obj *root, const char *path, unsigned flags)
{
	struct vfs_obj *o = NULL;
	enum ferr e = vfs_open(root, path, flags, &o);
	cr_assert_eq(e, FE_OK, "%s: %s", path, ferr_text(e));
	return o;
}

static bool count_entry(void *ctx, const struct vfs_dirent *e)
{
	++*(int *)ctx;
	return true;
}

Test(remote, every_operation_reaches_the_folder_at_home)
{
	struct world w;
	struct vfs_stat st, st2;
	char text[64];
	size_t size = sizeof text;
	int entries = 0;
	struct vfs_times times = {.mtime_how = VFS_TIME_SET, .mtime_ns = 5000000000};
	world_open(&w);
	world_leave(&w);
	cr_expect_eq(vfs_mkdir(w.root, "d"), FE_OK);
	struct vfs_obj *o = open_at(w.root, "d/f", VFS_READ | VFS_WRITE | VFS_CREATE);
	cr_expect_eq(put(o, 0, "hello world", 0), FE_OK);
	cr_expect_str_eq(tree_read(&w.t, "d/f"), "hello world",
	                 "written through before the call returns");
	cr_expect_str_eq(get(o, 6), "world");
	cr_expect_eq(put(o, 0, "HELLO", 0), FE_OK);
	cr_expect_str_eq(get(o, 0), "HELLO world", "own writes are seen");
	cr_expect_eq(put(o, 0, "!", VFS_APPEND), FE_OK);
	cr_expect_str_eq(get(o, 6), "world!");
	cr_expect_eq(vfs_set_size(o, 5), FE_OK);
	cr_expect_str_eq(get(o, 0), "HELLO");
	cr_expect_eq(vfs_allocate(o, 0, 6), FE_OK);
	cr_expect_eq(vfs_sync(o, true), FE_OK);
	cr_expect_eq(vfs_set_times(o, &times), FE_OK);
	cr_expect_eq(vfs_stat(o, &st), FE_OK);
	cr_expect_eq(vfs_stat_at(w.t.root, "d/f", true, &st2), FE_OK);
	cr_expect(!memcmp(&st, &st2, sizeof st) && st.mtime_ns == 5000000000);
	bool links = w.t.has_links;
	if (links) {
		cr_expect_eq(vfs_symlink(w.root, "d/f", "l"), FE_OK);
		cr_expect_eq(vfs_readlink(w.root, "l", text, &size), FE_OK);
		cr_expect(size == 3 && !memcmp(text, "d/f", 3));
	}
	cr_expect_eq(vfs_link(w.root, "d/f", false, w.root, "g"), FE_OK);
	cr_expect_eq(vfs_rename(w.root, "g", w.root, "d/h"), FE_OK);
	cr_expect_eq(vfs_set_times_at(w.root, links ? "l" : "d/f", true, &times), FE_OK);
	cr_expect_eq(vfs_readdir(w.root, 0, count_entry, &entries), FE_OK);
	cr_expect_eq(entries, links ? 4 : 3);
	cr_expect_eq(vfs_unlink(w.root, "d/h"), FE_OK);
	cr_expect_eq(vfs_rmdir(w.root, "d"), FE_NOTEMPTY);
	struct vfs_obj *d = open_at(w.root, "d", VFS_READ | VFS_DIRECTORY),
	               *again = open_at(d, "f", VFS_READ);
	cr_expect_str_eq(get(again, 0), "HELLO");
	vfs_unref(o);
	vfs_unref(again);
	vfs_unref(d);
	cr_expect_eq(vfs_unlink(w.root, "d/f"), FE_OK);
	cr_expect_eq(vfs_export_open_files(w.x), 0, "closed handles went with the next request");
	world_free(&w);
	cr_expect(w.ended && w.forgotten);
}

/* ---- strictness: what a lying device asks ---- */

static enum ferr ask(struct world *w, struct wr *q)
{
	struct wr a = {0};
	enum err e = vfs_export_request(w->x, q->data, q->size, &a);
	enum ferr fe = e == ERR_OK ? (enum ferr)a.data[0] : FE_COUNT;
	wr_free(&a);
	wr_free(q);
	return fe;
}

static struct wr request(enum fsop op, uint32_t handle)
{
	struct wr q = {0};
	wr_u16(&q, 0);
	wr_u8(&q, (uint8_t)op);
	wr_u32(&q, handle);
	return q;
}

Test(remote, the_home_is_as_strict_as_for_a_local_process)
{
	static const char *const escapes[] = {
	    "..", "../outside/secret", "/etc/passwd", "d/../../outside/secret", "up/outside/secret",
	    ""};
	struct world w;
	struct wr q;
	world_open(&w);
	tree_mkdir(&w.t, "d");
	tree_file(&w.t, "f", "text");
	tree_symlink(&w.t, "..", "up");
	world_leave(&w);
	uint32_t root = (uint32_t)FS_ROOT | w.mount->id, fixed = (uint32_t)FS_ROOT | w.fixed->id;
	for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
		q = request(FSOP_OPEN, root);
		wr_u32(&q, VFS_READ | VFS_WRITE);
		fs_put_text(&q, escapes[i]);
		enum ferr e = ask(&w, &q);
		cr_expect(e == FE_NOTCAPABLE || e == FE_NOENT, "%s: %s", escapes[i], ferr_text(e));
		q = request(FSOP_REOPEN, w.mount->id);
		wr_u32(&q, VFS_READ);
		wr_u64(&q, 0);
		wr_u64(&q, 0);
		wr_u8(&q, VFS_TYPE_FILE);
		fs_put_text(&q, escapes[i]);
		cr_expect_neq(ask(&w, &q), FE_OK);
	}
	/* a read-only mount stays so */
	for (unsigned flag = VFS_WRITE; flag <= VFS_TRUNCATE; flag *= 2) {
		if (flag == VFS_EXCLUSIVE)
			continue;
		q = request(FSOP_OPEN, fixed);
		wr_u32(&q, VFS_READ | flag);
		fs_put_text(&q, "f");
		cr_expect_eq(ask(&w, &q), FE_ROFS);
	}
	q = request(FSOP_UNLINK, fixed);
	fs_put_text(&q, "f");
	cr_expect_eq(ask(&w, &q), FE_ROFS);
	cr_expect_eq(vfs_link(w.fixed_root, "f", false, w.fixed_root, "g"), FE_ROFS);
	q = request(FSOP_LINK, fixed);
	wr_u8(&q, 0);
	wr_u32(&q, root);
	fs_put_text(&q, "f");
	fs_put_text(&q, "g");
	cr_expect_eq(ask(&w, &q), FE_ROFS, "nor is it left by a hard link");
	q = request(FSOP_RENAME, root);
	wr_u32(&q, fixed);
	fs_put_text(&q, "f");
	fs_put_text(&q, "g");
	cr_expect_eq(ask(&w, &q), FE_ROFS);
	/* a file that was opened for reading is not written */
	struct vfs_obj *o = open_at(w.root, "f", VFS_READ);
	q = request(FSOP_WRITE, vfs_handle_of(o));
	wr_u64(&q, 0);
	wr_u32(&q, 0);
	wr_bytes(&q, "x", 1);
	cr_expect_eq(ask(&w, &q), FE_INVAL);
	vfs_unref(o);
	/* mounts that were never granted, handles that were never given */
	q = request(FSOP_STAT, (uint32_t)FS_ROOT | 99);
	cr_expect_eq(ask(&w, &q), FE_STALE);
	q = request(FSOP_STAT, 12345);
	cr_expect_eq(ask(&w, &q), FE_BADF);
	q = request((enum fsop)99, root);
	cr_expect_eq(ask(&w, &q), FE_COUNT, "no request at all");
	cr_expect_str_eq(tree_read(&w.t, "f"), "text");
	world_free(&w);
}

/* ---- a move ---- */

static enum err open_mount(void *ctx, struct vfs_mount_config *c, struct vfs_obj **out,
                           struct errmsg *msg)
{
	*out = remote_root(ctx, c->id);
	return ERR_OK;
}

static enum err open_mount_at_home(void *ctx, struct vfs_mount_config *c, struct vfs_obj **out,
                                   struct errmsg *msg)
{
	*out = vfs_export_root(((struct world *)ctx)->x, c);
	return *out ? ERR_OK : ERR_DENIED;
}

static struct vfs_obj *held(void *ctx, uint32_t mount_id, uint32_t handle, unsigned flags)
{
	return vfs_export_held(((struct world *)ctx)->x, mount_id, handle, flags);
}

static struct fd_entry *entry(struct fdtable *t, uint32_t fd)
{
	struct fd_entry *e = NULL;
	cr_assert_eq(fdtable_use(t, fd, 0, &e), FE_OK);
	return e;
}

struct image {
	struct fdtable *t;
	struct vfs_ns *ns;
};

/* Writes t and ns and loads them as a device does: elsewhere, or at home. */
static struct image move(struct world *w, struct fdtable *t, struct vfs_ns *ns, bool home_again)
{
	struct wr bytes = {0};
	struct errmsg msg = {0};
	struct image im;
	struct fdtable_loader l = {.open_mount = home_again ? open_mount_at_home : open_mount,
	                           .held = home_again ? held : NULL,
	                           .ctx = w};
	cr_assert_eq(fdtable_save(t, ns, &bytes, &msg), ERR_OK, "%s", msg.text);
	if (!w->x)
		world_leave(w);
	struct rd in = rd_of(bytes.data, bytes.size);
	cr_assert_eq(fdtable_load(&in, &l, &im.t, &im.ns, &msg), ERR_OK, "%s", msg.text);
	wr_free(&bytes);
	return im;
}

static void image_end(struct image *im, bool moved)
{
	for (uint32_t i = 0; moved && i < vfs_ns_count(im->ns); i++)
		if (vfs_is_remote(vfs_ns_at(im->ns, i)->root))
			vfs_remote_abandon(vfs_ns_at(im->ns, i)->root);
	fdtable_free(im->t);
	vfs_ns_free(im->ns);
}

static uint32_t open_file(struct fdtable *t, struct vfs_mount *m, const char *path, unsigned flags)
{
	uint32_t fd;
	struct vfs_file *f =
	    vfs_file_new(open_at(m->root, path, flags), m, path, flags & (VFS_READ | VFS_WRITE));
	cr_assert_eq(fdtable_add(t, f, RIGHTS_ALL, 0, &fd), FE_OK);
	return fd;
}

Test(remote, open_files_follow_over_two_devices_and_home_again)
{
	struct world w;
	world_open(&w);
	uint32_t fd = open_file(w.fds, w.mount, "f", VFS_READ | VFS_WRITE | VFS_CREATE);
	uint32_t gone = open_file(w.fds, w.mount, "renamed", VFS_READ | VFS_WRITE | VFS_CREATE);
	cr_assert_eq(put(entry(w.fds, fd)->file->obj, 0, "from A", 0), FE_OK);
	cr_assert_eq(put(entry(w.fds, gone)->file->obj, 0, "held", 0), FE_OK);
	entry(w.fds, fd)->file->offset = 3;
	struct image b = move(&w, w.fds, w.ns, false);
	cr_assert_eq(vfs_rename(w.t.root, "renamed", w.t.root, "elsewhere"), FE_OK);
	cr_expect_str_eq(get(entry(b.t, fd)->file->obj, 0), "from A");
	cr_expect_str_eq(get(entry(b.t, gone)->file->obj, 0), "held", "the home held it open");
	cr_expect_eq(entry(b.t, fd)->file->offset, 3);
	uint32_t at_b =
	    open_file(b.t, vfs_ns_at(b.ns, 0), "made at b", VFS_READ | VFS_WRITE | VFS_CREATE);
	cr_expect_eq(put(entry(b.t, at_b)->file->obj, 0, "by B", 0), FE_OK);
	struct image c = move(&w, b.t, b.ns, false);
	image_end(&b, true);
	cr_expect_not(w.forgotten, "leaving is not ending");
	cr_expect_str_eq(get(entry(c.t, at_b)->file->obj, 0), "by B",
	                 "C talks to A with B's handle");
	cr_expect_eq(put(entry(c.t, fd)->file->obj, 6, ", C", 0), FE_OK);
	struct image a = move(&w, c.t, c.ns, true);
	image_end(&c, true);
	w.cut = true;
	cr_expect_not(vfs_is_remote(entry(a.t, fd)->file->obj), "no loop through the network");
	cr_expect_str_eq(get(entry(a.t, fd)->file->obj, 0), "from A, C");
	cr_expect_str_eq(get(entry(a.t, gone)->file->obj, 0), "held");
	cr_expect_str_eq(get(entry(a.t, at_b)->file->obj, 0), "by B");
	image_end(&a, false);
	world_free(&w);
}

Test(remote, a_home_that_was_restarted_finds_files_again_by_path_and_file_id)
{
	struct world w;
	struct wr grants = {0};
	struct errmsg msg = {0};
	world_open(&w);
	uint32_t fd = open_file(w.fds, w.mount, "f", VFS_READ | VFS_WRITE | VFS_CREATE);
	uint32_t other = open_file(w.fds, w.mount, "g", VFS_READ | VFS_WRITE | VFS_CREATE);
	struct image b = move(&w, w.fds, w.ns, false);
	cr_expect_eq(put(entry(b.t, fd)->file->obj, 0, "before", 0), FE_OK);
	/* as table GRANTS of the store keeps it */
	cr_assert_eq(vfs_export_save(w.x, &grants), ERR_OK);
	vfs_export_free(w.x);
	struct rd in = rd_of(grants.data, grants.size);
	cr_assert_eq(vfs_export_load(&in, &w.x, &msg), ERR_OK, "%s", msg.text);
	tree_file(&w.t, "new", "another file");
	cr_assert_eq(vfs_rename(w.t.root, "new", w.t.root, "g"), FE_OK);
	cr_expect_eq(put(entry(b.t, fd)->file->obj, 6, " after", 0), FE_OK);
	cr_expect_str_eq(tree_read(&w.t, "f"), "before after");
	cr_expect_str_eq(get(entry(b.t, other)->file->obj, 0), ferr_text(FE_STALE),
	                 "never the wrong file");
	image_end(&b, false);
	wr_free(&grants);
	world_free(&w);
}

Test(remote, a_cut_link_is_an_input_output_error_and_heals)
{
	struct world w;
	struct vfs_obj *o;
	world_open(&w);
	tree_file(&w.t, "f", "text");
	world_leave(&w);
	w.cut = true;
	cr_expect_eq(vfs_open(w.root, "f", VFS_READ, &o), FE_IO);
	cr_expect_eq(vfs_mkdir(w.root, "d"), FE_IO);
	w.cut = false;
	o = open_at(w.root, "f", VFS_READ);
	cr_expect_str_eq(get(o, 0), "text");
	w.cut = true;
	cr_expect_str_eq(get(o, 0), "text", "what is cached is still there");
	vfs_unref(o);
	world_free(&w);
}

/* ---- the cache ---- */

enum { BIG = 3 << 20 };

static void make_big(struct world *w, uint8_t *bytes)
{
	for (uint32_t i = 0; i < BIG; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 23);
	struct vfs_obj *o = open_at(w->t.root, "big", VFS_WRITE | VFS_CREATE);
	struct vfs_iov iov = {bytes, BIG};
	size_t done;
	uint64_t end;
	cr_assert(vfs_write(o, 0, 0, &iov, 1, &done, &end) == FE_OK && done == BIG);
	vfs_unref(o);
}

Test(remote, reading_on_takes_few_requests_and_reading_again_none)
{
	struct world w;
	struct vfs_remote_stats st;
	uint8_t *bytes = malloc(BIG), *back = malloc(BIG);
	world_open(&w);
	make_big(&w, bytes);
	world_leave(&w);
	struct vfs_obj *o = open_at(w.root, "big", VFS_READ);
	for (int round = 0; round < 2; round++) {
		memset(back, 0, BIG);
		for (uint32_t at = 0; at < BIG; at += 4096) {
			struct vfs_iov iov = {back + at, 4096};
			size_t done;
			cr_assert_eq(vfs_read(o, at, &iov, 1, &done), FE_OK);
			cr_assert_eq(done, 4096);
		}
		cr_expect(!memcmp(bytes, back, BIG));
		vfs_remote_stats(o, &st);
		cr_expect(st.calls <= 1 + BIG / FS_READ_MAX + 3, "%lu requests",
		          (unsigned long)st.calls);
	}
	vfs_unref(o);
	free(bytes);
	free(back);
	world_free(&w);
}

Test(remote, what_others_changed_is_seen_when_the_file_is_opened_again)
{
	struct world w;
	world_open(&w);
	tree_file(&w.t, "f", "old text");
	world_leave(&w);
	struct vfs_obj *o = open_at(w.root, "f", VFS_READ);
	cr_expect_str_eq(get(o, 0), "old text");
	vfs_unref(o);
	tree_file(&w.t, "f", "new text");
	o = open_at(w.root, "f", VFS_READ);
	cr_expect_str_eq(get(o, 0), "new text");
	vfs_unref(o);
	world_free(&w);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Random reads and writes by two descriptors of one file, against a model. */
static void agree_with_a_model(bool behind)
{
	struct world w;
	uint8_t *model = malloc(BIG), *buf = malloc(BIG);
	uint64_t size = BIG;
	uint32_t seed = 7;
	world_open(&w);
	w.behind = behind;
	make_big(&w, model);
	world_leave(&w);
	struct vfs_obj *o[2] = {open_at(w.root, "big", VFS_READ | VFS_WRITE),
	                        open_at(w.root, "big", VFS_READ | VFS_WRITE)};
	for (int i = 0; i < 1500; i++) {
		uint64_t at = (uint64_t)next_random(&seed) % BIG;
		size_t n = (size_t)next_random(&seed) % 200000, done;
		struct vfs_iov iov = {buf, n};
		struct vfs_obj *f = o[next_random(&seed) & 1];
		switch (next_random(&seed) % 8) {
		case 0:
			if (at > size)
				memset(model + size, 0, at - size);
			size = at;
			cr_assert_eq(vfs_set_size(f, size), FE_OK);
			break;
		case 1:
		case 2: {
			uint64_t end;
			n = n < BIG - at ? n : BIG - at;
			iov.size = n;
			memset(buf, i, n);
			cr_assert_eq(vfs_write(f, at, 0, &iov, 1, &done, &end), FE_OK);
			cr_assert_eq(done, n);
			if (at > size)
				memset(model + size, 0, at - size);
			memset(model + at, i, n);
			size = n && at + n > size ? at + n : size;
			break;
		}
		default: {
			uint64_t expect = at >= size ? 0 : size - at < n ? size - at : n;
			cr_assert_eq(vfs_read(f, at, &iov, 1, &done), FE_OK);
			cr_assert_eq(done, expect, "step %d", i);
			cr_assert(!memcmp(buf, model + at, done), "step %d", i);
		}
		}
	}
	vfs_unref(o[0]);
	vfs_unref(o[1]);
	free(model);
	free(buf);
	world_free(&w);
}

Test(remote, random_reads_and_writes_agree_with_a_model, .timeout = 60)
{
	agree_with_a_model(false);
}

/* ---- writes that are not waited for ---- */

Test(remote, so_they_do_when_writes_are_not_waited_for, .timeout = 60)
{
	agree_with_a_model(true);
}

static enum ferr close_it(struct vfs_obj *o)
{
	enum ferr e = vfs_flush(o);
	vfs_unref(o);
	return e;
}

Test(remote, a_write_that_fails_later_is_told_once_to_each_descriptor, .timeout = 60)
{
	struct world w;
	world_open(&w);
	w.behind = true;
	tree_file(&w.t, "f", "text");
	world_leave(&w);
	struct vfs_obj *a = open_at(w.root, "f", VFS_WRITE), *b = open_at(w.root, "f", VFS_WRITE);
	struct vfs_obj *other = open_at(w.root, "g", VFS_WRITE | VFS_CREATE);
	w.fail = FE_NOSPC;
	cr_expect_eq(put(a, 0, "lost", 0), FE_OK, "it is not waited for");
	all_answered(&w);
	w.fail = 0;
	cr_expect_eq(put(other, 0, "good", 0), FE_OK, "another file's");
	struct vfs_obj *c = open_at(w.root, "f", VFS_READ | VFS_WRITE);
	cr_expect_eq(put(a, 0, "new", 0), FE_NOSPC);
	cr_expect_eq(put(a, 0, "new", 0), FE_OK);
	cr_expect_eq(vfs_sync(b, false), FE_NOSPC);
	cr_expect_eq(vfs_sync(b, false), FE_OK);
	cr_expect_str_eq(get(c, 0), "newt", "who reads sees what was written");
	cr_expect_eq(close_it(c), FE_OK, "it was not open then");
	cr_expect_eq(close_it(b), FE_OK);
	cr_expect_eq(close_it(a), FE_OK);
	cr_expect_eq(close_it(other), FE_OK);
	world_free(&w);
}

Test(remote, what_got_lost_with_the_link_is_sent_again, .timeout = 60)
{
	struct world w;
	struct vfs_obj *here;
	world_open(&w);
	w.behind = true;
	world_leave(&w);
	struct vfs_obj *o = open_at(w.root, "f", VFS_READ | VFS_WRITE | VFS_CREATE);
	w.away = true;
	for (int i = 0; i < 5; i++)
		cr_expect_eq(put(o, (uint64_t)i * 10, "0123456789", 0), FE_OK);
	cr_expect_eq(vfs_flush(o), FE_INPROGRESS, "to be tried again");
	w.away = false;
	cr_expect_eq(close_it(o), FE_OK);
	here = open_at(w.t.root, "f", VFS_READ);
	cr_expect_str_eq(get(here, 0), "01234567890123456789012345678901234567890123456789");
	vfs_unref(here);
	/* and it goes on its way also when nobody waits */
	o = open_at(w.root, "f", VFS_WRITE);
	cr_expect_eq(put(o, 0, "abc", 0), FE_OK);
	cr_expect_eq(put(o, 3, "def", 0), FE_OK);
	vfs_unref(o);
	all_answered(&w);
	here = open_at(w.t.root, "f", VFS_READ);
	cr_expect(!strncmp(get(here, 0), "abcdef6789", 10), "%s", get(here, 0));
	vfs_unref(here);
	world_free(&w);
}

/* Read before, changed by somebody else while the home was away. */
Test(remote, nothing_is_written_that_was_made_of_an_older_version, .timeout = 60)
{
	struct world w;
	world_open(&w);
	tree_file(&w.t, "f", "first");
	world_leave(&w);
	struct vfs_stat st;
	struct vfs_obj *o = open_at(w.root, "f", VFS_READ | VFS_WRITE);
	struct vfs_obj *log = open_at(w.root, "f", VFS_WRITE);
	cr_expect_str_eq(get(o, 0), "first");
	w.away = true;
	cr_expect_eq(vfs_stat(o, &st), FE_HOSTDOWN);
	cr_expect_eq(put(o, 0, "x", 0), FE_HOSTDOWN);
	struct vfs_obj *here = open_at(w.t.root, "f", VFS_WRITE);
	cr_expect_eq(put(here, 0, "second", 0), FE_OK);
	vfs_unref(here);
	w.away = false;
	cr_expect_eq(put(o, 0, "x", 0), FE_STALE);
	cr_expect_eq(vfs_set_size(o, 0), FE_STALE);
	cr_expect_eq(put(log, 0, "!", VFS_APPEND), FE_OK, "appending replaces nothing");
	cr_expect_str_eq(get(o, 0), "second!");
	vfs_unref(o);
	o = open_at(w.root, "f", VFS_READ | VFS_WRITE);
	cr_expect_eq(put(o, 0, "S", 0), FE_OK, "whoever opens it again knows what is there");
	vfs_unref(o);
	vfs_unref(log);
	world_free(&w);
}
