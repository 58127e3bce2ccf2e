/* cmd_ps.c - `wasmos ps`: the processes of this device or of a paired one. */
#include "shell/shell.h"

#include <stdio.h>

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
	client_put_flag(c, "parts", true);
	if (shell_value(sh, "on"))
		client_put_str(c, "peer", shell_value(sh, "on"));
	bool all = shell_flag(sh, "all"), on = shell_value(sh, "on");
	const char *name = on ? "name" : "tree";
	char columns[128];
	snprintf(columns, sizeof columns,
	         "pid:PID state:STATE %scpu_ms:TIME memory_bytes:MEMORY %s:NAME command:COMMAND",
	         all ? "status:STATUS " : "", name);
	return client_table(sh, c, columns);
}

const struct command command_ps = {
    .name = "ps",
    .usage = "ps [-a] [--on PEER] [--json]",
    .summary = "list the programs that run",
    .help =
        "States: running, waiting (for input, time or the screen), suspending, suspended, moving,\n"
        "in flight (on its way to another device that has not confirmed yet); with -a also "
        "exited,\n"
        "trapped and killed ones. The children of a Linux program stand below it;\n"
        "those that were moved away from it are \"elsewhere\", with the device and their number "
        "there.\n",
    .options = options,
    .run = run,
};
