/* signals.c - a guest of setjmp, longjmp and signals to itself. */
#include "guest.h"

enum { SIGINT_ = 2, SIGUSR1_ = 10, SIGUSR2_ = 12, SIGPIPE_ = 13, SIGALRM_ = 14, SIGCHLD_ = 17 };
enum { SIGINFO = 4, RESTART = 0x10000000, NODEFER = 0x40000000, RESETHAND = (int)0x80000000 };

static volatile int seen[65], depth, deepest, last_code;
static u64 env[26];

static void on_signal(int n)
{
	seen[n]++;
	depth++;
	deepest = depth > deepest ? depth : deepest;
	depth--;
}

static void on_info(int n, u32 *info, void *context)
{
	last_code = (int)info[0];
	seen[n]++;
}

static void on_jump(int n)
{
	seen[n]++;
	longjmp(env, 5);
}

static void on_nested(int n)
{
	on_signal(n);
	depth++;
	if (seen[n] < 3)
		sys_tkill((int)sys_getpid(), n);
	depth--;
}

static s64 set(int n, void *handler, u64 flags)
{
	struct action a = {(void (*)(int))handler, flags, 0, 0};
	return sys_rt_sigaction(n, &a, 0, 8);
}

static s64 mask(int how, u64 set_to)
{
	return sys_rt_sigprocmask(how, &set_to, 0, 8);
}

/* ---- jumps ---- */

static __attribute__((noinline)) void deep(u64 *to, int n, int value)
{
	volatile char room[200];
	room[n] = (char)n;
	if (n)
		deep(to, n - 1, value);
	else
		longjmp(to, value);
	room[0] = 1;
}

static __attribute__((noinline)) u32 stack_now(void)
{
	volatile char c[64];
	c[0] = 0;
	return (u32)c;
}

static void jumps(void)
{
	volatile int count = 0;
	u32 before = stack_now();
	int r = setjmp(env);
	count++;
	if (r < 5)
		deep(env, 30, r + 1);
	expect(count, 6, "setjmp returns again for each longjmp");
	expect(r, 5, "with the value that longjmp was given");
	expect(stack_now(), before, "the stack is where it was");
	u64 zero[26], copy[26];
	r = setjmp(zero);
	if (!r)
		longjmp(zero, 0);
	expect(r, 1, "longjmp with 0 returns 1");
	r = setjmp(zero);
	if (!r) {
		for (int i = 0; i < 26; i++)
			copy[i] = zero[i];
		deep(copy, 3, 9);
	}
	expect(r, 9, "a copied jmp_buf is as good");
	u64 sum = 0;
	for (volatile int i = 0; i < 3000; i++)
		if ((r = setjmp(zero)))
			sum += (u64)r;
		else
			deep(zero, 2, 2);
	expect((s64)sum, 6000, "thousands of jumps");
	mask(2, 0);
	r = sigsetjmp(zero, 1);
	if (!r) {
		mask(0, 1u << (SIGUSR1_ - 1));
		deep(zero, 1, 1);
	}
	u64 now;
	sys_rt_sigprocmask(0, 0, &now, 8);
	expect((s64)now, 0, "sigsetjmp keeps the mask");
}

/* ---- signals ---- */

static void simple(void)
{
	int me = (int)sys_getpid();
	expect(set(SIGUSR1_, on_signal, 0), 0, "a handler is set");
	expect(set(9, on_signal, 0), -22, "KILL has none");
	expect(sys_kill(me, SIGUSR1_), 0, "kill of oneself");
	expect(seen[SIGUSR1_], 1, "has run the handler when kill returns");
	mask(0, 1u << (SIGUSR1_ - 1));
	sys_kill(me, SIGUSR1_);
	sys_kill(me, SIGUSR1_);
	u64 pending = 0;
	sys_rt_sigpending(&pending, 8);
	expect((s64)pending, 1 << (SIGUSR1_ - 1), "a blocked signal waits");
	expect(seen[SIGUSR1_], 1, "without being delivered");
	mask(1, 1u << (SIGUSR1_ - 1));
	expect(seen[SIGUSR1_], 2, "until it is not blocked any more, then once");
	set(SIGUSR1_, on_info, SIGINFO);
	sys_kill(me, SIGUSR1_);
	expect(last_code, SIGUSR1_, "a handler of three arguments is told the number");
	set(SIGUSR1_, (void *)1, 0);
	expect(sys_kill(me, SIGUSR1_), 0, "an ignored signal does nothing");
	expect(sys_kill(99999, SIGUSR1_), -3, "nobody has that number");
	expect(sys_kill(me, 0), 0, "0 only asks");
	expect(sys_kill(me, 77), -22, "there is no such signal");
	seen[SIGUSR2_] = 0;
	deepest = 0;
	set(SIGUSR2_, on_nested, NODEFER);
	sys_kill(me, SIGUSR2_);
	expect(seen[SIGUSR2_], 3, "NODEFER nests");
	expect(deepest, 3, "while the first has not returned");
	seen[SIGUSR2_] = deepest = 0;
	set(SIGUSR2_, on_nested, 0);
	sys_kill(me, SIGUSR2_);
	expect(seen[SIGUSR2_], 3, "else each comes after the other");
	expect(deepest, 1, "one at a time");
	set(SIGUSR2_, on_signal, (u32)RESETHAND);
	sys_kill(me, SIGUSR2_);
	struct action old;
	sys_rt_sigaction(SIGUSR2_, 0, &old, 8);
	expect((u32)old.handler, 0, "RESETHAND runs once");
}

static void alarms(void)
{
	struct timespec long_ = {10, 0}, rest = {0, 0};
	set(SIGALRM_, on_signal, RESTART);
	u64 soon[4] = {0, 0, 0, 30000};
	expect(sys_setitimer(0, soon, 0), 0, "setitimer");
	expect(sys_nanosleep(&long_, &rest), -4, "a signal ends nanosleep, also with RESTART");
	expect(seen[SIGALRM_], 1, "after its handler");
	point(rest.s == 9 && rest.ns > 0, "what is left of it is told");
	sys_setitimer(0, soon, 0);
	expect(sys_pause(), -4, "pause ends");
	sys_setitimer(0, soon, 0);
	while (seen[SIGALRM_] < 3)
		;
	point(1, "an alarm comes while the program computes");
	u64 often[4] = {0, 10000, 0, 10000};
	sys_setitimer(0, often, 0);
	while (seen[SIGALRM_] < 8)
		;
	point(1, "and again and again");
	u64 never[4] = {0, 0, 0, 0};
	sys_setitimer(0, never, 0);
	expect(sys_alarm(100), 0, "no alarm was set");
	expect(sys_alarm(0), 100, "alarm says what was left");
}

static void restarts(void)
{
	int p[2];
	char c;
	u64 soon[4] = {0, 0, 0, 30000};
	sys_pipe(p);
	set(SIGALRM_, on_signal, 0);
	sys_setitimer(0, soon, 0);
	expect(sys_read(p[0], &c, 1), -4, "a read is interrupted");
	u64 none = 0, alarm = 1u << (SIGALRM_ - 1), now = 1;
	mask(0, alarm);
	sys_setitimer(0, soon, 0);
	expect(sys_rt_sigsuspend(&none, 8), -4, "sigsuspend");
	sys_rt_sigprocmask(0, 0, &now, 8);
	expect((s64)now, (s64)alarm, "puts the mask back");
	mask(1, alarm);
	struct {
		int fd;
		short events, got;
	} poll = {p[0], 1, 0};
	sys_setitimer(0, soon, 0);
	expect(sys_poll(&poll, 1, 5000), -4, "poll is interrupted");
	expect(sys_poll(&poll, 1, 20), 0, "and then runs out of time");
}

static void jumps_out(void)
{
	volatile int round = 0;
	u64 soon[4] = {0, 0, 0, 1000}, alarm = 1u << (SIGALRM_ - 1);
	set(SIGALRM_, on_jump, 0);
	int before = seen[SIGALRM_];
	for (round = 0; round < 20; round++)
		if (!setjmp(env)) {
			mask(1, alarm);
			sys_setitimer(0, soon, 0);
			for (;;)
				;
		}
	expect(seen[SIGALRM_] - before, 20, "handlers that jump out of endless loops");
	u64 now = 0;
	sys_rt_sigprocmask(0, 0, &now, 8);
	expect((s64)now, (s64)alarm, "longjmp leaves the mask as it is");
	mask(1, alarm);
	set(SIGPIPE_, on_signal, 0);
	int p[2];
	sys_pipe(p);
	sys_close(p[0]);
	expect(sys_write(p[1], "x", 1), -32, "writing for nobody is EPIPE");
	expect(seen[SIGPIPE_], 1, "and SIGPIPE");
}

void _start(void)
{
	wali_init();
	jumps();
	simple();
	alarms();
	restarts();
	jumps_out();
	finish();
}
