/* viewers.h - the part of the node that shows a process's screen to clients of the control socket: request `screen`.
 *
 * A viewer joins a process here and a control call. The call's rows carry pictures and sound, its inputs events and
 * acknowledgements; docs/formats/screen.md is the protocol. One viewer a process: a newer one takes the screen
 * over. It ends with the process, when the process leaves this device, with the client, or when another screen
 * takes over; then the device's own screen shows the process again. Loop thread.
 */
#pragma once

enum {
	VIEWER_PIECE_MAX = 1 << 20, /* bytes of pixels in one row */
	VIEWER_AHEAD = 2,           /* frames sent and not acknowledged */
	VIEWER_BIG_FRAME = 8 << 20, /* from this size on only one is ahead */
	VIEWER_GAP_ROWS = 4,     /* unchanged rows that are sent along rather than a piece more */
	VIEWER_PULL_MAX = 16384, /* frames of sound a pull */
	VIEWER_QUEUE_MAX =
	    32 << 20, /* bytes that wait for the client: above it a pull is not answered */
	VIEWER_PULL_SILENT_MS =
	    500, /* a client that pulled and stopped no longer paces the sound */
};
