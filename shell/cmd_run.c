/* cmd_run.c - `wasmos run`: a program on the node, joined to this terminal; detached; or without a node. */
#include "shell/terminal.h"

#include "base/arena.h"
#include "base/file.h"
#include "proto/control.h"
#include "node/sockets/socket.h"
#include "node/solo/solo.h"
#include "shell/console.h"
#include "shell/mounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option options[] = {
    {"detach", 'd', OPTION_FLAG, NULL, "run in the background and print the process number"},
    {"solo", 's', OPTION_FLAG, NULL,
     "run inside this command, without a node (scripts, benchmarks)"},
    {"dir", 0, OPTION_LIST, "HOST[::GUEST][:ro]",
     "the program sees the folder HOST as GUEST; ro: only to read"},
    {"env", 'e', OPTION_LIST, "K=V", "set an environment variable"},
    {"name", 'n', OPTION_VALUE, "NAME", "what ps calls it (default: the file's name)"},
    {"max-memory", 0, OPTION_VALUE, "MIB", "the most memory it may have"},
    {"net", 0, OPTION_VALUE, "MODE",
     "what it may reach: none (only itself), system, lan or all; none unless said"},
    {"publish", 0, OPTION_LIST, "[ADDR:]PORT:GUESTPORT[/udp]",
     "who connects to this port of the host reaches the program's; /udp: its datagrams do"},
    {"checkpoint", 0, OPTION_VALUE, "SECONDS",
     "how often it is saved, to go on from there when the node is killed (0: never)"},
    {"display", 0, OPTION_VALUE, "KIND",
     "where its screen appears: auto, sdl2, terminal or headless"},
    {"frame-hash", 0, OPTION_FLAG, NULL, "hash all frames it shows (in ps --json)"},
    {"unpaced", 0, OPTION_FLAG, NULL, "show frames as fast as they come (tests)"},
    {0},
};

/* Everything about the program, in memory that lives until the command ends. */
struct program {
	char *path;
	struct process_mount mounts[PROCESS_MOUNTS_MAX];
	const char *mount_args[3 * PROCESS_MOUNTS_MAX]; /* as the request has them */
	const char **env;
	const char *const *publish;
	uint32_t npublish;
	struct process_config cfg;
	struct arena arena; /* the strings made here */
};

static void free_program(struct program *p)
{
	arena_free(&p->arena);
	free(p->env);
	free(p->path);
}

/* NULL: out of memory. */
static char *join(struct arena *a, const char *left, const char *right)
{
	size_t n = strlen(left), m = strlen(right);
	char *out = arena_alloc(a, 1, n + m + 1);
	if (out) {
		memcpy(out, left, n);
		memcpy(out + n, right, m + 1);
	}
	return out;
}

static int parse_mounts(struct shell *sh, struct program *p)
{
	p->cfg.mounts = p->mounts;
	return mounts_parse(sh, &p->arena, PROCESS_MOUNTS_MAX, p->mounts, p->mount_args,
	                    &p->cfg.nmounts);
}

/* name: "TERM=" */
static bool env_given(const struct program *p, const char *name)
{
	size_t size = strlen(name);
	for (uint32_t i = 0; i < p->cfg.nenv; i++)
		if (!strncmp(p->env[i], name, size))
			return true;
	return false;
}

/* text: "NAME=VALUE"; it takes the place of what was said about NAME before. */
static void put_env(struct program *p, const char *text)
{
	size_t size = strcspn(text, "=") + 1;
	for (uint32_t i = 0; i < p->cfg.nenv; i++)
		if (!strncmp(p->env[i], text, size)) {
			p->env[i] = text;
			return;
		}
	p->env[p->cfg.nenv++] = text;
}

/* A program at a terminal learns which kind it is. */
static int parse_env(struct shell *sh, struct program *p)
{
	static const char *const passed[] = {"TERM=", "COLORTERM="};
	uint32_t count;
	const char *const *given = shell_list(sh, "env", &count);
	if (count > CONTROL_LIST_MAX - 2)
		return shell_usage(sh, "%u variables are too many: at most %d", count,
		                   CONTROL_LIST_MAX - 2);
	p->env = calloc(count + 2, sizeof *p->env);
	if (!p->env)
		return shell_fail(sh, "out of memory");
	for (uint32_t i = 0; i < count; i++) {
		if (given[i][0] == '=' || !strchr(given[i], '='))
			return shell_usage(sh, "--env %s: it must be NAME=VALUE", given[i]);
		put_env(p, given[i]);
	}
	for (int i = 0; i < 2; i++) {
		char name[16] = "";
		memcpy(name, passed[i], strlen(passed[i]) - 1);
		const char *value = getenv(name);
		if (!value || !p->cfg.tty.is_terminal[TTY_OUT] || env_given(p, passed[i]))
			continue;
		p->env[p->cfg.nenv] = join(&p->arena, passed[i], value);
		if (!p->env[p->cfg.nenv++])
			return shell_fail(sh, "out of memory");
	}
	p->cfg.env = (char *const *)p->env;
	return 0;
}

static int parse_memory(struct shell *sh, struct program *p)
{
	uint32_t mib = 0;
	int bad = shell_count(sh, "max-memory", "MiB", 1, 4096, &mib);
	p->cfg.max_memory_pages = mib * 16;
	return bad;
}

static int parse_checkpoint(struct shell *sh, struct program *p)
{
	p->cfg.checkpoint_s = PROCESS_CHECKPOINT_DEFAULT;
	return shell_count(sh, "checkpoint", "seconds", 0, PROCESS_CHECKPOINT_MAX,
	                   &p->cfg.checkpoint_s);
}

static int parse_net(struct shell *sh, struct program *p)
{
	enum net_mode mode = NET_NONE;
	const char *name = shell_value(sh, "net");
	if (name && !net_mode_find(name, &mode))
		return shell_usage(sh, "--net %s: there are none, system, lan and all", name);
	p->cfg.net_mode = (uint8_t)mode;
	uint32_t count;
	p->publish = shell_list(sh, "publish", &count);
	p->npublish = count;
	if (count && shell_flag(sh, "solo"))
		return shell_usage(sh, "--publish needs a node: not with --solo");
	return 0;
}

static int parse_display(struct shell *sh, struct program *p)
{
	const char *kind = shell_value(sh, "display");
	if (kind && strcmp(kind, "auto") && strcmp(kind, "sdl2") && strcmp(kind, "terminal") &&
	    strcmp(kind, "headless"))
		return shell_usage(sh, "--display %s: there are auto, sdl2, terminal and headless",
		                   kind);
	p->cfg.display = (struct display_options){.display = kind,
	                                          .frame_hash = shell_flag(sh, "frame-hash"),
	                                          .unpaced = shell_flag(sh, "unpaced")};
	return 0;
}

/* The program's own name is a path too: one that goes by its last component (clang, busybox) knows '/' only. */
static int parse_args(struct shell *sh, struct program *p)
{
	const char *file = shell_arg(sh, 0);
	char *name = arena_copy(&p->arena, file, strlen(file));
	p->cfg.argc = (uint32_t)shell_argc(sh);
	if (p->cfg.argc > CONTROL_LIST_MAX)
		return shell_usage(sh, "%u arguments are too many: at most %d", p->cfg.argc,
		                   CONTROL_LIST_MAX);
	char **argv = ARENA_NEW(&p->arena, char *, p->cfg.argc);
	if (!name || !argv)
		return shell_fail(sh, "out of memory");
	memcpy(argv, shell_args(sh), p->cfg.argc * sizeof *argv);
	path_to_guest(name);
	argv[0] = name;
	p->cfg.argv = argv;
	return 0;
}

static int parse_program(struct shell *sh, struct program *p)
{
	const char *file = shell_arg(sh, 0);
	if (!(p->path = path_resolve(file)))
		return shell_fail(sh, "there is no file \"%s\"", file);
	p->cfg.path = p->path;
	p->cfg.name = shell_value(sh, "name");
	int bad = parse_args(sh, p);
	bool detached = shell_flag(sh, "detach"); /* whoever attaches later has a terminal */
	for (int s = 0; s < TTY_STREAMS; s++)
		p->cfg.tty.is_terminal[s] = detached || console_is_terminal(s);
	bad = bad ? bad : parse_mounts(sh, p);
	bad = bad ? bad : parse_env(sh, p);
	bad = bad ? bad : parse_memory(sh, p);
	bad = bad ? bad : parse_checkpoint(sh, p);
	bad = bad ? bad : parse_net(sh, p);
	return bad ? bad : parse_display(sh, p);
}

/* ---- on the node ---- */

static void put_program(struct client *c, const struct program *p)
{
	const struct process_config *cfg = &p->cfg;
	client_request(c, "run");
	client_put_str(c, "path", cfg->path);
	client_put_list(c, "argv", (const char *const *)cfg->argv, cfg->argc);
	client_put_list(c, "env", p->env, cfg->nenv);
	client_put_list(c, "mounts", p->mount_args, 3 * cfg->nmounts);
	client_put_flag(c, "in_terminal", cfg->tty.is_terminal[TTY_IN]);
	client_put_flag(c, "out_terminal", cfg->tty.is_terminal[TTY_OUT]);
	client_put_flag(c, "err_terminal", cfg->tty.is_terminal[TTY_ERR]);
	client_put_u64(c, "max_memory_pages", cfg->max_memory_pages);
	client_put_u64(c, "checkpoint_s", cfg->checkpoint_s);
	client_put_str(c, "net", net_mode_name((enum net_mode)cfg->net_mode));
	client_put_list(c, "publish", p->publish, p->npublish);
	if (cfg->name)
		client_put_str(c, "name", cfg->name);
	if (cfg->display.display)
		client_put_str(c, "display", cfg->display.display);
	client_put_flag(c, "frame_hash", cfg->display.frame_hash);
	client_put_flag(c, "unpaced", cfg->display.unpaced);
	terminal_put_size(c);
}

static int run_detached(struct shell *sh, struct client *c)
{
	client_put_flag(c, "detached", true);
	return client_report(sh, c, "{pid}\n");
}

static int run_on_node(struct shell *sh, const struct program *p)
{
	struct client *c;
	if (client_open_or_start(sh, &c) != 0)
		return 1;
	put_program(c, p);
	return shell_flag(sh, "detach") ? run_detached(sh, c) : terminal_session(sh, c, 0);
}

static int run_solo(struct shell *sh, const struct program *p)
{
	struct errmsg msg = {0};
	int status = 1;
	if (shell_flag(sh, "detach"))
		return shell_usage(
		    sh, "--solo and --detach do not go together: without a node nothing stays");
	if (solo_run(&p->cfg, &status, &msg) != ERR_OK)
		return shell_fail(sh, "%s", msg.text);
	return status;
}

static int run(struct shell *sh)
{
	struct program p = {0};
	int status = parse_program(sh, &p);
	if (!status)
		status = shell_flag(sh, "solo") ? run_solo(sh, &p) : run_on_node(sh, &p);
	free_program(&p);
	return status;
}

const struct command command_run = {
    .name = "run",
    .usage = "run [-d] [--solo] [--dir HOST::GUEST] [--env K=V] [--net MODE] PROG.wasm [ARGS...]",
    .summary = "run a program",
    .help = "Starts the node if none is up. The program's standard streams are this terminal's (or "
            "pipe's), and its\n"
            "exit status becomes this command's; a trap is 134, ^C 130, `wasmos kill` 137. It sees "
            "no file but what\n"
            "--dir shows it. ^P ^Q (control P, control Q) detaches: it runs on, and `wasmos attach "
            "PID` comes back.\n\n"
            "  wasmos run --dir .::/ prog.wasm in.txt      this folder is the program's /\n"
            "  wasmos run --dir ~/music::/music:ro prog.wasm\n"
            "  echo hello | wasmos run cat.wasm\n"
            "  wasmos run -d server.wasm                   prints the process number\n\n"
            "What follows PROG.wasm belongs to the program, options too.\n",
    .options = options,
    .min_args = 1,
    .max_args = -1,
    .rest = true,
    .run = run,
};
