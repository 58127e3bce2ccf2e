/* thread_start.S - the export that the host calls for a new thread: its stack, its thread-local variables,
 * then C. Only programs with -pthread have it. */
#ifdef __wasm_atomics__
	.globaltype	__stack_pointer, i32
	.functype	__wasm_init_tls (i32) -> ()
	.functype	__wali_thread_start_c (i32, i32) -> ()

	.section	.text.__wasm_thread_start_libc,"",@
	.globl	__wasm_thread_start_libc
	.type	__wasm_thread_start_libc,@function
__wasm_thread_start_libc:
	.functype	__wasm_thread_start_libc (i32, i32) -> ()
	local.get	1
	i32.load	0
	global.set	__stack_pointer
	local.get	1
	i32.load	4
	call	__wasm_init_tls
	local.get	0
	local.get	1
	call	__wali_thread_start_c
	end_function
	.export_name	__wasm_thread_start_libc, __wasm_thread_start_libc
#endif
