/* ask.h - what paired devices ask of each other on behalf of the person: which processes run there, to send one
 * here, and to start a shell there for somebody here.
 *
 * An ask is a call over the link (service LINK_SERVICE_ASK) whose body is one frame of the control protocol, {"ask": "ps" |
 * "bring" | "shell" | "find" | "logs" | "kill" | "resume", ...}; the answer is the frames that the control socket would send: rows and an end. Devices that were paired
 * belong to one person, so each may see and end the others' processes, join their terminals, fetch them, and have that person's shell there; nothing
 * else of the control protocol can be asked. What comes back is hostile until it was checked: values are decoded with the limits of control.h, and texts
 * lose what a terminal would act on. Loop thread.
 */
#pragma once

#include <stdbool.h>

struct control_call;
struct node;

enum {
	ASK_TIMEOUT_MS = 10 * 1000,
	ASK_SHELL_TIMEOUT_MS = 60 * 1000, /* a shell's module may be loaded first */
	ASK_WAKE_TIMEOUT_MS = 60 * 1000,  /* its image may be large */
	ASK_BRING_TIMEOUT_MS = 3600 * 1000,
	ASK_ANSWER_MAX = 500 * 1024, /* bytes of an answer's frames */
};

/* Takes the call; ends it with the peer's rows. */
void ask_ps(struct node *n, struct control_call *c, const char *peer);
/* Takes the call (a request "shell"): a shell is started there, and the call's client joined to it. */
void ask_shell(struct node *n, struct control_call *c, const char *peer);
/* Takes the call (a request "attach" or "logs"): its client is joined to the process "pid" of the peer, or of where that went. */
void ask_attach(struct node *n, struct control_call *c, const char *peer, unsigned session_flags);
/* Takes the call, a request "logs", "kill" or "resume" about the process "pid" of the peer. */
void ask_logs(struct node *n, struct control_call *c, const char *peer);
void ask_kill(struct node *n, struct control_call *c, const char *peer);
void ask_resume(struct node *n, struct control_call *c, const char *peer);
