/* wasm_build.c - see wasm_build.h. */
#include "wasm_build.h"

void wasm_header(struct wr *w)
{
	wasm_bytes(w, "\0asm\1\0\0\0");
}

size_t wasm_begin(struct wr *w)
{
	size_t at = w->size;
	wr_space(w, 5);
	return at;
}

void wasm_end(struct wr *w, size_t at)
{
	if (!wr_ok(w))
		return;
	uint32_t size = (uint32_t)(w->size - at - 5);
	for (int i = 0; i < 5; i++)
		w->data[at + i] = (uint8_t)((size >> (7 * i) & 0x7f) | (i < 4 ? 0x80 : 0));
}

size_t wasm_section(struct wr *w, uint8_t id)
{
	wr_u8(w, id);
	return wasm_begin(w);
}

void wasm_name(struct wr *w, const char *name)
{
	wr_leb_u32(w, (uint32_t)strlen(name));
	wr_bytes(w, name, strlen(name));
}
