/* cmd_trim.c - `wasmos trim [--all]`. */
#include "shell/shell.h"

static const struct option options[] = {
    {"all", 'a', OPTION_FLAG, NULL, "also those that somebody is looking at"}, {0}};

static int run(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "trim");
	client_put_flag(c, "all", shell_flag(sh, "all"));
	return client_report(sh, c,
	                     "{suspended} programs sleep on disk now ({mib} MiB); `wasmos resume "
	                     "--trimmed` wakes them\n");
}

const struct command command_trim = {
    .name = "trim",
    .usage = "trim [--all]",
    .summary = "give memory back: programs that nobody looks at sleep on disk",
    .help = "Each is suspended as by `wasmos suspend`, the largest first. They go on with\n"
            "`wasmos resume PID`, or all with `wasmos resume --trimmed`. A node on Android does\n"
            "this by itself when memory is short, and wakes them when it is not; elsewhere\n"
            "`wasmos up --low-memory MIB` asks for it.\n",
    .options = options,
    .run = run,
};
