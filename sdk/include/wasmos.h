/* wasmos.h - what a guest includes to reach the screen, the keyboard and the speaker of WasmOS.
 *
 * The calls are listed and explained once, in ../abi/wasmos.def (docs/ABI.md is the same as a page);
 * here they become imports of the module "wasmos", each with the prefix wasmos_. Results below 0 are
 * negated WASI errnos. Nothing here allocates or keeps a pointer after it returned.
 *
 *	int32_t display = wasmos_display_open(320, 200, WASMOS_INDEXED8);
 *	wasmos_display_palette(display, 0, 256, palette);
 *	for (;;)
 *		wasmos_display_present(display, draw(), 320);
 *
 * The node includes this file too, for the constants and struct wasmos_event.
 */
#pragma once

#include <stdint.h>

enum wasmos_format {
	WASMOS_XRGB8888 = 1, /* 32 bits a pixel, 0x00RRGGBB little-endian */
	WASMOS_INDEXED8 = 2, /* 8 bits a pixel, an entry of the palette */
};

enum wasmos_event_type {
	WASMOS_KEY = 1,     /* code: USB HID usage on page 7; value: WASMOS_UP, _DOWN or _REPEAT */
	WASMOS_TEXT = 2,    /* code: one Unicode scalar that typing produced */
	WASMOS_POINTER = 3, /* x, y: place in frame pixels (0, 0 is top left); dx, dy: movement */
	WASMOS_BUTTON =
	    4, /* code: 1 left, 2 middle, 3 right, 4, 5; value: WASMOS_UP or _DOWN; x, y */
	WASMOS_WHEEL = 5, /* dx, dy: notches, right and away from the person are positive */
	WASMOS_FOCUS = 6, /* value: 1 when the display got the keyboard, 0 when it lost it */
	WASMOS_QUIT = 7,  /* the person closed the display: save and exit */
};

enum wasmos_key_value {
	WASMOS_UP = 0,
	WASMOS_DOWN = 1,
	WASMOS_REPEAT = 2,
};

enum wasmos_mods {
	WASMOS_SHIFT = 1,
	WASMOS_CTRL = 2,
	WASMOS_ALT = 4,
	WASMOS_META = 8,
};

/* 28 bytes, little-endian; what a type does not use is 0. */
struct wasmos_event {
	uint16_t type; /* enum wasmos_event_type */
	uint16_t mods; /* enum wasmos_mods, or-ed: held while it happened */
	uint32_t code;
	int32_t value;
	int32_t x, y;
	int32_t dx, dy;
};

_Static_assert(sizeof(struct wasmos_event) == 28, "the event's layout is part of the ABI");

#define WASMOS_FOREVER UINT64_MAX

#ifdef __wasm__
#define HOST_SECTION(title, text)
#define HOST_CALL(name, signature, result, parameters, text) \
	__attribute__((import_module("wasmos"),              \
	               import_name(#name))) result wasmos_##name parameters;
#include "../abi/wasmos.def"
#undef HOST_CALL
#undef HOST_SECTION
#endif
