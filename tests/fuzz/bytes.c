/* bytes.c - fuzzes base/bytes: any sequence of reads over any bytes stays inside them, and what was
 * read as LEB128 and is written again reads the same.
 *
 * The input's first half chooses the reads, the second half is what is read.
 */
#include "base/bytes.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool truth)
{
	if (!truth)
		abort();
}

static void read_leb(struct rd *r)
{
	uint64_t v, again;
	struct wr w = {0};
	if (rd_leb_u64(r, &v) != ERR_OK)
		return;
	wr_leb_u64(&w, v);
	check(wr_ok(&w));
	struct rd back = rd_of(w.data, w.size);
	check(rd_leb_u64(&back, &again) == ERR_OK && again == v && rd_left(&back) == 0);
	wr_free(&w);
}

static void read_signed_leb(struct rd *r)
{
	int64_t v, again;
	struct wr w = {0};
	if (rd_leb_s64(r, &v) != ERR_OK)
		return;
	wr_leb_s64(&w, v);
	check(wr_ok(&w));
	struct rd back = rd_of(w.data, w.size);
	check(rd_leb_s64(&back, &again) == ERR_OK && again == v && rd_left(&back) == 0);
	wr_free(&w);
}

static void read_one(struct rd *r, uint8_t choice)
{
	uint8_t v8;
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;
	int32_t s32;
	int64_t s33;
	const uint8_t *bytes;
	struct rd sub;

	switch (choice % 11) {
	case 0: (void)rd_u8(r, &v8); break;
	case 1: (void)rd_u16(r, &v16); break;
	case 2: (void)rd_u32(r, &v32); break;
	case 3: (void)rd_u64(r, &v64); break;
	case 4: (void)rd_leb_u32(r, &v32); break;
	case 5: (void)rd_leb_s32(r, &s32); break;
	case 6: (void)rd_leb_s33(r, &s33); break;
	case 7: read_leb(r); break;
	case 8: read_signed_leb(r); break;
	case 9:
		if (rd_bytes(r, choice, &bytes) == ERR_OK)
			check(bytes + choice == r->p);
		break;
	default:
		if (rd_sub(r, choice, &sub) == ERR_OK)
			check(rd_left(&sub) == choice);
		break;
	}
	check(r->start <= r->p && r->p <= r->end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t half = size / 2;
	struct rd r = rd_of(data + half, size - half);
	for (size_t i = 0; i < half; i++)
		read_one(&r, data[i]);
	return 0;
}
