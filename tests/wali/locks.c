/* locks.c - a guest that locks files against its child: fcntl's locks of processes and of open files, and flock. */
#include "guest.h"

SYS(flock, int, int)

enum { GETLK = 5, SETLK = 6, SETLKW = 7, OFD_SETLK = 37, OFD_SETLKW = 38 };
enum { RD, WR, UN };
enum { SH = 1, EX = 2, NB = 4, UNLOCK = 8 };
enum { AGAIN = -11, DEADLK = -35, INTR = -4 };

struct flock {
	short type, whence;
	s64 start, len;
	int pid, pad;
};

static int down[2], up[2]; /* what the parent tells the child, and the other way */

static s64 lock(int fd, int call, short type, s64 start, s64 len)
{
	struct flock l = {type, 0, start, len, 0, 0};
	return sys_fcntl(fd, call, (int)&l);
}

static void tell(int fd)
{
	sys_write(fd, "x", 1);
}

static void hear(int fd)
{
	char c;
	sys_read(fd, &c, 1);
}

static void sleep_ms(s64 ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	sys_nanosleep(&t, 0);
}

static int opened(void)
{
	return (int)sys_open("/data/lock", RDWR | CREAT, 0600);
}

static int child(void)
{
	sys_pipe(down);
	sys_pipe(up);
	return sys_fork() == 0;
}

static int status_of_child(void)
{
	int status = -1;
	sys_wait4(-1, &status, 0, 0);
	for (int i = 0; i < 2; i++) {
		sys_close(down[i]);
		sys_close(up[i]);
	}
	return status >> 8;
}

static void of_processes(void)
{
	int fd = opened();
	expect(lock(fd, SETLK, WR, 100, 10), 0, "a part of a file is locked");
	if (child()) {
		struct flock l = {WR, 0, 0, 0, 0, 0};
		int own = opened(), good = 0;
		good += lock(own, SETLK, WR, 105, 1) == AGAIN;
		good += lock(own, SETLK, RD, 0, 0) == AGAIN;
		good += lock(own, SETLK, WR, 110, 10) == 0;
		good += lock(fd, SETLK, WR, 100, 1) == AGAIN;
		sys_fcntl(own, GETLK, (int)&l);
		good += l.type == WR && l.start == 100 && l.len == 10 && l.pid == sys_getppid();
		sys_exit_group(good);
	}
	expect(status_of_child(), 5, "another process sees it, and locks the rest");
	expect(lock(fd, SETLK, UN, 102, 3), 0, "a part of it is given back");
	if (child()) {
		int own = opened(), good = 0;
		good += lock(own, SETLK, WR, 102, 3) == 0;
		good += lock(own, SETLK, WR, 101, 1) == AGAIN;
		good += lock(own, SETLK, WR, 105, 1) == AGAIN;
		sys_exit_group(good);
	}
	expect(status_of_child(), 3, "what stands around it is locked still");
	sys_close(opened());
	if (child())
		sys_exit_group(lock(opened(), SETLK, WR, 0, 0) == 0);
	expect(status_of_child(), 1,
	       "closing any descriptor of the file ends all of the process's");
	sys_close(fd);
}

static void waits(void)
{
	int fd = opened();
	lock(fd, SETLK, WR, 0, 0);
	if (child()) {
		tell(up[1]);
		s64 r = lock(opened(), SETLKW, WR, 0, 0);
		sys_exit_group(r == 0 ? 1 : 2);
	}
	hear(up[0]);
	sleep_ms(50);
	lock(fd, SETLK, UN, 0, 0);
	expect(status_of_child(), 1, "who waits gets it when it is given back");
	if (child()) {
		lock(opened(), SETLK, WR, 0, 0);
		tell(up[1]);
		sleep_ms(50);
		sys_exit_group(0);
	}
	hear(up[0]);
	expect(lock(fd, SETLKW, WR, 0, 0), 0, "or when its process ends");
	status_of_child();
	sys_close(fd);
}

static void in_a_circle(void)
{
	int fd = opened();
	lock(fd, SETLK, WR, 0, 1);
	if (child()) {
		int own = opened();
		lock(own, SETLK, WR, 1, 1);
		tell(up[1]);
		sys_exit_group(lock(own, SETLKW, WR, 0, 1) == 0 ? 1 : 2);
	}
	hear(up[0]);
	sleep_ms(50);
	expect(lock(fd, SETLKW, WR, 1, 1), DEADLK, "who would wait for itself is told so");
	lock(fd, SETLK, UN, 0, 1);
	expect(status_of_child(), 1, "and the other goes on");
	sys_close(fd);
}

static void of_descriptions(void)
{
	int a = opened(), b = opened();
	expect(lock(a, OFD_SETLK, WR, 0, 0), 0, "an open file description has locks of its own");
	expect(lock(b, OFD_SETLK, RD, 0, 1), AGAIN, "which keep another of the same process out");
	expect(lock(b, SETLK, RD, 0, 1), AGAIN, "and processes");
	int c = (int)sys_dup(a);
	sys_close(a);
	expect(lock(b, OFD_SETLK, RD, 0, 1), AGAIN, "a duplicate keeps it");
	sys_close(c);
	expect(lock(b, OFD_SETLK, RD, 0, 1), 0, "its last descriptor ends it");
	sys_close(b);
}

static void on_alarm(int n)
{
}

static void whole(void)
{
	int a = opened(), b = opened();
	struct action act = {on_alarm, 0, 0, 0};
	expect(sys_flock(a, SH), 0, "flock shares a file");
	expect(sys_flock(b, SH | NB), 0, "with others who share it");
	expect(sys_flock(b, EX | NB), AGAIN, "but gives it to nobody alone");
	expect(lock(b, SETLK, WR, 0, 0), 0, "fcntl's locks are others");
	if (child()) {
		sys_flock(b, UNLOCK);
		sys_exit_group(0);
	}
	status_of_child();
	expect(sys_flock(a, EX | NB), 0, "a child has the same lock, and gave it back");
	sys_rt_sigaction(14, &act, 0, 8);
	sys_setitimer(0, (u64[4]){0, 0, 0, 20000}, 0);
	expect(sys_flock(b, SH), INTR, "a handler interrupts who waits");
	sys_close(a);
	expect(sys_flock(b, EX | NB), 0, "closing gives it back");
	sys_close(b);
}

void _start(void)
{
	wali_init();
	of_processes();
	waits();
	in_a_circle();
	of_descriptions();
	whole();
	finish();
}
