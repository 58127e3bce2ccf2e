/* nearby.c - files named by device id; "PORT CODE\n" with CODE 0 or 1. */
#include "node/nearby.h"

#include "node/node.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_MAX = 32 };

/* The folder, open; -1 when there is none that is ours alone. */
static int open_folder(void)
{
	char path[4096];
	const char *run = getenv("XDG_RUNTIME_DIR"), *temp = getenv("TMPDIR");
	struct stat st;
	int size = run && run[0] == '/'
	               ? snprintf(path, sizeof path, "%s/wasmos", run)
	               : snprintf(path, sizeof path, "%s/wasmos-%u",
	                          temp && temp[0] == '/' ? temp : "/tmp", (unsigned)geteuid());
	if (size >= (int)sizeof path || (mkdir(path, 0700) != 0 && errno != EEXIST))
		return -1;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & 077))
		return fd;
	close(fd);
	return -1;
}

static void file_name(struct node *n, char out[2 * DEVICE_ID_SIZE + 1])
{
	for (unsigned i = 0; i < DEVICE_ID_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", n->device->id[i]);
}

/* The node's own file, locked as long as it is open. */
static int open_own(struct node *n)
{
	char name[2 * DEVICE_ID_SIZE + 1];
	int dir = open_folder();
	if (dir < 0)
		return -1;
	file_name(n, name);
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	close(dir);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Another node may have found the file before it was locked, and removed it. */
static bool was_removed(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && !st.st_nlink;
}

void nearby_say(struct node *n, bool shows_code)
{
	char text[TEXT_MAX];
	if (n->nearby_fd > 0 && was_removed(n->nearby_fd)) {
		close(n->nearby_fd);
		n->nearby_fd = 0;
	}
	if (n->nearby_fd <= 0)
		n->nearby_fd = open_own(n);
	if (n->nearby_fd < 0)
		return;
	int size = snprintf(text, sizeof text, "%5u %d\n", link_port(n), shows_code);
	if (pwrite(n->nearby_fd, text, (size_t)size, 0) != size)
		node_log(n, LOG_WARN, "pairing", "nearby nodes are not told: %s", strerror(errno));
}

void nearby_leave(struct node *n)
{
	char name[2 * DEVICE_ID_SIZE + 1];
	if (n->nearby_fd <= 0)
		return;
	int dir = open_folder();
	file_name(n, name);
	if (dir >= 0) {
		unlinkat(dir, name, 0);
		close(dir);
	}
	close(n->nearby_fd);
	n->nearby_fd = -1;
}

/* True when a node holds the file; a file nobody holds is removed. */
static bool read_other(int dir, const char *name, struct nearby *out)
{
	char text[TEXT_MAX] = "";
	unsigned port = 0, code = 0;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return false;
	bool held = flock(fd, LOCK_SH | LOCK_NB) != 0;
	if (!held)
		unlinkat(dir, name, 0);
	ssize_t n = held ? pread(fd, text, sizeof text - 1, 0) : 0;
	close(fd);
	if (n <= 0 || sscanf(text, "%u %u", &port, &code) != 2 || !port || port > UINT16_MAX)
		return false;
	snprintf(out->address, sizeof out->address, "127.0.0.1:%u", port);
	out->shows_code = code != 0;
	return true;
}

unsigned nearby_list(struct node *n, struct nearby out[NEARBY_MAX])
{
	char own[2 * DEVICE_ID_SIZE + 1];
	unsigned count = 0;
	int fd = open_folder();
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return 0;
	file_name(n, own);
	for (struct dirent *e; count < NEARBY_MAX && (e = readdir(d));)
		if (strlen(e->d_name) == sizeof own - 1 && strcmp(e->d_name, own) != 0)
			count += read_other(dirfd(d), e->d_name, &out[count]);
	closedir(d);
	return count;
}
