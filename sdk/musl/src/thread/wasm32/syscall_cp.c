/* syscall_cp.c - a cancellation point without assembly: pthread_cancel's signal interrupts a call that waits,
 * which then returns -EINTR, and __syscall_cp_c cancels. Linked only where pthread_cancel.c is. */
#include "pthread_impl.h"
#include "syscall.h"

hidden long __cancel(void);
hidden long __syscall_cp_c(long, long, long, long, long, long, long);

/* An empty range: no place of a program is interrupted between the test and the call by the handler. */
hidden const char __cp_begin[1], __cp_end[1], __cp_cancel[1];

hidden long __syscall_cp_asm(volatile void *cancel, long n, long a, long b, long c, long d, long e,
                             long f)
{
	if (*(volatile int *)cancel)
		return __cancel();
	return __wali_syscall(n, a, b, c, d, e, f);
}

hidden long __wali_cancellable(long n, long a, long b, long c, long d, long e, long f)
{
	return __syscall_cp_c(n, a, b, c, d, e, f);
}
