/* platform.h - what the files of DOOM's platform layer tell each other.
 *
 * The layer stands between chocolate-doom's game code (from Debian's source package, unpatched) and the
 * host calls of sdk/include/wasmos.h. It takes the places of the game's SDL files:
 *
 *	main.c    start, arguments, clock, and the parts of a desktop that a guest does not have
 *	video.c   frames, palette, keys and pointer
 *	sound.c   effects and music mixed into the one queue of sound
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The frame clock (-frameclock): time is what was presented, 1/35 s a frame, and nothing else. A demo
 * then draws the same frames on every machine, whatever its speed. */
bool platform_frame_clock(void);
/* A frame was presented. */
void platform_frame_shown(void);

/* Keeps the queue of sound filled. Called wherever the game passes by. */
void platform_sound_pump(void);
