/* cmd_suspend.c - `wasmos suspend PID`. */
#include "shell/shell.h"

static int run(struct shell *sh)
{
	struct client *c;
	int status = client_open_pid(sh, "suspend", &c);
	if (status)
		return status;
	return client_report(sh, c,
	                     "{pid} is suspended: it needs no memory, and `wasmos resume {pid}` "
	                     "goes on with it, also after a restart\n");
}

const struct command command_suspend = {
    .name = "suspend",
    .usage = "suspend PID",
    .summary = "put a program to sleep on disk",
    .help = "The program stops where it is, is written to disk and leaves memory. It is\n"
            "listed by `wasmos ps` until it is resumed.\n",
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
