/* cmd_up.c - `wasmos up`: the node itself, in the background or the foreground. */
#include "shell/internal.h"

#include "base/os_thread.h"
#include "node/link.h"
#include "node/node.h"
#include "shell/system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option options[] = {
    {"name", 'n', OPTION_VALUE, "NAME",
     "what your other devices call this one (default: the host's name)"},
    {"foreground", 'f', OPTION_FLAG, NULL, "stay in this terminal and log to it; ^C ends the node"},
    {"listen", 'l', OPTION_VALUE, "ADDR:PORT", "where other devices reach this one"},
    {"display", 0, OPTION_VALUE, "KIND",
     "auto, sdl2, terminal or headless: where programs' screens appear"},
    {"checkpoint", 0, OPTION_VALUE, "SECONDS",
     "how often programs in the background are saved (default: 60; 0: never)"},
    {"low-memory", 0, OPTION_VALUE, "MIB",
     "below so much available memory programs that nobody looks at sleep on disk"},
    {"verbose", 'v', OPTION_FLAG, NULL, "log more"},
    {"quiet", 'q', OPTION_FLAG, NULL,
     "say nothing when it worked; it is fine when a node is up already"},
    {0},
};

enum { BUSY_MAX_MS = 5000, BUSY_STEP_MS = 20, LOW_MEMORY_MAX_MIB = 1 << 24 };

static struct node_config config(struct shell *sh)
{
	struct node_config cfg = {
	    .home = shell_home(sh),
	    .name = shell_value(sh, "name"),
	    .listen = shell_value(sh, "listen"),
	    .display = shell_value(sh, "display"),
	    .foreground = shell_flag(sh, "foreground"),
	    .log_level = shell_flag(sh, "verbose") ? LOG_DEBUG : LOG_INFO,
	    .checkpoint_s = NODE_CHECKPOINT_S,
	};
	uint32_t low_memory_mib = 0;
	shell_count(sh, "checkpoint", "seconds", 0, PROCESS_CHECKPOINT_MAX, &cfg.checkpoint_s);
	shell_count(sh, "low-memory", "MiB", 1, LOW_MEMORY_MAX_MIB, &low_memory_mib);
	cfg.low_memory_bytes = (uint64_t)low_memory_mib << 20;
	return cfg;
}

static bool good_display(const char *name)
{
	return !name || !strcmp(name, "auto") || !strcmp(name, "sdl2") ||
	       !strcmp(name, "terminal") || !strcmp(name, "headless");
}

static int fail(struct shell *sh, enum err e, const struct errmsg *msg)
{
	if (e == ERR_BUSY && shell_flag(sh, "quiet"))
		return 0;
	return e == ERR_USAGE ? shell_usage(sh, "%s", msg->text) : shell_fail(sh, "%s", msg->text);
}

/* A node that was killed holds its home until the system has taken it down: waited for, unless it answers. */
static enum err open_node(struct shell *sh, const struct node_config *cfg, struct node **n,
                          struct errmsg *msg)
{
	enum err e = node_open(cfg, n, msg);
	for (int ms = 0; e == ERR_BUSY && ms < BUSY_MAX_MS && !client_is_up(sh);
	     ms += BUSY_STEP_MS) {
		os_sleep_ns(BUSY_STEP_MS * UINT64_C(1000000));
		*msg = (struct errmsg){0};
		e = node_open(cfg, n, msg);
	}
	return e;
}

static int foreground(struct shell *sh)
{
	struct node_config cfg = config(sh);
	struct node *n;
	struct errmsg msg = {0};
	enum err e = open_node(sh, &cfg, &n, &msg);
	if (e != ERR_OK)
		return fail(sh, e, &msg);
	node_run(n);
	node_close(n);
	return 0;
}

/* What the background process tells the one the person started. */
struct verdict {
	enum err err;
	struct errmsg msg;
	char address[LINK_ADDRESS_SIZE]; /* where other devices reach it */
};

static int background(struct shell *sh, void *ctx)
{
	struct node_config cfg = config(sh);
	struct node *n = NULL;
	struct verdict v = {0};
	v.err = open_node(sh, &cfg, &n, &v.msg);
	if (v.err == ERR_OK)
		link_own_addresses(n, &v.address, 1);
	system_tell(sh, cfg.home, v.err == ERR_OK, &v, sizeof v);
	if (v.err != ERR_OK)
		return 1;
	node_run(n);
	node_close(n);
	return 0;
}

static void report(const struct shell *sh, long pid, const struct verdict *v)
{
	if (!shell_json(sh)) {
		printf(
		    "The node is up (process %ld). Its home is %s; other devices reach it at %s.\n",
		    pid, shell_home(sh), v->address);
		return;
	}
	printf("{\"pid\": %ld, \"home\": ", pid);
	json_text(shell_home(sh));
	fputs(", \"address\": ", stdout);
	json_text(v->address);
	puts("}");
}

static int daemonise(struct shell *sh)
{
	struct verdict v = {0};
	long pid = system_background(sh, background, NULL, &v, sizeof v);
	if (!pid)
		return shell_fail(sh, "the node could not be started, or ended before it was up");
	if (v.err != ERR_OK)
		return fail(sh, v.err, &v.msg);
	if (!shell_flag(sh, "quiet"))
		report(sh, pid, &v);
	return 0;
}

static int run(struct shell *sh)
{
	if (!good_display(shell_value(sh, "display")))
		return shell_usage(sh, "there is no display called \"%s\"",
		                   shell_value(sh, "display"));
	uint32_t checked;
	if (shell_count(sh, "checkpoint", "seconds", 0, PROCESS_CHECKPOINT_MAX, &checked) != 0 ||
	    shell_count(sh, "low-memory", "MiB", 1, LOW_MEMORY_MAX_MIB, &checked) != 0)
		return 2;
	return shell_flag(sh, "foreground") ? foreground(sh) : daemonise(sh);
}

const struct command command_up = {
    .name = "up",
    .usage = "up [--name NAME] [--foreground] [--listen ADDR:PORT] [--display KIND] [--checkpoint "
             "SECONDS]",
    .summary = "start this device's node",
    .help = "A node runs programs and talks to the nodes of your other devices. One serves one "
            "home folder;\n"
            "`wasmos run` starts one by itself when none is up. Several nodes can run on one "
            "machine, each with a\n"
            "home of its own:\n\n"
            "  wasmos up\n"
            "  wasmos --home /tmp/second up --name second\n\n"
            "What it does is written to HOME/log.\n",
    .options = options,
    .run = run,
};
