/* host_headless.c - the host half that shows nothing: frames are due 60 times a second, sound is played by
 * the clock, no key is ever pressed. All of that is what a panel does by itself. */
#include "node/drivers/host.h"

static void frame_came(void *ctx)
{
	struct panel *panel = ctx;

	/* Nobody looks, so that a frame that came is as good as on the screen. */
	panel_shown(panel, 1);
}

static enum err headless_open(void *service, const struct host_tty *tty, struct panel *panel,
                              void **state, struct errmsg *msg)
{
	panel_refresh(panel, 0, 0);
	panel_watch(panel, frame_came, panel);
	frame_came(panel);
	*state = panel;
	return ERR_OK;
}

static void headless_freeze(void *state)
{
	panel_unwatch(state, state);
}

static void headless_close(void *state)
{
	panel_unwatch(state, state);
}

const struct host_ops host_headless = {
    .name = "headless",
    .open = headless_open,
    .freeze = headless_freeze,
    .close = headless_close,
};
