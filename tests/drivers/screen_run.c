/* screen_run.c - runs a program with a screen and without a node: what tests of the drivers use.
 *
 *	screen-run [--unpaced] [--display KIND] [--dir HOST::GUEST]... PROG.wasm ARGS...
 *
 * At the end the number of frames and their hash are told on standard error.
 */
#include "node/solo/solo.h"

#include <stdio.h>
#include <string.h>

enum { MOUNTS_MAX = 8 };

static void add_dir(struct process_mount *m, char *text)
{
	char *guest = strstr(text, "::");

	m->host = m->guest = text;
	if (guest != NULL) {
		*guest = '\0';
		m->guest = guest + 2;
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: screen-run [--unpaced] [--display KIND] [--dir HOST::GUEST]... "
	                "PROG.wasm ARGS...\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct process_mount mounts[MOUNTS_MAX];
	struct process_config cfg = {.mounts = mounts,
	                             .display = {.display = "headless", .frame_hash = true}};
	struct errmsg msg = {0};
	char *env[] = {"HOME=/save"};
	int i = 1, status;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--unpaced") == 0)
			cfg.display.unpaced = true;
		else if (strcmp(argv[i], "--display") == 0 && i + 1 < argc)
			cfg.display.display = argv[++i];
		else if (strcmp(argv[i], "--dir") == 0 && i + 1 < argc && cfg.nmounts < MOUNTS_MAX)
			add_dir(&mounts[cfg.nmounts++], argv[++i]);
		else
			return usage();
	}
	if (i == argc)
		return usage();
	cfg.path = argv[i];
	cfg.argv = argv + i;
	cfg.argc = (uint32_t)(argc - i);
	cfg.env = env;
	cfg.nenv = 1;
	if (solo_run(&cfg, &status, &msg) == ERR_OK)
		return status;
	fprintf(stderr, "screen-run: %s\n", msg.text);
	return 1;
}
