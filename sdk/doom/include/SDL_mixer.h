/* SDL_mixer.h - all that the game's code asks of SDL stands in SDL.h. */
#include "SDL.h"
