/* control.c - the control socket: clients, frames, requests to their functions, answers.
 *
 * A client (struct client) is a connection; it has at most one call (struct control_call) at a time. A call dies
 * with control_end() or with its client; a client dies when its handle is closed. Frames are read into one
 * buffer; while a call is there, further frames are its inputs. */
#include "node/control/control.h"

#include "node/control/awake.h"
#include "node/control/door.h"
#include "node/links/link.h"
#include "node/moves/moves.h"
#include "node/node.h"
#include "node/process/kin.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS_MAX = 1024, IN_MAX = 2 * CONTROL_FRAME_MAX };

struct client {
	struct node *node;
	uv_pipe_t pipe;
	struct wr in; /* bytes not yet made into frames */
	size_t in_start;
	bool closing, dispatching;
	bool
	    broken; /* missed a row: is closed by the sweep, for whoever sends still holds the call */
	struct control *control;
	struct control_call *call;
	struct client *next;
};

struct control_call {
	struct node *node;
	struct client *client; /* NULL: nobody's on a socket; the answer is collected for over_fn */
	struct wr collected;
	control_over_fn over_fn;
	void *over_ctx;
	struct control_call *next;    /* in control->collecting */
	struct control_values values; /* of the request, later of the input */
	struct control_map row;
	bool row_open;
	void (*gone_fn)(void *ctx);
	void *gone_ctx;
	control_input_fn input_fn;
	void *input_ctx;
	void (*drained_fn)(void *ctx);
	void *drained_ctx;
};

struct control {
	struct node *node;
	struct door *door;
	uv_async_t sweep;
	struct client *clients;
	struct control_call *collecting;
	uint32_t handles; /* open ones: clients, door, sweep; the last one frees */
	uint32_t nclients;
};

struct write {
	uv_write_t req;
	uint8_t *bytes;
};

typedef void (*request_fn)(struct node *n, struct control_call *c);
static const struct {
	const char *name;
	request_fn fn;
} requests[] = {
#define REQUEST(name, args, rows) {#name, control_##name},
#include "proto/control.def"
#undef REQUEST
};

/* ---- the end of calls and clients ---- */

static void free_call(struct control_call *c)
{
	control_values_free(&c->values);
	control_map_free(&c->row);
	wr_free(&c->collected);
	free(c);
}

static void drop_handle(struct control *ctl)
{
	if (!--ctl->handles)
		free(ctl);
}

static void client_closed(uv_handle_t *h)
{
	struct client *cl = h->data;
	struct control *ctl = cl->control;
	for (struct client **at = &ctl->clients; *at; at = &(*at)->next)
		if (*at == cl) {
			*at = cl->next;
			break;
		}
	ctl->nclients--;
	wr_free(&cl->in);
	free(cl);
	drop_handle(ctl);
}

static void close_client(struct client *cl)
{
	if (cl->closing)
		return;
	cl->closing = true;
	struct control_call *c = cl->call;
	cl->call = NULL;
	if (c) {
		c->client = NULL;
		if (c->gone_fn)
			c->gone_fn(c->gone_ctx);
		free_call(c);
	}
	uv_close((uv_handle_t *)&cl->pipe, client_closed);
}

/* ---- writing ---- */

static void written(uv_write_t *req, int status)
{
	struct write *w = (struct write *)req;
	struct client *cl = req->handle->data;
	free(w->bytes);
	free(w);
	if (status < 0) {
		close_client(cl);
		return;
	}
	struct control_call *c = cl->call;
	if (c && c->drained_fn && control_queued_bytes(c) < CONTROL_QUEUE_GOAL / 2) {
		void (*fn)(void *) = c->drained_fn;
		c->drained_fn = NULL;
		fn(c->drained_ctx);
	}
}

static void dispatch(struct client *cl);

/* Sends a map as one frame. */
static void send_map(struct client *cl, struct control_map *m)
{
	struct wr frame = {0};
	struct write *w = malloc(sizeof *w);
	if (cl->closing || !w || control_map_frame(m, &frame) != ERR_OK)
		goto failed;
	size_t size;
	w->bytes = wr_take(&frame, &size);
	uv_buf_t buf = uv_buf_init((char *)w->bytes, (unsigned)size);
	if (uv_write(&w->req, (uv_stream_t *)&cl->pipe, &buf, 1, written) == 0)
		return;
	free(w->bytes);
failed:
	free(w);
	wr_free(&frame);
	if (cl->closing)
		return;
	cl->broken = true;
	uv_async_send(&cl->control->sweep);
}

void control_row(struct control_call *c)
{
	if (c->row_open)
		control_row_end(c);
	c->row_open = true;
}

void control_put_u64(struct control_call *c, const char *key, uint64_t v)
{
	control_map_u64(&c->row, key, v);
}

void control_put_i64(struct control_call *c, const char *key, int64_t v)
{
	control_map_i64(&c->row, key, v);
}

void control_put_f64(struct control_call *c, const char *key, double v)
{
	control_map_f64(&c->row, key, v);
}

void control_put_flag(struct control_call *c, const char *key, bool v)
{
	control_map_flag(&c->row, key, v);
}

void control_put_str(struct control_call *c, const char *key, const char *v)
{
	control_map_text(&c->row, key, v);
}

void control_put_bytes(struct control_call *c, const char *key, const void *bytes, size_t size)
{
	control_map_bytes(&c->row, key, bytes, size);
}

void control_put_hex(struct control_call *c, const char *key, const uint8_t *bytes, size_t size)
{
	char text[2 * 64 + 1];
	size_t n = size < 64 ? size : 64;
	for (size_t i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	text[2 * n] = 0;
	control_map_text(&c->row, key, text);
}

void control_row_end(struct control_call *c)
{
	c->row_open = false;
	if (c->client)
		send_map(c->client, &c->row);
	else
		control_map_frame(&c->row,
		                  &c->collected); /* without memory: looked at in the end */
}

/* Out of the list of those that collect. */
static void stop_collecting(struct control_call *c)
{
	struct control_call **at = &c->node->control->collecting;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
}

static void give_collected(struct control_call *c)
{
	enum err e = control_map_frame(&c->row, &c->collected);
	if (e == ERR_OK && !wr_ok(&c->collected))
		e = ERR_NOMEM;
	stop_collecting(c);
	c->over_fn(c->over_ctx, e, c->collected.data, c->collected.size);
	free_call(c);
}

void control_end(struct control_call *c, enum err e, const struct errmsg *msg)
{
	struct client *cl = c->client;
	if (c->row_open)
		control_row_end(c);
	control_map_text(&c->row, "end", err_name(e));
	if (e != ERR_OK)
		control_map_text(&c->row, "text", msg && msg->text[0] ? msg->text : err_text(e));
	if (!cl) {
		give_collected(c);
		return;
	}
	send_map(cl, &c->row);
	cl->call = NULL;
	free_call(c);
	dispatch(cl); /* the client may have sent its next request already */
}

void control_fail(struct control_call *c, enum err e, const char *fmt, ...)
{
	struct errmsg msg;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(msg.text, sizeof msg.text, fmt, ap);
	va_end(ap);
	control_end(c, e, &msg);
}

/* ---- arguments ---- */

static const struct control_value *find(struct control_call *c, const char *key)
{
	return control_values_find(&c->values, key);
}

enum err control_u64(struct control_call *c, const char *key, uint64_t *out)
{
	const struct control_value *v = find(c, key);
	if (!v)
		return ERR_NOTFOUND;
	if (v->type != CONTROL_U64)
		return ERR_INVALID;
	*out = v->u64;
	return ERR_OK;
}

enum err control_i64(struct control_call *c, const char *key, int64_t *out)
{
	const struct control_value *v = find(c, key);
	if (!v)
		return ERR_NOTFOUND;
	if (v->type == CONTROL_I64)
		*out = v->i64;
	else if (v->type == CONTROL_U64 && v->u64 <= INT64_MAX)
		*out = (int64_t)v->u64;
	else
		return ERR_INVALID;
	return ERR_OK;
}

enum err control_str(struct control_call *c, const char *key, const char **out)
{
	const struct control_value *v = find(c, key);
	if (!v)
		return ERR_NOTFOUND;
	if (v->type != CONTROL_TEXT)
		return ERR_INVALID;
	*out = v->text.p;
	return ERR_OK;
}

enum err control_bytes(struct control_call *c, const char *key, const uint8_t **out, size_t *size)
{
	const struct control_value *v = find(c, key);
	if (!v)
		return ERR_NOTFOUND;
	if (v->type != CONTROL_BYTES)
		return ERR_INVALID;
	*out = (const uint8_t *)v->text.p;
	*size = v->text.size;
	return ERR_OK;
}

bool control_flag(struct control_call *c, const char *key)
{
	const struct control_value *v = find(c, key);
	return v && v->type == CONTROL_FLAG && v->flag;
}

uint64_t control_u64_or(struct control_call *c, const char *key, uint64_t value)
{
	uint64_t v;
	return control_u64(c, key, &v) == ERR_OK ? v : value;
}

const char *control_str_or(struct control_call *c, const char *key, const char *value)
{
	const char *v;
	return control_str(c, key, &v) == ERR_OK ? v : value;
}

enum err control_list(struct control_call *c, const char *key, char *const **out, uint32_t *count)
{
	const struct control_value *v = find(c, key);
	*out = NULL;
	*count = 0;
	if (!v)
		return ERR_OK;
	if (v->type != CONTROL_LIST)
		return ERR_INVALID;
	*out = v->list.at;
	*count = v->list.count;
	return ERR_OK;
}

static void say_where(struct control_call *c, uint32_t pid, const struct peer *p)
{
	control_fail(c, ERR_NOTFOUND,
	             "there is no process %u on this device any more: it went to %s%s%s", pid,
	             p ? "\"" : "another device", p ? peer_name(p) : "", p ? "\"" : "");
}

static void say_why_not(struct control_call *c, uint32_t pid)
{
	const struct owner *o = moves_record_by_pid(c->node, pid);
	if (o && o->state == OWNER_SUSPENDED)
		control_fail(c, ERR_STATE, "process %u is suspended; `wasmos resume %u` wakes it",
		             pid, pid);
	else if (o)
		control_fail(c, ERR_STATE, "process %u is in flight to another device", pid);
	else if ((o = moves_gone_by_pid(c->node, pid)))
		say_where(c, pid, peer_by_id(c->node, o->peer));
	else
		control_fail(c, ERR_NOTFOUND,
		             "there is no process %u on this device; `wasmos ps -a` lists them",
		             pid);
}

static void wait_for(struct control_call *c, uint32_t pid, const char *what)
{
	char why[64];
	snprintf(why, sizeof why, "process %u %s", pid, what);
	awake_wait(c, why);
}

struct process *control_arg_process(struct control_call *c)
{
	uint64_t pid;
	if (control_u64(c, "pid", &pid) != ERR_OK) {
		control_fail(c, ERR_USAGE, "the request needs a process number");
		return NULL;
	}
	if (pid > PROCESS_PID_MAX) {
		control_fail(c, ERR_NOTFOUND, "there is no process %llu", (unsigned long long)pid);
		return NULL;
	}
	struct process *p = process_find(c->node, (uint32_t)pid);
	if (awake_coming(c->node, (uint32_t)pid) || (p && p->state == PROCESS_STARTING)) {
		wait_for(c, (uint32_t)pid, "is being woken");
		return NULL;
	}
	if (!p && awake_any(c->node)) /* it may be a relative of one that is */
		wait_for(c, (uint32_t)pid, "is not there, and programs are being woken");
	else if (!p)
		say_why_not(c, (uint32_t)pid);
	return p;
}

/* It runs again by itself: after a copy for a checkpoint, when the device it came from has confirmed. */
static bool stands_for_a_moment(struct process *p)
{
	struct move_status st;
	const struct owner *o = moves_record(p->node, p->uid);
	bool arriving = moves_status(p->node, p->uid, &st) && !st.leaving;
	return process_alive(p) &&
	       (arriving || kin_stands_briefly(p) || (o && o->state == OWNER_OWNED && o->pending));
}

struct process *control_arg_running(struct control_call *c)
{
	struct process *p = control_arg_process(c);
	if (!p || !stands_for_a_moment(p))
		return p;
	wait_for(c, p->pid, kin_stands_briefly(p) ? "is frozen" : "is just arriving");
	return NULL;
}

/* ---- calls that last ---- */

void control_on_gone(struct control_call *c, void (*fn)(void *ctx), void *ctx)
{
	c->gone_fn = fn;
	c->gone_ctx = ctx;
}

void control_on_input(struct control_call *c, control_input_fn fn, void *ctx)
{
	c->input_fn = fn;
	c->input_ctx = ctx;
	if (c->client)
		dispatch(c->client); /* inputs may have come before anyone wanted them */
}

size_t control_queued_bytes(const struct control_call *c)
{
	return c->client ? uv_stream_get_write_queue_size((const uv_stream_t *)&c->client->pipe)
	                 : 0;
}

void control_on_drained(struct control_call *c, void (*fn)(void *ctx), void *ctx)
{
	c->drained_fn = fn;
	c->drained_ctx = ctx;
}

struct node *control_node(struct control_call *c)
{
	return c->node;
}

/* ---- reading ---- */

static void begin_request(struct control_call *c)
{
	const char *name = control_str_or(c, "request", "");
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
		if (!strcmp(requests[i].name, name)) {
			requests[i].fn(c->node, c);
			return;
		}
	control_fail(c, ERR_UNSUPPORTED,
	             "this node does not know the request \"%.40s\": it is of another version",
	             name);
}

void control_again(struct control_call *c)
{
	begin_request(c);
}

static void begin_call(struct client *cl, struct control_values *values)
{
	struct control_call *c = calloc(1, sizeof *c);
	if (!c) {
		control_values_free(values);
		close_client(cl);
		return;
	}
	c->node = cl->node;
	c->client = cl;
	c->values = *values;
	cl->call = c;
	begin_request(c);
}

enum err control_collect(struct node *n, struct control_values *values, control_over_fn fn,
                         void *ctx)
{
	struct control_call *c = n->control ? calloc(1, sizeof *c) : NULL;
	if (!c) {
		control_values_free(values);
		return n->control ? ERR_NOMEM : ERR_CLOSED;
	}
	*c = (struct control_call){.node = n,
	                           .values = *values,
	                           .over_fn = fn,
	                           .over_ctx = ctx,
	                           .next = n->control->collecting};
	n->control->collecting = c;
	begin_request(c);
	return ERR_OK;
}

/* The node closes: as if the client were gone. */
static void drop_collecting(struct control *ctl)
{
	while (ctl->collecting) {
		struct control_call *c = ctl->collecting;
		if (c->gone_fn)
			c->gone_fn(c->gone_ctx);
		stop_collecting(c);
		c->over_fn(c->over_ctx, ERR_CLOSED, NULL, 0);
		free_call(c);
	}
}

static void give_input(struct control_call *c, struct control_values *values)
{
	control_values_free(&c->values);
	c->values = *values;
	if (c->input_fn)
		c->input_fn(c->input_ctx, c, control_str_or(c, "input", ""));
}

/* The next frame to its call. False: none is whole, or its call takes no input (now), or the client is gone. */
static bool dispatch_one(struct client *cl)
{
	if (cl->closing || cl->broken || cl->in_start == cl->in.size ||
	    (cl->call && !cl->call->input_fn))
		return false;
	struct rd in = rd_of(cl->in.data + cl->in_start, cl->in.size - cl->in_start), body;
	struct control_values values;
	enum err e = control_frame_next(&in, &body);
	if (e == ERR_AGAIN)
		return false;
	if (e == ERR_OK)
		e = control_values_read(body, &values);
	if (e != ERR_OK) {
		node_log(cl->node, LOG_WARN, "control", "a client sent what is no frame: %s",
		         err_text(e));
		close_client(cl);
		return false;
	}
	cl->in_start += rd_offset(&in);
	if (!cl->call)
		begin_call(cl, &values);
	else if (control_values_find(&values, "input"))
		give_input(cl->call, &values);
	else {
		control_values_free(&values);
		close_client(cl); /* a second request before the answer to the first */
		return false;
	}
	return true;
}

static void dispatch(struct client *cl)
{
	if (cl->dispatching)
		return;
	cl->dispatching = true;
	while (dispatch_one(cl))
		;
	cl->dispatching = false;
	if (cl->in_start == cl->in.size) {
		wr_clear(&cl->in);
		cl->in_start = 0;
	} else if (cl->in_start > 65536) {
		memmove(cl->in.data, cl->in.data + cl->in_start, cl->in.size - cl->in_start);
		cl->in.size -= cl->in_start;
		cl->in_start = 0;
	}
}

static void take_bytes(uv_stream_t *s, ssize_t got, const uv_buf_t *buf)
{
	struct client *cl = s->data;
	if (got > 0)
		wr_bytes(&cl->in, buf->base, (size_t)got);
	free(buf->base);
	if (got < 0 || !wr_ok(&cl->in) || cl->in.size - cl->in_start > IN_MAX)
		close_client(cl);
	else
		dispatch(cl);
}

static void give_room(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	(void)h;
	buf->base = malloc(suggested);
	buf->len = buf->base ? suggested : 0;
}

/* ---- the socket ---- */

static void on_client(void *ctx)
{
	struct control *ctl = ctx;
	struct node *n = ctl->node;
	struct client *cl = calloc(1, sizeof *cl);
	if (!cl || uv_pipe_init(&n->loop, &cl->pipe, 0) != 0) {
		free(cl);
		return;
	}
	cl->node = n;
	cl->control = ctl;
	ctl->handles++;
	cl->pipe.data = cl;
	cl->next = ctl->clients;
	ctl->clients = cl;
	ctl->nclients++;
	enum err e = door_accept(ctl->door, &cl->pipe);
	if (e == ERR_DENIED)
		node_log(n, LOG_WARN, "control", "another user tried to connect");
	if (e != ERR_OK || ctl->nclients > CLIENTS_MAX ||
	    uv_read_start((uv_stream_t *)&cl->pipe, give_room, take_bytes) != 0)
		close_client(cl);
}

static void sweep(uv_async_t *async)
{
	struct control *ctl = async->data;
	for (struct client *cl = ctl->clients; cl; cl = cl->next)
		if (cl->broken)
			close_client(cl);
}

static void sweep_closed(uv_handle_t *h)
{
	drop_handle(h->data);
}

static void door_closed(void *ctx)
{
	drop_handle(ctx);
}

enum err control_open(struct node *n, struct errmsg *msg)
{
	struct control *ctl = calloc(1, sizeof *ctl);
	if (!ctl)
		return err_set(msg, ERR_NOMEM, "control socket: out of memory");
	ctl->node = n;
	enum err e = door_open(n, on_client, ctl, &ctl->door, msg);
	if (e != ERR_OK) {
		free(ctl);
		return e;
	}
	uv_async_init(&n->loop, &ctl->sweep, sweep);
	ctl->sweep.data = ctl;
	ctl->handles = 2;
	n->control = ctl;
	return ERR_OK;
}

void control_close(struct node *n)
{
	struct control *ctl = n->control;
	drop_collecting(ctl);
	for (struct client *cl = ctl->clients; cl; cl = cl->next)
		close_client(cl);
	door_close(ctl->door, door_closed, ctl);
	uv_close((uv_handle_t *)&ctl->sweep, sweep_closed);
	n->control = NULL;
}
