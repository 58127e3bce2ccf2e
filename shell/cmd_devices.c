/* cmd_devices.c - `wasmos devices`: the devices of the system, as its log has them. */
#include "shell/shell.h"

static const struct option options[] = {
    {"all", 'a', OPTION_FLAG, NULL, "also those that were removed"},
    {0},
};

static int run(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "devices");
	client_put_flag(c, "all", shell_flag(sh, "all"));
	return client_table(sh, c, "name:NAME id:ID state:STATE role:ROLE since:SINCE by:BY");
}

const struct command command_devices = {
    .name = "devices",
    .usage = "devices [-a] [--json]",
    .summary = "list the devices of your system",
    .help = "All devices of a system know each other: who is paired with one of them belongs to "
            "all. The first\n"
            "row is this device. SINCE and BY tell when it was added and by which device; of one "
            "that was removed, when\n"
            "and by which. STATE is:\n\n"
            "  up           there is a link\n"
            "  down         it cannot be reached now\n"
            "  refuses      it is there, but does not know this device (yet)\n"
            "  joining      paired; it belongs to the system when the two have been linked\n"
            "  half paired  as `wasmos help peers` says\n"
            "  removed      out for good, unless it is paired again\n\n"
            "ROLE is full, or `files only`: programs are neither moved to that device nor started "
            "by it.\n",
    .options = options,
    .run = run,
};
