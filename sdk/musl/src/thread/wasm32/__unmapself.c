/* __unmapself.c - a detached thread gives its own stack back and ends: nothing here may use that stack. */
#include "pthread_impl.h"
#include "syscall.h"

hidden void __unmapself(void *base, size_t size)
{
	__syscall(SYS_munmap, base, size);
	__syscall(SYS_exit, 0);
	__builtin_unreachable();
}
