/* cmd_peers.c - `wasmos peers`: the paired devices, and whether they can be reached. */
#include "shell/shell.h"

static int run(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "peers");
	return client_table(
	    sh, c,
	    "name:NAME id:ID state:STATE address:ADDRESS way:WAY rtt:RTT seen:SEEN member:MEMBER "
	    "load:LOAD free:FREE");
}

const struct command command_peers = {
    .name = "peers",
    .usage = "peers [--json]",
    .summary = "list the devices that are paired with this one",
    .help =
        "The first row is this device, with the address others reach it at. A device is named "
        "by its NAME or\n"
        "by the first digits of its ID wherever a command wants a PEER. STATE is:\n\n"
        "  up           there is a link\n"
        "  down         it cannot be reached now\n"
        "  refuses      it is there, but does not know this device (any more): pair again\n"
        "  half paired  you said yes and its answer was lost; it gets up when that was a yes,\n"
        "               and is forgotten after a day\n\n"
        "WAY is how the link goes: direct, or via NAME, a device that both can reach and that "
        "passes on what\n"
        "they say, sealed; a direct way is looked for meanwhile, and taken when there is one.\n\n"
        "MEMBER is what the devices of the system agree on, by datagrams, over whatever way: "
        "alive,\n"
        "suspect, dead, left (it said good-bye), away (not heard of since this node began). LOAD "
        "and\n"
        "FREE (memory) are what it last said of itself; `wasmos migrate PID best` goes by them.\n",
    .run = run,
};
