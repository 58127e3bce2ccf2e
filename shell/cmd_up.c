/* cmd_up.c - `wasmos up`: the node itself, in the background or the foreground. */
#include "shell/internal.h"

#include "node/link.h"
#include "node/node.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct option options[] = {
    {"name", 'n', OPTION_VALUE, "NAME",
     "what your other devices call this one (default: the host's name)"},
    {"foreground", 'f', OPTION_FLAG, NULL, "stay in this terminal and log to it; ^C ends the node"},
    {"listen", 'l', OPTION_VALUE, "ADDR:PORT", "where other devices reach this one"},
    {"display", 0, OPTION_VALUE, "KIND",
     "auto, sdl2, terminal or headless: where programs' screens appear"},
    {"verbose", 'v', OPTION_FLAG, NULL, "log more"},
    {"quiet", 'q', OPTION_FLAG, NULL,
     "say nothing when it worked; it is fine when a node is up already"},
    {0},
};

enum { BUSY_MAX_MS = 5000, BUSY_STEP_MS = 20 };

static struct node_config config(struct shell *sh)
{
	return (struct node_config){
	    .home = shell_home(sh),
	    .name = shell_value(sh, "name"),
	    .listen = shell_value(sh, "listen"),
	    .display = shell_value(sh, "display"),
	    .foreground = shell_flag(sh, "foreground"),
	    .log_level = shell_flag(sh, "verbose") ? LOG_DEBUG : LOG_INFO,
	};
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
		nanosleep(&(struct timespec){.tv_nsec = BUSY_STEP_MS * 1000000}, NULL);
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

/* The background node's standard streams: nothing in, and what libraries print goes to <home>/stderr. */
static void leave_terminal(const char *home)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/stderr", home);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int err = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(err >= 0 ? err : null, STDERR_FILENO);
	if (chdir("/") != 0)
		return;
}

/* What the background process tells the one the person started. */
struct verdict {
	enum err err;
	struct errmsg msg;
	char address[LINK_ADDRESS_SIZE]; /* where other devices reach it */
};

static void background(struct shell *sh, int pipe_fd)
{
	struct node_config cfg = config(sh);
	struct node *n = NULL;
	struct verdict v = {0};
	sigset_t none;
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	v.err = open_node(sh, &cfg, &n, &v.msg);
	if (v.err == ERR_OK) {
		link_own_addresses(n, &v.address, 1);
		leave_terminal(cfg.home);
	}
	if (write(pipe_fd, &v, sizeof v) != sizeof v)
		exit(1);
	close(pipe_fd);
	if (v.err != ERR_OK)
		exit(1);
	node_run(n);
	node_close(n);
	exit(0);
}

static int daemonise(struct shell *sh)
{
	int fds[2];
	struct verdict v = {.err = ERR_IO, .msg = {"the node ended before it was up"}};
	if (pipe2(fds, O_CLOEXEC) != 0)
		return shell_fail(sh, "pipe: %s", strerror(errno));
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return shell_fail(sh, "fork: %s", strerror(errno));
	if (pid == 0) {
		close(fds[0]);
		background(sh, fds[1]);
	}
	close(fds[1]);
	ssize_t n;
	do
		n = read(fds[0], &v, sizeof v);
	while (n < 0 && errno == EINTR);
	close(fds[0]);
	if (v.err != ERR_OK || n != sizeof v)
		return fail(sh, v.err, &v.msg);
	if (!shell_flag(sh, "quiet"))
		printf(
		    "The node is up (process %d). Its home is %s; other devices reach it at %s.\n",
		    (int)pid, shell_home(sh), v.address);
	return 0;
}

static int run(struct shell *sh)
{
	if (!good_display(shell_value(sh, "display")))
		return shell_usage(sh, "there is no display called \"%s\"",
		                   shell_value(sh, "display"));
	return shell_flag(sh, "foreground") ? foreground(sh) : daemonise(sh);
}

const struct command command_up = {
    .name = "up",
    .usage = "up [--name NAME] [--foreground] [--listen ADDR:PORT] [--display KIND]",
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
