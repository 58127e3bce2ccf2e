/* cmd_suspend.c - `wasmos suspend PID`. */
#include "shell/shell.h"

static int run(struct shell *sh)
{
	struct client *c;
	uint64_t pid;
	if (!shell_number(sh, 0, "PID", &pid))
		return 2;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "suspend");
	client_put_u64(c, "pid", pid);
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
