/* image.c - fuzzes the manifest's decoder, ownership records and group lists: what is read and rebuilt from no chunks at
 * all is refused or all zero, and a record that is read is written again as the same bytes. */
#include "migrate/image.h"
#include "migrate/owner.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err nothing(void *ctx, const struct chunk_addr *addr, struct wr *out,
                        struct errmsg *msg)
{
	return err_set(msg, ERR_NOTFOUND, "not here");
}

static void owner(const uint8_t *data, size_t size)
{
	struct rd r = rd_of(data, size);
	struct owner o;
	struct wr w = {0};
	if (owner_read(&r, &o) != ERR_OK)
		return;
	owner_write(&w, &o);
	if (wr_ok(&w) && (w.size != rd_offset(&r) || memcmp(w.data, data, w.size) != 0))
		abort();
	wr_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manifest m;
	struct errmsg msg = {0};
	struct image *im;
	struct chunk_source from = {nothing, NULL};
	struct chunk_addr group[IMAGE_GROUP_PAGES];
	if (manifest_read(data, size, &m, &msg) == ERR_OK) {
		uint64_t pages = 0;
		for (uint32_t i = 0; i < m.nspaces; i++)
			pages += m.spaces[i].info.size / CHUNK_PAGE;
		manifest_free(&m);
		/* A whole image of zeros is legal and large: only the small ones here. */
		if (pages < 4096 && image_load(data, size, &from, &im, &msg) == ERR_OK) {
			image_check(im);
			image_free(im);
		}
	} else if (!msg.text[0]) {
		abort();
	}
	group_read(data, size, (uint32_t)(size / CHUNK_ADDR_SIZE), group, &msg);
	owner(data, size);
	return 0;
}
