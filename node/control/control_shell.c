/* control_shell.c - the request "shell": a shell of the system image on this device or on a paired one.
 *
 * The image is a folder with bin/, etc/ and usr/; which one, the first of these says:
 *
 *	the request (`wasmos shell --system DIR`)
 *	the environment variable WASMOS_SYSTEM of the node
 *	HOME/system, a folder or a link to one
 *	/usr/share/wasmos/system
 *	where scripts/userland makes it: $WASMOS_USERLAND/image, $XDG_CACHE_HOME/wasmos/userland/image, ~/.cache/wasmos/userland/image
 *
 * It is the shell's / and cannot be written to; HOME/user/home is its /home/user and HOME/user/var its /var, which stay (a node's own folder and those right
 * in it are for no program: vfs/host_names.h). The shell and what it starts have the
 * control of this node's user: see node/wali/proc.h.
 */
#include "base/arena.h"
#include "base/file.h"
#include "node/links/ask.h"
#include "node/control/control.h"
#include "node/links/net_files.h"
#include "node/node.h"
#include "node/control/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OWN_MOUNTS = 4 };

struct shell_start {
	struct arena arena; /* what the configuration points to */
	struct process_config cfg;
	struct process_mount mounts[PROCESS_MOUNTS_MAX + OWN_MOUNTS];
	char *argv[4], *env[12];
};

static char *join(struct arena *a, const char *left, const char *right)
{
	size_t size = strlen(left) + strlen(right) + 1;
	char *out = left[0] ? arena_alloc(a, 1, size) : NULL;
	if (out)
		snprintf(out, size, "%s%s", left, right);
	return out;
}

/* ---- where the image is ---- */

/* The first of two shells that the folder has, as an absolute path. NULL: none. */
static char *find_shell(struct arena *a, const char *folder)
{
	static const char *const shells[] = {"/bin/bash", "/bin/dash"};
	for (int i = 0; folder && i < 2; i++) {
		char *path = join(a, folder, shells[i]), *real = path ? path_resolve(path) : NULL;
		if (!real)
			continue;
		free(real);
		return path;
	}
	return NULL;
}

static char *env_folder(struct arena *a, const char *name, const char *below)
{
	char *value = path_env(name), *out = value ? join(a, value, below) : NULL;
	free(value);
	return out;
}

static enum err find_image(struct node *n, struct arena *a, const char *given, char **folder,
                           char **shell, struct errmsg *msg)
{
	char *places[] = {
	    env_folder(a, "WASMOS_SYSTEM", ""),
	    join(a, n->cfg.home, "/system"),
	    join(a, "/usr/share/wasmos/system", ""),
	    env_folder(a, "WASMOS_USERLAND", "/image"),
	    env_folder(a, "XDG_CACHE_HOME", "/wasmos/userland/image"),
	    env_folder(a, "HOME", "/.cache/wasmos/userland/image"),
	};
	if (given) {
		*folder = join(a, given, "");
		*shell = find_shell(a, *folder);
		return *shell ? ERR_OK
		              : err_set(msg, ERR_NOTFOUND,
		                        "%s is no system image: it has no bin/bash and no bin/dash",
		                        given);
	}
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		*folder = places[i];
		if ((*shell = find_shell(a, *folder)))
			return ERR_OK;
	}
	return err_set(
	    msg, ERR_NOTFOUND,
	    "%s has no system image: scripts/userland of WasmOS's sources makes one, and "
	    "--system DIR, WASMOS_SYSTEM or %s/system says where another is",
	    n->name, n->cfg.home);
}

/* ---- the program ---- */

/* A folder of the node's home that is made when it is missing. */
static enum err mount_own(struct shell_start *s, struct node *n, const char *below,
                          const char *guest, struct errmsg *msg)
{
	struct dir *made;
	char *path = join(&s->arena, n->cfg.home, below);
	if (!path)
		return ERR_NOMEM;
	TRY(dir_open(path, 0, &made, msg));
	dir_close(made);
	s->mounts[s->cfg.nmounts++] = (struct process_mount){.host = path, .guest = guest};
	return ERR_OK;
}

static enum err set_mounts(struct shell_start *s, struct control_call *c, const char *image,
                           struct errmsg *msg)
{
	struct node *n = control_node(c);
	uint32_t given;
	s->cfg.mounts = s->mounts;
	s->mounts[s->cfg.nmounts++] =
	    (struct process_mount){.host = image, .guest = "/", .readonly = true};
	TRY(mount_own(s, n, "/user/home", "/home/user", msg));
	TRY(mount_own(s, n, "/user/var", "/var", msg));
	s->mounts[s->cfg.nmounts++] =
	    (struct process_mount){.host = NET_HOST_PATH, .guest = NET_GUEST_PATH};
	TRY(run_mounts(c, s->mounts + s->cfg.nmounts, &given, msg));
	s->cfg.nmounts += given;
	if (s->cfg.nmounts > PROCESS_MOUNTS_MAX)
		return err_set(msg, ERR_LIMIT, "at most %d folders can be given to a shell",
		               PROCESS_MOUNTS_MAX - OWN_MOUNTS);
	return ERR_OK;
}

static void add_env(struct shell_start *s, const char *name, const char *value)
{
	char *text = value ? join(&s->arena, name, value) : NULL;
	if (text)
		s->env[s->cfg.nenv++] = text;
}

static void set_env(struct shell_start *s, struct control_call *c, const char *shell)
{
	add_env(s, "PATH=", "/bin:/usr/bin");
	add_env(s, "HOME=", "/home/user");
	add_env(s, "USER=", "user");
	add_env(s, "LOGNAME=", "user");
	add_env(s, "LANG=", "C.UTF-8");
	add_env(s, "SHELL=/bin/", path_last(shell));
	add_env(s, "TERM=", control_str_or(c, "term", NULL));
	add_env(s, "COLORTERM=", control_str_or(c, "colorterm", NULL));
	s->cfg.env = s->env;
}

/* A login shell: it reads /etc/profile. */
static void set_argv(struct shell_start *s, struct control_call *c, char *shell)
{
	const char *command = control_str_or(c, "command", NULL);
	s->argv[0] = (char *)path_last(shell);
	s->argv[1] = "-l";
	s->argv[2] = "-c";
	s->argv[3] = command ? arena_copy(&s->arena, command, strlen(command)) : NULL;
	s->cfg.argv = s->argv;
	s->cfg.argc = s->argv[3] ? 4 : 2;
	s->cfg.path = shell;
	s->cfg.name = path_last(shell);
}

static enum err prepare(struct shell_start *s, struct control_call *c, struct errmsg *msg)
{
	struct node *n = control_node(c);
	const char *given = control_str_or(c, "system", NULL);
	char *image, *shell;
	if (given && !path_is_absolute(given))
		return err_set(msg, ERR_USAGE, "the request needs the absolute path of an image");
	TRY(find_image(n, &s->arena, given, &image, &shell, msg));
	TRY(set_mounts(s, c, image, msg));
	set_argv(s, c, shell);
	set_env(s, c, shell);
	run_terminal(c, &s->cfg.tty);
	s->cfg.tty.attached = true; /* of another device: its client is on the way */
	s->cfg.checkpoint_s = PROCESS_CHECKPOINT_DEFAULT;
	s->cfg.controls = true;
	return ERR_OK;
}

void control_shell(struct node *n, struct control_call *c)
{
	struct shell_start s = {0};
	struct errmsg msg = {0};
	const char *peer = control_str_or(c, "peer", NULL);
	if (peer && strcmp(peer, n->name)) {
		ask_shell(n, c, peer);
		return;
	}
	enum err e = prepare(&s, c, &msg);
	if (e == ERR_OK)
		e = run_net(c, &s.cfg, &msg);
	if (e == ERR_OK)
		run_process(c, &s.cfg);
	else
		control_end(c, e, &msg);
	arena_free(&s.arena);
}
