/* ptys.c - a guest that makes pseudo terminals and is at both of their ends. */
#include "guest.h"

enum {
	HUP_ = 1,
	INT_ = 2,
	CHLD_ = 17,
	TSTP_ = 20,
	TTIN_ = 21,
	TTOU_ = 22,
	WINCH_ = 28,
	NOCTTY = 0400,
	UNTRACED = 2
};
enum {
	TCGETS = 0x5401,
	TCSETS = 0x5402,
	TIOCSCTTY = 0x540e,
	TIOCGPGRP = 0x540f,
	TIOCSPGRP = 0x5410,
	TIOCGWINSZ = 0x5413,
	TIOCSWINSZ = 0x5414,
	FIONREAD = 0x541b,
	TIOCGPTN = (int)0x80045430,
	TIOCSPTLCK = 0x40045431,
	TIOCGPTPEER = 0x5441
};
enum { OPOST = 1, ICANON = 2, ECHO = 8 };

struct termios {
	u32 iflag, oflag, cflag, lflag;
	u8 line, cc[19];
};

struct pollfd {
	int fd;
	u16 events, revents;
};

static char buf[20000];
static volatile int winch, hups;

static void on_winch(int n)
{
	winch++;
}

static void on_hup(int n)
{
	hups++;
}

static void set(int n, void (*handler)(int))
{
	struct action a = {handler, 0, 0, 0};
	sys_rt_sigaction(n, &a, 0, 8);
}

static void sleep_ms(s64 ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	while (sys_nanosleep(&t, &t) == -4)
		;
}

static u64 now_ms(void)
{
	struct timespec t;
	sys_clock_gettime(1, &t);
	return (u64)t.s * 1000 + (u64)t.ns / 1000000;
}

static void gives(int fd, const char *text, const char *what)
{
	s64 n = sys_read(fd, buf, sizeof buf);
	point(n == length(text) && same(buf, text, (u32)n), what);
	if (n != length(text) || !same(buf, text, (u32)n)) {
		say("# got ");
		say_number(n);
		say(": ");
		sys_write(1, buf, n > 0 ? (u32)n : 0);
		say("\n");
	}
}

static int master_of(int *slave)
{
	int zero = 0, master = (int)sys_open("/dev/ptmx", RDWR | NOCTTY, 0);
	sys_ioctl(master, TIOCSPTLCK, &zero);
	*slave = (int)sys_ioctl(master, TIOCGPTPEER, (void *)(RDWR | NOCTTY));
	return master;
}

static void change(int fd, u32 oflag_off, u32 lflag_off, int least, int tenths)
{
	struct termios t;
	sys_ioctl(fd, TCGETS, &t);
	t.oflag &= ~oflag_off;
	t.lflag &= ~lflag_off;
	t.cc[6] = (u8)least;
	t.cc[5] = (u8)tenths;
	sys_ioctl(fd, TCSETS, &t);
}

static void names(void)
{
	int zero = 0, number = -1;
	struct stat st;
	int master = (int)sys_open("/dev/ptmx", RDWR | NOCTTY, 0);
	point(master >= 0, "/dev/ptmx opens");
	expect(sys_ioctl(master, TIOCGPTN, &number), 0, "it has a number");
	expect(number, 0, "the first is 0");
	expect(sys_open("/dev/pts/0", RDWR | NOCTTY, 0), -5, "its slave is locked");
	expect(sys_ioctl(master, TIOCSPTLCK, &zero), 0, "until it is unlocked");
	s64 slave = sys_open("/dev/pts/0", RDWR | NOCTTY, 0);
	point(slave >= 0, "/dev/pts/0 opens then");
	expect(sys_fstat((int)slave, &st), 0, "it has a stat");
	expect((s64)st.rdev, 136 << 8, "with Linux's number of the first pty");
	u64 ino = st.ino;
	sys_stat("/dev/pts/0", &st);
	expect((s64)st.ino, (s64)ino, "its name has the same");
	int other, second = master_of(&other);
	sys_ioctl(second, TIOCGPTN, &number);
	expect(number, 1, "the second pty is 1");
	sys_close(other);
	sys_close(second);
	expect(sys_stat("/dev/pts/1", &st), -2, "it goes with its ends");
	sys_close((int)slave);
	sys_close(master);
}

static void lines(void)
{
	int slave, master = master_of(&slave), n = -1;
	sys_write(master, "wro\x7f\x7f\x7fright", 11);
	expect(sys_ioctl(slave, FIONREAD, &n) ? -1 : n, 0, "half a line is no input");
	sys_write(master, "\r", 1);
	sys_ioctl(slave, FIONREAD, &n);
	expect(n, 6, "a line is");
	gives(slave, "right\n", "it was edited");
	gives(master, "wro\b \b\b \b\b \bright\r\n", "the keys were echoed");
	sys_write(slave, "a\nb\n", 4);
	gives(master, "a\r\nb\r\n", "a new line is two characters");
	sys_write(master, "one\rtwo\r", 8);
	gives(slave, "one\n", "a read gives one line");
	gives(slave, "two\n", "and then the next");
	sys_write(master, "part\x04", 5);
	gives(slave, "part", "^D ends a line without a new line");
	sys_write(master, "\x04", 1);
	gives(slave, "", "on an empty one it is the end of the file");
	sys_read(master, buf, sizeof buf);
	change(slave, OPOST, ECHO, 1, 0);
	sys_write(slave, "a\n", 2);
	sys_write(master, "quiet\r", 6);
	gives(master, "a\n", "output and echo are as the settings say");
	sys_close(slave);
	sys_close(master);
}

static void keys(void)
{
	int slave, master = master_of(&slave);
	change(slave, 0, ICANON | ECHO, 1, 0);
	sys_write(master, "a", 1);
	gives(slave, "a", "without lines a key is input at once");
	change(slave, 0, ICANON | ECHO, 3, 0);
	s64 pid = sys_fork();
	if (!pid) {
		sys_write(master, "x", 1);
		sleep_ms(50);
		sys_write(master, "yz", 2);
		sys_exit_group(0);
	}
	gives(slave, "xyz", "VMIN bytes are waited for");
	sys_wait4((int)pid, 0, 0, 0);
	change(slave, 0, ICANON | ECHO, 0, 2);
	u64 t = now_ms();
	gives(slave, "", "with VTIME alone a read ends with nothing");
	t = now_ms() - t;
	point(t >= 190 && t < 5000, "after its time");
	change(slave, 0, ICANON | ECHO, 5, 2);
	sys_write(master, "ab", 2);
	gives(slave, "ab", "VTIME between bytes ends it with what is there");
	change(slave, 0, ICANON | ECHO, 0, 0);
	gives(slave, "", "with neither it does not wait");
	sys_close(slave);
	sys_close(master);
}

/* In a child: the slave is its controlling terminal. */
static void own(int slave)
{
	sys_setsid();
	sys_ioctl(slave, TIOCSCTTY, 0);
}

static void signals(void)
{
	int slave, master = master_of(&slave), status = 0;
	u16 size[4] = {30, 100, 0, 0}, got[4] = {0};
	s64 pid = sys_fork();
	if (!pid) {
		own(slave);
		sys_write(slave, "r", 1);
		sleep_ms(10000);
		sys_exit_group(0);
	}
	sys_read(master, buf, 1);
	sys_write(master, "\x03", 1);
	sys_wait4((int)pid, &status, 0, 0);
	expect(status, INT_, "^C ends the foreground");
	sys_read(master, buf, sizeof buf);
	pid = sys_fork();
	if (!pid) {
		set(WINCH_, on_winch);
		own(slave);
		int tty = (int)sys_open("/dev/tty", RDWR, 0);
		sys_write(tty, "r", 1);
		while (!winch)
			sleep_ms(10);
		sys_ioctl(tty, TIOCGWINSZ, got);
		sys_exit_group(got[0] == 30 && got[1] == 100 ? 4 : 5);
	}
	gives(master, "r", "/dev/tty is the pty of its session");
	expect(sys_ioctl(master, TIOCSWINSZ, size), 0, "its size can be set");
	sys_wait4((int)pid, &status, 0, 0);
	expect(status, 4 << 8, "the foreground is told, and asks");
	sys_close(slave);
	sys_close(master);
}

/* A session's leader with a child in another group. */
static void background(void)
{
	int slave, master = master_of(&slave), status = 0;
	s64 pid = sys_fork();
	if (!pid) {
		own(slave);
		s64 child = sys_fork();
		if (!child) {
			sys_setpgid(0, 0);
			s64 n = sys_read(slave, buf, 10);
			sys_exit_group(n == 3 ? 6 : 7);
		}
		sys_setpgid((int)child, (int)child);
		sys_wait4((int)child, &status, UNTRACED, 0);
		int stopped = status == (TTIN_ << 8 | 0x7f), group = (int)child;
		sys_ioctl(slave, TIOCSPGRP, &group);
		sys_kill((int)child, 18);
		sys_write(slave, "w", 1);
		sys_wait4((int)child, &status, 0, 0);
		sys_exit_group(stopped && status == 6 << 8 ? 3 : 1);
	}
	sys_read(master, buf, 1);
	sys_write(master, "ok\r", 3);
	sys_wait4((int)pid, &status, 0, 0);
	expect(status, 3 << 8, "who reads in the background stops, and goes on in the foreground");
	sys_close(slave);
	sys_close(master);
}

static void hang_up(void)
{
	int slave, master = master_of(&slave), status = 0;
	struct pollfd p = {master, 1, 0};
	s64 pid = sys_fork();
	if (!pid) {
		sys_close(master);
		set(HUP_, on_hup);
		own(slave);
		sys_write(slave, "r", 1);
		while (!hups)
			sleep_ms(10);
		s64 r = sys_read(slave, buf, 1), w = sys_write(slave, "x", 1);
		sys_exit_group(r == 0 && w == -5 ? 5 : 6);
	}
	sys_read(master, buf, 1);
	sys_close(master);
	sys_wait4((int)pid, &status, 0, 0);
	expect(status, 5 << 8, "closing the master hangs up: HUP, no input, and writing fails");
	sys_close(slave);
	master = master_of(&slave);
	sys_write(slave, "last", 4);
	sys_close(slave);
	p.fd = master;
	sys_poll(&p, 1, 0);
	point(p.revents & 16, "without a slave the master sees that it was hung up");
	gives(master, "last", "and reads what is left");
	expect(sys_read(master, buf, 1), -5, "then nothing comes any more");
	sys_close(master);
}

void _start(void)
{
	wali_init();
	names();
	lines();
	keys();
	signals();
	background();
	hang_up();
	finish();
}
