/* syscall.h - stands before musl's src/internal/syscall.h, to call cancellation points directly.
 *
 * musl's __syscall_cp takes the call by number, which would import every call there is. Where a program has
 * no pthread_cancel, the call is made as any other.
 */
#ifndef WALI_SYSCALL_H
#define WALI_SYSCALL_H

#include_next "syscall.h"

#pragma clang diagnostic ignored "-Wpointer-bool-conversion"
weak hidden long __wali_cancellable(long, long, long, long, long, long, long);

#define __WALI_CP(n, a, b, c, d, e, f, direct) \
	(__wali_cancellable ? __wali_cancellable(n, a, b, c, d, e, f) : (direct))

#undef __syscall_cp0
#undef __syscall_cp1
#undef __syscall_cp2
#undef __syscall_cp3
#undef __syscall_cp4
#undef __syscall_cp5
#undef __syscall_cp6
#define __syscall_cp0(n) __WALI_CP(n, 0, 0, 0, 0, 0, 0, __syscall0(n))
#define __syscall_cp1(n, a) __WALI_CP(n, __scc(a), 0, 0, 0, 0, 0, __syscall1(n, a))
#define __syscall_cp2(n, a, b) __WALI_CP(n, __scc(a), __scc(b), 0, 0, 0, 0, __syscall2(n, a, b))
#define __syscall_cp3(n, a, b, c) \
	__WALI_CP(n, __scc(a), __scc(b), __scc(c), 0, 0, 0, __syscall3(n, a, b, c))
#define __syscall_cp4(n, a, b, c, d) \
	__WALI_CP(n, __scc(a), __scc(b), __scc(c), __scc(d), 0, 0, __syscall4(n, a, b, c, d))
#define __syscall_cp5(n, a, b, c, d, e)                                   \
	__WALI_CP(n, __scc(a), __scc(b), __scc(c), __scc(d), __scc(e), 0, \
	          __syscall5(n, a, b, c, d, e))
#define __syscall_cp6(n, a, b, c, d, e, f)                                       \
	__WALI_CP(n, __scc(a), __scc(b), __scc(c), __scc(d), __scc(e), __scc(f), \
	          __syscall6(n, a, b, c, d, e, f))

/* A socket's calls are calls as any other; musl's function for both kinds of machines takes them by number. */
#undef __socketcall
#undef __socketcall_cp
#define __socketcall(nm, a, b, c, d, e, f) __syscall(SYS_##nm, a, b, c, d, e, f)
#define __socketcall_cp(nm, a, b, c, d, e, f) __syscall_cp(SYS_##nm, a, b, c, d, e, f)

#endif
