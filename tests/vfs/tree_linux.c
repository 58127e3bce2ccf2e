/* tree_linux.c - folders of the host to test on, where the host is POSIX. */
#include "tests/vfs/tree.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void host_folder(const char *base, const char *name)
{
	char path[300];
	snprintf(path, sizeof path, "%s/%s", base, name);
	cr_assert_eq(mkdir(path, 0755), 0);
}

void host_make(char *base, size_t size)
{
	char path[300];
	snprintf(base, size, "/tmp/wasmos-test-vfs-XXXXXX");
	cr_assert(mkdtemp(base));
	host_folder(base, "outside");
	host_folder(base, "mount");
	snprintf(path, sizeof path, "%s/outside/secret", base);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	cr_assert(fd >= 0 && write(fd, "secret", 6) == 6);
	close(fd);
}

void host_remove(const char *base)
{
	char cmd[300];
	snprintf(cmd, sizeof cmd, "rm -rf '%s'", base);
	cr_assert_eq(system(cmd), 0);
}

bool host_link(const char *target, const char *path)
{
	return symlink(target, path) == 0;
}

bool host_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

void host_pipe(int fds[2])
{
	cr_assert_eq(pipe(fds), 0);
}

bool host_renames_open_folders(void)
{
	return true;
}

bool host_follows_renames(void)
{
	return true;
}
