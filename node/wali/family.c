/* family.c - the rows of related processes (family.h). */
#include "node/wali/family.h"

#include "base/os_thread.h"
#include "engine/engine.h"
#include "node/sockets/socket.h"
#include "node/wali/commons.h"
#include "node/wali/far_requests.h"
#include "node/wali/kinship.h"
#include "node/wali/pty.h"

#include <stdlib.h>
#include <string.h>

enum {
	INPUT_FLAGS = 0x500,  /* ICRNL IXON */
	OUTPUT_FLAGS = 5,     /* OPOST ONLCR */
	CONTROL_FLAGS = 0xbf, /* 38400 baud, 8 bits, CREAD */
	LOCAL_FLAGS = 0x8a3b, /* ISIG ICANON ECHO ECHOE ECHOK ECHOCTL ECHOKE IEXTEN */
};

/* ---- terminals ---- */

void family_terminal_reset(struct family_terminal *t)
{
	static const uint8_t keys[] = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22};
	*t = (struct family_terminal){.iflag = INPUT_FLAGS,
	                              .oflag = OUTPUT_FLAGS,
	                              .cflag = CONTROL_FLAGS,
	                              .lflag = LOCAL_FLAGS};
	memcpy(t->cc, keys, sizeof keys);
}

void family_terminal_save(const struct family_terminal *t, struct wr *out)
{
	wr_u32(out, t->iflag);
	wr_u32(out, t->oflag);
	wr_u32(out, t->cflag);
	wr_u32(out, t->lflag);
	wr_u8(out, t->line);
	wr_bytes(out, t->cc, sizeof t->cc);
}

enum err family_terminal_load(struct family_terminal *t, struct rd *in)
{
	const uint8_t *keys;
	TRY(rd_u32(in, &t->iflag));
	TRY(rd_u32(in, &t->oflag));
	TRY(rd_u32(in, &t->cflag));
	TRY(rd_u32(in, &t->lflag));
	TRY(rd_u8(in, &t->line));
	TRY(rd_bytes(in, sizeof t->cc, &keys));
	memcpy(t->cc, keys, sizeof t->cc);
	return ERR_OK;
}

struct family_terminal *family_terminal_of(struct family *f, uint32_t session)
{
	if (session && f->terminal.session == session)
		return &f->terminal;
	for (struct pty *p = pty_next(f, NULL); p && session; p = pty_next(f, p))
		if (pty_terminal(p)->session == session)
			return pty_terminal(p);
	return NULL;
}

/* ---- the lock ---- */

struct family_lock {
	pthread_mutex_t mutex;
	_Atomic uint32_t refs;
};

static struct family_lock *lock_new(void)
{
	struct family_lock *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	pthread_mutex_init(&l->mutex, NULL);
	l->refs = 1;
	return l;
}

static void lock_unref(struct family_lock *l)
{
	if (atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&l->mutex);
	free(l);
}

void family_share_lock(struct family *f, struct family *other)
{
	lock_unref(f->lock);
	atomic_fetch_add(&other->lock->refs, 1);
	f->lock = other->lock;
}

void family_lock(struct family *f)
{
	pthread_mutex_lock(&f->lock->mutex);
}

void family_unlock(struct family *f)
{
	if (f->has_untold)
		kinships_tell(f, false);
	pthread_mutex_unlock(&f->lock->mutex);
}

/* ---- processes ---- */

struct family *family_new(void)
{
	struct family *f = calloc(1, sizeof *f);
	if (!f || !(f->lock = lock_new())) {
		free(f);
		return NULL;
	}
	pthread_mutex_init(&f->wakers, NULL);
	f->next_pid = 1;
	family_terminal_reset(&f->terminal);
	return f;
}

/* Something for a socket of the family: perhaps of another part. */
static void hear(struct family *f)
{
	if (!atomic_load(&f->hears))
		return;
	atomic_store(&f->has_news, true);
	os_wake_post(&f->alarm_wake);
}

void family_wake(void *family)
{
	struct family *f = family;
	for (struct task *t = f->tasks; t; t = t->next)
		if (t->waker && !t->runs && !t->waits_for)
			os_wake_post(t->waker);
}

/* Who was poked makes its call again, and says then whether it waits again. */
void family_wake_pipe(void *family, const void *pipe)
{
	struct family *f = family;
	for (struct task *t = f->tasks; t; t = t->next) {
		if (!t->waker || t->runs || (t->waits_for && t->waits_for != pipe))
			continue;
		os_wake_post(t->waker);
		t->runs = t->waits_for != NULL;
	}
}

void family_wake_all(void *family)
{
	struct family *f = family;
	hear(f);
	pthread_mutex_lock(&f->wakers);
	for (struct task *t = f->tasks; t; t = t->next)
		if (t->waker)
			os_wake_post(t->waker);
	pthread_mutex_unlock(&f->wakers);
}

void family_set_waker(struct family *f, struct task *t, struct os_wake *waker)
{
	pthread_mutex_lock(&f->wakers);
	t->waker = waker;
	pthread_mutex_unlock(&f->wakers);
}

struct task *family_add(struct family *f, uint32_t pid, const struct task *parent,
                        struct os_wake *waker)
{
	struct task *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->pid = pid;
	t->waker = waker;
	t->parent = parent ? parent->pid : 0;
	t->group = parent ? parent->group : pid;
	t->session = parent ? parent->session : pid;
	if (parent)
		memcpy(t->comm, parent->comm, sizeof t->comm);
	t->next = f->tasks;
	pthread_mutex_lock(&f->wakers);
	f->tasks = t;
	pthread_mutex_unlock(&f->wakers);
	f->alive++;
	if (!parent)
		f->terminal.session = f->terminal.foreground = pid;
	return t;
}

struct task *family_find(struct family *f, uint32_t pid)
{
	for (struct task *t = f->tasks; t && pid; t = t->next)
		if (t->pid == pid)
			return t;
	return NULL;
}

void family_remove(struct family *f, struct task *t)
{
	for (struct task **at = &f->tasks; *at; at = &(*at)->next)
		if (*at == t) {
			pthread_mutex_lock(&f->wakers);
			*at = t->next;
			pthread_mutex_unlock(&f->wakers);
			f->elsewhere_changed |= t->away != NULL;
			if (t->state != TASK_ZOMBIE && !t->away)
				f->alive--;
			t->is_out = true;
			if (!t->is_held)
				free(t);
			return;
		}
}

void family_hold(struct task *t)
{
	t->is_held = true;
}

void family_let_go(struct task *t)
{
	t->is_held = false;
	if (t->is_out)
		free(t);
}

void family_poke(struct task *t)
{
	if (t->store)
		store_request_stop(t->store);
	if (t->waker)
		os_wake_post(t->waker);
}

void family_tell_parent(struct family *f, struct task *t)
{
	struct task *parent = family_find(f, t->parent);
	if (parent && parent->state != TASK_ZOMBIE)
		family_raise(f, parent, LINUX_SIGCHLD);
}

void family_changed(struct family *f, struct task *t)
{
	t->untold = kinships_but(f, t->away);
	f->elsewhere_changed |= t->away != NULL;
	f->has_untold |= t->untold != 0;
}

/* When its parent is in another part, that has it as a zombie. */
void family_drop_if_nobodys(struct family *f, struct task *t)
{
	const struct task *parent = family_find(f, t->parent);
	if (t->state == TASK_ZOMBIE && t->pid && !t->untold &&
	    (!parent || parent->state == TASK_ZOMBIE || parent->ignores_children || parent->away))
		family_remove(f, t);
}

static void leave_children(struct family *f, const struct task *parent)
{
	for (struct task *t = f->tasks, *next; t; t = next) {
		next = t->next;
		if (t->parent != parent->pid)
			continue;
		t->parent = 0;
		if (!t->away)
			family_changed(f, t);
		family_drop_if_nobodys(f, t);
	}
}

/* ---- alarms ---- */

/* One of them will hear the news before it runs on: when they stand, later. */
static uint64_t poke_all(struct family *f)
{
	enum { AGAIN_NS = 50000000 };
	for (struct task *t = f->tasks; t; t = t->next)
		if (t->state != TASK_ZOMBIE)
			family_poke(t);
	return os_monotonic_ns() + AGAIN_NS;
}

static uint64_t poke_due(struct family *f)
{
	uint64_t requests = far_requests_due(f), lost = kinships_bury(f);
	uint64_t now = os_monotonic_ns(), next = requests < lost ? requests : lost;
	if (atomic_load(&f->has_news) && kinships_want(f))
		next = poke_all(f);
	for (struct task *t = f->tasks; t; t = t->next) {
		if (!t->alarm_ns || t->state == TASK_ZOMBIE || t->away)
			continue;
		if (t->alarm_ns > now) {
			next = t->alarm_ns < next ? t->alarm_ns : next;
			continue;
		}
		t->alarm_ns = 0;
		family_poke(t);
	}
	return next;
}

static void *alarm_main(void *arg)
{
	struct family *f = arg;
	family_lock(f);
	while (!f->ends) {
		uint64_t next = poke_due(f);
		family_unlock(f);
		os_wait(&f->alarm_wake, NULL, 0, next);
		family_lock(f);
	}
	family_unlock(f);
	return NULL;
}

void family_watch_alarms(struct family *f)
{
	enum { STACK = 256 << 10 };
	if (!f->has_alarms && os_wake_init(&f->alarm_wake) == ERR_OK) {
		f->has_alarms = os_thread_start(&f->alarm_thread, STACK, alarm_main, f);
		if (!f->has_alarms)
			os_wake_free(&f->alarm_wake);
	}
	if (f->has_alarms)
		os_wake_post(&f->alarm_wake);
}

static void end_alarms(struct family *f)
{
	if (!f->has_alarms)
		return;
	os_wake_post(&f->alarm_wake);
	pthread_join(f->alarm_thread, NULL);
	os_wake_free(&f->alarm_wake);
}

static void family_free(struct family *f)
{
	kinships_end(f);
	kinship_talk_unref(f->talk);
	far_requests_free(f);
	space_free(f->space);
	ptys_settle(f);
	while (f->tasks)
		family_remove(f, f->tasks);
	f->ends = true;
	f->has_untold = false;
	family_unlock(f);
	end_alarms(f);
	pthread_mutex_destroy(&f->wakers);
	commons_unref(f->commons);
	vfs_budget_unref(f->files);
	lock_unref(f->lock);
	free(f);
}

/* The leader of a session hangs up its terminal's foreground. */
static void end_session(struct family *f, struct task *t)
{
	struct family_terminal *tty = family_terminal_of(f, t->pid);
	if (t->session != t->pid || !tty)
		return;
	for (struct task *o = f->tasks; o; o = o->next)
		if (o != t && o->session == t->pid && o->group == tty->foreground &&
		    o->state != TASK_ZOMBIE) {
			family_raise(f, o, LINUX_SIGHUP);
			family_raise(f, o, LINUX_SIGCONT);
		}
	tty->session = tty->foreground = 0;
	far_terminal_changed(f, tty);
}

bool family_end(struct family *f, struct task *t, int status)
{
	t->state = TASK_ZOMBIE;
	t->status = status;
	t->store = NULL;
	t->wali = NULL;
	family_set_waker(f, t, NULL);
	family_changed(f, t);
	end_session(f, t);
	if (!--f->alive) {
		if (f->users)
			family_unlock(f);
		else
			family_free(f);
		return true;
	}
	leave_children(f, t);
	family_tell_parent(f, t);
	family_drop_if_nobodys(f, t);
	return false;
}

void family_orphan(struct family *f, struct task *t)
{
	end_session(f, t);
	leave_children(f, t);
}

bool family_is_orphaned(struct family *f, uint32_t group)
{
	for (const struct task *t = f->tasks; t; t = t->next) {
		const struct task *parent =
		    t->group == group && t->state != TASK_ZOMBIE ? family_find(f, t->parent) : NULL;
		if (parent && parent->state != TASK_ZOMBIE && parent->session == t->session &&
		    parent->group != group)
			return false;
	}
	return true;
}

void family_use(struct family *f)
{
	family_lock(f);
	f->users++;
	family_unlock(f);
}

void family_let(struct family *f)
{
	family_lock(f);
	if (!--f->users && !f->alive)
		family_free(f);
	else
		family_unlock(f);
}

static struct task *absent_of(struct family *f)
{
	struct task *t = f->tasks;
	while (t && (!t->is_absent || t->state == TASK_ZOMBIE))
		t = t->next;
	return t;
}

void family_end_absent(struct family *f)
{
	struct task *t;
	family_lock(f);
	while ((t = absent_of(f)))
		if (family_end(f, t, LINUX_SIGKILL))
			family_lock(f);
	family_unlock(f);
}

bool family_is_free(const struct family *f, uint32_t pid)
{
	for (const struct task *t = f->tasks; t; t = t->next)
		if (t->pid == pid || t->group == pid || t->session == pid)
			return false;
	return f->terminal.session != pid && f->terminal.foreground != pid;
}

void family_raise(struct family *f, struct task *t, int signal)
{
	const uint64_t stops = 1ull << (LINUX_SIGSTOP - 1) | 1ull << (LINUX_SIGTSTP - 1) |
	                       1ull << (LINUX_SIGTTIN - 1) | 1ull << (LINUX_SIGTTOU - 1);
	const uint64_t cont = 1ull << (LINUX_SIGCONT - 1), bit = 1ull << (signal - 1);
	if (t->state == TASK_ZOMBIE)
		return;
	t->pending |= bit;
	if (bit & stops)
		t->pending &= ~cont;
	if (bit & cont)
		t->pending &= ~stops;
	if (t->away) {
		if (bit & cont && t->state == TASK_STOPPED) {
			t->state =
			    TASK_RUNS; /* as soon as it hears: the stop before is no news any more */
			t->status_is_news = false;
		}
		if (signal == LINUX_SIGKILL)
			kinship_kills(f, t);
		f->has_untold = true;
		return;
	}
	if (t->state == TASK_STOPPED && (bit & cont || signal == LINUX_SIGKILL)) {
		t->state = TASK_RUNS;
		if (bit & cont) {
			t->status = 0xffff;
			t->status_is_news = true;
			family_tell_parent(f, t);
		}
		family_changed(f, t);
	}
	family_poke(t);
}

static bool is_meant(const struct task *from, const struct task *t, int64_t pid)
{
	if (t->state == TASK_ZOMBIE && pid <= 0)
		return false;
	if (pid > 0)
		return t->pid == (uint64_t)pid;
	if (pid == 0)
		return from && t->group == from->group;
	return pid == -1 ? t != from : t->group == (uint64_t)-pid;
}

int family_kill(struct family *f, struct task *from, int64_t pid, int signal)
{
	enum { NO_PROCESS = 3, INVALID = 22 };
	int found = 0;
	if (signal < 0 || signal > LINUX_SIGNALS)
		return INVALID;
	for (struct task *t = f->tasks; t; t = t->next) {
		if (!is_meant(from, t, pid))
			continue;
		found++;
		if (signal)
			family_raise(f, t, signal);
	}
	return found ? 0 : NO_PROCESS;
}
