/* interp_body.h - the interpreter's handlers; compiled twice, for narrow and wide instructions (iop.h).
 *
 * Each handler does one instruction and tail-calls the next one's, so that the whole of the machine's state
 * stays in registers: pc, fp (the frame), t, mem (base of the instance's memory 0), ia and fa (accumulators).
 * A handler that leaves the loop writes pc and fp back to the thread, says why in t->exit, and returns.
 * The including file defines WIDE as 0 or 1.
 */
#include "engine/exn.h"
#include "engine/interp_macros.h"

#if WIDE
typedef uint32_t field;
#define OPW 2
#define HANDLER_COUNT IOP_FUSED
#define H(name) wide_##name
#define HANDLERS handlers_wide
#else
typedef uint16_t field;
#define OPW 1
#define HANDLER_COUNT IOP_COUNT
#define H(name) narrow_##name
#define HANDLERS handlers_narrow
#endif

#define LEN (1 + OPW)
#define F(k) (((const field *)(pc + 1))[k])
#define IMM (((const int32_t *)(pc + 1))[WIDE ? 2 : 1])
#define WORD(k) (pc[LEN + (k)])
/* The second operand of a fused compare and branch, when constant. */
#define BR_IMM (WIDE ? (int32_t)F(1) : (int32_t)(int16_t)F(1))

#define HANDLER(name)                                                                      \
	static HANDLER_CC void H(name)(const uint64_t *pc, uint64_t *fp, struct thread *t, \
	                               uint8_t *mem, uint64_t ia, double fa)

/* ---- operands ---- */

#define IMM_u32 ((u32)IMM)
#define IMM_u64 (WORD(0))
#define IMM_f32 (f32_of_bits((u32)WORD(0)))
#define IMM_f64 (f64_of_bits(WORD(0)))
#define BRIMM_u32 ((u32)BR_IMM)
#define BRIMM_u64 ((u64)(s64)BR_IMM)
/* Words behind the fields that an immediate takes. */
#define IMMW_u32 0
#define IMMW_u64 1
#define IMMW_f32 1
#define IMMW_f64 1

/* ---- arithmetic ---- */

#define DEF_BIN1(name, T, R, body, A_, B_, words) \
	HANDLER(name##_R)                         \
	{                                         \
		T a = A_, b = B_;                 \
		R r;                              \
		body;                             \
		SET_##R(F(0), r);                 \
		NEXT(LEN + (words));              \
	}                                         \
	HANDLER(name##_A)                         \
	{                                         \
		T a = A_, b = B_;                 \
		R r;                              \
		body;                             \
		SETACC_##R(r);                    \
		NEXT(LEN + (words));              \
	}
#define DEF_BIN(name, T, R, body)                                         \
	DEF_BIN1(name##_SS, T, R, body, GET_##T(F(1)), GET_##T(F(2)), 0)  \
	DEF_BIN1(name##_SI, T, R, body, GET_##T(F(1)), IMM_##T, IMMW_##T) \
	DEF_BIN1(name##_AS, T, R, body, ACC_##T, GET_##T(F(2)), 0)        \
	DEF_BIN1(name##_AI, T, R, body, ACC_##T, IMM_##T, IMMW_##T)       \
	DEF_BIN1(name##_SA, T, R, body, GET_##T(F(1)), ACC_##T, 0)

#define DEF_UN1(name, T, R, body, A_) \
	HANDLER(name##_R)             \
	{                             \
		T a = A_;             \
		R r;                  \
		body;                 \
		SET_##R(F(0), r);     \
		NEXT(LEN);            \
	}                             \
	HANDLER(name##_A)             \
	{                             \
		T a = A_;             \
		R r;                  \
		body;                 \
		SETACC_##R(r);        \
		NEXT(LEN);            \
	}

#define DEF_BR1(name, T, cond, A_, B_, words) \
	HANDLER(name)                         \
	{                                     \
		T a = A_, b = B_;             \
		if (cond)                     \
			NEXT((int64_t)IMM);   \
		NEXT(LEN + (words));          \
	}                                     \
	HANDLER(name##_B)                     \
	{                                     \
		T a = A_, b = B_;             \
		if (cond) {                   \
			pc += (int64_t)IMM;   \
			POLL();               \
			NEXT(0);              \
		}                             \
		NEXT(LEN + (words));          \
	}
#define DEF_BR(name, T, cond)                                             \
	DEF_BR1(br_##name##_SS, T, cond, GET_##T(F(0)), GET_##T(F(1)), 0) \
	DEF_BR1(br_##name##_SI, T, cond, GET_##T(F(0)), BRIMM_##T, 0)     \
	DEF_BR1(br_##name##_AS, T, cond, ACC_##T, GET_##T(F(1)), 0)       \
	DEF_BR1(br_##name##_AI, T, cond, ACC_##T, BRIMM_##T, 0)           \
	DEF_BR1(br_##name##_SA, T, cond, GET_##T(F(0)), ACC_##T, 0)
/* br_x_SS_N and br_x_SS_N_B come from a name ending in _N. */
#define DEF_FBR1(name, T, cond, A_, B_, words) \
	DEF_BR1(name, T, cond, A_, B_, words)  \
	DEF_BR1(name##_N, T, !(cond), A_, B_, words)
#define DEF_FBR(name, T, cond)                                             \
	DEF_FBR1(br_##name##_SS, T, cond, GET_##T(F(0)), GET_##T(F(1)), 0) \
	DEF_FBR1(br_##name##_AS, T, cond, ACC_##T, GET_##T(F(1)), 0)       \
	DEF_FBR1(br_##name##_SA, T, cond, GET_##T(F(0)), ACC_##T, 0)

/* ---- linear memory ---- */

#define DEF_LOAD1(name, M, R, cast, EA)                       \
	HANDLER(name##_R)                                     \
	{                                                     \
		u64 ea = EA;                                  \
		CHECK_MEM(ea, sizeof(M));                     \
		R r = (R)(cast) * (const M##_ua *)(mem + ea); \
		SET_##R(F(0), r);                             \
		NEXT(LEN);                                    \
	}                                                     \
	HANDLER(name##_A)                                     \
	{                                                     \
		u64 ea = EA;                                  \
		CHECK_MEM(ea, sizeof(M));                     \
		R r = (R)(cast) * (const M##_ua *)(mem + ea); \
		SETACC_##R(r);                                \
		NEXT(LEN);                                    \
	}
#define DEF_STORE1(name, T, M, EA, V, words)  \
	HANDLER(name)                         \
	{                                     \
		u64 ea = EA;                  \
		CHECK_MEM(ea, sizeof(M));     \
		T v = V;                      \
		*(M##_ua *)(mem + ea) = (M)v; \
		NEXT(LEN + (words));          \
	}
#define EA_S ((u64)GET_u32(F(1)) + (u32)IMM)
#define EA_A ((u64)ACC_u32 + (u32)IMM)
#define EA_I ((u64)(u32)IMM)
#define WORD_u32 ((u32)WORD(0))
#define WORD_u64 (WORD(0))
#define WORD_f32 IMM_f32
#define WORD_f64 IMM_f64

/* ---- the families ---- */

#define BIN(name, T, R, commutes, body) DEF_BIN(name, T, R, body)
#define CMP(name, T, condition, swapped, inverse) \
	DEF_BIN(name, T, u32, r = condition) DEF_BR(name, T, condition)
#define FCMP(name, T, condition, swapped) \
	DEF_BIN(name, T, u32, r = condition) DEF_FBR(name, T, condition)
#define UN(name, T, R, body) \
	DEF_UN1(name##_S, T, R, body, GET_##T(F(1))) DEF_UN1(name##_A, T, R, body, ACC_##T)
#define LOAD(name, M, R, cast)                \
	DEF_LOAD1(name##_S, M, R, cast, EA_S) \
	DEF_LOAD1(name##_A, M, R, cast, EA_A) DEF_LOAD1(name##_I, M, R, cast, EA_I)
#define STORE(name, T, M)                                   \
	DEF_STORE1(name##_SS, T, M, EA_S, GET_##T(F(0)), 0) \
	DEF_STORE1(name##_SA, T, M, EA_S, ACC_##T, 0)       \
	DEF_STORE1(name##_AS, T, M, EA_A, GET_##T(F(0)), 0) \
	DEF_STORE1(name##_IS, T, M, EA_I, GET_##T(F(0)), 0) \
	DEF_STORE1(name##_IA, T, M, EA_I, ACC_##T, 0)       \
	DEF_STORE1(name##_SC, T, M, EA_S, WORD_##T, 1)      \
	DEF_STORE1(name##_AC, T, M, EA_A, WORD_##T, 1)      \
	DEF_STORE1(name##_IC, T, M, EA_I, WORD_##T, 1)
#define BINX(name, T, R, body) DEF_BIN(name, T, R, body)
#include "engine/iops.def"

/* ---- moves ---- */

/* Result expression to slot, and to the accumulator. */
#define DEF_RES(name, R, expr, words) \
	HANDLER(name##_R)             \
	{                             \
		SET_##R(F(0), expr);  \
		NEXT(LEN + (words));  \
	}                             \
	HANDLER(name##_A)             \
	{                             \
		SETACC_##R(expr);     \
		NEXT(LEN + (words));  \
	}

DEF_RES(const32, u64, (u64)(u32)IMM, 0)
DEF_RES(const64, u64, WORD(0), 1)
DEF_RES(fconst, f64, f64_of_bits(WORD(0)), 1)
DEF_RES(global_get, u64, ((const struct globalinst *)WORD(0))->value, 1)
DEF_RES(fglobal_get, f64, f64_of_bits(((const struct globalinst *)WORD(0))->value), 1)
DEF_RES(select_S, u64, (GET_u32(F(3)) ? fp[F(1)] : fp[F(2)]), 0)
DEF_RES(select_A, u64, (ACC_u32 ? fp[F(1)] : fp[F(2)]), 0)
DEF_RES(memory_size, u32, (mem_size_now(t) / WASM_PAGE), 0)

HANDLER(copy)
{
	fp[F(0)] = fp[F(1)];
	NEXT(LEN);
}

HANDLER(iacc_to_slot)
{
	fp[F(0)] = ia;
	NEXT(LEN);
}

HANDLER(facc_to_slot)
{
	SET_f64(F(0), fa);
	NEXT(LEN);
}

HANDLER(global_set_S)
{
	((struct globalinst *)WORD(0))->value = fp[F(1)];
	NEXT(LEN + 1);
}

HANDLER(global_set_A)
{
	((struct globalinst *)WORD(0))->value = ia;
	NEXT(LEN + 1);
}

HANDLER(global_set_FA)
{
	((struct globalinst *)WORD(0))->value = bits_of_f64(fa);
	NEXT(LEN + 1);
}

/* ---- control ---- */

HANDLER(br)
{
	NEXT((int64_t)IMM);
}

HANDLER(br_back)
{
	pc += (int64_t)IMM;
	POLL();
	NEXT(0);
}

/* f0: index, to which f1 (signed) is added; imm: labels without the default; then their distances, 32 bits each,
 * the default's last. */
HANDLER(br_table_S)
{
	u32 i = GET_u32(F(0)) + (u32)BR_IMM, n = (u32)IMM;
	const int32_t *to = (const int32_t *)(pc + LEN);
	NEXT((int64_t)to[i < n ? i : n]);
}

HANDLER(br_table_A)
{
	u32 i = ACC_u32 + (u32)BR_IMM, n = (u32)IMM;
	const int32_t *to = (const int32_t *)(pc + LEN);
	NEXT((int64_t)to[i < n ? i : n]);
}

#define RETURN()                              \
	do {                                  \
		struct frame *f = t->csp - 1; \
		t->csp = f;                   \
		fp = f->fp;                   \
		GO(f->pc);                    \
	} while (0)

HANDLER(ret0)
{
	RETURN();
}

HANDLER(ret_S)
{
	fp[0] = fp[F(1)];
	RETURN();
}

HANDLER(ret_A)
{
	fp[0] = ia;
	RETURN();
}

HANDLER(ret_FA)
{
	SET_f64(0, fa);
	RETURN();
}

/* f1: the first of imm results. */
HANDLER(ret_N)
{
	memmove(fp, fp + F(1), (u32)IMM * sizeof *fp);
	RETURN();
}

HANDLER(unreachable)
{
	TRAP_OUT(UNREACHABLE);
}

/* Pushes a frame for c at nfp that goes on at back, and runs it. */
#define ENTER(c, nfp, back)                                                               \
	do {                                                                              \
		struct frame *f = t->csp;                                                 \
		if (UNLIKELY((nfp) + (c)->need > t->stack_end || f + 1 == t->frames_end)) \
			TRAP_OUT(STACK);                                                  \
		f->pc = (back);                                                           \
		f[1].fp = fp = (nfp);                                                     \
		f[1].code = (c);                                                          \
		t->csp = f + 1;                                                           \
		zero_locals(fp + (c)->nparams, (c)->nzero);                               \
		pc = (c)->entry;                                                          \
		POLL();                                                                   \
		NEXT(0);                                                                  \
	} while (0)

/* f0: the callee's frame; word: its code, once translated, until then its function index. */
HANDLER(call)
{
	const struct code *c = (const struct code *)WORD(0);
	uint64_t *nfp = fp + F(0);
	ENTER((struct code *)c, nfp, pc + LEN + 1);
}

HANDLER(call_lazy)
{
	struct code *c = instance_code(t->csp->code->inst, (u32)WORD(0), t);
	if (!c)
		JUMP_TO(out_no_code, t->store->no_code);
	uint64_t *me = (uint64_t *)pc;
	me[LEN] = (uint64_t)(uintptr_t)c;
	*(handler *)me = H(call);
	NEXT(0);
}

/* Behind a call that may have run another instance's function: back in the frame's own. */
HANDLER(resync)
{
	mem = t->mem = t->csp->code->inst->mem0;
	NEXT(LEN);
}

/* What follows is `resync`, skipped when the callee is of the same instance. */
#define ENTER_ANY(c, nfp, behind)                       \
	do {                                            \
		const uint64_t *back_ = (behind) + LEN; \
		if ((c)->inst != t->csp->code->inst) {  \
			back_ = (behind);               \
			mem = t->mem = (c)->inst->mem0; \
		}                                       \
		ENTER(c, nfp, back_);                   \
	} while (0)

#define CALL_HOST(h, v, behind)                         \
	do {                                            \
		if (LIKELY(host_call(t, h, v, pc, fp))) \
			GO((behind) + LEN);             \
		return;                                 \
	} while (0)

/* f0: the callee's frame; word: id of a function of another instance. */
HANDLER(call_import)
{
	struct code *c = code_of_id(t->store, (u32)WORD(0), t);
	if (!c)
		JUMP_TO(out_no_code, t->store->no_code);
	uint64_t *nfp = fp + F(0);
	ENTER_ANY(c, nfp, pc + LEN + 1);
}

/* f0: arguments and results; word: struct hostfunc. */
HANDLER(call_host)
{
	CALL_HOST((struct hostfunc *)WORD(0), fp + F(0), pc + LEN + 1);
}

/* The rest of a call_indirect that the fast way below does not do: the reference comes in ia. */
HANDLER(indirect_any)
{
	struct target to = {0};
	enum trap trap = indirect_target(t, ia, (u32)IMM, &to);
	if (UNLIKELY(trap))
		JUMP_TO(out_no_code, trap);
	uint64_t *nfp = fp + F(0);
	if (LIKELY(to.code))
		ENTER_ANY(to.code, nfp, pc + LEN + 1);
	CALL_HOST(to.host, nfp, pc + LEN + 1);
}

/* f0: the callee's frame, f1: the slot of the index, imm: store-wide type; word: struct tableinst. */
HANDLER(call_indirect)
{
	const struct tableinst *tab = (const struct tableinst *)WORD(0);
	u32 i = GET_u32(F(1));
	if (UNLIKELY(i >= tab->size))
		TRAP_OUT(UNDEFINED_ELEMENT);
	const struct instance *in = t->csp->code->inst;
	u64 own = tab->elems[i] - in->func_base;
	if (LIKELY(own < in->nown)) {
		struct code *c = in->codes[own];
		uint64_t *nfp = fp + F(0);
		if (LIKELY(c && c->type == (u32)IMM))
			ENTER(c, nfp, pc + LEN + 1 + LEN);
	}
	JUMP_TO(H(indirect_any), tab->elems[i]);
}

/* ---- tail calls: the callee's frame takes the place of the running one ---- */

#define TAIL(c, args)                                        \
	do {                                                 \
		const uint64_t *from_ = (args);              \
		if (UNLIKELY(fp + (c)->need > t->stack_end)) \
			TRAP_OUT(STACK);                     \
		for (u32 i_ = 0; i_ < (c)->nparams; i_++)    \
			fp[i_] = from_[i_];                  \
		t->csp->code = (c);                          \
		zero_locals(fp + (c)->nparams, (c)->nzero);  \
		pc = (c)->entry;                             \
		POLL();                                      \
		NEXT(0);                                     \
	} while (0)

#define TAIL_ANY(c, args)                               \
	do {                                            \
		if ((c)->inst != t->csp->code->inst) {  \
			tail_leaves_instance(t);        \
			mem = t->mem = (c)->inst->mem0; \
		}                                       \
		TAIL(c, args);                          \
	} while (0)

/* f0: the arguments; word: as of `call`. */
HANDLER(tail)
{
	struct code *c = (struct code *)WORD(0);
	TAIL(c, fp + F(0));
}

HANDLER(tail_lazy)
{
	struct code *c = instance_code(t->csp->code->inst, (u32)WORD(0), t);
	if (!c)
		JUMP_TO(out_no_code, t->store->no_code);
	uint64_t *me = (uint64_t *)pc;
	me[LEN] = (uint64_t)(uintptr_t)c;
	*(handler *)me = H(tail);
	NEXT(0);
}

/* f0: the arguments; word: id of a function of another instance. */
HANDLER(tail_import)
{
	struct code *c = code_of_id(t->store, (u32)WORD(0), t);
	if (!c)
		JUMP_TO(out_no_code, t->store->no_code);
	TAIL_ANY(c, fp + F(0));
}

/* As indirect_any. A host function takes no frame: it is called, and then the function returns. */
HANDLER(tail_indirect_any)
{
	struct target to = {0};
	uint64_t *args = fp + F(0);
	enum trap trap = indirect_target(t, ia, (u32)IMM, &to);
	if (UNLIKELY(trap))
		JUMP_TO(out_no_code, trap);
	if (LIKELY(to.code))
		TAIL_ANY(to.code, args);
	if (UNLIKELY(!host_call(t, to.host, args, pc, fp)))
		return;
	memmove(fp, args, to.host->nresults * sizeof *fp);
	RETURN();
}

/* As call_indirect. */
HANDLER(tail_indirect)
{
	const struct tableinst *tab = (const struct tableinst *)WORD(0);
	u32 i = GET_u32(F(1));
	if (UNLIKELY(i >= tab->size))
		TRAP_OUT(UNDEFINED_ELEMENT);
	const struct instance *in = t->csp->code->inst;
	u64 own = tab->elems[i] - in->func_base;
	if (LIKELY(own < in->nown)) {
		struct code *c = in->codes[own];
		if (LIKELY(c && c->type == (u32)IMM))
			TAIL(c, fp + F(0));
	}
	JUMP_TO(H(tail_indirect_any), tab->elems[i]);
}

/* The frame is the caller's again. */
HANDLER(resync_back)
{
	mem = t->mem = t->csp->code->inst->mem0;
	GO(t->csp->back);
}

/* ---- exceptions (exn.h) ---- */

#define LAND(landed)            \
	do {                    \
		if (!(landed))  \
			return; \
		fp = t->fp;     \
		mem = t->mem;   \
		GO(t->pc);      \
	} while (0)

/* f0: the tag's values; words: struct taginst, offset of the instruction in its body. */
HANDLER(throw)
{
	LAND(exn_throw(t, (struct taginst *)WORD(0), fp + F(0), (u32)WORD(1), pc, fp));
}

/* f0: the slot of the reference. */
HANDLER(throw_ref)
{
	LAND(exn_throw_ref(t, fp[F(0)], pc, fp));
}

HANDLER(unwind)
{
	LAND(exn_unwind_on(t));
}

/* f0: operands and results; words: slow_fn, its immediate. */
HANDLER(slow)
{
	enum trap trap = ((slow_fn)WORD(0))(t, t->csp->code->inst, fp + F(0), WORD(1));
	if (LIKELY(!trap))
		NEXT(LEN + 2);
	if (trap == TRAP_AGAIN) {
		POLL();
		NEXT(0);
	}
	JUMP_TO(out_trap, trap);
}

HANDLER(thread_end)
{
	t->exit = EXIT_DONE;
	t->pc = pc;
	t->fp = fp;
}

#if !WIDE
const handler thread_end_code[] = {H(thread_end)};
const handler resync_back_code[] = {H(resync_back)};
const handler unwind_code[] = {H(unwind)};
#endif

#if !WIDE
#include "engine/interp_fused.h"
#endif

#define IOP_ENTRY(n) [IOP_##n] = H(n),
const handler HANDLERS[HANDLER_COUNT] = {
#define BIN(name, T, R, commutes, body) IOP_BIN(IOP_ENTRY, name)
#define CMP(name, T, condition, swapped, inverse) IOP_BIN(IOP_ENTRY, name) IOP_BR(IOP_ENTRY, name)
#define FCMP(name, T, condition, swapped) IOP_BIN(IOP_ENTRY, name) IOP_FBR(IOP_ENTRY, name)
#define BINX(name, T, R, body) IOP_BIN(IOP_ENTRY, name)
#define UN(name, T, R, body) IOP_UN(IOP_ENTRY, name)
#define LOAD(name, M, R, cast) IOP_LOAD(IOP_ENTRY, name)
#define STORE(name, T, M) IOP_STORE(IOP_ENTRY, name)
#define RES(name) IOP_PAIR(IOP_ENTRY, name)
#define ONE(name) IOP_ENTRY(name)
#include "engine/iops.def"
#if !WIDE
#define CMP(name, T, condition, swapped, inverse) IOP_BRK(IOP_ENTRY, name)
#define FCMP(name, T, condition, swapped) IOP_FBRK(IOP_ENTRY, name)
#define LOAD(name, M, R, cast) IOP_LOADF(IOP_ENTRY, name)
#define STORE(name, T, M) IOP_STOREF(IOP_ENTRY, name)
#include "engine/iops.def"
#define SHIFT(name, T, shift, op) IOP_SHIFT(IOP_ENTRY, name)
#define BITS(name, T) IOP_UN(IOP_ENTRY, name)
#define MULADD(name, T, body) IOP_SHIFT(IOP_ENTRY, name)
#define TEST(name, T, condition) IOP_BR(IOP_ENTRY, name)
#define LDBR(name, M, cast) IOP_LDBR(IOP_ENTRY, name)
#define ONE(name) IOP_ENTRY(name)
#include "engine/fused.def"
#endif
};
