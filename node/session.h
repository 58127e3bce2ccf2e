/* session.h - clients that are attached to a process's terminal: `run`, `attach`, `logs -f`.
 *
 * A session joins a control call and a process: output goes to the call as rows {"out": bytes} and {"err": bytes},
 * inputs of the client ("bytes", "eof", "size", "signal", "detach") go to the terminal. It ends with the
 * process (a row {"exit": status, ...}), with the client, or with a detach. When a client of `run` is gone without a detach,
 * the process it started is ended, as when a terminal hangs up. Loop thread.
 *
 *	session_start(p, call, SESSION_OWNS);
 */
#pragma once

#include "node/process.h"

struct control_call;
struct session;

enum { SESSION_WINDOW = 64 * 1024 };

enum session_flags {
	SESSION_OWNS = 1, /* hang-up ends the process */
	SESSION_FOLLOWS =
	    2, /* output only; a slow client loses some instead of holding the guest up */
	SESSION_RECENT = 4, /* begins with the recent output */
};

/* The call is the session's from now on. Errors are answered to the call. */
void session_start(struct process *p, struct control_call *c, unsigned flags);
/* Output and raw flag to the sessions of p, as far as their clients keep up. */
void session_pump(struct process *p);
/* process_table.c tells every event here first. */
void session_event(struct process *p, enum process_event ev);
