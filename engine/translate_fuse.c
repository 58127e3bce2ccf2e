/* translate_fuse.c - one instruction for several: the patterns that profiles of bench/engine showed (translate.h).
 *
 * A pattern looks at the last one or two instructions, between which no label stands. What it takes back has
 * no other reader: an entry in an accumulator is read once. All of it is for the narrow form.
 */
#include "engine/translate.h"

static bool fits16(uint64_t v)
{
	return (int64_t)v == (int16_t)v;
}

/* A 32-bit immediate as a signed number. */
static int64_t imm_s(const struct translator *tr, uint32_t pos)
{
	return (int32_t)get_imm(tr, pos);
}

bool made_by_last(const struct translator *tr, const struct vval *v)
{
	return v->loc == LOC_ACC && tr->last.iop >= 0 && tr->last.pos == v->x;
}

static bool in_a_slot(const struct vval *v)
{
	return v->loc == LOC_HOME || v->loc == LOC_LOCAL;
}

/* The family of wasm instruction op made v, last. *mode: how. */
static bool last_is(const struct translator *tr, const struct vval *v, uint32_t op,
                    enum bin_mode *mode)
{
	if (!made_by_last(tr, v) || tr->last.info != &winfos[op])
		return false;
	*mode = (enum bin_mode)(((uint32_t)tr->last.iop - winfos[op].iop) / 2);
	return true;
}

/* Emits a form _A and pushes its result. */
static void emit_acc(struct translator *tr, uint8_t type, uint32_t iop, uint32_t f1, uint32_t f2,
                     uint32_t f3)
{
	acc_free(tr, type);
	push_acc(tr, type, emit(tr, iop, 0, f1, f2, f3), iop);
}

/* ---- arithmetic ---- */

enum { SHIFT_SHL, SHIFT_SHR, SHIFT_ROT };

/* v was made last by a shift or rotation by a constant. *f1: its slot, when mode is not _AI. */
static bool last_shift(const struct translator *tr, const struct vval *v, bool is64, uint32_t *kind,
                       uint32_t *k, enum bin_mode *mode)
{
	uint32_t bits = is64 ? 64 : 32;
	bool right = false;
	if (last_is(tr, v, is64 ? WOP_i64_shl : WOP_i32_shl, mode))
		*kind = SHIFT_SHL;
	else if (last_is(tr, v, is64 ? WOP_i64_shr_u : WOP_i32_shr_u, mode))
		*kind = SHIFT_SHR;
	else if (last_is(tr, v, is64 ? WOP_i64_rotl : WOP_i32_rotl, mode))
		*kind = SHIFT_ROT;
	else if ((right = last_is(tr, v, is64 ? WOP_i64_rotr : WOP_i32_rotr, mode)))
		*kind = SHIFT_ROT;
	else
		return false;
	if (*mode != BIN_SI && *mode != BIN_AI)
		return false;
	*k = (is64 ? (uint32_t)tr->w[v->x + tr->len] : get_imm(tr, v->x)) & (bits - 1);
	if (right)
		*k = (bits - *k) & (bits - 1);
	return true;
}

/* (x shift k) op y; y stands in slot other. */
static bool fuse_shift(struct translator *tr, const struct winfo *wi, const struct vval *v,
                       uint32_t other)
{
	uint32_t kind, k, op;
	enum bin_mode mode;
	bool is64 = wi->type == VT_I64;
	if (wi == &winfos[is64 ? WOP_i64_add : WOP_i32_add])
		op = 0;
	else if (wi == &winfos[is64 ? WOP_i64_xor : WOP_i32_xor])
		op = 1;
	else if (wi == &winfos[is64 ? WOP_i64_or : WOP_i32_or])
		op = 2;
	else
		return false;
	if (!last_shift(tr, v, is64, &kind, &k, &mode))
		return false;
	uint32_t slot = get_field(tr, v->x, 1);
	unemit(tr);
	uint32_t iop = (is64 ? IOP_u64_shl_add_SS_R : IOP_u32_shl_add_SS_R) + 4 * (kind * 3 + op) +
	               (mode == BIN_AI ? 2 : 0) + 1;
	emit_acc(tr, wi->type, iop, mode == BIN_AI ? 0 : slot, other, k);
	return true;
}

/* (x >> k) & mask */
static bool fuse_bits(struct translator *tr, const struct winfo *wi, const struct vval *v,
                      uint64_t mask)
{
	uint32_t kind, k;
	enum bin_mode mode;
	bool is64 = wi->type == VT_I64;
	if (wi != &winfos[is64 ? WOP_i64_and : WOP_i32_and] || mask > UINT16_MAX ||
	    !last_shift(tr, v, is64, &kind, &k, &mode) || kind != SHIFT_SHR)
		return false;
	uint32_t slot = get_field(tr, v->x, 1);
	unemit(tr);
	uint32_t iop = (is64 ? IOP_u64_bits_S_R : IOP_u32_bits_S_R) + (mode == BIN_AI ? 2 : 0) + 1;
	emit_acc(tr, wi->type, iop, mode == BIN_AI ? 0 : slot, k, (uint32_t)mask);
	return true;
}

enum { MUL_ADD, MUL_SUB, MUL_RSUB };

/* a * b + c and its like; c stands in slot other. */
static bool fuse_mul(struct translator *tr, const struct winfo *wi, const struct vval *v,
                     uint32_t other, bool product_first)
{
	enum bin_mode mode;
	bool is64 = wi->type == VT_F64;
	uint32_t kind;
	if (wi == &winfos[is64 ? WOP_f64_add : WOP_f32_add])
		kind = MUL_ADD;
	else if (wi == &winfos[is64 ? WOP_f64_sub : WOP_f32_sub])
		kind = product_first ? MUL_SUB : MUL_RSUB;
	else
		return false;
	if (!last_is(tr, v, is64 ? WOP_f64_mul : WOP_f32_mul, &mode) || mode == BIN_SI ||
	    mode == BIN_AI)
		return false;
	uint32_t a = get_field(tr, v->x, 1), b = get_field(tr, v->x, 2);
	unemit(tr);
	uint32_t iop = (is64 ? IOP_f64_mul_add_SS_R : IOP_f32_mul_add_SS_R) + 4 * kind +
	               (mode == BIN_SS ? 0 : 2) + 1;
	emit_acc(tr, wi->type, iop, a, mode == BIN_SA ? a : b, other);
	return true;
}

bool fuse_bin(struct translator *tr, const struct winfo *wi, const struct vval *a,
              const struct vval *b)
{
	if (tr->wide || tr->failed || wi->wclass != WC_BIN)
		return false;
	if (b->loc == LOC_CONST)
		return !is_float(wi->type) && fuse_bits(tr, wi, a, b->c);
	if (made_by_last(tr, a) && in_a_slot(b)) {
		uint32_t other = slot_of(tr, b, tr->height + 1);
		return is_float(wi->type) ? fuse_mul(tr, wi, a, other, true)
		                          : fuse_shift(tr, wi, a, other);
	}
	if (made_by_last(tr, b) && in_a_slot(a)) {
		uint32_t other = slot_of(tr, a, tr->height);
		return is_float(wi->type) ? fuse_mul(tr, wi, b, other, false)
		                          : fuse_shift(tr, wi, b, other);
	}
	return false;
}

/* ---- addresses ---- */

/* How to reach the address v + offset, which the last instruction added up; that is taken back. */
static bool take_address(struct translator *tr, const struct vval *v, uint32_t offset, bool load,
                         struct address *at)
{
	enum bin_mode mode;
	uint32_t pos = v->x;
	bool small = offset < 1u << 13;
	if (tr->wide || tr->failed || !made_by_last(tr, v))
		return false;
	uint32_t f1 = get_field(tr, pos, 1), f2 = get_field(tr, pos, 2), f3 = get_field(tr, pos, 3);
	if (tr->last.iop == IOP_u32_shl_add_SS_A && f3 < 8 && small) {
		*at = (struct address){LOAD_X, f2, f1, f3 | offset << 3};
	} else if (tr->last.iop == IOP_u32_shl_add_AS_A && f3 < 8 && small) {
		*at = (struct address){LOAD_XA, f2, 0, f3 | offset << 3};
	} else if (!last_is(tr, v, WOP_i32_add, &mode)) {
		return false;
	} else if (mode == BIN_SS && small) {
		*at = (struct address){LOAD_X, f1, f2, offset << 3};
	} else if (mode == BIN_SI && offset == 0) {
		*at = (struct address){LOAD_W, f1, get_imm(tr, pos), 0};
	} else if (mode == BIN_AS || mode == BIN_SA) {
		*at = (struct address){LOAD_B, mode == BIN_AS ? f2 : f1, offset, 0};
	} else if (load && mode == BIN_AI && offset == 0 && tr->prev.iop == IOP_i32_shl_AI_A) {
		*at = (struct address){LOAD_T, get_imm(tr, tr->prev.pos) & 31, get_imm(tr, pos), 0};
		unemit(tr);
	} else {
		return false;
	}
	unemit(tr);
	return true;
}

bool fuse_address(struct translator *tr, const struct vval *v, uint32_t offset, struct address *at)
{
	return take_address(tr, v, offset, false, at);
}

static uint32_t emit_at(struct translator *tr, uint32_t iop, uint32_t f0, const struct address *at)
{
	if (at->mode == LOAD_W || at->mode == LOAD_B || at->mode == LOAD_T)
		return emit_imm(tr, iop, f0, at->f1, at->f2_or_imm);
	return emit(tr, iop, f0, at->f1, at->f2_or_imm, at->f3);
}

bool fuse_load(struct translator *tr, const struct winfo *wi, const struct vval *a, uint32_t offset)
{
	struct address at;
	if (!take_address(tr, a, offset, true, &at))
		return false;
	acc_free(tr, wi->result);
	uint32_t iop = wi->brk + 2 * (uint32_t)at.mode + 1;
	push_acc(tr, wi->result, emit_at(tr, iop, 0, &at), iop);
	return true;
}

bool fuse_store(struct translator *tr, const struct winfo *wi, const struct vval *a,
                const struct vval *v, uint32_t offset)
{
	struct address at;
	if (v->loc == LOC_ACC || !take_address(tr, a, offset, false, &at))
		return false;
	bool constant = v->loc == LOC_CONST;
	emit_at(tr, wi->brk + 2 * (uint32_t)at.mode + constant,
	        constant ? 0 : slot_of(tr, v, tr->height + 1), &at);
	if (constant)
		emit_word(tr, v->c);
	return true;
}

/* ---- branches ---- */

/* x += imm, x a slot: the instruction at pos, emitted as iop. *imm: signed, 16 bits. */
static bool is_inc(const struct translator *tr, const struct last *l, uint8_t type, uint32_t x,
                   int64_t *imm)
{
	uint32_t want = type == VT_I64 ? IOP_i64_add_SI_R : IOP_i32_add_SI_R;
	if (tr->wide || tr->failed || l->iop != (int32_t)want)
		return false;
	*imm = type == VT_I64 ? (int64_t)tr->w[l->pos + tr->len] : imm_s(tr, l->pos);
	return get_field(tr, l->pos, 0) == x && get_field(tr, l->pos, 1) == x &&
	       fits16((uint64_t)*imm);
}

bool fuse_count(struct translator *tr, const struct winfo *wi, uint32_t x, bool is_imm, uint32_t b,
                uint32_t target)
{
	int64_t imm;
	if (target == FORWARD || !is_inc(tr, &tr->last, wi->type, x, &imm))
		return false;
	int64_t distance = (int64_t)target - tr->last.pos;
	if (distance < INT16_MIN || (!is_imm && b == x))
		return false;
	unemit(tr);
	emit(tr, wi->brk + 4u + (is_imm ? 0 : 1), x, (uint16_t)imm, is_imm ? (uint16_t)b : b,
	     (uint16_t)distance);
	return true;
}

uint32_t fuse_test(struct translator *tr, const struct vval *v, bool sense, bool backward,
                   bool flush_rest)
{
	enum bin_mode mode;
	if (tr->wide || tr->failed || !last_is(tr, v, WOP_i32_and, &mode))
		return FORWARD;
	uint32_t a = get_field(tr, v->x, 1), b = get_field(tr, v->x, 2);
	if (mode == BIN_SI || mode == BIN_AI) {
		if (!fits16((uint64_t)imm_s(tr, v->x)))
			return FORWARD;
		b = get_imm(tr, v->x);
	}
	unemit(tr);
	if (flush_rest)
		flush(tr);
	uint32_t iop =
	    (sense ? IOP_br_i32_test_nz_SS : IOP_br_i32_test_z_SS) + 2 * (uint32_t)mode + backward;
	return emit_imm(tr, iop, a, mode == BIN_SA ? 0 : b, 0);
}

bool fuse_index(struct translator *tr, struct vval *v, uint32_t *slot, uint32_t *bias)
{
	enum bin_mode mode;
	if (tr->wide || tr->failed || !last_is(tr, v, WOP_i32_add, &mode) ||
	    (mode != BIN_SI && mode != BIN_AI) || !fits16((uint64_t)imm_s(tr, v->x)))
		return false;
	*bias = get_imm(tr, v->x);
	*slot = mode == BIN_SI ? get_field(tr, v->x, 1) : 0;
	if (mode == BIN_SI)
		v->loc = LOC_HOME;
	unemit(tr);
	return true;
}

bool fuse_index_load(struct translator *tr, const struct vval *v, uint32_t *slot, uint32_t *offset)
{
	if (tr->wide || tr->failed || !made_by_last(tr, v) || tr->last.iop != IOP_i32_load8_u_S_A)
		return false;
	*slot = get_field(tr, v->x, 1);
	*offset = get_imm(tr, v->x);
	unemit(tr);
	return true;
}

uint32_t fuse_load_test(struct translator *tr, const struct winfo *wi, int64_t imm, bool backward,
                        bool flush_rest)
{
	uint32_t iop;
	bool eq = wi == &winfos[WOP_i32_eq];
	if (tr->wide || tr->failed || (!eq && wi != &winfos[WOP_i32_ne]) || !fits16((uint64_t)imm))
		return FORWARD;
	switch (tr->last.iop) {
	case IOP_i32_load_S_A: iop = IOP_br_i32_load_eq; break;
	case IOP_i32_load8_s_S_A: iop = IOP_br_i32_load8_s_eq; break;
	case IOP_i32_load8_u_S_A: iop = IOP_br_i32_load8_u_eq; break;
	case IOP_i32_load16_s_S_A: iop = IOP_br_i32_load16_s_eq; break;
	case IOP_i32_load16_u_S_A: iop = IOP_br_i32_load16_u_eq; break;
	default: return FORWARD;
	}
	uint32_t slot = get_field(tr, tr->last.pos, 1), offset = get_imm(tr, tr->last.pos);
	unemit(tr);
	if (flush_rest)
		flush(tr);
	uint32_t pos = emit_imm(tr, iop + (eq ? 0 : 2) + backward, slot, (uint16_t)imm, 0);
	emit_word(tr, offset);
	return pos;
}

bool fuse_select(struct translator *tr, const struct vval *c, struct vval *a, struct vval *b)
{
	const struct winfo *wi = tr->last.info;
	if (tr->wide || tr->failed || !made_by_last(tr, c) || !wi || wi->wclass != WC_CMP)
		return false;
	enum bin_mode mode = (enum bin_mode)(((uint32_t)tr->last.iop - wi->iop) / 2);
	if (mode != BIN_SS && mode != BIN_SI)
		return false;
	uint32_t x = get_field(tr, c->x, 1);
	uint64_t y = mode == BIN_SS       ? get_field(tr, c->x, 2)
	             : wi->type == VT_I32 ? get_imm(tr, c->x)
	                                  : tr->w[c->x + tr->len];
	unemit(tr);
	uint32_t sa = in_slot(tr, a, tr->height), sb = in_slot(tr, b, tr->height + 1);
	uint32_t iop = wi->brk + 6u + (mode == BIN_SS ? 0 : 2);
	if (is_float(a->type)) {
		emit(tr, iop, home(tr, tr->height), sa, sb, x);
		emit_word(tr, y);
		push_home(tr, a->type);
		return true;
	}
	acc_free(tr, a->type);
	uint32_t pos = emit(tr, iop + 1, 0, sa, sb, x);
	emit_word(tr, y);
	push_acc(tr, a->type, pos, iop + 1);
	return true;
}

/* ---- pairs ---- */

void fuse_inc(struct translator *tr)
{
	int64_t a, b;
	if (tr->last.iop != IOP_i32_add_SI_R || tr->prev.iop != IOP_i32_add_SI_R)
		return;
	uint32_t x = get_field(tr, tr->prev.pos, 0), y = get_field(tr, tr->last.pos, 0);
	if (!is_inc(tr, &tr->prev, VT_I32, x, &a) || !is_inc(tr, &tr->last, VT_I32, y, &b))
		return;
	unemit(tr);
	unemit(tr);
	emit(tr, IOP_inc2, x, (uint16_t)a, y, (uint16_t)b);
}

bool fuse_copy(struct translator *tr, uint32_t slot, uint32_t from)
{
	if (tr->wide || tr->failed || tr->last.iop != IOP_copy)
		return false;
	uint32_t pos = tr->last.pos;
	set_iop(tr, pos, IOP_copy2);
	set_field(tr, pos, 2, slot);
	set_field(tr, pos, 3, from);
	return true;
}
