/* vectors.c - a guest with vectors (-msimd128) in the frames that a fork copies, a jump leaves and a signal interrupts. */
#include "guest.h"

typedef u32 v4 __attribute__((vector_size(16)));

enum { SIGUSR1_ = 10 };

static u64 env[26];
static v4 handled;

static int same_lanes(v4 a, v4 b)
{
	return same(&a, &b, sizeof a);
}

static void do_nothing(void)
{
}

static s64 child;

static void do_fork(void)
{
	child = sys_fork();
}

static void do_signal(void)
{
	sys_tkill((int)sys_getpid(), SIGUSR1_);
}

/* What is called at the bottom stands above frames with three vectors each, which are used when it has returned. */
static __attribute__((noinline)) v4 down(v4 a, v4 b, u32 depth, void (*at_bottom)(void))
{
	v4 c = a * b + depth;
	v4 r = c;
	if (depth)
		r = down(c, a, depth - 1, at_bottom);
	else
		at_bottom();
	return r ^ (a + (b << 3 | c >> 5));
}

static v4 deep(void (*at_bottom)(void))
{
	return down((v4){1, 2, 3, 4}, (v4){5, 6, 7, 0x80000001}, 40, at_bottom);
}

static void on_signal(int n)
{
	handled = deep(do_nothing);
}

static __attribute__((noinline)) void jump_down(v4 v, int n, int value)
{
	volatile v4 room = v;
	if (n)
		jump_down(v + 1, n - 1, value);
	else
		longjmp(env, value);
	room += 1;
}

static void forks(v4 want)
{
	int status = -1;
	v4 got = deep(do_fork);
	if (!child)
		sys_exit_group(same_lanes(got, want) ? 7 : 1);
	point(same_lanes(got, want), "who forked has its vectors");
	sys_wait4((int)child, &status, 0, 0);
	expect(status, 7 << 8, "its child has them too");
}

static void jumps(v4 want)
{
	v4 kept = deep(do_nothing);
	int r = setjmp(env);
	if (r < 5)
		jump_down(kept, 20, r + 1);
	expect(r, 5, "jumps out of frames with vectors");
	point(same_lanes(kept, want), "leave those of the frame they lead to");
}

static void signals(v4 want)
{
	struct action a = {on_signal, 0, 0, 0};
	sys_rt_sigaction(SIGUSR1_, &a, 0, 8);
	v4 got = deep(do_signal);
	point(same_lanes(got, want), "a handler that uses vectors harms no others");
	point(same_lanes(handled, want), "and has its own");
}

void _start(void)
{
	wali_init();
	v4 want = deep(do_nothing);
	forks(want);
	jumps(want);
	signals(want);
	finish();
}
