/* spec_world.h - the store a test script runs in: its modules, names, and stress on its safepoints.
 *
 * One world for each script. A call runs to its end; with stress on it is stopped at safepoints on the
 * way, and each time the whole store is written, freed, rebuilt from the bytes, written again, and
 * both writings are compared. Instances are named by their index in the store, which survives that.
 */
#pragma once

#include "engine/engine.h"

#include <stdint.h>

enum stress { STRESS_OFF, STRESS_EVERY, STRESS_RANDOM };

struct stress_config {
	enum stress kind;
	uint64_t n;    /* STRESS_EVERY: at every nth safepoint */
	uint64_t seed; /* STRESS_RANDOM */
};

/* "7" or "random" or "random:SEED", as a command's option says it. */
bool stress_parse(const char *text, struct stress_config *stress);

struct world;

struct world *world_new(const struct stress_config *stress);
void world_free(struct world *w);
/* An empty store again. */
enum err world_reset(struct world *w);
/* Times the store was written and rebuilt, and the bytes written. */
uint64_t world_rebuilds(const struct world *w);
uint64_t world_saved_bytes(const struct world *w);

/* Takes the module (the world frees it, also after an error), instantiates it and runs its start function. Traps on
 * the way give ERR_INVALID with the trap's words in msg. */
enum err world_instantiate(struct world *w, struct module *m, uint32_t *instance,
                           struct errmsg *msg);
enum err world_register(struct world *w, uint32_t instance, const char *as);

enum outcome { OUT_RETURNED, OUT_TRAPPED, OUT_FAILED };

/* Arguments and results are slots: a v128 takes two. Results are valid until the next call. OUT_TRAPPED: text is the trap's. OUT_FAILED: there is no such export, or the
 * world itself broke (a store that cannot be rebuilt): text says what. */
enum outcome world_invoke(struct world *w, uint32_t instance, const char *name, size_t name_size,
                          const uint64_t *args, uint32_t nargs, const uint64_t **results,
                          uint32_t *nresults, struct errmsg *text);
enum outcome world_get(struct world *w, uint32_t instance, const char *name, size_t name_size,
                       uint64_t value[2], uint32_t *n, struct errmsg *text);
/* The bytes of an instance's memory 0, until the next call. */
const uint8_t *world_memory(struct world *w, uint32_t instance, uint64_t *size);
