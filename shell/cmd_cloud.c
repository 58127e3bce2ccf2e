/* cmd_cloud.c - `wasmos cloud add|list|check|remove`: storage of the web in the tree of this device. */
#include "base/crypto.h"
#include "base/file.h"
#include "cloud/http.h"
#include "shell/console.h"
#include "shell/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char secret_variable[] = "WASMOS_CLOUD_SECRET";

static const struct option options[] = {
    {"user", 'u', OPTION_VALUE, "USER", "add: who the server knows"},
    {"secret-file", 0, OPTION_VALUE, "FILE",
     "add: the first line of this file is the secret (\"-\": of standard input)"},
    {"endpoint", 0, OPTION_VALUE, "URL", "add, S3: the server; Amazon's if it is not given"},
    {"region", 0, OPTION_VALUE, "REGION", "add, S3: us-east-1 if it is not given"},
    {"virtual-host", 0, OPTION_FLAG, NULL,
     "add, S3: the bucket is a part of the server's name (always so at Amazon's)"},
    {"ca", 0, OPTION_VALUE, "FILE", "add: trust these certificates instead of the system's"},
    {"plain", 0, OPTION_FLAG, NULL,
     "add: send the secret even where everybody can read it (http://)"},
    {"no-check", 0, OPTION_FLAG, NULL, "add: do not ask the server now"},
    {"force", 0, OPTION_FLAG, NULL, "remove: also when files are not on the server yet"},
    {0},
};

/* ---- the secret ---- */

/* From the terminal, unseen. -1: there is none, or it was broken off. */
static int ask(const char *user, char *out, size_t room)
{
	size_t n = 0;
	int state = 1;
	struct console *c = console_is_terminal(0) ? console_open(true) : NULL;
	if (!c)
		return -1;
	fprintf(stderr, "Secret of %s: ", user);
	console_set_raw(c, true);
	while (state > 0) {
		char byte;
		unsigned what = console_wait(c, NULL, true);
		int event = what & CONSOLE_EVENT ? console_event(c) : 0;
		long got = what & CONSOLE_INPUT ? console_read(c, &byte, 1) : CONSOLE_NOTHING;
		if (event && event != CONSOLE_RESIZED)
			state = -1;
		if (got == CONSOLE_NOTHING)
			continue;
		if (got < 1 || byte == 3 || byte == 4)
			state = -1;
		else if (byte == '\r' || byte == '\n')
			state = 0;
		else if (byte == 0x7f || byte == '\b')
			n -= n > 0;
		else if (n + 1 < room)
			out[n++] = byte;
	}
	console_set_raw(c, false);
	console_close(c);
	fprintf(stderr, "\n");
	out[n] = 0;
	return state;
}

static int from_file(struct shell *sh, const char *path, char *out, size_t room)
{
	FILE *f = !strcmp(path, "-") ? stdin : file_stream(path, "r");
	if (!f)
		return shell_fail(sh, "%s cannot be read", path);
	char *got = fgets(out, (int)room, f);
	if (f != stdin)
		fclose(f);
	if (!got)
		return shell_fail(sh, "%s is empty", path);
	out[strcspn(out, "\r\n")] = 0;
	return 0;
}

/* Never from the command line: everybody on this machine could read it there. */
static int find_secret(struct shell *sh, char *out, size_t room)
{
	const char *user = shell_value(sh, "user"), *file = shell_value(sh, "secret-file");
	char *given = path_env(secret_variable);
	int status = 0;
	out[0] = 0;
	if (file)
		status = from_file(sh, file, out, room);
	else if (given && *given)
		snprintf(out, room, "%s", given);
	else if (user && ask(user, out, room) != 0)
		status =
		    shell_fail(sh, "the secret of %s: from a terminal, --secret-file FILE, or %s",
		               user, secret_variable);
	if (given)
		crypto_zero(given, strlen(given));
	free(given);
	return status;
}

/* ---- verbs ---- */

static int send_add(struct shell *sh, const char *secret, const char *ca)
{
	struct client *c;
	const char *user = shell_value(sh, "user"), *region = shell_value(sh, "region");
	const char *endpoint = shell_value(sh, "endpoint");
	if (client_open_or_start(sh, &c) != 0)
		return 1;
	client_request(c, "cloud_add");
	client_put_str(c, "name", shell_arg(sh, 1));
	client_put_str(c, "url", shell_arg(sh, 2));
	client_put_str(c, "user", user ? user : "");
	client_put_str(c, "endpoint", endpoint ? endpoint : "");
	client_put_str(c, "region", region ? region : "");
	client_put_flag(c, "virtual_host", shell_flag(sh, "virtual-host"));
	client_put_str(c, "secret", secret);
	client_put_str(c, "ca", ca);
	client_put_flag(c, "plain", shell_flag(sh, "plain"));
	client_put_flag(c, "nocheck", shell_flag(sh, "no-check"));
	return client_report(sh, c, "{name} is there: /net/{name}\n");
}

static int add(struct shell *sh)
{
	char secret[HTTP_SECRET_MAX + 1];
	const char *ca = shell_value(sh, "ca");
	char *path = ca ? path_resolve(ca) : NULL;
	if (ca && !path)
		return shell_fail(sh, "there is no file \"%s\"", ca);
	int status = find_secret(sh, secret, sizeof secret);
	if (status == 0)
		status = send_add(sh, secret, path ? path : "");
	crypto_zero(secret, sizeof secret);
	free(path);
	return status;
}

static int list(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "cloud_list");
	return client_table(
	    sh, c,
	    "name:NAME kind:KIND user:USER unsaved:UNSAVED kept:KEPT url:ADDRESS state:STATE");
}

static int check(struct shell *sh)
{
	struct client *c;
	int status;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "cloud_check");
	client_put_str(c, "name", shell_arg(sh, 1));
	while (client_next(sh, c, &status)) {
		const char *kept = row_str(c, "kept"), *state = row_str(c, "state");
		if (shell_json(sh))
			row_print_json(c);
		else if (kept)
			printf("not on the server, kept: %s\n", kept);
		else if (state && !strcmp(state, "ready"))
			printf("%s answers.\n", row_str(c, "name"));
	}
	client_close(c);
	return status;
}

static int drop(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "cloud_remove");
	client_put_str(c, "name", shell_arg(sh, 1));
	client_put_flag(c, "force", shell_flag(sh, "force"));
	return client_report(sh, c,
	                     "{name} is not in the tree any more, and its secret is gone.\n");
}

static int run(struct shell *sh)
{
	const char *verb = shell_arg(sh, 0);
	int operands = shell_argc(sh) - 1;
	if (!strcmp(verb, "list") && operands == 0)
		return list(sh);
	if (!strcmp(verb, "add") && operands == 2)
		return add(sh);
	if (!strcmp(verb, "check") && operands == 1)
		return check(sh);
	if (!strcmp(verb, "remove") && operands == 1)
		return drop(sh);
	return shell_usage(
	    sh, "cloud add NAME URL, cloud list, cloud check NAME, or cloud remove NAME");
}

const struct command command_cloud = {
    .name = "cloud",
    .usage = "cloud add NAME URL [--user USER] [--secret-file FILE] [--ca FILE] [--plain] "
             "[--no-check] | "
             "list [--json] | check NAME | remove NAME [--force]",
    .summary = "use storage of the web (WebDAV, S3) like a folder of a device",
    .help =
        "Programs reach a storage as /net/NAME: in `wasmos shell` that is simply there, and "
        "`wasmos run --dir net:`\n"
        "gives it to one program. URL is https://HOST/PATH of a server of WebDAV, or "
        "s3://BUCKET/PREFIX: then USER is the "
        "access key.\n\n"
        "The secret is asked for, or is the first line of --secret-file, or stands in "
        "WASMOS_CLOUD_SECRET; it is kept in\n"
        "the node's home, where only you can read it.\n\n"
        "A file that is written goes to the server when it is closed (or by fsync). When somebody "
        "else has changed it there\n"
        "meanwhile, close fails, the server keeps what it has, and what was written is kept here: "
        "`wasmos cloud check NAME`.\n",
    .options = options,
    .min_args = 1,
    .max_args = 3,
    .run = run,
};
