/* SDL.h - the few names of SDL2 that the game's portable code mentions, answered by our platform layer.
 *
 * The game asks SDL for byte order, time, a folder to write to, and mutexes around its music clock. A
 * guest is little-endian and has one thread, so that most of it is nothing at all.
 */
#pragma once

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t Uint8;
typedef uint16_t Uint16;
typedef uint32_t Uint32;
typedef union SDL_Event SDL_Event; /* i_input.h names it; no file that is compiled looks inside */

#define SDL_LIL_ENDIAN 1234
#define SDL_BIG_ENDIAN 4321
#define SDL_BYTEORDER SDL_LIL_ENDIAN
#define SDL_SwapLE16(x) ((Uint16)(x))
#define SDL_SwapLE32(x) ((Uint32)(x))
#define SDL_SwapBE16(x) __builtin_bswap16(x)
#define SDL_SwapBE32(x) __builtin_bswap32(x)

#define SDL_INIT_TIMER 1
#define SDL_HINT_WINDOWS_DISABLE_THREAD_NAMING ""
#define SDL_Init(what) ((void)(what))
#define SDL_Quit() ((void)0)
#define SDL_SetHint(name, value) ((void)0)
#define SDL_MESSAGEBOX_ERROR 0
#define SDL_ShowSimpleMessageBox(kind, title, text, window) ((void)0)

#define SDL_qsort qsort
#define SDL_free free

Uint32 SDL_GetTicks(void);
void SDL_Delay(Uint32 ms);
/* The folder for settings and saved games, allocated, with a / at its end. */
char *SDL_GetPrefPath(const char *organisation, const char *application);

typedef int SDL_mutex;
typedef int SDL_cond;
#define SDL_CreateMutex() ((SDL_mutex *)0)
#define SDL_DestroyMutex(mutex) ((void)(mutex))
#define SDL_LockMutex(mutex) ((void)(mutex))
#define SDL_UnlockMutex(mutex) ((void)(mutex))
#define SDL_CreateCond() ((SDL_cond *)0)
#define SDL_DestroyCond(cond) ((void)(cond))
#define SDL_CondSignal(cond) ((void)(cond))
/* The music code waits for its own clock, which stands still unless someone plays: play a little. */
#define SDL_CondWait(cond, mutex) platform_music_skip_ms(1)
void platform_music_skip_ms(int ms);
