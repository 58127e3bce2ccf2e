/* cmd_status.c - `wasmos status`: what this device's node is. */
#include "shell/shell.h"

static int run(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "status");
	return client_report(
	    sh, c,
	    "{name} is up: version {version}, process {pid}, {processes} programs run\n"
	    "home    {home}\n"
	    "device  {device}\n");
}

const struct command command_status = {
    .name = "status",
    .usage = "status [--json]",
    .summary = "show whether a node is up, and what it is",
    .run = run,
};
