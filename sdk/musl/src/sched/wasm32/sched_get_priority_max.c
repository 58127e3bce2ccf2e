/* sched_get_priority_max.c - Linux's numbers: the list of calls has none of these. */
#include <errno.h>
#include <sched.h>
#include "syscall.h"

static int bound(int policy, int real_time)
{
	switch (policy) {
	case SCHED_FIFO:
	case SCHED_RR: return real_time;
	case SCHED_OTHER:
	case SCHED_BATCH:
	case SCHED_IDLE: return 0;
	}
	return __syscall_ret(-EINVAL);
}

int sched_get_priority_max(int policy)
{
	return bound(policy, 99);
}

int sched_get_priority_min(int policy)
{
	return bound(policy, 1);
}
