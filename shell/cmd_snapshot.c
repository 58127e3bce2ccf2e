/* cmd_snapshot.c - `wasmos snapshot PID -o FILE`. */
#include "shell/shell.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct option options[] = {{"output", 'o', OPTION_VALUE, "FILE", "the file to write"},
                                        {0}};

static int run(struct shell *sh)
{
	struct client *c;
	char path[PATH_MAX], here[PATH_MAX];
	const char *file = shell_value(sh, "output");
	if (!file || !*file)
		return shell_usage(sh, "snapshot needs a file to write: -o FILE");
	if (!strcmp(file, "-"))
		return shell_usage(sh, "a snapshot goes into a file, not to standard output");
	if (!getcwd(here, sizeof here))
		return shell_fail(sh, "the current folder is gone");
	if (snprintf(path, sizeof path, "%s%s%s", file[0] == '/' ? "" : here,
	             file[0] == '/' ? "" : "/", file) >= (int)sizeof path)
		return shell_fail(sh, "the path is too long");
	int status = client_open_pid(sh, "snapshot", &c);
	if (status)
		return status;
	client_put_str(c, "path", path);
	return client_report(sh, c, "{pid} stood still for {stood_ms} ms; {bytes} bytes written\n");
}

const struct command command_snapshot = {
    .name = "snapshot",
    .usage = "snapshot PID -o FILE",
    .summary = "copy a running program into a file",
    .help = "The program runs on. The file holds its memory, its code and what it has open,\n"
            "and is the same on every system; `wasmos restore FILE` starts a copy of the\n"
            "program from it.\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
