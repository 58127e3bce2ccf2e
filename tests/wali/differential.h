/* differential.h - what the parts of differential.c share: saying what a call answers, making and removing files, and children.
 *
 * A case is SAY(call): the text of the call, its result or the error's number. BAD is an address that nobody has.
 */
#pragma once

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define BAD ((void *)(sizeof(void *) == 8 ? 0x7ffffffff000 : 0xfffff000))
#define NOPATH ((const char *)BAD)
static char buf[8192] __attribute__((unused));

static void say(const char *what, long long r)
{
	if (r == -1)
		printf("%s: errno %d\n", what, errno);
	else
		printf("%s: %lld\n", what, r);
	fflush(stdout);
	errno = 0;
}

#define SAY(call) say(#call, (long long)(call))
/* The result is a number of the system's own: only whether there was one. */
#define DOES(call) say(#call, (call) == -1 ? -1 : 0)

/* What waitpid() says of a child that ends with what fn returns. */
__attribute__((unused)) static int child(int (*fn)(void))
{
	int status;
	pid_t p = fork();
	if (!p)
		_exit(fn());
	waitpid(p, &status, 0);
	return status;
}

__attribute__((unused)) static int make(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("# %s cannot be made\n", name);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

__attribute__((unused)) static void size_of(int fd)
{
	struct stat st;
	say("size", fstat(fd, &st) ? -1 : (long long)st.st_size);
}

/* All that is in a folder. */
__attribute__((unused)) static void clean(const char *folder)
{
	char path[600];
	DIR *d = opendir(folder);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		if (e->d_type == DT_DIR && !chmod(path, 0755))
			clean(path);
		if (remove(path))
			printf("# %s stays: %d\n", path, errno);
	}
	closedir(d);
}

/* ---- differential_names.c ---- */
void opening(void);
void opening_more(void);
void nameless(void);
void names(void);
void renames(void);
void links(void);
void replaces(void);
void symlinks(void);
void name_arguments(void);
void removed_folder(void);

/* ---- differential_signals.c ---- */
void stacks(void);
void waits(void);

/* ---- differential_devices.c ---- */
void terminals(void);
void devices(void);
void sockets(void);
