/* cmd_backup.c - `wasmos backup save|restore|list|key`: folders in an encrypted store on storage of the web. */
#include "base/crypto.h"
#include "base/file.h"
#include "shell/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option options[] = {
    {"device", 0, OPTION_VALUE, "ID",
     "restore: the backup of that device, by the first digits of its id; else of this one"},
    {"key-file", 0, OPTION_VALUE, "FILE",
     "the first line of this file is the key, as `backup key` showed it (\"-\": of standard "
     "input)"},
    {0},
};

static int read_key(struct shell *sh, char *out, size_t room)
{
	const char *path = shell_value(sh, "key-file");
	out[0] = 0;
	if (!path)
		return 0;
	FILE *f = !strcmp(path, "-") ? stdin : file_stream(path, "r");
	char *got = f ? fgets(out, (int)room, f) : NULL;
	if (f && f != stdin)
		fclose(f);
	if (!got)
		return shell_fail(sh, "%s cannot be read", path);
	out[strcspn(out, "\r\n")] = 0;
	return 0;
}

/* The request, with storage and key. NULL: why has been said. */
static struct client *begin(struct shell *sh, const char *request, const char *storage)
{
	char key[256];
	struct client *c = NULL;
	if (read_key(sh, key, sizeof key) == 0 && client_open(sh, &c) == 0) {
		client_request(c, request);
		client_put_str(c, "storage", storage);
		client_put_str(c, "key", key);
	}
	crypto_zero(key, sizeof key);
	return c;
}

static int save(struct shell *sh)
{
	int status = 1;
	char *path = path_resolve(shell_arg(sh, 1));
	if (!path)
		return shell_fail(sh, "there is no folder \"%s\"", shell_arg(sh, 1));
	struct client *c = begin(sh, "backup_save", shell_arg(sh, 2));
	if (c) {
		client_put_str(c, "path", path);
		status = client_report(sh, c,
		                       "{files} files, {folders} folders and {links} links saved, "
		                       "{bytes} bytes: {read} files "
		                       "were read, {removed} names are gone, {chunks} chunks of "
		                       "{bytes_sent} bytes were sent. "
		                       "{skipped} could not be saved.\n");
	}
	free(path);
	return status;
}

static int restore(struct shell *sh)
{
	int status = 1;
	const char *device = shell_value(sh, "device");
	char *path = path_resolve(shell_arg(sh, 1));
	if (!path)
		return shell_fail(sh, "there is no folder \"%s\": make it first, empty",
		                  shell_arg(sh, 1));
	struct client *c = begin(sh, "backup_restore", shell_arg(sh, 2));
	if (c) {
		client_put_str(c, "path", path);
		client_put_str(c, "device", device ? device : "");
		status = client_report(sh, c,
		                       "{files} files, {folders} folders and {links} links are "
		                       "back, {bytes} bytes. {skipped} "
		                       "could not be made.\n");
	}
	free(path);
	return status;
}

static int list(struct shell *sh)
{
	struct client *c = begin(sh, "backup_list", shell_arg(sh, 1));
	return c ? client_table(sh, c, "name:DEVICE device:ID generation:NUMBER when:SAVED") : 1;
}

static int key(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "backup_key");
	client_put_str(c, "storage", shell_arg(sh, 1));
	return client_report(sh, c, "{key}\n");
}

static int run(struct shell *sh)
{
	const char *verb = shell_arg(sh, 0);
	int operands = shell_argc(sh) - 1;
	if (!strcmp(verb, "save") && operands == 2)
		return save(sh);
	if (!strcmp(verb, "restore") && operands == 2)
		return restore(sh);
	if (!strcmp(verb, "list") && operands == 1)
		return list(sh);
	if (!strcmp(verb, "key") && operands == 1)
		return key(sh);
	return shell_usage(
	    sh, "backup save DIR STORAGE, backup restore DIR STORAGE, backup list STORAGE, "
	        "or backup key STORAGE");
}

const struct command command_backup = {
    .name = "backup",
    .usage = "backup save DIR STORAGE | restore DIR STORAGE [--device ID] [--key-file FILE] | "
             "list STORAGE [--json] | key STORAGE",
    .summary = "save a folder into an encrypted store on storage of the web",
    .help = "STORAGE is one of `wasmos cloud list`. What is saved is cut into chunks and sealed "
            "before it "
            "leaves this device: who\n"
            "has the storage sees neither contents nor names. Only what changed is read, and only "
            "chunks "
            "that are not there yet are\n"
            "sent. Each device has one backup on a storage.\n\n"
            "Without the key nothing can be restored. It is made by the first `backup save` and "
            "kept in "
            "the node's home; `backup key`\n"
            "shows it: write it down. On another device give it with --key-file.\n",
    .options = options,
    .min_args = 2,
    .max_args = 3,
    .run = run,
};
