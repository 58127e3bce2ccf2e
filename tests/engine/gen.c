/* gen.c - a body is made from the top down: an expression of a wanted type, out of smaller ones.
 *
 * Instructions without immediates are drawn from opcodes.def by their result type, so that every row takes part. The module around the bodies
 * is gen_module.c's.
 */
#include "gen_state.h"

#include "engine/opcode.h"
#include "wasm_build.h"

#include <string.h>

uint32_t below(struct gen *g, uint32_t n)
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

void op(struct gen *g, uint32_t code)
{
	if (code >= 0xfc00) {
		wr_u8(g->w, (uint8_t)(code >> 8));
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

uint8_t random_type(struct gen *g)
{
	return value_types[below(g, g->ntypes)];
}

static uint32_t type_number(uint8_t type)
{
	return VT_I32 - type; /* as in value_types */
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
	return 1 + type_number(type) + g->ntypes * below(g, 2);
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

static const int64_t some_ints[] = {0,
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

static void int_const(struct gen *g, uint8_t type)
{
	int64_t v = chance(g, 50) ? some_ints[below(g, sizeof some_ints / sizeof some_ints[0])]
	                          : (int64_t)below(g, 1000) - 500;
	op(g, type == VT_I32 ? WOP_i32_const : WOP_i64_const);
	wr_leb_s64(g->w, type == VT_I32 ? (int32_t)v : v);
}

static void vector_const(struct gen *g)
{
	static const uint64_t some[] = {0,
	                                UINT64_MAX,
	                                0x8000000080000000u,
	                                0x7fff7fff80017fffu,
	                                0x3f800000bf800000u,
	                                0x40a0000000000000u,
	                                0x7f80ff01fe027e03u};
	op(g, WOP_v128_const);
	for (int i = 0; i < 2; i++)
		wr_u64(g->w, chance(g, 60) ? some[below(g, sizeof some / sizeof some[0])]
		                           : (uint64_t)below(g, UINT32_MAX) * below(g, UINT32_MAX));
}

void some_const(struct gen *g, uint8_t type)
{
	if (type == VT_V128)
		vector_const(g);
	else if (type == VT_F32 || type == VT_F64)
		float_const(g, type);
	else
		int_const(g, type);
}

static void leaf(struct gen *g, uint8_t type)
{
	switch (below(g, 4)) {
	case 0: op_index(g, WOP_global_get, global_of(g, type)); break;
	case 1: some_const(g, type); break;
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

/* The same of each lane of a vector: x where x == x, else the NaN. */
static void canonical_lanes(struct gen *g, bool f32s)
{
	uint32_t x = canon_local(g, VT_V128);
	op_index(g, WOP_local_tee, x);
	op(g, WOP_v128_const);
	for (int i = 0; i < 2; i++)
		wr_u64(g->w, f32s ? 0x7fc000007fc00000u : 0x7ff8000000000000u);
	op_index(g, WOP_local_get, x);
	op_index(g, WOP_local_get, x);
	op(g, f32s ? WOP_f32x4_eq : WOP_f64x2_eq);
	op(g, WOP_v128_bitselect);
}

/* ---- instructions of opcodes.def ---- */

static uint8_t letter_type(char c)
{
	return c == 'i'   ? VT_I32
	       : c == 'I' ? VT_I64
	       : c == 'f' ? VT_F32
	       : c == 'F' ? VT_F64
	       : c == 'V' ? VT_V128
	                  : 0;
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

/* Of lanes that are made by arithmetic, not moved: "f32x4.add" and its like. */
static bool makes_nan(uint32_t code)
{
	return (code >= WOP_f32x4_sqrt && code <= WOP_f32x4_max) ||
	       (code >= WOP_f64x2_sqrt && code <= WOP_f64x2_max) ||
	       (code >= WOP_f32x4_ceil && code <= WOP_f32x4_nearest) || code == WOP_f64x2_ceil ||
	       code == WOP_f64x2_floor || code == WOP_f64x2_trunc || code == WOP_f64x2_nearest ||
	       code == WOP_f32x4_demote_f64x2_zero || code == WOP_f64x2_promote_low_f32x4;
}

static uint32_t lanes_of(uint8_t imm)
{
	switch (imm) {
	case IMM_LANE16:
	case IMM_MEMLANE1: return 16;
	case IMM_LANE8:
	case IMM_MEMLANE2: return 8;
	case IMM_LANE4:
	case IMM_MEMLANE4: return 4;
	case IMM_LANE2:
	case IMM_MEMLANE8: return 2;
	default: return 0;
	}
}

static bool touches_memory(uint8_t imm)
{
	return imm >= IMM_MEMARG1 && imm <= IMM_MEMLANE8;
}

static void lane(struct gen *g, uint8_t imm)
{
	if (lanes_of(imm))
		wr_u8(g->w, (uint8_t)below(g, lanes_of(imm)));
	for (int i = 0; imm == IMM_SHUFFLE && i < 16; i++)
		wr_u8(g->w, (uint8_t)below(g, 32));
}

/* A vector instruction with that result, without or with memory (result 0: a store). */
static uint32_t some_vector_op(struct gen *g, uint8_t type, bool memory)
{
	const struct opcode *r;
	uint32_t sub;
	do {
		sub = below(g, OPCODE_FD_COUNT);
		r = &opcodes_fd[sub];
	} while (!r->text || letter_type(r->results[0]) != type ||
	         touches_memory(r->imm) != memory || r->imm == IMM_V128);
	return 0xfd00 + sub;
}

static void vector_numeric(struct gen *g, uint8_t type)
{
	uint32_t code = some_vector_op(g, type, false);
	const struct opcode *r = row(code);
	for (const char *p = r->operands; *p; p++) {
		expr(g, letter_type(*p));
		canonical(g, letter_type(*p)); /* of scalars: their bits are seen */
	}
	op(g, code);
	lane(g, r->imm);
	if (makes_nan(code))
		canonical_lanes(g, r->text[1] == '3');
}

static void numeric(struct gen *g, uint8_t type)
{
	if (type == VT_V128 || (g->ntypes == 5 && one_in(g, 6))) {
		vector_numeric(g, type);
		return;
	}
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
	uint8_t imm = row(code)->imm;
	op(g, code);
	wr_u8(g->w,
	      (uint8_t)below(
	          g, (uint32_t)(imm - (imm >= IMM_MEMLANE1 ? IMM_MEMLANE1 : IMM_MEMARG1)) + 1));
	wr_leb_u32(g->w, one_in(g, 500) ? 0xfffffff0u : below(g, 300));
	lane(g, imm);
}

static void vector_memory(struct gen *g, uint8_t type)
{
	uint32_t code = some_vector_op(g, type, true);
	address(g);
	if (row(code)->operands[1])
		expr(g, VT_V128);
	memarg(g, code);
}

static void load(struct gen *g, uint8_t type)
{
	uint32_t code;
	if (type == VT_V128) {
		vector_memory(g, type);
		return;
	}
	do
		code = WOP_i32_load + below(g, 14);
	while (letter_type(row(code)->results[0]) != type);
	address(g);
	memarg(g, code);
	canonical(g, type);
}

static void store(struct gen *g)
{
	if (g->ntypes == 5 && one_in(g, 3)) {
		vector_memory(g, 0);
		return;
	}
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
	wr_u8(g->w, (uint8_t)(g->ntypes + g->wide));
	for (uint32_t i = 0; i < g->ntypes; i++) {
		wr_u8(g->w, LOCALS_EACH);
		wr_u8(g->w, value_types[i]);
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

void body(struct gen *g, uint32_t f)
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
