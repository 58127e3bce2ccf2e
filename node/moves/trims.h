/* trims.h - programs put to sleep on disk for want of memory, before the system ends the whole node: a part of the node.
 *
 * Who asks: a person (`wasmos trim`), the Android app (onTrimMemory), or the node's own watch. The watch runs where the system
 * ends programs without asking (os_memory_floor_bytes(): Android) or where `up --low-memory MIB` asks for it. Every two
 * seconds it looks: below the floor, or when all programs stood still for memory a fifth of the last ten seconds, the
 * largest unattended program goes to sleep; below half the floor also an attended one. Attended is what a client or a
 * screen shows.
 *
 * Who sleeps so is listed in the depot (DEPOT_SETTINGS, "trimmed"), also over a restart, and goes on by `wasmos resume PID`, by
 * `wasmos resume --trimmed` (the app, when it is in front again), and, those that the watch chose, one by one when there
 * was twice the floor for half a minute. One program at a time: putting to sleep needs memory itself. Loop thread.
 */
#pragma once

#include <stdbool.h>

struct control_call;
struct node;

enum {
	TRIM_WATCH_MS = 2000,
	TRIM_FINE_MS = 30000, /* of plenty, before a program is woken */
	TRIM_STALL_PERCENT = 20,
	TRIM_MAX = 4096, /* programs listed */
};

/* Wakes all that sleep for want of memory; answers the call. */
void trims_resume(struct node *n, struct control_call *c);
/* Something is still on its way to or from the disk. */
bool trims_busy(struct node *n);
