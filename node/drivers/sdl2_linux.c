/* sdl2_linux.c - sdl2.h on Linux: the library is loaded while running; X may go away. */
#include "node/drivers/sdl2.h"

#include <dlfcn.h>
#include <stdlib.h>

enum err sdl2_load(struct sdl2 *sdl, struct errmsg *msg)
{
	void *library = dlopen("libSDL2-2.0.so.0", RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		return err_set(msg, ERR_NOTFOUND, "SDL2 is not installed: %s", dlerror());
#define SDL2_CALL(name)                                             \
	if ((*(void **)&sdl->name = dlsym(library, #name)) == NULL) \
		return err_set(msg, ERR_NOTFOUND, "SDL2 lacks %s", #name);
#include "node/drivers/sdl2.def"
#undef SDL2_CALL
	return ERR_OK;
}

bool sdl2_has_display(void)
{
	const char *x11 = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");

	return (x11 != NULL && x11[0] != '\0') || (wayland != NULL && wayland[0] != '\0');
}

/* What Xlib gives back to the function below is the context alone: who is told stands in it. */
struct guard {
	void (*lost)(void *ctx);
	void *ctx;
};

static void display_lost(void *display, void *ctx)
{
	struct guard *g = ctx;

	g->lost(g->ctx);
}

/* The first that Xlib calls; its own one ends the program. */
static int broken(void *display)
{
	return 0;
}

bool sdl2_guard(struct sdl2 *sdl, SDL_Window *window, void (*lost)(void *ctx), void *ctx)
{
	SDL_SysWMinfo info;
	void (*set_handler)(void *display, void (*handler)(void *, void *), void *ctx);
	void *(*set_first)(int (*handler)(void *display));

	SDL_VERSION(&info.version);
	if (!sdl->SDL_GetWindowWMInfo(window, &info) || info.subsystem != SDL_SYSWM_X11)
		return false;
	/* SDL has loaded it. */
	void *x11 = dlopen("libX11.so.6", RTLD_NOW | RTLD_NOLOAD);
	if (x11 == NULL)
		return false;
	*(void **)&set_handler = dlsym(x11, "XSetIOErrorExitHandler");
	*(void **)&set_first = dlsym(x11, "XSetIOErrorHandler");
	struct guard *g = malloc(sizeof(*g));
	if (set_handler == NULL || set_first == NULL || g == NULL) {
		free(g);
		return false;
	}
	*g = (struct guard){lost, ctx}; /* as long as the library: for good */
	set_first(broken);
	set_handler(info.info.x11.display, display_lost, g);
	return true;
}
