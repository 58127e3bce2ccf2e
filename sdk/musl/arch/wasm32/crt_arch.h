/* crt_arch.h - crt/wasm32/crt1.c has the start code. */
