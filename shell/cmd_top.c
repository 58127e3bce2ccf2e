/* cmd_top.c - `wasmos top`: what the programs of all devices use, again and again.
 *
 * Each picture is a list of processes as `ps` has it, of this device and of the paired ones that are up; the share of a processor is how much
 * its time has grown since the picture before. Of a device that is not up its relatives elsewhere know that it has some: they are listed
 * without figures. At a terminal pictures follow each other until ^C; elsewhere, and with --json, there is one.
 */
#include "shell/internal.h"

#include "base/os.h"
#include "base/os_thread.h"
#include "shell/console.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 8192, PEERS_MAX = 64, NAME_SIZE = 64, FIRST_MS = 500, DELAY_MAX_S = 3600 };

static const struct option options[] = {
    {"delay", 'd', OPTION_VALUE, "SECONDS", "between two pictures (default: 2)"},
    {"count", 'n', OPTION_VALUE, "NUMBER",
     "how many pictures (default: at a terminal until ^C, else 1)"},
    {"sort", 's', OPTION_VALUE, "KEY", "cpu (unless said), memory, time, pid or device"},
    {0},
};

struct row {
	uint64_t pid, cpu_ms, memory_bytes;
	char uid[40], state[16], name[NAME_SIZE], device[NAME_SIZE], command[256];
	double share; /* percent of one processor; below 0: not known yet */
};

struct picture {
	uint64_t at_ns;
	uint32_t count;
	struct row rows[ROWS_MAX];
};

/* ---- asking ---- */

static void copy(char *out, size_t size, const struct client *c, const char *key)
{
	const char *text = row_str(c, key);
	snprintf(out, size, "%s", text ? text : "");
}

typedef char device_name[NAME_SIZE];

struct devices {
	device_name names[PEERS_MAX];
	uint32_t count;
};

static bool is_asked(const struct devices *d, const char *name)
{
	for (uint32_t i = 0; i < d->count; i++)
		if (!strcmp(d->names[i], name))
			return true;
	return false;
}

/* A row of one that is elsewhere: what is not asked itself, once. */
static void take_elsewhere(const struct client *c, const struct devices *asked, struct picture *p)
{
	struct row r = {.share = -1, .state = "elsewhere"};
	row_u64(c, "pid_there", &r.pid);
	copy(r.name, sizeof r.name, c, "name");
	copy(r.device, sizeof r.device, c, "device");
	bool known = !r.device[0] || is_asked(asked, r.device);
	for (uint32_t i = 0; i < p->count && !known; i++)
		known = p->rows[i].pid == r.pid && !strcmp(p->rows[i].device, r.device);
	if (!known)
		p->rows[p->count++] = r;
}

static void take_row(const struct client *c, const char *device, struct picture *p)
{
	struct row *r = &p->rows[p->count++];
	*r = (struct row){.share = -1};
	row_u64(c, "pid", &r->pid);
	row_u64(c, "cpu_ms", &r->cpu_ms);
	row_u64(c, "memory_bytes", &r->memory_bytes);
	copy(r->uid, sizeof r->uid, c, "uid");
	copy(r->state, sizeof r->state, c, "state");
	copy(r->name, sizeof r->name, c, "name");
	copy(r->command, sizeof r->command, c, "command");
	snprintf(r->device, sizeof r->device, "%s", device);
}

/* Of the device i; the first is this one. */
static int add_processes(struct shell *sh, const struct devices *d, uint32_t i, struct picture *p)
{
	struct client *c;
	int status;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "ps");
	client_put_flag(c, "parts", true);
	if (i)
		client_put_str(c, "peer", d->names[i]);
	while (client_next(sh, c, &status)) {
		const char *state = row_str(c, "state");
		if (p->count == ROWS_MAX)
			continue;
		if (state && !strcmp(state, "elsewhere"))
			take_elsewhere(c, d, p);
		else
			take_row(c, d->names[i], p);
	}
	client_close(c);
	return status;
}

/* The names of the devices that answer, this one's first. */
static int find_devices(struct shell *sh, struct devices *d)
{
	struct client *c;
	int status;
	d->count = 0;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "peers");
	while (client_next(sh, c, &status))
		if (d->count < PEERS_MAX && row_flag(c, "up"))
			copy(d->names[d->count++], NAME_SIZE, c, "name");
	client_close(c);
	return status;
}

static int take(struct shell *sh, struct picture *p)
{
	struct devices d;
	p->count = 0;
	p->at_ns = os_monotonic_ns();
	int status = find_devices(sh, &d);
	for (uint32_t i = 0; !status && i < d.count; i++) {
		int one = add_processes(sh, &d, i, p);
		status = i ? 0 : one; /* another device may just have gone */
	}
	return status;
}

/* ---- what has changed ---- */

static const struct row *find(const struct picture *p, const char *uid)
{
	for (uint32_t i = 0; i < p->count && uid[0]; i++)
		if (!strcmp(p->rows[i].uid, uid))
			return &p->rows[i];
	return NULL;
}

static int by_pid(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	return x->pid != y->pid ? (x->pid > y->pid) - (x->pid < y->pid)
	                        : strcmp(x->device, y->device);
}

static int by_share(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	return x->share != y->share ? (x->share < y->share ? 1 : -1) : by_pid(a, b);
}

static int by_memory(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	return x->memory_bytes != y->memory_bytes ? (x->memory_bytes < y->memory_bytes ? 1 : -1)
	                                          : by_pid(a, b);
}

static int by_time(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	return x->cpu_ms != y->cpu_ms ? (x->cpu_ms < y->cpu_ms ? 1 : -1) : by_pid(a, b);
}

static int by_device(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = strcmp(x->device, y->device);
	return order ? order : by_share(a, b);
}

struct order {
	const char *name;
	int (*compare)(const void *a, const void *b);
};

static const struct order orders[] = {{"cpu", by_share},
                                      {"memory", by_memory},
                                      {"time", by_time},
                                      {"pid", by_pid},
                                      {"device", by_device}};

/* NULL: there is no such key. */
static const struct order *find_order(const char *name)
{
	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
		if (!name || !strcmp(orders[i].name, name))
			return &orders[i];
	return NULL;
}

static void compare(const struct picture *before, struct picture *now, const struct order *order)
{
	double ms = (double)(now->at_ns - before->at_ns) / 1e6;
	for (uint32_t i = 0; i < now->count; i++) {
		struct row *r = &now->rows[i];
		const struct row *old = find(before, r->uid);
		if (old && ms > 0 && r->cpu_ms >= old->cpu_ms)
			r->share = (double)(r->cpu_ms - old->cpu_ms) * 100 / ms;
	}
	qsort(now->rows, now->count, sizeof *now->rows, order->compare);
}

/* ---- showing ---- */

static void show_json(const struct picture *p)
{
	putchar('[');
	for (uint32_t i = 0; i < p->count; i++) {
		const struct row *r = &p->rows[i];
		printf("%s{\"pid\": %" PRIu64 ", \"device\": ", i ? ",\n " : "", r->pid);
		json_text(r->device);
		printf(", \"state\": \"%s\", \"cpu_percent\": %.1f, \"cpu_ms\": %" PRIu64
		       ", \"memory_bytes\": %" PRIu64 ", \"name\": ",
		       r->state, r->share > 0 ? r->share : 0, r->cpu_ms, r->memory_bytes);
		json_text(r->name);
		fputs(", \"command\": ", stdout);
		json_text(r->command);
		putchar('}');
	}
	puts("]");
}

static void bytes_text(uint64_t bytes, char out[16])
{
	double x = (double)bytes;
	int unit = 0;
	for (; x >= 1024 && unit < 4; unit++)
		x /= 1024;
	snprintf(out, 16, unit ? "%.1f%c" : "%.0f", x, " KMGT"[unit]);
}

/* A line, cut off at the terminal's edge; 0: there is none. */
static void show_line(const char *text, uint16_t cols, bool redraws)
{
	char line[512];
	snprintf(line, sizeof line, "%s", text);
	text_for_people(line);
	for (char *c = line; *c; c++)
		if (*c == '\n' || *c == '\t')
			*c = '?';
	printf("%.*s%s\n", cols && cols < sizeof line ? (int)cols : (int)sizeof line, line,
	       redraws ? "\033[K" : "");
}

static void show_row(const struct row *r, uint16_t cols, bool redraws)
{
	char text[512], share[16] = "-", memory[16];
	if (r->share >= 0)
		snprintf(share, sizeof share, "%.1f", r->share);
	bytes_text(r->memory_bytes, memory);
	snprintf(text, sizeof text,
	         "%6" PRIu64 " %-12.12s %-9.9s %6s %8s %4" PRIu64 ":%02" PRIu64 ".%" PRIu64
	         " %-10.10s %s",
	         r->pid, r->device, r->state, share, memory, r->cpu_ms / 60000,
	         r->cpu_ms / 1000 % 60, r->cpu_ms / 100 % 10, r->name, r->command);
	show_line(text, cols, redraws);
}

static void show(const struct picture *p, bool redraws)
{
	uint16_t cols = 0, rows = 0;
	char head[160], memory[16];
	uint64_t sum = 0;
	double share = 0;
	bool fits = console_size(&cols, &rows) && redraws;
	for (uint32_t i = 0; i < p->count; i++) {
		sum += p->rows[i].memory_bytes;
		share += p->rows[i].share > 0 ? p->rows[i].share : 0;
	}
	bytes_text(sum, memory);
	if (redraws)
		fputs("\033[H", stdout);
	snprintf(head, sizeof head, "%u programs use %.1f %% of a processor and %s of memory",
	         p->count, share, memory);
	show_line(head, cols, redraws);
	show_line("", cols, redraws);
	show_line("   PID DEVICE       STATE       CPU%   MEMORY    TIME  NAME       COMMAND",
	          redraws ? cols : 0, redraws);
	for (uint32_t i = 0; i < p->count && (!fits || i + 5 < rows); i++)
		show_row(&p->rows[i], redraws ? cols : 0, redraws);
	if (redraws)
		fputs("\033[J", stdout);
	fflush(stdout);
}

/* ---- the command ---- */

static int watch(struct shell *sh, struct picture *old, struct picture *now)
{
	bool redraws = console_is_terminal(1) && !shell_json(sh);
	uint32_t delay_s = 2, count = redraws ? UINT32_MAX : 1;
	const struct order *order = find_order(shell_value(sh, "sort"));
	if (!order)
		return shell_usage(sh, "--sort %s: there are cpu, memory, time, pid and device",
		                   shell_value(sh, "sort"));
	int status = shell_count(sh, "delay", "seconds", 1, DELAY_MAX_S, &delay_s);
	status = status ? status : shell_count(sh, "count", "pictures", 1, 1000000, &count);
	status = status ? status : take(sh, old);
	if (redraws && !status)
		fputs("\033[2J", stdout);
	for (uint32_t i = 0; !status && i < count; i++) {
		os_sleep_ns(i ? delay_s * UINT64_C(1000000000) : FIRST_MS * UINT64_C(1000000));
		status = take(sh, now);
		if (status)
			break;
		compare(old, now, order);
		if (shell_json(sh))
			show_json(now);
		else
			show(now, redraws);
		struct picture *was = old;
		old = now;
		now = was;
	}
	return status;
}

static int run(struct shell *sh)
{
	struct picture *pictures = calloc(2, sizeof *pictures);
	if (!pictures)
		return shell_fail(sh, "out of memory");
	int status = watch(sh, &pictures[0], &pictures[1]);
	free(pictures);
	return status;
}

const struct command command_top = {
    .name = "top",
    .usage = "top [-d SECONDS] [-n NUMBER] [--sort KEY] [--json]",
    .summary = "watch what the programs of all devices use",
    .help = "The share of a processor, memory and state of each program, here and on the paired "
            "devices "
            "that are up\n"
            "(of one on another, which has relatives on these, that it is \"elsewhere\"),\n"
            "most work first, or as --sort says. ^C ends it. With --json, or when the output is no "
            "terminal, it "
            "prints one "
            "picture.\n",
    .options = options,
    .run = run,
};
