/* worker.c - one thread per process: run, wait, park, end.
 *
 * Truths, under w->lock: the thread is parked only while want has FREEZE and not KILL; every worker_freeze()
 * raises asked and gets exactly one LETTER_FROZEN (answered catches up), unless the process ends first.
 * Letters stand in the worker itself, so that saying something never allocates; each kind is in the
 * mailbox at most once because the loop asks again only after it has read the answer. */
#include "node/worker.h"

#include "base/os.h"
#include "base/os_thread.h"
#include "engine/engine.h"
#include "node/node.h"
#include "node/drivers/drivers.h"
#include "node/wasi.h"

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

/* The start function is over (or there is none): on to _start. False when the program has ended. */
static bool next_call(struct worker *w, struct exit_record *end)
{
	struct process *p = w->p;
	struct errmsg msg = {0};
	if (p->begun) {
		*end = (struct exit_record){.reason = END_EXIT, .status = 0};
		return false;
	}
	p->begun = true;
	if (thread_call_export(p->thread, p->instance, "_start", NULL, 0, &msg) == ERR_OK)
		return true;
	*end = (struct exit_record){.reason = END_LOST, .status = 1};
	snprintf(end->text, sizeof end->text, "%.190s", msg.text);
	return false;
}

static void record_trap(struct process *p, struct exit_record *end)
{
	char where[128] = "";
	const char *text = thread_trap_text(p->thread, where, sizeof where);
	*end = (struct exit_record){.reason = END_TRAP, .status = 134};
	snprintf(end->text, sizeof end->text, "%s%s%s", text ? text : "trap",
	         where[0] ? " in " : "", where);
}

/* Runs until something is to be decided; true: the process has ended. */
static bool run_once(struct worker *w, struct exit_record *end)
{
	struct process *p = w->p;
	wait_clear(&p->wait);
	switch (thread_run(p->thread)) {
	case RUN_STOPPED: return false;
	case RUN_BLOCKED:
		if (!atomic_load(&w->want))
			wait_for_it(w);
		return false;
	case RUN_DONE: return !next_call(w, end);
	case RUN_TRAPPED: record_trap(p, end); return true;
	case RUN_EXITED:
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
		if (want & WANT_FREEZE)
			park(w);
		else {
			drivers_start(w->p->drivers);
			if (run_once(w, end))
				return;
		}
	}
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
	run(w, &w->ended.end);
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
	if (w->p->thread)
		thread_request_stop(w->p->thread);
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
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
