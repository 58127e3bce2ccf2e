/* sdl2_windows.c - sdl2.h on Windows: SDL2 is part of the program, and the display does not go away. */
#include "node/drivers/sdl2.h"

enum err sdl2_load(struct sdl2 *sdl, struct errmsg *msg)
{
#define SDL2_CALL(name) sdl->name = name;
#include "node/drivers/sdl2.def"
#undef SDL2_CALL
	return ERR_OK;
}

/* A service's session has no screen: then SDL says so. */
bool sdl2_has_display(void)
{
	return true;
}

bool sdl2_guard(struct sdl2 *sdl, SDL_Window *window, void (*lost)(void *ctx), void *ctx)
{
	return true;
}
