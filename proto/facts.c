/* facts.c - facts as bytes: the fixed ones, then the addresses. */
#include "proto/facts.h"

#include <assert.h>
#include <string.h>

static uint8_t *put(uint8_t *p, uint64_t v, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		*p++ = (uint8_t)(v >> 8 * i);
	return p;
}

size_t facts_write(const struct facts *f, uint8_t out[FACTS_MAX])
{
	uint8_t *p = out;
	assert(f->address_count <= FACTS_ADDRESSES_MAX && f->load_percent <= 100);
	p = put(p, FACTS_FORMAT, 1);
	p = put(p, f->load_percent, 1);
	p = put(p, f->battery_percent, 1);
	p = put(p, f->processor, 1);
	p = put(p, f->cores, 1);
	p = put(p, f->abilities, 1);
	p = put(p, f->memory_mib, 4);
	p = put(p, f->memory_free_mib, 4);
	p = put(p, f->address_count, 1);
	for (unsigned i = 0; i < f->address_count; i++) {
		const struct facts_address *a = &f->addresses[i];
		assert(a->size == 4 || a->size == 16);
		p = put(p, a->size, 1);
		memcpy(p, a->bytes, a->size);
		p = put(p + a->size, a->port, 2);
	}
	assert(p <= out + FACTS_MAX);
	return (size_t)(p - out);
}

static enum err read_address(struct rd *r, struct facts_address *a)
{
	const uint8_t *bytes;
	TRY(rd_u8(r, &a->size));
	if (a->size != 4 && a->size != 16)
		return ERR_MALFORMED;
	TRY(rd_bytes(r, a->size, &bytes));
	memcpy(a->bytes, bytes, a->size);
	return rd_u16(r, &a->port);
}

static enum err read_fixed(struct rd *r, struct facts *f)
{
	TRY(rd_u8(r, &f->load_percent));
	TRY(rd_u8(r, &f->battery_percent));
	TRY(rd_u8(r, &f->processor));
	TRY(rd_u8(r, &f->cores));
	TRY(rd_u8(r, &f->abilities));
	TRY(rd_u32(r, &f->memory_mib));
	TRY(rd_u32(r, &f->memory_free_mib));
	TRY(rd_u8(r, &f->address_count));
	bool battery = f->battery_percent <= 100 || f->battery_percent == FACTS_NO_BATTERY;
	if (f->load_percent > 100 || !battery || f->address_count > FACTS_ADDRESSES_MAX)
		return ERR_MALFORMED;
	return ERR_OK;
}

static enum err read_all(struct rd *r, struct facts *f)
{
	uint8_t format;
	TRY(rd_u8(r, &format));
	if (format != FACTS_FORMAT)
		return ERR_UNSUPPORTED;
	TRY(read_fixed(r, f));
	for (unsigned i = 0; i < f->address_count; i++)
		TRY(read_address(r, &f->addresses[i]));
	return rd_left(r) ? ERR_MALFORMED : ERR_OK;
}

enum err facts_read(const void *bytes, size_t size, struct facts *out)
{
	struct rd r = rd_of(bytes, size);
	memset(out, 0, sizeof *out);
	enum err e = size > FACTS_MAX ? ERR_LIMIT : read_all(&r, out);
	if (e != ERR_OK)
		memset(out, 0, sizeof *out);
	return e;
}
