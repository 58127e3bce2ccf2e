/* cmd_kill.c - `wasmos kill PID`. */
#include "shell/shell.h"

static int run(struct shell *sh)
{
	struct client *c;
	int status = client_open_pid(sh, "kill", &c);
	if (status)
		return status;
	return client_report(sh, c, NULL);
}

const struct command command_kill = {
    .name = "kill",
    .usage = "kill PID",
    .summary = "end a program",
    .help = "It ends at once, wherever it stands; `wasmos run` that waits for it exits with status "
            "137.\n",
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
