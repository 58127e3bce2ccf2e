/* ferr.c - texts of file errors. */
#include "vfs/ferr.h"

const char *ferr_text(enum ferr e)
{
	switch (e) {
#define FERR(number, name, text) \
	case FE_##name: return text;
#include "vfs/ferr.def"
#undef FERR
	case FE_COUNT: break;
	}
	return "unknown file error";
}
