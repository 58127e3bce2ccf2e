/* own_terminal.h - the terminal that this program itself was started from, for a display drawn in it (run --solo).
 *
 *	if (own_terminal_is_there()) t = own_terminal_new(on_keys, ctx);
 *	own_terminal_raw(t, true);       // from now on on_keys() is called, on a thread of the terminal's
 *	own_terminal_raw(t, false);      // from now on it is not
 *	own_terminal_free(t);
 *
 * While it is raw, a signal that ends this program (SIGTERM, SIGHUP ...) does so when the terminal is as it was before; the thread that makes it raw
 * is the only one that does not block such signals (os_thread.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct own_terminal;

/* Colours, keyboard and mouse reports off, cursor on, the screen from before (xterm's control sequences). */
#define OWN_TERMINAL_OFF "\x1b[0m\x1b[<u\x1b[?1006l\x1b[?1000l\x1b[?25h\x1b[?1049l"

/* Standard input and output are a terminal. */
bool own_terminal_is_there(void);
/* NULL: out of memory. */
struct own_terminal *own_terminal_new(void (*on_keys)(void *ctx, const uint8_t *bytes, size_t size),
                                      void *ctx);
/* Not raw any more. NULL is fine. */
void own_terminal_free(struct own_terminal *t);
/* Every key as it is typed, ^C too; false: as it was before. Nothing when that cannot be. */
void own_terminal_raw(struct own_terminal *t, bool raw);
/* Returns how many bytes it took. */
size_t own_terminal_write(struct own_terminal *t, const void *bytes, size_t size);
void own_terminal_size(struct own_terminal *t, uint16_t *columns, uint16_t *rows);
/* Ends the program with this status; the terminal is as it was before. Any thread. */
_Noreturn void own_terminal_exit(struct own_terminal *t, int status);
