/* reg.h - there are no registers to name. */
#undef __WORDSIZE
#define __WORDSIZE 32
