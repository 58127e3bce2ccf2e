/* storm.c - a hostile guest: calls WASI's functions with arguments that make no sense, many times. Run by a build with sanitizers,
 * nothing may happen but errors; the node's memory and the host's files beside the mount stay as they were.
 *
 *	wasi-run --dir FOLDER::/ storm.wasm SEED ROUNDS
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))

IMPORT(args_get) int w_args_get(int, int);
IMPORT(args_sizes_get) int w_args_sizes_get(int, int);
IMPORT(environ_get) int w_environ_get(int, int);
IMPORT(environ_sizes_get) int w_environ_sizes_get(int, int);
IMPORT(clock_res_get) int w_clock_res_get(int, int);
IMPORT(clock_time_get) int w_clock_time_get(int, long long, int);
IMPORT(fd_advise) int w_fd_advise(int, long long, long long, int);
IMPORT(fd_allocate) int w_fd_allocate(int, long long, long long);
IMPORT(fd_close) int w_fd_close(int);
IMPORT(fd_datasync) int w_fd_datasync(int);
IMPORT(fd_fdstat_get) int w_fd_fdstat_get(int, int);
IMPORT(fd_fdstat_set_flags) int w_fd_fdstat_set_flags(int, int);
IMPORT(fd_fdstat_set_rights) int w_fd_fdstat_set_rights(int, long long, long long);
IMPORT(fd_filestat_get) int w_fd_filestat_get(int, int);
IMPORT(fd_filestat_set_size) int w_fd_filestat_set_size(int, long long);
IMPORT(fd_filestat_set_times) int w_fd_filestat_set_times(int, long long, long long, int);
IMPORT(fd_pread) int w_fd_pread(int, int, int, long long, int);
IMPORT(fd_prestat_get) int w_fd_prestat_get(int, int);
IMPORT(fd_prestat_dir_name) int w_fd_prestat_dir_name(int, int, int);
IMPORT(fd_pwrite) int w_fd_pwrite(int, int, int, long long, int);
IMPORT(fd_read) int w_fd_read(int, int, int, int);
IMPORT(fd_readdir) int w_fd_readdir(int, int, int, long long, int);
IMPORT(fd_renumber) int w_fd_renumber(int, int);
IMPORT(fd_seek) int w_fd_seek(int, long long, int, int);
IMPORT(fd_sync) int w_fd_sync(int);
IMPORT(fd_tell) int w_fd_tell(int, int);
IMPORT(fd_write) int w_fd_write(int, int, int, int);
IMPORT(path_create_directory) int w_path_create_directory(int, int, int);
IMPORT(path_filestat_get) int w_path_filestat_get(int, int, int, int, int);
IMPORT(path_filestat_set_times)
int w_path_filestat_set_times(int, int, int, int, long long, long long, int);
IMPORT(path_link) int w_path_link(int, int, int, int, int, int, int);
IMPORT(path_open) int w_path_open(int, int, int, int, int, long long, long long, int, int);
IMPORT(path_readlink) int w_path_readlink(int, int, int, int, int, int);
IMPORT(path_remove_directory) int w_path_remove_directory(int, int, int);
IMPORT(path_rename) int w_path_rename(int, int, int, int, int, int);
IMPORT(path_symlink) int w_path_symlink(int, int, int, int, int);
IMPORT(path_unlink_file) int w_path_unlink_file(int, int, int);
IMPORT(poll_oneoff) int w_poll_oneoff(int, int, int, int);
IMPORT(random_get) int w_random_get(int, int);
IMPORT(sock_accept) int w_sock_accept(int, int, int);
IMPORT(sock_recv) int w_sock_recv(int, int, int, int, int, int);
IMPORT(sock_send) int w_sock_send(int, int, int, int, int);
IMPORT(sock_shutdown) int w_sock_shutdown(int, int);

static uint64_t seed;
static uint8_t
    field[2 << 20]; /* what pointers that are good point into: room for the longest good size too */

static uint32_t draw(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33);
}

static const char *const names[] = {
    "a",           "b",       "d",    "d/a",  "d/../a",  "..",   "../../etc/passwd",
    "/etc/passwd", "l",       "l/x",  "d/l",  ".",       "",     "a/",
    "d//b/./../a", "d/d/d/d", "a\0b", "../x", "l/../..", "d/..", "\xff\xfe"};

/* A number: small, a border, anything. */
static int num(void)
{
	static const uint32_t borders[] = {0,          1,    0x7fffffff, 0x80000000, 0xffffffff,
	                                   0xfffffff8, 4096, 65536,      0xffff0000};
	switch (draw() % 4) {
	case 0: return (int)borders[draw() % (sizeof borders / 4)];
	case 1: return (int)draw();
	default: return (int)(draw() % 40);
	}
}

static long long big(void)
{
	switch (draw() % 4) {
	case 0: return num();
	case 1: return (long long)((uint64_t)draw() << 32 | draw());
	case 2: return -1;
	default: return draw() % 5000;
	}
}

static int fd(void)
{
	return draw() % 8 ? (int)(draw() % 12) : num();
}

/* An address: in the field, at the memory's end, outside. Never in the guest's own variables. */
static int at(void)
{
	static const uint32_t outside[] = {0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff8,
	                                   0xffff0000};
	switch (draw() % 8) {
	case 0: return (int)outside[draw() % 5];
	case 1: return (int)(__builtin_wasm_memory_size(0) * 65536 - draw() % 64);
	default: return (int)(uintptr_t)(field + draw() % (1 << 20));
	}
}

/* A name, put somewhere; *size its length, mostly. */
static int name(int *size)
{
	const char *n = names[draw() % (sizeof names / sizeof *names)];
	uint8_t *p = field + draw() % 60000;
	memcpy(p, n, 20 < strlen(n) + 1 ? 20 : strlen(n) + 1);
	*size = draw() % 16 ? (int)strlen(n) : num();
	return draw() % 16 ? (int)(uintptr_t)p : at();
}

/* Buffers: some good, some not. */
static int iovs(int *count)
{
	uint8_t *p = field + (draw() % 1000) * 8;
	*count = draw() % 16 ? (int)(draw() % 5) : num();
	for (int i = 0; i < 5; i++) {
		uint32_t v[2] = {(uint32_t)at(), draw() % 8 ? draw() % 3000 : (uint32_t)num()};
		memcpy(p + 8 * i, v, 8);
	}
	return (int)(uintptr_t)p;
}

/* Subscriptions that end at once: the first is a clock whose time has come. */
static int subscriptions(int *count)
{
	uint8_t *p = field + (draw() % 100) * 8;
	*count = draw() % 16 ? 1 + (int)(draw() % 4) : num();
	for (int i = 0; i < 4 * 48; i++)
		p[i] = (uint8_t)draw();
	memset(p, 0, 48);
	for (int i = 1; i < 4; i++)
		p[48 * i + 8] %= 4;
	return (int)(uintptr_t)p;
}

static void one(void)
{
	int n, m, p, q;
	switch (draw() % 43) {
	case 0: w_args_get(at(), at()); break;
	case 1: w_args_sizes_get(at(), at()); break;
	case 2: w_environ_get(at(), at()); break;
	case 3: w_environ_sizes_get(at(), at()); break;
	case 4: w_clock_res_get(num(), at()); break;
	case 5: w_clock_time_get(num(), big(), at()); break;
	case 6: w_fd_advise(fd(), big(), big(), num()); break;
	case 7: w_fd_allocate(fd(), big() % (1 << 20), big() % (1 << 20)); break;
	case 8: w_fd_close(draw() % 4 ? 4 + (int)(draw() % 12) : num()); break;
	case 9: w_fd_datasync(fd()); break;
	case 10: w_fd_fdstat_get(fd(), at()); break;
	case 11: w_fd_fdstat_set_flags(fd(), num()); break;
	case 12:
		w_fd_fdstat_set_rights(draw() % 2 ? 20 : 5 + (int)(draw() % 8), big(), big());
		break;
	case 13: w_fd_filestat_get(fd(), at()); break;
	case 14: w_fd_filestat_set_size(fd(), big() % (1 << 20)); break;
	case 15: w_fd_filestat_set_times(fd(), big(), big(), num()); break;
	case 16:
		p = iovs(&n);
		w_fd_pread(fd(), p, n, big(), at());
		break;
	case 17: w_fd_prestat_get(fd(), at()); break;
	case 18: w_fd_prestat_dir_name(fd(), at(), num()); break;
	case 19:
		p = iovs(&n);
		w_fd_pwrite(fd(), p, n, big() % (1 << 20), at());
		break;
	case 20:
		p = iovs(&n);
		w_fd_read(fd(), p, n, at());
		break;
	case 21: w_fd_readdir(fd(), at(), num(), big(), at()); break;
	case 22: w_fd_renumber(4 + (int)(draw() % 12), 4 + (int)(draw() % 12)); break;
	case 23: w_fd_seek(fd(), big() % (1 << 20), num(), at()); break;
	case 24: w_fd_sync(fd()); break;
	case 25: w_fd_tell(fd(), at()); break;
	case 26:
		p = iovs(&n);
		w_fd_write(draw() % 8 ? 3 + (int)(draw() % 10) : num(), p, n, at());
		break;
	case 27:
		p = name(&n);
		w_path_create_directory(fd(), p, n);
		break;
	case 28:
		p = name(&n);
		w_path_filestat_get(fd(), num(), p, n, at());
		break;
	case 29:
		p = name(&n);
		w_path_filestat_set_times(fd(), num(), p, n, big(), big(), num());
		break;
	case 30:
		p = name(&n);
		q = name(&m);
		w_path_link(fd(), num(), p, n, fd(), q, m);
		break;
	case 31:
	case 32:
	case 33:
		p = name(&n);
		w_path_open(fd(), num(), p, n, num() & 15, draw() % 2 ? 0x1fffffff : big(),
		            draw() % 2 ? 0x1fffffff : big(), draw() % 4 ? 0 : num(), at());
		break;
	case 34:
		p = name(&n);
		w_path_readlink(fd(), p, n, at(), num(), at());
		break;
	case 35:
		p = name(&n);
		w_path_remove_directory(fd(), p, n);
		break;
	case 36:
		p = name(&n);
		q = name(&m);
		w_path_rename(fd(), p, n, fd(), q, m);
		break;
	case 37:
		p = name(&n);
		q = name(&m);
		w_path_symlink(p, n, fd(), q, m);
		break;
	case 38:
		p = name(&n);
		w_path_unlink_file(fd(), p, n);
		break;
	case 39:
		p = subscriptions(&n);
		w_poll_oneoff(p, at(), n, at());
		break;
	case 40: w_random_get(at(), num()); break;
	case 41:
		w_sock_accept(fd(), num(), at());
		w_sock_shutdown(fd(), num());
		break;
	case 42:
		p = iovs(&n);
		w_sock_recv(fd(), p, n, num(), at(), at());
		w_sock_send(fd(), p, n, num(), at());
		break;
	}
}

int main(int argc, char **argv)
{
	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	long rounds = argc > 2 ? atol(argv[2]) : 100000;
	for (long i = 0; i < rounds; i++)
		one();
	return 0;
}
