/* sdl2.h - the functions of SDL2 that host_sdl2.c uses, and what each system does differently about them.
 *
 * On Linux the library is loaded when the first window is opened (sdl2_linux.c); on Windows it is part of the program
 * (sdl2_windows.c). The service's thread only. */
#pragma once

#include "base/err.h"

/* What SDL includes on Windows includes a header of clang's that is nothing but a warning. */
#define _CLANG_DISABLE_CRT_DEPRECATION_WARNINGS 1
#include <SDL2/SDL.h>
#include <SDL2/SDL_syswm.h>
#include <stdbool.h>

struct sdl2 {
#define SDL2_CALL(name) __typeof__(&name) name;
#include "node/drivers/sdl2.def"
#undef SDL2_CALL
};

/* NOTFOUND: there is no SDL2 here. It stays loaded: what it registered with X and the C library cannot be taken back. */
enum err sdl2_load(struct sdl2 *sdl, struct errmsg *msg);
/* Whether windows can be shown at all, as far as one can tell without trying. */
bool sdl2_has_display(void);
/* Xlib ends the program when its display server goes away. From now on lost(ctx) is called first, on the service's thread; it
 * must not return. True: there is nothing more to guard. */
bool sdl2_guard(struct sdl2 *sdl, SDL_Window *window, void (*lost)(void *ctx), void *ctx);
