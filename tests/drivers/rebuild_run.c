/* rebuild_run.c - runs a program with a screen and rebuilds it all the time while it runs.
 *
 *	rebuild-run N --dir HOST::GUEST... PROG.wasm ARGS...
 *
 * At every Nth safepoint the engine's store, with its memory, and the drivers become bytes, are freed, and are
 * rebuilt from the bytes; what they then write is compared with what they were built from. Frames are not
 * paced. At the end the frames, their hash and the number of rebuilds are told on standard error.
 */
#include "base/os.h"
#include "engine/engine.h"
#include "node/drivers/drivers.h"
#include "node/process/wait.h"
#include "node/wasi/wasi.h"
#include "vfs/host.h"
#include "vfs/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct run {
	struct wait wait;
	struct os_wake wake;
	struct wasi *wasi;
	struct hosts *hosts;
	struct drivers *drivers;
	struct module *module;
	struct store *store;
	struct thread *thread;
	unsigned rebuilds;
};

static void check(enum err e, const char *what, const struct errmsg *msg)
{
	if (e == ERR_OK)
		return;
	fprintf(stderr, "rebuild-run: %s: %s: %s\n", what, err_name(e), msg->text);
	exit(1);
}

static void on_poke(void *ctx)
{
	os_wake_post(&((struct run *)ctx)->wake);
}

static struct drivers_config drivers_config_of(struct run *r)
{
	return (struct drivers_config){.hosts = r->hosts,
	                               .screen = SCREEN_HEADLESS,
	                               .name = "rebuild",
	                               .wait = &r->wait,
	                               .poke = on_poke,
	                               .ctx = r,
	                               .frame_hash = true,
	                               .unpaced = true};
}

static bool resolve(void *ctx, const char *module, const char *name, const char *type, host_fn *fn,
                    void **env)
{
	struct run *r = ctx;
	struct host_resolver wasi = wasi_resolver(r->wasi), screen = drivers_resolver(r->drivers);

	return wasi.resolve(wasi.ctx, module, name, type, fn, env) ||
	       screen.resolve(screen.ctx, module, name, type, fn, env);
}

static struct module *find_module(void *ctx, const uint8_t hash[32])
{
	struct run *r = ctx;

	return memcmp(hash, module_hash(r->module), 32) == 0 ? r->module : NULL;
}

/* ---- start ---- */

static void add_streams(struct fdtable *fds)
{
	static const char *const names[] = {"stdin", "stdout", "stderr"};
	uint32_t fd;

	for (int i = 0; i < 3; i++) {
		struct vfs_obj *o = vfs_hostfd_new(i, false);
		struct vfs_file *f = vfs_file_new(o, NULL, NULL, i ? VFS_WRITE : VFS_READ);
		snprintf(f->stream, sizeof(f->stream), "%s", names[i]);
		fdtable_add(fds, f, rights_of_type(VFS_TYPE_STREAM), 0, &fd);
	}
}

static void add_dir(char *text, struct vfs_ns *ns, struct fdtable *fds)
{
	char *guest = strstr(text, "::");
	struct vfs_mount_config c = {.host = text, .guest = text, .kind = VFS_MOUNT_HOST};
	struct errmsg msg = {0};
	struct vfs_mount *mount;
	struct vfs_obj *root;
	uint32_t fd;

	if (guest != NULL) {
		*guest = '\0';
		c.guest = guest + 2;
	}
	check(vfs_host_new(text, VFS_WALK_BEST, &root, &msg), text, &msg);
	check(vfs_ns_add(ns, &c, root, &mount), text, &msg);
	fdtable_preopen(fds, mount, &fd);
}

/* Returns the index of the program's name in argv. */
static int make_wasi(struct run *r, int argc, char **argv)
{
	static const char *const env[] = {"HOME=/save"};
	struct wasi_config c = {.env = env, .nenv = 1, .wait = &r->wait, .ns = vfs_ns_new()};
	struct errmsg msg = {0};
	int i = 2;

	check(fdtable_new(&c.fds), "files", &msg);
	add_streams(c.fds);
	for (; i + 1 < argc && strcmp(argv[i], "--dir") == 0; i += 2)
		add_dir(argv[i + 1], c.ns, c.fds);
	check(wasi_add_tmp(c.ns, c.fds), "files", &msg);
	c.args = (const char *const *)argv + i;
	c.nargs = (uint32_t)(argc - i);
	check(wasi_new(&c, &r->wasi, &msg), "WASI", &msg);
	return i;
}

static uint8_t *read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *bytes = NULL;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (bytes = malloc((size_t)ftell(f))) == NULL) {
		perror(path);
		exit(1);
	}
	*size = (size_t)ftell(f);
	rewind(f);
	*size = fread(bytes, 1, *size, f);
	fclose(f);
	return bytes;
}

static void start(struct run *r, const char *path)
{
	struct host_resolver res = {.resolve = resolve, .ctx = r};
	struct drivers_config dc = drivers_config_of(r);
	struct store_config sc = {0};
	struct errmsg msg = {0};
	struct instance *instance;
	size_t size;
	uint8_t *bytes = read_file(path, &size);

	check(module_load(bytes, size, true, &r->module, &msg), path, &msg);
	check(hosts_new(&(struct hosts_config){0}, &r->hosts), "hosts", &msg);
	check(drivers_new(&dc, &r->drivers), "drivers", &msg);
	drivers_start(r->drivers);
	check(store_new(&sc, &r->store), "store", &msg);
	check(store_instantiate(r->store, r->module, &res, &instance, &msg), path, &msg);
	check(thread_new(r->store, &r->thread), "thread", &msg);
	check(thread_call_export(r->thread, instance, "_start", NULL, 0, &msg), path, &msg);
}

/* ---- rebuilding ---- */

static void compare(const struct wr *a, const struct wr *b, const char *what)
{
	if (a->size == b->size && memcmp(a->data, b->data, a->size) == 0)
		return;
	fprintf(stderr, "rebuild-run: the %s writes other bytes than it was built from\n", what);
	exit(1);
}

static void rebuild_drivers(struct run *r)
{
	struct drivers_config dc = drivers_config_of(r);
	struct wr a = {0}, b = {0};
	struct errmsg msg = {0};

	check(drivers_save(r->drivers, &a), "drivers_save", &msg);
	drivers_free(r->drivers);
	struct rd in = rd_of(a.data, a.size);
	check(drivers_load(&in, &dc, &r->drivers, &msg), "drivers_load", &msg);
	check(drivers_save(r->drivers, &b), "drivers_save", &msg);
	compare(&a, &b, "drivers");
	drivers_start(r->drivers);
	wr_free(&a);
	wr_free(&b);
}

static void rebuild_store(struct run *r, uint64_t every)
{
	struct host_resolver res = {.resolve = resolve, .ctx = r};
	struct module_finder finder = {find_module, r};
	struct wr a = {0}, b = {0};
	struct errmsg msg = {0};

	check(store_save(r->store, SAVE_MEMORY, &a), "store_save", &msg);
	store_free(r->store);
	struct rd in = rd_of(a.data, a.size);
	check(store_load(&in, &finder, &res, &r->store, &msg), "store_load", &msg);
	check(store_save(r->store, SAVE_MEMORY, &b), "store_save", &msg);
	compare(&a, &b, "store");
	r->thread = store_thread(r->store, 0);
	thread_stop_every(r->thread, every);
	wr_free(&a);
	wr_free(&b);
}

static void wait_for_it(struct run *r)
{
	os_wait(&r->wake, r->wait.on, (int)r->wait.count, r->wait.deadline_ns);
}

static void run(struct run *r, uint64_t every)
{
	thread_stop_every(r->thread, every);
	for (;;) {
		wait_clear(&r->wait);
		switch (thread_run(r->thread)) {
		case RUN_STOPPED:
			r->rebuilds++;
			rebuild_drivers(r);
			rebuild_store(r, every);
			break;
		case RUN_BLOCKED: wait_for_it(r); break;
		default: return;
		}
	}
}

static void tell(struct run *r)
{
	struct drivers_stats st;

	drivers_stats(r->drivers, &st);
	fprintf(stderr, "wasmos: %llu frames, hash ", (unsigned long long)st.frames);
	for (size_t i = 0; i < sizeof(st.hash); i++)
		fprintf(stderr, "%02x", st.hash[i]);
	fprintf(stderr, "\nrebuild-run: rebuilt %u times\n", r->rebuilds);
}

int main(int argc, char **argv)
{
	static struct run r;
	struct errmsg msg = {0};
	uint64_t every = argc > 2 ? strtoull(argv[1], NULL, 10) : 0;

	if (every == 0) {
		fprintf(stderr, "usage: rebuild-run N [--dir HOST::GUEST]... PROG.wasm ARGS...\n");
		return 2;
	}
	check(os_wake_init(&r.wake), "wake", &msg);
	start(&r, argv[make_wasi(&r, argc, argv)]);
	run(&r, every);
	tell(&r);
	store_free(r.store);
	drivers_free(r.drivers);
	hosts_free(r.hosts);
	wasi_free(r.wasi);
	module_unref(r.module);
	os_wake_free(&r.wake);
	return 0;
}
