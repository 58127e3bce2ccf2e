/* stops.h - the modules stops.wat, other.wat, later.wat, threads.wat and vectors.wat in a store, with host functions that count, and wait. */
#pragma once

#include "engine/engine.h"

#include <stdint.h>

/* What the host functions know; given to each store that is made or rebuilt. */
struct stops_host {
	uint32_t calls;   /* of add */
	uint32_t waits;   /* of wait, blocked ones included */
	bool block_first; /* wait answers at its second call only */
};

#define STOPS_MODULES 5

struct stops {
	struct stops_host host;
	struct host_resolver resolver;
	struct module_finder finder;
	struct module *modules[STOPS_MODULES];
	struct store *store;
	struct thread *thread;
};

/* A store with the modules, stops.wat registered as "stops", and a thread. NULL cfg: defaults. */
void stops_open(struct stops *s, const struct store_config *cfg);
void stops_close(struct stops *s);
/* Calls an export of one of the modules and runs it to its first halt. */
enum run_status stops_call(struct stops *s, uint32_t module, const char *name, const uint64_t *args,
                           uint32_t nargs);
/* Writes the store, frees it, rebuilds it, writes it again: false when the bytes differ. */
bool stops_rebuild(struct stops *s);
