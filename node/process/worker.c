/* worker.c - one thread per process: run, wait, park, end.
 *
 * Truths, under w->lock: the thread is parked only while want has FREEZE and not KILL; every worker_freeze()
 * raises asked and gets exactly one LETTER_FROZEN (answered catches up), unless the process ends first.
 * Letters stand in the worker itself, so that saying something never allocates; each kind is in the
 * mailbox at most once because the loop asks again only after it has read the answer. */
#include "node/process/worker.h"

#include "base/os.h"
#include "base/os_thread.h"
#include "engine/engine.h"
#include "node/node.h"
#include "node/drivers/drivers.h"
#include "node/process/process_build.h"
#include "node/process/share.h"
#include "node/process/turns.h"
#include "node/wali/family.h"
#include "node/wali/wali.h"
#include "node/wasi/wasi.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WANT_FREEZE = 1, WANT_KILL = 2 };
enum { STACK_SIZE = 1 << 20 };

struct worker {
	struct process *p;
	struct worker_setup setup;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	atomic_uint want; /* the stop word */
	atomic_bool waits;
	int kill_status;                      /* under lock */
	uint64_t asked, answered;             /* under lock: freezes */
	struct letter started, frozen, ended; /* started is FAILED's too */
	struct letter forked, exec, execed;
	atomic_bool exec_asked; /* exec is in the mailbox */
	struct turns turns;     /* the worker's thread's */
	struct share_turn turn; /* its place among relatives */
	bool was_sent_back;     /* it ran until somebody else was to run */
};

static void post(struct worker *w, struct letter *l)
{
	struct node *n = w->p->node;
	l->process = w->p;
	l->next = NULL;
	uv_mutex_lock(&n->mailbox.lock);
	if (n->mailbox.last)
		n->mailbox.last->next = l;
	else
		n->mailbox.first = l;
	n->mailbox.last = l;
	uv_mutex_unlock(&n->mailbox.lock);
	uv_async_send(&n->mailbox.async);
}

/* ---- Linux programs ---- */

void worker_fork(struct worker *w, struct wali_child *child)
{
	w->forked.kind = LETTER_FORK;
	w->forked.child = child;
	post(w, &w->forked);
}

void worker_ask_exec(struct worker *w)
{
	w->exec.kind = LETTER_EXEC;
	if (!atomic_exchange(&w->exec_asked, true))
		post(w, &w->exec);
}

void worker_exec_read(struct worker *w)
{
	atomic_store(&w->exec_asked, false);
}

void worker_execed(struct worker *w, const char *name, char **argv, uint32_t argc)
{
	w->execed.kind = LETTER_EXECED;
	w->execed.argv = argv;
	w->execed.argc = argc;
	snprintf(w->execed.name, sizeof w->execed.name, "%s", name);
	atomic_store(&w->p->exec_granted, false);
	post(w, &w->execed);
}

void worker_poll(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	if (w->p->stands)
		store_request_stop(w->p->store);
	pthread_mutex_unlock(&w->lock);
}

static void park(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	for (;;) {
		unsigned want = atomic_load(&w->want);
		if (!(want & WANT_FREEZE) || want & WANT_KILL)
			break;
		if (w->asked != w->answered) {
			w->answered = w->asked;
			w->frozen.kind = LETTER_FROZEN;
			post(w, &w->frozen);
		}
		pthread_cond_wait(&w->changed, &w->lock);
	}
	pthread_mutex_unlock(&w->lock);
}

static void wait_for_it(struct worker *w)
{
	struct process *p = w->p;
	atomic_store(&w->waits, true);
	os_wait(p->waker, p->wait.on, (int)p->wait.count, p->wait.deadline_ns);
	atomic_store(&w->waits, false);
}

/* A call is over: of the start function (on to _start), of a thread, or of the program: then false. */
static bool next_call(struct worker *w, struct thread *t, struct exit_record *end)
{
	struct process *p = w->p;
	struct errmsg msg = {0};
	if (p->begun && p->wali && wali_thread_over(p->wali, t))
		return true;
	if (p->begun) {
		*end = (struct exit_record){.reason = END_EXIT, .status = 0};
		return false;
	}
	p->begun = true;
	if (thread_call_export(t, p->instance, "_start", NULL, 0, &msg) == ERR_OK)
		return true;
	*end = (struct exit_record){.reason = END_LOST, .status = 1};
	snprintf(end->text, sizeof end->text, "%.190s", msg.text);
	return false;
}

static void pass_on_signals(struct process *p)
{
	uint64_t bits = atomic_exchange(&p->foreground_signals, 0);
	for (int s = 1; bits; s++, bits >>= 1)
		if (bits & 1)
			wali_signal_foreground(p->wali, s);
}

/* What signals want before the program runs on. False: not now, or never again. */
static bool take_turn(struct worker *w, bool *over)
{
	struct process *p = w->p;
	pass_on_signals(p);
	switch (wali_turn(p->wali, p->store)) {
	case WALI_RUN: return true;
	case WALI_END: *over = true; return false;
	case WALI_WAIT: break;
	}
	if (!atomic_load(&w->want))
		wait_for_it(w);
	return false;
}

/* The insides of the old program go, those of m come. */
static enum err replace_program(struct worker *w, struct module *m, struct errmsg *msg)
{
	struct process *p = w->p;
	wali_leave_store(p->wali);
	pthread_mutex_lock(&w->lock);
	struct store *old = p->store;
	p->stands = false;
	p->store = NULL;
	p->instance = NULL;
	pthread_mutex_unlock(&w->lock);
	store_free(old);
	module_unref(p->module);
	p->module = m;
	p->max_memory_pages = wali_memory_pages(p->wali);
	return build_program(p, &w->lock, msg);
}

/* What `ps` shows. NULL: the old ones stay. */
static char **copy_args(const struct wasi *w, uint32_t *argc)
{
	const char *const *args;
	uint32_t count = wasi_args(w, &args);
	char **copy = calloc(count + 1u, sizeof *copy);
	for (*argc = 0; copy && *argc < count; ++*argc)
		if (!(copy[*argc] = strdup(args[*argc])))
			break;
	return copy;
}

static void tell_exec(struct worker *w, const char *path)
{
	uint32_t argc = 0;
	char **argv = path ? copy_args(w->p->wasi, &argc) : NULL;
	worker_execed(w, path ? path : "", argv, argc);
}

/* Another program takes the process over. False: there is none, or (then end says so) it could not. */
static bool exec(struct worker *w, struct exit_record *end)
{
	struct errmsg msg = {0};
	char *path = NULL;
	struct module *m = w->p->wali ? wali_take_exec(w->p->wali, &path) : NULL;
	enum err e = m ? replace_program(w, m, &msg) : ERR_NOTFOUND;
	if (m)
		tell_exec(w, path);
	free(path);
	if (m && e != ERR_OK) {
		*end = (struct exit_record){.reason = END_LOST, .status = 126};
		snprintf(end->text, sizeof end->text, "%.190s", msg.text);
	}
	return e == ERR_OK;
}

static void record_trap(struct thread *t, struct exit_record *end)
{
	char where[128] = "";
	const char *text = thread_trap_text(t, where, sizeof where);
	*end = (struct exit_record){.reason = END_TRAP, .status = 134};
	snprintf(end->text, sizeof end->text, "%s%s%s", text ? text : "trap",
	         where[0] ? " in " : "", where);
}

/* When its family has a processor for it. */
static enum run_status run_in_turn(struct worker *w, struct thread **t)
{
	struct process *p = w->p;
	if (p->share && !share_enter(p->share, &w->turn, p->store, !w->was_sent_back))
		return RUN_STOPPED;
	enum run_status st = turns_run(&w->turns, p->store, t);
	if (p->share)
		share_leave(p->share, &w->turn);
	w->was_sent_back = st == RUN_STOPPED;
	return st;
}

/* Runs until something is to be decided; true: the process has ended. */
static bool run_once(struct worker *w, struct exit_record *end)
{
	struct process *p = w->p;
	struct thread *t;
	bool over = false;
	wait_clear(&p->wait);
	if (p->wali && !take_turn(w, &over)) {
		if (over)
			*end = (struct exit_record){.reason = END_KILLED,
			                            .status = 128 + wali_end_signal(p->wali)};
		return over;
	}
	switch (run_in_turn(w, &t)) {
	case RUN_STOPPED: return false;
	case RUN_BLOCKED:
		if (!atomic_load(&w->want))
			wait_for_it(w);
		return false;
	case RUN_DONE: return !next_call(w, t, end);
	case RUN_TRAPPED: record_trap(t, end); return true;
	case RUN_EXITED:
		if (p->wali && wali_thread_over(p->wali, t))
			return false;
		end->text[0] = 0;
		if (exec(w, end))
			return false;
		if (end->text[0])
			return true;
		*end = (struct exit_record){.reason = END_EXIT,
		                            .status = (int)(wasi_exit_code(p->wasi) & 0xff)};
		return true;
	}
	return false;
}

static void run(struct worker *w, struct exit_record *end)
{
	for (;;) {
		unsigned want = atomic_load(&w->want);
		if (want & WANT_KILL) {
			*end = (struct exit_record){.reason = END_KILLED, .status = w->kill_status};
			return;
		}
		if (want & WANT_FREEZE) {
			park(w);
			if (w->p->wali && w->p->forgotten)
				wali_leave(w->p->wali);
			else if (w->p->wali)
				wali_start_clock(w->p->wali);
		} else {
			drivers_start(w->p->drivers);
			if (run_once(w, end))
				return;
		}
	}
}

/* Relatives are told, and files they share are closed. */
static void end_linux(struct process *p, const struct exit_record *end)
{
	int signal = wali_end_signal(p->wali);
	if (end->reason == END_TRAP)
		signal = LINUX_SIGILL;
	else if (!signal && end->reason != END_EXIT)
		signal = end->status > 128 && end->status < 128 + LINUX_SIGNALS ? end->status - 128
		                                                                : LINUX_SIGKILL;
	wali_ended(p->wali, end->status, signal);
}

/* What it showed is part of how it ended; its window and terminal are given back before that is told. */
static void end_screen(struct process *p, struct exit_record *end)
{
	struct drivers_stats st;
	drivers_end(p->drivers);
	drivers_stats(p->drivers, &st);
	end->frames = st.frames;
	end->has_frame_hash = st.frame_hash;
	memcpy(end->frame_hash, st.hash, sizeof end->frame_hash);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	w->started.err = w->setup.run(w->setup.ctx, w->p, &w->started.msg);
	w->setup.free(w->setup.ctx);
	w->started.kind = w->started.err == ERR_OK ? LETTER_STARTED : LETTER_FAILED;
	bool failed = w->started.err != ERR_OK; /* the loop may free w once it has read FAILED */
	post(w, &w->started);
	if (failed)
		return NULL;
	w->turns = (struct turns){.wasi = w->p->wasi, .wait = &w->p->wait};
	run(w, &w->ended.end);
	turns_end(&w->turns);
	if (w->ended.end.reason != END_KILLED)
		wasi_settle(w->p->wasi);
	if (w->p->wali)
		end_linux(w->p, &w->ended.end);
	end_screen(w->p, &w->ended.end);
	w->ended.end.cpu_ns = os_thread_cpu_ns();
	w->ended.end.ended_unix_ms = (int64_t)(os_wall_ns() / 1000000);
	w->ended.kind = LETTER_ENDED;
	post(w, &w->ended);
	return NULL;
}

enum err worker_start(struct process *p, const struct worker_setup *setup, struct errmsg *msg)
{
	struct worker *w = calloc(1, sizeof *w);
	if (!w)
		return err_set(msg, ERR_NOMEM, "worker: out of memory");
	w->p = p;
	w->setup = *setup;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	if (setup->frozen) {
		w->asked = 1;
		atomic_store(&w->want, WANT_FREEZE);
	}
	p->worker = w;
	if (os_thread_start(&w->thread, STACK_SIZE, worker_main, w))
		return ERR_OK;
	p->worker = NULL;
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return err_set(msg, ERR_LIMIT, "the system allows no further thread");
}

/* The thread looks at the stop word at its next safepoint, or when its wait ends, or when it is unparked. */
void worker_nudge(struct worker *w)
{
	if (!atomic_load(&w->want))
		return;
	worker_poll(w);
	if (w->p->share)
		share_poke(w->p->share, &w->turn);
	os_wake_post(w->p->waker);
}

void worker_freeze(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->asked++;
	atomic_fetch_or(&w->want, WANT_FREEZE);
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
	if (w->p->state != PROCESS_STARTING)
		worker_nudge(w);
}

void worker_thaw(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	atomic_fetch_and(&w->want, ~(unsigned)WANT_FREEZE);
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

void worker_kill(struct worker *w, int status)
{
	pthread_mutex_lock(&w->lock);
	if (!(atomic_load(&w->want) & WANT_KILL))
		w->kill_status = status;
	atomic_fetch_or(&w->want, WANT_KILL);
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
	if (w->p->state != PROCESS_STARTING)
		worker_nudge(w);
}

bool worker_waits(const struct worker *w)
{
	return atomic_load(&w->waits);
}

uint64_t worker_cpu_ns(const struct worker *w)
{
	return os_thread_used_ns(w->thread);
}

void worker_free(struct worker *w)
{
	pthread_join(w->thread, NULL);
	share_turn_end(&w->turn);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
