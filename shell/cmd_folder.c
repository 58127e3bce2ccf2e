/* cmd_folder.c - `wasmos folder` and `wasmos conflicts`: folders that are the same on several devices. */
#include "shell/shell.h"

#include <string.h>

static const char columns[] =
    "name:NAME state:STATE entries:ENTRIES missing:MISSING conflicts:CONFLICTS devices:DEVICES";

static int ask(struct shell *sh, const char *request, const char *report)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, request);
	client_put_str(c, "name", shell_arg(sh, 1));
	return client_report(sh, c, report);
}

static int list(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "folder_list");
	return client_table(sh, c, columns);
}

static int run_folder(struct shell *sh)
{
	const char *verb = shell_arg(sh, 0);
	int operands = shell_argc(sh) - 1;
	if (!strcmp(verb, "list") && operands == 0)
		return list(sh);
	if (!strcmp(verb, "add") && operands == 1)
		return ask(sh, "folder_add", "{name} is a folder of this device now.\n");
	if (!strcmp(verb, "join") && operands == 1)
		return ask(sh, "folder_join", "{name} is on this device, too.\n");
	if (!strcmp(verb, "leave") && operands == 1)
		return ask(sh, "folder_leave", "{name} is not on this device any more.\n");
	return shell_usage(sh,
	                   "folder add NAME, folder list, folder join NAME, or folder leave NAME");
}

static const struct option folder_options[] = {{0}};

const struct command command_folder = {
    .name = "folder",
    .usage = "folder add NAME | list [--json] | join NAME | leave NAME",
    .summary = "folders that are the same on several devices",
    .help =
        "A folder that was made by `add` is on each device whose person says `join`: whole, and "
        "written on each of\n"
        "them, also while they do not see each other. What was done goes over when they do. Where "
        "two wrote the same\n"
        "file without knowing of each other, the later version is shown and the other is kept: "
        "`wasmos conflicts`.\n\n"
        "A program reaches it by `wasmos run --dir folder:NAME::GUEST`; without ::GUEST it is "
        "/folders/NAME. `list`\n"
        "shows this device's folders (MISSING: chunks that are still on their way) and those that "
        "linked devices have.\n"
        "`leave` takes it from this device; the others keep theirs.\n",
    .options = folder_options,
    .min_args = 1,
    .max_args = 2,
    .run = run_folder,
};

static int list_conflicts(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "conflicts");
	if (shell_argc(sh) > 1)
		client_put_str(c, "name", shell_arg(sh, 1));
	return client_table(
	    sh, c, "folder:FOLDER mark:CONFLICT name:NAME device:DEVICE size:BYTES age:SINCE");
}

static int settle(struct shell *sh, bool drop)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "conflict_settle");
	client_put_str(c, "folder", shell_arg(sh, 1));
	client_put_str(c, "mark", shell_arg(sh, 2));
	client_put_flag(c, "drop", drop);
	return client_report(sh, c,
	                     drop ? "{name} stays as it is.\n" : "{name} is {device}'s now.\n");
}

static int run_conflicts(struct shell *sh)
{
	int n = shell_argc(sh);
	const char *verb = n ? shell_arg(sh, 0) : "list";
	if (!strcmp(verb, "list") && n <= 2)
		return list_conflicts(sh);
	if ((!strcmp(verb, "take") || !strcmp(verb, "drop")) && n == 3)
		return settle(sh, verb[0] == 'd');
	return shell_usage(sh, "conflicts list [FOLDER], or conflicts take|drop FOLDER CONFLICT");
}

const struct command command_conflicts = {
    .name = "conflicts",
    .usage = "conflicts [list [FOLDER] [--json] | take FOLDER CONFLICT | drop FOLDER CONFLICT]",
    .summary = "versions of files that were written at two devices at once",
    .help =
        "Of two versions that were written without knowing of each other the later one is in the "
        "folder; the other is\n"
        "listed here, on every device, with the device and the time it comes from. `take` makes it "
        "the one in the\n"
        "folder, `drop` leaves that as it is; either is done on all devices. What is only told "
        "(a deletion that was\n"
        "overruled by an edit, a move that was by another) is told no more after both.\n",
    .options = folder_options,
    .max_args = 3,
    .run = run_conflicts,
};
