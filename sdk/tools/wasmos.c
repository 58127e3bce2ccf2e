/* wasmos.c - the system's own commands inside of it: one program for the Linux personality, called by several names.
 *
 *	migrate [--job|--alone] PID DEVICE     suspend [--job] PID     resume PID     peers     mount
 *	wasmos migrate|suspend|resume|kill|confine|peers|ps|mount|status ...
 *
 * They know nothing but /proc: lines of /proc/wasmos/ and /proc/mounts are printed as tables, and a command for a process is a line
 * written to its ctl, which then says what came of it. The shell makes a PID of %1 (/etc/bash.bashrc).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIELDS_MAX = 16, LINE_MAX_BYTES = 2048, ROWS_MAX = 8192 };

static int fail(const char *name, const char *text)
{
	fprintf(stderr, "%s: %s\n", name, text);
	return 1;
}

/* ---- tables ---- */

struct row {
	char *line;
	char *fields[FIELDS_MAX];
	int count;
};

/* Parts the line at its tabs, in place; an empty field is one too. */
static void split(struct row *r)
{
	char *p = r->line;
	p[strcspn(p, "\n")] = 0;
	for (r->count = 0; r->count < FIELDS_MAX; r->count++) {
		r->fields[r->count] = p;
		p = strchr(p, '\t');
		if (!p) {
			r->count++;
			return;
		}
		*p++ = 0;
	}
}

static int read_rows(const char *path, struct row *rows)
{
	char line[LINE_MAX_BYTES];
	int n = 0;
	FILE *f = fopen(path, "r");
	if (!f)
		return -1;
	while (n < ROWS_MAX && fgets(line, sizeof line, f)) {
		rows[n].line = strdup(line);
		if (rows[n].line)
			split(&rows[n++]);
	}
	fclose(f);
	return n;
}

static const char *field(const struct row *r, int i)
{
	return i < r->count ? r->fields[i] : "";
}

struct column {
	const char *title;
	int field;
	int width;
	const char *(*show)(const char *text);
};

static const char *as_is(const char *text)
{
	return text;
}

static const char *as_bytes(const char *text)
{
	static char out[32];
	double x = atof(text);
	int unit = 0;
	for (; x >= 1024 && unit < 4; unit++)
		x /= 1024;
	snprintf(out, sizeof out, unit ? "%.1f%c" : "%.0f", x, " KMGT"[unit]);
	return out;
}

static const char *as_time(const char *text)
{
	static char out[32];
	unsigned long long ms = strtoull(text, NULL, 10);
	snprintf(out, sizeof out, "%llu:%02llu.%llu", ms / 60000, ms / 1000 % 60, ms / 100 % 10);
	return out;
}

static void print_table(const struct row *rows, int n, struct column *columns, int count)
{
	for (int c = 0; c < count; c++)
		columns[c].width = (int)strlen(columns[c].title);
	for (int i = 0; i < n; i++)
		for (int c = 0; c < count; c++) {
			int size = (int)strlen(columns[c].show(field(&rows[i], columns[c].field)));
			if (size > columns[c].width)
				columns[c].width = size;
		}
	for (int i = -1; i < n; i++)
		for (int c = 0; c < count; c++) {
			const char *text = i < 0
			                       ? columns[c].title
			                       : columns[c].show(field(&rows[i], columns[c].field));
			printf(c + 1 < count ? "%-*s  " : "%.0d%s\n",
			       c + 1 < count ? columns[c].width : 0, text);
		}
}

static int table(const char *name, const char *path, struct column *columns, int count)
{
	static struct row rows[ROWS_MAX];
	int n = read_rows(path, rows);
	if (n < 0)
		return fail(name, strerror(errno));
	print_table(rows, n, columns, count);
	return 0;
}

static int peers(const char *name)
{
	struct column columns[] = {{"NAME", 0, 0, as_is},  {"ID", 1, 0, as_is},
	                           {"STATE", 2, 0, as_is}, {"ADDRESS", 3, 0, as_is},
	                           {"WAY", 6, 0, as_is},   {"RTT", 4, 0, as_is},
	                           {"SEEN", 5, 0, as_is}};
	return table(name, "/proc/wasmos/peers", columns, 7);
}

static int processes(const char *name)
{
	struct column columns[] = {{"PID", 0, 0, as_is},       {"PPID", 1, 0, as_is},
	                           {"STATE", 2, 0, as_is},     {"TIME", 3, 0, as_time},
	                           {"MEMORY", 4, 0, as_bytes}, {"DEVICE", 8, 0, as_is},
	                           {"NAME", 6, 0, as_is},      {"COMMAND", 7, 0, as_is}};
	return table(name, "/proc/wasmos/processes", columns, 8);
}

/* A file as it is. */
static int show(const char *name, const char *path)
{
	char line[LINE_MAX_BYTES];
	FILE *f = fopen(path, "r");
	if (!f)
		return fail(name, strerror(errno));
	while (fgets(line, sizeof line, f))
		fputs(line, stdout);
	fclose(f);
	return 0;
}

static int mounts(const char *name)
{
	char device[512], path[512], type[64], options[128];
	FILE *f = fopen("/proc/self/mounts", "r");
	if (!f)
		return fail(name, strerror(errno));
	while (fscanf(f, "%511s %511s %63s %127s %*[^\n]", device, path, type, options) == 4)
		printf("%s on %s type %s (%s)\n", device, path, type, options);
	fclose(f);
	return 0;
}

/* ---- commands for a process ---- */

/* What the process's ctl says after the command: the result, or why not. False: nothing. */
static int tell(int fd, FILE *to)
{
	char text[1024];
	ssize_t n = pread(fd, text, sizeof text, 0);
	if (n > 0)
		fwrite(text, 1, (size_t)n, to);
	return n > 0;
}

/* Who has moved along has left the answer behind. */
static void tell_where(void)
{
	char name[128] = "";
	FILE *f = fopen("/proc/sys/kernel/hostname", "r");
	if (f && fgets(name, sizeof name, f))
		printf("now on %s", name);
	if (f)
		fclose(f);
}

static int control(const char *name, const char *pid, const char *command)
{
	char path[64];
	size_t size = strlen(command);
	if (!pid[0] || strspn(pid, "0123456789") != strlen(pid) || strlen(pid) > 9)
		return fail(name,
		            "a process is named by its number, as ps shows it, or by %JOB in bash");
	snprintf(path, sizeof path, "/proc/%s/ctl", pid);
	int fd = open(path, O_RDWR);
	if (fd < 0) {
		fprintf(stderr, "%s: there is no process %s\n", name, pid);
		return 1;
	}
	if (write(fd, command, size) == (ssize_t)size) {
		if (!tell(fd, stdout) && !strncmp(command, "migrate", 7))
			tell_where();
		close(fd);
		return 0;
	}
	int why = errno;
	char first;
	if (pread(fd, &first, 1, 0) == 1) {
		fprintf(stderr, "%s: ", name);
		tell(fd, stderr);
	} else {
		fprintf(stderr, "%s: %s: %s\n", name, pid, strerror(why));
	}
	close(fd);
	return 1;
}

/* Folders in memory go along, and are two from then on. */
static void tell_folders(void)
{
	char path[512], type[64];
	FILE *f = fopen("/proc/self/mounts", "r");
	while (f && fscanf(f, "%*s %511s %63s %*[^\n]", path, type) == 2)
		if (!strcmp(type, "tmpfs"))
			printf("its %s is its own from now on: what it writes there is not seen "
			       "here\n",
			       path);
	if (f)
		fclose(f);
}

static int migrate(const char *name, int argc, char **argv)
{
	char command[256];
	const char *part = "";
	if (argc == 3 && (!strcmp(argv[0], "--job") || !strcmp(argv[0], "--alone"))) {
		part = argv[0] + 1; /* of its relatives only it, or its group: "migrate-job" */
		argv++;
		argc--;
	}
	if (argc != 2)
		return fail(name, "usage: migrate [--job|--alone] PID|%JOB DEVICE (peers lists "
		                  "devices)") +
		       1;
	snprintf(command, sizeof command, "migrate%s %.200s", part, argv[1]);
	int status = control(name, argv[0], command);
	if (!status && part[0])
		tell_folders();
	return status;
}

static int suspend(const char *name, int argc, char **argv)
{
	const char *command = "suspend";
	if (argc == 2 && !strcmp(argv[0], "--job")) {
		command = "suspend-job"; /* its relatives stay awake */
		argv++;
		argc--;
	}
	if (argc != 1)
		return fail(name,
		            "usage: suspend [--job] PID|%JOB (resume, or `wasmos resume PID` of "
		            "the device, wakes it)") +
		       1;
	return control(name, argv[0], command);
}

/* Of a job that sleeps without its shell. */
static int resume(const char *name, int argc, char **argv)
{
	if (argc != 1)
		return fail(name, "usage: resume PID|%JOB") + 1;
	return control(name, argv[0], "resume");
}

static int kill_it(const char *name, int argc, char **argv)
{
	char command[32];
	const char *signal = "15";
	if (argc == 2 && argv[0][0] == '-') {
		signal = argv[0] + 1;
		argv++;
		argc--;
	}
	if (argc != 1)
		return fail(name, "usage: wasmos kill [-SIGNAL] PID") + 1;
	snprintf(command, sizeof command, "kill %.20s", signal);
	return control(name, argv[0], command);
}

/* A program that shall know its family only. */
static int confine(const char *name, int argc, char **argv)
{
	if (!argc)
		return fail(name, "usage: wasmos confine PROGRAM [ARGUMENT...]") + 1;
	int fd = open("/proc/self/ctl", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "confine", 7) != 7)
		return fail(name, strerror(errno));
	close(fd);
	execvp(argv[0], argv);
	fprintf(stderr, "%s: %s: %s\n", name, argv[0], strerror(errno));
	return 127;
}

static int run(const char *name, int argc, char **argv)
{
	if (!strcmp(name, "peers"))
		return peers(name);
	if (!strcmp(name, "ps"))
		return processes(name);
	if (!strcmp(name, "mount") && !argc)
		return mounts(name);
	if (!strcmp(name, "mount"))
		return fail(name,
		            "folders are given to a program when it starts: wasmos shell --dir");
	if (!strcmp(name, "status"))
		return show(name, "/proc/wasmos/device");
	if (!strcmp(name, "migrate"))
		return migrate(name, argc, argv);
	if (!strcmp(name, "suspend"))
		return suspend(name, argc, argv);
	if (!strcmp(name, "resume"))
		return resume(name, argc, argv);
	if (!strcmp(name, "kill"))
		return kill_it(name, argc, argv);
	if (!strcmp(name, "confine"))
		return confine(name, argc, argv);
	fprintf(
	    stderr,
	    "usage: wasmos migrate [--job|--alone] PID DEVICE | suspend [--job] PID | resume PID | "
	    "kill [-SIGNAL] PID | "
	    "confine PROGRAM | peers | ps | mount | status\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
	if (strcmp(name, "wasmos"))
		return run(name, argc - 1, argv + 1);
	return argc > 1 ? run(argv[1], argc - 2, argv + 2) : run("", 0, argv);
}
