/* sink.c - see sink.h. */
#include "sink.h"

#include "wasm_build.h"

static void types_and_imports(struct wr *w)
{
	size_t at = wasm_section(w, 1);
	wasm_bytes(w, "\x03"
	              "\x60\x02\x7f\x7e\x01\x7f" /* 0: (i32 i64) -> i32 */
	              "\x60\x00\x00"             /* 1: () -> () */
	              "\x60\x01\x6f\x02\x7d\x7c" /* 2: (externref) -> (f32 f64) */);
	wasm_end(w, at);
	at = wasm_section(w, 2);
	wr_u8(w, 4);
	wasm_name(w, "env");
	wasm_name(w, "f");
	wasm_bytes(w, "\x00\x00");
	wasm_name(w, "env");
	wasm_name(w, "t");
	wasm_bytes(w, "\x01\x70\x01\x01\x0a");
	wasm_name(w, "env");
	wasm_name(w, "m");
	wasm_bytes(w, "\x02\x00\x01");
	wasm_name(w, "env");
	wasm_name(w, "g");
	wasm_bytes(w, "\x03\x7f\x00");
	wasm_end(w, at);
}

static void tables_and_globals(struct wr *w)
{
	size_t at = wasm_section(w, 3);
	wasm_bytes(w, "\x03\x00\x01\x02");
	wasm_end(w, at);
	at = wasm_section(w, 4);
	wasm_bytes(w, "\x01\x6f\x00\x05");
	wasm_end(w, at);
	at = wasm_section(w, 6);
	wasm_bytes(w, "\x03"
	              "\x7f\x01\x23\x00\x41\x02\x6a\x0b" /* g0 + 2 */
	              "\x70\x00\xd2\x01\x0b"
	              "\x7c\x01\x44\x00\x00\x00\x00\x00\x00\xf0\x3f\x0b");
	wasm_end(w, at);
	at = wasm_section(w, 7);
	wr_u8(w, 2);
	wasm_name(w, "run");
	wasm_bytes(w, "\x00\x01");
	wasm_name(w, "\xc3\xa9");
	wasm_bytes(w, "\x03\x01");
	wasm_end(w, at);
	at = wasm_section(w, 8);
	wr_u8(w, 2);
	wasm_end(w, at);
}

static void segments(struct wr *w)
{
	size_t at = wasm_section(w, 9);
	wasm_bytes(w, "\x04"
	              "\x00\x41\x00\x0b\x02\x01\x02"         /* active, indices */
	              "\x01\x00\x01\x03"                     /* passive */
	              "\x05\x6f\x02\xd0\x6f\x0b\xd0\x6f\x0b" /* passive, expressions */
	              "\x03\x00\x01\x02" /* declared */);
	wasm_end(w, at);
	at = wasm_section(w, 12);
	wr_u8(w, 2);
	wasm_end(w, at);
}

/* (i32 i64) -> i32 with two groups of locals, blocks, branches, a branch table and calls */
static void first_body(struct wr *w)
{
	size_t at = wasm_begin(w);
	wasm_bytes(w,
	           "\x02\x02\x7d\x01\x70"
	           "\x02\x40\x02\x7f"                 /* block, block (result i32) */
	           "\x20\x00\x20\x00\x0e\x01\x00\x00" /* local.get 0 twice, br_table 0 0 */
	           "\x0b\x1a\x0b"                     /* end drop end */
	           "\x03\x40\x20\x00\x0d\x00\x0b"     /* loop local.get br_if end */
	           "\x41\x80\x80\x80\x80\x78\x04\x7f\x41\x01\x05\x00\x0b" /* if else unreachable */
	           "\x21\x00\x43\x00\x00\x80\x3f\x22\x02\x21\x03"
	           "\xd2\x03\x21\x04\x20\x04\xd1\x1a"
	           "\x20\x00\x20\x01\x41\x00\x11\x00\x00" /* call_indirect */
	           "\x20\x01\x10\x00"                     /* call */
	           "\x28\x02\x04\x20\x01\x42\x7f\x20\x00\x1b\xa7\x6a\x0f\x0b");
	wasm_end(w, at);
}

static void code(struct wr *w)
{
	size_t at = wasm_section(w, 10), body;
	wr_u8(w, 3);
	first_body(w);
	body = wasm_begin(w);
	wasm_bytes(w, "\x00\x41\x00\x41\x00\x41\x01\xfc\x08\x00\x00\xfc\x09\x01" /* memory.init */
	              "\x41\x00\x41\x00\x41\x00\xfc\x0a\x00\x00"                 /* memory.copy */
	              "\x41\x00\x41\x00\x41\x00\xfc\x0b\x00"                     /* memory.fill */
	              "\x41\x00\x41\x00\x41\x00\xfc\x0c\x02\x01\xfc\x0d\x02"     /* table.init */
	              "\x41\x00\xd0\x6f\x26\x01\xfc\x10\x01\x40\x00\x3f\x00\x24\x01\x24\x01\x0b");
	wasm_end(w, body);
	body = wasm_begin(w);
	wasm_bytes(w, "\x00\x43\x00\x00\xc0\x7f\x44\x00\x00\x00\x00\x00\x00\x00\x00\x0b");
	wasm_end(w, body);
	wasm_end(w, at);
}

static void data_and_names(struct wr *w)
{
	size_t at = wasm_section(w, 11), sub;
	wasm_bytes(w, "\x02\x00\x41\x80\x08\x0b\x03"
	              "abc"
	              "\x01\x02"
	              "de");
	wasm_end(w, at);
	at = wasm_section(w, 0);
	wasm_name(w, "name");
	wr_u8(w, 1);
	sub = wasm_begin(w);
	wr_u8(w, 2);
	wr_u8(w, 0);
	wasm_name(w, "env.f");
	wr_u8(w, 2);
	wasm_name(w, "sm\xc3\xb8rrebr\xc3\xb8"
	             "d");
	wasm_end(w, sub);
	wasm_end(w, at);
}

void sink_module(struct wr *w)
{
	wasm_header(w);
	types_and_imports(w);
	tables_and_globals(w);
	segments(w);
	code(w);
	data_and_names(w);
}
