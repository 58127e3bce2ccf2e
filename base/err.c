/* err.c - texts of the error list, and message formatting. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const texts[ERR_COUNT] = {
#define ERR(name, text) [ERR_##name] = text,
#include "base/err.def"
#undef ERR
};

static const char *const names[ERR_COUNT] = {
#define ERR(name, text) [ERR_##name] = #name,
#include "base/err.def"
#undef ERR
};

const char *err_text(enum err e)
{
	return (unsigned)e < ERR_COUNT ? texts[e] : "unknown error";
}

const char *err_name(enum err e)
{
	return (unsigned)e < ERR_COUNT ? names[e] : "UNKNOWN";
}

enum err err_set(struct errmsg *msg, enum err e, const char *fmt, ...)
{
	if (msg) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(msg->text, sizeof msg->text, fmt, ap);
		va_end(ap);
	}
	return e;
}

enum err err_prefix(struct errmsg *msg, enum err e, const char *fmt, ...)
{
	if (!msg)
		return e;
	char old[sizeof msg->text];
	memcpy(old, msg->text[0] ? msg->text : err_text(e),
	       msg->text[0] ? sizeof old : strlen(err_text(e)) + 1);
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(msg->text, sizeof msg->text, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof msg->text)
		snprintf(msg->text + n, sizeof msg->text - (size_t)n, ": %s", old);
	return e;
}
