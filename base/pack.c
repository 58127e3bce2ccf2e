/* pack.c - strict msgpack; the only file that includes msgpack.h.
 *
 * Writing is msgpack-c's packer, which always takes the shortest form. Reading is a cursor of our
 * own: msgpack-c decodes into a tree it allocates by the counts the bytes claim, before they were
 * seen (docs/RATIONALE.md), while every use here knows the type it expects next. Each value begins
 * with a head - one byte, perhaps followed by a big-endian number - which head_read() takes apart:
 *
 *	00-7f int | 80-8f map | 90-9f array | a0-bf str | c0 nil | c2-c3 bool | c4-c6 bin 8/16/32
 *	cb double | cc-cf uint 8-64 | d0-d3 int 8-64 | d9-db str 8/16/32 | dc-dd array 16/32
 *	de-df map 16/32 | e0-ff negative int | others: refused
 */
#include "base/pack.h"

#include <msgpack/pack.h>
#include <string.h>

struct head {
	enum pack_type type;
	uint64_t n;    /* value of an int (two's complement), bits of a double, size or count */
	bool negative; /* PACK_INT: n is negative */
};

/* --- writing --- */

static int put(void *data, const char *bytes, size_t size)
{
	wr_bytes(data, bytes, size);
	return 0; /* a failed writer remembers it */
}

static msgpack_packer packer_of(struct wr *w)
{
	msgpack_packer pk;
	msgpack_packer_init(&pk, w, put);
	return pk;
}

void pack_nil(struct wr *w)
{
	msgpack_packer pk = packer_of(w);
	msgpack_pack_nil(&pk);
}

void pack_bool(struct wr *w, bool v)
{
	msgpack_packer pk = packer_of(w);
	if (v)
		msgpack_pack_true(&pk);
	else
		msgpack_pack_false(&pk);
}

void pack_u64(struct wr *w, uint64_t v)
{
	msgpack_packer pk = packer_of(w);
	msgpack_pack_uint64(&pk, v);
}

void pack_i64(struct wr *w, int64_t v)
{
	msgpack_packer pk = packer_of(w);
	msgpack_pack_int64(&pk, v);
}

void pack_double(struct wr *w, double v)
{
	msgpack_packer pk = packer_of(w);
	msgpack_pack_double(&pk, v);
}

void pack_str(struct wr *w, const char *bytes, size_t size)
{
	msgpack_packer pk = packer_of(w);
	if (size > UINT32_MAX) {
		w->failed = true;
		return;
	}
	msgpack_pack_str(&pk, size);
	msgpack_pack_str_body(&pk, bytes, size);
}

void pack_text(struct wr *w, const char *zero_terminated)
{
	pack_str(w, zero_terminated, strlen(zero_terminated));
}

void pack_bin(struct wr *w, const void *bytes, size_t size)
{
	msgpack_packer pk = packer_of(w);
	if (size > UINT32_MAX) {
		w->failed = true;
		return;
	}
	msgpack_pack_bin(&pk, size);
	msgpack_pack_bin_body(&pk, bytes, size);
}

void pack_array(struct wr *w, uint32_t count)
{
	msgpack_packer pk = packer_of(w);
	msgpack_pack_array(&pk, count);
}

void pack_map(struct wr *w, uint32_t count)
{
	msgpack_packer pk = packer_of(w);
	msgpack_pack_map(&pk, count);
}

/* --- reading --- */

/* A big-endian number of size bytes that the shorter form (at most below) could not have held. */
static enum err head_number(struct rd *r, unsigned size, uint64_t below, uint64_t *out)
{
	const uint8_t *p;
	uint64_t v = 0;
	TRY(rd_bytes(r, size, &p));
	for (unsigned i = 0; i < size; i++)
		v = v << 8 | p[i];
	*out = v;
	return v > below ? ERR_OK : ERR_MALFORMED;
}

static enum err head_sized(struct rd *r, struct head *h, enum pack_type type, unsigned size,
                           uint64_t below)
{
	h->type = type;
	return head_number(r, size, below, &h->n);
}

/* d0-d3: negative only, and below what the next shorter signed form reaches. */
static enum err head_negative(struct rd *r, struct head *h, unsigned size)
{
	static const int64_t least[] = {
	    [1] = -32, [2] = INT8_MIN, [4] = INT16_MIN, [8] = INT32_MIN};
	const uint8_t *p;
	TRY(rd_bytes(r, size, &p));
	uint64_t v = p[0] & 0x80 ? ~(uint64_t)0 : 0;
	for (unsigned i = 0; i < size; i++)
		v = v << 8 | p[i];
	h->type = PACK_INT;
	h->n = v;
	h->negative = true;
	return (int64_t)v < least[size] ? ERR_OK : ERR_MALFORMED;
}

static enum err head_double(struct rd *r, struct head *h)
{
	const uint8_t *p;
	TRY(rd_bytes(r, 8, &p));
	h->type = PACK_DOUBLE;
	for (unsigned i = 0; i < 8; i++)
		h->n = h->n << 8 | p[i];
	return ERR_OK;
}

static enum err head_long(struct rd *r, uint8_t b, struct head *h)
{
	switch (b) {
	case 0xc0: h->type = PACK_NIL; return ERR_OK;
	case 0xc2:
	case 0xc3:
		h->type = PACK_BOOL;
		h->n = b & 1;
		return ERR_OK;
	case 0xc4: h->type = PACK_BIN; return rd_left(r) ? (h->n = *r->p++, ERR_OK) : ERR_MALFORMED;
	case 0xc5: return head_sized(r, h, PACK_BIN, 2, UINT8_MAX);
	case 0xc6: return head_sized(r, h, PACK_BIN, 4, UINT16_MAX);
	case 0xcb: return head_double(r, h);
	case 0xcc: return head_sized(r, h, PACK_INT, 1, 0x7f);
	case 0xcd: return head_sized(r, h, PACK_INT, 2, UINT8_MAX);
	case 0xce: return head_sized(r, h, PACK_INT, 4, UINT16_MAX);
	case 0xcf: return head_sized(r, h, PACK_INT, 8, UINT32_MAX);
	case 0xd0: return head_negative(r, h, 1);
	case 0xd1: return head_negative(r, h, 2);
	case 0xd2: return head_negative(r, h, 4);
	case 0xd3: return head_negative(r, h, 8);
	case 0xd9: return head_sized(r, h, PACK_STR, 1, 31);
	case 0xda: return head_sized(r, h, PACK_STR, 2, UINT8_MAX);
	case 0xdb: return head_sized(r, h, PACK_STR, 4, UINT16_MAX);
	case 0xdc: return head_sized(r, h, PACK_ARRAY, 2, 15);
	case 0xdd: return head_sized(r, h, PACK_ARRAY, 4, UINT16_MAX);
	case 0xde: return head_sized(r, h, PACK_MAP, 2, 15);
	case 0xdf: return head_sized(r, h, PACK_MAP, 4, UINT16_MAX);
	default: return ERR_MALFORMED;
	}
}

/* Takes a head; for strings, binaries, arrays and maps the contents follow. May move r on error:
 * callers work on a copy. */
static enum err head_read(struct rd *r, struct head *h)
{
	uint8_t b;
	*h = (struct head){.type = PACK_OTHER};
	TRY(rd_u8(r, &b));
	if (b <= 0x7f || b >= 0xe0)
		*h = (struct head){PACK_INT, (uint64_t)(int64_t)(int8_t)b, b >= 0xe0};
	else if (b <= 0x8f)
		*h = (struct head){PACK_MAP, b & 0x0f, false};
	else if (b <= 0x9f)
		*h = (struct head){PACK_ARRAY, b & 0x0f, false};
	else if (b <= 0xbf)
		*h = (struct head){PACK_STR, b & 0x1f, false};
	else
		return head_long(r, b, h);
	return ERR_OK;
}

static enum err head_of_type(struct rd *r, enum pack_type type, struct head *h)
{
	TRY(head_read(r, h));
	return h->type == type ? ERR_OK : ERR_MALFORMED;
}

enum pack_type unpack_peek(const struct rd *r)
{
	struct rd copy = *r;
	struct head h;
	if (!rd_left(r))
		return PACK_END;
	return head_read(&copy, &h) == ERR_OK ? h.type : PACK_OTHER;
}

enum err unpack_nil(struct rd *r)
{
	struct rd at = *r;
	struct head h;
	TRY(head_of_type(&at, PACK_NIL, &h));
	*r = at;
	return ERR_OK;
}

enum err unpack_bool(struct rd *r, bool *out)
{
	struct rd at = *r;
	struct head h;
	TRY(head_of_type(&at, PACK_BOOL, &h));
	*out = h.n != 0;
	*r = at;
	return ERR_OK;
}

static enum err unpack_unsigned(struct rd *r, uint64_t max, uint64_t *out)
{
	struct rd at = *r;
	struct head h;
	TRY(head_of_type(&at, PACK_INT, &h));
	if (h.negative || h.n > max)
		return ERR_MALFORMED;
	*out = h.n;
	*r = at;
	return ERR_OK;
}

static enum err unpack_signed(struct rd *r, int64_t min, int64_t max, int64_t *out)
{
	struct rd at = *r;
	struct head h;
	TRY(head_of_type(&at, PACK_INT, &h));
	if (!h.negative && h.n > INT64_MAX)
		return ERR_MALFORMED;
	int64_t v = (int64_t)h.n;
	if (v < min || v > max)
		return ERR_MALFORMED;
	*out = v;
	*r = at;
	return ERR_OK;
}

enum err unpack_u64(struct rd *r, uint64_t *out)
{
	return unpack_unsigned(r, UINT64_MAX, out);
}

enum err unpack_u32(struct rd *r, uint32_t *out)
{
	uint64_t v;
	TRY(unpack_unsigned(r, UINT32_MAX, &v));
	*out = (uint32_t)v;
	return ERR_OK;
}

enum err unpack_u16(struct rd *r, uint16_t *out)
{
	uint64_t v;
	TRY(unpack_unsigned(r, UINT16_MAX, &v));
	*out = (uint16_t)v;
	return ERR_OK;
}

enum err unpack_u8(struct rd *r, uint8_t *out)
{
	uint64_t v;
	TRY(unpack_unsigned(r, UINT8_MAX, &v));
	*out = (uint8_t)v;
	return ERR_OK;
}

enum err unpack_i64(struct rd *r, int64_t *out)
{
	return unpack_signed(r, INT64_MIN, INT64_MAX, out);
}

enum err unpack_i32(struct rd *r, int32_t *out)
{
	int64_t v;
	TRY(unpack_signed(r, INT32_MIN, INT32_MAX, &v));
	*out = (int32_t)v;
	return ERR_OK;
}

enum err unpack_double(struct rd *r, double *out)
{
	struct rd at = *r;
	struct head h;
	TRY(head_of_type(&at, PACK_DOUBLE, &h));
	memcpy(out, &h.n, sizeof *out);
	*r = at;
	return ERR_OK;
}

static enum err unpack_body(struct rd *r, enum pack_type type, size_t max, const uint8_t **out,
                            size_t *size)
{
	struct rd at = *r;
	struct head h;
	TRY(head_of_type(&at, type, &h));
	if (h.n > rd_left(&at))
		return ERR_MALFORMED;
	if (h.n > max)
		return ERR_LIMIT;
	*size = (size_t)h.n;
	TRY(rd_bytes(&at, *size, out));
	*r = at;
	return ERR_OK;
}

enum err unpack_str(struct rd *r, size_t max, const char **out, size_t *size)
{
	return unpack_body(r, PACK_STR, max, (const uint8_t **)out, size);
}

enum err unpack_bin(struct rd *r, size_t max, const uint8_t **out, size_t *size)
{
	return unpack_body(r, PACK_BIN, max, out, size);
}

enum err unpack_text(struct rd *r, char *buf, size_t cap)
{
	struct rd at = *r;
	const char *p;
	size_t size;
	TRY(unpack_str(&at, cap ? cap - 1 : 0, &p, &size));
	if (!cap)
		return ERR_LIMIT;
	if (memchr(p, 0, size))
		return ERR_MALFORMED;
	memcpy(buf, p, size);
	buf[size] = 0;
	*r = at;
	return ERR_OK;
}

enum err unpack_fixed(struct rd *r, void *buf, size_t size)
{
	struct rd at = *r;
	const uint8_t *p;
	size_t got;
	TRY(unpack_bin(&at, size, &p, &got));
	if (got != size)
		return ERR_MALFORMED;
	memcpy(buf, p, size);
	*r = at;
	return ERR_OK;
}

static enum err unpack_count(struct rd *r, enum pack_type type, uint32_t max, unsigned each,
                             uint32_t *count)
{
	struct rd at = *r;
	struct head h;
	TRY(head_of_type(&at, type, &h));
	if (h.n > rd_left(&at) / each)
		return ERR_MALFORMED;
	if (h.n > max)
		return ERR_LIMIT;
	*count = (uint32_t)h.n;
	*r = at;
	return ERR_OK;
}

enum err unpack_array(struct rd *r, uint32_t max, uint32_t *count)
{
	return unpack_count(r, PACK_ARRAY, max, 1, count);
}

enum err unpack_map(struct rd *r, uint32_t max, uint32_t *count)
{
	return unpack_count(r, PACK_MAP, max, 2, count);
}

/* Passes one head and a flat body; gives how many values it announces. */
static enum err skip_one(struct rd *r, uint64_t *inside)
{
	struct head h;
	const uint8_t *p;
	*inside = 0;
	TRY(head_read(r, &h));
	if (h.type == PACK_STR || h.type == PACK_BIN)
		return h.n <= rd_left(r) ? rd_bytes(r, (size_t)h.n, &p) : ERR_MALFORMED;
	if (h.type == PACK_ARRAY)
		*inside = h.n;
	if (h.type == PACK_MAP)
		*inside = 2 * h.n;
	return *inside <= rd_left(r) ? ERR_OK : ERR_MALFORMED;
}

enum err unpack_skip(struct rd *r)
{
	uint64_t left[PACK_MAX_DEPTH + 1]; /* values still to come at each depth */
	unsigned depth = 0;
	struct rd at = *r;
	left[0] = 1;
	for (;;) {
		while (!left[depth]) {
			if (!depth--) {
				*r = at;
				return ERR_OK;
			}
		}
		uint64_t inside;
		left[depth]--;
		TRY(skip_one(&at, &inside));
		if (!inside)
			continue;
		if (depth == PACK_MAX_DEPTH)
			return ERR_LIMIT;
		left[++depth] = inside;
	}
}

enum err unpack_end(const struct rd *r)
{
	return rd_left(r) ? ERR_MALFORMED : ERR_OK;
}
