/* reloc.h - programs are linked statically: there is nothing to relocate. */
#define LDSO_ARCH "wasm32"
