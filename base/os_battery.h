/* os_battery.h - how long the device may go on by itself. One file a system. Any thread; reads a few small files.
 *
 *	struct os_battery b;
 *	if (os_battery_now(&b) && !b.on_mains && b.percent < 10) be_careful();
 */
#pragma once

#include <stdbool.h>

struct os_battery {
	unsigned percent; /* of the device's own battery, 0 to 100 */
	bool on_mains;    /* it is charged, or could be */
};

/* False: it has none, or the system does not say (Android tells its apps otherwise). */
bool os_battery_now(struct os_battery *b);
