/* vt_windows.h - a terminal like xterm, drawn on a console that understands no escape sequences (wine's; Windows' before 10).
 *
 * What programs write is parsed here and drawn with the console's own functions: cursor, erasing, inserting, a region that scrolls, colours,
 * line drawing, the other screen, and answers to who asks what terminal this is. A character takes one cell.
 *
 *	struct vt *t = vt_new(output, input);       // NULL: the console does it itself
 *	vt_write(t, "\x1b[1;34mblue\x1b[m\n", 14);  // a new line begins at the left, as behind a Unix terminal
 *	vt_free(t);
 *
 * One thread.
 */
#pragma once

#include <stddef.h>
#include <windows.h>

struct vt;

/* NULL too when out is no console, or there is no memory. input gets the answers. */
struct vt *vt_new(HANDLE out, HANDLE input);
/* The console shows the screen that it had. NULL is fine. */
void vt_free(struct vt *t);
void vt_write(struct vt *t, const void *bytes, size_t size);
