/* cmd_store.c - `wasmos store check|gc|du`. */
#include "shell/shell.h"

#include <stdio.h>
#include <string.h>

static const struct option options[] = {
    {"repair", 0, OPTION_FLAG, NULL,
     "check: put right what can be, ask the linked devices for damaged chunks"},
    {"all", 'a', OPTION_FLAG, NULL,
     "gc: also what programs that left might need when they come back"},
    {0}};

static int check(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "store_check");
	client_put_flag(c, "repair", shell_flag(sh, "repair"));
	return client_report(sh, c,
	                     "{chunks} chunks ({bytes} bytes) were read: {damaged} damaged, "
	                     "{healed} of these healed; "
	                     "{images} images, {broken_images} of them not whole\n");
}

static int gc(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "store_gc");
	client_put_flag(c, "all", shell_flag(sh, "all"));
	return client_report(
	    sh, c,
	    "{removed} chunks ({removed_mib} MiB) that nothing names were removed, {kept} stay\n");
}

static int du(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "store_du");
	return client_table(sh, c,
	                    "kind:WHAT pid:PID name:NAME chunks:CHUNKS kib:KIB own_kib:ALONE");
}

static int run(struct shell *sh)
{
	const char *verb = shell_arg(sh, 0);
	if (!strcmp(verb, "check"))
		return check(sh);
	if (!strcmp(verb, "gc"))
		return gc(sh);
	if (!strcmp(verb, "du"))
		return du(sh);
	return shell_usage(sh, "store check, store gc, or store du");
}

const struct command command_store = {
    .name = "store",
    .usage = "store check [--repair] [--json] | gc [--all] [--json] | du [--json]",
    .summary = "look after what this device keeps of programs and folders",
    .help = "check reads every chunk over and counts what is there; it fails when something is "
            "damaged or missing.\n"
            "With --repair damaged chunks are asked for from the devices that are linked. The node "
            "does the same by\n"
            "itself every week (the setting scrub).\n"
            "gc removes what nothing names any more; the node does this by itself, too.\n"
            "du says what takes the room: KIB is what each has as it is stored, ALONE what would "
            "be gone with it.\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
