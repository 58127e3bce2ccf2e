/* hungry.c - a guest that takes what it can get, and one that is told to go on beside it. Argument:
 *	bomb       forks for ever, and so do its children
 *	spin N     N children compute for ever
 *	hog        takes memory until it gets no more, says how much (MiB), and waits
 *	together N each of N children takes 3 GiB; says how many got them
 *	count MS   computes for so long, and says how far it came
 *	limits     sets limits for itself and says what came of it
 */
#include "guest.h"

SYS(setrlimit, int, const u64 *)

static char arg[2][32];

static u64 number(const char *s)
{
	u64 v = 0;
	while (*s >= '0' && *s <= '9')
		v = v * 10 + (u64)(*s++ - '0');
	return v;
}

static u64 now_ms(void)
{
	struct timespec t;
	sys_clock_gettime(1, &t);
	return (u64)t.s * 1000 + (u64)t.ns / 1000000;
}

static u64 work(void)
{
	volatile u64 h = 1;
	for (int i = 0; i < 20000; i++)
		h = h * 31 + (u64)i;
	return h;
}

static void bomb(void)
{
	for (;;)
		if (sys_fork() < 0)
			work();
}

static void spin(u64 n)
{
	for (u64 i = 0; i < n; i++)
		if (!sys_fork())
			for (;;)
				work();
	say("spinning\n");
	for (;;)
		sys_wait4(-1, 0, 0, 0);
}

static void hog(void)
{
	enum { PIECE = 1 << 20 };
	s64 at, pieces = 0;
	while ((at = sys_mmap(0, PIECE, 3, 0x22, -1, 0)) > 0) {
		for (u32 i = 0; i < PIECE; i += 4096)
			((volatile u8 *)(u32)at)[i] = 1;
		pieces++;
	}
	say_number(pieces);
	say(" MiB\n");
	for (;;)
		sys_pause();
}

/* Untouched memory counts: children take 3 GiB each until the family may have no more. */
static void together(u64 n)
{
	int p[2], got = 0;
	sys_pipe(p);
	for (u64 i = 0; i < n; i++) {
		if (!sys_fork()) {
			s64 at = sys_mmap(0, 3u << 30, 3, 0x22, -1, 0);
			sys_write(p[1], at > 0 ? "y" : "n", 1);
			for (;;)
				sys_pause();
		}
		char c = 0;
		sys_read(p[0], &c, 1);
		got += c == 'y';
	}
	say_number(got);
	say(" got it\n");
	sys_kill(0, 9);
}

static void count(u64 ms)
{
	u64 end = now_ms() + ms, rounds = 0;
	while (now_ms() < end) {
		work();
		rounds++;
	}
	say_number((s64)rounds);
	say("\n");
	sys_exit_group(0);
}

static void on_xfsz(int n)
{
	say("told\n");
}

static void limits(void)
{
	enum { FSIZE = 1, NPROC = 6, NOFILE = 7, AS = 9 };
	static char buf[3000];
	struct action a = {on_xfsz, 0, 0, 0};
	sys_rt_sigaction(25, &a, 0, 8);
	int fd = (int)sys_open("/tmp/f", RDWR | CREAT, 0600);
	sys_setrlimit(FSIZE, (u64[]){2000, 2000});
	expect(sys_write(fd, buf, 3000), 2000, "a file grows to its limit");
	expect(sys_write(fd, buf, 1), -27, "and not beyond");
	expect(sys_ftruncate(fd, 2001), -27, "by no way");
	sys_setrlimit(NOFILE, (u64[]){5, 5});
	expect(sys_dup(fd), 4, "files up to their limit");
	expect(sys_dup(fd), -24, "and no more");
	expect(sys_dup2(fd, 5), -9, "nor by a number");
	expect(sys_setrlimit(NOFILE, (u64[]){5, 6}), -1, "a limit is not raised");
	sys_setrlimit(AS, (u64[]){16 << 20, 16 << 20});
	s64 at = sys_mmap(0, 32 << 20, 3, 0x22, -1, 0);
	expect(at, -12, "memory up to its limit");
	point(sys_mmap(0, 1 << 20, 3, 0x22, -1, 0) > 0, "which is not reached yet");
	sys_setrlimit(NPROC, (u64[]){1, 1});
	expect(sys_fork(), -11, "and processes");
	finish();
}

void _start(void)
{
	wali_init();
	for (int i = 0; i < 2 && i + 1 < wali_argc(); i++)
		wali_copy_argv(arg[i], i + 1);
	if (equal(arg[0], "bomb"))
		bomb();
	else if (equal(arg[0], "spin"))
		spin(number(arg[1]));
	else if (equal(arg[0], "hog"))
		hog();
	else if (equal(arg[0], "together"))
		together(number(arg[1]));
	else if (equal(arg[0], "count"))
		count(number(arg[1]));
	limits();
}
