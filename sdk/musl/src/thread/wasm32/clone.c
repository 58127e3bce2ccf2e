/* clone.c - threads (CLONE_THREAD) and the child of posix_spawn (CLONE_VFORK); nothing else clones.
 *
 * A thread is started by the host: __wasm_thread_spawn runs __wasm_thread_start_libc (thread_start.s) with
 * globals of its own, which takes its stack and its block of thread-local variables from the record here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include "pthread_impl.h"
#include "syscall.h"
#include "wali_thread.h"

__attribute__((import_module("wali"), import_name("__wasm_thread_spawn"))) int
__wasm_thread_spawn(void *fn, void *arg);

#ifdef __wasm_atomics__
static int spawn(int (*func)(void *), void *stack, int flags, void *arg, int *ptid, void *tp,
                 int *ctid)
{
	uintptr_t top = (uintptr_t)stack - sizeof(struct wali_thread_start) & -16;
	struct wali_thread_start *start = (void *)top;
	int tid;

	start->stack = (void *)top;
	start->tls = ((struct pthread *)tp)->dtv;
	start->tp = tp;
	start->func = func;
	start->arg = arg;
	start->tid_set = 0;
	tid = __wasm_thread_spawn((void *)__wasm_thread_start_libc, start);
	if (tid < 0)
		return tid;
	if (flags & CLONE_PARENT_SETTID)
		*ptid = tid;
	/* The thread waits until its number stands where musl looks for it. */
	a_store(&start->tid_set, 1);
	__wake(&start->tid_set, 1, 1);
	return tid;
}
#endif

int __clone(int (*func)(void *), void *stack, int flags, void *arg, ...)
{
	if (flags & CLONE_VFORK) {
		int pid = __syscall(SYS_vfork);
		if (pid == 0)
			__syscall(SYS_exit_group, func(arg));
		return pid;
	}
#ifdef __wasm_atomics__
	if (flags & CLONE_THREAD) {
		va_list ap;
		va_start(ap, arg);
		int *ptid = va_arg(ap, int *);
		void *tp = va_arg(ap, void *);
		int *ctid = va_arg(ap, int *);
		va_end(ap);
		return spawn(func, stack, flags, arg, ptid, tp, ctid);
	}
#endif
	return -ENOSYS;
}

#ifdef __wasm_atomics__
/* A new thread's first C function, on its own stack. */
hidden void __wali_thread_start_c(int tid, struct wali_thread_start *start)
{
	__wali_thread_pointer = (uintptr_t)start->tp;
	while (!start->tid_set)
		__wait(&start->tid_set, 0, 0, 1);
	__syscall(SYS_set_tid_address, &__thread_list_lock);
	__syscall(SYS_exit, start->func(start->arg));
}
#endif
