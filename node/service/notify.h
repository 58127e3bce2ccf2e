/* notify.h - lines for the service manager that started this program (systemd's NOTIFY_SOCKET protocol, sd_notify(3)).
 *
 * On a system without such a manager, or when none asked, there is nobody to tell and nothing happens. Loop thread.
 *
 *	struct notify *m = notify_open();
 *	notify_tell(m, "READY=1\nSTATUS=2 programs run");
 *	notify_close(m);
 */
#pragma once

#include <stdint.h>

struct notify;

/* NULL: nobody wants to be told. */
struct notify *notify_open(void);
/* m may be NULL. Blocks for at most a second. */
void notify_tell(struct notify *m, const char *lines);
/* How often, in milliseconds, the manager must hear WATCHDOG=1 at least; 0: never. */
uint64_t notify_watchdog_ms(const struct notify *m);
void notify_close(struct notify *m);
