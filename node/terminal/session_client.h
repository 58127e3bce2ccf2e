/* session_client.h - what a session tells its client, whichever kind it is. Between session.c and session_client.c.
 *
 *	session_tell_output(s, TTY_OUT, bytes, size);
 */
#pragma once

#include "base/bytes.h"
#include "node/terminal/session.h"

struct session {
	struct process *process;
	unsigned flags;
	struct control_call *call; /* the client; NULL: the device */
	struct peer *peer;
	uint32_t id;
	size_t unacked;  /* output bytes the device has not delivered */
	size_t skip;     /* output bytes that the recent output had already */
	bool raw, eof;   /* raw: what the client was told; eof: after the input that waits */
	struct wr input; /* waits to be taken */
	struct session *next;
};

void session_tell_output(struct session *s, enum tty_stream stream, const uint8_t *bytes,
                         size_t size);
void session_tell_raw(struct session *s, bool raw);
void session_tell_took(struct session *s, size_t size);
/* The process ended: the last that is told but session_close_client(). */
void session_tell_exit(struct session *s);
/* Bytes the client is behind. */
size_t session_behind(const struct session *s);
