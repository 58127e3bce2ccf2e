/* console.h - the terminal (or pipes) that this command was started from.
 *
 * Standard input is read here and nowhere else while a console is open. One thread. One file a system implements it
 * (console_linux.c), chosen by the build.
 *
 *	struct console *c = console_open(true);
 *	for (;;) {
 *		unsigned what = console_wait(c, wire, true);
 *		if (what & CONSOLE_INPUT) n = console_read(c, buf, sizeof buf);
 *		if (what & CONSOLE_EVENT) while ((e = console_event(c))) ...
 *	}
 *	console_close(c);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire;

/* ---- without a console ---- */

/* Whether stream 0, 1 or 2 is a terminal. */
bool console_is_terminal(int stream);
/* Cells of the terminal. False: there is none. */
bool console_size(uint16_t *cols, uint16_t *rows);
/* All of it, to standard output (1) or error (2), however long that takes. */
void console_write(int stream, const char *bytes, size_t size);

/* ---- a console ---- */

struct console;

/* joins: standard input is read, its terminal's modes are changed and interrupts are told as events; without, only
 * changes of size are. NULL: out of memory. */
struct console *console_open(bool joins);
/* Modes as they were before. A screen that was drawn in raw mode is left. */
void console_close(struct console *c);
/* console_write() of what a program wrote, which may hold escape sequences. */
void console_show(struct console *c, int stream, const char *bytes, size_t size);
/* Standard input is a terminal, and ours to change. */
bool console_types(const struct console *c);
/* Raw: every key as it is typed. Else lines with echo; ^P and ^Q (control P, control Q) arrive at once all the same. Nothing where input is no
 * terminal. */
void console_set_raw(struct console *c, bool raw);

enum { CONSOLE_NODE = 1, CONSOLE_INPUT = 2, CONSOLE_EVENT = 4, CONSOLE_BROKEN = 8 };

/* Waits until the node (NULL: none) has sent something, there is input (reads), or an event. Which of them; 0: ask again. */
unsigned console_wait(struct console *c, const struct wire *node, bool reads);

enum { CONSOLE_END = 0, CONSOLE_NOTHING = -1, CONSOLE_GONE = -2 };

/* Bytes read; END: end of file, at a terminal one of many; NOTHING: none now; GONE: input cannot be read any more. */
long console_read(struct console *c, void *buf, size_t size);

/* Events: what the guest's exit status calls signals, and a new size. */
enum { CONSOLE_HANGUP = 1, CONSOLE_INTERRUPT = 2, CONSOLE_TERMINATE = 15, CONSOLE_RESIZED = 1000 };

/* The next event; 0: none. */
int console_event(struct console *c);
