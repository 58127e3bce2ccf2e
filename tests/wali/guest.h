/* guest.h - what the guests of these tests need in place of a libc: the calls, text, and TAP. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned u32;
typedef unsigned long long u64;
typedef long long s64;

#define WALI(name) __attribute__((import_module("wali"), import_name(name)))
#define SYS(name, ...) WALI("SYS_" #name) s64 sys_##name(__VA_ARGS__);
SYS(read, int, void *, u32)
SYS(write, int, const void *, u32)
SYS(open, const char *, int, int)
SYS(close, int)
SYS(stat, const char *, void *)
SYS(fstat, int, void *)
SYS(lstat, const char *, void *)
SYS(poll, void *, s64, int)
SYS(lseek, int, s64, int)
SYS(mmap, void *, u32, int, int, int, s64)
SYS(munmap, void *, u32)
SYS(msync, void *, u32, int)
SYS(mremap, void *, u32, u32, int, void *)
SYS(madvise, void *, u32, int)
SYS(brk, void *)
SYS(rt_sigaction, int, const void *, void *, u32)
SYS(rt_sigprocmask, int, const void *, void *, u32)
SYS(rt_sigsuspend, const void *, u32)
SYS(rt_sigpending, void *, u32)
SYS(ioctl, int, int, void *)
SYS(pread64, int, void *, u32, s64)
SYS(pwrite64, int, const void *, u32, s64)
SYS(readv, int, const void *, int)
SYS(writev, int, const void *, int)
SYS(access, const char *, int)
SYS(pipe, int *)
SYS(pipe2, int *, int)
SYS(select, int, void *, void *, void *, void *)
SYS(dup, int)
SYS(dup2, int, int)
SYS(dup3, int, int, int)
SYS(nanosleep, const void *, void *)
SYS(alarm, int)
SYS(setitimer, int, const void *, void *)
SYS(sigaltstack, const void *, void *)
SYS(pause, void)
SYS(getpid, void)
SYS(getppid, void)
SYS(fork, void)
SYS(vfork, void)
SYS(execve, const char *, char *const *, char *const *)
SYS(wait4, int, int *, int, void *)
SYS(kill, int, int)
SYS(tkill, int, int)
SYS(uname, void *)
SYS(fcntl, int, int, int)
SYS(ftruncate, int, s64)
SYS(fsync, int)
SYS(getcwd, char *, u32)
SYS(chdir, const char *)
SYS(fchdir, int)
SYS(rename, const char *, const char *)
SYS(mkdir, const char *, int)
SYS(rmdir, const char *)
SYS(link, const char *, const char *)
SYS(unlink, const char *)
SYS(symlink, const char *, const char *)
SYS(readlink, const char *, char *, u32)
SYS(chmod, const char *, int)
SYS(fchmod, int, int)
SYS(umask, int)
SYS(gettimeofday, void *, void *)
SYS(getuid, void)
SYS(setuid, int)
SYS(setpgid, int, int)
SYS(getpgid, int)
SYS(getsid, int)
SYS(setsid, void)
SYS(exit_group, int)
SYS(getdents64, int, void *, u32)
SYS(openat, int, const char *, int, int)
SYS(newfstatat, int, const char *, void *, int)
SYS(statx, int, const char *, int, int, void *)
SYS(unlinkat, int, const char *, int)
SYS(utimensat, int, const char *, const void *, int)
SYS(faccessat, int, const char *, int, int)
SYS(clock_gettime, int, void *)
SYS(clock_nanosleep, int, int, const void *, void *)
SYS(getrandom, void *, u32, int)
SYS(eventfd2, int, int)
SYS(epoll_create1, int)
SYS(epoll_ctl, int, int, int, void *)
SYS(epoll_pwait, int, void *, int, int, const void *, u32)
SYS(ppoll, void *, s64, const void *, const void *, u32)
SYS(prlimit64, int, int, const void *, void *)
SYS(socket, int, int, int)
SYS(socketpair, int, int, int, int *)
SYS(bind, int, const void *, u32)
SYS(listen, int, int)
SYS(connect, int, const void *, u32)
SYS(accept, int, void *, u32 *)
SYS(accept4, int, void *, u32 *, int)
SYS(sendto, int, const void *, u32, int, const void *, u32)
SYS(recvfrom, int, void *, u32, int, void *, u32 *)
SYS(sendmsg, int, const void *, int)
SYS(recvmsg, int, void *, int)
SYS(shutdown, int, int)
SYS(getsockname, int, void *, u32 *)
SYS(getpeername, int, void *, u32 *)
SYS(setsockopt, int, int, int, const void *, u32)
SYS(getsockopt, int, int, int, void *, u32 *)
SYS(getrusage, int, void *)
SYS(prctl, int, const char *, int, int, int)
SYS(futex, u32 *, int, u32, const void *, void *, u32)
SYS(never_heard_of, int, s64)
WALI("__init") int wali_init(void);
WALI("__proc_exit") void wali_proc_exit(int);
WALI("__cl_get_argc") int wali_argc(void);
WALI("__cl_get_argv_len") int wali_argv_len(int);
WALI("__cl_copy_argv") int wali_copy_argv(char *, int);
WALI("__get_init_envfile") int wali_envfile(char *, int);
WALI("setjmp") __attribute__((returns_twice)) int setjmp(u64 *);
WALI("sigsetjmp") __attribute__((returns_twice)) int sigsetjmp(u64 *, int);
WALI("longjmp") _Noreturn void longjmp(u64 *, int);

static u32 length(const char *s)
{
	u32 n = 0;
	while (s[n])
		n++;
	return n;
}

static int same(const void *a, const void *b, u32 n)
{
	const u8 *p = a, *q = b;
	for (u32 i = 0; i < n; i++)
		if (p[i] != q[i])
			return 0;
	return 1;
}

static int equal(const char *a, const char *b)
{
	return length(a) == length(b) && same(a, b, length(a));
}

static void say(const char *s)
{
	sys_write(1, s, length(s));
}

static void say_number(s64 v)
{
	char buf[24], *p = buf + sizeof buf;
	u64 u = v < 0 ? -(u64)v : (u64)v;
	do
		*--p = (char)('0' + u % 10);
	while (u /= 10);
	if (v < 0)
		*--p = '-';
	sys_write(1, p, (u32)(buf + sizeof buf - p));
}

static int points;

static void point(int ok, const char *what)
{
	say(ok ? "ok " : "not ok ");
	say_number(++points);
	say(" - ");
	say(what);
	say("\n");
}

/* A result that is not the one that was expected is said. */
static void expect(s64 got, s64 want, const char *what)
{
	point(got == want, what);
	if (got != want) {
		say("# got ");
		say_number(got);
		say(", not ");
		say_number(want);
		say("\n");
	}
}

static _Noreturn void finish(void)
{
	say("1..");
	say_number(points);
	say("\n");
	sys_exit_group(0);
	__builtin_unreachable();
}

enum { AT_CWD = -100 };
enum {
	RDONLY,
	WRONLY,
	RDWR,
	CREAT = 0100,
	EXCL = 0200,
	TRUNC = 01000,
	APPEND = 02000,
	NONBLOCK = 04000,
	DIRECTORY = 0200000,
	NOFOLLOW = 0400000,
	CLOEXEC = 02000000
};

struct stat {
	u64 dev, ino, nlink;
	u32 mode, uid, gid, pad;
	u64 rdev, size, blksize, blocks, atime[2], mtime[2], ctime[2], unused[3];
};

struct timespec {
	s64 s, ns;
};

/* Packed as the kernel's. */
struct __attribute__((packed)) action {
	void (*handler)(int);
	u64 flags;
	u32 restorer;
	u64 mask;
};
