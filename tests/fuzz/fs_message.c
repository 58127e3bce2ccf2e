/* fs_message.c - hostile requests to a home, and hostile answers to a process elsewhere.
 *
 * Input: pieces of u16 size and bytes. The first byte of all says which side they go to: 0 a home, 1 a process that waits for each write, 3 one that does not.
 */
#include "vfs/memory.h"
#include "vfs/remote.h"
#include "vfs/serve.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool next_piece(struct rd *in, struct rd *piece)
{
	uint16_t size;
	return rd_u16(in, &size) == ERR_OK &&
	       rd_sub(in, size < rd_left(in) ? size : rd_left(in), piece) == ERR_OK;
}

/* A home with a folder d, a file d/f, a link, mounted twice: 1, and 2 read-only. */
static void serve(struct rd *in)
{
	static const uint8_t home[VFS_DEVICE_ID_BYTES] = {1};
	struct vfs_mount_config a = {.guest = "/", .kind = VFS_MOUNT_HOST};
	struct vfs_mount_config b = {.guest = "/fixed", .kind = VFS_MOUNT_HOST, .read_only = true};
	struct vfs_ns *ns = vfs_ns_new();
	struct vfs_export *x;
	struct vfs_obj *root, *f;
	struct rd piece;
	if (vfs_memory_new(1 << 20, &root) != FE_OK || vfs_mkdir(root, "d") != FE_OK ||
	    vfs_open(root, "d/f", VFS_WRITE | VFS_CREATE, &f) != FE_OK ||
	    vfs_symlink(root, "d/f", "l") != FE_OK)
		abort();
	vfs_unref(f);
	vfs_ns_add(ns, &a, vfs_ref(root), NULL);
	vfs_ns_add(ns, &b, root, NULL);
	if (vfs_export_new(ns, NULL, home, &x) != ERR_OK)
		abort();
	while (next_piece(in, &piece)) {
		struct wr answer = {0};
		enum err e = vfs_export_request(x, piece.p, rd_left(&piece), &answer);
		if ((e == ERR_OK) != (answer.size >= 2))
			abort();
		wr_free(&answer);
	}
	vfs_export_free(x);
	vfs_ns_free(ns);
}

/* Writes that are not waited for: each is answered by a thread of its own. */
struct answers {
	pthread_mutex_t lock;
	pthread_cond_t done;
	unsigned open;
	struct rd *in;
};

struct reply {
	struct answers *answers;
	vfs_remote_done fn;
	void *arg;
};

static void *reply(void *arg)
{
	struct reply *r = arg;
	struct answers *a = r->answers;
	struct rd piece = {0};
	pthread_mutex_lock(&a->lock);
	enum err e = next_piece(a->in, &piece) ? ERR_OK : ERR_TIMEOUT;
	pthread_mutex_unlock(&a->lock);
	r->fn(r->arg, e, piece.p, e == ERR_OK ? rd_left(&piece) : 0);
	free(r);
	pthread_mutex_lock(&a->lock);
	a->open--;
	pthread_cond_signal(&a->done);
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

static enum err post_piece(void *ctx, const uint8_t *request, size_t size, vfs_remote_done done,
                           void *arg)
{
	struct answers *a = ctx;
	pthread_t thread;
	struct reply *r = malloc(sizeof *r);
	if (!r)
		abort();
	*r = (struct reply){.answers = a, .fn = done, .arg = arg};
	pthread_mutex_lock(&a->lock);
	a->open++;
	pthread_mutex_unlock(&a->lock);
	if (pthread_create(&thread, NULL, reply, r) != 0 || pthread_detach(thread) != 0)
		abort();
	return ERR_OK;
}

static bool see(void *ctx, const struct vfs_dirent *e)
{
	if (!e->name_size || memchr(e->name, '/', e->name_size) || memchr(e->name, 0, e->name_size))
		abort();
	return --*(int *)ctx > 0;
}

static void use_file(struct vfs_obj *o)
{
	static uint8_t buf[300000];
	struct vfs_iov iov = {buf, sizeof buf};
	struct vfs_stat st;
	size_t done;
	uint64_t end;
	int left = 1000;
	for (uint64_t at = 0; at < 600000; at += 200000) {
		if (vfs_read(o, at, &iov, 1, &done) == FE_OK && done > sizeof buf)
			abort();
		iov.size = 1000;
		if (vfs_write(o, at, 0, &iov, 1, &done, &end) == FE_OK && done > iov.size)
			abort();
		iov.size = sizeof buf;
	}
	vfs_readdir(o, 0, see, &left);
	vfs_stat(o, &st);
	vfs_set_size(o, 5);
}

static enum err give_piece(void *ctx, const uint8_t *request, size_t size, bool may_repeat,
                           struct wr *answer)
{
	struct answers *a = ctx;
	struct rd piece;
	pthread_mutex_lock(&a->lock);
	enum err e = next_piece(a->in, &piece) ? ERR_OK : ERR_TIMEOUT;
	pthread_mutex_unlock(&a->lock);
	if (e == ERR_OK)
		wr_bytes(answer, piece.p, rd_left(&piece));
	return e;
}

/* A process elsewhere, whose home lies. */
static void ask(struct rd *in, bool waits)
{
	struct answers a = {.in = in};
	struct vfs_remote_config c = {.call = give_piece,
	                              .post = waits ? NULL : post_piece,
	                              .ctx = &a,
	                              .cache_bytes = 1 << 20};
	pthread_mutex_init(&a.lock, NULL);
	pthread_cond_init(&a.done, NULL);
	struct vfs_saved s = {.handle = 3, .path = "d/f", .flags = 3, .type = VFS_TYPE_FILE};
	struct vfs_remote *r;
	struct vfs_obj *o;
	struct vfs_stat st;
	char text[64];
	size_t size = sizeof text;
	int left = 1000;
	if (vfs_remote_new(&c, &r) != FE_OK)
		abort();
	struct vfs_obj *root = vfs_remote_mount(r, 1);
	vfs_remote_unref(r);
	vfs_readdir(root, 0, see, &left);
	if (vfs_readlink(root, "l", text, &size) == FE_OK && size > sizeof text)
		abort();
	vfs_stat_at(root, "d", true, &st);
	if (vfs_reopen(root, &s, &o) == FE_OK) {
		use_file(o);
		vfs_unref(o);
	}
	for (int i = 0; i < 3; i++)
		if (vfs_open(root, "d/f", VFS_READ | VFS_WRITE, &o) == FE_OK) {
			use_file(o);
			vfs_unref(o);
		}
	vfs_unref(root);
	pthread_mutex_lock(&a.lock);
	while (a.open)
		pthread_cond_wait(&a.done, &a.lock);
	pthread_mutex_unlock(&a.lock);
	pthread_cond_destroy(&a.done);
	pthread_mutex_destroy(&a.lock);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_of(data, size);
	uint8_t side;
	if (rd_u8(&in, &side) != ERR_OK)
		return 0;
	if (side & 1)
		ask(&in, !(side & 2));
	else
		serve(&in);
	return 0;
}
