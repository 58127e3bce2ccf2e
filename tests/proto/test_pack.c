/* test_pack.c - msgpack is written in the shortest form and read back strictly. */
#include "base/pack.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void write_one_of_each(struct wr *w)
{
	pack_array(w, 11);
	pack_nil(w);
	pack_bool(w, true);
	pack_u64(w, UINT64_MAX);
	pack_i64(w, INT64_MIN);
	pack_i64(w, -33);
	pack_double(w, 1.5);
	pack_str(w, "hello", 5);
	pack_bin(w, "\x00\x01", 2);
	pack_map(w, 1);
	pack_u64(w, 7);
	pack_text(w, "seven");
	pack_array(w, 0);
	pack_u64(w, 300);
}

Test(pack, one_of_each_comes_back)
{
	struct wr w = {0};
	write_one_of_each(&w);
	cr_assert(wr_ok(&w));
	struct rd r = rd_of(w.data, w.size);
	uint32_t n;
	bool b;
	uint64_t u;
	int64_t i;
	double d;
	const char *s;
	const uint8_t *p;
	size_t size;
	char text[6];
	uint16_t u16;
	cr_assert_eq(unpack_array(&r, 10, &n), ERR_LIMIT);
	cr_assert_eq(unpack_array(&r, 11, &n), ERR_OK);
	cr_assert_eq(n, 11);
	cr_assert_eq(unpack_peek(&r), PACK_NIL);
	cr_assert_eq(unpack_bool(&r, &b), ERR_MALFORMED);
	cr_assert_eq(unpack_nil(&r), ERR_OK);
	cr_assert_eq(unpack_bool(&r, &b), ERR_OK);
	cr_assert(b);
	cr_assert_eq(unpack_i64(&r, &i), ERR_MALFORMED);
	cr_assert_eq(unpack_u64(&r, &u), ERR_OK);
	cr_assert_eq(u, UINT64_MAX);
	cr_assert_eq(unpack_u64(&r, &u), ERR_MALFORMED);
	cr_assert_eq(unpack_i64(&r, &i), ERR_OK);
	cr_assert_eq(i, INT64_MIN);
	cr_assert_eq(unpack_i64(&r, &i), ERR_OK);
	cr_assert_eq(i, -33);
	cr_assert_eq(unpack_double(&r, &d), ERR_OK);
	cr_assert_eq(d, 1.5);
	cr_assert_eq(unpack_str(&r, 4, &s, &size), ERR_LIMIT);
	cr_assert_eq(unpack_text(&r, text, 5), ERR_LIMIT);
	cr_assert_eq(unpack_text(&r, text, 6), ERR_OK);
	cr_assert_str_eq(text, "hello");
	cr_assert_eq(unpack_bin(&r, 2, &p, &size), ERR_OK);
	cr_assert_eq(size, 2);
	cr_assert_eq(unpack_map(&r, 1, &n), ERR_OK);
	cr_assert_eq(unpack_skip(&r), ERR_OK);
	cr_assert_eq(unpack_skip(&r), ERR_OK);
	cr_assert_eq(unpack_array(&r, 0, &n), ERR_OK);
	struct rd before = r;
	uint8_t u8;
	cr_assert_eq(unpack_u8(&r, &u8), ERR_MALFORMED);
	cr_assert(r.p == before.p);
	cr_assert_eq(unpack_u16(&r, &u16), ERR_OK);
	cr_assert_eq(u16, 300);
	cr_assert_eq(unpack_end(&r), ERR_OK);
	cr_assert_eq(unpack_peek(&r), PACK_END);
	wr_free(&w);
}

Test(pack, a_value_cut_anywhere_is_refused)
{
	struct wr w = {0};
	write_one_of_each(&w);
	for (size_t size = 0; size < w.size; size++) {
		uint8_t *copy =
		    malloc(size ? size : 1); /* its own block: ASan sees a read too far */
		memcpy(copy, w.data, size);
		struct rd r = rd_of(copy, size);
		cr_assert_neq(unpack_skip(&r), ERR_OK);
		cr_assert(r.p == r.start);
		free(copy);
	}
	wr_free(&w);
}

static enum err skip(const char *bytes, size_t size)
{
	struct rd r = rd_of(bytes, size);
	return unpack_skip(&r);
}

Test(pack, longer_forms_than_needed_are_refused)
{
	cr_assert_eq(skip("\xcc\x7f", 2), ERR_MALFORMED);
	cr_assert_eq(skip("\xcc\x80", 2), ERR_OK);
	cr_assert_eq(skip("\xcd\x00\xff", 3), ERR_MALFORMED);
	cr_assert_eq(skip("\xd0\xe0", 2), ERR_MALFORMED);
	cr_assert_eq(skip("\xd0\xdf", 2), ERR_OK);
	cr_assert_eq(skip("\xd0\x05", 2), ERR_MALFORMED);
	cr_assert_eq(skip("\xd1\xff\x80", 3), ERR_MALFORMED);
	cr_assert_eq(skip("\xd1\xff\x7f", 3), ERR_OK);
	cr_assert_eq(skip("\xd9\x01x", 3), ERR_MALFORMED);
	cr_assert_eq(skip("\xc5\x00\x01x", 4), ERR_MALFORMED);
	cr_assert_eq(skip("\xdc\x00\x00", 3), ERR_MALFORMED);
	cr_assert_eq(skip("\xc1", 1), ERR_MALFORMED);
	cr_assert_eq(skip("\xca\x00\x00\x00\x00", 5), ERR_MALFORMED);
	cr_assert_eq(skip("\xc7\x00\x01", 3), ERR_MALFORMED);
}

Test(pack, nesting_and_counts_are_bounded)
{
	char deep[PACK_MAX_DEPTH + 2];
	memset(deep, 0x91, sizeof deep);
	deep[PACK_MAX_DEPTH] = (char)0xc0;
	cr_assert_eq(skip(deep, PACK_MAX_DEPTH + 1), ERR_OK);
	deep[PACK_MAX_DEPTH] = (char)0x91;
	deep[PACK_MAX_DEPTH + 1] = (char)0xc0;
	cr_assert_eq(skip(deep, PACK_MAX_DEPTH + 2), ERR_LIMIT);
	cr_assert_eq(skip("\xdd\xff\xff\xff\xff", 5), ERR_MALFORMED);
	cr_assert_eq(skip("\xc6\xff\xff\xff\xff", 5), ERR_MALFORMED);
}

Test(pack, integers_at_every_edge_come_back_in_the_shortest_form)
{
	static const size_t sizes[] = {1, 2, 3, 5, 9};
	for (unsigned shift = 0; shift < 64; shift++) {
		for (int add = -1; add <= 1; add++) {
			uint64_t v = ((uint64_t)1 << shift) + (uint64_t)(int64_t)add, got;
			int64_t neg = -(int64_t)((uint64_t)1 << (shift % 63)) + add, got_neg;
			struct wr w = {0};
			pack_u64(&w, v);
			bool known = false;
			for (unsigned i = 0; i < 5; i++)
				known |= w.size == sizes[i];
			cr_assert(known);
			pack_i64(&w, neg);
			struct rd r = rd_of(w.data, w.size);
			cr_assert_eq(unpack_u64(&r, &got), ERR_OK);
			cr_assert_eq(got, v);
			cr_assert_eq(unpack_i64(&r, &got_neg), ERR_OK);
			cr_assert_eq(got_neg, neg);
			cr_assert_eq(unpack_end(&r), ERR_OK);
			wr_free(&w);
		}
	}
}
