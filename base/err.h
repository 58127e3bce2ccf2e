/* err.h - the one list of errors, and the message that goes with one.
 *
 * A function that can fail returns enum err; the place that knows what went wrong writes one clear
 * message into the caller's struct errmsg (what, where, with numbers) and callers may prefix it.
 * Traps, stops and blocked calls are results of a run, not errors. Any thread; nothing allocates.
 *
 *	struct errmsg msg = {0};
 *	if (module_load(bytes, size, &limits, &m, &msg) != ERR_OK)
 *		fprintf(stderr, "wasmos: %s\n", msg.text);
 */
#pragma once

enum err {
#define ERR(name, text) ERR_##name,
#include "base/err.def"
#undef ERR
	ERR_COUNT
};

struct errmsg {
	char text[320];
};

/* The fixed text of a code ("out of memory"). Never NULL. */
const char *err_text(enum err e);

/* The name of a code ("NOMEM"). Never NULL. */
const char *err_name(enum err e);

/* Formats into msg (which may be NULL) and returns e: `return err_set(msg, ERR_LIMIT, "...", n);` */
enum err err_set(struct errmsg *msg, enum err e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before what msg says; an empty message becomes the code's text. Returns e. */
enum err err_prefix(struct errmsg *msg, enum err e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Returns from the calling function when expr fails. Only where nothing has to be released. */
#define TRY(expr)                           \
	do {                                \
		enum err try_err_ = (expr); \
		if (try_err_ != ERR_OK)     \
			return try_err_;    \
	} while (0)
