/* translate_simd.c - vector instructions: their operands into slots, their result at home (translate.h).
 *
 * What makes a vector writes it to the entry's home; when it is then put into a local, or where a block's result has to be, the
 * instruction itself is changed to write there.
 */
#include "engine/translate.h"

#include <string.h>

enum simd_class {
	SC_NONE,
	SC_BIN,
	SC_UN,
	SC_TERN,
	SC_SHIFT,
	SC_REPLACE,
	SC_SCALAR, /* extracts, tests */
	SC_LOAD,
	SC_LOAD_LANE,
	SC_STORE,
	SC_STORE_LANE,
};

#define VT_u32 VT_I32
#define VT_u64 VT_I64
#define VT_f32 VT_F32
#define VT_f64 VT_F64

static const struct simd_info {
	uint8_t simd_class;
	uint8_t result; /* of SC_SCALAR: enum valtype */
	uint16_t iop;   /* the first of several */
} infos[OPCODE_FD_COUNT] = {
#define ROW(name) [WOP_##name & 0xff]
#define VBIN(name, T, R, body) ROW(name) = {SC_BIN, 0, IOP_##name},
#define VUN(name, T, R, body) ROW(name) = {SC_UN, 0, IOP_##name},
#define VTERN(name, T, body) ROW(name) = {SC_TERN, 0, IOP_##name},
#define VSHIFT(name, T, E, body) ROW(name) = {SC_SHIFT, 0, IOP_##name##_S},
#define VSPLAT(name, V, E, T) ROW(name) = {SC_UN, 0, IOP_##name},
#define VREPLACE(name, E) ROW(name) = {SC_REPLACE, 0, IOP_##name},
#define VEXTRACT(name, E, R) ROW(name) = {SC_SCALAR, VT_##R, IOP_##name##_R},
#define VTEST(name, T, body) ROW(name) = {SC_SCALAR, VT_I32, IOP_##name##_R},
#define VLOAD(name, M, body) ROW(name) = {SC_LOAD, 0, IOP_##name##_S},
#define VLOADLANE(name, E) ROW(name) = {SC_LOAD_LANE, 0, IOP_##name},
#define VSTORE(name) ROW(name) = {SC_STORE, 0, IOP_##name##_S},
#define VSTORELANE(name, E) ROW(name) = {SC_STORE_LANE, 0, IOP_##name},
#include "engine/simd.def"
};

_Static_assert(IOP_ALL <= UINT16_MAX, "a field holds the number of every instruction");

/* Pops an entry into a slot. */
static uint32_t pop_slot(struct translator *tr)
{
	struct vval v = pop(tr);
	return in_slot(tr, &v, tr->height);
}

/* Emits an instruction that makes a vector, which is pushed. Its words come behind. */
static void emit_vector(struct translator *tr, uint32_t iop, uint32_t f1, uint32_t f2, uint32_t f3)
{
	emit_simd(tr, iop, home(tr, tr->height), f1, f2, f3);
	push_home(tr, VT_V128);
}

static void do_shift(struct translator *tr, uint32_t iop)
{
	struct vval k = pop(tr);
	bool constant = k.loc == LOC_CONST;
	uint32_t count = constant ? (uint32_t)k.c : in_slot(tr, &k, tr->height);
	emit_vector(tr, iop + constant, pop_slot(tr), count, 0);
}

static void do_scalar(struct translator *tr, const struct simd_info *info, uint32_t lane)
{
	uint32_t v = pop_slot(tr), iop = info->iop + 1u;
	acc_free(tr, info->result);
	push_acc(tr, info->result, emit_simd(tr, iop, 0, v, lane, 0), iop);
}

static uint32_t read_offset(struct translator *tr)
{
	leb_u32(tr); /* alignment: a hint */
	return leb_u32(tr);
}

static void do_load_lane(struct translator *tr, uint32_t iop)
{
	uint32_t offset = read_offset(tr), lane = *tr->p++;
	uint32_t v = pop_slot(tr), address = pop_slot(tr);
	emit_vector(tr, iop, address, offset, v);
	emit_word(tr, lane);
}

static void do_store_lane(struct translator *tr, uint32_t iop)
{
	uint32_t offset = read_offset(tr), lane = *tr->p++;
	uint32_t v = pop_slot(tr), address = pop_slot(tr);
	emit_simd(tr, iop, v, address, offset, lane);
}

/* How to reach the address on top, which is popped; iop: the form for it, of those that begin with *iop. */
static struct address pop_address(struct translator *tr, uint32_t offset, uint32_t *iop)
{
	struct address at;
	struct vval v = pop(tr);
	if (fuse_address(tr, &v, offset, &at)) {
		*iop += 1 + (uint32_t)at.mode;
		return at;
	}
	return (struct address){.f1 = in_slot(tr, &v, tr->height), .f2_or_imm = offset};
}

static void do_vector_load(struct translator *tr, uint32_t iop)
{
	struct address at = pop_address(tr, read_offset(tr), &iop);
	emit_vector(tr, iop, at.f1, at.f2_or_imm, at.f3);
}

static void do_vector_store(struct translator *tr, uint32_t iop)
{
	uint32_t offset = read_offset(tr), v = pop_slot(tr);
	struct address at = pop_address(tr, offset, &iop);
	emit_simd(tr, iop, v, at.f1, at.f2_or_imm, at.f3);
}

static void do_v128_const(struct translator *tr)
{
	uint64_t half[2];
	memcpy(half, tr->p, sizeof half);
	tr->p += sizeof half;
	emit_vector(tr, IOP_v128_const, 0, 0, 0);
	emit_word(tr, half[0]);
	emit_word(tr, half[1]);
}

/* Lanes of the first vector, and of the second, as indices for lookup(). */
static void do_shuffle(struct translator *tr)
{
	uint8_t from[2][16];
	uint64_t words[4];
	for (unsigned i = 0; i < 16; i++) {
		uint8_t lane = *tr->p++;
		from[0][i] = lane < 16 ? lane : 0x80;
		from[1][i] = lane < 16 ? 0x80 : lane - 16;
	}
	memcpy(words, from, sizeof words);
	uint32_t b = pop_slot(tr), a = pop_slot(tr);
	emit_vector(tr, IOP_i8x16_shuffle, a, b, 0);
	for (unsigned i = 0; i < 4; i++)
		emit_word(tr, words[i]);
}

void do_simd(struct translator *tr, uint32_t op)
{
	const struct simd_info *info = &infos[op & 0xff];
	uint32_t a, b, c;
	switch (info->simd_class) {
	case SC_BIN:
		b = pop_slot(tr);
		a = pop_slot(tr);
		emit_vector(tr, info->iop, a, b, 0);
		break;
	case SC_UN: emit_vector(tr, info->iop, pop_slot(tr), 0, 0); break;
	case SC_TERN:
		c = pop_slot(tr);
		b = pop_slot(tr);
		a = pop_slot(tr);
		emit_vector(tr, info->iop, a, b, c);
		break;
	case SC_SHIFT: do_shift(tr, info->iop); break;
	case SC_REPLACE:
		b = pop_slot(tr);
		a = pop_slot(tr);
		emit_vector(tr, info->iop, a, b, *tr->p++);
		break;
	case SC_SCALAR: do_scalar(tr, info, opcode_row(op)->imm ? *tr->p++ : 0); break;
	case SC_LOAD: do_vector_load(tr, info->iop); break;
	case SC_LOAD_LANE: do_load_lane(tr, info->iop); break;
	case SC_STORE: do_vector_store(tr, info->iop); break;
	case SC_STORE_LANE: do_store_lane(tr, info->iop); break;
	default:
		if (op == WOP_v128_const)
			do_v128_const(tr);
		else
			do_shuffle(tr);
	}
}

/* ---- of all types: select, globals, moves ---- */

void do_select_v128(struct translator *tr, struct vval *a, struct vval *b, struct vval *c)
{
	uint32_t sa = in_slot(tr, a, tr->height), sb = in_slot(tr, b, tr->height + 1);
	emit_vector(tr, IOP_v128_select, sa, sb, in_slot(tr, c, tr->height + 2));
}

void do_global_get_v128(struct translator *tr, const struct globalinst *g)
{
	emit_vector(tr, IOP_v128_global_get, 0, 0, 0);
	emit_word(tr, (uint64_t)(uintptr_t)g);
}

void do_global_set_v128(struct translator *tr, struct vval *v, struct globalinst *g)
{
	emit_simd(tr, IOP_v128_global_set, 0, in_slot(tr, v, tr->height), 0, 0);
	emit_word(tr, (uint64_t)(uintptr_t)g);
}

bool simd_redirect(struct translator *tr, uint32_t slot, uint32_t from)
{
	if (tr->failed || tr->last.iop < IOP_SIMD || tr->last.iop >= IOP_NO_VECTOR)
		return false;
	uint32_t *f0 = (uint32_t *)(tr->w + tr->last.pos + 1);
	if (*f0 != from)
		return false;
	*f0 = slot;
	return true;
}
