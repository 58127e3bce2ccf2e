/* talk.c - a guest that is moved while it speaks with its child through a pty, whose controlling terminal it is: lines, echo, and ^C for
 * the child's group. Argument: rounds. What it says at the end depends on every byte that came through.
 */
#include "guest.h"

enum { INT_ = 2, NOCTTY = 0400 };

static volatile u64 interrupts;

static void on_int(int n)
{
	interrupts++;
}

static void sleep_ms(s64 ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	while (sys_nanosleep(&t, &t) == -4)
		;
}

/* Says after each line how long it was, and how often it was interrupted so far. */
static _Noreturn void child(int slave)
{
	char line[64], answer[3] = "00";
	struct action a = {on_int, 0x10000000, 0, 0};
	sys_rt_sigaction(INT_, &a, 0, 8);
	sys_setsid();
	sys_ioctl(slave, 0x540e, 0);
	sys_write(slave, "!", 1);
	for (;;) {
		s64 n = sys_read(slave, line, sizeof line);
		if (n <= 0)
			sys_exit_group(n == 0 ? 9 : 8);
		answer[0] = (char)('0' + n % 64);
		answer[1] = (char)('0' + interrupts % 64);
		sys_write(slave, answer, 2);
	}
}

static void exactly(int fd, u8 *to, u32 size)
{
	for (u32 n = 0; n < size;) {
		s64 got = sys_read(fd, to + n, size - n);
		if (got <= 0)
			sys_exit_group(3);
		n += (u32)got;
	}
}

void _start(void)
{
	char arg[32] = "100";
	u8 got[64];
	u64 rounds = 0, h = 0;
	int zero = 0, status = 0;
	wali_init();
	if (wali_argc() > 1)
		wali_copy_argv(arg, 1);
	for (const char *s = arg; *s; s++)
		rounds = rounds * 10 + (u64)(*s - '0');
	int master = (int)sys_open("/dev/ptmx", RDWR | NOCTTY, 0);
	sys_ioctl(master, 0x40045431, &zero);
	int slave = (int)sys_open("/dev/pts/0", RDWR | NOCTTY, 0);
	s64 pid = sys_fork();
	if (!pid) {
		sys_close(master);
		child(slave);
	}
	sys_close(slave);
	exactly(master, got, 1);
	for (u64 i = 1; i <= rounds; i++) {
		u32 n = (u32)(i % 10), size = n + 4;
		for (u32 c = 0; c < n; c++)
			sys_write(master, "x", 1);
		sleep_ms(5);
		sys_write(master, "\r", 1);
		exactly(master, got, size);
		for (u32 c = 0; c < size; c++)
			h = (h ^ got[c]) * 0x100000001b3ull;
		if (i % 10)
			continue;
		sys_write(master, "\x03", 1);
		exactly(master, got, 2);
		sleep_ms(20);
	}
	sys_close(master);
	sys_wait4((int)pid, &status, 0, 0);
	say("hash ");
	say_number((s64)h);
	say(" last ");
	say_number(got[1]);
	say(" child ");
	say_number(status);
	say("\n");
	sys_exit_group(7);
}
