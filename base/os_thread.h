/* os_thread.h - threads: POSIX's, and what the systems do differently about them.
 *
 * Threads and mutexes are pthread's everywhere (winpthreads on Windows). A condition that is waited on with a
 * deadline is made by os_cond_init(), so that the deadline is one of os_monotonic_ns() on every system.
 *
 *	pthread_mutex_lock(&lock);
 *	while (!ready && os_cond_wait(&wake, &lock, deadline_ns))
 *		;
 *	pthread_mutex_unlock(&lock);
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Destroyed with pthread_cond_destroy(). */
void os_cond_init(pthread_cond_t *c);
/* False: os_monotonic_ns() has passed deadline_ns. May return early, as every condition. */
bool os_cond_wait(pthread_cond_t *c, pthread_mutex_t *lock, uint64_t deadline_ns);
void os_sleep_ns(uint64_t ns);
/* A thread that no signal meant for the program interrupts. False: the system allows none. Joined with pthread_join(). */
bool os_thread_start(pthread_t *out, size_t stack_bytes, void *(*fn)(void *), void *arg);
/* Processor time that a thread, not joined yet, has used. */
uint64_t os_thread_used_ns(pthread_t thread);
