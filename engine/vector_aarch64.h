/* vector_aarch64.h - lookup() by tbl (vector.h). */
#pragma once

#include <arm_neon.h>

/* Byte i is table[index[i]]; an index below 16, or above 127, which gives 0. */
static inline u8x16 lookup(u8x16 table, u8x16 index)
{
	return (u8x16)vqtbl1q_u8((uint8x16_t)table, (uint8x16_t)index);
}
