/* main.c - DOOM's start, its clock, and what of a desktop a guest does not have.
 *
 * Arguments of our own beside the game's:
 *	-music       play the music too (an OPL chip in software: five times the work of the game)
 *	-frameclock  see platform.h
 */
#include "platform.h"

#include "config.h"

#include "SDL.h"
#include "doomtype.h"
#include "i_endoom.h"
#include "i_joystick.h"
#include "i_sound.h"
#include "m_argv.h"
#include "m_misc.h"
#include "net_gui.h"

#include <string.h>
#include <time.h>

void D_DoomMain(void);

/* ---- start ---- */

static void add_argument(const char *text)
{
	myargv[myargc++] = M_StringDuplicate(text);
}

int main(int argc, char **argv)
{
	/* Two more than there are: -nomusic and the end. */
	myargv = calloc((size_t)argc + 2, sizeof(*myargv));
	for (int i = 0; i < argc; i++)
		add_argument(argv[i]);
	if (!M_ParmExists("-music"))
		add_argument("-nomusic");
	M_FindResponseFile();
	M_SetExeDir();
	D_DoomMain();
	return 0;
}

char *SDL_GetPrefPath(const char *organisation, const char *application)
{
	(void)organisation;
	(void)application;
	const char *home = getenv("HOME");
	return M_StringJoin(home != NULL ? home : "/tmp", "/", NULL);
}

/* ---- time ---- */

enum {
	TICS_PER_SECOND = 35,
	MS_PER_SECOND = 1000,
};

static struct {
	bool started;
	bool frames_only;
	uint64_t
	    start_ms; /* one before the first question, whose answer is 1: the game takes 0 for "never" */
	uint64_t frames;
	uint64_t slept_ms; /* frame clock only */
} game_clock;

static uint64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * MS_PER_SECOND + (uint64_t)now.tv_nsec / 1000000;
}

static void clock_start(void)
{
	if (game_clock.started)
		return;
	game_clock.started = true;
	game_clock.frames_only = M_ParmExists("-frameclock");
	game_clock.start_ms = monotonic_ms() - 1;
}

bool platform_frame_clock(void)
{
	clock_start();
	return game_clock.frames_only;
}

void platform_frame_shown(void)
{
	game_clock.frames++;
}

Uint32 SDL_GetTicks(void)
{
	clock_start();
	if (!game_clock.frames_only)
		return (Uint32)(monotonic_ms() - game_clock.start_ms);
	return (Uint32)(1 + game_clock.slept_ms +
	                game_clock.frames * MS_PER_SECOND / TICS_PER_SECOND);
}

/* Sleeps until an instant of the monotonic clock: such a sleep can be interrupted by a move and begun
 * again without growing longer. */
static void sleep_until_ms(uint64_t at_ms)
{
	struct timespec at = {
	    .tv_sec = (time_t)(at_ms / MS_PER_SECOND),
	    .tv_nsec = (long)(at_ms % MS_PER_SECOND) * 1000000,
	};
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* The instant of the next tic, as the game counts them: from its first look at the clock, which said 1. */
static uint64_t next_tic_ms(void)
{
	uint64_t base_ms = game_clock.start_ms + 1;
	uint64_t tic = (monotonic_ms() - base_ms) * TICS_PER_SECOND / MS_PER_SECOND + 1;

	return base_ms + (tic * MS_PER_SECOND + TICS_PER_SECOND - 1) / TICS_PER_SECOND;
}

/* The game idles by sleeping 1 ms until its tic has come, 28 times a tic. Nothing happens in between, so
 * that it is let sleep through. */
void SDL_Delay(Uint32 ms)
{
	clock_start();
	platform_sound_pump();
	if (game_clock.frames_only)
		game_clock.slept_ms += ms;
	else
		sleep_until_ms(ms <= 1 ? next_tic_ms() : monotonic_ms() + ms);
}

/* ---- what a guest does not have ---- */

void I_Endoom(byte *screen)
{
	(void)screen;
}

void I_InitJoystick(void)
{
}

void I_ShutdownJoystick(void)
{
}

void I_UpdateJoystick(void)
{
}

void I_BindJoystickVariables(void)
{
}

void NET_WaitForLaunch(void)
{
}

void I_InitTimidityConfig(void)
{
}

/* Modules that no sound device selects, and settings of theirs; i_sound.c names them. */
static boolean never(void)
{
	return false;
}

sound_module_t sound_pcsound_module = {0};
music_module_t music_sdl_module = {0};
music_module_t music_pack_module = {.Init = never};

char *music_pack_path = "";
char *fluidsynth_sf_path = "";
char *timidity_cfg_path = "";
int use_libsamplerate;
float libsamplerate_scale = 0.65f;
