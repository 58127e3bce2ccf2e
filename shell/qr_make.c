/* qr_make.c - QR codes by libqrencode; the only file that includes it. */
#include "shell/qr.h"

#include <qrencode.h>
#include <string.h>

enum err qr_make(const char *text, struct qr_code *out, struct errmsg *msg)
{
	static const QRecLevel levels[] = {QR_ECLEVEL_M, QR_ECLEVEL_L};
	QRcode *made = NULL;
	memset(out, 0, sizeof *out);
	for (int i = 0; i < 2 && (!made || made->width > QR_SIZE_MAX); i++) {
		QRcode_free(made);
		made = QRcode_encodeString(text, 0, levels[i], QR_MODE_8, 1);
	}
	if (!made || made->width > QR_SIZE_MAX) {
		QRcode_free(made);
		return err_set(msg, ERR_LIMIT, "the code is too long for a picture that fits here");
	}
	out->size = (unsigned)made->width;
	for (unsigned i = 0; i < out->size * out->size; i++)
		out->dark[i] = made->data[i] & 1;
	QRcode_free(made);
	return ERR_OK;
}
