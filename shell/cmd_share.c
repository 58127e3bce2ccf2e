/* cmd_share.c - `wasmos share add|list|remove|cache`: folders that the devices of the system may use. */
#include "base/file.h"
#include "shell/shell.h"

#include <stdlib.h>
#include <string.h>

static const struct option options[] = {
    {"as", 0, OPTION_VALUE, "NAME",
     "add: what it is called; the folder's own name if it is not given"},
    {"read-only", 'r', OPTION_FLAG, NULL, "add: others read it only"},
    {"clear", 0, OPTION_FLAG, NULL, "cache: throw it away"},
    {0},
};

static int add(struct shell *sh)
{
	struct client *c;
	char *path = path_resolve(shell_arg(sh, 1));
	const char *name = shell_value(sh, "as");
	int status = 1;
	if (!path)
		return shell_fail(sh, "there is no folder \"%s\"", shell_arg(sh, 1));
	if (client_open(sh, &c) == 0) {
		client_request(c, "share_add");
		client_put_str(c, "path", path);
		client_put_str(c, "name", name ? name : path_last(path));
		client_put_flag(c, "readonly", shell_flag(sh, "read-only"));
		status = client_report(sh, c, "{name} ({access}) is {path}\n");
	}
	free(path);
	return status;
}

static int list(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "share_list");
	return client_table(sh, c, "name:NAME access:ACCESS path:FOLDER");
}

static int drop(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "share_remove");
	client_put_str(c, "name", shell_arg(sh, 1));
	return client_report(sh, c, "{name} is not shared any more.\n");
}

static int cache(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "share_cache");
	client_put_flag(c, "clear", shell_flag(sh, "clear"));
	return client_report(sh, c,
	                     "{mib} of {limit_mib} MiB hold {records} records of other devices' "
	                     "files; the oldest is from {oldest} ago.\n");
}

static int run(struct shell *sh)
{
	const char *verb = shell_arg(sh, 0);
	int operands = shell_argc(sh) - 1;
	if (!strcmp(verb, "list") && operands == 0)
		return list(sh);
	if (!strcmp(verb, "cache") && operands == 0)
		return cache(sh);
	if (!strcmp(verb, "add") && operands == 1)
		return add(sh);
	if (!strcmp(verb, "remove") && operands == 1)
		return drop(sh);
	return shell_usage(sh, "share add DIR, share list, share remove NAME, or share cache");
}

const struct command command_share = {
    .name = "share",
    .usage =
        "share add DIR [--as NAME] [--read-only] | list [--json] | remove NAME | cache [--clear]",
    .summary = "share a folder with the devices of your system",
    .help =
        "Every device of your system may use a folder that is shared, also one whose role is files "
        "only. A\n"
        "program reaches it as /net/DEVICE/NAME: in `wasmos shell` that is simply there, and "
        "`wasmos run --dir net:`\n"
        "gives it to one program (`--dir net::ro`: to read only).\n\n"
        "NAME is made of letters, digits, \".\", \"-\" and \"_\". Nothing outside of the folder "
        "can be "
        "reached, by no link and no\n"
        "\"..\". The node's own folder is never shared, nor one that it lies in.\n\n"
        "A device that is away still shows, to be read only, what was read of it here (\"Host is "
        "down\" for all else); `ls -lu`\n"
        "tells when each file was last seen there. `wasmos share cache` says how much is kept, "
        "the setting net-cache how\n"
        "much may be.\n",
    .options = options,
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
