/* cut.c - content-defined chunking: a gear hash and two masks.
 *
 * The hash shifts by one bit a byte, so bit 63 depends on the last 64 bytes and is the best mixed: the masks are the upper bits.
 */
#include "folder/cut.h"

#include "base/crypto.h"

#include <assert.h>
#include <string.h>

#define MASK_BEFORE (((UINT64_C(1) << 18) - 1) << 46)
#define MASK_AFTER (((UINT64_C(1) << 14) - 1) << 50)

static const char gear_label[] = "WasmOS cut 1";

void cutter_reset(struct cutter *c)
{
	c->hash = 0;
	c->size = 0;
}

void cutter_init(struct cutter *c, const uint8_t *key)
{
	static const uint8_t known[CUT_KEY_SIZE];
	uint8_t in[sizeof gear_label], out[16];
	memcpy(in, gear_label, sizeof in);
	for (unsigned i = 0; i < 256; i++) {
		in[sizeof in - 1] = (uint8_t)i;
		crypto_blake2b_keyed(out, sizeof out, key ? key : known, CUT_KEY_SIZE, in,
		                     sizeof in);
		c->gear[i] = 0;
		for (unsigned k = 0; k < 8; k++)
			c->gear[i] |= (uint64_t)out[k] << 8 * k;
	}
	cutter_reset(c);
}

/* Rolls over bytes until the hash is zero under the mask: *found, and how many bytes that took. */
static size_t roll(struct cutter *c, const uint8_t *bytes, size_t size, uint64_t mask, bool *found)
{
	uint64_t hash = c->hash;
	size_t i = 0;
	while (i < size) {
		hash = (hash << 1) + c->gear[bytes[i++]];
		if (!(hash & mask)) {
			*found = true;
			break;
		}
	}
	c->hash = hash;
	return i;
}

/* One stretch of a chunk, up to the size that it ends at. */
static size_t stretch(struct cutter *c, const uint8_t *bytes, size_t size, size_t end,
                      uint64_t mask, bool *found)
{
	if (c->size >= end || !size)
		return 0;
	size_t n = size < end - c->size ? size : end - c->size;
	if (mask)
		n = roll(c, bytes, n, mask, found);
	c->size += n;
	return n;
}

size_t cutter_feed(struct cutter *c, const void *bytes, size_t size, bool *ended)
{
	const uint8_t *p = bytes;
	bool found = false;
	assert(size > 0 && c->size < CUT_MAX);
	size_t n = stretch(c, p, size, CUT_MIN, 0, &found);
	n += stretch(c, p + n, size - n, CUT_AVG, MASK_BEFORE, &found);
	if (!found)
		n += stretch(c, p + n, size - n, CUT_MAX, MASK_AFTER, &found);
	*ended = found || c->size == CUT_MAX;
	if (*ended)
		cutter_reset(c);
	return n;
}
