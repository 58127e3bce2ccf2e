/* cursor.c - bounded reads of LEB128 numbers, names and types out of a module. */
#include "engine/cursor.h"

#include "engine/opcode.h"

#include <stdarg.h>
#include <stdio.h>

struct cursor cursor_of(const uint8_t *bytes, size_t size, struct errmsg *msg)
{
	return (struct cursor){
	    .start = bytes, .p = bytes, .end = bytes + size, .func = -1, .msg = msg};
}

enum err cur_fail(const struct cursor *c, const uint8_t *at, enum err e, const char *fmt, ...)
{
	char reason[200];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	unsigned offset = (unsigned)(at - c->start);
	const char *where = c->where ? c->where : "module";
	if (c->func >= 0)
		return err_set(c->msg, e, "%s, function %lld, offset 0x%x: %s", where,
		               (long long)c->func, offset, reason);
	return err_set(c->msg, e, "%s, offset 0x%x: %s", where, offset, reason);
}

static enum err fail_end(const struct cursor *c, size_t wanted)
{
	return cur_fail(c, c->p, ERR_MALFORMED,
	                "unexpected end of section or function: %zu bytes wanted, %zu left", wanted,
	                cur_left(c));
}

enum err cur_u8(struct cursor *c, uint8_t *out)
{
	if (c->p == c->end)
		return fail_end(c, 1);
	*out = *c->p++;
	return ERR_OK;
}

/* A number that base/bytes refused: says which of the three reasons it was (spec 5.2.2). */
static enum err fail_leb(const struct cursor *c, unsigned bits)
{
	unsigned max = (bits + 6) / 7;
	for (unsigned i = 0; i < max; i++) {
		if (c->p + i == c->end)
			return fail_end(c, i + 1);
		if (!(c->p[i] & 0x80))
			return cur_fail(c, c->p, ERR_MALFORMED, "integer too large");
	}
	return cur_fail(c, c->p, ERR_MALFORMED, "integer representation too long");
}

static struct rd rest(const struct cursor *c)
{
	return (struct rd){.start = c->start, .p = c->p, .end = c->end};
}

#define CUR_LEB(name, type, bits, read)            \
	enum err name(struct cursor *c, type *out) \
	{                                          \
		struct rd r = rest(c);             \
		if (read(&r, out) != ERR_OK)       \
			return fail_leb(c, bits);  \
		c->p = r.p;                        \
		return ERR_OK;                     \
	}

CUR_LEB(cur_u32, uint32_t, 32, rd_leb_u32)
CUR_LEB(cur_s32, int32_t, 32, rd_leb_s32)
CUR_LEB(cur_s33, int64_t, 33, rd_leb_s33)
CUR_LEB(cur_s64, int64_t, 64, rd_leb_s64)

enum err cur_skip(struct cursor *c, size_t size, const uint8_t **out)
{
	if (size > cur_left(c))
		return cur_fail(c, c->p, ERR_MALFORMED,
		                "length out of bounds: unexpected end of section or function, "
		                "%zu bytes wanted, %zu left",
		                size, cur_left(c));
	*out = c->p;
	c->p += size;
	return ERR_OK;
}

enum err cur_count(struct cursor *c, uint32_t limit, const char *what, uint32_t *out)
{
	const uint8_t *at = c->p;
	TRY(cur_u32(c, out));
	if (*out > cur_left(c))
		return cur_fail(
		    c, at, ERR_MALFORMED,
		    "length out of bounds: unexpected end of section or function, %u %s "
		    "in %zu bytes",
		    *out, what, cur_left(c));
	if (*out > limit)
		return cur_fail(c, at, ERR_LIMIT, "%u %s, at most %u are allowed", *out, what,
		                limit);
	return ERR_OK;
}

/* The bytes a sequence starting with b has, with the range its second byte must lie in (Unicode 3.9, table 3-7). */
static unsigned utf8_class(uint8_t b, uint8_t *lo, uint8_t *hi)
{
	*lo = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;
	*hi = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;
	if (b < 0x80)
		return 1;
	if (b < 0xc2 || b > 0xf4)
		return 0;
	return b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
}

bool utf8_valid(const uint8_t *p, size_t size)
{
	const uint8_t *end = p + size;
	while (p < end) {
		uint8_t lo, hi;
		unsigned n = utf8_class(*p, &lo, &hi);
		if (n == 0 || n > (size_t)(end - p))
			return false;
		if (n > 1 && (p[1] < lo || p[1] > hi))
			return false;
		for (unsigned i = 2; i < n; i++)
			if ((p[i] & 0xc0) != 0x80)
				return false;
		p += n;
	}
	return true;
}

enum err cur_name(struct cursor *c, struct name *out)
{
	uint32_t size;
	const uint8_t *bytes;
	TRY(cur_u32(c, &size));
	TRY(cur_skip(c, size, &bytes));
	if (!utf8_valid(bytes, size))
		return cur_fail(c, bytes, ERR_MALFORMED, "malformed UTF-8 encoding");
	*out = (struct name){.p = (const char *)bytes, .size = size};
	return ERR_OK;
}

enum err cur_valtype(struct cursor *c, uint8_t *out)
{
	const uint8_t *at = c->p;
	TRY(cur_u8(c, out));
	if (is_valtype(*out))
		return ERR_OK;
	return cur_fail(c, at, ERR_MALFORMED, "malformed value type 0x%02x", *out);
}

enum err cur_reftype(struct cursor *c, uint8_t *out)
{
	const uint8_t *at = c->p;
	TRY(cur_u8(c, out));
	if (!is_reftype(*out))
		return cur_fail(c, at, ERR_MALFORMED, "malformed reference type 0x%02x", *out);
	return ERR_OK;
}

enum err cur_v128_const(struct cursor *c)
{
	const uint8_t *at = c->p - 1, *skipped;
	uint32_t sub;
	TRY(cur_u32(c, &sub));
	if (sub < OPCODE_FD_COUNT && opcodes_fd[sub].text && (0xfd00 | sub) != WOP_v128_const)
		return cur_fail(c, at, ERR_INVALID, "constant expression required, found %s",
		                opcodes_fd[sub].text);
	if ((0xfd00 | sub) != WOP_v128_const)
		return cur_fail(c, at, ERR_MALFORMED, "illegal opcode 0xfd 0x%02x", sub);
	return cur_skip(c, 16, &skipped);
}
