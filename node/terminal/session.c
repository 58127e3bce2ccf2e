/* session.c - output of a terminal to its clients, input of its clients to the terminal.
 *
 * Output: taken from the terminal's queue only while every client that is not a mere follower keeps
 * up, and then given to all of them. Input: a client sends up to SESSION_WINDOW bytes ahead of what
 * was taken ({"took": n}), so the node never has to stop listening to it. While the process is
 * frozen input waits here: the terminal may have been written to an image already. */
#include "node/terminal/session.h"

#include "node/control/control.h"
#include "node/drivers/drivers.h"
#include "node/links/link.h"
#include "node/node.h"
#include "node/terminal/relay.h"
#include "node/terminal/session_client.h"

#include <stdlib.h>
#include <string.h>

/* Signals as they are numbered in exit statuses, on every system. */
enum { NUMBER_HUP = 1, NUMBER_INT = 2, NUMBER_QUIT = 3, NUMBER_TERM = 15 };

/* ---- the end ---- */

/* Takes it out of its process and frees it; what becomes of the client is the caller's. comes_back: output
 * goes on waiting for it (session_expire). */
static void take_out(struct session *s, bool comes_back)
{
	struct process *p = s->process;
	for (struct session **at = &p->sessions; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	if (!p->sessions && p->tty && !comes_back)
		tty_set_attached(p->tty, false);
	wr_free(&s->input);
	free(s);
}

static void remove_session(struct session *s)
{
	take_out(s, false);
}

/* The last row was sent. */
static void end_session(struct session *s, enum err e, const struct errmsg *msg)
{
	struct control_call *c = s->call;
	remove_session(s);
	if (c)
		control_end(c, e, msg);
}

static void on_gone(void *ctx)
{
	struct session *s = ctx;
	struct process *p = s->process;
	bool hang_up = s->flags & SESSION_OWNS && process_alive(p) && p->hold == HOLD_NONE;
	remove_session(s);
	if (hang_up)
		process_kill(p, 128 + NUMBER_HUP);
	else
		session_pump(p);
}

/* ---- output ---- */

static void give_output(struct session *s, enum tty_stream stream, const uint8_t *bytes,
                        size_t size)
{
	size_t skip = s->skip < size ? s->skip : size;
	s->skip -= skip;
	if (size == skip)
		return;
	if (s->flags & SESSION_FOLLOWS && session_behind(s) > 4 * CONTROL_QUEUE_GOAL)
		return;
	session_tell_output(s, stream, bytes + skip, size - skip);
}

static void on_drained(void *ctx)
{
	struct session *s = ctx;
	session_pump(s->process);
}

static bool keeps_up(struct session *s)
{
	if (s->flags & SESSION_FOLLOWS)
		return true;
	if (!s->call)
		return s->unacked < SESSION_LINK_WINDOW;
	if (session_behind(s) <= CONTROL_QUEUE_GOAL)
		return true;
	control_on_drained(s->call, on_drained, s);
	return false;
}

/* True when no client is too far behind; one that is calls us again. */
static bool all_keep_up(struct process *p)
{
	for (struct session *s = p->sessions; s; s = s->next)
		if (!keeps_up(s))
			return false;
	return true;
}

/* all: no matter how far behind the clients are (the process is over here: what is left is bounded). */
static void pump_output(struct process *p, bool all)
{
	uint8_t buf[SESSION_CHUNK];
	enum tty_stream stream;
	while (p->sessions && (all || all_keep_up(p))) {
		size_t n = tty_take_output(p->tty, &stream, buf, sizeof buf);
		if (!n)
			return;
		for (struct session *s = p->sessions; s; s = s->next)
			give_output(s, stream, buf, n);
	}
}

static void pump_raw(struct process *p)
{
	bool raw = tty_raw(p->tty);
	for (struct session *s = p->sessions; s; s = s->next)
		if (s->raw != raw && !(s->flags & SESSION_FOLLOWS))
			session_tell_raw(s, raw);
}

/* ---- input ---- */

/* To the display when it is drawn in the terminal, else to the guest's standard input. */
static size_t feed(struct process *p, const uint8_t *bytes, size_t size)
{
	size_t took;
	if (p->drivers && drivers_tty_input(p->drivers, bytes, size))
		return size;
	tty_feed(p->tty, bytes, size, &took);
	return took;
}

static void pump_input(struct session *s)
{
	struct process *p = s->process;
	if (p->state != PROCESS_RUNNING)
		return;
	size_t took = s->input.size ? feed(p, s->input.data, s->input.size) : 0;
	if (took) {
		memmove(s->input.data, s->input.data + took, s->input.size - took);
		s->input.size -= took;
		session_tell_took(s, took);
	}
	if (s->eof && !s->input.size) {
		s->eof = false;
		tty_feed_eof(p->tty);
	}
}

void session_expire(struct process *p, uint64_t now_ms)
{
	if (p->sessions || p->state != PROCESS_RUNNING || !tty_attached(p->tty))
		p->lonely_ms = 0;
	else if (!p->lonely_ms)
		p->lonely_ms = now_ms;
	else if (now_ms - p->lonely_ms > SESSION_LONELY_MS)
		tty_set_attached(p->tty, false);
}

void session_pump(struct process *p)
{
	for (struct session *s = p->sessions; s; s = s->next)
		pump_input(s);
	pump_output(p, false);
	pump_raw(p);
}

static void detach(struct session *s)
{
	if (s->call) {
		control_row(s->call);
		control_put_flag(s->call, "detached", true);
		control_row_end(s->call);
	}
	end_session(s, ERR_OK, NULL);
}

static void input_event(struct session *s, const struct session_input *in)
{
	struct process *p = s->process;
	switch (in->event) {
	case TTY_EVENT_EOF:
		s->eof = true;
		pump_input(s);
		break;
	case TTY_EVENT_SIZE: tty_set_size(p->tty, in->a, in->b); break;
	case TTY_EVENT_SIGNAL:
		if (in->a == NUMBER_INT || in->a == NUMBER_TERM || in->a == NUMBER_HUP ||
		    in->a == NUMBER_QUIT)
			process_interrupt(p, in->a);
		break;
	case TTY_EVENT_DETACH: detach(s); break;
	case TTY_EVENTS: break;
	}
}

void session_input(struct session *s, const struct session_input *in)
{
	if (s->flags & SESSION_FOLLOWS && (in->bytes || in->event != TTY_EVENT_DETACH))
		return;
	if (!in->bytes) {
		input_event(s, in);
		return;
	}
	if (s->input.size + in->size <= SESSION_WINDOW) /* who ignores the window loses bytes */
		wr_bytes(&s->input, in->bytes, in->size);
	pump_input(s);
}

bool session_read_input(struct control_call *c, const char *name, struct session_input *out)
{
	static const char *const events[TTY_EVENTS] = {"eof", "size", "signal", "detach"};
	*out = (struct session_input){0};
	if (!strcmp(name, "bytes"))
		return control_bytes(c, "data", &out->bytes, &out->size) == ERR_OK;
	for (int i = 0; i < TTY_EVENTS; i++) {
		if (strcmp(name, events[i]))
			continue;
		out->event = (enum tty_event)i;
		out->a = (uint16_t)control_u64_or(c, i == TTY_EVENT_SIGNAL ? "signal" : "cols", 0);
		out->b = (uint16_t)control_u64_or(c, "rows", 0);
		return true;
	}
	return false;
}

static void on_input(void *ctx, struct control_call *c, const char *name)
{
	struct session_input in;
	if (session_read_input(c, name, &in))
		session_input(ctx, &in);
}

/* ---- start ---- */

static void send_recent(struct session *s)
{
	uint8_t *buf = malloc(TTY_RECENT_SIZE);
	if (!buf)
		return;
	size_t skip, n = tty_recent(s->process->tty, buf, TTY_RECENT_SIZE, &skip);
	if (n)
		give_output(s, TTY_OUT, buf, n);
	s->skip = skip;
	free(buf);
}

static struct session *add_session(struct process *p, unsigned flags)
{
	struct session *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	*s = (struct session){.process = p, .flags = flags, .next = p->sessions};
	p->sessions = s;
	tty_set_attached(p->tty, true);
	return s;
}

void session_start(struct process *p, struct control_call *c, unsigned flags)
{
	session_resume(p, c, flags, &(struct wr){0}, false);
}

void session_resume(struct process *p, struct control_call *c, unsigned flags, struct wr *input,
                    bool eof)
{
	struct session *s = add_session(p, flags);
	if (!s) {
		wr_free(input);
		control_fail(c, ERR_NOMEM, "no memory for one more client");
		return;
	}
	s->call = c;
	s->input = *input;
	s->eof = eof;
	if (flags & SESSION_RECENT)
		send_recent(s);
	if (!process_alive(p)) {
		session_event(p, PROCESS_EVENT_ENDED);
		return;
	}
	control_on_gone(c, on_gone, s);
	session_pump(p);
	control_on_input(c, on_input, s); /* may end the session at once */
}

enum err session_start_remote(struct process *p, struct peer *peer, uint32_t id, unsigned flags)
{
	if (session_find_remote(p->node, peer, id))
		return ERR_EXISTS;
	struct session *s = add_session(p, flags & ~(unsigned)SESSION_OWNS);
	if (!s)
		return ERR_NOMEM;
	s->peer = peer;
	s->id = id;
	if (flags & SESSION_RECENT)
		send_recent(s);
	session_pump(p);
	return ERR_OK;
}

struct session *session_find_remote(struct node *n, const struct peer *peer, uint32_t id)
{
	for (struct process *p = process_first(n); p; p = p->next)
		for (struct session *s = p->sessions; s; s = s->next)
			if (s->peer == peer && s->id == id)
				return s;
	return NULL;
}

void session_took_output(struct session *s, uint32_t size)
{
	s->unacked -= size < s->unacked ? size : s->unacked;
	session_pump(s->process);
}

void session_drop_remote(struct session *s)
{
	struct process *p = s->process;
	remove_session(s);
	session_pump(p);
}

void session_drop_peer(struct node *n, const struct peer *peer)
{
	for (struct process *p = process_first(n); p; p = p->next)
		for (struct session *s = p->sessions, *next; s; s = next) {
			next = s->next;
			if (s->peer == peer)
				take_out(s, true);
		}
}

/* ---- the process's events ---- */

static void on_ended(struct process *p)
{
	pump_output(p, true);
	while (p->sessions) {
		session_tell_exit(p->sessions);
		end_session(p->sessions, ERR_OK, NULL);
	}
}

static bool has_target(const struct process *p)
{
	static const uint8_t none[sizeof p->gone_to];
	return memcmp(p->gone_to, none, sizeof none) != 0;
}

/* It runs on another device now: there the calls' sessions go on, and other devices are told. */
static void on_moved(struct process *p)
{
	pump_output(p, true);
	while (p->sessions) {
		struct session *s = p->sessions;
		struct control_call *c = s->call;
		if (c && !has_target(p)) {
			end_session(s, ERR_CLOSED,
			            &(struct errmsg){.text =
			                                 "the program was taken off this device; "
			                                 "`wasmos ps -a` shows what became of it"});
			continue;
		}
		if (!c) {
			relay_tell_moved(s->peer, s->id, p->gone_to);
		} else {
			struct relay_start start = {.call = c,
			                            .flags = s->flags & ~(unsigned)SESSION_RECENT,
			                            .uid = p->uid,
			                            .device = p->gone_to,
			                            .raw = s->raw,
			                            .eof = s->eof,
			                            .input = s->input.data,
			                            .input_size = s->input.size};
			tty_size(p->tty, &start.cols, &start.rows);
			relay_begin(p->node, &start);
		}
		remove_session(s);
	}
}

void session_event(struct process *p, enum process_event ev)
{
	if (ev == PROCESS_EVENT_ENDED)
		on_ended(p);
	else if (ev == PROCESS_EVENT_GONE)
		on_moved(p);
}
