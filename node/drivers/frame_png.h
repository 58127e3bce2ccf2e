/* frame_png.h - PNG files: a frame as one, and pictures in grey (QR codes) both ways. Any thread; allocates only what it gives. */
#pragma once

#include "node/drivers/panel.h"

/* Appends the PNG of a frame (seq not 0): with its palette when it has one, pixels as the guest drew
 * them. ERR_NOMEM. */
enum err png_write(const struct panel_frame *f, struct wr *out, struct errmsg *msg);

enum { PNG_READ_MAX = 8192 /* pixels a side */ };
/* width x height pixels, a byte each: 0 black. ERR_NOMEM. */
enum err png_write_grey(const uint8_t *pixels, unsigned width, unsigned height, struct wr *out);
/* Any PNG, what is transparent on white, as pixels in grey (free()). ERR_MALFORMED, ERR_LIMIT. */
enum err png_read_grey(const void *file, size_t size, uint8_t **pixels, unsigned *width,
                       unsigned *height);
