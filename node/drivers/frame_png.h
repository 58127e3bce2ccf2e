/* frame_png.h - a frame as a PNG file. Any thread; allocates only into the writer. */
#pragma once

#include "node/drivers/panel.h"

/* Appends the PNG of a frame (seq not 0): with its palette when it has one, pixels as the guest drew
 * them. ERR_NOMEM. */
enum err png_write(const struct panel_frame *f, struct wr *out, struct errmsg *msg);
