/* crt1.c - a program's start: arguments and environment from the host, then musl's start, then main.
 *
 * main has one of three types, and wasm's linker tells them apart by name: main(void) is __main_void,
 * main(argc, argv) is __main_argc_argv, main(argc, argv, envp) is main. Whichever the program has is found
 * through libc.a (src/env/wasm32/main_*.c).
 */
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include "libc.h"
#include "syscall.h"

#define WALI(name) __attribute__((import_module("wali"), import_name(#name)))

WALI(__init) int __wali_init(void);
WALI(__cl_get_argc) int __wali_argc(void);
WALI(__cl_get_argv_len) int __wali_argv_len(int);
WALI(__cl_copy_argv) int __wali_copy_argv(char *, int);
WALI(__get_init_envfile) int __wali_envfile(char *, int);

int __main_void(void);
void __wasm_call_ctors(void);
int __libc_start_main(int (*)(int, char **, char **), int, char **, void (*)(), void (*)(),
                      void (*)());

hidden int __wali_main_argc;
hidden char **__wali_main_argv;

static int run(int argc, char **argv, char **envp)
{
	__wali_main_argc = argc;
	__wali_main_argv = argv;
	__wasm_call_ctors();
	return __main_void();
}

static void *pages(size_t size)
{
	long r = __syscall(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	                   -1, 0);

	if ((unsigned long)r > -4096UL)
		__builtin_trap();
	return (void *)(uintptr_t)r;
}

/* The environment's bytes as the host's file has them, with room for a NUL behind. */
static char *environment(size_t *size)
{
	char path[PATH_MAX], *text;
	size_t room = 16384, got = 0;
	long fd, n;

	*size = 0;
	if (__wali_envfile(path, sizeof path) != 1)
		return 0;
	fd = __syscall(SYS_open, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	text = pages(room);
	while ((n = __syscall(SYS_read, fd, text + got, room - 1 - got)) > 0) {
		got += n;
		if (got < room - 1)
			continue;
		char *more = pages(room * 2);
		memcpy(more, text, got);
		__syscall(SYS_munmap, text, room);
		text = more;
		room *= 2;
	}
	__syscall(SYS_close, fd);
	*size = got;
	return text;
}

/* Ends each NAME=VALUE with a NUL; a file without a NUL has one a line. Returns how many there are. */
static size_t split(char *text, size_t size)
{
	size_t count = 0;
	char end = size > 0 && memchr(text, 0, size) ? 0 : '\n';

	if (size > 0 && text[size - 1] != end)
		text[size++] = end;
	for (size_t i = 0; i < size; i++)
		if (text[i] == end) {
			text[i] = 0;
			count++;
		}
	return count;
}

/* As Linux lays it out: argv, NULL, envp, NULL, the auxiliary vector; then the arguments' bytes. */
hidden void __wali_start_c(void)
{
	static unsigned char secret[16];
	size_t env_size, env_count, arg_bytes = 0, n = 0;
	int argc;
	char *env, **vector, *at;

	if (__wali_init() != 0)
		__builtin_trap();
	__syscall(SYS_getrandom, secret, sizeof secret, 0);
	argc = __wali_argc();
	for (int i = 0; i < argc; i++)
		arg_bytes += __wali_argv_len(i) + 1;
	env = environment(&env_size);
	env_count = split(env, env_size);
	vector = pages((argc + env_count + 8) * sizeof *vector + arg_bytes);
	at = (char *)(vector + argc + env_count + 8);
	for (int i = 0; i < argc; i++) {
		vector[n++] = at;
		__wali_copy_argv(at, i);
		at += __wali_argv_len(i) + 1;
	}
	n++;
	for (at = env; env_count > 0; env_count--) {
		if (*at)
			vector[n++] = at;
		at += strlen(at) + 1;
	}
	n++;
	vector[n++] = (char *)AT_PAGESZ;
	vector[n++] = (char *)PAGESIZE;
	vector[n++] = (char *)AT_RANDOM;
	vector[n++] = (char *)secret;
	__libc_start_main(run, argc, vector, 0, 0, 0);
}

__attribute__((export_name("_start"))) void _start(void)
{
	__wali_start_c();
}
