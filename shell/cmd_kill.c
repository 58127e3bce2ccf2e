/* cmd_kill.c - `wasmos kill [-f] PID`. */
#include "shell/shell.h"

static const struct option options[] = {
    {"family", 'f', OPTION_FLAG, NULL, "also all that descend from the same program"},
    {0},
};

static int run(struct shell *sh)
{
	struct client *c;
	int status = client_open_place(sh, "kill", &c);
	if (status)
		return status;
	client_put_flag(c, "family", shell_flag(sh, "family"));
	return client_report(sh, c, NULL);
}

const struct command command_kill = {
    .name = "kill",
    .usage = "kill [-f] [DEVICE:]PID",
    .summary = "end a program",
    .help = "It ends at once, wherever it stands; `wasmos run` that waits for it exits with status "
            "137. With -f (--family) everything that descends from the same program ends with it, "
            "at once: a\n"
            "program that starts others faster than they can be ended one by one.\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
