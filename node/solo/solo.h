/* solo.h - runs a program in the calling process, without a node: `wasmos run --solo`, tests, benches.
 *
 * Standard input, output and error are the caller's own descriptors; a terminal stays as it is (the host's line editing).
 * The program does not appear anywhere else and cannot move. Blocks until the program ends.
 *
 *	struct process_config cfg = {.path = "hello.wasm", .argv = argv, .argc = argc};
 *	int status;
 *	if (solo_run(&cfg, &status, &msg) != ERR_OK) ...        // it never started
 *	return status;
 */
#pragma once

#include "node/process/process.h"

/* status: the program's own (low 8 bits), or 134 after a trap, which is told on standard error. Uses path, argv, env, mounts and
 * max_memory_pages of cfg. Errors: what loading, mounting or linking says. SIGPIPE is ignored from now on. */
enum err solo_run(const struct process_config *cfg, int *status, struct errmsg *msg);
