/* notify_windows.c - notify.h: the node is no service of Windows, so nobody is told. */
#include "node/service/notify.h"

#include <stddef.h>

struct notify *notify_open(void)
{
	return NULL;
}

void notify_tell(struct notify *m, const char *lines)
{
	(void)m, (void)lines;
}

uint64_t notify_watchdog_ms(const struct notify *m)
{
	(void)m;
	return 0;
}

void notify_close(struct notify *m)
{
	(void)m;
}
