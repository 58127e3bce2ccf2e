/* proc.c - a guest that reads /proc: itself, a child, the system, and what is not there. */
#include "guest.h"

static char buf[4096];

/* The file's text into buf; its size, or what open answered. */
static s64 text_of(const char *path)
{
	s64 fd = sys_open(path, 0, 0), n;
	if (fd < 0)
		return fd;
	n = sys_read((int)fd, buf, sizeof buf - 1);
	buf[n < 0 ? 0 : n] = 0;
	sys_close((int)fd);
	return n;
}

static int begins(const char *text, const char *with)
{
	while (*with)
		if (*text++ != *with++)
			return 0;
	return 1;
}

static int holds(const char *word)
{
	for (const char *p = buf; *p; p++)
		if (begins(p, word))
			return 1;
	return 0;
}

/* "/proc/12/stat" */
static const char *of(s64 pid, const char *name)
{
	static char path[64];
	char digits[16];
	int n = 0, i = 0;
	for (const char *p = "/proc/"; *p; p++)
		path[i++] = *p;
	for (; pid; pid /= 10)
		digits[n++] = (char)('0' + pid % 10);
	while (n)
		path[i++] = digits[--n];
	for (path[i++] = '/'; *name; name++)
		path[i++] = *name;
	path[i] = 0;
	return path;
}

static void myself(void)
{
	s64 pid = sys_getpid();
	point(text_of("/proc/self/stat") > 50, "there is a line about oneself");
	point(holds(") R "), "who asks runs");
	point(text_of(of(pid, "status")) > 0 && begins(buf, "Name:\tproc"), "by one's number too");
	point(holds("\nState:\tR (running)\n"), "status has lines");
	point(text_of("/proc/self/environ") >= 8 && begins(buf, "A=1"), "the environment");
	point(text_of("/proc/self/cmdline") > 0 && holds("proc.wasm"), "the arguments");
	expect(sys_readlink("/proc/self/cwd", buf, 10), 1, "the current folder is a link");
	expect(buf[0], '/', "to it");
	point(text_of("/proc/self/mounts") > 0 && holds(" /data host rw 0 0\n"), "the mounts");
	point(text_of("/proc/self/limits") > 0 && holds("Max open files"), "the limits");
}

static void names(void)
{
	expect(sys_prctl(15, "a name that is longer than fifteen", 0, 0, 0), 0, "another name");
	expect(text_of("/proc/self/comm"), 16, "is what comm says");
	point(begins(buf, "a name that is \n"), "as far as it fits");
}

static void children(void)
{
	s64 child = sys_fork();
	if (!child) {
		for (;;)
			sys_pause();
	}
	point(text_of(of(child, "stat")) > 0, "a child is there");
	s64 fd = sys_open(of(child, "ctl"), 2, 0);
	point(fd >= 0, "it can be told something");
	expect(sys_write((int)fd, "fly", 3), -22, "but not everything");
	expect(sys_write((int)fd, "kill 9\n", 7), 7, "that it ends");
	sys_close((int)fd);
	int status = 0;
	expect(sys_wait4((int)child, &status, 0, 0), child, "it has");
	expect(status, 9, "by that signal");
	expect(text_of(of(child, "stat")), -2, "and is gone from there");
}

static void system_files(void)
{
	point(text_of("/proc/uptime") > 0, "uptime");
	point(text_of("/proc/meminfo") > 0 && begins(buf, "MemTotal:"), "meminfo");
	point(text_of("/proc/stat") > 0 && begins(buf, "cpu  "), "stat");
	point(text_of("/proc/loadavg") > 0, "loadavg");
	point(text_of("/proc/mounts") > 0, "a link to one's own mounts");
	point(text_of("/proc/sys/kernel/ostype") == 7 && begins(buf, "WasmOS\n"),
	      "the system's name");
	point(text_of("/proc/wasmos/processes") > 0, "processes as lines");
	expect(text_of("/proc/wasmos/peers"), 0, "devices are not everybody's business");
	point(text_of("/proc/sys/kernel/hostname") == 7 && begins(buf, "wasmos\n"),
	      "nor is this one's name");
}

static void refusals(void)
{
	expect(sys_open("/proc/999998/stat", 0, 0), -2, "who is not there is not");
	expect(sys_open("/proc/nothing", 0, 0), -2, "a file that is not");
	expect(sys_open("/proc/version", 1, 0), -13, "nothing is written");
	expect(sys_open("/proc/new", 0101, 0644), -2, "nothing is made");
	expect(sys_unlink("/proc/version"), -30, "nothing is removed");
	expect(sys_open("/proc/self/cwd", 0400000, 0), -40, "a link that is not followed");
}

/* What a descriptor stands for is opened, not a file of that name. */
static void descriptors(void)
{
	int p[2];
	sys_pipe(p);
	sys_write(p[1], "through", 7);
	s64 fd = sys_open("/proc/self/fd/3", 0, 0);
	expect(sys_read((int)fd, buf, 10), 7, "a pipe's end by its number");
	expect(sys_readlink("/proc/self/fd/3", buf, 5), 5, "which says what it is");
	point(begins(buf, "pipe:"), "a pipe");
}

void _start(void)
{
	wali_init();
	myself();
	children();
	system_files();
	refusals();
	descriptors();
	names();
	finish();
}
