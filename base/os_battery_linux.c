/* os_battery_linux.c - os_battery.h by /sys/class/power_supply; an app on Android may not look there. */
#include "base/os_battery.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

static const char folder[] = "/sys/class/power_supply";

/* One word of a supply's file; "" when there is none. */
static void read_word(const char *supply, const char *name, char out[32])
{
	char path[320];
	out[0] = 0;
	snprintf(path, sizeof path, "%s/%s/%s", folder, supply, name);
	FILE *f = fopen(path, "re");
	if (!f)
		return;
	if (fscanf(f, "%31s", out) != 1)
		out[0] = 0;
	fclose(f);
}

/* False for mains, and for the battery of a mouse. */
static bool read_battery(const char *supply, struct os_battery *b)
{
	char type[32], scope[32], capacity[32], status[32];
	unsigned percent;
	read_word(supply, "type", type);
	read_word(supply, "scope", scope);
	read_word(supply, "capacity", capacity);
	read_word(supply, "status", status);
	if (strcmp(type, "Battery") != 0 || !strcmp(scope, "Device") ||
	    sscanf(capacity, "%u", &percent) != 1 || percent > 100)
		return false;
	b->percent = percent;
	b->on_mains = strcmp(status, "Discharging") != 0;
	return true;
}

bool os_battery_now(struct os_battery *b)
{
	bool found = false;
	struct dirent *e;
	DIR *d = opendir(folder);
	*b = (struct os_battery){0};
	if (!d)
		return false;
	while (!found && (e = readdir(d)))
		found = e->d_name[0] != '.' && read_battery(e->d_name, b);
	closedir(d);
	return found;
}
