/* cloud_random.c - random operations on the files of a storage, against a model; what one device has closed, another one reads. TAP.
 *
 *	cloud-random URL USER SECRET FOLDER SEED COUNT [ENDPOINT]      FOLDER: a private one for copies
 *
 * tests/e2e/cloud.py starts it beside rclone's server. A failure prints the number of the operation; the same seed does the same again.
 */
#include "cloud/cloud.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES = 6, SIZE_MAX_BYTES = 300000, PIECE = 90000 };

struct model {
	bool there;
	size_t size;
	uint8_t *bytes; /* SIZE_MAX_BYTES */
};

struct test {
	struct vfs_obj *root[2]; /* of two devices */
	struct model files[NAMES];
	struct vfs_obj *open; /* at device 0, and what it is */
	int open_is;
	struct model gone; /* of the open one, when its name went */
	uint64_t seed, number;
};

static unsigned rnd(struct test *t, unsigned below)
{
	t->seed = t->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)(t->seed >> 33) % below;
}

static void fail(const struct test *t, const char *what, int name, enum ferr e)
{
	printf("not ok 1 - operation %llu: %s of file %d: %s\n1..1\n",
	       (unsigned long long)t->number, what, name, ferr_text(e));
	exit(1);
}

static const char *path_of(int name)
{
	static const char *const paths[NAMES] = {"a", "b", "d/a", "d/b c", "d/e/x", "d/e/y%20"};
	return paths[name];
}

static void want(const struct test *t, enum ferr e, enum ferr wanted, const char *what, int name)
{
	if (e != wanted)
		fail(t, what, name, e);
}

static struct model *target(struct test *t, int name)
{
	return name < 0 ? &t->gone : &t->files[name];
}

/* ---- the same on both ---- */

static void check(struct test *t, struct vfs_obj *o, const struct model *m, int name)
{
	static uint8_t buf[SIZE_MAX_BYTES];
	struct vfs_stat st;
	size_t from = m->size ? rnd(t, (unsigned)m->size) : 0, got = 0, done = 1;
	size_t size = rnd(t, SIZE_MAX_BYTES);
	while (done && got < size) {
		struct vfs_iov iov = {.p = buf + got, .size = size - got};
		want(t, vfs_read(o, from + got, &iov, 1, &done), FE_OK, "read", name);
		got += done;
	}
	size_t left = m->size - from;
	if (got != (left < size ? left : size) || memcmp(buf, m->bytes + from, got) != 0)
		fail(t, "what was read", name, FE_IO);
	want(t, vfs_stat(o, &st), FE_OK, "stat", name);
	if (st.size_bytes != m->size)
		fail(t, "the size", name, FE_IO);
}

static void change(struct test *t, struct vfs_obj *o, struct model *m, int name)
{
	uint64_t end;
	size_t done, at = rnd(t, SIZE_MAX_BYTES - PIECE), size = rnd(t, PIECE) + 1;
	if (!rnd(t, 4)) {
		size_t to = rnd(t, 3) ? rnd(t, SIZE_MAX_BYTES) : 0;
		want(t, vfs_set_size(o, to), FE_OK, "truncate", name);
		if (to > m->size)
			memset(m->bytes + m->size, 0, to - m->size);
		m->size = to;
		return;
	}
	if (!rnd(t, 3) && m->size + size < SIZE_MAX_BYTES)
		at = m->size;
	if (at > m->size)
		memset(m->bytes + m->size, 0, at - m->size);
	for (size_t i = 0; i < size; i++)
		m->bytes[at + i] = (uint8_t)rnd(t, 256);
	struct vfs_iov iov = {.p = m->bytes + at, .size = size};
	want(t, vfs_write(o, at, 0, &iov, 1, &done, &end), FE_OK, "write", name);
	if (done != size || end != at + size)
		fail(t, "what was written", name, FE_IO);
	if (at + size > m->size)
		m->size = at + size;
}

static void close_open(struct test *t)
{
	if (t->open)
		want(t, vfs_flush(t->open), FE_OK, "close", t->open_is);
	vfs_unref(t->open);
	t->open = NULL;
}

/* The name goes, or another file has it: what is open goes on without one. */
static void lose(struct test *t, int name)
{
	if (!t->open || t->open_is != name)
		return;
	memcpy(t->gone.bytes, t->files[name].bytes, t->files[name].size);
	t->gone.size = t->files[name].size;
	t->open_is = -1;
}

/* ---- operations ---- */

static void use(struct test *t, unsigned device, int name)
{
	struct model *m = &t->files[name];
	struct vfs_obj *o;
	unsigned flags = VFS_READ | VFS_WRITE | (rnd(t, 2) ? VFS_CREATE : 0);
	enum ferr e = vfs_open(t->root[device], path_of(name), flags, &o);
	want(t, e, m->there || flags & VFS_CREATE ? FE_OK : FE_NOENT, "open", name);
	if (e != FE_OK)
		return;
	if (!m->there)
		m->size = 0;
	m->there = true;
	for (unsigned n = rnd(t, 4); n; n--)
		(rnd(t, 2) ? change(t, o, m, name) : check(t, o, m, name));
	want(t, vfs_flush(o), FE_OK, "close", name);
	vfs_unref(o);
}

static void drop(struct test *t, int name)
{
	struct model *m = &t->files[name];
	lose(t, name);
	want(t, vfs_unlink(t->root[0], path_of(name)), m->there ? FE_OK : FE_NOENT, "unlink", name);
	m->there = false;
}

static void move(struct test *t, int from, int to)
{
	struct model *a = &t->files[from], *b = &t->files[to];
	if (a->there && from != to)
		lose(t, to);
	enum ferr e = vfs_rename(t->root[0], path_of(from), t->root[0], path_of(to));
	want(t, e, a->there ? FE_OK : FE_NOENT, "rename", from);
	if (e != FE_OK || from == to)
		return;
	memcpy(b->bytes, a->bytes, a->size);
	b->size = a->size;
	b->there = true;
	a->there = false;
	if (t->open && t->open_is == from)
		t->open_is = to;
}

static bool count(void *ctx, const struct vfs_dirent *e)
{
	*(unsigned *)ctx += e->type == VFS_TYPE_FILE;
	return true;
}

static void list(struct test *t)
{
	static const char *const folders[] = {".", "d", "d/e"};
	int which = (int)rnd(t, 3);
	unsigned found = 0;
	struct vfs_obj *o;
	want(t, vfs_open(t->root[rnd(t, 2)], folders[which], VFS_READ | VFS_DIRECTORY, &o), FE_OK,
	     "open of folder", which);
	want(t, vfs_readdir(o, 0, count, &found), FE_OK, "list", which);
	vfs_unref(o);
	if (found != (unsigned)t->files[2 * which].there + (unsigned)t->files[2 * which + 1].there)
		fail(t, "the number of names", which, FE_IO);
}

static void step(struct test *t)
{
	int name = (int)rnd(t, NAMES);
	switch (rnd(t, 10)) {
	case 0: drop(t, name); break;
	case 1: move(t, name, (int)rnd(t, NAMES)); break;
	case 2: list(t); break;
	case 3:
		close_open(t);
		t->open_is = name;
		if (t->files[name].there)
			want(t, vfs_open(t->root[0], path_of(name), VFS_READ | VFS_WRITE, &t->open),
			     FE_OK, "open", name);
		break;
	case 4:
		if (t->open)
			change(t, t->open, target(t, t->open_is), t->open_is);
		break;
	case 5:
		if (t->open)
			check(t, t->open, target(t, t->open_is), t->open_is);
		break;
	case 6: close_open(t); break;
	default:
		if (t->open && t->open_is == name)
			use(t, 0,
			    name); /* what is written here and not closed, others cannot know */
		else
			use(t, rnd(t, 2), name);
	}
}

static void prepare(struct test *t, char **argv)
{
	struct errmsg msg = {0};
	for (int i = 0; i < 2; i++) {
		char cache[512], name[8];
		struct cloud *c;
		snprintf(cache, sizeof cache, "%s/%d", argv[4], i);
		snprintf(name, sizeof name, "of-%d", i);
		struct cloud_config cfg = {.name = name,
		                           .url = argv[1],
		                           .user = argv[2],
		                           .secret = argv[3],
		                           .kind = argv[7] ? CLOUD_S3 : CLOUD_WEBDAV,
		                           .endpoint = argv[7],
		                           .cache_folder = cache};
		if (cloud_new(&cfg, &c, &msg) != ERR_OK) {
			printf("Bail out! %s\n", msg.text);
			exit(1);
		}
		t->root[i] = cloud_root(c);
		cloud_unref(c);
	}
	for (int i = 0; i < NAMES; i++)
		t->files[i].bytes = calloc(1, SIZE_MAX_BYTES);
	t->gone.bytes = calloc(1, SIZE_MAX_BYTES);
	want(t, vfs_mkdir(t->root[0], "d"), FE_OK, "mkdir", 0);
	want(t, vfs_mkdir(t->root[0], "d/e"), FE_OK, "mkdir", 1);
}

int main(int argc, char **argv)
{
	struct test t = {0};
	if (argc != 7 && argc != 8)
		return 2;
	t.seed = strtoull(argv[5], NULL, 10);
	prepare(&t, argv);
	for (uint64_t end = strtoull(argv[6], NULL, 10); t.number < end; t.number++)
		step(&t);
	close_open(&t);
	for (int i = 0; i < NAMES; i++)
		free(t.files[i].bytes);
	free(t.gone.bytes);
	vfs_unref(t.root[0]);
	vfs_unref(t.root[1]);
	printf("ok 1 - %s random operations, seed %s: what one device closes another one "
	       "reads\n1..1\n",
	       argv[6], argv[5]);
	return 0;
}
