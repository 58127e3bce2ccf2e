/* memset.c - one instruction, which the engine carries out at once. */
#include <string.h>

#undef memset
void *memset(void *dest, int c, size_t n)
{
	return __builtin_memset(dest, c, n);
}
