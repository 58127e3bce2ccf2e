/* service.h - the node as a service: who started it is told that it is ready, what it does, that it still goes round, and that it stops.
 *
 * Only with --foreground: what starts a node in the background is not its manager. A part of the node, the last to open, so that
 * READY=1 means that the control socket answers. Loop thread: WATCHDOG=1 comes from there at half the interval that was asked
 * for, so a loop that hangs is noticed.
 *
 *	service_stopping(n);                   // from now on nothing new starts
 *	service_reloading(n); ... service_ready(n);
 */
#pragma once

struct node;

/* Each may be called before the part is open and after it was closed: then nothing happens. */
void service_ready(struct node *n);
void service_reloading(struct node *n);
void service_stopping(struct node *n);
