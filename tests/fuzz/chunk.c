/* chunk.c - fuzzes packed chunks: unpacking stays inside its limits, and what unpacks packs to something that unpacks
 * to the same. */
#include "migrate/chunk.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wr out = {0}, packed = {0}, again = {0};
	struct errmsg msg = {0};
	if (chunk_unpack(data, size, &out, &msg) == ERR_OK) {
		if (out.size > CHUNK_MAX)
			abort();
		chunk_pack(NULL, &packed, out.data, out.size);
		if (chunk_unpack(packed.data, packed.size, &again, NULL) != ERR_OK ||
		    again.size != out.size ||
		    (out.size && memcmp(again.data, out.data, out.size) != 0))
			abort();
	} else if (!msg.text[0] || out.size) {
		abort();
	}
	wr_free(&out);
	wr_free(&packed);
	wr_free(&again);
	return 0;
}
