/* wasm_build.h - small modules and parts of modules written byte by byte, for tests.
 *
 * The writer is base/bytes' struct wr. A section or a body is written behind a size that is patched
 * when it ends (a padded LEB128 of five bytes, which is valid).
 *
 *	struct wr w = {0};
 *	wasm_header(&w);
 *	size_t at = wasm_section(&w, 1);
 *	wasm_bytes(&w, "\x01\x60\x00\x01\x7f");            // one type: () -> i32
 *	wasm_end(&w, at);
 */
#pragma once

#include "base/bytes.h"

#include <string.h>

#define wasm_bytes(w, literal) wr_bytes((w), (literal), sizeof(literal) - 1)

void wasm_header(struct wr *w);
/* Starts something that is preceded by its size; wasm_end() with what it returned ends it. */
size_t wasm_begin(struct wr *w);
void wasm_end(struct wr *w, size_t at);
/* The section's id and wasm_begin(). */
size_t wasm_section(struct wr *w, uint8_t id);
void wasm_name(struct wr *w, const char *name);
