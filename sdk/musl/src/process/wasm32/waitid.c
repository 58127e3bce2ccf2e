/* waitid.c - wait4, whose words it takes apart: the list of calls has no waitid. A child is always taken away: no WNOWAIT. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include "syscall.h"

static void tell(siginfo_t *info, int pid, int status)
{
	info->si_signo = SIGCHLD;
	info->si_pid = pid;
	info->si_uid = __syscall(SYS_getuid);
	if (WIFEXITED(status)) {
		info->si_code = CLD_EXITED;
		info->si_status = WEXITSTATUS(status);
	} else if (WIFSIGNALED(status)) {
		info->si_code = WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED;
		info->si_status = WTERMSIG(status);
	} else if (WIFSTOPPED(status)) {
		info->si_code = CLD_STOPPED;
		info->si_status = WSTOPSIG(status);
	} else {
		info->si_code = CLD_CONTINUED;
		info->si_status = SIGCONT;
	}
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	int status, which;
	switch (type) {
	case P_ALL: which = -1; break;
	case P_PID: which = id; break;
	case P_PGID: which = -(int)id; break;
	default: which = 0;
	}
	if (!which && type != P_PGID || !(options & WEXITED) ||
	    options & ~(WEXITED | WSTOPPED | WCONTINUED | WNOHANG))
		return __syscall_ret(-EINVAL);
	int pid = __syscall_cp(SYS_wait4, which, &status, options & ~WEXITED, 0);
	if (pid < 0)
		return __syscall_ret(pid);
	if (info) {
		memset(info, 0, sizeof *info);
		if (pid)
			tell(info, pid, status);
	}
	return 0;
}
