/* vector_any.h - lookup() byte by byte, for processors without a file of their own (vector.h). */
#pragma once

/* Byte i is table[index[i]]; an index below 16, or above 127, which gives 0. */
static inline u8x16 lookup(u8x16 table, u8x16 index)
{
	u8x16 r;
	for (int i = 0; i < 16; i++)
		r[i] = index[i] < 16 ? table[index[i]] : 0;
	return r;
}
