/* door.h - the local socket between the `wasmos` command and its node: both ends of it.
 *
 * Only the user that the node belongs to can connect: on Linux a socket in the home folder (mode 0600, the other side's
 * user is looked at), on Windows a named pipe whose name comes from the home's path and whose access list names
 * that user. The node's end belongs to its loop thread; the command's end is used by one thread and blocks.
 *
 *	TRY(door_open(n, on_client, ctl, &door, &msg));            node
 *	door_accept(door, &client->pipe);                          in on_client
 *
 *	struct wire *w = wire_connect("/home/me/.wasmos", &e);     command
 *	wire_send(w, bytes, size);
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct node;

/* ---- the node's end ---- */

struct door;

/* A client waits: door_accept() is called once, now. */
typedef void (*door_fn)(void *ctx);

enum err door_open(struct node *n, door_fn on_client, void *ctx, struct door **out,
                   struct errmsg *msg);
/* Takes the client that waits into an initialised pipe. DENIED: it was another user. When it fails the pipe is to be closed. */
enum err door_accept(struct door *d, uv_pipe_t *pipe);
/* No more clients; closed(ctx) is called from the loop when nothing of it is left. */
void door_close(struct door *d, void (*closed)(void *ctx), void *ctx);

/* ---- the command's end ---- */

struct wire;

/* NULL: NOTFOUND, no node is up there; else what msg says. */
struct wire *wire_connect(const char *home, struct errmsg *msg, enum err *why);
/* Sends all of it. False: the node is gone. */
bool wire_send(struct wire *w, const void *bytes, size_t size);
/* Waits for bytes. 0: the node is gone. */
size_t wire_receive(struct wire *w, void *buf, size_t size);
/* What this system waits for until wire_receive() does not: a descriptor, or an event. */
intptr_t wire_waitable(const struct wire *w);
void wire_close(struct wire *w);
