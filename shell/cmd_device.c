/* cmd_device.c - `wasmos device rename|role|rotate|remove`: changes in the log of the system's devices; and where one is (address). */
#include "shell/shell.h"

#include <string.h>

static const struct option options[] = {
    {"force", 'f', OPTION_FLAG, NULL, "rotate: also when some devices cannot be told now"},
    {0},
};

/* What may be done: the request, what its operands are called there, and what is said when it is done. */
static const struct verb {
	const char *name, *request, *keys[2], *done;
} verbs[] = {
    {"rename", "device_rename", {"device", "name"}, "{id} is called {name} now.\n"},
    {"role", "device_role", {"device", "role"}, "{name} (id {id}) is {role} now.\n"},
    {"address", "device_address", {"device", "address"}, "{name} (id {id}): {address}\n"},
    {"rotate",
     "device_rotate",
     {NULL, NULL},
     "{name} (id {id}) has a new key, its number {keys}.\n"},
    {"remove", "device_remove", {"device", NULL}, "{name} (id {id}) is removed from the system.\n"},
};

static const struct verb *verb_of(const char *name)
{
	for (unsigned i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static int run(struct shell *sh)
{
	const struct verb *v = verb_of(shell_arg(sh, 0));
	struct client *c;
	int want = 1;
	if (!v)
		return shell_usage(sh, "device rename, role, address, rotate or remove");
	for (int i = 0; i < 2; i++)
		want += v->keys[i] != NULL;
	if (shell_argc(sh) != want)
		return shell_usage(sh, "see `wasmos help device`");
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, v->request);
	for (int i = 0; i < want - 1; i++)
		client_put_str(c, v->keys[i], shell_arg(sh, i + 1));
	client_put_flag(c, "force", shell_flag(sh, "force"));
	return client_report(sh, c, v->done);
}

const struct command command_device = {
    .name = "device",
    .usage =
        "device rename DEVICE NAME | role DEVICE full|files-only | address DEVICE ADDR:PORT|none "
        "| rotate [--force] | remove DEVICE",
    .summary = "rename, restrict or remove a device, or change this one's key",
    .help =
        "What one device of the system is told here all of them know: those that are linked at "
        "once, others when they\n"
        "are again. DEVICE is a name or the first digits of an id.\n\n"
        "  rename   calls it otherwise, on all devices\n"
        "  role     files-only: programs are neither moved to it nor started by it, those that\n"
        "           run there sleep, and it has no word about others\n"
        "  address  is where this device can always call that one, besides what it learns by "
        "itself; none: no more\n"
        "  rotate   gives this device a new key; its id stays. Devices that cannot be told now "
        "hear of it from others\n"
        "  remove   every device refuses it from now on and closes its links; a lost device is "
        "out for good.\n"
        "           Only pairing brings it back. Of this device: it leaves the system\n",
    .options = options,
    .min_args = 1,
    .max_args = 3,
    .run = run,
};
