/* os_memory_linux.c - the part of os_device.h that Linux and Android share: /proc and the clock of the device. */
#include "base/os_device.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool read_field(const char *line, const char *name, uint64_t *bytes)
{
	unsigned long long kib;
	size_t size = strlen(name);
	if (strncmp(line, name, size) != 0 || sscanf(line + size, " %llu kB", &kib) != 1)
		return false;
	*bytes = (uint64_t)kib * 1024;
	return true;
}

/* "full avg10=1.53 avg60=..."; a sandboxed app may not read it. */
static unsigned stalled(void)
{
	char line[128];
	double percent = 0;
	FILE *f = fopen("/proc/pressure/memory", "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "full avg10=%lf", &percent) == 1)
			break;
	fclose(f);
	return percent > 0 && percent <= 100 ? (unsigned)percent : 0;
}

bool os_memory_now(struct os_memory *m)
{
	char line[128];
	*m = (struct os_memory){0};
	FILE *f = fopen("/proc/meminfo", "re");
	if (!f)
		return false;
	while (fgets(line, sizeof line, f) && !(m->total_bytes && m->available_bytes))
		if (!read_field(line, "MemTotal:", &m->total_bytes))
			read_field(line, "MemAvailable:", &m->available_bytes);
	fclose(f);
	m->stalled_percent = stalled();
	return m->total_bytes && m->available_bytes;
}

uint64_t os_uptime_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
