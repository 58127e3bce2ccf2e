/* cmd_logs.c - `wasmos logs PID`: the last output of a program. */
#include "shell/terminal.h"

static const struct option options[] = {
    {"follow", 'f', OPTION_FLAG, NULL, "go on with what it writes until it ends"},
    {0},
};

static int run(struct shell *sh)
{
	struct client *c;
	int status = client_open_place(sh, "logs", &c);
	if (status)
		return status;
	client_put_flag(c, "follow", shell_flag(sh, "follow"));
	return terminal_session(sh, c, TERMINAL_FOLLOW);
}

const struct command command_logs = {
    .name = "logs",
    .usage = "logs [-f] [DEVICE:]PID",
    .summary = "show the last output of a program",
    .help = "The last 64 KiB that it wrote to standard output and error, also after it has ended "
            "or while it is suspended.\n"
            "Programs that descend from one another and share its terminal share its output.\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
