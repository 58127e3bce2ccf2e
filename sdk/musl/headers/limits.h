/* limits.h - musl's, which takes a long for what ssize_t is: here a long has 64 bits, and ssize_t, like pointers, 32. */
#include <bits/musl_limits.h>

#ifdef SSIZE_MAX
#undef SSIZE_MAX
#define SSIZE_MAX INT_MAX
#endif
