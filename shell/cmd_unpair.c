/* cmd_unpair.c - `wasmos unpair PEER`: forgets a device. */
#include "shell/shell.h"

static int run(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "unpair");
	client_put_str(c, "peer", shell_arg(sh, 0));
	return client_report(sh, c, "{name} (id {id}) is no longer one of your devices.\n");
}

const struct command command_unpair = {
    .name = "unpair",
    .usage = "unpair PEER",
    .summary = "forget a paired device",
    .help = "It is removed from the system, as by `wasmos device remove`: all devices refuse it "
            "from now on. On a "
            "device\nthat was removed itself it forgets one of those that refuse it.\n",
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
