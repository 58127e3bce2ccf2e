/* os_device_windows.c - os_device.h on Windows. */
#include "base/os_device.h"

#include <windows.h>

void os_device_begin(void)
{
}

bool os_device_has_names(void)
{
	return true;
}

bool os_device_is_handheld(void)
{
	return false;
}

bool os_memory_now(struct os_memory *m)
{
	MEMORYSTATUSEX st = {.dwLength = sizeof st};
	*m = (struct os_memory){0};
	if (!GlobalMemoryStatusEx(&st))
		return false;
	m->total_bytes = st.ullTotalPhys;
	m->available_bytes = st.ullAvailPhys;
	return true;
}

uint64_t os_memory_floor_bytes(uint64_t total_bytes)
{
	return 0; /* it swaps */
}

uint64_t os_uptime_ns(void)
{
	return GetTickCount64() * 1000000u;
}
