/* translate_op.c - instructions that eat and make values: which variant of a family does them. */
#include "engine/atomic.h"
#include "engine/translate.h"

#include <assert.h>
#include <string.h>

#define VT_u32 VT_I32
#define VT_u64 VT_I64
#define VT_f32 VT_F32
#define VT_f64 VT_F64

const struct winfo winfos[0x100 + OPCODE_FC_COUNT] = {
#define IX(name) (WOP_##name < 0x100 ? WOP_##name : 0x100 + (WOP_##name & 0xff))
#define IDX(name) [IX(name)]
#define BIN(name, T, R, comm, body) \
	IDX(name) = {WC_BIN, comm, VT_##T, VT_##R, IOP_##name##_SS_R, 0, 0, 0, 0},
#define CMP(name, T, cond, swap, inv)    \
	IDX(name) = {WC_CMP,             \
	             0,                  \
	             VT_##T,             \
	             VT_I32,             \
	             IOP_##name##_SS_R,  \
	             IOP_br_##name##_SS, \
	             IX(swap),           \
	             IX(inv),            \
	             IOP_br_##name##_SK},
#define FCMP(name, T, cond, swap)        \
	IDX(name) = {WC_FCMP,            \
	             0,                  \
	             VT_##T,             \
	             VT_I32,             \
	             IOP_##name##_SS_R,  \
	             IOP_br_##name##_SS, \
	             IX(swap),           \
	             0,                  \
	             IOP_br_##name##_SK},
#define UN(name, T, R, body) IDX(name) = {WC_UN, 0, VT_##T, VT_##R, IOP_##name##_S_R, 0, 0, 0, 0},
#define LOAD(name, M, R, cast) \
	IDX(name) = {WC_LOAD, 0, VT_##R, VT_##R, IOP_##name##_S_R, 0, 0, 0, IOP_##name##_W_R},
#define STORE(name, T, M) \
	IDX(name) = {WC_STORE, 0, VT_##T, 0, IOP_##name##_SS, 0, 0, 0, IOP_##name##_WS},
#include "engine/iops.def"
};

static const struct winfo *wi_of(uint32_t index)
{
	return &winfos[index];
}

/* A form _A of family iop for a result type; pushes the result. */
static void emit_bin(struct translator *tr, const struct winfo *wi, enum bin_mode mode, uint32_t f1,
                     uint32_t f2_or_imm, uint64_t word)
{
	acc_free(tr, wi->result);
	uint32_t iop = wi->iop + 2 * (uint32_t)mode + 1, pos;
	bool imm = mode == BIN_SI || mode == BIN_AI;
	if (imm)
		pos = emit_imm(tr, iop, 0, f1, f2_or_imm);
	else
		pos = emit(tr, iop, 0, f1, f2_or_imm, 0);
	if (imm && wi->type != VT_I32)
		emit_word(tr, word);
	tr->last.info = wi;
	push_acc(tr, wi->result, pos, iop);
}

/* Families that no wasm instruction is. */
#define BINX(name, T, R, body)                                                                  \
	static const struct winfo winfo_##name = {WC_BIN, 0, VT_##T, VT_##R, IOP_##name##_SS_R, \
	                                          0,      0, 0,      0};
#include "engine/iops.def"

/* With a constant for a: f(a, b) = the family returned (b, a). NULL: none. */
static const struct winfo *turned(const struct winfo *wi)
{
	if (wi->commutes)
		return wi;
	if (wi->swapped)
		return wi_of(wi->swapped);
	if (wi == &winfos[WOP_i32_sub])
		return &winfo_i32_rsub;
	if (wi == &winfos[WOP_i64_sub])
		return &winfo_i64_rsub;
	if (wi == &winfos[WOP_i32_shl])
		return &winfo_i32_rshl;
	return wi == &winfos[WOP_i64_shl] ? &winfo_i64_rshl : NULL;
}

/* x - c is x + -c: one family less to look for. */
static const struct winfo *sub_to_add(const struct winfo *wi, struct vval *b)
{
	if (b->loc != LOC_CONST)
		return wi;
	if (wi == &winfos[WOP_i32_sub]) {
		b->c = (uint32_t)-b->c;
		return &winfos[WOP_i32_add];
	}
	if (wi == &winfos[WOP_i64_sub]) {
		b->c = -b->c;
		return &winfos[WOP_i64_add];
	}
	return wi;
}

void do_bin(struct translator *tr, const struct winfo *wi)
{
	struct vval b = pop(tr), a = pop(tr);
	uint32_t ia = tr->height, ib = ia + 1;
	wi = sub_to_add(wi, &b);
	if (fuse_bin(tr, wi, &a, &b))
		return;
	if (a.loc == LOC_CONST && b.loc != LOC_CONST && turned(wi)) {
		/* Only a constant trades places: a slot's name depends on where it stood. */
		struct vval x = a;
		a = b;
		b = x;
		ia = ib;
		ib = tr->height;
		wi = turned(wi);
	}
	if (a.loc == LOC_CONST)
		go_home(tr, &a, ia);
	uint32_t sa = a.loc == LOC_ACC ? 0 : slot_of(tr, &a, ia);
	if (b.loc == LOC_CONST)
		emit_bin(tr, wi, a.loc == LOC_ACC ? BIN_AI : BIN_SI, sa, (uint32_t)b.c, b.c);
	else if (a.loc == LOC_ACC)
		emit_bin(tr, wi, BIN_AS, 0, slot_of(tr, &b, ib), 0);
	else if (b.loc == LOC_ACC)
		emit_bin(tr, wi, BIN_SA, sa, 0, 0);
	else
		emit_bin(tr, wi, BIN_SS, sa, slot_of(tr, &b, ib), 0);
}

/* The last instruction made the entry v: it is a comparison that can be taken back. */
static const struct winfo *last_compare(const struct translator *tr, const struct vval *v)
{
	if (!made_by_last(tr, v) || !tr->last.info)
		return NULL;
	uint8_t c = tr->last.info->wclass;
	return c == WC_CMP || c == WC_FCMP ? tr->last.info : NULL;
}

/* eqz of a comparison of integers is the inverse comparison. */
static bool fold_eqz(struct translator *tr)
{
	struct vval v = tr->v[tr->height - 1];
	const struct winfo *wi = last_compare(tr, &v);
	if (!wi || wi->wclass != WC_CMP || tr->failed)
		return false;
	const struct winfo *inv = wi_of(wi->inverse);
	uint32_t iop = inv->iop + ((uint32_t)tr->last.iop - wi->iop);
	set_iop(tr, v.x, iop);
	tr->v[tr->height - 1].iop = (uint16_t)iop;
	tr->last.info = inv;
	return true;
}

void do_eqz(struct translator *tr, uint8_t type)
{
	if (type == VT_I32 && fold_eqz(tr))
		return;
	/* As a comparison it can be fused with a branch. The zero never gets a slot. */
	push_const(tr, type, 0);
	do_bin(tr, &winfos[type == VT_I32 ? WOP_i32_eq : WOP_i64_eq]);
}

void do_un(struct translator *tr, const struct winfo *wi)
{
	struct vval a = pop(tr);
	if (a.loc == LOC_CONST)
		go_home(tr, &a, tr->height);
	acc_free(tr, wi->result);
	uint32_t iop = wi->iop + (a.loc == LOC_ACC ? 2 : 0) + 1;
	uint32_t slot = a.loc == LOC_ACC ? 0 : slot_of(tr, &a, tr->height);
	push_acc(tr, wi->result, emit(tr, iop, 0, slot, 0, 0), iop);
}

void do_load(struct translator *tr, const struct winfo *wi, uint32_t offset)
{
	struct vval a = pop(tr);
	if (fuse_load(tr, wi, &a, offset))
		return;
	enum load_mode mode = LOAD_S;
	uint32_t slot = 0;
	if (a.loc == LOC_CONST && (uint64_t)(uint32_t)a.c + offset <= UINT32_MAX) {
		mode = LOAD_I;
		offset += (uint32_t)a.c;
	} else if (a.loc == LOC_ACC) {
		mode = LOAD_A;
	} else {
		if (a.loc == LOC_CONST)
			go_home(tr, &a, tr->height);
		slot = slot_of(tr, &a, tr->height);
	}
	acc_free(tr, wi->result);
	uint32_t iop = wi->iop + 2 * (uint32_t)mode + 1;
	push_acc(tr, wi->result, emit_imm(tr, iop, 0, slot, offset), iop);
}

void do_store(struct translator *tr, const struct winfo *wi, uint32_t offset)
{
	struct vval v = pop(tr), a = pop(tr);
	if (fuse_store(tr, wi, &a, &v, offset))
		return;
	bool absolute = a.loc == LOC_CONST && (uint64_t)(uint32_t)a.c + offset <= UINT32_MAX;
	if (a.loc == LOC_CONST && !absolute)
		go_home(tr, &a, tr->height);
	if (a.loc == LOC_ACC && v.loc == LOC_ACC) /* there is no form with both */
		go_home(tr, &a, tr->height);
	if (absolute)
		offset += (uint32_t)a.c;
	uint32_t as = absolute || a.loc == LOC_ACC ? 0 : slot_of(tr, &a, tr->height);
	if (v.loc == LOC_CONST) {
		enum store_mode m = absolute ? STORE_IC : a.loc == LOC_ACC ? STORE_AC : STORE_SC;
		emit_imm(tr, wi->iop + (uint32_t)m, 0, as, offset);
		emit_word(tr, v.c);
		return;
	}
	bool acc = v.loc == LOC_ACC;
	uint32_t vs = acc ? 0 : slot_of(tr, &v, tr->height + 1);
	enum store_mode m = absolute           ? (acc ? STORE_IA : STORE_IS)
	                    : a.loc == LOC_ACC ? STORE_AS
	                    : acc              ? STORE_SA
	                                       : STORE_SS;
	emit_imm(tr, wi->iop + (uint32_t)m, vs, as, offset);
}

uint32_t in_slot(struct translator *tr, struct vval *v, uint32_t index)
{
	if (v->loc != LOC_LOCAL)
		go_home(tr, v, index);
	return slot_of(tr, v, index);
}

void do_select(struct translator *tr)
{
	struct vval c = pop(tr), b = pop(tr), a = pop(tr);
	if (a.type == VT_V128) {
		do_select_v128(tr, &a, &b, &c);
		return;
	}
	if (fuse_select(tr, &c, &a, &b))
		return;
	uint32_t sa = in_slot(tr, &a, tr->height), sb = in_slot(tr, &b, tr->height + 1);
	uint32_t sc = c.loc == LOC_ACC ? 0 : in_slot(tr, &c, tr->height + 2);
	uint32_t iop = c.loc == LOC_ACC ? IOP_select_A_R : IOP_select_S_R;
	if (is_float(a.type)) {
		emit(tr, iop, home(tr, tr->height), sa, sb, sc);
		push_home(tr, a.type);
		return;
	}
	acc_free(tr, a.type);
	uint32_t pos = emit(tr, iop + 1, 0, sa, sb, sc);
	push_acc(tr, a.type, pos, iop + 1);
}

void do_global_get(struct translator *tr, uint32_t x)
{
	uint8_t type = tr->m->globals[x].type.type;
	if (type == VT_V128) {
		do_global_get_v128(tr, tr->in->globals[x]);
		return;
	}
	acc_free(tr, type);
	uint32_t iop = is_float(type) ? IOP_fglobal_get_A : IOP_global_get_A;
	uint32_t pos = emit(tr, iop, 0, 0, 0, 0);
	emit_word(tr, (uint64_t)(uintptr_t)tr->in->globals[x]);
	push_acc(tr, type, pos, iop);
}

void do_global_set(struct translator *tr, uint32_t x)
{
	struct vval v = pop(tr);
	if (v.type == VT_V128) {
		do_global_set_v128(tr, &v, tr->in->globals[x]);
		return;
	}
	uint32_t slot = 0, iop = is_float(v.type) ? IOP_global_set_FA : IOP_global_set_A;
	if (v.loc != LOC_ACC) {
		iop = IOP_global_set_S;
		slot = in_slot(tr, &v, tr->height);
	}
	emit(tr, iop, 0, slot, 0, 0);
	emit_word(tr, (uint64_t)(uintptr_t)tr->in->globals[x]);
}

/* A condition that no comparison just made: not zero. */
static uint32_t cond_value(struct translator *tr, struct vval *c, bool sense, uint32_t target,
                           bool flush_rest)
{
	uint32_t index = tr->height;
	const struct winfo *ne = &winfos[sense ? WOP_i32_ne : WOP_i32_eq];
	if (c->loc == LOC_LOCAL && fuse_count(tr, ne, c->x, true, 0, target))
		return FORWARD;
	uint32_t test = fuse_test(tr, c, sense, target != FORWARD, flush_rest);
	if (test == FORWARD && made_by_last(tr, c))
		test = fuse_load_test(tr, ne, 0, target != FORWARD, flush_rest);
	if (test != FORWARD)
		return test;
	if (c->loc == LOC_CONST)
		go_home(tr, c, index);
	if (flush_rest)
		flush(tr);
	uint32_t iop = ne->br + (target != FORWARD) + 2 * (c->loc == LOC_ACC ? BIN_AI : BIN_SI);
	return emit_imm(tr, iop, c->loc == LOC_ACC ? 0 : slot_of(tr, c, index), 0, 0);
}

/* Branches of floats have no forms with an immediate but the narrow ones with a word. */
static uint32_t cond_float(struct translator *tr, const struct winfo *wi, enum bin_mode mode,
                           uint32_t a, uint32_t b, uint64_t word, uint32_t how)
{
	if (mode == BIN_SI || mode == BIN_AI) {
		uint32_t pos = emit_imm(tr, wi->brk + (mode == BIN_SI ? 0 : 4) + how, a, 0, 0);
		emit_word(tr, word);
		return pos;
	}
	enum fbr_mode fm = mode == BIN_SS ? FBR_SS : mode == BIN_AS ? FBR_AS : FBR_SA;
	return emit_imm(tr, wi->br + 4 * (uint32_t)fm + how, a, mode == BIN_SA ? 0 : b, 0);
}

static uint32_t cond_int(struct translator *tr, const struct winfo *wi, enum bin_mode mode,
                         uint32_t a, uint32_t b, uint64_t word, uint32_t back)
{
	if (mode == BIN_SI || mode == BIN_AI) {
		bool fits =
		    tr->wide ? (int64_t)word == (int32_t)word : (int64_t)word == (int16_t)word;
		if (!fits) {
			uint32_t pos =
			    emit_imm(tr, wi->brk + (mode == BIN_SI ? 0 : 2) + back, a, 0, 0);
			emit_word(tr, word);
			return pos;
		}
		b = (uint32_t)word;
	}
	return emit_imm(tr, wi->br + 2 * (uint32_t)mode + back, a, mode == BIN_SA ? 0 : b, 0);
}

/* eqz of a comparison of floats, which has no inverse: the other sense. */
static bool take_back_not(struct translator *tr, struct vval *c)
{
	const struct winfo *f = tr->prev.iop >= 0 ? tr->prev.info : NULL;
	if (!made_by_last(tr, c) || tr->last.iop != IOP_i32_eq_AI_A || get_imm(tr, c->x) != 0 ||
	    !f || f->wclass != WC_FCMP || tr->failed)
		return false;
	unemit(tr);
	c->x = tr->last.pos;
	c->iop = (uint16_t)tr->last.iop;
	return true;
}

uint32_t do_cond(struct translator *tr, bool sense, uint32_t target, bool flush_rest)
{
	struct vval c = pop(tr);
	uint32_t index = tr->height, back = target != FORWARD;
	if (take_back_not(tr, &c))
		sense = !sense;
	const struct winfo *wi = last_compare(tr, &c);
	if (!wi || tr->failed)
		return cond_value(tr, &c, sense, target, flush_rest);
	/* The comparison is taken back, and done by the branch. Its operands stood at index and index + 1. */
	enum bin_mode mode = (enum bin_mode)(((uint32_t)tr->last.iop - wi->iop) / 2);
	bool is_imm = mode == BIN_SI || mode == BIN_AI;
	uint32_t a = get_field(tr, c.x, 1), b = get_field(tr, c.x, 2);
	uint64_t word = !is_imm              ? 0
	                : wi->type == VT_I32 ? (uint64_t)(int64_t)(int32_t)get_imm(tr, c.x)
	                                     : tr->w[c.x + tr->len];
	unemit(tr);
	if (wi->wclass == WC_CMP && !sense)
		wi = wi_of(wi->inverse);
	if (mode == BIN_AI) {
		uint32_t pos = fuse_load_test(tr, wi, (int64_t)word, back, flush_rest);
		if (pos != FORWARD)
			return pos;
	}
	if (flush_rest)
		flush(tr);
	if (wi->wclass == WC_CMP && (mode == BIN_SS || mode == BIN_SI) &&
	    (int64_t)word == (int16_t)word &&
	    (fuse_count(tr, wi, a, is_imm, is_imm ? (uint32_t)word : b, target) ||
	     (!is_imm && fuse_count(tr, wi_of(wi->swapped), b, false, a, target))))
		return FORWARD;
	if (tr->wide && is_imm && (is_float(wi->type) || (int64_t)word != (int32_t)word)) {
		/* A constant that stood first traded places: then the other operand is at home in index + 1. */
		uint32_t free = a == home(tr, index + 1) ? index : index + 1;
		struct vval k = {.loc = LOC_CONST, .c = word, .type = wi->type};
		go_home(tr, &k, free);
		b = home(tr, free);
		mode = mode == BIN_SI ? BIN_SS : BIN_AS;
	}
	if (wi->wclass == WC_FCMP)
		return cond_float(tr, wi, mode, a, b, word, (sense ? 0 : 2) + back);
	return cond_int(tr, wi, mode, a, b, word, back);
}

/* ---- instructions done by a function ---- */

static enum trap slow_memory_grow(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm)
{
	v[0] = mem_grow(in->mems[0], (uint32_t)v[0]);
	return TRAP_NONE;
}

static enum trap slow_memory_fill(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm)
{
	return mem_fill(in->mems[0], v);
}

static enum trap slow_memory_copy(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm)
{
	return mem_copy(in->mems[0], v);
}

static enum trap slow_memory_init(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm)
{
	return mem_init(in, (uint32_t)imm, v);
}

static enum trap slow_data_drop(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm)
{
	in->data_dropped[(uint32_t)imm] = 1;
	return TRAP_NONE;
}

static enum trap slow_elem_drop(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm)
{
	in->elem_dropped[(uint32_t)imm] = 1;
	return TRAP_NONE;
}

static enum trap slow_table_get(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm)
{
	struct tableinst *tab = in->tables[(uint32_t)imm];
	if ((uint32_t)v[0] >= tab->size)
		return TRAP_TABLE_BOUNDS;
	v[0] = tab->elems[(uint32_t)v[0]];
	return TRAP_NONE;
}

static enum trap slow_table_set(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm)
{
	struct tableinst *tab = in->tables[(uint32_t)imm];
	if ((uint32_t)v[0] >= tab->size)
		return TRAP_TABLE_BOUNDS;
	tab->elems[(uint32_t)v[0]] = v[1];
	return TRAP_NONE;
}

static enum trap slow_table_size(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm)
{
	v[0] = in->tables[(uint32_t)imm]->size;
	return TRAP_NONE;
}

static enum trap slow_table_grow(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm)
{
	return table_grow(in->tables[(uint32_t)imm], v);
}

static enum trap slow_table_fill(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm)
{
	return table_fill(in->tables[(uint32_t)imm], v);
}

/* imm: first index (element segment; destination), second index in the upper half. */
static enum trap slow_table_init(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm)
{
	return table_init(in, (uint32_t)imm, in->tables[imm >> 32], v);
}

static enum trap slow_table_copy(struct thread *t, struct instance *in, uint64_t *v, uint64_t imm)
{
	return table_copy(in->tables[(uint32_t)imm], in->tables[imm >> 32], v);
}

static slow_fn slow_of(uint32_t op, uint32_t *nargs)
{
	*nargs = 3;
	switch (op) {
	case WOP_memory_grow: *nargs = 1; return slow_memory_grow;
	case WOP_memory_fill: return slow_memory_fill;
	case WOP_memory_copy: return slow_memory_copy;
	case WOP_memory_init: return slow_memory_init;
	case WOP_data_drop: *nargs = 0; return slow_data_drop;
	case WOP_elem_drop: *nargs = 0; return slow_elem_drop;
	case WOP_table_get: *nargs = 1; return slow_table_get;
	case WOP_table_set: *nargs = 2; return slow_table_set;
	case WOP_table_size: *nargs = 0; return slow_table_size;
	case WOP_table_grow: *nargs = 2; return slow_table_grow;
	case WOP_table_fill: return slow_table_fill;
	case WOP_table_init: return slow_table_init;
	case WOP_table_copy: return slow_table_copy;
	default: return NULL;
	}
}

void do_slow(struct translator *tr, uint32_t op, uint32_t a, uint32_t b)
{
	uint32_t nargs;
	const struct opcode *row = opcode_row(op);
	slow_fn fn = op >= 0xfe00 ? atomic_fn(op) : slow_of(op, &nargs);
	if (op >= 0xfe00)
		nargs = (uint32_t)strlen(row->operands);
	assert(fn && tr->height >= nargs);
	for (uint32_t i = tr->height - nargs; i < tr->height; i++)
		go_home(tr, &tr->v[i], i);
	for (uint32_t i = 0; i < nargs; i++)
		pop(tr);
	emit(tr, IOP_slow, home(tr, tr->height), 0, 0, 0);
	emit_word(tr, (uint64_t)(uintptr_t)fn);
	emit_word(tr, (uint64_t)b << 32 | a);
	if (op == WOP_table_get)
		push_home(tr, tr->m->tables[a].reftype);
	else if (op == WOP_memory_grow || op == WOP_table_size || op == WOP_table_grow)
		push_home(tr, VT_I32);
	else if (op >= 0xfe00 && row->results[0])
		push_home(tr, row->results[0] == 'i' ? VT_I32 : VT_I64);
}
