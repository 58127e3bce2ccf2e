/* stop.h - what ends a node from outside its control socket: signals, on Windows the console's events and the end of
 * the session. Each means node_stop(). Loop thread.
 *
 *	TRY(stops_open(n, &msg));       // after the loop was made
 *	stops_close(n);                 // before it is drained
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

struct node;

enum err stops_open(struct node *n, struct errmsg *msg);
void stops_close(struct node *n);
/* Ends this program as a crash does: nothing of it runs any more. For tests of recovery. */
_Noreturn void stop_crash(void);
/* The clock that this system's nodes share since it was started; false: it cannot be named. */
bool stop_boot_id(char text[64]);
