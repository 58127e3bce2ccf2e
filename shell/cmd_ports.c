/* cmd_ports.c - `wasmos ports`: where programs listen, and where that is reached from outside. */
#include "shell/shell.h"

static int run(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "ports");
	return client_table(
	    sh, c,
	    "pid:PID proto:PROTO address:ADDRESS host:OUTSIDE net:NET state:STATE name:NAME");
}

const struct command command_ports = {
    .name = "ports",
    .usage = "ports [--json]",
    .summary = "list where programs listen",
    .help = "ADDRESS is the program's, on the system's own network (127.0.0.1 is its own and its "
            "children's);\n"
            "OUTSIDE is the host's address that leads there: of run --publish, or of a program "
            "with --net lan or all;\n"
            "\"at NAME\": that device has it, where the program was started.\n"
            "waiting: nobody listens behind a port of --publish yet; elsewhere: the program is on "
            "another device,\n"
            "or sleeps; open: a port of UDP that its program did not choose.\n",
    .run = run,
};
