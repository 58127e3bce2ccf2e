/* vector_x86_64.h - lookup() by pshufb (vector.h). */
#pragma once

/* Byte i is table[index[i]]; an index below 16, or above 127, which gives 0. */
static inline u8x16 lookup(u8x16 table, u8x16 index)
{
	typedef char chars __attribute__((vector_size(16)));
	return (u8x16)__builtin_ia32_pshufb128((chars)table, (chars)index);
}
