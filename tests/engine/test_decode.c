/* test_decode.c - modules are read whole or refused with a reason; nothing in between. */
#include "engine/limits.h"
#include "engine/module.h"
#include "sink.h"
#include "wasm_build.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct wr sink(void)
{
	struct wr w = {0};
	sink_module(&w);
	cr_assert(wr_ok(&w));
	return w;
}

/* Loads a copy of just the right size, so that a sanitizer sees a read behind its end. */
static enum err load_copy(const uint8_t *bytes, size_t size, struct module **m, struct errmsg *msg)
{
	uint8_t *copy = malloc(size ? size : 1);
	memcpy(copy, bytes, size);
	return module_load(copy, size, true, m, msg);
}

static struct module *load_all(struct wr *w)
{
	struct module *m;
	struct errmsg msg = {0};
	enum err e = load_copy(w->data, w->size, &m, &msg);
	cr_assert_eq(e, ERR_OK, "%s", msg.text);
	return m;
}

static void refuse(struct wr *w, enum err want, const char *text)
{
	struct module *m;
	struct errmsg msg = {0};
	enum err e = load_copy(w->data, w->size, &m, &msg);
	cr_assert_eq(e, want, "%s: %s", err_name(e), msg.text);
	cr_assert_null(m);
	cr_assert(strstr(msg.text, text), "\"%s\" lacks \"%s\"", msg.text, text);
	wr_free(w);
}

Test(decode, a_module_with_everything_is_read_into_index_spaces)
{
	struct wr w = sink();
	struct module *m = load_all(&w);
	cr_assert_eq(m->ntypes, 3);
	cr_assert_eq(m->nimports, 4);
	cr_assert_eq(m->nimport_funcs, 1);
	cr_assert_eq(m->nfuncs, 3);
	cr_assert_eq(m->ntables, 2);
	cr_assert_eq(m->tables[0].limits.max, 10);
	cr_assert_eq(m->tables[1].reftype, VT_EXTERNREF);
	cr_assert_eq(m->nglobals, 4);
	cr_assert_eq(m->globals[3].type.type, VT_F64);
	cr_assert_eq(m->nelems, 4);
	cr_assert_eq(m->elems[3].mode, SEG_DECLARED);
	cr_assert_eq(m->ndatas, 2);
	cr_assert_eq(m->datas[1].size, 2);
	cr_assert_eq(m->start, 2);
	cr_assert_eq(module_export(m, "\xc3\xa9", 2)->index, 1);
	cr_assert_null(module_export(m, "ru", 2));
	module_unref(m);
	wr_free(&w);
}

Test(decode, imports_are_told_with_their_signatures)
{
	struct wr w = sink();
	struct module *m = load_all(&w);
	struct import_info info;
	module_import(m, 0, &info);
	cr_assert_str_eq(info.module, "env");
	cr_assert_str_eq(info.name, "f");
	cr_assert_str_eq(info.type, "(iI)i");
	module_import(m, 2, &info);
	cr_assert_eq(info.kind, EXT_MEM);
	module_unref(m);
	wr_free(&w);
}

Test(decode, a_module_cut_at_any_byte_is_refused_or_whole)
{
	struct wr w = sink();
	unsigned accepted = 0;
	for (size_t size = 0; size < w.size; size++) {
		struct module *m;
		struct errmsg msg = {0};
		enum err e = load_copy(w.data, size, &m, &msg);
		if (e == ERR_OK) {
			accepted++;
			module_unref(m);
		} else {
			cr_assert(e == ERR_MALFORMED || e == ERR_INVALID, "%zu: %s", size,
			          msg.text);
			cr_assert(msg.text[0]);
		}
	}
	/* Only a cut between sections can leave a module that is whole: after the header, the data or in front of it. */
	cr_assert_leq(accepted, 6);
	wr_free(&w);
}

Test(decode, a_module_with_any_flipped_bit_is_refused_with_a_reason_or_valid)
{
	struct wr w = sink();
	for (size_t bit = 0; bit < w.size * 8; bit++) {
		struct module *m;
		struct errmsg msg = {0};
		w.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (load_copy(w.data, w.size, &m, &msg) == ERR_OK)
			module_unref(m);
		else
			cr_assert(strstr(msg.text, "offset") || strstr(msg.text, "section"), "%s",
			          msg.text);
		w.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	wr_free(&w);
}

Test(decode, an_error_names_section_offset_and_reason)
{
	struct wr w = {0};
	wasm_header(&w);
	wasm_bytes(&w, "\x05\x08\x01\x00\x80\x80\x80\x80\x80\x00"); /* a minimum in six bytes */
	refuse(&w, ERR_MALFORMED, "memory section, offset 0xc: integer representation too long");
}

Test(decode, an_error_in_a_body_names_the_function)
{
	struct wr w = {0};
	wasm_header(&w);
	wasm_bytes(&w, "\x01\x04\x01\x60\x00\x00\x03\x03\x02\x00\x00"
	               "\x0a\x08\x02\x02\x00\x0b\x03\x00\x6a\x0b");
	refuse(&w, ERR_INVALID,
	       "code section, function 1, offset 0x1b: type mismatch: i32.add wants i32, found "
	       "nothing");
}

Test(decode, numbers_may_be_padded_to_their_full_length)
{
	struct wr w = {0};
	wasm_header(&w);
	wasm_bytes(&w, "\x05\x88\x80\x80\x80\x00\x81\x80\x00\x00\x81\x80\x80\x00");
	struct module *m = load_all(&w);
	cr_assert_eq(m->mems[0].min, 1);
	module_unref(m);
	wr_free(&w);
}

Test(decode, a_count_that_the_bytes_cannot_hold_is_refused_before_memory_is_taken)
{
	struct wr w = {0};
	wasm_header(&w);
	wasm_bytes(&w, "\x01\x05\xff\xff\xff\xff\x0f");
	refuse(&w, ERR_MALFORMED, "type section, offset 0xa: length out of bounds");
}

Test(decode, a_new_instruction_is_named_by_what_it_needs)
{
	struct wr w = {0};
	wasm_header(&w);
	wasm_bytes(&w, "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x06\x01\x04\x00\xfd\x0c\x0b");
	w.data[w.size - 3] = 0xfb;
	refuse(&w, ERR_MALFORMED, "illegal opcode 0xfb (garbage collection is not supported)");
	wasm_header(&w);
	wasm_bytes(&w,
	           "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x07\x01\x05\x00\xfd\x80\x02\x0b");
	refuse(&w, ERR_MALFORMED, "illegal opcode 0xfd 0x100 (relaxed SIMD is not supported)");
}

Test(decode, a_lane_that_is_not_there_is_named_with_its_place)
{
	struct wr w = {0};
	wasm_header(&w);
	wasm_bytes(&w, "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x0a\x01\x08\x00\x00\xfd\x1d"
	               "\x02\x1a\x1a\x0b");
	refuse(&w, ERR_INVALID,
	       "code section, function 0, offset 0x18: invalid lane index 2: there are 2");
}

Test(decode, a_vector_of_another_type_is_named)
{
	struct wr w = {0};
	wasm_header(&w);
	wasm_bytes(&w, "\x01\x05\x01\x60\x00\x01\x7b\x03\x02\x01\x00\x0a\x09\x01\x07\x00\x42\x00"
	               "\xfd\x81\x01\x0b");
	refuse(&w, ERR_INVALID, "type mismatch: i16x8.neg wants v128, found i64");
}

/* ---- names ---- */

Test(decode, functions_are_named_by_the_name_section_and_else_by_their_export)
{
	struct wr w = sink();
	struct module *m = load_all(&w);
	char name[32];
	cr_assert(module_func_name(m, 0, name, sizeof name));
	cr_assert_str_eq(name, "env.f");
	cr_assert(module_func_name(m, 1, name, sizeof name));
	cr_assert_str_eq(name, "run");
	cr_assert_not(module_func_name(m, 3, name, sizeof name));
	module_unref(m);
	wr_free(&w);
}

Test(decode, a_long_name_is_cut_between_characters)
{
	struct wr w = sink();
	struct module *m = load_all(&w);
	char name[32];
	cr_assert(module_func_name(m, 2, name, sizeof name));
	cr_assert_str_eq(name, "sm\xc3\xb8rrebr\xc3\xb8"
	                       "d");
	cr_assert(module_func_name(m, 2, name, 4));
	cr_assert_str_eq(name, "sm");
	cr_assert_not(module_func_name(m, 2, name, 0));
	module_unref(m);
	wr_free(&w);
}

Test(decode, a_broken_name_section_is_no_error)
{
	struct wr w = {0};
	char name[8];
	wasm_header(&w);
	wasm_bytes(&w, "\x00\x0b\x04name\x01\x7f\x02\x00\xff\x41");
	struct module *m = load_all(&w);
	cr_assert_not(module_func_name(m, 0, name, sizeof name));
	module_unref(m);
	wr_free(&w);
}

/* ---- what validation learns for translation ---- */

Test(decode, validation_notes_locals_code_start_and_stack_height)
{
	struct wr w = {0};
	wasm_header(&w);
	wasm_bytes(&w, "\x01\x07\x01\x60\x02\x7f\x7e\x01\x7f\x03\x02\x01\x00");
	size_t at = wasm_section(&w, 10);
	wr_u8(&w, 1);
	size_t body = wasm_begin(&w);
	wasm_bytes(&w, "\x02\x03\x7f\x84\x00\x7c" /* 3 i32, 4 f64 */
	               "\x41\x01\x41\x02\x41\x03\x6a\x6a\x0b");
	wasm_end(&w, body);
	wasm_end(&w, at);
	struct module *m = load_all(&w);
	cr_assert_eq(m->funcs[0].nlocals, 9);
	cr_assert_eq(m->funcs[0].code_start, 6);
	cr_assert_eq(m->funcs[0].max_height, 3);
	module_unref(m);
	wr_free(&w);
}

/* ---- sizes ---- */

static void one_type(struct wr *w)
{
	wasm_header(w);
	wasm_bytes(w, "\x01\x04\x01\x60\x00\x00");
}

static void many_functions(struct wr *w, uint32_t n)
{
	size_t at = wasm_section(w, 3);
	wr_leb_u32(w, n);
	for (uint32_t i = 0; i < n; i++)
		wr_u8(w, 0);
	wasm_end(w, at);
}

static void many_bodies(struct wr *w, uint32_t n, uint32_t pairs)
{
	size_t at = wasm_section(w, 10);
	wr_leb_u32(w, n);
	for (uint32_t i = 0; i < n; i++) {
		size_t body = wasm_begin(w);
		wr_u8(w, 0);
		for (uint32_t k = 0; k < pairs; k++)
			wasm_bytes(w, "\x41\xff\x00\x1a"); /* i32.const drop */
		wr_u8(w, 0x0b);
		wasm_end(w, body);
	}
	wasm_end(w, at);
}

Test(decode, a_module_of_75_megabytes_and_133398_functions_loads, .timeout = 60)
{
	struct wr w = {0};
	one_type(&w);
	many_functions(&w, 133398);
	many_bodies(&w, 133398, 146);
	cr_assert_gt(w.size, 75u << 20);
	struct module *m;
	struct errmsg msg = {0};
	enum err e = module_load(w.data, w.size, false, &m, &msg);
	cr_assert_eq(e, ERR_OK, "%s", msg.text);
	cr_assert_eq(m->nfuncs, 133398);
	cr_assert_lt(m->arena.used_bytes, 8u << 20);
	module_unref(m);
	wr_free(&w);
}

Test(decode, a_module_with_100000_data_segments_loads)
{
	struct wr w = {0};
	wasm_header(&w);
	wasm_bytes(&w, "\x05\x03\x01\x00\x10");
	size_t at = wasm_section(&w, 11);
	wr_leb_u32(&w, 100000);
	for (uint32_t i = 0; i < 100000; i++) {
		wr_u8(&w, 0);
		wr_u8(&w, 0x41);
		wr_leb_s32(&w, (int32_t)i);
		wasm_bytes(&w, "\x0b\x01x");
	}
	wasm_end(&w, at);
	struct module *m = load_all(&w);
	cr_assert_eq(m->ndatas, 100000);
	module_unref(m);
	wr_free(&w);
}

Test(decode, more_functions_than_the_limit_are_refused_with_the_number)
{
	struct wr w = {0};
	one_type(&w);
	many_functions(&w, LIMIT_FUNCS + 1);
	refuse(&w, ERR_LIMIT, "1000001 functions, at most 1000000 are allowed");
}

static void body_with_locals(struct wr *w, uint32_t groups, uint32_t n)
{
	one_type(w);
	many_functions(w, 1);
	size_t at = wasm_section(w, 10);
	wr_u8(w, 1);
	size_t body = wasm_begin(w);
	wr_leb_u32(w, groups);
	for (uint32_t i = 0; i < groups; i++) {
		wr_leb_u32(w, n);
		wr_u8(w, VT_I64);
	}
	wr_u8(w, 0x0b);
	wasm_end(w, body);
	wasm_end(w, at);
}

Test(decode, as_many_locals_as_the_limit_load_and_one_more_does_not)
{
	struct wr w = {0};
	body_with_locals(&w, 2, LIMIT_LOCALS / 2);
	module_unref(load_all(&w));
	wr_clear(&w);
	body_with_locals(&w, 1, LIMIT_LOCALS + 1);
	refuse(&w, ERR_LIMIT, "50001 locals, at most 50000 are allowed");
	body_with_locals(&w, 2, UINT32_MAX);
	refuse(&w, ERR_MALFORMED, "too many locals");
}

static void deep_body(struct wr *w, uint32_t blocks)
{
	one_type(w);
	many_functions(w, 1);
	size_t at = wasm_section(w, 10);
	wr_u8(w, 1);
	size_t body = wasm_begin(w);
	wr_u8(w, 0);
	for (uint32_t i = 0; i < blocks; i++)
		wasm_bytes(w, "\x02\x40");
	for (uint32_t i = 0; i <= blocks; i++)
		wr_u8(w, 0x0b);
	wasm_end(w, body);
	wasm_end(w, at);
}

Test(decode, a_hundred_thousand_nested_blocks_load_and_too_many_are_refused)
{
	struct wr w = {0};
	deep_body(&w, 100000);
	module_unref(load_all(&w));
	wr_clear(&w);
	deep_body(&w, LIMIT_BLOCK_DEPTH);
	refuse(&w, ERR_LIMIT, "blocks nested more than");
}

Test(decode, more_operands_than_the_limit_are_refused)
{
	struct wr w = {0};
	one_type(&w);
	many_functions(&w, 1);
	size_t at = wasm_section(&w, 10);
	wr_u8(&w, 1);
	size_t body = wasm_begin(&w);
	wr_u8(&w, 0);
	for (uint32_t i = 0; i <= LIMIT_STACK_HEIGHT; i++)
		wasm_bytes(&w, "\x41\x00");
	wr_u8(&w, 0x0b);
	wasm_end(&w, body);
	wasm_end(&w, at);
	refuse(&w, ERR_LIMIT, "operands on the stack");
}
