/* system.h - how this command is started, and starts itself again, on this system.
 *
 *	int main(int argc, char **argv)
 *	{
 *		if (!system_begin(&argc, &argv)) return 1;
 *
 * One file a system implements it (system_linux.c), chosen by the build. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct shell;

/* At the start of main(): standard streams that are closed become empty ones (else the next thing opened would be
 * taken for one), arguments are UTF-8. False: the program cannot go on. */
bool system_begin(int *argc, char ***argv);
/* Runs `wasmos up --quiet --home HOME` to its end, with our standard streams: it says itself why it failed. True: it
 * worked. */
bool system_run_up(struct shell *sh, const char *home);
/* Goes on in a process of its own, that no terminal belongs to, which calls fn(sh, ctx) and ends with what it
 * returns. That process tells the one the person started: what it gave to system_tell() is in verdict. Returns its
 * process number; 0: it could not be started, or ended before it said anything. */
long system_background(struct shell *sh, int (*fn)(struct shell *sh, void *ctx), void *ctx,
                       void *verdict, size_t size);
/* In the background process: says how it went, once, and when it goes on (stays) leaves the terminal: nothing comes in, and what libraries
 * print goes to HOME/stderr. */
void system_tell(struct shell *sh, const char *home, bool stays, const void *verdict, size_t size);
/* From now on who wants to end this program (^C, a kill) is not obeyed but seen by system_is_interrupted(), so that it can tidy up. Where a
 * system has no such thing the program ends as ever. */
void system_hold_interrupts(void);
bool system_is_interrupted(void);
