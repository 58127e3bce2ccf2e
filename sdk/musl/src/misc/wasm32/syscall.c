/* syscall.c - syscall(2): the arguments are read as wide as the call has them, for a wasm caller passes an int
 * and a pointer in 4 bytes and a long in 8. */
#include <stdarg.h>
#define WALI_VARIADIC
#include <unistd.h>
#include "syscall.h"

#undef syscall
long syscall(long n, ...)
{
	va_list ap;
	long r;

	va_start(ap, n);
	r = __wali_vswitch(n, ap);
	va_end(ap);
	return __syscall_ret(r);
}
