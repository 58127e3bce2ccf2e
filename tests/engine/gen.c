/* gen.c - a body is made from the top down: an expression of a wanted type, out of smaller ones.
 *
 * Instructions without immediates are drawn from opcodes.def by their result type, so that every row takes part.
 */
#include "gen.h"

#include "engine/module.h"
#include "engine/opcode.h"
#include "wasm_build.h"

enum {
	NTYPES = 6, /* random function types; one more: () -> () */
	MAX_PARAMS = 3,
	LOCALS_EACH =
	    3, /* of each number type, behind the parameters; the last of each is for canonical NaNs */
	MAX_DEPTH = 9,
	MAX_LABELS = 12,
	FUEL = 0, /* the global of that index; it is not exported */
};

static const uint8_t number_types[4] = {VT_I32, VT_I64, VT_F32, VT_F64};

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
	int32_t budget; /* instructions the body may still get */
	bool wide;      /* the body's frame has more slots than 16 bits can name; it calls nobody */
};

static uint32_t below(struct gen *g, uint32_t n)
{
	g->random ^= g->random << 13;
	g->random ^= g->random >> 7;
	g->random ^= g->random << 17;
	return (uint32_t)(g->random >> 32) % n;
}

static bool chance(struct gen *g, uint32_t percent)
{
	return below(g, 100) < percent;
}

static bool one_in(struct gen *g, uint32_t n)
{
	return below(g, n) == 0;
}

static void op(struct gen *g, uint32_t code)
{
	if (code >= 0xfc00) {
		wr_u8(g->w, 0xfc);
		wr_leb_u32(g->w, code & 0xff);
	} else {
		wr_u8(g->w, (uint8_t)code);
	}
	g->budget--;
}

static void op_index(struct gen *g, uint32_t code, uint32_t index)
{
	op(g, code);
	wr_leb_u32(g->w, index);
}

static void i32_const(struct gen *g, int32_t v)
{
	op(g, WOP_i32_const);
	wr_leb_s32(g->w, v);
}

static void expr(struct gen *g, uint8_t type);
static void statement(struct gen *g);

/* ---- leaves ---- */

static uint8_t random_type(struct gen *g)
{
	return number_types[below(g, 4)];
}

static uint32_t type_number(uint8_t type)
{
	return VT_I32 - type; /* i32 0, i64 1, f32 2, f64 3 */
}

static uint32_t local_of(struct gen *g, uint8_t type)
{
	uint32_t n = below(g, g->sig->nparams + 2u);
	if (n < g->sig->nparams && g->sig->params[n] == type)
		return n;
	return g->sig->nparams + type_number(type) * LOCALS_EACH + below(g, LOCALS_EACH - 1);
}

static uint32_t canon_local(const struct gen *g, uint8_t type)
{
	return g->sig->nparams + type_number(type) * LOCALS_EACH + LOCALS_EACH - 1;
}

static uint32_t global_of(struct gen *g, uint8_t type)
{
	return 1 + type_number(type) + 4 * below(g, 2);
}

static void float_const(struct gen *g, uint8_t type)
{
	static const double some[] = {
	    0.0,   -0.0,         1.0,    -1.5,  1e10, -3e9,           4294967296.0,
	    1e-40, 2147483647.0, 9.3e18, 1e308, 0.1,  __builtin_inf()};
	double d = some[below(g, sizeof some / sizeof some[0])];
	float f = (float)d;
	op(g, type == VT_F32 ? WOP_f32_const : WOP_f64_const);
	if (type == VT_F32)
		wr_bytes(g->w, &f, 4);
	else
		wr_bytes(g->w, &d, 8);
}

static void int_const(struct gen *g, uint8_t type)
{
	static const int64_t some[] = {0,
	                               1,
	                               -1,
	                               2,
	                               31,
	                               32,
	                               63,
	                               64,
	                               0x7fff,
	                               0x10000,
	                               0x7fffffff,
	                               -0x80000000ll,
	                               0xffffffffll,
	                               INT64_MAX,
	                               INT64_MIN,
	                               0x123456789abcdefll,
	                               255,
	                               -129,
	                               7};
	int64_t v = chance(g, 50) ? some[below(g, sizeof some / sizeof some[0])]
	                          : (int64_t)below(g, 1000) - 500;
	op(g, type == VT_I32 ? WOP_i32_const : WOP_i64_const);
	wr_leb_s64(g->w, type == VT_I32 ? (int32_t)v : v);
}

static void leaf(struct gen *g, uint8_t type)
{
	switch (below(g, 4)) {
	case 0: op_index(g, WOP_global_get, global_of(g, type)); break;
	case 1:
		if (type == VT_F32 || type == VT_F64)
			float_const(g, type);
		else
			int_const(g, type);
		break;
	default: op_index(g, WOP_local_get, local_of(g, type)); break;
	}
}

/* The float on top becomes the canonical NaN if it is one: x == x ? x : nan. */
static void canonical(struct gen *g, uint8_t type)
{
	uint32_t x = canon_local(g, type);
	if (type != VT_F32 && type != VT_F64)
		return;
	op_index(g, WOP_local_tee, x);
	if (type == VT_F32)
		wasm_bytes(g->w, "\x43\x00\x00\xc0\x7f");
	else
		wasm_bytes(g->w, "\x44\x00\x00\x00\x00\x00\x00\xf8\x7f");
	op_index(g, WOP_local_get, x);
	op_index(g, WOP_local_get, x);
	op(g, type == VT_F32 ? WOP_f32_eq : WOP_f64_eq);
	op(g, WOP_select);
}

/* ---- instructions of opcodes.def ---- */

static uint8_t letter_type(char c)
{
	return c == 'i' ? VT_I32 : c == 'I' ? VT_I64 : c == 'f' ? VT_F32 : VT_F64;
}

static const struct opcode *row(uint32_t code)
{
	return opcode_row(code);
}

/* Instructions whose NaN bits or traps would make engines differ, or every call trap. */
static bool is_division(uint32_t code)
{
	return (code >= WOP_i32_div_s && code <= WOP_i32_rem_u) ||
	       (code >= WOP_i64_div_s && code <= WOP_i64_rem_u);
}

static bool is_trapping_trunc(uint32_t code)
{
	return (code >= WOP_i32_trunc_f32_s && code <= WOP_i32_trunc_f64_u) ||
	       (code >= WOP_i64_trunc_f32_s && code <= WOP_i64_trunc_f64_u);
}

static bool shows_nan(uint32_t code)
{
	return code == WOP_i32_reinterpret_f32 || code == WOP_i64_reinterpret_f64 ||
	       code == WOP_f32_copysign || code == WOP_f64_copysign;
}

static void numeric(struct gen *g, uint8_t type)
{
	uint32_t code;
	const struct opcode *r;
	do {
		code = below(g, 136);
		code = code < 128 ? WOP_i32_eqz + code : 0xfc00 + (code - 128);
		r = row(code);
	} while (letter_type(r->results[0]) != type || (is_trapping_trunc(code) && chance(g, 98)));
	for (const char *p = r->operands; *p; p++) {
		expr(g, letter_type(*p));
		if (shows_nan(code))
			canonical(g, letter_type(*p));
	}
	if (is_division(code) && chance(g, 98)) {
		op(g, type == VT_I32 ? WOP_i32_const : WOP_i64_const);
		wr_u8(g->w, 1);
		op(g, type == VT_I32 ? WOP_i32_or : WOP_i64_or);
	}
	op(g, code);
}

/* ---- memory and tables ---- */

static void address(struct gen *g)
{
	expr(g, VT_I32);
	if (!one_in(g, 300)) {
		i32_const(g, 0x7fff);
		op(g, WOP_i32_and);
	}
}

static void memarg(struct gen *g, uint32_t code)
{
	op(g, code);
	wr_u8(g->w, (uint8_t)below(g, (uint32_t)(row(code)->imm - IMM_MEMARG1) + 1));
	wr_leb_u32(g->w, one_in(g, 500) ? 0xfffffff0u : below(g, 300));
}

static void load(struct gen *g, uint8_t type)
{
	uint32_t code;
	do
		code = WOP_i32_load + below(g, 14);
	while (letter_type(row(code)->results[0]) != type);
	address(g);
	memarg(g, code);
	canonical(g, type);
}

static void store(struct gen *g)
{
	uint32_t code = WOP_i32_store + below(g, 9);
	uint8_t type = letter_type(row(code)->operands[1]);
	address(g);
	expr(g, type);
	canonical(g, type);
	memarg(g, code);
}

static void bulk(struct gen *g)
{
	uint32_t which = below(g, 3);
	address(g);
	if (which == 0)
		expr(g, VT_I32);
	else if (which == 1)
		address(g);
	else
		i32_const(g, (int32_t)below(g, 40));
	i32_const(g, (int32_t)below(g, 30));
	if (which == 0)
		wasm_bytes(g->w, "\xfc\x0b\x00");
	else if (which == 1)
		wasm_bytes(g->w, "\xfc\x0a\x00\x00");
	else
		wasm_bytes(g->w, "\xfc\x08\x00\x00");
}

/* Table 0 of functions: get, set, size, fill; its size stays. */
static void table(struct gen *g)
{
	int32_t at = (int32_t)below(g, g->nfuncs + 2);
	switch (below(g, 4)) {
	case 0:
		i32_const(g, at);
		op_index(g, WOP_table_get, 0);
		op(g, WOP_ref_is_null);
		op_index(g, WOP_local_set, local_of(g, VT_I32));
		break;
	case 1:
		i32_const(g, (int32_t)g->nfuncs + 1);
		op_index(g, WOP_ref_func, below(g, g->nfuncs));
		op_index(g, WOP_table_set, 0);
		break;
	case 2:
		op_index(g, WOP_table_size, 0);
		op_index(g, WOP_local_set, local_of(g, VT_I32));
		break;
	default:
		i32_const(g, (int32_t)g->nfuncs);
		wasm_bytes(g->w, "\xd0\x70"); /* ref.null func */
		i32_const(g, 2);
		op_index(g, WOP_table_fill, 0);
	}
}

/* ---- calls ---- */

static void results_to_locals(struct gen *g, const struct sig *s)
{
	for (int i = s->nresults - 1; i >= 0; i--)
		op_index(g, WOP_local_set, local_of(g, s->results[i]));
}

static void call(struct gen *g)
{
	uint32_t f = below(g, g->nfuncs);
	const struct sig *s = &g->types[g->func_types[f]];
	for (uint32_t i = 0; i < s->nparams; i++)
		expr(g, s->params[i]);
	if (chance(g, 60)) {
		op_index(g, WOP_call, f);
	} else {
		i32_const(g, (int32_t)f);
		if (one_in(g, 50)) {
			expr(g, VT_I32);
			op(g, WOP_i32_add);
		}
		op_index(g, WOP_call_indirect, g->func_types[f]);
		wr_u8(g->w, 0);
	}
	results_to_locals(g, s);
}

/* ---- control ---- */

static void open_label(struct gen *g, uint8_t branch_type)
{
	g->labels[g->nlabels++] = branch_type;
}

/* One unit less, if there is any. */
static void spend_fuel(struct gen *g)
{
	op_index(g, WOP_global_get, FUEL);
	op_index(g, WOP_global_get, FUEL);
	i32_const(g, 0);
	op(g, WOP_i32_ne);
	op(g, WOP_i32_sub);
	op_index(g, WOP_global_set, FUEL);
}

/* Without fuel the function returns. */
static void leave_without_fuel(struct gen *g)
{
	op_index(g, WOP_global_get, FUEL);
	op(g, WOP_i32_eqz);
	wasm_bytes(g->w, "\x04\x40");
	for (uint32_t i = 0; i < g->sig->nresults; i++)
		leaf(g, g->sig->results[i]);
	op(g, WOP_return);
	op(g, WOP_end);
}

static void some_statements(struct gen *g)
{
	for (uint32_t n = below(g, 4); n > 0; n--)
		statement(g);
}

/* A branch to a random label, with its value; the label's type is what is left on the stack. */
static void branch_if(struct gen *g)
{
	uint32_t depth = below(g, g->nlabels);
	uint8_t type = g->labels[g->nlabels - 1 - depth];
	if (type)
		expr(g, type);
	expr(g, VT_I32);
	op_index(g, WOP_br_if, depth);
	if (type)
		op_index(g, WOP_local_set, local_of(g, type));
}

static void branch_always(struct gen *g)
{
	uint32_t depth = below(g, g->nlabels);
	uint8_t type = g->labels[g->nlabels - 1 - depth];
	if (type)
		expr(g, type);
	op_index(g, WOP_br, depth);
}

static void branch_table(struct gen *g)
{
	uint32_t n = below(g, 5), depth = below(g, g->nlabels);
	uint8_t type = g->labels[g->nlabels - 1 - depth];
	if (type)
		expr(g, type);
	expr(g, VT_I32);
	op_index(g, WOP_br_table, n);
	for (uint32_t i = 0; i <= n; i++) {
		uint32_t d = below(g, g->nlabels);
		wr_leb_u32(g->w, g->labels[g->nlabels - 1 - d] == type ? d : depth);
	}
}

/* What ends a block early; code behind it is dead, and may be there all the same. */
static void maybe_leave(struct gen *g)
{
	if (!chance(g, 25))
		return;
	if (chance(g, 50))
		branch_table(g);
	else
		branch_always(g);
	if (chance(g, 30))
		some_statements(g);
}

/* block, loop or if with the result `type` (0: none); a branch to its label takes branch_type. */
static void begin(struct gen *g, uint32_t opcode, uint8_t type, uint8_t branch_type)
{
	op(g, opcode);
	wr_u8(g->w, type ? type : 0x40);
	open_label(g, branch_type);
}

/* Its result on the stack, and its end. */
static void end(struct gen *g, uint8_t type)
{
	if (type)
		expr(g, type);
	g->nlabels--;
	op(g, WOP_end);
}

static void block(struct gen *g, uint8_t type)
{
	if (g->nlabels == MAX_LABELS)
		return;
	begin(g, WOP_block, type, type);
	some_statements(g);
	maybe_leave(g);
	end(g, type);
}

static void loop(struct gen *g, uint8_t type)
{
	if (g->nlabels == MAX_LABELS)
		return;
	begin(g, WOP_loop, type, 0);
	leave_without_fuel(g); /* branches to the loop are not guarded */
	spend_fuel(g);
	some_statements(g);
	if (chance(g, 70)) {
		expr(g, VT_I32);
		op_index(g, WOP_br_if, 0);
	}
	end(g, type);
}

static void if_else(struct gen *g, uint8_t type)
{
	if (g->nlabels == MAX_LABELS)
		return;
	expr(g, VT_I32);
	begin(g, WOP_if, type, type);
	some_statements(g);
	maybe_leave(g);
	if (type || chance(g, 50)) {
		if (type)
			expr(g, type);
		op(g, WOP_else);
		some_statements(g);
	}
	end(g, type);
}

/* A block that takes and gives what a function type says. */
static void typed_block(struct gen *g)
{
	uint32_t t = below(g, NTYPES);
	const struct sig *s = &g->types[t];
	if (g->nlabels == MAX_LABELS || s->nresults > 1)
		return;
	for (uint32_t i = 0; i < s->nparams; i++)
		expr(g, s->params[i]);
	op(g, WOP_block);
	wr_leb_s64(g->w, t);
	open_label(g, s->nresults ? s->results[0] : 0);
	for (int i = s->nparams - 1; i >= 0; i--)
		op_index(g, WOP_local_set, local_of(g, s->params[i]));
	some_statements(g);
	if (s->nresults)
		expr(g, s->results[0]);
	g->nlabels--;
	op(g, WOP_end);
	results_to_locals(g, s);
}

/* ---- expressions and statements ---- */

static void some_select(struct gen *g, uint8_t type)
{
	expr(g, type);
	expr(g, type);
	expr(g, VT_I32);
	if (chance(g, 50)) {
		op(g, WOP_select);
	} else {
		op_index(g, WOP_select_t, 1);
		wr_u8(g->w, type);
	}
}

static void expr_of_parts(struct gen *g, uint8_t type)
{
	switch (below(g, 16)) {
	case 0: load(g, type); break;
	case 1: some_select(g, type); break;
	case 2:
		expr(g, type);
		op_index(g, WOP_local_tee, local_of(g, type));
		break;
	case 3:
	case 4:
		if (g->nlabels == MAX_LABELS)
			leaf(g, type);
		else if (chance(g, 50))
			block(g, type);
		else
			if_else(g, type);
		break;
	case 5:
		if (g->nlabels == MAX_LABELS)
			leaf(g, type);
		else
			loop(g, type);
		break;
	default: numeric(g, type); break;
	}
}

static void expr(struct gen *g, uint8_t type)
{
	if (g->depth >= MAX_DEPTH || g->budget <= 0 || chance(g, 15)) {
		leaf(g, type);
		return;
	}
	g->depth++;
	expr_of_parts(g, type);
	g->depth--;
}

static void set_something(struct gen *g)
{
	uint8_t type = random_type(g);
	expr(g, type);
	if (chance(g, 70))
		op_index(g, WOP_local_set, local_of(g, type));
	else if (chance(g, 80))
		op_index(g, WOP_global_set, global_of(g, type));
	else
		op(g, WOP_drop);
}

static void statement(struct gen *g)
{
	if (g->depth >= MAX_DEPTH || g->budget <= 0)
		return;
	g->depth++;
	switch (below(g, 15)) {
	case 0: store(g); break;
	case 1: bulk(g); break;
	case 2:
		if (g->wide)
			table(g);
		else
			call(g);
		break;
	case 3: block(g, 0); break;
	case 4: loop(g, 0); break;
	case 5: if_else(g, 0); break;
	case 6: typed_block(g); break;
	case 7: branch_if(g); break;
	case 9: table(g); break;
	case 8:
		wasm_bytes(g->w, "\x3f\x00");
		op_index(g, WOP_local_set, local_of(g, VT_I32));
		break;
	default: set_something(g); break;
	}
	g->depth--;
}

/* ---- the module ---- */

/* Together with many operands, many locals make a frame wide. */
enum { WIDE_LOCALS = 49000, WIDE_OPERANDS = 17000 };

static void locals(struct gen *g)
{
	wr_u8(g->w, g->wide ? 5 : 4);
	for (int i = 0; i < 4; i++) {
		wr_u8(g->w, LOCALS_EACH);
		wr_u8(g->w, number_types[i]);
	}
	if (!g->wide)
		return;
	wr_leb_u32(g->w, WIDE_LOCALS);
	wr_u8(g->w, VT_I64);
	for (int i = 0; i < WIDE_OPERANDS; i++)
		wasm_bytes(g->w, "\x41\x07");
	for (int i = 0; i < WIDE_OPERANDS; i++)
		wr_u8(g->w, WOP_drop);
}

static void body(struct gen *g, uint32_t f)
{
	size_t at = wasm_begin(g->w);
	g->sig = &g->types[g->func_types[f]];
	g->budget = 60 + (int32_t)below(g, 500);
	g->depth = 0;
	g->nlabels = 0;
	g->wide = one_in(g, 20);
	locals(g);
	leave_without_fuel(g);
	spend_fuel(g);
	/* the function's own label carries a value only when there is one result */
	op(g, WOP_block);
	wr_u8(g->w, 0x40);
	open_label(g, 0);
	for (uint32_t n = 2 + below(g, 8); n > 0; n--)
		statement(g);
	g->nlabels = 0;
	op(g, WOP_end);
	for (uint32_t i = 0; i < g->sig->nresults; i++)
		expr_of_parts(g, g->sig->results[i]);
	wr_u8(g->w, WOP_end);
	wasm_end(g->w, at);
}

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
	wr_u8(g->w, GEN_GLOBALS + 1);
	wasm_bytes(g->w, "\x7f\x01\x41\x00\x0b");
	for (int i = 0; i < GEN_GLOBALS; i++) {
		uint8_t type = number_types[i % 4];
		wr_u8(g->w, type);
		wr_u8(g->w, 1);
		if (type == VT_F32 || type == VT_F64)
			float_const(g, type);
		else
			int_const(g, type);
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

static void exports_section(struct gen *g)
{
	size_t at = wasm_section(g->w, 7);
	wr_u8(g->w, (uint8_t)(g->nfuncs + GEN_GLOBALS + 2));
	for (uint32_t f = 0; f < g->nfuncs; f++)
		export(g, 'f', f, EXT_FUNC, f);
	for (uint32_t i = 0; i < GEN_GLOBALS; i++)
		export(g, 'g', i, EXT_GLOBAL, i + 1);
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
	for (int i = 0; i < 8; i++)
		below(&g, 2);
	wasm_header(w);
	types_section(&g);
	functions_section(&g);
	globals_section(&g);
	exports_section(&g);
	code_section(&g);
}
