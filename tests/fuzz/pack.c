/* pack.c - fuzzes base/pack: what is read is inside the bytes, and writes back to the same bytes: every
 * value has one encoding. A value that cannot be read is not skipped either. */
#include "base/pack.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool truth)
{
	if (!truth)
		abort();
}

/* Copies one flat value or one head; false when there is none. */
static bool copy_one(struct rd *r, struct wr *w)
{
	bool b;
	uint64_t u;
	int64_t i;
	double d;
	const char *s;
	const uint8_t *p;
	size_t size;
	uint32_t count;
	switch (unpack_peek(r)) {
	case PACK_NIL: pack_nil(w); return unpack_nil(r) == ERR_OK;
	case PACK_BOOL: return unpack_bool(r, &b) == ERR_OK ? (pack_bool(w, b), true) : false;
	case PACK_INT:
		if (unpack_u64(r, &u) == ERR_OK)
			pack_u64(w, u);
		else if (unpack_i64(r, &i) == ERR_OK)
			pack_i64(w, i);
		else
			return false;
		return true;
	case PACK_DOUBLE: return unpack_double(r, &d) == ERR_OK ? (pack_double(w, d), true) : false;
	case PACK_STR:
		return unpack_str(r, SIZE_MAX, &s, &size) == ERR_OK ? (pack_str(w, s, size), true)
		                                                    : false;
	case PACK_BIN:
		return unpack_bin(r, SIZE_MAX, &p, &size) == ERR_OK ? (pack_bin(w, p, size), true)
		                                                    : false;
	case PACK_ARRAY:
		return unpack_array(r, UINT32_MAX, &count) == ERR_OK ? (pack_array(w, count), true)
		                                                     : false;
	case PACK_MAP:
		return unpack_map(r, UINT32_MAX, &count) == ERR_OK ? (pack_map(w, count), true)
		                                                   : false;
	default: return false;
	}
}

static void skip_is_bounded(const uint8_t *data, size_t size)
{
	struct rd r = rd_of(data, size);
	enum err e = unpack_skip(&r);
	check(e == ERR_OK || e == ERR_MALFORMED || e == ERR_LIMIT);
	check(e == ERR_OK || r.p == r.start);
	check(r.p <= r.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wr w = {0};
	struct rd r = rd_of(data, size);
	size_t good = 0;
	while (copy_one(&r, &w))
		good = rd_offset(&r);
	check(wr_ok(&w) && w.size >= good && (!good || memcmp(w.data, data, good) == 0));
	skip_is_bounded(data, size);
	wr_free(&w);
	return 0;
}
