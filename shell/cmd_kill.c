/* cmd_kill.c - `wasmos kill PID`. */
#include "shell/shell.h"

static int run(struct shell *sh)
{
	struct client *c;
	uint64_t pid;
	if (!shell_number(sh, 0, "PID", &pid))
		return 2;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "kill");
	client_put_u64(c, "pid", pid);
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
