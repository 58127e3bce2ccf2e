/* qr.h - QR codes: a text as a picture in the terminal or a PNG file, and the text of a picture.
 *
 * Making them needs libqrencode (qr_make.c; qr_make_none.c where the build has none), reading them libzbar, which is loaded while
 * running (qr_read_linux.c; qr_read_none.c elsewhere). The shell's thread; may allocate.
 *
 *	struct qr_code q;
 *	if (qr_make(text, &q) == ERR_OK) {
 *		qr_print(&q, stdout);
 *		qr_free(&q);
 *	}
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#include <stdio.h>

enum {
	QR_QUIET = 4,     /* modules of margin, as the standard wants */
	QR_SIZE_MAX = 49, /* modules: version 8. With the margin 29 rows of a terminal */
};

struct qr_code {
	unsigned size;                           /* modules in a row */
	uint8_t dark[QR_SIZE_MAX * QR_SIZE_MAX]; /* 1: dark; rows without gaps */
};

/* Of capitals, digits and " $%*+-./:" it holds some 250. ERR_LIMIT: too much; ERR_UNSUPPORTED: this build makes none. */
enum err qr_make(const char *text, struct qr_code *out, struct errmsg *msg);
/* At most 29 rows of half blocks, dark on light whatever the terminal's colours. */
void qr_print(const struct qr_code *q, FILE *out);
/* Appends a PNG file, 8 pixels a module. */
enum err qr_png(const struct qr_code *q, struct wr *out, struct errmsg *msg);

/* The text of the one QR code in a picture of grey pixels. ERR_NOTFOUND: there is none; ERR_UNSUPPORTED: no library for that. */
enum err qr_read_grey(const uint8_t *pixels, unsigned width, unsigned height, char *text,
                      size_t cap, struct errmsg *msg);
/* Of a PNG file. */
enum err qr_read_png(const char *path, char *text, size_t cap, struct errmsg *msg);
