/* emit.c - the translator's code buffer and virtual operand stack (translate.h). */
#include "engine/translate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Room for some more words of code. */
static bool room(struct translator *tr)
{
	const uint32_t need = tr->n + 8;
	if (need <= tr->cap)
		return true;
	if (!stretch_to(&tr->words, need * sizeof *tr->w, MAX_CODE_WORDS * sizeof *tr->w)) {
		tr->failed = true;
		return false;
	}
	tr->w = tr->words.p;
	tr->cap = (uint32_t)(tr->words.bytes / sizeof *tr->w);
	return true;
}

static bool room_for_patch(struct translator *tr)
{
	const size_t size = sizeof *tr->patches;
	if (tr->npatches < tr->patches_cap)
		return true;
	if (!stretch_to(&tr->patch_mem, (tr->npatches + 1) * size, MAX_CODE_WORDS * size)) {
		tr->failed = true;
		return false;
	}
	tr->patches = tr->patch_mem.p;
	tr->patches_cap = (uint32_t)(tr->patch_mem.bytes / size);
	return true;
}

#define MANY_PENDING 64u

/* ---- code ---- */

static uint64_t handler_word(const struct translator *tr, uint32_t iop)
{
	handler h = iop < IOP_SIMD ? tr->handlers[iop] : handlers_simd[iop - IOP_SIMD];
	return (uint64_t)(uintptr_t)h;
}

static uint32_t begin(struct translator *tr, uint32_t iop, uint32_t len)
{
	if (!room(tr))
		tr->n = 0; /* the rest of the translation writes nonsense into what there is */
	uint32_t pos = tr->n;
	tr->w[pos] = handler_word(tr, iop);
	tr->n += len;
	tr->prev = tr->last;
	tr->last = (struct last){.pos = pos, .iop = (int32_t)iop};
	return pos;
}

void set_field(struct translator *tr, uint32_t pos, unsigned k, uint32_t v)
{
	if (tr->wide)
		((uint32_t *)(tr->w + pos + 1))[k] = v;
	else
		((uint16_t *)(tr->w + pos + 1))[k] = (uint16_t)v;
}

uint32_t get_field(const struct translator *tr, uint32_t pos, unsigned k)
{
	return tr->wide ? ((const uint32_t *)(tr->w + pos + 1))[k]
	                : ((const uint16_t *)(tr->w + pos + 1))[k];
}

uint32_t emit(struct translator *tr, uint32_t iop, uint32_t f0, uint32_t f1, uint32_t f2,
              uint32_t f3)
{
	uint32_t pos = begin(tr, iop, tr->len);
	set_field(tr, pos, 0, f0);
	set_field(tr, pos, 1, f1);
	set_field(tr, pos, 2, f2);
	set_field(tr, pos, 3, f3);
	return pos;
}

uint32_t emit_simd(struct translator *tr, uint32_t iop, uint32_t f0, uint32_t f1, uint32_t f2,
                   uint32_t f3)
{
	uint32_t pos = begin(tr, iop, SIMD_LEN);
	const uint32_t fields[4] = {f0, f1, f2, f3};
	memcpy(tr->w + pos + 1, fields, sizeof fields);
	return pos;
}

uint32_t imm_at32(const struct translator *tr, uint32_t pos)
{
	return tr->wide ? pos * 2 + 4 : pos * 2 + 3;
}

uint32_t get_imm(const struct translator *tr, uint32_t pos)
{
	return ((const uint32_t *)tr->w)[imm_at32(tr, pos)];
}

uint32_t emit_imm(struct translator *tr, uint32_t iop, uint32_t f0, uint32_t f1, uint32_t imm)
{
	uint32_t pos = begin(tr, iop, tr->len);
	set_field(tr, pos, 0, f0);
	set_field(tr, pos, 1, f1);
	set_field(tr, pos, 3, 0);
	((uint32_t *)tr->w)[imm_at32(tr, pos)] = imm;
	return pos;
}

void emit_word(struct translator *tr, uint64_t word)
{
	if (room(tr))
		tr->w[tr->n++] = word;
}

void barrier(struct translator *tr)
{
	tr->last = tr->prev = (struct last){.iop = -1};
}

void unemit(struct translator *tr)
{
	assert(tr->last.iop >= 0);
	tr->n = tr->last.pos;
	tr->last = tr->prev;
	tr->prev = (struct last){.iop = -1};
}

void set_iop(struct translator *tr, uint32_t pos, uint32_t iop)
{
	if (!tr->failed)
		tr->w[pos] = handler_word(tr, iop);
	if (tr->last.iop >= 0 && tr->last.pos == pos)
		tr->last.iop = (int32_t)iop;
	else if (tr->prev.iop >= 0 && tr->prev.pos == pos)
		tr->prev.iop = (int32_t)iop;
}

/* ---- branches ---- */

void patch_add(struct translator *tr, uint32_t *list, uint32_t at32, uint32_t base)
{
	if (!room_for_patch(tr))
		return;
	tr->patches[tr->npatches++] = (struct patch){.at32 = at32, .base = base, .next = *list};
	*list = tr->npatches;
}

/* Up to max branches of the list get their distance to the word at. */
static void bind(struct translator *tr, uint32_t *list, uint32_t at, uint32_t max)
{
	for (; *list && max > 0; max--, tr->work++) {
		const struct patch *p = &tr->patches[*list - 1];
		if (p->base == PATCH_CLAUSE)
			tr->clauses[p->at32].target = at;
		else if (!tr->failed)
			((uint32_t *)tr->w)[p->at32] = at - p->base;
		*list = p->next;
	}
}

void patch_bind(struct translator *tr, uint32_t *list)
{
	if (*list)
		barrier(tr);
	bind(tr, list, tr->n, UINT32_MAX);
}

#define BIND_PIECE 8192u

void patch_bind_some(struct translator *tr, uint32_t *list)
{
	assert(!tr->late);
	if (*list)
		barrier(tr);
	tr->late = *list;
	tr->late_at = tr->n;
	*list = 0;
	bind_late(tr);
}

void bind_late(struct translator *tr)
{
	bind(tr, &tr->late, tr->late_at, BIND_PIECE);
}

/* ---- the virtual stack ---- */

static struct vval *push(struct translator *tr, uint8_t type, enum loc loc)
{
	assert(tr->height <= tr->f->max_height); /* one more: the zero of eqz */
	struct vval *v = &tr->v[tr->height++];
	*v = (struct vval){.type = type, .loc = loc, .slot = v->slot};
	v[1].slot = v->slot + (type == VT_V128 ? 2 : 1);
	if (v[1].slot > tr->need)
		tr->need = v[1].slot;
	return v;
}

void push_home(struct translator *tr, uint8_t type)
{
	push(tr, type, LOC_HOME);
	if (tr->clean == tr->height - 1)
		tr->clean = tr->height;
}

void push_local(struct translator *tr, uint32_t x)
{
	push(tr, tr->local_types[x], LOC_LOCAL)->x = x;
}

void push_const(struct translator *tr, uint8_t type, uint64_t bits)
{
	push(tr, type, LOC_CONST)->c = bits;
}

void acc_free(struct translator *tr, uint8_t type)
{
	int64_t i = tr->acc[is_float(type)];
	if (i >= 0)
		go_home(tr, &tr->v[i], (uint32_t)i);
}

void push_acc(struct translator *tr, uint8_t type, uint32_t pos, uint32_t iop)
{
	assert(tr->acc[is_float(type)] < 0);
	struct vval *v = push(tr, type, LOC_ACC);
	v->x = pos;
	v->iop = (uint16_t)iop;
	tr->acc[is_float(type)] = tr->height - 1;
}

struct vval pop(struct translator *tr)
{
	assert(tr->height > 0);
	struct vval v = tr->v[--tr->height];
	if (tr->clean > tr->height)
		tr->clean = tr->height;
	if (v.loc == LOC_ACC)
		tr->acc[is_float(v.type)] = -1;
	return v;
}

uint32_t slot_of(const struct translator *tr, const struct vval *v, uint32_t index)
{
	assert(v->loc == LOC_HOME || v->loc == LOC_LOCAL);
	return v->loc == LOC_LOCAL ? v->x : home(tr, index);
}

/* The instruction that made v, a form _A, writes slot instead. */
static void redirect(struct translator *tr, const struct vval *v, uint32_t slot)
{
	if (tr->failed)
		return;
	set_iop(tr, v->x, v->iop - 1u);
	if (v->iop >= IOP_SIMD)
		*(uint32_t *)(tr->w + v->x + 1) = slot;
	else
		set_field(tr, v->x, 0, slot);
	fuse_inc(tr);
}

void emit_copy(struct translator *tr, uint8_t type, uint32_t slot, uint32_t from)
{
	if (type == VT_V128)
		emit_simd(tr, IOP_v128_copy, slot, from, 0, 0);
	else if (!fuse_copy(tr, slot, from))
		emit(tr, IOP_copy, slot, from, 0, 0);
}

static void emit_const(struct translator *tr, uint64_t bits, uint32_t slot)
{
	if (bits <= UINT32_MAX) {
		emit_imm(tr, IOP_const32_R, slot, 0, (uint32_t)bits);
		return;
	}
	emit(tr, IOP_const64_R, slot, 0, 0, 0);
	emit_word(tr, bits);
}

void go_home(struct translator *tr, struct vval *v, uint32_t index)
{
	uint32_t slot = home(tr, index);
	switch (v->loc) {
	case LOC_HOME: return;
	case LOC_LOCAL: emit_copy(tr, v->type, slot, v->x); break;
	case LOC_CONST: emit_const(tr, v->c, slot); break;
	case LOC_ACC:
		redirect(tr, v, slot);
		if (tr->acc[is_float(v->type)] == index)
			tr->acc[is_float(v->type)] = -1;
		break;
	}
	v->loc = LOC_HOME;
}

void flush(struct translator *tr)
{
	for (uint32_t i = tr->clean; i < tr->height; i++)
		go_home(tr, &tr->v[i], i);
	tr->clean = tr->height;
}

void move_to(struct translator *tr, struct vval *v, uint32_t index, uint32_t slot)
{
	switch (v->loc) {
	case LOC_HOME:
		if (home(tr, index) != slot &&
		    !(v->type == VT_V128 && simd_redirect(tr, slot, home(tr, index))))
			emit_copy(tr, v->type, slot, home(tr, index));
		break;
	case LOC_LOCAL:
		if (v->x != slot)
			emit_copy(tr, v->type, slot, v->x);
		break;
	case LOC_CONST: emit_const(tr, v->c, slot); break;
	case LOC_ACC:
		if (tr->last.iop >= 0 && tr->last.pos == v->x)
			redirect(tr, v, slot);
		else
			emit(tr, is_float(v->type) ? IOP_facc_to_slot : IOP_iacc_to_slot, slot, 0,
			     0, 0);
		break;
	}
}

void set_local(struct translator *tr, uint32_t x)
{
	struct vval v = pop(tr);
	uint32_t index = tr->height;
	if (index - tr->clean >
	    MANY_PENDING) /* or a million of them would be looked through a million times */
		flush(tr);
	for (uint32_t i = tr->clean; i < tr->height; i++)
		if (tr->v[i].loc == LOC_LOCAL && tr->v[i].x == x)
			go_home(tr, &tr->v[i], i);
	move_to(tr, &v, index, x);
}
