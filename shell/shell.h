/* shell.h - the `wasmos` command: the table of its commands and what they share.
 *
 * To add a command: a row in shell/commands.def, and a file shell/cmd_NAME.c with
 * `const struct command command_NAME = {...}` (and its name in shell/meson.build). Options are parsed
 * from the table the command declares, so that all commands behave alike: --json, --home, --help work
 * everywhere, unknown options give one clear error and exit status 2. A command returns the exit
 * status: 0 done, 1 failed, 2 wrong usage.
 *
 *	static const struct option options[] = {
 *		{"all", 'a', OPTION_FLAG, NULL, "also those that have ended"}, {0}};
 *	static int run(struct shell *sh)
 *	{
 *		struct client *c;
 *		if (client_open(sh, &c) != 0)            // says why itself
 *			return 1;
 *		client_request(c, "ps");
 *		client_put_flag(c, "all", shell_flag(sh, "all"));
 *		return client_table(sh, c, "pid:PID state:STATE name:NAME");
 *	}
 *	const struct command command_ps = {.name = "ps", .usage = "ps [-a] [--json]", .run = run,
 *		.summary = "list processes", .help = "...", .options = options};
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shell;
struct client;

enum option_kind {
	OPTION_END,
	OPTION_FLAG,  /* --all or -a */
	OPTION_VALUE, /* --name X or --name=X or -n X */
	OPTION_LIST,  /* a value that may be given several times */
};

struct option {
	const char *name; /* without "--" */
	char letter;      /* 0: none */
	enum option_kind kind;
	const char *value; /* what the help calls the value: "NAME" */
	const char *help;
};

struct command {
	const char *name;
	const char *usage;            /* "run [OPTIONS] PROG.wasm [ARGS...]" */
	const char *summary;          /* one line, small letter, no full stop */
	const char *help;             /* paragraphs and examples, or NULL */
	const struct option *options; /* ended by {0} or NULL; --json --home --help need no row */
	int min_args, max_args;       /* max_args < 0: any number */
	bool rest; /* the first operand ends the options: what follows belongs to the guest */
	int (*run)(struct shell *sh);
};

#define COMMAND(name, group) extern const struct command command_##name;
#include "shell/commands.def"
#undef COMMAND

/* ---- what the user typed ---- */

int shell_argc(const struct shell *sh);               /* operands, without options */
const char *shell_arg(const struct shell *sh, int i); /* NULL past the end */
char *const *shell_args(const struct shell *sh);
bool shell_flag(const struct shell *sh, const char *option);
const char *shell_value(const struct shell *sh,
                        const char *option); /* the last one given; NULL when not given */
/* A number from min to max behind the option, left alone when it was not given. 0, or 2 after saying what is wrong.
 * unit: "seconds". */
int shell_count(const struct shell *sh, const char *option, const char *unit, uint32_t min,
                uint32_t max, uint32_t *out);
/* Every value of an OPTION_LIST; *count may be 0. */
const char *const *shell_list(const struct shell *sh, const char *option, uint32_t *count);
bool shell_json(const struct shell *sh);
const char *shell_home(const struct shell *sh); /* absolute */

/* Each writes "wasmos: text" to stderr. Returns 1, and 2 with a hint where the help is. */
int shell_fail(const struct shell *sh, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int shell_usage(const struct shell *sh, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- talking to the node: one request a client, blocking ---- */

/* 0, or 1 after saying that no node is up and what to do about it. */
int client_open(struct shell *sh, struct client **out);
/* The same, and starts a node when there is none. */
int client_open_or_start(struct shell *sh, struct client **out);
/* The same, and begins the request `name` about the process whose PID is the first operand. 2 when that is no
 * number. */
int client_open_pid(struct shell *sh, const char *name, struct client **out);
/* The same, where the operand may also be DEVICE:PID: a process of another device. */
int client_open_place(struct shell *sh, const char *name, struct client **out);
void client_close(struct client *c);
/* Begins the request; then arguments, then one of the sending functions below. */
void client_request(struct client *c, const char *name);
void client_put_u64(struct client *c, const char *key, uint64_t v);
void client_put_str(struct client *c, const char *key, const char *v);
void client_put_flag(struct client *c, const char *key, bool v);
void client_put_bytes(struct client *c, const char *key, const void *bytes, size_t size);
void client_put_list(struct client *c, const char *key, const char *const *v, uint32_t count);

/* Sends the request, prints the rows, closes the client, returns the exit status (errors are said).
 * columns: "KEY:TITLE KEY:TITLE ..." for people, values of other keys are left to --json, which
 * prints a list of all rows with all keys. */
int client_table(struct shell *sh, struct client *c, const char *columns);
/* The same for requests with one row: --json prints one object; people get printf-like text, where
 * {KEY} stands for a value: "moved {pid} to {peer}: pause {pause_ms} ms\n". text NULL: nothing. */
int client_report(struct shell *sh, struct client *c, const char *text);
/* For everything else: sends, then rows one by one. Returns 1 when a row came, 0 at the end
 * (*status is then the exit status; errors have been said). Values are read with the functions
 * below and live until the next call. */
int client_next(struct shell *sh, struct client *c, int *status);
bool row_u64(const struct client *c, const char *key, uint64_t *out);
bool row_f64(const struct client *c, const char *key, double *out);
const char *row_str(const struct client *c, const char *key); /* NULL when missing */
const void *row_bytes(const struct client *c, const char *key, size_t *size);
bool row_flag(const struct client *c, const char *key);
/* Prints the present row as one JSON object and a line end (for progress with --json). */
void row_print_json(const struct client *c);
