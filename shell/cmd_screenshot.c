/* cmd_screenshot.c - `wasmos screenshot PID -o FILE.png`. */
#include "base/file.h"
#include "shell/shell.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct option options[] = {
    {"output", 'o', OPTION_VALUE, "FILE", "where the picture goes (needed; - is standard output)"},
    {0},
};

static int write_file(struct shell *sh, const char *path, const void *bytes, size_t size)
{
	bool to_stdout = strcmp(path, "-") == 0;
	FILE *f = to_stdout ? stdout : file_stream(path, "wb");
	bool good = f && fwrite(bytes, 1, size, f) == size;
	if (f)
		good = (to_stdout ? fflush(f) : fclose(f)) == 0 && good;
	return good ? 0 : shell_fail(sh, "%s: %s", path, strerror(errno));
}

static int run(struct shell *sh)
{
	const char *path = shell_value(sh, "output");
	struct client *c;
	size_t size;
	int status, written = 0;
	if (!path)
		return shell_usage(sh, "where to? -o FILE.png");
	status = client_open_pid(sh, "screenshot", &c);
	if (status)
		return status;
	while (client_next(sh, c, &status)) {
		const void *png = row_bytes(c, "png", &size);
		if (png)
			written = write_file(sh, path, png, size);
	}
	client_close(c);
	return status ? status : written;
}

const struct command command_screenshot = {
    .name = "screenshot",
    .usage = "screenshot PID -o FILE.png",
    .summary = "save what a program shows now",
    .help = "The last frame as the program drew it, in its own size, wherever it is shown.\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
