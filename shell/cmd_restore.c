/* cmd_restore.c - `wasmos restore FILE`. */
#include "base/file.h"
#include "shell/shell.h"

#include <stdlib.h>

static int run(struct shell *sh)
{
	struct client *c;
	char *path = path_resolve(shell_arg(sh, 0));
	if (!path)
		return shell_fail(sh, "%s: there is no such file", shell_arg(sh, 0));
	if (client_open_or_start(sh, &c) != 0) {
		free(path);
		return 1;
	}
	client_request(c, "restore");
	client_put_str(c, "path", path);
	free(path);
	return client_report(sh, c, "{pid}\n");
}

const struct command command_restore = {
    .name = "restore",
    .usage = "restore FILE",
    .summary = "start a program from a snapshot file",
    .help = "The file is checked as a whole before anything of it is used. The program goes\n"
            "on where the snapshot was taken, as a process of its own; its number is\n"
            "printed.\n",
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
