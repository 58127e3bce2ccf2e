/* control_process.c - requests about the node and its processes: status, down, ps, kill, run, attach, logs. */
#include "base/file.h"
#include "base/os.h"
#include "engine/engine.h"
#include "node/links/ask.h"
#include "node/moves/asleep.h"
#include "node/control/awake.h"
#include "node/moves/checkpoint.h"
#include "node/control/control.h"
#include "node/links/devices.h"
#include "node/drivers/drivers.h"
#include "node/moves/keeper.h"
#include "node/links/link.h"
#include "node/moves/moves.h"
#include "node/process/kin.h"
#include "node/node.h"
#include "node/terminal/relay.h"
#include "node/control/run.h"
#include "node/moves/saver.h"
#include "node/terminal/session.h"
#include "node/sockets/outside.h"
#include "node/wali/wali.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void control_status(struct node *n, struct control_call *c)
{
	control_row(c);
	control_put_str(c, "name", n->name);
	control_put_u64(c, "pid", (uint64_t)uv_os_getpid());
	control_put_str(c, "version", WASMOS_VERSION);
	control_put_str(c, "home", n->cfg.home);
	control_put_hex(c, "device", n->device_id, sizeof n->device_id);
	char listen[LINK_ADDRESS_SIZE];
	link_local_address(n, listen);
	control_put_str(c, "listen", listen);
	control_put_u64(c, "processes", n->table.alive);
	control_put_i64(c, "started_unix_ms", n->started_unix_ms);
	control_end(c, ERR_OK, NULL);
}

struct down {
	struct control_call *call; /* NULL: the client is gone */
};

static void down_gone(void *ctx)
{
	((struct down *)ctx)->call = NULL;
}

static void down_decided(void *ctx, const struct errmsg *why)
{
	struct down *d = ctx;
	if (d->call && !why)
		control_on_gone(d->call, NULL, NULL);
	else if (d->call)
		control_fail(d->call, ERR_STATE,
		             "%s; so the node stays up and nothing was ended (`wasmos down --end` "
		             "ends all programs)",
		             why->text);
	free(d);
}

/* The answer is the end of the connection: then the node is really down. Only a refusal is said. */
void control_down(struct node *n, struct control_call *c)
{
	bool end = control_flag(c, "end");
	if (keeper_is_stopping(n) && !end) {
		control_fail(c, ERR_BUSY, "the node is going down already");
		return;
	}
	struct down *d = end ? NULL : malloc(sizeof *d);
	if (!d) {
		node_stop(n, end);
		return;
	}
	d->call = c;
	control_on_gone(c, down_gone, d);
	node_log_about(n, LOG_INFO, "node", &(struct log_about){.event = LOG_EVENT_node_stopping},
	               "asked to go down with %u processes", n->table.alive);
	keeper_stop(n, false, down_decided, d);
}

/* ---- ps ---- */

static void put_display(struct control_call *c, const struct process *p)
{
	struct drivers_stats st;
	if (p->state == PROCESS_ENDED && p->end.frames) {
		control_put_u64(c, "frames", p->end.frames);
		if (p->end.has_frame_hash)
			control_put_hex(c, "frame_hash", p->end.frame_hash,
			                sizeof p->end.frame_hash);
	}
	if (p->state == PROCESS_STARTING || p->state == PROCESS_ENDED || !p->drivers)
		return;
	drivers_stats(p->drivers, &st);
	if (!st.display && !st.frames)
		return;
	control_put_str(c, "display", st.host);
	control_put_u64(c, "frames", st.frames);
	if (st.frame_hash)
		control_put_hex(c, "frame_hash", st.hash, sizeof st.hash);
}

static void put_checkpoints(struct control_call *c, const struct process *p)
{
	struct saver_status st;
	if (!process_alive(p) || !saver_status(p->node, p, &st))
		return;
	if (st.too_large)
		control_put_str(
		    c, "note",
		    "it is not saved while it runs: more than 1 GiB of its memory are in use");
	if (!st.count)
		return;
	control_put_u64(c, "checkpoints", st.count);
	control_put_i64(c, "checkpoint_unix_ms", st.last_unix_ms);
	control_put_f64(c, "checkpoint_stood_ms", (double)st.stood_ns / 1e6);
	control_put_f64(c, "checkpoint_took_ms", (double)st.took_ns / 1e6);
}

enum { TREE_DEPTH_MAX = 16 };

/* depth: of the process below those that are listed. */
static void put_process(struct control_call *c, const struct process *p, int depth)
{
	char line[PROCESS_COMMAND_MAX], tree[PROCESS_NAME_MAX + 1 + 2 * TREE_DEPTH_MAX];
	snprintf(tree, sizeof tree, "%*s%s", 2 * depth, "", p->name);
	process_command_line(p, line, sizeof line);
	control_row(c);
	control_put_u64(c, "pid", p->pid);
	control_put_str(c, "state", process_state_text(p));
	control_put_str(c, "name", p->name);
	control_put_str(c, "tree", tree);
	control_put_hex(c, "uid", p->uid, sizeof p->uid);
	control_put_u64(c, "epoch", p->epoch);
	control_put_u64(c, "parent", p->parent);
	control_put_u64(c, "memory_bytes", process_memory_bytes(p));
	control_put_u64(c, "cpu_ms", process_cpu_ns(p) / 1000000);
	control_put_i64(c, "created_unix_ms", p->created_unix_ms);
	control_put_hex(c, "module", p->module_hash, sizeof p->module_hash);
	control_put_flag(c, "attached", p->sessions != NULL);
	put_checkpoints(c, p);
	put_display(c, p);
	if (p->state == PROCESS_ENDED) {
		control_put_i64(c, "status", p->end.status);
		control_put_str(c, "reason", p->end.text);
		control_put_i64(c, "ended_unix_ms", p->end.ended_unix_ms);
	}
	control_put_str(c, "command", line);
	control_row_end(c);
}

static bool is_listed(const struct process *p, bool all)
{
	return p && (all || process_alive(p));
}

/* Of one that another device has: its number as its relatives here know it. */
static void put_elsewhere(struct control_call *c, const struct wali_elsewhere *e, int depth)
{
	char tree[sizeof e->name + 2 * TREE_DEPTH_MAX], text[128];
	snprintf(tree, sizeof tree, "%*s%s", 2 * depth, "", e->name);
	if (e->device[0] && e->pid_there)
		snprintf(text, sizeof text, "(on %s, where it is %u)", e->device, e->pid_there);
	else
		snprintf(text, sizeof text, "(on another device)");
	control_row(c);
	control_put_u64(c, "pid", e->pid);
	control_put_str(c, "state", "elsewhere");
	control_put_str(c, "name", e->name);
	control_put_str(c, "tree", tree);
	control_put_u64(c, "parent", e->parent);
	control_put_str(c, "device", e->device);
	control_put_u64(c, "pid_there", e->pid_there);
	control_put_str(c, "command", text);
	control_row_end(c);
}

/* Those of a family that are elsewhere, and have that parent; below each its children. Every one has one parent, and who comes
 * first has none of them, so there is an end. */
static void put_elsewhere_below(struct control_call *c, const struct wali_elsewhere *list,
                                uint32_t count, uint32_t parent, int depth)
{
	int shown = depth < TREE_DEPTH_MAX ? depth : TREE_DEPTH_MAX;
	for (uint32_t i = 0; i < count; i++) {
		if (list[i].parent != parent)
			continue;
		put_elsewhere(c, &list[i], shown);
		if (depth < TREE_DEPTH_MAX)
			put_elsewhere_below(c, list, count, list[i].pid, depth + 1);
	}
}

static bool has_parent(struct process *p, const struct wali_elsewhere *list, uint32_t count,
                       uint32_t parent)
{
	bool has = parent && kin_find(p, parent);
	for (uint32_t i = 0; !has && i < count; i++)
		has = list[i].pid == parent;
	return has;
}

/* The relatives elsewhere of who leads, and that none of those here has made: whose shell, of a job that came. */
static void put_elsewhere_above(struct control_call *c, struct process *leader)
{
	uint32_t count;
	struct wali_elsewhere *list = leader->leads ? kin_elsewhere(leader, &count) : NULL;
	for (uint32_t i = 0; list && i < count; i++) {
		if (has_parent(leader, list, count, list[i].parent))
			continue;
		put_elsewhere(c, &list[i], 0);
		put_elsewhere_below(c, list, count, list[i].pid, 1);
	}
	free(list);
}

/* p, and below it its children, in order of pid. */
static void put_tree(struct node *n, struct control_call *c, const struct process *p, bool all,
                     bool parts, int depth)
{
	uint32_t count;
	struct wali_elsewhere *list = parts && process_alive(p) ? kin_elsewhere(p, &count) : NULL;
	put_process(c, p, depth < TREE_DEPTH_MAX ? depth : TREE_DEPTH_MAX);
	for (struct process *o = process_first(n); o; o = o->next)
		if (o->parent == p->pid && o->pid > p->pid && is_listed(o, all))
			put_tree(n, c, o, all, parts, depth + 1);
	if (list)
		put_elsewhere_below(c, list, count, p->guest_pid, depth + 1);
	free(list);
}

/* Its row stands below no other: pids start over one day, and a moved process may have a lower one than its parent. */
static bool is_root(struct node *n, const struct process *p, bool all)
{
	return !p->parent || p->parent >= p->pid || !is_listed(process_find(n, p->parent), all);
}

void control_ps(struct node *n, struct control_call *c)
{
	bool all = control_flag(c, "all"), parts = control_flag(c, "parts");
	const char *peer = control_str_or(c, "peer", NULL);
	if (peer) {
		ask_ps(n, c, peer);
		return;
	}
	for (struct process *p = process_first(n); p; p = p->next)
		if (is_listed(p, all) && is_root(n, p, all))
			put_tree(n, c, p, all, parts, 0);
	for (struct process *p = process_first(n); p && parts; p = p->next)
		if (process_alive(p) && !p->forgotten)
			put_elsewhere_above(c, p);
	asleep_ps(n, c, all);
}

/* ---- kill ---- */

/* The device that the request names, unless it is this one. */
static const char *other_device(struct node *n, struct control_call *c)
{
	const char *peer = control_str_or(c, "peer", NULL);
	return peer && strcmp(peer, n->name) != 0 ? peer : NULL;
}

struct discard {
	struct node *node;
	struct control_call *call; /* NULL: the client is gone */
	uint8_t uid[PROCESS_UID_SIZE];
	uint32_t number; /* of the relative that is meant; 0: the leader */
	bool family;
};

static void discard_gone(void *ctx)
{
	((struct discard *)ctx)->call = NULL;
}

static void discard_resumed(void *ctx, enum err e, const struct errmsg *msg,
                            const struct checkpoint_report *r)
{
	struct discard *d = ctx;
	struct process *p = process_find_uid(d->node, d->uid);
	const struct owner *o = moves_record(d->node, d->uid);
	struct process *meant = p && d->number ? kin_find(p, d->number) : p;
	if (p && d->family)
		kin_kill(p, 137);
	if (meant) /* also when somebody else has just woken it */
		process_kill(meant, 137);
	if (p || !o || o->state != OWNER_SUSPENDED) /* or ended it */
		e = ERR_OK;
	if (d->call)
		control_end(d->call, e, msg);
	free(d);
}

/* One that sleeps on disk is woken up to be ended: so it ends like every other. */
static void discard(struct node *n, struct control_call *c, const struct owner *o, uint32_t number)
{
	struct discard *d = malloc(sizeof *d);
	if (!d) {
		control_end(c, ERR_NOMEM, NULL);
		return;
	}
	*d = (struct discard){
	    .node = n, .call = c, .number = number, .family = control_flag(c, "family")};
	memcpy(d->uid, o->uid, sizeof d->uid);
	control_on_gone(c, discard_gone, d);
	checkpoint_resume(n, o, discard_resumed, d);
}

static void kill_found(struct node *n, struct control_call *c, const struct owner *o,
                       uint32_t number)
{
	if (o && o->state == OWNER_SUSPENDED)
		discard(n, c, o, number);
	else if (control_arg_process(c)) /* else it has said why not */
		control_again(c);
}

static bool kill_suspended(struct node *n, struct control_call *c)
{
	uint64_t pid;
	if (control_u64(c, "pid", &pid) != ERR_OK || pid > PROCESS_PID_MAX ||
	    awake_coming(n, (uint32_t)pid) || process_find(n, (uint32_t)pid))
		return false;
	const struct owner *o = moves_record_by_pid(n, (uint32_t)pid);
	if (!o)
		asleep_find(n, c, (uint32_t)pid, kill_found);
	else if (o->state == OWNER_SUSPENDED)
		discard(n, c, o, 0);
	return !o || o->state == OWNER_SUSPENDED;
}

void control_kill(struct node *n, struct control_call *c)
{
	const char *peer = other_device(n, c);
	if (peer) {
		ask_kill(n, c, peer);
		return;
	}
	if (kill_suspended(n, c))
		return;
	struct process *p = control_arg_process(c);
	if (!p)
		return;
	bool family = control_flag(c, "family");
	int status = (int)(control_u64_or(c, "status", 137) & 0xff);
	if (!process_alive(p) && !family) {
		control_fail(c, ERR_STATE, "process %u has ended already", p->pid);
		return;
	}
	if (p->hold == HOLD_IN_FLIGHT) {
		control_fail(c, ERR_STATE, "process %u is in flight: another device decides",
		             p->pid);
		return;
	}
	if (family)
		kin_kill(p, status);
	process_kill(p, status);
	control_end(c, ERR_OK, NULL);
}

/* ---- run ---- */

struct run {
	struct node *node;
	struct control_call *call; /* NULL: the client is gone */
	bool detached;
	uint8_t net_key[SPACE_KEY_SIZE];
};

static void run_gone(void *ctx)
{
	struct run *r = ctx;
	r->call = NULL;
}

static void run_started(void *ctx, struct process *p, enum err e, const struct errmsg *msg)
{
	struct run *r = ctx;
	struct control_call *c = r->call;
	bool detached = r->detached;
	if (!p)
		net_unpublish(r->node, r->net_key);
	free(r);
	if (!c) {
		if (p && !detached)
			process_kill(p, 137);
		return;
	}
	control_on_gone(c, NULL, NULL);
	if (!p) {
		control_end(c, e, msg);
		return;
	}
	control_row(c);
	control_put_u64(c, "pid", p->pid);
	control_put_str(c, "name", p->name);
	control_put_hex(c, "uid", p->uid, sizeof p->uid);
	control_row_end(c);
	if (detached)
		control_end(c, ERR_OK, NULL);
	else
		session_start(p, c, SESSION_OWNS);
}

enum err run_mounts(struct control_call *c, struct process_mount *out, uint32_t *count,
                    struct errmsg *msg)
{
	char *const *list;
	uint32_t n;
	if (control_list(c, "mounts", &list, &n) != ERR_OK || n % 3 || n / 3 > PROCESS_MOUNTS_MAX)
		return err_set(msg, ERR_LIMIT, "at most %d folders can be given to a program",
		               PROCESS_MOUNTS_MAX);
	for (uint32_t i = 0; i < n / 3; i++)
		out[i] = (struct process_mount){.host = list[3 * i],
		                                .guest = list[3 * i + 1],
		                                .readonly = !strcmp(list[3 * i + 2], "ro")};
	*count = n / 3;
	return ERR_OK;
}

void run_terminal(struct control_call *c, struct tty_config *out)
{
	out->is_terminal[TTY_IN] = control_flag(c, "in_terminal");
	out->is_terminal[TTY_OUT] = control_flag(c, "out_terminal");
	out->is_terminal[TTY_ERR] = control_flag(c, "err_terminal");
	out->cols = (uint16_t)control_u64_or(c, "cols", 0);
	out->rows = (uint16_t)control_u64_or(c, "rows", 0);
	out->attached = !control_flag(c, "detached");
}

void run_process(struct control_call *c, const struct process_config *cfg)
{
	if (!control_may_run(c))
		return;
	struct run *r = malloc(sizeof *r);
	if (!r) {
		control_end(c, ERR_NOMEM, NULL);
		return;
	}
	*r = (struct run){
	    .node = control_node(c), .call = c, .detached = control_flag(c, "detached")};
	memcpy(r->net_key, cfg->net_key, sizeof r->net_key);
	control_on_gone(c, run_gone, r);
	process_create(control_node(c), cfg, run_started, r);
}

static enum err read_display(struct control_call *c, struct display_options *out,
                             struct errmsg *msg)
{
	static const char *const kinds[] = {"auto", "sdl2", "terminal", "headless"};
	const char *name = control_str_or(c, "display", NULL);
	*out = (struct display_options){.frame_hash = control_flag(c, "frame_hash"),
	                                .unpaced = control_flag(c, "unpaced")};
	if (!name)
		return ERR_OK;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(kinds[i], name)) {
			out->display = kinds[i];
			return ERR_OK;
		}
	return err_set(
	    msg, ERR_USAGE,
	    "there is no display called \"%.40s\"; there are auto, sdl2, terminal, headless", name);
}

/* Ports of --publish are the host's from now on, so that one that is taken is told at once. */
static enum err publish(struct control_call *c, const struct process_config *cfg,
                        struct errmsg *msg)
{
	char *const *list;
	uint32_t n;
	struct net_publish p;
	if (control_list(c, "publish", &list, &n) != ERR_OK || n > NET_PUBLISH_MAX)
		return err_set(msg, ERR_LIMIT, "at most %d ports can be published",
		               NET_PUBLISH_MAX);
	for (uint32_t i = 0; i < n; i++) {
		if (!net_publish_parse(list[i], &p))
			return err_set(msg, ERR_USAGE,
			               "--publish %.80s: it must be [ADDRESS:]PORT:GUESTPORT",
			               list[i]);
		TRY(net_publish(control_node(c), cfg->net_key, &p, msg));
	}
	return ERR_OK;
}

enum err run_net(struct control_call *c, struct process_config *cfg, struct errmsg *msg)
{
	enum net_mode m;
	const char *name = control_str_or(c, "net", net_mode_name(NET_NONE));
	if (!net_mode_find(name, &m))
		return err_set(msg, ERR_USAGE,
		               "there is no network called \"%.40s\"; there are none, system, lan, "
		               "all",
		               name);
	cfg->net_mode = (uint8_t)m;
	os_random(cfg->net_key, sizeof cfg->net_key);
	if (m > NET_SYSTEM)
		net_grant(control_node(c), cfg->net_key, m);
	enum err e = publish(c, cfg, msg);
	if (e != ERR_OK)
		net_unpublish(control_node(c), cfg->net_key);
	return e;
}

static enum err read_config(struct control_call *c, struct process_config *cfg,
                            struct process_mount *mounts, struct errmsg *msg)
{
	if (control_str(c, "path", &cfg->path) != ERR_OK || !path_is_absolute(cfg->path))
		return err_set(msg, ERR_USAGE, "the request needs the absolute path of a module");
	if (control_list(c, "argv", &cfg->argv, &cfg->argc) != ERR_OK || !cfg->argc ||
	    control_list(c, "env", &cfg->env, &cfg->nenv) != ERR_OK)
		return err_set(msg, ERR_USAGE,
		               "the request needs arguments and environment as lists of texts");
	TRY(run_mounts(c, mounts, &cfg->nmounts, msg));
	cfg->mounts = mounts;
	cfg->name = control_str_or(c, "name", NULL);
	cfg->max_memory_pages = (uint32_t)control_u64_or(c, "max_memory_pages", 0);
	uint64_t every_s = control_u64_or(c, "checkpoint_s", PROCESS_CHECKPOINT_DEFAULT);
	if (every_s > PROCESS_CHECKPOINT_DEFAULT)
		return err_set(msg, ERR_USAGE, "checkpoints are at most %d seconds apart",
		               PROCESS_CHECKPOINT_MAX);
	cfg->checkpoint_s = (uint32_t)every_s;
	run_terminal(c, &cfg->tty);
	return read_display(c, &cfg->display, msg);
}

void control_run(struct node *n, struct control_call *c)
{
	struct process_config cfg = {0};
	struct process_mount mounts[PROCESS_MOUNTS_MAX];
	struct errmsg msg = {0};
	enum err e = read_config(c, &cfg, mounts, &msg);
	if (e == ERR_OK)
		e = run_net(c, &cfg, &msg);
	if (e == ERR_OK)
		run_process(c, &cfg);
	else
		control_end(c, e, &msg);
}

/* ---- attach, logs ---- */

/* One that went from here to another device. NULL: no such is known by the request's number. */
static const struct owner *gone_process(struct node *n, struct control_call *c)
{
	uint64_t pid;
	if (control_u64(c, "pid", &pid) != ERR_OK || pid > PROCESS_PID_MAX ||
	    awake_coming(n, (uint32_t)pid) || process_find(n, (uint32_t)pid) ||
	    moves_record_by_pid(n, (uint32_t)pid))
		return NULL;
	return moves_gone_by_pid(n, (uint32_t)pid);
}

/* The one that runs and has the terminal of the process that the request names; else the call is over. */
static struct process *find_terminal(struct control_call *c)
{
	struct process *p = control_arg_process(c);
	if (p && !process_alive(p)) {
		control_fail(c, ERR_STATE,
		             "process %u has ended; `wasmos logs %u` shows its last output", p->pid,
		             p->pid);
		return NULL;
	}
	return p ? process_of_terminal(p) : NULL;
}

static void put_found(struct control_call *c, uint32_t pid, const uint8_t *uid,
                      const uint8_t *device)
{
	control_row(c);
	control_put_u64(c, "pid", pid);
	control_put_hex(c, "uid", uid, PROCESS_UID_SIZE);
	control_put_hex(c, "device", device, DEVICE_ID_SIZE);
	control_end(c, ERR_OK, NULL);
}

void control_find(struct node *n, struct control_call *c)
{
	const struct owner *o = gone_process(n, c);
	struct process *p = o ? NULL : find_terminal(c);
	if (o)
		put_found(c, o->pid, o->uid, o->peer);
	else if (p)
		put_found(c, p->pid, p->uid, n->device_id);
}

/* The client follows a process that has moved away from here. */
static void follow(struct node *n, struct control_call *c, const struct owner *o, unsigned flags)
{
	relay_begin(n, &(struct relay_start){.call = c,
	                                     .flags = flags,
	                                     .uid = o->uid,
	                                     .device = o->peer,
	                                     .cols = (uint16_t)control_u64_or(c, "cols", 0),
	                                     .rows = (uint16_t)control_u64_or(c, "rows", 0)});
}

void control_attach(struct node *n, struct control_call *c)
{
	const char *peer = other_device(n, c);
	const struct owner *o = peer ? NULL : gone_process(n, c);
	if (peer) {
		ask_attach(n, c, peer, SESSION_RECENT);
		return;
	}
	if (o) {
		follow(n, c, o, SESSION_RECENT);
		return;
	}
	struct process *p = find_terminal(c);
	if (!p)
		return;
	tty_set_size(p->tty, (uint16_t)control_u64_or(c, "cols", 0),
	             (uint16_t)control_u64_or(c, "rows", 0));
	session_start(p, c, SESSION_RECENT);
}

/* What was written to the terminal that p has, its own or a relative's, as far as it is kept. */
static void put_recent(struct control_call *c, const struct process *p)
{
	uint8_t *buf = malloc(TTY_RECENT_SIZE);
	if (!buf) {
		control_fail(c, ERR_NOMEM, "out of memory");
		return;
	}
	size_t size = tty_recent(p->terminal, buf, TTY_RECENT_SIZE, NULL);
	control_row(c);
	control_put_bytes(c, "out", buf, size);
	if (!process_alive(p)) { /* as a client hears of it that was there */
		control_put_u64(c, "exit", (uint64_t)p->end.status);
		control_put_str(c, "state", process_state_text(p));
		control_put_str(c, "text", p->end.text);
	}
	control_end(c, ERR_OK, NULL);
	free(buf);
}

void control_logs(struct node *n, struct control_call *c)
{
	const unsigned flags = SESSION_RECENT | SESSION_FOLLOWS;
	const char *peer = other_device(n, c);
	bool goes_on = control_flag(c, "follow");
	if (peer && goes_on)
		ask_attach(n, c, peer, flags);
	else if (peer)
		ask_logs(n, c, peer);
	if (peer)
		return;
	const struct owner *o = goes_on ? gone_process(n, c) : NULL;
	if (o)
		follow(n, c, o, flags);
	if (o || asleep_logs(n, c))
		return;
	struct process *p = control_arg_process(c);
	if (p && goes_on && process_alive(p))
		session_start(process_of_terminal(p), c, flags);
	else if (p)
		put_recent(c, p);
}
