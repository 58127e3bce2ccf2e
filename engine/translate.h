/* translate.h - a function's wasm code to instructions of the interpreter (iop.h): state shared by translate*.c.
 *
 * One pass over the validated body with a virtual operand stack. An entry is not necessarily in its home
 * slot: it may still be a constant, an alias of a local, or in an accumulator; it goes home ("flush") where paths
 * meet, at calls and at safepoints, so that there every operand is in its home. An instruction
 * that makes a value leaves it in the accumulator of its class; when the value has to be in a slot after all, the
 * instruction itself is changed to the form that writes a slot. All entries below `clean` are at home.
 *
 * An entry of type v128 has two slots for its home and is there or an alias of a local, never elsewhere. So homes are not counted by
 * entries: each entry knows its own, and v[height].slot is where the next one's will be. Locals are named by their slots.
 */
#pragma once

#include "base/stretch.h"
#include "engine/exn.h"
#include "engine/iop.h"
#include "engine/opcode.h"
#include "engine/safepoint.h"

enum loc { LOC_HOME, LOC_LOCAL, LOC_CONST, LOC_ACC };

struct vval {
	uint64_t c; /* LOC_CONST: the bits */
	uint32_t x; /* LOC_LOCAL: the local; LOC_ACC: where the instruction stands that made it */
	uint32_t slot; /* its home */
	uint16_t iop;  /* LOC_ACC: that instruction, a form _A */
	uint8_t type;  /* enum valtype */
	uint8_t loc;   /* enum loc */
};

struct patch {
	uint32_t at32; /* the distance's place, counted in 32-bit units */
	uint32_t
	    base; /* the instruction it is counted from; PATCH_CLAUSE: at32 is a clause's index */
	uint32_t next; /* + 1; 0 ends */
};

#define PATCH_CLAUSE UINT32_MAX

struct ctrl {
	uint8_t
	    kind; /* opcode: block, loop, if, else, try, catch, catch_all, try_table; function: block */
	uint32_t height; /* below its parameters */
	uint32_t loop_pos;
	uint32_t patches;      /* branches to its end */
	uint32_t else_patches; /* of an if: the condition's */
	uint32_t stub_patches; /* of the br_table being made */
	uint32_t nparams, nresults;
	const uint8_t *params, *results;
	uint32_t region; /* of a try, or 0 */
	uint32_t around; /* the region it lies in, or 0 */
};

struct translator {
	struct instance *in;
	const struct module *m;
	const struct func *f;
	const uint8_t *body, *p; /* start of the body; next byte */
	uint64_t *w;             /* code: what stands in words */
	uint32_t n, cap;
	struct stretch words, patch_mem;
	struct vval *v;
	uint32_t height, vcap, clean;
	struct ctrl *ctrls;
	uint32_t nctrls, ctrls_cap;
	struct patch *patches;
	uint32_t npatches, patches_cap;
	struct region *regions; /* what it catches (exn.h) */
	struct clause *clauses;
	uint32_t nregions, nclauses;
	uint32_t region;       /* the innermost one whose code is made now, or 0 */
	uint8_t *local_types;  /* by slots */
	uint32_t *local_slots; /* by the module's local indices */
	uint32_t locals_cap;   /* values */
	uint32_t nlocals, nparams,
	    need;       /* slots: of locals, of parameters, of all there were at once */
	int64_t acc[2]; /* stack index of the entry in the int, the float accumulator; -1 */
	/* The last two instructions, while no label stands behind them; iop -1: none. */
	struct last {
		uint32_t pos;
		int32_t iop;
		const struct winfo *info; /* of a family's instruction */
	} last, prev;
	bool wide, failed;
	uint32_t len; /* words of an instruction without further words */
	const handler *handlers;
	struct spmap *rec; /* recording instead of making code */
	uint32_t want;     /* number of the safepoint whose operand types are wanted */
	uint8_t *want_types;
	bool finding; /* looking for the wasm instruction that makes find_word */
	uint32_t find_word, found_offset;
	/* Where the work stands between two pieces of it. */
	uint32_t funcidx;
	bool reachable;          /* whether the next instruction is */
	uint32_t skipped_blocks; /* opened in code that is not */
	uint32_t late, late_at;  /* a rest of branches to the label there, not bound yet */
	uint32_t work;           /* of this piece: instructions, and what takes as long */
	struct code *made;       /* all is translated, and its first `copied` words are there */
	uint32_t copied;
};

/* How a wasm instruction is done by a family of iops.def. */
enum wclass { WC_NONE, WC_BIN, WC_CMP, WC_FCMP, WC_UN, WC_LOAD, WC_STORE };

struct winfo {
	uint8_t wclass;
	uint8_t commutes;
	uint8_t type, result;      /* enum valtype of operands, of the result */
	uint16_t iop;              /* first of the family */
	uint16_t br;               /* CMP, FCMP: first fused branch */
	uint16_t swapped, inverse; /* wop index (wop_index) */
	uint16_t brk; /* first of the narrow variants: branches with a word; loads; stores */
};

static inline uint32_t wop_index(uint32_t op)
{
	return op < 0x100 ? op : 0x100 + (op & 0xff);
}
extern const struct winfo winfos[0x100 + OPCODE_FC_COUNT];

static inline bool is_float(uint8_t type)
{
	return type == VT_F32 || type == VT_F64;
}

/* ---- translate_function.c, for safepoint.c ---- */
/* Begins c's function once more; translate_body() does it. Makes no code. */
bool translate_again(struct code *c, struct translator **out);
/* The whole of it (or up to what is looked for). False: no memory, or more code than MAX_CODE_WORDS. */
bool translate_body(struct translator *tr);

/* ---- translate.c, for translate_function.c ---- */
/* One instruction, or a piece of one that is long. False behind the function's end. */
bool translate_some(struct translator *tr);
struct ctrl *ctrl_push(struct translator *tr, uint32_t op);
/* Room for one more behind n things of an array. */
bool rec_room(void **array, uint32_t n, uint32_t *cap, size_t size);

/* ---- translate.c, for translate_try.c ---- */
uint32_t leb_u32(struct translator *tr);
/* Notes a safepoint, if the recorder is on: every operand is at home. */
struct safepoint *record(struct translator *tr, enum sp_kind kind, const uint8_t *at);
struct ctrl *label(struct translator *tr, uint32_t depth);
/* The values a branch carries, to where the label wants them. Nothing after it uses the stack. */
void move_results(struct translator *tr, const struct ctrl *c);
/* The stack is height operands, and n more of these types, at home. */
void stack_to(struct translator *tr, uint32_t height, uint32_t n, const uint8_t *types);

/* ---- translate_try.c: exceptions ---- */
static inline bool is_catch(const struct ctrl *c)
{
	return c->kind == WOP_catch || c->kind == WOP_catch_all;
}
/* A try's body begins, ends here. */
void region_open(struct translator *tr, struct ctrl *c);
void region_close(struct translator *tr, const struct ctrl *c);
/* Reads the clauses of a try_table whose region is open and whose label is not there yet. */
void table_clauses(struct translator *tr, const struct ctrl *c);
/* Control comes to the end of a try's body or of a catch: what it leaves goes where the block's results are. */
void end_catch_part(struct translator *tr, struct ctrl *c);
void do_catch(struct translator *tr, uint32_t op, bool reachable);
/* What the innermost try does not catch goes on at that label, counted from outside it. */
void do_delegate(struct translator *tr, uint32_t depth);
void do_throw(struct translator *tr, uint32_t tagidx, const uint8_t *at);
void do_throw_ref(struct translator *tr, const uint8_t *at);
void do_rethrow(struct translator *tr, uint32_t depth, const uint8_t *at);
/* The finished table, for the code. NULL: no memory. */
struct handlers *keep_handlers(struct translator *tr);

/* ---- emit.c: code and the virtual stack ---- */
/* Code of one function that is longer is not made (32-bit distances, and memory). */
#define MAX_CODE_WORDS (1u << 26)
uint32_t emit(struct translator *tr, uint32_t iop, uint32_t f0, uint32_t f1, uint32_t f2,
              uint32_t f3);
uint32_t emit_imm(struct translator *tr, uint32_t iop, uint32_t f0, uint32_t f1, uint32_t imm);
void emit_word(struct translator *tr, uint64_t word);
/* The same for those of simd.def, which have one form. */
uint32_t emit_simd(struct translator *tr, uint32_t iop, uint32_t f0, uint32_t f1, uint32_t f2,
                   uint32_t f3);
uint32_t get_field(const struct translator *tr, uint32_t pos, unsigned k);
uint32_t get_imm(const struct translator *tr, uint32_t pos);
void set_field(struct translator *tr, uint32_t pos, unsigned k, uint32_t v);
/* The instruction at pos becomes another one of the same length. */
void set_iop(struct translator *tr, uint32_t pos, uint32_t iop);
/* Forgets the last instruction as a partner for fusion: a label stands here. */
void barrier(struct translator *tr);
/* Takes the last instruction back. */
void unemit(struct translator *tr);
uint32_t imm_at32(const struct translator *tr, uint32_t pos);
void patch_add(struct translator *tr, uint32_t *list, uint32_t at32, uint32_t base);
void patch_bind(struct translator *tr, uint32_t *list);
/* The same for a list that may be long: the rest of it is left in tr->late, for bind_late(). */
void patch_bind_some(struct translator *tr, uint32_t *list);
void bind_late(struct translator *tr);

/* The home of an entry, up to the next one that is pushed. */
static inline uint32_t home(const struct translator *tr, uint32_t index)
{
	return tr->v[index].slot;
}
/* Slots of the n topmost entries. */
static inline uint32_t top_slots(const struct translator *tr, uint32_t n)
{
	return home(tr, tr->height) - home(tr, tr->height - n);
}
void push_home(struct translator *tr, uint8_t type);
void push_local(struct translator *tr, uint32_t x);
void push_const(struct translator *tr, uint8_t type, uint64_t bits);
/* The result of the instruction at pos, which was emitted as iop (a form _A); makes room in the accumulator first: call
 * acc_free() before emitting. */
void push_acc(struct translator *tr, uint8_t type, uint32_t pos, uint32_t iop);
/* The accumulator of a class is about to be written: who is in it goes home. */
void acc_free(struct translator *tr, uint8_t type);
struct vval pop(struct translator *tr);
/* Puts a popped entry that stood at index into its home; it becomes LOC_HOME. */
void go_home(struct translator *tr, struct vval *v, uint32_t index);
/* Emits a move of one value. */
void emit_copy(struct translator *tr, uint8_t type, uint32_t slot, uint32_t from);
/* The slot of a popped LOC_HOME or LOC_LOCAL entry that stood at index. */
uint32_t slot_of(const struct translator *tr, const struct vval *v, uint32_t index);
void flush(struct translator *tr);
void set_local(struct translator *tr, uint32_t x);
/* Writes a popped entry into a slot that no instruction since its making has read or written. */
void move_to(struct translator *tr, struct vval *v, uint32_t index, uint32_t slot);

/* ---- translate_simd.c: vectors ---- */
void do_simd(struct translator *tr, uint32_t op);
/* Of popped operands; the condition stood behind them. Pushes the result. */
void do_select_v128(struct translator *tr, struct vval *a, struct vval *b, struct vval *c);
void do_global_get_v128(struct translator *tr, const struct globalinst *g);
/* Of a popped operand. */
void do_global_set_v128(struct translator *tr, struct vval *v, struct globalinst *g);
/* The vector at `from`, which nobody else reads: if the last instruction made it, that writes it to slot instead. */
bool simd_redirect(struct translator *tr, uint32_t slot, uint32_t from);

/* ---- translate_op.c: what makes and eats values ---- */
void do_bin(struct translator *tr, const struct winfo *wi);
void do_un(struct translator *tr, const struct winfo *wi);
/* i32.eqz, i64.eqz; ref.is_null as the latter. */
void do_eqz(struct translator *tr, uint8_t type);
void do_load(struct translator *tr, const struct winfo *wi, uint32_t offset);
void do_store(struct translator *tr, const struct winfo *wi, uint32_t offset);
void do_select(struct translator *tr);
/* A popped entry into a slot: its home, or the local it is an alias of. */
uint32_t in_slot(struct translator *tr, struct vval *v, uint32_t index);
void do_global_get(struct translator *tr, uint32_t x);
void do_global_set(struct translator *tr, uint32_t x);
void do_slow(struct translator *tr, uint32_t op, uint32_t a, uint32_t b);
#define FORWARD UINT32_MAX
/* Pops the condition; flushes the rest when asked; emits a branch that is taken when it is (sense) not zero: back
 * to the word target, or FORWARD, then the branch's place is returned for a patch. */
uint32_t do_cond(struct translator *tr, bool sense, uint32_t target, bool flush_rest);

/* ---- translate_fuse.c: one instruction for several (narrow only) ----
 * Each looks at what the last instructions were; when they fit it takes them back, emits one that does all, and
 * returns true. Operands are popped; a stood at index tr->height, b behind it. */
bool made_by_last(const struct translator *tr, const struct vval *v);
bool fuse_bin(struct translator *tr, const struct winfo *wi, const struct vval *a,
              const struct vval *b);
/* An address that the last instruction added up: how an instruction reaches it, but not LOAD_T. */
struct address {
	enum loadf_mode mode;
	uint32_t f1, f2_or_imm, f3; /* fields of a load in that mode (iop.h) */
};
bool fuse_address(struct translator *tr, const struct vval *v, uint32_t offset, struct address *at);
bool fuse_load(struct translator *tr, const struct winfo *wi, const struct vval *a,
               uint32_t offset);
bool fuse_store(struct translator *tr, const struct winfo *wi, const struct vval *a,
                const struct vval *v, uint32_t offset);
/* A branch back by a counter that the instruction before advanced; wi: the comparison taken back before. */
bool fuse_count(struct translator *tr, const struct winfo *wi, uint32_t x, bool is_imm, uint32_t b,
                uint32_t target);
/* A branch on bits that the last instruction masked. Returns its place, or FORWARD. */
uint32_t fuse_test(struct translator *tr, const struct vval *v, bool sense, bool backward,
                   bool flush_rest);
/* Two increments, two copies in a row become one. */
void fuse_inc(struct translator *tr);
bool fuse_copy(struct translator *tr, uint32_t slot, uint32_t from);
/* The last instruction added a small constant to the index of a br_table. */
bool fuse_index(struct translator *tr, struct vval *v, uint32_t *slot, uint32_t *bias);
/* The last instruction loaded the index of a br_table, a byte. */
bool fuse_index_load(struct translator *tr, const struct vval *v, uint32_t *slot, uint32_t *offset);
/* A branch on what the last instruction loaded, compared by wi (i32.eq, i32.ne) to imm. Its place, or FORWARD. */
uint32_t fuse_load_test(struct translator *tr, const struct winfo *wi, int64_t imm, bool backward,
                        bool flush_rest);
/* A selection by the comparison that the last instruction made. Pushes the result. */
bool fuse_select(struct translator *tr, const struct vval *c, struct vval *a, struct vval *b);
