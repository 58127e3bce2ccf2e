/* control_screen.c - requests about what a process shows: screenshot. */
#include "node/control/control.h"
#include "node/drivers/drivers.h"
#include "node/node.h"

/* A frame is compressed here, on the loop: a few milliseconds for those that fit a control frame. */
enum { SCREENSHOT_MARGIN = 4096 };

void control_screenshot(struct node *n, struct control_call *c)
{
	struct process *p = control_arg_process(c);
	struct errmsg msg = {0};
	struct wr png = {0};
	if (!p)
		return;
	if (!p->drivers || p->state == PROCESS_STARTING || p->state == PROCESS_ENDED) {
		control_fail(c, ERR_STATE, "process %u does not run", p->pid);
		return;
	}
	enum err e = drivers_screenshot(p->drivers, &png, &msg);
	if (e == ERR_OK && png.size > CONTROL_FRAME_MAX - SCREENSHOT_MARGIN)
		e = err_set(&msg, ERR_LIMIT, "the picture has %zu bytes, the most is %d", png.size,
		            CONTROL_FRAME_MAX - SCREENSHOT_MARGIN);
	if (e == ERR_OK) {
		control_row(c);
		control_put_bytes(c, "png", png.data, png.size);
		control_row_end(c);
	}
	wr_free(&png);
	control_end(c, e, &msg);
}
