/* module.h - a decoded and validated WebAssembly module. Internal to engine/.
 *
 * A module is immutable once module_load() gave it out; it is shared by every process that runs it
 * and by all threads, and counted (module_ref/module_unref, atomic). It keeps the bytes it was made
 * from: function bodies are read from them when a function is translated on its first call. Index
 * spaces are the spec's: imports first, then the module's own. Spec: core 2.0 chapters 2, 3, 5.
 */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "engine/engine.h"

#include <stdatomic.h>

enum valtype {
	VT_I32 = 0x7f,
	VT_I64 = 0x7e,
	VT_F32 = 0x7d,
	VT_F64 = 0x7c,
	VT_V128 = 0x7b,
	VT_FUNCREF = 0x70,
	VT_EXTERNREF = 0x6f,
	VT_EXNREF = 0x69,
};

static inline bool is_reftype(uint8_t type)
{
	return type == VT_FUNCREF || type == VT_EXTERNREF || type == VT_EXNREF;
}

/* Where types are listed by slots, the second one of a v128. */
#define VT_V128_HIGH 0x01

static inline bool is_valtype(uint8_t type)
{
	return (type >= VT_V128 && type <= VT_I32) || is_reftype(type);
}

enum extkind { EXT_FUNC, EXT_TABLE, EXT_MEM, EXT_GLOBAL, EXT_TAG };

struct name {
	const char *p; /* borrowed from the module's bytes, UTF-8 checked, not terminated */
	uint32_t size;
};

/* Equal functypes of one module share the same canonical index `same` (the lowest equal typeidx).
 */
struct functype {
	uint32_t nparams, nresults;
	const uint8_t *params;  /* enum valtype each */
	const uint8_t *results; /* enum valtype each */
	uint32_t same;
};

struct limits {
	uint32_t min, max; /* pages or elements; max is UINT32_MAX when there is none */
	bool has_max;
	bool shared; /* memories */
};

struct tabletype {
	struct limits limits;
	uint8_t reftype;
};

struct globaltype {
	uint8_t type;
	bool mut;
};

/* A constant expression (extended: i32/i64 add, sub, mul), left in the module's bytes. */
struct constexpr_ref {
	uint32_t offset, size; /* in module->bytes, with the final `end` */
};

struct import {
	struct name module, name;
	enum extkind kind;
	union {
		uint32_t typeidx; /* of a function, of a tag */
		struct tabletype table;
		struct limits mem;
		struct globaltype global;
	};
};

struct export
{
	struct name name;
	enum extkind kind;
	uint32_t index;
};

struct global {
	struct globaltype type;
	struct constexpr_ref init;
};

/* A function of the module's own. What validation learnt is kept, so that translation need not ask
 * again. */
struct func {
	uint32_t typeidx;
	uint32_t body_offset; /* of the body (local declarations first) in module->bytes */
	uint32_t body_size;
	uint32_t nlocals;    /* params included */
	uint32_t code_start; /* first instruction's offset from body_offset */
	uint32_t max_height; /* greatest operand stack height, in values */
};

enum segmode { SEG_PASSIVE, SEG_ACTIVE, SEG_DECLARED };

struct elem {
	enum segmode mode;
	uint8_t reftype;
	bool is_exprs; /* items are constant expressions, else function indices */
	uint32_t tableidx;
	struct constexpr_ref offset;
	uint32_t nitems;
	uint32_t items_offset, items_size; /* LEB128 indices or expressions, in module->bytes */
};

struct data {
	enum segmode mode;
	uint32_t memidx;
	struct constexpr_ref offset;
	uint32_t bytes_offset, size; /* in module->bytes */
};

struct module {
	_Atomic uint32_t refs;
	const uint8_t *bytes;
	size_t size;
	bool owns_bytes;
	/* BLAKE2b-256 of bytes: made when module_hash() first asks, as a 31 MB module takes 30 ms.
	 */
	_Atomic int hash_state;
	uint8_t hash[32];

	struct functype *types;
	struct import *imports;
	struct func *funcs;       /* own functions: funcs[i] is function index nimport_funcs + i */
	uint32_t *func_types;     /* typeidx of every function index, imports first */
	struct tabletype *tables; /* every table index, imports first */
	struct limits *mems;      /* every memory index, imports first */
	struct global *globals;   /* every global index, imports first (init empty for imports) */
	uint32_t *tags;           /* typeidx of every tag index, imports first */
	struct export *exports;
	struct elem *elems;
	struct data *datas;
	uint32_t ntypes, nimports, nfuncs, ntables, nmems, nglobals, ntags, nexports, nelems,
	    ndatas;
	uint32_t nimport_funcs, nimport_tables, nimport_mems, nimport_globals, nimport_tags;
	uint32_t start; /* function index or UINT32_MAX */
	bool has_datacount;
	struct import_info *import_infos; /* NUL-terminated copies, one an import */
	struct rd name_section; /* custom "name" section, empty when there is none; hostile */
	struct arena arena;     /* what the arrays live in */
	struct lazy *lazy;      /* bodies not validated yet; NULL: all are (lazy.h) */
};

/* A function's type by its index in the function index space. */
static inline const struct functype *module_functype(const struct module *m, uint32_t funcidx)
{
	return &m->types[m->func_types[funcidx]];
}

/* One of the module's own functions; NULL when funcidx is an import's. */
static inline const struct func *module_func(const struct module *m, uint32_t funcidx)
{
	return funcidx < m->nimport_funcs ? NULL : &m->funcs[funcidx - m->nimport_funcs];
}

/* The export of that name, or NULL. Names may hold zero bytes. */
const struct export *module_export(const struct module *m, const char *name, size_t size);
const char *valtype_name(uint8_t type);
/* Slots of values of these types: a v128 takes two. */
uint32_t slots_of(const uint8_t *types, uint32_t n);
/* The letters of a value's type, one a slot: "i", "Vv". */
const char *valtype_letters(uint8_t type);
/* A signature as engine.h describes it, such as "(iIfF)i": the bytes it takes with the zero behind it; writes it. */
size_t functype_size(const struct functype *t);
void functype_write(char *p, const struct functype *t);
