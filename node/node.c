/* node.c - a node's life: home, lock, log, loop, parts; and going down in order.
 *
 * Down: stopping is set (nothing new starts), what runs in the background is put to
 * disk (keeper.h), the rest is ended; when the last worker is joined the loop stops; then parts close, the loop drains, the lock goes. */
#include "node/node.h"

#include "base/file.h"
#include "base/os.h"
#include "node/home.h"
#include "node/sockets/socket.h"
#include "node/moves/keeper.h"
#include "node/log.h"
#include "node/process/process_table.h"
#include "node/service/service.h"
#include "node/stop.h"
#include "node/moves/trims.h"

#include <stdlib.h>
#include <string.h>

/* ---- open ---- */

static const char *copy_or_null(const char *text)
{
	return text ? strdup(text) : NULL;
}

static void copy_config(struct node *n, const struct node_config *cfg)
{
	n->cfg = *cfg;
	n->cfg.home = copy_or_null(cfg->home);
	n->cfg.name = copy_or_null(cfg->name);
	n->cfg.listen = copy_or_null(cfg->listen);
	n->cfg.display = copy_or_null(cfg->display);
	n->cfg.log_levels = copy_or_null(cfg->log_levels);
	n->cfg.metrics = copy_or_null(cfg->metrics);
}

static void free_config(struct node *n)
{
	free((char *)n->cfg.home);
	free((char *)n->cfg.name);
	free((char *)n->cfg.listen);
	free((char *)n->cfg.display);
	free((char *)n->cfg.log_levels);
	free((char *)n->cfg.metrics);
}

static void set_name(struct node *n)
{
	size_t size = sizeof n->name;
	if (n->cfg.name)
		strncpy(n->name, n->cfg.name, sizeof n->name - 1);
	else if (uv_os_gethostname(n->name, &size) != 0 || !n->name[0])
		strcpy(n->name, "node");
}

static void on_mail(uv_async_t *async)
{
	process_mail(async->data);
}

static void on_prepare(uv_prepare_t *h)
{
	struct node *n = h->data;
	if (n->stopping && !n->table.alive && !keeper_busy(n) && !trims_busy(n))
		uv_stop(&n->loop);
}

static enum err open_loop(struct node *n, struct errmsg *msg)
{
	if (uv_loop_init(&n->loop) != 0)
		return err_set(msg, ERR_LIMIT,
		               "the event loop cannot be made: too many open files?");
	uv_mutex_init(&n->mailbox.lock);
	n->mailbox.async.data = n->ready.data = n;
	uv_async_init(&n->loop, &n->mailbox.async, on_mail);
	uv_prepare_init(&n->loop, &n->ready);
	uv_prepare_start(&n->ready, on_prepare);
	return ERR_OK;
}

static void close_loop(struct node *n)
{
	if (n->stops)
		stops_close(n);
	uv_close((uv_handle_t *)&n->mailbox.async, NULL);
	uv_close((uv_handle_t *)&n->ready, NULL);
	/* Until every handle of every part is closed and every queued work is done. */
	uv_run(&n->loop, UV_RUN_DEFAULT);
	uv_loop_close(&n->loop);
	uv_mutex_destroy(&n->mailbox.lock);
}

typedef enum err (*open_fn)(struct node *n, struct errmsg *msg);
typedef void (*close_fn)(struct node *n);
static const struct part {
	const char *name;
	open_fn open;
	close_fn close;
} parts[] = {
#define PART(name, text) {#name, name##_open, name##_close},
#include "node/parts.def"
#undef PART
};
enum { PARTS = sizeof parts / sizeof *parts };

static void close_parts(struct node *n, size_t count)
{
	while (count-- > 0)
		parts[count].close(n);
}

static enum err open_parts(struct node *n, struct errmsg *msg)
{
	for (size_t i = 0; i < PARTS; i++) {
		enum err e = parts[i].open(n, msg);
		if (e != ERR_OK) {
			close_parts(n, i);
			return e == ERR_USAGE ? e : err_prefix(msg, e, "%s", parts[i].name);
		}
	}
	return ERR_OK;
}

static enum err open_inside(struct node *n, struct errmsg *msg)
{
	TRY(home_lock(n->home, &n->lock, msg));
	TRY(node_log_open(n, msg));
	TRY(open_loop(n, msg));
	enum err e = stops_open(n, msg);
	if (e == ERR_OK)
		e = open_parts(n, msg);
	if (e != ERR_OK)
		close_loop(n);
	return e;
}

static void free_node(struct node *n)
{
	net_free(n->net);
	if (n->log)
		node_log_close(n);
	file_lock_free(n->lock);
	dir_close(n->home);
	free_config(n);
	free(n);
}

enum err node_open(const struct node_config *cfg, struct node **out, struct errmsg *msg)
{
	struct node *n = calloc(1, sizeof *n);
	if (!n)
		return err_set(msg, ERR_NOMEM, "node: out of memory");
	n->started_unix_ms = (int64_t)(os_wall_ns() / 1000000);
	copy_config(n, cfg);
	set_name(n);
	enum err e = home_open(cfg->home, &n->home, msg);
	if (e == ERR_OK)
		e = open_inside(n, msg);
	if (e != ERR_OK) {
		if (n->log)
			node_log(n, LOG_ERROR, "node", "not started: %s", msg->text);
		free_node(n);
		return e;
	}
	node_log_about(n, LOG_INFO, "node", &(struct log_about){.event = LOG_EVENT_node_up},
	               "%s is up, version " WASMOS_VERSION ", process %d", n->name,
	               (int)uv_os_getpid());
	*out = n;
	return ERR_OK;
}

/* ---- run, stop ---- */

void node_run(struct node *n)
{
	os_ignore_broken_pipes();
	uv_run(&n->loop, UV_RUN_DEFAULT);
}

void node_stop(struct node *n, bool end)
{
	if (keeper_is_stopping(n)) {
		keeper_insist(n);
		return;
	}
	node_log_about(n, LOG_INFO, "node", &(struct log_about){.event = LOG_EVENT_node_stopping},
	               "going down with %u processes", n->table.alive);
	keeper_stop(n, end, NULL, NULL);
	uv_async_send(&n->mailbox.async);
}

static void take_anew(struct node *n)
{
	struct errmsg msg = {0};
	struct log_levels levels;
	const struct node_config *cfg =
	    n->cfg.reread ? n->cfg.reread(n->cfg.reread_ctx, &msg) : NULL;
	if (!cfg ||
	    (cfg->log_levels && log_levels_parse(cfg->log_levels, &levels, &msg) != ERR_OK)) {
		node_log_about(
		    n, LOG_ERROR, "node",
		    &(struct log_about){.event = LOG_EVENT_settings_read, .error = ERR_USAGE},
		    "the settings stay as they are: %s",
		    msg.text[0] ? msg.text : "they cannot be read again");
		return;
	}
	if (cfg->log_levels)
		node_log_change(n, &levels, cfg->log_json);
	n->cfg.checkpoint_s = cfg->checkpoint_s;
	n->cfg.scrub_days = cfg->scrub_days;
	n->cfg.max_processes = cfg->max_processes;
	n->cfg.max_memory_pages = cfg->max_memory_pages;
	node_log_about(n, LOG_INFO, "node", &(struct log_about){.event = LOG_EVENT_settings_read},
	               "the settings were read again");
}

void node_reload(struct node *n)
{
	service_reloading(n);
	take_anew(n);
	service_ready(n);
}

void node_close(struct node *n)
{
	node_log_about(n, LOG_INFO, "node", &(struct log_about){.event = LOG_EVENT_node_down},
	               "%s is down", n->name);
	close_parts(n, PARTS);
	close_loop(n);
	process_table_free(n);
	free_node(n);
}
