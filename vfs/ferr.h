/* ferr.h - the one list of file errors.
 *
 * File operations answer a guest, and guests ask finer questions than enum err has answers (is it
 * missing, or not a directory, or a loop?). So vfs/ operations return enum ferr; its numbers are
 * WASI's errno. enum err is used where the caller is the node (saving, loading, mounting). Any
 * thread; nothing allocates.
 */
#pragma once

enum ferr {
#define FERR(number, name, text) FE_##name = number,
#include "vfs/ferr.def"
#undef FERR
	FE_COUNT
};

/* The fixed text of a code ("no such file or directory"). Never NULL. */
const char *ferr_text(enum ferr e);

/* Returns from the calling function when expr fails. Only where nothing has to be released. */
#define FTRY(expr)                            \
	do {                                  \
		enum ferr ftry_err_ = (expr); \
		if (ftry_err_ != FE_OK)       \
			return ftry_err_;     \
	} while (0)
