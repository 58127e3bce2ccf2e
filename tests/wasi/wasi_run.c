/* wasi_run.c - runs a WASI program without a node: what tests use where the command is not wanted.
 *
 *	wasi-run [--dir HOST::GUEST[::ro]]... [--env K=V]... PROG.wasm ARGS...
 *
 * HOST and GUEST are separated by "::" as in `wasmos run`.
 */
#include "node/solo/solo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
	struct process_mount mounts[PROCESS_MOUNTS_MAX];
	char *env[64];
	uint32_t nmounts, nenv;
};

static void add_dir(struct options *o, char *text)
{
	char *guest = strstr(text, "::"), *ro;
	struct process_mount *m = &o->mounts[o->nmounts++];
	m->host = m->guest = text;
	if (!guest)
		return;
	*guest = 0;
	m->guest = guest + 2;
	ro = strstr(m->guest, "::ro");
	m->readonly = ro != NULL;
	if (ro)
		*ro = 0;
}

int main(int argc, char **argv)
{
	static struct options o;
	int i = 1, status = 0;
	for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
		if (!strcmp(argv[i], "--dir") && o.nmounts < PROCESS_MOUNTS_MAX)
			add_dir(&o, argv[i + 1]);
		else if (!strcmp(argv[i], "--env") && o.nenv < 64)
			o.env[o.nenv++] = argv[i + 1];
		else
			break;
	}
	if (i >= argc || argv[i][0] == '-') {
		fputs("usage: wasi-run [--dir HOST::GUEST[::ro]] [--env K=V] PROG.wasm ARGS\n",
		      stderr);
		return 2;
	}
	struct process_config cfg = {.path = argv[i],
	                             .argv = argv + i,
	                             .argc = (uint32_t)(argc - i),
	                             .env = o.env,
	                             .nenv = o.nenv,
	                             .mounts = o.mounts,
	                             .nmounts = o.nmounts};
	struct errmsg msg = {0};
	if (solo_run(&cfg, &status, &msg) != ERR_OK) {
		fprintf(stderr, "wasi-run: %s\n", msg.text);
		return 1;
	}
	return status;
}
