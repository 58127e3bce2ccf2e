/* kernel.c - what a Unix kernel is asked all the time, measured from inside the program: the same source natively and as a Linux
 * program of WasmOS. One number a line: nanoseconds of one operation (pipe: of one MiB), a sample each.
 *
 *	kernel null|switch|pipe|fork|forkbig|exec|file|thousand SAMPLES [OWN-PATH]
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20, BLOCK = 1 << 16 };

static const char *own_path;

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void end_of(pid_t child)
{
	int status;
	if (waitpid(child, &status, 0) != child || status != 0)
		die("a child");
}

/* ---- calls ---- */

static uint64_t null_call(void)
{
	enum { N = 2000 };
	uint64_t t = now_ns();
	for (int i = 0; i < N; i++)
		getppid();
	return (now_ns() - t) / N;
}

static uint64_t file(void)
{
	enum { N = 200 };
	char name[32];
	struct stat st;
	uint64_t t = now_ns();
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof name, "/tmp/kernel-%d", i);
		int fd = open(name, O_CREAT | O_WRONLY, 0600);
		if (fd < 0 || close(fd) || stat(name, &st) || unlink(name))
			die(name);
	}
	return (now_ns() - t) / N;
}

/* ---- pipes ---- */

static void make_pipe(int ends[2])
{
	if (pipe(ends))
		die("pipe");
}

/* One way and back is two switches. */
static uint64_t context_switch(void)
{
	enum { N = 200 };
	int there[2], back[2];
	char c = 0;
	make_pipe(there);
	make_pipe(back);
	pid_t child = fork();
	if (child == 0) {
		for (int i = 0; i < N; i++)
			if (read(there[0], &c, 1) != 1 || write(back[1], &c, 1) != 1)
				_exit(1);
		_exit(0);
	}
	uint64_t t = now_ns();
	for (int i = 0; i < N; i++)
		if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
			die("ping");
	t = now_ns() - t;
	end_of(child);
	for (int i = 0; i < 2; i++) {
		close(there[i]);
		close(back[i]);
	}
	return t / N / 2;
}

static uint64_t through_pipe(void)
{
	enum { MIBS = 16 };
	static char block[BLOCK];
	int ends[2];
	make_pipe(ends);
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		for (int i = 0; i < MIBS * (MIB / BLOCK); i++)
			if (write(ends[1], block, BLOCK) != BLOCK)
				_exit(1);
		_exit(0);
	}
	close(ends[1]);
	uint64_t t = now_ns(), got = 0;
	for (ssize_t n; (n = read(ends[0], block, BLOCK)) > 0;)
		got += (uint64_t)n;
	t = now_ns() - t;
	close(ends[0]);
	end_of(child);
	if (got != (uint64_t)MIBS * MIB)
		die("bytes are missing");
	return t / MIBS;
}

/* ---- processes ---- */

static uint64_t fork_wait(void)
{
	uint64_t t = now_ns();
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	end_of(child);
	return now_ns() - t;
}

/* Every page of 64 MiB is written, before the first fork and some between two. */
static uint64_t fork_big(void)
{
	static char *big;
	static int round;
	if (!big) {
		big = malloc(64 * MIB);
		memset(big, 1, 64 * MIB);
	}
	for (int i = 0; i < 50; i++)
		big[(i * 257 + round) * 4096 % (64 * MIB)]++;
	round++;
	return fork_wait();
}

static uint64_t fork_exec(void)
{
	uint64_t t = now_ns();
	pid_t child = fork();
	if (child == 0) {
		execl(own_path, own_path, "nothing", "0", (char *)NULL);
		_exit(1);
	}
	end_of(child);
	return now_ns() - t;
}

/* A thousand processes that are there at once: all have started when the last has said so. */
static uint64_t thousand(void)
{
	enum { N = 1000 };
	int go[2], here[2];
	char c;
	make_pipe(go);
	make_pipe(here);
	uint64_t t = now_ns();
	for (int i = 0; i < N; i++) {
		pid_t child = fork();
		if (child < 0)
			die("fork");
		if (child == 0) {
			close(go[1]);
			if (write(here[1], &c, 1) != 1 || read(go[0], &c, 1) != 0)
				_exit(1);
			_exit(0);
		}
	}
	for (int i = 0; i < N; i++)
		if (read(here[0], &c, 1) != 1)
			die("here");
	if (own_path) /* somebody looks at us meanwhile */
		sleep((unsigned)atoi(own_path));
	close(go[1]);
	for (int i = 0, status; i < N; i++)
		if (wait(&status) < 0 || status != 0)
			die("a child");
	return (now_ns() - t) / N;
}

static uint64_t nothing(void)
{
	return 0;
}

static const struct {
	const char *name;
	uint64_t (*sample)(void);
} all[] = {{"null", null_call}, {"switch", context_switch}, {"pipe", through_pipe},
           {"fork", fork_wait}, {"forkbig", fork_big},      {"exec", fork_exec},
           {"file", file},      {"thousand", thousand},     {"nothing", nothing}};

int main(int argc, char **argv)
{
	int samples = argc > 2 ? atoi(argv[2]) : 0;
	own_path = argc > 3 ? argv[3] : NULL;
	for (size_t i = 0; argc > 1 && i < sizeof all / sizeof *all; i++) {
		if (strcmp(all[i].name, argv[1]) != 0)
			continue;
		for (int n = 0; n < samples; n++)
			printf("%llu\n", (unsigned long long)all[i].sample());
		return 0;
	}
	fprintf(stderr,
	        "kernel null|switch|pipe|fork|forkbig|exec|file|thousand SAMPLES [OWN-PATH]\n");
	return 2;
}
