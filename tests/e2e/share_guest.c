/* share_guest.c - small things done with files of /net, for tests/e2e/share.py: one command a run, its result on standard output.
 *
 *	list DIR | cat FILE | put FILE TEXT | add FILE TEXT | make DIR | drop FILE | move FROM TO | size FILE | follow FILE MARK
 *	keep FILE GO | late FILE DIR | fill FILE KIB CHUNK | time FILE | many DIR COUNT | random FILE SEED OPS | steps FILE DIR
 *
 * keep removes FILE and has it open until GO is there; then it adds "more" to it and copies all of it to GO.out.
 * late reads FILE, once more when DIR/off is there, says so in DIR/read, and writes to it when DIR/on is there: DIR/result says what came of it.
 * fill writes so much in pieces of CHUNK bytes, time reads all, many makes files of 4 KiB: how long that took, in ms. random does random things with a file and
 * compares it with what it should be. steps writes lines, one for each DIR/step that appears, and then closes the file: DIR/wrote says what came of the last
 * line, DIR/closed of closing it.
 * follow keeps FILE open, says what is appended to it and appends "seen N" itself, until "end" is appended.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

static long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long)t.tv_sec * 1000 + (long)(t.tv_nsec / 1000000);
}

static char block[1 << 20];

static int write_all(int fd, const char *p, size_t size)
{
	while (size) {
		ssize_t n = write(fd, p, size);
		if (n <= 0)
			return -1;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

static int fill(const char *path, long kib, long chunk)
{
	long start = now_ms();
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	int bad = fd < 0 || chunk < 1 || chunk > (long)sizeof block;
	for (long left = kib * 1024; left > 0 && !bad; left -= chunk)
		bad = write_all(fd, block, (size_t)(left < chunk ? left : chunk));
	if (bad || close(fd) != 0)
		return said(1, path);
	printf("%ld\n", now_ms() - start);
	return 0;
}

static int time_read(const char *path)
{
	long start = now_ms();
	ssize_t n;
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return said(1, path);
	while ((n = read(fd, block, sizeof block)) > 0)
		;
	printf("%ld\n", now_ms() - start);
	return n < 0;
}

static int many(const char *dir, int count)
{
	char path[256];
	long start = now_ms();
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof path, "%s/%d", dir, i);
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		if (fd < 0 || write_all(fd, block, 4096) != 0 || close(fd) != 0)
			return said(1, path);
	}
	printf("%ld\n", now_ms() - start);
	return 0;
}

enum { MODEL = 700000 };
static char model[MODEL], seen[MODEL];
static size_t model_size;

static unsigned next_random(unsigned *seed, unsigned below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (unsigned)((unsigned long long)*seed * below >> 32);
}

/* What is there is what should be. */
static int same(int fd, size_t at, size_t size)
{
	size_t want = at >= model_size ? 0 : model_size - at < size ? model_size - at : size, n = 0;
	while (n < size) {
		ssize_t got = pread(fd, seen + n, size - n, (off_t)(at + n));
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	return n == want && !memcmp(seen, model + at, want);
}

static int put_random(int fd, unsigned *seed, int step)
{
	size_t size = next_random(seed, next_random(seed, 4) ? 5000 : 300000), done = 0;
	size_t at = next_random(seed, 2) ? model_size : next_random(seed, MODEL / 2);
	if (at + size > MODEL)
		return 0;
	memset(seen, 'a' + step % 26, size);
	while (done < size) {
		ssize_t n = pwrite(fd, seen + done, size - done, (off_t)(at + done));
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	memcpy(model + at, seen, size);
	model_size = at + size > model_size ? at + size : model_size;
	return 0;
}

static int cut_random(int fd, unsigned *seed)
{
	size_t size = next_random(seed, MODEL / 2);
	if (ftruncate(fd, (off_t)size) != 0)
		return -1;
	if (size < model_size)
		memset(model + size, 0, model_size - size);
	model_size = size;
	return 0;
}

static int do_random(int *fd, int other, const char *path, unsigned *seed, int step)
{
	struct stat st;
	size_t at = next_random(seed, MODEL / 2), size = next_random(seed, 100000);
	switch (next_random(seed, 12)) {
	case 0: return cut_random(*fd, seed);
	case 1: return same(*fd, at, size) ? 0 : -1;
	case 2: return same(other, at, size) ? 0 : -1;
	case 3: return fstat(*fd, &st) == 0 && (size_t)st.st_size == model_size ? 0 : -1;
	case 4: return stat(path, &st) == 0 && (size_t)st.st_size == model_size ? 0 : -1;
	case 5: return fsync(*fd);
	case 6:
		if (close(*fd) != 0)
			return -1;
		*fd = open(path, O_RDWR);
		return *fd < 0 ? -1 : 0;
	default: return put_random(next_random(seed, 4) ? *fd : other, seed, step);
	}
}

static int random_things(const char *path, unsigned seed, int steps)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644), other = open(path, O_RDWR);
	for (int i = 0; i < steps; i++)
		if (do_random(&fd, other, path, &seed, i) != 0) {
			printf("step %d\n", i);
			return said(1, path);
		}
	return said(!same(fd, 0, MODEL) || close(fd) != 0 || close(other) != 0, path);
}

static int steps(const char *path, const char *dir)
{
	char line[32];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		return said(1, path);
	note(dir, "ready", "");
	for (int i = 0; i < 3; i++) {
		snprintf(line, sizeof line, "%d", i);
		await(dir, line);
		strcat(line, "\n");
		int bad = write_all(fd, line, strlen(line));
		note(dir, "wrote", bad ? strerror(errno) : line);
	}
	int bad = close(fd);
	return note(dir, "closed", bad ? strerror(errno) : "closed");
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
	if (!strcmp(what, "fill") && argc > 4)
		return fill(argv[2], atol(second), atol(argv[4]));
	if (!strcmp(what, "time"))
		return time_read(argv[2]);
	if (!strcmp(what, "many"))
		return many(argv[2], atoi(second));
	if (!strcmp(what, "random") && argc > 4)
		return random_things(argv[2], (unsigned)atoi(second), atoi(argv[4]));
	if (!strcmp(what, "steps"))
		return steps(argv[2], second);
	if (!strcmp(what, "late"))
		return late(argv[2], second);
	if (!strcmp(what, "follow"))
		return follow(argv[2], second);
	return 2;
}
