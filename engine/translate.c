/* translate.c - a body, instruction by instruction: control flow, calls, safepoints.
 *
 * The body was validated, so nothing is checked again. Code that cannot be reached makes no instructions.
 */
#include "engine/translate.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading validated code ---- */

uint32_t leb_u32(struct translator *tr)
{
	uint32_t v = *tr->p++;
	if (v < 0x80)
		return v;
	v &= 0x7f;
	for (unsigned shift = 7;; shift += 7) {
		uint8_t b = *tr->p++;
		v |= (uint32_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
}

static int64_t leb_s64(struct translator *tr)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t b;
	do {
		b = *tr->p++;
		v |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
	} while (b & 0x80);
	if (shift < 64 && b & 0x40)
		v |= ~(uint64_t)0 << shift;
	return (int64_t)v;
}

static uint64_t le(struct translator *tr, unsigned size)
{
	uint64_t v = 0;
	memcpy(&v, tr->p, size); /* wasm and all our hosts are little-endian */
	tr->p += size;
	return v;
}

static uint32_t read_op(struct translator *tr)
{
	uint32_t op = *tr->p++;
	return is_prefix((uint8_t)op) ? (op << 8) + leb_u32(tr) : op;
}

static void skip_imm(struct translator *tr, enum imm_kind kind)
{
	uint32_t n;
	switch (kind) {
	case IMM_NONE: break;
	case IMM_F32: tr->p += 4; break;
	case IMM_F64: tr->p += 8; break;
	case IMM_V128:
	case IMM_SHUFFLE: tr->p += 16; break;
	case IMM_LANE16:
	case IMM_LANE8:
	case IMM_LANE4:
	case IMM_LANE2:
	case IMM_REFTYPE: tr->p++; break;
	case IMM_MEMLANE1:
	case IMM_MEMLANE2:
	case IMM_MEMLANE4:
	case IMM_MEMLANE8:
		leb_u32(tr);
		leb_u32(tr);
		tr->p++;
		break;
	case IMM_TRY_TABLE:
		leb_s64(tr);
		for (n = leb_u32(tr); n-- > 0;) {
			if (*tr->p++ < 2)
				leb_u32(tr);
			leb_u32(tr);
		}
		break;
	case IMM_BR_TABLE:
		for (n = leb_u32(tr) + 1; n-- > 0;)
			leb_u32(tr);
		break;
	case IMM_SELECT_T: tr->p += leb_u32(tr); break;
	case IMM_I32:
	case IMM_I64:
	case IMM_BLOCK: leb_s64(tr); break;
	case IMM_MEMARG1:
	case IMM_MEMARG2:
	case IMM_MEMARG4:
	case IMM_MEMARG8:
	case IMM_MEMARG16:
	case IMM_ATOMIC1:
	case IMM_ATOMIC2:
	case IMM_ATOMIC4:
	case IMM_ATOMIC8:
	case IMM_CALL_INDIRECT:
	case IMM_MEM_MEM:
	case IMM_DATA_MEM:
	case IMM_ELEM_TABLE:
	case IMM_TABLE_TABLE:
		leb_u32(tr);
		leb_u32(tr);
		break;
	default: leb_u32(tr); break;
	}
}

/* What ends a part of a block. */
static bool ends_part(uint32_t op)
{
	return op == WOP_end || op == WOP_else || op == WOP_catch || op == WOP_catch_all ||
	       op == WOP_delegate;
}

static bool opens_block(uint32_t op)
{
	return op == WOP_block || op == WOP_loop || op == WOP_if || op == WOP_try ||
	       op == WOP_try_table;
}

/* Skips one instruction of code that cannot be reached. False before what ends the innermost block, or this part of it. */
static bool skip_unreachable(struct translator *tr)
{
	const uint8_t *at = tr->p;
	uint32_t op = read_op(tr);
	if (tr->skipped_blocks == 0 && ends_part(op)) {
		tr->p = at;
		return false;
	}
	if (op == WOP_end || op == WOP_delegate)
		tr->skipped_blocks--;
	else if (opens_block(op))
		tr->skipped_blocks++;
	skip_imm(tr, opcode_row(op)->imm);
	return true;
}

/* ---- safepoints ---- */

bool rec_room(void **array, uint32_t n, uint32_t *cap, size_t size)
{
	if (n < *cap)
		return true;
	uint32_t c = *cap ? *cap * 2 : 64;
	void *p = realloc(*array, c * size);
	if (!p)
		return false;
	*array = p;
	*cap = c;
	return true;
}

static void tell_types(struct translator *tr)
{
	uint8_t *to = tr->want_types;
	for (uint32_t i = 0; i < tr->height; i++) {
		*to++ = tr->v[i].type;
		if (tr->v[i].type == VT_V128)
			*to++ = VT_V128_HIGH;
	}
}

struct safepoint *record(struct translator *tr, enum sp_kind kind, const uint8_t *at)
{
	struct spmap *m = tr->rec;
	if (!m)
		return NULL;
	if (!rec_room((void **)&m->points, m->npoints, &m->points_cap, sizeof *m->points)) {
		tr->failed = true;
		return NULL;
	}
	if (m->npoints == tr->want)
		tell_types(tr);
	struct safepoint *sp = &m->points[m->npoints++];
	*sp = (struct safepoint){.kind = (uint8_t)kind,
	                         .offset = (uint32_t)(at - tr->body),
	                         .before = tr->n,
	                         .height = top_slots(tr, tr->height)};
	return sp;
}

/* ---- blocks ---- */

static void block_type(struct translator *tr, struct ctrl *c)
{
	const uint8_t *at = tr->p;
	int64_t bt = leb_s64(tr);
	if (bt >= 0) {
		const struct functype *ft = &tr->m->types[bt];
		c->nparams = ft->nparams;
		c->nresults = ft->nresults;
		c->params = ft->params;
		c->results = ft->results;
	} else if (bt != -64) {
		c->nresults = 1;
		c->results = at; /* a value type is its own one-byte encoding */
	}
}

struct ctrl *ctrl_push(struct translator *tr, uint32_t op)
{
	if (!rec_room((void **)&tr->ctrls, tr->nctrls, &tr->ctrls_cap, sizeof *tr->ctrls)) {
		tr->failed = true;
		tr->nctrls = 0;
	}
	struct ctrl *c = &tr->ctrls[tr->nctrls++];
	*c = (struct ctrl){.kind = (uint8_t)op};
	return c;
}

static void begin_block(struct translator *tr, uint32_t op, const uint8_t *at)
{
	struct ctrl c = {.kind = (uint8_t)op, .around = tr->region};
	block_type(tr, &c);
	if (op == WOP_if) {
		uint32_t pos = do_cond(tr, false, FORWARD, true);
		patch_add(tr, &c.else_patches, imm_at32(tr, pos), pos);
	}
	flush(tr);
	c.height = tr->height - c.nparams;
	if (op == WOP_loop) {
		barrier(tr);
		c.loop_pos = tr->n;
		record(tr, SP_LOOP, at);
	}
	if (op == WOP_try || op == WOP_try_table)
		region_open(tr, &c);
	if (op == WOP_try_table)
		table_clauses(tr, &c);
	*ctrl_push(tr, op) = c;
}

struct ctrl *label(struct translator *tr, uint32_t depth)
{
	return &tr->ctrls[tr->nctrls - 1 - depth];
}

static uint32_t label_arity(const struct ctrl *c)
{
	return c->kind == WOP_loop ? c->nparams : c->nresults;
}

static void emit_return(struct translator *tr)
{
	const struct ctrl *c = &tr->ctrls[0];
	uint32_t n = c->nresults, i = tr->height - 1;
	if (n == 0) {
		emit(tr, IOP_ret0, 0, 0, 0, 0);
		return;
	}
	if (n > 1) {
		for (i = tr->height - n; i < tr->height; i++)
			go_home(tr, &tr->v[i], i);
		emit_imm(tr, IOP_ret_N, 0, home(tr, tr->height - n), top_slots(tr, n));
		return;
	}
	struct vval v = tr->v[i];
	if (v.type == VT_V128) {
		emit_imm(tr, IOP_ret_N, 0, slot_of(tr, &v, i), 2);
		return;
	}
	if (v.loc == LOC_ACC) {
		emit(tr, is_float(v.type) ? IOP_ret_FA : IOP_ret_A, 0, 0, 0, 0);
		return;
	}
	if (v.loc == LOC_CONST)
		go_home(tr, &v, i);
	emit(tr, IOP_ret_S, 0, slot_of(tr, &v, i), 0, 0);
}

void move_results(struct translator *tr, const struct ctrl *c)
{
	uint32_t n = label_arity(c), from = tr->height - n;
	if (n > 1 || from == c->height) {
		for (uint32_t i = from; i < tr->height; i++)
			go_home(tr, &tr->v[i], i);
		uint32_t slots = from == c->height ? 0 : top_slots(tr, n);
		for (uint32_t i = 0; i < slots; i++)
			emit(tr, IOP_copy, home(tr, c->height) + i, home(tr, from) + i, 0, 0);
	} else if (n == 1) {
		move_to(tr, &tr->v[from], from, home(tr, c->height));
	}
}

static void emit_jump(struct translator *tr, struct ctrl *c)
{
	if (c->kind == WOP_loop) {
		emit_imm(tr, IOP_br_back, 0, 0, c->loop_pos - tr->n);
		return;
	}
	uint32_t pos = emit_imm(tr, IOP_br, 0, 0, 0);
	patch_add(tr, &c->patches, imm_at32(tr, pos), pos);
}

static void do_br(struct translator *tr, uint32_t depth)
{
	struct ctrl *c = label(tr, depth);
	if (depth == tr->nctrls - 1) {
		emit_return(tr);
		return;
	}
	move_results(tr, c);
	emit_jump(tr, c);
}

static void put_distance(struct translator *tr, uint32_t pos, uint32_t to)
{
	if (!tr->failed)
		((uint32_t *)tr->w)[imm_at32(tr, pos)] = to - pos;
}

static void do_br_if(struct translator *tr, uint32_t depth)
{
	struct ctrl *c = label(tr, depth);
	uint32_t n = label_arity(c);
	bool is_return = depth == tr->nctrls - 1;
	bool in_place = n == 0 || tr->height - 1 - n == c->height;
	tr->work += n / 16;
	if (!is_return && in_place) {
		if (n > 0) { /* before the condition is taken: it may be in an accumulator */
			for (uint32_t i = c->height; i < tr->height - 1; i++)
				go_home(tr, &tr->v[i], i);
		}
		bool back = c->kind == WOP_loop;
		uint32_t pos = do_cond(tr, true, back ? c->loop_pos : FORWARD, false);
		if (back && pos != FORWARD)
			put_distance(tr, pos, c->loop_pos);
		else if (!back)
			patch_add(tr, &c->patches, imm_at32(tr, pos), pos);
		if (n > 0)
			barrier(tr);
		return;
	}
	/* Over the moves when it is zero. Both ways leave the same stack, so it is flushed. */
	uint32_t skip = do_cond(tr, false, FORWARD, true);
	uint32_t over = 0;
	patch_add(tr, &over, imm_at32(tr, skip), skip);
	do_br(tr, depth);
	patch_bind(tr, &over);
}

/* A label of a br_table that needs moves, a poll, or a return is reached through a stub behind the table. */
static bool needs_stub(struct translator *tr, uint32_t depth)
{
	const struct ctrl *c = label(tr, depth);
	if (depth == tr->nctrls - 1 || c->kind == WOP_loop)
		return true;
	uint32_t n = label_arity(c);
	return n > 0 && tr->height - n != c->height;
}

static void do_br_table(struct translator *tr)
{
	struct vval v = pop(tr);
	uint32_t slot = 0, bias = 0, offset = 0;
	if (v.loc == LOC_CONST)
		go_home(tr, &v, tr->height);
	bool load = fuse_index_load(tr, &v, &slot, &offset);
	if (!load && !fuse_index(tr, &v, &slot, &bias) && v.loc != LOC_ACC)
		slot = slot_of(tr, &v, tr->height);
	flush(tr);
	uint32_t n = leb_u32(tr);
	uint32_t iop = load ? IOP_br_table_ld8 : v.loc == LOC_ACC ? IOP_br_table_A : IOP_br_table_S;
	uint32_t pos = emit_imm(tr, iop, slot, bias, n);
	if (load)
		emit_word(tr, offset);
	uint32_t table = tr->n * 2;
	for (uint32_t i = 0; i < (n + 2) / 2; i++)
		emit_word(tr, 0);
	tr->work += n / 16;
	const uint8_t *labels = tr->p;
	for (uint32_t i = 0; i <= n; i++) {
		uint32_t depth = leb_u32(tr);
		struct ctrl *c = label(tr, depth);
		patch_add(tr, needs_stub(tr, depth) ? &c->stub_patches : &c->patches, table + i,
		          pos);
	}
	tr->p = labels;
	for (uint32_t i = 0; i <= n; i++) {
		uint32_t depth = leb_u32(tr);
		struct ctrl *c = label(tr, depth);
		if (!c->stub_patches)
			continue;
		patch_bind(tr, &c->stub_patches);
		do_br(tr, depth);
	}
	barrier(tr);
}

void stack_to(struct translator *tr, uint32_t height, uint32_t n, const uint8_t *types)
{
	while (tr->height > height)
		pop(tr);
	tr->height = height;
	tr->clean = height;
	for (uint32_t i = 0; i < n; i++)
		push_home(tr, types[i]);
}

/* reachable: control falls into the `else`. */
static void do_else(struct translator *tr, bool reachable)
{
	struct ctrl *c = label(tr, 0);
	if (reachable) {
		flush(tr);
		uint32_t pos = emit_imm(tr, IOP_br, 0, 0, 0);
		patch_add(tr, &c->patches, imm_at32(tr, pos), pos);
	}
	patch_bind(tr, &c->else_patches);
	c->kind = WOP_else;
	stack_to(tr, c->height, c->nparams, c->params);
}

/* Only clauses of a try_table go to the function's own label; branches return. */
static void end_function(struct translator *tr, struct ctrl *c, bool reachable)
{
	if (c->patches) {
		if (reachable)
			flush(tr);
		patch_bind(tr, &c->patches);
		stack_to(tr, 0, c->nresults, c->results);
		reachable = true;
	}
	if (reachable)
		emit_return(tr);
}

/* Returns whether the function's end was read. *reachable: whether control gets here; then, past it. */
static bool do_end(struct translator *tr, bool *reachable)
{
	struct ctrl *c = label(tr, 0);
	if (tr->nctrls == 1) {
		end_function(tr, c, *reachable);
		return true;
	}
	bool joins = c->patches || c->else_patches || is_catch(c);
	if (*reachable && joins)
		end_catch_part(tr, c);
	if (c->region && !is_catch(c))
		region_close(tr, c);
	patch_bind(tr, &c->else_patches);
	patch_bind_some(tr, &c->patches);
	if (joins || !*reachable)
		stack_to(tr, c->height, c->nresults, c->results);
	*reachable = *reachable || joins;
	tr->nctrls--;
	return false;
}

/* ---- calls ---- */

/* ft's call was emitted at sp (recorded, or NULL); foreign: a resync stands behind it. */
static void end_call(struct translator *tr, struct safepoint *sp, const struct functype *ft,
                     bool foreign, uint32_t nconsumed)
{
	uint32_t resync = tr->n, consumed = top_slots(tr, nconsumed);
	tr->work += (nconsumed + ft->nresults) / 16;
	if (foreign)
		emit(tr, IOP_resync, 0, 0, 0, 0);
	if (sp) {
		sp->foreign = resync;
		sp->after = tr->n;
		sp->nconsumed = consumed;
	}
	barrier(tr);
	for (uint32_t i = 0; i < nconsumed; i++)
		pop(tr);
	for (uint32_t i = 0; i < ft->nresults; i++)
		push_home(tr, ft->results[i]);
}

static void do_call(struct translator *tr, uint32_t funcidx, const uint8_t *at)
{
	const struct functype *ft = module_functype(tr->m, funcidx);
	flush(tr);
	struct safepoint *sp = record(tr, SP_CALL, at);
	if (sp) {
		sp->callee = funcidx;
		sp->type = tr->in->types[tr->m->func_types[funcidx]];
	}
	uint32_t frame = home(tr, tr->height - ft->nparams);
	bool own = funcidx >= tr->m->nimport_funcs;
	if (own) {
		struct code *c = tr->in->codes[funcidx - tr->m->nimport_funcs];
		emit(tr, c ? IOP_call : IOP_call_lazy, frame, 0, 0, 0);
		emit_word(tr, c ? (uint64_t)(uintptr_t)c : funcidx);
	} else {
		uint32_t id = tr->in->import_funcs[funcidx];
		const struct func_range *r = store_func(tr->in->store, id);
		emit(tr, r->host ? IOP_call_host : IOP_call_import, frame, 0, 0, 0);
		emit_word(tr, r->host ? (uint64_t)(uintptr_t)r->host : id);
	}
	end_call(tr, sp, ft, !own, ft->nparams);
}

static void do_call_indirect(struct translator *tr, const uint8_t *at)
{
	uint32_t typeidx = leb_u32(tr), table = leb_u32(tr);
	const struct functype *ft = &tr->m->types[typeidx];
	flush(tr);
	struct safepoint *sp = record(tr, SP_CALL, at);
	if (sp) {
		sp->callee = UINT32_MAX;
		sp->type = tr->in->types[typeidx];
	}
	uint32_t frame = home(tr, tr->height - 1 - ft->nparams);
	emit_imm(tr, IOP_call_indirect, frame, home(tr, tr->height - 1), tr->in->types[typeidx]);
	emit_word(tr, (uint64_t)(uintptr_t)tr->in->tables[table]);
	end_call(tr, sp, ft, true, ft->nparams + 1);
}

/* Nothing is left of this function's frame but its place. A host function takes none: an ordinary call, and a return. */
static void do_return_call(struct translator *tr, uint32_t funcidx, const uint8_t *at)
{
	const struct functype *ft = module_functype(tr->m, funcidx);
	bool own = funcidx >= tr->m->nimport_funcs;
	uint32_t id = own ? 0 : tr->in->import_funcs[funcidx];
	if (!own && store_func(tr->in->store, id)->host) {
		do_call(tr, funcidx, at);
		emit_return(tr);
		return;
	}
	flush(tr);
	record(tr, SP_TAIL, at);
	uint32_t args = home(tr, tr->height - ft->nparams);
	if (own) {
		struct code *c = tr->in->codes[funcidx - tr->m->nimport_funcs];
		emit(tr, c ? IOP_tail : IOP_tail_lazy, args, 0, 0, 0);
		emit_word(tr, c ? (uint64_t)(uintptr_t)c : funcidx);
	} else {
		emit(tr, IOP_tail_import, args, 0, 0, 0);
		emit_word(tr, id);
	}
	barrier(tr);
}

static void do_return_call_indirect(struct translator *tr, const uint8_t *at)
{
	uint32_t typeidx = leb_u32(tr), table = leb_u32(tr);
	const struct functype *ft = &tr->m->types[typeidx];
	flush(tr);
	record(tr, SP_TAIL, at);
	emit_imm(tr, IOP_tail_indirect, home(tr, tr->height - 1 - ft->nparams),
	         home(tr, tr->height - 1), tr->in->types[typeidx]);
	emit_word(tr, (uint64_t)(uintptr_t)tr->in->tables[table]);
	barrier(tr);
}

/* ---- the instructions ---- */

static void do_memory_size(struct translator *tr)
{
	tr->p++;
	acc_free(tr, VT_I32);
	push_acc(tr, VT_I32, emit(tr, IOP_memory_size_A, 0, 0, 0, 0), IOP_memory_size_A);
}

static void do_family(struct translator *tr, const struct winfo *wi)
{
	uint32_t offset;
	switch (wi->wclass) {
	case WC_BIN:
	case WC_CMP:
	case WC_FCMP: do_bin(tr, wi); break;
	case WC_UN: do_un(tr, wi); break;
	default:
		leb_u32(tr); /* alignment: a hint */
		offset = leb_u32(tr);
		if (wi->wclass == WC_LOAD)
			do_load(tr, wi, offset);
		else
			do_store(tr, wi, offset);
	}
}

static void do_slow_op(struct translator *tr, uint32_t op, const uint8_t *at)
{
	uint32_t a = 0, b = 0;
	bool in_pieces = false;
	switch (op) {
	case WOP_memory_grow: tr->p++; break;
	case WOP_memory_fill:
		in_pieces = true;
		tr->p++;
		break;
	case WOP_memory_copy:
		in_pieces = true;
		tr->p += 2;
		break;
	case WOP_memory_init:
		in_pieces = true;
		a = leb_u32(tr);
		tr->p++;
		break;
	case WOP_table_init:
	case WOP_table_copy:
		in_pieces = true;
		a = leb_u32(tr);
		b = leb_u32(tr);
		break;
	case WOP_table_fill:
	case WOP_table_grow:
		in_pieces = true;
		a = leb_u32(tr);
		break;
	default: a = leb_u32(tr); break;
	}
	if (in_pieces) {
		flush(tr);
		record(tr, SP_BULK, at);
	}
	do_slow(tr, op, a, b);
	barrier(tr);
}

/* A thread that waits stands before the instruction. */
static void do_atomic(struct translator *tr, uint32_t op, const uint8_t *at)
{
	if (op == WOP_atomic_fence) {
		tr->p++;
		return;
	}
	leb_u32(tr); /* alignment: natural */
	uint32_t offset = leb_u32(tr);
	if (op == WOP_memory_atomic_wait32 || op == WOP_memory_atomic_wait64) {
		flush(tr);
		record(tr, SP_WAIT, at);
	}
	do_slow(tr, op, offset, 0);
	barrier(tr);
}

static uint32_t local_slot(struct translator *tr)
{
	return tr->local_slots[leb_u32(tr)];
}

/* What neither moves control nor belongs to a family. */
static void do_plain(struct translator *tr, uint32_t op, const uint8_t *at)
{
	uint32_t x;
	switch (op) {
	case WOP_nop: break;
	case WOP_drop: pop(tr); break;
	case WOP_select_t:
		tr->p += leb_u32(tr);
		do_select(tr);
		break;
	case WOP_select: do_select(tr); break;
	case WOP_local_get: push_local(tr, local_slot(tr)); break;
	case WOP_local_set: set_local(tr, local_slot(tr)); break;
	case WOP_local_tee:
		x = local_slot(tr);
		set_local(tr, x);
		push_local(tr, x);
		break;
	case WOP_global_get: do_global_get(tr, leb_u32(tr)); break;
	case WOP_global_set: do_global_set(tr, leb_u32(tr)); break;
	case WOP_i32_const: push_const(tr, VT_I32, (uint32_t)leb_s64(tr)); break;
	case WOP_i64_const: push_const(tr, VT_I64, (uint64_t)leb_s64(tr)); break;
	case WOP_f32_const: push_const(tr, VT_F32, le(tr, 4)); break;
	case WOP_f64_const: push_const(tr, VT_F64, le(tr, 8)); break;
	case WOP_ref_null: push_const(tr, *tr->p++, 0); break;
	case WOP_i32_eqz: do_eqz(tr, VT_I32); break;
	case WOP_i64_eqz:
	case WOP_ref_is_null: do_eqz(tr, VT_I64); break;
	case WOP_ref_func: push_const(tr, VT_FUNCREF, instance_func_id(tr->in, leb_u32(tr))); break;
	case WOP_memory_size: do_memory_size(tr); break;
	default: do_slow_op(tr, op, at); break;
	}
}

/* One instruction. False when the function's end was read. *reachable: whether what follows is. */
static bool step(struct translator *tr, bool *reachable)
{
	const uint8_t *at = tr->p;
	uint32_t op = read_op(tr);
	if (op >= 0xfd00) {
		if (op < 0xfe00)
			do_simd(tr, op);
		else
			do_atomic(tr, op, at);
		return true;
	}
	const struct winfo *wi = &winfos[wop_index(op)];
	if (wi->wclass) {
		do_family(tr, wi);
		return true;
	}
	switch (op) {
	case WOP_block:
	case WOP_loop:
	case WOP_if:
	case WOP_try:
	case WOP_try_table: begin_block(tr, op, at); break;
	case WOP_catch:
	case WOP_catch_all:
		do_catch(tr, op, *reachable);
		*reachable = true;
		break;
	case WOP_delegate: do_delegate(tr, leb_u32(tr)); return !do_end(tr, reachable);
	case WOP_throw:
		do_throw(tr, leb_u32(tr), at);
		*reachable = false;
		break;
	case WOP_throw_ref:
		do_throw_ref(tr, at);
		*reachable = false;
		break;
	case WOP_rethrow:
		do_rethrow(tr, leb_u32(tr), at);
		*reachable = false;
		break;
	case WOP_else:
		do_else(tr, *reachable);
		*reachable = true;
		break;
	case WOP_end: return !do_end(tr, reachable);
	case WOP_br:
		do_br(tr, leb_u32(tr));
		*reachable = false;
		break;
	case WOP_br_if: do_br_if(tr, leb_u32(tr)); break;
	case WOP_br_table:
		do_br_table(tr);
		*reachable = false;
		break;
	case WOP_return:
		emit_return(tr);
		*reachable = false;
		break;
	case WOP_unreachable:
		emit(tr, IOP_unreachable, 0, 0, 0, 0);
		*reachable = false;
		break;
	case WOP_call: do_call(tr, leb_u32(tr), at); break;
	case WOP_call_indirect: do_call_indirect(tr, at); break;
	case WOP_return_call:
		do_return_call(tr, leb_u32(tr), at);
		*reachable = false;
		break;
	case WOP_return_call_indirect:
		do_return_call_indirect(tr, at);
		*reachable = false;
		break;
	default: do_plain(tr, op, at); break;
	}
	return true;
}

bool translate_some(struct translator *tr)
{
	if (tr->late) {
		bind_late(tr);
		return true;
	}
	if (!tr->reachable && skip_unreachable(tr))
		return true;
	uint32_t offset = (uint32_t)(tr->p - tr->body);
	bool more = step(tr, &tr->reachable);
	if (tr->finding && tr->n > tr->find_word) {
		tr->found_offset = offset;
		return false;
	}
	return more && !tr->failed;
}
