/* xml_expat.c - xml.h over expat, and the only file that includes it. */
#include "cloud/xml.h"

#include <expat.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Texts of the open elements stand behind each other: an element's begins at from[depth - 1]. Expat may call handlers once
 * more after it was told to stop: they do nothing then. */
struct reading {
	const struct xml_reader *r;
	XML_Parser parser;
	enum err err;
	unsigned depth;
	size_t from[XML_DEPTH_MAX];
	size_t used;
	char text[2 * XML_TEXT_MAX + 1];
};

static void stop(struct reading *in, enum err e)
{
	if (in->err == ERR_OK)
		in->err = e;
	XML_StopParser(in->parser, XML_FALSE);
}

/* "http://s3.amazonaws.com/doc/2006-03-01/|Key" */
static const char *local(const char *name)
{
	const char *bar = strrchr(name, '|');
	return bar ? bar + 1 : name;
}

static void on_open(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
	struct reading *in = ctx;
	if (in->err != ERR_OK)
		return;
	if (in->depth == XML_DEPTH_MAX || strlen(local(name)) > XML_NAME_MAX) {
		stop(in, ERR_LIMIT);
		return;
	}
	in->from[in->depth++] = in->used;
	if (in->r->open && !in->r->open(in->r->ctx, local(name)))
		stop(in, ERR_LIMIT);
}

static void on_close(void *ctx, const XML_Char *name)
{
	struct reading *in = ctx;
	if (in->err != ERR_OK)
		return;
	size_t from = in->from[--in->depth];
	in->text[in->used] = 0;
	if (in->r->close &&
	    !in->r->close(in->r->ctx, local(name), in->text + from, in->used - from))
		stop(in, ERR_LIMIT);
	in->used = from;
}

static void on_text(void *ctx, const XML_Char *text, int size)
{
	struct reading *in = ctx;
	size_t n = (size_t)size;
	if (in->err != ERR_OK)
		return;
	size_t own = in->depth ? in->used - in->from[in->depth - 1] : 0;
	if (n > XML_TEXT_MAX - own || n > sizeof in->text - 1 - in->used) {
		stop(in, ERR_LIMIT);
		return;
	}
	memcpy(in->text + in->used, text, n);
	in->used += n;
}

static void on_doctype(void *ctx, const XML_Char *name, const XML_Char *system,
                       const XML_Char *public, int has_internal)
{
	stop(ctx, ERR_MALFORMED);
}

enum err xml_read(const void *bytes, size_t size, const struct xml_reader *r, struct errmsg *msg)
{
	if (size > INT_MAX)
		return err_set(msg, ERR_LIMIT, "the answer has %zu bytes", size);
	struct reading *in = calloc(1, sizeof *in);
	if (in)
		in->parser = XML_ParserCreateNS(NULL, '|');
	if (!in || !in->parser) {
		free(in);
		return err_set(msg, ERR_NOMEM, "out of memory");
	}
	in->r = r;
	XML_SetUserData(in->parser, in);
	XML_SetElementHandler(in->parser, on_open, on_close);
	XML_SetCharacterDataHandler(in->parser, on_text);
	XML_SetStartDoctypeDeclHandler(in->parser, on_doctype);
	bool whole = XML_Parse(in->parser, bytes, (int)size, XML_TRUE) == XML_STATUS_OK;
	enum err e = in->err != ERR_OK ? in->err : whole ? ERR_OK : ERR_MALFORMED;
	if (e != ERR_OK)
		err_set(msg, e, "the server's XML, line %lu: %s",
		        (unsigned long)XML_GetCurrentLineNumber(in->parser),
		        in->err != ERR_OK ? err_text(e)
		                          : XML_ErrorString(XML_GetErrorCode(in->parser)));
	XML_ParserFree(in->parser);
	free(in);
	return e;
}
