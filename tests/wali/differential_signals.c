/* differential_signals.c - cases of handlers on stacks of their own, and of children that are looked at by waitid. */
#include "differential.h"

#include <setjmp.h>
#include <ucontext.h>

/* ---- stacks ---- */

static stack_t own;
static sigjmp_buf back;

/* On which stack a handler runs, and what it is told of that. */
static void where(int signal, siginfo_t *info, void *context)
{
	char here;
	stack_t now;
	const stack_t *told = &((ucontext_t *)context)->uc_stack;
	SAY(signal);
	SAY(&here >= (char *)own.ss_sp && &here < (char *)own.ss_sp + own.ss_size);
	SAY(sigaltstack(NULL, &now));
	SAY(now.ss_flags);
	SAY(now.ss_sp == own.ss_sp && now.ss_size == own.ss_size);
	SAY(told->ss_sp == own.ss_sp && told->ss_size == own.ss_size);
	SAY(sigaltstack(&own, NULL));
	if (signal == SIGUSR1)
		raise(SIGUSR2);
	if (signal == SIGTERM)
		siglongjmp(back, 1);
}

static int inherited_stack(void)
{
	stack_t now;
	sigaltstack(NULL, &now);
	return now.ss_flags * 2 + (now.ss_sp == own.ss_sp);
}

static void *stack_of_thread(void *flags)
{
	stack_t now;
	sigaltstack(NULL, &now);
	*(int *)flags = now.ss_flags;
	return NULL;
}

void stacks(void)
{
	struct sigaction a = {.sa_sigaction = where, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	int flags = -1;
	pthread_t thread;
	own = (stack_t){.ss_sp = malloc(65536), .ss_size = 65536};
	sigaction(SIGUSR1, &a, NULL), sigaction(SIGUSR2, &a, NULL), sigaction(SIGTERM, &a, NULL);
	a.sa_flags = SA_SIGINFO;
	sigaction(SIGHUP, &a, NULL);
	SAY(sigaltstack(&own, NULL));
	raise(SIGUSR1);
	raise(SIGHUP);
	if (!sigsetjmp(back, 1))
		raise(SIGTERM);
	stack_t now;
	SAY(sigaltstack(NULL, &now));
	SAY(now.ss_flags);
	raise(SIGUSR2);
	SAY(child(inherited_stack));
	SAY(pthread_create(&thread, NULL, stack_of_thread, &flags));
	SAY(pthread_join(thread, NULL));
	SAY(flags);
	now = own;
	now.ss_size = 2047;
	SAY(syscall(SYS_sigaltstack, &now, NULL));
	now = own;
	now.ss_flags = SS_ONSTACK;
	SAY(syscall(SYS_sigaltstack, &now, NULL));
	SAY(syscall(SYS_sigaltstack, BAD, NULL));
	SAY(syscall(SYS_sigaltstack, NULL, BAD));
	own.ss_flags = SS_DISABLE;
	SAY(sigaltstack(&own, &now));
	SAY(now.ss_flags);
	raise(SIGUSR2);
}

/* ---- waitid ---- */

static void told(siginfo_t *info, pid_t p)
{
	SAY(info->si_signo);
	SAY(info->si_pid == p);
	SAY(info->si_code);
	SAY(info->si_status);
	memset(info, 0x55, sizeof *info);
}

/* waitid, which may leave a child as it is. */
void waits(void)
{
	siginfo_t info;
	int status;
	pid_t p = fork();
	if (!p) {
		pause();
		_exit(0);
	}
	setpgid(p, p);
	memset(&info, 0x55, sizeof info);
	SAY(waitid(P_PID, p, &info, WEXITED | WNOHANG));
	SAY(info.si_signo);
	SAY(info.si_pid);
	SAY(waitid(P_PGID, 0, &info, WEXITED | WNOHANG));
	SAY(waitid(P_PGID, -1, &info, WEXITED | WNOHANG));
	SAY(waitid(P_PID, 0, &info, WEXITED | WNOHANG));
	SAY(waitid(P_PID, p, &info, WEXITED | 0x100));
	SAY(waitid(P_PID, p, &info, WNOWAIT));
	SAY(waitpid(p, &status, WNOWAIT));
	kill(p, SIGSTOP);
	SAY(waitid(P_PID, p, &info, WSTOPPED | WNOWAIT)), told(&info, p);
	SAY(waitid(P_PGID, p, &info, WSTOPPED)), told(&info, p);
	SAY(waitid(P_PID, p, &info, WSTOPPED | WEXITED | WNOHANG));
	SAY(info.si_pid);
	kill(p, SIGCONT);
	SAY(waitid(P_ALL, 0, &info, WCONTINUED | WNOWAIT)), told(&info, p);
	SAY(waitid(P_ALL, 0, &info, WCONTINUED)), told(&info, p);
	kill(p, SIGTERM);
	SAY(waitid(P_PID, p, &info, WEXITED | WNOWAIT)), told(&info, p);
	SAY(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT)), told(&info, p);
	SAY(waitid(P_PID, p, &info, WSTOPPED | WNOHANG));
	SAY(waitid(P_PID, p, BAD, WEXITED | WNOWAIT));
	SAY(waitid(P_PID, p, NULL, WEXITED));
	SAY(waitid(P_PID, p, &info, WEXITED));
	p = fork();
	if (!p)
		_exit(300);
	SAY(waitid(P_PID, p, &info, WEXITED)), told(&info, p);
}
