/* wali.c - life of a struct wali, the import table, and what stands around every call: the family's lock, slots, errors. */
#include "node/wali/device.h"
#include "node/wali/wali_state.h"

#include "base/os.h"
#include "engine/module.h"
#include "vfs/pipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

bool module_is_wali(const struct module *m)
{
	struct import_info info;
	for (uint32_t i = 0; i < module_import_count(m); i++) {
		module_import(m, i, &info);
		if (info.kind == EXT_FUNC && !strcmp(info.module, "wali"))
			return true;
	}
	return false;
}

/* Terminals are open for reading and writing on Linux, whichever number they have. */
static void close_preopened(struct fdtable *fds)
{
	struct fd_entry *e;
	for (uint32_t fd = 0; fd < 3; fd++)
		if (fdtable_use(fds, fd, 0, &e) != FE_BADF && wali_is_terminal(e->file->obj))
			e->file->flags |= VFS_READ | VFS_WRITE;
	for (uint32_t fd = 0; fd < fdtable_size(fds); fd++)
		if (fdtable_use(fds, fd, 0, &e) != FE_BADF && e->preopen)
			fdtable_close(fds, fd);
}

enum err wali_alloc(const struct wali_config *c, struct wali **out)
{
	struct wali *k = calloc(1, sizeof *k);
	if (!k)
		return ERR_NOMEM;
	k->w = c->wasi;
	k->host = c->host;
	k->cwd = strdup("/");
	k->umask = 022;
	k->family = c->family ? c->family : family_new();
	wali_limits_reset(k, c->max_memory_bytes);
	k->next_tid = WALI_TID_FIRST;
	if (k->family && !k->family->commons)
		k->family->commons = c->commons ? commons_ref(c->commons) : commons_new();
	if (k->cwd && k->family && k->family->commons && wali_thread_add(k, c->pid) &&
	    wali_open_space(k, c) == ERR_OK) {
		*out = k;
		return ERR_OK;
	}
	wali_threads_free(k);
	free(k->cwd);
	free(k);
	return ERR_NOMEM;
}

/* What /proc says of one that has not been made by another. */
void wali_set_first(struct wali *k)
{
	const char *name = k->w->args.count ? k->w->args.list[0] : "program";
	const char *slash = strrchr(name, '/');
	snprintf(k->task->comm, sizeof k->task->comm, "%.15s", slash ? slash + 1 : name);
	k->task->wali = k;
}

enum err wali_new(const struct wali_config *c, struct wali **out)
{
	struct wali *k;
	TRY(wali_alloc(c, &k));
	family_lock(k->family);
	k->task = family_add(k->family, c->pid, NULL, c->waker);
	close_preopened(k->w->fds);
	k->w->family = k->family;
	if (k->host.tty_set)
		k->host.tty_set(k->host.ctx, &k->family->terminal);
	if (k->task)
		wali_set_first(k);
	family_unlock(k->family);
	*out = k;
	return k->task ? ERR_OK : ERR_NOMEM;
}

void wali_free(struct wali *k)
{
	if (!k)
		return;
	if (k->task)
		wali_ended(k, 0, 0);
	wali_disown_epolls(k);
	wali_maps_free(k);
	wali_threads_free(k);
	free(k->cwd);
	free(k->exec_path);
	free(k->exe);
	free(k->proc_text);
	if (k->exec)
		module_unref(k->exec);
	free(k);
}

void wali_ended(struct wali *k, int status, int signal)
{
	struct task *task = k->task;
	if (!task)
		return;
	family_lock(k->family);
	wali_pay(k);
	task->used_ns = wasi_cpu_ns(k->w) + task->children_ns;
	wali_maps_free(k);
	wali_charge(k, 0);
	wali_locks_end(k);
	wasi_close_files(k->w);
	wali_disown_epolls(k);
	wali_disown_born(k);
	k->w->family = NULL;
	k->task = NULL;
	if (!family_end(k->family, task, signal ? signal : (status & 0xff) << 8))
		family_unlock(k->family);
	k->family = NULL;
}

void wali_leave_store(struct wali *k)
{
	family_lock(k->family);
	k->task->store = NULL;
	family_unlock(k->family);
}

int wali_end_signal(const struct wali *k)
{
	return k->end_signal;
}

struct family *wali_family(struct wali *k)
{
	return k->family;
}

uint32_t wali_pid(const struct wali *k)
{
	return k->task ? k->task->pid : 0;
}

uint32_t wali_group(const struct wali *k)
{
	return k->task ? k->task->group : 0;
}

uint32_t wali_parent(const struct wali *k)
{
	return k->task ? k->task->parent : 0;
}

/* ---- errors ---- */

static int64_t number_of(enum ferr e)
{
	switch (e) {
#define LERR(name, number) \
	case FE_##name: return -number;
#include "node/wali/errno.def"
#undef LERR
	case FE_NOTCAPABLE: return NO(ACCES);
	case FE_NOTSUP: return -95;
	default: return NO(IO);
	}
}

/* INPROGRESS: another device is not to be reached just now, and nothing has happened. */
int64_t wali_error(struct wali *k, enum ferr e)
{
	enum { AGAIN_NS = 100000000 };
	if (e != FE_INPROGRESS)
		return number_of(e);
	wait_until(k->w->wait, os_monotonic_ns() + AGAIN_NS);
	return WALI_BLOCK;
}

/* ---- guest memory ---- */

const uint8_t *wali_in(struct wali *k, uint64_t addr, uint64_t size)
{
	return arg32(addr) || !size ? thread_mem_read(k->t, arg32(addr), size) : NULL;
}

uint8_t *wali_out(struct wali *k, uint64_t addr, uint64_t size)
{
	return arg32(addr) || !size ? thread_mem_write(k->t, arg32(addr), size) : NULL;
}

enum ferr wali_text(struct wali *k, uint64_t addr, char *buf, size_t size)
{
	uint64_t memory;
	if (!instance_memory(k->in, &memory) || arg32(addr) >= memory || !arg32(addr))
		return FE_FAULT;
	uint64_t left = memory - arg32(addr);
	const char *p = (const char *)wali_in(k, addr, left < size ? left : size);
	const char *end = memchr(p, 0, left < size ? left : size);
	if (!end)
		return left < size ? FE_FAULT : FE_NAMETOOLONG;
	memcpy(buf, p, (size_t)(end - p) + 1);
	return FE_OK;
}

/* ---- slots ---- */

static struct wali_slot *find_slot(struct wali *k)
{
	struct wali_thread *me = k->me;
	uint32_t depth = thread_depth(k->t);
	while (me->nslots && me->slots[me->nslots - 1].depth > depth)
		me->nslots--; /* of frames that have returned by a jump */
	struct wali_slot *last = me->nslots ? &me->slots[me->nslots - 1] : NULL;
	return last && last->depth == depth ? last : NULL;
}

struct wali_slot *wali_slot(struct wali *k)
{
	struct wali_slot *s = find_slot(k);
	if (s || !wali_slots_grow(k->me))
		return s;
	s = &k->me->slots[k->me->nslots++];
	*s = (struct wali_slot){.depth = thread_depth(k->t)};
	return s;
}

/* The call of the frame at this depth is over: its slot is not needed any more. */
static void end_slot(struct wali *k)
{
	struct wali_slot *s = find_slot(k);
	if (!s)
		return;
	if (s->has_mask)
		k->me->blocked = s->mask;
	k->me->nslots--;
}

int64_t wali_block(struct wali *k, bool restarts)
{
	struct wali_slot *s = find_slot(k);
	if (s && s->interrupted)
		return NO(INTR);
	k->me->no_restart = !restarts;
	return WALI_BLOCK;
}

/* A call that may wait only so long gives up like one that may not. */
static int64_t block_until(struct wali *k, uint64_t relative_ns)
{
	if (relative_ns == WAIT_FOREVER)
		return wali_block(k, true);
	uint64_t until = wali_deadline(k, relative_ns);
	if (wasi_clock_ns(k->w) >= until)
		return NO(AGAIN);
	wait_until(k->w->wait, wasi_host_time(k->w, until));
	return wali_block(k, false);
}

int64_t wali_block_on(struct wali *k, struct vfs_obj *o, unsigned events)
{
	int64_t r = block_until(k, wali_patience(o, events));
	if (r == WALI_BLOCK)
		wasi_block_on(k->w, o, events);
	if (r == WALI_BLOCK && vfs_is_pipe(o))
		k->waits_for = vfs_pipe_identity(o);
	return r;
}

int64_t wali_block_alone(struct wali *k, bool restarts)
{
	k->waits_for = k->task;
	return wali_block(k, restarts);
}

/* ---- writers that wait for half a pipe to be read ----
 * They are woken before that when who reads waits for something else, ends, or makes another call a millisecond later. */

void wali_pay(struct wali *k)
{
	if (k->owes)
		family_wake_pipe(k->family, k->owes);
	k->owes = NULL;
}

void wali_was_read(struct wali *k, struct vfs_obj *o)
{
	if (!vfs_is_pipe(o))
		return;
	const void *pipe = vfs_pipe_identity(o);
	bool owes = vfs_pipe_owes(o);
	if (k->owes && (k->owes != pipe || !owes))
		wali_pay(k);
	if (!owes || k->owes)
		return;
	k->owes = pipe;
	k->owes_since_ns = os_monotonic_ns();
}

static void pay_after_a_while(struct wali *k)
{
	enum { LONG_NS = 1000000 };
	if (k->owes && os_monotonic_ns() - k->owes_since_ns > LONG_NS)
		wali_pay(k);
}

uint64_t wali_progress(struct wali *k)
{
	const struct wali_slot *s = find_slot(k);
	return s ? s->progress : 0;
}

uint64_t wali_deadline(struct wali *k, uint64_t relative_ns)
{
	struct wali_slot *s = wali_slot(k);
	uint64_t now = wasi_clock_ns(k->w);
	uint64_t at = relative_ns > WAIT_FOREVER - now ? WAIT_FOREVER : now + relative_ns;
	if (!s)
		return at;
	if (!s->has_until)
		s->until_ns = at;
	s->has_until = true;
	return s->until_ns;
}

/* ---- around a call ---- */

typedef int64_t (*call_fn)(struct wali *k, const uint64_t *a);

/* What was made already, before a handler ran. */
static bool take_result(struct wali *k, int64_t *r)
{
	struct wali_slot *s = find_slot(k);
	if (!s || !s->has_result)
		return false;
	*r = s->result;
	k->me->nslots--;
	return true;
}

static enum host_result over(struct wali *k, int64_t r, uint64_t *a)
{
	switch (r) {
	case WALI_BLOCK:
		k->me->call_waits = true;
		k->task->runs = false;
		k->task->waits_for = k->nthreads == 1 ? k->waits_for : NULL;
		wali_pay(k);
		return HOST_BLOCK;
	case WALI_EXIT: wali_pay(k); return HOST_EXIT;
	case WALI_STOP: return HOST_STOP;
	case WALI_TRAP: return HOST_TRAP;
	default: break;
	}
	end_slot(k);
	k->task->runs = k->nthreads == 1; /* else another may wait */
	a[0] = (uint64_t)r;
	if (!wali_has_signal(k))
		return HOST_DONE;
	struct wali_slot *s = wali_slot(k);
	if (!s)
		return HOST_DONE;
	s->has_result = true;
	s->result = r;
	return HOST_STOP;
}

/* What memory.grow took counts before anybody can hear of it. */
static bool may_call(struct wali *k, struct thread *t)
{
	if (wali_charge_now(k, thread_store(t)))
		return true;
	family_raise(k->family, k->task, LINUX_SIGKILL);
	return false;
}

static enum host_result make(struct wali *k, struct thread *t, uint64_t *a, call_fn fn)
{
	int64_t r;
	enum host_result h;
	struct family *f = k->family;
	family_lock(f);
	wali_use(k, thread_user(t));
	k->me->call_waits = false;
	if (k->waiter.listed && k->waiting == k->me)
		commons_wait_end(f->commons, &k->waiter);
	k->waits_for = NULL;
	pay_after_a_while(k);
	if (take_result(k, &r)) {
		a[0] = (uint64_t)r;
		h = HOST_DONE;
	} else if (!may_call(k, t)) {
		h = HOST_STOP;
	} else {
		h = over(k, fn(k, a), a);
	}
	family_unlock(f);
	return h;
}

#define WALI_CALL(name, signature, number)                                            \
	static enum host_result call_##name(void *env, struct thread *t, uint64_t *a) \
	{                                                                             \
		return make(env, t, a, wali_##name);                                  \
	}
#define WALI_FUNCTION(name, signature, result, text)                                 \
	static enum host_result aux_##name(void *env, struct thread *t, uint64_t *a) \
	{                                                                            \
		return make(env, t, a, wali_aux_##name);                             \
	}
#include "sdk/abi/wali.def"
#undef WALI_CALL
#undef WALI_FUNCTION

static const struct wali_import {
	const char *name, *signature, *result;
	host_fn fn;
} imports[] = {
#define WALI_CALL(name, signature, number) {"SYS_" #name, signature, "l", call_##name},
#define WALI_FUNCTION(name, signature, result, text) {#name, signature, result, aux_##name},
#include "sdk/abi/wali.def"
#undef WALI_CALL
#undef WALI_FUNCTION
};

static char letter(char c)
{
	return c == 'l' ? 'I' : c == 'p' ? 'i' : c;
}

/* "(iI)I" and "il", "l". */
static bool has_type(const struct wali_import *im, const char *type)
{
	const char *p = type;
	if (*p++ != '(')
		return false;
	for (const char *s = im->signature; *s; s++)
		if (*p++ != letter(*s))
			return false;
	if (*p++ != ')')
		return false;
	return im->result[0] ? *p == letter(im->result[0]) && !p[1] : !*p;
}

/* ---- what nobody knows ---- */

static int64_t unknown_call(struct wali *k, const uint64_t *a)
{
	if (!k->unknown_told && k->host.log)
		k->host.log(k->host.ctx,
		            "a Linux call that is not known was made (it says ENOSYS)");
	k->unknown_told = true;
	return NO(NOSYS);
}

static enum host_result call_unknown(void *env, struct thread *t, uint64_t *a)
{
	return make(env, t, a, unknown_call);
}

/* The fenv functions: nothing can be set, and the rounding mode is to nearest, 0. */
static enum host_result call_zero(void *env, struct thread *t, uint64_t *a)
{
	a[0] = 0;
	return HOST_DONE;
}

static bool resolve_other(const char *name, const char *type, host_fn *fn)
{
	size_t n = strlen(type);
	if (!strncmp(name, "SYS_", 4) && n && type[n - 1] == 'I') {
		*fn = call_unknown;
		return true;
	}
	if (!strncmp(name, "fe", 2)) {
		*fn = call_zero;
		return true;
	}
	return false;
}

static bool resolve(void *ctx, const char *module, const char *name, const char *type, host_fn *fn,
                    void **env)
{
	if (strcmp(module, "wali"))
		return false;
	*env = ctx;
	for (size_t i = 0; i < sizeof imports / sizeof *imports; i++)
		if (!strcmp(imports[i].name, name) && has_type(&imports[i], type)) {
			*fn = imports[i].fn;
			return true;
		}
	return resolve_other(name, type, fn);
}

struct host_resolver wali_resolver(struct wali *k)
{
	return (struct host_resolver){.resolve = resolve, .ctx = k};
}
