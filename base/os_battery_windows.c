/* os_battery_windows.c - os_battery.h by GetSystemPowerStatus. */
#include "base/os_battery.h"

#include <windows.h>

enum { NO_BATTERY = 128, UNKNOWN = 255 };

bool os_battery_now(struct os_battery *b)
{
	SYSTEM_POWER_STATUS s;
	*b = (struct os_battery){0};
	if (!GetSystemPowerStatus(&s) || (s.BatteryFlag & NO_BATTERY) || s.BatteryLifePercent > 100)
		return false;
	b->percent = s.BatteryLifePercent;
	b->on_mains = s.ACLineStatus == 1;
	return s.BatteryFlag != UNKNOWN;
}
