/* cmd_logs.c - `wasmos logs PID`: the last output of a program. */
#include "shell/terminal.h"

static const struct option options[] = {
    {"follow", 'f', OPTION_FLAG, NULL, "go on with what it writes until it ends"},
    {0},
};

static int run(struct shell *sh)
{
	struct client *c;
	uint64_t pid;
	if (!shell_number(sh, 0, "PID", &pid))
		return 2;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "logs");
	client_put_u64(c, "pid", pid);
	client_put_flag(c, "follow", shell_flag(sh, "follow"));
	return terminal_session(sh, c, TERMINAL_FOLLOW);
}

const struct command command_logs = {
    .name = "logs",
    .usage = "logs [-f] PID",
    .summary = "show the last output of a program",
    .help =
        "The last 64 KiB that it wrote to standard output and error, also after it has ended.\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
