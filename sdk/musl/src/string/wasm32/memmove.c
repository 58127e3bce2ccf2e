/* memmove.c - one instruction, which the engine carries out at once. */
#include <string.h>

#undef memmove
void *memmove(void *dest, const void *src, size_t n)
{
	return __builtin_memmove(dest, src, n);
}
