/* ask.h - what paired devices ask of each other on behalf of the person: which processes run there, and to send one here.
 *
 * An ask is a call over the link (service LINK_SERVICE_ASK) whose body is one frame of the control protocol, {"ask": "ps" |
 * "bring", ...}; the answer is the frames that the control socket would send: rows and an end. Devices that were paired
 * belong to one person, so each may see the others' processes and fetch them; nothing else of the control protocol
 * can be asked. What comes back is hostile until it was checked: values are decoded with the limits of control.h, and texts
 * lose what a terminal would act on. Loop thread.
 */
#pragma once

#include <stdbool.h>

struct control_call;
struct node;

enum {
	ASK_TIMEOUT_MS = 10 * 1000,
	ASK_BRING_TIMEOUT_MS = 3600 * 1000,
	ASK_ANSWER_MAX = 500 * 1024, /* bytes of an answer's frames */
};

/* Takes the call; ends it with the peer's rows. */
void ask_ps(struct node *n, struct control_call *c, const char *peer, bool all);
