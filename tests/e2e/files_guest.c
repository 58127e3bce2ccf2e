/* files_guest.c - a program whose open files follow it: checks them again at every step.
 *
 * It works in /data (a folder of the device it started on), /fixed (the same kind, read-only) and /tmp (memory). Step N runs when the
 * file /data/goN appears; what it found goes to standard output and to /data/resultN. Step 9 is the last.
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

static int failures;
static char report[4096];

static void check(int good, const char *what)
{
	if (good)
		return;
	failures++;
	snprintf(report + strlen(report), sizeof report - strlen(report), "%s (errno %d: %s)\n",
	         what, errno, strerror(errno));
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void nap(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	nanosleep(&t, NULL);
}

/* Files that stay open from the first step to the last. */
static int log_fd, nameless, appending, big, in_memory, folder;
static char expect_log[4096], expect_nameless[4096], expect_append[4096];

static void open_all(void)
{
	log_fd = open("/data/log", O_RDWR | O_CREAT | O_TRUNC, 0644);
	nameless = open("/data/nameless", O_RDWR | O_CREAT | O_TRUNC, 0644);
	appending = open("/data/append", O_WRONLY | O_CREAT | O_APPEND, 0644);
	big = open("/data/big", O_RDONLY);
	in_memory = open("/tmp/memory", O_RDWR | O_CREAT, 0644);
	folder = open("/data", O_RDONLY | O_DIRECTORY);
	check(log_fd >= 0 && nameless >= 0 && appending >= 0 && big >= 0 && in_memory >= 0 &&
	          folder >= 0,
	      "opening");
	check(unlink("/data/nameless") == 0, "unlink");
}

static void add(int fd, char *expect, const char *text)
{
	check(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "write");
	strcat(expect, text);
}

static void expect_text(int fd, const char *text, const char *what)
{
	static char buf[4096];
	ssize_t n = pread(fd, buf, sizeof buf - 1, 0);
	check(n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0, what);
}

static void expect_error(int r, int error, const char *what)
{
	check(r < 0 && errno == error, what);
	if (r >= 0)
		close(r);
}

static void check_open_files(int step)
{
	char line[32], path[64], buf[4096];
	unsigned char b[8];
	snprintf(line, sizeof line, "step %d\n", step);
	add(log_fd, expect_log, line);
	add(nameless, expect_nameless, line);
	add(appending, expect_append, line);
	expect_text(log_fd, expect_log, "the log says what was written");
	expect_text(nameless, expect_nameless, "the file without a name goes on");
	check(lseek(log_fd, 0, SEEK_CUR) == (off_t)strlen(expect_log), "the offset follows");
	int fd = open("/data/append", O_RDONLY);
	expect_text(fd, expect_append, "appending appends");
	close(fd);
	check(pwrite(in_memory, line, 7, 100 * step) == 7 && pread(in_memory, buf, 7, 100) == 7 &&
	          memcmp(buf, "step 1\n", 7) == 0,
	      "the file in memory came along");
	for (int i = 0; i < 50; i++) {
		off_t at = (off_t)((unsigned)(i * 7919 + step * 104729) % (2u << 20)) & ~7;
		check(pread(big, b, 8, at) == 8 &&
		          memcmp(b, &(unsigned long long){(unsigned long long)at}, 8) == 0,
		      "the large file reads right");
	}
	snprintf(path, sizeof path, "made%d", step);
	fd = openat(folder, path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	check(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0,
	      "making a file in an open folder");
}

static void check_names(int step)
{
	struct stat st;
	char a[64], b[64], text[64];
	int entries = 0;
	snprintf(a, sizeof a, "/data/dir%d", step);
	snprintf(b, sizeof b, "/data/renamed%d", step);
	check(mkdir(a, 0755) == 0 && rename(a, b) == 0 && rmdir(b) == 0,
	      "folders are made, renamed, removed");
	check(symlink("log", b) == 0 && readlink(b, text, sizeof text) == 3 && stat(b, &st) == 0 &&
	          st.st_size == (off_t)strlen(expect_log) && unlink(b) == 0,
	      "links lead to their files");
	DIR *d = opendir("/data");
	while (d && readdir(d))
		entries++;
	if (d)
		closedir(d);
	check(entries > 5, "the folder lists its entries");
}

static void check_walls(void)
{
	expect_error(open("/data/../outside", O_RDONLY), ENOTCAPABLE, "\"..\" leads out");
	expect_error(open("/data/trap/secret", O_RDONLY), ENOTCAPABLE, "a link leads out");
	expect_error(open("/data/trap/new", O_WRONLY | O_CREAT, 0644), ENOTCAPABLE,
	             "a link leads out to make");
	expect_error(open("/fixed/f", O_RDWR), EROFS, "a read-only folder is written");
	expect_error(open("/fixed/new", O_WRONLY | O_CREAT, 0644), EROFS,
	             "made in a read-only folder");
	expect_error(unlink("/fixed/f"), EROFS, "removed from a read-only folder");
	expect_error(link("/fixed/f", "/data/stolen"), EXDEV, "linked out of a read-only folder");
	expect_error(rename("/data/log", "/fixed/log"), EROFS, "renamed into a read-only folder");
	int fd = open("/fixed/f", O_RDONLY);
	expect_text(fd, "fixed", "the read-only folder reads");
	close(fd);
}

static void wait_for(const char *path)
{
	struct stat st;
	while (stat(path, &st) < 0)
		nap(10);
}

static void tell(int step)
{
	char path[64];
	snprintf(path, sizeof path, "/data/result%d", step);
	FILE *f = fopen("/tmp/result", "w");
	fclose(f);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (!report[0])
		strcpy(report, "ok\n");
	write(fd, report, strlen(report));
	close(fd);
	printf("%d %s", step, report);
	fflush(stdout);
	report[0] = 0;
}

int main(void)
{
	double last = now();
	char path[64];
	for (int step = 1; step <= 9; step++) {
		snprintf(path, sizeof path, "/data/go%d", step);
		wait_for(path);
		if (step == 1)
			open_all();
		if (step == 8) { /* it is moved meanwhile */
			double start = now();
			nap(3000);
			check(now() - start >= 2.999 && now() - start < 4.2,
			      "a sleep does not start over");
		}
		check_open_files(step);
		check_names(step);
		check_walls();
		double t = now();
		nap(30);
		check(t >= last && now() - t >= 0.029 && now() - t < 5, "time goes on");
		last = now();
		tell(step);
	}
	return failures ? 1 : 0;
}
