/* system_linux.c - system.h on Linux and Android: fork and exec. */
#include "shell/system.h"

#include "shell/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool system_begin(int *argc, char ***argv)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return false;
	return true;
}

bool system_run_up(struct shell *sh, const char *home)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n <= 0)
		return shell_fail(sh, "cannot find this program: %s", strerror(errno)) == 0;
	self[n] = 0;
	pid_t pid = fork();
	if (pid == 0) {
		execl(self, "wasmos", "up", "--quiet", "--home", home, (char *)NULL);
		/* As where an emulator runs this program, which the kernel alone cannot. */
		dprintf(STDERR_FILENO, "wasmos: the node cannot be started: %s: %s\n", self,
		        strerror(errno));
		_exit(127);
	}
	int status = 0;
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return shell_fail(sh, "the node cannot be started: %s", strerror(errno)) == 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

_Noreturn static void go_on(struct shell *sh, int (*fn)(struct shell *sh, void *ctx), void *ctx,
                            int pipe_fd)
{
	sigset_t none;
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	sh->verdict_fd = pipe_fd;
	exit(fn(sh, ctx));
}

long system_background(struct shell *sh, int (*fn)(struct shell *sh, void *ctx), void *ctx,
                       void *verdict, size_t size)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) != 0)
		return 0;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[0]);
		go_on(sh, fn, ctx, fds[1]);
	}
	close(fds[1]);
	ssize_t n;
	do
		n = pid < 0 ? 0 : read(fds[0], verdict, size);
	while (n < 0 && errno == EINTR);
	close(fds[0]);
	return n == (ssize_t)size ? pid : 0;
}

static void leave_terminal(const char *home)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/stderr", home);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int err = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(err >= 0 ? err : null, STDERR_FILENO);
	if (chdir("/") != 0)
		return;
}

void system_tell(struct shell *sh, const char *home, bool stays, const void *verdict, size_t size)
{
	if (stays)
		leave_terminal(home);
	if (write((int)sh->verdict_fd, verdict, size) != (ssize_t)size)
		exit(1);
	close((int)sh->verdict_fd);
}

static void interrupts(sigset_t *out)
{
	sigemptyset(out);
	sigaddset(out, SIGINT);
	sigaddset(out, SIGTERM);
	sigaddset(out, SIGHUP);
}

void system_hold_interrupts(void)
{
	sigset_t set;
	interrupts(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

bool system_is_interrupted(void)
{
	sigset_t pending;
	return sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
	        sigismember(&pending, SIGHUP) == 1);
}
