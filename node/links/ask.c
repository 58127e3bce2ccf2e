/* ask.c - asks of paired devices: made for a control call here, and answered as a control call there. */
#include "node/links/ask.h"

#include "node/control/control.h"
#include "node/links/link.h"
#include "node/node.h"
#include "node/terminal/relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The part has no state but that it serves. */
struct asks {
	struct node *node;
};

/* ---- asking ---- */

struct ask {
	struct control_call *call; /* NULL: the client is gone */
	char peer[DEVICE_NAME_MAX + 1];
	uint8_t device[DEVICE_ID_SIZE];
	bool joins;     /* the row that comes names a process: the call's client is joined to it */
	unsigned flags; /* enum session_flags, of who is joined */
	uint16_t cols, rows;
};

static void on_gone(void *ctx)
{
	((struct ask *)ctx)->call = NULL;
}

/* Without control characters: a name or text of another device is shown in a terminal. */
static void put_text(struct control_call *c, const char *key, const struct control_value *v)
{
	char text[1024];
	snprintf(text, sizeof text, "%s", v->text.p);
	if (!name_is_fit(text, strlen(text)))
		for (char *p = text; *p; p++)
			if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
				*p = '?';
	control_put_str(c, key, text);
}

static void put_value(struct control_call *c, const struct control_value *v)
{
	switch (v->type) {
	case CONTROL_U64: control_put_u64(c, v->key, v->u64); break;
	case CONTROL_I64: control_put_i64(c, v->key, v->i64); break;
	case CONTROL_F64: control_put_f64(c, v->key, v->f64); break;
	case CONTROL_FLAG: control_put_flag(c, v->key, v->flag); break;
	case CONTROL_TEXT: put_text(c, v->key, v); break;
	case CONTROL_BYTES: control_put_bytes(c, v->key, v->text.p, v->text.size); break;
	case CONTROL_LIST: break; /* no answer has one */
	}
}

static bool read_hex(const char *text, uint8_t *out, size_t size)
{
	if (strlen(text) != 2 * size || strspn(text, "0123456789abcdef") != 2 * size)
		return false;
	for (size_t i = 0; i < size; i++) {
		unsigned byte;
		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return false;
		out[i] = (uint8_t)byte;
	}
	return true;
}

static enum err err_by_name(const char *name)
{
	for (int e = 0; e < ERR_COUNT; e++)
		if (!strcmp(err_name((enum err)e), name))
			return (enum err)e;
	return ERR_IO;
}

static void end_call(struct ask *a, enum err e, const char *text)
{
	if (e == ERR_OK)
		control_end(a->call, e, NULL);
	else
		control_fail(a->call, e, "%s: %s", a->peer, text);
	a->call = NULL;
}

static bool hex_value(const struct control_values *v, const char *key, uint8_t *out, size_t size)
{
	const struct control_value *text = control_values_find(v, key);
	return text && text->type == CONTROL_TEXT && read_hex(text->text.p, out, size);
}

/* One that went on from the device that was asked is where that says. False: nobody here knows that device. */
static bool find_device(struct ask *a, const struct control_values *v)
{
	struct node *n = control_node(a->call);
	if (control_values_find(v, "device") &&
	    !hex_value(v, "device", a->device, sizeof a->device))
		return false;
	return !memcmp(a->device, n->device_id, sizeof a->device) || peer_by_id(n, a->device);
}

/* The client is told of the process as if it were here, then follows it as one that has moved. */
static void join(struct ask *a, const struct control_values *v)
{
	const struct control_value *pid = control_values_find(v, "pid");
	uint8_t uid[PROCESS_UID_SIZE];
	struct relay_start start = {.call = a->call,
	                            .flags = a->flags,
	                            .uid = uid,
	                            .device = a->device,
	                            .cols = a->cols,
	                            .rows = a->rows};
	if (!pid || pid->type != CONTROL_U64 || !hex_value(v, "uid", uid, sizeof uid)) {
		end_call(a, ERR_MALFORMED, "the answer names no process");
		return;
	}
	if (!find_device(a, v)) {
		end_call(a, ERR_NOTFOUND,
		         "it went on to a device that is not paired with this one");
		return;
	}
	control_row(a->call);
	control_put_u64(a->call, "pid", pid->u64);
	control_put_str(a->call, "peer", a->peer);
	control_row_end(a->call);
	relay_begin(control_node(a->call), &start);
	a->call = NULL;
}

/* A row, or the end, with which the call is over. */
static void pass_on(struct ask *a, const struct control_values *v)
{
	const struct control_value *end = control_values_find(v, "end");
	const struct control_value *text = control_values_find(v, "text");
	if (end && end->type == CONTROL_TEXT) {
		enum err e = err_by_name(end->text.p);
		bool fit = text && text->type == CONTROL_TEXT &&
		           name_is_fit(text->text.p, text->text.size);
		end_call(a, e, fit ? text->text.p : err_text(e));
		return;
	}
	if (a->joins) {
		join(a, v);
		return;
	}
	control_row(a->call);
	for (uint32_t i = 0; i < v->count; i++)
		put_value(a->call, &v->at[i]);
	control_row_end(a->call);
}

static void on_reply(void *ctx, enum err e, const uint8_t *reply, size_t size)
{
	struct ask *a = ctx;
	struct rd in = rd_of(reply, size), body;
	struct control_values v;
	while (a->call && e == ERR_OK && (e = control_frame_next(&in, &body)) == ERR_OK &&
	       (e = control_values_read(body, &v)) == ERR_OK) {
		pass_on(a, &v);
		control_values_free(&v);
	}
	if (a->call)
		end_call(a, e,
		         e == ERR_AGAIN     ? "the answer has no end"
		         : e == ERR_CLOSED  ? "the device is not connected"
		         : e == ERR_TIMEOUT ? "the device does not answer"
		                            : err_text(e));
	free(a);
}

/* Takes the call and empties the map. how: what is to come of the answer. */
static void ask(struct node *n, struct control_call *c, const char *to, struct control_map *m,
                uint32_t timeout_ms, const struct ask *how)
{
	struct errmsg msg = {0};
	struct peer *p = NULL;
	struct wr frame = {0};
	struct ask *a = calloc(1, sizeof *a);
	enum err e = a ? peer_find(n, to, &p, &msg) : ERR_NOMEM;
	if (e == ERR_OK)
		e = control_map_frame(m, &frame);
	if (e == ERR_OK) {
		*a = *how;
		a->call = c;
		snprintf(a->peer, sizeof a->peer, "%s", peer_name(p));
		memcpy(a->device, peer_id(p), sizeof a->device);
		a->cols = (uint16_t)control_u64_or(c, "cols", 0);
		a->rows = (uint16_t)control_u64_or(c, "rows", 0);
		control_on_gone(c, on_gone, a);
		link_call(n, peer_id(p), LINK_SERVICE_ASK, frame.data, frame.size, timeout_ms,
		          on_reply, a);
	} else {
		free(a);
		control_end(c, e, &msg);
	}
	control_map_free(m);
	wr_free(&frame);
}

void ask_ps(struct node *n, struct control_call *c, const char *peer)
{
	struct control_map m = {0};
	control_map_text(&m, "ask", "ps");
	control_map_flag(&m, "all", control_flag(c, "all"));
	control_map_flag(&m, "parts", control_flag(c, "parts"));
	ask(n, c, peer, &m, ASK_TIMEOUT_MS, &(struct ask){0});
}

/* About the process that the call names. */
static void ask_about(struct node *n, struct control_call *c, const char *peer, const char *what,
                      uint32_t timeout_ms, const struct ask *how)
{
	struct control_map m = {0};
	uint64_t pid;
	if (control_u64(c, "pid", &pid) != ERR_OK) {
		control_fail(c, ERR_USAGE, "%s needs the number of a process", what);
		return;
	}
	control_map_text(&m, "ask", what);
	control_map_u64(&m, "pid", pid);
	control_map_flag(&m, "family", control_flag(c, "family"));
	ask(n, c, peer, &m, timeout_ms, how);
}

void control_bring(struct node *n, struct control_call *c)
{
	const char *peer;
	if (control_str(c, "peer", &peer) != ERR_OK)
		control_fail(c, ERR_USAGE, "bring needs the device that has the process");
	else
		ask_about(n, c, peer, "bring", ASK_BRING_TIMEOUT_MS, &(struct ask){0});
}

void ask_attach(struct node *n, struct control_call *c, const char *peer, unsigned session_flags)
{
	ask_about(n, c, peer, "find", ASK_TIMEOUT_MS,
	          &(struct ask){.joins = true, .flags = session_flags});
}

void ask_logs(struct node *n, struct control_call *c, const char *peer)
{
	ask_about(n, c, peer, "logs", ASK_TIMEOUT_MS, &(struct ask){0});
}

void ask_kill(struct node *n, struct control_call *c, const char *peer)
{
	ask_about(n, c, peer, "kill", ASK_TIMEOUT_MS, &(struct ask){0});
}

void ask_resume(struct node *n, struct control_call *c, const char *peer)
{
	ask_about(n, c, peer, "resume", ASK_WAKE_TIMEOUT_MS, &(struct ask){0});
}

static const char *const shell_texts[] = {"command", "term", "colorterm", "net"};
enum { SHELL_TEXTS = sizeof shell_texts / sizeof *shell_texts };
static const char *const shell_flags[] = {"in_terminal", "out_terminal", "err_terminal"};
static const char *const shell_sizes[] = {"cols", "rows"};

void ask_shell(struct node *n, struct control_call *c, const char *peer)
{
	struct control_map m = {0};
	char *const *mounts;
	uint32_t count;
	if (control_list(c, "mounts", &mounts, &count) != ERR_OK || count ||
	    control_str_or(c, "system", NULL)) {
		control_fail(
		    c, ERR_USAGE,
		    "folders and images of this device are not for a shell on another one");
		return;
	}
	control_map_text(&m, "ask", "shell");
	for (int i = 0; i < SHELL_TEXTS; i++) {
		const char *text = control_str_or(c, shell_texts[i], NULL);
		if (text)
			control_map_text(&m, shell_texts[i], text);
	}
	for (int i = 0; i < 3; i++)
		control_map_flag(&m, shell_flags[i], control_flag(c, shell_flags[i]));
	for (int i = 0; i < 2; i++)
		control_map_u64(&m, shell_sizes[i], control_u64_or(c, shell_sizes[i], 0));
	ask(n, c, peer, &m, ASK_SHELL_TIMEOUT_MS, &(struct ask){.joins = true});
}

/* ---- answering ---- */

static bool is_true(const struct control_values *v, const char *key)
{
	const struct control_value *flag = control_values_find(v, key);
	return flag && flag->type == CONTROL_FLAG && flag->flag;
}

/* Only what a shell needs: neither folders nor images. */
static enum err translate_shell(const struct control_values *v, struct control_map *out)
{
	control_map_text(out, "request", "shell");
	control_map_flag(out, "detached", true);
	for (int i = 0; i < SHELL_TEXTS; i++) {
		const struct control_value *text = control_values_find(v, shell_texts[i]);
		if (text && text->type == CONTROL_TEXT)
			control_map_text(out, shell_texts[i], text->text.p);
	}
	for (int i = 0; i < 3; i++)
		control_map_flag(out, shell_flags[i], is_true(v, shell_flags[i]));
	for (int i = 0; i < 2; i++) {
		const struct control_value *size = control_values_find(v, shell_sizes[i]);
		control_map_u64(out, shell_sizes[i],
		                size && size->type == CONTROL_U64 ? size->u64 : 0);
	}
	return ERR_OK;
}

static void answer(void *ctx, enum err e, const uint8_t *frames, size_t size)
{
	struct link_caller *call = ctx;
	if (e == ERR_OK && size > ASK_ANSWER_MAX)
		e = ERR_LIMIT;
	link_answer(call, e, e == ERR_OK ? frames : NULL, e == ERR_OK ? size : 0);
	free(call);
}

/* A process is only ever sent to who asks. */
static void translate_bring(const struct link_caller *call, struct control_map *out)
{
	char id[2 * DEVICE_ID_SIZE + 1];
	for (size_t i = 0; i < DEVICE_ID_SIZE; i++)
		snprintf(id + 2 * i, 3, "%02x", call->device[i]);
	control_map_text(out, "request", "migrate");
	control_map_text(out, "peer", id);
}

/* What is asked about one process. */
static enum err translate_about(const struct link_caller *call, const struct control_values *v,
                                const char *what, struct control_map *out)
{
	static const char *const same[] = {"find", "logs", "kill", "resume"};
	const struct control_value *pid = control_values_find(v, "pid");
	bool known = !strcmp(what, "bring");
	if (known)
		translate_bring(call, out);
	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		if (!strcmp(what, same[i])) {
			control_map_text(out, "request", same[i]);
			known = true;
		}
	if (!known || !pid || pid->type != CONTROL_U64)
		return ERR_UNSUPPORTED;
	control_map_u64(out, "pid", pid->u64);
	control_map_flag(out, "family", is_true(v, "family"));
	return ERR_OK;
}

/* What is asked as a request of the control protocol. */
static enum err translate(const struct link_caller *call, const struct control_values *v,
                          struct control_map *out)
{
	const struct control_value *what = control_values_find(v, "ask");
	if (!what || what->type != CONTROL_TEXT)
		return ERR_MALFORMED;
	if (!strcmp(what->text.p, "shell"))
		return translate_shell(v, out);
	if (strcmp(what->text.p, "ps") != 0)
		return translate_about(call, v, what->text.p, out);
	control_map_text(out, "request", "ps");
	control_map_flag(out, "all", is_true(v, "all"));
	control_map_flag(out, "parts", is_true(v, "parts"));
	return ERR_OK;
}

static enum err read_frame(const uint8_t *bytes, size_t size, struct control_values *out)
{
	struct rd in = rd_of(bytes, size), body;
	TRY(control_frame_next(&in, &body));
	return control_values_read(body, out);
}

static enum err begin(struct node *n, struct link_caller *call, const uint8_t *body, size_t size)
{
	struct control_values asked, request;
	struct control_map m = {0};
	struct wr frame = {0};
	TRY(read_frame(body, size, &asked));
	enum err e = translate(call, &asked, &m);
	if (e == ERR_OK)
		e = control_map_frame(&m, &frame);
	if (e == ERR_OK)
		e = read_frame(frame.data, frame.size, &request);
	if (e == ERR_OK)
		e = control_collect(n, &request, answer, call);
	control_values_free(&asked);
	control_map_free(&m);
	wr_free(&frame);
	return e;
}

static void on_ask(void *ctx, const struct link_caller *caller, const uint8_t *body, size_t size)
{
	struct asks *as = ctx;
	struct link_caller *call = malloc(sizeof *call);
	if (!call) {
		link_answer(caller, ERR_NOMEM, NULL, 0);
		return;
	}
	*call = *caller;
	enum err e = begin(as->node, call, body, size);
	if (e == ERR_OK)
		return;
	link_answer(caller, e == ERR_AGAIN ? ERR_MALFORMED : e, NULL, 0);
	free(call);
}

/* ---- the part ---- */

enum err asks_open(struct node *n, struct errmsg *msg)
{
	struct asks *as = calloc(1, sizeof *as);
	enum err e = as ? link_serve(n, LINK_SERVICE_ASK, on_ask, as) : ERR_NOMEM;
	if (e != ERR_OK) {
		free(as);
		return err_set(msg, e, "asks: %s", err_text(e));
	}
	as->node = n;
	n->asks = as;
	return ERR_OK;
}

void asks_close(struct node *n)
{
	free(n->asks);
	n->asks = NULL;
}
