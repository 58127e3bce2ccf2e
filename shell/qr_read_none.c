/* qr_read_none.c - no pictures are read on this platform: there is no libzbar. */
#include "shell/qr.h"

enum err qr_read_grey(const uint8_t *pixels, unsigned width, unsigned height, char *text,
                      size_t cap, struct errmsg *msg)
{
	return err_set(msg, ERR_UNSUPPORTED,
	               "pictures are not read on this platform: give the code's text (WASMOS:...)");
}
