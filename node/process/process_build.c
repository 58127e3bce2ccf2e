/* process_build.c - module, store, WASI and drivers of a process: new ones, or rebuilt from sections. */
#include "node/folders/folders.h"
#include "node/links/net_files.h"
#include "node/process/process_build.h"

#include "base/arena.h"
#include "base/os.h"
#include "engine/engine.h"
#include "node/drivers/drivers.h"
#include "node/links/fs_remote.h"
#include "node/process/kin.h"
#include "node/process/modules.h"
#include "node/node.h"
#include "node/control/questions.h"
#include "node/wali/family.h"
#include "node/wali/family_image.h"
#include "node/wali/objects.h"
#include "node/wali/wali.h"
#include "node/wasi/wasi.h"
#include "vfs/host.h"

#include <stdlib.h>
#include <string.h>

struct build {
	struct arena arena; /* everything below points into it */
	struct process_config cfg;
	struct process_sections sections;
};

/* ---- drivers ---- */

static void on_poke(void *ctx)
{
	process_wake(ctx);
}

static void on_shown(void *ctx)
{
	struct process *p = ctx;
	atomic_store(&p->has_shown, true);
	uv_async_send(&p->node->mailbox.async);
}

/* An instant of the guest's clock on ours. */
static uint64_t host_time(void *ctx, uint64_t guest_ns)
{
	struct process *p = ctx;
	uint64_t now = os_monotonic_ns(), guest_now = wasi_clock_ns(p->wasi);
	if (guest_ns <= guest_now)
		return now;
	uint64_t ahead = guest_ns - guest_now;
	return ahead > UINT64_MAX - now ? UINT64_MAX : now + ahead;
}

enum { SCREEN_QUEUE_MAX = 256 * 1024 }; /* a person who reads slower than that misses frames */

static size_t screen_write(void *ctx, const uint8_t *bytes, size_t size)
{
	struct process *p = ctx;
	if (tty_queued(p->tty) > SCREEN_QUEUE_MAX)
		return 0;
	tty_draw(p->tty, bytes, size);
	return size;
}

static bool screen_size(void *ctx, uint16_t *cols, uint16_t *rows)
{
	struct process *p = ctx;
	tty_size(p->tty, cols, rows);
	return tty_watched(p->tty);
}

static void screen_raw(void *ctx, bool raw)
{
	struct process *p = ctx;
	tty_set_raw(p->tty, raw);
}

static void screen_interrupt(void *ctx)
{
	struct process *p = ctx;
	atomic_store(&p->was_interrupted, true);
	uv_async_send(&p->node->mailbox.async);
}

static struct host_tty screen_tty(struct process *p)
{
	return (struct host_tty){.write = screen_write,
	                         .size = screen_size,
	                         .set_raw = screen_raw,
	                         .interrupt = screen_interrupt,
	                         .ctx = p};
}

static enum err drivers_config(struct process *p, struct drivers_config *out, struct errmsg *msg)
{
	const char *display = p->display.display ? p->display.display : p->node->cfg.display;
	*out = (struct drivers_config){
	    .hosts = p->node->hosts,
	    .screen = SCREEN_AUTO,
	    .name = p->name,
	    .wait = &p->wait,
	    .poke = on_poke,
	    .shown = on_shown,
	    .host_time_ns = host_time,
	    .ctx = p,
	    .frame_hash = p->display.frame_hash,
	    .unpaced = p->display.unpaced,
	};
	if (tty_is_terminal(p->tty, TTY_OUT))
		out->tty = screen_tty(p);
	if (display && !screen_kind_parse(display, &out->screen))
		return err_set(msg, ERR_INVALID, "there is no display called \"%s\"", display);
	return ERR_OK;
}

/* ---- imports ---- */

/* WASI first, then Linux, then the module "wasmos". */
static bool resolve(void *ctx, const char *module, const char *name, const char *type, host_fn *fn,
                    void **env)
{
	struct process *p = ctx;
	struct host_resolver r = wasi_resolver(p->wasi);
	if (r.resolve(r.ctx, module, name, type, fn, env))
		return true;
	r = p->wali ? wali_resolver(p->wali) : r;
	if (p->wali && r.resolve(r.ctx, module, name, type, fn, env))
		return true;
	r = drivers_resolver(p->drivers);
	return r.resolve(r.ctx, module, name, type, fn, env);
}

/* ---- what a Linux program asks of its worker ---- */

static bool linux_tty_size(void *ctx, uint16_t *cols, uint16_t *rows)
{
	struct process *p = ctx;
	tty_size(p->terminal, cols, rows);
	return true;
}

static void linux_tty_set(void *ctx, const struct family_terminal *t)
{
	struct process *p = ctx;
	struct tty_line_settings s = {.iflag = t->iflag, .lflag = t->lflag};
	memcpy(s.cc, t->cc, sizeof s.cc);
	if (tty_is_terminal(p->terminal, TTY_IN))
		tty_set_line(p->terminal, &s);
}

static size_t linux_tty_typed(void *ctx, uint8_t *bytes)
{
	struct process *p = ctx;
	return tty_typed(p->terminal, bytes);
}

static void linux_tty_set_typed(void *ctx, const uint8_t *bytes, size_t size)
{
	struct process *p = ctx;
	tty_set_typed(p->terminal, bytes, size);
}

static struct vfs_obj *linux_tty_open(void *ctx, const char **name)
{
	struct process *p = ctx;
	*name = tty_stream_name(TTY_IN);
	return tty_is_terminal(p->terminal, TTY_IN) ? tty_stream_new(p->terminal, TTY_IN) : NULL;
}

static enum ferr linux_tty_write(void *ctx, unsigned stream, const void *bytes, size_t size,
                                 size_t *done)
{
	struct process *p = ctx;
	return tty_ferr(tty_write(p->terminal, (enum tty_stream)stream, bytes, size, done));
}

static enum ferr linux_tty_read(void *ctx, void *bytes, size_t size, size_t *done)
{
	struct process *p = ctx;
	return tty_ferr(tty_read(p->terminal, bytes, size, done));
}

static bool linux_tty_news(void *ctx)
{
	struct process *p = ctx;
	return atomic_exchange(&p->tty_news, false);
}

static enum err linux_fork(void *ctx, struct wali_child *c)
{
	struct process *p = ctx;
	worker_fork(p->worker, c);
	return ERR_OK;
}

static bool linux_may_exec(void *ctx)
{
	struct process *p = ctx;
	if (atomic_load(&p->exec_granted))
		return true;
	worker_ask_exec(p->worker);
	return false;
}

static void linux_exec_failed(void *ctx)
{
	struct process *p = ctx;
	worker_execed(p->worker, "", NULL, 0);
}

static enum err linux_load(void *ctx, uint8_t *bytes, size_t size, struct module **out,
                           struct errmsg *msg)
{
	struct process *p = ctx;
	return modules_load_bytes(p->node->modules, bytes, size, out, msg);
}

static void linux_log(void *ctx, const char *text)
{
	struct process *p = ctx;
	node_log(p->node, LOG_INFO, "linux", "%u (%s): %s", p->pid, p->name, text);
}

/* Any relative's thread, with the family's lock: while that is held p has a worker. */
static void linux_about(void *ctx, struct wali_about *out)
{
	struct process *p = ctx;
	*out = (struct wali_about){.pid = p->pid,
	                           .cpu_ns = p->cpu_ns_before + worker_cpu_ns(p->worker),
	                           .created_unix_ms = p->created_unix_ms,
	                           .device = p->node->name,
	                           .controls = atomic_load(&p->controls)};
}

static void linux_confine(void *ctx)
{
	struct process *p = ctx;
	atomic_store(&p->controls, false);
}

static void linux_elsewhere(void *ctx, const struct wali_elsewhere *list, uint32_t count,
                            struct kinship_talk *talk)
{
	struct process *p = ctx;
	kin_set_elsewhere(p->kin, list, count, talk);
}

static enum ferr linux_ask(void *ctx, const char *question, bool asked, struct wr *out)
{
	return questions_ask(ctx, question, asked, out);
}

static struct wali_config linux_config(struct process *p)
{
	return (struct wali_config){
	    .wasi = p->wasi,
	    .waker = p->waker,
	    .pid = p->guest_pid,
	    .net = p->node->net,
	    .net_mode = p->net_mode,
	    .net_key = p->net_key,
	    .net_home = p->net_home,
	    .is_copy = p->is_copy,
	    .commons = p->node->commons,
	    .max_memory_bytes = (uint64_t)p->max_memory_pages << 16,
	    .host = {.tty_size = linux_tty_size,
	             .tty_set = linux_tty_set,
	             .tty_typed = linux_tty_typed,
	             .tty_set_typed = linux_tty_set_typed,
	             .tty_write = linux_tty_write,
	             .tty_read = linux_tty_read,
	             .tty_open = linux_tty_open,
	             .tty_news = linux_tty_news,
	             .fork = linux_fork,
	             .may_exec = linux_may_exec,
	             .exec_failed = linux_exec_failed,
	             .load = linux_load,
	             .log = linux_log,
	             .about = linux_about,
	             .confine = linux_confine,
	             .elsewhere = linux_elsewhere,
	             .ask = linux_ask,
	             .ctx = p},
	};
}

/* ---- a new process ---- */

static enum err add_streams(struct process *p, struct fdtable *fds)
{
	for (int s = 0; s < TTY_STREAMS; s++) {
		struct vfs_obj *o = tty_stream_new(p->tty, (enum tty_stream)s);
		if (!o)
			return ERR_NOMEM;
		uint64_t rights = rights_of_type(o->type);
		struct vfs_file *f =
		    vfs_file_new(o, NULL, NULL, s == TTY_IN ? VFS_READ : VFS_WRITE);
		if (!f)
			return ERR_NOMEM;
		strcpy(f->stream, tty_stream_name((enum tty_stream)s));
		uint32_t fd;
		if (fdtable_add(fds, f, rights, 0, &fd) != FE_OK)
			return ERR_LIMIT;
	}
	return ERR_OK;
}

static enum err add_mount(struct process *p, const struct process_mount *m, struct vfs_ns *ns,
                          struct fdtable *fds, struct errmsg *msg)
{
	struct vfs_mount_config c = {
	    .guest = m->guest, .host = m->host, .kind = VFS_MOUNT_HOST, .read_only = m->readonly};
	struct vfs_obj *root;
	struct vfs_mount *mount;
	uint32_t fd;
	enum err e;
	if (net_files_is(&c)) {
		memset(c.home, NET_HOME_BYTE, sizeof c.home);
		e = net_files_new(p->node, &c, &root);
	} else if (folders_is_mount(&c)) {
		memset(c.home, NET_HOME_BYTE, sizeof c.home);
		e = folders_mount(p->node, &c, &root, msg);
	} else {
		memcpy(c.home, p->node->device_id, sizeof c.home);
		e = vfs_host_new(m->host, VFS_WALK_BEST, &root, msg);
	}
	if (e != ERR_OK)
		return err_prefix(msg, e, "--dir %s", m->host);
	e = vfs_ns_add(ns, &c, root, &mount);
	if (e != ERR_OK)
		return err_set(msg, e, "--dir %s::%s: %s", m->host, m->guest, err_text(e));
	enum ferr fe = fdtable_preopen(fds, mount, &fd);
	if (fe != FE_OK)
		return err_set(msg, ERR_IO, "--dir %s::%s: %s", m->host, m->guest, ferr_text(fe));
	return ERR_OK;
}

static enum err make_wasi(struct process *p, const struct process_config *cfg, struct errmsg *msg)
{
	struct fdtable *fds;
	struct vfs_ns *ns = vfs_ns_new();
	if (!ns || fdtable_new(&fds) != ERR_OK) {
		if (ns)
			vfs_ns_free(ns);
		return err_set(msg, ERR_NOMEM, "files: out of memory");
	}
	enum err e = add_streams(p, fds);
	for (uint32_t i = 0; e == ERR_OK && i < cfg->nmounts; i++)
		e = add_mount(p, &cfg->mounts[i], ns, fds, msg);
	if (e == ERR_OK)
		e = wasi_add_tmp(ns, fds);
	if (e != ERR_OK) {
		fdtable_free(fds);
		vfs_ns_free(ns);
		return e;
	}
	struct wasi_config wc = {.args = (const char *const *)cfg->argv,
	                         .nargs = cfg->argc,
	                         .env = (const char *const *)cfg->env,
	                         .nenv = cfg->nenv,
	                         .ns = ns,
	                         .fds = fds,
	                         .wait = &p->wait};
	e = process_grant(p, ns, msg);
	if (e == ERR_OK)
		return wasi_new(&wc, &p->wasi, msg);
	fdtable_free(fds);
	vfs_ns_free(ns);
	return e;
}

enum err build_program(struct process *p, pthread_mutex_t *lock, struct errmsg *msg)
{
	struct store_config sc = {.max_memory_pages = p->max_memory_pages};
	struct host_resolver r = {resolve, p};
	struct thread *t;
	memcpy(p->module_hash, module_hash(p->module), sizeof p->module_hash);
	TRY(store_new(&sc, &p->store));
	TRY(store_instantiate(p->store, p->module, &r, &p->instance, msg));
	TRY(thread_new(p->store, &t));
	pthread_mutex_lock(lock);
	p->stands = true;
	pthread_mutex_unlock(lock);
	p->begun = thread_call_start(t, p->instance) != ERR_OK;
	if (!p->begun)
		return ERR_OK;
	enum err e = thread_call_export(t, p->instance, "_start", NULL, 0, msg);
	if (e == ERR_NOTFOUND)
		return err_set(
		    msg, ERR_INVALID,
		    "no function \"_start\" is exported: it is a library, not a program");
	return e;
}

static enum err run_create(void *ctx, struct process *p, struct errmsg *msg)
{
	struct build *b = ctx;
	struct drivers_config dc;
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* nobody else knows the thread yet */
	TRY(modules_load_file(p->node->modules, b->cfg.path, &p->module, msg));
	TRY(make_wasi(p, &b->cfg, msg));
	p->max_memory_pages =
	    b->cfg.max_memory_pages ? b->cfg.max_memory_pages : p->node->cfg.max_memory_pages;
	struct wali_config lc = linux_config(p);
	if (module_is_wali(p->module))
		TRY(wali_new(&lc, &p->wali));
	TRY(drivers_config(p, &dc, msg));
	TRY(drivers_new(&dc, &p->drivers));
	enum err e = build_program(p, &lock, msg);
	return e == ERR_OK ? e : err_prefix(msg, e, "%s", b->cfg.path);
}

/* ---- a child ---- */

static struct module *find_module(void *ctx, const uint8_t hash[32])
{
	struct process *p = ctx;
	return memcmp(hash, p->module_hash, sizeof p->module_hash) ? NULL : p->module;
}

static enum err rebuild_child(struct process *p, struct wali_child *c, struct errmsg *msg)
{
	struct rd in = rd_of(c->state.data, c->state.size);
	struct module_finder f = {find_module, p};
	struct host_resolver r = {resolve, p};
	struct drivers_config dc;
	TRY(drivers_config(p, &dc, msg));
	TRY(drivers_new(&dc, &p->drivers));
	struct memories *m = c->memories;
	c->memories = NULL;
	TRY(store_load_copy(&in, &f, &r, m, &p->store, msg));
	wali_child_threads(c, p->store);
	p->instance = store_instance(p->store, 0);
	p->stands = true;
	return ERR_OK;
}

static void adopt(struct process *p, struct wali_child *c)
{
	struct wali_config lc = linux_config(p);
	struct family *f = wali_family(c->wali);
	p->module = module_ref(c->module);
	memcpy(p->module_hash, module_hash(p->module), sizeof p->module_hash);
	p->wasi = c->wasi;
	p->wali = c->wali;
	family_lock(f);
	wali_child_adopt(c, &lc.host, &p->wait, p->waker, p->pid);
	p->guest_pid = wali_pid(p->wali);
	family_unlock(f);
}

static enum err run_fork(void *ctx, struct process *p, struct errmsg *msg)
{
	struct wali_child *c = ctx;
	adopt(p, c);
	enum err e = rebuild_child(p, c, msg);
	if (e != ERR_OK)
		wali_ended(p->wali, 0, LINUX_SIGKILL);
	return e;
}

void build_no_child(struct wali_child *c)
{
	struct family *f = c->wali ? wali_family(c->wali) : NULL;
	if (f)
		family_lock(f);
	wali_child_free(c);
	if (f)
		family_unlock(f);
}

static void free_fork(void *ctx)
{
	build_no_child(ctx);
}

void build_for_fork(struct wali_child *c, struct worker_setup *out)
{
	*out = (struct worker_setup){.run = run_fork, .free = free_fork, .ctx = c};
}

/* ---- a restored one ---- */

static enum err open_mount(void *ctx, struct vfs_mount_config *c, struct vfs_obj **root,
                           struct errmsg *msg)
{
	return process_open_mount(ctx, c, root, msg);
}

static struct vfs_obj *held_file(void *ctx, uint32_t mount_id, uint32_t handle, unsigned flags)
{
	return process_held_file(ctx, mount_id, handle, flags);
}

static enum err open_stream(void *ctx, const char *name, struct vfs_obj **out, struct errmsg *msg)
{
	struct process *p = ctx;
	enum tty_stream s;
	if (tty_stream_find(name, &s) != ERR_OK && wali_open_stream(name, out) == ERR_OK)
		return ERR_OK;
	if (tty_stream_find(name, &s) != ERR_OK)
		return err_set(msg, ERR_INVALID, "there is no stream called \"%.16s\"", name);
	*out = tty_stream_new(p->tty, s);
	return *out ? ERR_OK : ERR_NOMEM;
}

static struct fdtable_loader loader_of(struct process *p)
{
	return (struct fdtable_loader){.open_mount = open_mount,
	                               .open_stream = open_stream,
	                               .held = held_file,
	                               .load_object = wali_load_object,
	                               .ctx = p};
}

static enum err check_end(struct rd *in, const char *section, struct errmsg *msg)
{
	if (rd_left(in))
		return err_set(msg, ERR_MALFORMED, "section %s: %zu bytes too many", section,
		               rd_left(in));
	return ERR_OK;
}

static enum err load_engine(struct process *p, struct rd in, struct errmsg *msg)
{
	struct module_finder f = {find_module, p};
	struct host_resolver r = {resolve, p};
	TRY(store_load(&in, &f, &r, &p->store, msg));
	TRY(check_end(&in, "engine", msg));
	p->instance = store_instance(p->store, 0);
	uint32_t threads = store_thread_count(p->store);
	if (!threads || (threads > 1 && !p->wali) || !p->instance)
		return err_set(msg, ERR_INVALID, "section engine: %u threads and %s instance",
		               threads, p->instance ? "an" : "no");
	for (uint32_t i = 0; i < threads; i++)
		if (!thread_depth(store_thread(p->store, i)))
			return err_set(msg, ERR_INVALID, "section engine: thread %u has no frame",
			               i);
	if (p->wali && !wali_fits(p->wali, p->store))
		return err_set(msg, ERR_INVALID,
		               "section engine: other threads than section linux has");
	p->stands = true;
	return ERR_OK;
}

/* Of a WASI program there is none. */
static enum err load_linux(struct process *p, const struct process_sections *s, struct errmsg *msg)
{
	struct wali_config lc = linux_config(p);
	struct rd in = s->bytes[SECTION_LINUX];
	if (!rd_left(&in) && !s->family)
		return ERR_OK;
	lc.image = s->family ? *s->family : NULL;
	TRY(wali_load(&in, &lc, &p->wali, msg));
	return check_end(&in, "linux", msg);
}

/* The leader's worker makes what its family shares. */
static enum err load_family(struct process *p, const struct process_sections *s, struct errmsg *msg)
{
	struct fdtable_loader loader = loader_of(p);
	struct rd in = s->family_bytes;
	if (!s->family || *s->family)
		return ERR_OK;
	TRY(family_image_load(&in, &loader, s->family, msg));
	return check_end(&in, "family", msg);
}

static enum err load_wasi(struct process *p, const struct process_sections *s, struct errmsg *msg)
{
	struct fdtable_loader loader = loader_of(p);
	struct rd in = s->bytes[SECTION_WASI];
	if (s->family)
		TRY(wasi_load_in(&in, family_image_set(*s->family), &p->wait, &p->wasi, msg));
	else
		TRY(wasi_load(&in, &loader, &p->wait, &p->wasi, msg));
	return check_end(&in, "wasi", msg);
}

static enum err run_restore(void *ctx, struct process *p, struct errmsg *msg)
{
	struct build *b = ctx;
	struct drivers_config dc;
	memcpy(p->module_hash, b->sections.module_hash, sizeof p->module_hash);
	TRY(modules_load_hash(p->node->modules, p->module_hash, &p->module, msg));
	TRY(load_family(p, &b->sections, msg));
	TRY(load_wasi(p, &b->sections, msg));
	TRY(load_linux(p, &b->sections, msg));
	if (p->is_copy && p->leads)
		TRY(process_grant(p, wasi_ns(p->wasi), msg));
	TRY(drivers_config(p, &dc, msg));
	struct rd in = b->sections.bytes[SECTION_DRIVERS];
	TRY(drivers_load(&in, &dc, &p->drivers, msg));
	TRY(check_end(&in, "drivers", msg));
	return load_engine(p, b->sections.bytes[SECTION_ENGINE], msg);
}

/* ---- copies ---- */

static enum err copy_text(struct arena *a, const char **text)
{
	if (!*text)
		return ERR_OK;
	*text = arena_copy(a, *text, strlen(*text));
	return *text ? ERR_OK : ERR_NOMEM;
}

static enum err copy_list(struct arena *a, char *const **list, uint32_t count)
{
	char **copy = ARENA_NEW(a, char *, count + 1);
	if (!copy)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < count; i++) {
		copy[i] = (*list)[i];
		TRY(copy_text(a, (const char **)&copy[i]));
	}
	*list = copy;
	return ERR_OK;
}

static enum err copy_mounts(struct arena *a, struct process_config *c)
{
	struct process_mount *copy = ARENA_NEW(a, struct process_mount, c->nmounts);
	if (!copy)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < c->nmounts; i++) {
		copy[i] = c->mounts[i];
		TRY(copy_text(a, &copy[i].host));
		TRY(copy_text(a, &copy[i].guest));
	}
	c->mounts = copy;
	return ERR_OK;
}

static enum err copy_config(struct build *b, const struct process_config *cfg)
{
	b->cfg = *cfg;
	TRY(copy_text(&b->arena, &b->cfg.path));
	TRY(copy_list(&b->arena, &b->cfg.argv, cfg->argc));
	TRY(copy_list(&b->arena, &b->cfg.env, cfg->nenv));
	return copy_mounts(&b->arena, &b->cfg);
}

static enum err copy_section(struct build *b, struct rd *bytes)
{
	size_t size = rd_left(bytes);
	if (size > PROCESS_SECTION_MAX)
		return ERR_LIMIT;
	const void *copy = arena_copy(&b->arena, bytes->p, size);
	if (!copy)
		return ERR_NOMEM;
	*bytes = rd_of(copy, size);
	return ERR_OK;
}

static enum err copy_sections(struct build *b, const struct process_sections *s)
{
	b->sections = *s;
	for (int i = 0; i < SECTIONS; i++)
		TRY(copy_section(b, &b->sections.bytes[i]));
	return copy_section(b, &b->sections.family_bytes);
}

static void free_build(void *ctx)
{
	struct build *b = ctx;
	arena_free(&b->arena);
	free(b);
}

enum err build_for_create(struct process *p, const struct process_config *cfg,
                          struct worker_setup *out, struct errmsg *msg)
{
	struct build *b = calloc(1, sizeof *b);
	if (!b || copy_config(b, cfg) != ERR_OK) {
		if (b)
			free_build(b);
		return err_set(msg, ERR_NOMEM, "%s: out of memory", p->name);
	}
	*out = (struct worker_setup){.run = run_create, .free = free_build, .ctx = b};
	return ERR_OK;
}

enum err build_for_restore(struct process *p, const struct process_sections *s,
                           struct worker_setup *out, struct errmsg *msg)
{
	struct build *b = calloc(1, sizeof *b);
	enum err e = b ? copy_sections(b, s) : ERR_NOMEM;
	if (e != ERR_OK) {
		if (b)
			free_build(b);
		return err_set(msg, e, "sections of %s: %s", p->name, err_text(e));
	}
	*out =
	    (struct worker_setup){.run = run_restore, .free = free_build, .ctx = b, .frozen = true};
	return ERR_OK;
}

/* ---- the end ---- */

struct process_insides process_take_insides(struct process *p)
{
	struct process_insides in = {p->module, p->store, p->wasi, p->wali, p->drivers};
	p->module = NULL;
	p->store = NULL;
	p->stands = false;
	p->instance = NULL;
	p->wasi = NULL;
	p->wali = NULL;
	p->drivers = NULL;
	return in;
}

void process_insides_free(struct process_insides *in)
{
	drivers_free(in->drivers);
	if (in->store)
		store_free(in->store);
	wali_free(in->wali);
	if (in->wasi)
		wasi_free(in->wasi);
	if (in->module)
		module_unref(in->module);
}
