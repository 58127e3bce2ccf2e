/* guest.c - what the end-to-end tests run: one program with many small behaviours, named by its first argument. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int copy_input(void)
{
	char buf[4096];
	long n;
	while ((n = read(0, buf, sizeof buf)) > 0)
		for (long done = 0; done < n;) {
			long put = write(1, buf + done, (unsigned long)(n - done));
			if (put < 0)
				return 1;
			done += put;
		}
	return n < 0;
}

static int tick(void)
{
	for (int i = 0;; i++) {
		printf("tick %d\n", i);
		fflush(stdout);
		usleep(20000);
	}
}

static int flood(long lines)
{
	for (long i = 0; i < lines; i++)
		printf("line %ld\n", i);
	return 0;
}

static int show_file(const char *path)
{
	char buf[256];
	FILE *f = fopen(path, "r");
	if (!f) {
		perror(path);
		return 1;
	}
	while (fgets(buf, sizeof buf, f))
		fputs(buf, stdout);
	return fclose(f);
}

static int write_file(const char *path)
{
	FILE *f = fopen(path, "w");
	if (!f) {
		perror(path);
		return 1;
	}
	fputs("written\n", f);
	return fclose(f);
}

static int echo_lines(void)
{
	char line[256];
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		printf("got %s", line);
		fflush(stdout);
	}
	printf("end\n");
	return 0;
}

static volatile int zero;

static int end_as(const char *what)
{
	return strcmp(what, "trap") ? 42 : 1 / zero;
}

/* Waits for a line, then does what is asked. */
static int then(const char *what)
{
	char line[256];
	printf("ready\n");
	fflush(stdout);
	if (!fgets(line, sizeof line, stdin))
		return 98;
	return end_as(what);
}

/* Line by line and slowly, so that it can be moved meanwhile. */
static int copy_file(const char *from, const char *to)
{
	char line[256];
	FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	if (!in || !out) {
		perror(in ? to : from);
		return 1;
	}
	printf("copying\n");
	fflush(stdout);
	for (int i = 0; fgets(line, sizeof line, in); i++) {
		fputs(line, out);
		if (i % 20 == 0) {
			fflush(out);
			usleep(5000);
		}
	}
	return fclose(in) | fclose(out);
}

/* Over every byte of an existing file, without making it shorter. */
static int overwrite(const char *path)
{
	FILE *f = fopen(path, "r+");
	if (!f) {
		perror(path);
		return 1;
	}
	fseek(f, 0, SEEK_END);
	long size = ftell(f);
	rewind(f);
	for (long i = 0; i < size; i++)
		fputc(0xff, f);
	if (fclose(f))
		return 1;
	printf("%d %s %g\n", atoi("7"), strstr("needle in hay", "in"), atof("2.5"));
	return 0;
}

static volatile unsigned long turns;

static int spin(void)
{
	for (;;)
		turns++;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	const char *arg = argc > 2 ? argv[2] : "";
	if (!strcmp(what, "cat"))
		return copy_input();
	if (!strcmp(what, "exit"))
		return atoi(arg);
	if (!strcmp(what, "args")) {
		for (int i = 2; i < argc; i++)
			printf("[%s]", argv[i]);
		puts("");
		fprintf(stderr, "to stderr\n");
		return 0;
	}
	if (!strcmp(what, "name"))
		return puts(argv[0]) < 0;
	if (!strcmp(what, "env"))
		return puts(getenv(arg) ? getenv(arg) : "unset") < 0;
	if (!strcmp(what, "tty"))
		return printf("tty %d%d%d\n", isatty(0), isatty(1), isatty(2)) < 0;
	if (!strcmp(what, "tick"))
		return tick();
	if (!strcmp(what, "flood"))
		return flood(atol(arg));
	if (!strcmp(what, "show"))
		return show_file(arg);
	if (!strcmp(what, "write"))
		return write_file(arg);
	if (!strcmp(what, "overwrite"))
		return overwrite(arg);
	if (!strcmp(what, "lines"))
		return echo_lines();
	if (!strcmp(what, "spin"))
		return spin();
	if (!strcmp(what, "trap"))
		return 1 / zero;
	if (!strcmp(what, "then"))
		return then(arg);
	if (!strcmp(what, "copy") && argc > 3)
		return copy_file(arg, argv[3]);
	if (!strcmp(what, "sleep"))
		return usleep((unsigned)atoi(arg) * 1000);
	fprintf(stderr, "guest: what is \"%s\"?\n", what);
	return 99;
}
