/* cmd_down.c - `wasmos down`: ends the node and waits until it is gone. */
#include "shell/internal.h"

#include "base/os_thread.h"
#include "node/home.h"

static const struct option options[] = {
    {"end", 0, OPTION_FLAG, NULL, "end all programs: none goes on with the next up"},
    {0},
};

enum { WAIT_MS = 30000, STEP_MS = 5 };

/* The home's lock is free once the node is really gone. */
static bool wait_for_lock(const char *home)
{
	for (int ms = 0; ms < WAIT_MS; ms += STEP_MS) {
		if (home_is_free(home))
			return true;
		os_sleep_ns(STEP_MS * UINT64_C(1000000));
	}
	return false;
}

static int run(struct shell *sh)
{
	struct client *c;
	if (client_open(sh, &c) != 0)
		return 1;
	client_request(c, "down");
	client_put_flag(c, "end", shell_flag(sh, "end"));
	int failed = client_encode(c) || client_flush(c), status;
	struct busy *busy = failed ? NULL : busy_begin(sh);
	while (!failed && client_read(c)) {
		int n = client_take(c);
		if (n)
			busy_end(&busy);
		if (n > 0 && client_is_end(c, &status)) {
			client_close(c);
			return status;
		}
	}
	client_close(c);
	failed = failed || !wait_for_lock(sh->home);
	busy_end(&busy);
	if (failed)
		return shell_fail(sh,
		                  "the node in %s does not end; its process number is in %s/lock",
		                  sh->home, sh->home);
	return 0;
}

const struct command command_down = {
    .name = "down",
    .usage = "down [--end]",
    .summary = "end this device's node",
    .help =
        "Returns when the node is gone. Programs in the background are put to sleep on disk and "
        "go on\n"
        "with the next `wasmos up`; those that a `wasmos run` waits for end. When a program "
        "cannot be kept\n(the disk is full, or it is being moved), the node stays up and says "
        "so.\n",
    .options = options,
    .run = run,
};
