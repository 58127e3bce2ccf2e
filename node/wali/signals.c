/* signals.c - signals: what a program wants done, what waits, and their delivery before each run.
 *
 * A signal for a process is a bit of its task, one for a thread a bit of that. Between two runs wali_turn() takes, for each thread, the
 * lowest that it does not block: a process's signal goes to the first thread that does not.
 *
 *	ignored                nothing
 *	by default             the process ends or stops; CHLD, URG, WINCH: nothing
 *	a handler              thread_interrupt() pushes its frame; the mask of the time before is kept with it
 *
 * When the thread stood before a call that had blocked, the call's slot says what happens to it after the handler: it is made again
 * (SA_RESTART, and a call that allows it), or answers EINTR. When a handler has returned, the engine stops the run
 * (thread_interrupts() says so) and its mask is put back: as the handler has left it in its ucontext_t, if it has one.
 *
 * A thread through which an exception is on its way can take no handler (thread_interrupt() says STATE): the signal goes on waiting, and
 * the thread stops at each look at the stop word until it can.
 */
#include "node/wali/proc.h"

#include "base/os.h"
#include "node/wali/kinship.h"

#include <stdlib.h>
#include <string.h>

enum { FLAG_SIGINFO = 4, FLAG_NODEFER = 0x40000000, FLAG_RESTART = 0x10000000 };
enum { FLAG_RESETHAND = 0x80000000u, FLAG_NOCLDSTOP = 1, FLAG_NOCLDWAIT = 2 };
enum { FLAG_ONSTACK = 0x08000000 };

static uint64_t bit_of(int signal)
{
	return UINT64_C(1) << (signal - 1);
}

enum by_default { DO_END, DO_NOTHING, DO_STOP };

static enum by_default default_of(int signal)
{
	switch (signal) {
	case LINUX_SIGCHLD:
	case LINUX_SIGCONT:
	case LINUX_SIGURG:
	case LINUX_SIGWINCH: return DO_NOTHING;
	case LINUX_SIGSTOP:
	case LINUX_SIGTSTP:
	case LINUX_SIGTTIN:
	case LINUX_SIGTTOU: return DO_STOP;
	default: return DO_END;
	}
}

static bool is_ignored(const struct wali *k, int signal)
{
	uint32_t handler = k->actions[signal].handler;
	return handler == SIG_IGNORE ||
	       (handler == SIG_DEFAULT && default_of(signal) == DO_NOTHING);
}

bool wali_has_signal(const struct wali *k)
{
	uint64_t waiting = k->task ? (k->task->pending | k->me->pending) & ~k->me->blocked : 0;
	for (int s = 1; waiting; s++, waiting >>= 1)
		if (waiting & 1 && !is_ignored(k, s))
			return true;
	return false;
}

/* ---- delivery ---- */

/* Of a siginfo_t, of a ucontext_t and of its uc_stack and uc_sigmask. */
enum { SIGINFO_SIZE = 128, CONTEXT_SIZE = 920, CONTEXT_STACK = 12, CONTEXT_MASK = 280 };
/* pthread_cancel's: whoever waits is to look whether it is meant, whatever the flags of its handler say. */
enum { SIGNAL_CANCEL = 33 };

static uint64_t mask_after(struct wali *k, const struct wali_frame *f)
{
	const uint8_t *p = f->context ? wali_in(k, f->context + CONTEXT_MASK, 8) : NULL;
	return p ? wasi_get_u64(p) & WALI_BLOCKABLE : f->mask;
}

/* The handlers that have returned give back the mask of before. */
static void handlers_returned(struct wali *k)
{
	struct wali_thread *me = k->me;
	while (me->nhandlers > thread_interrupts(k->t))
		me->blocked = mask_after(k, &me->handlers[--me->nhandlers]);
}

static struct wali_slot *slot_here(struct wali *k)
{
	struct wali_thread *me = k->me;
	struct wali_slot *s = me->nslots ? &me->slots[me->nslots - 1] : NULL;
	return s && s->depth == thread_depth(k->t) ? s : NULL;
}

/* The call that has blocked and is about to be made again, after a handler: it answers EINTR unless it restarts. */
static void interrupt_call(struct wali *k, uint64_t flags)
{
	if (!k->me->call_waits || (flags & FLAG_RESTART && !k->me->no_restart))
		return;
	struct wali_slot *s = wali_slot(k);
	if (s)
		s->interrupted = true;
}

/* A mask that only the waiting call has: the handler runs under it, and the one of before comes back after the handler. */
static uint64_t mask_before(struct wali *k)
{
	struct wali_slot *s = slot_here(k);
	if (!s || !s->has_mask)
		return k->me->blocked;
	s->has_mask = false;
	return s->mask;
}

/* ---- stacks of their own ---- */

/* Of a stack_t, and what its flags say. */
enum { STACK_SIZE = 12, STACK_LEAST = 2048, STACK_ON = 1, STACK_DISABLED = 2 };

static bool is_on_stack(const struct wali *k)
{
	const struct wali_thread *me = k->me;
	uint32_t sp = thread_stack_pointer(k->t);
	return me->stack_size && sp > me->stack && sp - me->stack <= me->stack_size;
}

static void put_stack(const struct wali *k, uint8_t *p)
{
	const struct wali_thread *me = k->me;
	memset(p, 0, STACK_SIZE);
	wasi_put_u32(p, me->stack);
	wasi_put_u32(p + 4, is_on_stack(k) ? STACK_ON : me->stack_size ? 0 : STACK_DISABLED);
	wasi_put_u32(p + 8, me->stack_size);
}

static int64_t set_stack(struct wali *k, uint32_t at, uint32_t flags, uint32_t size)
{
	if (is_on_stack(k))
		return NO(PERM);
	if (flags && flags != STACK_ON && flags != STACK_DISABLED)
		return NO(INVAL);
	bool none = flags == STACK_DISABLED;
	if (!none && size < STACK_LEAST)
		return NO(NOMEM);
	k->me->stack = none ? 0 : at;
	k->me->stack_size = none ? 0 : size;
	return 0;
}

int64_t wali_sigaltstack(struct wali *k, const uint64_t *a)
{
	uint8_t before[STACK_SIZE];
	const uint8_t *in = arg32(a[0]) ? wali_in(k, a[0], STACK_SIZE) : NULL;
	uint8_t *out = arg32(a[1]) ? wali_out(k, a[1], STACK_SIZE) : NULL;
	if ((arg32(a[0]) && !in) || (arg32(a[1]) && !out))
		return NO(FAULT);
	put_stack(k, before);
	int64_t r =
	    in ? set_stack(k, wasi_get_u32(in), wasi_get_u32(in + 4), wasi_get_u32(in + 8)) : 0;
	if (!r && out)
		memcpy(out, before, STACK_SIZE);
	return r;
}

/* Where a handler's stack begins that has size bytes above it: on the thread's stack for handlers when it asks for that, and none runs
 * there yet. */
static uint32_t stack_for(const struct wali *k, uint64_t flags, uint32_t size)
{
	const struct wali_thread *me = k->me;
	uint64_t top = (uint64_t)me->stack + me->stack_size;
	if (!(flags & FLAG_ONSTACK) || !me->stack_size || top > UINT32_MAX || is_on_stack(k))
		return thread_stack_below(k->t, size);
	return (uint32_t)(top - size) & ~15u;
}

/* ---- handlers ---- */

/* What a handler of three arguments is given, above its stack: the number (who sent it is not known), and the mask that comes back when
 * it returns. */
static void put_info(struct wali *k, uint32_t at, int signal, uint64_t mask, uint64_t args[3])
{
	uint8_t *p = wali_out(k, at, SIGINFO_SIZE + CONTEXT_SIZE);
	if (!p || !at)
		return;
	memset(p, 0, SIGINFO_SIZE + CONTEXT_SIZE);
	wasi_put_u32(p, (uint32_t)signal);
	put_stack(k, p + SIGINFO_SIZE + CONTEXT_STACK);
	wasi_put_u64(p + SIGINFO_SIZE + CONTEXT_MASK, mask);
	args[1] = at;
	args[2] = at + SIGINFO_SIZE;
}

/* The handler's frame, and what its arguments are; *context: where the mask stands. */
static enum err push_frame(struct wali *k, int signal, uint64_t mask, uint32_t *context)
{
	const struct wali_action *act = &k->actions[signal];
	uint64_t args[3] = {(uint64_t)signal, 0, 0};
	bool three = act->flags & FLAG_SIGINFO;
	uint32_t stack = stack_for(k, act->flags, three ? SIGINFO_SIZE + CONTEXT_SIZE : 0);
	if (three)
		put_info(k, stack, signal, mask, args);
	*context = (uint32_t)args[2];
	return thread_interrupt(k->t, act->handler, args, three ? 3 : 1, stack);
}

static enum err push_handler(struct wali *k, int signal)
{
	struct wali_thread *me = k->me;
	struct wali_action act = k->actions[signal];
	struct wali_frame *p = realloc(me->handlers, (me->nhandlers + 1) * sizeof *p);
	uint32_t context;
	if (!p)
		return ERR_NOMEM;
	me->handlers = p;
	interrupt_call(k, signal == SIGNAL_CANCEL ? 0 : act.flags);
	uint64_t before = mask_before(k);
	TRY(push_frame(k, signal, before, &context));
	p[me->nhandlers++] = (struct wali_frame){.mask = before, .context = context};
	me->blocked |= act.mask | (act.flags & FLAG_NODEFER ? 0 : bit_of(signal));
	me->blocked &= WALI_BLOCKABLE;
	if (act.flags & FLAG_RESETHAND)
		k->actions[signal].handler = SIG_DEFAULT;
	me->call_waits = false;
	return ERR_OK;
}

/* Whether the thread is to stop at each look at the stop word, as soon as one of its signals can be delivered. */
static void hurry(struct wali *k, bool on)
{
	if (k->me->hurries != on)
		thread_stop_every(k->t, on);
	k->me->hurries = on;
}

static enum wali_turn end_by(struct wali *k, int signal)
{
	k->w->exited = true;
	k->w->exit_code = 128 + (uint32_t)signal;
	k->end_signal = signal;
	return WALI_END;
}

static enum wali_turn stop_by(struct wali *k, int signal)
{
	struct task *t = k->task;
	if (signal != LINUX_SIGSTOP && family_is_orphaned(k->family, t->group))
		return WALI_RUN; /* nobody is there who could let it go on */
	t->state = TASK_STOPPED;
	t->status = signal << 8 | 0x7f;
	t->status_is_news = true;
	family_changed(k->family, t);
	family_tell_parent(k->family, t);
	return WALI_WAIT;
}

static enum wali_turn handle(struct wali *k, int signal)
{
	enum err e = push_handler(k, signal);
	if (e != ERR_STATE)
		return e == ERR_OK ? WALI_RUN : end_by(k, LINUX_SIGSEGV);
	k->me->pending |= bit_of(signal);
	hurry(k, true);
	return WALI_RUN;
}

/* One signal; RUN: look for the next. */
static enum wali_turn deliver(struct wali *k, int signal)
{
	uint32_t handler = k->actions[signal].handler;
	if (is_ignored(k, signal))
		return WALI_RUN;
	if (handler == SIG_DEFAULT)
		return default_of(signal) == DO_STOP ? stop_by(k, signal) : end_by(k, signal);
	return handle(k, signal);
}

/* All for the thread in whose place k is. */
static enum wali_turn deliver_to_one(struct wali *k)
{
	hurry(k, false);
	for (;;) {
		uint64_t waiting = (k->task->pending | k->me->pending) & ~k->me->blocked;
		if (!waiting || k->me->hurries)
			return WALI_RUN;
		int signal = __builtin_ctzll(waiting) + 1;
		k->task->pending &= ~bit_of(signal);
		k->me->pending &= ~bit_of(signal);
		enum wali_turn turn = deliver(k, signal);
		if (turn != WALI_RUN)
			return turn;
	}
}

static enum wali_turn deliver_all(struct wali *k)
{
	for (uint32_t i = 0; i < k->nthreads; i++) {
		wali_use(k, k->threads[i]);
		handlers_returned(k);
		enum wali_turn turn = k->born ? WALI_RUN : deliver_to_one(k);
		if (turn != WALI_RUN)
			return turn;
	}
	return WALI_RUN;
}

void wali_set_alarm(struct wali *k)
{
	k->task->alarm_ns = k->alarm.at_ns ? wasi_host_time(k->w, k->alarm.at_ns) : 0;
	if (k->alarm.at_ns)
		family_watch_alarms(k->family);
}

static void check_alarm(struct wali *k)
{
	uint64_t now = wasi_clock_ns(k->w);
	if (!k->alarm.at_ns || now < k->alarm.at_ns)
		return;
	k->alarm.at_ns = k->alarm.every_ns ? now + k->alarm.every_ns : 0;
	wali_set_alarm(k);
	family_raise(k->family, k->task, LINUX_SIGALRM);
}

static void check_size(struct wali *k)
{
	struct family_terminal *t = &k->family->terminal;
	uint16_t cols = 0, rows = 0;
	if (!k->host.tty_size || t->session != k->task->session || k->family->terminal_at)
		return;
	if (!k->host.tty_size(k->host.ctx, &cols, &rows) || (cols == t->cols && rows == t->rows))
		return;
	bool first = !t->cols;
	t->cols = cols;
	t->rows = rows;
	far_terminal_changed(k->family, t);
	if (!first && t->foreground)
		family_kill(k->family, NULL, -(int64_t)t->foreground, LINUX_SIGWINCH);
}

enum wali_turn wali_turn(struct wali *k, struct store *s)
{
	enum wali_turn turn = WALI_RUN;
	family_lock(k->family);
	wali_threads_join(k, s);
	k->task->store = s;
	wali_pay(k);
	kinships_hear(k);
	check_alarm(k);
	check_size(k);
	if (k->host.tty_news && k->host.tty_news(k->host.ctx))
		family_wake(k->family);
	if (k->task->state == TASK_STOPPED)
		turn = WALI_WAIT;
	else
		turn = deliver_all(k);
	if (turn == WALI_RUN && !wali_charge_now(k, s))
		turn = end_by(k, LINUX_SIGKILL);
	wali_set_room(k, s);
	kinships_show(k);
	family_unlock(k->family);
	return turn;
}

/* Handlers are gone with the program, and all threads but one; what it ignored stays ignored. */
void wali_signals_exec(struct wali *k)
{
	for (int s = 1; s <= LINUX_SIGNALS; s++)
		if (k->actions[s].handler != SIG_IGNORE)
			k->actions[s] = (struct wali_action){0};
	struct wali_thread *me = k->me;
	wali_thread_only(k, me);
	me->nhandlers = me->nslots = me->clear_tid = 0;
	me->stack = me->stack_size = 0;
	me->call_waits = me->hurries = false;
	me->tid = k->task->pid;
}

/* ---- from outside ---- */

void wali_signal(struct wali *k, int signal)
{
	family_lock(k->family);
	if (k->task)
		family_raise(k->family, k->task, signal);
	family_unlock(k->family);
}

void wali_signal_foreground(struct wali *k, int signal)
{
	family_lock(k->family);
	uint32_t group = k->family->terminal.foreground;
	if (group)
		family_kill(k->family, NULL, -(int64_t)group, signal);
	family_unlock(k->family);
}

/* ---- calls ---- */

enum { ACTION_SIZE = 24 };

/* Packed: handler u32, flags u64, restorer u32, mask 2 x u32. */
static void put_action(uint8_t *p, const struct wali_action *act)
{
	wasi_put_u32(p, act->handler);
	wasi_put_u64(p + 4, act->flags);
	wasi_put_u32(p + 12, act->restorer);
	wasi_put_u64(p + 16, act->mask);
}

static void forget_signal(struct wali *k, int signal)
{
	k->task->pending &= ~bit_of(signal);
	for (uint32_t i = 0; i < k->nthreads; i++)
		k->threads[i]->pending &= ~bit_of(signal);
}

int64_t wali_rt_sigaction(struct wali *k, const uint64_t *a)
{
	uint32_t signal = arg32(a[0]);
	const uint8_t *in = arg32(a[1]) ? wali_in(k, a[1], ACTION_SIZE) : NULL;
	uint8_t *out = arg32(a[2]) ? wali_out(k, a[2], ACTION_SIZE) : NULL;
	if (signal < 1 || signal > LINUX_SIGNALS || arg32(a[3]) != 8)
		return NO(INVAL);
	if ((arg32(a[1]) && !in) || (arg32(a[2]) && !out))
		return NO(FAULT);
	if (in && (signal == LINUX_SIGKILL || signal == LINUX_SIGSTOP))
		return NO(INVAL);
	struct wali_action *act = &k->actions[signal], old = *act;
	if (in)
		*act = (struct wali_action){.handler = wasi_get_u32(in),
		                            .flags = wasi_get_u64(in + 4),
		                            .restorer = wasi_get_u32(in + 12),
		                            .mask = wasi_get_u64(in + 16)};
	if (in && is_ignored(k, (int)signal))
		forget_signal(k, (int)signal);
	if (in && signal == LINUX_SIGCHLD)
		k->task->ignores_children =
		    act->handler == SIG_IGNORE || act->flags & FLAG_NOCLDWAIT;
	if (out)
		put_action(out, &old);
	return 0;
}

int64_t wali_rt_sigprocmask(struct wali *k, const uint64_t *a)
{
	enum { BLOCK, UNBLOCK, SETMASK };
	const uint8_t *in = arg32(a[1]) ? wali_in(k, a[1], 8) : NULL;
	uint8_t *out = arg32(a[2]) ? wali_out(k, a[2], 8) : NULL;
	uint64_t old = k->me->blocked, set = in ? wasi_get_u64(in) & WALI_BLOCKABLE : 0;
	if (arg32(a[3]) != 8 || (in && arg32(a[0]) > SETMASK))
		return NO(INVAL);
	if ((arg32(a[1]) && !in) || (arg32(a[2]) && !out))
		return NO(FAULT);
	if (in)
		k->me->blocked = arg32(a[0]) == BLOCK     ? old | set
		                 : arg32(a[0]) == UNBLOCK ? old & ~set
		                                          : set;
	if (out)
		wasi_put_u64(out, old);
	return 0;
}

int64_t wali_rt_sigpending(struct wali *k, const uint64_t *a)
{
	uint8_t *out = wali_out(k, a[0], 8);
	if (arg32(a[1]) != 8)
		return NO(INVAL);
	if (!out)
		return NO(FAULT);
	wasi_put_u64(out, (k->task->pending | k->me->pending) & k->me->blocked);
	return 0;
}

int64_t wali_rt_sigsuspend(struct wali *k, const uint64_t *a)
{
	const uint8_t *in = wali_in(k, a[0], 8);
	struct wali_slot *s = wali_slot(k);
	if (!in || !s)
		return in ? NO(NOMEM) : NO(FAULT);
	if (!s->has_mask && !s->interrupted) {
		s->mask = k->me->blocked;
		s->has_mask = true;
		k->me->blocked = wasi_get_u64(in) & WALI_BLOCKABLE;
		if (wali_has_signal(k))
			family_poke(k->task);
	}
	return wali_block_alone(k, false);
}

int64_t wali_pause(struct wali *k, const uint64_t *a)
{
	return wali_block_alone(k, false);
}

/* A handler's return needs no call here. */
int64_t wali_rt_sigreturn(struct wali *k, const uint64_t *a)
{
	return NO(NOSYS);
}

int64_t wali_kill(struct wali *k, const uint64_t *a)
{
	int32_t pid = (int32_t)arg32(a[0]), signal = (int32_t)arg32(a[1]);
	int64_t r = -family_kill(k->family, k->task, pid, signal);
	return r == NO(SRCH) && pid > 0 ? wali_proc_kill(k, (uint32_t)pid, signal) : r;
}

/* ---- the alarm: alarm() and setitimer() have one ---- */

static bool is_time(const uint8_t *p)
{
	return wasi_get_u64(p) <= INT64_MAX && wasi_get_u64(p + 8) < 1000000;
}

static uint64_t us_of(const uint8_t *p)
{
	uint64_t s = wasi_get_u64(p), us = wasi_get_u64(p + 8);
	return s < 1000000000 ? s * 1000000000 + us % 1000000 * 1000 : UINT64_C(1000000000) << 30;
}

static void put_us(uint8_t *p, uint64_t ns)
{
	wasi_put_u64(p, ns / 1000000000);
	wasi_put_u64(p + 8, ns % 1000000000 / 1000);
}

static uint64_t alarm_left(struct wali *k)
{
	uint64_t now = wasi_clock_ns(k->w);
	if (!k->alarm.at_ns)
		return 0;
	return k->alarm.at_ns > now ? k->alarm.at_ns - now : 1000;
}

static void set_alarm(struct wali *k, uint64_t in_ns, uint64_t every_ns)
{
	k->alarm.at_ns = in_ns ? wasi_clock_ns(k->w) + in_ns : 0;
	k->alarm.every_ns = every_ns;
	wali_set_alarm(k);
}

int64_t wali_alarm(struct wali *k, const uint64_t *a)
{
	uint64_t left = alarm_left(k);
	set_alarm(k, (uint64_t)arg32(a[0]) * 1000000000, 0);
	return (int64_t)((left + 999999999) / 1000000000);
}

/* Of a struct itimerval: its period, then the time left; and the one timer that there is. */
enum { TIMER_SIZE = 32, TIMER_REAL = 0 };

int64_t wali_getitimer(struct wali *k, const uint64_t *a)
{
	if (arg32(a[0]) != TIMER_REAL)
		return NO(INVAL);
	uint8_t *out = wali_out(k, a[1], TIMER_SIZE);
	if (!out)
		return NO(FAULT);
	put_us(out, k->alarm.every_ns);
	put_us(out + 16, alarm_left(k));
	return 0;
}

int64_t wali_setitimer(struct wali *k, const uint64_t *a)
{
	const uint8_t *in = wali_in(k, a[1], TIMER_SIZE);
	uint8_t *out = arg32(a[2]) ? wali_out(k, a[2], TIMER_SIZE) : NULL;
	if (arg32(a[0]) != TIMER_REAL)
		return NO(INVAL);
	if (!in || (arg32(a[2]) && !out))
		return NO(FAULT);
	if (!is_time(in) || !is_time(in + 16))
		return NO(INVAL);
	uint64_t every = us_of(in), value = us_of(in + 16), left = alarm_left(k);
	uint64_t every_before = k->alarm.every_ns;
	set_alarm(k, value, every);
	if (out) {
		put_us(out, every_before);
		put_us(out + 16, left);
	}
	return 0;
}
