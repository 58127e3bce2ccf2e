/* wali_syscall.c - a system call whose number is known at run time only. */
#include "syscall.h"

hidden long __wali_syscall(long n, long a, long b, long c, long d, long e, long f)
{
	return __wali_switch(n, a, b, c, d, e, f);
}
