/* guest.c - the guest of the drivers' tests: makes one host call for each export. */
#include "wasmos.h"

#define EXPORT(name) __attribute__((export_name(#name)))

static uint8_t pixels[64 * 64 * 4];
static uint32_t palette[256];
static struct wasmos_event events[64];
static int16_t sound[48000];

EXPORT(open) int32_t open(int32_t width, int32_t height, int32_t format)
{
	return wasmos_display_open(width, height, format);
}

EXPORT(title) int32_t title(void)
{
	return wasmos_display_title(0, "Chess", 5);
}

EXPORT(aspect) int32_t aspect(int32_t x, int32_t y)
{
	return wasmos_display_aspect(0, x, y);
}

/* All pixels of the frame have the value; in the palette it is the colour 0x010203 times it. */
EXPORT(present) int32_t present(int32_t value, int32_t pitch)
{
	for (unsigned i = 0; i < sizeof(pixels); i++)
		pixels[i] = (uint8_t)value;
	return wasmos_display_present(0, pixels, (uint32_t)pitch);
}

EXPORT(present_at) int32_t present_at(uint32_t address, uint32_t pitch)
{
	return wasmos_display_present(0, (const void *)address, pitch);
}

EXPORT(set_palette) int32_t set_palette(uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < 256; i++)
		palette[i] = 0x010203 * i;
	return wasmos_display_palette(0, first, count, palette);
}

EXPORT(close) int32_t close(void)
{
	return wasmos_display_close(0);
}

/* How many events; they are then asked for one by one. */
EXPORT(poll) int32_t poll(uint32_t count)
{
	return wasmos_input_poll(events, count);
}

EXPORT(event_type) int32_t event_type(uint32_t i)
{
	return events[i].type;
}

EXPORT(event_code) int32_t event_code(uint32_t i)
{
	return (int32_t)events[i].code;
}

EXPORT(event_value) int32_t event_value(uint32_t i)
{
	return events[i].value;
}

EXPORT(wait) int32_t wait(uint64_t deadline_ns)
{
	return wasmos_input_wait(deadline_ns);
}

EXPORT(audio_open) int32_t audio_open(int32_t rate, int32_t channels)
{
	return wasmos_audio_open(rate, channels);
}

EXPORT(audio_write) int32_t audio_write(uint32_t count)
{
	return wasmos_audio_write(0, sound, count);
}

EXPORT(audio_queued) int32_t audio_queued(void)
{
	return wasmos_audio_queued(0);
}

EXPORT(audio_space) int32_t audio_space(void)
{
	return wasmos_audio_space(0);
}
