/* pthread_arch.h - the thread pointer is a thread-local variable: it lies at wasm's __tls_base. */
extern hidden _Thread_local uintptr_t __wali_thread_pointer;

static inline uintptr_t __get_tp()
{
	return __wali_thread_pointer;
}

/* A signal's handler gets no registers; pthread_cancel.c wants a field to look at. */
#define MC_PC gregs[REG_RIP]
