/* gen_state.h - a random module under way: what gen_module.c, which writes the sections, and gen.c, which writes bodies, share. */
#pragma once

#include "gen.h"

#include "engine/module.h"

enum {
	NTYPES = 6, /* random function types; one more: () -> () */
	MAX_PARAMS = 3,
	LOCALS_EACH =
	    3, /* of each number type, behind the parameters; the last of each is for canonical NaNs */
	MAX_DEPTH = 9,
	MAX_LABELS = 12,
	FUEL = 0, /* the global of that index; it is not exported */
};

static const uint8_t value_types[5] = {VT_I32, VT_I64, VT_F32, VT_F64, VT_V128};

struct sig {
	uint8_t nparams, nresults;
	uint8_t params[MAX_PARAMS], results[2];
};

struct gen {
	struct wr *w;
	uint64_t random;
	struct sig types[NTYPES];
	uint32_t nfuncs;
	uint8_t func_types[16];
	const struct sig *sig; /* of the function being made */
	uint8_t
	    labels[MAX_LABELS]; /* the type a branch there carries, 0: nothing; innermost last */
	uint32_t nlabels, depth;
	int32_t budget;  /* instructions the body may still get */
	uint32_t ntypes; /* of value_types that it has: 5 with vectors */
	bool wide; /* the body's frame has more slots than 16 bits can name; it calls nobody */
};

/* ---- gen.c ---- */
/* The next random number. */
uint32_t below(struct gen *g, uint32_t n);
uint8_t random_type(struct gen *g);
/* Writes an opcode; a constant; the body of a function whose type is drawn. */
void op(struct gen *g, uint32_t code);
void some_const(struct gen *g, uint8_t type);
void body(struct gen *g, uint32_t f);
