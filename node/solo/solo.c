/* solo.c - one program, one thread, the host's standard streams. */
#include "node/solo/solo.h"

#include "base/os.h"
#include "engine/engine.h"
#include "node/solo/solo_process.h"
#include "node/solo/solo_screen.h"
#include "node/wasi/wasi.h"
#include "vfs/host.h"
#include "vfs/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct solo {
	const uint8_t *bytes; /* the module's file, mapped or copied */
	size_t size;
	uint8_t *copy; /* NULL: mapped */
	struct solo_process p;
	struct solo_screen *screen;
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
	                        .wait = &s->p.wait};
	c.ns = vfs_ns_new();
	enum err e = c.ns ? fdtable_new(&c.fds) : ERR_NOMEM;
	if (e == ERR_OK)
		e = add_files(cfg, c.ns, c.fds, msg);
	if (e == ERR_OK)
		return wasi_new(&c, &s->p.wasi, msg);
	fdtable_free(c.fds);
	vfs_ns_free(c.ns);
	return msg->text[0] ? e : err_set(msg, e, "files: %s", err_text(e));
}

/* ---- screen ---- */

static uint64_t guest_clock(void *ctx)
{
	return wasi_clock_ns(ctx);
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
	TRY(os_wake_init(&s->p.wake));
	s->has_wake = true;
	TRY(map_file(s, cfg->path, may_write_files(cfg), msg));
	enum err e = module_load_lazy(s->bytes, s->size, false, &s->p.module, msg);
	if (e != ERR_OK)
		return err_prefix(msg, e, "%s", cfg->path);
	TRY(make_wasi(s, cfg, msg));
	TRY(solo_screen_new(cfg, &s->p.wait, &s->p.wake, guest_clock, s->p.wasi, &s->screen, msg));
	s->p.more = drivers_resolver(solo_screen_drivers(s->screen));
	s->p.max_memory_pages = cfg->max_memory_pages;
	drivers_start(solo_screen_drivers(s->screen));
	e = solo_process_start(&s->p, msg);
	return e == ERR_OK ? e : err_prefix(msg, e, "%s", cfg->path);
}

static void solo_free(struct solo *s)
{
	solo_process_end(&s->p);
	solo_screen_free(s->screen);
	wasi_free(s->p.wasi);
	if (s->p.module)
		module_unref(s->p.module);
	if (!s->copy)
		os_unmap_file(s->bytes, s->size);
	free(s->copy);
	if (s->has_wake)
		os_wake_free(&s->p.wake);
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
		solo_process_run(&s->p, status);
	if (e != ERR_OK && !msg->text[0])
		err_set(msg, e, "%s: %s", cfg->path, err_text(e));
	solo_free(s);
	return e;
}
