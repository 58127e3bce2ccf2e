/* frame_png.c - PNG files, by libpng; the only file that includes it. */
#include "node/drivers/frame_png.h"

#include <png.h>
#include <stdlib.h>

/* The pixels as libpng wants them: indices as they are, or red, green, blue. */
static uint8_t *rgb_pixels(const struct panel_frame *f)
{
	size_t count = (size_t)f->mode.width * f->mode.height;
	uint8_t *rgb = malloc(count * 3);

	for (size_t i = 0; rgb != NULL && i < count; i++) {
		const uint8_t *xrgb = f->pixels + i * 4;
		rgb[i * 3] = xrgb[2];
		rgb[i * 3 + 1] = xrgb[1];
		rgb[i * 3 + 2] = xrgb[0];
	}
	return rgb;
}

static void colour_map(const struct panel_frame *f, uint8_t map[256 * 3])
{
	for (int i = 0; i < 256; i++) {
		map[i * 3] = (uint8_t)(f->palette[i] >> 16);
		map[i * 3 + 1] = (uint8_t)(f->palette[i] >> 8);
		map[i * 3 + 2] = (uint8_t)f->palette[i];
	}
}

static enum err write_image(png_image *image, const uint8_t *pixels, const uint8_t *map,
                            struct wr *out)
{
	png_alloc_size_t size = 0;
	uint8_t *room;

	/* First to learn the size. */
	if (!png_image_write_to_memory(image, NULL, &size, 0, pixels, 0, map))
		return ERR_NOMEM;
	room = wr_space(out, size);
	if (room == NULL || !png_image_write_to_memory(image, room, &size, 0, pixels, 0, map))
		return ERR_NOMEM;
	return ERR_OK;
}

enum err png_write(const struct panel_frame *f, struct wr *out, struct errmsg *msg)
{
	bool indexed = f->mode.format == WASMOS_INDEXED8;
	png_image image = {
	    .version = PNG_IMAGE_VERSION,
	    .width = f->mode.width,
	    .height = f->mode.height,
	    .format = indexed ? PNG_FORMAT_RGB_COLORMAP : PNG_FORMAT_RGB,
	    .colormap_entries = indexed ? 256 : 0,
	};
	uint8_t map[256 * 3];
	uint8_t *rgb = indexed ? NULL : rgb_pixels(f);
	enum err e = ERR_NOMEM;

	colour_map(f, map);
	if (indexed || rgb != NULL)
		e = write_image(&image, indexed ? f->pixels : rgb, indexed ? map : NULL, out);
	png_image_free(&image);
	free(rgb);
	return e == ERR_OK ? ERR_OK : err_set(msg, e, "out of memory for the PNG");
}

enum err png_write_grey(const uint8_t *pixels, unsigned width, unsigned height, struct wr *out)
{
	png_image image = {.version = PNG_IMAGE_VERSION,
	                   .width = width,
	                   .height = height,
	                   .format = PNG_FORMAT_GRAY};
	enum err e = write_image(&image, pixels, NULL, out);
	png_image_free(&image);
	return e;
}

enum err png_read_grey(const void *file, size_t size, uint8_t **pixels, unsigned *width,
                       unsigned *height)
{
	png_image image = {.version = PNG_IMAGE_VERSION};
	png_color white = {255, 255, 255};
	enum err e = ERR_OK;
	*pixels = NULL;
	if (!png_image_begin_read_from_memory(&image, file, size))
		e = ERR_MALFORMED;
	else if (image.width > PNG_READ_MAX || image.height > PNG_READ_MAX)
		e = ERR_LIMIT;
	image.format = PNG_FORMAT_GRAY;
	*width = image.width;
	*height = image.height;
	if (e == ERR_OK && !(*pixels = malloc((size_t)image.width * image.height)))
		e = ERR_NOMEM;
	if (e == ERR_OK && !png_image_finish_read(&image, &white, *pixels, 0, NULL))
		e = ERR_MALFORMED;
	if (e != ERR_OK) {
		free(*pixels);
		*pixels = NULL;
	}
	png_image_free(&image);
	return e;
}
