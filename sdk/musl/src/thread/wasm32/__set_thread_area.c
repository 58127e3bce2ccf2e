/* __set_thread_area.c - the thread pointer is a thread-local variable. */
#include "pthread_impl.h"

hidden _Thread_local uintptr_t __wali_thread_pointer;

/* 0: threads can be made, 1: they cannot (__init_tp). */
int __set_thread_area(void *p)
{
	__wali_thread_pointer = (uintptr_t)p;
#ifdef __wasm_atomics__
	return 0;
#else
	return 1;
#endif
}
