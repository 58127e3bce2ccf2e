/* internal.h - what main.c, options.c, client.c and rows.c of the `wasmos` command share. Commands include shell.h only. */
#pragma once

#include "node/control/door.h"
#include "proto/control.h"
#include "shell/shell.h"

enum { SHELL_LIST_MAX = 4096 };

struct given {
	const struct option *option;
	const char *value;
};

struct shell {
	const struct command *command;
	char *home; /* owned, absolute */
	bool json;
	struct given *given; /* options in the order they were typed */
	uint32_t ngiven;
	const char **list; /* scratch of shell_list() */
	char **args;
	int nargs;
	intptr_t verdict_fd; /* system_tell() */
};

/* Options and operands after the command's name. 0; 2 after a clear message; -1: help was asked for. */
int options_parse(struct shell *sh, int argc, char **argv);
/* The option that an argument names, "--on=desk" or "-n7"; *value is what stands behind it in the same argument, or NULL.
 * NULL: the command has none such. */
const struct option *options_look_up(const struct shell *sh, const char *arg, const char **value);
const struct option *options_common(void); /* that every command has */
/* The table of commands. NULL: past its end; none is called so. */
const struct command *command_at(size_t i);
const struct command *command_called(const char *name);
void options_print(const struct option *options);
/* text as the number of a process; says what is wrong and returns false. */
bool options_pid(const struct shell *sh, const char *text, uint64_t *out);

struct client {
	struct shell *shell;
	struct wire *wire;
	struct control_map request;
	struct wr in, out;
	size_t in_start;
	struct control_values row;
	struct busy *busy; /* NULL, or until the next answer comes */
};

/* Whether a node answers on the home's socket. */
bool client_is_up(struct shell *sh);

/* ---- for client_next() and the terminal (terminal.c) ---- */

/* Encodes the request (or input) begun into c->out. */
int client_encode(struct client *c);
/* Writes c->out whole. 0; 1: the node is gone. */
int client_flush(struct client *c);
/* The next frame that has been read already into c->row. 1; 0: none whole; -1: hostile bytes, said. */
int client_take(struct client *c);
/* Reads what is there into c->in. false: the node is gone. */
bool client_read(struct client *c);
/* When the row is the end: true, and *status is the exit status (errors are said). */
bool client_is_end(struct client *c, int *status);

/* ---- busy.c ---- */

/* After a second a terminal shows what is being done, and for how long. NULL: no terminal, or JSON. */
struct busy *busy_begin(const struct shell *sh);
/* Takes it away, before anything else is printed. *b may be NULL, and is then. */
void busy_end(struct busy **b);

/* ---- rows.c ---- */
/* Control characters (of UTF-8 too, U+0080 to U+009F) and bytes that are no UTF-8 become '?'; line ends and tabs stay. */
void text_for_people(char *text);
void json_text(const char *text);
void json_row(const struct control_values *v);
