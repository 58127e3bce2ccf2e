/* solo_terminal.h - the terminal of a family of Linux programs that runs without a node: the host's, with our own line discipline.
 *
 * Keys come from the host's terminal as they are typed and become lines, echo and signals in a struct tty, as in a node, so that job control
 * is the same; what programs write goes from it to the host's terminal, on a thread of its own.
 *
 *	t = solo_terminal_new(news, signal, ctx);     // both are called on threads of the terminal's, without locks
 *	solo_terminal_use(t, fds);                    // standard streams that are terminals are its from now on
 *	solo_terminal_quiet(t);                       // no calls any more: before ctx goes
 *	solo_terminal_free(t);                        // what was written is shown first
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct family_terminal;
struct fdtable;
struct solo_terminal;
struct vfs_obj;

/* NULL: there is no terminal, or no memory. news: there is input, or the size has changed. */
struct solo_terminal *solo_terminal_new(void (*news)(void *ctx),
                                        void (*signal)(void *ctx, int signal), void *ctx);
void solo_terminal_use(struct solo_terminal *t, struct fdtable *fds);
/* The terminal as an open file. NULL: no memory. */
struct vfs_obj *solo_terminal_open(struct solo_terminal *t, const char **name);
void solo_terminal_set(struct solo_terminal *t, const struct family_terminal *settings);
void solo_terminal_size(struct solo_terminal *t, uint16_t *cols, uint16_t *rows);
void solo_terminal_quiet(struct solo_terminal *t);
/* NULL is fine. */
void solo_terminal_free(struct solo_terminal *t);
