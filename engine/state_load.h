/* state_load.h - reading a store: what state_load.c and state_load_threads.c share. Internal to engine/.
 *
 * A function reads what its name says from l->r. It fails with a message that begins with "engine state".
 *
 *	GET(l, rd_u32(l->r, &id));
 *	if (id > most)
 *		return BAD(l, "function %u", id);
 */
#pragma once

#include "engine/state.h"

struct load {
	struct rd *r;
	struct store *s;
	const struct module_finder *finder;
	const struct host_resolver *resolver;
	struct errmsg *msg;
	struct globalinst *globals;                   /* read, not yet given to their instances */
	bool *owned_tables, *owned_mems, *owned_tags; /* an instance's own, not imported */
	struct memories *copies;                      /* what its memories become; NULL: new ones */
	uint32_t flags, version;
};

#define BAD(l, ...) err_set((l)->msg, ERR_INVALID, "engine state: " __VA_ARGS__)
#define CUT(l)                                                                               \
	err_set((l)->msg, ERR_MALFORMED, "engine state: cut short or malformed at byte %zu", \
	        rd_offset((l)->r))
/* Reads, or fails with a message. */
#define GET(l, call)                   \
	do {                           \
		if ((call) != ERR_OK)  \
			return CUT(l); \
	} while (0)

/* A count of things that take at least min_bytes each. */
enum err get_count(struct load *l, size_t min_bytes, uint32_t *n);
/* *text: free() it. No zero bytes inside. */
enum err get_text(struct load *l, char **text);
enum err get_bool(struct load *l, bool *v);
enum err get_value(struct load *l, uint8_t type, uint64_t *v);
/* The value of one whose type is known. */
enum err get_global(struct load *l, struct globalinst *g);
enum err get_type(struct load *l, uint32_t *type);
/* A number below count; what: of which things, for the message. */
enum err get_index(struct load *l, uint32_t count, const char *what, uint32_t *x);

/* ---- state_load_threads.c ---- */
enum err load_threads(struct load *l);
enum err load_all_jumps(struct load *l);
