/* os_device.h - what differs between a desktop and a telephone: a sandbox that ends programs for a system call, memory
 * that is taken by ending programs, sleep.
 *
 * One file a system, os_device_NAME.c (linux, android, windows), chosen by the build; what Linux and Android share is
 * in os_memory_linux.c. Any thread but for os_device_begin().
 *
 *	int main(...) { os_device_begin(); ...
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* At the start of main(), before any thread. */
void os_device_begin(void);

/* Whether names of machines can be looked up; if not, trying would take seconds and fail. */
bool os_device_has_names(void);

/* A telephone or tablet: the app that this program is part of has a screen, sound and touch, whatever the program itself can open. */
bool os_device_is_handheld(void);

struct os_memory {
	uint64_t total_bytes;
	uint64_t available_bytes; /* to programs, without swapping */
	unsigned
	    stalled_percent; /* of the last ten seconds, in which every program waited for memory; 0: or unknown */
};

/* False where the system does not say. Reads a file: some ten microseconds. */
bool os_memory_now(struct os_memory *m);
/* Below how much available memory this system starts to end programs without asking: 0 where it has not that habit. */
uint64_t os_memory_floor_bytes(uint64_t total_bytes);

/* Monotonic, and counts while the device sleeps, which os_monotonic_ns() does not everywhere. */
uint64_t os_uptime_ns(void);
