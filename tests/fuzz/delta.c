/* delta.c - fuzzes batches of pages: a batch is applied whole or changes nothing, and never outside its image. */
#include "migrate/delta.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image *im = image_new();
	struct delta *d = delta_new();
	struct errmsg msg = {0};
	struct chunk_addr before, after;
	uint32_t pages = 0;
	if (image_put_space(im, SPACE_SECTION, "engine", 1, 5000, NULL) != ERR_OK ||
	    image_put_space(im, SPACE_MEMORY, "00", 0, 16 * CHUNK_PAGE, NULL) != ERR_OK ||
	    image_id(im, &before) != ERR_OK)
		abort();
	enum err e = delta_apply(d, im, data, size, &pages, &msg);
	if (image_id(im, &after) != ERR_OK)
		abort();
	image_check(im);
	if (e != ERR_OK && (!msg.text[0] || !chunk_addr_equal(&before, &after)))
		abort();
	delta_free(d);
	image_free(im);
	return 0;
}
