/* main.c - `wasmos`: finds the command in the table, parses its options, runs it; and the help.
 *
 * Exit status: 0 done, 1 failed, 2 wrong usage; `run` and `attach` pass the guest's own through. */
#include "shell/internal.h"

#include "base/file.h"
#include "base/os_device.h"
#include "shell/system.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct row {
	const struct command *command;
	const char *group;
} table[] = {
#define COMMAND(name, group) {&command_##name, group},
#include "shell/commands.def"
#undef COMMAND
};
enum { COMMANDS = sizeof table / sizeof *table };

const struct command *command_at(size_t i)
{
	return i < COMMANDS ? table[i].command : NULL;
}

const struct command *command_called(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(table[i].command->name, name))
			return table[i].command;
	return NULL;
}

/* ---- messages ---- */

/* Names and reasons may come from a guest, a file or another device: nothing in them reaches the terminal as a
 * control sequence. */
static void say(const char *fmt, va_list ap)
{
	char text[4096 + 512];
	vsnprintf(text, sizeof text, fmt, ap);
	text_for_people(text);
	fflush(stdout);
	fprintf(stderr, "wasmos: %s\n", text);
	fflush(stderr);
}

int shell_fail(const struct shell *sh, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	return 1;
}

int shell_usage(const struct shell *sh, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	if (sh && sh->command)
		fprintf(stderr, "Try `wasmos help %s`.\n", sh->command->name);
	else
		fputs("Try `wasmos help`.\n", stderr);
	return 2;
}

/* ---- help ---- */

static void print_overview(FILE *out)
{
	const char *group = NULL;
	fputs("WasmOS runs WebAssembly programs and moves them between your devices while they "
	      "run.\n\n"
	      "Usage: wasmos COMMAND [OPTIONS] ...\n",
	      out);
	for (size_t i = 0; i < COMMANDS; i++) {
		if (!group || strcmp(group, table[i].group))
			fprintf(out, "\n%s:\n", table[i].group);
		group = table[i].group;
		fprintf(out, "  %-10s %s\n", table[i].command->name, table[i].command->summary);
	}
	fputs("\nA first try:\n"
	      "  wasmos run --dir .::/ prog.wasm     run a program; it sees this folder as /\n"
	      "  wasmos ps                           list what runs\n"
	      "  wasmos help run                     everything about one command\n",
	      out);
}

static void print_help(const struct command *c)
{
	printf("Usage: wasmos %s\n\n%c%s.\n", c->usage,
	       c->summary[0] >= 'a' && c->summary[0] <= 'z' ? c->summary[0] - 32 : c->summary[0],
	       c->summary + 1);
	if (c->help)
		printf("\n%s", c->help);
	puts("\nOptions:");
	options_print(c->options);
}

static int help(int argc, char **argv)
{
	if (argc == 0) {
		print_overview(stdout);
		return 0;
	}
	const struct command *c = command_called(argv[0]);
	if (!c)
		return shell_usage(NULL, "there is no command \"%s\"", argv[0]);
	print_help(c);
	return 0;
}

/* ---- main ---- */

static char *home_of(const struct shell *sh)
{
	const char *given = shell_value(sh, "home");
	char *set = given && *given ? NULL : path_env("WASMOS_HOME");
	if (!given || !*given)
		given = set;
	char *home = given && *given ? path_absolute(given) : path_default_home();
	free(set);
	return home;
}

/* `wasmos --home DIR ps` works as `wasmos ps --home DIR`: leading common options are moved behind the command. */
static int find_start(int argc, char **argv, char **moved, int *nmoved)
{
	int i = 1;
	while (i < argc && argv[i][0] == '-') {
		bool with_value = !strcmp(argv[i], "--home");
		if (!with_value && strncmp(argv[i], "--home=", 7) && strcmp(argv[i], "--json"))
			break;
		moved[(*nmoved)++] = argv[i++];
		if (with_value && i < argc)
			moved[(*nmoved)++] = argv[i++];
	}
	return i;
}

/* A command whose output was lost has failed. */
static int written(const struct shell *sh, int status)
{
	if (fflush(stdout) != 0 && !status)
		status = shell_fail(sh, "standard output cannot be written to");
	return status;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	struct shell sh = {.command = command};
	int status = options_parse(&sh, argc, argv);
	if (status == -1) {
		print_help(command);
		status = 0;
	} else if (!status) {
		sh.home = home_of(&sh);
		status = sh.home ? command->run(&sh) : shell_fail(&sh, "out of memory");
	}
	status = written(&sh, status);
	free(sh.home);
	free(sh.given);
	free(sh.list);
	free(sh.args);
	return status;
}

int main(int argc, char **argv)
{
	os_device_begin();
	if (!system_begin(&argc, &argv))
		return 1;
	char **args = calloc((size_t)argc + 1, sizeof *args);
	int nargs = 0;
	if (!args)
		return 1;
	int at = find_start(argc, argv, args, &nargs), status;
	const char *name = at < argc ? argv[at] : NULL;
	const struct command *command = name ? command_called(name) : NULL;
	for (int i = at + 1; i < argc; i++)
		args[nargs++] = argv[i];
	if (command) {
		status = run_command(command, nargs, args);
	} else if (!name) {
		print_overview(stderr);
		status = 2;
	} else if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h")) {
		status = written(NULL, help(argc - at - 1, argv + at + 1));
	} else if (!strcmp(name, "--version") || !strcmp(name, "version")) {
		puts("wasmos " WASMOS_VERSION);
		status = 0;
	} else {
		status = shell_usage(NULL, "there is no %s \"%s\"",
		                     name[0] == '-' ? "option" : "command", name);
	}
	free(args);
	return status;
}
