/* hungry.c - a guest that takes what it can get, and one that is told to go on beside it. Argument:
 *	bomb       forks for ever, and so do its children
 *	spin N     N children compute for ever
 *	hog        takes memory until it gets no more, says how much (MiB), and waits
 *	together N each of N children takes 3 GiB; says how many got them
 *	count MS   computes for so long, and says how far it came
 *	limits     sets limits for itself and says what came of it
 *	take KIND N   N processes take all they can get of a kind of thing that the node keeps for them, and keep it
 *	greedy N   N children grow by a GiB each; says how many could
 *	later N    takes N MiB in all, one at a time, ten a second, and says how many
 *	grow N     memory.grow by N MiB at once, without asking the system; says how many pages it has
 */
#include "guest.h"

SYS(setrlimit, int, const u64 *)

SYS(mknod, const char *, int, s64)

static char arg[3][32];

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

/* ---- what the node keeps for who asks ---- */

static char junk[65536];

static char *numbered(const char *text, u64 n)
{
	static char name[64];
	char *p = name;
	while (*text)
		*p++ = *text++;
	do
		*p++ = (char)('0' + n % 10);
	while (n /= 10);
	*p = 0;
	return name;
}

static u64 take_pipes(void)
{
	int p[2];
	u64 n = 0;
	for (; !sys_pipe2(p, NONBLOCK); n++)
		sys_write(p[1], junk, sizeof junk);
	return n;
}

static u64 take_files(void)
{
	u64 n = 0;
	while (sys_open("/data/file", RDWR | CREAT, 0600) >= 0)
		n++;
	return n;
}

static u64 take_texts(void)
{
	u64 n = 0;
	while (sys_open("/proc/self/environ", RDONLY, 0) >= 0)
		n++;
	return n;
}

static u64 take_watches(void)
{
	struct __attribute__((packed)) {
		u32 events;
		u64 data;
	} event = {1, 0};
	int first = (int)sys_eventfd2(0, 0), last = first;
	u64 n = 0;
	for (int i = 0; i < 2000; i++)
		last = (int)sys_eventfd2(0, 0);
	for (s64 ep; (ep = sys_epoll_create1(0)) >= 0;)
		for (int fd = first; fd <= last; fd++) {
			if (sys_epoll_ctl((int)ep, 1, fd, &event))
				return n;
			n++;
		}
	return n;
}

static u64 take_fifos(void)
{
	u64 n = 0;
	for (;; n++) {
		char *name = numbered("/tmp/f", n + (u64)sys_getpid() * 10000);
		if (sys_mknod(name, 010600, 0))
			return n;
		s64 fd = sys_open(name, RDWR | NONBLOCK, 0);
		if (fd < 0)
			return n;
		sys_write((int)fd, junk, sizeof junk);
	}
}

static u64 take_ptys(void)
{
	u64 n = 0;
	for (s64 fd; (fd = sys_open("/dev/ptmx", RDWR | NONBLOCK, 0)) >= 0; n++)
		sys_write((int)fd, junk, sizeof junk);
	return n;
}

static u64 take_sockets(void)
{
	int s[2];
	u64 n = 0;
	for (; !sys_socketpair(1, 1 | NONBLOCK, 0, s); n++)
		while (sys_write(s[0], junk, sizeof junk) > 0)
			;
	return n;
}

static u64 take_memory_files(void)
{
	u64 n = 0;
	for (u64 i = 0; i < 100; i++) {
		s64 fd = sys_open(numbered("/tmp/t", i), RDWR | CREAT, 0600);
		while (fd >= 0 && sys_write((int)fd, junk, sizeof junk) > 0)
			n++;
	}
	return n;
}

static u64 take_folders(void)
{
	u64 n = 0;
	sys_chdir("/tmp");
	while (!sys_mkdir("d", 0700) && !sys_chdir("d"))
		n++;
	return n;
}

static u64 take_locks(void)
{
	struct {
		u16 type, whence;
		u32 pad;
		s64 start, len;
		s64 pid;
	} l = {1, 0, 0, 0, 1, 0};
	u64 n = 0;
	for (u64 i = 0; i < 1000; i++) {
		s64 fd = sys_open(numbered("/tmp/l", i), RDWR | CREAT, 0600);
		for (l.start = 0; fd >= 0 && !sys_fcntl((int)fd, 6, (int)(u32)&l); l.start += 2)
			n++;
	}
	return n;
}

static void later(u64 n)
{
	u64 got = 0;
	while (got < n && sys_mmap(0, 1 << 20, 3, 0x22, -1, 0) > 0) {
		got++;
		sys_nanosleep(&(struct timespec){0, 100000000}, 0);
	}
	say_number((s64)got);
	say(" MiB\n");
	sys_exit_group(0);
}

static void take(const char *kind, u64 n)
{
	static const struct {
		const char *name;
		u64 (*take)(void);
	} kinds[] = {{"pipes", take_pipes},     {"files", take_files},
	             {"texts", take_texts},     {"watches", take_watches},
	             {"fifos", take_fifos},     {"ptys", take_ptys},
	             {"sockets", take_sockets}, {"memory-files", take_memory_files},
	             {"folders", take_folders}, {"locks", take_locks}};
	while (n-- > 1)
		if (!sys_fork())
			break;
	for (u32 i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (equal(kind, kinds[i].name))
			say_number((s64)kinds[i].take());
	say(" taken\n");
	for (;;)
		sys_pause();
}

/* Each of n children grows by a GiB, if it can: says how many could. */
static void greedy(u64 n)
{
	int p[2], got = 0;
	sys_pipe(p);
	for (u64 i = 0; i < n; i++) {
		if (!sys_fork()) {
			sys_write(p[1], __builtin_wasm_memory_grow(0, 16384) != ~0ul ? "y" : "n",
			          1);
			for (;;)
				sys_pause();
		}
		char c = 0;
		sys_read(p[0], &c, 1);
		got += c == 'y';
	}
	say_number(got);
	say(" grew\n");
	sys_kill(0, 9);
}

static void grow(u64 mib)
{
	__builtin_wasm_memory_grow(0, mib * 16);
	say_number((s64)__builtin_wasm_memory_size(0));
	say(" pages\n");
	for (;;)
		sys_nanosleep(&(struct timespec){0, 10000000}, 0);
}

void _start(void)
{
	wali_init();
	for (int i = 0; i < 3 && i + 1 < wali_argc(); i++)
		wali_copy_argv(arg[i], i + 1);
	if (equal(arg[0], "bomb"))
		bomb();
	else if (equal(arg[0], "spin"))
		spin(number(arg[1]));
	else if (equal(arg[0], "hog"))
		hog();
	else if (equal(arg[0], "together"))
		together(number(arg[1]));
	else if (equal(arg[0], "take"))
		take(arg[1], number(arg[2]));
	else if (equal(arg[0], "later"))
		later(number(arg[1]));
	else if (equal(arg[0], "greedy"))
		greedy(number(arg[1]));
	else if (equal(arg[0], "grow"))
		grow(number(arg[1]));
	else if (equal(arg[0], "count"))
		count(number(arg[1]));
	limits();
}
