/* home.c - the home folder and its lock. */
#include "node/home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err make_folders(const char *path, struct errmsg *msg)
{
	char *copy = strdup(path);
	if (!copy)
		return err_set(msg, ERR_NOMEM, "home: out of memory");
	enum err e = ERR_OK;
	for (char *p = copy + 1; e == ERR_OK; p++) {
		if (*p && *p != '/')
			continue;
		char was = *p;
		*p = 0;
		if (mkdir(copy, 0700) != 0 && errno != EEXIST)
			e = err_set(msg, ERR_IO, "home %s: %s", copy, strerror(errno));
		*p = was;
		if (!was)
			break;
	}
	free(copy);
	return e;
}

static bool is_empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d)
		return false;
	int names = 0;
	while (readdir(d))
		names++;
	closedir(d);
	return names <= 2; /* "." and ".." */
}

static enum err check_private(int fd, const char *path, struct errmsg *msg)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return err_set(msg, ERR_IO, "home %s: %s", path, strerror(errno));
	if (st.st_uid != geteuid())
		return err_set(msg, ERR_DENIED, "home %s belongs to another user", path);
	if (!(st.st_mode & 077))
		return ERR_OK;
	if (!is_empty(fd) && faccessat(fd, "lock", F_OK, 0) != 0)
		return err_set(msg, ERR_DENIED,
		               "home %s can be entered by others (mode %o) and is no home of "
		               "WasmOS: choose another, "
		               "or `chmod 700` it",
		               path, st.st_mode & 07777);
	if (fchmod(fd, 0700) != 0)
		return err_set(msg, ERR_DENIED, "home %s: its mode cannot be made 0700: %s", path,
		               strerror(errno));
	return ERR_OK;
}

enum err home_open(const char *path, int *out, struct errmsg *msg)
{
	TRY(make_folders(path, msg));
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(msg, ERR_IO, "home %s: %s", path, strerror(errno));
	enum err e = check_private(fd, path, msg);
	if (e != ERR_OK)
		close(fd);
	else
		*out = fd;
	return e;
}

static enum err say_who(int fd, struct errmsg *msg)
{
	char text[32] = "";
	ssize_t n = pread(fd, text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	return err_set(msg, ERR_BUSY, "a node serves this home already (process %s)",
	               text[0] ? text : "unknown");
}

enum err home_lock(int home_fd, int *lock_fd, struct errmsg *msg)
{
	int fd = openat(home_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(msg, ERR_IO, "lock: %s", strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		enum err e = errno == EWOULDBLOCK
		                 ? say_who(fd, msg)
		                 : err_set(msg, ERR_IO, "lock: %s", strerror(errno));
		close(fd);
		return e;
	}
	char text[32];
	int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n) {
		close(fd);
		return err_set(msg, ERR_IO, "lock: %s", strerror(errno));
	}
	*lock_fd = fd;
	return ERR_OK;
}
