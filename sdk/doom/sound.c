/* sound.c - DOOM's effects and, if wanted, its music, mixed into the one queue of sound of wasmos.h.
 *
 * Effects are played where they lie in the game's cache (8-bit mono, mostly 11025 frames a second); the
 * music comes from the game's own OPL emulation, whose clock is the number of frames it was asked for.
 * The queue is kept 60 ms ahead: two tics, so that a late one is not heard.
 */
#include "platform.h"

#include "wasmos.h"

#include "config.h"

#include "SDL.h"
#include "deh_str.h"
#include "doomtype.h"
#include "i_sound.h"
#include "i_system.h"
#include "m_misc.h"
#include "opl.h"
#include "opl3.h"
#include "opl_internal.h"
#include "opl_queue.h"
#include "w_wad.h"
#include "z_zone.h"

#include <string.h>

enum {
	RATE = 44100,
	AHEAD_FRAMES = RATE * 60 / 1000,
	FRAMES_PER_TIC = RATE / 35,
	CHUNK_FRAMES = 512,
	EFFECTS = 16, /* played at once */
	LUMP_HEADER_BYTES = 8,
	LUMP_PAD_BYTES = 16, /* at either end of the samples, not played */
};

static struct {
	int32_t audio; /* -1: none */
	bool with_prefix;
} sound = {.audio = -1};

/* ---- effects ---- */

static struct effect {
	int lump; /* -1: silent */
	const byte *samples;
	uint32_t count;
	uint32_t at, step; /* 16.16 samples */
	int left, right;   /* 0 to 255 */
} effects[EFFECTS];

static void effect_stop(struct effect *e)
{
	if (e->lump >= 0)
		W_ReleaseLumpNum(e->lump);
	e->lump = -1;
}

/* The lump: format 3, rate, count of samples (all little-endian), samples. */
static bool effect_load(struct effect *e, int lump)
{
	const byte *bytes = W_CacheLumpNum(lump, PU_STATIC);
	int size = W_LumpLength(lump);
	uint32_t rate, count;

	e->lump = lump;
	if (size < LUMP_HEADER_BYTES || bytes[0] != 3 || bytes[1] != 0)
		return false;
	rate = bytes[2] | (uint32_t)bytes[3] << 8;
	memcpy(&count, bytes + 4, sizeof(count));
	if (count > (uint32_t)size - LUMP_HEADER_BYTES || count <= 3 * LUMP_PAD_BYTES)
		return false;
	e->samples = bytes + LUMP_HEADER_BYTES + LUMP_PAD_BYTES;
	e->count = count - 2 * LUMP_PAD_BYTES;
	e->at = 0;
	e->step = (rate << 16) / RATE;
	return true;
}

/* Loudness 0 to 127, separation 0 (left) to 254 (right). */
static void effect_place(struct effect *e, int loudness, int separation)
{
	e->left = (254 - separation) * loudness / 127;
	e->right = separation * loudness / 127;
}

static void effect_mix(struct effect *e, int32_t *mix, uint32_t frames)
{
	const byte *samples = e->samples;
	uint32_t at = e->at, step = e->step, end = e->count;
	int left = e->left, right = e->right;

	for (uint32_t i = 0; i < frames && at >> 16 < end; i++, at += step) {
		int32_t sample = samples[at >> 16] - 128;
		mix[2 * i] += sample * left;
		mix[2 * i + 1] += sample * right;
	}
	e->at = at;
	if (at >> 16 >= end)
		effect_stop(e);
}

/* ---- music: an OPL chip and the queue of what is to be written to it next ---- */

static struct {
	bool open, paused;
	opl3_chip chip;
	opl_callback_queue_t *queue;
	uint64_t now_us, paused_us;
	uint32_t selected;
	struct {
		uint32_t count, rate_hz;
		bool enabled;
		uint64_t ends_us;
	} timers[2];
} music;

static void music_run_due(void)
{
	opl_callback_t callback;
	void *data;

	while (!music.paused && !OPL_Queue_IsEmpty(music.queue) &&
	       OPL_Queue_Peek(music.queue) + music.paused_us <= music.now_us &&
	       OPL_Queue_Pop(music.queue, &callback, &data))
		callback(data);
}

static void music_advance(uint64_t us)
{
	music.now_us += us;
	if (music.paused)
		music.paused_us += us;
	music_run_due();
}

void platform_music_skip_ms(int ms)
{
	music_advance((uint64_t)ms * 1000);
}

/* How many of the next frames sound the same: nothing is written to the chip in between. */
static uint32_t music_steady_frames(uint32_t most)
{
	uint64_t due_us, frames;

	if (music.paused || OPL_Queue_IsEmpty(music.queue))
		return most;
	due_us = OPL_Queue_Peek(music.queue) + music.paused_us;
	if (due_us <= music.now_us)
		return 1;
	frames = ((due_us - music.now_us) * RATE + OPL_SECOND - 1) / OPL_SECOND;
	return frames < most ? (uint32_t)frames : most;
}

static void music_mix(int32_t *mix, uint32_t frames)
{
	static Bit16s out[CHUNK_FRAMES * 2];

	while (frames > 0) {
		uint32_t now = music_steady_frames(frames);
		OPL3_GenerateStream(&music.chip, out, now);
		for (uint32_t i = 0; i < 2 * now; i++)
			mix[i] += out[i];
		music_advance((uint64_t)now * OPL_SECOND / RATE);
		mix += 2 * now;
		frames -= now;
	}
}

static int music_init(unsigned int port)
{
	(void)port;
	if (sound.audio < 0)
		return 0;
	memset(&music, 0, sizeof(music));
	music.timers[0].rate_hz = 12500;
	music.timers[1].rate_hz = 3125;
	music.queue = OPL_Queue_Create();
	OPL3_Reset(&music.chip, RATE);
	music.open = true;
	return 1;
}

static void music_shutdown(void)
{
	if (music.open)
		OPL_Queue_Destroy(music.queue);
	music.open = false;
}

/* The status: bit 7 any, bit 6 the first, bit 5 the second timer has run out. */
static unsigned int music_read(opl_port_t port)
{
	unsigned int status = 0;

	if (port == OPL_REGISTER_PORT_OPL3)
		return 0xff;
	for (int i = 0; i < 2; i++)
		if (music.timers[i].enabled && music.now_us > music.timers[i].ends_us)
			status |= 0x80u | 0x40u >> i;
	return status;
}

static void timer_restart(int i)
{
	music.timers[i].ends_us = music.now_us + (uint64_t)(256 - music.timers[i].count) *
	                                             OPL_SECOND / music.timers[i].rate_hz;
}

static void timer_control(unsigned int value)
{
	for (int i = 0; i < 2; i++) {
		if (value & 0x80)
			music.timers[i].enabled = false;
		else if ((value & 0x40u >> i) == 0)
			music.timers[i].enabled = value >> i & 1;
		timer_restart(i);
	}
}

static void music_write_register(uint32_t reg, unsigned int value)
{
	if (reg == OPL_REG_TIMER1 || reg == OPL_REG_TIMER2) {
		int i = reg == OPL_REG_TIMER2;
		music.timers[i].count = value;
		timer_restart(i);
	} else if (reg == OPL_REG_TIMER_CTRL) {
		timer_control(value);
	} else {
		OPL3_WriteRegBuffered(&music.chip, (Bit16u)reg, (Bit8u)value);
	}
}

static void music_write(opl_port_t port, unsigned int value)
{
	if (port == OPL_DATA_PORT)
		music_write_register(music.selected, value);
	else
		music.selected = value | (port == OPL_REGISTER_PORT_OPL3 ? 0x100 : 0);
}

static void music_call_later(uint64_t us, opl_callback_t callback, void *data)
{
	OPL_Queue_Push(music.queue, callback, data, music.now_us - music.paused_us + us);
}

static void music_forget_calls(void)
{
	OPL_Queue_Clear(music.queue);
}

static void music_set_paused(int paused)
{
	music.paused = paused != 0;
}

static void music_adjust(float factor)
{
	OPL_Queue_AdjustCallbacks(music.queue, music.now_us - music.paused_us, factor);
}

static void no_lock(void)
{
}

opl_driver_t opl_sdl_driver = {
    "WasmOS",    music_init,       music_shutdown,     music_read,
    music_write, music_call_later, music_forget_calls, no_lock,
    no_lock,     music_set_paused, music_adjust,
};

/* ---- the mix ---- */

static int16_t clamped(int32_t value)
{
	return (int16_t)(value < -32768 ? -32768 : value > 32767 ? 32767 : value);
}

static void mix_chunk(uint32_t frames)
{
	static int32_t mix[CHUNK_FRAMES * 2];
	static int16_t out[CHUNK_FRAMES * 2];

	memset(mix, 0, frames * 2 * sizeof(mix[0]));
	for (int i = 0; i < EFFECTS; i++)
		if (effects[i].lump >= 0)
			effect_mix(&effects[i], mix, frames);
	if (music.open)
		music_mix(mix, frames);
	for (uint32_t i = 0; i < frames * 2; i++)
		out[i] = clamped(mix[i]);
	wasmos_audio_write(sound.audio, out, frames);
}

static void mix_frames(uint32_t frames)
{
	for (; frames > CHUNK_FRAMES; frames -= CHUNK_FRAMES)
		mix_chunk(CHUNK_FRAMES);
	if (frames > 0)
		mix_chunk(frames);
}

void platform_sound_pump(void)
{
	int32_t queued;

	if (sound.audio < 0 || platform_frame_clock())
		return;
	queued = wasmos_audio_queued(sound.audio);
	if (queued >= 0 && queued < AHEAD_FRAMES)
		mix_frames((uint32_t)(AHEAD_FRAMES - queued));
}

/* ---- the game's sound module ---- */

static boolean sound_init(boolean with_prefix)
{
	for (int i = 0; i < EFFECTS; i++)
		effects[i].lump = -1;
	sound.with_prefix = with_prefix;
	sound.audio = wasmos_audio_open(RATE, 2);
	return sound.audio >= 0;
}

static void sound_shutdown(void)
{
	if (sound.audio >= 0)
		wasmos_audio_close(sound.audio);
	sound.audio = -1;
}

static int sound_lump(sfxinfo_t *info)
{
	char name[9];

	if (info->link != NULL)
		info = info->link;
	M_snprintf(name, sizeof(name), "%s%s", sound.with_prefix ? "ds" : "",
	           DEH_String(info->name));
	return W_CheckNumForName(name);
}

/* Under the frame clock a tic is a tic's worth of sound, heard or not: which effects are over decides what the
 * game draws from its random numbers. */
static void sound_update(void)
{
	if (sound.audio >= 0 && platform_frame_clock())
		mix_frames(FRAMES_PER_TIC);
	else
		platform_sound_pump();
}

static void sound_place(int channel, int loudness, int separation)
{
	if (channel >= 0 && channel < EFFECTS)
		effect_place(&effects[channel], loudness, separation);
}

static void sound_stop(int channel)
{
	if (channel >= 0 && channel < EFFECTS)
		effect_stop(&effects[channel]);
}

static int sound_start(sfxinfo_t *info, int channel, int loudness, int separation, int pitch)
{
	(void)pitch;
	if (channel < 0 || channel >= EFFECTS || info->lumpnum < 0)
		return -1;
	sound_stop(channel);
	if (!effect_load(&effects[channel], info->lumpnum)) {
		sound_stop(channel);
		return -1;
	}
	sound_place(channel, loudness, separation);
	return channel;
}

static boolean sound_is_playing(int channel)
{
	return channel >= 0 && channel < EFFECTS && effects[channel].lump >= 0;
}

static void sound_cache(sfxinfo_t *infos, int count)
{
	for (int i = 0; i < count; i++)
		infos[i].lumpnum = sound_lump(&infos[i]);
}

static snddevice_t sound_devices[] = {
    SNDDEVICE_SB,          SNDDEVICE_PAS,         SNDDEVICE_GUS,
    SNDDEVICE_WAVEBLASTER, SNDDEVICE_SOUNDCANVAS, SNDDEVICE_AWE32,
};

sound_module_t sound_sdl_module = {
    sound_devices, sizeof(sound_devices) / sizeof(sound_devices[0]),
    sound_init,    sound_shutdown,
    sound_lump,    sound_update,
    sound_place,   sound_start,
    sound_stop,    sound_is_playing,
    sound_cache,
};
