/* family.c - hostile bytes as section "family" and the sections "wasi" and "linux" of each of its processes, one after the other.
 *
 * The input is tried as it is, and as changes of samples: two processes that share a pipe, an eventfd, an epoll, a pty, a file and a zombie,
 * and a pipe that two parts of a family write; the same as a part of a family, with a relative in another part. What was accepted is used as a
 * guest would.
 */
#include "open_files.h"

#include "node/sockets/socket_impl.h"
#include "node/process/wait.h"
#include "node/wali/family.h"
#include "node/wali/family_image.h"
#include "node/wali/far_requests.h"
#include "node/wali/funnel.h"
#include "node/wali/kinship.h"
#include "node/wali/objects.h"
#include "node/wali/sockets.h"
#include "node/wali/wali_state.h"
#include "node/wasi/wasi.h"
#include "vfs/memory.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the sample ---- */

static void no_wake(void *ctx)
{
}

static struct net *new_net(void)
{
	struct net *n;
	if (net_new(NULL, "fuzz", &n) != ERR_OK)
		abort();
	n->poke = no_wake; /* as in a node, whose loop never comes */
	return n;
}

/* One beyond was killed and is dead here; the first waits for what the other is asked. */
static void ask(struct family *f, struct task *first, struct task *t)
{
	struct task *killed = family_add(f, 500001, first, NULL);
	struct wali asker = {.family = f, .task = first};
	f->alive--;
	killed->away = t->away;
	killed->pending = 1 << 8;
	killed->alarm_ns = 1;
	kinships_bury(f);
	family_remove(f, killed);
	if (!far_request_new(&asker, t->pid, "migrate phone"))
		abort();
}

/* A relative in another part, which has not heard of the first one's change. */
static struct task *part(struct family *f, struct task *first)
{
	struct vfs_obj *ends[2];
	struct task *t = family_add(f, 500000, first, NULL);
	if (socket_pair(f->space, SOCKET_STREAM, 7, ends) != FE_OK)
		abort();
	f->alive--;
	f->pid_first = 1;
	f->pid_last = 400000;
	t->away = kinship_add(f, ends[0]);
	t->pending = 1 << 14;
	t->node_pid = 77;
	strcpy(t->device, "phone");
	vfs_unref(ends[1]);
	kinship_gave(t->away, 400001, 600000);
	f->terminal_at = t->away;
	f->input = (struct far_input){.size = 4, .wanted = true};
	family_changed(f, first);
	ask(f, first, t);
	return t;
}

static void unpart(struct family *f, struct task *t)
{
	struct kinship *c = t->away;
	family_remove(f, t);
	kinship_drop(f, c);
	far_requests_free(f);
	for (t = f->tasks; t; t = t->next)
		t->untold = 0;
	f->pid_first = f->pid_last = 0;
	f->terminal_at = NULL;
	f->has_untold = false;
}

/* Two tasks that are saved with the same insides. */
static void save_sample(struct wali *k, struct wasi *w, bool parted, struct wr *out)
{
	struct fdset *set;
	struct errmsg msg;
	struct wali *both[] = {k, k};
	struct family *f = wali_family(k);
	struct task *first = family_find(f, 7), *second = family_add(f, 8, first, NULL);
	struct task *zombie = family_add(f, 9, first, NULL);
	zombie->state = TASK_ZOMBIE;
	f->alive--;
	struct task *far = parted ? part(f, first) : NULL;
	if (fdset_new(&set) != ERR_OK || fdset_add(set, wasi_fds(w)) != ERR_OK ||
	    family_image_save(both, 2, set, wasi_ns(w), out, &msg) != ERR_OK)
		abort();
	for (int i = 0; i < 2; i++)
		if (wasi_save_in(w, set, out, &msg) != ERR_OK ||
		    wali_save_in(k, out, &msg) != ERR_OK)
			abort();
	fdset_free(set);
	if (far)
		unpart(f, far);
	family_remove(f, second);
	family_remove(f, zombie);
}

static void add_file(struct wali *k, struct vfs_obj *o, unsigned flags)
{
	uint32_t fd;
	struct vfs_file *f = vfs_file_new(o, NULL, NULL, flags);
	if (!f || fdtable_add(k->w->fds, f, 0, 0, &fd) != FE_OK)
		abort();
}

/* With bytes of before, and a frame. */
static void add_funnel(struct wali *k)
{
	size_t done;
	uint64_t end;
	struct vfs_obj *funnel, *lanes[FUNNEL_LANES];
	struct vfs_iov iov = {.p = "frame", .size = 5};
	if (funnel_new(k->family->space, 7, &funnel, lanes) != FE_OK ||
	    !funnel_fill(funnel, lanes[0], "before", 6) ||
	    vfs_write(lanes[1], 0, 0, &iov, 1, &done, &end) != FE_OK)
		abort();
	add_file(k, funnel, VFS_READ);
	for (int i = 0; i < FUNNEL_LANES; i++)
		add_file(k, lanes[i], VFS_WRITE);
}

static struct wr sample(bool parted)
{
	struct wr out = {0};
	struct wait wait;
	struct errmsg msg;
	struct wasi_config wc = {.wait = &wait, .ns = vfs_ns_new(), .fds = open_files()};
	struct wali_config c = {.pid = 7, .net = new_net()};
	struct wali *k;
	if (wasi_new(&wc, &c.wasi, &msg) != ERR_OK || wali_new(&c, &k) != ERR_OK)
		abort();
	stop_alarms(wali_family(k));
	add_funnel(k);
	save_sample(k, c.wasi, parted, &out);
	let_alarms(wali_family(k));
	wali_free(k);
	wasi_free(c.wasi);
	net_free(c.net);
	return out;
}

/* ---- trying ---- */

struct world {
	struct net *net;
	struct family_image *image;
	uint32_t pids[FAMILY_MEMBERS_MAX];
	uint32_t count, made;
	struct wasi *wasi[FAMILY_MEMBERS_MAX];
	struct wali *wali[FAMILY_MEMBERS_MAX];
	struct wait wait;
};

static enum err open_mount(void *ctx, struct vfs_mount_config *c, struct vfs_obj **root,
                           struct errmsg *msg)
{
	return vfs_memory_new(1 << 20, root) == FE_OK ? ERR_OK
	                                              : err_set(msg, ERR_NOMEM, "no memory");
}

static enum err open_stream(void *ctx, const char *name, struct vfs_obj **out, struct errmsg *msg)
{
	if (wali_open_stream(name, out) == ERR_OK)
		return ERR_OK;
	return err_set(msg, ERR_INVALID, "no such stream");
}

static enum err load_member(struct rd *in, struct world *w, struct errmsg *msg)
{
	uint32_t i = w->made;
	struct wali_config c = {.pid = w->pids[i], .image = w->image, .net = w->net};
	TRY(wasi_load_in(in, family_image_set(w->image), &w->wait, &w->wasi[i], msg));
	c.wasi = w->wasi[i];
	w->made++;
	return wali_load(in, &c, &w->wali[i], msg);
}

static enum err load(struct rd in, struct world *w, struct errmsg *msg)
{
	struct fdtable_loader l = {
	    .open_mount = open_mount, .open_stream = open_stream, .load_object = wali_load_object};
	uint32_t leader;
	TRY(family_image_members(in, &leader, w->pids, &w->count, msg));
	TRY(family_image_load(&in, &l, &w->image, msg));
	for (uint32_t i = 0; i < w->count; i++)
		if (w->pids[i] == leader) {
			w->pids[i] = w->pids[0];
			w->pids[0] = leader;
		}
	while (w->made < w->count)
		TRY(load_member(&in, w, msg));
	return family_image_check(w->image, msg);
}

static void end(struct world *w)
{
	for (uint32_t i = 0; i < w->made; i++) {
		wali_free(w->wali[i]);
		wasi_free(w->wasi[i]);
	}
	family_image_free(w->image);
	net_free(w->net);
}

static struct wr save(struct world *w)
{
	struct wr out = {0};
	struct errmsg msg;
	struct fdset *set;
	if (fdset_new(&set) != ERR_OK)
		abort();
	for (uint32_t i = 0; i < w->count; i++)
		if (fdset_add(set, wasi_fds(w->wasi[i])) != ERR_OK)
			abort();
	if (family_image_save(w->wali, w->count, set, wasi_ns(w->wasi[0]), &out, &msg) != ERR_OK)
		abort();
	for (uint32_t i = 0; i < w->count; i++)
		if (wasi_save_in(w->wasi[i], set, &out, &msg) != ERR_OK ||
		    wali_save_in(w->wali[i], &out, &msg) != ERR_OK)
			abort();
	fdset_free(set);
	return out;
}

static void use_file(struct vfs_file *f)
{
	uint8_t bytes[5000] = {7};
	struct vfs_iov iov = {.p = bytes, .size = sizeof bytes};
	struct vfs_stat st;
	size_t done;
	uint64_t end;
	if (!vfs_is_funnel(f->obj) && !vfs_is_lane(f->obj))
		return;
	vfs_ready(f->obj, VFS_READABLE | VFS_WRITABLE);
	(void)vfs_stat(f->obj, &st);
	(void)vfs_write(f->obj, 0, 0, &iov, 1, &done, &end);
	(void)vfs_read(f->obj, 0, &iov, 1, &done);
	vfs_ready(f->obj, VFS_READABLE | VFS_WRITABLE);
}

static void use(struct world *w)
{
	for (uint32_t i = 0; i < w->made; i++)
		wali_go_sockets(w->wali[i]);
	for (int round = 0; round < 2; round++)
		for (uint32_t i = 0; fdset_file(family_image_set(w->image), i); i++)
			use_file(fdset_file(family_image_set(w->image), i));
}

/* Loads and writes again; empty when it is refused. */
static struct wr again(const uint8_t *data, size_t size)
{
	struct world w = {.net = new_net()};
	struct errmsg msg = {0};
	struct wr out = {0};
	if (load(rd_of(data, size), &w, &msg) == ERR_OK) {
		out = save(&w);
		use(&w);
	} else if (!msg.text[0]) {
		abort();
	}
	end(&w);
	return out;
}

/* What is accepted can be written, and is then the same each time. */
static void try_it(const uint8_t *data, size_t size, bool must)
{
	struct wr a = again(data, size);
	if (must && !a.size)
		abort();
	if (!a.size)
		return;
	struct wr b = again(a.data, a.size);
	if (a.size != b.size || memcmp(a.data, b.data, a.size) != 0)
		abort();
	wr_free(&a);
	wr_free(&b);
}

static void try_sample(const uint8_t *data, size_t size, bool parted)
{
	struct wr w = sample(parted);
	/* Triples: where to change the sample, to what. */
	for (size_t i = 0; i + 2 < size; i += 3)
		w.data[(size_t)(data[i] | data[i + 1] << 8) % w.size] ^= data[i + 2];
	try_it(w.data, w.size, size < 3);
	wr_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_it(data, size, false);
	try_sample(data, size, false);
	try_sample(data, size, true);
	return 0;
}
