/* conform.c - a guest that asks WASI's functions what a C library does not, and prints the answers; run here and under
 * node, they must be the same. Works in the preopened folder 3, /data. Standard input: a pipe with "abc".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wasi/api.h>

#define SHOW(what, e) printf("%-34s %d\n", what, (int)(e))

static __wasi_fd_t dir = 3;
static uint8_t buf[65536];

static __wasi_errno_t open_(const char *path, int oflags, __wasi_rights_t rights, int fdflags,
                            __wasi_fd_t *fd)
{
	return __wasi_path_open(dir, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, path,
	                        (__wasi_oflags_t)oflags, rights, rights, (__wasi_fdflags_t)fdflags,
	                        fd);
}

enum {
	RW = __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_SEEK |
	     __WASI_RIGHTS_FD_TELL | __WASI_RIGHTS_FD_FILESTAT_GET |
	     __WASI_RIGHTS_FD_FILESTAT_SET_SIZE | __WASI_RIGHTS_FD_FILESTAT_SET_TIMES |
	     __WASI_RIGHTS_FD_ALLOCATE | __WASI_RIGHTS_FD_SYNC | __WASI_RIGHTS_FD_DATASYNC |
	     __WASI_RIGHTS_FD_ADVISE | __WASI_RIGHTS_POLL_FD_READWRITE
};

static size_t put(__wasi_fd_t fd, const char *text)
{
	__wasi_ciovec_t v[2] = {
	    {(const uint8_t *)text, strlen(text) / 2},
	    {(const uint8_t *)text + strlen(text) / 2, strlen(text) - strlen(text) / 2}};
	size_t n = 0;
	SHOW("fd_write", __wasi_fd_write(fd, v, 2, &n));
	return n;
}

static void get(__wasi_fd_t fd)
{
	__wasi_iovec_t v[2] = {{buf, 3}, {buf + 3, 100}};
	size_t n = 0;
	__wasi_errno_t e = __wasi_fd_read(fd, v, 2, &n);
	printf("fd_read %d: %zu \"%.*s\"\n", e, n, (int)n, buf);
}

static void files(void)
{
	__wasi_fd_t fd, other;
	__wasi_filesize_t at = 0;
	__wasi_filestat_t st;
	__wasi_iovec_t v = {buf, 4};
	__wasi_ciovec_t c = {(const uint8_t *)"XY", 2};
	size_t n;
	SHOW("open missing", open_("none", 0, RW, 0, &fd));
	SHOW("create", open_("f", __WASI_OFLAGS_CREAT, RW, 0, &fd));
	printf("a new number: %d\n", fd > 3);
	printf("wrote %zu\n", put(fd, "hello world"));
	SHOW("seek before start", __wasi_fd_seek(fd, -100, __WASI_WHENCE_CUR, &at));
	SHOW("seek whence 7", __wasi_fd_seek(fd, 0, 7, &at));
	SHOW("seek end", __wasi_fd_seek(fd, -5, __WASI_WHENCE_END, &at));
	printf("at %llu\n", (unsigned long long)at);
	get(fd);
	SHOW("tell", __wasi_fd_tell(fd, &at));
	printf("at %llu\n", (unsigned long long)at);
	SHOW("pread", __wasi_fd_pread(fd, &v, 1, 6, &n));
	printf("%zu %.4s\n", n, buf);
	SHOW("pwrite past the end", __wasi_fd_pwrite(fd, &c, 1, 20, &n));
	SHOW("filestat", __wasi_fd_filestat_get(fd, &st));
	printf("type %d size %llu links %llu\n", st.filetype, (unsigned long long)st.size,
	       (unsigned long long)st.nlink);
	SHOW("set size", __wasi_fd_filestat_set_size(fd, 5));
	SHOW("set times both", __wasi_fd_filestat_set_times(fd, 0, 0, 3));
	SHOW("set times", __wasi_fd_filestat_set_times(fd, 1000000000, 2000000000, 5));
	SHOW("filestat", __wasi_fd_filestat_get(fd, &st));
	printf("size %llu mtim %llu\n", (unsigned long long)st.size, (unsigned long long)st.mtim);
	SHOW("sync", __wasi_fd_sync(fd));
	SHOW("datasync", __wasi_fd_datasync(fd));
	SHOW("advise", __wasi_fd_advise(fd, 0, 0, 0));
	SHOW("exclusive", open_("f", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, RW, 0, &other));
	SHOW("as folder", open_("f", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READ, 0, &other));
	SHOW("through a file", open_("f/x", 0, RW, 0, &other));
	SHOW("append", open_("f", 0, RW, __WASI_FDFLAGS_APPEND, &other));
	put(other, "!!");
	SHOW("close", __wasi_fd_close(other));
	SHOW("close again", __wasi_fd_close(other));
	SHOW("seek 0", __wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
	get(fd);
	SHOW("read only", open_("f", 0, __WASI_RIGHTS_FD_READ, 0, &other));
	SHOW("write to it", __wasi_fd_write(other, &c, 1, &n));
	SHOW("renumber", __wasi_fd_renumber(other, fd));
	get(fd);
	SHOW("the old number", __wasi_fd_tell(other, &at));
	SHOW("renumber to a closed one", __wasi_fd_renumber(fd, 77));
	SHOW("close", __wasi_fd_close(fd));
}

static void rights(void)
{
	__wasi_fd_t fd, other;
	__wasi_fdstat_t st;
	size_t n;
	__wasi_iovec_t v = {buf, 1};
	SHOW("open", open_("f", 0, RW, 0, &fd));
	SHOW("fdstat", __wasi_fd_fdstat_get(fd, &st));
	printf("type %d rights %llx %llx\n", st.fs_filetype, (unsigned long long)st.fs_rights_base,
	       (unsigned long long)st.fs_rights_inheriting);
	SHOW("drop rights",
	     __wasi_fd_fdstat_set_rights(
	         fd, st.fs_rights_base & ~(__wasi_rights_t)__WASI_RIGHTS_FD_READ, 0));
	SHOW("read", __wasi_fd_read(fd, &v, 1, &n));
	SHOW("want them back", __wasi_fd_fdstat_set_rights(fd, st.fs_rights_base, 0));
	SHOW("set append", __wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_APPEND));
	SHOW("close", __wasi_fd_close(fd));
	SHOW("folder's fdstat", __wasi_fd_fdstat_get(dir, &st));
	printf("type %d rights %llx %llx\n", st.fs_filetype, (unsigned long long)st.fs_rights_base,
	       (unsigned long long)st.fs_rights_inheriting);
	SHOW("too many rights", open_("f", 0, ~(__wasi_rights_t)0, 0, &other));
	SHOW("bad descriptor", __wasi_fd_fdstat_get(1000, &st));
}

static void names(void)
{
	__wasi_filestat_t st;
	__wasi_prestat_t ps;
	size_t n = 0;
	SHOW("mkdir", __wasi_path_create_directory(dir, "d"));
	SHOW("mkdir again", __wasi_path_create_directory(dir, "d"));
	SHOW("symlink", __wasi_path_symlink("f", dir, "l"));
	SHOW("symlink again", __wasi_path_symlink("f", dir, "l"));
	SHOW("readlink", __wasi_path_readlink(dir, "l", buf, 100, &n));
	printf("%.*s\n", (int)n, buf);
	SHOW("readlink of a file", __wasi_path_readlink(dir, "f", buf, 100, &n));
	SHOW("stat link", __wasi_path_filestat_get(dir, 0, "l", &st));
	printf("type %d size %llu\n", st.filetype, (unsigned long long)st.size);
	SHOW("stat through it", __wasi_path_filestat_get(dir, 1, "l", &st));
	printf("type %d size %llu\n", st.filetype, (unsigned long long)st.size);
	SHOW("link", __wasi_path_link(dir, 0, "f", dir, "d/h"));
	SHOW("link again", __wasi_path_link(dir, 0, "f", dir, "d/h"));
	SHOW("rmdir full", __wasi_path_remove_directory(dir, "d"));
	SHOW("rmdir file", __wasi_path_remove_directory(dir, "f"));
	SHOW("unlink", __wasi_path_unlink_file(dir, "d/h"));
	SHOW("rename", __wasi_path_rename(dir, "d", dir, "e"));
	SHOW("rename missing", __wasi_path_rename(dir, "d", dir, "e"));
	SHOW("rename into itself", __wasi_path_rename(dir, "e", dir, "e/x"));
	SHOW("rmdir", __wasi_path_remove_directory(dir, "e"));
	SHOW("unlink link", __wasi_path_unlink_file(dir, "l"));
	SHOW("set times", __wasi_path_filestat_set_times(dir, 1, "f", 0, 3000000000, 4));
	SHOW("stat", __wasi_path_filestat_get(dir, 1, "f", &st));
	printf("%llu\n", (unsigned long long)st.mtim);
	SHOW("out", __wasi_path_filestat_get(dir, 1, "../x", &st));
	SHOW("prestat", __wasi_fd_prestat_get(dir, &ps));
	printf("%d %zu\n", ps.tag, ps.u.dir.pr_name_len);
	SHOW("prestat name", __wasi_fd_prestat_dir_name(dir, buf, ps.u.dir.pr_name_len));
	printf("%.*s\n", (int)ps.u.dir.pr_name_len, buf);
	SHOW("prestat of nothing", __wasi_fd_prestat_get(99, &ps));
}

/* The number of entries "fileN" must be the same whatever the buffer's size. */
static void listing(void)
{
	for (int i = 0; i < 30; i++) {
		char name[16];
		__wasi_fd_t fd;
		snprintf(name, sizeof name, "file%d", i);
		if (open_(name, __WASI_OFLAGS_CREAT, RW, 0, &fd) == 0)
			SHOW("close", __wasi_fd_close(fd));
	}
	for (size_t size = 60; size < 3000; size = size * 3 + 1) {
		__wasi_dircookie_t cookie = 0;
		size_t used = size;
		int found = 0, calls = 0;
		while (used == size && calls++ < 1000) {
			if (__wasi_fd_readdir(dir, buf, size, cookie, &used) != 0)
				break;
			for (size_t at = 0; at + 24 <= used;) {
				__wasi_dirent_t d;
				memcpy(&d, buf + at, sizeof d);
				if (at + 24 + d.d_namlen > used)
					break;
				found += d.d_namlen > 4 && !memcmp(buf + at + 24, "file", 4) &&
				         d.d_type == __WASI_FILETYPE_REGULAR_FILE;
				cookie = d.d_next;
				at += 24 + d.d_namlen;
			}
		}
		printf("buffer %zu: %d files\n", size, found);
	}
}

static void others(void)
{
	__wasi_timestamp_t a = 0, b = 0;
	size_t n, argc;
	SHOW("clock 9", __wasi_clock_time_get(9, 1, &a));
	SHOW("monotonic", __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &a));
	SHOW("monotonic", __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &b));
	printf("%d\n", b >= a);
	SHOW("resolution", __wasi_clock_res_get(__WASI_CLOCKID_REALTIME, &a));
	SHOW("random", __wasi_random_get(buf, 32));
	SHOW("args", __wasi_args_sizes_get(&argc, &n));
	SHOW("yield", __wasi_sched_yield());
	SHOW("poll nothing", __wasi_poll_oneoff(NULL, NULL, 0, &n));
	get(0);
}

int main(void)
{
	files();
	rights();
	names();
	listing();
	others();
	return 3;
}
