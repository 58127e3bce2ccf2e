/* syscall_arch.h - a system call is a call of the import "SYS_name" of the module "wali".
 *
 * wali_calls.h is generated from sdk/abi/wali.def: the imports and one switch over the call's number. A
 * number that is a constant (nearly all are) leaves one import of it; others go through __wali_syscall,
 * which imports them all. A call that is not on the list is -ENOSYS.
 */
#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

#include "wali_calls.h"

hidden long __wali_syscall(long, long, long, long, long, long, long);

static inline __attribute__((always_inline)) long __wali_direct(long n, long a, long b, long c,
                                                                long d, long e, long f)
{
	if (__builtin_constant_p(n))
		return __wali_switch(n, a, b, c, d, e, f);
	return __wali_syscall(n, a, b, c, d, e, f);
}

#define __syscall0(n) __wali_direct(n, 0, 0, 0, 0, 0, 0)

static inline __attribute__((always_inline)) long __syscall1(long n, long a)
{
	return __wali_direct(n, a, 0, 0, 0, 0, 0);
}

static inline __attribute__((always_inline)) long __syscall2(long n, long a, long b)
{
	return __wali_direct(n, a, b, 0, 0, 0, 0);
}

static inline __attribute__((always_inline)) long __syscall3(long n, long a, long b, long c)
{
	return __wali_direct(n, a, b, c, 0, 0, 0);
}

static inline __attribute__((always_inline)) long __syscall4(long n, long a, long b, long c, long d)
{
	return __wali_direct(n, a, b, c, d, 0, 0);
}

static inline __attribute__((always_inline)) long __syscall5(long n, long a, long b, long c, long d,
                                                             long e)
{
	return __wali_direct(n, a, b, c, d, e, 0);
}

static inline __attribute__((always_inline)) long __syscall6(long n, long a, long b, long c, long d,
                                                             long e, long f)
{
	return __wali_direct(n, a, b, c, d, e, f);
}

#define IPC_64 0
