/* cmd_up.c - `wasmos up`: the node itself, in the background or the foreground. */
#include "shell/internal.h"

#include "base/os_thread.h"
#include "node/links/link.h"
#include "node/node.h"
#include "shell/config.h"
#include "shell/system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option options[] = {
#define SETTING(id, key, letter, kind, preset, min, max, allowed, value, when, help) \
	{key, letter, OPTION_VALUE, value, help},
#include "node/service/settings.def"
#undef SETTING
    {"config", 0, OPTION_VALUE, "FILE",
     "read settings from here (default: HOME/config, where there is one)"},
    {"foreground", 'f', OPTION_FLAG, NULL, "stay in this terminal and log to it; ^C ends the node"},
    {"verbose", 'v', OPTION_FLAG, NULL, "log more: --log-level debug"},
    {"quiet", 'q', OPTION_FLAG, NULL,
     "say nothing when it worked; it is fine when a node is up already"},
    {0},
};

enum { BUSY_MAX_MS = 5000, BUSY_STEP_MS = 20 };

/* Of one `up`, until its node is down. */
struct up {
	struct shell *shell;
	struct settings settings, again; /* as it was started; as its file says now */
	struct node_config cfg_again;
};

static struct node_config config(struct shell *sh, const struct settings *s)
{
	struct node_config cfg = {.home = shell_home(sh),
	                          .foreground = shell_flag(sh, "foreground")};
	settings_apply(s, &cfg);
	return cfg;
}

/* A node_config.reread. */
static const struct node_config *reread(void *ctx, struct errmsg *msg)
{
	struct up *up = ctx;
	settings_end(&up->again);
	if (config_load(up->shell, &up->again, msg) != ERR_OK)
		return NULL;
	up->cfg_again = config(up->shell, &up->again);
	return &up->cfg_again;
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

static int foreground(struct up *up)
{
	struct shell *sh = up->shell;
	struct node_config cfg = config(sh, &up->settings);
	struct node *n;
	struct errmsg msg = {0};
	cfg.reread = reread;
	cfg.reread_ctx = up;
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
	struct up *up = ctx;
	struct node_config cfg = config(sh, &up->settings);
	struct node *n = NULL;
	struct verdict v = {0};
	cfg.reread = reread;
	cfg.reread_ctx = up;
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

static int daemonise(struct up *up)
{
	struct shell *sh = up->shell;
	struct verdict v = {0};
	long pid = system_background(sh, background, up, &v, sizeof v);
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
	struct up up = {.shell = sh};
	struct errmsg msg = {0};
	enum err e = config_load(sh, &up.settings, &msg);
	int status = e != ERR_OK                    ? config_fail(sh, e, &up.settings, &msg)
	             : shell_flag(sh, "foreground") ? foreground(&up)
	                                            : daemonise(&up);
	settings_end(&up.settings);
	settings_end(&up.again);
	return status;
}

const struct command command_up = {
    .name = "up",
    .usage = "up [--name NAME] [--foreground] [--listen ADDR:PORT] [--config FILE] [OPTIONS]",
    .summary = "start this device's node",
    .help =
        "A node runs programs and talks to the nodes of your other devices. One serves one "
        "home folder;\n"
        "`wasmos run` starts one by itself when none is up. Several nodes can run on one "
        "machine, each with a\n"
        "home of its own:\n\n"
        "  wasmos up\n"
        "  wasmos --home /tmp/second up --name second\n\n"
        "What it does is written to HOME/log. All but the last four options are settings, which "
        "may also stand in\n"
        "a config file: `wasmos config` lists them.\n",
    .options = options,
    .run = run,
};
