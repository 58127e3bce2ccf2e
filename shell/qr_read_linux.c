/* qr_read_linux.c - QR codes in pictures by libzbar, which is loaded while running: it brings a dozen libraries along, and most
 * commands need none of them. What is called of it stands below as its zbar.h has it. */
#include "shell/qr.h"

#include <dlfcn.h>
#include <string.h>

/* ZBAR_CALL(result, name, arguments) */
#define ZBAR_CALLS                                                                           \
	ZBAR_CALL(void *, zbar_image_scanner_create, (void))                                 \
	ZBAR_CALL(void, zbar_image_scanner_destroy, (void *scanner))                         \
	ZBAR_CALL(int, zbar_image_scanner_set_config,                                        \
	          (void *scanner, int symbology, int config, int value))                     \
	ZBAR_CALL(int, zbar_scan_image, (void *scanner, void *image))                        \
	ZBAR_CALL(void *, zbar_image_create, (void))                                         \
	ZBAR_CALL(void, zbar_image_destroy, (void *image))                                   \
	ZBAR_CALL(void, zbar_image_set_format, (void *image, unsigned long fourcc))          \
	ZBAR_CALL(void, zbar_image_set_size, (void *image, unsigned width, unsigned height)) \
	ZBAR_CALL(void, zbar_image_set_data,                                                 \
	          (void *image, const void *data, unsigned long size, void *cleanup))        \
	ZBAR_CALL(const void *, zbar_image_first_symbol, (const void *image))                \
	ZBAR_CALL(const void *, zbar_symbol_next, (const void *symbol))                      \
	ZBAR_CALL(const char *, zbar_symbol_get_data, (const void *symbol))

enum { ZBAR_NONE = 0, ZBAR_QRCODE = 64, ZBAR_CFG_ENABLE = 0 };

struct zbar {
	void *library;
#define ZBAR_CALL(result, name, arguments) result(*name) arguments;
	ZBAR_CALLS
#undef ZBAR_CALL
};

static enum err zbar_load(struct zbar *z, struct errmsg *msg)
{
	z->library = dlopen("libzbar.so.0", RTLD_NOW | RTLD_LOCAL);
	if (!z->library)
		return err_set(
		    msg, ERR_UNSUPPORTED,
		    "pictures are read by libzbar, which is not installed (libzbar0); or "
		    "give the code's text (WASMOS:...)");
#define ZBAR_CALL(result, name, arguments)                           \
	if ((*(void **)&z->name = dlsym(z->library, #name)) == NULL) \
		return err_set(msg, ERR_UNSUPPORTED, "libzbar lacks %s", #name);
	ZBAR_CALLS
#undef ZBAR_CALL
	return ERR_OK;
}

/* The longest text that fits; pictures have more than one code seldom, and then the longest is ours. */
static bool take_text(const struct zbar *z, const void *image, char *text, size_t cap)
{
	const void *s = z->zbar_image_first_symbol(image);
	text[0] = 0;
	for (; s; s = z->zbar_symbol_next(s)) {
		const char *data = z->zbar_symbol_get_data(s);
		if (data && strlen(data) < cap && strlen(data) > strlen(text))
			strcpy(text, data);
	}
	return text[0] != 0;
}

static bool scan(const struct zbar *z, const uint8_t *pixels, unsigned width, unsigned height,
                 char *text, size_t cap)
{
	static const unsigned long grey = 'Y' | '8' << 8 | '0' << 16 | (unsigned long)'0' << 24;
	void *scanner = z->zbar_image_scanner_create(), *image = z->zbar_image_create();
	bool found = false;
	if (scanner && image) {
		z->zbar_image_scanner_set_config(scanner, ZBAR_NONE, ZBAR_CFG_ENABLE, 0);
		z->zbar_image_scanner_set_config(scanner, ZBAR_QRCODE, ZBAR_CFG_ENABLE, 1);
		z->zbar_image_set_format(image, grey);
		z->zbar_image_set_size(image, width, height);
		z->zbar_image_set_data(image, pixels, (unsigned long)width * height, NULL);
		found = z->zbar_scan_image(scanner, image) > 0 && take_text(z, image, text, cap);
	}
	if (image)
		z->zbar_image_destroy(image);
	if (scanner)
		z->zbar_image_scanner_destroy(scanner);
	return found;
}

enum err qr_read_grey(const uint8_t *pixels, unsigned width, unsigned height, char *text,
                      size_t cap, struct errmsg *msg)
{
	struct zbar z = {0};
	enum err e = zbar_load(&z, msg);
	if (e == ERR_OK && !scan(&z, pixels, width, height, text, cap))
		e = err_set(msg, ERR_NOTFOUND, "there is no QR code in the picture");
	if (z.library)
		dlclose(z.library);
	return e;
}
