/* __init_tls.c - the first thread's record, and room for another thread's record and variables.
 *
 * The linker lays thread-local variables out (__builtin_wasm_tls_size) and fills a block of them
 * (__wasm_init_tls); the first thread's block is static. td->dtv is where a thread's block lies.
 */
#include <stddef.h>
#include <string.h>
#include "atomic.h"
#include "libc.h"
#include "pthread_impl.h"
#include "syscall.h"

volatile int __thread_list_lock;

int __init_tp(void *p)
{
	pthread_t td = p;

	td->self = td;
	int r = __set_thread_area(TP_ADJ(p));
	if (r < 0)
		return -1;
	if (!r)
		libc.can_do_threads = 1;
	td->detach_state = DT_JOINABLE;
	td->tid = __syscall(SYS_set_tid_address, &__thread_list_lock);
	td->locale = &libc.global_locale;
	td->robust_list.head = &td->robust_list.head;
	td->next = td->prev = td;
	return 0;
}

static struct pthread first_thread;

#ifdef __wasm_atomics__
static size_t tls_size(void)
{
	return __builtin_wasm_tls_size();
}
static size_t tls_align(void)
{
	size_t a = __builtin_wasm_tls_align();
	return a < 16 ? 16 : a;
}
#else
static size_t tls_size(void)
{
	return 0;
}
static size_t tls_align(void)
{
	return 16;
}
#endif

/* mem has libc.tls_size bytes: the variables first, the record at the end. */
void *__copy_tls(unsigned char *mem)
{
	pthread_t td = (void *)((uintptr_t)(mem + libc.tls_size - sizeof(struct pthread)) & -16);

	td->dtv = (void *)((uintptr_t)(mem + tls_align() - 1) & -tls_align());
	return td;
}

static void static_init_tls(size_t *aux)
{
	libc.tls_align = tls_align();
	libc.tls_size = tls_size() + tls_align() + sizeof(struct pthread) + 16;
	if (__init_tp(&first_thread) < 0)
		a_crash();
}

weak_alias(static_init_tls, __init_tls);
