/* cmd_ps.c - `wasmos ps`: the processes of this device or of a paired one. */
#include "shell/shell.h"

static const struct option options[] = {
    {"all", 'a', OPTION_FLAG, NULL, "also those that have ended"},
    {"on", 0, OPTION_VALUE, "PEER", "those of another of your devices"},
    {0},
};

static int run(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "ps");
	client_put_flag(c, "all", shell_flag(sh, "all"));
	if (shell_value(sh, "on"))
		client_put_str(c, "peer", shell_value(sh, "on"));
	return client_table(
	    sh, c,
	    shell_flag(sh, "all")
	        ? "pid:PID state:STATE status:STATUS cpu_ms:TIME memory_bytes:MEMORY name:NAME "
	          "command:COMMAND"
	        : "pid:PID state:STATE cpu_ms:TIME memory_bytes:MEMORY name:NAME command:COMMAND");
}

const struct command command_ps = {
    .name = "ps",
    .usage = "ps [-a] [--on PEER] [--json]",
    .summary = "list the programs that run",
    .help = "States: running, waiting (for input, time or the screen), suspended, moving, in "
            "flight (on its way to\n"
            "another device that has not confirmed yet); with -a also exited, trapped and killed "
            "ones.\n",
    .options = options,
    .run = run,
};
