/* cmd_bring.c - `wasmos bring PID PEER`: moves a program that runs on another device to this one. */
#include "shell/shell.h"

static int run(struct shell *sh)
{
	struct client *c;
	int status = client_open_pid(sh, "bring", &c);
	if (status)
		return status;
	client_put_str(c, "peer", shell_arg(sh, 1));
	return client_report(
	    sh, c,
	    "brought {old_pid} from {from}; here it is {pid}, and stood still for {pause_ms} ms\n");
}

const struct command command_bring = {
    .name = "bring",
    .usage = "bring PID PEER",
    .summary = "move a program of another device to this one",
    .help = "PID is the program's number there: `wasmos ps --on PEER` lists them. It is the same\n"
            "move as `wasmos migrate` on that device.\n",
    .min_args = 2,
    .max_args = 2,
    .run = run,
};
