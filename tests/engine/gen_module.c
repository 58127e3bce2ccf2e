/* gen_module.c - the sections of a random module (gen.h). */
#include "gen_state.h"

#include "engine/opcode.h"
#include "wasm_build.h"

#include <string.h>

static void types_section(struct gen *g)
{
	size_t at = wasm_section(g->w, 1);
	wr_u8(g->w, NTYPES + 1);
	for (int t = 0; t < NTYPES; t++) {
		struct sig *s = &g->types[t];
		s->nparams = (uint8_t)below(g, MAX_PARAMS + 1);
		s->nresults = (uint8_t)below(g, 3);
		wr_u8(g->w, 0x60);
		wr_u8(g->w, s->nparams);
		for (int i = 0; i < s->nparams; i++)
			wr_u8(g->w, s->params[i] = random_type(g));
		wr_u8(g->w, s->nresults);
		for (int i = 0; i < s->nresults; i++)
			wr_u8(g->w, s->results[i] = random_type(g));
	}
	wasm_bytes(g->w, "\x60\x00\x00");
	wasm_end(g->w, at);
}

static void functions_section(struct gen *g)
{
	size_t at = wasm_section(g->w, 3);
	g->nfuncs = 2 + below(g, 6);
	wr_u8(g->w, (uint8_t)(g->nfuncs + 1));
	for (uint32_t f = 0; f < g->nfuncs; f++)
		wr_u8(g->w, g->func_types[f] = (uint8_t)below(g, NTYPES));
	wr_u8(g->w, NTYPES); /* refuel */
	wasm_end(g->w, at);
	at = wasm_section(g->w, 4);
	wasm_bytes(g->w, "\x01\x70\x00");
	wr_u8(g->w, (uint8_t)(g->nfuncs + 2));
	wasm_end(g->w, at);
	at = wasm_section(g->w, 5);
	wasm_bytes(g->w, "\x01\x01\x01\x02");
	wasm_end(g->w, at);
}

static void globals_section(struct gen *g)
{
	size_t at = wasm_section(g->w, 6);
	wr_u8(g->w, (uint8_t)(2 * g->ntypes + 1));
	wasm_bytes(g->w, "\x7f\x01\x41\x00\x0b");
	for (uint32_t i = 0; i < 2 * g->ntypes; i++) {
		uint8_t type = value_types[i % g->ntypes];
		wr_u8(g->w, type);
		wr_u8(g->w, 1);
		some_const(g, type);
		wr_u8(g->w, WOP_end);
	}
	wasm_end(g->w, at);
}

static void export(struct gen *g, char letter, uint32_t number, uint8_t kind, uint32_t index)
{
	const char name[2] = {letter, (char)('0' + number)};
	wr_u8(g->w, 2);
	wr_bytes(g->w, name, 2);
	wr_u8(g->w, kind);
	wr_leb_u32(g->w, index);
}

/* JavaScript has no vectors. */
static bool callable(const struct gen *g, uint32_t f)
{
	const struct sig *s = &g->types[g->func_types[f]];
	return !memchr(s->params, VT_V128, s->nparams) && !memchr(s->results, VT_V128, s->nresults);
}

static void exports_section(struct gen *g)
{
	size_t at = wasm_section(g->w, 7);
	uint32_t ncallable = 0;
	for (uint32_t f = 0; f < g->nfuncs; f++)
		ncallable += callable(g, f);
	wr_u8(g->w, (uint8_t)(ncallable + GEN_GLOBALS + 2));
	for (uint32_t f = 0; f < g->nfuncs; f++)
		if (callable(g, f))
			export(g, 'f', f, EXT_FUNC, f);
	for (uint32_t i = 0; i < GEN_GLOBALS; i++)
		export(g, 'g', i, EXT_GLOBAL, 1 + i % 4 + i / 4 * g->ntypes);
	wasm_name(g->w, "refuel");
	wr_u8(g->w, EXT_FUNC);
	wr_leb_u32(g->w, g->nfuncs);
	wasm_name(g->w, "m");
	wasm_bytes(g->w, "\x02\x00");
	wasm_end(g->w, at);
	at = wasm_section(g->w, 9);
	wasm_bytes(g->w, "\x01\x00\x41\x00\x0b");
	wr_u8(g->w, (uint8_t)g->nfuncs);
	for (uint32_t f = 0; f < g->nfuncs; f++)
		wr_u8(g->w, (uint8_t)f);
	wasm_end(g->w, at);
	at = wasm_section(g->w, 12);
	wr_u8(g->w, 1);
	wasm_end(g->w, at);
}

static void code_section(struct gen *g)
{
	size_t at = wasm_section(g->w, 10), b;
	wr_u8(g->w, (uint8_t)(g->nfuncs + 1));
	for (uint32_t f = 0; f < g->nfuncs; f++)
		body(g, f);
	b = wasm_begin(g->w);
	wasm_bytes(g->w, "\x00\x41\xac\x02\x24\x00\x0b"); /* i32.const 300 global.set 0 */
	wasm_end(g->w, b);
	wasm_end(g->w, at);
	at = wasm_section(g->w, 11);
	wasm_bytes(g->w, "\x01\x01\x20"
	                 "The quick brown fox jumps over a");
	wasm_end(g->w, at);
}

void gen_module(struct wr *w, uint64_t seed)
{
	struct gen g = {.w = w, .random = seed * 0x9e3779b97f4a7c15u + 1};
	g.ntypes = seed >= GEN_VECTORS ? 5 : 4;
	for (int i = 0; i < 8; i++)
		below(&g, 2);
	wasm_header(w);
	types_section(&g);
	functions_section(&g);
	globals_section(&g);
	exports_section(&g);
	code_section(&g);
}
