/* share_message.c - calls about shares as bytes, both ways. */
#include "node/links/share_message.h"

#include <stdlib.h>
#include <string.h>

enum { WIRE_VERSION = 1 };

void share_head_put(struct wr *out, enum share_kind kind, uint64_t session)
{
	wr_u8(out, WIRE_VERSION);
	wr_u8(out, (uint8_t)kind);
	wr_u64(out, session);
}

enum err share_head_get(struct rd *in, struct share_head *out)
{
	uint8_t version, kind;
	TRY(rd_u8(in, &version));
	TRY(rd_u8(in, &kind));
	TRY(rd_u64(in, &out->session));
	out->kind = (enum share_kind)kind;
	return version == WIRE_VERSION && kind <= SHARE_FORGET ? ERR_OK : ERR_UNSUPPORTED;
}

void share_list_begin(struct wr *out, uint32_t count)
{
	wr_u16(out, (uint16_t)count);
}

void share_list_put(struct wr *out, const struct share_name *of)
{
	size_t size = strlen(of->name);
	wr_u8(out, of->read_only);
	wr_u16(out, (uint16_t)size);
	wr_bytes(out, of->name, size);
}

static enum err get_name(struct rd *in, struct share_name *out)
{
	uint8_t flag;
	uint16_t size;
	const uint8_t *name;
	TRY(rd_u8(in, &flag));
	TRY(rd_u16(in, &size));
	if (flag > 1 || size > SHARE_NAME_MAX)
		return ERR_MALFORMED;
	TRY(rd_bytes(in, size, &name));
	if (memchr(name, 0, size))
		return ERR_MALFORMED;
	out->read_only = flag;
	memcpy(out->name, name, size);
	return share_name_is_fit(out->name) ? ERR_OK : ERR_MALFORMED;
}

enum err share_list_get(struct rd in, struct share_name **out, uint32_t *count)
{
	uint16_t n;
	TRY(rd_u16(&in, &n));
	if (n > SHARES_MAX)
		return ERR_MALFORMED;
	struct share_name *list = calloc((size_t)n + 1, sizeof *list);
	enum err e = list ? ERR_OK : ERR_NOMEM;
	for (uint16_t i = 0; e == ERR_OK && i < n; i++)
		e = get_name(&in, &list[i]);
	if (e == ERR_OK && rd_left(&in))
		e = ERR_MALFORMED;
	if (e != ERR_OK) {
		free(list);
		return e;
	}
	*out = list;
	*count = n;
	return ERR_OK;
}
