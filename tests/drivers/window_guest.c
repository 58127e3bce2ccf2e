/* window_guest.c - a program with a window: it tells on standard output what happens to it, until it is asked to
 * quit or has shown 900 frames (15 s). */
#include "wasmos.h"

#include <stdio.h>

enum { WIDTH = 64, HEIGHT = 48, FRAMES_MAX = 900, TELL_FRAMES = 30 };

static uint32_t pixels[WIDTH * HEIGHT];

/* False when the person wants it to end. */
static int tell(const struct wasmos_event *e)
{
	if (e->type == WASMOS_KEY)
		printf("key %u %d\n", e->code, e->value);
	else if (e->type == WASMOS_TEXT)
		printf("text %c\n", (int)e->code);
	else if (e->type == WASMOS_BUTTON)
		printf("button %u %d at %d %d\n", e->code, e->value, e->x, e->y);
	else if (e->type == WASMOS_QUIT)
		printf("quit\n");
	return e->type != WASMOS_QUIT;
}

int main(void)
{
	int32_t display = wasmos_display_open(WIDTH, HEIGHT, WASMOS_XRGB8888);
	struct wasmos_event e;

	wasmos_display_title(display, "Window guest", 12);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int frame = 1; frame <= FRAMES_MAX; frame++) {
		for (int i = 0; i < WIDTH * HEIGHT; i++)
			pixels[i] = 0x010203u * (uint32_t)(frame & 63);
		wasmos_display_present(display, pixels, WIDTH * 4);
		if (frame % TELL_FRAMES == 0)
			printf("frames %d\n", frame);
		while (wasmos_input_poll(&e, 1) == 1)
			if (!tell(&e))
				return 7;
	}
	return 0;
}
