/* setjmp.h - setjmp and longjmp are the host's: it keeps the frames. Declared here as imports, ahead of <setjmp.h>. */
typedef unsigned long __jmp_buf[26];

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wincomplete-setjmp-declaration"
struct __jmp_buf_tag;
#define __wali_import(name) __attribute__((__import_module__("wali"), __import_name__(name)))
__wali_import("setjmp") int setjmp(struct __jmp_buf_tag *);
__wali_import("_setjmp") int _setjmp(struct __jmp_buf_tag *);
__wali_import("sigsetjmp") int sigsetjmp(struct __jmp_buf_tag *, int);
__wali_import("longjmp") _Noreturn void longjmp(struct __jmp_buf_tag *, int);
__wali_import("_longjmp") _Noreturn void _longjmp(struct __jmp_buf_tag *, int);
#undef __wali_import
#pragma clang diagnostic pop
