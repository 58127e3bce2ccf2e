/* sandbox.c - in a sandbox like an Android app's a system call that is not on the list is answered, not deadly. TAP.
 *
 * The filter refuses, by SIGSYS, what Android's has been met refusing; os_device_android.c is built in as it is. The C library's
 * own calls then do what they do on an older kernel. Exit code 77 where no filter can be installed (qemu-user).
 *
 *	sandbox PROGRAM [ARGUMENT...]      a program inside the filter (tests/e2e/sandboxed.py)
 */
#include "base/os_device.h"
#include "base/os_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than some headers; the numbers are the same on all processors. */
enum {
	CALL_PIDFD_SEND_SIGNAL = 424,
	CALL_IO_URING_SETUP = 425,
	CALL_PIDFD_OPEN = 434,
	CALL_CLOSE_RANGE = 436,
	CALL_OPENAT2 = 437,
	CALL_FACCESSAT2 = 439,
	CALL_EPOLL_PWAIT2 = 441,
	CALL_FCHMODAT2 = 452
};

static const int refused[] = {SYS_statx,       SYS_copy_file_range,    SYS_userfaultfd,
                              SYS_pkey_alloc,  CALL_PIDFD_SEND_SIGNAL, CALL_IO_URING_SETUP,
                              CALL_PIDFD_OPEN, CALL_CLOSE_RANGE,       CALL_OPENAT2,
                              CALL_FACCESSAT2, CALL_EPOLL_PWAIT2,      CALL_FCHMODAT2};
enum { REFUSED = sizeof refused / sizeof refused[0] };

static int points, failures;

static void point(bool ok, const char *text)
{
	failures += !ok;
	printf("%s %d - %s\n", ok ? "ok" : "not ok", ++points, text);
}

static bool install_filter(void)
{
	struct sock_filter f[REFUSED + 3];
	f[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	                                    offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < REFUSED; i++)
		f[1 + i] =
		    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)refused[i],
		                                 (unsigned char)(REFUSED - i), 0);
	f[1 + REFUSED] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	f[2 + REFUSED] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
	struct sock_fprog program = {.len = REFUSED + 3, .filter = f};
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void test_each_call(void)
{
	for (unsigned i = 0; i < REFUSED; i++) {
		char text[80];
		errno = 0;
		long r = syscall(refused[i], -1, "", 0, 0, 0, 0);
		snprintf(text, sizeof text, "refused system call %d answers ENOSYS", refused[i]);
		point(r == -1 && errno == ENOSYS, text);
	}
}

static void *refused_call(void *arg)
{
	*(long *)arg = syscall(CALL_OPENAT2, -1, "", 0, 0, 0, 0);
	return NULL;
}

static void test_a_thread_of_ours(void)
{
	pthread_t thread;
	long r = 0;
	bool started = os_thread_start(&thread, 1 << 20, refused_call, &r);
	if (started)
		pthread_join(thread, NULL);
	point(started && r == -1, "a worker's thread, where signals are blocked, is answered too");
}

static void test_the_library_goes_on(void)
{
	struct epoll_event event;
	int e = epoll_create1(EPOLL_CLOEXEC);
	point(faccessat(AT_FDCWD, "/", R_OK, AT_EACCESS) == 0,
	      "faccessat() of effective ids works");
	point(epoll_pwait(e, &event, 1, 0, NULL) == 0, "epoll_pwait() works");
	close(e);
	setenv("HOME", "/nowhere", 1);
	os_device_begin();
	point(getenv("HOME") != NULL, "a second begin does no harm");
}

static int run_inside(char **argv)
{
	if (!install_filter()) {
		fputs("sandbox: no system call filter can be installed here\n", stderr);
		return 77;
	}
	execv(argv[0], argv);
	perror(argv[0]);
	return 127;
}

int main(int argc, char **argv)
{
	struct os_memory m;
	if (argc > 1)
		return run_inside(argv + 1);
	os_device_begin();
	if (!install_filter()) {
		puts("1..0 # SKIP no system call filter can be installed here");
		return 77;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	test_each_call();
	test_a_thread_of_ours();
	test_the_library_goes_on();
	point(os_memory_now(&m) && m.total_bytes > m.available_bytes,
	      "the memory that is left is known");
	point(os_memory_floor_bytes(m.total_bytes) >= 64 << 20,
	      "programs go to sleep before the system ends them");
	printf("1..%d\n", points);
	return failures != 0;
}
