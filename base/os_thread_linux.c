/* os_thread_linux.c - os_thread.h on Linux and Android. */
#include "base/os_thread.h"

#include <signal.h>
#include <time.h>

void os_cond_init(pthread_cond_t *c)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(c, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
	                         .tv_nsec = (long)(ns % 1000000000u)};
}

bool os_cond_wait(pthread_cond_t *c, pthread_mutex_t *lock, uint64_t deadline_ns)
{
	struct timespec at = timespec_of(deadline_ns);
	return pthread_cond_timedwait(c, lock, &at) == 0;
}

void os_sleep_ns(uint64_t ns)
{
	struct timespec t = timespec_of(ns);
	nanosleep(&t, NULL);
}

bool os_thread_start(pthread_t *out, size_t stack_bytes, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	sigset_t all, before;
	if (pthread_attr_init(&attr) != 0)
		return false;
	pthread_attr_setstacksize(&attr, stack_bytes);
	/* Faults cannot be blocked and stay this thread's. */
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGPROF);
	sigdelset(
	    &all,
	    SIGSYS); /* a system call was refused (os_device_android.c): blocked it would be deadly */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(out, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return !failed;
}

uint64_t os_thread_used_ns(pthread_t thread)
{
	clockid_t clock;
	struct timespec t;
	if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}
