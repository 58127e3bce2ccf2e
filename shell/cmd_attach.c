/* cmd_attach.c - `wasmos attach PID`: this terminal becomes the program's. */
#include "shell/terminal.h"

static int run(struct shell *sh)
{
	struct client *c;
	int status = client_open_place(sh, "attach", &c);
	if (status)
		return status;
	terminal_put_size(c);
	return terminal_session(sh, c, TERMINAL_ATTACHED);
}

const struct command command_attach = {
    .name = "attach",
    .usage = "attach [DEVICE:]PID",
    .summary = "join this terminal to a program that runs",
    .help = "Shows its recent output, then what it writes; what you type goes to it. ^P ^Q "
            "(control P, control Q)\n"
            "detaches and leaves it running; ^C ends it, unless it reads keys itself. The program "
            "may move to another\n"
            "device meanwhile: this terminal stays joined to it. One that moved away from here is "
            "found where it is\n"
            "now; DEVICE:PID is one of a paired device, by its number there (ps --on DEVICE). "
            "Several terminals may be\n"
            "joined to one program: what one types all see, and the one that came or changed its "
            "size last gives the\n"
            "size.\n",
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
