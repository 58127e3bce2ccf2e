/* wasi.c - WASI preview 1: life of a struct wasi, the import table, arguments, clocks, randomness, the end. */
#include "node/wasi/wasi_state.h"

#include "base/os.h"
#include "node/wali/family.h"
#include "vfs/memory.h"
#include "vfs/remote.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* ---- little-endian, unaligned ---- */

void wasi_put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

void wasi_put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

void wasi_put_u64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

uint32_t wasi_get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t wasi_get_u64(const uint8_t *p)
{
	return wasi_get_u32(p) | (uint64_t)wasi_get_u32(p + 4) << 32;
}

/* ---- life ---- */

static void free_strings(struct wasi_strings *s)
{
	for (uint32_t i = 0; i < s->count; i++)
		free(s->list[i]);
	free(s->list);
}

static enum err copy_strings(const char *const *from, uint32_t count, struct wasi_strings *to)
{
	size_t bytes = 0;
	if (count > WASI_ARGS_MAX)
		return ERR_LIMIT;
	to->list = calloc(count + 1u, sizeof *to->list);
	if (!to->list)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < count; i++) {
		bytes += strlen(from[i]) + 1;
		if (bytes > WASI_STRINGS_MAX)
			return ERR_LIMIT;
		to->list[i] = strdup(from[i]);
		if (!to->list[i])
			return ERR_NOMEM;
		to->count = i + 1;
	}
	to->bytes = (uint32_t)bytes;
	return ERR_OK;
}

static enum err check_env(const struct wasi_config *c, struct errmsg *msg)
{
	for (uint32_t i = 0; i < c->nenv; i++) {
		const char *eq = strchr(c->env[i], '=');
		if (!eq || eq == c->env[i])
			return err_set(msg, ERR_INVALID, "\"%.60s\" is not NAME=VALUE", c->env[i]);
	}
	return ERR_OK;
}

/* Time starts at one second: some programs take 0 for "no clock". */
static const uint64_t first_ns = 1000000000;

enum err wasi_new(const struct wasi_config *c, struct wasi **out, struct errmsg *msg)
{
	struct wasi *w = calloc(1, sizeof *w);
	if (!w) {
		fdtable_free(c->fds);
		vfs_ns_free(c->ns);
		return err_set(msg, ERR_NOMEM, "out of memory");
	}
	w->fds = c->fds;
	w->ns = c->ns;
	w->wait = c->wait;
	w->clock_base_ns = os_monotonic_ns() - first_ns;
	enum err e = check_env(c, msg);
	if (e == ERR_OK) {
		e = copy_strings(c->args, c->nargs, &w->args);
		if (e == ERR_OK)
			e = copy_strings(c->env, c->nenv, &w->env);
		if (e != ERR_OK)
			err_set(msg, e, "arguments and environment: %s (%d KiB each at most)",
			        err_text(e), WASI_STRINGS_MAX >> 10);
	}
	if (e != ERR_OK) {
		wasi_free(w);
		return e;
	}
	*out = w;
	return ERR_OK;
}

void wasi_set_strings(struct wasi_strings *s, char **list, uint32_t count, size_t bytes)
{
	free_strings(s);
	*s = (struct wasi_strings){.list = list, .count = count, .bytes = (uint32_t)bytes};
}

static enum err copy_files(const struct wasi *w, struct wasi *c)
{
	TRY(copy_strings((const char *const *)w->args.list, w->args.count, &c->args));
	TRY(copy_strings((const char *const *)w->env.list, w->env.count, &c->env));
	c->ns = vfs_ns_copy(w->ns);
	return c->ns ? fdtable_copy(w->fds, &c->fds) : ERR_NOMEM;
}

enum err wasi_fork(const struct wasi *w, struct wasi **out)
{
	struct wasi *c = calloc(1, sizeof *c);
	if (!c)
		return ERR_NOMEM;
	c->clock_base_ns = w->clock_base_ns;
	enum err e = copy_files(w, c);
	if (e != ERR_OK)
		wasi_free(c);
	else
		*out = c;
	return e;
}

void wasi_close_files(struct wasi *w)
{
	for (uint32_t fd = fdtable_size(w->fds); fd > 0; fd--)
		fdtable_close(w->fds, fd - 1);
}

void wasi_settle(struct wasi *w)
{
	struct fd_entry *e;
	if (w->family)
		family_lock(w->family);
	for (uint32_t fd = 0; fd < fdtable_size(w->fds); fd++)
		if (fdtable_use(w->fds, fd, 0, &e) == FE_OK)
			(void)vfs_remote_flush_whole(e->file->obj);
	if (w->family)
		family_unlock(w->family);
}

void wasi_free(struct wasi *w)
{
	if (!w)
		return;
	free_strings(&w->args);
	free_strings(&w->env);
	fdtable_free(w->fds);
	vfs_ns_free(w->ns);
	free(w);
}

enum err wasi_add_tmp(struct vfs_ns *ns, struct fdtable *fds)
{
	struct vfs_mount_config c = {.guest = "/tmp", .kind = VFS_MOUNT_MEMORY};
	struct vfs_mount *m;
	struct vfs_obj *root;
	uint32_t fd;
	if (vfs_memory_new(WASI_TMP_BYTES, &root) != FE_OK)
		return ERR_NOMEM;
	enum err e = vfs_ns_add(ns, &c, root, &m);
	if (e == ERR_EXISTS)
		return ERR_OK;
	TRY(e);
	return fdtable_preopen(fds, m, &fd) == FE_OK ? ERR_OK : ERR_LIMIT;
}

uint32_t wasi_exit_code(const struct wasi *w)
{
	return w->exit_code;
}

bool wasi_exited(const struct wasi *w)
{
	return w->exited;
}

struct fdtable *wasi_fds(struct wasi *w)
{
	return w->fds;
}

struct vfs_ns *wasi_ns(struct wasi *w)
{
	return w->ns;
}

uint32_t wasi_args(const struct wasi *w, const char *const **args)
{
	*args = (const char *const *)w->args.list;
	return w->args.count;
}

uint32_t wasi_env(const struct wasi *w, const char *const **env)
{
	*env = (const char *const *)w->env.list;
	return w->env.count;
}

/* ---- the import table ---- */

/* INPROGRESS: another device is not to be reached just now, and nothing has happened. */
static enum host_result finish(struct wasi *w, int r, uint64_t *a)
{
	enum { AGAIN_NS = 100000000 };
	if (r == FE_INPROGRESS) {
		wait_until(w->wait, os_monotonic_ns() + AGAIN_NS);
		return HOST_BLOCK;
	}
	if (r == WASI_BLOCK)
		return HOST_BLOCK;
	if (r == WASI_EXIT)
		return HOST_EXIT;
	a[0] = (uint32_t)(r == FE_HOSTDOWN ? FE_HOSTUNREACH : r);
	return HOST_DONE;
}

typedef int (*call_fn)(struct wasi *w, struct thread *t, const uint64_t *a);

/* Of a process that has relatives (it was started by a Linux program). */
static enum host_result call_locked(struct wasi *w, struct thread *t, uint64_t *a, call_fn fn)
{
	family_lock(w->family);
	enum host_result r = finish(w, fn(w, t, a), a);
	family_unlock(w->family);
	return r;
}

#define WASI_CALL(name, signature, text)                                              \
	static enum host_result call_##name(void *env, struct thread *t, uint64_t *a) \
	{                                                                             \
		struct wasi *w = env;                                                 \
		if (w->family)                                                        \
			return call_locked(w, t, a, wasi_##name);                     \
		return finish(w, wasi_##name(w, t, a), a);                            \
	}
#include "sdk/abi/wasi.def"
#undef WASI_CALL

static const struct wasi_import {
	const char *name, *type;
	host_fn fn;
} imports[] = {
#define WASI_CALL(name, signature, text) {#name, signature, call_##name},
#include "sdk/abi/wasi.def"
#undef WASI_CALL
};

static bool resolve(void *ctx, const char *module, const char *name, const char *type, host_fn *fn,
                    void **env)
{
	if (strcmp(module, "wasi_snapshot_preview1"))
		return false;
	for (size_t i = 0; i < sizeof imports / sizeof *imports; i++)
		if (!strcmp(imports[i].name, name) && !strcmp(imports[i].type, type)) {
			*fn = imports[i].fn;
			*env = ctx;
			return true;
		}
	return false;
}

struct host_resolver wasi_resolver(struct wasi *w)
{
	return (struct host_resolver){.resolve = resolve, .ctx = w};
}

/* ---- arguments and environment ---- */

static int sizes_get(const struct wasi_strings *s, struct thread *t, const uint64_t *a)
{
	uint8_t *count = thread_mem_write(t, arg32(a[0]), 4);
	uint8_t *bytes = thread_mem_write(t, arg32(a[1]), 4);
	if (!count || !bytes)
		return FE_FAULT;
	wasi_put_u32(count, s->count);
	wasi_put_u32(bytes, s->bytes);
	return FE_OK;
}

static int strings_get(const struct wasi_strings *s, struct thread *t, const uint64_t *a)
{
	uint32_t at = arg32(a[1]);
	uint8_t *list = thread_mem_write(t, arg32(a[0]), (uint64_t)s->count * 4);
	uint8_t *text = thread_mem_write(t, at, s->bytes);
	if (!list || !text)
		return FE_FAULT;
	for (uint32_t i = 0; i < s->count; i++) {
		size_t size = strlen(s->list[i]) + 1;
		wasi_put_u32(list + 4 * i, at);
		memcpy(text, s->list[i], size);
		text += size;
		at += (uint32_t)size;
	}
	return FE_OK;
}

int wasi_args_sizes_get(struct wasi *w, struct thread *t, const uint64_t *a)
{
	return sizes_get(&w->args, t, a);
}

int wasi_args_get(struct wasi *w, struct thread *t, const uint64_t *a)
{
	return strings_get(&w->args, t, a);
}

int wasi_environ_sizes_get(struct wasi *w, struct thread *t, const uint64_t *a)
{
	return sizes_get(&w->env, t, a);
}

int wasi_environ_get(struct wasi *w, struct thread *t, const uint64_t *a)
{
	return strings_get(&w->env, t, a);
}

/* ---- clocks ---- */

enum { CLOCK_REAL, CLOCK_MONO, CLOCK_PROCESS_CPU, CLOCK_THREAD_CPU, CLOCKS };

uint64_t wasi_clock_ns(const struct wasi *w)
{
	return w->paused ? w->clock_paused_ns : os_monotonic_ns() - w->clock_base_ns;
}

void wasi_pause(struct wasi *w)
{
	w->clock_paused_ns = wasi_clock_ns(w);
	w->paused = true;
}

void wasi_unpause(struct wasi *w)
{
	if (w->paused)
		w->clock_base_ns = os_monotonic_ns() - w->clock_paused_ns;
	w->paused = false;
}

uint64_t wasi_host_time(const struct wasi *w, uint64_t guest_ns)
{
	uint64_t now = os_monotonic_ns(), guest_now = wasi_clock_ns(w);
	if (guest_ns <= guest_now)
		return now;
	uint64_t ahead = guest_ns - guest_now;
	return ahead > WAIT_FOREVER - now ? WAIT_FOREVER : now + ahead;
}

/* Never goes back, also when the next reading is made on another machine. */
uint64_t wasi_cpu_ns(struct wasi *w)
{
	uint64_t now = os_thread_cpu_ns();
	if (!w->cpu_started) {
		w->cpu_started = true;
		w->cpu_start_ns = w->cpu_before_ns ? now : 0;
	}
	uint64_t v =
	    now < w->cpu_start_ns ? w->cpu_before_ns : w->cpu_before_ns + (now - w->cpu_start_ns);
	if (v > w->cpu_seen_ns)
		w->cpu_seen_ns = v;
	return w->cpu_seen_ns;
}

int wasi_clock_res_get(struct wasi *w, struct thread *t, const uint64_t *a)
{
	uint8_t *out = thread_mem_write(t, arg32(a[1]), 8);
	if (arg32(a[0]) >= CLOCKS)
		return FE_INVAL;
	if (!out)
		return FE_FAULT;
	wasi_put_u64(out, 1);
	return FE_OK;
}

int wasi_clock_time_get(struct wasi *w, struct thread *t, const uint64_t *a)
{
	uint8_t *out = thread_mem_write(t, arg32(a[2]), 8);
	if (arg32(a[0]) >= CLOCKS)
		return FE_INVAL;
	if (!out)
		return FE_FAULT;
	switch (arg32(a[0])) {
	case CLOCK_REAL: wasi_put_u64(out, os_wall_ns()); break;
	case CLOCK_MONO: wasi_put_u64(out, wasi_clock_ns(w)); break;
	default: wasi_put_u64(out, wasi_cpu_ns(w)); break;
	}
	return FE_OK;
}

/* ---- blocking ---- */

int wasi_block_on(struct wasi *w, struct vfs_obj *o, unsigned events)
{
	os_handle handle = vfs_wait_handle(o, events);
	if (handle != OS_NO_HANDLE)
		wait_on(w->wait, handle, events & VFS_READABLE, events & VFS_WRITABLE,
		        os_monotonic_ns());
	return WASI_BLOCK;
}

/* ---- the rest ---- */

/* More would keep the thread from its next safepoint for seconds. */
#define RANDOM_MAX_BYTES (4u << 20)

int wasi_random_get(struct wasi *w, struct thread *t, const uint64_t *a)
{
	uint32_t size = arg32(a[1]);
	if (size > RANDOM_MAX_BYTES)
		return FE_INVAL;
	uint8_t *out = thread_mem_write(t, arg32(a[0]), size);
	if (!out)
		return FE_FAULT;
	if (size)
		os_random(out, size);
	return FE_OK;
}

int wasi_sched_yield(struct wasi *w, struct thread *t, const uint64_t *a)
{
	sched_yield();
	return FE_OK;
}

static int end_with(struct wasi *w, uint32_t code)
{
	w->exited = true;
	w->exit_code = code;
	return WASI_EXIT;
}

int wasi_proc_exit(struct wasi *w, struct thread *t, const uint64_t *a)
{
	return end_with(w, arg32(a[0]));
}

/* WASI's numbers: no handlers exist, so each signal does what it does by default. */
int wasi_proc_raise(struct wasi *w, struct thread *t, const uint64_t *a)
{
	enum {
		SIGNAL_CHLD = 16,
		SIGNAL_CONT = 17,
		SIGNAL_URG = 22,
		SIGNAL_WINCH = 27,
		SIGNALS = 31
	};
	uint32_t signal = arg32(a[0]);
	if (signal >= SIGNALS)
		return FE_INVAL;
	switch (signal) {
	case 0:
	case SIGNAL_CHLD:
	case SIGNAL_CONT:
	case SIGNAL_URG:
	case SIGNAL_WINCH: return FE_OK;
	default: return end_with(w, 128 + signal);
	}
}

/* ---- sockets: none exist yet, so what is open is never one ---- */

static int not_a_socket(struct wasi *w, uint32_t fd)
{
	struct fd_entry *e;
	FTRY(fdtable_use(w->fds, fd, 0, &e));
	return FE_NOTSOCK;
}

int wasi_sock_accept(struct wasi *w, struct thread *t, const uint64_t *a)
{
	return not_a_socket(w, arg32(a[0]));
}

int wasi_sock_recv(struct wasi *w, struct thread *t, const uint64_t *a)
{
	return not_a_socket(w, arg32(a[0]));
}

int wasi_sock_send(struct wasi *w, struct thread *t, const uint64_t *a)
{
	return not_a_socket(w, arg32(a[0]));
}

int wasi_sock_shutdown(struct wasi *w, struct thread *t, const uint64_t *a)
{
	return not_a_socket(w, arg32(a[0]));
}
