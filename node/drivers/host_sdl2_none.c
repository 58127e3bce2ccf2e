/* host_sdl2_none.c - in place of host_sdl2.c where there is no SDL2: Android, whose screen is the app's (host_client.h). */
#include "node/drivers/host.h"

static bool none_has_display(void)
{
	return false;
}

static enum err none_start(const char *device, void **service, struct errmsg *msg)
{
	return err_set(msg, ERR_NOTFOUND,
	               "this build has no windows of its own; the app's screen shows a process");
}

const struct host_ops host_sdl2 = {
    .name = "sdl2",
    .has_display = none_has_display,
    .start = none_start,
};
