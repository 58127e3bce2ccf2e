/* cmd_snapshot.c - `wasmos snapshot PID -o FILE`. */
#include "base/file.h"
#include "shell/shell.h"

#include <stdlib.h>
#include <string.h>

static const struct option options[] = {{"output", 'o', OPTION_VALUE, "FILE", "the file to write"},
                                        {0}};

static int run(struct shell *sh)
{
	struct client *c;
	const char *file = shell_value(sh, "output");
	if (!file || !*file)
		return shell_usage(sh, "snapshot needs a file to write: -o FILE");
	if (!strcmp(file, "-"))
		return shell_usage(sh, "a snapshot goes into a file, not to standard output");
	char *path = path_absolute(file);
	if (!path)
		return shell_fail(sh, "the current folder is gone");
	int status = client_open_pid(sh, "snapshot", &c);
	if (status) {
		free(path);
		return status;
	}
	client_put_str(c, "path", path);
	free(path);
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
