/* processes.c - a guest that forks, waits, executes itself and others, pipes, and stops its children. */
#include "guest.h"

enum {
	INT_ = 2,
	KILL_ = 9,
	USR1_ = 10,
	TERM_ = 15,
	CHLD_ = 17,
	CONT_ = 18,
	STOP_ = 19,
	TSTP_ = 20
};

static volatile int children, usr1;
static char buf[70000];

static void on_child(int n)
{
	children++;
}

static void on_usr1(int n)
{
	usr1++;
}

static void set(int n, void (*handler)(int), u64 flags)
{
	struct action a = {handler, flags, 0, 0};
	sys_rt_sigaction(n, &a, 0, 8);
}

static void sleep_ms(s64 ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	while (sys_nanosleep(&t, &t) == -4)
		;
}

static void forks(void)
{
	int status = 0;
	volatile int mine = 1;
	s64 me = sys_getpid(), pid = sys_fork();
	if (!pid) {
		mine = 2;
		sys_exit_group(sys_getppid() == me && sys_getpid() != me ? 7 : 1);
	}
	point(pid > me, "fork gives the child's number");
	expect(sys_wait4((int)pid, &status, 0, 0), pid, "wait4 gives it too");
	expect(status, 7 << 8, "and the status");
	expect(mine, 1, "the child's memory was its own");
	expect(sys_wait4(-1, &status, 0, 0), -10, "no child is left");
	for (int i = 0; i < 20; i++)
		if (!sys_fork())
			sys_exit_group(i);
	int sum = 0;
	for (int i = 0; i < 20; i++)
		if (sys_wait4(-1, &status, 0, 0) > 0)
			sum += status >> 8;
	expect(sum, 190, "twenty children at once");
	pid = sys_fork();
	if (!pid) {
		sleep_ms(30);
		sys_exit_group(0);
	}
	expect(sys_wait4(-1, &status, 1, 0), 0, "NOHANG does not wait");
	expect(sys_wait4(-1, &status, 0, 0), pid, "without it the call does");
	pid = sys_fork();
	if (!pid) {
		s64 grandchild = sys_fork();
		if (!grandchild)
			sys_exit_group(3);
		sys_wait4((int)grandchild, &status, 0, 0);
		sys_exit_group(status >> 8);
	}
	sys_wait4((int)pid, &status, 0, 0);
	expect(status >> 8, 3, "grandchildren");
	pid = sys_fork();
	if (!pid)
		__builtin_trap();
	sys_wait4((int)pid, &status, 0, 0);
	expect(status & 127, 4, "a trap is SIGILL to the parent");
}

static void pipes(void)
{
	int p[2], back[2], status;
	sys_pipe(p);
	sys_pipe(back);
	s64 pid = sys_fork();
	if (!pid) {
		s64 n, total = 0;
		sys_close(p[1]);
		while ((n = sys_read(p[0], buf, sizeof buf)) > 0)
			total += n;
		sys_write(back[1], &total, 8);
		sys_exit_group(0);
	}
	sys_close(p[0]);
	sys_close(back[1]);
	s64 sent = 0, got = 0;
	for (int i = 0; i < 30; i++)
		sent += sys_write(p[1], buf, sizeof buf);
	expect(sent, 30 * 70000, "a blocking write takes all, though a pipe holds less");
	sys_close(p[1]);
	expect(sys_read(back[0], &got, 8), 8, "the child answers");
	expect(got, sent, "every byte went through");
	sys_wait4((int)pid, &status, 0, 0);
	expect(sys_read(back[0], &got, 8), 0, "a pipe whose writers have all ended has an end");
	s64 fd = sys_open("/tmp/shared", RDWR | CREAT, 0600);
	if (!sys_fork()) {
		sys_write((int)fd, "abc", 3);
		sys_exit_group(0);
	}
	sys_wait4(-1, &status, 0, 0);
	expect(sys_lseek((int)fd, 0, 1), 3, "parent and child share the offset");
	expect(sys_lseek((int)fd, 0, 2), 3, "and the file in /tmp");
}

static void kills(void)
{
	int status;
	s64 pid = sys_fork();
	if (!pid)
		for (;;)
			;
	expect(sys_kill((int)pid, TERM_), 0, "kill of a child that computes");
	sys_wait4((int)pid, &status, 0, 0);
	expect(status, TERM_, "it is said what ended it");
	pid = sys_fork();
	if (!pid)
		for (;;)
			sys_pause();
	sys_kill((int)pid, KILL_);
	sys_wait4((int)pid, &status, 0, 0);
	expect(status, KILL_, "kill of one that waits");
	set(CHLD_, on_child, 0x10000000);
	pid = sys_fork();
	if (!pid) {
		sleep_ms(20);
		sys_exit_group(0);
	}
	expect(sys_wait4((int)pid, &status, 0, 0), pid,
	       "wait4 goes on after a handler with RESTART");
	expect(children, 1, "SIGCHLD came");
	set(CHLD_, 0, 0);
	set(USR1_, on_usr1, 0);
	s64 me = sys_getpid();
	pid = sys_fork();
	if (!pid) {
		sleep_ms(20);
		sys_kill((int)me, USR1_);
		sleep_ms(20);
		sys_exit_group(0);
	}
	expect(sys_wait4((int)pid, &status, 0, 0), -4, "and is interrupted by one without");
	expect(usr1, 1, "which has run");
	sys_wait4((int)pid, &status, 0, 0);
}

static void groups(void)
{
	int status;
	s64 pid = sys_fork(), other;
	if (!pid) {
		sys_setpgid(0, 0);
		for (;;)
			sys_pause();
	}
	expect(sys_setpgid((int)pid, (int)pid), 0, "a child becomes a group");
	expect(sys_getpgid((int)pid), pid, "which it then is of");
	other = sys_fork();
	if (!other)
		for (;;)
			sys_pause();
	expect(sys_setpgid((int)other, (int)pid), 0, "another joins it");
	expect(sys_kill((int)-pid, STOP_), 0, "a group is stopped");
	expect(sys_wait4((int)pid, &status, 2, 0), pid, "which the parent is told");
	expect(status, STOP_ << 8 | 0x7f, "with the signal");
	expect(sys_wait4((int)other, &status, 2, 0), other, "of each");
	sys_kill((int)pid, CONT_);
	expect(sys_wait4((int)pid, &status, 8, 0), pid, "and goes on");
	expect(status, 0xffff, "which is told too");
	sys_kill((int)-pid, KILL_);
	sys_wait4((int)pid, &status, 0, 0);
	expect(sys_wait4((int)-pid, &status, 0, 0), other, "wait4 for a group");
	expect(status, KILL_, "a stopped process is killed");
	expect(sys_kill((int)-pid, 0), -3, "the group is no more");
	pid = sys_fork();
	if (!pid)
		sys_exit_group(sys_setsid() == sys_getpid() && sys_getsid(0) == sys_getpid() ? 0
		                                                                             : 1);
	sys_wait4((int)pid, &status, 0, 0);
	expect(status, 0, "setsid");
}

static int run(const char *path, char *const *argv, char *const *env)
{
	int status = -1;
	s64 pid = sys_fork();
	if (!pid)
		sys_exit_group((int)-sys_execve(path, argv, env));
	sys_wait4((int)pid, &status, 0, 0);
	return status;
}

static void executes(void)
{
	char *argv[] = {"me", "child", "two words", 0}, *env[] = {"A=1", "B=x y", 0};
	s64 fd = sys_open("/tmp/kept", RDWR | CREAT, 0600);
	expect(sys_dup2((int)fd, 9), 9, "a descriptor for the program");
	sys_fcntl((int)fd, 2, 1);
	expect(run("/data/processes.wasm", argv, env) >> 8, 42, "exec of a module");
	char got[16];
	expect(sys_pread64(9, got, 16, 0), 5, "which wrote to what it was given");
	point(same(got, "A=1\0B", 5), "its environment");
	expect(run("/data/none", argv, env) >> 8, 2, "exec of nothing is ENOENT");
	expect(run("/data/text", argv, env) >> 8, 8, "exec of text is ENOEXEC");
	expect(run("/data", argv, env) >> 8, 13, "exec of a folder is EACCES");
	expect(run("/data/script", argv, env) >> 8, 43, "exec of a script: #! with an argument");
	expect(run("/data/wasi.wasm", argv, env) >> 8, 5, "exec of a WASI program");
	expect(run("/data/broken.wasm", argv, env) >> 8, 8, "exec of a broken module is ENOEXEC");
}

/* This program, executed by itself. */
static void be_child(int argc)
{
	char arg[64], env[64] = {0};
	wali_copy_argv(arg, 1);
	if (equal(arg, "script-arg")) {
		wali_copy_argv(arg, 2);
		sys_exit_group(argc == 5 && equal(arg, "/data/script") ? 43 : 1);
	}
	wali_copy_argv(arg, 2);
	if (argc != 3 || !equal(arg, "two words") || wali_argv_len(2) != 9)
		sys_exit_group(1);
	if (!wali_envfile(arg, sizeof arg))
		sys_exit_group(2);
	s64 file = sys_open(arg, 0, 0), n = sys_read((int)file, env, sizeof env);
	if (n != 10 || sys_read((int)file, arg, sizeof arg) != 0)
		sys_exit_group(4);
	sys_write(9, env, 5);
	sys_exit_group(42);
}

void _start(void)
{
	wali_init();
	if (wali_argc() > 1)
		be_child(wali_argc());
	forks();
	pipes();
	kills();
	groups();
	executes();
	finish();
}
