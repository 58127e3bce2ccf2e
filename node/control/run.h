/* run.h - what requests that start a program share: run and shell (control_process.c, control_shell.c). Loop thread. */
#pragma once

#include "base/err.h"
#include "node/process/process.h"

#include <stdint.h>

struct control_call;

/* The argument "mounts", a list of triples: host path, guest path, "ro" or "rw". out has room for PROCESS_MOUNTS_MAX; its
 * texts live until the handler returns. */
enum err run_mounts(struct control_call *c, struct process_mount *out, uint32_t *count,
                    struct errmsg *msg);
/* Which of the client's streams are terminals, and their size. */
void run_terminal(struct control_call *c, struct tty_config *out);
/* The arguments "net" and "publish". EXISTS: a port is taken. After OK: run_process(). */
enum err run_net(struct control_call *c, struct process_config *cfg, struct errmsg *msg);
/* Takes the call: starts the program, and joins the client to it unless the request says "detached". */
void run_process(struct control_call *c, const struct process_config *cfg);
