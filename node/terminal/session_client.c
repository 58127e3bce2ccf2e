/* session_client.c - rows to a control call, or messages to another device. */
#include "node/terminal/session_client.h"

#include "node/control/control.h"
#include "node/links/link.h"

#include <string.h>

/* A device that cannot be told is down: link_watch() ends its sessions. */
static void send_message(struct session *s, enum msg type, const void *fields)
{
	(void)link_send(s->peer, type, fields, LINK_FAST, NULL);
}

static void output_to_device(struct session *s, enum tty_stream stream, const uint8_t *bytes,
                             size_t size)
{
	while (size) {
		size_t n = size < SESSION_CHUNK ? size : SESSION_CHUNK;
		struct msg_tty_output m = {.session = s->id,
		                           .stream = (uint8_t)stream,
		                           .data = {.p = bytes, .size = (uint32_t)n}};
		send_message(s, MSG_TTY_OUTPUT, &m);
		s->unacked += n;
		bytes += n;
		size -= n;
	}
}

void session_tell_output(struct session *s, enum tty_stream stream, const uint8_t *bytes,
                         size_t size)
{
	if (!s->call) {
		output_to_device(s, stream, bytes, size);
		return;
	}
	control_row(s->call);
	control_put_bytes(s->call, stream == TTY_ERR ? "err" : "out", bytes, size);
	control_row_end(s->call);
}

void session_tell_raw(struct session *s, bool raw)
{
	s->raw = raw;
	if (!s->call) {
		send_message(s, MSG_TTY_RAW, &(struct msg_tty_raw){.session = s->id, .raw = raw});
		return;
	}
	control_row(s->call);
	control_put_flag(s->call, "raw", raw);
	control_row_end(s->call);
}

void session_tell_took(struct session *s, size_t size)
{
	if (!s->call) {
		send_message(
		    s, MSG_TTY_TOOK_INPUT,
		    &(struct msg_tty_took_input){.session = s->id, .size = (uint32_t)size});
		return;
	}
	control_row(s->call);
	control_put_u64(s->call, "took", size);
	control_row_end(s->call);
}

void session_tell_exit(struct session *s)
{
	struct process *p = s->process;
	const char *state = process_state_text(p);
	if (!s->call) {
		struct msg_tty_exit m = {
		    .session = s->id,
		    .status = (uint8_t)p->end.status,
		    .state = {.p = state, .size = (uint32_t)strlen(state)},
		    .text = {.p = p->end.text, .size = (uint32_t)strlen(p->end.text)}};
		send_message(s, MSG_TTY_EXIT, &m);
		return;
	}
	control_row(s->call);
	control_put_u64(s->call, "exit", (uint64_t)p->end.status);
	control_put_str(s->call, "state", state);
	control_put_str(s->call, "text", p->end.text);
	control_row_end(s->call);
}

size_t session_behind(const struct session *s)
{
	return s->call ? control_queued_bytes(s->call) : s->unacked;
}
