/* cmd_migrate.c - `wasmos migrate PID PEER`: moves a running program; a line of progress on a terminal. */
#include "shell/console.h"
#include "shell/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option options[] = {
    {"max-pause", 0, OPTION_VALUE, "MS",
     "move only when the program stands still for at most this many milliseconds"},
    {"alone", 0, OPTION_FLAG, NULL,
     "only this process: its relatives stay, and go on with it over the link"},
    {"job", 0, OPTION_FLAG, NULL, "only its process group: a shell's job without the shell"},
    {0}};

/* "16", "16ms", "0.5ms", "2s" in microseconds. */
static bool parse_pause(const char *text, uint64_t *us)
{
	char *end;
	double v = strtod(text, &end);
	if (end == text || !(v > 0) || v > 1e6)
		return false;
	if (strcmp(end, "s") == 0)
		v *= 1000;
	else if (*end && strcmp(end, "ms") != 0)
		return false;
	*us = (uint64_t)(v * 1000);
	return *us > 0;
}

static void show_progress(const struct client *c)
{
	uint64_t bytes = 0, round = 0;
	const char *state = row_str(c, "state");
	row_u64(c, "bytes", &bytes);
	row_u64(c, "round", &round);
	fprintf(stderr, "\r\033[K%s, round %u, %.1f MiB sent", state ? state : "", (unsigned)round,
	        (double)bytes / (1 << 20));
	const char *note = row_str(c, "note");
	if (note && *note)
		fprintf(stderr, ": %s", note);
	fflush(stderr);
}

static void show_result(const struct client *c, bool again)
{
	uint64_t pid = 0, old = 0, bytes = 0, rounds = 0, last = 0;
	double pause = 0, total = 0;
	row_u64(c, "pid", &pid);
	row_u64(c, "old_pid", &old);
	row_u64(c, "bytes", &bytes);
	row_u64(c, "rounds", &rounds);
	row_u64(c, "last_bytes", &last);
	row_f64(c, "pause_ms", &pause);
	row_f64(c, "total_ms", &total);
	if (again) {
		fprintf(stderr, "\r\033[K");
		fflush(stderr);
	}
	const char *all = row_str(c, "pids"); /* of a family: it and its relatives */
	printf("moved %s%u to %s", all ? "the family of " : "", (unsigned)old, row_str(c, "to"));
	if (all)
		printf(" (%s)", all);
	if (pid != old)
		printf(", where it is %u", (unsigned)pid);
	printf(": it stood still for %s%.1f ms; %.2f MiB in %u rounds (%.0f KiB in the last), "
	       "%.0f ms in all\n",
	       row_flag(c, "pause_exact") ? "" : "at most ", pause, (double)bytes / (1 << 20),
	       (unsigned)rounds, (double)last / 1024, total);
}

static int run(struct shell *sh)
{
	struct client *c;
	uint64_t us = 0;
	bool terminal = console_is_terminal(2), shown = false;
	const char *pause = shell_value(sh, "max-pause");
	if (pause && !parse_pause(pause, &us))
		return shell_usage(sh, "--max-pause %s: milliseconds are expected, as 16 or 16ms",
		                   pause);
	int status = client_open_pid(sh, "migrate", &c);
	if (status)
		return status;
	client_put_str(c, "peer", shell_arg(sh, 1));
	if (us)
		client_put_u64(c, "max_pause_us", us);
	if (shell_flag(sh, "alone"))
		client_put_flag(c, "alone", true);
	else if (shell_flag(sh, "job"))
		client_put_flag(c, "job", true);
	if (shell_json(sh))
		return client_report(sh, c, NULL);
	client_put_flag(c, "progress", terminal);
	while (client_next(sh, c, &status)) {
		if (row_flag(c, "progress")) {
			show_progress(c);
			shown = true;
		} else {
			show_result(c, shown);
			shown = false;
		}
	}
	if (shown)
		fprintf(stderr, "\n");
	client_close(c);
	return status;
}

const struct command command_migrate = {
    .name = "migrate",
    .usage = "migrate PID PEER|best [--alone|--job] [--max-pause MS]",
    .summary = "move a running program to another device",
    .help = "The program runs on while its memory is copied; it stands still only for what\n"
            "it wrote last. Its window, sound, terminal and open files go with it. Until\n"
            "the other device holds everything and has checked it, anything that goes wrong\n"
            "means that the program runs on here.\n"
            "\n"
            "The PEER \"best\" is the linked device with the most idle cores that has memory\n"
            "to spare for the program, and a screen when it has a window; one with a low\n"
            "battery counts half (`wasmos peers`).\n"
            "\n"
            "With --max-pause the move is given up, and says why, when the program would\n"
            "stand still for longer.\n"
            "\n"
            "The pause is measured from the stop here to the start there. When the two\n"
            "devices do not share a clock it is measured until the other's answer arrives,\n"
            "and \"at most\" is said.\n",
    .options = options,
    .min_args = 2,
    .max_args = 2,
    .run = run,
};
