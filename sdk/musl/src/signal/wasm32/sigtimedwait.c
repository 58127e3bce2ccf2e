/* sigtimedwait.c - waits for a signal of a set by handlers that stand for as long as it takes: the list of calls has no rt_sigtimedwait.
 * The set is blocked meanwhile in every thread, as POSIX demands of the caller, so nobody else meets these handlers. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "syscall.h"

#define LAST 64

static _Thread_local siginfo_t taken; /* the first; the others are sent again */
static _Thread_local sigset_t more;

static void take(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (taken.si_signo) {
		sigaddset(&more, number);
		return;
	}
	taken = *info;
	taken.si_signo = number;
}

/* One handler for each signal of the set, or what stood there before. */
static void exchange(const sigset_t *set, struct sigaction *old, int back)
{
	struct sigaction mine = {.sa_sigaction = take, .sa_flags = SA_SIGINFO};
	sigfillset(&mine.sa_mask);
	for (int number = 1; number <= LAST; number++)
		if (sigismember(set, number) == 1 && number != SIGKILL && number != SIGSTOP)
			sigaction(number, back ? &old[number] : &mine, back ? 0 : &old[number]);
}

static int any_waits(const sigset_t *set)
{
	sigset_t waiting;
	sigpending(&waiting);
	for (int number = 1; number <= LAST; number++)
		if (sigismember(set, number) == 1 && sigismember(&waiting, number) == 1)
			return 1;
	return 0;
}

static void send_again(void)
{
	for (int number = 1; number <= LAST; number++)
		if (sigismember(&more, number) == 1)
			kill(getpid(), number);
}

int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict info,
                 const struct timespec *restrict wait)
{
	struct sigaction old[LAST + 1];
	sigset_t mask;
	int n, error;
	memset(&taken, 0, sizeof taken);
	sigemptyset(&more);
	sigprocmask(SIG_BLOCK, 0, &mask);
	for (int number = 1; number <= LAST; number++)
		if (sigismember(set, number) == 1)
			sigdelset(&mask, number);
	exchange(set, old, 0);
	do {
		n = any_waits(set) ? sigsuspend(&mask) : ppoll(0, 0, wait, &mask);
		error = errno;
	} while (n < 0 && error == EINTR && !taken.si_signo && !wait);
	exchange(set, old, 1);
	send_again();
	if (!taken.si_signo)
		return __syscall_ret(n < 0 ? -error : -EAGAIN);
	if (info)
		*info = taken;
	return taken.si_signo;
}
