/* os_device_android.c - os_device.h on Android, where our program is a guest in an app's sandbox or of adb's shell.
 *
 * The sandbox has a list of system calls that its own C library makes. Another one raises SIGSYS, which ends the program:
 * here it is answered as a kernel that lacks the call would, and the C libraries know what to do then. The list is
 * longer on newer devices; calls met in practice: faccessat2, epoll_pwait2, close_range, openat2, fchmodat2.
 */
#include "base/os_device.h"

#include "base/syscall_answer.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* adb's shell has no home of its own, but this. */
#define SHELL_HOME "/data/local/tmp"

static void on_refused(int sig, siginfo_t *info, void *machine)
{
	syscall_answer(machine, -ENOSYS);
}

static bool is_writable(const char *folder)
{
	return folder && folder[0] == '/' && access(folder, W_OK) == 0;
}

/* An app tells us WASMOS_HOME; Termux and adb's shell have at least one of these. */
static void find_folders(void)
{
	if (!is_writable(getenv("HOME")) && is_writable(SHELL_HOME))
		setenv("HOME", SHELL_HOME, 1);
	const char *own = getenv("WASMOS_HOME"), *home = getenv("HOME");
	if (!is_writable(getenv("TMPDIR")) && (own || home))
		setenv("TMPDIR", own ? own : home, 1);
}

void os_device_begin(void)
{
	struct sigaction sa = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO | SA_NODEFER};
	sigaction(SIGSYS, &sa, NULL);
	find_folders();
}

bool os_device_has_names(void)
{
	return access("/etc/resolv.conf", R_OK) == 0;
}

bool os_device_is_handheld(void)
{
	return true;
}

/* The system ends apps in the background at about this much; it has no swap to speak of. */
uint64_t os_memory_floor_bytes(uint64_t total_bytes)
{
	uint64_t least = 192u << 20, share = total_bytes / 16;
	return share > least ? share : least;
}
