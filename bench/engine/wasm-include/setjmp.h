/* setjmp.h - wasi-libc has none. Lua includes it; its errors end the program here (LUAI_THROW is defined away). */
#pragma once
typedef int jmp_buf[1];
