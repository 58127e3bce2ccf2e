/* qr_make_none.c - no QR codes: this build has no libqrencode. The words and the code's text do the same. */
#include "shell/qr.h"

enum err qr_make(const char *text, struct qr_code *out, struct errmsg *msg)
{
	out->size = 0;
	return err_set(msg, ERR_UNSUPPORTED,
	               "this build draws no QR codes; type the words on the other device");
}
