/* share_guest.c - small things done with files of /net, for tests/e2e/share.py: one command a run, its result on standard output.
 *
 *	list DIR | cat FILE | put FILE TEXT | add FILE TEXT | make DIR | drop FILE | move FROM TO | size FILE | follow FILE MARK
 *	keep FILE GO | late FILE DIR
 *
 * keep removes FILE and has it open until GO is there; then it adds "more" to it and copies all of it to GO.out.
 * late reads FILE, once more when DIR/off is there, says so in DIR/read, and writes to it when DIR/on is there: DIR/result says what came of it.
 * follow keeps FILE open, says what is appended to it and appends "seen N" itself, until "end" is appended.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int said(int bad, const char *what)
{
	if (bad)
		printf("%s: %s\n", what,
		       errno == EHOSTUNREACH ? "no such host now" : strerror(errno));
	else
		printf("ok\n");
	return bad != 0;
}

static int list(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	if (!d)
		return said(1, path);
	while ((errno = 0, e = readdir(d)))
		if (e->d_name[0] != '.')
			printf("%s\n", e->d_name);
	if (errno)
		return said(1, path);
	closedir(d);
	return 0;
}

static int cat(const char *path)
{
	static char bytes[65536];
	size_t n;
	FILE *f = fopen(path, "rb");
	if (!f)
		return said(1, path);
	while ((n = fread(bytes, 1, sizeof bytes, f)))
		fwrite(bytes, 1, n, stdout);
	return ferror(f) ? said(1, path) : 0;
}

static int put(const char *path, const char *text, const char *how)
{
	FILE *f = fopen(path, how);
	if (!f)
		return said(1, path);
	int bad = fputs(text, f) < 0;
	return said(fclose(f) != 0 || bad, path);
}

static int size(const char *path)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return said(1, path);
	printf("%lld %lld\n", (long long)st.st_size, (long long)st.st_atime);
	return 0;
}

/* Lines of a file that grows. */
static int follow(const char *path, const char *mark)
{
	char line[256];
	FILE *f = fopen(path, "r+");
	if (!f)
		return said(1, path);
	for (unsigned seen = 0;;) {
		if (!fgets(line, sizeof line, f)) {
			clearerr(f);
			usleep(20000);
			continue;
		}
		if (!strncmp(line, mark, strlen(mark)))
			continue;
		printf("%s", line);
		fflush(stdout);
		if (!strcmp(line, "end\n"))
			return 0;
		fseek(f, 0, SEEK_END);
		fprintf(f, "%s%u\n", mark, ++seen);
		fflush(f);
		fseek(f, 0, SEEK_CUR);
	}
}

static int keep(const char *path, const char *go)
{
	char bytes[256], out[256];
	struct stat st;
	FILE *f = fopen(path, "r+");
	if (!f || unlink(path) != 0)
		return said(1, path);
	said(0, path);
	fflush(stdout);
	while (stat(go, &st) != 0)
		usleep(20000);
	snprintf(out, sizeof out, "%s.out", go);
	if (fseek(f, 0, SEEK_END) != 0 || fputs(" and more", f) < 0 || fseek(f, 0, SEEK_SET) != 0)
		return said(1, path);
	bytes[fread(bytes, 1, sizeof bytes - 1, f)] = 0;
	return put(out, bytes, "wb");
}

static void await(const char *dir, const char *name)
{
	char path[256];
	struct stat st;
	snprintf(path, sizeof path, "%s/%s", dir, name);
	while (stat(path, &st) != 0)
		usleep(20000);
}

static int note(const char *dir, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return put(path, text, "wb");
}

/* No buffer between: each is one call. */
static int late(const char *path, const char *dir)
{
	char bytes[256];
	struct stat st;
	int fd = open(path, O_RDWR);
	if (fd < 0 || read(fd, bytes, sizeof bytes) < 0)
		return said(1, path);
	note(dir, "opened", "");
	await(dir, "off");
	int n = stat(path, &st) == 0 ? (int)pread(fd, bytes, sizeof bytes - 1, 0) : -1;
	bytes[n < 0 ? 0 : n] = 0;
	note(dir, "read", n < 0 ? "nothing" : bytes);
	await(dir, "on");
	int bad = pwrite(fd, "late", 4, 0) != 4;
	return note(dir, "result", bad ? strerror(errno) : "written");
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	const char *second = argc > 3 ? argv[3] : "";
	if (!strcmp(what, "list"))
		return list(argv[2]);
	if (!strcmp(what, "cat"))
		return cat(argv[2]);
	if (!strcmp(what, "put"))
		return put(argv[2], second, "wb");
	if (!strcmp(what, "add"))
		return put(argv[2], second, "ab");
	if (!strcmp(what, "make"))
		return said(mkdir(argv[2], 0755), argv[2]);
	if (!strcmp(what, "drop"))
		return said(unlink(argv[2]), argv[2]);
	if (!strcmp(what, "move"))
		return said(rename(argv[2], second), argv[2]);
	if (!strcmp(what, "size"))
		return size(argv[2]);
	if (!strcmp(what, "keep"))
		return keep(argv[2], second);
	if (!strcmp(what, "late"))
		return late(argv[2], second);
	if (!strcmp(what, "follow"))
		return follow(argv[2], second);
	return 2;
}
