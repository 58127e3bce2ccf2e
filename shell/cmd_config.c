/* cmd_config.c - `wasmos config`: what `wasmos up` would be told, and by what. */
#include "shell/config.h"
#include "shell/internal.h"

#include <stdio.h>
#include <string.h>

static const struct option options[] = {
    {"config", 0, OPTION_VALUE, "FILE", "this file instead of HOME/config"},
    {"example", 0, OPTION_FLAG, NULL, "print a config file that explains every setting"},
    {0},
};

static void put_origin(const struct settings *s, int i, char *out, size_t size)
{
	if (s->at[i].from == SETTING_BY_FILE)
		snprintf(out, size, "%s:%u", s->file, s->at[i].line);
	else
		snprintf(out, size, "default");
}

static void json_member(const char *key, const char *text)
{
	printf("\"%s\": ", key);
	json_text(text);
}

static void json_setting(const struct settings *s, int i)
{
	const struct setting_row *r = &settings_table[i];
	char origin[4096], allowed[160];
	put_origin(s, i, origin, sizeof origin);
	settings_allowed(r, allowed, sizeof allowed);
	const struct {
		const char *key, *text;
	} members[] = {
	    {"key", r->key},        {"value", settings_text(s, (enum setting)i)},
	    {"default", r->preset}, {"from", origin},
	    {"allowed", allowed},   {"counts", r->when == SETTING_RELOAD ? "reload" : "start"},
	    {"help", r->help}};
	for (size_t k = 0; k < sizeof members / sizeof *members; k++) {
		fputs(k ? ", " : i ? ",\n {" : "[{", stdout);
		json_member(members[k].key, members[k].text);
	}
	putchar('}');
}

static void print_json(const struct settings *s)
{
	for (int i = 0; i < SETTINGS; i++)
		json_setting(s, i);
	puts("]");
}

static void print_table(const struct settings *s)
{
	int key = 0, value = (int)strlen("VALUE");
	for (int i = 0; i < SETTINGS; i++) {
		int k = (int)strlen(settings_table[i].key),
		    v = (int)strlen(settings_text(s, (enum setting)i));
		key = k > key ? k : key;
		value = v > value ? v : value;
	}
	printf("%-*s  %-*s  FROM\n", key, "SETTING", value, "VALUE");
	for (int i = 0; i < SETTINGS; i++) {
		char origin[4096];
		put_origin(s, i, origin, sizeof origin);
		printf("%-*s  %-*s  %s\n", key, settings_table[i].key, value,
		       settings_text(s, (enum setting)i), origin);
	}
}

static int run(struct shell *sh)
{
	struct settings s;
	struct errmsg msg = {0};
	if (shell_flag(sh, "example")) {
		settings_example(stdout);
		return 0;
	}
	enum err e = config_load(sh, &s, &msg);
	int status = e == ERR_OK ? 0 : config_fail(sh, e, &s, &msg);
	if (!status)
		(shell_json(sh) ? print_json : print_table)(&s);
	settings_end(&s);
	return status;
}

const struct command command_config = {
    .name = "config",
    .usage = "config [--config FILE] [--example] [--json]",
    .summary = "list the settings of `wasmos up`, their values and where those come from",
    .help = "A config file is lines `key = value`; # begins a comment. An option --key of `wasmos "
            "up` wins over it.\n"
            "What is listed is what the next `wasmos up` without options goes by; SIGHUP makes a "
            "running node read its\n"
            "file again. --json tells for each setting what is allowed, and whether it then "
            "counts (reload) or at the next\n"
            "start.\n",
    .options = options,
    .run = run,
};
