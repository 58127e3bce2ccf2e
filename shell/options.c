/* options.c - the command line of one command, parsed from the table it declares. */
#include "shell/internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option common[] = {
    {"json", 0, OPTION_FLAG, NULL, "print JSON for programs instead of text for people"},
    {"home", 0, OPTION_VALUE, "DIR",
     "the node's home folder (default: $WASMOS_HOME, else ~/.wasmos)"},
    {"help", 'h', OPTION_FLAG, NULL, "show this help"},
    {0},
};

static const struct option *find_name(const struct option *o, const char *name, size_t size)
{
	for (; o && o->name; o++)
		if (strlen(o->name) == size && !memcmp(o->name, name, size))
			return o;
	return NULL;
}

static const struct option *find_letter(const struct option *o, char letter)
{
	for (; o && o->name; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

const struct option *options_common(void)
{
	return common;
}

const struct option *options_look_up(const struct shell *sh, const char *arg, const char **value)
{
	const struct option *o;
	*value = NULL;
	if (arg[1] != '-') {
		o = find_letter(sh->command->options, arg[1]);
		o = o ? o : find_letter(common, arg[1]);
		if (o && arg[2])
			*value = arg + 2; /* -n7 */
		return o;
	}
	size_t size = strcspn(arg + 2, "=");
	o = find_name(sh->command->options, arg + 2, size);
	o = o ? o : find_name(common, arg + 2, size);
	if (arg[2 + size] == '=')
		*value = arg + 2 + size + 1;
	return o;
}

/* One option at argv[*i]; moves *i past its value. */
static int take_option(struct shell *sh, int argc, char **argv, int *i)
{
	const char *arg = argv[*i], *value;
	const struct option *o = options_look_up(sh, arg, &value);
	if (!o)
		return shell_usage(sh, "there is no option %s", arg);
	if (o->kind == OPTION_FLAG) {
		if (value && arg[1] == '-')
			return shell_usage(sh, "the option --%s takes no value", o->name);
		if (value)
			return shell_usage(sh, "write -%c and -%c one by one", arg[1], arg[2]);
	} else if (!value) {
		if (*i + 1 >= argc)
			return shell_usage(sh, "the option %s needs a value: %s", arg, o->value);
		value = argv[++*i];
	}
	sh->given[sh->ngiven++] = (struct given){.option = o, .value = value};
	return 0;
}

static int check_count(const struct shell *sh)
{
	const struct command *c = sh->command;
	if (sh->nargs < c->min_args)
		return shell_usage(sh, "something is missing: wasmos %s", c->usage);
	if (c->max_args >= 0 && sh->nargs > c->max_args)
		return shell_usage(sh, "\"%s\" is too much: wasmos %s", sh->args[c->max_args],
		                   c->usage);
	return 0;
}

int options_parse(struct shell *sh, int argc, char **argv)
{
	bool options = true;
	sh->given = calloc((size_t)argc + 1, sizeof *sh->given);
	sh->list = calloc((size_t)argc + 1, sizeof *sh->list);
	sh->args = calloc((size_t)argc + 1, sizeof *sh->args);
	if (!sh->given || !sh->list || !sh->args)
		return shell_fail(sh, "out of memory");
	for (int i = 0; i < argc; i++) {
		if (options && !strcmp(argv[i], "--")) {
			options = false;
		} else if (options && argv[i][0] == '-' && argv[i][1]) {
			int bad = take_option(sh, argc, argv, &i);
			if (bad)
				return bad;
		} else {
			sh->args[sh->nargs++] = argv[i];
			if (sh->command->rest)
				options = false;
		}
	}
	if (shell_flag(sh, "help"))
		return -1;
	sh->json = shell_flag(sh, "json");
	return check_count(sh);
}

static void print_option(const struct option *o)
{
	char left[64];
	int at = o->letter ? snprintf(left, sizeof left, "-%c, ", o->letter)
	                   : snprintf(left, sizeof left, "    ");
	snprintf(left + at, sizeof left - (size_t)at, "--%s%s%s", o->name, o->value ? " " : "",
	         o->value ? o->value : "");
	printf("  %-28s %s\n", left, o->help);
}

void options_print(const struct option *options)
{
	for (const struct option *o = options; o && o->name; o++)
		print_option(o);
	for (const struct option *o = common; o->name; o++)
		print_option(o);
}

/* ---- what commands ask ---- */

static const struct given *last_given(const struct shell *sh, const char *name)
{
	for (uint32_t i = sh->ngiven; i-- > 0;)
		if (!strcmp(sh->given[i].option->name, name))
			return &sh->given[i];
	return NULL;
}

bool shell_flag(const struct shell *sh, const char *name)
{
	return last_given(sh, name) != NULL;
}

const char *shell_value(const struct shell *sh, const char *name)
{
	const struct given *g = last_given(sh, name);
	return g ? g->value : NULL;
}

int shell_count(const struct shell *sh, const char *option, const char *unit, uint32_t min,
                uint32_t max, uint32_t *out)
{
	const char *text = shell_value(sh, option);
	char *end;
	if (!text)
		return 0;
	unsigned long v = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : ULONG_MAX;
	if (v == ULONG_MAX || *end || v < min || v > max)
		return shell_usage(sh, "--%s %s: it must be a number of %s from %u to %u", option,
		                   text, unit, min, max);
	*out = (uint32_t)v;
	return 0;
}

const char *const *shell_list(const struct shell *sh, const char *name, uint32_t *count)
{
	*count = 0;
	for (uint32_t i = 0; i < sh->ngiven; i++)
		if (!strcmp(sh->given[i].option->name, name))
			sh->list[(*count)++] = sh->given[i].value;
	return sh->list;
}

int shell_argc(const struct shell *sh)
{
	return sh->nargs;
}

const char *shell_arg(const struct shell *sh, int i)
{
	return i >= 0 && i < sh->nargs ? sh->args[i] : NULL;
}

char *const *shell_args(const struct shell *sh)
{
	return sh->args;
}

bool options_pid(const struct shell *sh, const char *text, uint64_t *out)
{
	char *end;
	if (text && *text >= '0' && *text <= '9' && strlen(text) < 19) {
		*out = strtoull(text, &end, 10);
		if (!*end)
			return true;
	}
	shell_usage(sh, "\"%s\" is no PID: it is a number, as `wasmos ps` shows it",
	            text ? text : "");
	return false;
}

bool shell_json(const struct shell *sh)
{
	return sh->json;
}

const char *shell_home(const struct shell *sh)
{
	return sh->home;
}
