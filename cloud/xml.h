/* xml.h - an answer in XML, read whole: elements by their local names, with their text. Hostile bytes.
 *
 * No document type, no entities but XML's own, at most XML_DEPTH_MAX elements in each other and XML_TEXT_MAX bytes of text in
 * one. Over expat (xml_expat.c); where a build has none (xml_none.c) nothing is read.
 *
 *	struct xml_reader r = {.open = on_open, .close = on_close, .ctx = &listing};
 *	TRY(xml_read(bytes, size, &r, &msg));
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { XML_DEPTH_MAX = 24, XML_TEXT_MAX = 8192, XML_NAME_MAX = 256 };

struct xml_reader {
	/* An element begins; name is without its prefix. False ends the reading: LIMIT. Either may be NULL. */
	bool (*open)(void *ctx, const char *name);
	/* It ends; text is what stood in it but in no element below, with a zero byte behind. */
	bool (*close)(void *ctx, const char *name, const char *text, size_t size);
	void *ctx;
};

/* MALFORMED, LIMIT, NOMEM. What came before the fault has been given out. */
enum err xml_read(const void *bytes, size_t size, const struct xml_reader *r, struct errmsg *msg);
