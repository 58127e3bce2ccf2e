/* cloud_guest.c - a program that works with files below /net, for cloud.py. Says "ok", or the error's name.
 *
 *	list DIR | cat FILE | put FILE TEXT | add FILE TEXT | make DIR | drop NAME | move FROM TO | size FILE
 *	new FILE                  fails when it is there
 *	fill FILE MIB | sum FILE [FROM SIZE]      writes a known pattern; a checksum of what is read
 *	edit FILE TEXT            opens it, writes TEXT at its start, says "written", waits for a line, closes it and says how that went
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 16 };

static int say(int good)
{
	const char *word = good                    ? "ok"
	                   : errno == EHOSTUNREACH ? "EHOSTUNREACH"
	                   : errno == ETIMEDOUT    ? "ETIMEDOUT"
	                   : errno == ESTALE       ? "ESTALE"
	                   : errno == EEXIST       ? "EEXIST"
	                   : errno == ENOENT       ? "ENOENT"
	                   : errno == ENOTEMPTY    ? "ENOTEMPTY"
	                   : errno == EISDIR       ? "EISDIR"
	                   : errno == EACCES       ? "EACCES"
	                                           : strerror(errno);
	printf("%s\n", word);
	fflush(stdout);
	return !good;
}

static int list(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	if (!d)
		return say(0);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			printf("%s\n", e->d_name);
	return closedir(d);
}

static int cat(const char *path)
{
	char buf[4096];
	ssize_t n;
	int fd = open(path, O_RDONLY);
	while (fd >= 0 && (n = read(fd, buf, sizeof buf)) > 0)
		fwrite(buf, 1, (size_t)n, stdout);
	return fd < 0 || n < 0 ? say(0) : 0;
}

static int put(const char *path, int flags, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0644);
	size_t size = strlen(text);
	if (fd < 0 || write(fd, text, size) != (ssize_t)size)
		return say(0);
	return say(close(fd) == 0);
}

static int fill(const char *path, int mib)
{
	static unsigned piece[PIECE / sizeof(unsigned)];
	unsigned x = 1;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	for (int i = 0; fd >= 0 && i < mib * (1 << 20) / PIECE; i++) {
		for (size_t j = 0; j < PIECE / sizeof *piece; j++)
			piece[j] = x = x * 1664525u + 1013904223u;
		if (write(fd, piece, PIECE) != PIECE)
			return say(0);
	}
	return say(fd >= 0 && close(fd) == 0);
}

static int sum(const char *path, long long from, long long size)
{
	static unsigned char piece[PIECE];
	unsigned hash = 2166136261u;
	long long total = 0;
	ssize_t n = 1;
	int fd = open(path, O_RDONLY);
	if (fd < 0 || lseek(fd, from, SEEK_SET) < 0)
		return say(0);
	while (n > 0 && total < size) {
		n = read(fd, piece, size - total < PIECE ? (size_t)(size - total) : PIECE);
		for (ssize_t i = 0; i < n; i++)
			hash = (hash ^ piece[i]) * 16777619u;
		total += n > 0 ? n : 0;
	}
	printf("%lld %08x\n", total, hash);
	return n < 0 ? say(0) : 0;
}

static int edit(const char *path, const char *text)
{
	char line[64];
	int fd = open(path, O_RDWR);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return say(0);
	printf("written\n");
	fflush(stdout);
	if (!fgets(line, sizeof line, stdin))
		return 1;
	return say(close(fd) == 0);
}

static int size(const char *path)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return say(0);
	printf("%lld\n", (long long)st.st_size);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "", *a = argc > 2 ? argv[2] : "";
	const char *b = argc > 3 ? argv[3] : "", *c = argc > 4 ? argv[4] : "";
	if (!strcmp(what, "list"))
		return list(a);
	if (!strcmp(what, "cat"))
		return cat(a);
	if (!strcmp(what, "put"))
		return put(a, O_TRUNC, b);
	if (!strcmp(what, "add"))
		return put(a, O_APPEND, b);
	if (!strcmp(what, "new"))
		return put(a, O_EXCL, b);
	if (!strcmp(what, "make"))
		return say(mkdir(a, 0755) == 0);
	if (!strcmp(what, "drop"))
		return say(unlink(a) == 0 || (errno == EISDIR && rmdir(a) == 0));
	if (!strcmp(what, "move"))
		return say(rename(a, b) == 0);
	if (!strcmp(what, "size"))
		return size(a);
	if (!strcmp(what, "fill"))
		return fill(a, atoi(b));
	if (!strcmp(what, "sum"))
		return sum(a, atoll(b), *c ? atoll(c) : 1LL << 40);
	if (!strcmp(what, "edit"))
		return edit(a, b);
	return 2;
}
