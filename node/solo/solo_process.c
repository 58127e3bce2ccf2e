/* solo_process.c - running one process or a family of them without a node (solo_process.h). */
#include "node/solo/solo_process.h"

#include "base/os_thread.h"
#include "node/solo/solo_terminal.h"
#include "node/sockets/socket.h"
#include "node/wali/family.h"
#include "node/wasi/wasi.h"
#include "vfs/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP_MODULES = 16, CHILD_STACK = 1 << 20 };

struct solo_group {
	struct solo_process *children;         /* under the family's lock */
	struct module *modules[GROUP_MODULES]; /* loaded last; under the lock too */
	uint32_t next_module;
	struct solo_terminal *terminal; /* NULL: none */
	atomic_bool terminal_news;
	struct net *net; /* of this run alone */
};

/* ---- imports ---- */

static bool resolve(void *ctx, const char *module, const char *name, const char *type, host_fn *fn,
                    void **env)
{
	struct solo_process *p = ctx;
	struct host_resolver r = wasi_resolver(p->wasi);
	if (r.resolve(r.ctx, module, name, type, fn, env))
		return true;
	if (p->wali) {
		r = wali_resolver(p->wali);
		if (r.resolve(r.ctx, module, name, type, fn, env))
			return true;
	}
	return p->more.resolve && p->more.resolve(p->more.ctx, module, name, type, fn, env);
}

static struct host_resolver resolver_of(struct solo_process *p)
{
	return (struct host_resolver){.resolve = resolve, .ctx = p};
}

/* ---- what the personality asks of its runner ---- */

static bool own_size(void *ctx, uint16_t *cols, uint16_t *rows)
{
	struct solo_process *p = ctx;
	if (!p->group->terminal)
		return false;
	solo_terminal_size(p->group->terminal, cols, rows);
	return true;
}

static struct vfs_obj *tty_open(void *ctx, const char **name)
{
	struct solo_process *p = ctx;
	return p->group->terminal ? solo_terminal_open(p->group->terminal, name) : NULL;
}

static void tty_set(void *ctx, const struct family_terminal *settings)
{
	struct solo_process *p = ctx;
	solo_terminal_set(p->group->terminal, settings);
}

static bool tty_news(void *ctx)
{
	struct solo_process *p = ctx;
	return atomic_exchange(&p->group->terminal_news, false);
}

/* The first process passes it on to its relatives, in its next turn. */
static void on_terminal_news(void *ctx)
{
	struct solo_process *p = ctx;
	atomic_store(&p->group->terminal_news, true);
	os_wake_post(&p->wake);
}

static void on_terminal_signal(void *ctx, int signal)
{
	struct solo_process *p = ctx;
	if (p->wali)
		wali_signal_foreground(p->wali, signal);
}

static void say(void *ctx, const char *text)
{
	fprintf(stderr, "wasmos: %s\n", text);
}

static struct module *loaded_before(struct solo_group *g, const uint8_t *bytes, size_t size)
{
	size_t n;
	for (uint32_t i = 0; i < GROUP_MODULES; i++) {
		const uint8_t *b = g->modules[i] ? module_bytes(g->modules[i], &n) : NULL;
		if (b && n == size && !memcmp(b, bytes, n))
			return module_ref(g->modules[i]);
	}
	return NULL;
}

static enum err load(void *ctx, uint8_t *bytes, size_t size, struct module **out,
                     struct errmsg *msg)
{
	struct solo_process *p = ctx;
	struct solo_group *g = p->group;
	*out = loaded_before(g, bytes, size);
	if (*out) {
		free(bytes);
		return ERR_OK;
	}
	enum err e = module_load_lazy(bytes, size, true, out, msg);
	if (e != ERR_OK)
		return e;
	uint32_t at = g->next_module++ % GROUP_MODULES;
	if (g->modules[at])
		module_unref(g->modules[at]);
	g->modules[at] = module_ref(*out);
	return ERR_OK;
}

static enum err fork_child(void *ctx, struct wali_child *c);

static struct wali_host host_of(struct solo_process *p)
{
	return (struct wali_host){.tty_size = own_size,
	                          .tty_set = p->group->terminal ? tty_set : NULL,
	                          .tty_news = tty_news,
	                          .tty_open = tty_open,
	                          .fork = fork_child,
	                          .load = load,
	                          .log = say,
	                          .ctx = p};
}

/* ---- children ---- */

static void child_free(struct solo_process *p)
{
	if (p->store)
		store_free(p->store);
	wali_free(p->wali);
	wasi_free(p->wasi);
	if (p->module)
		module_unref(p->module);
	wali_child_free(p->child);
	os_wake_free(&p->wake);
	free(p);
}

static struct module *find_module(void *ctx, const uint8_t hash[32])
{
	struct solo_process *p = ctx;
	return memcmp(hash, module_hash(p->module), 32) ? NULL : p->module;
}

static enum err rebuild(struct solo_process *p, struct errmsg *msg)
{
	struct rd in = rd_of(p->child->state.data, p->child->state.size);
	struct module_finder f = {find_module, p};
	struct host_resolver r = resolver_of(p);
	struct memories *m = p->child->memories;
	p->child->memories = NULL;
	TRY(store_load_copy(&in, &f, &r, m, &p->store, msg));
	wali_child_threads(p->child, p->store);
	p->instance = store_instance(p->store, 0);
	return ERR_OK;
}

static void *child_main(void *arg)
{
	struct solo_process *p = arg;
	struct errmsg msg = {0};
	int status = 0;
	if (rebuild(p, &msg) == ERR_OK) {
		wali_child_free(p->child);
		p->child = NULL;
		solo_process_run(p, &status);
	} else {
		say(NULL, msg.text);
		wali_ended(p->wali, 0, LINUX_SIGKILL);
	}
	if (p->store)
		store_free(p->store);
	p->store = NULL;
	atomic_store(&p->over, true);
	return NULL;
}

/* Those whose threads have ended, or all. */
static void join_children(struct solo_group *g, bool all)
{
	for (struct solo_process **at = &g->children; *at;) {
		struct solo_process *p = *at;
		if (!all && !atomic_load(&p->over)) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		pthread_join(p->host, NULL);
		child_free(p);
	}
}

static enum err fork_child(void *ctx, struct wali_child *c)
{
	struct solo_process *parent = ctx, *p = calloc(1, sizeof *p);
	struct family *f = wali_family(parent->wali);
	join_children(parent->group, false);
	if (!p || os_wake_init(&p->wake) != ERR_OK) {
		free(p);
		wali_child_free(c);
		return ERR_NOMEM;
	}
	p->child = c;
	p->group = parent->group;
	p->max_memory_pages = parent->max_memory_pages;
	p->begun = parent->begun;
	p->wasi = c->wasi;
	p->wali = c->wali;
	p->module = module_ref(c->module);
	struct wali_host host = host_of(p);
	wali_child_adopt(c, &host, &p->wait, &p->wake, ++f->next_pid);
	if (!os_thread_start(&p->host, CHILD_STACK, child_main, p)) {
		wali_child_undo(p->wali);
		child_free(p);
		return ERR_LIMIT;
	}
	p->next = parent->group->children;
	parent->group->children = p;
	return ERR_OK;
}

/* ---- starting ---- */

static enum err make_group(struct solo_process *p)
{
	struct wali_config c = {.wasi = p->wasi,
	                        .waker = &p->wake,
	                        .pid = 1,
	                        .max_memory_bytes = (uint64_t)p->max_memory_pages << 16};
	p->group = calloc(1, sizeof *p->group);
	if (!p->group)
		return ERR_NOMEM;
	TRY(net_new(NULL, "localhost", &p->group->net));
	c.net = p->group->net;
	p->group->terminal = solo_terminal_new(on_terminal_news, on_terminal_signal, p);
	if (p->group->terminal)
		solo_terminal_use(p->group->terminal, wasi_fds(p->wasi));
	c.host = host_of(p);
	return wali_new(&c, &p->wali);
}

static enum err stand_before_start(struct solo_process *p, struct thread *t, struct errmsg *msg)
{
	p->begun = false;
	enum err e = thread_call_start(t, p->instance);
	if (e != ERR_NOTFOUND)
		return e;
	p->begun = true;
	e = thread_call_export(t, p->instance, "_start", NULL, 0, msg);
	if (e == ERR_NOTFOUND)
		return err_set(
		    msg, ERR_INVALID,
		    "no function \"_start\" is exported: it is a library, not a program");
	return e;
}

static enum err instantiate(struct solo_process *p, struct errmsg *msg)
{
	struct store_config sc = {.max_memory_pages = p->max_memory_pages};
	struct host_resolver r = resolver_of(p);
	struct thread *t;
	TRY(store_new(&sc, &p->store));
	TRY(store_instantiate(p->store, p->module, &r, &p->instance, msg));
	TRY(thread_new(p->store, &t));
	return stand_before_start(p, t, msg);
}

enum err solo_process_start(struct solo_process *p, struct errmsg *msg)
{
	if (module_is_wali(p->module))
		TRY(make_group(p));
	return instantiate(p, msg);
}

/* ---- running ---- */

/* A call is over: of the start function (on to _start), of a thread, or (false) of the program. */
static bool next_call(struct solo_process *p, struct thread *t)
{
	struct errmsg msg = {0};
	if (p->begun)
		return p->wali && wali_thread_over(p->wali, t);
	p->begun = true;
	if (thread_call_export(t, p->instance, "_start", NULL, 0, &msg) == ERR_OK)
		return true;
	say(NULL, msg.text);
	return false;
}

static void tell_trap(struct thread *t)
{
	char where[128] = "";
	const char *text = thread_trap_text(t, where, sizeof where);
	fprintf(stderr, "wasmos: trap: %s in %s\n", text, where);
}

/* Another program takes the process over. False: the process has ended. */
static bool exec(struct solo_process *p, int *signal)
{
	struct errmsg msg = {0};
	char *path = NULL;
	struct module *m = p->wali ? wali_take_exec(p->wali, &path) : NULL;
	free(path);
	if (!m)
		return false;
	struct module *old = p->module;
	wali_leave_store(p->wali);
	store_free(p->store);
	module_unref(old);
	p->module = m;
	p->max_memory_pages = wali_memory_pages(p->wali);
	p->store = NULL;
	if (instantiate(p, &msg) == ERR_OK)
		return true;
	say(NULL, msg.text);
	*signal = LINUX_SIGKILL; /* nobody is left to be told */
	return false;
}

static void wait_for_it(struct solo_process *p)
{
	os_wait(&p->wake, p->wait.on, (int)p->wait.count, p->wait.deadline_ns);
}

/* True: it may run. False: it has ended. */
static bool take_turn(struct solo_process *p)
{
	for (;;) {
		wait_clear(&p->wait);
		enum wali_turn turn = p->wali ? wali_turn(p->wali, p->store) : WALI_RUN;
		if (turn != WALI_WAIT)
			return turn == WALI_RUN;
		wait_for_it(p);
	}
}

/* Until it is over; *signal: what ended it. */
static int run(struct solo_process *p, int *signal)
{
	struct thread *t;
	while (take_turn(p)) {
		switch (turns_run(&p->turns, p->store, &t)) {
		case RUN_STOPPED: break;
		case RUN_BLOCKED: wait_for_it(p); break;
		case RUN_DONE:
			if (!next_call(p, t))
				return 0;
			break;
		case RUN_TRAPPED:
			tell_trap(t);
			*signal = LINUX_SIGILL;
			return 134;
		case RUN_EXITED:
			if (p->wali && wali_thread_over(p->wali, t))
				break;
			if (!exec(p, signal))
				return (int)(wasi_exit_code(p->wasi) & 0xff);
			break;
		}
	}
	*signal = wali_end_signal(p->wali);
	return 128 + *signal;
}

void solo_process_run(struct solo_process *p, int *status)
{
	int signal = 0;
	p->turns.wasi = p->wasi;
	p->turns.wait = &p->wait;
	*status = run(p, &signal);
	turns_end(&p->turns);
	if (!p->wali)
		return;
	if (wali_pid(p->wali) == 1) {
		if (p->group->terminal)
			solo_terminal_quiet(p->group->terminal);
		struct family *f = wali_family(p->wali);
		family_lock(f);
		family_kill(f, family_find(f, 1), -1, LINUX_SIGKILL);
		family_unlock(f);
	}
	wali_ended(p->wali, *status, signal);
}

void solo_process_end(struct solo_process *p)
{
	if (p->store)
		store_free(p->store);
	struct solo_group *g = p->group;
	if (!g)
		return;
	wali_free(p->wali);
	join_children(g, true);
	for (uint32_t i = 0; i < GROUP_MODULES; i++)
		if (g->modules[i])
			module_unref(g->modules[i]);
	solo_terminal_free(g->terminal);
	net_free(g->net);
	free(g);
}
