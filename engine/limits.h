/* limits.h - every limit the engine has, in one place.
 *
 * A module that passes one is refused with ERR_LIMIT and the number. They are at least as wide as
 * those of the WebAssembly JavaScript API, so that what runs in a browser runs here. Section counts
 * are checked before anything is allocated for them, and also against the bytes that are left.
 */
#pragma once

enum {
	LIMIT_MODULE_BYTES = 1 << 30,
	LIMIT_TYPES = 1000000,
	LIMIT_IMPORTS = 1000000,
	LIMIT_FUNCS = 1000000, /* imports included */
	LIMIT_TABLES = 100000,
	LIMIT_MEMS = 1, /* several memories came with a later edition of the spec */
	LIMIT_GLOBALS = 1000000,
	LIMIT_TAGS = 1000000,
	LIMIT_EXPORTS = 1000000,
	LIMIT_ELEMS = 1000000,
	LIMIT_ELEM_ITEMS = 10000000, /* of one segment */
	LIMIT_DATAS = 1000000,
	LIMIT_PARAMS = 1000,
	LIMIT_RESULTS = 1000,
	LIMIT_LOCALS = 50000, /* parameters included; as many groups of them, too */
	LIMIT_BODY_BYTES = 7654321,
	LIMIT_BLOCK_DEPTH = 1 << 20,  /* blocks nested in one function */
	LIMIT_STACK_HEIGHT = 1 << 20, /* operands on one function's stack */
	LIMIT_BR_TABLE = 1 << 16, /* labels of one br_table: translated without a stop in between */
	LIMIT_BR_TABLE_VALUES = 1 << 17, /* labels x values that its branches carry; the same */
	LIMIT_CONSTEXPR_HEIGHT = 1024,   /* operands on a constant expression's stack */
	LIMIT_MEM_PAGES = 65536,         /* 64 KiB each: the spec's own limit */
};
