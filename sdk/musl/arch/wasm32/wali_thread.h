/* wali_thread.h - what a new thread is told; thread_start.s knows the offsets of the first two. */
struct wali_thread_start {
	void *stack; /* 0: the first value of __stack_pointer */
	void *tls;   /* 4: where its thread-local variables lie */
	void *tp;
	int (*func)(void *);
	void *arg;
	volatile int tid_set;
};

hidden void __wali_thread_start_c(int tid, struct wali_thread_start *start);

hidden void __wasm_thread_start_libc(int tid, struct wali_thread_start *start);
