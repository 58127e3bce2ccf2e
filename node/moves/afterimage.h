/* afterimage.h - the last frame of a process that has just moved away, until the other device shows its first.
 *
 * The device it left keeps the view (node/drivers/host.h) frozen; the device it came to says SCREEN_SHOWN to all
 * peers when its first frame is on the screen, and then the window here closes. Whatever goes wrong, it closes after
 * AFTERIMAGE_MS. A part of the node (parts.def); the loop's thread.
 */
#pragma once

#include "node/process/process.h"

enum { AFTERIMAGE_MS = 3000 };

/* The process is about to be forgotten here, as it is another device's now: takes its view. */
void afterimage_keep(struct process *p);
