/* solo.c - one program, one thread, the host's standard streams. */
#include "node/solo.h"

#include "base/os.h"
#include "engine/engine.h"
#include "node/solo_screen.h"
#include "node/wasi.h"
#include "vfs/host.h"
#include "vfs/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct solo {
	const uint8_t *bytes; /* the module's file, mapped or copied */
	size_t size;
	uint8_t *copy; /* NULL: mapped */
	struct module *module;
	struct store *store;
	struct instance *instance;
	struct thread *thread;
	struct wasi *wasi;
	struct solo_screen *screen;
	struct wait wait;
	struct os_wake wake;
	bool has_wake;
};

/* ---- files ---- */

static enum err add_streams(struct fdtable *fds)
{
	static const char *const names[] = {"stdin", "stdout", "stderr"};
	for (int i = 0; i < 3; i++) {
		uint32_t fd;
		struct vfs_obj *o = vfs_hostfd_new(i, false);
		struct vfs_file *f =
		    o ? vfs_file_new(o, NULL, NULL, i ? VFS_WRITE : VFS_READ) : NULL;
		if (!f)
			return ERR_NOMEM;
		strcpy(f->stream, names[i]);
		uint64_t rights =
		    rights_of_type(vfs_has_offset(o) ? VFS_TYPE_FILE : VFS_TYPE_STREAM);
		if (fdtable_add(fds, f, rights, 0, &fd) != FE_OK)
			return ERR_NOMEM;
	}
	return ERR_OK;
}

static enum err add_mount(const struct process_mount *m, struct vfs_ns *ns, struct fdtable *fds,
                          struct errmsg *msg)
{
	struct vfs_mount_config c = {
	    .guest = m->guest, .host = m->host, .kind = VFS_MOUNT_HOST, .read_only = m->readonly};
	struct vfs_mount *mount;
	struct vfs_obj *root;
	uint32_t fd;
	TRY(vfs_host_new(m->host, VFS_WALK_BEST, &root, msg));
	enum err e = vfs_ns_add(ns, &c, root, &mount);
	if (e != ERR_OK)
		return err_set(msg, e, "folder %s at %s: %s", m->host, m->guest, err_text(e));
	return fdtable_preopen(fds, mount, &fd) == FE_OK ? ERR_OK : ERR_LIMIT;
}

static enum err add_files(const struct process_config *cfg, struct vfs_ns *ns, struct fdtable *fds,
                          struct errmsg *msg)
{
	TRY(add_streams(fds));
	for (uint32_t i = 0; i < cfg->nmounts; i++)
		TRY(add_mount(&cfg->mounts[i], ns, fds, msg));
	return wasi_add_tmp(ns, fds);
}

static enum err make_wasi(struct solo *s, const struct process_config *cfg, struct errmsg *msg)
{
	struct wasi_config c = {.args = (const char *const *)cfg->argv,
	                        .nargs = cfg->argc,
	                        .env = (const char *const *)cfg->env,
	                        .nenv = cfg->nenv,
	                        .wait = &s->wait};
	c.ns = vfs_ns_new();
	enum err e = c.ns ? fdtable_new(&c.fds) : ERR_NOMEM;
	if (e == ERR_OK)
		e = add_files(cfg, c.ns, c.fds, msg);
	if (e == ERR_OK)
		return wasi_new(&c, &s->wasi, msg);
	fdtable_free(c.fds);
	vfs_ns_free(c.ns);
	return msg->text[0] ? e : err_set(msg, e, "files: %s", err_text(e));
}

/* ---- screen ---- */

static uint64_t guest_clock(void *ctx)
{
	return wasi_clock_ns(ctx);
}

static bool resolve(void *ctx, const char *module, const char *name, const char *type, host_fn *fn,
                    void **env)
{
	struct solo *s = ctx;
	struct host_resolver r = wasi_resolver(s->wasi);
	if (r.resolve(r.ctx, module, name, type, fn, env))
		return true;
	r = drivers_resolver(solo_screen_drivers(s->screen));
	return r.resolve(r.ctx, module, name, type, fn, env);
}

/* ---- the program ---- */

/* Bodies are translated from the module's bytes long after they were checked. A guest that can write anywhere
 * might write into its own file meanwhile, so then the bytes are copied; else a mapping saves the time. */
static bool may_write_files(const struct process_config *cfg)
{
	for (uint32_t i = 0; i < cfg->nmounts; i++)
		if (!cfg->mounts[i].readonly)
			return true;
	return false;
}

static enum err copy_bytes(struct solo *s, const char *path, struct errmsg *msg)
{
	uint8_t *copy = malloc(s->size);
	if (!copy)
		return err_set(msg, ERR_NOMEM, "%s: out of memory", path);
	memcpy(copy, s->bytes, s->size);
	os_unmap_file(s->bytes, s->size);
	s->bytes = s->copy = copy;
	return ERR_OK;
}

static enum err map_file(struct solo *s, const char *path, bool copy, struct errmsg *msg)
{
	enum err e = os_map_file(path, &s->bytes, &s->size);
	switch (e) {
	case ERR_OK: return copy ? copy_bytes(s, path, msg) : ERR_OK;
	case ERR_INVALID:
		return err_set(msg, ERR_MALFORMED, "%s: not a regular file, or an empty one", path);
	case ERR_NOTFOUND: return err_set(msg, e, "%s: No such file or directory", path);
	default: return err_set(msg, e, "%s: %s", path, err_text(e));
	}
}

static enum err load(struct solo *s, const struct process_config *cfg, struct errmsg *msg)
{
	struct store_config sc = {.max_memory_pages = cfg->max_memory_pages};
	TRY(os_wake_init(&s->wake));
	s->has_wake = true;
	TRY(map_file(s, cfg->path, may_write_files(cfg), msg));
	enum err e = module_load_lazy(s->bytes, s->size, false, &s->module, msg);
	if (e != ERR_OK)
		return err_prefix(msg, e, "%s", cfg->path);
	TRY(make_wasi(s, cfg, msg));
	TRY(solo_screen_new(cfg, &s->wait, &s->wake, guest_clock, s->wasi, &s->screen, msg));
	TRY(store_new(&sc, &s->store));
	struct host_resolver r = {.resolve = resolve, .ctx = s};
	e = store_instantiate(s->store, s->module, &r, &s->instance, msg);
	if (e != ERR_OK)
		return err_prefix(msg, e, "%s", cfg->path);
	return thread_new(s->store, &s->thread);
}

static void wait_for_it(struct solo *s)
{
	os_wait(&s->wake, s->wait.on, (int)s->wait.count, s->wait.deadline_ns);
}

/* Runs the call that stands on the thread to its end. False: it trapped or the program exited. */
static bool run_call(struct solo *s, int *status)
{
	char where[128] = "";
	for (;;) {
		wait_clear(&s->wait);
		switch (thread_run(s->thread)) {
		case RUN_DONE: return true;
		case RUN_STOPPED: break;
		case RUN_BLOCKED: wait_for_it(s); break;
		case RUN_EXITED: *status = (int)(wasi_exit_code(s->wasi) & 0xff); return false;
		case RUN_TRAPPED: {
			const char *text = thread_trap_text(s->thread, where, sizeof where);
			fprintf(stderr, "wasmos: trap: %s in %s\n", text, where);
			*status = 134;
			return false;
		}
		}
	}
}

static enum err run(struct solo *s, const char *path, int *status, struct errmsg *msg)
{
	*status = 0;
	drivers_start(solo_screen_drivers(s->screen));
	enum err e = thread_call_start(s->thread, s->instance);
	if (e == ERR_OK && !run_call(s, status))
		return ERR_OK;
	if (e != ERR_OK && e != ERR_NOTFOUND)
		return err_prefix(msg, e, "%s", path);
	e = thread_call_export(s->thread, s->instance, "_start", NULL, 0, msg);
	if (e == ERR_NOTFOUND)
		return err_set(
		    msg, ERR_INVALID,
		    "%s: no function \"_start\" is exported: it is a library, not a program", path);
	TRY(e);
	run_call(s, status);
	return ERR_OK;
}

static void solo_free(struct solo *s)
{
	if (s->store)
		store_free(s->store);
	solo_screen_free(s->screen);
	wasi_free(s->wasi);
	if (s->module)
		module_unref(s->module);
	if (!s->copy)
		os_unmap_file(s->bytes, s->size);
	free(s->copy);
	if (s->has_wake)
		os_wake_free(&s->wake);
	free(s);
}

enum err solo_run(const struct process_config *cfg, int *status, struct errmsg *msg)
{
	struct errmsg own = {0};
	struct solo *s = calloc(1, sizeof *s);
	if (!msg)
		msg = &own;
	msg->text[0] = 0;
	if (!s)
		return err_set(msg, ERR_NOMEM, "out of memory");
	os_ignore_broken_pipes();
	enum err e = load(s, cfg, msg);
	if (e == ERR_OK)
		e = run(s, cfg->path, status, msg);
	if (e != ERR_OK && !msg->text[0])
		err_set(msg, e, "%s: %s", cfg->path, err_text(e));
	solo_free(s);
	return e;
}
