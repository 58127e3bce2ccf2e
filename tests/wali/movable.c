/* movable.c - a guest that is moved: in a loop it computes, waits, jumps and is interrupted by an alarm, and at the end says what it
 * has seen. What it says depends on all of its state and on nothing else. Argument: rounds.
 */
#include "guest.h"

enum { SIGALRM_ = 14, RESTART = 0x10000000, ONSTACK = 0x08000000 };

static volatile u64 alarms, in_handler, elsewhere;
static u8 stack[16384]; /* of the handler */
static u64 env[26];
static u8 *map;

static u64 mix(u64 h, u64 v)
{
	return (h ^ v) * 0x100000001b3ull;
}

/* Takes its time, so that many moves fall into it. */
static void on_alarm(int n)
{
	volatile u64 h = 0;
	elsewhere += (u8 *)&h < stack || (u8 *)&h >= stack + sizeof stack;
	in_handler++;
	for (u64 i = 0; i < 200000; i++)
		h = mix(h, i);
	alarms++;
	in_handler--;
}

static __attribute__((noinline)) void throw_up(int depth, int value)
{
	volatile u8 room[64];
	room[depth] = (u8)depth;
	if (depth)
		throw_up(depth - 1, value);
	else
		longjmp(env, value);
	room[0] = 0;
}

static u64 number(const char *s)
{
	u64 v = 0;
	while (*s >= '0' && *s <= '9')
		v = v * 10 + (u64)(*s++ - '0');
	return v;
}

void _start(void)
{
	/* what was typed of a line in a pty, too */
	char arg[32] = "100", dir[64];
	int p[2];
	u64 often[4] = {0, 5000, 0, 5000}, v, h = 0;
	struct __attribute__((packed)) {
		u32 events;
		u64 data;
	} ev = {1, 77}, got = {0, 0};
	wali_init();
	if (wali_argc() > 1)
		wali_copy_argv(arg, 1);
	u64 rounds = number(arg);
	sys_mkdir("/tmp/sub", 0755);
	sys_chdir("/tmp/sub");
	s64 file = sys_open("f", RDWR | CREAT | APPEND | CLOEXEC, 0600);
	s64 event = sys_eventfd2(0, 0), epoll = sys_epoll_create1(0);
	sys_epoll_ctl((int)epoll, 1, (int)event, &ev);
	sys_pipe(p);
	int unlock = 0, master = (int)sys_open("/dev/ptmx", RDWR, 0);
	sys_ioctl(master, 0x40045431, &unlock);
	int slave = (int)sys_open("/dev/pts/0", RDWR, 0);
	map = (u8 *)(u32)sys_mmap(0, 100000, 3, 0x22, -1, 0);
	struct action a = {on_alarm, RESTART | ONSTACK, 0, 0};
	u32 own[3] = {(u32)stack, 0, sizeof stack};
	sys_sigaltstack(own, 0);
	sys_rt_sigaction(SIGALRM_, &a, 0, 8);
	sys_setitimer(0, often, 0);
	for (volatile u64 i = 0; i < rounds; i++) {
		struct timespec t = {0, 2000000};
		int r = setjmp(env);
		if (!r)
			throw_up((int)(i % 30), (int)i + 1);
		h = mix(h, (u64)r);
		sys_write(master, "half", 4);
		sys_nanosleep(&t, 0);
		v = 0;
		sys_write(master, "\r", 1);
		sys_read(slave, &v, 8);
		h = mix(h, v);
		sys_write(slave, &(char){'o'}, 1);
		v = 0;
		sys_read(master, &v, 8);
		h = mix(h, v);
		v = i;
		sys_write((int)event, &(u64){1}, 8);
		while (sys_epoll_pwait((int)epoll, &got, 1, -1, 0, 8) != 1)
			;
		h = mix(h, got.data);
		sys_read((int)event, &v, 8);
		h = mix(h, v);
		sys_write(p[1], &h, 8);
		sys_read(p[0], &v, 8);
		h = mix(h, v + i + 1);
		map[i % 100000] = (u8)h;
		h = mix(h, map[(i * 7) % 100000]);
		sys_write((int)file, &h, 8);
	}
	sys_setitimer(0, (u64[4]){0}, 0);
	struct stat st;
	sys_fstat((int)file, &st);
	say("file ");
	say_number((s64)st.size);
	say(" folder ");
	sys_getcwd(dir, sizeof dir);
	say(dir);
	say(" cloexec ");
	say_number(sys_fcntl((int)file, 1, 0));
	say(" hash ");
	say_number((s64)h);
	say(alarms > 3 && !in_handler && !elsewhere ? " alarms came\n" : " no alarms\n");
	sys_exit_group(7);
}
