/* relay.c - the client's side and the process's side of TTY_* messages.
 *
 * Client's side, states of a relay:
 *
 *	ASKING --(TTY_ATTACH sent)--> ATTACHED --TTY_EXIT, client gone, detach--> over
 *	  ^  ^                           |  |
 *	  |  +---TTY_REFUSE, later-------+  +--TTY_MOVED: another device, or this one: a session again
 *	  +------link down-------------------+
 *
 * TTY_ATTACH needs no answer; TTY_REFUSE tells that the process is not there (yet: it may just be
 * arriving), then it is asked again every RETRY_MS for up to GIVE_UP_MS. Input that was sent and not
 * taken is kept, and sent again to the next device. */
#include "node/terminal/relay.h"

#include "node/control/control.h"
#include "node/links/link.h"
#include "node/moves/moves.h"
#include "node/node.h"
#include "node/terminal/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 200, GIVE_UP_MS = 30000, NOTE_MS = 2500, HOPS_MAX = 8 };

struct relay {
	struct node *node;
	struct control_call *call;
	uint32_t id;
	unsigned flags;
	uint8_t uid[PROCESS_UID_SIZE];
	uint8_t device[DEVICE_ID_SIZE];
	uint16_t cols, rows;
	bool attached, raw, eof;
	struct wr input;   /* of the client, not taken yet */
	size_t sent;       /* of input, to the device attached to */
	size_t undrained;  /* output given to the call and not acknowledged to the device */
	uint64_t asked_ms; /* when this asking began */
	uint64_t down_ms;  /* since when the link is down; 0: it is not */
	unsigned hops;     /* devices it was sent on to, and nothing came of it yet */
	bool noted;        /* the client was told */
	uint16_t signal;   /* of the client, for the device when it is asked; 0: none */
	struct relay *next;
};

struct relays {
	struct node *node;
	struct relay *first;
	uint32_t last_id;
	uv_timer_t retry;
};

static struct peer *device_of(struct relay *r)
{
	return peer_by_id(r->node, r->device);
}

/* A device that cannot be told is down; link_watch() says so. */
static void send_message(struct relay *r, enum msg type, const void *fields)
{
	struct peer *p = device_of(r);
	if (p)
		(void)link_send(p, type, fields, LINK_FAST, NULL);
}

static void send_event(struct relay *r, enum tty_event kind, uint16_t a, uint16_t b)
{
	if (r->attached)
		send_message(r, MSG_TTY_EVENT,
		             &(struct msg_tty_event){
		                 .session = r->id, .kind = (uint8_t)kind, .a = a, .b = b});
}

/* A person at a terminal is told why nothing happens. */
static void note(struct relay *r, const char *format)
{
	const struct peer *p = device_of(r);
	char text[256];
	snprintf(text, sizeof text, format, p ? peer_name(p) : "the other device");
	control_row(r->call);
	control_put_str(r->call, "note", text);
	control_row_end(r->call);
}

static void link_is_down(struct relay *r, uint64_t now_ms)
{
	if (!r->down_ms)
		r->down_ms = now_ms;
	if (r->noted || now_ms - r->down_ms < NOTE_MS)
		return;
	r->noted = true;
	note(r, "%s cannot be reached; it is waited for, ^C gives up");
}

static void link_is_up(struct relay *r)
{
	r->down_ms = 0;
	if (r->noted)
		note(r, "%s is there again");
	r->noted = false;
}

/* ---- the end of a relay ---- */

static void free_relay(struct relay *r)
{
	for (struct relay **at = &r->node->relays->first; *at; at = &(*at)->next)
		if (*at == r) {
			*at = r->next;
			break;
		}
	wr_free(&r->input);
	free(r);
}

static void end_relay(struct relay *r, enum err e, const char *why)
{
	struct control_call *c = r->call;
	struct errmsg msg;
	snprintf(msg.text, sizeof msg.text, "%s", why);
	free_relay(r);
	control_end(c, e, &msg);
}

static void on_gone(void *ctx)
{
	struct relay *r = ctx;
	send_event(r, TTY_EVENT_DETACH, 0, 0);
	free_relay(r);
}

/* ---- asking ---- */

static void push_input(struct relay *r)
{
	if (!r->attached)
		return;
	if (r->sent < r->input.size) {
		struct msg_tty_input m = {.session = r->id,
		                          .data = {.p = r->input.data + r->sent,
		                                   .size = (uint32_t)(r->input.size - r->sent)}};
		send_message(r, MSG_TTY_INPUT, &m);
		r->sent = r->input.size;
	}
	if (r->eof) {
		r->eof = false;
		send_event(r, TTY_EVENT_EOF, 0, 0);
	}
}

static void ask(struct relay *r)
{
	struct peer *p = device_of(r);
	struct msg_tty_attach m = {
	    .session = r->id, .flags = (uint8_t)r->flags, .cols = r->cols, .rows = r->rows};
	if (!p || !peer_is_up(p))
		return;
	memcpy(m.uid, r->uid, sizeof m.uid);
	if (link_send(p, MSG_TTY_ATTACH, &m, LINK_FAST, NULL) != ERR_OK)
		return;
	r->attached = true;
	r->sent = 0;
	r->undrained = 0;
	link_is_up(r);
	push_input(r);
	if (r->signal)
		send_event(r, TTY_EVENT_SIGNAL, r->signal, 0);
	r->signal = 0;
}

/* The process is here: the call becomes a session of ours. */
static bool come_home(struct relay *r)
{
	struct process *p = process_find_uid(r->node, r->uid);
	if (!p || p->state == PROCESS_STARTING || p->hold != HOLD_NONE)
		return false;
	struct control_call *c = r->call;
	unsigned flags = r->flags;
	struct wr input = r->input;
	bool eof = r->eof;
	uint16_t signal = r->signal;
	r->input = (struct wr){0};
	tty_set_size(p->tty, r->cols, r->rows);
	free_relay(r);
	session_resume(p, c, flags, &input, eof);
	if (signal)
		process_kill(p, 128 + signal);
	return true;
}

static void find_again(struct relay *r, const uint8_t device[DEVICE_ID_SIZE])
{
	r->attached = false;
	r->asked_ms = uv_now(&r->node->loop);
	memcpy(r->device, device, sizeof r->device);
	if (!memcmp(device, r->node->device_id, DEVICE_ID_SIZE)) {
		come_home(r); /* else the timer tries again */
		return;
	}
	ask(r);
}

static void on_retry(uv_timer_t *t)
{
	struct relays *rs = t->data;
	uint64_t now = uv_now(&rs->node->loop);
	for (struct process *p = process_first(rs->node); p; p = p->next)
		session_expire(p, now);
	for (struct relay *r = rs->first, *next; r; r = next) {
		next = r->next;
		if (r->attached || come_home(r))
			continue;
		struct peer *p = device_of(r);
		if (p && !peer_is_up(p)) {
			r->asked_ms = now; /* a link that is down is waited for */
			link_is_down(r, now);
		} else if (now - r->asked_ms > GIVE_UP_MS) {
			end_relay(r, ERR_NOTFOUND,
			          "the program moved to another device and cannot be found there");
		} else {
			ask(r);
		}
	}
}

/* ---- the client ---- */

/* What should end a program that cannot be reached now gives the terminal back. */
static void on_signal(struct relay *r, const struct session_input *in)
{
	const struct peer *p = device_of(r);
	char text[256];
	if (r->attached) {
		send_event(r, in->event, in->a, in->b);
		return;
	}
	r->signal = in->a;
	if (!p || peer_is_up(p))
		return; /* it is being asked */
	snprintf(text, sizeof text,
	         "the program is on %s, which cannot be reached: it was not ended", peer_name(p));
	end_relay(r, ERR_CLOSED, text);
}

static void on_input(void *ctx, struct control_call *c, const char *name)
{
	struct relay *r = ctx;
	struct session_input in;
	if (!session_read_input(c, name, &in))
		return;
	if (in.bytes) {
		if (r->input.size + in.size <= SESSION_WINDOW)
			wr_bytes(&r->input, in.bytes, in.size);
		push_input(r);
	} else if (in.event == TTY_EVENT_EOF) {
		r->eof = true;
		push_input(r);
	} else if (in.event == TTY_EVENT_DETACH) {
		send_event(r, TTY_EVENT_DETACH, 0, 0);
		control_row(c);
		control_put_flag(c, "detached", true);
		control_row_end(c);
		end_relay(r, ERR_OK, "");
	} else if (in.event == TTY_EVENT_SIGNAL) {
		on_signal(r, &in);
	} else {
		if (in.event == TTY_EVENT_SIZE) {
			r->cols = in.a;
			r->rows = in.b;
		}
		send_event(r, in.event, in.a, in.b);
	}
}

void relay_begin(struct node *n, const struct relay_start *s)
{
	struct relay *r = calloc(1, sizeof *r);
	if (!r) {
		control_fail(s->call, ERR_NOMEM,
		             "no memory to follow the program to another device");
		return;
	}
	*r = (struct relay){.node = n,
	                    .call = s->call,
	                    .id = ++n->relays->last_id,
	                    .flags = s->flags & ~(unsigned)SESSION_OWNS,
	                    .cols = s->cols,
	                    .rows = s->rows,
	                    .raw = s->raw,
	                    .eof = s->eof,
	                    .next = n->relays->first};
	memcpy(r->uid, s->uid, sizeof r->uid);
	if (s->input_size)
		wr_bytes(&r->input, s->input, s->input_size);
	n->relays->first = r;
	control_on_gone(s->call, on_gone, r);
	find_again(r, s->device);
	control_on_input(s->call, on_input, r);
}

/* ---- messages to the client's side ---- */

static struct relay *find(struct node *n, const struct peer *p, uint32_t id)
{
	for (struct relay *r = n->relays->first; r; r = r->next)
		if (r->id == id && r->attached && !memcmp(r->device, peer_id(p), DEVICE_ID_SIZE))
			return r;
	return NULL;
}

static void acknowledge(struct relay *r)
{
	if (r->undrained)
		send_message(r, MSG_TTY_TOOK_OUTPUT,
		             &(struct msg_tty_took_output){.session = r->id,
		                                           .size = (uint32_t)r->undrained});
	r->undrained = 0;
}

static void on_drained(void *ctx)
{
	acknowledge(ctx);
}

static void got_output(struct relay *r, const struct msg_tty_output *m)
{
	r->hops = 0;
	r->flags &= ~(unsigned)SESSION_RECENT; /* it has it */
	control_row(r->call);
	control_put_bytes(r->call, m->stream == TTY_ERR ? "err" : "out", m->data.p, m->data.size);
	control_row_end(r->call);
	r->undrained += m->data.size;
	if (control_queued_bytes(r->call) < CONTROL_QUEUE_GOAL)
		acknowledge(r);
	else
		control_on_drained(r->call, on_drained, r);
}

static void got_took(struct relay *r, uint32_t size)
{
	if (size > r->sent)
		size = (uint32_t)r->sent;
	memmove(r->input.data, r->input.data + size, r->input.size - size);
	r->input.size -= size;
	r->sent -= size;
	control_row(r->call);
	control_put_u64(r->call, "took", size);
	control_row_end(r->call);
}

static void got_exit(struct relay *r, const struct msg_tty_exit *m)
{
	char text[256];
	control_row(r->call);
	control_put_u64(r->call, "exit", m->status);
	snprintf(text, sizeof text, "%.*s", (int)m->state.size, m->state.p);
	control_put_str(r->call, "state", text);
	snprintf(text, sizeof text, "%.*s", (int)m->text.size, m->text.p);
	control_put_str(r->call, "text", text);
	control_row_end(r->call);
	end_relay(r, ERR_OK, "");
}

static void got_raw(struct relay *r, bool raw)
{
	if (r->raw == raw)
		return;
	r->raw = raw;
	control_row(r->call);
	control_put_flag(r->call, "raw", raw);
	control_row_end(r->call);
}

static void got_moved(struct relay *r, const uint8_t device[DEVICE_ID_SIZE])
{
	static const uint8_t none[DEVICE_ID_SIZE];
	if (++r->hops > HOPS_MAX) /* they send us round: later */
		r->attached = false;
	else if (memcmp(device, none, sizeof none))
		find_again(r, device);
	else
		end_relay(r, ERR_CLOSED,
		          "the program is not running any more; `wasmos ps` there shows what "
		          "became of it");
}

/* ---- messages to the process's side ---- */

static void refuse(struct peer *p, uint32_t id, enum err e, const char *why)
{
	struct msg_tty_refuse m = {
	    .session = id, .error = (uint8_t)e, .why = {.p = why, .size = (uint32_t)strlen(why)}};
	(void)link_send(p, MSG_TTY_REFUSE, &m, LINK_FAST, NULL);
}

static void got_attach(struct node *n, struct peer *peer, const struct msg_tty_attach *m)
{
	struct process *p = process_find_uid(n, m->uid);
	const struct owner *o = p ? NULL : moves_record(n, m->uid);
	if (o && o->state == OWNER_GONE) {
		relay_tell_moved(peer, m->session, o->peer);
		return;
	}
	if (!p || p->state == PROCESS_STARTING || p->hold == HOLD_ARRIVING) {
		refuse(peer, m->session, ERR_NOTFOUND, "it is not running here");
		return;
	}
	tty_set_size(p->tty, m->cols, m->rows);
	enum err e = session_start_remote(p, peer, m->session, m->flags);
	if (e != ERR_OK && e != ERR_EXISTS)
		refuse(peer, m->session, e, err_text(e));
}

static void got_input(struct node *n, struct peer *p, uint32_t id, const struct session_input *in)
{
	struct session *s = session_find_remote(n, p, id);
	if (s)
		session_input(s, in);
}

void relay_tell_moved(struct peer *p, uint32_t id, const uint8_t device[32])
{
	struct msg_tty_moved m = {.session = id};
	memcpy(m.device, device, sizeof m.device);
	(void)link_send(p, MSG_TTY_MOVED, &m, LINK_FAST, NULL);
}

/* ---- both ---- */

/* Messages of a session that has just ended cross on the way: what is not found is passed over. */
static enum err on_message(void *ctx, struct peer *p, enum msg type, const union msg_any *any,
                           struct errmsg *msg)
{
	struct node *n = ctx;
	struct relay *r;
	struct session *s;
	switch (type) {
	case MSG_TTY_ATTACH: got_attach(n, p, &any->tty_attach); break;
	case MSG_TTY_REFUSE:
		if ((r = find(n, p, any->tty_refuse.session)))
			r->attached = false;
		break;
	case MSG_TTY_OUTPUT:
		if ((r = find(n, p, any->tty_output.session)))
			got_output(r, &any->tty_output);
		break;
	case MSG_TTY_RAW:
		if ((r = find(n, p, any->tty_raw.session)))
			got_raw(r, any->tty_raw.raw);
		break;
	case MSG_TTY_TOOK_INPUT:
		if ((r = find(n, p, any->tty_took_input.session)))
			got_took(r, any->tty_took_input.size);
		break;
	case MSG_TTY_EXIT:
		if ((r = find(n, p, any->tty_exit.session)))
			got_exit(r, &any->tty_exit);
		break;
	case MSG_TTY_MOVED:
		if ((r = find(n, p, any->tty_moved.session)))
			got_moved(r, any->tty_moved.device);
		break;
	case MSG_TTY_INPUT:
		got_input(n, p, any->tty_input.session,
		          &(struct session_input){.bytes = any->tty_input.data.p,
		                                  .size = any->tty_input.data.size});
		break;
	case MSG_TTY_EVENT:
		if (any->tty_event.kind >= TTY_EVENTS)
			return err_set(msg, ERR_INVALID, "there is no terminal event %u",
			               any->tty_event.kind);
		got_input(n, p, any->tty_event.session,
		          &(struct session_input){.event = (enum tty_event)any->tty_event.kind,
		                                  .a = any->tty_event.a,
		                                  .b = any->tty_event.b});
		break;
	case MSG_TTY_TOOK_OUTPUT:
		if ((s = session_find_remote(n, p, any->tty_took_output.session)))
			session_took_output(s, any->tty_took_output.size);
		break;
	default: return err_set(msg, ERR_UNSUPPORTED, "message %u", type);
	}
	return ERR_OK;
}

static void on_link(void *ctx, struct peer *p, bool up)
{
	struct node *n = ctx;
	if (!up)
		session_drop_peer(n, p);
	for (struct relay *r = n->relays->first; r; r = r->next) {
		if (memcmp(r->device, peer_id(p), DEVICE_ID_SIZE))
			continue;
		r->attached = false;
		r->asked_ms = uv_now(&n->loop);
		if (up)
			ask(r);
	}
}

enum err relays_open(struct node *n, struct errmsg *msg)
{
	struct relays *rs = calloc(1, sizeof *rs);
	if (!rs)
		return err_set(msg, ERR_NOMEM, "relays: out of memory");
	rs->node = n;
	rs->retry.data = rs;
	enum err e = link_subscribe(n, MSG_GROUP_TTY, on_message, n);
	if (e == ERR_OK)
		e = link_watch(n, on_link, n);
	if (e != ERR_OK) {
		free(rs);
		return err_set(msg, e, "relays: %s", err_text(e));
	}
	uv_timer_init(&n->loop, &rs->retry);
	uv_timer_start(&rs->retry, on_retry, RETRY_MS, RETRY_MS);
	n->relays = rs;
	return ERR_OK;
}

static void closed(uv_handle_t *h)
{
	free(h->data);
}

/* Control has been closed before (parts close in reverse): no call is left, so no relay. */
void relays_close(struct node *n)
{
	uv_close((uv_handle_t *)&n->relays->retry, closed);
	n->relays = NULL;
}
