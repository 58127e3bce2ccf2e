/* process.c - life of a process as the loop sees it: start, freeze, thaw, kill, end.
 *
 * Truths of a row (process_check): STARTING, RUNNING and FROZEN have a worker, ENDED has none; FROZEN
 * has freezes > 0; insides are there after the start until the end, and after it while pinned. */
#include "node/process/process.h"

#include "base/crypto.h"
#include "base/file.h"
#include "base/os.h"
#include "engine/engine.h"
#include "node/drivers/drivers.h"
#include "node/process/kin.h"
#include "node/node.h"
#include "node/process/process_build.h"
#include "node/process/process_section.h"
#include "node/process/share.h"
#include "node/process/process_table.h"
#include "node/control/questions.h"
#include "node/terminal/session.h"
#include "node/sockets/outside.h"
#include "node/wali/wali.h"
#include "node/wasi/wasi.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct freeze_waiter {
	process_frozen_fn fn;
	void *ctx;
	struct freeze_waiter *next;
};

static const char *const section_names[SECTIONS] = {"engine", "wasi", "drivers", "process",
                                                    "linux"};

const char *section_name(enum section s)
{
	return section_names[s];
}

enum err section_find(const char *name, enum section *out)
{
	for (int s = 0; s < SECTIONS; s++)
		if (!strcmp(name, section_names[s])) {
			*out = (enum section)s;
			return ERR_OK;
		}
	return ERR_NOTFOUND;
}

static void process_check(const struct process *p)
{
	assert((p->state == PROCESS_ENDED) == !p->worker);
	assert(p->state != PROCESS_FROZEN || p->freezes || p->forgotten);
	assert(p->state == PROCESS_STARTING || p->state == PROCESS_ENDED || p->hold == HOLD_EXEC ||
	       p->store);
}

/* ---- start ---- */

static void wake_guest(void *ctx)
{
	struct process *p = ctx;
	atomic_store(&p->tty_news, true);
	process_wake(p);
}

static void wake_client(void *ctx)
{
	struct process *p = ctx;
	if (!atomic_exchange(&p->has_output, true))
		uv_async_send(&p->node->mailbox.async);
}

static void take_signal(void *ctx, int signal)
{
	process_interrupt(ctx, signal);
}

static struct tty_hooks tty_hooks_of(struct process *p)
{
	return (struct tty_hooks){
	    .wake_guest = wake_guest, .wake_client = wake_client, .signal = take_signal, .ctx = p};
}

static void free_args(struct process *p)
{
	for (uint32_t i = 0; i < p->argc; i++)
		free(p->argv[i]);
	free(p->argv);
}

void process_free(struct process *p)
{
	if (!p)
		return;
	questions_drop(p);
	struct process_insides in = process_take_insides(p);
	process_insides_free(&in);
	if (p->terminal)
		tty_unref(p->terminal);
	if (p->tty_left)
		tty_unref(p->tty);
	else
		tty_free(p->tty);
	tty_free(p->first_tty);
	free_args(p);
	kin_unref(p->kin);
	share_unref(p->share);
	if (p->waker) {
		os_wake_free(p->waker);
		free(p->waker);
	}
	free(p);
}

static struct process *process_alloc(struct node *n)
{
	struct process *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->node = n;
	p->waker = calloc(1, sizeof *p->waker);
	if (p->waker && os_wake_init(p->waker) != ERR_OK) {
		free(p->waker);
		p->waker = NULL;
	}
	if (!p->waker) {
		free(p);
		return NULL;
	}
	return p;
}

static enum err check_config(const struct process_config *cfg, struct errmsg *msg)
{
	size_t args = 0, env = 0;
	for (uint32_t i = 0; i < cfg->argc; i++)
		args += strlen(cfg->argv[i]) + 1;
	for (uint32_t i = 0; i < cfg->nenv; i++)
		env += strlen(cfg->env[i]) + 1;
	if (args > PROCESS_ARGS_BYTES_MAX || cfg->argc > PROCESS_ARGS_MAX)
		return err_set(msg, ERR_LIMIT,
		               "the arguments are too long: %zu bytes in %u, at most %d in %d",
		               args, cfg->argc, PROCESS_ARGS_BYTES_MAX, PROCESS_ARGS_MAX);
	if (env > PROCESS_ARGS_BYTES_MAX)
		return err_set(msg, ERR_LIMIT, "the environment is too long: %zu bytes, at most %d",
		               env, PROCESS_ARGS_BYTES_MAX);
	if (cfg->nmounts > PROCESS_MOUNTS_MAX)
		return err_set(msg, ERR_LIMIT, "%u folders are mounted, at most %d are allowed",
		               cfg->nmounts, PROCESS_MOUNTS_MAX);
	return ERR_OK;
}

/* "/usr/games/doom.wasm" is called "doom". Never empty, nothing a terminal would act on. */
static void set_name(struct process *p, const char *name, const char *path)
{
	const char *base = name && *name ? name : path;
	if (base == path)
		base = path_last(path);
	snprintf(p->name, sizeof p->name, "%s", *base ? base : "program");
	size_t size = strlen(p->name);
	if (base != name && size > 5 && !strcmp(p->name + size - 5, ".wasm"))
		p->name[size - 5] = 0;
	for (char *c = p->name; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

/* The first of a family. */
static enum err lead(struct process *p, uint64_t epoch)
{
	p->kin = kin_new();
	if (!p->kin)
		return ERR_NOMEM;
	p->leads = true;
	kin_set_epoch(p, epoch);
	return ERR_OK;
}

static enum err fill_from_config(struct process *p, const struct process_config *cfg)
{
	struct tty_hooks hooks = tty_hooks_of(p);
	TRY(lead(p, 1));
	set_name(p, cfg->name, cfg->path);
	os_random(p->uid, sizeof p->uid);
	p->parent = cfg->parent;
	atomic_store(&p->controls, cfg->controls);
	p->created_unix_ms = (int64_t)(os_wall_ns() / 1000000);
	p->display = cfg->display;
	p->checkpoint_s = cfg->checkpoint_s;
	p->net_mode = cfg->net_mode;
	memcpy(p->net_key, cfg->net_key, sizeof p->net_key);
	memcpy(p->net_home, p->node->device_id, sizeof p->net_home);
	if (crypto_is_zero(p->net_key, sizeof p->net_key))
		os_random(p->net_key, sizeof p->net_key);
	p->argv = calloc(cfg->argc + 1, sizeof *p->argv);
	if (!p->argv)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < cfg->argc; i++) {
		p->argv[i] = strdup(cfg->argv[i]);
		if (!p->argv[i])
			return ERR_NOMEM;
		p->argc = i + 1;
	}
	TRY(tty_new(&cfg->tty, &hooks, &p->tty));
	p->terminal = tty_ref(p->tty);
	return ERR_OK;
}

/* Frees the setup when it fails. */
static enum err start(struct process *p, const struct worker_setup *setup, struct errmsg *msg)
{
	p->share = kin_share(p->kin);
	enum err e = process_table_add(p->node, p, msg);
	if (e == ERR_OK) {
		e = worker_start(p, setup, msg);
		if (e != ERR_OK)
			process_table_remove(p->node, p);
	}
	if (e != ERR_OK)
		setup->free(setup->ctx);
	return e;
}

static enum err prepare_new(struct process *p, const struct process_config *cfg,
                            struct worker_setup *setup, struct errmsg *msg)
{
	TRY(check_config(cfg, msg));
	enum err e = fill_from_config(p, cfg);
	if (e != ERR_OK)
		return err_set(msg, e, "process: %s", err_text(e));
	return build_for_create(p, cfg, setup, msg);
}

static void become_copy(struct process *p)
{
	p->is_copy = true;
	atomic_store(&p->controls, false); /* a snapshot may be anybody's */
	memcpy(p->copy_of, p->uid, sizeof p->copy_of);
	/* The world outside is not the image's to give. */
	if (memcmp(p->net_home, p->node->device_id, sizeof p->net_home) || p->net_mode > NET_SYSTEM)
		p->net_mode = NET_NONE;
	memcpy(p->net_home, p->node->device_id, sizeof p->net_home);
	os_random(p->net_key, sizeof p->net_key);
	os_random(p->uid, sizeof p->uid);
	p->epoch = 1;
}

/* How far it may reach from here is what was said here, not what the image says. */
static void limit_net(struct process *p)
{
	bool home = !memcmp(p->net_home, p->node->device_id, sizeof p->net_home);
	if (home && p->net_mode > NET_SYSTEM && net_granted(p->node, p->net_key) < p->net_mode)
		p->net_mode = NET_SYSTEM;
}

static enum err prepare_restored(struct process *p, const struct process_sections *s,
                                 struct worker_setup *setup, struct errmsg *msg)
{
	struct tty_hooks hooks = tty_hooks_of(p);
	TRY(process_section_load(s->bytes[SECTION_PROCESS], &hooks, p, msg));
	p->guest_pid = s->guest_pid ? s->guest_pid : p->pid;
	p->terminal = tty_ref(s->leader ? s->leader->tty : p->tty);
	if (s->fresh)
		become_copy(p);
	limit_net(p);
	if (s->leader)
		p->kin = kin_ref(s->leader->kin);
	else
		TRY(lead(p, p->epoch));
	if (process_find_uid(p->node, p->uid))
		return err_set(msg, ERR_EXISTS, "process %u (%s) is here already", p->pid, p->name);
	p->freezes = 1;
	return build_for_restore(p, s, setup, msg);
}

/* The end of both: what was prepared (e) is started, or fn hears why not. */
static void launch(struct process *p, const struct worker_setup *setup, enum err e,
                   process_started_fn fn, void *ctx, struct errmsg *msg)
{
	if (e == ERR_OK) {
		p->started_fn = fn;
		p->started_ctx = ctx;
		e = start(p, setup, msg);
	}
	if (e != ERR_OK) {
		process_free(p);
		fn(ctx, NULL, e, msg);
	}
}

void process_create(struct node *n, const struct process_config *cfg, process_started_fn fn,
                    void *ctx)
{
	struct errmsg msg = {0};
	struct worker_setup setup = {0};
	struct process *p = process_alloc(n);
	enum err e = p ? prepare_new(p, cfg, &setup, &msg)
	               : err_set(&msg, ERR_NOMEM, "process: out of memory");
	launch(p, &setup, e, fn, ctx, &msg);
}

void process_restore(struct node *n, const struct process_sections *s, process_started_fn fn,
                     void *ctx)
{
	struct errmsg msg = {0};
	struct worker_setup setup = {0};
	struct process *p = process_alloc(n);
	enum err e = p ? prepare_restored(p, s, &setup, &msg)
	               : err_set(&msg, ERR_NOMEM, "process: out of memory");
	launch(p, &setup, e, fn, ctx, &msg);
}

/* ---- children ---- */

static enum err fill_from_parent(struct process *p, const struct process *parent)
{
	struct tty_hooks hooks = {0};
	struct tty_config none = {0};
	memcpy(p->name, parent->name, sizeof p->name);
	os_random(p->uid, sizeof p->uid);
	p->epoch = 1;
	p->kin = kin_ref(parent->kin);
	p->hold = parent->hold == HOLD_MOVING
	              ? HOLD_MOVING
	              : HOLD_NONE; /* until the move is over it stays the program it is */
	p->parent = parent->pid;
	atomic_store(&p->controls, atomic_load(&parent->controls));
	p->max_memory_pages = parent->max_memory_pages;
	p->created_unix_ms = (int64_t)(os_wall_ns() / 1000000);
	p->display.display = "headless";
	p->begun = parent->begun;
	p->net_mode = parent->net_mode;
	memcpy(p->net_key, parent->net_key, sizeof p->net_key);
	memcpy(p->net_home, parent->net_home, sizeof p->net_home);
	p->argv = calloc(parent->argc + 1, sizeof *p->argv);
	for (uint32_t i = 0; p->argv && i < parent->argc; i++) {
		p->argv[i] = strdup(parent->argv[i]);
		if (!p->argv[i])
			return ERR_NOMEM;
		p->argc = i + 1;
	}
	TRY(tty_new(&none, &hooks, &p->tty));
	p->terminal = tty_ref(parent->terminal);
	return p->argv ? ERR_OK : ERR_NOMEM;
}

/* The child is told of in any case: its parent waits. */
static void fork_process(struct process *parent, struct wali_child *c)
{
	struct errmsg msg = {0};
	struct worker_setup setup = {0};
	struct process *p = process_alloc(parent->node);
	enum err e = !p ? ERR_NOMEM : parent->dying ? ERR_STATE : fill_from_parent(p, parent);
	if (e == ERR_OK) {
		build_for_fork(c, &setup);
		e = start(p, &setup, &msg);
	} else {
		build_no_child(c);
	}
	if (e == ERR_OK)
		return;
	node_log_about(parent->node, LOG_WARN, "process",
	               &(struct log_about){.event = LOG_EVENT_program_refused,
	                                   .pid = parent->pid,
	                                   .program = parent->name,
	                                   .error = e},
	               "%u (%s): no child: %s", parent->pid, parent->name,
	               msg.text[0] ? msg.text : err_text(e));
	process_free(p);
}

/* Moves and savers look at the insides of a process that is not held. */
static void grant_exec(struct process *p)
{
	worker_exec_read(p->worker);
	if (p->state != PROCESS_RUNNING || p->hold != HOLD_NONE || p->pins || p->freezes)
		return; /* it asks again */
	p->hold = HOLD_EXEC;
	atomic_store(&p->exec_granted, true);
	process_wake(p);
}

void process_take_back_exec(struct process *p)
{
	if (p->state != PROCESS_FROZEN)
		return;
	atomic_store(&p->exec_granted, false); /* it stands before its call, and asks again */
	if (p->hold == HOLD_EXEC)
		p->hold = HOLD_NONE;
}

static void on_exec_over(struct process *p, const struct letter *l)
{
	if (p->hold == HOLD_EXEC)
		p->hold = HOLD_NONE;
	if (l->name[0])
		set_name(p, NULL, l->name);
	if (!l->argv)
		return;
	free_args(p);
	p->argv = l->argv;
	p->argc = l->argc;
}

static void call_started(struct process *p, enum err e, const struct errmsg *msg)
{
	process_started_fn fn = p->started_fn;
	p->started_fn = NULL;
	if (fn)
		fn(p->started_ctx, e == ERR_OK ? p : NULL, e, msg);
}

/* ---- freeze, thaw, kill ---- */

/* Callbacks whose time has come. They may freeze, thaw, kill or unpin again. */
void process_deliver(struct process *p)
{
	process_pin(p);
	while (p->waiters && (p->state == PROCESS_FROZEN || p->state == PROCESS_ENDED)) {
		struct freeze_waiter *w = p->waiters;
		p->waiters = w->next;
		w->fn(w->ctx, p, p->state);
		free(w);
	}
	process_unpin(p);
}

void process_freeze(struct process *p, process_frozen_fn fn, void *ctx)
{
	struct freeze_waiter *w = malloc(sizeof *w), **at = &p->waiters;
	if (!w)
		abort(); /* a dozen bytes: nothing sensible is left to do */
	*w = (struct freeze_waiter){.fn = fn, .ctx = ctx};
	while (*at)
		at = &(*at)->next;
	*at = w;
	if (p->state != PROCESS_ENDED && !p->freezes++)
		worker_freeze(p->worker);
	else
		uv_async_send(&p->node->mailbox.async);
}

void process_thaw(struct process *p)
{
	if (p->state != PROCESS_FROZEN)
		return; /* it was killed meanwhile */
	assert(p->freezes);
	if (--p->freezes)
		return;
	p->state = PROCESS_RUNNING;
	wasi_unpause(p->wasi);
	worker_thaw(p->worker);
	wake_client(p); /* input that was held back while it was frozen */
}

void process_kill(struct process *p, int status)
{
	if (!process_alive(p))
		return;
	p->dying = true;
	worker_kill(p->worker, status);
}

void process_interrupt(struct process *p, int signal)
{
	if (!p->wali || !p->worker) {
		process_kill(p, 128 + signal);
		return;
	}
	atomic_fetch_or(&p->foreground_signals, UINT64_C(1) << (signal - 1));
	worker_poll(p->worker);
	process_wake(p);
}

void process_forget(struct process *p)
{
	assert(p->state == PROCESS_FROZEN && !p->forgotten);
	p->forgotten = true;
	p->node->counters.cpu_ns += process_cpu_ns(p) - p->cpu_ns_before;
	process_table_tell(p, PROCESS_EVENT_GONE);
	process_table_unlink(p->node, p);
	worker_kill(p->worker, 0);
}

void process_pin(struct process *p)
{
	p->pins++;
}

struct freeing {
	uv_work_t work;
	struct process_insides insides;
};

static void free_insides(uv_work_t *work)
{
	struct freeing *f = work->data;
	process_insides_free(&f->insides);
}

static void insides_freed(uv_work_t *work, int status)
{
	free(work->data);
}

/* Off the loop: it unmaps memory and closes files. */
static void release_insides(struct process *p)
{
	struct freeing *f = p->store || p->module ? malloc(sizeof *f) : NULL;
	struct process_insides in = process_take_insides(p);
	if (f) {
		f->insides = in;
		f->work.data = f;
		if (uv_queue_work(&p->node->loop, &f->work, free_insides, insides_freed) == 0)
			return;
		free(f);
	}
	process_insides_free(&in);
}

static void release_if_unused(struct process *p)
{
	if (p->state != PROCESS_ENDED || p->pins || p->waiters)
		return;
	release_insides(p);
	if (p->forgotten)
		process_free(p);
}

void process_unpin(struct process *p)
{
	assert(p->pins);
	p->pins--;
	release_if_unused(p);
}

void process_wake(struct process *p)
{
	os_wake_post(p->waker);
}

/* ---- letters ---- */

static void on_started(struct process *p)
{
	if (p->freezes && p->started_fn) {
		/* A restored one is started when it is frozen. Freezing was asked for before it began. */
		worker_nudge(p->worker);
		return;
	}
	p->state = PROCESS_RUNNING;
	worker_nudge(p->worker);
	process_table_tell(p, PROCESS_EVENT_STARTED);
	call_started(p, ERR_OK, NULL);
}

static void on_frozen(struct process *p)
{
	bool restored = p->state == PROCESS_STARTING;
	p->state = PROCESS_FROZEN;
	wasi_pause(p->wasi);
	if (restored) {
		process_table_tell(p, PROCESS_EVENT_STARTED);
		call_started(p, ERR_OK, NULL);
	}
	process_deliver(p);
}

static void end_worker(struct process *p)
{
	worker_free(p->worker);
	p->worker = NULL;
	p->state = PROCESS_ENDED;
	p->node->table.alive--;
}

static void on_failed(struct process *p, enum err e, const struct errmsg *msg)
{
	struct errmsg copy = *msg; /* the letter stands in the worker */
	end_worker(p);
	process_table_unlink(p->node, p);
	if (!copy.text[0])
		err_set(&copy, e, "%s: %s", p->name, err_text(e));
	call_started(p, e, &copy);
	p->forgotten = true;
	process_deliver(p);
}

/* The terminal of p, which has ended, becomes that of a relative: what those write is kept there, and who attaches finds them. */
static void leave_terminal(struct process *p)
{
	struct process *heir = kin_leader(p);
	if (heir == p || heir->first_tty || heir->terminal != p->tty)
		return;
	struct tty_hooks hooks = tty_hooks_of(heir);
	heir->first_tty = heir->tty;
	heir->tty = tty_ref(p->tty);
	p->tty_left = true;
	tty_set_hooks(heir->tty, &hooks);
}

static void on_ended(struct process *p, const struct exit_record *end)
{
	if (!p->forgotten)
		p->node->counters.cpu_ns += end->cpu_ns;
	p->end = *end;
	p->end.cpu_ns += p->cpu_ns_before;
	end_worker(p);
	if (!p->forgotten) {
		kin_pass_on(p);
		leave_terminal(p);
	}
	if (!p->forgotten) {
		p->node->table.ended++;
		node_log_about(p->node, LOG_INFO, "process",
		               &(struct log_about){.event = LOG_EVENT_program_ended,
		                                   .pid = p->pid,
		                                   .program = p->name,
		                                   .has_status = true,
		                                   .status = p->end.status},
		               "%u (%s) ended: %s, status %d", p->pid, p->name,
		               p->end.text[0] ? p->end.text : process_state_text(p), p->end.status);
		process_table_tell(p, PROCESS_EVENT_ENDED);
	}
	/* Killed before it was ever started. */
	call_started(p, ERR_CLOSED, &(struct errmsg){.text = "it was killed while it started"});
	struct node *n = p->node;
	process_deliver(p); /* p may be gone now */
	process_table_prune(n);
}

void process_letter(const struct letter *l)
{
	struct process *p = l->process;
	switch (l->kind) {
	case LETTER_STARTED: on_started(p); break;
	case LETTER_FAILED: on_failed(p, l->err, &l->msg); return;
	case LETTER_FROZEN: on_frozen(p); break;
	case LETTER_ENDED: on_ended(p, &l->end); return;
	case LETTER_FORK: fork_process(p, l->child); break;
	case LETTER_EXEC: grant_exec(p); break;
	case LETTER_EXECED: on_exec_over(p, l); break;
	}
	process_check(p);
}

/* ---- what is asked about it ---- */

uint64_t process_cpu_ns(const struct process *p)
{
	if (p->state == PROCESS_ENDED)
		return p->end.cpu_ns;
	return p->cpu_ns_before + (p->worker ? worker_cpu_ns(p->worker) : 0);
}

uint64_t process_memory_bytes(const struct process *p)
{
	uint64_t sum = 0, size;
	if (p->state == PROCESS_STARTING || p->hold == HOLD_EXEC || !p->store)
		return 0;
	for (uint32_t i = 0; i < store_memory_count(p->store); i++) {
		store_memory(p->store, i, &size);
		sum += size;
	}
	return sum;
}

bool process_alive(const struct process *p)
{
	return p->state != PROCESS_ENDED;
}

void process_command_line(const struct process *p, char *out, size_t size)
{
	size_t at = 0;
	out[0] = 0;
	for (uint32_t i = 0; i < p->argc && at + 1 < size; i++) {
		int n = snprintf(out + at, size - at, "%s%s", i ? " " : "", p->argv[i]);
		at += n > 0 ? (size_t)n : 0;
	}
	for (char *c = out; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

const char *process_state_text(const struct process *p)
{
	static const char *const holds[] = {[HOLD_SUSPENDED] = "suspending",
	                                    [HOLD_MOVING] = "moving",
	                                    [HOLD_ARRIVING] = "arriving",
	                                    [HOLD_EXEC] = "running",
	                                    [HOLD_IN_FLIGHT] = "in flight"};
	static const char *const ends[] = {[END_EXIT] = "exited",
	                                   [END_TRAP] = "trapped",
	                                   [END_KILLED] = "killed",
	                                   [END_LOST] = "failed"};
	if (p->state == PROCESS_ENDED)
		return ends[p->end.reason];
	if (p->hold != HOLD_NONE)
		return holds[p->hold];
	if (p->state == PROCESS_STARTING)
		return "starting";
	if (p->state == PROCESS_FROZEN)
		return "frozen";
	return worker_waits(p->worker) ? "waiting" : "running";
}

static enum err save_linux(struct process *p, bool related, struct wr *out, struct errmsg *msg)
{
	if (!p->wali)
		return ERR_OK;
	return related ? wali_save_in(p->wali, out, msg) : wali_save(p->wali, out, msg);
}

enum err process_save_section(struct process *p, enum section s, struct wr *out, struct errmsg *msg)
{
	return process_save_section_in(p, s, NULL, out, msg);
}

enum err process_save_section_in(struct process *p, enum section s, const struct fdset *set,
                                 struct wr *out, struct errmsg *msg)
{
	enum err e = ERR_INVALID;
	switch (s) {
	case SECTION_ENGINE: e = store_save(p->store, 0, out); break;
	case SECTION_WASI:
		return set ? wasi_save_in(p->wasi, set, out, msg) : wasi_save(p->wasi, out, msg);
	case SECTION_DRIVERS: e = drivers_save(p->drivers, out); break;
	case SECTION_PROCESS: e = process_section_save(p, out); break;
	case SECTION_LINUX: return save_linux(p, set != NULL, out, msg);
	case SECTIONS: break;
	}
	if (e == ERR_OK && !wr_ok(out))
		e = ERR_NOMEM;
	return e == ERR_OK ? e : err_set(msg, e, "section %s: %s", section_name(s), err_text(e));
}
