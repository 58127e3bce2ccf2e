/* emulated.c - functions that the C library makes of other calls, because the list of calls has none for them; prints what is to be seen
 * of each, the same on Debian. In an empty folder of its own. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static long size_of(int fd)
{
	struct stat st;
	return fstat(fd, &st) ? -1 : (long)st.st_size;
}

/* One number at a time: the order of a call's arguments is the compiler's. */
static void show(long n)
{
	printf("%ld ", n);
}

static void failed(long n)
{
	show(n);
	show(errno);
}

static void vectors(int fd)
{
	char a[2], b[9];
	struct iovec out[] = {{"ab", 2}, {"cde", 3}}, in[] = {{a, sizeof a}, {b, sizeof b}};
	show(pwritev(fd, out, 2, 1));
	show(preadv(fd, in, 2, 0));
	printf("%.1s %.4s ", a + 1, b);
	failed(preadv(fd, in, -1, 0));
}

static void lengths(int fd)
{
	show(truncate("file", 3));
	show(size_of(fd));
	show(posix_fallocate(fd, 0, 10));
	show(size_of(fd));
	show(posix_fallocate(fd, 0, 2));
	show(size_of(fd));
	show(posix_fallocate(fd, -1, 2));
	failed(truncate("none", 3));
}

static void copies(int fd)
{
	int to = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0644);
	off_t from = 2;
	show(sendfile(to, fd, &from, 4));
	show(from);
	lseek(fd, 0, SEEK_SET);
	show(sendfile(to, fd, NULL, 100));
	show(lseek(fd, 0, SEEK_CUR));
	show(size_of(to));
	close(to);
}

static void names(void)
{
	int folder = open(".", O_RDONLY | O_DIRECTORY);
	show(renameat(folder, "copy", folder, "copied"));
	show(access("copied", F_OK));
	show(access("copy", F_OK));
	show(lchown("copied", -1, -1));
}

static void show_child(const siginfo_t *info, pid_t child)
{
	show(info->si_pid == child);
	show(info->si_signo == SIGCHLD);
	show(info->si_code);
	show(info->si_status);
}

static void children(void)
{
	siginfo_t info;
	pid_t child = fork();
	if (!child)
		_exit(7);
	show(waitid(P_PID, child, &info, WEXITED));
	show_child(&info, child);
	child = fork();
	while (!child)
		pause();
	info.si_pid = 1;
	show(waitid(P_ALL, 0, &info, WEXITED | WNOHANG));
	show(info.si_pid);
	kill(child, SIGTERM);
	show(waitid(P_ALL, 0, &info, WEXITED));
	show_child(&info, child);
	failed(waitid(P_ALL, 0, &info, WEXITED));
}

static void signals(void)
{
	struct timespec soon = {0, 1000000}, now = {0, 0};
	siginfo_t info;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	failed(sigtimedwait(&set, &info, &soon));
	kill(getpid(), SIGUSR2);
	kill(getpid(), SIGUSR1);
	show(sigwaitinfo(&set, &info));
	show(info.si_signo);
	show(sigtimedwait(&set, NULL, &now));
	failed(sigtimedwait(&set, &info, &soon));
	if (!fork()) {
		usleep(10000);
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	show(sigwaitinfo(&set, &info));
	wait(NULL);
}

static void numbers(void)
{
	uid_t real, effective, saved;
	show(getresuid(&real, &effective, &saved));
	show(real == getuid() && effective == geteuid() && saved == effective);
	show(sched_get_priority_max(SCHED_FIFO));
	show(sched_get_priority_min(SCHED_RR));
	show(sched_get_priority_max(SCHED_OTHER));
	cpu_set_t set;
	failed(sched_getaffinity(-1, sizeof set, &set));
	struct statvfs room;
	show(statvfs(".", &room));
	show(room.f_bfree < room.f_blocks);
	show(SSIZE_MAX == ((size_t)-1) >> 1);
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644);
	vectors(fd);
	lengths(fd);
	copies(fd);
	names();
	children();
	signals();
	numbers();
	printf("\n");
	return 0;
}
