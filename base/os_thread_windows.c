/* os_thread_windows.c - os_thread.h on Windows, over winpthreads: its conditions know the wall clock only, but can wait for a
 * while. */
#include "base/os_thread.h"

#include "base/os.h"

#include <time.h>
#include <windows.h>

void os_cond_init(pthread_cond_t *c)
{
	pthread_cond_init(c, NULL);
}

bool os_cond_wait(pthread_cond_t *c, pthread_mutex_t *lock, uint64_t deadline_ns)
{
	uint64_t now_ns = os_monotonic_ns();
	uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
	/* Some while is enough for "for ever": the caller looks again. */
	if (left_ns > UINT64_C(3600000000000))
		left_ns = UINT64_C(3600000000000);
	struct timespec left = {.tv_sec = (time_t)(left_ns / 1000000000u),
	                        .tv_nsec = (long)(left_ns % 1000000000u)};
	return pthread_cond_timedwait_relative_np(c, lock, &left) == 0 ||
	       os_monotonic_ns() < deadline_ns;
}

void os_sleep_ns(uint64_t ns)
{
	Sleep((DWORD)((ns + 999999) / 1000000));
}

bool os_thread_start(pthread_t *out, size_t stack_bytes, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	if (pthread_attr_init(&attr) != 0)
		return false;
	pthread_attr_setstacksize(&attr, stack_bytes);
	int failed = pthread_create(out, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return !failed;
}

static uint64_t ns_of(FILETIME t)
{
	return ((uint64_t)t.dwHighDateTime << 32 | t.dwLowDateTime) * 100;
}

uint64_t os_thread_used_ns(pthread_t thread)
{
	FILETIME made, ended, kernel, user;
	HANDLE h = (HANDLE)pthread_gethandle(thread);
	if (!h || !GetThreadTimes(h, &made, &ended, &kernel, &user))
		return 0;
	return ns_of(kernel) + ns_of(user);
}
