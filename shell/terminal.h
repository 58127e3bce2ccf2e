/* terminal.h - this terminal (or pipe) joined to a guest's: what `run` and `attach` do once they have a process.
 *
 * Input goes to the guest, output to stdout and stderr, window size and signals along with them, until the guest
 * ends (then its exit status is the result), the person detaches with ^P ^Q, or the node is gone. The local
 * terminal edits lines and ^C ends the guest, unless the guest asked for raw keys. Modes are restored at the end.
 *
 *	client_request(c, "attach"); client_put_u64(c, "pid", pid);
 *	terminal_put_size(c);
 *	status = terminal_session(sh, c, TERMINAL_ATTACHED);
 */
#pragma once

#include "shell/shell.h"

enum terminal_flags {
	TERMINAL_ATTACHED =
	    1, /* the program is not ours: a hang-up of this terminal leaves it alone */
	TERMINAL_FOLLOW = 2, /* output only */
};

/* Arguments cols and rows, when there is a terminal. */
void terminal_put_size(struct client *c);
/* Sends the request, stays until the end, closes the client. Returns the exit status. */
int terminal_session(struct shell *sh, struct client *c, unsigned flags);
