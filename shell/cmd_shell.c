/* cmd_shell.c - `wasmos shell`: a shell of the system image, here or on a paired device, joined to this terminal. */
#include "shell/terminal.h"

#include "base/arena.h"
#include "base/file.h"
#include "node/process/process.h"
#include "shell/console.h"
#include "shell/mounts.h"
#include "shell/shell.h"

#include <stdlib.h>

enum { DIRS_MAX = PROCESS_MOUNTS_MAX - 3 };

static const struct option options[] = {
    {"command", 'c', OPTION_VALUE, "TEXT", "run this instead of reading commands"},
    {"dir", 0, OPTION_LIST, "HOST[::GUEST][:ro]",
     "the shell sees the folder HOST as GUEST; ro: only to read"},
    {"net", 0, OPTION_VALUE, "MODE",
     "what its programs may reach: none, system, lan or all (none unless said); on DEVICE "
     "from there"},
    {"system", 0, OPTION_VALUE, "DIR", "the system image: a folder with bin, etc and usr"},
    {0},
};

static void put_text(struct client *c, const char *key, const char *text)
{
	if (text)
		client_put_str(c, key, text);
}

static void put_streams(struct client *c)
{
	static const char *const names[] = {"in_terminal", "out_terminal", "err_terminal"};
	for (int s = 0; s < 3; s++)
		client_put_flag(c, names[s], console_is_terminal(s));
	if (console_is_terminal(1)) {
		put_text(c, "term", getenv("TERM"));
		put_text(c, "colorterm", getenv("COLORTERM"));
	}
	terminal_put_size(c);
}

static int start(struct shell *sh, const char *system, const char **mounts, uint32_t count)
{
	struct client *c;
	if (client_open_or_start(sh, &c) != 0)
		return 1;
	client_request(c, "shell");
	put_text(c, "peer", shell_arg(sh, 0));
	put_text(c, "system", system);
	put_text(c, "command", shell_value(sh, "command"));
	put_text(c, "net", shell_value(sh, "net"));
	client_put_list(c, "mounts", mounts, 3 * count);
	put_streams(c);
	return terminal_session(sh, c, 0);
}

static int run(struct shell *sh)
{
	struct arena arena = {0};
	struct process_mount mounts[DIRS_MAX];
	const char *args[3 * DIRS_MAX], *given = shell_value(sh, "system");
	uint32_t count = 0;
	char *system = given ? path_resolve(given) : NULL;
	int status =
	    given && !system ? shell_fail(sh, "--system %s: there is no such folder", given) : 0;
	if (!status)
		status = mounts_parse(sh, &arena, DIRS_MAX, mounts, args, &count);
	if (!status)
		status = start(sh, system, args, count);
	free(system);
	arena_free(&arena);
	return status;
}

const struct command command_shell = {
    .name = "shell",
    .usage = "shell [-c TEXT] [--dir HOST::GUEST] [--net MODE] [--system DIR] [DEVICE]",
    .summary = "a shell with the usual programs",
    .help =
        "bash, or dash, with the programs of the system image, here or on a paired DEVICE. Starts "
        "the "
        "node if none is\n"
        "up. Its home folder is HOME/user/home of that device's node and stays; / is the image, "
        "and is only "
        "read. Unlike\n"
        "other programs it sees and controls all programs of its device, as you do: ps, top, kill, "
        "peers and\n"
        "`migrate %1 phone` work in it. ^P ^Q detaches, `wasmos attach PID` comes back.\n\n"
        "  wasmos shell\n"
        "  wasmos shell --dir .::/work\n"
        "  wasmos shell phone\n"
        "  wasmos shell -c 'ls | wc -l'\n\n"
        "The image is DIR, else $WASMOS_SYSTEM, HOME/system, /usr/share/wasmos/system, or what "
        "scripts/userland made.\n",
    .options = options,
    .min_args = 0,
    .max_args = 1,
    .run = run,
};
