/* video.c - DOOM's screen, keyboard and pointer over the host calls of wasmos.h.
 *
 * Frames go out as the game draws them, 320 x 200 palette indices, to be shown as 4 : 3. Keys come in as
 * USB HID usages, which is what the game's own table of keys is indexed by.
 */
#include "platform.h"

#include "wasmos.h"

#include "config.h"

#include "d_event.h"
#include "doomkeys.h"
#include "doomtype.h"
#include "i_input.h"
#include "i_system.h"
#include "i_video.h"
#include "m_argv.h"
#include "m_config.h"
#include "tables.h"
#include "v_diskicon.h"
#include "v_video.h"
#include "z_zone.h"

#include <stdlib.h>
#include <string.h>

/* The game's settings. Those about windows are kept only because the game's code names them. */
pixel_t *I_VideoBuffer;
boolean screenvisible = true;
boolean screensaver_mode;
int usemouse = 1;
int usegamma;
int png_screenshots;
unsigned int joywait;
int vanilla_keyboard_mapping = 1;
float mouse_acceleration = 2.0f;
int mouse_threshold = 10;

static struct {
	int32_t display; /* -1: none */
	const char *title;
	uint32_t palette[256];
	bool palette_changed;
	grabmouse_callback_t wants_grab;
	bool grabbed, nomouse;
	bool text_input;
	unsigned buttons; /* bit 0 left, 1 right, 2 middle, 3 and 4 the wheel */
	int moved_x, moved_y;
} video = {.display = -1, .title = ""};

/* ---- frames ---- */

void I_GraphicsCheckCommandLine(void)
{
	video.nomouse = M_ParmExists("-nomouse");
}

void I_CheckIsScreensaver(void)
{
}

void I_SetGrabMouseCallback(grabmouse_callback_t wants_grab)
{
	video.wants_grab = wants_grab;
}

void I_SetWindowTitle(const char *title)
{
	video.title = title;
	I_InitWindowTitle();
}

void I_InitWindowTitle(void)
{
	if (video.display >= 0)
		wasmos_display_title(video.display, video.title, (uint32_t)strlen(video.title));
}

void I_RegisterWindowIcon(const unsigned int *icon, int width, int height)
{
	(void)icon;
	(void)width;
	(void)height;
}

void I_InitWindowIcon(void)
{
}

void I_InitGraphics(void)
{
	video.display = wasmos_display_open(SCREENWIDTH, SCREENHEIGHT, WASMOS_INDEXED8);
	if (video.display < 0)
		I_Error("I_InitGraphics: the display cannot be opened (error %d)", -video.display);
	wasmos_display_aspect(video.display, 4, 3);
	I_InitWindowTitle();
	I_VideoBuffer = Z_Malloc(SCREENWIDTH * SCREENHEIGHT, PU_STATIC, NULL);
	V_RestoreBuffer();
	memset(I_VideoBuffer, 0, SCREENWIDTH * SCREENHEIGHT);
	I_AtExit(I_ShutdownGraphics, true);
}

void I_ShutdownGraphics(void)
{
	if (video.display >= 0)
		wasmos_display_close(video.display);
	video.display = -1;
}

void I_StartFrame(void)
{
}

void I_UpdateNoBlit(void)
{
}

static void update_grab(void)
{
	bool grab = usemouse && !video.nomouse && video.wants_grab != NULL && video.wants_grab();

	if (grab != video.grabbed)
		wasmos_input_grab(video.display, grab);
	video.grabbed = grab;
}

void I_FinishUpdate(void)
{
	if (video.display < 0)
		return;
	update_grab();
	V_DrawDiskIcon();
	if (video.palette_changed)
		wasmos_display_palette(video.display, 0, 256, video.palette);
	video.palette_changed = false;
	wasmos_display_present(video.display, I_VideoBuffer, SCREENWIDTH);
	V_RestoreDiskBackground();
	platform_frame_shown();
	platform_sound_pump();
}

void I_ReadScreen(pixel_t *out)
{
	memcpy(out, I_VideoBuffer, SCREENWIDTH * SCREENHEIGHT);
}

void I_BeginRead(void)
{
}

void I_EnableLoadingDisk(int x, int y)
{
	(void)x;
	(void)y;
}

void I_DisplayFPSDots(boolean on)
{
	(void)on;
}

/* ---- palette ---- */

/* A VGA's palette has six bits a channel. */
static uint32_t vga_channel(byte value)
{
	return gammatable[usegamma][value] & 0xfcu;
}

void I_SetPalette(byte *rgb)
{
	for (int i = 0; i < 256; i++, rgb += 3)
		video.palette[i] =
		    vga_channel(rgb[0]) << 16 | vga_channel(rgb[1]) << 8 | vga_channel(rgb[2]);
	video.palette_changed = true;
}

static int squared(int value)
{
	return value * value;
}

static int colour_distance(uint32_t xrgb, int r, int g, int b)
{
	return squared((int)(xrgb >> 16 & 255) - r) + squared((int)(xrgb >> 8 & 255) - g) +
	       squared((int)(xrgb & 255) - b);
}

int I_GetPaletteIndex(int r, int g, int b)
{
	int best = 0;

	for (int i = 1; i < 256; i++)
		if (colour_distance(video.palette[i], r, g, b) <
		    colour_distance(video.palette[best], r, g, b))
			best = i;
	return best;
}

/* ---- keys ---- */

void I_StartTextInput(int x1, int y1, int x2, int y2)
{
	(void)x1, (void)y1, (void)x2, (void)y2;
	video.text_input = true;
}

void I_StopTextInput(void)
{
	video.text_input = false;
}

enum {
	HID_LEFT_CTRL = 224,
	HID_LEFT_SHIFT = 225,
	HID_LEFT_ALT = 226,
	HID_RIGHT_CTRL = 228,
	HID_RIGHT_SHIFT = 229,
	HID_RIGHT_ALT = 230,
};

static int doom_key(uint32_t hid)
{
	static const int table[] = SCANCODE_TO_KEYS_ARRAY;

	switch (hid) {
	case HID_LEFT_CTRL:
	case HID_RIGHT_CTRL: return KEY_RCTRL;
	case HID_LEFT_SHIFT:
	case HID_RIGHT_SHIFT: return KEY_RSHIFT;
	case HID_LEFT_ALT: return KEY_LALT;
	case HID_RIGHT_ALT: return KEY_RALT;
	default: return hid < sizeof(table) / sizeof(table[0]) ? table[hid] : 0;
	}
}

/* What a key writes on an American keyboard, which is the one the game knows. */
static int typed_character(int key, bool shift)
{
	static const char plain[] = "1234567890-=[]\\;'`,./";
	static const char shifted[] = "!@#$%^&*()_+{}|:\"~<>?";
	const char *found;

	if (!shift || key <= 0 || key >= 128)
		return key;
	if (key >= 'a' && key <= 'z')
		return key - 'a' + 'A';
	found = strchr(plain, key);
	return found != NULL ? shifted[found - plain] : key;
}

static void post(evtype_t type, int data1, int data2, int data3)
{
	event_t event = {.type = type, .data1 = data1, .data2 = data2, .data3 = data3};

	D_PostEvent(&event);
}

static void key_event(const struct wasmos_event *e)
{
	int key = doom_key(e->code);

	if (key == 0)
		return;
	if (e->value == WASMOS_UP)
		post(ev_keyup, key, 0, 0);
	else
		post(ev_keydown, key, key,
		     video.text_input ? typed_character(key, e->mods & WASMOS_SHIFT) : 0);
}

/* ---- pointer ---- */

static void button_event(const struct wasmos_event *e)
{
	static const unsigned bits[] = {0, 1, 4, 2, 32, 64}; /* left, middle, right, 4, 5 */
	unsigned bit = e->code < 6 ? bits[e->code] : 0;

	video.buttons = e->value == WASMOS_UP ? video.buttons & ~bit : video.buttons | bit;
	post(ev_mouse, (int)video.buttons, 0, 0);
}

static void wheel_event(const struct wasmos_event *e)
{
	unsigned bit = e->dy > 0 ? 8 : 16;

	if (e->dy == 0)
		return;
	post(ev_mouse, (int)(video.buttons | bit), 0, 0);
	post(ev_mouse, (int)video.buttons, 0, 0);
}

static int accelerated(int distance)
{
	int length = abs(distance);

	if (length > mouse_threshold)
		length =
		    (int)((float)(length - mouse_threshold) * mouse_acceleration) + mouse_threshold;
	return distance < 0 ? -length : length;
}

static void pointer_moved(void)
{
	if (video.moved_x != 0 || video.moved_y != 0)
		post(ev_mouse, (int)video.buttons, accelerated(video.moved_x),
		     -accelerated(video.moved_y));
	video.moved_x = video.moved_y = 0;
}

static void pointer_event(const struct wasmos_event *e)
{
	if (!video.grabbed)
		return;
	if (e->type == WASMOS_POINTER) {
		video.moved_x += e->dx;
		video.moved_y += e->dy;
	} else if (e->type == WASMOS_BUTTON) {
		button_event(e);
	} else {
		wheel_event(e);
	}
}

static void take_event(const struct wasmos_event *e)
{
	switch (e->type) {
	case WASMOS_KEY: key_event(e); break;
	case WASMOS_POINTER:
	case WASMOS_BUTTON:
	case WASMOS_WHEEL: pointer_event(e); break;
	case WASMOS_QUIT: post(ev_quit, 0, 0, 0); break;
	default: break;
	}
}

void I_StartTic(void)
{
	struct wasmos_event events[16];
	int32_t count;

	while ((count = wasmos_input_poll(events, 16)) > 0)
		for (int32_t i = 0; i < count; i++)
			take_event(&events[i]);
	pointer_moved();
}

/* ---- settings ---- */

void I_BindInputVariables(void)
{
	M_BindFloatVariable("mouse_acceleration", &mouse_acceleration);
	M_BindIntVariable("mouse_threshold", &mouse_threshold);
	M_BindIntVariable("vanilla_keyboard_mapping", &vanilla_keyboard_mapping);
}

void I_BindVideoVariables(void)
{
	M_BindIntVariable("use_mouse", &usemouse);
	M_BindIntVariable("usegamma", &usegamma);
}
