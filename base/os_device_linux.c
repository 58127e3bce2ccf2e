/* os_device_linux.c - os_device.h on Linux: nothing is special. */
#include "base/os_device.h"

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

uint64_t os_memory_floor_bytes(uint64_t total_bytes)
{
	return 0; /* it swaps first, and a person decides; `wasmos up --low-memory` asks for the watch */
}
