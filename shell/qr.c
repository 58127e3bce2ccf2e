/* qr.c - a QR code in a terminal and as a PNG file, and a PNG file on its way to the library that reads it. */
#include "shell/qr.h"

#include "base/file.h"
#include "node/drivers/frame_png.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS = 8, FILE_MAX = 32 << 20 };

/* Dark; the margin is not. */
static bool is_dark(const struct qr_code *q, int x, int y)
{
	int size = (int)q->size;
	return x >= 0 && y >= 0 && x < size && y < size && q->dark[y * size + x];
}

/* Two modules a character: black half blocks on white. */
void qr_print(const struct qr_code *q, FILE *out)
{
	static const char *const blocks[4] = {" ", "\xe2\x96\x80", "\xe2\x96\x84", "\xe2\x96\x88"};
	int end = (int)q->size + QR_QUIET;
	for (int y = -QR_QUIET; y < end; y += 2) {
		fputs("\x1b[38;5;16;48;5;231m", out);
		for (int x = -QR_QUIET; x < end; x++)
			fputs(blocks[is_dark(q, x, y) + 2 * is_dark(q, x, y + 1)], out);
		fputs("\x1b[0m\n", out);
	}
}

enum err qr_png(const struct qr_code *q, struct wr *out, struct errmsg *msg)
{
	unsigned side = (q->size + 2 * QR_QUIET) * PIXELS;
	uint8_t *grey = malloc((size_t)side * side);
	if (!grey)
		return err_set(msg, ERR_NOMEM, "out of memory");
	for (unsigned y = 0; y < side; y++)
		for (unsigned x = 0; x < side; x++)
			grey[y * side + x] =
			    is_dark(q, (int)(x / PIXELS) - QR_QUIET, (int)(y / PIXELS) - QR_QUIET)
			        ? 0
			        : 255;
	enum err e = png_write_grey(grey, side, side, out);
	free(grey);
	return e == ERR_OK ? e : err_set(msg, e, "the picture cannot be made");
}

static enum err read_file(const char *path, struct wr *out, struct errmsg *msg)
{
	FILE *f = file_stream(path, "rb");
	uint8_t part[4096];
	size_t n;
	if (!f)
		return err_set(msg, ERR_NOTFOUND, "%.200s: %s", path, strerror(errno));
	while (out->size < FILE_MAX && (n = fread(part, 1, sizeof part, f)) > 0)
		wr_bytes(out, part, n);
	bool bad = ferror(f) != 0;
	fclose(f);
	if (bad || !wr_ok(out))
		return err_set(msg, ERR_IO, "%.200s cannot be read", path);
	return out->size < FILE_MAX ? ERR_OK : err_set(msg, ERR_LIMIT, "%.200s is too large", path);
}

enum err qr_read_png(const char *path, char *text, size_t cap, struct errmsg *msg)
{
	struct wr file = {0};
	uint8_t *grey = NULL;
	unsigned width = 0, height = 0;
	enum err e = read_file(path, &file, msg);
	if (e == ERR_OK) {
		e = png_read_grey(file.data, file.size, &grey, &width, &height);
		if (e != ERR_OK)
			err_set(msg, e, "%.200s is no PNG picture of at most %d x %d", path,
			        PNG_READ_MAX, PNG_READ_MAX);
	}
	if (e == ERR_OK)
		e = qr_read_grey(grey, width, height, text, cap, msg);
	free(grey);
	wr_free(&file);
	return e;
}
