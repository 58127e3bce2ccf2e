/* session.c - output of a terminal to its clients, input of its clients to the terminal.
 *
 * Output: taken from the terminal's queue only while every client that is not a mere follower keeps up, and then
 * given to all of them. Input: a client sends bytes up to SESSION_WINDOW ahead of what was taken ({"took": n}),
 * so the node never has to stop listening to it. While the process is frozen input waits here:
 * the terminal may have been written to an image already. */
#include "node/session.h"

#include "node/control.h"
#include "node/drivers/drivers.h"
#include "node/node.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { SESSION_CHUNK = 32 * 1024 };

struct session {
	struct process *process;
	struct control_call *call;
	unsigned flags;
	size_t skip;     /* output bytes that the recent output had already */
	bool raw, eof;   /* raw: what the client was told; eof: after the input that waits */
	struct wr input; /* waits to be taken */
	struct session *next;
};

/* ---- the end ---- */

static void unlink_session(struct session *s)
{
	struct process *p = s->process;
	for (struct session **at = &p->sessions; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	if (!p->sessions && p->tty)
		tty_set_attached(p->tty, false);
}

static void free_session(struct session *s)
{
	wr_free(&s->input);
	free(s);
}

/* The last row was sent. */
static void end_session(struct session *s, enum err e, const struct errmsg *msg)
{
	struct control_call *c = s->call;
	unlink_session(s);
	free_session(s);
	control_end(c, e, msg);
}

static void on_gone(void *ctx)
{
	struct session *s = ctx;
	struct process *p = s->process;
	bool hang_up = s->flags & SESSION_OWNS && process_alive(p) && p->hold == HOLD_NONE;
	unlink_session(s);
	free_session(s);
	if (hang_up)
		process_kill(p, 128 + SIGHUP);
	else
		session_pump(p);
}

/* ---- output ---- */

static void send_output(struct session *s, enum tty_stream stream, const uint8_t *bytes,
                        size_t size)
{
	size_t skip = s->skip < size ? s->skip : size;
	s->skip -= skip;
	if (size == skip)
		return;
	if (s->flags & SESSION_FOLLOWS && control_queued_bytes(s->call) > 4 * CONTROL_QUEUE_GOAL)
		return;
	control_row(s->call);
	control_put_bytes(s->call, stream == TTY_ERR ? "err" : "out", bytes + skip, size - skip);
	control_row_end(s->call);
}

static void on_drained(void *ctx)
{
	struct session *s = ctx;
	session_pump(s->process);
}

/* True when no client is too far behind; one that is calls us again. */
static bool all_keep_up(struct process *p)
{
	for (struct session *s = p->sessions; s; s = s->next)
		if (!(s->flags & SESSION_FOLLOWS) &&
		    control_queued_bytes(s->call) > CONTROL_QUEUE_GOAL) {
			control_on_drained(s->call, on_drained, s);
			return false;
		}
	return true;
}

/* all: no matter how far behind the clients are (the process has ended: what is left is bounded). */
static void pump_output(struct process *p, bool all)
{
	uint8_t buf[SESSION_CHUNK];
	enum tty_stream stream;
	while (p->sessions && (all || all_keep_up(p))) {
		size_t n = tty_take_output(p->tty, &stream, buf, sizeof buf);
		if (!n)
			return;
		for (struct session *s = p->sessions; s; s = s->next)
			send_output(s, stream, buf, n);
	}
}

static void tell_raw(struct process *p)
{
	bool raw = tty_raw(p->tty);
	for (struct session *s = p->sessions; s; s = s->next) {
		if (s->raw == raw || s->flags & SESSION_FOLLOWS)
			continue;
		s->raw = raw;
		control_row(s->call);
		control_put_flag(s->call, "raw", raw);
		control_row_end(s->call);
	}
}

/* ---- input ---- */

/* To the display when it is drawn in the terminal, else to the guest's standard input. */
static size_t give(struct process *p, const uint8_t *bytes, size_t size)
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
	size_t took = s->input.size ? give(p, s->input.data, s->input.size) : 0;
	if (took) {
		memmove(s->input.data, s->input.data + took, s->input.size - took);
		s->input.size -= took;
		control_row(s->call);
		control_put_u64(s->call, "took", took);
		control_row_end(s->call);
	}
	if (s->eof && !s->input.size) {
		s->eof = false;
		tty_feed_eof(p->tty);
	}
}

void session_pump(struct process *p)
{
	for (struct session *s = p->sessions; s; s = s->next)
		pump_input(s);
	pump_output(p, false);
	tell_raw(p);
}

static void input_bytes(struct session *s, struct control_call *c)
{
	const uint8_t *bytes;
	size_t size;
	if (control_bytes(c, "data", &bytes, &size) != ERR_OK)
		return;
	if (s->input.size + size <=
	    SESSION_WINDOW) /* a client that ignores the window loses bytes */
		wr_bytes(&s->input, bytes, size);
	pump_input(s);
}

static void input_signal(struct session *s, struct control_call *c)
{
	uint64_t sig = control_u64_or(c, "signal", 0);
	if (sig == SIGINT || sig == SIGTERM || sig == SIGHUP || sig == SIGQUIT)
		process_kill(s->process, 128 + (int)sig);
}

static void on_input(void *ctx, struct control_call *c, const char *name)
{
	struct session *s = ctx;
	if (s->flags & SESSION_FOLLOWS)
		return;
	if (!strcmp(name, "bytes")) {
		input_bytes(s, c);
	} else if (!strcmp(name, "eof")) {
		s->eof = true;
		pump_input(s);
	} else if (!strcmp(name, "size")) {
		tty_set_size(s->process->tty, (uint16_t)control_u64_or(c, "cols", 0),
		             (uint16_t)control_u64_or(c, "rows", 0));
	} else if (!strcmp(name, "signal")) {
		input_signal(s, c);
	} else if (!strcmp(name, "detach")) {
		control_row(c);
		control_put_flag(c, "detached", true);
		control_row_end(c);
		end_session(s, ERR_OK, NULL);
	}
}

/* ---- start, and the process's events ---- */

static void send_recent(struct session *s)
{
	uint8_t *buf = malloc(TTY_RECENT_SIZE);
	if (!buf)
		return;
	size_t skip, n = tty_recent(s->process->tty, buf, TTY_RECENT_SIZE, &skip);
	if (n)
		send_output(s, TTY_OUT, buf, n);
	s->skip = skip;
	free(buf);
}

static void send_exit(struct session *s)
{
	struct process *p = s->process;
	control_row(s->call);
	control_put_u64(s->call, "exit", (uint64_t)p->end.status);
	control_put_str(s->call, "state", process_state_text(p));
	control_put_str(s->call, "text", p->end.text);
	control_row_end(s->call);
}

void session_start(struct process *p, struct control_call *c, unsigned flags)
{
	struct session *s = calloc(1, sizeof *s);
	if (!s) {
		control_fail(c, ERR_NOMEM, "no memory for one more client");
		return;
	}
	*s = (struct session){.process = p, .call = c, .flags = flags, .next = p->sessions};
	p->sessions = s;
	tty_set_attached(p->tty, true);
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

void session_event(struct process *p, enum process_event ev)
{
	if (ev == PROCESS_EVENT_ENDED) {
		pump_output(p, true);
		while (p->sessions) {
			send_exit(p->sessions);
			end_session(p->sessions, ERR_OK, NULL);
		}
	} else if (ev == PROCESS_EVENT_GONE) {
		pump_output(p, true);
		while (p->sessions)
			end_session(p->sessions, ERR_CLOSED,
			            &(struct errmsg){.text = "the process left this device"});
	}
}
