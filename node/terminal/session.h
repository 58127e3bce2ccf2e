/* session.h - clients that are attached to a process's terminal: `run`, `attach`, `logs -f`.
 *
 * A session joins a process here and a client: a control call, or another device that relays for a
 * call of its own (relay.h). Output goes to the client as it keeps up; its inputs ("bytes", "eof",
 * "size", "signal", "detach") go to the terminal. It ends with the process (a row {"exit": status,
 * ...}), with the client, or with a detach; when the process moves away, a call's session becomes a
 * relay, and another device is told where to turn. When the client of `run` is gone without a
 * detach, the process it started is ended, as when a terminal hangs up; but not once it has moved.
 * Loop thread.
 *
 *	session_start(p, call, SESSION_OWNS);
 */
#pragma once

#include "base/err.h"
#include "node/process/process.h"

struct control_call;
struct peer;
struct session;

enum {
	SESSION_WINDOW = 64 * 1024,       /* input bytes a client may be ahead */
	SESSION_LINK_WINDOW = 256 * 1024, /* output bytes a device may be behind */
	SESSION_CHUNK = 32 * 1024,
	SESSION_LONELY_MS =
	    10000, /* so long output waits for clients that shall come back after a move */
};

enum session_flags {
	SESSION_OWNS = 1, /* hang-up ends the process */
	SESSION_FOLLOWS =
	    2, /* output only; a slow client loses some instead of holding the guest up */
	SESSION_RECENT = 4, /* begins with the recent output */
};

enum tty_event { TTY_EVENT_EOF, TTY_EVENT_SIZE, TTY_EVENT_SIGNAL, TTY_EVENT_DETACH, TTY_EVENTS };

/* The call is the session's from now on. Errors are answered to the call. */
void session_start(struct process *p, struct control_call *c, unsigned flags);
/* The same for a client that was attached before, with bytes it sent already; input is taken. */
struct wr;
void session_resume(struct process *p, struct control_call *c, unsigned flags, struct wr *input,
                    bool eof);
/* Output and raw flag to the sessions of p, input that waits to its terminal. */
void session_pump(struct process *p);
/* Called every now and then: output that waits for clients who do not come. */
void session_expire(struct process *p, uint64_t now_ms);
/* process_table.c tells every event here first. */
void session_event(struct process *p, enum process_event ev);

/* An input of a client, read from the call's values. NULL bytes: an event. */
struct session_input {
	const uint8_t *bytes;
	size_t size;
	enum tty_event event;
	uint16_t a, b; /* SIZE: cols, rows; SIGNAL: number */
};
/* False: it is no input that is known. */
bool session_read_input(struct control_call *c, const char *name, struct session_input *out);

/* ---- for relay.c: sessions whose client is another device ---- */

/* id is the device's number for it. ERR_EXISTS, ERR_NOMEM. */
enum err session_start_remote(struct process *p, struct peer *peer, uint32_t id, unsigned flags);
/* NULL: there is none. */
struct session *session_find_remote(struct node *n, const struct peer *peer, uint32_t id);
void session_input(struct session *s, const struct session_input *in);
/* The device delivered size bytes of output. */
void session_took_output(struct session *s, uint32_t size);
/* The link is down, or the device wants no more of it. */
void session_drop_remote(struct session *s);
void session_drop_peer(struct node *n, const struct peer *peer);
