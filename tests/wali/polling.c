/* polling.c - a guest of poll, select, epoll and eventfd. */
#include "guest.h"

struct pollfd {
	int fd;
	short events, got;
};
struct __attribute__((packed)) event {
	u32 events;
	u64 data;
};

static char buf[64];

static s64 now_ms(void)
{
	struct timespec t;
	sys_clock_gettime(1, &t);
	return t.s * 1000 + t.ns / 1000000;
}

static void polls(void)
{
	int p[2];
	sys_pipe(p);
	struct pollfd f[3] = {{p[0], 1, 0}, {p[1], 4, 0}, {77, 1, 0}};
	expect(sys_poll(f, 2, 0), 1, "poll: one is ready");
	expect(f[1].got, 4, "the writing end");
	expect(f[0].got, 0, "not the reading one");
	expect(sys_poll(f, 3, 0), 2, "a number that is not open is told");
	expect(f[2].got, 32, "as NVAL");
	s64 before = now_ms();
	expect(sys_poll(f, 1, 30), 0, "nothing comes");
	point(now_ms() - before >= 29, "for as long as it was told");
	s64 pid = sys_fork();
	if (!pid) {
		struct timespec t = {0, 20000000};
		sys_nanosleep(&t, 0);
		sys_write(p[1], "x", 1);
		sys_exit_group(0);
	}
	expect(sys_poll(f, 1, -1), 1, "poll waits until a child writes");
	expect(f[0].got, 1, "readable");
	sys_wait4((int)pid, 0, 0, 0);
	u64 in = 1ull << p[0], out = 1ull << p[1], none = 0;
	struct timespec t = {0, 0};
	expect(sys_select(p[1] + 1, &in, &out, &none, &t), 2, "select: both are ready");
	expect((s64)in, 1ll << p[0], "the set of those to read");
	sys_read(p[0], buf, 10);
	in = 1ull << p[0];
	out = 0;
	expect(sys_select(p[1] + 1, &in, &out, 0, &t), 0, "none is");
	expect((s64)in, 0, "the set is empty");
	in = 1ull << 60;
	expect(sys_select(64, &in, 0, 0, &t), -9, "a number that is not open is EBADF");
	sys_close(p[1]);
	expect(sys_poll(f, 1, -1), 1, "the end of a pipe is told");
	expect(f[0].got & 16, 16, "as HUP");
	u64 usr1 = 1 << 9;
	sys_rt_sigprocmask(0, &usr1, 0, 8);
	sys_kill((int)sys_getpid(), 10);
	expect(sys_ppoll(f, 0, &t, 0, 8), 0, "ppoll with no file and no time");
}

static void events(void)
{
	u64 v = 5;
	s64 e = sys_eventfd2(3, NONBLOCK);
	struct pollfd f = {(int)e, 5, 0};
	expect(sys_poll(&f, 1, 0), 1, "eventfd");
	expect(f.got, 5, "to be read and written");
	expect(sys_write((int)e, &v, 8), 8, "adds");
	expect(sys_read((int)e, &v, 8), 8, "gives");
	expect((s64)v, 8, "the sum");
	expect(sys_read((int)e, &v, 8), -11, "then nothing");
	expect(sys_read((int)e, &v, 4), -22, "too small a buffer is EINVAL");
	s64 s = sys_eventfd2(2, 1);
	sys_read((int)s, &v, 8);
	expect((s64)v, 1, "a semaphore gives one at a time");
}

static void epolls(void)
{
	int p[2];
	struct event ev = {1, 0x1122334455667788ull}, got[4] = {{0, 0}};
	sys_pipe(p);
	s64 e = sys_epoll_create1(0);
	point(e > 0, "epoll_create1");
	expect(sys_epoll_ctl((int)e, 1, p[0], &ev), 0, "a watch is added");
	expect(sys_epoll_ctl((int)e, 1, p[0], &ev), -17, "once");
	expect(sys_epoll_ctl((int)e, 3, p[1], &ev), -2, "only what is watched is changed");
	expect(sys_epoll_pwait((int)e, got, 4, 10, 0, 8), 0, "nothing yet");
	sys_write(p[1], "abc", 3);
	expect(sys_epoll_pwait((int)e, got, 4, -1, 0, 8), 1, "an event");
	point(got[0].events == 1 && got[0].data == ev.data, "with its data");
	ev.events = 1 | 1u << 31;
	expect(sys_epoll_ctl((int)e, 3, p[0], &ev), 0, "now edge-triggered");
	expect(sys_epoll_pwait((int)e, got, 4, 0, 0, 8), 1, "told once");
	expect(sys_epoll_pwait((int)e, got, 4, 0, 0, 8), 0, "and not again");
	ev.events = 1 | 1u << 30;
	sys_epoll_ctl((int)e, 3, p[0], &ev);
	expect(sys_epoll_pwait((int)e, got, 4, 0, 0, 8), 1, "one shot");
	expect(sys_epoll_pwait((int)e, got, 4, 0, 0, 8), 0, "is one");
	ev.events = 1;
	sys_epoll_ctl((int)e, 3, p[0], &ev);
	struct pollfd f = {(int)e, 1, 0};
	expect(sys_poll(&f, 1, 0), 1, "an epoll can be polled itself");
	sys_close(p[0]);
	expect(sys_epoll_pwait((int)e, got, 4, 0, 0, 8), 0, "a closed file is watched no more");
	expect(sys_epoll_ctl((int)sys_dup(1), 1, p[1], &ev), -22, "only an epoll is one");
}

/* In a circle nobody would ever have an answer. */
static void nested_epolls(void)
{
	int p[2];
	struct event ev = {1, 0}, got[4];
	s64 a = sys_epoll_create1(0), b = sys_epoll_create1(0), c = sys_epoll_create1(0);
	sys_pipe(p);
	sys_epoll_ctl((int)a, 1, p[0], &ev);
	expect(sys_epoll_ctl((int)b, 1, (int)a, &ev), 0, "an epoll watches another one");
	expect(sys_epoll_ctl((int)a, 1, (int)b, &ev), -40, "which does not watch it");
	expect(sys_epoll_ctl((int)c, 1, (int)b, &ev), -40, "and nobody does");
	expect(sys_epoll_pwait((int)b, got, 4, 0, 0, 8), 0, "nothing to be told");
	sys_write(p[1], "x", 1);
	expect(sys_epoll_pwait((int)b, got, 4, -1, 0, 8), 1, "what the inner one has");
	sys_close(p[0]);
	sys_close(p[1]);
}

/* The grandchild has the epoll of its parent, which ends. */
static void orphaned_epoll(void)
{
	int p[2], status = 0;
	struct event ev = {1, 0};
	s64 child = sys_fork();
	sys_pipe(p);
	if (child == 0) {
		s64 e = sys_epoll_create1(0), me = sys_getpid();
		struct pollfd f = {(int)e, 1, 0};
		sys_epoll_ctl((int)e, 1, p[0], &ev);
		sys_write(p[1], "x", 1);
		if (sys_fork() != 0)
			sys_exit_group(5);
		while (sys_getppid() == me)
			sys_poll(0, 0, 1);
		sys_poll(&f, 1, 0);
		sys_exit_group(0);
	}
	sys_close(p[1]);
	expect(sys_wait4((int)child, &status, 0, 0), child, "who made an epoll ends");
	expect(status, 5 << 8, "with its status");
	sys_poll(0, 0, 50); /* the grandchild looks at what is left of it */
}

void _start(void)
{
	wali_init();
	polls();
	events();
	epolls();
	nested_epolls();
	orphaned_epoll();
	finish();
}
